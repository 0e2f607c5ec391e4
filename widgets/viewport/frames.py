"""The view of :class:`SceneFrames`: a timeline of scenes with one camera through all of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from PySide6.QtCore import QTimer
from PySide6.QtGui import QHideEvent, QImage
from PySide6.QtWidgets import QVBoxLayout, QWidget

from engine.payloads import Frames, Moment, Payload
from engine.scene import SceneFrames
from widgets.viewport.hand.select import count_of
from widgets.viewport.view import SCENE_FORMATS, Under, connect_viewport
from widgets.viewport.viewport import Viewport
from widgets.views.timeline.filmstrip import THUMB
from widgets.views.timeline.timeline import TimelineView

SMALL = 60_000
"""Points and faces up to which a moment has a picture in the strip."""


class SceneFramesView(TimelineView):
    """Play, scrub and turn: the camera stays while time goes on."""

    accepts = SceneFrames
    data_formats = (*SCENE_FORMATS, "JSON (*.json)")

    def __init__(self, parent: QWidget | None = None, make_canvas: Callable[[QWidget], Any] | None = None) -> None:
        self._make_canvas = make_canvas
        self._thumbs: dict[int, QImage | None] = {}
        self._asked: list[int] = []
        super().__init__(parent)
        self._to_draw = QTimer(self, interval=60, singleShot=True)
        self._to_draw.timeout.connect(self._draw_thumb)
        connect_viewport(self, self.viewport)
        self.viewport.progress.connect(self._finished)

    def make_body(self) -> QWidget:
        self.viewport = Viewport(self._make_canvas)
        self.under = Under()
        body = QWidget()
        column = QVBoxLayout(body)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(self.viewport, 1)
        column.addWidget(self.under)
        return body

    # ---- moments

    def check_moment(self, moment: Moment) -> None:
        names = [thing.name for thing in cast(SceneFrames, moment).things]
        if len(set(names)) < len(names):
            raise ValueError("Two things of this moment have the same name; names must differ.")

    def show_moment(self, index: int, moment: Moment) -> None:
        shown = cast(SceneFrames, moment)
        self.viewport.set_things(shown.things, shown.up)
        self.under.show_all("", shown.table_heads, shown.table, ())

    def forget_moment(self, index: int) -> None:
        self._thumbs.pop(index, None)

    def forget_moments(self) -> None:
        self._thumbs.clear()
        self.viewport.clear()
        self.under.show_all("", (), (), ())

    def thumb(self, index: int) -> QImage | None:
        """The moment small, by the present camera; drawn when nothing else is going on, None until then."""
        known = index in self._thumbs or index in self._asked
        if not known and self.moment(index) is not None and not self.playing:
            self._asked.append(index)
        if self._asked and not self._to_draw.isActive():
            self._to_draw.start()
        return self._thumbs.get(index)

    def _draw_thumb(self) -> None:
        """One of those that the strip has asked for; of a large scene none, since each would be sent to be drawn."""
        if not self._asked or not self.isVisible() or self.playing or self.more_to_come():
            self._asked.clear()  # the strip asks again with its next painting
            return
        index = self._asked.pop(0)
        moment = self.moment(index)
        image = None
        if isinstance(moment, SceneFrames) and sum(count_of(thing) for thing in moment.things) <= SMALL:
            image = self.viewport.shots.thumb(THUMB, None if index == self.position else moment.things)
        self._thumbs[index] = image
        self.strip.update()

    # ---- pictures

    def save_picture(self) -> None:
        """Draws all moments as the present camera sees them, one in a turn of the event loop, then asks for a place."""
        moments = self.moments()
        if not moments:
            return
        self.pause()

        def draw(k: int) -> Any:
            self.show_moment(moments[k].index, moments[k])
            return self.viewport.shots.flat()

        self.viewport.shots.draw_film(len(moments), draw)

    def payloads_for_picture(self) -> tuple[Payload, ...]:
        """The moment that is looked at; a film of all is drawn by :meth:`save_picture`."""
        images = self.viewport.shots.flat()[None, ..., :3].copy()
        return (Frames(images=images, index=self.position, total=max(1, self.total)),) if self.moments() else ()

    def _finished(self, share: float) -> None:
        if not 0 <= share < 1:
            self.redraw()

    def picture(self) -> QImage:
        return self.viewport.shots.on_screen()

    def fit(self) -> None:
        self.viewport.frame()

    def restyle(self) -> None:
        super().restyle()
        self.under.restyle()
        self._thumbs.clear()
        self.viewport.overlay.update()

    def hideEvent(self, event: QHideEvent) -> None:
        super().hideEvent(event)
        self._to_draw.stop()
