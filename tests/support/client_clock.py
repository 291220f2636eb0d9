"""A clock for the client library that jumps instead of waiting."""

import anyio.lowlevel


class JumpingClock:
    """Time passes only when somebody sleeps. `slept` keeps every pause, in seconds."""

    def __init__(self, now=1_800_000_000.0):
        self.now = now
        self.slept = []

    def monotonic(self):
        return self.now

    def time(self):
        return self.now

    async def sleep(self, seconds):
        self.slept.append(seconds)
        self.now += seconds
        await anyio.lowlevel.checkpoint()
