"""From the drop of a ten-second clip to its transcript on disk: with nothing loaded, and with the model warm."""

from __future__ import annotations

import statistics

from benchmarks._daemon import DATA, drop, running_daemon

_WARM_RUNS = 5


def run() -> list[tuple[str, str, str]]:
    """Measure; each warm run drops other content, so that nothing is reused."""
    clip = DATA / "ten_seconds.flac"
    with running_daemon() as daemon:
        cold = drop(clip, daemon.folder / "cold.flac")
        warm = []
        for number in range(_WARM_RUNS):
            variant = daemon.state / f"variant{number}.flac"
            variant.write_bytes(_with_padding(clip.read_bytes(), number + 1))
            warm.append(drop(variant, daemon.folder / f"warm{number}.flac"))
    return [
        ("drop of a 10 s clip → transcript, nothing loaded", f"{cold:.2f} s", "≤ 3 s"),
        (
            f"the same with the model loaded, median of {_WARM_RUNS}",
            f"{statistics.median(warm):.2f} s",
            f"≤ 3 s (worst: {max(warm):.2f} s)",
        ),
    ]


def _with_padding(flac: bytes, size: int) -> bytes:
    """The same sound in other bytes: a padding block is put behind FLAC's first metadata block."""
    first = 4 + 4 + int.from_bytes(flac[5:8], "big")
    return flac[:first] + bytes([1]) + size.to_bytes(3, "big") + bytes(size) + flac[first:]


if __name__ == "__main__":
    for row in run():
        print(*row, sep="\t")
