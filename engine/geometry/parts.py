"""Parts of clouds, splats and meshes, by what is kept of them. Pure functions; the view lane runs ``parts.cut_out``.

Knows neither selections nor files.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.scene import Mesh, Points, Splats, Thing

Bools = NDArray[np.bool_]
SLICE = 1 << 17
"""Rows that are copied before a place to be given up."""
OF_POINTS = ("xyz", "rgb", "normals", "labels", "index")
OF_SPLATS = ("xyz", "scales", "turns", "opacity", "sh", "index")
OF_VERTICES = ("vertices", "normals", "rgb", "uv")


def cut_out(things: Sequence[tuple[Thing, Bools | None]]) -> Generator[None, None, tuple[Thing, ...]]:
    """The things with only those points, splats or faces that are kept of each, bool (N,); None keeps all."""
    out = []
    for thing, keep in things:
        out.append(thing if keep is None else (yield from part_of(thing, keep)))
    return tuple(out)


def part_of(thing: Thing, keep: Bools) -> Generator[None, None, Thing]:
    """One thing so; vertices that nobody needs are left out, a cloud's octree with them."""
    made: dict[str, Any]
    if isinstance(thing, Splats):
        made = yield from _columns(thing, OF_SPLATS, np.flatnonzero(keep))
    elif isinstance(thing, Mesh):
        faces = thing.faces[keep]
        used = np.zeros(len(thing.vertices), bool)
        used[faces] = True
        number = np.cumsum(used, dtype=np.int32) - 1
        yield
        which = np.flatnonzero(used)
        made = yield from _columns(thing, OF_VERTICES, which)
        made |= {"faces": number[faces].astype(np.int32), "scalars": {n: v[which] for n, v in thing.scalars.items()}}
    else:
        assert isinstance(thing, Points)
        which = np.flatnonzero(keep)
        made = yield from _columns(thing, OF_POINTS, which)
        made |= {"tree": None, "scalars": {n: values[which] for n, values in thing.scalars.items()}}
    return replace(thing, **made)


def _columns(thing: Thing, names: Sequence[str], which: NDArray[np.intp]) -> Generator[None, None, dict[str, Any]]:
    """Some rows of some arrays of a thing, of those that it has."""
    made = {}
    for name in names:
        values = getattr(thing, name)
        if values is None:
            continue
        rows = np.empty((len(which), *values.shape[1:]), values.dtype)
        for at in range(0, len(which), SLICE):
            np.take(values, which[at : at + SLICE], axis=0, out=rows[at : at + SLICE], mode="clip")
            yield
        made[name] = rows
    return made
