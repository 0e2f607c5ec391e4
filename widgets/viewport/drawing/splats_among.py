"""All splats of a scene in one picture: asked for, drawn from the farthest thing on, and kept while nothing changes.

Things are drawn one after the other by the distance of their middles: splats of two things that reach into each other
are not sorted among each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from OpenGL import GL

from engine.lane import done_here
from widgets.viewport.drawing.gpu import Gpu, set_flags
from widgets.viewport.drawing.shot import Shot
from widgets.viewport.drawing.splats import Ask, SplatsItem
from widgets.viewport.drawing.splats_layer import Layer
from widgets.viewport.drawing.splats_made import Made
from widgets.viewport.drawing.stage import Stage


class Among:
    def __init__(self, gpu: Gpu) -> None:
        self._gpu = gpu
        self._made: Made | None = None
        self.notice = ""
        """Why there are centre points instead, in one line."""
        self._items: Sequence[SplatsItem] = ()
        self._key: tuple[Any, ...] = ()
        self._held: list[Any] = []
        """What the key names by its address may not be freed, or another may come to stand there."""
        self._begun = False
        self._layer: Layer | None = None

    # ---- orders -----------------------------------------------------------------------------------------------------

    @staticmethod
    def asks(items: Sequence[SplatsItem], shot: Shot, share: float, moving: bool) -> list[tuple[SplatsItem, Ask]]:
        """What the view lane is to do; ``share`` of a splat that may be drawn while ``moving``."""
        found = [(item, item.ask(shot, _budget(item, share), moving)) for item in items]
        return [(item, ask) for item, ask in found if ask is not None]

    @staticmethod
    def order_now(items: Sequence[SplatsItem], shot: Shot) -> None:
        """The same on this thread, exactly: for pictures that are waited for anyway."""
        for item in items:
            while (ask := item.ask(shot, 0, False, again=True)) is not None:
                item.take(ask, done_here(ask.job, **ask.arguments))

    # ---- pictures ---------------------------------------------------------------------------------------------------

    def begin(self, stage: Stage, shot: Shot, items: Sequence[SplatsItem], solid: Sequence[Any]) -> None:
        """A new picture of ``items``, farthest thing first; the one before is kept where all is as it was. ``solid``
        are the items that may hide them."""
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
        for item in self._items:
            while item.rest > 0 and drawn < amount:
                drawn += item.blend(shot, amount - drawn, self._made, self._layer)
        if self.rest <= 0:
            self._layer.key = self._key
        return drawn

    def lay(self, shot: Shot) -> None:
        """Over the picture, where it is done."""
        if self._layer is not None and self._items and self._begun and self.rest <= 0:
            self._layer.lay(shot, shot.style.mode == "shaded" and any(item.show == "alpha" for item in self._items))

    def free(self) -> None:
        if self._made is not None:
            self._made.free()


def _budget(item: SplatsItem, share: float) -> int:
    return max(1, int(item.there * share))
