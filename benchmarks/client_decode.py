"""Reading the json-v2 transcript of ten hours into typed results, and its text: time and memory."""

import json
import random
import sys
import tempfile
import warnings
from pathlib import Path

from benchmarks._client import MEGABYTE, Row, Stopwatch, measured, peak_memory, show

HOURS = 10
WORDS_PER_MINUTE = 160
SPEAKERS = 4


def ten_hours() -> bytes:
    """A transcript as long as ten hours of speech make it, with speakers and punctuation."""
    chance = random.Random(1)
    results = []
    at = 0.0
    speaker = "S1"
    for index in range(HOURS * 60 * WORDS_PER_MINUTE):
        best = {
            "confidence": round(chance.uniform(0.5, 1.0), 2),
            "content": f"word{chance.randrange(5000)}",
            "language": "en",
            "display": {"direction": "ltr"},
            "speaker": speaker,
        }
        results.append({"type": "word", "start_time": at, "end_time": at + 0.3, "alternatives": [best]})
        at = round(at + 0.375, 3)
        if index % 12 == 11:
            mark = {**best, "content": "."}
            results.append(
                {
                    "type": "punctuation",
                    "start_time": at,
                    "end_time": at,
                    "alternatives": [mark],
                    "attaches_to": "previous",
                    "is_eos": True,
                }
            )
            speaker = f"S{chance.randint(1, SPEAKERS)}"
    when = "2026-01-01T00:00:00Z"
    return json.dumps(
        {
            "format": "2.9",
            "job": {"id": "a1", "created_at": when, "data_name": "day.wav", "duration": HOURS * 3600},
            "metadata": {
                "created_at": when,
                "type": "transcription",
                "transcription_config": {"language": "en", "diarization": "speaker"},
                "language_pack_info": {"word_delimiter": " "},
            },
            "results": results,
        }
    ).encode()


def ours(body: bytes) -> str:
    """Read with our types."""
    import msgspec  # noqa: PLC0415 - a child measures one client only

    from watcher.speechmatics import TranscriptResult  # noqa: PLC0415

    return msgspec.json.decode(body, type=TranscriptResult).transcript_text


def official(body: bytes) -> str:
    """Read with the official client's types."""
    warnings.simplefilter("ignore")
    from speechmatics.batch import Transcript  # noqa: PLC0415 - a child measures one client only

    text: str = Transcript.from_dict(json.loads(body)).transcript_text
    return text


def child(name: str, path: str) -> None:
    """Read with one client, and print what it took beyond the imports."""
    read = {"ours": ours, "official": official}[name]
    read(
        b'{"format":"2.9","job":{"id":"","created_at":"","data_name":""},"metadata":{"created_at":"","type":""},"results":[]}'
    )
    body = Path(path).read_bytes()
    before = peak_memory()
    watch = Stopwatch()
    text = read(body)
    print(json.dumps({"seconds": watch.seconds, "peak": peak_memory() - before, "length": len(text)}))


def run() -> list[Row]:
    """Both clients, each in a process of its own, on the same transcript."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "transcript.json"
        path.write_bytes(ten_hours())
        size = path.stat().st_size / MEGABYTE
        mine, theirs = (measured("benchmarks.client_decode", name, str(path)) for name in ("ours", "official"))
    rows = []
    for what, key, unit, factor in (("time", "seconds", "s", 1.0), ("memory", "peak", "MB", 1 / MEGABYTE)):
        shown = [f"{each[key] * factor:.2f} {unit}" if key in each else "failed" for each in (mine, theirs)]
        rows.append(
            (
                f"ten-hour transcript ({size:.0f} MB) to types and text: {what}",
                shown[0],
                f"speechmatics-batch: {shown[1]}",
            )
        )
    return rows


if __name__ == "__main__":
    if "--child" in sys.argv:
        child(*sys.argv[2:])
    else:
        show(run())
