"""Is a container complete? Reads only what it declares about its own length, never the audio.

A stalled copy, or a recorder that writes its index last, leaves a file that is visibly truncated:

- ISO base media (mp4, mov, m4a, 3gp): boxes up to the file's end, with a `moov` among them (ISO/IEC 14496-12).
- RIFF (wav, avi), RF64 and AIFF: the size in the header; 0 and all ones mean that it isn't known yet. A large avi
  is a sequence of these (OpenDML AVI file format extensions 1.02).
- Wave64: the file size in its first chunk; all ones while it isn't known.
- CAF: chunks up to the file's end; the data chunk's length is -1 while it isn't known (Apple Core Audio Format).
- AU: the length of the audio; all ones while it isn't known.
- Matroska and WebM: the sizes of EBML header and Segment, where they are known (RFC 8794).
- MXF: the footer begins before the file's end (SMPTE ST 377-1).
- ASF (wma, wmv): the file size in the File Properties Object.
- FLAC, Ogg and MP3: see `frames.py`.
"""

from __future__ import annotations

import os
import struct
import sys
from functools import partial
from typing import TYPE_CHECKING, Final

from watcher.folders.stability.frames import flac, mp3, ogg

if TYPE_CHECKING:
    from collections.abc import Callable

    from watcher.folders.stability.frames import Read

__all__ = ["is_complete"]

_ISO_FIRST: Final = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot", b"styp", b"uuid")
_UNKNOWN_32: Final = 0xFFFFFFFF
_UNKNOWN_64: Final = 0xFFFFFFFFFFFFFFFF
_MOST_BOXES: Final = 100_000
_MOST_CHUNKS: Final = 1000
_ASF: Final = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")
_ASF_FILE_PROPERTIES: Final = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
_W64: Final = b"riff\x2e\x91\xcf\x11\xa5\xd6\x28\xdb\x04\xc1\0\0"
_MXF: Final = bytes.fromhex("060e2b34020501010d0102010102")
_EBML: Final = b"\x1a\x45\xdf\xa3"
_SEGMENT: Final = b"\x18\x53\x80\x67"


def is_complete(descriptor: int, size: int) -> bool | None:
    """Return whether a media file is complete.

    Args:
        descriptor: the file, opened for reading; its position doesn't matter.
        size: its size in bytes.

    Returns:
        False if it is visibly truncated, True if its headers agree with its size, None if its format doesn't
        tell. An empty file is truncated.
    """
    if size == 0:
        return False
    read = partial(_read, descriptor)
    head = read(0, 64)
    for at, magic, check in _KINDS:
        if head.startswith(magic, at):
            return check(read, size)
    is_mpeg_audio = head[0] == 0xFF and head[1:2] and head[1] & 0xE6 == 0xE2  # noqa: PLR2004 - layers 2 and 3
    return mp3(read, size) if is_mpeg_audio else None


if sys.platform == "win32":

    def _read(descriptor: int, offset: int, count: int) -> bytes:
        os.lseek(descriptor, offset, os.SEEK_SET)
        return os.read(descriptor, count)

else:

    def _read(descriptor: int, offset: int, count: int) -> bytes:
        return os.pread(descriptor, count, offset)


def _iso(read: Read, size: int) -> bool | None:
    """Walk the top-level boxes; a fragmented file has its `moov` first and then any number of fragments."""
    offset, has_moov = 0, False
    for _ in range(_MOST_BOXES):
        if offset == size:
            return has_moov
        header = read(offset, 16)
        if len(header) < 8:  # noqa: PLR2004 - size and type
            return has_moov and not any(header)  # a few zeros are padding
        length, kind = struct.unpack(">I4s", header[:8])
        has_moov = has_moov or kind == b"moov"
        if length == 0:
            return has_moov  # reaches to the end of the file, whatever that is
        if length == 1:
            if len(header) < 16:  # noqa: PLR2004 - the large size follows the type
                return False
            length = struct.unpack(">Q", header[8:16])[0]
        if length < 8:  # noqa: PLR2004 - can't even hold its own header
            return None if has_moov else False
        offset += length
        if offset > size:
            return False
    return None


def _chunk(read: Read, size: int) -> bool | None:
    """Check the one chunk that contains all others."""
    head = read(0, 28)
    if len(head) < 12:  # noqa: PLR2004 - id, size, form type
        return False
    if head[:4] == b"RF64":
        if head[12:16] != b"ds64" or len(head) < 28:  # noqa: PLR2004 - ds64 begins with the RIFF size
            return None
        declared = int.from_bytes(head[20:28], "little")
    else:
        declared = int.from_bytes(head[4:8], "little" if head[:4] == b"RIFF" else "big")
    if declared in {0, _UNKNOWN_32, _UNKNOWN_64} or declared >= _UNKNOWN_32 - 64:
        return None  # written as a stream: its length was never filled in
    # A last odd chunk may lack its pad byte.
    end = declared + 8
    if size + 1 < end:
        return False
    return _more_of_an_avi(read, size, end) if head[8:12] == b"AVI " else True


def _more_of_an_avi(read: Read, size: int, offset: int) -> bool | None:
    """Walk the chunks that follow the first one in a large avi."""
    for _ in range(_MOST_CHUNKS):
        header = read(offset, 12)
        if header[:4] != b"RIFF" or header[8:12] != b"AVIX":
            return True  # the last one was the end
        declared = int.from_bytes(header[4:8], "little")
        if declared in {0, _UNKNOWN_32}:
            return None
        offset += 8 + declared
        if size + 1 < offset:
            return False
    return None


def _wave64(read: Read, size: int) -> bool | None:
    declared = int.from_bytes(read(16, 8), "little")
    if declared in {0, _UNKNOWN_64}:
        return None
    return size + 7 >= declared  # chunks are padded to 8 bytes, the last one perhaps not


def _caf(read: Read, size: int) -> bool | None:
    offset, has_sound = 8, False
    for _ in range(_MOST_CHUNKS):
        header = read(offset, 12)
        if len(header) < 12:  # noqa: PLR2004 - type and size
            return has_sound and offset <= size
        length = int.from_bytes(header[4:], "big", signed=True)
        if length < 0:
            return None  # reaches to the end of the file, whatever that is
        has_sound = has_sound or header[:4] == b"data"
        offset += 12 + length
    return None


def _au(read: Read, size: int) -> bool | None:
    header = read(4, 8)
    if len(header) < 8:  # noqa: PLR2004 - where the sound begins, and its length
        return False
    start, length = struct.unpack(">II", header)
    return None if length in {0, _UNKNOWN_32} else size >= start + length


def _mxf(read: Read, size: int) -> bool | None:
    # Key 16; length: a byte, or its low bits tell how many; versions 4, grid 4, this and the previous partition 16.
    start = read(16, 1)
    width = start[0] & 0x7F if start and start[0] & 0x80 else 0
    footer = int.from_bytes(read(16 + 1 + width + 24, 8), "big")
    return size > footer if footer else None


def _matroska(read: Read, size: int) -> bool | None:
    offset = 0
    for wanted in (_EBML, _SEGMENT):
        header = read(offset, 12)
        if len(header) < 5:  # noqa: PLR2004 - id and one byte of length
            return False
        if header[:4] != wanted:
            return None
        width = 9 - header[4].bit_length() if header[4] else 9
        if width > 8 or len(header) < 4 + width:  # noqa: PLR2004 - EBML lengths have up to 8 bytes
            return None
        value = int.from_bytes(header[4 : 4 + width], "big") & ((1 << 7 * width) - 1)
        if value == (1 << 7 * width) - 1:
            return None  # live: unknown length
        offset += 4 + width + value
    return offset <= size


def _asf(read: Read, size: int) -> bool | None:
    head = read(0, 4096)
    at = head.find(_ASF_FILE_PROPERTIES)
    if at < 0 or len(head) < at + 48:
        return None
    # GUID 16, object size 8, file id 16, file size 8
    declared = int.from_bytes(head[at + 40 : at + 48], "little")
    return None if declared == 0 else size >= declared


_KINDS: Final[tuple[tuple[int, bytes, Callable[[Read, int], bool | None]], ...]] = (
    *((4, kind, _iso) for kind in _ISO_FIRST),
    *((0, magic, _chunk) for magic in (b"RIFF", b"RIFX", b"RF64", b"FORM")),
    (0, _W64, _wave64),
    (0, b"caff", _caf),
    (0, b".snd", _au),
    (0, _MXF, _mxf),
    (0, _EBML, _matroska),
    (0, _ASF, _asf),
    (0, b"fLaC", flac),
    (0, b"OggS", ogg),
    (0, b"ID3", mp3),
)
"""The offset of each format's magic bytes, the magic bytes, and the function that checks the format."""
