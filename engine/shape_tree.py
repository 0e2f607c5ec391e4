"""What a tree of solids may hold, as text: the contract of the shape editor. Evaluates nothing, knows no array.

A tree is JSON: ``{"kind": "union", "k": 0.1, "children": [...]}``, parameters beside the kind. :data:`KINDS` has the
parameters with their ranges, which ``engine.geometry.sdf`` evaluates under the same names.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from engine.params import BadValue

MAX_DEPTH, MAX_NODES, MAX_LIST, MAX_TEXT = 24, 200, 32, 200_000
SOLID, COMBINE, CHANGE = "solid", "combine", "change"
"""The groups of kinds: what has a surface, what joins several, what changes one."""

Plain = dict[str, Any]
"""One node as dictionaries and lists."""


@dataclass(frozen=True)
class Parameter:
    """A number, three numbers (``default`` a tuple), or, where ``many``, a list of 1 to 32 of either.

    ``lo`` and ``hi`` hold for each number; ``track`` is the part of that range on which a slider moves, by ``whole``
    numbers where they are counts.
    """

    name: str
    default: Any
    lo: float
    hi: float
    text: str
    track: tuple[float, float]
    many: bool = False
    whole: bool = False

    def check(self, value: Any, where: str) -> Any:
        """``value`` as floats in lists; :class:`BadValue` naming ``where`` and the parameter."""
        place = f"{where}: {self.name}"
        if not self.many:
            return self._entry(value, self.default, place)
        if not isinstance(value, list | tuple) or not 1 <= len(value) <= MAX_LIST:
            raise BadValue(f"{place} has to be a list of 1 to {MAX_LIST} entries")
        return [self._entry(entry, self.default[0], place) for entry in value]

    def _entry(self, value: Any, like: Any, place: str) -> Any:
        if not isinstance(like, tuple):
            return self._number(value, place)
        if not isinstance(value, list | tuple) or len(value) != len(like):
            raise BadValue(f"{place} has to be {len(like)} numbers")
        return [self._number(v, place) for v in value]

    def _number(self, value: Any, place: str) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise BadValue(f"{place} has to be a finite number, not {str(value)[:40]!r}")
        if not self.lo <= value <= self.hi:
            raise BadValue(f"{place} is {value:g}, it has to lie between {self.lo:g} and {self.hi:g}")
        return float(value)


@dataclass(frozen=True)
class Kind:
    """What a node can be, of which group, with what parameters and how many children (``most`` None: any number)."""

    title: str
    group: str
    text: str
    parameters: tuple[Parameter, ...] = ()
    least: int = 0
    most: int | None = 0


_SIZE, _PLACE = (0.02, 1.0), (-1.0, 1.0)
_K = Parameter("k", 0.15, 0.0, 2.0, "Width of the blend: where the two distances differ by less, they flow together.",
               (0.0, 0.6))  # fmt: skip

KINDS: Mapping[str, Kind] = {
    "sphere": Kind("Sphere", SOLID, "All points nearer than the radius.", (
        Parameter("radius", 0.5, 0.001, 10.0, "Radius.", _SIZE),)),
    "box": Kind("Box", SOLID, "A block, its edges rounded.", (
        Parameter("half", (0.5, 0.4, 0.3), 0.001, 10.0, "Half of its width, depth and height.", _SIZE),
        Parameter("rounding", 0.0, 0.0, 10.0, "Radius of its edges.", (0.0, 0.3)))),
    "torus": Kind("Torus", SOLID, "A ring round the z axis.", (
        Parameter("major", 0.5, 0.0, 10.0, "Radius of the circle in its tube.", (0.0, 1.0)),
        Parameter("minor", 0.2, 0.001, 10.0, "Radius of the tube.", (0.02, 0.5)))),
    "capsule": Kind("Capsule", SOLID, "A ball swept along a segment.", (
        Parameter("a", (0.0, 0.0, -0.4), -10.0, 10.0, "One end of the segment.", _PLACE),
        Parameter("b", (0.0, 0.0, 0.4), -10.0, 10.0, "The other end.", _PLACE),
        Parameter("radius", 0.25, 0.001, 10.0, "Radius of the ball.", (0.02, 0.5)))),
    "cylinder": Kind("Cylinder", SOLID, "A round bar along the z axis.", (
        Parameter("radius", 0.35, 0.001, 10.0, "Radius.", _SIZE),
        Parameter("half_height", 0.5, 0.001, 10.0, "Half of its height.", _SIZE))),
    "plane": Kind("Half space", SOLID, "All that lies below a plane.", (
        Parameter("normal", (0.0, 0.0, 1.0), -10.0, 10.0, "Where its outside is.", _PLACE),
        Parameter("offset", 0.0, -10.0, 10.0, "How far it lies from the origin along the normal.", _PLACE))),
    "gyroid": Kind("Gyroid", SOLID, "An endless curved wall that splits space in two equal mazes.", (
        Parameter("scale", 0.6, 0.02, 20.0, "Length after which it repeats.", (0.3, 2.0)),
        Parameter("thickness", 0.06, 0.0, 5.0, "Thickness of the wall, about.", (0.01, 0.3)))),
    "metaballs": Kind("Metaballs", SOLID, "Balls whose fields add up, so that they flow together.", (
        Parameter("centres", ((-0.3, 0.0, 0.0), (0.3, 0.0, 0.0)), -10.0, 10.0, "Where the balls are.", _PLACE, True),
        Parameter("radii", (0.35, 0.35), 0.001, 10.0, "How large each would be alone.", (0.05, 0.8), True),
        Parameter("level", 1.0, 0.01, 100.0, "The field at the surface: higher is thinner.", (0.1, 4.0)))),
    "union": Kind("Union", COMBINE, "What is in any of them: the minimum.", (), 1, None),
    "intersection": Kind("Intersection", COMBINE, "What is in all of them: the maximum.", (), 1, None),
    "difference": Kind("Difference", COMBINE, "The first without the others: max(a, -b).", (), 1, None),
    "smooth_union": Kind("Smooth union", COMBINE, "A union with a fillet.", (_K,), 1, None),
    "smooth_intersection": Kind("Smooth intersection", COMBINE, "An intersection with rounded edges.", (_K,), 1, None),
    "smooth_difference": Kind("Smooth difference", COMBINE, "The first without the others, edges rounded.", (_K,),
                              1, None),
    "move": Kind("Move", CHANGE, "Shifts what is below it.", (
        Parameter("by", (0.0, 0.0, 0.0), -10.0, 10.0, "How far along x, y and z.", _PLACE),), 1, 1),
    "turn": Kind("Turn", CHANGE, "Turns what is below it about an axis through the origin.", (
        Parameter("axis", (0.0, 0.0, 1.0), -10.0, 10.0, "The axis.", _PLACE),
        Parameter("degrees", 0.0, -360.0, 360.0, "By how much, by the right-hand rule.", (-180.0, 180.0))), 1, 1),
    "scale": Kind("Scale", CHANGE, "Makes what is below it larger or smaller.", (
        Parameter("factor", 1.0, 0.01, 100.0, "By how much.", (0.2, 2.0)),), 1, 1),
    "repeat": Kind("Repeat", CHANGE, "Copies what is below it in rows; it should fit in one period.", (
        Parameter("period", (0.8, 0.8, 0.8), 0.01, 20.0, "Distance between the copies along each axis.", (0.2, 1.5)),
        Parameter("counts", (1.0, 1.0, 0.0), 0.0, 50.0, "Copies on each side along each axis; 0 keeps the one.",
                  (0.0, 4.0), whole=True)), 1, 1),
    "shell": Kind("Shell", CHANGE, "Hollows what is below it: | f | - thickness / 2.", (
        Parameter("thickness", 0.05, 0.001, 5.0, "Thickness of the wall.", (0.01, 0.3)),), 1, 1),
    "grow": Kind("Grow", CHANGE, "Rounds and thickens what is below it: f - by.", (
        Parameter("by", 0.05, -5.0, 5.0, "By how much; below 0 it shrinks.", (-0.2, 0.3)),), 1, 1),
}  # fmt: skip
"""Name -> what it is, solids first."""


def node(kind: str, *children: Plain, **values: Any) -> Plain:
    """A node with its parameters in the order of the table, the ones not given at their defaults, unchecked."""
    made: Plain = {"kind": kind}
    made |= {p.name: _lists(values.get(p.name, p.default)) for p in KINDS[kind].parameters}
    return {**made, "children": list(children)} if children else made


def check_node(item: Any) -> Plain:
    """The tree below ``item`` with all its parameters; :class:`BadValue` in one line for what is not one."""
    count = 0

    def build(item: Any, depth: int) -> Plain:
        nonlocal count
        count += 1
        if depth > MAX_DEPTH:
            raise BadValue(f"nested deeper than {MAX_DEPTH}, flatten the tree")
        if count > MAX_NODES:
            raise BadValue(f"more than {MAX_NODES} nodes, take some away")
        if not isinstance(item, dict):
            raise BadValue(f"expected a node with a kind, found {str(item)[:40]!r}")
        name, children = item.get("kind"), item.get("children", [])
        if not isinstance(name, str) or name not in KINDS:
            raise BadValue(f"there is no kind {str(name)[:40]!r}; there are {', '.join(KINDS)}")
        kind = KINDS[name]
        if not isinstance(children, list):
            raise BadValue(f"{name}: children has to be a list of nodes")
        if len(children) < kind.least or (kind.most is not None and len(children) > kind.most):
            raise BadValue(f"{name}: takes {how_many(kind)}, not {len(children)}")
        unknown = sorted(set(item) - {"kind", "children"} - {p.name for p in kind.parameters})
        if unknown:
            raise BadValue(f"{name}: has no {unknown[0][:40]!r}")
        made: Plain = {"kind": name}
        made |= {p.name: p.check(item.get(p.name, p.default), name) for p in kind.parameters}
        _agree(made)
        below = [build(child, depth + 1) for child in children]
        return {**made, "children": below} if below else made

    return build(item, 1)


def read_tree(text: str) -> Plain:
    """The tree of a text; :class:`BadValue` in one line for anything else."""
    if len(text) > MAX_TEXT:
        raise BadValue(f"the text is longer than {MAX_TEXT:,} characters, take some nodes away")
    try:
        item = json.loads(text)
    except (ValueError, RecursionError) as e:
        raise BadValue(f"this is not JSON ({str(e)[:80]})") from None
    return check_node(item)


def write_tree(tree: Plain) -> str:
    """The text of a tree."""
    return json.dumps(tree)


def check_tree(text: str) -> str:
    """``text`` with every parameter written out, so that equal trees are equal texts; :class:`BadValue` if it is
    none."""
    return write_tree(read_tree(text))


def how_many(kind: Kind) -> str:
    """How many children a kind takes, in words."""
    if kind.most is None:
        return f"{kind.least} or more children"
    return "no children" if kind.most == 0 else "one child" if kind.most == 1 else f"{kind.most} children"


def _agree(made: Plain) -> None:
    """What the parameters of one node say of each other."""
    if made["kind"] == "metaballs" and len(made["centres"]) != len(made["radii"]):
        raise BadValue("metaballs: needs one radius for each centre")
    if made["kind"] == "box" and made["rounding"] > min(made["half"]):
        raise BadValue("box: the rounding is larger than its smallest half side, lower it")
    for name in ("axis", "normal"):
        if name in made and not math.hypot(*made[name]) > 1e-6:
            raise BadValue(f"{made['kind']}: the {name} has no length, give it a direction")


def _lists(value: Any) -> Any:
    return [_lists(v) for v in value] if isinstance(value, list | tuple) else value


def _moved(by: tuple[float, float, float], child: Plain) -> Plain:
    return node("move", child, by=by)


def _bars(radius: float) -> list[Plain]:
    """Three bars along z, y and x."""
    bar = node("cylinder", radius=radius, half_height=1.0)
    return [bar, node("turn", bar, axis=(1, 0, 0), degrees=90.0), node("turn", bar, axis=(0, 1, 0), degrees=90.0)]


PRESETS: Mapping[str, str] = {
    title: write_tree(check_node(tree))
    for title, tree in {
        "Ball and ring": node(
            "smooth_union",
            node("sphere", radius=0.45),
            _moved((0.5, 0.0, 0.25), node("torus", major=0.38, minor=0.12)),
            k=0.2,
        ),
        "Drilled ball": node(
            "difference",
            node("intersection", node("sphere", radius=0.85), node("box", half=(0.65, 0.65, 0.65), rounding=0.05)),
            node("union", *_bars(0.35)),
        ),
        "Gyroid in a ball": node(
            "smooth_intersection", node("sphere", radius=0.85), node("gyroid", scale=0.75, thickness=0.1), k=0.04
        ),
        "Metaballs": node(
            "metaballs",
            centres=((-0.4, -0.1, -0.2), (0.35, 0.15, -0.15), (0.0, -0.05, 0.4), (0.1, 0.5, 0.1)),
            radii=(0.36, 0.34, 0.3, 0.24),
        ),
        "Row of pearls": node(
            "smooth_union",
            node("repeat", node("sphere", radius=0.16), period=(0.4, 0.4, 0.4), counts=(2.0, 0.0, 0.0)),
            node("capsule", a=(-0.9, 0.0, 0.0), b=(0.9, 0.0, 0.0), radius=0.04),
            k=0.06,
        ),
        "Mug": node(
            "smooth_union",
            node(
                "smooth_difference",
                node("cylinder", radius=0.45, half_height=0.55),
                _moved((0.0, 0.0, 0.12), node("cylinder", radius=0.37, half_height=0.55)),
                k=0.04,
            ),
            node(
                "difference",
                _moved(
                    (0.5, 0.0, 0.0), node("turn", node("torus", major=0.28, minor=0.065), axis=(1, 0, 0), degrees=90.0)
                ),
                node("cylinder", radius=0.41, half_height=0.6),
            ),
            k=0.06,
        ),
        "One sphere": node("sphere", radius=0.7),
        "One torus": node("torus", major=0.6, minor=0.25),
    }.items()
}
"""Shapes to begin with, by title; all lie within the cube of half side 1."""

EXAMPLE = PRESETS["Ball and ring"]
"""What a tree is before anybody touched it."""
