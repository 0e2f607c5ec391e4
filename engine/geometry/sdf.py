"""Signed distance functions as a tree of solids, combinations and transforms that a person edits. Knows no mesh.

:data:`KINDS` is the one table of what a node can be: its parameters with defaults, ranges and a sentence each, how many
children it takes and how it is evaluated. The functions of plain arrays are those of ``sdf_functions``, given on here.
"""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from engine.geometry import sdf_functions as functions
from engine.geometry.sdf_functions import (
    Values,
    as_points,
    box,
    capsule,
    cylinder,
    difference,
    gyroid,
    intersection,
    metaballs,
    plane,
    smooth_difference,
    smooth_intersection,
    smooth_union,
    sphere,
    torus,
    union,
)
from engine.params import BadValue

__all__ = [
    "KINDS", "MAX_DEPTH", "MAX_NODES", "Kind", "Node", "Parameter", "Values", "as_points", "box", "capsule", "cylinder",
    "difference", "gyroid", "intersection", "make", "metaballs", "plane", "rotation", "smooth_difference",
    "smooth_intersection", "smooth_union", "sphere", "torus", "union",
]  # fmt: skip

MAX_DEPTH = 24
MAX_NODES = 200
MAX_BALLS = 32
MAX_TEXT = 200_000


@dataclass(frozen=True)
class Parameter:
    """A number, a vector of three, or a list of either, of one kind of node.

    ``default`` is a float, a (3,) tuple, a tuple of floats or a tuple of (3,) tuples; ``lo`` and ``hi`` hold for each
    number. ``many`` marks lists, of 1 to 32 entries.
    """

    name: str
    default: Any
    lo: float
    hi: float
    text: str
    many: bool = False

    def check(self, value: Any, where: str) -> Any:
        """The value as float or tuples of float, or :class:`BadValue` naming ``where``."""
        place = f"{where}: {self.name}"
        if not self.many:
            return self._entry(value, self.default, place)
        if not isinstance(value, list | tuple) or not 1 <= len(value) <= MAX_BALLS:
            raise BadValue(f"{place} has to be a list of 1 to {MAX_BALLS} entries")
        return tuple(self._entry(entry, self.default[0], place) for entry in value)

    def _entry(self, value: Any, like: Any, place: str) -> Any:
        if not isinstance(like, tuple):
            return self._number(value, place)
        if not isinstance(value, list | tuple) or len(value) != len(like):
            raise BadValue(f"{place} has to be {len(like)} numbers")
        return tuple(self._number(v, place) for v in value)

    def _number(self, value: Any, place: str) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise BadValue(f"{place} has to be a finite number, not {str(value)[:40]!r}")
        if not self.lo <= value <= self.hi:
            raise BadValue(f"{place} is {value:g}, it has to lie between {self.lo:g} and {self.hi:g}")
        return float(value)


@dataclass(frozen=True)
class Node:
    """One solid, combination or transform: ``kind`` is a key of :data:`KINDS`. Built and checked by :func:`make`.

    ``values`` parameter -> float or tuples; ``children`` the nodes that it combines or moves.
    """

    kind: str
    values: Mapping[str, Any] = field(default_factory=dict)
    children: tuple[Node, ...] = ()

    def evaluate(self, points: ArrayLike) -> Values:
        """The values float32 (N,) at ``points`` (N, 3): negative inside."""
        return KINDS[self.kind].evaluate(self, as_points(points))

    def __call__(self, points: ArrayLike) -> Values:
        return self.evaluate(points)

    def lipschitz(self) -> float:
        """A bound of |f(p) - f(q)| / |p - q|: that of the steepest child, since nothing here makes it steeper."""
        return max((child.lipschitz() for child in self.children), default=1.0)

    def size(self) -> int:
        """How many nodes the tree has."""
        return 1 + sum(child.size() for child in self.children)

    def depth(self) -> int:
        """How many nodes lie on the longest way down."""
        return 1 + max((child.depth() for child in self.children), default=0)

    def to_plain(self) -> dict[str, Any]:
        """Dictionaries and lists, as in :meth:`to_json`."""
        plain: dict[str, Any] = {"kind": self.kind, **{k: _listed(v) for k, v in self.values.items()}}
        if self.children:
            plain["children"] = [child.to_plain() for child in self.children]
        return plain

    def to_json(self) -> str:
        """The tree as text: ``{"kind": "union", "children": [...]}``; parameters stand beside the kind."""
        return json.dumps(self.to_plain())

    @staticmethod
    def from_json(text: str) -> Node:
        """The tree that :meth:`to_json` wrote; :class:`BadValue` in one line for anything else."""
        if len(text) > MAX_TEXT:
            raise BadValue(f"shape: the text is longer than {MAX_TEXT} characters")
        try:
            plain = json.loads(text)
        except (ValueError, RecursionError) as e:
            raise BadValue(f"shape: this is not JSON ({str(e)[:80]})") from None
        return Node.from_plain(plain)

    @staticmethod
    def from_plain(plain: Any) -> Node:
        """The tree of :meth:`to_plain`'s dictionaries, checked."""
        count = itertools.count(1)

        def build(item: Any, depth: int) -> Node:
            if depth > MAX_DEPTH:
                raise BadValue(f"shape: nested deeper than {MAX_DEPTH}, flatten the tree")
            if next(count) > MAX_NODES:
                raise BadValue(f"shape: more than {MAX_NODES} nodes, take some away")
            if not isinstance(item, dict):
                raise BadValue(f"shape: expected a node with a kind, found {str(item)[:40]!r}")
            children = item.get("children", [])
            if not isinstance(children, list):
                raise BadValue("shape: children has to be a list of nodes")
            values = {k: v for k, v in item.items() if k not in ("kind", "children")}
            return make(item.get("kind", ""), *(build(child, depth + 1) for child in children), **values)

        return build(plain, 1)


def _listed(value: Any) -> Any:
    return [_listed(v) for v in value] if isinstance(value, tuple) else value


@dataclass(frozen=True)
class Kind:
    """What a node can be. ``group`` is solid, combine or change; ``most`` None: any number of children."""

    title: str
    group: str
    text: str
    parameters: tuple[Parameter, ...]
    evaluate: Callable[[Node, Values], Values]
    least: int = 0
    most: int | None = 0


def make(kind: str, *children: Node, **values: Any) -> Node:
    """A checked node; parameters that are not given take their defaults. :class:`BadValue` for what does not fit."""
    if not isinstance(kind, str) or kind not in KINDS:
        raise BadValue(f"shape: there is no kind {str(kind)[:40]!r}; there are {', '.join(KINDS)}")
    entry = KINDS[kind]
    if len(children) < entry.least or (entry.most is not None and len(children) > entry.most):
        raise BadValue(f"{kind}: takes {_how_many(entry)} children, not {len(children)}")
    unknown = set(values) - {p.name for p in entry.parameters}
    if unknown:
        raise BadValue(f"{kind}: has no {sorted(unknown)[0][:40]!r}")
    checked = {p.name: p.check(values.get(p.name, p.default), kind) for p in entry.parameters}
    if kind == "metaballs" and len(checked["centres"]) != len(checked["radii"]):
        raise BadValue("metaballs: needs one radius for each centre")
    if kind == "box" and checked["rounding"] > min(checked["half"]):
        raise BadValue("box: the rounding is larger than its smallest half side, lower it")
    return Node(kind, checked, children)


def _how_many(entry: Kind) -> str:
    if entry.most is None:
        return f"{entry.least} or more"
    return str(entry.least) if entry.least == entry.most else f"{entry.least} to {entry.most}"


# ---- how each kind is evaluated -----------------------------------------------------------------------------------


def _solid(function: Callable[..., Values]) -> Callable[[Node, Values], Values]:
    """A function of points and of parameters by their names."""
    return lambda node, p: function(p, **node.values)


def _fold(function: Callable[..., Values]) -> Callable[[Node, Values], Values]:
    """A function of two values, taken over the children from first to last."""

    def evaluate(node: Node, p: Values) -> Values:
        answer = node.children[0].evaluate(p)
        for child in node.children[1:]:
            answer = function(answer, child.evaluate(p), **node.values)
        return answer

    return evaluate


def _move(node: Node, p: Values) -> Values:
    return node.children[0].evaluate(p - np.asarray(node.values["by"], np.float32))


def rotation(axis: ArrayLike, degrees: float) -> Any:
    """The float32 (3, 3) matrix that turns columns about ``axis`` by the right-hand rule (Rodrigues)."""
    a = np.asarray(axis, np.float64)
    size = float(np.linalg.norm(a))
    if size < 1e-9:
        raise BadValue("turn: the axis has no length, give it a direction")
    x, y, z = a / size
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    angle = math.radians(degrees)
    return (np.eye(3) + math.sin(angle) * cross + (1 - math.cos(angle)) * cross @ cross).astype(np.float32)


def _turn(node: Node, p: Values) -> Values:
    return node.children[0].evaluate(p @ rotation(node.values["axis"], node.values["degrees"]))


def _scale(node: Node, p: Values) -> Values:
    factor = np.float32(node.values["factor"])
    answer: Values = node.children[0].evaluate(p / factor) * factor
    return answer


def _repeat(node: Node, p: Values) -> Values:
    """The nearest of the copies: of each repeated axis the two cells beside the point are asked.

    Exact where the child lies within half a period of its origin: no other copy can then be nearer.
    """
    period = np.asarray(node.values["period"], np.float32)
    counts = np.asarray(node.values["counts"], np.float32).round()
    below = np.floor(p / period)
    answer = None
    for step in itertools.product(*((0, 1) if count else (0,) for count in counts)):
        cell = np.clip(below + np.asarray(step, np.float32), -counts, counts)
        values = node.children[0].evaluate(p - cell * period)
        answer = values if answer is None else np.minimum(answer, values)
    assert answer is not None
    return answer


def _shell(node: Node, p: Values) -> Values:
    answer: Values = np.abs(node.children[0].evaluate(p)) - np.float32(node.values["thickness"] / 2)
    return answer


def _grow(node: Node, p: Values) -> Values:
    answer: Values = node.children[0].evaluate(p) - np.float32(node.values["by"])
    return answer


_K = Parameter("k", 0.15, 0.0, 2.0, "Width of the blend: where the two distances differ by less, they flow together.")
_RADIUS = Parameter("radius", 0.5, 0.001, 10.0, "Radius.")

KINDS: dict[str, Kind] = {
    "sphere": Kind("Sphere", "solid", "All points nearer than the radius.", (_RADIUS,), _solid(functions.sphere)),
    "box": Kind("Box", "solid", "A block, its edges rounded.", (
        Parameter("half", (0.5, 0.4, 0.3), 0.001, 10.0, "Half of its width, depth and height."),
        Parameter("rounding", 0.0, 0.0, 10.0, "Radius of its edges."),
    ), _solid(functions.box)),
    "torus": Kind("Torus", "solid", "A ring round the z axis.", (
        Parameter("major", 0.5, 0.0, 10.0, "Radius of the circle in its tube."),
        Parameter("minor", 0.2, 0.001, 10.0, "Radius of the tube."),
    ), _solid(functions.torus)),
    "capsule": Kind("Capsule", "solid", "A ball swept along a segment.", (
        Parameter("a", (0.0, 0.0, -0.4), -10.0, 10.0, "One end of the segment."),
        Parameter("b", (0.0, 0.0, 0.4), -10.0, 10.0, "The other end."),
        Parameter("radius", 0.25, 0.001, 10.0, "Radius of the ball."),
    ), _solid(functions.capsule)),
    "cylinder": Kind("Cylinder", "solid", "A round bar along the z axis.", (
        Parameter("radius", 0.35, 0.001, 10.0, "Radius."),
        Parameter("half_height", 0.5, 0.001, 10.0, "Half of its height."),
    ), _solid(functions.cylinder)),
    "plane": Kind("Half space", "solid", "All that lies below a plane.", (
        Parameter("normal", (0.0, 0.0, 1.0), -10.0, 10.0, "Where its outside is."),
        Parameter("offset", 0.0, -10.0, 10.0, "How far it lies from the origin along the normal."),
    ), _solid(functions.plane)),
    "gyroid": Kind("Gyroid", "solid", "An endless curved wall that splits space in two equal mazes.", (
        Parameter("scale", 0.6, 0.02, 20.0, "Length after which it repeats."),
        Parameter("thickness", 0.06, 0.0, 5.0, "Thickness of the wall, about."),
    ), _solid(functions.gyroid)),
    "metaballs": Kind("Metaballs", "solid", "Balls whose fields add up, so that they flow together.", (
        Parameter("centres", ((-0.3, 0.0, 0.0), (0.3, 0.0, 0.0)), -10.0, 10.0, "Where the balls are.", many=True),
        Parameter("radii", (0.35, 0.35), 0.001, 10.0, "How large each would be alone.", many=True),
        Parameter("level", 1.0, 0.01, 100.0, "The field at the surface: higher is thinner."),
    ), _solid(functions.metaballs)),
    "union": Kind("Union", "combine", "What is in any of them: the minimum.", (), _fold(union), 1, None),
    "intersection": Kind("Intersection", "combine", "What is in all of them: the maximum.", (), _fold(intersection),
                         1, None),
    "difference": Kind("Difference", "combine", "The first without the others: max(a, -b).", (), _fold(difference),
                       1, None),
    "smooth_union": Kind("Smooth union", "combine", "A union with a fillet.", (_K,), _fold(smooth_union), 1, None),
    "smooth_intersection": Kind("Smooth intersection", "combine", "An intersection with rounded edges.", (_K,),
                                _fold(smooth_intersection), 1, None),
    "smooth_difference": Kind("Smooth difference", "combine", "The first without the others, edges rounded.", (_K,),
                              _fold(smooth_difference), 1, None),
    "move": Kind("Move", "change", "Shifts what is below it.", (
        Parameter("by", (0.0, 0.0, 0.0), -10.0, 10.0, "How far along x, y and z."),), _move, 1, 1),
    "turn": Kind("Turn", "change", "Turns what is below it about an axis through the origin.", (
        Parameter("axis", (0.0, 0.0, 1.0), -10.0, 10.0, "The axis."),
        Parameter("degrees", 0.0, -360.0, 360.0, "By how much, by the right-hand rule."),
    ), _turn, 1, 1),
    "scale": Kind("Scale", "change", "Makes what is below it larger or smaller.", (
        Parameter("factor", 1.0, 0.01, 100.0, "By how much."),), _scale, 1, 1),
    "repeat": Kind("Repeat", "change", "Copies what is below it in rows; it should fit in one period.", (
        Parameter("period", (0.8, 0.8, 0.8), 0.01, 20.0, "Distance between the copies along each axis."),
        Parameter("counts", (1.0, 1.0, 0.0), 0.0, 50.0, "Copies on each side along each axis; 0 keeps the one."),
    ), _repeat, 1, 1),
    "shell": Kind("Shell", "change", "Hollows what is below it: | f | - thickness / 2.", (
        Parameter("thickness", 0.05, 0.001, 5.0, "Thickness of the wall."),), _shell, 1, 1),
    "grow": Kind("Grow", "change", "Rounds and thickens what is below it: f - by.", (
        Parameter("by", 0.05, -5.0, 5.0, "By how much; below 0 it shrinks."),), _grow, 1, 1),
}  # fmt: skip
"""Name -> what it is. The editor's menus, the checks of JSON and the evaluation all read this one table."""
