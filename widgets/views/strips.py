"""The view of :class:`Strips`: a row of pictures for each direction, and a button that keeps it under a name.

Knows vectors and which of them are kept already; nothing of how they were found.
"""

from __future__ import annotations

from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QRect, Qt, Signal
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QHBoxLayout, QWidget

from engine.payloads import ImageGrid, Payload, Strips
from engine.steering import MOST_DIRECTIONS, Direction, fresh_name
from widgets.controls.fields import IconButton, enabled_because
from widgets.controls.steering.name_edit import LONGEST, NameEdit
from widgets.views.base import View
from widgets.views.canvas import ImageCanvas

COLUMN = 76
"""Pixels on the right for the buttons."""
BUTTON, SMALL, LOWEST = 26, 22, 16
"""Height of a button; below the second it has no words; rows lower than the third have one only where one of their
pictures was clicked."""
NAME_WIDTH = 200
SAME = 1 - 1e-5
"""Cosine from which on two directions are one."""


class _Keep(IconButton):
    """Keeps the direction of one row."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__("push-pin", "Keeps this direction under a name.", "Keep", parent)
        self.kept = ""

    def fit_in(self, height: int) -> None:
        """Leaves its words away where a row is too low for them."""
        style = (
            Qt.ToolButtonStyle.ToolButtonTextBesideIcon if height >= SMALL else Qt.ToolButtonStyle.ToolButtonIconOnly
        )
        if self.toolButtonStyle() != style:
            self.setToolButtonStyle(style)
            self.setStyleSheet(f"QToolButton {{ padding: {4 if height >= SMALL else 0}px; }}")

    def show_kept(self, name: str, full: bool) -> None:
        """Says under which ``name`` the direction is kept already, '' for none."""
        self.kept = name
        self.set_icon("check" if name else "push-pin")
        self.setText("Kept" if name else "Keep")
        reason = f"It is kept as {name}." if name else "As many directions are kept as can be." if full else None
        enabled_because(self, reason)


class _StripCanvas(ImageCanvas):
    """Pictures whose places are told to whoever lays something beside them."""

    laid_out = Signal()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self.laid_out.emit()


class StripsView(View):
    """Strips of pictures with their names on the left and a *Keep* button on the right of each."""

    accepts = Strips

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.canvas = _StripCanvas()
        self.canvas.laid_out.connect(self._place)
        self.canvas.tile_clicked.connect(self._clicked)
        self.buttons: list[_Keep] = []
        self.edit: NameEdit | None = None
        self._row = -1
        self._wanted: tuple[Strips, int] | None = None
        """The answer and its row that a name is typed for: as they were when that began, whatever comes meanwhile."""
        self._present: dict[str, tuple[Direction, ...]] = {}
        """What is kept, by the name of the control that keeps it."""
        self._body_widget = QWidget()
        line = QHBoxLayout(self._body_widget)
        line.setContentsMargins(0, 0, COLUMN, 0)
        line.addWidget(self.canvas, 1)
        self.set_body(self._body_widget)
        self.setFocusProxy(self.canvas)

    # ---- what comes in

    def draw_payload(self, payload: Payload) -> None:
        p = cast(Strips, payload)
        vectors = np.zeros((0, 0)) if p.vectors is None else np.asarray(p.vectors)
        columns = p.columns or len(p.heads)
        if not len(p.images):
            raise ValueError("The answer holds no pictures.")
        if vectors.ndim != 2 or not columns or len(p.images) != len(vectors) * columns:
            raise ValueError(
                f"There are {len(p.images)} pictures in rows of {columns} and directions of shape {vectors.shape}."
            )
        self.canvas.set_images(p.images, columns, p.captions, p.labels, p.rows, p.heads, caption=p.caption)
        if self._wanted is not None and self._wanted[1] >= len(vectors):
            self._stop_naming()  # there is no such row any more
        self._make_buttons(len(vectors))
        self.payload = p
        self._mark()
        self._place()

    def forget(self) -> None:
        self._stop_naming()
        self._make_buttons(0)
        self.canvas.clear()

    def show_control(self, name: str, value: object) -> None:
        if isinstance(value, tuple) and all(isinstance(part, Direction) for part in value):
            self._present[name] = value
            self._mark()

    def restyle(self) -> None:
        self.canvas.update()

    def payloads_for_picture(self) -> tuple[Payload, ...]:
        """The pictures themselves, at their own resolution."""
        shown = self.payload
        if not isinstance(shown, Strips):
            return ()
        return (ImageGrid(shown.images, shown.columns, rows=shown.rows, heads=shown.heads, caption=shown.caption),)

    # ---- keeping

    def present(self) -> tuple[Direction, ...]:
        """The directions that are kept now."""
        return self._present.get(self.payload.control, ()) if isinstance(self.payload, Strips) else ()

    def start_naming(self, row: int) -> None:
        """Puts a line to type in beside a row; Enter keeps its direction under that name."""
        if not isinstance(self.payload, Strips) or not self.buttons[row].isEnabled():
            return
        self._stop_naming()
        taken = [d.name for d in self.present()]
        title = self.payload.rows[row].partition("(")[0] if row < len(self.payload.rows) else ""
        self._wanted = (self.payload, row)
        self.edit = edit = NameEdit(taken, self._body_widget)
        edit.setText(fresh_name(" ".join(title.split())[:LONGEST] or f"direction {row + 1}", taken))
        edit.selectAll()
        edit.committed.connect(self._keep)
        edit.cancelled.connect(self._stop_naming)
        self._place()
        edit.show()
        edit.setFocus()

    def _keep(self, name: str) -> None:
        wanted = self._wanted
        self._stop_naming()
        if wanted is not None:
            shown, row = wanted
            vector = tuple(float(v) for v in np.asarray(shown.vectors)[row])
            kept = (*self.present(), Direction(name, vector, shown.space))
            self.control_set.emit(shown.control, kept, "settled")

    def _stop_naming(self) -> None:
        edit, self.edit = self.edit, None
        self._wanted = None
        if edit is not None:
            had_focus = edit.hasFocus()
            edit.hide()
            edit.deleteLater()
            if had_focus:
                self.canvas.setFocus()

    def _shown(self) -> NDArray[Any] | None:
        """The vectors on screen."""
        return np.asarray(self.payload.vectors) if isinstance(self.payload, Strips) else None

    def _mark(self) -> None:
        """Tells each button whether its direction is kept."""
        shown, vectors = self.payload, self._shown()
        if vectors is None or not isinstance(shown, Strips) or len(vectors) != len(self.buttons):
            return
        alike = [d for d in self.present() if d.space == shown.space and len(d.vector) == vectors.shape[1]]
        names = [""] * len(vectors)
        if alike:
            cosines = vectors @ np.array([d.vector for d in alike]).T
            best = cosines.argmax(1)
            names = [alike[k].name if cosines[i, k] >= SAME else "" for i, k in enumerate(best)]
        for button, name in zip(self.buttons, names, strict=True):
            button.show_kept(name, len(self.present()) >= MOST_DIRECTIONS)

    # ---- places

    def _make_buttons(self, count: int) -> None:
        while len(self.buttons) > count:
            button = self.buttons.pop()
            button.hide()
            button.deleteLater()
        while len(self.buttons) < count:
            row = len(self.buttons)
            button = _Keep(self._body_widget)
            button.clicked.connect(lambda _=False, row=row: self.start_naming(row))
            self.buttons.append(button)

    def _clicked(self, tile: int) -> None:
        layout = self.canvas.tile_layout()
        if layout is not None:
            self._row = tile // layout.columns
            self._place()

    def _place(self) -> None:
        """Each button beside its row, the line for a name beside the row that is being named."""
        layout = self.canvas.tile_layout()
        if layout is None:
            return
        dpr = self.canvas.devicePixelRatioF()
        pitch = int(layout.pitch_y / dpr)
        height = min(BUTTON, max(LOWEST, pitch - 2))
        left = round(layout.panel_rect(0).right() / dpr) + 8
        titles = self.payload.rows if isinstance(self.payload, Strips) else ()
        for row, button in enumerate(self.buttons):
            middle = round((layout.y + row * layout.pitch_y + layout.tile_h / 2) / dpr)
            button.setAccessibleName(f"Keep {titles[row]}" if row < len(titles) else f"Keep direction {row + 1}")
            button.fit_in(height)
            wide = COLUMN - 4 if height >= SMALL else BUTTON
            button.setGeometry(QRect(left, middle - height // 2, wide, height))
            button.setVisible(pitch >= LOWEST or row == self._row)
            if self.edit is not None and self._wanted is not None and row == self._wanted[1]:
                wide = min(NAME_WIDTH, self._body_widget.width() - 8)
                x = min(left, self._body_widget.width() - wide - 4)
                self.edit.setGeometry(x, middle - BUTTON // 2 - 1, wide, BUTTON + 2)
