"""Pictures and tables of a plot: what the context menu offers. Knows the canvas, the book and the theme."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
from PySide6.QtCore import QObject, QPointF, QRectF, Qt, Signal
from PySide6.QtGui import QColor, QFont, QFontMetrics, QGuiApplication, QImage, QPainter
from PySide6.QtWidgets import QFileDialog, QMenu, QWidget

from widgets.curves import export
from widgets.curves.canvas import Canvas
from widgets.curves.draw import entries
from widgets.curves.series import Book
from widgets.theme import CAPTION, theme

_HEAD = 28
"""Height of the legend's line above the plot in a picture, in pixels."""


class Saving(QObject):
    """Copies and saves; files are written on a thread of their own. ``saved(path)`` or ``failed(reason)`` ends it."""

    saved = Signal(str)
    failed = Signal(str)

    def __init__(self, canvas: Canvas, parent: QWidget) -> None:
        super().__init__(parent)
        self._canvas = canvas
        self._window = parent
        self._writer = export.Writer(self)
        self._writer.written.connect(self.saved)
        self._writer.failed.connect(self.failed)

    def finish(self) -> None:
        """Stops what is being written and waits for it."""
        self._writer.finish()

    # ---- files

    def png(self, path: str, book: Book) -> None:
        self._writer.start(path, partial(export.write_image, self.image(book)))

    def svg(self, path: str, book: Book) -> None:
        self._writer.start(path, partial(export.write_svg, self.drawing(book)))

    def csv(self, path: str, book: Book) -> None:
        tables = [export.Table(s.run, s.name, s.data.x, s.data.y) for s in book.visible()]
        self._writer.start(path, partial(export.write_csv, tables))

    def image(self, book: Book) -> QImage:
        """The plot as it stands, twice as fine, with its legend above."""
        canvas, c = self._canvas, theme.colours
        image = QImage(2 * canvas.width(), 2 * (canvas.height() + _HEAD), QImage.Format.Format_RGB32)
        image.setDevicePixelRatio(2)
        image.fill(QColor(c.plot))
        painter = QPainter(image)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        font = QFont(canvas.font())
        font.setPixelSize(CAPTION)
        painter.setFont(font)
        metrics, at = QFontMetrics(font), self._plot().left()
        for colour, text in self._legend(book):
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(QColor(colour))
            painter.drawRoundedRect(QRectF(at, 10, 8, 8), 2, 2)
            painter.setPen(QColor(c.text))
            painter.drawText(QPointF(at + 14, 18), text)
            at += metrics.horizontalAdvance(text) + 30
        canvas.render(painter, QRectF(0, _HEAD, canvas.width(), canvas.height()))
        painter.end()
        return image

    def drawing(self, book: Book) -> export.Drawing:
        """The plot as lines in pixels."""
        canvas, c = self._canvas, theme.colours
        plot = self._plot().translated(0, _HEAD)
        (x0, x1), (y0, y1) = canvas.box.viewRange()
        lines = []
        for curve in canvas.lines():
            x = plot.left() + (curve.xData - x0) / (x1 - x0) * plot.width()
            y = plot.bottom() - (curve.yData - y0) / (y1 - y0) * plot.height()
            pen = curve.opts["pen"]
            lines.append(export.Line(np.column_stack([x, y]), pen.color().name(), pen.widthF()))
        bottom, left = canvas.axes
        return export.Drawing(
            (canvas.width(), canvas.height() + _HEAD),
            (plot.left(), plot.top(), plot.width(), plot.height()),
            [(plot.left() + s * plot.width(), text) for s, text in bottom.labels(x0, x1, plot.width())],
            [(plot.bottom() - s * plot.height(), text) for s, text in left.labels(y0, y1, plot.height())],
            [(plot.bottom() - s * plot.height(), text) for s, text in canvas.shares.labels(y0, y1, plot.height())]
            if canvas.shares.span is not None
            else [],
            lines,
            self._legend(book),
            c.plot,
            c.line,
            c.text,
        )

    def _plot(self) -> QRectF:
        box = self._canvas.box
        return QRectF(box.mapRectToScene(box.rect()))

    def _legend(self, book: Book) -> list[tuple[str, str]]:
        shown = [e for e in entries(book, None, False) if e.on]
        return [(e.colour, " ".join([e.label, *(text for _, text in e.values)])) for e in shown]

    # ---- menu

    def menu(self, book: Book) -> QMenu:
        """Copy and save; the caller adds its own and pops it up."""
        menu = QMenu(self._window)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        menu.addAction("Copy picture", lambda: QGuiApplication.clipboard().setImage(self.image(book)))
        menu.addAction("Save picture…", lambda: self._ask(book, "Save picture", "PNG (*.png);;SVG (*.svg)", "png"))
        menu.addAction("Save data…", lambda: self._ask(book, "Save data", "CSV (*.csv)", "csv"))
        if not book.visible():
            for action in menu.actions():
                action.setEnabled(False)
                action.setToolTip("No curve is shown.")
            menu.setToolTipsVisible(True)
        return menu

    def _ask(self, book: Book, title: str, kinds: str, suffix: str) -> None:
        dialog = QFileDialog(self._window, title, f"curves.{suffix}", kinds)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        dialog.setDefaultSuffix(suffix)
        dialog.filterSelected.connect(lambda kind: dialog.setDefaultSuffix(kind.rpartition(".")[2].rstrip(")")))
        dialog.fileSelected.connect(lambda path: self.write(path, book))
        dialog.open()

    def write(self, path: str, book: Book) -> None:
        """Writes by the name's ending: .csv, .svg, else PNG."""
        kind = Path(path).suffix.lower()
        {".csv": self.csv, ".svg": self.svg}.get(kind, self.png)(path, book)
