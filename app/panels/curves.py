"""The curves dock: metrics of the open run over those of earlier ones. Decides names and colours, draws nothing.

pyqtgraph is imported with the first metric or study, not before the window stands.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import Signal
from PySide6.QtGui import QColor
from PySide6.QtWidgets import QLabel, QTabWidget, QVBoxLayout, QWidget

from engine.messages import Mark, Opened
from engine.study import Declaration
from widgets.controls.fields import CalmComboBox
from widgets.theme import LABELS, TERMS

if TYPE_CHECKING:
    from widgets.curves.plot import CurvesView

OTHERS = ("blue", "green", "red")
"""Colours of metrics that are no term of the objective, in the order in which they appear, where no term has them; then
come those of :data:`widgets.theme.LABELS` that are unlike any term's."""
UNLIKE_TERMS = LABELS[5:]
OTHERS_SHOWN = 3
"""So many of them are drawn until the person wants more: a count of classes up to 10 would press losses flat."""
RUNS_KEPT = 4
"""Runs drawn over one another; older ones leave."""


class CurvesPanel(QWidget):
    """``marker_clicked`` carries the step of a snapshot."""

    marker_clicked = Signal(int)
    view_made = Signal(object)  # CurvesView

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.tabs = QTabWidget()
        self.tabs.setDocumentMode(True)
        self.tabs.tabBar().hide()  # the box in the dock's title line chooses: a bar of tabs would cost the plot a line
        self.choice = CalmComboBox(self)
        self.choice.setAccessibleName("Which metrics")
        self.choice.setToolTip("The objective's metrics, or one curve per dimension.")
        self.choice.currentIndexChanged.connect(self.tabs.setCurrentIndex)
        self.choice.hide()
        self._empty = QLabel("Curves appear here while a study trains.")
        self._empty.setProperty("role", "quiet")
        self._empty.setContentsMargins(12, 8, 12, 8)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._empty)
        layout.addWidget(self.tabs, 1)
        self.tabs.hide()
        self.main: CurvesView | None = None
        self.vectors: dict[str, CurvesView] = {}
        self._runs: list[str] = []
        self._count = 0
        self._study: Declaration | None = None
        self._about = ("", "")
        self._others: list[str] = []
        self._quiet: set[str] = set()
        """Metrics that were switched off to begin with."""
        self._seen: set[tuple[str, str]] = set()

    def open_run(self, opened: Opened) -> None:
        """A new run on top of the earlier ones of the same study, with the curves that it already has."""
        self._make()
        assert self.main is not None
        if (opened.study.key, opened.data) != self._about:  # on other data the figures cannot be compared
            self._forget_all()
        self._about = (opened.study.key, opened.data)
        self._study = opened.study
        if not (self._runs and self._is_empty(self._runs[-1])):
            self._count += 1
            self._runs.append(f"run {self._count}")
        for view in self._views():
            view.set_current(self._runs[-1])
        for view in self.vectors.values():
            for old in self._runs[:-1]:
                view.set_run_visible(old, False)  # a curve per dimension and run is too many to tell apart
        while len(self._runs) > RUNS_KEPT:
            old = self._runs.pop(0)
            for view in self._views():
                view.remove_run(old)
        self.add(opened.metrics)
        self.add_marks(opened.marks)
        self.set_snapshots(opened.snapshots)

    def set_cursor(self, step: int) -> None:
        """Marks the step whose weights are shown."""
        for view in self._views():
            view.set_cursor(step)

    def add(self, points: Mapping[str, tuple[Any, Any]]) -> None:
        if self.main is None or not self._runs:
            return
        run = self._runs[-1]
        for name, (steps, values) in points.items():
            if values.ndim == 1:
                colour = self._colour(name)
                if name in self._others[OTHERS_SHOWN:] and name not in self._quiet:
                    self._quiet.add(name)
                    self.main.set_visible(None, name, False)
                self._declare(self.main, run, name, colour)
                self.main.append(run, name, steps, values)
            else:
                view = self._vector(name)
                for i in range(values.shape[1]):
                    self._declare(view, run, f"{i + 1}", LABELS[i % len(LABELS)])
                    view.append(run, f"{i + 1}", steps, values[:, i])

    def add_marks(self, marks: tuple[Mark, ...]) -> None:
        """What happened in the run on top, drawn across all plots."""
        for view in self._views():
            view.add_events([(mark.step, mark.text) for mark in marks])

    def set_snapshots(self, steps: tuple[int, ...]) -> None:
        if self.main is not None:
            self.main.set_markers(steps)

    def current(self) -> CurvesView | None:
        view: Any = self.tabs.currentWidget()
        return view

    def _views(self) -> list[CurvesView]:
        return [v for v in (self.main, *self.vectors.values()) if v is not None]

    def _is_empty(self, run: str) -> bool:
        return not any(r == run for r, _ in self._seen)

    def _declare(self, view: CurvesView, run: str, name: str, colour: str | None) -> None:
        if (run, f"{id(view)}/{name}") not in self._seen:
            self._seen.add((run, f"{id(view)}/{name}"))
            view.set_series(run, name, colour, name.replace("held_out/", "held-out "))

    def _colour(self, name: str) -> str | None:
        """A metric's colour; None, which the view takes as off at first, for the terms' held-out twins."""
        stem = name.removeprefix("held_out/")
        terms = {t.metric: t.colour for t in (self._study.objective if self._study else ())}
        if stem in terms:
            return TERMS[terms[stem]] if name == stem else None
        if stem not in self._others:
            self._others.append(stem)
        free = (*(TERMS[other] for other in OTHERS if other not in terms.values()), *UNLIKE_TERMS)
        colour = QColor(free[self._others.index(stem) % len(free)])
        return (colour.lighter(150) if name != stem else colour).name()

    def _make(self) -> None:
        if self.main is not None:
            return
        from widgets.curves.plot import CurvesView

        self._empty.hide()
        self.tabs.show()
        self.main = CurvesView()
        self.main.marker_clicked.connect(self.marker_clicked)
        self.tabs.addTab(self.main, "objective")
        self.choice.addItem("objective")
        self.view_made.emit(self.main)

    def _vector(self, name: str) -> CurvesView:
        if name not in self.vectors:
            from widgets.curves.plot import CurvesView

            view = CurvesView()
            view.set_current(self._runs[-1])
            self.vectors[name] = view
            self.tabs.addTab(view, name)
            self.choice.addItem(name.replace("_", " "))
            self.choice.show()
            self.view_made.emit(view)
        return self.vectors[name]

    def _forget_all(self) -> None:
        for view in self._views():
            view.clear()
        for name, view in list(self.vectors.items()):
            self.choice.removeItem(self.tabs.indexOf(view))
            self.tabs.removeTab(self.tabs.indexOf(view))
            view.deleteLater()
            del self.vectors[name]
        self.choice.hide()
        self._runs.clear()
        self._seen.clear()
        self._others.clear()
        self._quiet.clear()
