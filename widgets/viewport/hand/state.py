"""What the person has changed of a view, as one value that undo goes back to, and how it reaches the canvas.

The canvas is only told what is different from what it was told before. Knows no widget.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from engine.scene import Mesh, Points, Splats, Thing
from widgets.viewport.camera import Array
from widgets.viewport.hand.clip import Clip
from widgets.viewport.hand.picking import box_corners, core_corners, matrix_of, to_world
from widgets.viewport.hand.select import Marks, State
from widgets.viewport.over.outline import Look, moved_matrix, opacity_of


@dataclass(frozen=True)
class ViewState:
    """Marks and looks by the things' names, and the clipping."""

    marks: State = field(default_factory=dict)
    looks: Mapping[str, Look] = field(default_factory=dict)
    clip: Clip | None = None


SPLATS_AS = (
    ("As it comes", ""), ("Ellipsoids", "ellipsoids"), ("Middles", "points"), ("Normals", "normal"),
    ("Depth", "depth"), ("Alpha", "alpha"),
)  # fmt: skip
"""What splats can be shown as: those of :data:`widgets.viewport.style.SPLATS_AS` with their names on screen."""


def offers_of(thing: Thing) -> list[tuple[str, str]]:
    """What a thing can be coloured by: pairs of text and value; empty where it cannot be chosen."""
    if isinstance(thing, Splats):
        return list(SPLATS_AS)
    if not isinstance(thing, Points | Mesh):
        return []
    out = [("As it comes", ""), ("Plain", "plain")]
    if thing.rgb is not None:
        out.append(("Own colours", "rgb"))
    out.append(("Height", "height"))
    if thing.normals is not None or isinstance(thing, Mesh):
        out.append(("Normals", "normal"))
    if isinstance(thing, Points) and thing.labels is not None:
        out.append(("Labels", "label"))
    return out + [(name, f"scalar:{name}") for name in thing.scalars]


def best_colour_by(thing: Points | Mesh) -> str:
    """What '' stands for: the richest there is."""
    if thing.rgb is not None or (isinstance(thing, Mesh) and thing.texture is not None):
        return "rgb"
    if isinstance(thing, Points) and thing.labels is not None:
        return "label"
    return f"scalar:{next(iter(thing.scalars))}" if thing.scalars else "plain"


_ARRAYS = ("xyz", "vertices", "at", "ends", "corner", "corners", "depth")
"""Where a thing's places are; one of them tells whether its box is the one of before."""


class Shown:
    """The things of a scene as they stand now: boxes, matrices, and what the canvas knows of them."""

    def __init__(self, canvas: Any) -> None:
        self._canvas = canvas
        self.things: tuple[Thing, ...] = ()
        self._told: dict[str, dict[str, Any]] = {}
        self._boxes: dict[str, tuple[Any, Array]] = {}

    def thing(self, name: str) -> Thing | None:
        return next((thing for thing in self.things if thing.name == name), None)

    def set_things(self, things: Sequence[Thing]) -> None:
        """Another answer; names must differ."""
        self.things = tuple(things)
        names = {thing.name for thing in things}
        self._told = {name: told for name, told in self._told.items() if name in names}
        self._boxes = {name: box for name, box in self._boxes.items() if name in names}
        self._canvas.set_things(self.things)

    def is_visible(self, thing: Thing, state: ViewState) -> bool:
        wanted = state.looks.get(thing.name, Look()).visible
        return thing.visible if wanted is None else wanted

    def box(self, thing: Thing) -> Array:
        """The corners (8, 3) of a thing's box in its own numbers, kept while its arrays are the same."""
        key = next((getattr(thing, n) for n in _ARRAYS if hasattr(thing, n)), None)
        kept = self._boxes.get(thing.name)
        if kept is None or kept[0] is not key:
            kept = (key, box_corners(thing))
            self._boxes[thing.name] = kept
        return kept[1]

    def matrix(self, thing: Thing, state: ViewState) -> Array:
        """From a thing's own numbers to the world (4, 4), with what the person moved."""
        own = matrix_of(thing)
        look = state.looks.get(thing.name)
        if look is None or not look.moves:
            return own
        corners = to_world(own, self.box(thing))
        middle = corners.mean(0) if len(corners) else own[:3, 3]
        return moved_matrix(look, middle) @ own

    def transform(self, thing: Thing, state: ViewState) -> Any:
        """A thing's own transform (4, 4), or None, with what the person moved."""
        look = state.looks.get(thing.name)
        if look is None or not look.moves:
            return thing.transform
        shift = np.eye(4)
        shift[:3, 3] = np.negative(thing.origin)
        return self.matrix(thing, state) @ shift

    def corners(self, state: ViewState, names: Sequence[str] = (), core: bool = False) -> Array:
        """Corners (K, 3) in the world of all that is visible, or of the things named; of splats only where nearly all
        are if it is the ``core`` that is to be looked at."""
        parts = [
            to_world(
                self.matrix(thing, state),
                core_corners(thing) if core and isinstance(thing, Splats) else self.box(thing),
            )
            for thing in self.things
            if (thing.name in names if names else self.is_visible(thing, state))
        ]
        return np.concatenate(parts) if parts else np.empty((0, 3))

    def tell(self, state: ViewState) -> None:
        """Brings the canvas to ``state``."""
        for thing in self.things:
            look, marks = state.looks.get(thing.name, Look()), state.marks.get(thing.name, Marks(0))
            transform = self.transform(thing, state)
            told = self._told.setdefault(thing.name, {})
            wanted = {
                "hidden": not self.is_visible(thing, state),
                "opacity": opacity_of(thing) if look.opacity is None else look.opacity,
                "colour": thing.colour if look.colour is None else look.colour,
                "transform": transform,
                "mask": marks,
            }
            if isinstance(thing, Points | Mesh | Splats):
                wanted["colour_by"] = _own(thing, "colour_by") if look.colour_by is None else look.colour_by
            for what, value in wanted.items():
                known = what in told
                if what == "mask":
                    self._tell_marks(thing.name, told.get(what, Marks(0)), marks)
                elif not _same(told.get(what), value) and (known or not _same(value, _own(thing, what))):
                    getattr(self._canvas, f"set_{what}")(thing.name, np.eye(4) if value is None else value)
                told[what] = value

    def _tell_marks(self, name: str, before: Marks, now: Marks) -> None:
        if before.hidden is not now.hidden or before.deleted is not now.deleted:
            self._canvas.set_mask(name, now.keep)
        if before.marked is not now.marked:
            self._canvas.set_marked(name, now.marked)


def _own(thing: Thing, what: str) -> Any:
    if what == "opacity":
        return opacity_of(thing)
    return not thing.visible if what == "hidden" else getattr(thing, what, "" if what == "colour_by" else None)


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, np.ndarray) or isinstance(b, np.ndarray):
        return a is b or (a is not None and b is not None and np.array_equal(a, b))
    return bool(a == b)


def alike(a: Array, b: Array) -> bool:
    """Whether two boxes (K, 3) are about as large and in the same place, so that one camera does for both."""
    if not (len(a) and len(b)):
        return False
    (one, other), sizes = ((x.min(0) + x.max(0)) / 2 for x in (a, b)), [float(np.ptp(x, 0).max()) for x in (a, b)]
    return bool(np.linalg.norm(one - other) < max(sizes) and max(sizes) <= 3 * min(sizes))
