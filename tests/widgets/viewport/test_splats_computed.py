"""Pictures of splats that are computed in place of OpenGL's: when, and that they are the same. Without CUDA, on the
processor in its place."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PySide6.QtCore import QCoreApplication

from engine.geometry.splats import order_cuda as splats_order_cuda
from engine.nn.splatting import shown
from engine.scene import Mesh
from tests.widgets.viewport.some_splats import ball, one
from tests.widgets.viewport.test_splats_interop import Runtime
from tests.widgets.viewport.test_splats_live import TALL, WIDE, canvas, look, on_screen, settled, until, whole
from widgets.viewport.camera import Camera
from widgets.viewport.canvas import Canvas
from widgets.viewport.drawing import interop
from widgets.viewport.drawing.gpu import Gpu, Texture, acquire, release
from widgets.viewport.drawing.splats import choice as splats_choice
from widgets.viewport.drawing.splats.choice import COMPUTED, OPENGL, Choice, Stopwatch
from widgets.viewport.drawing.splats.sent import Sent

__all__ = ["canvas"]

WALL = Mesh(
    name="wall", vertices=np.array([[-3, 0, -3], [3, 0, -3], [3, 0, 3]], np.float32),
    faces=np.array([[0, 1, 2]], np.int32),
)  # fmt: skip


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The processor in the place of a CUDA device, which wins; a list of how often it was asked for a picture."""
    asked: list[int] = []
    picture = shown._picture

    def counted(*arguments: Any) -> Any:
        asked.append(len(arguments[0]))
        return picture(*arguments)

    monkeypatch.setattr(splats_order_cuda, "card", lambda: torch.device("cpu"))
    monkeypatch.setattr(shown, "_picture", counted)
    monkeypatch.setattr(splats_choice, "BETTER", 1e9)
    monkeypatch.setattr(splats_choice.choice, "_found", {})
    return asked


def chosen(canvas: Canvas) -> None:
    """Until both ways were measured."""
    settled(canvas)
    until(lambda: any(found.computed is not None for found in splats_choice.choice._found.values()))


# ---- the choice -----------------------------------------------------------------------------------------------------


def test_the_sooner_way_is_taken_once_both_are_known() -> None:
    choice, size = Choice(), Choice.class_of(1_000_000, 1920 * 1080)
    assert (choice.way(size), choice.lacks(size)) == (OPENGL, OPENGL)
    choice.took(size, OPENGL, 0.010)
    assert (choice.way(size), choice.lacks(size)) == (OPENGL, COMPUTED)
    choice.took(size, COMPUTED, 0.009)
    assert (choice.way(size), choice.lacks(size)) == (OPENGL, "")  # not by enough
    choice.took(size, COMPUTED, 0.005)
    assert choice.way(size) == COMPUTED
    assert Choice.class_of(1_040_000, 1900 * 1080) == size
    assert choice.lacks(Choice.class_of(4_000_000, 1920 * 1080)) == OPENGL


def test_a_stopwatch_counts_what_the_card_does(canvas: Canvas) -> None:
    gpu: Gpu = acquire()
    watch = Stopwatch()
    assert watch.read() is None
    watch.running = True
    for _ in range(2):
        with watch.lap():
            gpu.wait()
    assert watch.read() is None
    watch.stop()
    until(lambda: watch.read() is not None)
    assert 0 <= (watch.read() or 0.0) < 10
    watch.reset()
    assert watch.read() is None
    with watch.lap():  # it does not run
        pass
    assert watch._queries == []
    release()


# ---- pictures -------------------------------------------------------------------------------------------------------


def test_computed_pictures_take_over_and_are_the_same(canvas: Canvas, device: list[int]) -> None:
    canvas.set_things([ball(1500, coefficients=4)])
    chosen(canvas)
    assert device == [1, 1]  # the second counts
    for eye in ((-2.4, 1.9, 1.5), (2.0, 2.4, -1.0)):
        begun = len(device)
        look(canvas, Camera(eye=eye))
        found = settled(canvas)
        assert len(device) == begun + 1
        drawn = whole(canvas)  # by OpenGL, as all pictures that are written
        assert drawn.max() > 100
        assert np.abs(found - drawn).max() <= 4
        assert np.abs(found - drawn).mean() < 0.5
        assert len(device) == begun + 1


def test_depth_can_be_read_from_it(canvas: Canvas, device: list[int]) -> None:
    look(canvas, Camera(eye=(0.0, -4.0, 0.0), fov=40.0))
    canvas.set_things([one((0, -1, 0), alpha=0.7)])
    chosen(canvas)
    look(canvas, Camera(eye=(0.0, -5.0, 0.0), fov=40.0))
    settled(canvas)
    assert len(device) == 3
    assert canvas.read_depth(WIDE / 2, TALL / 2, 0) == pytest.approx(4.0, abs=0.02)


def test_things_that_reach_into_each_other_are_one_picture(canvas: Canvas, device: list[int]) -> None:
    """Two shells of needles through each other: as one thing and as two."""
    splats = ball(1200, coefficients=1)
    odd = np.arange(1200) % 2 == 1
    halves = []
    for name, part in (("odd", odd), ("even", ~odd)):
        taken = {k: getattr(splats, k)[part] for k in ("xyz", "scales", "turns", "opacity", "sh")}
        halves.append(type(splats)(name=name, **taken))
    canvas.set_things([splats])
    together = whole(canvas)
    canvas.set_things(halves)
    chosen(canvas)
    canvas.redraw()
    found = settled(canvas)
    assert device[-1] == 2
    assert np.abs(found - together).max() <= 4


def test_what_is_solid_is_opengls(canvas: Canvas, device: list[int]) -> None:
    splats = ball(800, coefficients=1)
    canvas.set_things([splats])
    chosen(canvas)
    begun = len(device)
    canvas.set_things([splats, WALL])
    found = settled(canvas)
    assert len(device) == begun
    assert np.abs(found - whole(canvas)).max() <= 1
    canvas.set_things([splats])
    settled(canvas)
    assert len(device) == begun + 1
    canvas.set_opacity("splats", 0.5)
    assert np.abs(settled(canvas) - whole(canvas)).max() <= 1
    assert len(device) == begun + 1


def test_while_the_hand_moves_pictures_come_one_after_the_other(canvas: Canvas, device: list[int]) -> None:
    canvas.set_things([ball(800, coefficients=1)])
    chosen(canvas)
    before, seen = len(device), []
    canvas.drawn.connect(lambda _: seen.append(on_screen(canvas).sum()))
    canvas.interacting(True)
    for k in range(1, 25):
        look(canvas, Camera(eye=(2.4, -2.4 + 0.1 * k, 1.5)))
        QCoreApplication.processEvents()
    until(lambda: len(device) > before + 2)
    canvas.interacting(False)
    found = settled(canvas)
    assert len(set(seen)) > 2
    assert np.abs(found - whole(canvas)).max() <= 4


def test_a_device_that_breaks_down_is_told_of_and_opengl_goes_on(
    canvas: Canvas, device: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    canvas.notice.connect(said.append)
    canvas.set_things([ball(600, coefficients=1)])
    chosen(canvas)

    def broken(*_: Any) -> None:
        raise MemoryError("out of memory")

    monkeypatch.setattr(shown, "_picture", broken)
    look(canvas, Camera(eye=(-2.4, 1.9, 1.5)))
    until(lambda: bool(said))
    assert np.abs(settled(canvas) - whole(canvas)).max() <= 1
    assert said == ["OpenGL draws the splats, since CUDA could not: MemoryError: out of memory."]
    look(canvas, Camera(eye=(2.4, 1.9, 1.5)))
    assert np.abs(settled(canvas) - whole(canvas)).max() <= 1
    assert len(said) == 1


def test_where_it_takes_longer_or_there_is_no_device_nothing_is_computed(
    canvas: Canvas, device: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(splats_choice, "BETTER", 0.0)
    canvas.set_things([ball(600, coefficients=1)])
    chosen(canvas)
    look(canvas, Camera(eye=(-2.4, 1.9, 1.5)))
    assert np.abs(settled(canvas) - whole(canvas)).max() <= 1
    assert device == [1, 1]
    monkeypatch.setattr(splats_order_cuda, "card", lambda: None)
    splats_choice.choice._found.clear()
    canvas.set_things([ball(700, coefficients=1)])
    settled(canvas)
    look(canvas, Camera(eye=(2.4, 1.9, 1.5)))
    settled(canvas)
    assert device == [1, 1]


# ---- the way into the textures --------------------------------------------------------------------------------------


def plane(tensor: torch.Tensor) -> shown.Plane:
    return shown.Plane(tensor)


def contents(texture: Texture) -> Any:
    from OpenGL import GL

    texture.bind()
    found = np.empty((texture.height, texture.width), np.float32)
    GL.glGetTexImage(GL.GL_TEXTURE_2D, 0, GL.GL_RED, GL.GL_FLOAT, found)
    return found


def test_a_picture_is_copied_on_the_card_or_goes_round_by_the_processor(
    canvas: Canvas, monkeypatch: pytest.MonkeyPatch
) -> None:
    acquire()
    rows = torch.arange(12, dtype=torch.float32).reshape(3, 4)
    texture = Texture(4, 3, "one")
    monkeypatch.setattr(interop, "RUNTIME", "no.such.package")
    sent = Sent(texture)
    sent.send(plane(rows))
    assert not sent.can_share
    assert np.array_equal(contents(texture), rows.numpy())
    sent.free()

    runtime = Runtime()
    monkeypatch.setattr(interop, "RUNTIME", "a_runtime")
    monkeypatch.setitem(sys.modules, "a_runtime", runtime)
    sent = Sent(texture)
    for _ in range(2):
        sent.send(plane(rows))
    copy = ["SetDevice", "MapResources", "ResourceGetMappedPointer", "Memcpy", "UnmapResources"]
    assert runtime.calls == ["SetDevice", "GLRegisterBuffer", *copy, *copy]
    assert sent.can_share
    # What CUDA would have written, OpenGL takes from the buffer.
    assert sent._buffer is not None
    sent._buffer.fill(0, (rows + 100).numpy())
    from OpenGL import GL

    GL.glBindBuffer(GL.GL_PIXEL_UNPACK_BUFFER, 0)
    sent.send(plane(rows))
    assert np.array_equal(contents(texture), rows.numpy() + 100)
    sent.free()
    assert runtime.calls[-1] == "UnregisterResource"

    monkeypatch.setitem(sys.modules, "a_runtime", Runtime("cudaMemcpy"))
    sent = Sent(texture)
    sent.send(plane(rows + 7))
    assert not sent.can_share
    assert np.array_equal(contents(texture), rows.numpy() + 7)
    sent.free()
    texture.free()
    release()


def test_other_textures_are_filled_as_before_after_that(canvas: Canvas, monkeypatch: pytest.MonkeyPatch) -> None:
    """No buffer stays bound from which they would be filled instead."""
    acquire()
    monkeypatch.setattr(interop, "RUNTIME", "a_runtime")
    monkeypatch.setitem(sys.modules, "a_runtime", SimpleNamespace(**{n: getattr(Runtime(), n) for n in NAMES}))
    first, second = Texture(4, 3, "one"), Texture(4, 3, "one")
    sent = Sent(first)
    sent.send(plane(torch.zeros(3, 4)))
    rows = np.arange(12, dtype=np.float32).reshape(3, 4)
    second.fill(rows)
    assert np.array_equal(contents(second), rows)
    sent.free()
    first.free()
    second.free()
    release()


NAMES = (
    "cudaGraphicsRegisterFlags", "cudaMemcpyKind", "cudaSetDevice", "cudaGraphicsGLRegisterBuffer", "cudaMemcpy",
    "cudaGraphicsMapResources", "cudaGraphicsResourceGetMappedPointer", "cudaGraphicsUnmapResources",
    "cudaGraphicsUnregisterResource",
)  # fmt: skip
