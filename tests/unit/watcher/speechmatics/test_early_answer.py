"""Listening while writing, byte by byte, on a connection that does as it is told."""

import anyio
import httpcore
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from watcher.speechmatics.early_answer import WRITE_SIZE, ListeningBackend

pytestmark = pytest.mark.anyio


class Line(httpcore.AsyncNetworkStream):
    """A connection: what was written, what will be read, and whether writing blocks."""

    def __init__(self, *arriving, blocked=False):
        self.arriving = list(arriving)
        self.arrived = anyio.Event()
        if arriving:
            self.arrived.set()
        self.blocked = blocked
        self.written = []

    async def read(self, max_bytes, timeout=None):  # noqa: ASYNC109 - httpcore's interface
        await self.arrived.wait()
        if not self.arriving:
            return b""
        piece = self.arriving.pop(0)
        if not self.arriving:
            self.arrived = anyio.Event()
        if isinstance(piece, Exception):
            raise piece
        return piece

    async def write(self, buffer, timeout=None):  # noqa: ASYNC109 - httpcore's interface
        if self.blocked:
            await anyio.sleep_forever()
        self.written.append((len(buffer), timeout))
        await anyio.lowlevel.checkpoint()

    async def aclose(self):
        pass

    def get_extra_info(self, info):
        return bool(self.arriving) if info == "is_readable" else None


async def listening(line, use):
    async with anyio.create_task_group() as tasks:
        backend = ListeningBackend(tasks)
        try:
            return await use(backend, backend.listen_on(line))
        finally:
            tasks.cancel_scope.cancel()


async def test_a_slow_line_is_no_stall():
    line = Line()

    async def use(backend, stream):
        await stream.write(b"x" * (3 * WRITE_SIZE + 1), 7.0)
        await stream.write(b"", 7.0)
        assert not backend.answered

    await listening(line, use)
    assert line.written == [(WRITE_SIZE, 7.0)] * 3 + [(1, 7.0)]


async def test_a_blocked_write_ends_when_an_answer_comes():
    line = Line(blocked=True)

    async def use(backend, stream):
        async with anyio.create_task_group() as tasks:

            async def answer():
                line.arriving.append(b"HTTP/1.1 413 No\r\n\r\n")
                line.arrived.set()

            tasks.start_soon(answer)
            with anyio.fail_after(5):
                try:
                    await stream.write(b"audio")
                except httpcore.WriteError:
                    assert backend.answered
                else:
                    pytest.fail("the write went through")
        with pytest.raises(httpcore.WriteError):
            await stream.write(b"more")
        assert await stream.read(12) == b"HTTP/1.1 413"
        assert await stream.read(100) == b" No\r\n\r\n"
        assert not backend.answered

    await listening(line, use)
    assert line.written == []


async def test_a_break_that_is_heard_is_raised_by_the_read():
    async def use(backend, stream):
        with pytest.raises(httpcore.WriteError):
            await stream.write(b"audio")
        with pytest.raises(httpcore.ReadError, match=r"reset"):
            await stream.read(100)

    await listening(Line(httpcore.ReadError("reset")), use)


async def test_reading_waits_for_what_is_being_heard_no_longer_than_allowed():
    line = Line()

    async def use(backend, stream):
        await stream.write(b"request")
        with pytest.raises(httpcore.ReadTimeout):
            await stream.read(100, 0.01)
        line.arriving.append(b"answer")
        line.arrived.set()
        assert await stream.read(100, 5.0) == b"answer"

    await listening(line, use)


FINAL = b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n"
INTERIM = [b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n"]


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.sampled_from(INTERIM), max_size=3), st.lists(st.integers(1, 150), max_size=8))
def test_interim_answers_are_dropped_wherever_they_are_cut(interim, cuts):
    data = b"".join(interim) + FINAL
    ends = sorted({cut for cut in cuts if cut < len(data)} | {len(data)})
    pieces = [data[begin:end] for begin, end in zip([0, *ends], ends, strict=False)]

    async def use(backend, stream):
        await stream._backend.settle()
        with anyio.fail_after(5):
            while not backend.answered:
                try:
                    await stream.write(b"audio")
                except httpcore.WriteError:
                    break
        found = b""
        while len(found) < len(FINAL):
            found += await stream.read(1000, 5.0)
        assert found == FINAL

    anyio.run(listening, Line(*pieces), use)
