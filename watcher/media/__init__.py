"""What is in a recording, and making it fit for the service. Media is only ever opened in a child process."""

from watcher.media.child import WORKER
from watcher.media.prepare import Limits, Prepared, needs_preparation, prepare
from watcher.media.probe import Prober

__all__ = ["WORKER", "Limits", "Prepared", "Prober", "needs_preparation", "prepare"]
