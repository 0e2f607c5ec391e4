"""Orders that are made on a CUDA device and copied into OpenGL's buffer there: what can be seen of it without one."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from OpenGL import GL

from engine.geometry.splats import order_cuda as splats_order_cuda
from engine.lane import done_here
from widgets.viewport.drawing import gpu, interop
from widgets.viewport.drawing.splats.rows import Ids

AHEAD = np.array([0.6, -0.5, 0.62, 1.0])


@pytest.fixture
def there(qapp: Any) -> Any:
    try:
        gpu.acquire()
    except gpu.TooOld as error:
        pytest.skip(str(error))
    yield
    gpu.release()


class Runtime:
    """Of ``cuda.bindings.runtime`` what is called, on memory of the processor's."""

    cudaGraphicsRegisterFlags = SimpleNamespace(cudaGraphicsRegisterFlagsWriteDiscard=2)
    cudaMemcpyKind = SimpleNamespace(cudaMemcpyDeviceToDevice=3)

    def __init__(self, refuses: str = "") -> None:
        self.calls: list[str] = []
        self.refuses = refuses

    def __getattr__(self, name: str) -> Any:
        def call(*arguments: Any) -> tuple[Any, ...]:
            self.calls.append(name.removeprefix("cuda").removeprefix("Graphics"))
            if name == self.refuses:
                return (999,)
            answers = {"cudaGraphicsGLRegisterBuffer": ("resource",), "cudaGraphicsResourceGetMappedPointer": (64, 400)}
            return 0, *answers.get(name, ())

        return call


def contents(ids: Ids) -> list[int]:
    assert ids._buffer is not None
    GL.glBindBuffer(GL.GL_TEXTURE_BUFFER, ids._buffer.handle)
    found = GL.glGetBufferSubData(GL.GL_TEXTURE_BUFFER, 0, 4 * ids.count)
    return [int(v) for v in np.asarray(found, np.uint8).view(np.uint32)]


def on_card(*numbers: int) -> splats_order_cuda.OnCard:
    return splats_order_cuda.OnCard(torch.tensor(numbers, dtype=torch.int32))


def test_torch_sorts_as_numpy_does(monkeypatch: pytest.MonkeyPatch) -> None:
    xyz = np.random.default_rng(0).normal(size=(5000, 3)).astype(np.float32)
    xyz[1::3] = xyz[::3][: len(xyz[1::3])]  # many are equally far
    plain = done_here("geometry.splats.order.exact_order", xyz=xyz, ahead=AHEAD)
    monkeypatch.setattr(splats_order_cuda, "card", lambda: torch.device("cpu"))
    for _ in range(2):
        found = done_here("geometry.splats.order.exact_order", xyz=xyz, ahead=AHEAD)
        assert np.array_equal(found.ids.host(), plain.ids)
        assert found.stretch == plain.stretch
        np.testing.assert_allclose(found.marks, plain.marks, rtol=1e-6)
        assert found.ids.host().dtype == np.uint32
    moved = xyz + np.float32(0.5)  # other places are not taken for those that are kept
    again = done_here("geometry.splats.order.exact_order", xyz=moved, ahead=AHEAD)
    monkeypatch.undo()
    assert np.array_equal(again.ids.host(), done_here("geometry.splats.order.exact_order", xyz=moved, ahead=AHEAD).ids)
    assert len(splats_order_cuda._places) <= splats_order_cuda.KEPT


def test_without_the_package_or_the_hardware_the_order_goes_round_by_the_processor(
    there: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(interop, "RUNTIME", "no.such.package")
    ids = Ids()
    ids.fill(on_card(3, 1, 2))
    assert contents(ids) == [3, 1, 2]
    ids.fill(np.array([7, 5], np.uint32))
    assert contents(ids) == [7, 5]
    ids.free()


def test_a_copy_on_the_card_maps_and_unmaps_and_the_buffer_is_given_back(
    there: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime = Runtime()
    monkeypatch.setattr(interop, "RUNTIME", "a_runtime")
    monkeypatch.setitem(sys.modules, "a_runtime", runtime)
    ids = Ids()
    for _ in range(2):
        ids.fill(on_card(3, 1, 2))
    copy = ["SetDevice", "MapResources", "ResourceGetMappedPointer", "Memcpy", "UnmapResources"]
    assert runtime.calls == ["SetDevice", "GLRegisterBuffer", *copy, *copy]
    runtime.calls.clear()
    ids.fill(on_card(*range(9)))  # a larger buffer is another one
    assert runtime.calls == ["UnregisterResource", "SetDevice", "GLRegisterBuffer", *copy]
    ids.free()
    assert runtime.calls[-1] == "UnregisterResource"


@pytest.mark.parametrize("refuses", ["cudaGraphicsGLRegisterBuffer", "cudaMemcpy", "cudaGraphicsMapResources"])
def test_what_cuda_refuses_is_not_tried_again(there: None, monkeypatch: pytest.MonkeyPatch, refuses: str) -> None:
    runtime = Runtime(refuses)
    monkeypatch.setattr(interop, "RUNTIME", "a_runtime")
    monkeypatch.setitem(sys.modules, "a_runtime", runtime)
    ids = Ids()
    ids.fill(on_card(4, 0))
    assert contents(ids) == [4, 0]
    if "Memcpy" in refuses:
        assert runtime.calls[-1] == "UnmapResources"
    runtime.calls.clear()
    ids.fill(on_card(0, 4))
    assert contents(ids) == [0, 4]
    assert not runtime.calls
    ids.free()
