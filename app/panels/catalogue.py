"""The catalogue of studies by family, with a search. Knows declarations, opens nothing itself."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QColor, QKeyEvent
from PySide6.QtWidgets import QLabel, QLineEdit, QTreeWidget, QTreeWidgetItem, QVBoxLayout, QWidget

from engine.study import Declaration
from widgets.theme import theme

_KEY = Qt.ItemDataRole.UserRole


class CataloguePanel(QWidget):
    """``chosen`` carries the key of the study that was clicked or entered."""

    chosen = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.search = QLineEdit()
        self.search.setPlaceholderText("Search studies")
        self.search.setClearButtonEnabled(True)
        self.search.setAccessibleName("Search studies")
        self.tree = QTreeWidget()
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
        self.tree.itemClicked.connect(lambda item, _: self._choose(item))
        self.tree.itemActivated.connect(lambda item, _: self._choose(item))

    def set_studies(self, studies: tuple[Declaration, ...]) -> None:
        self.tree.clear()
        families: dict[str, QTreeWidgetItem] = {}
        for study in studies:
            family = families.get(study.family)
            if family is None:
                family = families[study.family] = QTreeWidgetItem([study.family])
                family.setFlags(Qt.ItemFlag.ItemIsEnabled)
                family.setForeground(0, QColor(theme.colours.quiet))
                self.tree.addTopLevelItem(family)
            item = QTreeWidgetItem([study.title])
            item.setData(0, _KEY, study.key)
            item.setToolTip(0, study.error or f"{study.text}\n{study.paper}")
            if study.error:
                item.setForeground(0, QColor(theme.colours.bad))
            family.addChild(item)
        self.tree.expandAll()
        self._filter(self.search.text())

    def mark(self, key: str) -> None:
        """Shows which study is open."""
        for item in self._items():
            if item.data(0, _KEY) == key:
                self.tree.setCurrentItem(item)

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

    def _choose(self, item: QTreeWidgetItem) -> None:
        key = item.data(0, _KEY)
        if key:
            self.chosen.emit(key)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() == Qt.Key.Key_Escape and self.search.text():
            self.search.clear()
            return
        super().keyPressEvent(event)
