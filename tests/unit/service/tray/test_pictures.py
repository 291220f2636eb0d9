import itertools

import pytest
from PIL import Image, ImageChops, ImageStat

from service.tray.icons import IconState, badge_text, draw

SIZES = (16, 22, 24, 32, 48, 64)
PANELS = {"light": (240, 240, 240), "dark": (30, 30, 34)}


def on_panel(state, size, panel, **more):
    picture = draw(state, size=size, **more)
    below = Image.new("RGB", (size, size), PANELS[panel])
    below.paste(picture, mask=picture)
    return below


def luminance(colour):
    """Relative luminance as in WCAG 2.2."""
    linear = [c / 255 / 12.92 if c / 255 <= 0.04045 else ((c / 255 + 0.055) / 1.055) ** 2.4 for c in colour]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("size", SIZES)
def test_states_differ_in_shape_not_only_in_colour(size):
    shapes = {}
    for state in IconState:
        grey = draw(state, count=3, size=size).convert("L")
        # White glyph against its tile, whatever the tile's colour.
        shapes[state] = grey.point(lambda value: 255 if value > 170 else 0)
    for one, other in itertools.combinations(shapes, 2):
        differing = ImageStat.Stat(ImageChops.difference(shapes[one], shapes[other])).mean[0] / 255
        assert differing > 0.04, (one, other, differing)


@pytest.mark.parametrize("panel", PANELS)
@pytest.mark.parametrize("state", IconState)
def test_the_glyph_stands_out_from_its_tile_on_any_panel(state, panel):
    picture = on_panel(state, 64, panel, count=3)
    tile = picture.getpixel((32, 2))
    contrast = (luminance((255, 255, 255)) + 0.05) / (luminance(tile) + 0.05)
    assert contrast >= 4.5, "WCAG 2.2, 1.4.3"
    assert picture.getextrema()[0][1] > 240, "there is a glyph"


def test_counts_differ_and_fit():
    assert [badge_text(count) for count in (0, 1, 99, 100, 12345)] == ["", "1", "99", "99+", "99+"]
    drawn = {draw(IconState.WORKING, count=count, size=22).tobytes() for count in (1, 2, 10, 99, 100)}
    assert len(drawn) == 5
    for count in (8, 88, 100):
        picture = draw(IconState.WORKING, count=count, size=64).convert("L").point(lambda v: 255 if v > 200 else 0)
        left, _, right, bottom = picture.getbbox()
        assert left >= 2
        assert right <= 62
        assert bottom <= 63


def test_the_opaque_form_has_no_clear_pixel():
    for state in IconState:
        assert draw(state, opaque=True).getextrema()[3] == (255, 255)
        assert draw(state).getextrema()[3][0] == 0


def test_the_opaque_form_keeps_its_tile_where_a_panel_leaves_out_the_colour_of_the_first_pixel():
    for state, size in itertools.product(IconState, SIZES):
        picture = draw(state, opaque=True).resize((size, size), Image.Resampling.LANCZOS).convert("RGB")
        colours = {colour: number for number, colour in picture.getcolors(size * size)}
        assert colours[picture.getpixel((0, 0))] < size * size / 10, (state, size)
