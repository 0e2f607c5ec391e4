"""Splats as a window shows them, computed: on the processor in the place of a CUDA device."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from engine.geometry.splats import order_cuda as splats_order_cuda
from engine.lane import done_here
from engine.nn.splatting import Picture, rasterise, shown, view_at
from engine.scene import Splats

WIDE, TALL, NEAR, FAR, FOV = 96, 64, 0.05, 100.0, 45.0
EYE = (2.4, -2.4, 1.5)
PARTS = ("xyz", "scales", "turns", "opacity", "sh")


@pytest.fixture(autouse=True)
def device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(splats_order_cuda, "card", lambda: torch.device("cpu"))
    monkeypatch.setattr(shown, "_held", {})


def ball(n: int = 250, seed: int = 0) -> Splats:
    random = np.random.default_rng(seed)
    sh = random.normal(0, 0.2, (n, 4, 3))
    sh[:, 0] *= 6
    return Splats(
        name="s", xyz=random.normal(0, 0.6, (n, 3)).astype(np.float32),
        scales=random.normal(-2, 0.5, (n, 3)).astype(np.float32), turns=random.normal(size=(n, 4)).astype(np.float32),
        opacity=random.normal(0, 2, n).astype(np.float32), sh=sh.astype(np.float32),
    )  # fmt: skip


def view_matrix() -> NDArray[np.float64]:
    """To x right, y up, looking along -z."""
    pose = view_at(EYE, (0, 0, 0), (0, 0, 1), FOV, WIDE, TALL).pose.double().numpy()
    return np.asarray(np.diag([1.0, -1.0, -1.0, 1.0]) @ pose)


def projection() -> NDArray[np.float64]:
    f = 1 / math.tan(math.radians(FOV / 2))
    a, b = (FAR + NEAR) / (NEAR - FAR), 2 * FAR * NEAR / (NEAR - FAR)
    return np.array([[f * TALL / WIDE, 0, 0, 0], [0, f, 0, 0], [0, 0, a, b], [0, 0, -1, 0]])


def part(splats: Splats, world: Any = None, **more: Any) -> dict[str, Any]:
    world = np.eye(4) if world is None else world
    rest: dict[str, Any] = {"keep": None, "marked": None, "planes": np.zeros((0, 4)), "size": 1.0, "by_depth": False}
    return {"splats": splats, "view": view_matrix() @ world, **rest, **more}


def computed(*parts: dict[str, Any], times: int = 1) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Colour times alpha and alpha (H, W, 4), and depth times alpha (H, W), row 0 at the top."""
    found = done_here(
        "nn.splatting.shown.picture", parts=parts, projection=projection(), width=WIDE, height=TALL,
        near_far=(1.0, 6.0), mark=(1.0, 0.5, 0.0), times=times,
    )  # fmt: skip
    assert found.seconds > 0
    assert found.colour.size == WIDE * TALL * 8
    assert found.distance.size == WIDE * TALL * 4
    assert found.colour.host().dtype == np.float16
    return found.colour.host()[::-1].astype(np.float64), found.distance.host()[::-1].astype(np.float64)


def wanted(splats: Splats) -> Picture:
    view = view_at(EYE, (0, 0, 0), (0, 0, 1), FOV, WIDE, TALL, near=NEAR)
    xyz, scales, turns, opacity, sh = (torch.tensor(getattr(splats, name)) for name in PARTS)
    with torch.no_grad():
        return rasterise(xyz, scales, turns, opacity, sh, view, torch.zeros(3), form="plain")[0]


def joined(*things: Splats) -> Splats:
    parts: dict[str, Any] = {name: np.concatenate([getattr(thing, name) for thing in things]) for name in PARTS}
    return replace(things[0], **parts)


def taken(splats: Splats, index: Any) -> Splats:
    parts: dict[str, Any] = {name: getattr(splats, name)[index] for name in PARTS}
    return replace(splats, **parts)


def alike(found: tuple[NDArray[np.float64], NDArray[np.float64]], picture: Picture) -> None:
    colour, distance = found
    assert picture.alpha.max() > 0.9
    np.testing.assert_allclose(colour[..., :3], picture.rgb.numpy(), atol=3e-3)
    np.testing.assert_allclose(colour[..., 3], picture.alpha.numpy(), atol=3e-3)
    np.testing.assert_allclose(distance, picture.depth.numpy(), atol=1e-2)


def test_it_is_the_rasterisers_picture_the_lowest_row_first() -> None:
    splats = ball()
    alike(computed(part(splats), times=2), wanted(splats))
    bigger = replace(splats, scales=splats.scales + np.float32(math.log(1.5)))
    alike(computed(part(splats, size=1.5)), wanted(bigger))


def test_things_that_reach_into_each_other_are_sorted_among_each_other() -> None:
    a, b = ball(seed=1), ball(seed=2)
    alike(computed(part(a), part(b)), wanted(joined(a, b)))


def test_a_thing_that_is_turned_and_grows_looks_as_if_its_numbers_did() -> None:
    splats = taken(ball(), slice(None))
    splats = replace(splats, sh=splats.sh[:, :1])  # harmonics turn with the thing
    angle, scale = 0.8, 1.4
    world = np.eye(4)
    world[:2, :2] = [[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]]
    world[:3, :3] *= scale
    world[:3, 3] = 0.2, -0.1, 0.3
    w, x, y, z = splats.turns.T
    c, s = math.cos(angle / 2), math.sin(angle / 2)
    moved = replace(
        splats, xyz=(splats.xyz @ world[:3, :3].T + world[:3, 3]).astype(np.float32),
        scales=splats.scales + np.float32(math.log(scale)),
        turns=np.stack([c * w - s * z, c * x - s * y, c * y + s * x, c * z + s * w], 1).astype(np.float32),
    )  # fmt: skip
    alike(computed(part(splats, world)), wanted(moved))


def test_what_is_hidden_cut_or_broken_is_not_there() -> None:
    splats = ball()
    keep = np.arange(250) % 3 > 0
    alike(computed(part(splats, keep=keep)), wanted(taken(splats, keep)))
    planes = np.array([[1.0, 0.0, 0.0, 0.1]])
    alike(computed(part(splats, planes=planes)), wanted(taken(splats, splats.xyz[:, 0] >= -0.1)))
    xyz, turns, sh = splats.xyz.copy(), splats.turns.copy(), splats.sh.copy()
    xyz[::5], turns[1::5], sh[2, 0, 0] = np.nan, 0, np.nan
    whole = np.arange(250) % 5 > 1
    zero = np.nan_to_num(sh)
    alike(computed(part(replace(splats, xyz=xyz, turns=turns, sh=sh))), wanted(taken(replace(splats, sh=zero), whole)))


def test_what_is_selected_is_tinted_and_depth_is_grey() -> None:
    splats = ball()
    plain, _ = computed(part(splats))
    marked, _ = computed(part(splats, marked=np.ones(250, bool)))
    mark = np.array([1.0, 0.5, 0.0])
    np.testing.assert_allclose(marked[..., :3], 0.3 * plain[..., :3] + 0.7 * mark * plain[..., 3:], atol=4e-3)
    grey, distance = computed(part(splats, by_depth=True))
    np.testing.assert_allclose(grey[..., 0], grey[..., 3] - (distance - grey[..., 3]) / 5, atol=5e-3)


def test_arrays_go_to_the_device_once_and_leave_it(monkeypatch: pytest.MonkeyPatch) -> None:
    things = [ball(seed=k) for k in range(4)]
    for thing in things:
        computed(part(thing))
    assert len(shown._held) == shown.KEPT
    kept = [id(rows[0]) for _, rows in shown._held.values()]
    computed(part(replace(things[3], size=2.0)))
    assert sorted(id(rows[0]) for _, rows in shown._held.values()) == sorted(kept)
    changed = replace(things[3], opacity=things[3].opacity + 1)
    alike(computed(part(changed)), wanted(changed))


def test_what_cannot_be_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="no turn with one scale"):
        computed(part(ball(), np.diag([1.0, 2.0, 1.0, 1.0])))
    monkeypatch.setattr(splats_order_cuda, "card", lambda: None)
    with pytest.raises(RuntimeError, match="no CUDA device"):
        computed(part(ball()))
