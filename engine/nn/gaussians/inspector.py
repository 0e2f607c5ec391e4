"""What made a pixel: the Gaussians that it is blended of, one behind the other, as curves and in space.

Knows no growth and no loss.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.nn.gaussians.gaussians import Gaussians
from engine.nn.gaussians.looking import SplatStudy
from engine.nn.gaussians.pinhole import Shot
from engine.nn.looking import things as things_of
from engine.nn.looking.probes import PHOTO, PIXEL
from engine.nn.pictures import array
from engine.nn.splatting import contributions
from engine.nn.splatting.projection import rotations
from engine.payloads import Curves
from engine.probes import Choice, Number, Place, Toggle, probe
from engine.scene import Lines, Mesh, Scene

Floats = NDArray[np.float32]

MOST = 48
"""Ellipsoids that are drawn at most: those that count most."""
FAINTEST = 0.02
"""Those are drawn that count at least so much of what the first one does."""
ASIDE = 0.45
"""How far the view stands from the ellipsoids at first, as a share of how far the photograph does."""
ROWS = 24
"""Rows of the table at most."""


@dataclass(frozen=True)
class Pixel:
    """A pixel of a photograph: (``u``, ``v``) as shares of it, its ray's ``origin`` and unit ``direction`` (3,), and
    the Gaussians that it is blended of, nearest first: ``index``, ``alpha``, ``transmittance``, ``weight``, the
    distances ``t`` along the ray, all (S,), and the colours ``rgb`` (S, 3)."""

    u: float
    v: float
    origin: Tensor
    direction: Tensor
    index: Tensor
    alpha: Tensor
    transmittance: Tensor
    weight: Tensor
    t: Tensor
    rgb: Tensor


class InspectorProbes(SplatStudy):
    """The probes of one pixel."""

    def _pixel(self, shot: Shot, pixel: tuple[Place, ...]) -> Pixel:
        u, v = (min(max(value, 0.0), 1.0) for value in pixel[0][:2])
        view = shot.view
        x, y = (min(int(share * side), side - 1) + 0.5 for share, side in ((u, view.width), (v, view.height)))
        seen = self.projected(view)
        found = contributions(seen, x, y)
        own = torch.tensor([(x - view.cx) / view.fx, (y - view.cy) / view.fy, 1.0]).to(view.pose)
        way = view.pose[:3, :3].T @ own
        distance = seen.depth[found.index] * own.norm()
        return Pixel(u, v, view.eye, way / way.norm(), *found, distance, seen.rgb[found.index])

    @probe(
        Curves,
        title="What made it",
        refresh=1.0,
        photo=PHOTO,
        pixel=PIXEL,
        colours=Toggle(False, text="Whether the colour of each Gaussian is drawn too."),
    )
    def inspector(self, photo: str, pixel: tuple[Place, ...], colours: bool) -> Curves:
        """The Gaussians that one pixel is blended of, the nearest first: opacity α of each in that pixel, transmittance
        T that reaches it, and the weight T α with which its colour counts."""
        p = self._pixel(self.shot(photo), pixel)
        many = len(p.t)
        order = p.t.sort().values if many > 1 else torch.arange(2.0)
        lines = {"α": p.alpha, "T": p.transmittance, "weight": p.weight}
        if colours:
            lines |= {name: p.rgb[:, i].clamp(0, 1) for i, name in enumerate(("red", "green", "blue"))}
        if many < 2:  # a curve has two points at least
            lines = {name: torch.full((2,), float(values[0]) if many else 0.0) for name, values in lines.items()}
        left = 1 - float(p.weight.sum())
        words = f"{many} Gaussians" if many else "no Gaussian"
        return Curves(
            array(order),
            {name: array(values) for name, values in lines.items()},
            x_name="distance along the ray",
            caption=f"{words} in the pixel, {left:.0%} of the light passes",
        )

    @probe(
        Scene,
        title="Pixel in space",
        refresh=1.0,
        photo=PHOTO,
        pixel=PIXEL,
        colour=Choice(("weight", "own"), text="What colours the ellipsoids: how much they count, or their own colour."),
        size=Number(1.0, 0.2, 4.0, text="How many deviations from the middle their surface is drawn."),
    )
    def inspector_scene(self, photo: str, pixel: tuple[Place, ...], colour: str, size: float) -> Scene:
        """The same Gaussians as ellipsoids along the ray of the pixel. Drag the pixel over the photograph and see
        others."""
        shot = self.shot(photo)
        p = self._pixel(shot, pixel)
        depth = things_of.LARGER * self._depth()
        sheet = self._keep("sheet", (photo,), lambda: things_of.photo_sheet(shot.photo, depth))
        most = p.weight.max() if len(p.weight) else p.weight.sum()
        strong = p.weight.argsort(descending=True)[:MOST].sort().values
        strong = strong[p.weight[strong] >= FAINTEST * most]
        end = float(p.t[strong].max()) if len(strong) else 2 * depth
        ray = np.stack([array(p.origin), array(p.origin + end * p.direction)])[None]
        mean = (p.weight[:, None] * p.rgb).sum(0) + (1 - p.weight.sum()).clamp(min=0) * self.ground
        rows = [
            (f"{int(p.index[i]):,}", *(f"{float(x[i]):.3f}" for x in (p.t, p.alpha, p.transmittance, p.weight)))
            for i in p.weight.argsort(descending=True)[:ROWS].sort().values.tolist()
        ]
        return Scene(
            (
                sheet,
                things_of.pixel_handle(shot.photo, depth, (p.u, p.v), "pixel"),
                Lines(name="ray", ends=ray, colour=things_of.RAY_COLOUR, locked=True),
                ellipsoids(self.gaussians, p.index[strong], p.weight[strong], p.rgb[strong], size, colour == "own"),
                *self._frustums(),
                *self._frame(),
            ),
            caption=f"{shot.photo.view.name}: blended to {', '.join(f'{float(c):.2f}' for c in mean)}",
            readings={
                "Gaussians": float(len(p.t)),
                "half the weight in": float(_half(p.weight)),
                "light that passes": float((1 - p.weight.sum()).clamp(0, 1)),
            },
            table=tuple(rows),
            table_heads=("Gaussian", "distance", "alpha", "T", "weight"),
            home=_beside(p),
            world=self._world,
        )


def _beside(p: Pixel) -> tuple[Place, Place]:
    """A place to see the ray and what it meets from the side, and the middle of that."""
    far = float((p.weight * p.t).sum() / p.weight.sum().clamp(min=1e-6)) or 1.0
    target = array(p.origin + far * p.direction)
    aside = np.cross(array(p.direction), [0.0, 0.0, 1.0])
    size = float(np.linalg.norm(aside))
    aside = aside / size if size > 1e-3 else np.array([1.0, 0.0, 0.0])
    eye = target + ASIDE * far * (0.8 * aside - 0.5 * array(p.direction) + np.array([0.0, 0.0, 0.3]))
    return (float(eye[0]), float(eye[1]), float(eye[2])), (float(target[0]), float(target[1]), float(target[2]))


def _half(weight: Tensor) -> int:
    """How many of the largest weights (S,) make up half of all."""
    if not len(weight):
        return 0
    sums = weight.sort(descending=True).values.cumsum(0)
    return int((sums < 0.5 * sums[-1]).sum()) + 1


def ellipsoids(
    gaussians: Gaussians, index: Tensor, weight: Tensor, rgb: Tensor, size: float, own: bool
) -> Mesh:  # fmt: skip
    """The surfaces ``size`` deviations from the middles of the Gaussians ``index`` (S,), coloured by ``weight`` (S,) or
    in their ``own`` colours ``rgb`` (S, 3)."""
    ball, faces = _ball()
    rows = gaussians.rows(index)
    axes = rotations(rows["turns"]) * (size * rows["scales"].exp())[:, None]
    unit = torch.from_numpy(ball).to(axes)
    places = rows["xyz"][:, None] + unit @ axes.transpose(1, 2)
    inverse = rotations(rows["turns"]) * (-rows["scales"]).exp()[:, None]
    normals = torch.nn.functional.normalize(unit @ inverse.transpose(1, 2), dim=2)
    many = len(ball)
    triangles = faces[None] + many * np.arange(len(index), dtype=np.int32)[:, None, None]
    colours = np.rint(array(rgb).clip(0, 1) * 255).astype(np.uint8)
    return Mesh(
        name="ellipsoids",
        vertices=array(places.reshape(-1, 3)),
        faces=np.ascontiguousarray(triangles.reshape(-1, 3)),
        normals=array(normals.reshape(-1, 3)),
        rgb=np.repeat(colours, many, 0),
        scalars={"weight": np.repeat(array(weight), many)},
        colour_by="rgb" if own else "scalar:weight",
        opacity=0.85,
    )


def _ball(rings: int = 8, around: int = 14) -> tuple[Floats, NDArray[np.int32]]:
    """A ball's vertices (V, 3) and faces (F, 3), counter-clockwise from outside."""
    down = np.linspace(0, np.pi, rings + 1)
    turn = np.linspace(0, 2 * np.pi, around, endpoint=False)
    ring = np.stack(np.broadcast_arrays(np.sin(down[:, None]) * np.cos(turn), np.sin(down[:, None]) * np.sin(turn),
                                        np.cos(down[:, None])), -1)  # fmt: skip
    at = np.arange((rings + 1) * around).reshape(rings + 1, around)
    a, b = at[:-1], at[1:]
    c, d = np.roll(b, -1, 1), np.roll(a, -1, 1)
    faces = np.concatenate([np.stack([a, b, c], -1)[:].reshape(-1, 3), np.stack([a, c, d], -1)[1:].reshape(-1, 3)])
    return ring.reshape(-1, 3).astype(np.float32), faces.astype(np.int32)
