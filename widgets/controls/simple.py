"""The controls of one plain value: number, seed, choice, toggle. Each knows its control, none knows a probe.

All answer one small protocol: ``value()``, ``set_value(v, quiet=True)``, ``reset()``, ``flush()`` and the signals
``moved`` (while the hand moves) and ``settled`` (once it rests). They are made from a name, a control and the knobs.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

from PySide6.QtCore import QPoint, QPointF, QRect, QSize, Qt, Signal
from PySide6.QtGui import QColor, QFontMetrics, QKeyEvent, QMouseEvent, QPainter, QPen
from PySide6.QtWidgets import QCheckBox, QHBoxLayout, QSizePolicy, QVBoxLayout, QWidget

from engine.probes import Choice, Knobs, Number, Seed, Toggle
from widgets.controls.fields import ROW, CalmComboBox, IconButton, NumberBox
from widgets.controls.slider import ValueSlider
from widgets.theme import RADIUS, UNIT, theme

CHECK = 16
"""Side of a check box, in pixels."""
SEGMENTS = 4
SEGMENTS_WIDTH = 120
"""Most options, and most pixels, that segmented buttons may take; beyond that it is a drop-down."""


class NumberSlider(ValueSlider):
    """A slider for a Number or Steps."""

    def __init__(self, name: str, control: Number, knobs: Knobs, parent: QWidget | None = None) -> None:
        super().__init__(
            control.lo,
            control.hi,
            control.default,
            integer=control.kind == "int",
            log=control.log,
            bipolar=control.lo < 0 < control.hi,
            parent=parent,
        )
        self.setAccessibleName(control.label or name)


class SeedBox(QWidget):
    """The seed of a random generator, and a button that draws another."""

    moved = Signal(object)
    settled = Signal(object)

    def __init__(self, name: str, control: Seed, knobs: Knobs, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._random = random.Random()
        self._box = NumberBox(int(control.default), int(control.lo), int(control.hi), integer=True)
        self._box.setAccessibleName(control.label or name)
        self._box.moved.connect(self.moved)
        self._box.settled.connect(self.settled)
        self.shuffle_button = IconButton("shuffle", "Draws another seed.")
        self.shuffle_button.clicked.connect(self.shuffle)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(UNIT)
        row.addWidget(self._box, 1)
        row.addWidget(self.shuffle_button)
        self.setFocusProxy(self._box)

    def value(self) -> int:
        return int(self._box.value())

    def set_value(self, value: Any, quiet: bool = True) -> None:
        self._box.set_value(int(value), quiet)

    def reset(self) -> None:
        self._box.reset()

    def flush(self) -> None:
        self._box.flush()

    def shuffle(self) -> None:
        """Another seed of at most four figures, which a person can read out and type again."""
        seed = self._random.randrange(10_000)
        self._box.set_value(seed if seed != self.value() else seed + 1, quiet=False)


class Segments(QWidget):
    """Joined buttons of which one is chosen; arrow keys choose as a click does."""

    chosen = Signal(int)

    def __init__(self, options: Sequence[str], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._options = tuple(options)
        self._current = 0
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    @staticmethod
    def width_for(options: Sequence[str], metrics: QFontMetrics) -> int:
        """Pixels that equal segments for ``options`` need."""
        return len(options) * (max(metrics.horizontalAdvance(o) for o in options) + 4 * UNIT)

    def current(self) -> int:
        return self._current

    def set_current(self, index: int) -> None:
        self._current = index
        self.update()

    def sizeHint(self) -> QSize:
        return QSize(self.width_for(self._options, QFontMetrics(self.font())), ROW)

    def minimumSizeHint(self) -> QSize:
        return self.sizeHint()

    def segment_rect(self, index: int) -> QRect:
        """Where the button of an option is."""
        n = len(self._options)
        left, right = index * self.width() // n, (index + 1) * self.width() // n
        return QRect(left, 1, right - left, self.height() - 2)

    def _choose(self, index: int) -> None:
        index = min(max(index, 0), len(self._options) - 1)
        if index != self._current:
            self.set_current(index)
            self.chosen.emit(index)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        if event.button() == Qt.MouseButton.LeftButton and self.width():
            self._choose(int(event.position().x() * len(self._options) / self.width()))

    def keyPressEvent(self, event: QKeyEvent) -> None:
        step = {Qt.Key.Key_Left: -1, Qt.Key.Key_Up: -1, Qt.Key.Key_Right: 1, Qt.Key.Key_Down: 1}.get(
            Qt.Key(event.key())
        )
        if step:
            self._choose(self._current + step)
        else:
            super().keyPressEvent(event)

    def paintEvent(self, event: Any) -> None:
        c = theme.colours
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        frame = self.rect().toRectF().adjusted(0.5, 1.5, -0.5, -1.5)
        painter.setPen(QPen(QColor(c.line), 1))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.drawRoundedRect(frame, RADIUS, RADIUS)
        for i, option in enumerate(self._options):
            here = self.segment_rect(i)
            chosen = i == self._current
            if chosen:
                painter.setPen(QPen(QColor(c.accent if self.hasFocus() else c.line), 1))
                painter.setBrush(QColor(c.hover))
                painter.drawRoundedRect(here.toRectF().adjusted(0.5, 0.5, -0.5, -0.5), RADIUS, RADIUS)
            painter.setPen(QColor(c.text if chosen and self.isEnabled() else c.quiet))
            painter.drawText(here, int(Qt.AlignmentFlag.AlignCenter), option)


class ChoiceBox(QWidget):
    """One of some words: joined buttons where they are few and short, else a drop-down."""

    moved = Signal(object)
    settled = Signal(object)

    def __init__(self, name: str, control: Choice, knobs: Knobs, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._options = control.options
        self._segments: Segments | None = None
        self._combo: CalmComboBox | None = None
        self._default = 0
        self.ensurePolished()
        few = len(self._options) <= SEGMENTS
        if few and Segments.width_for(self._options, QFontMetrics(self.font())) <= SEGMENTS_WIDTH:
            self._segments = Segments(self._options)
            self._segments.chosen.connect(self._chosen)
        else:
            self._combo = CalmComboBox()
            self._combo.addItems(list(self._options))
            self._combo.activated.connect(self._chosen)
        inner: QWidget = self._segments or self._combo or QWidget()
        inner.setAccessibleName(control.label or name)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(inner)
        self.setFocusProxy(inner)
        self._index = 0

    def value(self) -> str:
        return self._options[self._index]

    def set_default(self, value: str) -> None:
        """What :meth:`reset` goes back to; the first option unless told otherwise."""
        self._default = self._options.index(value)

    def set_value(self, value: Any, quiet: bool = True) -> None:
        index = self._options.index(value)
        if index == self._index:
            return
        self._index = index
        if self._segments is not None:
            self._segments.set_current(index)
        elif self._combo is not None:
            self._combo.setCurrentIndex(index)
        if not quiet:
            self.settled.emit(value)

    def reset(self) -> None:
        self.set_value(self._options[self._default], quiet=False)

    def flush(self) -> None:
        """Nothing ever waits: a choice settles at once."""

    def _chosen(self, index: int) -> None:
        if index != self._index:
            self._index = index
            self.moved.emit(self.value())
            self.settled.emit(self.value())


class ToggleBox(QCheckBox):
    """On or off."""

    moved = Signal(object)
    settled = Signal(object)

    def __init__(self, name: str, control: Toggle, knobs: Knobs, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._default = control.default
        self.setChecked(control.default)
        self.setAccessibleName(control.label or name)
        self.clicked.connect(self._clicked)

    def sizeHint(self) -> QSize:
        return QSize(ROW, ROW)

    def minimumSizeHint(self) -> QSize:
        return self.sizeHint()

    def hitButton(self, pos: QPoint) -> bool:
        return self._box().adjusted(-6, -6, 6, 6).contains(pos)

    def _box(self) -> QRect:
        return QRect(1, (self.height() - CHECK) // 2, CHECK, CHECK)

    def paintEvent(self, event: Any) -> None:
        c, box = theme.colours, self._box()
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        on = self.isChecked()
        painter.setPen(QPen(QColor(c.accent if self.hasFocus() else c.quiet), 1))
        painter.setBrush(QColor(c.quiet if on and not self.isEnabled() else c.accent if on else c.raised))
        painter.drawRoundedRect(box.toRectF().adjusted(0.5, 0.5, -0.5, -0.5), 4, 4)
        if on:
            pen = QPen(QColor(c.on_accent), 2)
            pen.setCapStyle(Qt.PenCapStyle.RoundCap)
            painter.setPen(pen)
            x, y = box.left(), box.top()
            painter.drawPolyline([QPointF(x + 4, y + 8.5), QPointF(x + 7, y + 11.5), QPointF(x + 12, y + 5)])

    def value(self) -> bool:
        return self.isChecked()

    def set_value(self, value: Any, quiet: bool = True) -> None:
        if bool(value) != self.isChecked():
            self.setChecked(bool(value))
            if not quiet:
                self.settled.emit(bool(value))

    def reset(self) -> None:
        self.set_value(self._default, quiet=False)

    def flush(self) -> None:
        """Nothing ever waits: a toggle settles at once."""

    def _clicked(self, on: bool) -> None:
        self.moved.emit(on)
        self.settled.emit(on)
