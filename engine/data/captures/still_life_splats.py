"""The still life as Gaussian splats without any training: its surfaces strewn with flat Gaussians whose harmonics are
fitted to what the rays of :mod:`engine.data.captures.still_life` see there. Made in a part of a second, on any machine
the same; knows no file and no window.

Some faint and some large splats hang in the air round it, as training leaves them: there is something to clean.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from engine.data.captures import still_life as life
from engine.geometry.splats.harmonics import basis
from engine.geometry.splats.transform import UPRIGHT, quaternions, transformed
from engine.scene import Splats

Floats = NDArray[np.float64]
DEGREE = 2
LOOKS = 24
"""Directions from which the colour of a splat is looked at."""
STILL = 0.02
"""How much the fit would rather have small coefficients: what no look has seen stays calm."""
OVERLAP, THIN = 0.62, 0.08
"""Deviations along a surface and across it, as shares of the distance between neighbours."""
SOLID, PANE_ALPHA = 0.95, 0.2
FLOATERS = 160
NAME = "Still life"


class Patch(NamedTuple):
    """Splats on one surface: middles, normals and, where they are longer one way, that direction (N, 3) each;
    deviations (N, 3) along it, across it and through the surface; alpha."""

    places: Floats
    normals: Floats
    along: Floats
    deviations: Floats
    alpha: float


def splats() -> Splats:
    """Some nine thousand Gaussians of degree 2, in the axes that splat files have: x right, y down, z ahead."""
    solid = [_floor(), _ball(), _cube(), _bars()]
    places, normals, along, deviations = (np.concatenate([getattr(p, n) for p in solid]) for n in Patch._fields[:4])
    sh = _coefficients(places, normals)
    alpha = np.full(len(places), SOLID)
    pane, air = _pane(), _floaters()
    tint = np.zeros((len(pane.places), *sh.shape[1:]))
    tint[:, 0] = (life.PANE_TINT - 0.5) / basis(np.zeros(3), 0)[0]
    grey = np.zeros((FLOATERS, *sh.shape[1:]))
    grey[:, 0] = (0.35 - 0.5) / basis(np.zeros(3), 0)[0] + 0.3 * np.sin(np.arange(FLOATERS))[:, None]
    parts = (places, pane.places, air.places)
    frame = _frames(
        np.concatenate([normals, pane.normals, air.normals]), np.concatenate([along, pane.along, air.along])
    )
    opacity = np.concatenate([alpha, np.full(len(pane.places), pane.alpha), _faint()])
    made = Splats(
        name=NAME,
        xyz=np.concatenate(parts).astype(np.float32),
        scales=np.log(np.concatenate([deviations, pane.deviations, air.deviations])).astype(np.float32),
        turns=quaternions(frame).astype(np.float32),
        opacity=np.log(opacity / (1 - opacity)).astype(np.float32),
        sh=np.concatenate([sh, tint, grey]).astype(np.float32),
    )
    steps = transformed(made, np.linalg.inv(UPRIGHT))
    while True:
        try:
            next(steps)
        except StopIteration as end:
            found: Splats = end.value
            return found


def _frames(normals: Floats, along: Floats) -> Floats:
    """Rotations (N, 3, 3) whose columns are a direction in the surface, the one across it, and the normal."""
    first = along - (along * normals).sum(1, keepdims=True) * normals
    first /= np.linalg.norm(first, axis=1, keepdims=True)
    return np.stack([first, np.cross(normals, first), normals], 2)


def _flat(places: Floats, normals: Floats, spacing: float, alpha: float = SOLID) -> Patch:
    """Round splats on a surface whose neighbours are ``spacing`` apart."""
    side = np.eye(3)[np.abs(normals).argmin(1)]
    deviations = np.tile([OVERLAP * spacing, OVERLAP * spacing, THIN * spacing], (len(places), 1))
    return Patch(places, normals, side, deviations, alpha)


def _spiral(count: int) -> tuple[Floats, Floats]:
    """Even places 0..1 and angles that go round in golden steps."""
    k = np.arange(count)
    return (k + 0.5) / count, k * np.pi * (3 - np.sqrt(5))


def _floor(spacing: float = 0.036) -> Patch:
    share, angle = _spiral(round(np.pi * life.FLOOR_RADIUS**2 / spacing**2))
    r = life.FLOOR_RADIUS * np.sqrt(share)
    places = np.stack([r * np.cos(angle), r * np.sin(angle), np.full_like(r, life.FLOOR)], 1)
    return _flat(places, np.tile([0.0, 0, 1], (len(r), 1)), spacing)


def _ball(spacing: float = 0.034) -> Patch:
    share, angle = _spiral(round(4 * np.pi * life.BALL_RADIUS**2 / spacing**2))
    height = 1 - 2 * share
    flat = np.sqrt(1 - height**2)
    normals = np.stack([flat * np.cos(angle), flat * np.sin(angle), height], 1)
    return _flat(life.BALL + life.BALL_RADIUS * normals, normals, spacing)


def _cube(along: int = 24) -> Patch:
    step = (np.arange(along) + 0.5) / along * 2 - 1
    u, v = (g.ravel() for g in np.meshgrid(step, step))
    places, normals = [], []
    for axis in range(3):
        for side in (-1.0, 1.0):
            place = np.insert(np.stack([u, v], 1), axis, side, axis=1)
            places.append(life.CUBE + life.CUBE_HALF * place)
            normals.append(np.tile(side * np.eye(3)[axis], (len(u), 1)))
    return _flat(np.concatenate(places), np.concatenate(normals), 2 * life.CUBE_HALF / along)


def _bars(round_it: int = 6, spacing: float = 0.05) -> Patch:
    """Long splats down each bar."""
    places, normals = [], []
    for i, (x, y) in enumerate(life.BARS):
        top = life.BAR_TOP - 0.12 * i
        heights = np.arange(life.FLOOR + spacing / 2, top, spacing)
        angle = np.arange(round_it) / round_it * 2 * np.pi
        out = np.stack([np.cos(angle), np.sin(angle), np.zeros(round_it)], 1)
        for height in heights:
            places.append(np.array([x, y, height]) + life.BAR_RADIUS * 0.8 * out)
            normals.append(out)
    deviations = [OVERLAP * spacing, life.BAR_RADIUS * 0.45, life.BAR_RADIUS * 0.1]
    count = len(places) * round_it
    up = np.tile([0.0, 0, 1], (count, 1))
    return Patch(np.concatenate(places), np.concatenate(normals), up, np.tile(deviations, (count, 1)), SOLID)


def _pane(spacing: float = 0.06) -> Patch:
    u, v = np.meshgrid(np.arange(-0.33, 0.34, spacing), np.arange(-0.47, 0.48, spacing))
    places = life.PANE + np.stack([u.ravel(), np.zeros(u.size), v.ravel()], 1)
    return _flat(places, np.tile([0.0, -1, 0], (len(places), 1)), spacing * 1.1, PANE_ALPHA)


def _floaters() -> Patch:
    """Blobs of all shapes in the air and outside."""
    random = np.random.default_rng(8)
    ways = random.normal(size=(FLOATERS, 3))
    ways /= np.linalg.norm(ways, axis=1, keepdims=True)
    places = ways * random.uniform(0.9, 2.2, (FLOATERS, 1))
    places[:, 2] = np.abs(places[:, 2]) * 0.6 - 0.2
    turned = np.linalg.qr(random.normal(size=(FLOATERS, 3, 3)))[0]
    deviations = 10 ** random.uniform(-2.2, -0.9, (FLOATERS, 3))
    return Patch(places, turned[:, 0], turned[:, 1], deviations, 0.0)


def _faint() -> Floats:
    return np.random.default_rng(9).uniform(0.02, 0.3, FLOATERS)


def _coefficients(places: Floats, normals: Floats) -> Floats:
    """Harmonics (N, K, 3) that give, from in front of the surface, the colours that rays find there."""
    share, angle = _spiral(LOOKS)
    height = 1 - 2 * share
    flat = np.sqrt(1 - height**2)
    ways = np.stack([flat * np.cos(angle), flat * np.sin(angle), height], 1)
    functions = basis(ways, DEGREE)
    seen = np.zeros((len(places), LOOKS, 3))
    weight = np.zeros((len(places), LOOKS))
    for k, way in enumerate(ways):
        front = normals @ way < -0.15
        along = np.broadcast_to(way, (int(front.sum()), 3))
        start = places[front] - 0.03 * along + 0.006 * normals[front]
        hits = life.solids(start, along)
        found = life.shaded(hits, along)
        weight[front, k] = np.isfinite(hits.t)
        seen[front, k] = np.where(np.isfinite(hits.t)[:, None], found, 0) - 0.5
    weighted = functions[None] * weight[..., None]
    square = np.einsum("nki,kj->nij", weighted, functions)
    calm = STILL * LOOKS * np.diag([0.0, *[1.0] * (functions.shape[1] - 1)]) + 1e-6 * np.eye(functions.shape[1])
    return np.asarray(np.linalg.solve(square + calm, np.einsum("nki,nkc->nic", weighted, seen)))
