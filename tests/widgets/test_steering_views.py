"""The views of a seed plane and of strips of directions: what is under the hand, what it asks for, what is kept."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QBoxLayout
from pytestqt.qtbot import QtBot

from engine.payloads import ImageGrid, LatentMap, SeedPlane, Strips
from engine.steering import MOST_DIRECTIONS, Direction
from widgets.views import view_for
from widgets.views.mapping.latent_map import LatentMapView
from widgets.views.seed_plane import SeedPlaneView
from widgets.views.strips import StripsView

LEFT, NONE, SHIFT = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, Qt.KeyboardModifier.ShiftModifier
Key = Qt.Key
SIDE = 4
TILES = (np.arange(SIDE * SIDE, dtype=np.float32) / (SIDE * SIDE - 1)).reshape(SIDE, SIDE, 1, 1, 1).repeat(8, 2)
TILES = np.ascontiguousarray(TILES.repeat(8, 3))
"""16 tiles of one grey each, darkest at the top left, brightest at the bottom right."""
NAMES = ("seed 1", "seed 2", "seed 3", "seed 4")


def plane(spot: tuple[float, float] = (0.5, 0.5), grey: float = 0.5, **more: Any) -> SeedPlane:
    return SeedPlane(np.full((8, 8, 1), grey, np.float32), more.pop("tiles", TILES), spot, NAMES, **more)


def stood(qtbot: QtBot, view: Any, width: int = 700, height: int = 400) -> list[tuple[str, Any, str]]:
    """Puts a view on screen; what it asks for."""
    qtbot.addWidget(view)
    view.resize(width, height)
    with qtbot.waitExposed(view):
        view.show()
    view.activateWindow()
    said: list[tuple[str, Any, str]] = []
    view.control_set.connect(lambda *what: said.append(what))
    return said


def point(view: SeedPlaneView, u: float, v: float) -> QPoint:
    return view.pad.point_of((u, v)).toPoint()


# ---- seed plane ---------------------------------------------------------------------------------------------------


def test_the_tables_find_the_views() -> None:
    assert view_for(SeedPlane) is SeedPlaneView
    assert view_for(Strips) is StripsView


def test_u_goes_right_and_v_down_over_the_tiles(qtbot: QtBot) -> None:
    view = SeedPlaneView()
    stood(qtbot, view)
    view.show_payload(plane((1.0, 0.0)), 1)
    image = view.pad.grab().toImage()
    greys = [
        image.pixelColor(point(view, (k + 0.5) / SIDE, (r + 0.5) / SIDE)).red() for r in range(4) for k in range(4)
    ]
    assert greys == pytest.approx([255 * i / 15 for i in range(16)], abs=1)
    box = view.pad.square()
    assert box.width() == box.height()
    assert box.width() % (8 * SIDE) == 0, "small pictures by whole factors"
    assert view.pad.place_at(view.pad.point_of((0.25, 0.75))) == (0.25, 0.75)


def test_a_drag_asks_at_every_move_and_settles_at_release(qtbot: QtBot) -> None:
    view = SeedPlaneView()
    said = stood(qtbot, view)
    view.show_payload(plane(control="where"), 1)
    QTest.mousePress(view.pad, LEFT, NONE, point(view, 0.5, 0.5))
    for i in range(1, 6):
        QTest.mouseMove(view.pad, point(view, 0.5 + 0.05 * i, 0.5 + 0.1 * i))
    qtbot.wait(200)
    assert {phase for _, _, phase in said} == {"drag"}, "a held handle has not settled"
    view.show_payload(plane((0.1, 0.1)), 1)
    assert view.pad.spot == said[-1][1], "an answer to an older question does not pull the handle away"
    QTest.mouseMove(view.pad, QPoint(5000, 5000))
    QTest.mouseRelease(view.pad, LEFT, NONE, QPoint(5000, 5000))
    assert len(said) >= 6
    assert [name for name, _, _ in said[:5]] == ["where"] * 5
    assert said[4][1] == pytest.approx((0.75, 1.0), abs=0.01)
    assert said[-1] == ("spot", (1.0, 1.0), "settled")
    assert said[-2] == ("spot", (1.0, 1.0), "drag")
    view.show_payload(plane((0.25, 0.25)), 1)
    assert view.pad.spot == (0.25, 0.25)


def test_arrow_keys_move_the_spot_and_settle_after_a_rest(qtbot: QtBot) -> None:
    view = SeedPlaneView()
    said = stood(qtbot, view)
    view.setFocus()
    QTest.keyClick(view.pad, Key.Key_Right)
    assert said == [], "nothing to steer yet"
    view.show_payload(plane(), 1)
    QTest.keyClick(view.pad, Key.Key_Right)
    QTest.keyClick(view.pad, Key.Key_Down, SHIFT)
    assert said == [("spot", (0.52, 0.5), "drag"), ("spot", (0.52, 0.502), "drag")]
    qtbot.waitUntil(lambda: len(said) == 3, timeout=1000)
    assert said[-1] == ("spot", (0.52, 0.502), "settled")


def test_the_picture_follows_and_lies_below_where_the_dock_is_narrow(qtbot: QtBot) -> None:
    view = SeedPlaneView()
    stood(qtbot, view)
    for grey in (0.2, 0.8):
        view.show_payload(plane(grey=grey), 1)
        middle = view.canvas.rect().center()
        seen = view.canvas.grab().toImage().pixelColor(middle).red()
        assert seen == pytest.approx(255 * grey, abs=1)
    assert view._line.direction() == QBoxLayout.Direction.LeftToRight
    view.resize(260, 600)
    QApplication.processEvents()
    assert view._line.direction() == QBoxLayout.Direction.TopToBottom
    assert view.canvas.y() >= view.pad.geometry().bottom()
    assert view.pad.square().width() > 200


def test_tiles_that_are_the_same_object_are_drawn_once(qtbot: QtBot) -> None:
    view = SeedPlaneView()
    stood(qtbot, view)
    view.show_payload(plane(), 1)
    view.pad.grab()
    first = view.pad._pixmap
    for i in range(3):
        view.show_payload(plane((i / 3, 0.5), i / 3), 1)
        view.pad.grab()
    assert view.pad._pixmap is first
    view.show_payload(plane(tiles=1 - TILES), 1)
    view.pad.grab()
    assert view.pad._pixmap is not first


def test_a_move_in_the_plane_costs_the_window_little(qtbot: QtBot) -> None:
    view = SeedPlaneView()
    stood(qtbot, view, 1000, 600)
    tiles = np.random.default_rng(0).random((8, 8, 32, 32, 3), np.float32)
    image = np.zeros((32, 32, 3), np.float32)
    view.show_payload(SeedPlane(image, tiles, (0.5, 0.5)), 1)
    view.repaint()
    begun = time.process_time()
    for i in range(50):
        view.show_payload(SeedPlane(image + i / 50, tiles, (i / 50, 0.5)), 1)
        view.repaint()
    assert (time.process_time() - begun) / 50 < 0.005


def test_arrays_that_do_not_fit_are_a_card(qtbot: QtBot) -> None:
    view = SeedPlaneView()
    stood(qtbot, view)
    view.show_payload(plane(tiles=TILES[0]), 1)
    assert "rows × columns × height × width × channels" in view.card.texts[1]
    view.show_payload(SeedPlane(TILES[0, 0], TILES, (0.5, 0.5), ("a",)), 1)  # type: ignore[arg-type]  # one name only
    assert "four corners" in view.card.texts[1]
    view.show_payload(plane(), 1)
    assert not view.card.isVisible()
    assert view.payloads_for_picture() == (view.payload,)
    view.clear()
    assert view.card.isVisible()


# ---- strips -------------------------------------------------------------------------------------------------------

ROWS, COLUMNS = 4, 5
VECTORS = np.linalg.qr(np.random.default_rng(1).normal(size=(6, 6)))[0][:ROWS].astype(np.float32)


def strips(vectors: Any = VECTORS, **more: Any) -> Strips:
    n = len(vectors)
    images = np.linspace(0, 1, n * COLUMNS * 16, dtype=np.float32).reshape(n * COLUMNS, 4, 4, 1)
    titles = tuple(f"PC {i + 1} (20% of it)" for i in range(n))
    return Strips(images, COLUMNS, rows=titles, vectors=vectors, space="w", **more)


def named(view: StripsView, row: int, name: str = "") -> None:
    QTest.mouseClick(view.buttons[row], LEFT)
    assert view.edit is not None
    if name:
        view.edit.setText(name)
    QTest.keyClick(view.edit, Key.Key_Return)


def test_a_strip_is_kept_under_a_name_behind_those_that_are_there(qtbot: QtBot) -> None:
    view = StripsView()
    said = stood(qtbot, view)
    old = Direction("old", (1.0, 0.0), "z", 2.0)
    view.show_control("directions", (old,))  # before there is anything to see
    view.show_payload(strips(), 1)
    named(view, 1, "bolder")
    name, kept, phase = said[-1]
    assert (name, phase, kept[0]) == ("directions", "settled", old)
    assert (kept[1].name, kept[1].space, kept[1].amount) == ("bolder", "w", 0.0)
    np.testing.assert_array_equal(np.array(kept[1].vector, np.float32), VECTORS[1])
    assert view.buttons[1].isEnabled(), "it is kept once the control says so"
    view.show_control("directions", kept)
    assert not view.buttons[1].isEnabled()
    assert view.buttons[1].text() == "Kept"
    assert "bolder" in view.buttons[1].toolTip()
    assert all(view.buttons[i].isEnabled() for i in (0, 2, 3))
    view.show_control("directions", ())
    assert view.buttons[1].isEnabled(), "undo gives it free again"


def test_a_name_is_offered_and_one_that_is_taken_is_refused(qtbot: QtBot) -> None:
    view = StripsView()
    said = stood(qtbot, view)
    view.show_payload(strips(), 1)
    view.show_control("directions", (Direction("PC 1", (0.0, 1.0), "z"),))
    named(view, 0)
    assert said[-1][1][1].name == "PC 1 2"
    QTest.mouseClick(view.buttons[2], LEFT)
    assert view.edit is not None
    view.edit.setText("PC 1")
    QTest.keyClick(view.edit, Key.Key_Return)
    assert "already" in view.edit.toolTip()
    QTest.keyClick(view.edit, Key.Key_Escape)
    assert (view.edit, len(said)) == (None, 1)


def test_what_is_kept_is_the_strip_that_was_seen_when_naming_began(qtbot: QtBot) -> None:
    view = StripsView()
    said = stood(qtbot, view)
    view.show_payload(strips(), 1)
    QTest.mouseClick(view.buttons[3], LEFT)
    view.show_payload(strips(-VECTORS[::-1].copy()), 2)  # the model learns on while the person types
    assert view.edit is not None
    QTest.keyClick(view.edit, Key.Key_Return)
    np.testing.assert_array_equal(np.array(said[-1][1][0].vector, np.float32), VECTORS[3])
    QTest.mouseClick(view.buttons[3], LEFT)
    view.show_payload(strips(VECTORS[:2]), 3)
    assert view.edit is None, "there is no such row any more"
    assert len(view.buttons) == 2


def test_only_the_same_direction_in_the_same_space_counts_as_kept(qtbot: QtBot) -> None:
    view = StripsView()
    stood(qtbot, view)
    view.show_payload(strips(), 1)
    one = tuple(float(x) for x in VECTORS[0])
    tilted = VECTORS[0] + 0.01 * VECTORS[1]
    for kept, free in (
        (Direction("z's", one, "z"), True),
        (Direction("shorter", one[:5], "w"), True),
        (Direction("tilted", tuple(map(float, tilted / np.linalg.norm(tilted))), "w"), True),
        (Direction("the other way", tuple(-x for x in one), "w"), True),
        (Direction("it", one, "w"), False),
    ):
        view.show_control("directions", (kept,))
        assert view.buttons[0].isEnabled() is free, kept.name
    view.show_control("directions", tuple(Direction(f"{i}", (1.0,), "z") for i in range(MOST_DIRECTIONS)))
    assert not any(button.isEnabled() for button in view.buttons)
    assert "As many" in view.buttons[0].toolTip()


def test_buttons_stand_beside_their_rows_at_any_size(qtbot: QtBot) -> None:
    view = StripsView()
    stood(qtbot, view)
    view.show_payload(strips(), 1)
    for size in ((700, 400), (300, 220), (500, 300)):
        view.resize(*size)
        QApplication.processEvents()
        layout = view.canvas.tile_layout()
        assert layout is not None
        for row, button in enumerate(view.buttons):
            tile = layout.rect((row + 1) * COLUMNS - 1)
            assert abs(button.geometry().center().y() - tile.center().y()) <= 1
            assert tile.right() < button.x() < tile.right() + 24
            assert button.geometry().right() <= view.width()
    view.show_payload(strips(np.eye(14, dtype=np.float32)), 1)
    view.resize(400, 160)  # too low for a button each
    QApplication.processEvents()
    assert not any(button.isVisible() for button in view.buttons)
    layout = view.canvas.tile_layout()
    assert layout is not None
    QTest.mouseClick(view.canvas, LEFT, NONE, layout.rect(2 * COLUMNS).center())
    assert [i for i, button in enumerate(view.buttons) if button.isVisible()] == [2]


def test_strips_that_do_not_fit_together_are_a_card_and_the_picture_is_a_grid(qtbot: QtBot) -> None:
    view = StripsView()
    stood(qtbot, view)
    view.show_payload(Strips(strips().images, COLUMNS, vectors=VECTORS[:3]), 1)
    assert "20 pictures in rows of 5 and directions of shape (3, 6)" in view.card.texts[1]
    view.show_payload(strips(caption="under it"), 1)
    (grid,) = view.payloads_for_picture()
    assert type(grid) is ImageGrid
    assert (grid.columns, grid.caption) == (COLUMNS, "under it")
    assert view.payloads_for_data() == (view.payload,)
    view.clear()
    assert view.buttons == []


def test_heads_wider_than_their_tiles_are_told_of_every_so_many(qtbot: QtBot) -> None:
    view = StripsView()
    stood(qtbot, view, 190, 160)
    heads = ("-30.0 σ", "-15.0 σ", "0", "+15.0 σ", "+30.0 σ")
    view.show_payload(strips(heads=heads), 1)
    image = view.canvas.grab().toImage()
    layout = view.canvas.tile_layout()
    assert layout is not None
    assert layout.tile_w < 30
    ground = image.pixelColor(1, 1).name()

    def inked(column: int) -> bool:
        """Whether the middle of a column has something written above it."""
        x = layout.rect(column).center().x()
        return any(image.pixelColor(x + dx, y).name() != ground for dx in range(-2, 3) for y in range(8, layout.y - 2))

    assert inked(2), "the middle one"
    assert not all(inked(column) for column in range(5))


# ---- the map beside them ------------------------------------------------------------------------------------------


def test_a_map_does_not_take_directions_for_a_code(qtbot: QtBot) -> None:
    view = LatentMapView()
    stood(qtbot, view)
    view.show_control("directions", (Direction("up", (0.6, 0.8)),))
    assert view._code is None
    plain = np.zeros((1, 2), np.float32)
    view.show_control("z", (0.5, -0.5))
    empty = np.zeros(0, np.float32)
    basis = np.eye(2, dtype=np.float32)
    view.show_payload(LatentMap(plain, None, (), None, plain, plain[0], basis, empty, (-1, 1, -1, 1), None), 1)
    assert view.marker_at() == (0.5, -0.5)
