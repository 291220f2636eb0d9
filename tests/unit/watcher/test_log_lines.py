"""What a line of the log looks like, for people and for programs."""

import io
import json

import pytest
import structlog

from watcher import logs


class Terminal(io.StringIO):
    """A stream that a person reads."""

    def isatty(self):
        return True


@pytest.fixture(autouse=True)
def _configured_anew():
    before = structlog.get_config()
    yield
    structlog.configure(**before)


def line(stream, *, verbose=0, level="info"):
    logs.configure(verbose=verbose, stream=stream)
    getattr(logs.get_logger("deliver"), level)("done", file="/r/a.wav", wrote=["/r/a.txt", "/r/a.json"])
    return stream.getvalue()


def test_a_person_reads_what_happened_and_where_the_transcript_is(monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    said = line(Terminal())
    assert said.split(" ", 1)[1] == "done file=/r/a.wav wrote='/r/a.txt, /r/a.json'\n"
    assert "[warning] done" in line(Terminal(), level="warning")
    assert "part=deliver" in line(Terminal(), verbose=1)


def test_a_program_reads_all_of_it():
    said = json.loads(line(io.StringIO()))
    assert said.items() >= {"part": "deliver", "level": "info", "event": "done", "file": "/r/a.wav"}.items()
    assert said["wrote"] == ["/r/a.txt", "/r/a.json"]
