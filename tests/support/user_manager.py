"""A real systemd user manager in a mount namespace and a cgroup of its own: install, kill and stop for real.

It runs as an unprivileged user, so that a unit option which only root could use shows itself. Starting it
needs root, for the namespace.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Self

from service.os_service.plan import Ran
from tests.support.waiting import until

_SYSTEMD = Path("/lib/systemd/systemd")
_UNPRIVILEGED = 65534

_START = """
set -e
umount -R /sys/fs/cgroup 2>/dev/null || true
mount -t cgroup2 none /sys/fs/cgroup
mkdir -p /run/systemd && mount -t tmpfs tmpfs /run/systemd && mkdir /run/systemd/system
mkdir "/sys/fs/cgroup/$GROUP"
chown -R "$OWNER:$OWNER" "/sys/fs/cgroup/$GROUP"
echo $$ > "/sys/fs/cgroup/$GROUP/cgroup.procs"
exec setpriv --reuid="$OWNER" --regid="$OWNER" --clear-groups /lib/systemd/systemd --user --log-target=console
"""
_CLEAN = """
mount -t cgroup2 none /sys/fs/cgroup || exit 0
[ ! -e "/sys/fs/cgroup/$GROUP/cgroup.kill" ] || echo 1 > "/sys/fs/cgroup/$GROUP/cgroup.kill"
for try in 1 2 3 4 5 6 7 8 9 10; do
    find "/sys/fs/cgroup/$GROUP" -depth -type d -exec rmdir {} + 2>/dev/null && exit 0
    sleep 0.1
done
"""


class NotHere(Exception):
    """No user manager can be started on this machine; says why."""


class UserManager:
    """A context manager around the manager's process.

    Args:
        home: what the user's home folder is called.
    """

    def __init__(self, *, home: str = "home") -> None:
        if sys.platform != "linux" or os.geteuid() != 0:
            raise NotHere("a systemd user manager of its own needs Linux and root")
        for program in ("unshare", "setpriv", "systemctl"):
            if shutil.which(program) is None:
                raise NotHere(f"{program} isn't installed; make test-deps installs systemd")
        if not _SYSTEMD.exists():
            raise NotHere("systemd isn't installed; make test-deps installs it")
        self.root = Path(tempfile.mkdtemp(prefix="dropscribe-um-"))
        self.home = self.root / home
        self.runtime = self.root / "run"
        self.owner, self.python = self._interpreter()
        self.group = self.root.name
        self._log = (self.root / "manager.log").open("wb")
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def environment(self) -> dict[str, str]:
        """What the user's processes see."""
        return {
            "HOME": str(self.home),
            "XDG_RUNTIME_DIR": str(self.runtime),
            "PATH": os.environ["PATH"],
            "LANG": "C.UTF-8",
        }

    def __enter__(self) -> Self:
        self.root.chmod(0o755)
        self.home.mkdir()
        self.runtime.mkdir(mode=0o700)
        self.give_home()
        os.chown(self.runtime, self.owner, self.owner)
        self._process = subprocess.Popen(
            ["unshare", "--mount", "sh", "-c", _START],
            env={**self.environment, "GROUP": self.group, "OWNER": str(self.owner)},
            stdout=self._log,
            stderr=self._log,
        )
        until(lambda: self._answers() or self._process.poll() is not None, "the user manager")
        if self._process.poll() is not None:
            said = (self.root / "manager.log").read_text(errors="replace").strip()[-300:]
            self.__exit__()
            raise NotHere(f"a systemd user manager can't be started here: {said or 'it says nothing'}")
        return self

    def _answers(self) -> bool:
        return self.run(("systemctl", "--user", "show", "--property=Version")).status == 0

    def __exit__(self, *_: object) -> None:
        if self._process is not None and self._process.poll() is None:
            self.run(("systemctl", "--user", "exit"))
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(timeout=10)
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        subprocess.run(
            ["unshare", "--mount", "sh", "-c", _CLEAN], env={**self.environment, "GROUP": self.group}, check=False
        )
        self._log.close()
        shutil.rmtree(self.root)

    def give_home(self) -> None:
        """Make everything in the home the user's."""
        for path in (self.home, *self.home.rglob("*")):
            os.chown(path, self.owner, self.owner, follow_symlinks=False)

    def run(self, argv: tuple[str, ...]) -> Ran:
        """Run a command as the user."""
        self.give_home()
        done = subprocess.run(
            self._as_user(argv), env=self.environment, capture_output=True, text=True, timeout=60, check=False
        )
        return Ran(done.returncode, done.stdout.strip(), done.stderr.strip())

    def _as_user(self, argv: tuple[str, ...]) -> list[str]:
        return ["setpriv", f"--reuid={self.owner}", f"--regid={self.owner}", "--clear-groups", *argv]

    def _interpreter(self) -> tuple[int, str]:
        """Choose a user and a Python that it may run; a virtual environment below /root is closed to others."""
        self.root.chmod(0o755)
        for owner in (_UNPRIVILEGED, 0):
            for python in ("/usr/bin/python3", sys.executable):
                self.owner = owner
                try:
                    subprocess.run(self._as_user((python, "-c", "")), capture_output=True, check=True)
                except (OSError, subprocess.CalledProcessError):
                    continue
                return owner, python
        raise NotHere("no user can run Python here")
