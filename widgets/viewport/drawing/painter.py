"""A scene on the graphics card: an item per thing, and pictures of them, whole or bit by bit. Knows no widget.

A picture is begun by :meth:`Painter.begin`, gets a stretch of the solid things by each :meth:`Painter.advance`, and is
finished over what is there by :meth:`Painter.finish` as often as one likes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from OpenGL import GL

from engine.scene import Arrows, Field, Frustums, Handles, Lines, Mesh, Points, Sheet, Splats, Thing, Words
from widgets.viewport.colours import STEPS, diverging_table, label_table, table_of
from widgets.viewport.drawing.field import FieldItem
from widgets.viewport.drawing.flat import SheetItem, WordsItem
from widgets.viewport.drawing.frustums import FrustumsItem
from widgets.viewport.drawing.gpu import Gpu, Texture, free_all
from widgets.viewport.drawing.grid import Grid
from widgets.viewport.drawing.lines import ArrowsItem, HandlesItem, LinesItem
from widgets.viewport.drawing.mesh import MeshItem
from widgets.viewport.drawing.points import PointsItem
from widgets.viewport.drawing.shot import Palette, Shot, seen, world_of
from widgets.viewport.drawing.splats.among import Among
from widgets.viewport.drawing.splats.computed import Computed
from widgets.viewport.drawing.splats.item import Ask, SplatsItem
from widgets.viewport.drawing.stage import Stage
from widgets.viewport.drawing.streams import Item, rgba
from widgets.viewport.style import Changes

Bounds = tuple[NDArray[np.float64], NDArray[np.float64]]
NOTHING = Changes()
BEHIND = 0.3
"""How much of their opacity the edges of cameras have that stand within or behind a field."""


class Painter:
    def __init__(self, gpu: Gpu) -> None:
        self._gpu = gpu
        tables = {"plain": table_of("plain"), "signed": diverging_table(), "label": label_table()}
        self._tables = {name: _table(rows) for name, rows in tables.items()}
        self._makers: dict[type[Thing], Callable[[Any], Item]] = {
            Points: lambda thing: PointsItem(gpu, thing, self._tables),
            Mesh: lambda thing: MeshItem(gpu, thing, self._tables),
            Lines: lambda thing: LinesItem(gpu, thing),
            Arrows: lambda thing: ArrowsItem(gpu, thing),
            Sheet: lambda thing: SheetItem(gpu, thing),
            Words: lambda thing: WordsItem(gpu, thing),
            Handles: lambda thing: HandlesItem(gpu, thing),
            Field: lambda thing: FieldItem(gpu, thing),
            Frustums: lambda thing: FrustumsItem(gpu, thing),
            Splats: lambda thing: SplatsItem(gpu, thing),
        }
        self.items: dict[str, Item] = {}
        self._texts: dict[str, WordsItem] = {}
        """Of handles that have texts, by the handles' name."""
        self._grid = Grid(gpu)
        self._among = Among(gpu)
        self._changes: Mapping[str, Changes] = {}

    # ---- what there is ----------------------------------------------------------------------------------------------

    def set_things(self, things: Sequence[Thing], changes: Mapping[str, Changes]) -> None:
        """Makes items for new names, frees those of names that are gone, tells the others what they show now."""
        self._changes = changes
        there = {thing.name: thing for thing in things}
        for name in [name for name, item in self.items.items() if type(there.get(name)) is not type(item.thing)]:
            self.items.pop(name).free()
        for name in [name for name in self._texts if not getattr(there.get(name), "texts", ())]:
            self._texts.pop(name).free()
        ordered: dict[str, Item] = {}
        for name, thing in there.items():
            item = self.items.get(name) or self._makers[type(thing)](thing)
            item.want(thing, changes.get(name, NOTHING))
            ordered[name] = item
            if isinstance(thing, Handles) and thing.texts:
                self._texts.setdefault(name, WordsItem(self._gpu, thing)).want(thing, changes.get(name, NOTHING))
        self.items = ordered

    def pump(self, seconds: float, palette: Palette, pixel: float) -> tuple[bool, bool]:
        """Sends arrays for ``seconds`` at most; whether the picture changes by that, and whether more is to be sent."""
        deadline = time.perf_counter() + seconds
        changed = False
        for words in self._all():
            if isinstance(words, WordsItem):
                words.set_ink(palette.text, palette.ground, pixel)
        waiting = [item for item in self._all() if item.busy]
        # What is small goes first: an outline's click shows at once even while a large file comes in.
        for item in sorted(waiting, key=_size):
            changed = item.pump(deadline) or changed
            if time.perf_counter() > deadline:
                break
        return changed, any(item.busy for item in waiting)

    @property
    def busy(self) -> bool:
        """Whether there is more to be sent."""
        return any(item.busy for item in self._all())

    def _all(self) -> list[Item]:
        return [*self.items.values(), *self._texts.values(), *self._grid.items]

    def _visible(self) -> list[Item]:
        return [item for item in self.items.values() if item.shown and seen(item.shown_thing, self._changes)]

    def bounds(self) -> Bounds | None:
        """The least and greatest corner in the world of what is visible, as far as it is there."""
        low, high = np.full(3, np.inf), np.full(3, -np.inf)
        for item in self.items.values():
            own = item.bounds()
            if own is None or not seen(item.shown_thing, self._changes):
                continue
            corners = np.stack([np.where([k & 1, k & 2, k & 4], own[1], own[0]) for k in range(8)])
            world = world_of(item.shown_thing, item.changes)
            corners = corners @ world[:3, :3].T + world[:3, 3]
            low, high = np.minimum(low, corners.min(axis=0)), np.maximum(high, corners.max(axis=0))
        return (low, high) if np.isfinite(low).all() and np.isfinite(high).all() else None

    # ---- pictures ---------------------------------------------------------------------------------------------------

    def _solid(self) -> list[Any]:
        return [item for item in self._visible() if _is_solid(item)]

    def _splats(self) -> list[SplatsItem]:
        """All that are seen; those that are blended are no solid ones."""
        return [item for item in self._visible() if isinstance(item, SplatsItem)]

    def _blended(self) -> list[SplatsItem]:
        return [item for item in self._splats() if not item.is_solid]

    @property
    def notice(self) -> str:
        """What this card cannot do, in one line, or nothing."""
        return self._among.notice or next((item.notice for item in self._splats() if item.notice), "")

    @property
    def has_splats(self) -> bool:
        return bool(self._blended())

    def asks(self, shot: Shot, budget: int, moving: bool) -> list[tuple[SplatsItem | Computed, Ask]]:
        """What the view lane is to work out for splats, for this picture or a better one, and who takes the answer."""
        share = min(1.0, budget / max(self.weight, 1))
        return self._among.asks(self._splats(), self._blended(), self._solid(), shot, share, moving)

    def trials(self, shot: Shot) -> list[tuple[Computed, Ask]]:
        """What the view lane is to work out once nobody waits for it any more."""
        return self._among.trials(self._blended(), self._solid(), shot)

    def has(self, owner: SplatsItem | Computed) -> bool:
        """Whether an answer for ``owner`` still matters."""
        return owner is self._among.computed or owner in self.items.values()

    def waits(self, shot: Shot, moving: bool) -> bool:
        """Whether a picture cannot be begun before an answer comes."""
        return self._among.waits(self._splats(), self._blended(), self._solid(), shot, moving)

    def order_now(self, shot: Shot) -> None:
        """What :meth:`asks` asks for, at once and exactly."""
        self._among.order_now(self._splats(), shot)

    def begin(
        self, stage: Stage, shot: Shot, budget: int, moving: bool, part: tuple[float, float] = (0.0, 1.0)
    ) -> None:
        """A new picture. While ``moving``, clouds get a share of ``budget`` by their size and are reduced to that."""
        self._grid.want(self.bounds(), shot, part == (0.0, 1.0))
        stage.begin(shot, part)
        solid, blended = self._solid(), self._blended()
        weight = self.weight or 1
        for item in [*solid, *blended]:
            item.begin(shot, max(1, int(budget * item.weight / weight)), moving)
        blended.sort(key=lambda item: -self._distance(item, shot))
        self._among.begin(stage, shot, blended, solid, moving)

    @property
    def weight(self) -> int:
        """Points and faces that a whole picture may have to draw; a splat counts as several."""
        return sum(item.weight for item in [*self._solid(), *self._blended()])

    @property
    def can_be_quick(self) -> bool:
        """Whether a picture with few points and coarse meshes can stand in for the whole one."""
        return not any(isinstance(item, MeshItem) and item.lacks_coarse for item in self._solid())

    @property
    def holes(self) -> bool:
        """Whether what is still to be drawn would be missed: parts of a mesh, where a cloud only becomes denser."""
        return self._among.rest > 0 or any(isinstance(item, MeshItem) and item.rest > 0 for item in self._solid())

    @property
    def rest(self) -> int:
        """How many points and faces of this picture are still to be drawn."""
        return sum(max(0, item.rest) for item in self._solid()) + self._among.rest

    def advance(self, stage: Stage, shot: Shot, amount: int) -> int:
        """Draws up to about ``amount`` points and faces more; how many it were."""
        stage.draw_solid(shot)
        drawn = 0
        for item in self._solid():
            while item.rest > 0 and drawn < amount:
                step = item.advance(shot, amount - drawn)
                drawn += step
                if not step:
                    break
        if drawn < amount:  # what is solid is there, so that it hides what is behind it
            drawn += self._among.advance(shot, amount - drawn)
        return drawn

    def finish(self, stage: Stage, shot: Shot) -> None:
        """Puts the lines, the see-through things and the signs over what is solid so far."""
        stage.draw_over(shot)
        visible = self._visible()
        for item in visible:  # these leave their depth, so that what follows goes behind them where it lies behind
            if isinstance(item, FrustumsItem):
                item.draw_photos(shot)
        for item in visible:
            if isinstance(item, FieldItem):
                item.draw(shot)
        self._among.lay(shot)
        GL.glDepthMask(False)
        if shot.style.mode == "shaded":
            self._grid.draw(shot)
        if any(isinstance(item, FieldItem) for item in visible):  # fog has no surface to hide a camera behind
            GL.glDisable(GL.GL_DEPTH_TEST)
            for item in visible:
                if isinstance(item, FrustumsItem):
                    item.draw(shot, BEHIND)
            GL.glEnable(GL.GL_DEPTH_TEST)
        for item in visible:
            if isinstance(item, LinesItem | ArrowsItem | FrustumsItem):
                item.draw(shot)
        glass = [item for item in visible if item.LAYER == "glass" or (item.LAYER == "solid" and not _is_solid(item))]
        for item in sorted(glass, key=lambda item: -self._distance(item, shot)):
            if isinstance(item, MeshItem):
                item.draw_glass(shot)
            elif isinstance(item, PointsItem):
                item.begin(shot, 200_000, True)
                while item.rest > 0 and item.advance(shot, item.rest):
                    pass
            elif isinstance(item, SheetItem):
                item.draw(shot)
        GL.glDisable(GL.GL_DEPTH_TEST)
        for item in visible:
            if isinstance(item, HandlesItem):
                item.draw(shot)
        for item in visible:
            if isinstance(item, WordsItem):
                item.draw(shot)
        for name, text in self._texts.items():
            if text.shown and seen(text.shown_thing, self._changes) and name in self.items:
                text.draw(shot)
        GL.glDepthMask(True)

    @staticmethod
    def _distance(item: Item, shot: Shot) -> float:
        own = item.bounds()
        if own is None:
            return 0.0
        centre = shot.view @ world_of(item.shown_thing, item.changes) @ np.append((own[0] + own[1]) / 2, 1.0)
        return float(np.linalg.norm(centre[:3]))

    def free(self) -> None:
        free_all([*self.items.values(), *self._texts.values(), self._grid, self._among, *self._tables.values()])
        self.items, self._texts = {}, {}


def _is_solid(item: Item) -> bool:
    if item.LAYER != "solid" or isinstance(item, SplatsItem):
        return item.LAYER == "solid"
    opacity = item.changes.opacity if item.changes.opacity is not None else item.shown_thing.opacity
    return opacity >= 1.0


def _size(item: Item) -> int:
    return sum(getattr(part, "rows", 0) for part in item.shown.values())


def _table(rows: NDArray[np.uint8]) -> Texture:
    texture = Texture(STEPS, 1, smooth=False)
    texture.fill(rgba(rows[None]))
    return texture
