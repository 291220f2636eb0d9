"""Makes short recordings in any container, with PyAV."""

import numpy as np
import pytest

from tests.support.sounds import encode
from watcher.media import Prober


def make(path, container, codec, *, seconds=1.0, rate=16000, longer=0.0, **more):
    """Write a tone of `seconds`, perhaps with a picture that moves on for `longer`; `more` is for `encode`."""
    samples = (np.sin(np.arange(int(seconds * rate)) * 0.1) * 8000).astype(np.int16)
    return encode(path, samples, container, codec, rate=rate, picture_seconds=seconds + longer, **more)


@pytest.fixture(scope="module")
async def prober():
    async with Prober() as made:
        yield made
