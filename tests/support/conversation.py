"""A conversation of two people, put together from the project's recordings."""

import functools
import os
from pathlib import Path

import numpy as np

from tests.support import sounds
from tests.support.sounds import RATE, speech

__all__ = ["RATE", "STAND_IN", "conversation", "decode", "write_wav"]

PAUSE = 0.6  # seconds
SOFTER = 0.25  # the second speaks from farther away

# Environment of a process that is to find the stand-in where it looks for the diarization library.
STAND_IN = {
    "PYTHONPATH": os.pathsep.join(
        path for path in (str(Path(__file__).parent / "stand_ins"), os.environ.get("PYTHONPATH")) if path
    )
}


@functools.cache
def conversation():
    """Compose a conversation.

    Returns:
        Samples, 16 kHz and -1 to 1, and for every turn its start and end in seconds and whose it is.
    """
    reader, player = decode("dashwood.flac"), decode("cards.flac")
    turns = [
        ("reader", decode("leisure.flac")),
        ("player", player * SOFTER),
        ("reader", reader[round(10.8 * RATE) :]),
    ]
    samples, spoken, clock = [], [], 0.0
    for who, part in turns:
        samples += [np.zeros(round(PAUSE * RATE), np.float32), part]
        spoken.append((clock + PAUSE, clock + PAUSE + len(part) / RATE, who))
        clock = spoken[-1][1]
    return np.concatenate(samples), spoken


def decode(name):
    """One of the project's recordings as floats."""
    return speech(name).astype(np.float32) / 32768


def write_wav(path, samples):
    """Write samples of -1 to 1 as a WAV file with one channel."""
    return sounds.write_wav(path, (samples * 32767).astype("<i2"))
