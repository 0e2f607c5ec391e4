"""Signed distance functions as a tree of solids, combinations and transforms that a person edits. Knows no mesh.

What a node can be, its parameters with defaults and ranges and how many children it takes, is the contract's table
(``engine.shape_tree``); here is how each is evaluated. The functions of plain arrays are those of ``sdf_functions``.
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
from engine.shape_tree import Plain, check_node, read_tree

__all__ = [
    "EVALUATE", "Node", "Values", "as_points", "box", "capsule", "cylinder",
    "difference", "gyroid", "intersection", "make", "metaballs", "plane", "rotation", "smooth_difference",
    "smooth_intersection", "smooth_union", "sphere", "torus", "union",
]  # fmt: skip


@dataclass(frozen=True)
class Node:
    """One solid, combination or transform: ``kind`` is a key of :data:`EVALUATE`. Built and checked by :func:`make`.

    ``values`` parameter -> float or tuples; ``children`` the nodes that it combines or moves.
    """

    kind: str
    values: Mapping[str, Any] = field(default_factory=dict)
    children: tuple[Node, ...] = ()

    def evaluate(self, points: ArrayLike) -> Values:
        """The values float32 (N,) at ``points`` (N, 3): negative inside."""
        return EVALUATE[self.kind](self, as_points(points))

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
        return _built(read_tree(text))

    @staticmethod
    def from_plain(plain: Any) -> Node:
        """The tree of :meth:`to_plain`'s dictionaries, checked."""
        return _built(check_node(plain))


def _built(plain: Plain) -> Node:
    values = {name: _frozen(value) for name, value in plain.items() if name not in ("kind", "children")}
    return Node(plain["kind"], values, tuple(_built(child) for child in plain.get("children", ())))


def _frozen(value: Any) -> Any:
    return tuple(_frozen(v) for v in value) if isinstance(value, list | tuple) else value


def _listed(value: Any) -> Any:
    return [_listed(v) for v in value] if isinstance(value, tuple) else value


def make(kind: str, *children: Node, **values: Any) -> Node:
    """A checked node; parameters that are not given take their defaults. :class:`BadValue` for what does not fit."""
    return Node.from_plain({"kind": kind, **values, "children": [child.to_plain() for child in children]})


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


EVALUATE: Mapping[str, Callable[[Node, Values], Values]] = {
    "sphere": _solid(functions.sphere),
    "box": _solid(functions.box),
    "torus": _solid(functions.torus),
    "capsule": _solid(functions.capsule),
    "cylinder": _solid(functions.cylinder),
    "plane": _solid(functions.plane),
    "gyroid": _solid(functions.gyroid),
    "metaballs": _solid(functions.metaballs),
    "union": _fold(union),
    "intersection": _fold(intersection),
    "difference": _fold(difference),
    "smooth_union": _fold(smooth_union),
    "smooth_intersection": _fold(smooth_intersection),
    "smooth_difference": _fold(smooth_difference),
    "move": _move,
    "turn": _turn,
    "scale": _scale,
    "repeat": _repeat,
    "shell": _shell,
    "grow": _grow,
}
"""Each kind of :data:`engine.shape_tree.KINDS`, as a function of a node and of points (N, 3)."""
