"""Which API key sees which job. A key of another project sees none of ours: its "not found" proves nothing.

What is away, because the present key doesn't see it, is never stored: it follows from the key that a job was
submitted with (the ledger keeps its digest) and the key of the moment.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from watcher.speechmatics import AsyncClient

__all__ = ["Visibility"]


class Visibility:
    """Judges for one account, and notices when its key changes.

    Args:
        any_key: whether every key sees all jobs, as at the server that Dropscribe runs itself.

    Attributes:
        salt: of the ledger, for digests of keys; the scheduler fills it in.
        changes: how many times the key has changed. After a change, what was away may be visible.
    """

    def __init__(self, *, any_key: bool) -> None:
        self._any_key = any_key
        self._present: str | None = None
        self.changes = 0
        self.salt = b""

    def key_of(self, client: AsyncClient) -> str:
        """Return the digest of the key that a client asks with; empty for all keys where every key sees all jobs."""
        key = "" if self._any_key else client.key_digest(self.salt)
        self._note(key)
        return key

    def sees(self, client: AsyncClient, wanted: str | None) -> bool:
        """Whether a client surely sees a job that was submitted with the key of this digest; None: it is not known."""
        return self.is_visible(wanted, self.key_of(client))

    def is_visible(self, wanted: str | None, key: str) -> bool:
        """Whether a job of one key is seen with another; both are digests."""
        return self._any_key or wanted in {None, key}

    def gave_up(self, key: str) -> None:
        """Something was HELD because this key doesn't see it; if another key is in use by now, ask for it again."""
        if key != self._present:
            self.changes += 1

    def _note(self, key: str) -> None:
        if self._present not in {None, key}:
            self.changes += 1
        self._present = key
