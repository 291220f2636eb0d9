"""``python -m tests.acceptance.chaos --kills 10000 --seed 1``: kill the daemon thousands of times."""

import argparse
import os
import sys
import time

from tests.support.chaos import run_round, run_rounds


def main():
    parser = argparse.ArgumentParser(prog="python -m tests.acceptance.chaos")
    parser.add_argument("--kills", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--workers", type=int, default=2 * (os.cpu_count() or 1), help="rounds at a time")
    parser.add_argument("--round", type=int, help="repeat one round, by its seed")
    options = parser.parse_args()
    if options.round is not None:
        tally = run_round(options.round)
    else:
        sys.stdout.write(f"seed {options.seed}\n")
        tally = run_rounds(options.kills, options.seed, workers=options.workers, report=progress)
    sys.stdout.write(f"\n{tally}\n")


def progress(tally):
    sys.stdout.write(f"\r{tally.kills} kills, {tally.rounds} rounds, {tally.jobs} jobs, {tally.seconds:.0f} s")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
