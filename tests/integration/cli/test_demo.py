"""`make demo` where something is wrong."""

import pytest

from service import demo


def test_a_recording_that_fails_ends_the_demo_with_the_reason(tmp_path):
    recordings = tmp_path / "recordings"
    recordings.mkdir()
    (recordings / "leisure.flac").write_bytes(b"no sound at all")  # a damaged one would be awaited as unfinished
    with pytest.raises(demo.DemoFailed) as failed:
        demo.main(tmp_path / "demo", recordings)
    assert "'Letter to John.flac' was not transcribed (skipped): It " in failed.value.message
    assert str(tmp_path / "demo" / "dropscribe.log") in failed.value.fix
