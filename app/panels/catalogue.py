"""The catalogue of studies by family, with a search. Knows declarations, opens nothing itself."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QColor, QKeyEvent
from PySide6.QtWidgets import QLabel, QLineEdit, QTreeWidget, QTreeWidgetItem, QVBoxLayout, QWidget

from engine.study import Declaration
from widgets.theme import theme

_KEY = Qt.ItemDataRole.UserRole
_BAD = Qt.ItemDataRole.UserRole + 1


class StudyTree(QTreeWidget):
    """The list of studies. Letters, digits and Space are left to the window, whose keys they are: there is a search
    for looking up names."""

    entered = Signal(object)  # QTreeWidgetItem

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self.entered.emit(self.currentItem())
        elif event.text().isprintable() and event.text():
            event.ignore()
        else:
            super().keyPressEvent(event)


class CataloguePanel(QWidget):
    """``chosen`` carries the key of the study that was clicked or entered."""

    chosen = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.search = QLineEdit()
        self.search.setPlaceholderText("Search studies")
        self.search.setClearButtonEnabled(True)
        self.search.setAccessibleName("Search studies")
        self.tree = StudyTree()
        self.tree.setHeaderHidden(True)
        self.tree.setIndentation(0)  # the highlight of an indented row would stop short of its left end
        self.tree.setRootIsDecorated(False)
        self.tree.setAccessibleName("Studies")
        self._empty = QLabel("Loading the studies …")
        self._empty.setProperty("role", "quiet")
        self._empty.setWordWrap(True)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(8, 8, 8, 8)
        layout.setSpacing(8)
        layout.addWidget(self.search)
        layout.addWidget(self._empty)
        layout.addWidget(self.tree, 1)
        self.search.textChanged.connect(self._filter)
        self.search.returnPressed.connect(self._enter)
        self.tree.itemClicked.connect(self._choose)  # not activated too: a double click would open twice
        self.tree.entered.connect(self._choose)
        self._marked = ""
        theme.changed.connect(self._colour)

    def set_studies(self, studies: tuple[Declaration, ...]) -> None:
        self.tree.clear()
        families: dict[str, QTreeWidgetItem] = {}
        for study in studies:
            family = families.get(study.family)
            if family is None:
                family = families[study.family] = QTreeWidgetItem([study.family])
                family.setFlags(Qt.ItemFlag.ItemIsEnabled)
                self.tree.addTopLevelItem(family)
            item = QTreeWidgetItem([study.title])
            item.setData(0, _KEY, study.key)
            item.setToolTip(0, study.error or f"{study.text}\n{study.paper}")
            item.setData(0, _BAD, bool(study.error))
            family.addChild(item)
        self._colour()
        self.mark(self._marked)
        self.tree.expandAll()
        self._filter(self.search.text())

    def mark(self, key: str) -> None:
        """Shows which study is open."""
        self._marked = key
        for item in self._items():
            if item.data(0, _KEY) == key:
                self.tree.setCurrentItem(item)

    def _colour(self) -> None:
        for i in range(self.tree.topLevelItemCount()):
            top = self.tree.topLevelItem(i)
            if top is not None:
                top.setForeground(0, QColor(theme.colours.quiet))
        for item in self._items():
            item.setForeground(0, QColor(theme.colours.bad if item.data(0, _BAD) else theme.colours.text))

    def _items(self) -> list[QTreeWidgetItem]:
        tops = [self.tree.topLevelItem(i) for i in range(self.tree.topLevelItemCount())]
        found = [top.child(j) for top in tops if top is not None for j in range(top.childCount())]
        return [item for item in found if item is not None]

    def _filter(self, text: str) -> None:
        words = text.lower().split()
        shown = 0
        for item in self._items():
            hay = f"{item.text(0)} {item.toolTip(0)} {item.data(0, _KEY)}".lower()
            item.setHidden(not all(word in hay for word in words))
            shown += not item.isHidden()
        for i in range(self.tree.topLevelItemCount()):
            top = self.tree.topLevelItem(i)
            if top is not None:
                top.setHidden(all(item.isHidden() for item in self._items() if item.parent() is top))
        self._empty.setVisible(shown == 0)
        if self._items():
            self._empty.setText(f"No study is called “{text}”.")

    def _enter(self) -> None:
        visible = [item for item in self._items() if not item.isHidden()]
        if visible:
            self._choose(visible[0])

    def _choose(self, item: QTreeWidgetItem | None, _column: int = 0) -> None:
        key = item.data(0, _KEY) if item is not None else ""
        if key:
            self.chosen.emit(key)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() == Qt.Key.Key_Escape and self.search.text():
            self.search.clear()
            return
        if event.key() == Qt.Key.Key_Down and self.search.hasFocus():
            shown = [item for item in self._items() if not item.isHidden()]
            if shown and self.tree.currentItem() not in shown:
                self.tree.setCurrentItem(shown[0])
            self.tree.setFocus()
            return
        super().keyPressEvent(event)
