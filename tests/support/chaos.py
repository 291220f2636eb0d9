"""Kills the daemon again and again, then holds what is left against the promises.

A round is a watch folder with a few recordings (one of them twice, one whose output's name is taken by a person's
file), a fault server that loses answers, and a daemon that is killed until it was let to finish once. Everything
random comes from the round's seed.
"""

import json
import random
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.daemon_bench import Bench, write_recording
from tests.support.fault_server import Fault, fault_server_thread
from tests.support.promises import assert_promises, fingerprints

FAULTS = (
    Fault("lose_answer", on="post", probability=0.08, times=None),
    Fault("error_after", on="post", status=500, probability=0.04, times=None),
    Fault("status", on="post", status=503, probability=0.08, times=None),
    Fault("reset_midbody", on="post", probability=0.04, times=None),
    Fault("status", on="get", status=503, probability=0.04, times=None),
    Fault("lose_answer", on="transcript", probability=0.04, times=None),
)
MOST_DOUBLINGS = 7.3
"""A daemon that is killed at a step is so before its 2 ** 7.3th: early ones are likelier."""
LONGEST_LIFE = 0.9


@dataclass
class Tally:
    """What a series of rounds came to."""

    kills: int = 0
    rounds: int = 0
    jobs: int = 0
    steps: dict = field(default_factory=dict)
    seconds: float = 0.0

    def count(self, answer):
        self.kills += 1
        step = answer["step"] or "any moment"
        self.steps[step] = self.steps.get(step, 0) + 1

    def __str__(self):
        where = ", ".join(f"{name}: {number}" for name, number in sorted(self.steps.items()))
        return (
            f"{self.kills} kills in {self.rounds} rounds, {self.jobs} jobs, {self.seconds:.0f} s: "
            f"0 lost, 0 billed twice\n{where}"
        )


class RoundFailed(AssertionError):
    """A promise was broken; names the seed that repeats it."""


def run_rounds(kills, seed, *, report=None):
    """Run rounds until so many daemons were killed.

    Raises:
        RoundFailed: a promise was broken.
    """
    tally = Tally()
    began = time.monotonic()
    number = 0
    while tally.kills < kills:
        round_seed = seed * 1_000_003 + number
        try:
            run_round(round_seed, tally, most_kills=min(kills - tally.kills, 12))
        except Exception as error:
            raise RoundFailed(
                f"Round {number} (seed {round_seed}): {error}\n"
                f"Again: python -m tests.acceptance.chaos --round {round_seed}"
            ) from error
        tally.rounds += 1
        number += 1
        tally.seconds = time.monotonic() - began
        if report:
            report(tally)
    return tally


def run_round(seed, tally, *, most_kills=12, keep=None):
    """Run one round: kill, start again, … and at last let the daemon finish."""
    chance = random.Random(seed)
    with tempfile.TemporaryDirectory(prefix="dropscribe-chaos-") as folder:
        root = Path(keep or folder)
        bench = Bench(root, None)
        sources = furnish(bench, chance)
        settings = {"processing_time": chance.choice((0.0, 0.02, 0.2)), "listing_lag": chance.choice((0.0, 0.1))}
        with fault_server_thread(*FAULTS, seed=seed, **settings) as server:
            command = [sys.executable, "-m", "tests.support.chaos_daemon", str(root), server.url]
            with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as daemons:
                try:
                    for _ in range(most_kills):
                        answer = order(daemons, killing(chance))
                        if answer["status"] >= 0:  # it had come to its end before
                            check(answer, root)
                            break
                        tally.count(answer)
                    else:
                        check(order(daemons, {"seed": chance.randrange(1000)}), root)
                finally:
                    daemons.stdin.close()
            assert_promises(server.jobs, bench.ledger, sources=sources)
            tally.jobs += len(server.jobs)


def killing(chance):
    """How the next daemon dies: mostly at a step, sometimes at any moment."""
    order = {"seed": chance.randrange(1000)}
    if chance.random() < 0.75:
        return {**order, "die_at": int(2 ** chance.uniform(0, MOST_DOUBLINGS))}
    return {**order, "kill_after": chance.uniform(0.05, LONGEST_LIFE)}


def furnish(bench, chance):
    """Put recordings, and a person's own file, into the watch folder."""
    for number in range(chance.randrange(2, 5)):
        bench.record(f"recording {number}.wav", seed=f"{chance.random()}")
    bench.record("once.wav", seed="the same")
    bench.record("twice.wav", seed="the same")
    write_recording(bench.inbox / "below" / "once.wav", f"{chance.random()}")
    (bench.inbox / "once.txt").write_text("A person's own notes.\n")
    return fingerprints(bench.inbox)


def order(daemons, what):
    daemons.stdin.write(json.dumps(what) + "\n")
    daemons.stdin.flush()
    return json.loads(daemons.stdout.readline())


def check(answer, root):
    if answer["status"] != 0:
        log = (root / "daemon.log").read_text(errors="replace")
        raise AssertionError(f"The daemon ended by itself with {answer}:\n{log[-6000:]}")
