"""The views of :class:`Planes`, which stands still, and of :class:`PlaneFrames`, a timeline of the same."""

from __future__ import annotations

from typing import cast

from PySide6.QtCore import QRectF, Qt
from PySide6.QtGui import QImage, QKeyEvent, QPainter
from PySide6.QtWidgets import QWidget

from engine.payloads import Moment, Payload, PlaneFrames, Planes
from widgets.views.base import View
from widgets.views.planes.canvas import PlanesCanvas
from widgets.views.planes.paint import Frame, paint_sheet
from widgets.views.planes.parts import prepare, prepare_all
from widgets.views.timeline.filmstrip import THUMB
from widgets.views.timeline.timeline import TimelineView


class PlanesView(View):
    """Planes side by side: the wheel zooms, a drag moves, a double click shows all."""

    accepts = Planes

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.canvas = PlanesCanvas(self)
        self.set_body(self.canvas)
        self.setFocusProxy(self.canvas)

    def draw_payload(self, payload: Payload) -> None:
        p = cast(Planes, payload)
        self.canvas.set_sheets(prepare_all(p.planes), p.caption)

    def forget(self) -> None:
        self.canvas.clear()

    def restyle(self) -> None:
        self.canvas.redraw()

    def fit(self) -> None:
        self.canvas.fit()

    def picture(self) -> QImage:
        return self.canvas.picture()


class PlaneFramesView(TimelineView):
    """A timeline of planes."""

    accepts = PlaneFrames

    def __init__(self, parent: QWidget | None = None) -> None:
        self._thumbs: dict[int, QImage] = {}
        super().__init__(parent)

    def make_body(self) -> QWidget:
        self.canvas = PlanesCanvas()
        self.canvas.setFocusPolicy(Qt.FocusPolicy.NoFocus)  # the timeline has the keys
        return self.canvas

    def check_moment(self, moment: Moment) -> None:
        prepare_all(cast(PlaneFrames, moment).planes)

    def show_moment(self, index: int, moment: Moment) -> None:
        self.canvas.set_sheets(prepare_all(cast(PlaneFrames, moment).planes))

    def forget_moment(self, index: int) -> None:
        self._thumbs.pop(index, None)

    def forget_moments(self) -> None:
        self._thumbs.clear()
        self.canvas.clear()

    def thumb(self, index: int) -> QImage | None:
        """The first plane of a moment, small, without its axes."""
        moment = self.moment(index)
        if moment is None:
            return None
        if index not in self._thumbs:
            sheet = prepare(cast(PlaneFrames, moment).planes[0])
            image = QImage(THUMB, THUMB, QImage.Format.Format_RGB32)
            painter = QPainter(image)
            paint_sheet(painter, sheet, Frame(QRectF(0, 0, THUMB, THUMB), sheet.extent), 1.0, small=True)
            painter.end()
            self._thumbs[index] = image
        return self._thumbs[index]

    def restyle(self) -> None:
        super().restyle()
        self._thumbs.clear()
        self.canvas.redraw()

    def fit(self) -> None:
        self.canvas.fit()

    def picture(self) -> QImage:
        return self.canvas.picture()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if not self.canvas.zoom_key(event):
            super().keyPressEvent(event)
