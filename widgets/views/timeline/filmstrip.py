"""The small parts of a timeline: a strip of thumbnails to click, and numbers read off the present moment."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from PySide6.QtCore import QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QFontMetricsF, QImage, QMouseEvent, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QSizePolicy, QWidget

from widgets.theme import theme
from widgets.views.paint import caption_font, number
from widgets.views.timeline.text import advance, write

THUMB = 40
GAP = 4
MARK = 14
"""Pixels of the coloured mark before a reading's name, with the space after it."""
APART = 22
"""Pixels between two readings."""


class Filmstrip(QWidget):
    """As many thumbnails as fit, evenly over the timeline; ``thumb`` gives the picture of an index, or None yet."""

    picked = Signal(int)

    def __init__(self, thumb: Callable[[int], QImage | None], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._thumb = thumb
        self._total = 0
        self._position = 0
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setAccessibleName("Filmstrip")
        self.setToolTip("Click a moment to go there")

    def set_total(self, total: int) -> None:
        self._total = total
        self.update()

    def set_position(self, index: int) -> None:
        self._position = index
        self.update()

    def cells(self) -> list[tuple[int, QRectF]]:
        """The shown frame indices, first and last always among them, and their places."""
        room = max(1, (self.width() + GAP) // (THUMB + GAP))
        n = min(self._total, room)
        if n == 0:
            return []
        pitch = THUMB + GAP if n == self._total else (self.width() + GAP) / n
        x0 = max(0.0, (self.width() - n * pitch + GAP) / 2)
        last = self._total - 1
        return [(round(j * last / max(1, n - 1)), QRectF(round(x0 + j * pitch), 2, THUMB, THUMB)) for j in range(n)]

    def sizeHint(self) -> QSize:
        return QSize(240, THUMB + 8)

    def minimumSizeHint(self) -> QSize:
        return QSize(THUMB, THUMB + 8)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        cells = self.cells()
        nearest = min(cells, key=lambda cell: abs(cell[0] - self._position), default=None)
        for cell in cells:
            index, box = cell
            image = self._thumb(index)
            if image is None:
                painter.fillRect(box, QColor(theme.colours.hover))
            else:
                x = box.x() + (THUMB - image.width()) // 2
                painter.drawImage(QPointF(x, box.y() + (THUMB - image.height()) // 2), image)
            if cell is nearest:
                painter.setPen(QPen(QColor(theme.colours.accent), 2))
                painter.drawLine(QPointF(box.left(), box.bottom() + 4), QPointF(box.right(), box.bottom() + 4))

    def mousePressEvent(self, event: QMouseEvent) -> None:
        if event.button() == Qt.MouseButton.LeftButton:
            self._pick(event.position().x())

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        if event.buttons() & Qt.MouseButton.LeftButton:
            self._pick(event.position().x())

    def _pick(self, x: float) -> None:
        cells = self.cells()
        if cells:
            self.picked.emit(min(cells, key=lambda cell: abs(cell[1].center().x() - x))[0])


class Readings(QWidget):
    """A caption and some numbers in one quiet line; a number keeps the width that it once had.

    A subclass may give each number a colour (a small mark before its name) and say where the line is.
    """

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._caption = ""
        self._values: Mapping[str, float] = {}
        self._widths: dict[str, float] = {}
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    def show_values(self, caption: str, values: Mapping[str, float]) -> None:
        self._caption, self._values = caption, values
        spoken = ", ".join(f"{name} {number(value)}" for name, value in values.items())
        self.setAccessibleName(", ".join(part for part in (caption, spoken) if part))
        self.update()

    def colour_of(self, name: str) -> QColor | None:
        """The mark's colour, or None for no mark."""
        return None

    def text_rect(self) -> QRectF:
        """Where the line is."""
        return QRectF(self.rect())

    def sizeHint(self) -> QSize:
        return QSize(120, 18)

    def minimumSizeHint(self) -> QSize:
        return QSize(40, 18)

    def rows(self) -> int:
        """In how many lines the text is: with two the caption has the first to itself."""
        return 1

    def wanted_width(self) -> float:
        """How wide one line would have to be for the caption and all numbers."""
        metrics = QFontMetricsF(caption_font(self))
        wide = advance(metrics, self._caption)
        for name, value in self._values.items():
            digits = max(self._widths.get(name, 0.0), metrics.horizontalAdvance(number(value)) + 1)
            wide += digits + advance(metrics, name) + (0 if self.colour_of(name) is None else MARK) + APART
        return wide

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        font = caption_font(self)
        painter.setFont(font)
        metrics = QFontMetricsF(font)
        x, height = self.text_rect().width(), self.text_rect().height() / self.rows()
        if self.rows() > 1:
            painter.setPen(QColor(theme.colours.quiet))
            write(painter, QRectF(0, 0, x, height), self._caption, Qt.AlignmentFlag.AlignLeft)
            painter.translate(0, height)
        for name, value in reversed(list(self._values.items())):  # numbers from the right, the caption has the rest
            text = number(value)
            width = self._widths[name] = max(self._widths.get(name, 0.0), metrics.horizontalAdvance(text) + 1)
            label = advance(metrics, name)
            colour = self.colour_of(name)
            mark = 0 if colour is None else MARK
            if x - width - label - mark - 8 < 0:
                break
            painter.setPen(QColor(theme.colours.text))
            write(painter, QRectF(x - width, 0, width, height), text, Qt.AlignmentFlag.AlignRight)
            painter.setPen(QColor(theme.colours.quiet))
            write(painter, QRectF(x - width - 6 - label, 0, label + 1, height), name, Qt.AlignmentFlag.AlignLeft)
            if colour is not None:
                painter.setPen(QPen(colour, 2))
                y = round(height / 2) + 1
                left = x - width - label - 6 - mark
                painter.drawLine(QPointF(left, y), QPointF(left + mark - 5, y))
            x -= width + label + mark + APART
        if x > 24 and self.rows() == 1:
            painter.setPen(QColor(theme.colours.quiet))
            write(painter, QRectF(0, 0, x, height), self._caption, Qt.AlignmentFlag.AlignLeft)
