"""Clouds of points: what is sent of them, and which of them are drawn when not all can be. Draws one cloud."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from OpenGL import GL

from engine.scene import Points
from widgets.viewport.colours import label_rows, rgb, value_range
from widgets.viewport.drawing import shaders
from widgets.viewport.drawing.gpu import Gpu, Texture, Vao, draw_ranges
from widgets.viewport.drawing.shot import Shot, world_of
from widgets.viewport.drawing.streams import Item, Plan, Stream, array_stream, mark_bits
from widgets.viewport.lod import BLOCK, choose, consecutive_blocks, ranges, strided_blocks

SMALL = 300_000
"""Clouds up to here are drawn whole, in their own order."""
MOST_SWOLLEN = 1.6
"""How much larger points are at most while many of them are left out."""
ROUND_FROM = 4.0
"""Pixels from which on the corners of a square would be seen."""


def best_colouring(points: Points) -> str:
    """What a cloud is coloured by where nobody says it."""
    if points.colour_by:
        return points.colour_by
    if points.rgb is not None:
        return "rgb"
    if points.labels is not None:
        return "label"
    return f"scalar:{next(iter(points.scalars))}" if points.scalars else "plain"


class PointsItem(Item):
    """``rest`` is how many points of the picture begun by :meth:`begin` are still to be drawn."""

    thing: Points
    shown_thing: Points

    def __init__(self, gpu: Gpu, thing: Points, tables: dict[str, Texture]) -> None:
        super().__init__(thing)
        self._gpu = gpu
        self._tables = tables
        self._vao = Vao()
        self._nodes: NDArray[np.int64] | None = None
        self._ends: NDArray[np.int64] = np.zeros(0, np.int64)
        self._node = 0
        self._drawn = 0
        self._all = 0
        self._swell = 1.0

    # ---- what is sent -----------------------------------------------------------------------------------------------

    @property
    def colour_by(self) -> str:
        """As it is shown: without what the cloud does not have."""
        points = self.thing
        wanted = self.changes.colour_by if self.changes.colour_by is not None else best_colouring(points)
        wanted = wanted or best_colouring(points)
        name = wanted.removeprefix("scalar:")
        there = {
            "rgb": points.rgb is not None,
            "label": points.labels is not None,
            "normal": points.normals is not None,
            "height": True,
        }
        return wanted if there.get(wanted, wanted.startswith("scalar:") and name in points.scalars) else "plain"

    def plan(self) -> Plan:
        points, changes = self.thing, self.changes
        n = len(points.xyz)
        spread = n > SMALL and points.tree is None
        order = f"{n} {spread}"
        blocks = strided_blocks(n) if spread else consecutive_blocks(n)
        found: Plan = {"xyz": array_stream(points.xyz, np.float32, blocks, order=order, watch=True)}
        by = self.colour_by
        if by == "rgb":
            found["rgb"] = array_stream(points.rgb, np.uint8, blocks, order=order)
        elif by.startswith("scalar:"):
            values = points.scalars[by.removeprefix("scalar:")]
            found["value"] = array_stream(values, np.float32, blocks, order=order, watch=True)
        elif by == "label":
            label_sources = (points.labels, order, "label")
            found["label"] = (
                label_sources,
                lambda: Stream(label_sources, blocks, 1, lambda block: label_rows(points.labels[block])),
            )
        if points.normals is not None:
            normal_sources = (points.normals, order, "normal")
            found["normal"] = (
                normal_sources,
                lambda: Stream(normal_sources, blocks, 4, lambda block: packed_normals(points.normals[block])),
            )
        if changes.keep is not None or changes.marked is not None:
            flag_sources = (changes.keep, changes.marked, order, "flags")
            keep, marked = changes.keep, changes.marked
            found["flags"] = (
                flag_sources,
                lambda: Stream(flag_sources, blocks, 1, lambda block: mark_bits(keep, marked, block)),
            )
        return found

    def connect(self) -> None:
        self._vao.free()
        self._vao = Vao()
        parts = self.shown
        self._vao.feed(0, parts["xyz"].buffer, np.float32, 3)
        if "rgb" in parts:
            self._vao.feed(1, parts["rgb"].buffer, np.uint8, 3, normalised=True)
        if "value" in parts:
            self._vao.feed(1, parts["value"].buffer, np.float32, 1)
        if "label" in parts:
            self._vao.feed(1, parts["label"].buffer, np.uint8, 1)
        if "normal" in parts:
            self._vao.feed(2, parts["normal"].buffer, np.int8, 3, stride=4, normalised=True)
        if "flags" in parts:
            self._vao.feed(3, parts["flags"].buffer, np.uint8, 1)

    def range(self) -> tuple[float, float]:
        """What the table's ends stand for, as far as the numbers are known."""
        if self.changes.range is not None:
            return self.changes.range
        part = self.shown.get("value")
        if part is None or part.low is None:
            return 0.0, 1.0
        return value_range(float(part.low[0]), float(part.high[0]), self.colour_by.removeprefix("scalar:"))

    # ---- what is drawn ----------------------------------------------------------------------------------------------

    @property
    def there(self) -> int:
        return min((part.done for part in self.shown.values()), default=0)

    @property
    def weight(self) -> int:
        """Points that a whole picture would draw at most."""
        return self.there

    @property
    def rest(self) -> int:
        return self._all - self._drawn

    def begin(self, shot: Shot, budget: int, moving: bool) -> None:
        """Chooses for a new picture: ``budget`` points where the hand is ``moving``, else all that can be told apart.
        What is left out then is made up for by larger points."""
        there = self.there
        tree = self.shown_thing.tree
        self._node = self._drawn = 0
        self._nodes = None
        if tree is not None and there > SMALL:
            clip = shot.clip @ world_of(self.shown_thing, self.changes)
            finest = 1.0 if moving else 0.5
            self._nodes = choose(tree, clip, shot.height, budget if moving else there, finest)
            self._ends = np.cumsum(np.asarray(tree.count)[self._nodes])
            self._all = int(self._ends[-1]) if len(self._ends) else 0
        else:
            self._all = there
        self._swell = 1.0
        if moving:
            whole = self._all if self._nodes is None else there
            self._all = min(self._all, max(budget, min(there, BLOCK // 8)))
            self._swell = min(MOST_SWOLLEN, (max(whole, 1) / max(self._all, 1)) ** 0.25)

    def advance(self, shot: Shot, amount: int) -> int:
        """Draws the next ``amount`` points of the picture; how many it were."""
        if self.rest <= 0:
            return 0
        until = min(self._drawn + amount, self._all)
        if self._nodes is not None:
            last = max(int(np.searchsorted(self._ends, until, side="right")), self._node + 1)
            nodes = self._nodes[self._node : last]
            self._node = last
            tree = self.shown_thing.tree
            assert tree is not None
            starts, counts = ranges(np.asarray(tree.start)[nodes], np.asarray(tree.count)[nodes], self.there)
            until = int(self._ends[min(last, len(self._ends)) - 1])
        else:
            starts, counts = np.array([self._drawn], np.int32), np.array([until - self._drawn], np.int32)
        drawn = until - self._drawn
        self._drawn = until
        self._draw(shot, starts, counts)
        return drawn

    def _draw(self, shot: Shot, first: NDArray[np.int32], count: NDArray[np.int32]) -> None:
        points, parts = self.shown_thing, self.shown
        world = world_of(points, self.changes)
        by = self.colour_by
        defines = shot.defines(normals="normal" in parts, shaded="normal" in parts and by != "normal")
        for name, word in (("rgb", "RGB"), ("value", "VALUE"), ("label", "LABEL"), ("flags", "FLAGS")):
            if name in parts:
                defines[word] = 1
        if by == "height":
            defines["HEIGHT"] = 1
        elif by == "normal" and "normal" in parts:
            defines["BY_NORMAL"] = 1
        size = points.size * shot.style.point_scale * self._swell
        pixels = size * shot.pixel
        if shot.style.round_points and (points.world_size or pixels >= ROUND_FROM):
            defines["ROUND"] = 1
        program = self._gpu.program(shaders.POINT_VERTEX, shaders.POINT_FRAGMENT, **defines)
        alpha = points.opacity if self.changes.opacity is None else self.changes.opacity
        scale = float(np.cbrt(abs(np.linalg.det(world[:3, :3]))))
        values: dict[str, Any] = {
            "plain": rgb(self.changes.colour or points.colour, shot.palette.thing),
            "size": pixels,
            "world_size": size * scale * shot.projection[1, 1] * shot.height / 2 if points.world_size else 0.0,
            "alpha": alpha,
            "range": self.range(),
            "height": shot.height_of(world),
            "table": 0,
        }
        program.set(**shot.place(world), **values)
        if "normal" in parts:
            program.set(**shot.turns(world))
        self._tables["label" if "label" in parts else table_key(by)].bind(0)
        self._vao.bind()
        draw_ranges(GL.GL_POINTS, first, count)

    def free(self) -> None:
        super().free()
        self._vao.free()


def table_key(by: str) -> str:
    """Which of the tables on the card colours a scalar."""
    from widgets.viewport.colours import is_signed

    return "signed" if by.startswith("scalar:") and is_signed(by.removeprefix("scalar:")) else "plain"


def packed_normals(normals: NDArray[Any]) -> NDArray[np.int8]:
    """(N, 4) bytes, -127..127: a normal's direction to within half a degree in a third of the memory."""
    packed = np.zeros((len(normals), 4), np.int8)
    with np.errstate(invalid="ignore"):
        packed[:, :3] = np.nan_to_num(np.clip(normals, -1.0, 1.0) * 127.0).round()
    return packed
