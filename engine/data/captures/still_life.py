"""A scene that needs no file: a still life traced ray by ray, of a ball that mirrors, thin bars, a checkered cube and
a pane of tinted glass. Knows neither networks nor files.

What is hard for a radiance field is in it: looks that change with the view, structures of a pixel's width, sharp
texture, transparency; and every pixel's distance is known exactly. Colours are linear in light with no shadows: the
lamp is far away and everything else is the sky, so that a pixel depends on where it is seen from and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.data.captures.camera import Floats, Intrinsics
from engine.data.captures.capture import Capture, View
from engine.data.captures.source import CaptureSource, source_of
from engine.data.source import DataSet, Request
from engine.study import DataOption

VIEWS, HELD_OUT = 40, 8
SIDES = {"still_life": 100, "still_life_400": 400}
SAMPLES = 2
"""Rays along each side of a pixel."""
FOV = np.radians(40.0)
DISTANCE = 3.6
LAMP = np.array([0.48, -0.36, 0.8])
BALL, BALL_RADIUS = np.array([0.42, 0.12, 0.02]), 0.42
CUBE, CUBE_HALF = np.array([-0.5, -0.28, -0.12]), 0.28
PANE = np.array([-0.1, -0.62, 0.1])
PANE_HALF = np.array([0.36, 0.012, 0.5])
PANE_TINT, PANE_ALPHA = np.array([0.25, 0.75, 0.6]), 0.45
BARS = np.array([[-0.75, 0.45], [-0.5, 0.55], [-0.25, 0.62], [0.0, 0.66]])
BAR_RADIUS, BAR_TOP = 0.022, 0.75
FLOOR, FLOOR_RADIUS = -0.4, 1.15


@dataclass
class Hits:
    """The nearest surface of each ray so far: distance (N,), inf where there is none, normal and colour (N, 3), and
    how much of the sky it mirrors (N,)."""

    t: Floats
    normal: Floats
    colour: Floats
    mirror: Floats

    @classmethod
    def none(cls, count: int) -> Hits:
        far = np.full(count, np.inf)
        return cls(far, np.zeros((count, 3)), np.zeros((count, 3)), np.zeros(count))

    def take(self, t: Floats, normal: Floats, colour: Floats, mirror: float = 0.0) -> None:
        """Takes over where ``t`` is nearer; NaN and what lies behind is no hit."""
        with np.errstate(invalid="ignore"):
            nearer = (t > 1e-6) & (t < self.t)
        self.t = np.where(nearer, t, self.t)
        self.normal[nearer] = np.broadcast_to(normal, self.normal.shape)[nearer]
        self.colour[nearer] = np.broadcast_to(colour, self.colour.shape)[nearer]
        self.mirror[nearer] = mirror


# ---- shapes: distances along rays o + t d, NaN where they miss -------------------------------------------------------


def ball(o: Floats, d: Floats, centre: Floats, radius: float) -> Floats:
    """Where a ray of unit directions enters a ball, (N,)."""
    b = ((o - centre) * d).sum(1)
    c = np.square(o - centre).sum(1) - radius**2
    with np.errstate(invalid="ignore"):
        return np.asarray(-b - np.sqrt(b * b - c))


def box(o: Floats, d: Floats, centre: Floats, half: Floats | float) -> tuple[Floats, Floats]:
    """Where a ray enters a box, (N,), and the normal there, (N, 3)."""
    safe = np.where(np.abs(d) < 1e-12, 1e-12, d)
    one, other = (centre - half - o) / safe, (centre + half - o) / safe
    near, far = np.minimum(one, other), np.maximum(one, other)
    t, axis = near.max(1), near.argmax(1)
    normal = np.zeros_like(d)
    rows = np.arange(len(d))
    normal[rows, axis] = -np.sign(d[rows, axis])
    return np.where(t < far.min(1), t, np.nan), normal


def bar(o: Floats, d: Floats, at: Floats, radius: float, top: float) -> tuple[Floats, Floats]:
    """Where a ray enters an upright bar from the floor to ``top``, (N,), and the normal there, (N, 3)."""
    flat_o, flat_d = o[:, :2] - at, d[:, :2]
    a = np.maximum(np.square(flat_d).sum(1), 1e-12)
    b = (flat_o * flat_d).sum(1)
    with np.errstate(invalid="ignore"):
        t = (-b - np.sqrt(b * b - a * (np.square(flat_o).sum(1) - radius**2))) / a
        height = o[:, 2] + t * d[:, 2]
        t = np.where((height > FLOOR) & (height < top), t, np.nan)
    normal = np.zeros_like(d)
    normal[:, :2] = np.nan_to_num(flat_o + t[:, None] * flat_d) / radius
    return t, normal


# ---- the scene ------------------------------------------------------------------------------------------------------


def sky(d: Floats) -> Floats:
    """What is mirrored from direction ``d`` (N, 3): light above, a warm horizon, dark below, and the lamp."""
    up = d[:, 2:]
    colour = np.where(up > 0, [0.55, 0.7, 0.95] + 0.35 * (1 - up) ** 3, [0.32, 0.27, 0.24] * (1 + up))
    stripes = 0.12 * (np.sin(6 * np.arctan2(d[:, 1], d[:, 0])) > 0)[:, None]
    lamp = np.clip((d @ LAMP)[:, None], 0, 1) ** 200
    return np.asarray(np.clip(colour + stripes * (up > -0.2) + 2 * lamp, 0, 1))


def solids(o: Floats, d: Floats) -> Hits:
    """The nearest solid surface of each ray; the pane is not solid."""
    hits = Hits.none(len(o))
    with np.errstate(divide="ignore", invalid="ignore"):
        t = (FLOOR - o[:, 2]) / d[:, 2]
        at = o + t[:, None] * d
        t = np.where(np.hypot(at[:, 0], at[:, 1]) < FLOOR_RADIUS, t, np.nan)
        rings = np.sin(9 * np.hypot(at[:, 0], at[:, 1]))[:, None] > 0
    hits.take(t, np.array([0.0, 0.0, 1.0]), np.where(rings, [0.78, 0.74, 0.66], [0.52, 0.42, 0.34]))
    t = ball(o, d, BALL, BALL_RADIUS)
    hits.take(t, (o + np.nan_to_num(t)[:, None] * d - BALL) / BALL_RADIUS, np.array([0.75, 0.2, 0.16]), 0.8)
    t, normal = box(o, d, CUBE, CUBE_HALF)
    place = (o + np.nan_to_num(t)[:, None] * d - CUBE) / CUBE_HALF
    checks = (np.floor(place * 2.5 + 10) % 2).sum(1, keepdims=True) % 2 > 0
    tinted = 0.5 + 0.5 * np.abs(normal) @ np.array([[0.2, 0.5, 0.9], [0.9, 0.7, 0.1], [0.3, 0.8, 0.4]])
    hits.take(t, normal, np.where(checks, 0.92 * tinted, 0.12))
    for i, where in enumerate(BARS):
        t, normal = bar(o, d, where, BAR_RADIUS, BAR_TOP - 0.12 * i)
        hits.take(t, normal, np.array([[0.95, 0.75, 0.2], [0.2, 0.45, 0.9], [0.9, 0.9, 0.9], [0.85, 0.3, 0.6]][i]))
    return hits


def shaded(hits: Hits, d: Floats) -> Floats:
    """The colours (N, 3) in 0..1 of what rays in directions ``d`` (N, 3) hit; what missed has no meaning."""
    light = 0.35 + 0.65 * np.clip(hits.normal @ LAMP, 0, 1)
    glance = (hits.normal * d).sum(1, keepdims=True)
    mirrored = sky(d - 2 * glance * hits.normal)
    fresnel = hits.mirror * (0.35 + 0.65 * (1 - np.clip(-glance[:, 0], 0, 1)) ** 3)
    seen = hits.colour * light[:, None] * (1 - fresnel[:, None]) + mirrored * fresnel[:, None]
    return np.asarray(np.clip(seen, 0, 1))


def traced(o: Floats, d: Floats) -> tuple[Floats, Floats, Floats]:
    """Rays (N, 3) of unit directions -> colour (N, 3) in 0..1 multiplied by alpha, alpha (N,), and the distance (N,) to
    the first solid surface, NaN where there is none. Behind everything is nothing: alpha 0."""
    hits = solids(o, d)
    there = np.isfinite(hits.t)
    colour = np.where(there[:, None], shaded(hits, d), 0.0)
    alpha = there.astype(np.float64)
    t, _ = box(o, d, PANE, PANE_HALF)
    with np.errstate(invalid="ignore"):
        through = (t > 1e-6) & (t < hits.t)
    tint = np.where(through, PANE_ALPHA, 0.0)
    behind = 1 - tint
    colour = PANE_TINT * tint[:, None] + colour * behind[:, None]
    covered = np.asarray(tint + alpha * behind, np.float64)
    return np.asarray(colour, np.float64), covered, np.where(there, hits.t, np.nan)


# ---- the photographs ------------------------------------------------------------------------------------------------


def camera(side: int) -> Intrinsics:
    focal = side / 2 / np.tan(FOV / 2)
    return Intrinsics(side, side, focal, focal, side / 2, side / 2)


def poses(views: int = VIEWS, held_out: int = HELD_OUT) -> Iterator[tuple[str, str, Floats]]:
    """Name, split and pose of every view, on a dome in golden angles; the held-out ones lie between."""
    for split, count in (("train", views), ("held_out", held_out)):
        for i in range(count):
            turn = i * np.pi * (3 - np.sqrt(5)) + (0.0 if split == "train" else 1.1)
            height = 0.08 + 0.75 * (i + 0.5) / count
            flat = np.sqrt(1 - height**2)
            back = np.array([flat * np.cos(turn), flat * np.sin(turn), height])
            right = np.array([-np.sin(turn), np.cos(turn), 0.0])
            pose = np.eye(4)
            pose[:3, :3] = np.stack([right, np.cross(back, right), back], 1)
            pose[:3, 3] = DISTANCE * back
            yield f"{split.replace('_', ' ')} {i + 1}", split, pose


def photograph(pose: Floats, inside: Intrinsics) -> tuple[NDArray[np.uint8], Floats]:
    """What a camera sees: uint8 (H, W, 4), colours not multiplied by alpha, and the depth (H, W) along its axis
    where the ray through a pixel's centre ends, NaN where there is nothing."""
    h, w = inside.height, inside.width
    total = np.zeros((h * w, 4))
    for i in range(SAMPLES**2):
        shift = (np.array([i % SAMPLES, i // SAMPLES]) + 0.5) / SAMPLES - 0.5
        colour, alpha, _ = traced(*rays(pose, inside, shift))
        total += np.concatenate([colour, alpha[:, None]], 1) / SAMPLES**2
    total[:, :3] /= np.maximum(total[:, 3:], 1e-9)
    o, d = rays(pose, inside, np.zeros(2))
    depth = traced(o, d)[2] * -(d @ pose[:3, 2])
    return np.round(total.clip(0, 1) * 255).astype(np.uint8).reshape(h, w, 4), depth.reshape(h, w)


def rays(pose: Floats, inside: Intrinsics, shift: Floats) -> tuple[Floats, Floats]:
    """Origins and unit directions (H * W, 3) through every pixel's centre plus ``shift`` (2,)."""
    d = inside.directions(inside.centres() + shift) @ pose[:3, :3].T
    d /= np.linalg.norm(d, axis=1, keepdims=True)
    return np.broadcast_to(pose[:3, 3], d.shape), d


def _load(key: str, request: Request) -> CaptureSource:
    side = SIDES[key]
    views = []
    path = request.cache / "captures" / f"{key}-v1.npz"
    kept = _kept(path, side)
    places = list(poses(VIEWS, HELD_OUT))
    for i, (name, split, pose) in enumerate(places):
        request.report(i / len(places), f"photographing the still life, {i} of {len(places)}")
        pixels = photograph(pose, camera(side))[0] if kept is None else kept[i]
        views.append(View(name, pose, camera(side), split, pixels=pixels))
    if kept is None:
        _keep(path, np.stack([view.pixels for view in views if view.pixels is not None]))
    box_ = np.array([[-1.2, -1.2, -0.5], [1.2, 1.2, 1.0]])
    capture = Capture("Still life", tuple(views), box=box_)
    as_made = Request(
        request.cache,
        progress=request.progress,
        cancelled=request.cancelled,
        wishes={"orientation": "as it is", "fit": "as it is"},
    )
    text = "A scene that Mutoscope traces itself, on a transparent ground."
    return source_of(key, "Still life", text, capture, as_made)


def _kept(path: Path, side: int) -> NDArray[np.uint8] | None:
    """The photographs of an earlier time; None where there are none that fit."""
    try:
        with np.load(path, allow_pickle=False) as found:
            pixels = np.asarray(found["pixels"])
    except (OSError, ValueError, KeyError, EOFError):
        return None
    whole = pixels.shape == (VIEWS + HELD_OUT, side, side, 4) and pixels.dtype == np.uint8
    return pixels if whole else None


def _keep(path: Path, pixels: NDArray[np.uint8]) -> None:
    """Keeps them for the next time; where the disk refuses they are made again then."""
    part = path.with_name(f".{path.stem}.part.npz")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez(part, pixels=pixels)
        part.replace(path)
    except OSError:
        part.unlink(missing_ok=True)


def _option(key: str, cache: Path) -> DataOption:
    side = SIDES[key]
    return DataOption(
        key=key,
        title=f"Still life, {side} px",
        origin="traced by Mutoscope, on any machine the same",
        size=f"{VIEWS} photographs and {HELD_OUT} held out, {side} x {side}, with transparency",
        licence="ours",
        kind="captures",
    )


SETS = tuple(DataSet(key, partial(_option, key), partial(_load, key)) for key in SIDES)
