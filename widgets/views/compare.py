"""The parts of comparing a timeline with a pinned one: the bar of modes, the canvas with a divider, the arithmetic.

Knows pictures as arrays, neither payloads nor where they come from.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QPoint, QPointF, QRect, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QFontMetricsF, QMouseEvent, QPainter, QPaintEvent, QRegion
from PySide6.QtWidgets import QComboBox, QHBoxLayout, QToolButton, QWidget

from widgets.theme import icon, theme
from widgets.views.canvas import ImageCanvas
from widgets.views.images import Atlas, Layout
from widgets.views.paint import caption_font
from widgets.views.timeline.transport import tool_button

SIDE, SWIPE, DIFFERENCE = "Side by side", "Swipe", "Difference"
MODES = (SIDE, SWIPE, DIFFERENCE)
GAINS = (1, 2, 4)
GAIN = 2
"""The factor at first: differences of a few hundredths are hard to see."""
PINNED, NOW = "pinned", "now"


def unlike(pinned: NDArray[Any], now: NDArray[Any], panels: tuple[Sequence[str], Sequence[str]]) -> str:
    """Why two sets of pictures (N, H, W, C) cannot be compared, as one line; '' where they can."""
    (n0, h0, w0, c0), (n1, h1, w1, c1) = pinned.shape, now.shape
    kinds = {1: "grey", 3: "colour"}
    pairs = (
        (str(n0), str(n1), " pictures"),
        (f"{w0} × {h0}", f"{w1} × {h1}", " pixels"),
        (kinds.get(c0, ""), kinds.get(c1, ""), ""),
        (str(len(panels[0])), str(len(panels[1])), " panels"),
    )
    return next((f"Not comparable: {was} against {here}{what}" for was, here, what in pairs if was != here), "")


def difference(a: NDArray[Any], b: NDArray[Any], gain: float) -> NDArray[np.float32]:
    """``gain`` times |a - b|, at most 1; pictures in 0..1 or uint8, of one shape."""

    def unit(images: NDArray[Any]) -> NDArray[np.float32]:
        scale = 1 / 255 if images.dtype == np.uint8 else 1.0
        return np.multiply(images, np.float32(scale), dtype=np.float32)

    return np.minimum(np.abs(unit(a) - unit(b)) * np.float32(gain), np.float32(1), dtype=np.float32)


def paired_titles(panels: Sequence[str]) -> tuple[str, ...]:
    """Titles of the pinned panels and then the present ones."""
    names = [f"{name} · " for name in panels] or [""]
    return tuple(name + whose for whose in (PINNED, NOW) for name in names)


class Line(QWidget):
    """One line of caption text that ends in … where there is no room, and asks for none."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.text = ""
        self._loud = False

    def show_text(self, text: str, loud: bool = False) -> None:
        """``loud`` draws it in the colour of text instead of the quiet one."""
        if (text, loud) != (self.text, self._loud):
            self.text, self._loud = text, loud
            self.setToolTip(text)
            self.setAccessibleName(text)
            self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setFont(caption_font(self))
        painter.setPen(QColor(theme.colours.text if self._loud else theme.colours.quiet))
        shown = QFontMetricsF(painter.font()).elidedText(self.text, Qt.TextElideMode.ElideRight, self.width())
        painter.drawText(QRectF(self.rect()), Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft, shown)


class CompareBar(QWidget):
    """One line above the picture while something is pinned: what is, how it is compared, and unpin."""

    changed = Signal()
    unpin_requested = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.label = Line()
        self.mode_box = QComboBox()
        for mode in MODES:
            self.mode_box.addItem(mode)
        self.mode_box.setToolTip("How the present timeline is compared with the pinned one (C)")
        self.mode_box.setAccessibleName("Way of comparing")
        self.gain_box = QComboBox()
        for gain in GAINS:
            self.gain_box.addItem(f"×{gain}", gain)
        self.gain_box.setCurrentIndex(GAINS.index(GAIN))
        self.gain_box.setToolTip("How much brighter the difference is drawn than it is")
        self.gain_box.setAccessibleName("Brightness of the difference")
        self.gain_box.hide()
        self.unpin_button: QToolButton = tool_button("Unpin: no more comparing (P)")
        self.unpin_button.clicked.connect(self.unpin_requested)
        self.mode_box.currentIndexChanged.connect(self._changed)
        self.gain_box.currentIndexChanged.connect(self._changed)
        row = QHBoxLayout(self)
        row.setContentsMargins(12, 4, 8, 0)
        row.setSpacing(8)
        # the line of text comes last: while an answer is awaited, Cancel covers the right end
        for widget in (self.mode_box, self.gain_box, self.unpin_button):
            row.addWidget(widget)
        row.addWidget(self.label, 1)
        self.restyle()

    @property
    def mode(self) -> str:
        return self.mode_box.currentText()

    @property
    def gain(self) -> int:
        return int(self.gain_box.currentData())

    def tell(self, text: str, trouble: str = "") -> None:
        """What is pinned, or why it cannot be compared just now."""
        self.label.show_text(trouble or text, bool(trouble))

    def next_mode(self) -> None:
        """The next way of comparing, and the first after the last."""
        self.mode_box.setCurrentIndex((self.mode_box.currentIndex() + 1) % len(MODES))

    def restyle(self) -> None:
        self.unpin_button.setIcon(icon("x"))

    def _changed(self) -> None:
        self.gain_box.setVisible(self.mode == DIFFERENCE)
        self.changed.emit()


class CompareCanvas(ImageCanvas):
    """A canvas that can draw other pictures of the same layout left of a divider, in each panel at the same part."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.divider = 0.5
        """The part of each panel's width that shows the other pictures."""
        self._other: Atlas | None = None
        self._other_images: NDArray[Any] | None = None
        self._held = False

    def set_other(self, other: Atlas | None, images: NDArray[Any] | None = None) -> None:
        """The pictures left of the divider, and their sheet; None for no divider. ``set_images`` comes first."""
        if (other is None) != (self._other is None):
            self.setCursor(Qt.CursorShape.SplitHCursor if other is not None else Qt.CursorShape.ArrowCursor)
        self._other, self._other_images = other, images
        self.update()

    def move_divider(self, to: float) -> None:
        """Puts the divider at part ``to`` of the width, kept within 0..1."""
        self.divider = min(max(to, 0.0), 1.0)
        self.setAccessibleDescription(f"divider at {self.divider:.0%}")
        self.update()

    def seen_at(self, at: QPointF, index: int, layout: Layout) -> NDArray[Any]:
        line = self._line(layout.panel_rect(index // layout.per)).x()
        left = at.x() * self.devicePixelRatioF() < line
        return self._other_images if left and self._other_images is not None else super().seen_at(at, index, layout)

    def clear(self) -> None:
        self.set_other(None)
        super().clear()

    def divider_lines(self) -> list[QRect]:
        """Where the dividers are, one per panel and one device pixel wide, in device pixels."""
        layout = self.tile_layout()
        if self._other is None or layout is None:
            return []
        return [self._line(layout.panel_rect(panel)) for panel in range(len(layout.panels))]

    def _line(self, panel: QRect) -> QRect:
        return QRect(panel.x() + round(self.divider * panel.width()), panel.y(), 1, panel.height())

    def paint_tiles(self, painter: QPainter, atlas: Atlas, layout: Layout) -> None:
        super().paint_tiles(painter, atlas, layout)
        if self._other is None or self._other.count != layout.count:
            return
        clip = QRegion()
        for panel in range(len(layout.panels)):
            whole = layout.panel_rect(panel)
            clip |= QRect(whole.topLeft(), QSize(round(self.divider * whole.width()), whole.height()))
        painter.save()
        painter.setClipRegion(clip)
        super().paint_tiles(painter, self._other, layout)
        painter.restore()

    def paintEvent(self, event: QPaintEvent) -> None:
        super().paintEvent(event)
        dpr = self.devicePixelRatioF()
        painter = QPainter(self)
        for line in self.divider_lines():
            x = (line.x() + 0.5) / dpr
            top, bottom = line.top() / dpr - 2, (line.bottom() + 1) / dpr + 2
            painter.fillRect(QRectF(x - 1, top, 2, bottom - top), QColor(theme.colours.accent))
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            painter.setPen(QColor(theme.colours.ground))
            painter.setBrush(QColor(theme.colours.accent))
            painter.drawEllipse(QPointF(x, (top + bottom) / 2), 5, 5)
            painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)

    def _drag(self, at: QPoint) -> None:
        """The divider of the panel nearest to the hand follows it; the others go along."""
        layout = self.tile_layout()
        if layout is None:
            return
        dpr = self.devicePixelRatioF()
        x, y = at.x() * dpr, at.y() * dpr

        def away(panel: QRect) -> float:
            middle = panel.center()
            out_x = max(0.0, abs(x - middle.x()) - panel.width() / 2)
            return out_x + max(0.0, abs(y - middle.y()) - panel.height() / 2)

        nearest = min((layout.panel_rect(panel) for panel in range(len(layout.panels))), key=away)
        self.move_divider((x - nearest.x()) / max(1, nearest.width()))

    def mousePressEvent(self, event: QMouseEvent) -> None:
        self._held = self._other is not None and event.button() == Qt.MouseButton.LeftButton
        if self._held:
            self._mouse = None
            self._drag(event.position().toPoint())
        else:
            super().mousePressEvent(event)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        if self._held:
            self._drag(event.position().toPoint())
        else:
            super().mouseMoveEvent(event)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        if self._held:
            self._held = False
        else:
            super().mouseReleaseEvent(event)
