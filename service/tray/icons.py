"""The icon's pictures, drawn: five shapes that differ without their colours, on a tile of its own.

The tile makes them readable on light and on dark panels alike.
"""

from __future__ import annotations

import enum
from functools import lru_cache

from PIL import Image, ImageDraw, ImageFont

__all__ = ["IconState", "badge_text", "draw"]

_SCALE = 8  # drawn this much larger and then reduced, for smooth edges
_WHITE = (255, 255, 255, 255)
_WIDE = 2  # characters of a count that fit in large type


class IconState(enum.StrEnum):
    """What the icon says."""

    IDLE = "idle"
    WORKING = "working"
    PAUSED = "paused"
    ATTENTION = "attention"
    DOWN = "down"


_TILE = {
    IconState.IDLE: (47, 93, 140, 255),
    IconState.WORKING: (17, 122, 101, 255),
    IconState.PAUSED: (108, 117, 125, 255),
    IconState.ATTENTION: (196, 62, 28, 255),
    IconState.DOWN: (73, 80, 87, 255),
}
# A voice's waveform: centre of each bar across the tile and its height, both as parts of the tile.
_WAVE = ((0.18, 0.22), (0.34, 0.50), (0.50, 0.72), (0.66, 0.42), (0.82, 0.18))


def badge_text(count: int) -> str:
    """Write a count in at most three characters; nothing for none."""
    if count <= 0:
        return ""
    return str(count) if count < 100 else "99+"  # noqa: PLR2004 - three digits don't fit


@lru_cache(maxsize=256)
def draw(state: IconState, *, count: int = 0, size: int = 64, opaque: bool = False) -> Image.Image:
    """Draw the icon.

    Args:
        state: what it says.
        count: recordings at work; on the badge of `WORKING`.
        size: of the square, in pixels.
        opaque: fill the corners, for panels that would paint them black. They differ a little from the tile: LXQt
            takes the colour of the first pixel for the background, and leaves all of it out.

    Returns:
        An RGBA picture of that size; don't change it, it is shared.
    """
    full = size * _SCALE
    corners = tuple(part * 4 // 5 for part in _TILE[state][:3]) if opaque else (0, 0, 0, 0)
    image = Image.new("RGBA", (full, full), corners)
    pen = ImageDraw.Draw(image)
    radius = full * (0.08 if opaque else 0.2)
    pen.rounded_rectangle((0, 0, full - 1, full - 1), radius=radius, fill=_TILE[state])
    badge = badge_text(count) if state is IconState.WORKING else ""
    if badge:
        _count(pen, full, badge)
    elif state in {IconState.IDLE, IconState.WORKING}:
        _wave(pen, full)
    elif state is IconState.PAUSED:
        _bars(pen, full)
    elif state is IconState.ATTENTION:
        _mark(pen, full)
    else:
        _wave(pen, full, colour=(173, 181, 189, 255))
        _stroke(pen, full)
    return image.resize((size, size), Image.Resampling.LANCZOS)


def _bar(pen: ImageDraw.ImageDraw, box: tuple[float, float, float, float], colour: tuple[int, ...]) -> None:
    left, top, right, bottom = box
    pen.rounded_rectangle((left, top, right, bottom), radius=(right - left) / 2, fill=colour)


def _wave(
    pen: ImageDraw.ImageDraw, full: int, *, colour: tuple[int, ...] = _WHITE, middle: float = 0.5, height: float = 1.0
) -> None:
    half = full * 0.05
    for centre, tall in _WAVE:
        x, y, reach = full * centre, full * middle, full * tall * height / 2
        _bar(pen, (x - half, y - reach, x + half, y + reach), colour)


def _count(pen: ImageDraw.ImageDraw, full: int, text: str) -> None:
    """A small waveform above, and the count below it as large as fits: at 22 pixels it must still be read."""
    _wave(pen, full, middle=0.2, height=0.42)
    height, foot = (0.66, 0.92) if len(text) <= _WIDE else (0.5, 0.87)
    font = ImageFont.load_default(full * height)
    pen.text((full / 2, full * foot), text, font=font, fill=_WHITE, anchor="ms", stroke_width=full * 0.012)


def _bars(pen: ImageDraw.ImageDraw, full: int) -> None:
    for left in (0.27, 0.57):
        box = (full * left, full * 0.22, full * (left + 0.16), full * 0.78)
        pen.rounded_rectangle(box, radius=full * 0.04, fill=_WHITE)


def _mark(pen: ImageDraw.ImageDraw, full: int) -> None:
    pen.rounded_rectangle((full * 0.42, full * 0.16, full * 0.58, full * 0.60), radius=full * 0.06, fill=_WHITE)
    pen.ellipse((full * 0.41, full * 0.68, full * 0.59, full * 0.86), fill=_WHITE)


def _stroke(pen: ImageDraw.ImageDraw, full: int) -> None:
    """A line across, cut out of what is below it."""
    ends = ((full * 0.16, full * 0.84), (full * 0.84, full * 0.16))
    pen.line(ends, fill=_TILE[IconState.DOWN], width=round(full * 0.24))
    pen.line(ends, fill=_WHITE, width=round(full * 0.09))
