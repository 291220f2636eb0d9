"""Explains, for any path, what Dropscribe does with it and why."""

from __future__ import annotations

from typing import TYPE_CHECKING

from watcher.folders.model import Explanation, Phase, Sighting, Watching

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from pathlib import Path

    from watcher.folders.root import Root

__all__ = ["explain"]


async def explain(
    path: Path,
    root: Root,
    *,
    delivered: bool,
    known: Callable[[Sequence[Sighting]], Awaitable[Sequence[bool]]],
) -> Explanation:
    """Explain what happens to a path below a watch folder.

    Args:
        path: any path, whether or not it exists.
        root: the watch folder that owns it.
        delivered: whether it was delivered as settled.
        known: queries the ledger.
    """
    folder = root.path
    if root.watching is Watching.UNAVAILABLE:
        return Explanation(path, Phase.UNAVAILABLE, root.why, since=root.since, folder=folder, fix=root.fix)
    if candidate := root.queue.candidates.get(path):
        since = root.clock.now() - (root.clock.monotonic() - candidate.since)
        return Explanation(path, Phase.SETTLING, candidate.reason, since=since, folder=folder)
    if blocked := root.blocked.get(path):
        return Explanation(path, Phase.BLOCKED, blocked[1], since=blocked[0], folder=folder)
    try:
        found = await root.run(root.files.lstat, path)
    except OSError as error:
        reason = "There is no such file." if isinstance(error, FileNotFoundError) else f"{error.strerror}."
        return Explanation(path, Phase.MISSING, reason, folder=folder)
    verdict = root.verdict(path, size=found.st_size, mode=found.st_mode)
    if not verdict.accepted:
        return Explanation(path, Phase.IGNORED, verdict.reason, rule=verdict.rule, folder=folder, fix=verdict.fix)
    if delivered or (await known([Sighting.of(path, found)]))[0]:
        return Explanation(path, Phase.DELIVERED, "It is complete and was taken.", folder=folder)
    return Explanation(
        path, Phase.NOT_SEEN, "It has not been noticed yet.", folder=folder, fix="The next scan will find it."
    )
