"""What the benchmarks of the embedded server share."""

from __future__ import annotations

import json
import wave
from pathlib import Path
from typing import TYPE_CHECKING

import av
import httpx
import numpy as np

if TYPE_CHECKING:
    from tests.support.embedded_server import EmbeddedServer

RECORDINGS = Path(__file__).parents[1] / "tests" / "data"
RATE = 16_000
CONFIG = json.dumps({"type": "transcription", "transcription_config": {"language": "en"}})


def samples(path: Path) -> np.ndarray:
    """Decode one of the project's recordings."""
    with av.open(str(path)) as container:
        return np.concatenate([frame.to_ndarray().reshape(-1) for frame in container.decode(audio=0)])


def long_recording(path: Path, minutes: float) -> Path:
    """Write a recording of the given length, made of the project's own."""
    once = np.concatenate([samples(RECORDINGS / name) for name in ("dashwood.flac", "leisure.flac")])
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(np.resize(once, int(minutes * 60 * RATE)).tobytes())
    return path


def client(server: EmbeddedServer) -> httpx.Client:
    """Open a client with the server's key."""
    headers = {"Authorization": f"Bearer {server.key}"}
    return httpx.Client(base_url=f"{server.url}/", headers=headers, timeout=600, trust_env=False)


def submit(api: httpx.Client, path: Path, *, wait: bool = True) -> dict[str, object]:
    """Submit a recording, and wait for its text unless told otherwise."""
    with path.open("rb") as file:
        answer = api.post(
            "jobs",
            files={"config": (None, CONFIG), "data_file": (path.name, file)},
            params={"wait": 60, "format": "txt"} if wait else None,
        )
    answer.raise_for_status()
    body: dict[str, object] = answer.json()
    return body


def text(api: httpx.Client, job_id: object) -> str:
    """Wait for a job's text, however long it takes."""
    while (answer := api.get(f"jobs/{job_id}/transcript", params={"wait": 60, "format": "txt"})).status_code == 404:
        pass
    answer.raise_for_status()
    return answer.text
