"""A canvas of pictures: tiles as large as fit, captions, heads, and what lies under the mouse. Knows no payload."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QEvent, QPointF, QRect, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QFontMetricsF, QImage, QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QWidget

from widgets.theme import theme
from widgets.views.images import Atlas, Layout, check_images, lay_out, lay_out_panels, make_atlas
from widgets.views.paint import caption_font, chip, number
from widgets.views.timeline.text import advance, wrapped, write

MARGIN = 8
CAPTION_HEIGHT = 16
WIDEST_CAPTION = 60
"""A caption that is longer than this may be cut: there is none under tiles that are narrower than the longest one or
than this, for three letters and dots say nothing."""
WIDEST_ROW_NAME = 150


class ImageCanvas(QWidget):
    """Pictures (N, H, W, C) in a grid. The sheet of pixels is made at the first paint and once per set of pictures."""

    tile_clicked = Signal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setMouseTracking(True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAccessibleName("Pictures")
        self._images: NDArray[Any] | None = None
        self._atlas: Atlas | None = None
        self._small: dict[int, tuple[QSize, QImage]] = {}
        self._columns = 0
        self._captions: tuple[str, ...] = ()
        self._labels: Any = None
        self._rows: tuple[str, ...] = ()
        self._heads: tuple[str, ...] = ()
        self._caption = ""
        self._titles: tuple[str, ...] = ()
        self._groups = 1
        self._mouse: QPointF | None = None
        self._pressed: int | None = None
        self._current: int | None = None

    def set_images(
        self,
        images: NDArray[Any],
        columns: int = 0,
        captions: Sequence[str] = (),
        labels: Any = None,
        rows: Sequence[str] = (),
        heads: Sequence[str] = (),
        atlas: Atlas | None = None,
        caption: str = "",
        panels: Sequence[str] = (),
        groups: int = 1,
    ) -> None:
        """The pictures to draw, as in :class:`engine.payloads.ImageGrid`; ``atlas`` is their sheet where it exists.

        ``panels`` are the titles of equal grids, the pictures panel-major; ``groups`` says into how many like parts
        the panels fall, two where two timelines stand beside one another.
        """
        self._images = check_images(images)
        if panels and (len(self._images) % len(panels) or len(panels) % groups):
            raise ValueError(f"{len(self._images)} pictures do not make {len(panels)} equal panels.")
        self._atlas, self._small = atlas, {}
        self._caption, self._titles, self._groups = caption, tuple(panels), groups
        self._columns = max(0, columns) or (len(heads) if heads else 0)
        self._captions, self._rows, self._heads = tuple(captions), tuple(rows), tuple(heads)
        self._labels = labels
        if self._current is not None and self._current >= len(self._images):
            self._current = None
        self.update()

    def clear(self) -> None:
        self._images = self._atlas = self._current = None
        self._small = {}
        self.update()

    def picture(self) -> QImage:
        """The canvas as it stands, without what the mouse hovers."""
        self._mouse = None
        return self.grab().toImage()

    # ---- geometry, in device pixels so that a whole factor is whole on every screen

    def _gutters(self) -> tuple[int, int]:
        """Logical pixels kept free at the left for row names and at the top for column heads."""
        if not (self._rows or self._heads):
            return 0, 0
        metrics = QFontMetricsF(caption_font(self))
        widest = max((advance(metrics, name) for name in self._rows), default=0.0)
        left = int(min(widest + 9, WIDEST_ROW_NAME, self.width() * 0.3)) if self._rows else 0
        return left, CAPTION_HEIGHT + 4 if self._heads else 0

    def _caption_lines(self) -> list[str]:
        """The line under the whole, in two where it is long."""
        return wrapped(QFontMetricsF(caption_font(self)), self._caption, self.width() - 2 * MARGIN)

    def tile_layout(self) -> Layout | None:
        """Where the tiles are, in device pixels; None without pictures."""
        if self._images is None or not len(self._images):
            return None
        n, h, w, _ = self._images.shape
        dpr = self.devicePixelRatioF()
        left, top = self._gutters()
        bottom = CAPTION_HEIGHT * len(self._caption_lines())
        above = 0 if self._titles else top  # each panel has its own heads
        area = QRect(
            round((MARGIN + left) * dpr),
            round((MARGIN + above) * dpr),
            max(1, int((self.width() - 2 * MARGIN - left) * dpr)),
            max(1, int((self.height() - 2 * MARGIN - above - bottom) * dpr)),
        )
        gap = round((2 if n > 64 else 4) * dpr)
        if self._titles:
            shape = (self._groups, len(self._titles) // self._groups)
            head = round((CAPTION_HEIGHT + 2 + top) * dpr)
            return lay_out_panels(n, h, w, self._columns, area, gap, shape, head)
        if self._captions:
            layout = lay_out(n, h, w, self._columns, area, gap, round(CAPTION_HEIGHT * dpr))
            metrics = QFontMetricsF(caption_font(self))
            widest = max(advance(metrics, caption) for caption in self._captions)
            if layout.pitch_x >= min(widest, WIDEST_CAPTION) * dpr:
                return layout
        return lay_out(n, h, w, self._columns, area, gap)

    def tile_at(self, at: QPointF) -> int | None:
        """The tile under a point of the widget."""
        layout = self.tile_layout()
        dpr = self.devicePixelRatioF()
        return None if layout is None else layout.at(at.x() * dpr, at.y() * dpr)

    def describe(self, at: QPointF) -> list[str]:
        """What lies under a point: the tile's number and caption, the source pixel and its value."""
        layout, index = self.tile_layout(), self.tile_at(at)
        if layout is None or index is None or self._images is None:
            return []
        dpr = self.devicePixelRatioF()
        rect = layout.rect(index)
        _, h, w, _ = self._images.shape
        x = min(w - 1, int((at.x() * dpr - rect.x()) * w / rect.width()))
        y = min(h - 1, int((at.y() * dpr - rect.y()) * h / rect.height()))
        seen = self.seen_at(at, index, layout)
        pixel = seen[index, y, x]
        scale = 255.0 if seen.dtype == np.uint8 else 1.0
        value = "  ".join(f"{float(v) / scale:.2f}" for v in pixel)
        panel, within = divmod(index, layout.per)
        where = f"{self._titles[panel]}  {within}" if self._titles else str(within)
        return [f"{where}{self._name(index)}", f"({x}, {y})  {value}"]

    def seen_at(self, at: QPointF, index: int, layout: Layout) -> NDArray[Any]:
        """The pictures that are seen at a point, where several may lie over one another."""
        assert self._images is not None
        return self._images

    def _name(self, index: int) -> str:
        if index < len(self._captions) and self._captions[index]:
            return f"  {self._captions[index]}"
        label = None if self._labels is None or index >= len(self._labels) else self._labels[index]
        return "" if label is None else f"  class {number(float(label)) if label % 1 else int(label)}"

    # ---- painting

    def paintEvent(self, event: QPaintEvent) -> None:
        layout = self.tile_layout()
        if layout is None or self._images is None:
            return
        if self._atlas is None:
            self._atlas = make_atlas(self._images)
        painter = QPainter(self)
        painter.setFont(caption_font(self))
        dpr = self.devicePixelRatioF()
        painter.save()
        painter.scale(1 / dpr, 1 / dpr)
        self.paint_tiles(painter, self._atlas, layout)
        painter.restore()
        self._paint_names(painter, layout, dpr)
        hovered = self.tile_at(self._mouse) if self._mouse is not None else None
        marked = hovered if hovered is not None else self._current if self.hasFocus() else None
        if marked is not None and layout.count > 1:
            painter.setPen(QPen(QColor(theme.colours.accent), 1))
            for same in range(marked % layout.per, layout.count, layout.per):  # the same picture in every panel
                rect = QRectF(layout.rect(same))
                box = QRectF(rect.x() / dpr, rect.y() / dpr, rect.width() / dpr, rect.height() / dpr)
                painter.drawRect(box.adjusted(-0.5, -0.5, 0.5, 0.5))
        if self._mouse is not None and hovered is not None:
            chip(painter, QRectF(self.rect()), self._mouse, self.describe(self._mouse))

    def paint_tiles(self, painter: QPainter, atlas: Atlas, layout: Layout) -> None:
        """Draws all tiles; the painter's unit is one device pixel."""
        size = QSize(layout.tile_w, layout.tile_h)
        if size.width() < atlas.width or size.height() < atlas.height:
            # shrinking needs an average over all source pixels, which the painter's own scaling is not
            small = self._small.get(id(atlas))
            if small is None or small[0] != size:
                rows = -(-atlas.count // atlas.columns)
                small = self._small[id(atlas)] = (
                    size,
                    atlas.image.scaled(
                        size.width() * atlas.columns,
                        size.height() * rows,
                        Qt.AspectRatioMode.IgnoreAspectRatio,
                        Qt.TransformationMode.SmoothTransformation,
                    ),
                )
            for i in range(layout.count):
                row, column = divmod(i, atlas.columns)
                source = QRect(column * size.width(), row * size.height(), size.width(), size.height())
                painter.drawImage(layout.rect(i).topLeft(), small[1], source)
            return
        whole = size.width() % atlas.width == 0 and size.height() % atlas.height == 0
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform, not whole)
        for i in range(layout.count):
            painter.drawImage(layout.rect(i), atlas.image, atlas.source(i))

    def _paint_names(self, painter: QPainter, layout: Layout, dpr: float) -> None:
        painter.setPen(QColor(theme.colours.quiet))
        left, top = self._gutters()
        tile_w, tile_h = layout.tile_w / dpr, layout.tile_h / dpr

        if self._captions and layout.pitch_y - layout.tile_h >= CAPTION_HEIGHT * dpr:
            for i, text in enumerate(self._captions[: layout.count]):
                rect = layout.rect(i)
                box = QRectF(rect.x() / dpr, rect.y() / dpr + tile_h, tile_w, CAPTION_HEIGHT).adjusted(-2, 0, 2, 0)
                write(painter, box, text, Qt.AlignmentFlag.AlignHCenter)
        for panel, (dx, dy) in enumerate(layout.panels):
            x0, y0 = (layout.x + dx) / dpr, (layout.y + dy) / dpr
            for row, text in enumerate(self._rows[: layout.rows] if dx == 0 else ()):
                y = y0 + row * layout.pitch_y / dpr
                write(painter, QRectF(x0 - left, y, left - 8, tile_h), text, Qt.AlignmentFlag.AlignRight)
            heads, pitch = self._heads[: layout.columns], layout.pitch_x / dpr
            widest = max((advance(QFontMetricsF(painter.font()), text) for text in heads), default=0.0)
            # where tiles are narrower than their heads, only every so many have one, the middle one among them
            every = max(1, math.ceil((widest + 4) / pitch)) if widest > tile_w else 1
            for column in range(len(heads) // 2 % every, len(heads), every):
                centre = x0 + column * pitch + tile_w / 2
                box = QRectF(centre - every * pitch / 2, y0 - top, every * pitch, CAPTION_HEIGHT)
                write(painter, box, heads[column], Qt.AlignmentFlag.AlignHCenter)
            if self._titles:
                painter.setPen(QColor(theme.colours.text))
                wide = (layout.panel_rect(panel).width() + 3 * (layout.pitch_x - layout.tile_w)) / dpr
                title = QRectF(x0, y0 - top - CAPTION_HEIGHT - 2, wide, CAPTION_HEIGHT)
                write(painter, title, self._titles[panel], Qt.AlignmentFlag.AlignLeft)
                painter.setPen(QColor(theme.colours.quiet))
        for up, text in enumerate(reversed(self._caption_lines()), start=1):
            y = self.height() - MARGIN - up * CAPTION_HEIGHT + 4
            line = QRectF(MARGIN, y, self.width() - 2 * MARGIN, CAPTION_HEIGHT)
            write(painter, line, text, Qt.AlignmentFlag.AlignHCenter)

    # ---- hands

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        self._mouse = event.position()
        self.update()

    def leaveEvent(self, event: QEvent) -> None:
        self._mouse = None
        self.update()

    def mousePressEvent(self, event: QMouseEvent) -> None:
        self._pressed = self.tile_at(event.position()) if event.button() == Qt.MouseButton.LeftButton else None

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        pressed, self._pressed = self._pressed, None
        if pressed is not None and pressed == self.tile_at(event.position()):
            self._current = pressed
            self.tile_clicked.emit(pressed)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        layout = self.tile_layout()
        moves = {Qt.Key.Key_Left: -1, Qt.Key.Key_Right: 1}
        if layout is not None:
            moves |= {Qt.Key.Key_Up: -layout.columns, Qt.Key.Key_Down: layout.columns}
        if layout is None or layout.count < 2:
            event.ignore()
        elif event.key() in moves:
            step = moves[Qt.Key(event.key())]
            self._current = 0 if self._current is None else min(max(self._current + step, 0), layout.count - 1)
            self.setAccessibleDescription(f"{self._current}{self._name(self._current)}")
            self.update()
        elif event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and self._current is not None:
            self.tile_clicked.emit(self._current)
        else:
            event.ignore()
