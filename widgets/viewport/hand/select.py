"""What of the things is marked, hidden or deleted: pure states that an undo can go back to. Knows no widget.

A state is never changed, only followed by another. It is kept by the things' names, and dropped where the number of
points, splats or faces is not the same any more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from engine.scene import Mesh, Points, Splats, Thing
from widgets.viewport.hand.picking import Bools

MANY = 8_000
"""Of more marked places than this some are enough to show where they are."""


def count_of(thing: Thing) -> int:
    """How many points, splats or faces a thing has to select from."""
    if isinstance(thing, Points | Splats):
        return len(thing.xyz)
    return len(thing.faces) if isinstance(thing, Mesh) else 0


@dataclass(frozen=True)
class Marks:
    """Of one thing: which of its ``count`` points, splats or faces are marked, hidden, deleted; None is none."""

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
    """How many points, splats and faces are marked in all."""
    return sum(int(np.count_nonzero(m.marked)) for m in state.values() if m.marked is not None)


def marked_places(thing: Thing, marked: Bools) -> Any:
    """Where what is marked of a thing is (K, 3), in its own numbers; of very much so many places as tell its extent."""
    which = np.flatnonzero(marked)
    which = which[:: max(1, len(which) // MANY)]
    if isinstance(thing, Mesh):
        return thing.vertices[thing.faces[which]].reshape(-1, 3)
    return thing.xyz[which]  # type: ignore[attr-defined]  # only such things have marks


def parts_of(things: Sequence[Thing], state: State, marked: bool) -> list[tuple[Thing, Bools | None]]:
    """What goes into a file: what is marked, or else what is neither hidden nor deleted, as things and what is kept of
    each; None is all of it."""
    parts: list[tuple[Thing, Bools | None]] = []
    for thing in things:
        marks = state.get(thing.name)
        keep = None if marks is None else marks.marked if marked else marks.keep
        if keep is not None or not marked:
            parts.append((thing, keep))
    return parts
