"""All splats of a scene in one picture: asked for, drawn from the farthest thing on, and kept while nothing changes.

Each thing has an order of its own. Where two reach into each other, stretches of them are drawn in turn, the farther
one first: a hundredth of a thing's splats at once.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from OpenGL import GL

from engine.lane import done_here
from widgets.viewport.drawing.gpu import Gpu, set_flags
from widgets.viewport.drawing.shot import Shot
from widgets.viewport.drawing.splats.computed import Computed
from widgets.viewport.drawing.splats.item import COST, Ask, SplatsItem
from widgets.viewport.drawing.splats.layer import Layer
from widgets.viewport.drawing.splats.made import Made
from widgets.viewport.drawing.stage import Stage


class Among:
    def __init__(self, gpu: Gpu) -> None:
        self._gpu = gpu
        self._made: Made | None = None
        self.computed = Computed()
        self.notice = ""
        """Why there are centre points instead, in one line."""
        self._items: Sequence[SplatsItem] = ()
        self._key: tuple[Any, ...] = ()
        self._held: list[Any] = []
        """What the key names by its address may not be freed, or another may come to stand there."""
        self._begun = False
        self._layer: Layer | None = None

    # ---- orders -----------------------------------------------------------------------------------------------------

    def asks(
        self, items: Sequence[SplatsItem], blended: Sequence[SplatsItem], solid: Sequence[Any], shot: Shot,
        share: float, moving: bool,
    ) -> list[tuple[SplatsItem | Computed, Ask]]:  # fmt: skip
        """What the view lane is to do; ``share`` of a splat that may be drawn while ``moving``."""
        computed = self.computed
        if computed.chosen(blended, solid, shot):
            picture = computed.ask(blended, shot)
            return [] if picture is None else [(computed, picture)]
        found: list[tuple[SplatsItem | Computed, Ask | None]] = []
        found += [(item, item.ask(shot, _budget(item, share), moving)) for item in items]
        return [(owner, ask) for owner, ask in found if ask is not None]

    def trials(self, blended: Sequence[SplatsItem], solid: Sequence[Any], shot: Shot) -> list[tuple[Computed, Ask]]:
        """What is worth finding out once the picture for ``shot`` is on screen."""
        if not self.computed.can(blended, solid, shot):
            return []
        trial = self.computed.trial(blended, shot, self._layer)
        return [] if trial is None else [(self.computed, trial)]

    def waits(
        self, items: Sequence[SplatsItem], blended: Sequence[SplatsItem], solid: Sequence[Any], shot: Shot, moving: bool
    ) -> bool:
        """Whether a picture cannot be begun before an answer comes."""
        if self.computed.chosen(blended, solid, shot):
            return not self.computed.suits(blended, shot, moving)
        return not all(item.suits(shot, moving) for item in items)

    @staticmethod
    def order_now(items: Sequence[SplatsItem], shot: Shot) -> None:
        """The same on this thread, exactly: for pictures that are waited for anyway."""
        for item in items:
            while (ask := item.ask(shot, 0, False, again=True)) is not None:
                item.take(ask, done_here(ask.job, **ask.arguments))

    # ---- pictures ---------------------------------------------------------------------------------------------------

    def begin(
        self, stage: Stage, shot: Shot, items: Sequence[SplatsItem], solid: Sequence[Any], moving: bool = False
    ) -> None:
        """A new picture of ``items``, farthest thing first; the one before is kept where all is as it was. ``solid``
        are the items that may hide them."""
        computed = self.computed
        computed.stopwatch.reset()
        self._items, self._begun, self._layer = items, False, stage.splats
        if not items:
            return
        try:
            self._layer = stage.layer()
            self._made = self._made or Made(self._gpu)
        except RuntimeError as error:
            self.notice = f"Splats are drawn as their centre points: {error}."
            for item in items:
                item.lack()
            self._items = ()
            return
        if computed.chosen(items, solid, shot) and computed.suits(items, shot, moving):
            computed.put(self._layer)
            self._begun = True
            for item in items:
                item.skip()
            return
        if not moving and computed.can(items, solid, shot):
            computed.time_opengl(items, shot)
        camera = shot.view.tobytes(), shot.projection.tobytes(), shot.planes.tobytes(), shot.style
        held = [thing for item in solid for thing in (item.shown_thing, item.changes)]
        others = *map(id, held), *(item.rest for item in solid)
        key = (*camera, others, tuple(item.fingerprint() for item in items))
        if self._layer.key and self._layer.key == key:
            self._begun = True
            for item in items:
                item.skip()
        self._key, self._held = key, held

    @property
    def rest(self) -> int:
        return sum(item.rest for item in self._items)

    def advance(self, shot: Shot, amount: int) -> int:
        """Draws up to about ``amount`` more, in points' units; how much it was."""
        if self._layer is None or self._made is None or not self._items or (self._begun and self.rest <= 0):
            return 0
        if not self._begun:
            self._layer.clear()
            self._begun = True
        set_flags({GL.GL_CLIP_DISTANCE0 + k: False for k in range(8)})  # planes take whole splats as they are made
        drawn = 0
        # No call for the odd splat that is left of the amount: each begins with going over the whole layer.
        while (not drawn or drawn + COST <= amount) and (left := [item for item in self._items if item.rest > 0]):
            item = max(left, key=lambda item: item.ahead)
            until = max((other.ahead for other in left if other is not item), default=-math.inf)
            with self.computed.stopwatch.lap():
                drawn += item.blend(shot, amount - drawn, self._made, self._layer, until)
        if self.rest <= 0:
            self.computed.stopwatch.stop()
            self._layer.key = self._key
        return drawn

    def lay(self, shot: Shot) -> None:
        """Over the picture, where it is done."""
        if self._layer is not None and self._items and self._begun and self.rest <= 0:
            self._layer.lay(shot, shot.style.mode == "shaded" and any(item.show == "alpha" for item in self._items))

    def free(self) -> None:
        self.computed.stopwatch.reset()
        if self._made is not None:
            self._made.free()


def _budget(item: SplatsItem, share: float) -> int:
    return max(1, int(item.there * share))
