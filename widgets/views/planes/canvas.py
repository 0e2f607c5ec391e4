"""A canvas of planes side by side: zoomed and moved together, and what lies under the mouse. Knows no payload."""

from __future__ import annotations

from typing import Any

import numpy as np
from PySide6.QtCore import QEvent, QPointF, QRectF, QSize, Qt
from PySide6.QtGui import (
    QColor,
    QFontMetricsF,
    QImage,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QPixmap,
    QResizeEvent,
    QWheelEvent,
)
from PySide6.QtWidgets import QSizePolicy, QWidget

from widgets.theme import theme
from widgets.views.paint import caption_font, chip, number
from widgets.views.planes.paint import (
    BELOW,
    LEFT,
    SMALL,
    THUMBS,
    TITLE,
    Frame,
    label_colour,
    paint_axes,
    paint_sheet,
)
from widgets.views.planes.parts import Sheet
from widgets.views.timeline.text import wrapped

MARGIN = 8
APART = 20
"""Pixels between two planes where there is room to spare."""
CAPTION_HEIGHT = 18
NEAR = 12
"""Pixels within which the mouse finds a point."""
CLOSEST = 1 / 64
"""Smallest share of an extent that a zoom shows."""
HOVER_THUMB = 64
WHOLE = (0.0, 0.0, 1.0)


class PlanesCanvas(QWidget):
    """Planes as large as fit, at equal scale along both axes. All planes of one extent are zoomed together.

    A zoom is (x, y, share) of the extent, from its lower left corner, so that it survives an extent that changes.
    """

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setMouseTracking(True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAccessibleName("Planes")
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self._sheets: tuple[Sheet, ...] = ()
        self._caption = ""
        self._zooms: dict[int, tuple[float, float, float]] = {}
        self._drawn: QPixmap | None = None
        self._mouse: QPointF | None = None
        self._grab: tuple[int, QPointF, tuple[float, float, float]] | None = None

    # ---- what the owner does

    def set_sheets(self, sheets: tuple[Sheet, ...], caption: str = "") -> None:
        """The planes to draw; zooms stay."""
        self._sheets, self._caption = sheets, caption
        n = sum(len(s.points) for s in sheets)
        self.setAccessibleDescription("; ".join(filter(None, [s.plane.title for s in sheets] + [f"{n} points"])))
        self.redraw()

    def clear(self) -> None:
        self._sheets = ()
        self._zooms.clear()
        self.redraw()

    def redraw(self) -> None:
        """Draws all anew, for other colours or another zoom."""
        self._drawn = None
        self.update()

    def fit(self) -> None:
        """Shows the whole extents again."""
        self._zooms.clear()
        self.redraw()

    def picture(self) -> QImage:
        """The canvas as it stands, without what the mouse hovers."""
        self._mouse = None
        return self.grab().toImage()

    # ---- where things are

    def group(self, index: int) -> int:
        """The first plane that has the same extent as plane ``index``: they are zoomed together."""
        return next(i for i, s in enumerate(self._sheets) if s.extent == self._sheets[index].extent)

    def frames(self) -> list[Frame]:
        """Where each plane is and what of it is shown."""
        n = len(self._sheets)
        if not n:
            return []
        below = len(self._caption_lines()) * CAPTION_HEIGHT or MARGIN
        area = QRectF(self.rect()).adjusted(MARGIN, 0, -MARGIN, -below)
        tall = max((s.extent[3] - s.extent[2]) / (s.extent[1] - s.extent[0]) for s in self._sheets)
        tries = [(*self._side(area, n, columns, tall), columns) for columns in range(1, n + 1)]
        side, ticked, columns = max(tries)
        rows = -(-n // columns)
        left, low = (LEFT, BELOW) if ticked else (0, MARGIN)
        # Planes stand together in the middle: room that none of them can use lies around them all.
        cell_w = min(side + left + APART, area.width() / columns)
        cell_h = min(side * tall + TITLE + low, area.height() / rows)
        x0 = area.center().x() - columns * cell_w / 2
        y0 = area.center().y() - rows * cell_h / 2
        made = []
        for i, sheet in enumerate(self._sheets):
            row, column = divmod(i, columns)
            cell = QRectF(x0 + column * cell_w, y0 + row * cell_h, cell_w, cell_h)
            room = cell.adjusted(left, TITLE, -MARGIN, -low)
            made.append(Frame(_fitted(room, sheet.extent), self._shown(i)))
        return made

    def _side(self, area: QRectF, n: int, columns: int, tall: float) -> tuple[float, bool]:
        """How wide a plane of that shape can be in so many columns, and whether with ticks: where these leave it too
        small for them there are none, and it has their room as well."""
        cell_w, cell_h = area.width() / columns, area.height() / -(-n // columns)
        ticked = min(cell_w - LEFT - MARGIN, (cell_h - TITLE - BELOW) / tall)
        if ticked >= SMALL:
            return ticked, True
        return min(cell_w - MARGIN, (cell_h - TITLE - MARGIN) / tall), False

    def _caption_lines(self) -> list[str]:
        return wrapped(QFontMetricsF(caption_font(self)), self._caption, self.width() - 2 * MARGIN)

    def _shown(self, index: int) -> tuple[float, float, float, float]:
        x0, x1, y0, y1 = self._sheets[index].extent
        fx, fy, share = self._zooms.get(self.group(index), WHOLE)
        w, h = x1 - x0, y1 - y0
        return x0 + fx * w, x0 + (fx + share) * w, y0 + fy * h, y0 + (fy + share) * h

    def plane_at(self, at: QPointF) -> int | None:
        """The plane under a point of the widget."""
        return next((i for i, frame in enumerate(self.frames()) if frame.box.contains(at)), None)

    def nearest(self, index: int, at: QPointF) -> int | None:
        """The point of plane ``index`` that is drawn nearest to a place, None where none is near."""
        points = self._sheets[index].points
        if not len(points):
            return None
        away = np.hypot(*(self.frames()[index].to_pixels(points) - (at.x(), at.y())).T)
        away = np.where(np.isfinite(away), away, np.inf)
        best = int(away.argmin())
        return best if away[best] <= NEAR else None

    # ---- hands

    def zoom_at(self, index: int, at: QPointF, factor: float) -> None:
        """Shows ``factor`` of what is shown now, around a place that stays where it is."""
        frame = self.frames()[index]
        x, y = (at.x() - frame.box.left()) / frame.box.width(), (frame.box.bottom() - at.y()) / frame.box.height()
        fx, fy, share = self._zooms.get(self.group(index), WHOLE)
        smaller = min(max(share * factor, CLOSEST), 1.0)
        self._set_zoom(index, (fx + x * (share - smaller), fy + y * (share - smaller), smaller))

    def _set_zoom(self, index: int, zoom: tuple[float, float, float]) -> None:
        """Nothing beyond the extent is shown."""
        fx, fy, share = zoom
        self._zooms[self.group(index)] = (min(max(fx, 0.0), 1 - share), min(max(fy, 0.0), 1 - share), share)
        self.redraw()

    def wheelEvent(self, event: QWheelEvent) -> None:
        index = self.plane_at(event.position())
        if index is None:
            event.ignore()
            return
        self.zoom_at(index, event.position(), 1.0015 ** -event.angleDelta().y())
        event.accept()

    def mousePressEvent(self, event: QMouseEvent) -> None:
        index = self.plane_at(event.position())
        if event.button() != Qt.MouseButton.LeftButton or index is None:
            event.ignore()
            return
        self._grab = (index, event.position(), self._zooms.get(self.group(index), WHOLE))

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        self._mouse = event.position()
        if self._grab is not None and self._grab[0] < len(self._sheets):
            index, since, (fx, fy, share) = self._grab
            box, moved = self.frames()[index].box, event.position() - since
            self._set_zoom(index, (fx - moved.x() / box.width() * share, fy + moved.y() / box.height() * share, share))
        self.update()

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        self._grab = None

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        if event.button() == Qt.MouseButton.LeftButton:
            self._grab = None
            self.fit()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if not self.zoom_key(event):
            super().keyPressEvent(event)

    def zoom_key(self, event: QKeyEvent) -> bool:
        """Plus and minus zoom around the middle, 0 shows all; whether ``event`` was one of them."""
        factors = {Qt.Key.Key_Plus: 0.8, Qt.Key.Key_Equal: 0.8, Qt.Key.Key_Minus: 1.25}
        key = Qt.Key(event.key())
        if key == Qt.Key.Key_0:
            self.fit()
        elif key in factors:
            for index, frame in enumerate(self.frames()):
                if self.group(index) == index:
                    self.zoom_at(index, frame.box.center(), factors[key])
        else:
            return False
        return True

    def leaveEvent(self, event: QEvent) -> None:
        self._mouse = None
        self.update()

    # ---- drawing

    def resizeEvent(self, event: QResizeEvent) -> None:
        self._drawn = None

    def paintEvent(self, event: QPaintEvent) -> None:
        ratio = self.devicePixelRatioF()
        if self._drawn is None or self._drawn.devicePixelRatioF() != ratio:
            self._drawn = self._draw(ratio)
        painter = QPainter(self)
        painter.drawPixmap(0, 0, self._drawn)
        if self._mouse is not None and self._grab is None:
            self._hover(painter, self._mouse)

    def _draw(self, ratio: float) -> QPixmap:
        """All that stands still, so that a moving mouse draws a pixmap and a chip."""
        made = QPixmap(self.size() * ratio)
        made.setDevicePixelRatio(ratio)
        made.fill(QColor(theme.colours.ground))
        painter = QPainter(made)
        font = caption_font(self)
        for sheet, frame in zip(self._sheets, self.frames(), strict=True):
            if frame.box.width() >= 8:
                paint_sheet(painter, sheet, frame, ratio)
                painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)
                paint_axes(painter, sheet, frame, font)
        painter.setFont(font)
        painter.setPen(QColor(theme.colours.quiet))
        for up, text in enumerate(reversed(self._caption_lines()), start=1):
            line = QRectF(MARGIN, self.height() - up * CAPTION_HEIGHT, self.width() - 2 * MARGIN, CAPTION_HEIGHT)
            painter.drawText(line, int(Qt.AlignmentFlag.AlignCenter), text)
        painter.end()
        return made

    def _hover(self, painter: QPainter, at: QPointF) -> None:
        index = self.plane_at(at)
        if index is None:
            return
        sheet, frame = self._sheets[index], self.frames()[index]
        found = self.nearest(index, at)
        painter.setFont(caption_font(self))
        box = chip(painter, QRectF(self.rect()), at, self.words(index, at))
        if found is None:
            return
        x, y = frame.to_pixels(sheet.points[found])
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.setPen(QPen(QColor(theme.colours.text), 1.5))
        painter.drawEllipse(QPointF(x, y), 6, 6)
        if sheet.thumbs is not None and len(sheet.points) > THUMBS:
            room = QSize(sheet.thumbs.width, sheet.thumbs.height)
            room.scale(HOVER_THUMB, HOVER_THUMB, Qt.AspectRatioMode.KeepAspectRatio)
            top = (
                box.bottom() + 2 if box.bottom() + 2 + room.height() <= self.height() else box.top() - 2 - room.height()
            )
            place = QRectF(box.left(), top, room.width(), room.height())
            painter.drawImage(place, sheet.thumbs.image, QRectF(sheet.thumbs.source(found)))
            painter.setPen(QPen(label_colour(_label(sheet, found)), 1.5))
            painter.drawRect(place)

    def words(self, index: int, at: QPointF) -> list[str]:
        """What is said of a place in plane ``index``: its coordinates, the density there, the point nearby."""
        sheet, frame = self._sheets[index], self.frames()[index]
        x, y = frame.to_plane(at)
        names = sheet.plane.axes
        lines = [f"{names[0]} {number(x)}, {names[1]} {number(y)}"]
        heat = sheet.plane.heat
        if heat is not None:
            x0, x1, y0, y1 = sheet.extent
            rows, columns = heat.shape
            row = min(max(int((y - y0) / (y1 - y0) * rows), 0), rows - 1)
            column = min(max(int((x - x0) / (x1 - x0) * columns), 0), columns - 1)
            lines.append(f"{sheet.plane.heat_name or 'density'} {number(float(heat[row, column]))}")
        found = self.nearest(index, at)
        if found is not None:
            label = _label(sheet, found)
            lines.append(f"point {found}" + (f", class {label}" if label >= 0 else ""))
        return lines


def _label(sheet: Sheet, point: int) -> int:
    labels: Any = sheet.plane.labels
    return -1 if labels is None else int(labels[point])


def _fitted(room: QRectF, extent: tuple[float, float, float, float]) -> QRectF:
    """The largest box of the extent's shape within ``room``, in whole pixels, centred."""
    x0, x1, y0, y1 = extent
    per_unit = max(min(room.width() / (x1 - x0), room.height() / (y1 - y0)), 1e-9)
    w, h = max(1, int((x1 - x0) * per_unit)), max(1, int((y1 - y0) * per_unit))
    return QRectF(int(room.center().x() - w / 2), int(room.center().y() - h / 2), w, h)
