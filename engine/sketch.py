"""A control that is drawn on: strokes of a pen and of an eraser, as text, and as ink on a grid of pixels. Plain data.

It is a control like those of :mod:`engine.probes`; apart because it knows how lines become pixels.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any

from engine.params import DRAWING_LIMIT, BadValue, strokes
from engine.probes import Control, Knobs

if TYPE_CHECKING:  # the contract imports in milliseconds: numpy is only named here
    import numpy as np
    from numpy.typing import NDArray

Point = tuple[float, float]
PEN, ERASER = 0.09, 0.3
"""Widths of the tools in the drawing's units: it is 2 wide and 2 high."""
THINNEST, WIDEST = 0.02, 1.0
_TOOLS = {"pen": False, "eraser": True}


@dataclass(frozen=True)
class Stroke:
    """One line: ``points`` (x, y), each within -1..1, y up, and the ``width`` of what draws or ``erases`` along it."""

    points: tuple[Point, ...]
    width: float = PEN
    erases: bool = False


def sketch_strokes(text: str) -> list[Stroke]:
    """The strokes of a sketch, in the order in which they were drawn. Lines are parted by semicolons; each has points
    ``x,y`` parted by spaces, and before them, unless it is drawn with the pen at :data:`PEN`, a tool and its width:
    ``eraser:0.3 0,0 0.5,0.5``. ValueError in one line for anything else."""
    if len(text) > DRAWING_LIMIT:
        raise ValueError(f"the drawing is longer than {DRAWING_LIMIT:,} characters; draw less, or clear it")
    found = []
    for line in text.split(";"):
        first, _, rest = line.strip().partition(" ")
        tool, colon, size = first.partition(":")
        width, erases = PEN, False
        if colon:
            width, erases = _width(size), _TOOLS.get(tool, False)
            if tool not in _TOOLS or not THINNEST <= width <= WIDEST:
                raise ValueError(
                    f"{first[:20]!r} is not pen:WIDTH or eraser:WIDTH, from {THINNEST:g} to {WIDEST:g} wide"
                )
            line = rest
        found += [Stroke(tuple(points), width, erases) for points in strokes(line)]
    return found


def _width(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def sketch_text(lines: Sequence[Stroke]) -> str:
    """``lines`` as :func:`sketch_strokes` reads them, with three decimals."""
    parts = []
    for line in lines:
        usual = not line.erases and abs(line.width - PEN) < 1e-6
        tool = [] if usual else [f"{'eraser' if line.erases else 'pen'}:{round(line.width, 3):g}"]
        parts.append(" ".join(tool + [",".join(f"{round(c, 3) + 0.0:g}" for c in point) for point in line.points]))
    return ";".join(parts)


def arc(x: float, y: float, radius: float, start: float = 0.0, end: float = 360.0) -> Stroke:
    """A part of a circle about (x, y), from one angle to another in degrees, anticlockwise from the right."""
    count = max(12, math.ceil(abs(end - start) * radius / 5))
    angles = [math.radians(start + (end - start) * i / count) for i in range(count + 1)]
    return Stroke(tuple((x + radius * math.cos(a), y + radius * math.sin(a)) for a in angles))


FACE = sketch_text([arc(0, 0, 0.88), arc(-0.3, 0.22, 0.1), arc(0.3, 0.22, 0.1), arc(0, -0.05, 0.48, 205, 335)])
"""A circle, two eyes and a mouth."""


@dataclass(frozen=True)
class Sketch(Control):
    """A drawing made by hand. Value: the text that :func:`sketch_strokes` reads. ``item`` names the control whose
    picture may be traced to begin with, '' for none."""

    default: str = FACE
    item: str = ""

    def initial(self, knobs: Knobs) -> str:
        return self.default

    def check(self, name: str, value: Any, knobs: Knobs) -> str:
        try:
            sketch_strokes(str(value))
        except ValueError as e:
            raise BadValue(f"{name}: {e}") from None
        return str(value)

    def parse(self, name: str, text: str, knobs: Knobs) -> str:
        return self.check(name, text.strip(), knobs)


def raster(text: str, height: int, width: int) -> NDArray[np.float32]:
    """The ink of a sketch on a grid of pixels, float32 (height, width), row 0 at the top: 1 under a line, 0 beside
    it, in between on its edge; a line is a pixel wide at least. The square of the drawing is stretched over the whole
    grid."""
    import numpy as np

    ink = np.zeros((height, width), np.float32)
    scale = min(height, width) / 2
    for erases, run in groupby(sketch_strokes(text), key=lambda stroke: stroke.erases):
        cover = np.zeros_like(ink)
        for size, same in groupby(run, key=lambda stroke: stroke.width):
            thick = max(1.0, size * scale)  # a pixel at least, as lines of drawings are
            _draw(cover, _pieces([stroke.points for stroke in same], height, width), thick)
        ink = ink * (1 - cover) if erases else np.maximum(ink, cover)
    return ink


def _pieces(lines: list[tuple[Point, ...]], height: int, width: int) -> NDArray[np.float32]:
    """The lines cut into pieces of a pixel's length at most, (N, 4): row and column where each begins, and the way to
    where it ends."""
    import numpy as np

    found = []
    for line in lines:
        corners = np.array(line, np.float32)
        at = np.stack([(1 - corners[:, 1]) * height / 2, (corners[:, 0] + 1) * width / 2], 1)
        at = np.concatenate([at, at[-1:]])  # a point alone is a line of no length
        way = np.diff(at, axis=0)
        count = np.maximum(1, np.ceil(np.hypot(way[:, 0], way[:, 1])).astype(int))
        step = (way / count[:, None]).repeat(count, 0)
        place = np.arange(count.sum()) - (count.cumsum() - count).repeat(count)
        found.append(np.concatenate([at[:-1].repeat(count, 0) + place[:, None] * step, step], 1))
    return np.concatenate(found).astype(np.float32)


def _draw(cover: NDArray[np.float32], pieces: NDArray[np.float32], size: float) -> None:
    """Covers the pixels along pieces of a line ``size`` pixels wide: 1 half a pixel inside its edge, 0 half a pixel
    outside."""
    import numpy as np

    reach = math.ceil(size / 2 + 1.5)
    around = np.arange(-reach, reach + 1)
    rows = np.floor(pieces[:, 0]).astype(int)[:, None, None] + around[None, :, None]
    columns = np.floor(pieces[:, 1]).astype(int)[:, None, None] + around[None, None, :]
    down, right = rows + 0.5 - pieces[:, 0, None, None], columns + 0.5 - pieces[:, 1, None, None]
    dy, dx = pieces[:, 2, None, None], pieces[:, 3, None, None]
    along = np.clip((down * dy + right * dx) / np.maximum(dy * dy + dx * dx, 1e-12), 0, 1)
    away = np.hypot(down - along * dy, right - along * dx)
    dark = np.clip(size / 2 + 0.5 - away, 0, 1).astype(np.float32)
    rows, columns = np.broadcast_arrays(rows, columns)
    inside = (dark > 0) & (rows >= 0) & (rows < cover.shape[0]) & (columns >= 0) & (columns < cover.shape[1])
    np.maximum.at(cover, (rows[inside], columns[inside]), dark[inside])
