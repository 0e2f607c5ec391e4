"""The view of :class:`Curves`: some lines over one axis. Loads pyqtgraph with its first payload."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import numpy as np
from PySide6.QtCore import Qt
from PySide6.QtGui import QFont, QKeyEvent
from PySide6.QtWidgets import QLabel, QVBoxLayout, QWidget

from engine.payloads import Curves, Payload
from widgets.theme import CAPTION, LABELS, tabular, theme
from widgets.views.base import View
from widgets.views.legend import Legend

if TYPE_CHECKING:
    import pyqtgraph as pg


class CurvesPayloadView(View):
    """A small plot; a click on the legend hides a line, the wheel zooms, F shows all."""

    accepts = Curves

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.plot: pg.PlotWidget | None = None
        self.lines: dict[str, Any] = {}
        self._names = ("", "")
        self.legend = Legend()
        self.legend.toggled.connect(self._show_lines)
        body = QWidget()
        self._column = QVBoxLayout(body)
        self._column.setContentsMargins(12, 8, 12, 8)
        self._column.setSpacing(4)
        self.caption = QLabel()
        self.caption.setProperty("role", "caption")
        self.caption.setWordWrap(True)
        self.caption.hide()
        self._column.addWidget(self.legend)
        self._column.addWidget(self.caption)
        self._column.addStretch(1)
        self.set_body(body)

    def _need_plot(self) -> pg.PlotWidget:
        if self.plot is None:
            import pyqtgraph as pg  # here, so that the window stands before it is loaded

            from widgets.views.mapping.map_plot import own_menu

            self.plot = pg.PlotWidget()
            self.plot.setFrameShape(self.plot.Shape.NoFrame)
            own_menu(self.plot)
            self.plot.hideButtons()
            self.plot.setAccessibleName("Curves")
            self.plot.getAxis("left").setWidth(52)
            for side in ("bottom", "left"):
                self.plot.getAxis(side).enableAutoSIPrefix(False)  # else "(x0.001)" stands behind a name
            self._column.takeAt(2)
            self._column.insertWidget(2, self.plot, 1)
            self.setFocusProxy(self.plot)
        return self.plot

    def draw_payload(self, payload: Payload) -> None:
        curves = cast(Curves, payload)
        x = np.asarray(curves.x)
        wrong = [name for name, y in curves.lines.items() if np.shape(y) != x.shape]
        if x.ndim != 1 or wrong:
            raise ValueError(
                f"The line {wrong[0]!r} and its axis differ in length." if wrong else "The axis is no row."
            )
        plot = self._need_plot()
        for name in [name for name in self.lines if name not in curves.lines]:
            plot.removeItem(self.lines.pop(name))
        for name, y in curves.lines.items():
            if name not in self.lines:
                self.lines[name] = plot.plot(antialias=True)
            self.lines[name].setData(x, np.asarray(y))
        self._names = (curves.x_name, curves.y_name)
        self.legend.set_names(tuple(curves.lines), LABELS)
        self.caption.setText(curves.caption)
        self.caption.setVisible(bool(curves.caption))
        self.restyle()
        self._show_lines()

    def forget(self) -> None:
        for line in self.lines.values():
            line.clear()

    def fit(self) -> None:
        if self.plot is not None:
            self.plot.getPlotItem().enableAutoRange()

    def restyle(self) -> None:
        if self.plot is None:
            return
        import pyqtgraph as pg  # loaded by now

        c = theme.colours
        font = tabular(QFont(self.font()))
        font.setPixelSize(CAPTION)
        self.plot.setBackground(c.ground)
        for side, name in (("bottom", self._names[0]), ("left", self._names[1])):
            axis = self.plot.getAxis(side)
            axis.setPen(pg.mkPen(c.line))
            axis.setTextPen(pg.mkPen(c.quiet))
            axis.setStyle(tickFont=font, tickLength=-4)
            self.plot.setLabel(side, name, **{"color": c.quiet, "font-size": f"{CAPTION}px"})
        for i, name in enumerate(self.legend.names):
            self.lines[name].setPen(pg.mkPen(LABELS[i % len(LABELS)], width=2))

    def _show_lines(self) -> None:
        for name, seen in zip(self.legend.names, self.legend.visible(), strict=True):
            self.lines[name].setVisible(seen)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() == Qt.Key.Key_F:
            self.fit()
        else:
            super().keyPressEvent(event)
