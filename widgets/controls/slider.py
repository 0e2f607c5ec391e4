"""A number in one row: label, track and a figure that can be typed over. Knows no knob, probe or study.

The row is one painted widget, so that a form of 64 of them is made and moved within a frame.
"""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import QEvent, QPointF, QRect, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QFont, QFontMetrics, QHideEvent, QKeyEvent, QMouseEvent, QPainter, QWheelEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

from widgets.controls import rows
from widgets.controls.fields import ROW, NumberEdit, enabled_because, wheel_notches
from widgets.controls.rows import GAP, HANDLE
from widgets.controls.scale import FINE, Scale
from widgets.controls.settle import Settle
from widgets.theme import tabular

VALUE_DIGITS = 6
_KEYS = {
    Qt.Key.Key_Left: -1,
    Qt.Key.Key_Down: -1,
    Qt.Key.Key_Right: 1,
    Qt.Key.Key_Up: 1,
    Qt.Key.Key_PageDown: -10,
    Qt.Key.Key_PageUp: 10,
}


class ValueSlider(QWidget):
    """One number in ``lo``..``hi``: drag, wheel, arrow keys, Home/End, double click to reset, click the figure to type.

    Shift makes a drag or a step ten times finer. ``moved`` comes with every change by hand; ``settled`` once per
    gesture with the final value: at release, or 150 ms after the last change. ``limits`` widen what may be typed and
    set beyond the track. With ``settle_at_rest`` False a drag settles at release only.
    """

    moved = Signal(object)
    settled = Signal(object)

    def __init__(
        self,
        lo: float,
        hi: float,
        default: float,
        *,
        label: str = "",
        symbol: str = "",
        integer: bool = False,
        log: bool = False,
        bipolar: bool = False,
        limits: tuple[float, float] | None = None,
        settle_at_rest: bool = True,
        label_width: int = 0,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self.scale = Scale(lo, hi, integer, log)
        self._default = self._value = self.scale.typed(default)
        self._label, self._symbol, self._label_width = label, symbol, label_width
        self._bipolar = bipolar
        self._centre: float = 0.0 if lo <= 0 <= hi else (lo + hi) / 2
        self._limits = limits
        self._settle_at_rest = settle_at_rest
        self._grab: tuple[float, float, bool] | None = None  # x, fraction and Shift where the drag (re)started
        self._wheel = 0.0
        self._hover = ""
        self._edit: NumberEdit | None = None
        self._refusal = ""
        self._figures: tuple[QFont, int] | None = None
        self._settle = Settle(self)
        self._settle.settled.connect(self.settled)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setMouseTracking(True)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        if label:
            self.setAccessibleName(label)

    # ---- what the owner does ----------------------------------------------------------------------------------

    def value(self) -> Any:
        return self._value

    def default(self) -> Any:
        return self._default

    @property
    def busy(self) -> bool:
        """Whether a hand holds the handle or a number is being typed."""
        return self._grab is not None or self._edit is not None

    def set_value(self, value: Any, quiet: bool = True) -> None:
        """Shows ``value``; unless ``quiet``, ``settled`` says so. Ignored while a hand holds the handle."""
        value = self.scale.typed(value)
        if value == self._value or self._grab is not None:
            return
        self._settle.cancel()
        self._value = value
        self.update()
        if not quiet:
            self.settled.emit(value)

    def set_range(self, lo: float, hi: float, default: float | None = None, centre: float | None = None) -> None:
        """Another track; the value stays. ``centre``: where the fill of a bipolar slider starts."""
        scale = Scale(lo, hi, self.scale.integer, self.scale.log)
        if default is not None:
            self._default = scale.typed(default)
        if centre is None:
            centre = 0.0 if lo <= 0 <= hi else (lo + hi) / 2
        if scale != self.scale or centre != self._centre:
            self.scale, self._centre = scale, centre
            self.update()

    def set_label(self, label: str) -> None:
        self._label = label
        self.setAccessibleName(label)
        self.update()

    def set_label_width(self, width: int) -> None:
        """Pixels kept for the label, so that rows line up; 0 is none."""
        self._label_width = width
        self.update()

    def set_enabled_reason(self, reason: str | None) -> None:
        """Disables the row with ``reason`` in its tool tip; None enables it again."""
        enabled_because(self, reason)

    def reset(self) -> None:
        """Back to the default, as if by hand: ``settled`` comes if that changes the value."""
        self.set_value(self._default, quiet=False)

    def flush(self) -> None:
        """Ends the gesture now: what still waits is settled."""
        self._grab = None
        self._settle.flush()

    # ---- geometry ---------------------------------------------------------------------------------------------

    def sizeHint(self) -> QSize:
        return QSize(self._label_width + 120 + self._figure_width(), ROW)

    def minimumSizeHint(self) -> QSize:
        return QSize(self._label_width + 48 + 2 * GAP + self._figure_width(), ROW)

    def track_rect(self) -> QRectF:
        """Where the middle of the handle can be, with the height of the row."""
        left = self._label_width + (GAP if self._label_width else 0) + HANDLE
        right = self.width() - self._figure_width() - GAP - HANDLE
        return QRectF(left, 0, max(right - left, 1), self.height())

    def value_rect(self) -> QRect:
        """The figure on the right; a click there lets the person type."""
        width = self._figure_width()
        return QRect(self.width() - width, (self.height() - 24) // 2, width, 24)

    def handle_x(self) -> float:
        track = self.track_rect()
        return track.left() + self.scale.fraction(self._value) * track.width()

    def _figure_font(self) -> QFont:
        if self._figures is None:
            font = tabular(self.font())
            self._figures = font, VALUE_DIGITS * QFontMetrics(font).horizontalAdvance("0") + 6
        return self._figures[0]

    def _figure_width(self) -> int:
        self._figure_font()
        return self._figures[1] if self._figures else 0

    def changeEvent(self, event: QEvent) -> None:
        if event.type() in (QEvent.Type.FontChange, QEvent.Type.StyleChange):
            self._figures = None
        elif event.type() == QEvent.Type.EnabledChange and not self.isEnabled():
            self.flush()
        super().changeEvent(event)

    # ---- the hand ---------------------------------------------------------------------------------------------

    def _move(self, value: Any) -> None:
        if value != self._value:
            self._value = value
            self.update()
            self.moved.emit(value)
            self._settle.touch(value, wait=self._settle_at_rest or self._grab is None)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        if event.button() != Qt.MouseButton.LeftButton:
            event.ignore()
            return
        spot = event.position()
        if self.value_rect().contains(spot.toPoint()):
            self.start_typing()
            return
        track = self.track_rect()
        if not track.left() - HANDLE - 2 <= spot.x() <= track.right() + HANDLE + 2:
            return
        fine = bool(event.modifiers() & Qt.KeyboardModifier.ShiftModifier)
        on_handle = abs(spot.x() - self.handle_x()) <= HANDLE
        at = self.scale.fraction(self._value) if fine or on_handle else (spot.x() - track.left()) / track.width()
        self._grab = (spot.x(), min(max(at, 0.0), 1.0), fine)
        if not (fine or on_handle):
            self._move(self.scale.at(at))
        self.update()

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        x = event.position().x()
        if self._grab is None:
            self._set_hover(event.position())
            return
        if not event.buttons() & Qt.MouseButton.LeftButton:  # the release went elsewhere, to a pop-up say
            self.flush()
            return
        fine = bool(event.modifiers() & Qt.KeyboardModifier.ShiftModifier)
        x0, start, was_fine = self._grab
        at = min(max(start + (x - x0) / self.track_rect().width() * (FINE if was_fine else 1.0), 0.0), 1.0)
        if fine != was_fine:  # go on from here at the other pace: nothing jumps
            self._grab = (x, at, fine)
        self._move(self.scale.at(at))

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        if event.button() == Qt.MouseButton.LeftButton:
            self.flush()
            self.update()

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        if event.button() == Qt.MouseButton.LeftButton and not self.value_rect().contains(event.position().toPoint()):
            self.flush()
            self.reset()

    def wheelEvent(self, event: QWheelEvent) -> None:
        if not self.hasFocus():  # the column under the mouse scrolls
            event.ignore()
            return
        self._wheel += wheel_notches(event)
        notches = int(self._wheel)
        self._wheel -= notches
        if notches:
            self._move(self.scale.stepped(self._value, notches, _shift(event)))
        event.accept()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        key = Qt.Key(event.key())
        if key in _KEYS:
            self._move(self.scale.stepped(self._value, _KEYS[key], _shift(event)))
        elif key in (Qt.Key.Key_Home, Qt.Key.Key_End):
            self._move(self.scale.at(0.0 if key == Qt.Key.Key_Home else 1.0))
        elif key in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self.start_typing()
        elif key in (Qt.Key.Key_Backspace, Qt.Key.Key_Delete):
            self.reset()
        else:
            super().keyPressEvent(event)

    def _set_hover(self, spot: QPointF) -> None:
        over = "value" if self.value_rect().contains(spot.toPoint()) else "track"
        if over != self._hover:
            self._hover = over
            self.setCursor(Qt.CursorShape.IBeamCursor if over == "value" else Qt.CursorShape.ArrowCursor)
            self.update()

    def leaveEvent(self, event: QEvent) -> None:
        self._hover = ""
        self.update()
        super().leaveEvent(event)

    def focusOutEvent(self, event: Any) -> None:
        if self._grab is None:
            self._settle.flush()
        self.update()
        super().focusOutEvent(event)

    def hideEvent(self, event: QHideEvent) -> None:
        self.flush()
        super().hideEvent(event)

    # ---- typing -----------------------------------------------------------------------------------------------

    def start_typing(self) -> None:
        """Puts a line to type in over the figure."""
        if self._edit is not None:
            return
        self._settle.flush()
        lo, hi = self._limits or (self.scale.lo, self.scale.hi)
        self._edit = edit = NumberEdit(self.scale, self, lo, hi, padding=2)
        edit.setAccessibleName(f"{self.accessibleName()}, type a number")
        edit.committed.connect(self._typed)
        edit.refused.connect(self._refused)
        edit.cancelled.connect(self._stop_typing)
        edit.setGeometry(self.value_rect().adjusted(-4, 0, 0, 0))
        edit.show_value(self._value)
        edit.selectAll()
        edit.show()
        edit.setFocus()

    def _typed(self, value: Any) -> None:
        self._stop_typing()
        self._move(value)
        self._settle.flush()

    def _refused(self, reason: str) -> None:
        self._refusal = reason
        self.update()

    def _stop_typing(self) -> None:
        edit, self._edit = self._edit, None
        self._refusal = ""
        if edit is not None:
            had_focus = edit.hasFocus()
            edit.hide()
            edit.deleteLater()
            if had_focus:
                self.setFocus()
        self.update()

    # ---- painting ---------------------------------------------------------------------------------------------

    def paintEvent(self, event: Any) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        figure = self.value_rect()
        if self._refusal:
            rows.paint_refusal(painter, QRect(0, 0, figure.left() - GAP, self.height()), self._refusal, self.font())
        else:
            if self._label_width:
                self.paint_label(painter, QRect(0, 0, self._label_width, self.height()))
            start = self.scale.fraction(self._centre) if self._bipolar else None
            state = rows.State(self.isEnabled(), self.hasFocus() or self._grab is not None, self._hover == "track")
            rows.paint_track(painter, self.track_rect(), self.scale.fraction(self._value), start, state)
        if self._edit is None:
            hovered = self._hover == "value" and self.isEnabled()
            rows.paint_figure(
                painter, figure, self.scale.text(self._value), self._figure_font(), self.isEnabled(), hovered
            )

    def paint_label(self, painter: QPainter, place: QRect) -> None:
        """The symbol if there is one, else the label, in the column on the left."""
        rows.paint_label(painter, place, self._label, self._symbol, self.font(), self.isEnabled())


def _shift(event: QKeyEvent | QWheelEvent) -> bool:
    return bool(event.modifiers() & Qt.KeyboardModifier.ShiftModifier)
