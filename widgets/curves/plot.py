"""The curves of training: many runs over one step axis. Knows series, colours and steps; no study, file or engine.

Putting data in is cheap and draws nothing; one single-shot timer draws what has come, at most 8 times a second, what a
hand changed 25 times a second, and rests while nothing comes. What is drawn is asked of the pyramids anew for the range
in view, never the full data.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike
from PySide6.QtCore import QPointF, QSize, Qt, QTimer, Signal
from PySide6.QtGui import (
    QColor,
    QContextMenuEvent,
    QHideEvent,
    QKeyEvent,
    QPainter,
    QPaintEvent,
    QResizeEvent,
    QShowEvent,
)
from PySide6.QtWidgets import QBoxLayout, QVBoxLayout, QWidget

from widgets.curves.canvas import Canvas
from widgets.curves.draw import dots, draw, entries
from widgets.curves.legend import Legend
from widgets.curves.saving import Saving
from widgets.curves.series import Book
from widgets.curves.tools import Tools
from widgets.theme import UNIT, theme

_REDRAW_MS = 40
_DATA_MS = 125
"""New samples are drawn less often than what the hand moves: each drawing takes the time of a core that trains."""
_NARROW = 620
"""Pixels below which chips and tools do not share a row."""


class CurvesView(QWidget):
    """Curves with a legend, smoothing, logarithmic axes, a crosshair, snapshot ticks and export.

    ``cursor_moved(step)`` follows the mouse from sample to sample, ``cursor_left()`` tells that it is gone;
    ``marker_clicked(step)`` a snapshot's tick; ``exported(path)`` or ``export_failed(reason)`` end an export.
    """

    cursor_moved = Signal(float)
    cursor_left = Signal()
    marker_clicked = Signal(int)
    following_changed = Signal(bool)
    exported = Signal(str)
    export_failed = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName("Curves")
        self._book = Book()
        self._span = 0.0
        self._following = True
        self._ranging = False
        """Whether the present change of range is this widget's own."""
        self._hover: float | None = None
        self._pinned: float | None = None
        self.canvas = Canvas(self)
        self.canvas.setAccessibleName("Curves over training steps")
        self.legend = Legend(self)
        self.tools = Tools(self)
        self._row = QBoxLayout(QBoxLayout.Direction.LeftToRight)
        self._row.setContentsMargins(UNIT, UNIT, UNIT * 2, 0)
        self._row.addWidget(self.legend, 1, Qt.AlignmentFlag.AlignTop)
        self._row.addWidget(self.tools, 0, Qt.AlignmentFlag.AlignTop | Qt.AlignmentFlag.AlignRight)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addLayout(self._row)
        column.addWidget(self.canvas, 1)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._least_ms = _REDRAW_MS
        self._saving = Saving(self.canvas, self)
        self._connect()

    def _connect(self) -> None:
        self._timer.timeout.connect(self.redraw)
        self._saving.saved.connect(self.exported)
        self._saving.failed.connect(self.export_failed)
        self.legend.toggled.connect(self._chip_toggled)
        self.legend.alone.connect(self._chip_alone)
        self.tools.smoothing_changed.connect(self.set_smoothing)
        self.tools.log_changed.connect(self.set_log)
        self.tools.fit_clicked.connect(self.fit)
        self.tools.follow_changed.connect(self.set_following)
        self.canvas.hovered.connect(self._hovered)
        self.canvas.left.connect(self._unhovered)
        self.canvas.range_changed.connect(self._range_changed)
        self.canvas.moved_by_hand.connect(self._moved_by_hand)
        self.canvas.marker_clicked.connect(self.marker_clicked)
        self.canvas.fit_wanted.connect(self.fit)
        self.canvas.menu_wanted.connect(self._open_menu)
        theme.changed.connect(self._apply_theme)

    # ---- data

    def set_series(self, run: str, name: str, colour: str | None, label: str = "") -> None:
        """Declares a metric of a run; ``colour`` #rrggbb where it belongs to the objective, else None: off at first."""
        self._book.declare(run, name, colour, label)
        self._schedule()

    def append(self, run: str, name: str, x: ArrayLike, y: ArrayLike) -> None:
        """Adds steps (N,) and values (N,), or (N, d) as ``name/0`` ... ``name/d-1``.

        Steps that begin at or before the last one replace what was there from then on: training went back.
        :class:`ValueError` if steps are not finite and ascending, or the shapes do not match.
        """
        values = np.asarray(y, np.float64)
        if values.ndim == 2:
            for i in range(values.shape[1]):
                self.append(run, f"{name}/{i}", x, values[:, i])
            return
        steps = np.atleast_1d(np.asarray(x, np.float64))
        data = self._book.series(run, name).data
        if len(steps) and len(data) and steps[0] <= data.x[-1]:
            data.drop_after(float(np.nextafter(steps[0], -math.inf)))
            if run == self._book.current:
                self.canvas.set_events([event for event in self.canvas.events if event[0] < steps[0]])
        data.append(steps, values)
        self._schedule(_DATA_MS)

    def drop_after(self, run: str, step: float) -> None:
        """Forgets a run's samples past ``step``."""
        for series in self._book.runs.get(run, {}).values():
            series.data.drop_after(step)
        self._schedule()

    def clear(self, run: str | None = None) -> None:
        """Forgets the samples of one run, or for None all runs, choices, snapshot ticks and the cursor."""
        if run is not None:
            self.drop_after(run, -math.inf)
            return
        self._book = Book()
        self._pinned = self._hover = None
        self.set_markers(())
        self.canvas.set_events(())
        self.set_following(True)
        self._schedule()

    def remove_run(self, run: str) -> None:
        """Takes a run out altogether."""
        self._book.remove(run)
        self._schedule()

    def set_current(self, run: str) -> None:
        """Which run is drawn in full and read out on the metrics' chips; the others are thin and faint."""
        if run != self._book.current:
            self.canvas.set_events(())
        self._book.set_current(run)
        self._schedule()

    # ---- what is shown

    def set_visible(self, run: str | None, name: str, on: bool) -> None:
        """Shows or hides a metric in one run, or in every run for None."""
        self._book.choose(run, name, on)
        self._schedule()

    def set_run_visible(self, run: str, on: bool) -> None:
        """Shows or hides a run as a whole."""
        (self._book.hidden.discard if on else self._book.hidden.add)(run)
        self._schedule()

    def visible(self) -> list[tuple[str, str]]:
        """What is shown, as (run, metric), the lowest first."""
        return [(s.run, s.name) for s in self._book.visible()]

    def set_smoothing(self, span: float) -> None:
        """Smooths over windows ``span`` steps wide; 0 is none."""
        self._span = max(0.0, span)
        self.tools.show_span(self._span)
        self._schedule()

    def set_log(self, log_x: bool, log_y: bool) -> None:
        """Makes axes logarithmic; that of values only while a visible curve has values above 0."""
        log_y = log_y and self._book.any_positive()
        self.tools.show_log(log_x, log_y)
        if (log_x, log_y) == (self.canvas.log_x, self.canvas.log_y):
            return
        self._ranging = True
        self.canvas.set_log(log_x, log_y)
        self._ranging = False
        self.fit()

    @property
    def following(self) -> bool:
        """Whether the view widens with new data."""
        return self._following

    def set_following(self, on: bool) -> None:
        if on == self._following:
            return
        self._following = on
        self.tools.show_following(on)
        self.following_changed.emit(on)
        self._schedule()

    def fit(self) -> None:
        """Shows all of the visible curves, now; whether new data are followed stays as it is."""
        self.canvas.axes[1].forget_width()
        self._draw(fit=True)

    def set_cursor(self, step: float | None) -> None:
        """Puts the crosshair at ``step`` for as long as no mouse moves it; None takes it away. Emits nothing."""
        self._pinned = step
        self._read_out()

    def cursor_step(self) -> float | None:
        """The step that the chips read out; None for the latest."""
        return self._pinned if self._hover is None else self._hover

    def set_markers(self, steps: Sequence[int]) -> None:
        """The snapshots' steps, as small ticks at the bottom."""
        self.canvas.set_markers(steps)

    def add_events(self, events: Sequence[tuple[int, str]]) -> None:
        """What happened at which step of the current run: a dashed line across, told in words under the mouse."""
        if events:
            self.canvas.set_events([*self.canvas.events, *events])

    # ---- export

    def export_png(self, path: str) -> None:
        """Writes the plot with its legend as a picture, twice as fine as on screen; ``exported`` follows."""
        self._saving.png(path, self._book)

    def export_svg(self, path: str) -> None:
        """Writes the plot with its legend as a drawing; ``exported`` follows."""
        self._saving.svg(path, self._book)

    def export_csv(self, path: str) -> None:
        """Writes all samples of the visible curves: run, metric, step, value; ``exported`` follows."""
        self._saving.csv(path, self._book)

    # ---- drawing

    def redraw(self) -> None:
        """Draws what has come; the timer calls it, and whoever cannot wait for that."""
        self._timer.stop()
        begin = time.perf_counter()
        self._draw(fit=self._following)
        spent = (time.perf_counter() - begin) * 1e3
        # Very many curves are drawn less often, so that drawing takes a fifth of the time at most.
        self._least_ms = int(min(10 * _REDRAW_MS, max(_REDRAW_MS, 5 * spent)))

    def _schedule(self, within_ms: int = _REDRAW_MS) -> None:
        wait = max(within_ms, self._least_ms)
        if self.isVisible() and not (self._timer.isActive() and self._timer.remainingTime() <= wait):
            self._timer.start(wait)

    def _draw(self, fit: bool) -> None:
        possible = self._book.any_positive()
        self.tools.allow_log_y(possible)
        if self.canvas.log_y and not possible:
            self.set_log(self.canvas.log_x, False)
            return
        self._ranging = True
        self.canvas.show_text(self._book.empty_text())
        draw(self.canvas, self._book, self._span, fit)
        self._ranging = False
        self._read_out()

    def _read_out(self) -> None:
        """Brings crosshair and chips up to date."""
        step = self.cursor_step()
        self.legend.set_entries(entries(self._book, step, self.canvas.log_y))
        self.canvas.show_cursor(step, dots(self._book, step))

    # ---- the hand

    def _range_changed(self) -> None:
        if not self._ranging:
            self._draw(fit=False)

    def _moved_by_hand(self) -> None:
        self.set_following(False)

    def _hovered(self, x: float) -> None:
        step = self._book.moved(x)
        if step is not None and step != self._hover:
            self._hover = step
            self._read_out()
            self.cursor_moved.emit(step)

    def _unhovered(self) -> None:
        if self._hover is not None:
            self._hover = None
            self._read_out()
            self.cursor_left.emit()

    def _chip_toggled(self, kind: str, name: str, on: bool) -> None:
        if kind == "run":
            self.set_run_visible(name, on)
        else:
            self.set_visible(None, name, on)
        self.redraw()

    def _chip_alone(self, kind: str, name: str) -> None:
        """Shows one metric and no other, or one other run beside the current one."""
        if kind == "run":
            for run in self._book.runs:
                self.set_run_visible(run, run in (name, self._book.current))
        else:
            for metric in self._book.metrics:
                self.set_visible(None, metric, metric == name)
        self.redraw()

    def _open_menu(self, at: QPointF) -> None:
        menu = self._saving.menu(self._book)
        menu.addSeparator()
        menu.addAction("Fit", self.fit)
        menu.popup(at.toPoint())

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        if (
            event.reason() == QContextMenuEvent.Reason.Keyboard
        ):  # the mouse's comes as a click, after a drag is ruled out
            self._open_menu(QPointF(self.mapToGlobal(self.canvas.geometry().center())))

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Left and Right move the crosshair by a sample, with Shift by ten; Home and End go to the ends; F fits."""
        key = Qt.Key(event.key())
        if key == Qt.Key.Key_F:
            self.fit()
        elif key == Qt.Key.Key_Escape and self.cursor_step() is not None:
            self._hover = None
            self.set_cursor(None)
        elif key in _MOVES:
            by = _MOVES[key] * (10 if event.modifiers() & Qt.KeyboardModifier.ShiftModifier else 1)
            step = self._book.moved(self.cursor_step(), by)
            self._hover = None
            self.set_cursor(step)
            if step is not None:
                self.cursor_moved.emit(step)
        else:
            super().keyPressEvent(event)

    # ---- life

    def _apply_theme(self) -> None:
        self.canvas.apply_theme()
        self.tools.apply_theme()
        self.legend.update()
        self._draw(fit=False)

    def minimumSizeHint(self) -> QSize:
        """That of the narrow arrangement, whichever there is now: else it could never be made narrow, and a tab that is
        hidden, and so not resized, would keep the dock wide."""
        parts = [self.legend.minimumSizeHint(), self.tools.minimumSizeHint()]
        margins = self._row.contentsMargins()
        width = max(part.width() for part in parts) + margins.left() + margins.right()
        return QSize(width, super().minimumSizeHint().height())

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Where it is narrow the tools have a row of their own, so that the chips have the whole of theirs."""
        narrow = self.width() < _NARROW
        across, down = QBoxLayout.Direction.LeftToRight, QBoxLayout.Direction.TopToBottom
        self._row.setDirection(down if narrow else across)
        self._row.setSpacing(0 if narrow else UNIT * 2)
        self.legend.max_rows = 1 if narrow else 2
        super().resizeEvent(event)

    def paintEvent(self, event: QPaintEvent) -> None:
        QPainter(self).fillRect(self.rect(), QColor(theme.colours.plot))

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self._schedule()

    def hideEvent(self, event: QHideEvent) -> None:
        super().hideEvent(event)
        self._timer.stop()


_MOVES = {Qt.Key.Key_Left: -1, Qt.Key.Key_Right: 1, Qt.Key.Key_Home: -math.inf, Qt.Key.Key_End: math.inf}
"""What the keys do to the crosshair, in samples."""
