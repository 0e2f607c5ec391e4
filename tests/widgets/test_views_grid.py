"""The picture grid: exact pixels, tiles under the mouse, the layout that fills the space."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest
from PySide6.QtCore import QPoint, QPointF, QRect, Qt
from PySide6.QtGui import QImage

from engine.payloads import ImageGrid
from widgets.views import canvas
from widgets.views.grid import ImageGridView
from widgets.views.images import from_qimage, lay_out, make_atlas, to_uint8


def shown(qtbot: Any, payload: ImageGrid, width: int = 300, height: int = 220) -> ImageGridView:
    view = ImageGridView()
    qtbot.addWidget(view)
    view.resize(width, height)
    view.show_payload(payload, 7)
    with qtbot.waitExposed(view):
        view.show()
    return view


def colours(n: int, h: int, w: int, c: int, seed: int = 0) -> np.ndarray:
    """Pictures whose values are whole 255ths, so that exact colours can be asked for."""
    whole = np.random.default_rng(seed).integers(0, 256, (n, h, w, c))
    return (whole / 255).astype(np.float32)


def test_every_source_pixel_is_a_square_of_its_own_colour(qtbot: Any) -> None:
    images = colours(6, 5, 4, 3)
    view = shown(qtbot, ImageGrid(images, columns=3))
    layout = view.canvas.tile_layout()
    assert layout is not None
    factor = layout.tile_w // 4
    assert factor >= 2
    assert (layout.tile_w, layout.tile_h) == (4 * factor, 5 * factor)
    grabbed = (from_qimage(view.canvas.grab().toImage())[0] * 255).round().astype(int)
    for i, image in enumerate(images):
        rect = layout.rect(i)
        tile = grabbed[rect.y() : rect.y() + rect.height(), rect.x() : rect.x() + rect.width()]
        expected = np.repeat(np.repeat((image * 255).round().astype(int), factor, 0), factor, 1)
        np.testing.assert_array_equal(tile, expected)


def test_grey_and_colour_and_uint8_make_the_same_sheet() -> None:
    grey = colours(7, 3, 3, 1)
    as_colour = np.repeat(grey, 3, axis=3)
    np.testing.assert_array_equal(make_atlas(grey).pixels, make_atlas(as_colour).pixels)
    np.testing.assert_array_equal(make_atlas(to_uint8(as_colour)).pixels, make_atlas(as_colour).pixels)
    sheet = make_atlas(as_colour)
    back = (from_qimage(sheet.image)[0] * 255).round().astype(np.uint8)
    for i in range(7):
        box = sheet.source(i)
        np.testing.assert_array_equal(back[box.y() : box.y() + 3, box.x() : box.x() + 3], to_uint8(as_colour[i]))


def test_values_outside_the_range_and_nan_become_colours() -> None:
    values = np.array([-1.0, 0.0, 0.5, 1.0, 2.0, np.nan, np.inf, -np.inf], np.float32)
    assert to_uint8(values).tolist() == [0, 0, 128, 255, 255, 0, 255, 0]


def test_conversion_happens_once_per_payload_and_only_when_seen(qtbot: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    monkeypatch.setattr(canvas, "make_atlas", lambda images: made.append(1) or make_atlas(images))
    view = ImageGridView()
    qtbot.addWidget(view)
    view.show_payload(ImageGrid(colours(4, 8, 8, 1)), 1)
    view.show_payload(ImageGrid(colours(4, 8, 8, 1, seed=1)), 2)
    assert made == []
    with qtbot.waitExposed(view):
        view.show()
    for size in (200, 260, 320):
        view.resize(size, size)
        view.grab()
    assert made == [1]


def test_a_hundred_colour_pictures_are_converted_fast() -> None:
    images = colours(100, 64, 64, 3)
    seconds = []
    for _ in range(7):
        start = time.perf_counter()
        make_atlas(images)
        seconds.append(time.perf_counter() - start)
    assert min(seconds) < 0.005


@pytest.mark.parametrize("count", [1, 2, 5, 12, 64, 100])
def test_layout_takes_the_largest_whole_factor_of_all_column_counts(count: int) -> None:
    area = QRect(8, 8, 777, 333)
    layout = lay_out(count, 28, 28, 0, area, 4)
    best = 0.0
    for k in range(1, count + 1):
        rows = -(-count // k)
        best = max(best, min((777 - (k - 1) * 4) / (k * 28), (333 - (rows - 1) * 4) / (rows * 28)))
    # by 1 instead of 1.6 it would leave more than half of the room: there the factor need not be whole
    assert layout.tile_w == (28 * int(best) if best >= 2 else int(28 * best + 1e-6))
    assert (best < 2) == (count == 100)
    for i in range(count):
        assert area.contains(layout.rect(i))
    assert layout.at(area.x() - 5, area.y()) is None


def test_layout_shrinks_what_does_not_fit_and_keeps_the_given_columns() -> None:
    layout = lay_out(8, 512, 256, 4, QRect(0, 0, 300, 400), 4)
    assert (layout.columns, layout.rows) == (4, 2)
    assert abs(layout.tile_h / layout.tile_w - 2) < 0.05
    assert layout.rect(7).right() < 300
    assert layout.rect(7).bottom() < 400


def test_the_mouse_finds_tiles_and_not_the_gaps(qtbot: Any) -> None:
    view = shown(qtbot, ImageGrid(colours(6, 4, 4, 1), columns=3, captions=tuple("abcdef")))
    layout = view.canvas.tile_layout()
    assert layout is not None
    clicked: list[int] = []
    view.tile_clicked.connect(clicked.append)
    for i in range(6):
        rect = layout.rect(i)
        for corner in (rect.topLeft(), rect.bottomRight(), rect.center()):
            assert view.canvas.tile_at(QPointF(corner)) == i
        qtbot.mouseClick(view.canvas, Qt.MouseButton.LeftButton, pos=rect.center())
        assert view.canvas.tile_at(QPointF(rect.right() + 1.5, rect.y())) is None
    assert clicked == [0, 1, 2, 3, 4, 5]
    qtbot.mousePress(view.canvas, Qt.MouseButton.LeftButton, pos=layout.rect(0).center())
    qtbot.mouseRelease(view.canvas, Qt.MouseButton.LeftButton, pos=layout.rect(1).center())
    assert clicked == [0, 1, 2, 3, 4, 5]


def test_hover_reads_the_pixel_under_the_mouse(qtbot: Any) -> None:
    images = colours(2, 3, 3, 3)
    view = shown(qtbot, ImageGrid(images, captions=("left", "right"), labels=np.array([4, 5])))
    layout = view.canvas.tile_layout()
    assert layout is not None
    rect, factor = layout.rect(1), layout.tile_w // 3
    lines = view.canvas.describe(QPointF(rect.x() + 2.5 * factor, rect.y() + 0.5 * factor))
    assert lines == ["1  right", "(2, 0)  " + "  ".join(f"{v:.2f}" for v in images[1, 0, 2])]


def test_keys_walk_over_the_tiles(qtbot: Any) -> None:
    view = shown(qtbot, ImageGrid(colours(6, 4, 4, 1), columns=3))
    clicked: list[int] = []
    view.tile_clicked.connect(clicked.append)
    for key in (Qt.Key.Key_Right, Qt.Key.Key_Right, Qt.Key.Key_Down, Qt.Key.Key_Return):
        qtbot.keyClick(view.canvas, key)
    assert clicked == [4]


def test_the_size_does_not_jump_with_the_payload(qtbot: Any) -> None:
    view = shown(qtbot, ImageGrid(colours(1, 4, 4, 1)))
    before = view.size(), view.sizeHint(), view.minimumSizeHint()
    view.show_payload(ImageGrid(colours(90, 64, 64, 3), captions=("long caption " * 9,) * 90), 8)
    assert (view.size(), view.sizeHint(), view.minimumSizeHint()) == before


@pytest.mark.parametrize("shape", [(0, 4, 4, 1), (4, 4, 1), (2, 4, 4, 2)])
def test_wrong_shapes_are_told_on_a_card(qtbot: Any, shape: tuple[int, ...]) -> None:
    view = shown(qtbot, ImageGrid(colours(1, 4, 4, 1)))
    view.show_payload(ImageGrid(np.zeros(shape, np.float32)), 1)
    assert view.card.isVisible()
    assert view.card.texts[0] == "This answer could not be drawn"
    view.show_payload(ImageGrid(colours(1, 4, 4, 1)), 2)
    assert not view.card.isVisible()


def test_large_pictures_are_averaged_when_they_shrink(qtbot: Any) -> None:
    stripes = np.zeros((1, 600, 600, 1), np.float32)
    stripes[:, :, ::2] = 1.0
    view = shown(qtbot, ImageGrid(stripes), 216, 216)
    layout = view.canvas.tile_layout()
    assert layout is not None
    middle = view.canvas.grab().toImage().convertToFormat(QImage.Format.Format_RGB32)
    values = [middle.pixelColor(layout.rect(0).center() + QPoint(i, 0)).red() for i in range(-20, 20)]
    assert min(values) > 80
    assert max(values) < 180
