"""May this recording leave for this account, now? Judged here alone, always from the live config.

An upload asks before its first byte, again and again while it runs, and just before the tail that makes it a job.
Nothing is remembered from its start: what the config says at that moment counts.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from watcher.folders import Filter
from watcher.folders.rules.overrides import OverrideFiles
from watcher.models import EntryKind

if TYPE_CHECKING:
    from collections.abc import Callable

    from watcher.models import Entry, WatchFolder
    from watcher.scheduler.account import Account
    from watcher.settings import Settings

__all__ = ["Consent", "Refusal", "decide"]


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a recording may not leave.

    Attributes:
        reason: in words for a person.
        left_out: the folder's settings leave the recording out, so it no longer waits for its turn.
    """

    reason: str
    left_out: bool = False


def decide(
    entry: Entry, account: Account, folder: WatchFolder | None, *, is_held: bool, cloud_url: str
) -> Refusal | None:
    """Decide from the config alone. Pure.

    Args:
        entry: the recording.
        account: where it is to go.
        folder: its watch folder as the config has it now; None if the config does not name it.
        is_held: whether submission to the account is stopped: by a pause, a refused key, a budget.
        cloud_url: the address in `[speechmatics]` now.

    Returns:
        None if it may leave.
    """
    if folder is None:
        return Refusal("Its folder is not watched any more.")
    if folder.paused:
        return Refusal("Its folder is paused.")
    if folder.engine is not account.engine:
        return Refusal(f"Its folder's engine is {folder.engine.value} now.")
    if not is_configured(account, cloud_url):
        return Refusal(address_changed(account, cloud_url))
    if is_held:
        return Refusal("Submission is stopped for now.")
    if entry.kind is EntryKind.WATCHED and entry.path.is_relative_to(folder.path):
        verdict = Filter(folder).verdict(entry.path.relative_to(folder.path), entry.fingerprint.size)
        if not verdict.accepted:
            return Refusal(f"Its folder's settings leave it out now: {verdict.reason}", left_out=True)
    return None


def is_configured(account: Account, cloud_url: str) -> bool:
    """Whether an account is still where the config leads; one on this machine always is."""
    return account.url is None or account.url == cloud_url


def address_changed(account: Account, cloud_url: str) -> str:
    """Say why an account gets nothing although it could be reached."""
    return f"`url` in [speechmatics] is {cloud_url} now; nothing more is sent to {account.url}. Restart Dropscribe."


class Consent:
    """Decides by the config in force.

    Args:
        settings: the config in force.
        is_held: whether submission to an account is stopped now.
    """

    def __init__(self, settings: Settings, *, is_held: Callable[[Account], bool]) -> None:
        self._settings = settings
        self._is_held = is_held

    def refusal(self, entry: Entry, account: Account) -> Refusal | None:
        """Say why a recording may not leave, as far as the config and the holds tell; None if it may. No I/O."""
        folder, url = self._settings.folder_of(entry), self._settings.cloud_url
        return decide(entry, account, folder, is_held=self._is_held(account), cloud_url=url)

    def refusal_on_disk(self, entry: Entry) -> Refusal | None:
        """Say whether a `.dropscribe-ignore` leaves the recording out; None if it may leave. Blocking."""
        if entry.kind is EntryKind.REQUESTED:
            return None  # the file itself was named
        folder = self._settings.folder_of(entry)
        if folder is None or not os.path.isdir(folder.path):  # noqa: PTH112 - Path.is_dir raises on some errors
            return None
        ignore_file = OverrideFiles(folder).ignored_by(entry.path.parent)
        return None if ignore_file is None else Refusal(f"{ignore_file} leaves it out now.", left_out=True)

    def stops_all(self, account: Account) -> str:
        """Say why an account gets no recording at all, whatever its folder says; empty if that is not so."""
        url = self._settings.cloud_url
        return "" if is_configured(account, url) else address_changed(account, url)
