"""When the program itself fails, the job says so, and the log has the traceback: the recording is not to blame."""

import pytest

from tests.support.broken_packages import broken_package


@pytest.mark.parametrize(
    ("package", "code", "says"),
    [
        ("av", "raise ImportError('libavcodec is gone')", "ImportError: libavcodec is gone"),
        ("av", "import nothing_of_that_name", "ModuleNotFoundError: No module named"),
        ("faster_whisper", "None.load()", "AttributeError: 'NoneType'"),
        ("ctranslate2", "{}['key']", "KeyError: 'key'"),
    ],
)
def test_an_exception_of_ours_is_reported_as_ours(start_server, recordings, tmp_path, *, package, code, says):
    api = start_server(environment=broken_package(tmp_path / "broken", package, code))
    job = api.done(recordings / "leisure.flac")
    [error] = job["errors"]
    assert (job["status"], error["type"]) == ("rejected", "internal")
    assert says in error["message"]
    assert "The recording is not to blame" in error["message"]
    log = (tmp_path / "data.log").read_text()
    assert "Traceback" in log
    assert says.partition(": ")[2] in log


@pytest.mark.parametrize(
    ("code", "how"),
    [
        (
            "import os, sys; sys.stderr.write('no such instruction\\n'); sys.stderr.flush(); os._exit(3)",
            "exit status 3",
        ),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "SIGSEGV"),
    ],
)
def test_a_worker_that_crashes_is_reported_as_ours(start_server, recordings, tmp_path, *, code, how):
    api = start_server(environment=broken_package(tmp_path / "broken", "av", code))
    job = api.done(recordings / "leisure.flac")
    [error] = job["errors"]
    assert (job["status"], error["type"]) == ("rejected", "internal")
    assert how in error["message"]
    if how.startswith("exit"):
        assert "no such instruction" in error["message"]


def test_a_lack_of_memory_is_named(start_server, recordings, tmp_path):
    api = start_server(environment=broken_package(tmp_path / "broken", "av", "raise MemoryError"))
    [error] = api.done(recordings / "leisure.flac")["errors"]
    assert error["type"] == "worker"
    assert "Memory ran out" in error["message"]


def test_a_damaged_recording_is_still_the_recordings_fault(start_server, tmp_path):
    [error] = start_server().done(b"RIFF\x24\0\0\0WAVEfmt ")["errors"]
    assert error["type"] == "audio"


def test_what_a_worker_writes_to_standard_error_is_logged_only_so_far(start_server, recordings, tmp_path):
    code = """
        import sys
        for _ in range(100_000):
            sys.stderr.write("noise " * 1000 + "\\n")
        raise ImportError("after all that")
    """
    api = start_server(environment=broken_package(tmp_path / "broken", "av", code))
    [error] = api.done(recordings / "leisure.flac")["errors"]
    assert "after all that" in error["message"]
    assert (tmp_path / "data.log").stat().st_size < 1_000_000
