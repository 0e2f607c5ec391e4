"""What of the things is marked, hidden or deleted: pure states that an undo can go back to. Knows no widget.

A state is never changed, only followed by another. It is kept by the things' names, and dropped where the number of
points or faces is not the same any more.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from engine.scene import Mesh, Points, Scene, Thing
from widgets.viewport.camera import Array, Camera
from widgets.viewport.hand.picking import SLICE, Bools, kept, seen_points, to_world


def count_of(thing: Thing) -> int:
    """How many points or faces a thing has to select from."""
    if isinstance(thing, Points):
        return len(thing.xyz)
    return len(thing.faces) if isinstance(thing, Mesh) else 0


def in_polygon(pixels: Any, polygon: Any) -> Bools:
    """Which pixels (N, 2) lie within a closed polygon (K, 2), by the even-odd rule; NaN is outside."""
    corners = np.asarray(polygon, np.float64)
    out = np.zeros(len(pixels), bool)
    if len(corners) < 3:
        return out
    lo, hi = corners.min(0), corners.max(0)
    with np.errstate(invalid="ignore"):
        maybe = np.flatnonzero(((pixels >= lo) & (pixels <= hi)).all(1))
    x, y = np.asarray(pixels, np.float64)[maybe].T
    inside = np.zeros(len(maybe), bool)
    for (ax, ay), (bx, by) in zip(corners, np.roll(corners, -1, 0), strict=True):
        if ay == by:
            continue
        crosses = (y >= ay) != (y >= by)
        inside ^= crosses & (x < ax + (y - ay) * ((bx - ax) / (by - ay)))
    out[maybe] = inside
    return out


def inside_of(
    thing: Thing, matrix: Array, camera: Camera, size: tuple[float, float], polygon: Any, planes: Array | None
) -> Generator[None, None, Bools]:
    """Which points, or faces by their middle, are seen within a polygon of pixels, those behind others too. A
    generator that yields after each slice; what a clipping plane cuts away is not selected."""
    out = np.zeros(count_of(thing), bool)
    for a in range(0, len(out), SLICE):
        if isinstance(thing, Points):
            places = thing.xyz[a : a + SLICE]
        else:
            places = thing.vertices[thing.faces[a : a + SLICE]].mean(1, dtype=np.float32)  # type: ignore[attr-defined]
        pixels, _ = seen_points(places, matrix, camera, *size)
        found = in_polygon(pixels, polygon)
        if planes is not None and len(planes) and found.any():
            at = np.flatnonzero(found)
            found[at] = kept(to_world(matrix, places[at]), planes)
        out[a : a + SLICE] = found
        yield
    return out


@dataclass(frozen=True)
class Marks:
    """Of one thing: which of its ``count`` points or faces are marked, hidden, deleted; None is none of them."""

    count: int
    marked: Bools | None = None
    hidden: Bools | None = None
    deleted: Bools | None = None

    @property
    def keep(self) -> Bools | None:
        """What is drawn; None is all of it."""
        gone = [part for part in (self.hidden, self.deleted) if part is not None]
        return None if not gone else ~np.logical_or.reduce(gone)


State = Mapping[str, Marks]


def _none_if_empty(part: Bools) -> Bools | None:
    return part if part.any() else None


def _or(a: Bools | None, b: Bools | None) -> Bools | None:
    return b if a is None else a if b is None else a | b


def selected(state: State, found: Mapping[str, Bools], mode: str = "replace") -> dict[str, Marks]:
    """A selection ``found`` by thing; ``mode`` is replace, add or subtract. What is hidden cannot be marked."""
    out = dict(state)
    if mode == "replace":
        out = {name: replace(marks, marked=None) for name, marks in out.items()}
    for name, part in found.items():
        marks = out.get(name, Marks(len(part)))
        if marks.keep is not None:
            part = part & marks.keep
        if mode == "subtract":
            part = np.zeros(marks.count, bool) if marks.marked is None else marks.marked & ~part
        elif marks.marked is not None:
            part = part | marks.marked
        out[name] = replace(marks, marked=_none_if_empty(part))
    return out


def inverted(state: State, things: Sequence[Thing]) -> dict[str, Marks]:
    """Everything that is seen and not marked, of the things that can be selected from."""
    out = dict(state)
    for thing in things:
        marks = out.get(thing.name, Marks(count_of(thing)))
        if marks.count == 0 or thing.locked:
            continue
        part = np.ones(marks.count, bool) if marks.marked is None else ~marks.marked
        out[thing.name] = replace(marks, marked=_none_if_empty(part if marks.keep is None else part & marks.keep))
    return out


def unmarked(state: State) -> dict[str, Marks]:
    """Nothing is marked."""
    return {name: replace(marks, marked=None) for name, marks in state.items()}


def hidden(state: State) -> dict[str, Marks]:
    """What is marked is hidden."""
    return {n: replace(m, marked=None, hidden=_or(m.hidden, m.marked)) for n, m in state.items()}


def deleted(state: State) -> dict[str, Marks]:
    """What is marked is gone; only undo brings it back."""
    return {n: replace(m, marked=None, deleted=_or(m.deleted, m.marked)) for n, m in state.items()}


def shown(state: State) -> dict[str, Marks]:
    """Nothing is hidden; what was deleted stays so."""
    return {name: replace(marks, hidden=None) for name, marks in state.items()}


def fitting(state: State, things: Sequence[Thing]) -> dict[str, Marks]:
    """What of ``state`` still fits the things of a new answer."""
    counts = {thing.name: count_of(thing) for thing in things}
    return {name: marks for name, marks in state.items() if counts.get(name) == marks.count}


def number_marked(state: State) -> int:
    """How many points and faces are marked in all."""
    return sum(int(np.count_nonzero(m.marked)) for m in state.values() if m.marked is not None)


def part_of(thing: Thing, keep: Bools) -> Thing:
    """A cloud or mesh of only those points or faces that ``keep`` names; vertices that nobody needs are left out."""
    if isinstance(thing, Points):
        names: tuple[str, ...] = ("rgb", "normals", "labels", "index")
        cut: dict[str, Any] = {n: _rows(getattr(thing, n), keep) for n in names}
        cut["scalars"] = {n: values[keep] for n, values in thing.scalars.items()}
        return replace(thing, xyz=thing.xyz[keep], tree=None, **cut)
    assert isinstance(thing, Mesh)
    faces = thing.faces[keep]
    used = np.zeros(len(thing.vertices), bool)
    used[faces] = True
    number = np.cumsum(used, dtype=np.int32) - 1
    cut = {n: _rows(getattr(thing, n), used) for n in ("normals", "rgb", "uv")}
    cut["scalars"] = {n: v[used] for n, v in thing.scalars.items()}
    return replace(thing, vertices=thing.vertices[used], faces=number[faces].astype(np.int32), **cut)


def _rows(values: Any, keep: Bools) -> Any:
    return None if values is None else values[keep]


def scene_of(things: Sequence[Thing], state: State, marked: bool) -> Scene:
    """What is marked, or else what is neither hidden nor deleted, as a scene of its own for a file."""
    parts: list[Thing] = []
    for thing in things:
        marks = state.get(thing.name)
        keep = None if marks is None else marks.marked if marked else marks.keep
        if keep is not None:
            parts.append(part_of(thing, keep))
        elif not marked:
            parts.append(thing)
    return Scene(tuple(parts))
