"""Editing a tree of solids: from one tree to the next, nothing is changed in place. Knows the contract, no widget.

A row of the outline is a solid or a combination with all the changes (move, turn ...) that stand over it: its ``top``
is the path to the outermost of these, its ``path`` that to the solid or combination itself.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from engine.shape_tree import CHANGE, COMBINE, KINDS, Plain, node

Path = tuple[int, ...]
"""From the root down: which child at each node."""


@dataclass(frozen=True)
class Row:
    """One line of the outline; ``level`` is how deep it is indented, ``changes`` the paths from ``top`` inwards."""

    top: Path
    path: Path
    level: int

    @property
    def changes(self) -> tuple[Path, ...]:
        return tuple(self.path[:n] for n in range(len(self.top), len(self.path)))


def rows_of(tree: Plain) -> list[Row]:
    """The lines of the outline from the top."""

    def walk(top: Path, level: int) -> Iterator[Row]:
        path = top
        while KINDS[at(tree, path)["kind"]].group == CHANGE:
            path = (*path, 0)
        yield Row(top, path, level)
        for i in range(len(at(tree, path).get("children", ()))):
            yield from walk((*path, i), level + 1)

    return list(walk((), 0))


def at(tree: Plain, path: Path) -> Plain:
    """The node at ``path``; LookupError where there is none."""
    for i in path:
        tree = tree["children"][i]
    return tree


def replaced(tree: Plain, path: Path, by: Plain) -> Plain:
    """The tree with ``by`` in the place of the node at ``path``."""
    if not path:
        return by
    children = list(tree["children"])
    children[path[0]] = replaced(children[path[0]], path[1:], by)
    return {**tree, "children": children}


def with_value(tree: Plain, path: Path, parameter: str, indices: tuple[int, ...], value: float) -> Plain:
    """One number of a parameter set: ``indices`` say which where it is a list (of lists). What would make no shape is
    mended: a box's rounding follows its half sides, and a direction keeps its last length."""
    item = at(tree, path)

    def put(old: object, rest: tuple[int, ...]) -> object:
        if not rest:
            return value
        assert isinstance(old, list)
        return [put(v, rest[1:]) if i == rest[0] else v for i, v in enumerate(old)]

    fresh = {**item, parameter: put(item[parameter], indices)}
    if fresh["kind"] == "box":
        fresh["rounding"] = min(fresh["rounding"], *fresh["half"])
    if parameter in ("axis", "normal") and math.hypot(*fresh[parameter]) < 1e-3:
        return tree
    return replaced(tree, path, fresh)


def added(tree: Plain, row: Row, kind: str) -> tuple[Plain, Path]:
    """A new node of ``kind`` and the path of the row to select: a solid goes into the selected combination or beside
    the selected solid, a combination or change goes over the selected row."""
    if KINDS[kind].group in (CHANGE, COMBINE):
        made = replaced(tree, row.top, node(kind, at(tree, row.top)))
        inner = (*row.top, 0, *row.path[len(row.top) :])
        return made, row.top if KINDS[kind].group == COMBINE else inner
    fresh, here = node(kind), at(tree, row.path)
    if KINDS[here["kind"]].group == COMBINE:
        children = [*here["children"], fresh]
        return replaced(tree, row.path, {**here, "children": children}), (*row.path, len(children) - 1)
    if not row.top:
        return node("union", tree, fresh), (1,)
    return _beside(tree, row.top, fresh)


def _beside(tree: Plain, top: Path, fresh: Plain) -> tuple[Plain, Path]:
    parent = at(tree, top[:-1])
    children = list(parent["children"])
    children.insert(top[-1] + 1, fresh)
    path = (*top[:-1], top[-1] + 1)
    return replaced(tree, top[:-1], {**parent, "children": children}), path


def duplicated(tree: Plain, row: Row) -> tuple[Plain, Path]:
    """A copy beside the row, moved a little so that it is seen; and the path of the copy."""
    copy = at(tree, row.top)
    if copy["kind"] == "move":
        x, y, z = copy["by"]
        copy, inner = {**copy, "by": [min(x + 0.25, 10.0), y, z]}, row.path[len(row.top) :]
    else:
        copy, inner = node("move", copy, by=(0.25, 0.0, 0.0)), (0, *row.path[len(row.top) :])
    if not row.top:
        return node("union", tree, copy), (1, *inner)
    made, path = _beside(tree, row.top, copy)
    return made, path + inner


def removed(tree: Plain, row: Row) -> tuple[Plain, Path] | None:
    """The tree without the row and all below it, and the path of the row to select; a combination that is left without
    children goes too. None where nothing would be left."""
    top = row.top
    while top:
        parent = at(tree, top[:-1])
        children = [c for i, c in enumerate(parent["children"]) if i != top[-1]]
        if children:
            made = replaced(tree, top[:-1], {**parent, "children": children})
            return made, (*top[:-1], min(top[-1], len(children) - 1))
        top = top[:-1]
    return None


def without_change(tree: Plain, path: Path) -> Plain:
    """The change at ``path`` taken away: what it changed stands in its place."""
    return replaced(tree, path, at(tree, path)["children"][0])


def changed_kind(tree: Plain, path: Path, kind: str) -> Plain:
    """Another kind of the same group at ``path``: its children stay, and parameters of the same name and shape."""
    old = at(tree, path)
    fresh = node(kind, *old.get("children", ()))
    kept = {p.name: old[p.name] for p in KINDS[kind].parameters if p.name in old and _alike(old[p.name], p.default)}
    return replaced(tree, path, {**fresh, **kept})


def _alike(value: object, default: object) -> bool:
    return isinstance(value, list) == isinstance(default, tuple)


def shifted(tree: Plain, row: Row, by: int) -> tuple[Plain, Path] | None:
    """The row moved by ``by`` places among those of its combination, and its new path; None where it cannot."""
    if not row.top:
        return None
    parent = at(tree, row.top[:-1])
    children, old = list(parent["children"]), row.top[-1]
    new = old + by
    if not 0 <= new < len(children):
        return None
    children.insert(new, children.pop(old))
    made = replaced(tree, row.top[:-1], {**parent, "children": children})
    return made, (*row.top[:-1], new, *row.path[len(row.top) :])


def resized(tree: Plain, path: Path, by: int) -> Plain:
    """One entry more or fewer in every list of the node at ``path`` (balls of metaballs); the new one like the last."""
    item = at(tree, path)
    lists = {p.name: list(item[p.name]) for p in KINDS[item["kind"]].parameters if p.many}
    for values in lists.values():
        if by < 0:
            values.pop()
        else:
            last = values[-1]
            values.append([last[0], last[1], last[2] + 0.3] if isinstance(last, list) else last)
    return replaced(tree, path, {**item, **lists})
