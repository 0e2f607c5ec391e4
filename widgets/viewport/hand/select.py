"""What of the things is marked, hidden or deleted: pure states that an undo can go back to. Knows no widget.

A state is never changed, only followed by another. It is kept by the things' names, and dropped where the number of
points or faces is not the same any more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from engine.scene import Mesh, Points, Scene, Thing
from widgets.viewport.hand.picking import Bools


def count_of(thing: Thing) -> int:
    """How many points or faces a thing has to select from."""
    if isinstance(thing, Points):
        return len(thing.xyz)
    return len(thing.faces) if isinstance(thing, Mesh) else 0


@dataclass(frozen=True)
class Marks:
    """Of one thing: which of its ``count`` points or faces are marked, hidden, deleted; None is none of them."""

    count: int
    marked: Bools | None = None
    hidden: Bools | None = None
    deleted: Bools | None = None

    @cached_property
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


def marked_places(thing: Thing, marked: Bools) -> Any:
    """Where what is marked of a thing is (K, 3), in its own numbers."""
    if isinstance(thing, Mesh):
        return thing.vertices[thing.faces[marked]].reshape(-1, 3)
    return thing.xyz[marked]  # type: ignore[attr-defined]


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
