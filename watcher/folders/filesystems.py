"""Which type of file system is a folder on? Network shares report no events for changes made by other machines."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

__all__ = ["filesystem_of", "is_remote", "mounts_below", "mounts_in", "parse_mountinfo"]

_REMOTE_TYPES = (
    "9p afpfs afs beegfs ceph cifs coda davfs davfs2 drvfs glusterfs gpfs lustre ncpfs nfs nfs4 ocfs2 "
    "orangefs prl_fs smb3 smbfs vboxsf virtiofs vmhgfs webdav"
)
_REMOTE = frozenset(_REMOTE_TYPES.split())
_MOUNT_POINT = 4
"""The index of the mount point among the fields of a line of /proc/self/mountinfo."""
_LOCAL_FUSE = frozenset({"fuse.bindfs", "fuse.encfs", "fuse.gocryptfs", "fuse.mergerfs", "fuse.securefs"})


def is_remote(filesystem: str) -> bool:
    """Whether files on this type of file system may change without this machine noticing.

    Args:
        filesystem: its type as the OS names it, e.g. `ext4`, `nfs4`, `fuse.sshfs`.
    """
    name = filesystem.lower()
    return name in _REMOTE or (name.startswith("fuse.") and name not in _LOCAL_FUSE)


def filesystem_of(path: Path) -> str:
    """Name the type of the file system that a folder lies on, or return an empty string if it is unknown."""
    real = os.path.realpath(path)
    return _type_of_mount(real)


def mounts_below(path: Path) -> tuple[str, ...]:
    """Name what is mounted below a folder now; a new mount brings files without OS events.

    Only on Linux; elsewhere the result is empty, and a scan finds the files.
    """
    return mounts_in(_mountinfo(), os.path.realpath(path))


def _mountinfo() -> str:
    try:
        return os.fsdecode(Path("/proc/self/mountinfo").read_bytes())
    except OSError:
        return ""


if sys.platform == "linux":

    def _type_of_mount(real: str) -> str:
        return parse_mountinfo(_mountinfo(), real)

elif sys.platform == "win32":

    def _type_of_mount(real: str) -> str:
        import ctypes  # noqa: PLC0415 - only here

        remote_drive = 4
        drive = os.path.splitdrive(real)[0] + "\\"
        remote = drive.startswith("\\\\") or ctypes.windll.kernel32.GetDriveTypeW(drive) == remote_drive
        return "cifs" if remote else "local"

else:

    def _type_of_mount(real: str) -> str:
        """Read `mount` of macOS and the BSDs: `/dev/disk1 on /Volumes/x (hfs, local)`."""
        try:
            done = subprocess.run(["/sbin/mount"], capture_output=True, timeout=5, check=False)
        except (OSError, subprocess.SubprocessError):
            return ""
        best, kind = "", ""
        for line in os.fsdecode(done.stdout).splitlines():
            if found := re.match(r".* on (/.*) \((\w+)", line):
                point = found[1]
                if (real == point or real.startswith(point.rstrip("/") + "/")) and len(point) >= len(best):
                    best, kind = point, found[2]
        return kind


def parse_mountinfo(table: str, real: str) -> str:
    """Find the type of the innermost mount above a path.

    Args:
        table: the text of /proc/self/mountinfo; its format is in proc_pid_mountinfo(5).
        real: the path, without symlinks.
    """
    best, kind = "", ""
    for line in table.splitlines():
        fields = line.split(" ")
        if "-" not in fields[6:]:
            continue
        point = _unescape(fields[_MOUNT_POINT])
        inside = real == point or real.startswith(point.rstrip("/") + "/")
        # If two mounts share a mount point, the later one is on top.
        if inside and len(point) >= len(best):
            best, kind = point, fields[fields.index("-", 6) + 1]
    return kind


def mounts_in(table: str, real: str) -> tuple[str, ...]:
    """Find the mounts below a path, each as its id and mount point.

    Args:
        table: the text of /proc/self/mountinfo.
        real: the path, without symlinks.
    """
    prefix = real.rstrip("/") + "/"
    found = []
    for line in table.splitlines():
        fields = line.split(" ")
        if len(fields) > _MOUNT_POINT and (point := _unescape(fields[_MOUNT_POINT])).startswith(prefix):
            found.append(f"{fields[0]} {point}")
    return tuple(sorted(found))


def _unescape(point: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda code: chr(int(code[1], 8)), point)
