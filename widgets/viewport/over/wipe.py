"""The line up to which a photograph lies over the picture of a field, and the handle that drags it.

There only where a photograph came with the picture and the view still looks from its place. Knows no photograph.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QFontMetricsF, QKeyEvent, QMouseEvent, QPainter, QPen, QPolygonF
from PySide6.QtWidgets import QWidget

from engine.scene import Field, Scene
from widgets.theme import RADIUS, theme
from widgets.viewport.sights import stand_of

if TYPE_CHECKING:
    from widgets.viewport.viewport import Viewport

GRAB, KNOB = 22, 11
"""Pixels across that take hold of the line; radius of the knob on it."""
STEP = 0.02
"""How far a press of an arrow key moves it, as a share of the width."""


class Wipe(QWidget):
    """The handle: a strip over the line. ``share`` is where it stands, 0..1 from the left."""

    def __init__(self, viewport: Viewport) -> None:
        super().__init__(viewport.canvas)
        self._view = viewport
        self.share = 0.5
        self._field = ""
        """The field with a photograph; '' where there is none."""
        self._stand = ""
        """The camera, without its size, from where the photograph was taken."""
        self._grabbed: float | None = None
        self.setCursor(Qt.CursorShape.SplitHCursor)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setAttribute(Qt.WidgetAttribute.WA_NoSystemBackground)
        self.setAccessibleName("Line between photograph and picture")
        self.setToolTip("The photograph lies on the left of this line: drag it, or press the arrow keys")
        self.hide()

    @property
    def on(self) -> bool:
        """Whether a photograph lies over the picture."""
        return bool(self._field)

    def take(self, scene: Scene) -> None:
        """Another scene."""
        field = next((t for t in scene.things if isinstance(t, Field) and t.truth is not None), None)
        self._stand = "" if field is None else stand_of(field.camera)
        if field is not None and self._seen_from() != self._stand:
            field = None  # the view has moved on meanwhile
        self._show(field.name if field is not None else "")

    def _seen_from(self) -> str:
        """The view's camera as text; '' where the engine has no such camera."""
        text = self._view.through.text()
        return stand_of(text) if text else ""

    def moved(self) -> None:
        """The view's camera or size may be another."""
        if self._field and self._seen_from() != self._stand:
            self._show("")
        else:
            self.place()

    def place(self) -> None:
        """Over the line, after the picture's size or the share changed."""
        width, height = self._view.canvas.width(), self._view.canvas.height()
        self.setGeometry(round(self.share * width) - GRAB // 2, 0, GRAB, height)

    def set_share(self, share: float) -> None:
        self.share = min(max(share, 0.0), 1.0)
        self._show(self._field)

    def _show(self, name: str) -> None:
        for thing in self._view.shown.things:
            if isinstance(thing, Field):
                self._view.canvas.set_wipe(thing.name, self.share if thing.name == name else 0.0)
        self._field = name
        self.place()
        if self.isHidden() == bool(name):
            self.setVisible(bool(name))
            self.raise_()
        self._view.overlay.update()

    # ---- what is painted, by the overlay, so that a saved picture has it too

    def paint_over(self, painter: QPainter, bounds: QRectF) -> None:
        """The line, its knob and what is on either side."""
        if not self._field:
            return
        x = bounds.left() + self.share * bounds.width()
        for colour, width in ((QColor(0, 0, 0, 120), 4.0), (QColor("#ffffff"), 2.0)):
            painter.setPen(QPen(colour, width))
            painter.drawLine(QPointF(x, bounds.top()), QPointF(x, bounds.bottom()))
        middle = QPointF(x, bounds.center().y())
        painter.setPen(QPen(QColor(theme.colours.accent) if self.hasFocus() else QColor(0, 0, 0, 120), 1.5))
        painter.setBrush(QColor("#ffffff"))
        painter.drawEllipse(middle, KNOB, KNOB)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor("#30343c"))
        for side in (-1, 1):
            tip = middle + QPointF(side * 7, 0)
            painter.drawPolygon(QPolygonF([tip, tip + QPointF(-side * 4, -4), tip + QPointF(-side * 4, 4)]))
        for text, side in (("photograph", -1), ("rendered", 1)):
            self._name(painter, bounds, x, text, side)

    def _name(self, painter: QPainter, bounds: QRectF, x: float, text: str, side: int) -> None:
        """A word at the foot of the line, where there is room for it."""
        wide = QFontMetricsF(painter.font()).horizontalAdvance(text) + 12
        left = x + 6 if side > 0 else x - 6 - wide
        box = QRectF(left, bounds.bottom() - 28, wide, 20)
        if not bounds.contains(box):
            return
        fill = QColor(theme.colours.ground)
        fill.setAlpha(190)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(fill)
        painter.drawRoundedRect(box, RADIUS - 2, RADIUS - 2)
        painter.setPen(QColor(theme.colours.text))
        painter.drawText(box, Qt.AlignmentFlag.AlignCenter, text)

    # ---- the hand

    def mousePressEvent(self, event: QMouseEvent) -> None:
        if event.button() == Qt.MouseButton.LeftButton:
            self._grabbed = event.position().x() - GRAB / 2
        else:
            event.ignore()

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        if self._grabbed is not None:
            at = self.mapToParent(event.position()).x() - self._grabbed
            self.set_share(at / max(1, self._view.canvas.width()))

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        self._grabbed = None

    def keyPressEvent(self, event: QKeyEvent) -> None:
        by = {Qt.Key.Key_Left: -STEP, Qt.Key.Key_Right: STEP}.get(Qt.Key(event.key()))
        if by is None:
            event.ignore()
        else:
            self.set_share(self.share + by)
