"""Writes a recording's outputs: all of them or none, and never over an existing file."""

from __future__ import annotations

import hashlib
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from watcher.errors import NoSpace, NotWritable, describe_os_error
from watcher.models import Output, OutputFormat
from watcher.nofollow import IsALink, folder_below
from watcher.transcripts.files import Files, Identity, read_regular
from watcher.transcripts.naming import NAME_MAX, TakenNames, stems
from watcher.transcripts.publish import publish, release_reserved, withdraw
from watcher.transcripts.tempfiles import TempFile, clean_stale

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from pathlib import Path

__all__ = ["TranscriptWriter"]

_MOST_STEMS = 1000
_USUAL_STEMS = 3
_PROBE_BYTES = 1 << 16


@dataclass(frozen=True, slots=True)
class _Target:
    """A planned output: its name, and whether it exists already."""

    path: Path
    format: OutputFormat
    content: bytes
    there: bool


class TranscriptWriter:
    """Writes outputs. Safe to use from several threads and several processes at once.

    Args:
        files: the file system.
        reserve: bytes to leave free on the disk.
    """

    def __init__(self, *, files: Files | None = None, reserve: int = 16 << 20) -> None:
        self._files = files or Files()
        self._reserve = reserve

    def check(self, folder: Path, expected_bytes: int, *, create: bool = True, root: Path | None = None) -> None:
        """Check before paying whether outputs can be written, by writing a small file.

        Args:
            folder: the folder for the outputs.
            expected_bytes: their approximate size.
            create: whether to make a missing folder. Not for a folder that holds recordings: when that is
                missing, its disk is gone, and making it anew would hide that.
            root: as for `publish`.

        Raises:
            NoSpace: the disk is (nearly) full, or a quota is reached.
            NotWritable: no permission, a read-only file system, or no such folder.
        """
        try:
            with self._opened(folder, root, create=create) as place:
                free = self._files.free_bytes(place)
                if free is not None and free < expected_bytes + self._reserve:
                    raise NoSpace(
                        f"Only {free / 1e6:.1f} MB are free for transcripts in {folder}.",
                        fix="Free some space; a running Dropscribe then continues automatically.",
                    )
                with TempFile(self._files, place, bytes(min(expected_bytes, _PROBE_BYTES)), durable=False):
                    pass
        except OSError as error:
            raise describe_os_error(error, doing=f"write transcripts to {folder}") from error

    def publish(
        self,
        source: Path,
        target_folder: Path,
        contents: Mapping[OutputFormat, bytes],
        *,
        claimed: Collection[Path] = (),
        root: Path | None = None,
    ) -> tuple[Output, ...]:
        """Write all outputs of a recording, or none.

        May be called again after a crash at any point: outputs that already stand there with exactly these
        bytes count as written, and the missing ones are added.

        Args:
            source: the recording; the outputs are named after it.
            target_folder: where they go. If it isn't the recording's own folder, it is made when missing, and
                names are kept to what every file system can hold.
            contents: the bytes of each format.
            claimed: the outputs of other recordings. Their names are taken even if the bytes are the same.
            root: `target_folder`, or one above it. No symbolic link below it is followed; None follows all.

        Returns:
            The outputs in the order of `contents`.

        Raises:
            NoSpace: the disk is full.
            NotWritable: the folder can't be written to, or no name is free.
        """
        try:
            with self._opened(target_folder, root, create=target_folder != source.parent) as place:
                outputs = self._publish(source, target_folder, place, contents, claimed)
                return tuple(Output(target_folder / o.path.name, o.format, o.sha256) for o in outputs)
        except OSError as error:
            doing = f"write the transcript of {source.name} to {target_folder}"
            raise describe_os_error(error, doing=doing) from error

    def is_still_ours(self, output: Output) -> bool:
        """Whether an output still exists where it was written, unchanged."""
        try:
            found = read_regular(self._files, output.path)
        except OSError:
            return False
        return found is not None and _digest(found[0]) == output.sha256

    def move_outputs(
        self,
        outputs: Sequence[Output],
        source: Path,
        target_folder: Path,
        *,
        claimed: Collection[Path] = (),
        root: Path | None = None,
    ) -> tuple[Output, ...]:
        """Move outputs along with a recording that was renamed or moved.

        Outputs that a person edited or removed stay as they are. Outputs that already went along with their
        folder are recognised. May be called again after a crash at any point.

        Args:
            outputs: as they were written.
            source: the recording's new path.
            target_folder: the folder for its outputs now.
            claimed: the outputs of other recordings.
            root: as for `publish`.

        Returns:
            The same outputs in the same order, those that moved with their new path.

        Raises:
            NoSpace: the disk is full.
            NotWritable: the new place can't be written to; all outputs are where they were.
        """
        current = [self._followed(output, source, target_folder, claimed) for output in outputs]
        contents = {output.format: self._ours(output) for output in current}
        ours = {format_: content for format_, content in contents.items() if content is not None}
        if not ours:
            return tuple(current)
        moved = {o.format: o for o in self.publish(source, target_folder, ours, claimed=claimed, root=root)}
        for output in current:
            if output.format in moved and output.path != moved[output.format].path:
                self._remove(output)
        return tuple(moved.get(output.format, output) for output in current)

    def _publish(
        self,
        source: Path,
        folder: Path,
        place: Path,
        contents: Mapping[OutputFormat, bytes],
        claimed: Collection[Path],
    ) -> tuple[Output, ...]:
        """Write to `place`, which is how `folder` is reached."""
        listing = self._listing(place)
        others = frozenset(path.name for path in claimed if path.parent == folder)
        avoid = TakenNames([*others, source.name])
        for stem in islice(self._stems(source, folder), _MOST_STEMS):
            targets = self._targets(place / stem, contents, TakenNames(listing), avoid)
            if targets is None:
                continue
            try:
                self._write_missing(place, [target for target in targets if not target.there])
            except FileExistsError:  # lost a race for a name: on to the next stem
                listing = self._listing(place)
                continue
            clean_stale(self._files, place, listing)  # last: they tell what a killed run had reserved
            return tuple(Output(target.path, target.format, _digest(target.content)) for target in targets)
        raise NotWritable(
            f"Could not write the transcript of {source.name}: every name for it in {folder} is taken.",
            fix="Move some of its transcripts away; Dropscribe continues automatically.",
        )

    def _targets(
        self, stem: Path, contents: Mapping[OutputFormat, bytes], taken: TakenNames, avoid: TakenNames
    ) -> list[_Target] | None:
        """Plan the outputs for a stem; None if it can't be used."""
        targets = []
        for format_, content in contents.items():
            path = stem.with_name(stem.name + format_.suffix)
            others = taken.like(path.name) - {path.name}
            if avoid.like(path.name) or not all(self._is_same(path, path.with_name(other)) for other in others):
                return None
            there = self._stands(path, content)
            if there is None:
                return None
            targets.append(_Target(path, format_, content, there))
        return targets

    def _stands(self, path: Path, content: bytes) -> bool | None:
        """Whether the file at a path has exactly our bytes; None if something else is there."""
        try:
            self._files.lstat(path)
        except FileNotFoundError:
            return False
        try:
            found = read_regular(self._files, path, sizes=(len(content),))
            if found is not None and found[0] == content:
                return True
            return False if release_reserved(self._files, path) else None
        except FileNotFoundError:
            return False
        except PermissionError:  # not ours to read: someone else's
            return None

    def _write_missing(self, folder: Path, targets: Sequence[_Target]) -> None:
        """Write these outputs, or leave none of them."""
        with ExitStack() as stack:
            temps = [stack.enter_context(TempFile(self._files, folder, t.content)) for t in targets]
            done: list[tuple[TempFile, _Target]] = []
            try:
                for temp, target in zip(temps, targets, strict=True):
                    done.append((temp, target))  # first: a step may fail and have happened all the same
                    publish(self._files, temp, target.path)
                self._files.fsync_folder(folder)
            except BaseException:
                for temp, target in reversed(done):
                    withdraw(self._files, target.path, temp.identity, target.content)
                raise

    def _followed(self, output: Output, source: Path, folder: Path, claimed: Collection[Path]) -> Output:
        """Find an output that moved with its renamed folder, or that an earlier call moved."""
        if self._exists(output.path):
            return output
        usual = (stem + output.format.suffix for stem in islice(self._stems(source, folder), _USUAL_STEMS))
        for name in (output.path.name, *usual):
            there = Output(folder / name, output.format, output.sha256)
            if there.path not in claimed and self.is_still_ours(there):
                return there
        return output

    def _stems(self, source: Path, folder: Path) -> Iterator[str]:
        try:
            name_max = min(self._files.name_max(folder), NAME_MAX)
        except (OSError, ValueError):
            name_max = NAME_MAX
        return stems(source.name, portable=folder != source.parent, name_max=name_max)

    def _is_same(self, path: Path, listed: Path) -> bool:
        """Whether a name in the listing is only this file system's spelling of ours."""
        try:
            return Identity.of(self._files.lstat(path)) == Identity.of(self._files.lstat(listed))
        except FileNotFoundError:
            return False

    def _exists(self, path: Path) -> bool:
        try:
            self._files.lstat(path)
        except OSError:
            return False
        return True

    def _ours(self, output: Output) -> bytes | None:
        try:
            found = read_regular(self._files, output.path)
        except OSError:
            return None
        return found[0] if found is not None and _digest(found[0]) == output.sha256 else None

    def _remove(self, output: Output) -> None:
        """Remove an output that also exists at its new path."""
        if not self.is_still_ours(output):
            return
        try:
            self._files.unlink(output.path)
            self._files.fsync_folder(output.path.parent)
        except OSError as error:
            raise describe_os_error(error, doing=f"move the transcript {output.path}") from error

    def _listing(self, folder: Path) -> list[str]:
        try:
            return self._files.listdir(folder)
        except PermissionError:  # a drop box: may be written to, not listed; publishing still clobbers nothing
            return []

    @contextmanager
    def _opened(self, folder: Path, root: Path | None, *, create: bool) -> Iterator[Path]:
        """Return the path to use for a folder, and create the folder first if requested."""
        if create:
            self._make_folder(root or folder)
        if root is None:
            yield folder
            return
        try:
            with folder_below(root, folder, mkdir=self._mkdir if create else None) as place:
                yield place
        except IsALink as error:
            raise NotWritable(
                f"Transcripts are not written to {folder}: {error.filename} is a symbolic link, and links below"
                f" {root} are not followed.",
                fix="Put a real folder in its place; Dropscribe continues automatically.",
            ) from error

    def _mkdir(self, folder: Path) -> None:
        self._files.mkdir(folder)
        self._files.fsync_folder(folder.parent)

    def _make_folder(self, folder: Path) -> None:
        """Create a folder and its parents, each synced to disk."""
        missing = []
        for place in (folder, *folder.parents):
            if self._exists(place):
                break
            missing.append(place)
        for place in reversed(missing):
            try:
                self._files.mkdir(place)
            except FileExistsError:
                continue
            self._files.fsync_folder(place.parent)


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
