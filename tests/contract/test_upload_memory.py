"""A large upload takes little memory, whatever its size."""

import json
import subprocess
import sys

import pytest

from tests.support.fault_server import fault_server_thread

SIZE = 300_000_000
MOST = 100_000_000

PROGRAM = """
import asyncio, json, sys
from watcher.speechmatics import AsyncClient

async def main():
    async with AsyncClient("key", url=sys.argv[1]) as client:
        job = await client.submit_job(sys.argv[2])
    with open("/proc/self/status") as status:
        peak = next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM:"))
    print(json.dumps({"size": job.receipt.size, "peak": peak}))

asyncio.run(main())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="measures by /proc")
def test_a_large_upload_takes_little_memory(tmp_path):
    recording = tmp_path / "long.wav"
    with recording.open("wb") as file:
        file.truncate(SIZE)
    with fault_server_thread() as server:
        ran = subprocess.run(
            [sys.executable, "-c", PROGRAM, server.url, str(recording)],
            capture_output=True,
            text=True,
            check=False,
            timeout=100,
        )
    assert ran.returncode == 0, ran.stderr
    found = json.loads(ran.stdout)
    assert found["size"] == SIZE == server.jobs[0].size
    assert found["peak"] <= MOST
