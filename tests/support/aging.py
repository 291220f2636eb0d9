"""Files that are a little older than what comes next."""

import time

LAG = 0.012


def aged(path):
    """Wait until a file is older than the clock by more than the times of files may lag behind it."""
    changed = path.stat().st_ctime
    while time.time() - changed < LAG:
        pass
    return path
