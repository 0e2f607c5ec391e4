"""Which kind of splats a PLY file holds, by its header. The kinds are in files of their own."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from engine.formats.scene.common import Reading
from engine.formats.scene.ply import Header, check_counts
from engine.formats.scene.records import Column
from engine.formats.splats import compressed, inria
from engine.scene import Splats, Thing


def holds_splats(header: Header) -> bool:
    """Whether it is for :func:`read`."""
    return inria.is_inria(header) or compressed.is_compressed(header)


def read(path: Path, header: Header) -> Reading[tuple[Thing, ...]]:
    """The splats of a file with a header that holds some."""
    check_counts(path, header, path.stat().st_size)
    yield 0.0
    kind = compressed if compressed.is_compressed(header) else inria
    return (yield from kind.read(path, header))


def glimpse(path: Path, header: Header, sample: Callable[[Mapping[str, Column]], dict[str, Any]]) -> Splats | None:
    """Some of the splats, where ``sample`` gives columns of some, as much larger as surfaces need to stay closed; None
    for compressed ones."""
    if not inria.is_inria(header):
        return None
    vertex = next(e for e in header.elements if e.name == "vertex")
    some = inria.thing_of(path, header, sample(inria.columns_of(path, vertex)))
    return replace(some, size=math.sqrt(vertex.count / len(some.xyz)))
