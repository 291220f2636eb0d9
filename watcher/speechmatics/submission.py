"""Submitting once: send a job so that it is known, whatever happens, whether it can exist.

All of the request but its tail is sent; then the caller's gate decides; only then goes the tail. A body that
was never completed creates no job.
"""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import anyio
import anyio.to_thread
import httpcore
import msgspec

from watcher.speechmatics.answers import Answer, decode, error_from
from watcher.speechmatics.early_answer import ListeningBackend
from watcher.speechmatics.errors import (
    ApiError,
    ConnectFailed,
    ConnectionLost,
    ResponseError,
    SpeechmaticsError,
    SubmissionUnknown,
    Timeout,
    TransportError,
    UnexpectedAnswer,
)
from watcher.speechmatics.multipart import Form
from watcher.speechmatics.secret import Secret
from watcher.speechmatics.source import Recording, UploadReceipt

__all__ = ["BeforeCommit", "Progress", "Submission", "Target", "judge"]

_log = logging.getLogger(__name__)

BeforeCommit = Callable[[UploadReceipt], Awaitable[None]]
Progress = Callable[[int, int], None]

CHUNK = 256 * 1024
CREATED = 201
OK = 200
BAD_REQUEST = 400
REFUSALS_BY_STATUS = frozenset({401, 413, 429})
"""Refusals that count whoever words them: what stands before the API also checks keys, sizes and rates."""

NO_REFUSAL = frozenset({408, 409, 425})
"""4xx answers that don't say that the request was refused for good."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where and how a submission is sent.

    Attributes:
        url: The full URL.
        headers: All headers but those of the body.
        timeouts: In httpcore's terms: seconds by ``connect``, ``write``, ``read``, ``pool``.
        new_pool: Makes the connection pool to use, on the given backend.
        readers: How many worker threads may read recordings at once.
        request_id: The id sent along.
    """

    url: str
    headers: list[tuple[bytes, bytes]]
    timeouts: dict[str, float | None]
    new_pool: Callable[[httpcore.AsyncNetworkBackend], httpcore.AsyncConnectionPool]
    readers: anyio.CapacityLimiter
    request_id: str

    def __repr__(self) -> str:
        """Name the URL; the headers hold the key."""
        return f"Target(url={self.url!r})"


class Submission:
    """One ``POST /jobs``, sent once.

    Args:
        form: The body's layout.
        recording: The audio, or None for a job that fetches it.
        reference: The job's ``tracking.reference``.
        before_commit: Awaited when all but the tail has been sent; if it raises, no job exists.
        progress: Called with the bytes of audio sent so far, and all of them.
    """

    def __init__(
        self,
        form: Form,
        recording: Recording | None,
        *,
        reference: str | None = None,
        before_commit: BeforeCommit | None = None,
        progress: Progress | None = None,
    ) -> None:
        self._form = form
        self._recording = recording
        self._reference = reference
        self._before_commit = before_commit
        self._progress = progress
        self.receipt: UploadReceipt | None = None
        self.tail_sent = False

    async def send(self, target: Target) -> Answer:
        """Send it.

        Returns:
            The service's answer, which may have come early: see `tail_sent`.

        Raises:
            TransportError: No answer, and the tail was not sent: no job exists.
            SubmissionUnknown: No answer, but the tail was sent; or a broken one before it that may claim a job.
            Exception: What `before_commit` raised, unchanged: no job exists.
        """
        answer: Answer | None = None
        failure: BaseException | None = None
        async with anyio.create_task_group() as listeners:
            backend = ListeningBackend(listeners)
            try:
                answer = await self._exchange(target, backend)
            except anyio.get_cancelled_exc_class():
                raise
            except BaseException as error:  # noqa: BLE001 - carried out of the task group, which would wrap it
                failure = error
            listeners.cancel_scope.cancel()
        if answer is not None:
            return answer
        problem = _translated(failure or ConnectionLost("The exchange ended without an answer."), target)
        unclear = self.tail_sent or (isinstance(problem, TransportError) and backend.may_claim_success)
        if unclear and isinstance(problem, Exception):
            raise SubmissionUnknown(str(problem), reference=self._reference, tail_sent=self.tail_sent) from problem
        raise problem

    async def _exchange(self, target: Target, backend: ListeningBackend) -> Answer:
        body = self._body(target, backend)
        try:
            async with target.new_pool(backend) as pool:
                response = await pool.handle_async_request(self._request(target, body))
                try:
                    return await _read(response, target)
                finally:
                    await response.aclose()
        finally:
            await body.aclose()  # type: ignore[attr-defined]  # an async generator, closed where it was left

    def _request(self, target: Target, body: AsyncIterator[bytes]) -> httpcore.Request:
        url = httpcore.URL(target.url)
        return httpcore.Request(
            "POST",
            url,
            headers=[
                (b"Host", _host(url)),
                *target.headers,
                (b"Content-Type", self._form.content_type.encode()),
                (b"Content-Length", str(self._form.length).encode()),
            ],
            content=body,
            extensions={"timeout": target.timeouts},
        )

    async def _body(self, target: Target, backend: ListeningBackend) -> AsyncIterator[bytes]:
        form = self._form
        yield form.head
        sent = 0
        while (left := form.size - form.tail - sent) > 0:
            chunk = await self._read(min(CHUNK, left), target)
            yield chunk
            sent += len(chunk)
            self._report(sent)
        tail = await self._read(form.tail, target)
        if self._recording is not None:
            await anyio.to_thread.run_sync(self._recording.check_unchanged, limiter=target.readers)
            self.receipt = self._recording.receipt(self._reference)
        else:
            self.receipt = UploadReceipt("", 0, _SHA256_OF_NOTHING, self._reference)
        await self._pass_gate(self.receipt, backend)
        self.tail_sent = True
        yield tail + form.closing
        self._report(form.size)

    async def _pass_gate(self, receipt: UploadReceipt, backend: ListeningBackend) -> None:
        """Let the caller commit, unless the service has already refused."""
        await _stop_if_answered(backend)
        if self._before_commit is not None:
            await self._before_commit(receipt)
            await _stop_if_answered(backend)

    async def _read(self, size: int, target: Target) -> bytes:
        if self._recording is None or not size:
            return b""
        return await anyio.to_thread.run_sync(self._recording.read, size, limiter=target.readers)

    def _report(self, sent: int) -> None:
        if self._progress is None or self._recording is None:
            return
        try:
            self._progress(sent, self._form.size)
        except Exception:  # noqa: BLE001 - a callback may raise anything
            # A display must never cost an upload, least of all between the tail and its answer.
            _log.exception("The progress callback of an upload failed")


def _host(url: httpcore.URL) -> bytes:
    usual = {b"http": 80, b"https": 443}[url.scheme]
    host = b"[%b]" % url.host if b":" in url.host else url.host
    return host if url.port in {None, usual} else b"%b:%d" % (host, url.port)


_SHA256_OF_NOTHING = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


async def _stop_if_answered(backend: ListeningBackend) -> None:
    await backend.settle()
    if backend.answered:
        # httpcore takes this as: the other side has answered already, read what it said.
        raise httpcore.WriteError("The service answered before the request was complete.")


async def _read(response: httpcore.Response, target: Target) -> Answer:
    pieces: list[bytes] = []
    complete = True
    try:
        async for piece in response.aiter_stream():
            pieces.append(piece)  # noqa: PERF401 - what came before a break is kept
    except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException):
        complete = False  # the status stands; whether the body suffices is judged by who reads it
    headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in response.headers}
    return Answer(response.status, headers, b"".join(pieces), "POST /jobs", complete, target.request_id)


def _translated(error: BaseException, target: Target) -> BaseException:
    """An error of httpcore in our terms; any other is the caller's own and stays as it is."""
    url = target.url
    translated: TransportError
    if isinstance(error, (httpcore.ConnectError, httpcore.ConnectTimeout, httpcore.ProxyError)):
        translated = ConnectFailed(f"Could not connect to {url}: {error or type(error).__name__}")
    elif isinstance(error, httpcore.UnsupportedProtocol):
        translated = ConnectFailed(f"Could not connect to {url}: {error}")
    elif isinstance(error, httpcore.WriteTimeout):
        translated = Timeout(f"{url} took no more of the upload for {target.timeouts['write']:g} s.")
    elif isinstance(error, httpcore.TimeoutException):
        translated = Timeout(f"{url} did not answer the submission within {target.timeouts['read']:g} s.")
    elif isinstance(error, (httpcore.NetworkError, httpcore.ProtocolError)):
        translated = ConnectionLost(f"The connection to {url} broke during the submission: {error}")
    else:
        return error
    translated.__cause__ = error
    return translated


class _Created(msgspec.Struct):
    id: str
    status: str | None = None
    json_v2: msgspec.Raw = msgspec.field(default=msgspec.Raw(), name="json-v2")
    txt: str | None = None
    srt: str | None = None


def judge(
    answer: Answer, *, tail_sent: bool, reference: str | None, now: float, secret: Secret | None = None
) -> _Created:
    """What an answer to a submission says about the job.

    Args:
        answer: The answer.
        tail_sent: Whether the end of the request had been sent.
        reference: The job's ``tracking.reference``.
        now: Seconds since 1970.
        secret: The key that was sent, to blot out.

    Returns:
        The created job.

    Raises:
        ApiError: A clear refusal: no job exists.
        ResponseError: A senseless answer before the tail was sent: no job exists.
        SubmissionUnknown: Anything else: a job may exist.
    """
    problem: SpeechmaticsError
    if answer.status == CREATED and tail_sent:
        try:
            return _created(answer)
        except ResponseError as error:
            problem = error
    elif OK <= answer.status < 300:  # noqa: PLR2004 - the range of success
        when = "The submission" if tail_sent else "Before it was complete, the submission"
        problem = UnexpectedAnswer(f"{when} was answered with {answer.status}, which says nothing clear.")
    else:
        refusal = error_from(answer, now=now, secret=secret.reveal() if secret else "")
        if not tail_sent or _is_clear(refusal):
            raise refusal
        problem = refusal
    raise SubmissionUnknown(str(problem), reference=reference, tail_sent=tail_sent, status=answer.status) from problem


def _is_clear(refusal: ApiError) -> bool:
    """Whether a 4xx answer to a whole request says for sure that no job was created."""
    if refusal.status in REFUSALS_BY_STATUS:
        return True
    is_4xx = BAD_REQUEST <= refusal.status < 500  # noqa: PLR2004 - the range of client errors
    return is_4xx and refusal.from_api and refusal.status not in NO_REFUSAL


def _created(answer: Answer) -> _Created:
    try:
        # The id is what counts, whatever the content type says, and even if the connection broke right after
        # it.
        created = msgspec.json.decode(answer.body, type=_Created)
    except (ValueError, RecursionError):
        created = decode(answer, _Created)  # raises with what is wrong
    if not created.id:
        raise UnexpectedAnswer("The service says that it created a job, but gives no id.")
    return created


def embedded(created: _Created) -> tuple[str, Any] | None:
    """The transcript that came with the answer, as (format, bytes or text)."""
    if bytes(created.json_v2):
        return "json-v2", bytes(created.json_v2)
    if created.txt is not None:
        return "txt", created.txt
    return ("srt", created.srt) if created.srt is not None else None
