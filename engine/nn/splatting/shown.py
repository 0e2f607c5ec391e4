"""Splats as a window shows them, computed on the CUDA device: a job of the view lane. Knows no OpenGL and no window.

The picture stays on the device, for a copy straight into the textures that OpenGL lays over its scene.
"""

from __future__ import annotations

import math
import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.geometry.splats import order_cuda as splats_order_cuda
from engine.nn.splatting.blending import blend
from engine.nn.splatting.projection import Projected, project
from engine.nn.splatting.view import View
from engine.scene import Splats

TINT = 0.7
"""Share of the mark's colour in what is selected."""
SIMILAR = 1e-4
"""How far from a turn with one scale a thing's matrix may be."""
_held: dict[tuple[int, ...], tuple[tuple[Any, ...], tuple[Tensor, ...]]] = {}
"""By the addresses of a thing's arrays: the arrays, and their copies on the device. The last ones used are the last."""
KEPT = 2
"""Things whose copies are kept, or as many as the last picture had."""


@dataclass(frozen=True)
class Part:
    """A thing's ``splats``; ``view`` (4, 4) leads from its coordinates to the camera's (x right, y up, looking along
    -z); ``keep`` and ``marked`` bool (N,) or None; ``planes`` (K, 4) in its own coordinates; ``size`` multiplies the
    deviations; ``by_depth`` shows greys."""

    splats: Splats
    view: NDArray[np.float64]
    keep: Any
    marked: Any
    planes: NDArray[np.float64]
    size: float
    by_depth: bool


@dataclass(frozen=True, eq=False)
class Plane:
    """A picture's numbers on a device, (H, W, ...), row 0 at the bottom, all work on which is done."""

    tensor: Tensor

    @property
    def pointer(self) -> int:
        return self.tensor.data_ptr()

    @property
    def device(self) -> int:
        return self.tensor.device.index or 0

    @property
    def size(self) -> int:
        """Bytes."""
        return self.tensor.numel() * self.tensor.element_size()

    def host(self) -> NDArray[Any]:
        return np.asarray(self.tensor.cpu().numpy())


@dataclass(frozen=True, eq=False)
class Shown:
    """``colour`` float16 (H, W, 4), times alpha, and alpha; ``distance`` float32 (H, W), depth times alpha; it took
    ``seconds``."""

    colour: Plane
    distance: Plane
    seconds: float


def picture(
    parts: Sequence[dict[str, Any]], projection: Any, width: int, height: int,
    near_far: tuple[float, float], mark: tuple[float, float, float], times: int = 1,
) -> Generator[None, None, Shown]:  # fmt: skip
    """All ``parts`` (fields of :class:`Part`) among each other, nearest in front. ``projection`` (4, 4) is OpenGL's, in
    perspective; ``near_far`` are the distances that greys are spread over. It is made ``times`` times, for the last
    one's seconds. RuntimeError without a device, ValueError where a thing's matrix shears."""
    device = splats_order_cuda.card()
    if device is None:
        raise RuntimeError("there is no CUDA device")
    given = [Part(**part) for part in parts]
    for _ in range(times - 1):
        _picture(given, np.asarray(projection), width, height, near_far, mark, device)
        yield
    return _picture(given, np.asarray(projection), width, height, near_far, mark, device)


def _picture(
    parts: Sequence[Part], projection: NDArray[np.float64], width: int, height: int, near_far: tuple[float, float],
    mark: tuple[float, float, float], device: torch.device,
) -> Shown:  # fmt: skip
    begin = time.perf_counter()
    with torch.no_grad():
        found = [_projected(part, projection, width, height, near_far, mark, device) for part in parts]
        while len(_held) > max(KEPT, len(parts)):
            del _held[next(iter(_held))]
        joined = found[0]
        if len(found) > 1:
            names = ("centres", "conics", "depth", "rgb", "opacity", "radius", "visible")
            joined = Projected(*(torch.cat([getattr(p, name) for p in found]) for name in names))
        seen = blend(joined, width, height, torch.zeros(3, device=device))
        colour = torch.cat([seen.rgb, seen.alpha[..., None]], 2).flip(0).half().contiguous()
        distance = seen.depth.flip(0).contiguous()
        if device.type == "cuda":
            torch.cuda.current_stream(device).synchronize()
    return Shown(Plane(colour), Plane(distance), time.perf_counter() - begin)


def _projected(
    part: Part, projection: NDArray[np.float64], width: int, height: int, near_far: tuple[float, float],
    mark: tuple[float, float, float], device: torch.device,
) -> Projected:  # fmt: skip
    splats, p = part.splats, projection
    turn = part.view[:3, :3]
    scale = abs(float(np.linalg.det(turn))) ** (1 / 3)
    if not scale > 0 or np.abs(turn @ turn.T / scale**2 - np.eye(3)).max() > SIMILAR:
        raise ValueError(f"{splats.name}: its transform is no turn with one scale")
    # The camera comes nearer by the scale in place of the thing growing: the picture is the same.
    pose = np.eye(4)
    pose[:3] = np.diag([1.0, -1.0, -1.0]) @ part.view[:3] / scale
    near, far = p[2, 3] / (p[2, 2] - 1), p[2, 3] / (p[2, 2] + 1)
    view = View(
        torch.tensor(pose, dtype=torch.float32, device=device), p[0, 0] * width / 2, p[1, 1] * height / 2,
        (1 - p[0, 2]) * width / 2, (1 + p[1, 2]) * height / 2, width, height, float(near / scale),
    )  # fmt: skip
    xyz, scales, turns, opacity, sh, good = _on_device(splats, device)
    out = project(xyz, scales + math.log(part.size), turns, opacity, sh, view, splats.degree, splats.antialiased)
    depth = out.depth * scale
    visible, rgb = out.visible & good & (depth <= float(far)), out.rgb
    for plane in part.planes:
        row = torch.tensor(plane, dtype=torch.float32, device=device)
        visible &= xyz @ row[:3] + row[3] >= 0
    if part.keep is not None:
        visible &= torch.tensor(np.asarray(part.keep, bool), device=device)
    if part.by_depth:
        low, high = near_far
        rgb = (1 - (depth - low) / (high - low)).clamp(0, 1)[:, None].expand(-1, 3)
    if part.marked is not None:
        marked = torch.tensor(np.asarray(part.marked, bool), device=device)[:, None]
        rgb = torch.where(marked, torch.lerp(rgb, torch.tensor(mark, device=device), TINT), rgb)
    return replace(out, depth=depth, rgb=rgb, visible=visible)


def _on_device(splats: Splats, device: torch.device) -> tuple[Tensor, ...]:
    """The five arrays, and which splats have finite numbers throughout; copied once: the very same arrays are the same
    splats."""
    arrays = splats.xyz, splats.scales, splats.turns, splats.opacity, splats.sh
    key = tuple(id(array) for array in arrays)
    kept = _held.pop(key, None)
    if kept is None or kept[1][0].device != device:
        rows = [torch.tensor(np.asarray(array, np.float32), device=device) for array in arrays]
        good = rows[2].norm(dim=1) > 0
        for row in rows[:4]:
            good &= row.view(len(row), -1).isfinite().all(1)
        rows[4] = rows[4].nan_to_num()
        kept = arrays, (*rows, good)
    _held[key] = kept
    return kept[1]
