"""The line of controls under a timeline: back, play, on, slider, count, loop, speed. Knows no moment.

It only says what the hand wants; the timeline decides what happens.
"""

from __future__ import annotations

from PySide6.QtCore import QSize, Qt
from PySide6.QtWidgets import QComboBox, QHBoxLayout, QLabel, QSlider, QToolButton, QWidget

from widgets.theme import icon, tabular, theme

SPEEDS = (0.25, 0.5, 1.0, 2.0, 4.0)
NARROW, NARROWEST = 360, 260
"""Below these widths the speed, and then the two single steps, give their room to the slider."""


def tool_button(tip: str, checkable: bool = False) -> QToolButton:
    """A small button that is only an icon; its tool tip is also its spoken name."""
    made = QToolButton()
    made.setToolTip(tip)
    made.setAccessibleName(tip)
    made.setCheckable(checkable)
    made.setIconSize(QSize(16, 16))
    return made


class Transport(QWidget):
    """Buttons, slider, count and speed in one line; ``add`` puts a view's own controls before the loop button."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.previous_button = tool_button("One frame back (Left)")
        self.play_button = tool_button("Play or pause (K)")
        self.next_button = tool_button("One frame on (Right)")
        self.loop_button = tool_button("Begin again at the end (L)", checkable=True)
        self.loop_button.setChecked(True)
        self.slider = QSlider(Qt.Orientation.Horizontal)
        self.slider.setAccessibleName("Moment of the timeline")
        self.slider.setToolTip("Drag through the timeline")
        self.slider.setMinimumWidth(40)
        self.count_label = QLabel()
        self.count_label.setProperty("role", "caption")
        self.count_label.setFont(tabular(self.count_label.font()))
        self.count_label.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        self.speed_box = QComboBox()
        for speed in SPEEDS:
            self.speed_box.addItem(f"{speed:g}×", speed)
        self.speed_box.setCurrentIndex(SPEEDS.index(1.0))
        self.speed_box.setFixedWidth(68)
        self.speed_box.setToolTip("Speed of play")
        self.speed_box.setAccessibleName("Speed of play")
        self._row = QHBoxLayout(self)
        self._row.setContentsMargins(0, 0, 0, 0)
        self._row.setSpacing(4)
        for button in (self.previous_button, self.play_button, self.next_button):
            self._row.addWidget(button)
        self._row.addWidget(self.slider, 1)
        self._row.addWidget(self.count_label)
        self._row.addWidget(self.loop_button)
        self._row.addWidget(self.speed_box)
        self.dress(False)

    def add(self, widget: QWidget) -> None:
        """A control of the view's own, before the loop button."""
        self._row.insertWidget(self._row.indexOf(self.loop_button), widget)

    def show_place(self, index: int, total: int, computed: int) -> None:
        """Where the timeline stands, without emitting anything; while moments lack, the count is of the computed."""
        self.slider.blockSignals(True)
        self.slider.setRange(0, max(0, total - 1))
        self.slider.setValue(index)
        self.slider.blockSignals(False)
        widest = self.count_label.fontMetrics().horizontalAdvance(f"{total} / {total}")
        self.count_label.setMinimumWidth(widest + 4)
        self.count_label.setText(f"{computed if computed < total else index + 1} / {total}" if total else "")
        self.count_label.setToolTip(f"{computed} of {total} moments are computed" if computed < total else "")

    def speed(self) -> float:
        return float(self.speed_box.currentData())

    def fit_width(self, width: int) -> None:
        """Hides what a view of ``width`` pixels has no room for."""
        self.speed_box.setVisible(width >= NARROW)
        self.previous_button.setVisible(width >= NARROWEST)
        self.next_button.setVisible(width >= NARROWEST)

    def dress(self, playing: bool) -> None:
        """Icons in the present colours; the play button shows what it would do."""
        self.previous_button.setIcon(icon("caret-left"))
        self.next_button.setIcon(icon("caret-right"))
        self.loop_button.setIcon(icon("repeat"))
        self.play_button.setIcon(icon("pause" if playing else "play", theme.colours.text))
