"""The editor of a tree of solids: an outline, what can be done with the selected row, and sliders of its parameters.

Knows the contract's table of kinds, nothing of how a shape is evaluated or shown.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from PySide6.QtCore import QPoint, QSize, Qt, Signal
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QAbstractItemView, QHBoxLayout, QMenu, QTreeWidget, QTreeWidgetItem, QVBoxLayout, QWidget

from engine.params import BadValue
from engine.probes import Knobs, Tree
from engine.shape_tree import CHANGE, COMBINE, KINDS, PRESETS, SOLID, Plain, check_node, read_tree, write_tree
from widgets.controls.fields import IconButton, enabled_because
from widgets.controls.settle import Settle
from widgets.controls.shapes import tree_edit as edit
from widgets.controls.shapes.tree_edit import Path, Row
from widgets.controls.shapes.tree_parts import NodeSliders
from widgets.theme import UNIT

LINE = 24
"""Height of a line of the outline, in pixels."""
LEAST, MOST = 3, 9
"""Lines of the outline that are shown at least and at most; more are scrolled."""


class Outline(QTreeWidget):
    """The rows of a tree. Keys that edit are handed on; the rest is Qt's."""

    key_pressed = Signal(str)
    """``add``, ``remove``, ``duplicate``, ``up`` or ``down``."""

    def __init__(self) -> None:
        super().__init__()
        self.setHeaderHidden(True)
        self.setIndentation(14)
        self.setUniformRowHeights(True)
        self.setItemsExpandable(False)
        self.setRootIsDecorated(False)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setTextElideMode(Qt.TextElideMode.ElideRight)
        self.setStyleSheet("QTreeView::item { padding: 2px 4px; }")

    def keyPressEvent(self, event: QKeyEvent) -> None:
        alt = bool(event.modifiers() & Qt.KeyboardModifier.AltModifier)
        control = bool(event.modifiers() & Qt.KeyboardModifier.ControlModifier)
        key = event.key()
        does = {Qt.Key.Key_Delete: "remove", Qt.Key.Key_Backspace: "remove", Qt.Key.Key_Insert: "add"}.get(Qt.Key(key))
        if key == Qt.Key.Key_D and control:
            does = "duplicate"
        elif alt and key in (Qt.Key.Key_Up, Qt.Key.Key_Down):
            does = "up" if key == Qt.Key.Key_Up else "down"
        if does:
            self.key_pressed.emit(does)
        else:
            super().keyPressEvent(event)

    def sizeHint(self) -> QSize:
        lines = sum(1 for _ in self.items())
        return QSize(200, LINE * min(max(lines, LEAST), MOST) + 2)

    def items(self) -> list[QTreeWidgetItem]:
        """All lines from the top."""
        found: list[QTreeWidgetItem] = []
        waiting = [self.topLevelItem(i) for i in range(self.topLevelItemCount())]
        while waiting:
            item = waiting.pop(0)
            if item is not None:
                found.append(item)
                waiting[:0] = [item.child(i) for i in range(item.childCount())]
        return found


class TreeEditor(QWidget):
    """A shape built by hand. Value: the JSON text of :mod:`engine.shape_tree`."""

    moved = Signal(object)
    settled = Signal(object)
    full_width = True

    def __init__(self, name: str, control: Tree, knobs: Knobs, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._default = control.default
        self._tree: Plain = read_tree(control.default)
        self._text = write_tree(self._tree)
        self._rows: list[Row] = []
        self._row = 0
        self._settle = Settle(self)
        self._settle.settled.connect(self.settled)
        self.outline = Outline()
        self.outline.setAccessibleName(control.label or name)
        self.outline.setToolTip("Delete removes, Ctrl+D duplicates, Alt+Up and Alt+Down move, Insert adds.")
        self.outline.currentItemChanged.connect(self._chosen)
        self.outline.key_pressed.connect(self._key)
        self.sliders = NodeSliders()
        self.sliders.moved.connect(self._slid)
        self.sliders.settled.connect(self._slider_rests)
        self.sliders.kind_asked.connect(self._open_kinds)
        self.sliders.change_removed.connect(self._drop_change)
        self.sliders.resized_by.connect(self._resize)
        self._make_buttons()
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(UNIT)
        column.addLayout(self._buttons)
        column.addWidget(self.outline)
        column.addWidget(self.sliders)
        self.setFocusProxy(self.outline)
        self._show()

    def _make_buttons(self) -> None:
        self.presets_button = IconButton("cube", "Begins with another shape.", "Presets")
        self.add_button = IconButton("plus", "Adds a solid, a combination or a change (Insert).", "Add")
        self.duplicate_button = IconButton("copy", "Copies the selected row (Ctrl+D).")
        self.up_button = IconButton("caret-up", "Moves the row up; in a difference the first is what is kept (Alt+Up).")
        self.down_button = IconButton("caret-down", "Moves the row down (Alt+Down).")
        self.remove_button = IconButton("trash", "Removes the row and all below it (Delete).")
        self.presets_button.clicked.connect(lambda: self._popup(self.presets_menu(), self.presets_button))
        self.add_button.clicked.connect(lambda: self._popup(self.add_menu(), self.add_button))
        self.duplicate_button.clicked.connect(self.duplicate)
        self.up_button.clicked.connect(partial(self.shift, -1))
        self.down_button.clicked.connect(partial(self.shift, 1))
        self.remove_button.clicked.connect(self.remove)
        self._buttons = QHBoxLayout()
        self._buttons.setSpacing(0)
        self._buttons.addWidget(self.presets_button)
        self._buttons.addWidget(self.add_button)
        self._buttons.addStretch(1)
        for button in (self.duplicate_button, self.up_button, self.down_button, self.remove_button):
            self._buttons.addWidget(button)

    # ---- what the owner does ------------------------------------------------------------------------------------

    def value(self) -> str:
        return self._text

    def set_value(self, value: Any, quiet: bool = True) -> None:
        """Shows the tree of ``value``; unless ``quiet``, ``settled`` says so. Ignored while a hand holds a slider."""
        if value == self._text or self.sliders.busy:
            return
        self._settle.cancel()
        self._take(read_tree(str(value)))
        if not quiet:
            self.settled.emit(self._text)

    def reset(self) -> None:
        self.set_value(self._default, quiet=False)

    def flush(self) -> None:
        """Settles now what still waits."""
        self.sliders.flush()
        self._settle.flush()

    # ---- what a person does -------------------------------------------------------------------------------------

    @property
    def row(self) -> Row:
        """The selected line of the outline."""
        return self._rows[self._row]

    def select(self, path: Path) -> None:
        """Selects the row of the node at ``path``, or of the nearest above it."""
        paths = [row.path for row in self._rows]
        tops = [row.top for row in self._rows]
        index = paths.index(path) if path in paths else tops.index(path) if path in tops else 0
        self.outline.setCurrentItem(self.outline.items()[index])

    def add(self, kind: str) -> None:
        """Adds a node: beside or into the selected row, or over it."""
        self._edited(edit.added(self._tree, self.row, kind))

    def duplicate(self) -> None:
        self._edited(edit.duplicated(self._tree, self.row))

    def remove(self) -> None:
        self._edited(edit.removed(self._tree, self.row))

    def shift(self, by: int) -> None:
        """Moves the selected row by ``by`` places."""
        self._edited(edit.shifted(self._tree, self.row, by))

    def change_kind(self, path: Path, kind: str) -> None:
        """Makes the node at ``path`` another of its group."""
        self._edited((edit.changed_kind(self._tree, path, kind), self.row.path))

    def presets_menu(self) -> QMenu:
        menu = self._menu()
        for title, text in PRESETS.items():
            menu.addAction(title).triggered.connect(partial(self._begin_with, text))
        return menu

    def add_menu(self) -> QMenu:
        """Every kind of node, in its groups."""
        menu = self._menu()
        for group, title in ((SOLID, "Solid"), (COMBINE, "Combine with what is added next"), (CHANGE, "Change this")):
            menu.addSection(title)
            for kind, entry in KINDS.items():
                if entry.group == group:
                    action = menu.addAction(entry.title)
                    action.setToolTip(entry.text)
                    action.triggered.connect(partial(self.add, kind))
        return menu

    def kinds_menu(self, path: Path) -> QMenu:
        """What the node at ``path`` can be made into."""
        menu = self._menu()
        now = edit.at(self._tree, path)["kind"]
        for kind, entry in KINDS.items():
            if entry.group == KINDS[now].group:
                action = menu.addAction(entry.title)
                action.setToolTip(entry.text)
                action.setCheckable(True)
                action.setChecked(kind == now)
                action.triggered.connect(partial(self.change_kind, path, kind))
        return menu

    def _menu(self) -> QMenu:
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        menu.setToolTipsVisible(True)
        return menu

    @staticmethod
    def _popup(menu: QMenu, below: QWidget) -> None:
        menu.popup(below.mapToGlobal(QPoint(0, below.height())))

    def _begin_with(self, text: str) -> None:
        self._edited((read_tree(text), ()))

    def _open_kinds(self, path: Path, button: QWidget) -> None:
        self._popup(self.kinds_menu(path), button)

    def _drop_change(self, path: Path) -> None:
        kept = (*path, *self.row.path[len(path) + 1 :])
        self._edited((edit.without_change(self._tree, path), kept))

    def _resize(self, path: Path, by: int) -> None:
        self._edited((edit.resized(self._tree, path, by), self.row.path))

    def _key(self, does: str) -> None:
        acts: dict[str, Callable[[], None]] = {
            "add": lambda: self._popup(self.add_menu(), self.add_button),
            "remove": self.remove,
            "duplicate": self.duplicate,
            "up": partial(self.shift, -1),
            "down": partial(self.shift, 1),
        }
        acts[does]()

    # ---- from edits to signals ----------------------------------------------------------------------------------

    def _edited(self, made: tuple[Plain, Path] | None) -> None:
        """Takes a tree that a button or key made, if it is one, and settles it at once."""
        if made is None:
            return
        try:
            tree = check_node(made[0])
        except BadValue as e:  # too many nodes: the button says so until the next edit
            enabled_because(self.add_button, f"This does not fit: {e}.")
            return
        if tree == self._tree:
            return
        self._settle.cancel()
        self._take(tree, made[1])
        self.moved.emit(self._text)
        self.settled.emit(self._text)

    def _slid(self, path: Path, parameter: str, indices: tuple[int, ...], value: float) -> None:
        self._tree = edit.with_value(self._tree, path, parameter, indices, value)
        self._text = write_tree(self._tree)
        self.sliders.show_values(self._tree)
        self.moved.emit(self._text)
        self._settle.touch(self._text, wait=False)

    def _slider_rests(self) -> None:
        if self._settle.pending:
            self._settle.flush()
        else:
            self.settled.emit(self._text)

    # ---- showing ------------------------------------------------------------------------------------------------

    def _take(self, tree: Plain, path: Path | None = None) -> None:
        path = self.row.path if path is None else path
        self._tree, self._text = tree, write_tree(tree)
        enabled_because(self.add_button, None)
        self._show(path)

    def _show(self, path: Path = ()) -> None:
        """Fills the outline; lines that stay are kept, so that nothing flickers while values come in."""
        before, self._rows = self._rows, edit.rows_of(self._tree)
        if before != self._rows:
            self._fill()
        for i, item in enumerate(self.outline.items()):
            self._tell_row(i, item)
        paths, tops = [row.path for row in self._rows], [row.top for row in self._rows]
        self._row = paths.index(path) if path in paths else tops.index(path) if path in tops else 0
        self.outline.blockSignals(True)
        self.outline.setCurrentItem(self.outline.items()[self._row])
        self.outline.blockSignals(False)
        self._show_row()

    def _fill(self) -> None:
        self.outline.blockSignals(True)
        self.outline.clear()
        parents: list[QTreeWidget | QTreeWidgetItem] = [self.outline]
        for row in self._rows:
            del parents[row.level + 1 :]
            item = QTreeWidgetItem(parents[row.level])
            item.setSizeHint(0, QSize(0, LINE))
            parents.append(item)
        self.outline.expandAll()
        self.outline.blockSignals(False)
        self.outline.setFixedHeight(self.outline.sizeHint().height())

    def _title(self, row: Row) -> str:
        kinds = [KINDS[edit.at(self._tree, path)["kind"]].title for path in (row.path, *reversed(row.changes))]
        return "  ·  ".join([kinds[0], *(kind.lower() for kind in kinds[1:])])

    def _tell_row(self, index: int, item: QTreeWidgetItem) -> None:
        text = self._title(self._rows[index])
        if item.text(0) != text:
            item.setText(0, text)
            item.setToolTip(0, KINDS[edit.at(self._tree, self._rows[index].path)["kind"]].text)

    def _chosen(self, item: QTreeWidgetItem | None, before: QTreeWidgetItem | None) -> None:
        if item is not None:
            self.flush()
            self._row = self.outline.items().index(item)
            self._show_row()

    def _show_row(self) -> None:
        row = self.row
        self.sliders.show_row(self._tree, row)
        alone = edit.removed(self._tree, row) is None
        enabled_because(self.remove_button, "The last shape stays: change its kind instead." if alone else None)
        for button, by, end in ((self.up_button, -1, "first"), (self.down_button, 1, "last")):
            stays = edit.shifted(self._tree, row, by) is None
            enabled_because(button, f"This row is the {end} of its combination." if stays else None)
