"""Watch folders: find recordings, decide when each is complete, and follow renames.

Read `watch.py` first.
"""

from watcher.folders.fingerprint import fingerprint
from watcher.folders.model import Explanation, FolderStatus, Moved, Phase, Settled, Sighting, Watching
from watcher.folders.rules.filters import Filter, Verdict
from watcher.folders.stability.decide import StabilityPolicy
from watcher.folders.watch import FolderWatch

__all__ = [
    "Explanation",
    "Filter",
    "FolderStatus",
    "FolderWatch",
    "Moved",
    "Phase",
    "Settled",
    "Sighting",
    "StabilityPolicy",
    "Verdict",
    "Watching",
    "fingerprint",
]
