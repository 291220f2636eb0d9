"""Is a container all there? Only what its headers say about its own length is looked at, never the sound.

A copy that stalled, or a recorder that writes its index last, leaves a file that is visibly cut short:

- ISO base media (mp4, mov, m4a, 3gp): boxes up to the file's end, with a `moov` among them (ISO/IEC 14496-12).
- RIFF (wav, avi), RF64 and AIFF: the size in the header; 0 and all ones mean that it isn't known yet.
- Matroska and WebM: the sizes of EBML header and Segment, where they are known (RFC 8794).
- ASF (wma, wmv): the file size in the File Properties Object.
- FLAC: the header's blocks.
- Ogg: the last page is marked as the end of its stream (RFC 3533).
- MP3: the byte count of a Xing or Info header, where there is one.
"""

from __future__ import annotations

import os
import struct
import sys
from typing import Final

__all__ = ["is_complete"]

_ISO_FIRST: Final = frozenset({b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot", b"styp", b"uuid"})
_UNKNOWN_32: Final = 0xFFFFFFFF
_MOST_BOXES: Final = 100_000
_ASF: Final = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")
_ASF_FILE_PROPERTIES: Final = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
_LARGEST_OGG_PAGE: Final = 27 + 255 + 255 * 255
_EBML: Final = b"\x1a\x45\xdf\xa3"
_SEGMENT: Final = b"\x18\x53\x80\x67"


def is_complete(descriptor: int, size: int) -> bool | None:
    """Look whether a media file is all there.

    Args:
        descriptor: the file, opened for reading; its position doesn't matter.
        size: its size in bytes.

    Returns:
        False when it is visibly cut short, True when its headers agree with its size, None when it is of a
        kind that doesn't say. An empty file is cut short.
    """
    if size == 0:
        return False
    head = _read(descriptor, 0, 64)
    if head[4:8] in _ISO_FIRST:
        return _iso(descriptor, size)
    if head[:4] in {b"RIFF", b"RIFX", b"RF64", b"FORM"}:
        return _chunks(head, size)
    if head.startswith(_EBML):
        return _matroska(descriptor, size)
    if head.startswith(_ASF):
        return _asf(descriptor, size)
    if head.startswith(b"fLaC"):
        return _flac(descriptor, size)
    if head.startswith(b"OggS"):
        return _ogg(descriptor, size)
    if head.startswith(b"ID3") or (head[0] == 0xFF and head[1:2] and head[1] & 0xE6 == 0xE2):  # noqa: PLR2004
        return _mp3(descriptor, size)
    return None


if sys.platform == "win32":

    def _read(descriptor: int, offset: int, count: int) -> bytes:
        os.lseek(descriptor, offset, os.SEEK_SET)
        return os.read(descriptor, count)

else:

    def _read(descriptor: int, offset: int, count: int) -> bytes:
        return os.pread(descriptor, count, offset)


def _iso(descriptor: int, size: int) -> bool | None:
    """Walk the top-level boxes; a fragmented file has its `moov` first and then any number of fragments."""
    offset, has_moov = 0, False
    for _ in range(_MOST_BOXES):
        if offset == size:
            return has_moov
        header = _read(descriptor, offset, 16)
        if len(header) < 8:  # noqa: PLR2004 - size and type
            return False
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


def _chunks(head: bytes, size: int) -> bool | None:
    if len(head) < 12:  # noqa: PLR2004 - id, size, form type
        return False
    if head[:4] == b"RF64":
        if head[12:16] != b"ds64" or len(head) < 28:  # noqa: PLR2004 - ds64 begins with the RIFF size
            return None
        declared = int.from_bytes(head[20:28], "little")
    else:
        declared = int.from_bytes(head[4:8], "little" if head[:4] == b"RIFF" else "big")
    if declared in {0, _UNKNOWN_32, 0xFFFFFFFFFFFFFFFF} or declared >= _UNKNOWN_32 - 64:
        return None  # written as a stream: its length was never filled in
    # A last odd chunk may lack its pad byte.
    return size + 1 >= declared + 8


def _matroska(descriptor: int, size: int) -> bool | None:
    offset = 0
    for wanted in (_EBML, _SEGMENT):
        header = _read(descriptor, offset, 12)
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


def _asf(descriptor: int, size: int) -> bool | None:
    head = _read(descriptor, 0, 4096)
    at = head.find(_ASF_FILE_PROPERTIES)
    if at < 0 or len(head) < at + 48:
        return None
    # GUID 16, object size 8, file id 16, file size 8
    declared = int.from_bytes(head[at + 40 : at + 48], "little")
    return None if declared == 0 else size >= declared


def _flac(descriptor: int, size: int) -> bool | None:
    """Walk the metadata blocks; the frames' length isn't told."""
    offset = 4
    for _ in range(1000):
        header = _read(descriptor, offset, 4)
        if len(header) < 4:  # noqa: PLR2004 - a block's header
            return False
        offset += 4 + int.from_bytes(header[1:4], "big")
        if header[0] & 0x80:
            return None if offset < size else False
    return None


def _ogg(descriptor: int, size: int) -> bool | None:
    """Look at the last page; a recorder that was cut off leaves none that ends the stream."""
    tail = _read(descriptor, max(0, size - _LARGEST_OGG_PAGE), _LARGEST_OGG_PAGE)
    at = tail.rfind(b"OggS")
    if at < 0 or len(tail) < at + 27:
        return None
    count = tail[at + 26]
    end = at + 27 + count + sum(tail[at + 27 : at + 27 + count])
    is_last = bool(tail[at + 5] & 0x04)
    return True if is_last and end == len(tail) else None


def _mp3(descriptor: int, size: int) -> bool | None:
    """Look for the header that encoders put into the first frame when they are done."""
    start = 0
    tag = _read(descriptor, 0, 10)
    if tag.startswith(b"ID3") and len(tag) == 10:  # noqa: PLR2004 - the tag's header
        start = 10 + (tag[6] << 21 | tag[7] << 14 | tag[8] << 7 | tag[9])
    frame = _read(descriptor, start, 192)
    at = max(frame.find(b"Xing"), frame.find(b"Info"))
    if at < 0 or len(frame) < at + 16:
        return None
    flags = int.from_bytes(frame[at + 4 : at + 8], "big")
    if flags & 3 != 3:  # noqa: PLR2004 - frames and bytes are both told
        return None
    declared = int.from_bytes(frame[at + 12 : at + 16], "big")
    return size >= start + declared if declared else None
