"""Killed at any instant, on a network that loses answers, no recording is lost and none is billed twice."""

import random
import sys

import pytest

from tests.support.chaos import run_rounds

pytestmark = pytest.mark.long


@pytest.mark.parametrize("part", range(4))
def test_fifty_kills(part, capsys):
    seed = random.SystemRandom().randrange(10**6) * 4 + part
    tally = run_rounds(50, seed, workers=2)
    with capsys.disabled():
        sys.stdout.write(f"\nchaos: seed {seed}: {tally}\n")
    assert tally.kills >= 50
