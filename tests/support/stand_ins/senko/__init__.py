"""Stands in for the diarization library, whose dependencies weigh more than a gigabyte.

It has the few names that the program uses, and takes what is loud for one voice and what is soft for another. So it
shows that recordings, turns and failures travel as they should, and nothing about how well voices are told apart:
that is for the tests and the benchmark that need the real library.
"""

import os
import threading

import numpy as np

RATE = 16_000
FRAME = RATE // 50
PAUSE = 15  # frames
SOUND, LOUD = 0.002, 0.045

TROUBLE = os.environ.get("STAND_IN_TROUBLE")

if TROUBLE == "broken":
    raise OSError("libtorch.so: cannot open shared object file")


class Diarizer:
    def __init__(self, *, device, warmup, quiet, mer_cos):
        assert (device, warmup, quiet) == ("cpu", False, True)
        assert 0 < mer_cos <= 1
        self.voices_are_one = mer_cos < 0.75
        self.logical_cores = 0


class DiarizationSession:
    def __init__(self, diarizer):
        self._diarizer = diarizer
        self._heard = np.empty(0, np.float32)

    def add_samples(self, samples):
        assert samples.dtype == np.int16
        assert samples.ndim == 1
        if TROUBLE == "death":
            os._exit(9)
        if TROUBLE == "hang":
            threading.Event().wait()
        self._heard = np.concatenate([self._heard, samples.astype(np.float32) / 32768])
        segments = [self._segment(first, last) for first, last in self._stretches()]
        return {"raw_segments": segments} if segments else None

    def _stretches(self):
        frames = self._heard[: len(self._heard) // FRAME * FRAME].reshape(-1, FRAME)
        sounding = np.flatnonzero(np.sqrt(np.mean(frames**2, axis=1)) > SOUND)
        for group in np.split(sounding, np.flatnonzero(np.diff(sounding) > PAUSE) + 1):
            if len(group):
                yield group[0] * FRAME, (group[-1] + 1) * FRAME

    def _segment(self, first, last):
        loud = float(np.sqrt(np.mean(self._heard[first:last] ** 2))) > LOUD
        speaker = "SPEAKER_02" if loud or self._diarizer.voices_are_one else "SPEAKER_01"
        return {"start": np.float64(first / RATE), "end": np.float64(last / RATE), "speaker": speaker}
