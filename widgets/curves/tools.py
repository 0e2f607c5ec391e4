"""The slim row above the curves: smoothing, logarithmic axes, fit and follow. Knows no data."""

from __future__ import annotations

from PySide6.QtCore import QSignalBlocker, QSize, Qt, Signal
from PySide6.QtGui import QFont, QMouseEvent
from PySide6.QtWidgets import QHBoxLayout, QLabel, QSlider, QToolButton, QWidget

from widgets.theme import CAPTION, icon, tabular, theme

SPANS = (0, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000)
"""Widths of the smoothing window that the slider offers, in steps; 0 is none."""


class _SpanSlider(QSlider):
    """A short slider; a double click takes it back to no smoothing."""

    def mouseDoubleClickEvent(self, ev: QMouseEvent) -> None:
        self.setValue(0)


class Tools(QWidget):
    """The controls. ``smoothing_changed`` has the window in steps; the others say what is wanted."""

    smoothing_changed = Signal(float)
    log_changed = Signal(bool, bool)
    fit_clicked = Signal()
    follow_changed = Signal(bool)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        font = QFont(self.font())
        font.setPixelSize(CAPTION)
        self.slider = _SpanSlider(Qt.Orientation.Horizontal)
        self.slider.setRange(0, len(SPANS) - 1)
        self.slider.setFixedWidth(64)
        self.slider.setAccessibleName("Smoothing")
        self._span = QLabel("off")
        self._span.setObjectName("span")
        self._span.setFont(tabular(font))
        self._span.setFixedWidth(30)
        self.log_x = self._button("log x", "Logarithmic step axis; step 0 is left out of it.", True)
        self.log_y = self._button("log y", "", True)
        self.fit = self._button("", "Show all of the curves (F, or double-click the plot).", False)
        self.fit.setAccessibleName("Fit")
        self.follow = self._button(
            "", "Keep all in view as training goes on; zooming or panning by hand switches this off.", True
        )
        self.follow.setAccessibleName("Follow")
        self.follow.setChecked(True)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(2)
        for widget in (self.slider, self._span, self.log_x, self.log_y, self.fit, self.follow):
            row.addWidget(widget)
        self.slider.valueChanged.connect(lambda i: self.smoothing_changed.emit(float(SPANS[i])))
        self.log_x.toggled.connect(self._logs)
        self.log_y.toggled.connect(self._logs)
        self.fit.clicked.connect(self.fit_clicked)
        self.follow.toggled.connect(self.follow_changed)
        self.show_span(0)
        self.apply_theme()

    def show_span(self, span: float) -> None:
        """Writes the window's width beside the slider, and moves it there without a signal."""
        with QSignalBlocker(self.slider):
            self.slider.setValue(min(range(len(SPANS)), key=lambda i: abs(SPANS[i] - span)))
        self._span.setText("off" if span <= 0 else f"{span:g}" if span < 1000 else f"{span / 1000:g}k")
        window = f"over {span:,.0f} steps" if span > 0 else "is off"
        self.slider.setToolTip(f"Smoothing {window}; the unsmoothed curve stays as a faint line.")

    def show_log(self, log_x: bool, log_y: bool) -> None:
        """Sets both toggles without a signal."""
        with QSignalBlocker(self.log_x), QSignalBlocker(self.log_y):
            self.log_x.setChecked(log_x)
            self.log_y.setChecked(log_y)

    def show_following(self, on: bool) -> None:
        """Sets the toggle without a signal."""
        with QSignalBlocker(self.follow):
            self.follow.setChecked(on)

    def allow_log_y(self, allowed: bool) -> None:
        """Whether a logarithmic value axis could show anything."""
        self.log_y.setEnabled(allowed)
        self.log_y.setToolTip(
            "Logarithmic value axis; values of 0 and less are gaps in it."
            if allowed
            else "A logarithmic axis needs values above 0, and no curve shown has one."
        )

    def apply_theme(self) -> None:
        c = theme.colours
        for button, name in ((self.fit, "corners-out"), (self.follow, "arrow-line-right")):
            button.setIcon(icon(name))
            button.setIconSize(QSize(14, 14))
        self.setStyleSheet(
            f"QToolButton {{ font-size: {CAPTION}px; padding: 3px 5px; color: {c.quiet}; }}"
            f"QToolButton:checked {{ color: {c.text}; }}"
            f"QLabel#span {{ color: {c.quiet}; font-size: {CAPTION}px; padding-left: 2px; }}"
            f"QSlider::groove:horizontal {{ height: 2px; background: {c.line}; border-radius: 1px; }}"
            f"QSlider::sub-page:horizontal {{ height: 2px; background: {c.quiet}; border-radius: 1px; }}"
            f"QSlider::handle:horizontal {{ width: 10px; height: 10px; margin: -4px 0; border-radius: 5px;"
            f" background: {c.text}; }}"
            f"QSlider::handle:horizontal:hover, QSlider::handle:horizontal:focus {{ background: {c.accent}; }}"
        )

    def _button(self, text: str, tip: str, checkable: bool) -> QToolButton:
        button = QToolButton(self)
        button.setText(text)
        button.setToolTip(tip)
        button.setCheckable(checkable)
        button.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        return button

    def _logs(self) -> None:
        self.log_changed.emit(self.log_x.isChecked(), self.log_y.isChecked())
