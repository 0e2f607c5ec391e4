"""A legend of coloured chips that wrap to the width; a click hides or shows what a chip names."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtGui import QColor, QIcon, QPainter, QPixmap, QResizeEvent
from PySide6.QtWidgets import QSizePolicy, QToolButton, QWidget

from widgets.theme import CAPTION, theme

ROW = 22
MOST_ROWS = 2
FEW = 4
"""So many names have rows of their own where they need them: dots alone say nothing of three lines."""


class Legend(QWidget):
    """Chips for ``names``; where many of them need more than two rows only their dots remain, with the names as tool
    tips."""

    toggled = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._chips: list[QToolButton] = []
        self.names: tuple[str, ...] = ()
        self._colours: tuple[str, ...] = ()
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setFixedHeight(0)
        theme.changed.connect(self.restyle)

    def set_names(self, names: Sequence[str], colours: Sequence[str]) -> None:
        """``colours`` are repeated where there are more names."""
        shown = tuple(colours[i % len(colours)] for i in range(len(names)))
        if tuple(names) == self.names and shown == self._colours:
            return
        self.names, self._colours = tuple(names), shown
        for chip in self._chips:
            chip.hide()
            chip.deleteLater()
        self._chips = []
        for name in self.names:
            chip = QToolButton(self)
            chip.setCheckable(True)
            chip.setChecked(True)
            chip.setAccessibleName(name)
            chip.setToolTip(f"{name}: click to hide or show")
            chip.toggled.connect(self._changed)
            chip.show()
            self._chips.append(chip)
        self.restyle()

    def visible(self) -> list[bool]:
        """For each name whether it is to be seen."""
        return [chip.isChecked() for chip in self._chips]

    def restyle(self) -> None:
        for chip, colour in zip(self._chips, self._colours, strict=True):
            chip.setIcon(_dot(colour if chip.isChecked() else theme.colours.line, self.devicePixelRatioF()))
            chip.setIconSize(QSize(10, 10))
            text = theme.colours.quiet
            chip.setStyleSheet(
                f"QToolButton {{ font-size: {CAPTION}px; color: {text}; padding: 2px 4px; background: transparent;"
                f" border: 1px solid transparent; }} QToolButton:hover {{ background: {theme.colours.hover}; }}"
                f" QToolButton:focus {{ border-color: {theme.colours.accent}; }}"
            )
        self._place()

    def sizeHint(self) -> QSize:
        return QSize(160, self.height())

    def minimumSizeHint(self) -> QSize:
        return QSize(24, 0)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        if event.size().width() != event.oldSize().width():
            self._place()

    def _changed(self) -> None:
        self.restyle()
        self.toggled.emit()

    def _place(self) -> None:
        if not self._chips:
            self.setFixedHeight(0)
            return
        for words in (True, False):
            for chip, name in zip(self._chips, self.names, strict=True):
                chip.setText(name if words else "")
                style = Qt.ToolButtonStyle.ToolButtonTextBesideIcon if words else Qt.ToolButtonStyle.ToolButtonIconOnly
                chip.setToolButtonStyle(style)
            places, rows = self._flow()
            if rows <= MOST_ROWS or (words and len(self._chips) <= FEW):
                break
        for chip, (x, row) in zip(self._chips, places, strict=True):
            chip.setGeometry(x, row * ROW, min(chip.sizeHint().width(), self.width()), ROW)
        self.setFixedHeight(rows * ROW)

    def _flow(self) -> tuple[list[tuple[int, int]], int]:
        places, x, row = [], 0, 0
        for chip in self._chips:
            width = chip.sizeHint().width()
            if x and x + width > self.width():
                x, row = 0, row + 1
            places.append((x, row))
            x += width + 2
        return places, row + 1


def _dot(colour: str, dpr: float) -> QIcon:
    pixmap = QPixmap(round(10 * dpr), round(10 * dpr))
    pixmap.setDevicePixelRatio(dpr)
    pixmap.fill(Qt.GlobalColor.transparent)
    painter = QPainter(pixmap)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(QColor(colour))
    painter.drawEllipse(1, 1, 8, 8)
    painter.end()
    return QIcon(pixmap)
