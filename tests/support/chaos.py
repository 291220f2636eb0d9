"""Kills the daemon again and again, then holds what is left against the promises.

A round is a watch folder with a few recordings (one of them twice, one whose output's name is taken by a person's
file), a fault server that loses answers, and a daemon that is killed until it was let to finish once. In some rounds
jobs are deleted, recordings are put away, or the file system lacks links. Everything random comes from the round's
seed.
"""

import functools
import itertools
import json
import multiprocessing
import random
import subprocess
import sys
import tempfile
import time
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.chaos_daemon import FILE_STEPS
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
    Fault("lose_answer", on="delete", probability=0.1, times=None),
    Fault("status", on="delete", status=503, probability=0.1, times=None),
)
MOST_DOUBLINGS = 7.3
"""A daemon that is killed at a step is so before its 2 ** 7.3th: early ones are likelier."""
LONGEST_LIFE = 0.9
COMMITS = (
    "add",
    "claim",
    "arm",
    "accept",
    "requeue",
    "annotate",
    "transcribed",
    "done",
    "finish cleanup",
    "reschedule",
)
STEPS = (*(f"commit: {name}" for name in COMMITS), *FILE_STEPS)
MOST_KILLS = 12
MOST_FINISHES = 40  # a fifth of all deletions fail, and this must not be luck


@dataclass
class Tally:
    """What a series of rounds came to."""

    kills: int = 0
    rounds: int = 0
    jobs: int = 0
    steps: dict = field(default_factory=dict)
    seconds: float = 0.0

    def add(self, other):
        """Count what another one counted."""
        self.kills += other.kills
        self.rounds += other.rounds
        self.jobs += other.jobs
        for step, number in other.steps.items():
            self.steps[step] = self.steps.get(step, 0) + number

    def count(self, answer):
        self.kills += 1
        step = answer["step"] or "any moment"
        self.steps[step] = self.steps.get(step, 0) + 1

    def __str__(self):
        where = ", ".join(f"{name}: {number}" for name, number in sorted(self.steps.items()))
        each = f" ({self.seconds / self.kills:.2f} s each)" if self.kills else ""
        return (
            f"{self.kills} kills in {self.rounds} rounds, {self.jobs} jobs, {self.seconds:.0f} s{each}: "
            f"0 lost, 0 billed twice\n{where}"
        )


class RoundFailed(AssertionError):
    """A promise was broken; names the seed that repeats it."""


def run_rounds(kills, seed, *, workers=1, report=None):
    """Run rounds until so many daemons were killed, some at a time, each in a process of its own.

    Raises:
        RoundFailed: a promise was broken.
    """
    tally = Tally()
    began = time.monotonic()
    seeds = (seed * 1_000_003 + number for number in itertools.count())
    with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        running = set()
        while tally.kills < kills:
            running |= {pool.submit(run_round, next(seeds)) for _ in range(workers - len(running))}
            ended, running = wait(running, return_when=FIRST_COMPLETED)
            for each in ended:
                tally.add(each.result())
            tally.seconds = time.monotonic() - began
            if report:
                report(tally)
        for each in running:
            tally.add(each.result())
    tally.seconds = time.monotonic() - began
    return tally


def run_round(seed, *, keep=None):
    """Run one round: kill, start again, … and at last let the daemon finish. Returns its tally.

    Raises:
        RoundFailed: a promise was broken.
    """
    try:
        return _run_round(seed, keep)
    except Exception as error:
        raise RoundFailed(
            f"The round with seed {seed}: {error}\nAgain: python -m tests.acceptance.chaos --round {seed}"
        ) from error


def _run_round(seed, keep):
    tally = Tally(rounds=1)
    chance = random.Random(seed)
    with tempfile.TemporaryDirectory(prefix="dropscribe-chaos-") as folder:
        root = Path(keep or folder)
        bench = Bench(root, None)
        sources = furnish(bench, chance)
        settings = {"processing_time": chance.choice((0.0, 0.02, 0.2)), "listing_lag": chance.choice((0.0, 0.1))}
        wishes = choose_wishes(chance, root)
        with fault_server_thread(*FAULTS, seed=seed, **settings) as server:
            place = {"root": str(root), "url": server.url, "wishes": wishes}
            for _ in range(MOST_KILLS):
                answer = order({**place, **killing(chance)})
                if answer["status"] >= 0:  # it had come to its end before
                    check(answer, root)
                    break
                tally.count(answer)
            finish(place, bench, chance)
            away = places_after(wishes["after"], bench, sources)
            assert_promises(server.jobs, bench.ledger, sources=sources, put_away=away)
            if wishes["delete_after_download"]:
                kept = [job.id for job in server.jobs if server.state.status(job) != "deleted"]
                assert not kept, f"left at the service: {kept}"
            tally.jobs += len(server.jobs)
    return tally


def finish(place, bench, chance):
    """Let the daemon come to its end: what failed last may need another run."""
    for _ in range(MOST_FINISHES):
        check(order({**place, "seed": chance.randrange(1000)}), bench.inbox.parent)
        if not bench.read(lambda ledger: ledger.due_cleanups(float("inf"))):
            return
    raise AssertionError(f"Left to do: {bench.read(lambda ledger: ledger.due_cleanups(float('inf')))}")


def choose_wishes(chance, root):
    """What the config asks for, and what the file system lacks."""
    return {
        "after": chance.choice(("keep", "keep", "delete", f"move:{root / 'moved'}")),
        "delete_after_download": chance.random() < 0.5,
        "lacking": chance.choice(((), (), ("rename_noreplace",), ("rename_noreplace", "link"))),
    }


def places_after(after, bench, sources):
    """Where each recording is put when it is DONE."""
    recordings = [path for path in sources if path.suffix == ".wav" and after != "keep"]
    target = Path(after.removeprefix("move:")) if after.startswith("move:") else None
    return {path: target / path.relative_to(bench.inbox) if target else None for path in recordings}


def killing(chance):
    """How the next daemon dies: at a step of a certain name, at a step of any, or at any moment."""
    order = {"seed": chance.randrange(1000)}
    match chance.choice(("name", "name", "number", "number", "moment")):
        case "name":
            name = f"{chance.choice(('before', 'after'))} {chance.choice(STEPS)}"
            return {**order, "step": name, "die_at": int(2 ** chance.uniform(0, 3))}
        case "number":
            return {**order, "die_at": int(2 ** chance.uniform(0, MOST_DOUBLINGS))}
        case _:
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


@functools.cache
def daemons():
    """This process's maker of daemons, which has everything imported; it ends with its input."""
    command = [sys.executable, "-m", "tests.support.chaos_daemon"]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def order(what):
    """Have a daemon run and die; says how it ended."""
    daemons().stdin.write(json.dumps(what) + "\n")
    daemons().stdin.flush()
    return json.loads(daemons().stdout.readline())


def check(answer, root):
    if answer["status"] != 0:
        log = (root / "daemon.log").read_text(errors="replace")
        raise AssertionError(f"The daemon ended by itself with {answer}:\n{log[-6000:]}")
