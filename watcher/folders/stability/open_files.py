"""Asks the OS whether any process has a file open for writing, where the OS can tell."""

from __future__ import annotations

import os
import sys

__all__ = ["open_for_writing"]


if sys.platform == "linux":
    import errno
    import fcntl
    import signal

    def open_for_writing(descriptor: int) -> bool | None:
        """Return whether any process has a file open for writing.

        A read lease (fcntl(2), F_SETLEASE) is granted only if none has; it is released at once. A process that
        opens the file for writing at that moment waits a few microseconds; the signal that this sends us is one
        that is ignored by default.

        Args:
            descriptor: the file, opened for reading.

        Returns:
            None if the kernel doesn't tell: another user's file, or a file system without leases.
        """
        try:
            fcntl.fcntl(descriptor, fcntl.F_SETSIG, signal.SIGURG)  # type: ignore[attr-defined,unused-ignore]
            fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        except OSError as error:
            if error.errno in {errno.EAGAIN, errno.EWOULDBLOCK}:
                return True
            return _open_in_proc(descriptor)
        try:
            fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)
        except OSError:
            return None
        return False

    def _open_in_proc(descriptor: int) -> bool | None:
        """Search the open files of every process that we may inspect; None if none has the file open for writing."""
        found = os.fstat(descriptor)
        own = os.getpid()
        for name in os.listdir("/proc"):  # noqa: PTH208 - names are enough
            if name.isdigit() and int(name) != own and _writes(name, found):
                return True
        return None

    def _writes(process: str, found: os.stat_result) -> bool:
        folder = f"/proc/{process}/fd"
        try:
            descriptors = os.listdir(folder)  # noqa: PTH208 - names are enough
        except OSError:
            return False
        for number in descriptors:
            try:
                other = os.stat(f"{folder}/{number}")  # noqa: PTH116 - called for thousands of files
                if (other.st_ino, other.st_dev) != (found.st_ino, found.st_dev):
                    continue
                with open(f"/proc/{process}/fdinfo/{number}", encoding="ascii") as info:  # noqa: PTH123 - same
                    flags = next(line for line in info if line.startswith("flags:"))
            except (OSError, StopIteration):
                continue
            if int(flags.split()[1], 8) & os.O_ACCMODE != os.O_RDONLY:
                return True
        return False

elif sys.platform == "win32":

    def open_for_writing(descriptor: int) -> bool | None:
        """Return whether any process has a file open for writing: opening it without sharing writes fails then.

        Args:
            descriptor: the file, opened for reading.

        Returns:
            None if Windows doesn't tell.
        """
        import ctypes  # noqa: PLC0415 - only here
        import msvcrt  # noqa: PLC0415 - only here
        from ctypes import wintypes  # noqa: PLC0415 - only here

        reopen = ctypes.WinDLL("kernel32", use_last_error=True).ReOpenFile
        reopen.restype = wintypes.HANDLE
        reopen.argtypes = (wintypes.HANDLE, wintypes.DWORD, wintypes.DWORD, wintypes.DWORD)
        generic_read, share_read = 0x80000000, 0x00000001
        sharing_violation, invalid = 32, wintypes.HANDLE(-1).value
        handle = reopen(msvcrt.get_osfhandle(descriptor), generic_read, share_read, 0)
        if handle == invalid:
            return True if ctypes.get_last_error() == sharing_violation else None
        ctypes.WinDLL("kernel32").CloseHandle(handle)
        return False

else:

    def open_for_writing(descriptor: int) -> bool | None:  # noqa: ARG001 - the same everywhere
        """Return None: macOS doesn't tell whether a file is open for writing.

        Args:
            descriptor: the file, opened for reading.
        """
        return None
