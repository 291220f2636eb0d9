"""Is audio that consists of frames or pages complete? Checks the last one, or a count in the first.

- FLAC: the header has the number of samples, and each frame its first sample or its number (RFC 9639). The last frame
  itself may still lack its end, at most half a second, so a FLAC file is never reported as complete.
- Ogg: a page has its own length, and the last page is marked as the end of its stream (RFC 3533). A live stream lacks
  that mark; if it stops between two pages, it may be complete.
- MP3: the byte count in the Xing or Info header, if there is one.

AAC, AMR, AC-3 and MPEG streams don't tell: a recorder, or a copy of a broadcast, may well end in the middle of a frame.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

    Read = Callable[[int, int], bytes]
    """Returns up to a number of bytes at an offset; fewer at the file's end."""

__all__ = ["flac", "mp3", "ogg"]

_LARGEST_OGG_PAGE: Final = 27 + 255 + 255 * 255
_LARGEST_FLAC_HEADER: Final = 16
_MOST_FLAC_CANDIDATES: Final = 1000
_MOST_BLOCKS: Final = 1000


def flac(read: Read, size: int) -> bool | None:
    """Compare the sample at which the last frame ends with the number of samples in the header.

    Args:
        read: reads from the file.
        size: the file's size in bytes.

    Returns:
        False if it is visibly truncated, else None.
    """
    offset = 4
    for _ in range(_MOST_BLOCKS):
        header = read(offset, 4)
        if len(header) < 4:  # noqa: PLR2004 - a block's header
            return False
        offset += 4 + int.from_bytes(header[1:], "big")
        if header[0] & 0x80:
            break
    else:
        return None
    if offset >= size:
        return False
    info = _StreamInfo.of(read(8, 18))
    if not info.samples or not info.largest_block:
        return None  # written as a stream, with nobody there to fill it in
    start = max(offset, size - info.largest_frame - _LARGEST_FLAC_HEADER)
    end = _last_sample(read(start, size - start), info, first=read(offset, 4))
    return False if end is not None and end < info.samples else None


class _StreamInfo(NamedTuple):
    """FLAC's first metadata block, STREAMINFO (RFC 9639, 8.2)."""

    smallest_block: int
    largest_block: int
    largest_frame: int
    samples: int

    @classmethod
    def of(cls, data: bytes) -> _StreamInfo:
        """Parse it; if it lacks the largest frame size, use that of uncompressed audio."""
        bits = int.from_bytes(data[10:18], "big")
        channels, depth = (bits >> 41 & 7) + 1, (bits >> 36 & 31) + 1
        largest_block = int.from_bytes(data[2:4], "big")
        verbatim = largest_block * channels * (depth + 1) // 8 + 8 * channels + _LARGEST_FLAC_HEADER
        largest_frame = int.from_bytes(data[7:10], "big") or verbatim
        return cls(int.from_bytes(data[:2], "big"), largest_block, largest_frame, bits & (1 << 36) - 1)


def _last_sample(tail: bytes, info: _StreamInfo, *, first: bytes) -> int | None:
    """Return the number of samples up to the end of the last frame that begins in these bytes; None without one.

    Audio data may look like the start of a header. So the fields that are the same in every header must match, its
    checksum must be right, and its values must be possible.
    """
    at = len(tail)
    for _ in range(_MOST_FLAC_CANDIDATES):
        at = tail.rfind(first[:2], 0, at)
        if at < 0:
            return None
        header = tail[at : at + _LARGEST_FLAC_HEADER]
        if len(header) > 4 and header[2] & 0x0F == first[2] & 0x0F and header[3] & 0x0F == first[3] & 0x0F:  # noqa: PLR2004 - rate and depth
            end = _end_of_frame(header, info)
            if end is not None:
                return end
    return None


def _end_of_frame(header: bytes, info: _StreamInfo) -> int | None:
    """Return the number of samples up to the end of a frame; None if these bytes are no frame's header."""
    block, rate = header[2] >> 4, header[2] & 0x0F
    length = max(1, 8 - (header[4] ^ 0xFF).bit_length())  # coded as in UTF-8
    after = 4 + length
    checked = after + {6: 1, 7: 2}.get(block, 0) + {12: 1, 13: 2, 14: 2}.get(rate, 0)
    if not block or len(header) <= checked or _crc8(header[:checked]) != header[checked]:
        return None
    number = header[4] & (0x7F >> length if length > 1 else 0x7F)
    for byte in header[5:after]:
        number = number << 6 | byte & 0x3F
    if block in {6, 7}:
        samples = int.from_bytes(header[after : after + block - 5], "big") + 1
    else:
        samples = 192 if block == 1 else 576 << block - 2 if block < 6 else 256 << block - 8  # noqa: PLR2004 - a table
    # Frames of one size are counted; where sizes differ, each tells the number of its first sample.
    end = number + samples if header[1] & 1 else number * info.smallest_block + samples
    is_possible = end == info.samples or (end < info.samples and info.smallest_block <= samples <= info.largest_block)
    return end if is_possible else None


def _crc8(data: bytes) -> int:
    """Compute what ends a frame's header: the polynomial x^8 + x^2 + x + 1, from 0."""
    crc = 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc << 1) ^ 0x107 if crc & 0x80 else crc << 1
    return crc


def ogg(read: Read, size: int) -> bool | None:
    """Check the last page; arguments and result are those of `is_complete`."""
    tail = read(max(0, size - _LARGEST_OGG_PAGE), _LARGEST_OGG_PAGE)
    at = tail.rfind(b"OggS")
    if at < 0:
        return None
    page = tail[at:]
    if len(page) < 27 or len(page) < 27 + page[26]:  # noqa: PLR2004 - the header, then the lengths of the segments
        return False
    end = 27 + page[26] + sum(page[27 : 27 + page[26]])
    if end > len(page):
        return False
    is_last = bool(page[5] & 0x04)
    return True if is_last and end == len(page) else None


def mp3(read: Read, size: int) -> bool | None:
    """Check the header that encoders write into the first frame when they finish; as `ogg`."""
    start = 0
    tag = read(0, 10)
    if tag.startswith(b"ID3") and len(tag) == 10:  # noqa: PLR2004 - the tag's header
        start = 10 + (tag[6] << 21 | tag[7] << 14 | tag[8] << 7 | tag[9])
    frame = read(start, 192)
    at = max(frame.find(b"Xing"), frame.find(b"Info"))
    if at < 0 or len(frame) < at + 16:
        return None
    flags = int.from_bytes(frame[at + 4 : at + 8], "big")
    if flags & 3 != 3:  # noqa: PLR2004 - frames and bytes are both told
        return None
    declared = int.from_bytes(frame[at + 12 : at + 16], "big")
    return size >= start + declared if declared else None
