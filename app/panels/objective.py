"""The study's equation with its terms in the colours of their curves and their values now. Knows no study."""

from __future__ import annotations

import math
from collections.abc import Mapping

from PySide6.QtCore import Qt
from PySide6.QtGui import QFont, QResizeEvent
from PySide6.QtWidgets import QLabel, QScrollArea, QVBoxLayout, QWidget

from engine.study import Declaration, Term
from widgets.controls.svg import SvgLabel, align_baselines, svg_box
from widgets.flow import Flow
from widgets.theme import tabular, theme

SMALLEST = 0.6
"""Formulas shrink to the width of the dock, down to this share of their size; then they scroll."""
WIDEST = "-0.00e-00"
"""As wide as a value gets: what keeps its place when it changes width."""


def number(value: float) -> str:
    """A metric in few characters, :data:`WIDEST` at most."""
    if not math.isfinite(value):
        return "—"
    size = abs(value)
    if size >= 1e5 or (0 < size < 1e-3):
        return f"{value:.2e}"
    return f"{value:.{max(0, min(3, 3 - int(math.log10(size)) if size >= 1 else 3))}f}"


class _TermView(QWidget):
    """One term: its formula and, under it, what its metric reads."""

    def __init__(self, term: Term, svg: str) -> None:
        super().__init__()
        self.term = term
        self.formula = SvgLabel()
        self.formula.set_svg(svg)
        self.fallback = QLabel(term.latex)
        self.fallback.setVisible(not svg)
        self.formula.setVisible(bool(svg))
        self.value = QLabel("—")
        self.value.setFont(tabular(QFont(self.value.font())))
        self.value.setAlignment(Qt.AlignmentFlag.AlignHCenter)
        self.value.setAccessibleName(f"Value of {term.metric}")
        self.name = QLabel(term.metric)
        self.name.setProperty("role", "caption")
        self.name.setAlignment(Qt.AlignmentFlag.AlignHCenter)
        self.setToolTip(term.text)
        if not term.metric:  # a term that nothing measures is the formula alone
            self.value.hide()
            self.name.hide()
        self._svg = svg
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addWidget(self.formula, 0, Qt.AlignmentFlag.AlignCenter)
        layout.addWidget(self.fallback, 0, Qt.AlignmentFlag.AlignCenter)
        layout.addWidget(self.value)
        layout.addWidget(self.name)
        self.restyle()

    def restyle(self) -> None:
        colour = theme.term_text(self.term.colour)
        self.formula.set_svg(self._svg, colour)
        self.value.setStyleSheet(f"color: {colour}; font-weight: 600;")
        self.value.ensurePolished()
        self.value.setMinimumWidth(self.value.fontMetrics().horizontalAdvance(WIDEST))
        self.fallback.setStyleSheet(f"color: {colour};")


class ObjectivePanel(QWidget):
    """Equation, values, and three things to try."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._terms: list[_TermView] = []
        self._left: SvgLabel | None = None
        self._row: Flow | None = None
        self._body = QWidget()
        self._layout = QVBoxLayout(self._body)
        self._layout.setContentsMargins(12, 8, 12, 12)
        self._layout.setSpacing(8)
        self._scroll = scroll = QScrollArea()
        scroll.setWidgetResizable(True)
        scroll.setWidget(self._body)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.addWidget(scroll)
        self._note("Open a study to see what it optimises.")
        theme.changed.connect(self._restyle)

    def set_study(self, study: Declaration, equation: tuple[str, ...]) -> None:
        self._clear()
        if study.objective:
            equation_row = QWidget()
            row = self._row = Flow(equation_row)
            if study.left and equation and equation[0]:
                self._left = SvgLabel()
                self._left.set_svg(equation[0])
                row.addWidget(self._left)
            for i, term in enumerate(study.objective, start=1):
                view = _TermView(term, equation[i] if i < len(equation) else "")
                self._terms.append(view)
                row.addWidget(view)
            self._layout.addWidget(equation_row)
        else:
            self._note("This study optimises nothing: its probes are all there is.")
        if study.try_this:
            head = QLabel("Three things to try")
            head.setProperty("role", "caption")
            self._layout.addWidget(head)
        for line in study.try_this:
            self._note(f"•  {line}", role="")
        self._layout.addStretch(1)

        self._fit()

    def _fit(self) -> None:
        """Formulas that are wider than the dock are drawn smaller; those in one line stand on one baseline."""
        margins = self._layout.contentsMargins()
        room = self.width() - margins.left() - margins.right() - self._scroll.verticalScrollBar().sizeHint().width()
        for label in (self._left, *(view.formula for view in self._terms)):
            wide = svg_box(label.svg()).width() if label is not None else 0.0
            if label is not None and wide:
                label.set_scale(min(1.0, max(SMALLEST, room / wide)))
        formulas: dict[QWidget, SvgLabel] = {view: view.formula for view in self._terms}
        if self._left is not None:
            formulas[self._left] = self._left
        for line in self._row.rows(room) if self._row is not None else ():
            align_baselines(formulas[widget] for widget in line if formulas[widget].svg())

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._fit()

    def set_values(self, values: Mapping[str, float]) -> None:
        for view in self._terms:
            if view.term.metric in values:
                view.value.setText(number(values[view.term.metric]))

    def _note(self, text: str, role: str = "quiet") -> None:
        label = QLabel(text)
        label.setWordWrap(True)
        label.setProperty("role", role)
        self._layout.addWidget(label)

    def _clear(self) -> None:
        self._terms.clear()
        self._left = self._row = None
        while self._layout.count():
            item = self._layout.takeAt(0)
            widget = item.widget() if item is not None else None
            if widget is not None:
                widget.hide()
                widget.deleteLater()

    def _restyle(self) -> None:
        for view in self._terms:
            view.restyle()
