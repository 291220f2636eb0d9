"""The real command in a real process on real folders; recognition is a scripted server's, which counts the jobs."""

import contextlib
import hashlib

import pytest

from tests.support.daemon import Command
from tests.support.daemon_bench import write_recording
from tests.support.fault_server import fault_server_thread
from tests.support.waiting import until


class Watched(Command):
    """A daemon that watches a folder, and the server that it sends recordings to.

    Attributes:
        server: the `FaultServer`.
        prefix: what the daemon is started under, e.g. `setpriv …`.
    """

    def __init__(self, root, server, **settings):
        super().__init__(root)
        self.server = server
        self.prefix = []
        self.key = root / "key"
        self.key.write_text("key")
        self.key.chmod(0o600)
        self.configure(**settings)

    def configure(self, **settings):
        """Write the config: `settings` are those of the watch folder, `more` other tables."""
        more = settings.pop("more", "")
        settings = {"path": str(self.folder), "settle": 0.3, "formats": ["txt"], **settings}
        lines = [f"{key} = {_toml(value)}" for key, value in settings.items()]
        self.config.write_text(
            f'engine = "speechmatics"\n[dashboard]\nport = 0\n[speechmatics]\nurl = "{self.server.url}"\n'
            f'api_key_file = "{self.key}"\nsettle_listing = 1.0\n[[folders]]\n' + "\n".join(lines) + "\n" + more
        )

    def line(self, *arguments):
        return [*self.prefix, *super().line(*arguments)]

    def watch(self):
        """Start the daemon; returns when the folder is watched and was scanned once."""
        daemon = self.start_with_config()
        until(lambda: all(folder["state"] != "starting" for folder in self.status()), what="the first scan")
        return daemon

    def status(self):
        """What the daemon says about its folders."""
        return self.ask("/api/status")["folders"]

    def record(self, name, seed=None, *, samples=1600):
        """Put a small recording into the folder."""
        return write_recording(self.folder / name, name if seed is None else seed, samples=samples)

    def submitted(self):
        """The SHA-256 of what became a job, for every job that was ever made."""
        return sorted(job.sha256 for job in self.server.jobs)

    def until_done(self, *names):
        wanted = [(self.folder / name).with_suffix(".txt") for name in names]
        until(lambda: all(path.exists() for path in wanted), what=f"the transcripts of {names}")

    def explain(self, path):
        return self.json("--config", self.config, "explain", path)


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _toml(value):
    if isinstance(value, bool):
        return str(value).lower()
    return "[" + ", ".join(map(_toml, value)) + "]" if isinstance(value, list) else repr(value).replace("'", '"')


@pytest.fixture
def watched(tmp_path):
    """Make it: `with watched(Fault(…), settle=0.5) as it:`. The daemon isn't started yet."""

    @contextlib.contextmanager
    def make(*faults, **settings):
        with fault_server_thread(*faults, processing_time=0.05) as server:
            it = Watched(tmp_path, server, **settings)
            try:
                yield it
            except BaseException:
                print(it.log() if (it.root / "daemon.log").exists() else "It was not started.")  # noqa: T201 - shown when a test fails
                raise
            finally:
                it.close()

    return make
