"""Files in 3-D: meshes and clouds of the person's own, side by side in one scene. Nothing is trained.

Each file is read once and kept until it changes or leaves the list; one that cannot be read becomes a line beside the
others. A large cloud is shown coarse at first, then sorted into an octree. Knows no window and no way of drawing.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from engine.formats.scene import SceneFileError, glimpse, named_apart, read, up_of
from engine.formats.scene.write import world
from engine.formats.splats import stood_up
from engine.geometry.splats.align import extent
from engine.probes import Choice, Paths, probe
from engine.scene import FILE_KINDS, Mesh, Points, Scene, Splats, Thing
from engine.study import Study

LARGE = 1_000_000
"""Points from which a cloud is shown coarse first and gets a tree."""
COARSE = 150_000
"""Points of the coarse picture."""
CAPACITY = 4096
"""Points of a leaf of the tree."""
SLICE = 1 << 19
FAR = 50.0
"""Files whose distances are so many times the widest of them are nothing but dots when seen together."""
HOW = (
    "An example. Drop PLY, OBJ, STL, OFF, GLB, PCD, XYZ, CSV, LAS, LAZ, NPY, NPZ, SPLAT or SPZ files here, or press "
    "Ctrl+Shift+O."
)

Stamp = tuple[int, int]


@dataclass(frozen=True)
class _Read:
    """A file as it was when it was read: ``stamp`` is its time and size."""

    stamp: Stamp
    things: tuple[Thing, ...] = ()
    notice: str = ""
    box: np.ndarray | None = None


class SceneFiles(Study):
    """Shows the points and meshes of your own files together, each in its own coordinates: pick, measure, cut, colour
    by height, normal, label or scalar, and save what you select."""

    title, family = "Files in 3-D", "3-D"
    paper = "The PLY Polygon File Format, G. Turk 1994; ASPRS LAS 1.4, 2011; glTF 2.0, Khronos 2017."
    try_this = (
        "Colour the scan by label, then by height: trees and hill part in one way, not in the other.",
        "Drop a file of your own on the window, then a second one: both stand in their own coordinates.",
        "Mark a part with the lasso and export it as GLB, then drop that file on the window: only the part comes back.",
    )

    @dataclass
    class Params:
        """Nothing to set before the files are read."""

    def build(self, device: torch.device) -> None:
        self._kept: dict[str, _Read] = {}

    @probe(
        Scene,
        title="Scene",
        files=Paths(FILE_KINDS, text="The files that stand in the scene."),
        up=Choice(("auto", "z", "y"), text="Which axis points up; auto goes by the first file's kind."),
    )
    def scene(self, files: tuple[str, ...], up: str) -> Iterator[float | Scene]:
        """All files together, each in its own coordinates; what cannot be read is told in a line."""
        if not files:
            yield _scene(example(), "z" if up == "auto" else up, caption=HOW)
            return
        up = up_of(files[0]) if up == "auto" else up
        self._kept = {path: kept for path, kept in self._kept.items() if path in files}
        for i, path in enumerate(files):
            stamp = _stamp(path)
            kept = self._kept.get(path)
            if kept is not None and kept.stamp == stamp:
                continue
            for part in _reading(path):
                if isinstance(part, _Read):
                    self._kept[path] = replace(part, stamp=stamp)
                elif isinstance(part, float):
                    yield min(0.999, (i + part) / len(files))
                else:  # a coarse picture; those that are read already stand beside it
                    ready = [t for p in files if p in self._kept for t in self._kept[p].things]
                    yield _scene([*ready, *part], up, progress=min(0.99, (i + 0.5) / len(files)))
        read_now = [self._kept[path] for path in files]
        yield _scene(
            [thing for kept in read_now for thing in kept.things],
            up,
            notices=tuple(kept.notice for kept in read_now if kept.notice)
            + _far_apart([kept.box for kept in read_now]),
        )


def _stamp(path: str) -> Stamp:
    """Time and size of a file; (0, 0) where it is not there."""
    try:
        stat = Path(path).stat()
    except (OSError, ValueError):
        return (0, 0)
    return (stat.st_mtime_ns, stat.st_size)


def _reading(path: str) -> Iterator[float | tuple[Thing, ...] | _Read]:
    """Progress, coarse things where there is much to come, and at last the file as it is read."""
    try:
        coarse = glimpse(path, COARSE, LARGE)
        if coarse is not None:
            yield (coarse,)
        things = yield from _scaled(read(path), 0.0, 0.6)
    except SceneFileError as e:
        yield _Read((0, 0), notice=str(e))
        return
    if coarse is None and any(_large(thing) for thing in things):
        yield tuple(_thinned(thing) if _large(thing) else thing for thing in things)
    done = []
    for n, thing in enumerate(things):
        if _large(thing):
            thing = yield from _scaled(_sorted(thing), 0.6 + 0.4 * n / len(things), 0.6 + 0.4 * (n + 1) / len(things))
        done.append(thing)
    yield _Read((0, 0), tuple(done), box=_box(tuple(done)))


def _scaled(steps: Generator[float, None, Any], lo: float, hi: float) -> Generator[float, None, Any]:
    """``steps`` with its progress within ``lo``..``hi``."""
    while True:
        try:
            part = next(steps)
        except StopIteration as end:
            return end.value
        yield lo + (hi - lo) * float(part)


def _large(thing: Thing) -> bool:
    return isinstance(thing, Points) and len(thing.xyz) > LARGE


def _pick(points: Points, index: Any) -> dict[str, Any]:
    """The arrays of some of the points."""
    parts = {name: getattr(points, name) for name in ("xyz", "rgb", "normals", "labels")}
    picked: dict[str, Any] = {name: None if a is None else a[index].copy() for name, a in parts.items()}
    picked["scalars"] = {name: a[index].copy() for name, a in points.scalars.items()}
    return picked


def _thinned(thing: Thing) -> Points:
    """Every k-th point of a cloud."""
    assert isinstance(thing, Points)
    step = slice(None, None, max(1, math.ceil(len(thing.xyz) / COARSE)))
    picked: dict[str, Any] = _pick(thing, step)
    return replace(thing, **picked)


def _sorted(thing: Thing) -> Generator[float, None, Points]:
    """A cloud in the order of its octree."""
    assert isinstance(thing, Points)
    from engine.geometry.tree import build_tree

    order, tree = yield from _scaled(build_tree(thing.xyz, CAPACITY), 0.0, 0.8)
    arrays = {name: getattr(thing, name) for name in ("xyz", "rgb", "normals", "labels")}
    named = {name: a for name, a in arrays.items() if a is not None}
    named |= {f"scalar {name}": a for name, a in thing.scalars.items()}
    moved: dict[str, Any] = {}
    for n, (name, array) in enumerate(named.items()):
        out = np.empty_like(array)
        for at in range(0, len(order), SLICE):  # a place to be given up every few tens of milliseconds
            np.take(array, order[at : at + SLICE], axis=0, out=out[at : at + SLICE])
            yield 0.8 + 0.2 * (n + at / len(order)) / len(named)
        moved[name] = out
    scalars = {name: moved.pop(f"scalar {name}") for name in thing.scalars}
    return replace(thing, **moved, scalars=scalars, tree=tree, index=order)


def _far_apart(boxes: list[np.ndarray | None]) -> tuple[str, ...]:
    """A line where what the files hold stands so far apart that seen together nothing of it would be seen."""
    there = [box for box in boxes if box is not None]
    if len(there) < 2:
        return ()
    widest = max(float(np.ptp(box, axis=0).max()) for box in there)
    whole = float(np.ptp(np.concatenate(there), axis=0).max())
    if whole < FAR * widest:
        return ()
    return (
        f"The files stand {whole:.3g} apart in their own coordinates and are {widest:.3g} wide at most: mark one in "
        "the outline and press F to see it.",
    )


def _box(things: tuple[Thing, ...]) -> np.ndarray | None:
    """The lowest and highest corner float64 (2, 3) of what stands in a file; None where nothing does."""
    corners = []
    for thing in things:
        places: Any = thing.xyz if isinstance(thing, Points) else thing.vertices if isinstance(thing, Mesh) else ()
        if isinstance(thing, Splats):
            places = np.stack(extent(thing.xyz[:: max(1, len(thing.xyz) // COARSE)]))
        if len(places):
            corners.append(world(thing, np.stack([places.min(0), places.max(0)])))
    if not corners:
        return None
    all_of_them = np.concatenate(corners)
    return np.stack([all_of_them.min(0), all_of_them.max(0)])


def _scene(
    things: list[Thing], up: str, caption: str = "", notices: tuple[str, ...] = (), progress: float = 1.0
) -> Scene:
    things = [replace(t, name=name) for t, name in zip(things, named_apart(things), strict=True)]
    standing, turn = stood_up(things, up)
    points = sum(len(t.xyz) for t in things if isinstance(t, Points))
    vertices = sum(len(t.vertices) for t in things if isinstance(t, Mesh))
    faces = sum(len(t.faces) for t in things if isinstance(t, Mesh))
    splats = sum(len(t.xyz) for t in things if isinstance(t, Splats))
    counts = {"points": points, "vertices": vertices, "triangles": faces, "splats": splats}
    return Scene(
        standing,
        up,
        caption,
        readings={name: float(n) for name, n in counts.items() if n},
        notices=notices,
        progress=progress,
        world=turn,
    )


# ---- what is shown before the first file ----------------------------------------------------------------------------


def example() -> list[Thing]:
    """A knot as a mesh, and a hill with trees as a laser scanner might see it, with labels."""
    return [knot(), hill()]


def knot(along: int = 256, around: int = 24) -> Mesh:
    """A tube round the trefoil knot, closed; where on the knot is its scalar."""
    t = np.linspace(0, 2 * np.pi, along, endpoint=False)
    middle = np.stack([np.sin(t) + 2 * np.sin(2 * t), np.cos(t) - 2 * np.cos(2 * t), -np.sin(3 * t)], 1)
    ahead = np.stack([np.cos(t) + 4 * np.cos(2 * t), -np.sin(t) + 4 * np.sin(2 * t), -3 * np.cos(3 * t)], 1)
    ahead /= np.linalg.norm(ahead, axis=1, keepdims=True)
    side = np.cross(ahead, [0.0, 0.0, 1.0])
    side /= np.linalg.norm(side, axis=1, keepdims=True)
    over = np.cross(side, ahead)
    a = np.linspace(0, 2 * np.pi, around, endpoint=False)
    normals = np.cos(a)[None, :, None] * side[:, None] + np.sin(a)[None, :, None] * over[:, None]
    vertices = 0.33 * (middle[:, None] + 0.55 * normals) + [0, 0, 1.9]
    i, j = np.meshgrid(np.arange(along), np.arange(around), indexing="ij")
    i1, j1 = (i + 1) % along, (j + 1) % around
    p, q, r, s = (u * around + v for u, v in ((i, j), (i1, j), (i1, j1), (i, j1)))
    faces = np.concatenate([np.stack([p, q, r], -1).reshape(-1, 3), np.stack([p, r, s], -1).reshape(-1, 3)])
    return Mesh(
        name="Knot (mesh)",
        vertices=vertices.reshape(-1, 3).astype(np.float32),
        faces=faces.astype(np.int32),
        normals=normals.reshape(-1, 3).astype(np.float32),
        scalars={"along the knot": np.repeat(t / (2 * np.pi), around).astype(np.float32)},
        colour="orange",
    )


def hill(count: int = 40_000) -> Points:
    """Points of a hill and of trees on it, labelled."""
    rng = np.random.default_rng(4)
    ground = rng.uniform(-3, 3, (count * 3 // 5, 2))
    crowns = rng.uniform(-2.6, 2.6, (18, 2))
    which = rng.integers(0, len(crowns), count - len(ground))
    ball = rng.normal(size=(len(which), 3))
    ball *= (0.26 * rng.uniform(0.6, 1, (len(which), 1))) / np.linalg.norm(ball, axis=1, keepdims=True)
    leaves = np.column_stack([crowns[which] + ball[:, :2], _height(crowns[which]) + 0.5 + 1.3 * ball[:, 2]])
    xyz = np.concatenate([np.column_stack([ground, _height(ground) + rng.normal(0, 0.008, len(ground))]), leaves])
    labels = np.repeat([2, 5], [len(ground), len(leaves)]).astype(np.int32)
    shade = rng.uniform(0.85, 1.15, (count, 1))
    rgb = np.clip(np.where(labels[:, None] == 2, [150, 132, 96], [72, 130, 70]) * shade, 0, 255)
    return Points(
        name="Hill with trees (cloud)",
        xyz=xyz.astype(np.float32),
        rgb=rgb.astype(np.uint8),
        labels=labels,
        label_names={2: "ground", 5: "high vegetation"},
        size=2.0,
    )


def _height(xy: np.ndarray) -> np.ndarray:
    x, y = xy.T
    return 0.55 * np.exp(-(x * x + y * y) / 4) + 0.12 * np.sin(1.7 * x) * np.cos(1.3 * y) - 0.4
