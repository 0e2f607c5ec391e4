"""The strip of cards of a path: one card per key frame, chosen, reordered and scrolled by hand. Knows no control.

The cards are painted, not widgets: forty of them cost what one does.
"""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QFont, QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QPen, QPolygonF
from PySide6.QtWidgets import QApplication, QSizePolicy, QWidget

from engine.steering import KeyFrame, eased
from widgets.theme import CAPTION, RADIUS, UNIT, tabular, theme

CARD_W, CARD_H, GAP = 76, 64, 4
CURVE = 18
"""Side of the little drawing of the easing."""


class KeyStrip(QWidget):
    """The cards in a row. ``chosen`` when another becomes the current one, ``dropped`` (from, to) when one was dragged
    to another place, ``carried`` (x) on the way there; ``shifted`` (-1, 1) and ``removal`` when the keyboard asks for
    that of the current one."""

    chosen = Signal(int)
    carried = Signal(float)
    dropped = Signal(int, int)
    shifted = Signal(int)
    removal = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.keys: tuple[KeyFrame, ...] = ()
        self.current = 0
        self._pressed: tuple[int, float] | None = None
        self._drag: tuple[int, float] | None = None  # which card, and where its middle is
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        theme.changed.connect(self.update)

    def show_keys(self, keys: Sequence[KeyFrame], current: int) -> None:
        """The cards, and which one is the current one; a drag in between is given up where their number changed."""
        if len(keys) != len(self.keys):
            self._pressed = self._drag = None
        self.keys, self.current = tuple(keys), current
        self.setFixedSize(self.sizeHint())
        seed, steps, easing = self.keys[current]
        self.setAccessibleDescription(f"{current + 1} of {len(self.keys)}: seed {seed}, {steps} steps, {easing}")
        self.update()

    @property
    def held(self) -> bool:
        """Whether a hand drags a card."""
        return self._drag is not None

    def sizeHint(self) -> QSize:
        return QSize(len(self.keys) * (CARD_W + GAP) - GAP, CARD_H)

    def card_rect(self, index: int) -> QRectF:
        """Where a card lies while nobody drags it."""
        return QRectF(index * (CARD_W + GAP), 0, CARD_W, CARD_H)

    def card_at(self, x: float) -> int:
        """The card nearest to ``x``."""
        return min(max(int(x // (CARD_W + GAP)), 0), len(self.keys) - 1)

    # ---- the hand -----------------------------------------------------------------------------------------------

    def mousePressEvent(self, event: QMouseEvent) -> None:
        if event.button() == Qt.MouseButton.LeftButton:
            index = self.card_at(event.position().x())
            self._pressed = (index, event.position().x())
            self._choose(index)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        if self._pressed is None:
            return
        index, x0 = self._pressed
        moved = event.position().x() - x0
        if self._drag is None and abs(moved) < QApplication.startDragDistance():
            return
        self._drag = (index, self.card_rect(index).center().x() + moved)
        self.setCursor(Qt.CursorShape.ClosedHandCursor)
        self.update()
        self.carried.emit(event.position().x())

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        drag, self._drag, self._pressed = self._drag, None, None
        self.unsetCursor()
        self.update()
        if drag is not None and self.card_at(drag[1]) != drag[0]:
            self.dropped.emit(drag[0], self.card_at(drag[1]))

    def keyPressEvent(self, event: QKeyEvent) -> None:
        key, last = Qt.Key(event.key()), len(self.keys) - 1
        by = {Qt.Key.Key_Left: -1, Qt.Key.Key_Right: 1}.get(key, 0)
        alone = event.modifiers() & (Qt.KeyboardModifier.AltModifier | Qt.KeyboardModifier.ControlModifier)
        if by and alone:
            self.shifted.emit(by)
        elif by or key in (Qt.Key.Key_Home, Qt.Key.Key_End):
            self._choose(min(max(self.current + by, 0), last) if by else 0 if key == Qt.Key.Key_Home else last)
        elif key in (Qt.Key.Key_Delete, Qt.Key.Key_Backspace):
            self.removal.emit()
        else:
            super().keyPressEvent(event)

    def _choose(self, index: int) -> None:
        if index != self.current:
            self.show_keys(self.keys, index)
            self.chosen.emit(index)

    # ---- drawing ------------------------------------------------------------------------------------------------

    def _place(self, index: int) -> QRectF:
        """Where a card is drawn: those between a dragged card and its new place make room."""
        rect = self.card_rect(index)
        if self._drag is None:
            return rect
        held, x = self._drag
        if index == held:
            return rect.translated(x - rect.center().x(), 0)
        to = self.card_at(x)
        if held < index <= to:
            return rect.translated(-(CARD_W + GAP), 0)
        return rect.translated(CARD_W + GAP, 0) if to <= index < held else rect

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        held = self._drag[0] if self._drag is not None else -1
        for index in sorted(range(len(self.keys)), key=lambda i: i == held):  # the dragged card lies over the others
            place = self._place(index)
            if place.intersects(QRectF(event.rect())):
                self._paint_card(painter, place, index)

    def _paint_card(self, painter: QPainter, place: QRectF, index: int) -> None:
        c = theme.colours
        seed, steps, easing = self.keys[index]
        now = index == self.current
        painter.setPen(QPen(QColor(c.accent if now and self.hasFocus() else c.quiet if now else c.line), 1))
        painter.setBrush(QColor(c.hover if now else c.raised))
        painter.drawRoundedRect(place.adjusted(0.5, 0.5, -0.5, -0.5), RADIUS, RADIUS)
        inner = place.adjusted(2 * UNIT, UNIT, -2 * UNIT, -UNIT)
        small, plain = tabular(self.font()), tabular(self.font())
        small.setPixelSize(CAPTION)
        plain.setWeight(QFont.Weight.DemiBold if now else QFont.Weight.Normal)
        painter.setFont(small)
        painter.setPen(QColor(c.quiet))
        painter.drawText(inner, int(Qt.AlignmentFlag.AlignTop | Qt.AlignmentFlag.AlignLeft), f"{index + 1}")
        foot = f"+{steps}"
        painter.drawText(inner, int(Qt.AlignmentFlag.AlignBottom | Qt.AlignmentFlag.AlignLeft), foot)
        painter.setFont(plain)
        painter.setPen(QColor(c.text if self.isEnabled() else c.quiet))
        metrics = painter.fontMetrics()
        name = metrics.elidedText(f"seed {seed}", Qt.TextElideMode.ElideMiddle, int(inner.width()) + 2)
        painter.drawText(inner, int(Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft), name)
        box = QRectF(inner.right() - CURVE, inner.bottom() - CURVE + 2, CURVE, CURVE - 4)
        ts = [i / 16 for i in range(17)]
        line = [QPointF(box.left() + t * box.width(), box.bottom() - eased(t, easing) * box.height()) for t in ts]
        if easing == "hold":
            line.insert(-1, QPointF(box.right(), box.bottom()))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.setPen(QPen(QColor(c.quiet), 1.4))
        painter.drawPolyline(QPolygonF(line))
