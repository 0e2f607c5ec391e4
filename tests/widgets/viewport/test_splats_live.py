"""Splats on screen over time: orders from the view lane, a budget while the hand moves, pictures that follow others."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PySide6.QtCore import QCoreApplication
from pytestqt.qtbot import QtBot

from engine.geometry.splats import order as splats_order
from engine.scene import Mesh, Splats
from tests.widgets.viewport.some_splats import NEAR, OUTSIDE, PARTS, PLAIN, ball, one
from widgets.viewport.camera import Camera, projection_matrix, view_matrix
from widgets.viewport.canvas import Canvas
from widgets.viewport.drawing.splats import item as items
from widgets.viewport.drawing.splats import layer as splats_layer
from widgets.viewport.drawing.splats import rows as splats_rows

WIDE, TALL = 120, 90


@pytest.fixture
def canvas(qtbot: QtBot) -> Canvas:
    made = Canvas()
    qtbot.addWidget(made)
    made.resize(WIDE, TALL)
    made.set_style(PLAIN)
    look(made, OUTSIDE)
    with qtbot.waitExposed(made):
        made.show()
    QCoreApplication.processEvents()
    if made.failed:
        pytest.skip(made.failed)
    return made


def look(canvas: Canvas, camera: Camera) -> None:
    canvas.set_camera(view_matrix(camera), projection_matrix(camera, WIDE / TALL, NEAR, 100.0))


def until(done: Callable[[], bool], seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end
        QCoreApplication.processEvents()


def settled(canvas: Canvas) -> NDArray[np.int64]:
    QCoreApplication.processEvents()
    until(lambda: canvas.complete)
    return on_screen(canvas)


def on_screen(canvas: Canvas) -> NDArray[np.int64]:
    image = canvas._image
    assert image is not None
    pixels = np.frombuffer(image.constBits(), np.uint8).reshape(image.height(), image.width(), 4)
    return pixels[..., 2::-1].astype(np.int64)


def whole(canvas: Canvas) -> NDArray[np.int64]:
    return canvas.render_image(WIDE, TALL)[..., :3].astype(np.int64)


def shuffled(splats: Splats, seed: int = 1) -> Splats:
    """The same, in another order in memory."""
    order = np.random.default_rng(seed).permutation(len(splats.xyz))
    return replace(splats, **{name: getattr(splats, name)[order] for name in PARTS})


def test_what_settles_is_the_exact_picture_whatever_the_order_in_memory(canvas: Canvas) -> None:
    splats = ball(3000, coefficients=4)
    canvas.set_things([splats])
    first = settled(canvas)
    assert np.abs(first - whole(canvas)).max() <= 1
    assert first.max() > 100
    canvas.set_things([shuffled(splats)])
    assert np.abs(settled(canvas) - first).max() <= 2
    look(canvas, Camera(eye=(-2.4, 1.9, 1.5)))
    turned = settled(canvas)
    assert np.abs(turned - first).max() > 100
    assert np.abs(turned - whole(canvas)).max() <= 1


def test_while_the_hand_moves_no_more_splats_are_drawn_than_the_budget_allows(
    canvas: Canvas, monkeypatch: pytest.MonkeyPatch
) -> None:
    canvas.set_things([ball(20_000, coefficients=1)])
    settled(canvas)
    drawn: list[int] = []
    advance = items.SplatsItem.blend

    def counted(item: items.SplatsItem, shot: Any, amount: int, *into: Any) -> int:
        begun = item._drawn
        found = advance(item, shot, amount, *into)
        drawn.append(item._drawn - begun)
        return found

    monkeypatch.setattr(items.SplatsItem, "blend", counted)
    monkeypatch.setattr(type(canvas.pace), "learn", lambda *_, **__: None)
    canvas.pace.budget, canvas.pace.factor = 6000, 0.5
    canvas.interacting(True)
    for k in range(1, 6):
        look(canvas, Camera(eye=(2.4, -2.4 + 0.1 * k, 1.5)))
        until(lambda: len(drawn) > 0)
        QCoreApplication.processEvents()
    time.sleep(0.05)
    drawn.clear()
    look(canvas, Camera(eye=(2.4, -1.0, 1.5)))
    until(lambda: len(drawn) > 0)
    assert 500 < max(drawn) <= 6000 // items.COST + 1
    rough = on_screen(canvas)
    drawn.clear()
    canvas.interacting(False)
    fine = settled(canvas)
    assert sum(drawn) >= 19_000  # all that is in front, in slices
    assert len(drawn) > 10
    assert np.abs(fine - whole(canvas)).max() <= 1
    assert 0 < np.abs(rough - fine).mean() < 30  # a budget's picture is one of the same scene


def test_what_trains_is_never_seen_half_drawn(canvas: Canvas, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each picture on screen is a whole one of some state, however the paints fall."""
    monkeypatch.setattr(type(canvas.pace), "learn", lambda *_, **__: None)
    monkeypatch.setattr(splats_rows, "PIECE", 500)
    states = [ball(n, coefficients=4, seed=k) for k, n in enumerate((4000, 5000, 3000, 6000))]
    wanted = []
    for state in states:
        canvas.set_things([state])
        wanted.append(whole(canvas))
    canvas.set_things([states[0]])
    canvas.pace.budget = 3000
    settled(canvas)
    seen: list[NDArray[np.int64]] = []
    canvas.drawn.connect(lambda _: seen.append(on_screen(canvas)))
    for state in states[1:]:
        canvas.set_things([state])
        for _ in range(9):
            QCoreApplication.processEvents()
    settled(canvas)
    off = [min(int(np.abs(picture - one).max()) for one in wanted) for picture in seen]
    assert len(seen) > 10
    assert max(off) <= 1
    assert np.abs(on_screen(canvas) - wanted[-1]).max() <= 1


def test_pictures_come_though_the_arrays_change_faster_than_they_are_drawn(
    canvas: Canvas, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(canvas.pace), "learn", lambda *_, **__: None)
    canvas.set_things([ball(4000, coefficients=1)])
    canvas.pace.budget = 3000
    settled(canvas)
    first = on_screen(canvas)
    fresh: list[bool] = []
    canvas.drawn.connect(lambda _: fresh.append(bool(np.abs(on_screen(canvas) - first).max() > 20)))
    for k in range(60):
        canvas.set_things([ball(4000, coefficients=1, seed=k + 1)])
        QCoreApplication.processEvents()
    assert any(fresh)


def test_what_is_solid_moves_and_the_splats_are_not_drawn_again_where_it_does_not(
    canvas: Canvas, monkeypatch: pytest.MonkeyPatch
) -> None:
    splats = ball(2000, coefficients=1)
    corners = np.array([[-3, 0, -3], [3, 0, -3], [3, 0, 3], [-3, 0, 3]], np.float32)
    faces = np.array([[0, 1, 2], [0, 2, 3]], np.int32)
    wall = Mesh(name="wall", vertices=corners, faces=faces)
    canvas.set_things([splats, wall])
    first = settled(canvas)
    calls: list[int] = []
    advance = items.SplatsItem.blend

    def counted(item: items.SplatsItem, shot: Any, amount: int, *into: Any) -> int:
        calls.append(amount)
        return advance(item, shot, amount, *into)

    monkeypatch.setattr(items.SplatsItem, "blend", counted)
    canvas.set_things([replace(splats, name="splats"), wall])
    assert np.array_equal(settled(canvas), first)
    assert not calls
    nearer = replace(wall, vertices=corners + np.array([0, -0.5, 0], np.float32))
    canvas.set_things([splats, nearer])
    assert np.abs(settled(canvas) - first).max() > 50
    assert calls
    assert np.abs(on_screen(canvas) - whole(canvas)).max() <= 1


def test_the_depth_of_what_covers_a_pixel_can_be_read(canvas: Canvas) -> None:
    look(canvas, Camera(eye=(0.0, -4.0, 0.0), fov=40.0))
    near, far = one((0, -1, 0), alpha=0.7), one((0, 1, 0), alpha=0.9)
    parts: dict[str, Any] = {name: np.concatenate([getattr(near, name), getattr(far, name)]) for name in PARTS}
    both = replace(near, **parts)
    for thing, wanted in ((both, (0.7 * 3 + 0.3 * 0.9 * 5) / 0.97), (one(alpha=0.4), None)):
        canvas.set_things([thing])
        settled(canvas)
        found = canvas.read_depth(WIDE / 2, TALL / 2, 0)
        assert (found is None) if wanted is None else found == pytest.approx(wanted, abs=0.02)
    canvas.set_colour_by("one", "ellipsoids")
    canvas.set_things([one(deviations=(0.4, 0.4, 0.4))])
    settled(canvas)
    assert canvas.read_depth(WIDE / 2, TALL / 2, 0) == pytest.approx(4 - 0.4 * items.ELLIPSOID, abs=0.01)


def test_where_floats_cannot_be_blended_centre_points_are_drawn_and_a_line_says_so(
    canvas: Canvas, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> None:
        raise RuntimeError("no")

    said: list[str] = []
    canvas.notice.connect(said.append)
    monkeypatch.setattr(splats_layer.Layer, "__init__", refuse)
    canvas.set_things([ball(500, coefficients=1)])
    found = settled(canvas)
    lit = (found.max(axis=2) > 0).mean()
    assert 0.005 < lit < 0.4
    assert said == ["Splats are drawn as their centre points: no."]


def test_splats_that_cannot_be_sorted_are_drawn_as_they_came_and_the_next_ones_in_order(
    canvas: Canvas, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise MemoryError("no room")

    said: list[str] = []
    canvas.notice.connect(said.append)
    monkeypatch.setattr(splats_order, "exact_order", broken)
    splats = ball(800, coefficients=1)
    canvas.set_things([splats])
    unsorted = settled(canvas)
    assert unsorted.max() > 50
    assert said == ["The splats of splats are not sorted: MemoryError: no room."]
    monkeypatch.undo()
    canvas.set_things([replace(splats, xyz=splats.xyz.copy())])
    found = settled(canvas)
    assert np.abs(found - whole(canvas)).max() <= 1
    assert np.abs(found - unsorted).max() > 20


def test_no_splats_at_all_are_a_picture_too(canvas: Canvas) -> None:
    none = replace(ball(1, coefficients=1), xyz=np.zeros((0, 3), np.float32))
    parts: dict[str, Any] = {name: getattr(none, name)[:0] for name in PARTS}
    canvas.set_things([replace(none, **parts)])
    assert settled(canvas).max() == 0
    assert whole(canvas).max() == 0


def test_what_has_no_room_in_a_texture_is_left_out_and_a_line_says_so(
    canvas: Canvas, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    canvas.notice.connect(said.append)
    splats = ball(500, coefficients=16)
    canvas.set_things([one()])
    settled(canvas)
    monkeypatch.setattr(canvas._inside.gpu, "largest", 36)
    canvas.set_things([splats])
    first = settled(canvas)
    assert said == ["splats: OpenGL has room for 432 of the 500 splats here; the rest is left out."]
    monkeypatch.setattr(canvas._inside.gpu, "largest", 16384)
    parts: dict[str, Any] = {name: getattr(splats, name)[:432] for name in PARTS}
    degree = splats_rows.best_degree(16, 432, 36)
    assert degree < 3
    parts["sh"] = parts["sh"][:, : (degree + 1) ** 2]
    canvas.set_things([replace(splats, **parts)])
    assert np.abs(settled(canvas) - first).max() <= 2


def test_harmonics_that_no_texture_can_hold_are_left_out() -> None:
    assert splats_rows.best_degree(16, 1_000_000, 16384) == 3
    assert splats_rows.best_degree(9, 1_000_000, 16384) == 2
    assert splats_rows.best_degree(16, 30_000_000, 16384) == 2
    assert splats_rows.best_degree(16, 200_000, 1024) == 1
    rows = splats_rows.Rows((), 1000, 3, "four", 64, lambda part: np.zeros((part.stop - part.start, 3, 4), np.float32))
    assert rows.per * 3 <= 64
    assert rows.texture.height * rows.per >= 1000
    rows.free()
