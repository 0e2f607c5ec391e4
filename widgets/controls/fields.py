"""Small parts that the controls share: a number to type, an icon button, a control switched off with its reason.

Knows no knob and no probe.
"""

from __future__ import annotations

import math
from typing import Any

from PySide6.QtCore import QEvent, QSize, Qt, Signal
from PySide6.QtGui import (
    QFocusEvent,
    QFontMetrics,
    QKeyEvent,
    QKeySequence,
    QPainter,
    QPaintEvent,
    QShowEvent,
    QWheelEvent,
)
from PySide6.QtWidgets import QComboBox, QHBoxLayout, QLabel, QLineEdit, QSizePolicy, QToolButton, QWidget

from engine.params import BadValue
from widgets.controls.scale import Scale
from widgets.controls.settle import Settle
from widgets.controls.svg import SvgLabel
from widgets.theme import icon, tabular, theme

ROW = 28
"""Height of a row of a form, in pixels."""
ICON = 16
"""Side of an icon in a row, in pixels."""


def enabled_because(widget: QWidget, reason: str | None) -> None:
    """Disables ``widget`` with ``reason`` in its tool tip, or enables it and gives it its own tool tip back."""
    if widget.property("own_tip") is None:
        widget.setProperty("own_tip", widget.toolTip())
    widget.setToolTip(widget.property("own_tip") if reason is None else reason)
    if reason is None:
        widget.setProperty("own_tip", None)
    widget.setEnabled(reason is None)


def wheel_notches(event: QWheelEvent) -> float:
    """Notches of the wheel away from the person; Shift and Alt may have turned the wheel sideways."""
    delta = event.angleDelta()
    return (delta.y() or delta.x()) / 120


LABEL_MOST = 108
"""Widest label column in pixels; longer names take two lines."""


class FieldLabel(QWidget):
    """The name of a row, and its symbol in the quiet colour where it has one."""

    def __init__(self, text: str, symbol: str = "", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.text = QLabel(text)
        self.symbol = SvgLabel(symbol, quiet=True)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(6)
        row.addWidget(self.text)
        row.addWidget(self.symbol)
        row.addStretch(1)
        self.symbol.setVisible(bool(symbol))
        self.ensurePolished()
        room = LABEL_MOST - (self.symbol.sizeHint().width() + 6 if symbol else 0)
        if self.text.sizeHint().width() > room:
            self.text.setWordWrap(True)
            longest = max(QFontMetrics(self.text.font()).horizontalAdvance(word) for word in text.split())
            self.text.setFixedWidth(max(room, longest + 2))


class IconButton(QToolButton):
    """A quiet button with an icon of the set, in the mode's colour; ``text`` beside it where it is not universal."""

    def __init__(self, name: str, tip: str, text: str = "", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._name = name
        self.setToolTip(tip)
        self.setAccessibleName(text or tip)
        self.setIconSize(QSize(ICON, ICON))
        self.setAutoRaise(True)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setStyleSheet("QToolButton { padding: 4px; }")
        if text:
            self.setText(text)
            self.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        theme.changed.connect(self._recolour)

    def set_icon(self, name: str) -> None:
        """Shows another icon of the set."""
        self._name = name
        self._recolour()

    def _recolour(self) -> None:
        if self.isVisible():
            self.setIcon(icon(self._name))

    def showEvent(self, event: QShowEvent) -> None:
        self.setIcon(icon(self._name))  # here, not when made: the icon font loads once the window stands
        super().showEvent(event)


class CalmComboBox(QComboBox):
    """A drop-down that leaves the wheel to the scroll area unless it has the focus."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setFixedHeight(ROW)
        self.setMinimumContentsLength(6)
        self.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)

    def wheelEvent(self, event: QWheelEvent) -> None:
        if self.hasFocus():
            super().wheelEvent(event)
        else:
            event.ignore()

    def paintEvent(self, event: QPaintEvent) -> None:
        super().paintEvent(event)
        painter = QPainter(self)  # the style sheet leaves the arrow out
        icon("caret-down", theme.colours.quiet).paint(painter, self.width() - 20, (self.height() - 12) // 2, 12, 12)


class NumberEdit(QLineEdit):
    """A line to type one number in: Enter takes it, Esc leaves it; a bad one is refused in place and never clamped.

    ``committed`` carries the number, ``refused`` one short line ('' once the person types on), ``cancelled`` comes
    with Esc and when the focus goes while the text is bad or unchanged.
    """

    committed = Signal(object)
    refused = Signal(str)
    cancelled = Signal()

    def __init__(
        self,
        scale: Scale,
        parent: QWidget | None = None,
        lo: float | None = None,
        hi: float | None = None,
        padding: int = 8,
    ) -> None:
        super().__init__(parent)
        self._scale, self._lo, self._hi, self._padding = scale, lo, hi, padding
        self._reason = ""
        self.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        self.setFont(tabular(self.font()))
        self.setStyleSheet(self._look())
        self.textEdited.connect(self._accept_so_far)

    def show_value(self, value: float) -> None:
        self.setText(self._scale.text(value))
        self.setModified(False)
        self._refuse("")

    def take(self) -> bool:
        """Reads the text; whether it was a number in range."""
        try:
            value = self._scale.parse(self.text(), self._lo, self._hi)
        except BadValue as e:
            self._refuse(str(e))
            return False
        self.setModified(False)
        self._refuse("")
        self.committed.emit(value)
        return True

    def event(self, event: QEvent) -> bool:
        """Undo and redo are the window's while there is nothing typed to undo."""
        if event.type() == QEvent.Type.ShortcutOverride and isinstance(event, QKeyEvent) and not self.isModified():
            undo, redo = QKeySequence.StandardKey.Undo, QKeySequence.StandardKey.Redo
            if event.matches(undo) or event.matches(redo):
                event.ignore()
                return False
        return super().event(event)

    def _accept_so_far(self) -> None:
        self._refuse("")

    def _refuse(self, reason: str) -> None:
        """Shows that the text was refused and why, or with '' that it was not."""
        if reason == self._reason:
            return
        self._reason = reason
        self.setToolTip(f"Refused: {reason}. The value is unchanged." if reason else "")
        self.setStyleSheet(self._look())
        self.refused.emit(reason)

    def _look(self) -> str:
        border = f"border-color: {theme.colours.bad};" if self._reason else ""
        return f"QLineEdit {{ padding: 2px {self._padding}px; {border} }}"

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self.take()
        elif event.key() == Qt.Key.Key_Escape:
            self.setModified(False)  # else losing the focus would take the text after all
            self._refuse("")
            self.cancelled.emit()
        else:
            super().keyPressEvent(event)

    def focusOutEvent(self, event: QFocusEvent) -> None:
        super().focusOutEvent(event)
        if event.reason() == Qt.FocusReason.PopupFocusReason:  # its own context menu: the person is still here
            return
        if not (self.isModified() and self.take()):
            self._refuse("")
            self.cancelled.emit()


class _Plain(Scale):
    """Numbers of no particular size: text in up to six figures."""

    def text(self, value: float) -> str:
        return f"{value:g}"


class NumberBox(QWidget):
    """A number without a track, for ranges that are open or huge: typed, or stepped by arrow keys and wheel."""

    moved = Signal(object)
    settled = Signal(object)

    def __init__(
        self,
        default: float,
        lo: float | None = None,
        hi: float | None = None,
        integer: bool = False,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._default = self._value = default
        self._lo = -math.inf if lo is None else lo
        self._hi = math.inf if hi is None else hi
        self._integer = integer
        self._scale = Scale(self._lo, self._hi, integer) if integer else _Plain(self._lo, self._hi)
        self._edit = NumberEdit(self._scale, self)
        self._edit.committed.connect(self._typed)
        self._edit.cancelled.connect(lambda: self._edit.show_value(self._value))
        self._settle = Settle(self)
        self._settle.settled.connect(self.settled)
        self.setFocusProxy(self._edit)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self._edit.show_value(default)

    def setAccessibleName(self, name: str) -> None:
        super().setAccessibleName(name)
        self._edit.setAccessibleName(name)

    def value(self) -> Any:
        return self._value

    def set_value(self, value: Any, quiet: bool = True) -> None:
        """Shows ``value``; unless ``quiet``, ``settled`` says so."""
        if value == self._value:
            return
        self._settle.cancel()
        self._value = value
        self._edit.show_value(value)
        if not quiet:
            self.settled.emit(value)

    def reset(self) -> None:
        self.set_value(self._default, quiet=False)

    def flush(self) -> None:
        """Settles now what still waits."""
        self._settle.flush()

    def _typed(self, value: Any) -> None:
        self._edit.show_value(value)
        if value != self._value:
            self._value = value
            self.moved.emit(value)
            self._settle.touch(value)
            self._settle.flush()

    def _step(self, steps: float, fine: bool) -> None:
        size = 1 if self._integer else max(abs(self._value), 1e-6) * (0.01 if fine else 0.1)
        value = min(max(self._value + steps * size, self._lo), self._hi)
        value = int(value) if self._integer else float(f"{value:.4g}")
        if value != self._value:
            self._value = value
            self._edit.show_value(value)
            self.moved.emit(value)
            self._settle.touch(value)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        steps = {Qt.Key.Key_Up: 1, Qt.Key.Key_Down: -1, Qt.Key.Key_PageUp: 10, Qt.Key.Key_PageDown: -10}
        if event.key() in steps:
            self._step(steps[Qt.Key(event.key())], bool(event.modifiers() & Qt.KeyboardModifier.ShiftModifier))
        else:
            super().keyPressEvent(event)

    def wheelEvent(self, event: QWheelEvent) -> None:
        if not self._edit.hasFocus():
            event.ignore()
            return
        self._step(round(wheel_notches(event)), bool(event.modifiers() & Qt.KeyboardModifier.ShiftModifier))
        event.accept()

    def sizeHint(self) -> QSize:
        return QSize(96, ROW)

    def minimumSizeHint(self) -> QSize:
        return QSize(QFontMetrics(self.font()).horizontalAdvance("0") * 6 + 18, self.sizeHint().height())

    def resizeEvent(self, event: Any) -> None:
        self._edit.setGeometry(self.rect())
