"""The view of :class:`LatentMap`: a plane through a latent space, to be read, walked and steered by.

Knows how plane and code belong together (``code = origin + u * basis[0] + v * basis[1]``); the drawing is
``map_plot``'s. A hand on the map asks for a control's value and nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QPointF, Qt
from PySide6.QtGui import QHideEvent, QKeyEvent, QResizeEvent
from PySide6.QtWidgets import QHBoxLayout, QLabel, QSlider, QToolButton, QVBoxLayout, QWidget

from engine.payloads import LatentMap, Payload
from widgets.theme import LABELS, icon
from widgets.views.base import View
from widgets.views.legend import Legend
from widgets.views.mapping.map_parts import HoverCard, PathBar, along
from widgets.views.timeline.filmstrip import Readings

if TYPE_CHECKING:
    from widgets.views.mapping.map_plot import MapPlot

SNAP = 6.0
"""Pixels: a click this near to an item takes the item's own full code."""
NEAR = 14.0
"""Pixels: the mouse this near to an item shows it."""
COMPACT_BELOW = 320
"""A lower view gives its words' room to the map."""
HELP = "Drag to move z · Shift+drag to draw a path · wheel to zoom · F to fit"


class LatentMapView(View):
    """Decoded tiles behind the items' codes; click and drag set the control that the payload names."""

    accepts = LatentMap

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.plot: MapPlot | None = None
        self.map: LatentMap | None = None
        self._points: NDArray[Any] = np.zeros((0, 2))
        self._labels: NDArray[Any] = np.zeros(0, np.int64)
        self._code: NDArray[np.float64] | None = None
        self._before_click: tuple[float, ...] | None = None
        self._path: NDArray[np.float64] = np.zeros((0, 2))
        self._walk_at: tuple[float, float] | None = None
        self.legend = Legend()
        self.legend.toggled.connect(self._show_labels)
        self.tiles_button = QToolButton()
        self.tiles_button.setText("Tiles")
        self.tiles_button.setCheckable(True)
        self.tiles_button.setChecked(True)
        self.tiles_button.setToolTip("Show what the decoder makes of each place")
        self.tiles_button.toggled.connect(self._show_tiles)
        self.opacity = QSlider(Qt.Orientation.Horizontal)
        self.opacity.setRange(10, 100)
        self.opacity.setValue(70)
        self.opacity.setFixedSize(64, self.tiles_button.sizeHint().height())
        self.opacity.setToolTip("How strongly the tiles show")
        self.opacity.setAccessibleName("Opacity of the tiles")
        self.opacity.valueChanged.connect(self._show_tiles)
        self.fit_button = QToolButton()
        self.fit_button.setToolTip("Show the whole map (F)")
        self.fit_button.setAccessibleName("Fit")
        self.fit_button.clicked.connect(self.fit)
        top = QHBoxLayout()
        top.setContentsMargins(0, 4, 0, 4)
        top.setSpacing(4)
        top.addWidget(self.legend, 1)
        for widget in (self.tiles_button, self.opacity, self.fit_button):
            top.addWidget(widget, 0, Qt.AlignmentFlag.AlignTop)
        self.caption = Readings()
        self.help = QLabel(HELP)
        self.help.setProperty("role", "caption")
        low = QHBoxLayout()
        low.setContentsMargins(4, 0, 4, 4)
        low.addWidget(self.caption, 1)
        low.addWidget(self.help)
        body = QWidget()
        self._column = QVBoxLayout(body)
        self._column.setContentsMargins(8, 0, 8, 0)
        self._column.setSpacing(0)
        self._column.addLayout(top)
        self._column.addStretch(1)
        self._column.addLayout(low)
        self.hover_card = HoverCard(body)
        self.path_bar = PathBar(body)
        self.path_bar.walked.connect(self._walked)
        self.path_bar.stopped.connect(self._walk_stopped)
        self.path_bar.cleared.connect(self.clear_path)
        self.set_body(body)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.restyle()

    def _need_plot(self) -> MapPlot:
        if self.plot is None:
            from widgets.views.mapping.map_plot import (
                MapPlot,  # here, so that the window stands before pyqtgraph is loaded
            )

            self.plot = MapPlot()
            self.plot.gesture.connect(self._gesture)
            self.plot.left.connect(self.hover_card.hide)
            self.plot.zoomed.connect(self.hover_card.hide)
            self.plot.menu_asked.connect(self.open_menu)
            self._column.takeAt(1)
            self._column.insertWidget(1, self.plot, 1)
            self.setFocusProxy(self.plot)
            self.plot.set_compact(self.height() < COMPACT_BELOW)
            self._show_tiles()
        return self.plot

    # ---- a payload comes in

    def draw_payload(self, payload: Payload) -> None:
        new = cast(LatentMap, payload)
        points, tiles = np.asarray(new.points), np.asarray(new.tiles)
        if points.ndim != 2 or points.shape[1] != 2:
            raise ValueError(f"Points of a plane are pairs of numbers; these are {points.shape}.")
        if tiles.size and tiles.ndim != 5:
            raise ValueError(f"Tiles must be rows × columns × height × width × channels; these are {tiles.shape}.")
        plot = self._need_plot()
        labels = np.full(len(points), -1) if new.labels is None else np.asarray(new.labels)
        old, self.map, self._points, self._labels = self.map, new, points, labels
        plot.set_tiles(tiles, new.extent)
        plot.set_points(points, labels, len(new.label_names))
        self.legend.set_names(new.label_names, LABELS)
        self._show_labels()
        self.caption.show_values(new.caption, {})
        if old is None or old.axes != new.axes or len(old.origin) != len(new.origin):
            plot.set_axis_names(new.axes)
            plot.fit()
            self.clear_path()
        self._draw_marker()
        self.hover_card.hide()

    def forget(self) -> None:
        self.clear_path()
        self.map = self._code = None

    # ---- plane and code

    def code_at(self, u: float, v: float) -> tuple[float, ...]:
        """The full code of the plane's point (u, v)."""
        assert self.map is not None
        origin, basis = np.asarray(self.map.origin, np.float64), np.asarray(self.map.basis, np.float64)
        return tuple(float(x) for x in origin + u * basis[0] + v * basis[1])

    def plane_of(self, code: Sequence[float] | NDArray[Any]) -> tuple[float, float]:
        """The plane's point nearest to ``code``."""
        assert self.map is not None
        u, v = np.asarray(self.map.basis, np.float64) @ (np.asarray(code, np.float64) - self.map.origin)
        return float(u), float(v)

    def set_marker(self, code: Sequence[float] | None) -> None:
        """Where the sliders are now; None hides the ring. A code of another length waits for its map."""
        self._code = None if code is None else np.asarray(code, np.float64)
        self._draw_marker()

    def show_control(self, name: str, value: object) -> None:
        code = isinstance(value, tuple) and all(isinstance(part, float) for part in value)
        if code and (self.map is None or name == self.map.control):
            self.set_marker(cast(tuple[float, ...], value))

    def marker_at(self) -> tuple[float, float] | None:
        """The ring's place on the plane, if there is one."""
        if self.map is None or self._code is None or len(self._code) != len(self.map.origin):
            return None
        return self.plane_of(self._code)

    def _draw_marker(self) -> None:
        if self.plot is None:
            return
        at = self.marker_at()
        off = 0.0 if at is None else float(np.linalg.norm(np.subtract(self._code, self.code_at(*at))))  # type: ignore[arg-type]
        self.plot.set_marker(at, on_plane=off < 1e-3 * (1.0 + float(np.linalg.norm(at or 0.0))))

    def nearest(self, u: float, v: float) -> tuple[int, float] | None:
        """The visible item nearest to (u, v), and how many pixels away; None where there is none."""
        if self.plot is None or not len(self._points):
            return None
        per_u, per_v = self.plot.unit_per_pixel()
        away = ((self._points[:, 0] - u) / per_u) ** 2 + ((self._points[:, 1] - v) / per_v) ** 2
        hidden = [k for k, seen in enumerate(self.legend.visible()) if not seen]
        if hidden:
            away = np.where(np.isin(self._labels, hidden), np.inf, away)
        best = int(np.nanargmin(away)) if np.isfinite(away).any() else -1
        return None if best < 0 else (best, float(np.sqrt(away[best])))

    # ---- hands

    def _gesture(self, kind: str, u: float, v: float) -> None:
        if self.map is None:
            return
        if kind == "hover":
            self._hover(u, v)
        elif kind == "click":
            self._before_click = None if self._code is None else tuple(float(x) for x in self._code)
            near = self.nearest(u, v)
            if near is not None and near[1] <= SNAP and len(self.map.codes) > near[0]:
                self._ask(tuple(float(x) for x in self.map.codes[near[0]]), "settled")
            else:
                self._ask(self.code_at(u, v), "settled")
        elif kind == "double":  # a double click fits the map: its first half must not have moved z
            if self._before_click is not None:
                self._ask(self._before_click, "settled")
        elif kind in ("drag", "drop"):
            self._ask(self.code_at(u, v), "drag" if kind == "drag" else "settled")
        else:
            self._draw_path(u, v, finished=kind == "drawn")

    def _ask(self, code: tuple[float, ...], phase: str, walking: bool = False) -> None:
        if not walking:
            self._walk_at = None  # a hand on the map ends the walk, without a settled value of its own
            self.path_bar.stop()
        self.set_marker(code)
        self.control_set.emit(self.map.control if self.map else "z", code, phase)

    def _hover(self, u: float, v: float) -> None:
        near = self.nearest(u, v)
        if near is None or near[1] > NEAR or self.map is None or self.plot is None:
            self.hover_card.hide()
            return
        i, names = near[0], self.map.label_names
        label = int(self._labels[i])
        item = int(self.map.items[i]) if self.map.items is not None and len(self.map.items) > i else i
        thumb = self.map.thumbs[i] if self.map.thumbs is not None and len(self.map.thumbs) > i else None
        name = names[label] if 0 <= label < len(names) else "no label"
        at = self.plot.mapToParent(self.plot.to_pixel(u, v).toPoint())
        self.hover_card.show_item(thumb, (name, f"held-out {item}"), QPointF(at))

    # ---- a path

    def _draw_path(self, u: float, v: float, finished: bool) -> None:
        if self.path_bar.isVisible():  # a new path begins
            self.clear_path()
        if not len(self._path) or self._path[-1].tolist() != [u, v]:
            self._path = np.concatenate([self._path, [[u, v]]])
        if self.plot is not None:
            self.plot.set_path(self._path)
        if finished:
            self._place_bar()
            self.path_bar.show()
            self.path_bar.raise_()

    def clear_path(self) -> None:
        """Takes the drawn path away."""
        self.path_bar.stop()
        self.path_bar.hide()
        self._path = np.zeros((0, 2))
        if self.plot is not None:
            self.plot.set_path(self._path)

    def _walked(self, part: float) -> None:
        if len(self._path):
            self._walk_at = along(self._path, part)
            self._ask(self.code_at(*self._walk_at), "drag", walking=True)

    def _walk_stopped(self) -> None:
        if self._walk_at is not None and self.map is not None:
            self._ask(self.code_at(*self._walk_at), "settled", walking=True)
            self._walk_at = None

    def _place_bar(self) -> None:
        size, plot = self.path_bar.sizeHint(), self.plot
        if plot is not None:
            area = plot.geometry()
            left, low = plot.margins()
            x = area.x() + max(0, (area.width() + left - size.width()) // 2)
            self.path_bar.setGeometry(x, area.bottom() - size.height() - low - 8, size.width(), size.height())

    # ---- looks

    def fit(self) -> None:
        if self.plot is not None:
            self.plot.fit()

    def _show_tiles(self) -> None:
        self.opacity.setEnabled(self.tiles_button.isChecked())
        if self.plot is not None:
            self.plot.tiles.setVisible(self.tiles_button.isChecked())
            self.plot.tiles.setOpacity(self.opacity.value() / 100)

    def _show_labels(self) -> None:
        if self.plot is not None:
            self.plot.show_labels(self.legend.visible())

    def restyle(self) -> None:
        self.fit_button.setIcon(icon("corners-out"))
        self.path_bar.restyle()
        if self.plot is not None:
            self.plot.restyle()
            if self.map is not None:
                self.plot.set_axis_names(self.map.axes)
            self._draw_marker()

    # ---- Qt

    def keyPressEvent(self, event: QKeyEvent) -> None:
        arrows = {Qt.Key.Key_Left: (-1, 0), Qt.Key.Key_Right: (1, 0), Qt.Key.Key_Down: (0, -1), Qt.Key.Key_Up: (0, 1)}
        key = Qt.Key(event.key())
        if key == Qt.Key.Key_F:
            self.fit()
        elif key == Qt.Key.Key_Escape and len(self._path):
            self.clear_path()
        elif key in arrows and self.map is not None:
            u, v = self.marker_at() or (0.0, 0.0)
            u0, u1, v0, v1 = self.map.extent
            step_u, step_v = arrows[key]
            self._ask(self.code_at(u + step_u * (u1 - u0) / 50, v + step_v * (v1 - v0) / 50), "settled")
        else:
            super().keyPressEvent(event)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self.opacity.setVisible(self.width() >= 420)
        self.help.setVisible(self.width() >= 720 and self.height() >= 320)
        self.caption.setVisible(self.height() >= COMPACT_BELOW)
        if self.plot is not None:
            self.plot.set_compact(self.height() < COMPACT_BELOW)
        self._place_bar()

    def hideEvent(self, event: QHideEvent) -> None:
        super().hideEvent(event)
        self.path_bar.stop()
        self.hover_card.hide()
