"""A line to type a name in that nobody else has. Knows the names that are taken, not what is named."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QPoint, Qt, Signal
from PySide6.QtGui import QFocusEvent, QHideEvent, QKeyEvent
from PySide6.QtWidgets import QLineEdit, QToolTip, QWidget

from widgets.theme import theme

LONGEST = 60
"""Letters of a name at most."""


class NameEdit(QLineEdit):
    """A line for the name of a direction: Enter takes it, Esc leaves it, a bad one is refused in place.

    ``committed`` carries the name; ``cancelled`` comes with Esc and when the focus goes without a good name.
    """

    committed = Signal(str)
    cancelled = Signal()

    def __init__(self, taken: Sequence[str], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._taken = tuple(taken)
        self.reason = ""
        self.setMaxLength(LONGEST)
        self.setAccessibleName("name of the direction")
        self.textEdited.connect(lambda: self._refuse(""))
        self._refuse("")

    def take(self) -> bool:
        """Reads the text; whether it is a name that no other direction has."""
        name = " ".join(self.text().split())
        if not name:
            self._refuse("a direction needs a name")
        elif name in self._taken:
            self._refuse(f"there is a direction called {name} already")
        else:
            self.setModified(False)
            self.committed.emit(name)
            return True
        return False

    def _refuse(self, reason: str) -> None:
        before, self.reason = self.reason, reason
        self.setToolTip(f"Refused: {reason}." if reason else "Enter keeps the name, Esc leaves it as it was.")
        if reason and self.isVisible():  # at once: a red border alone does not say why
            QToolTip.showText(self.mapToGlobal(QPoint(0, self.height() - 12)), self.toolTip(), self)
        elif before:
            QToolTip.hideText()
        border = f"border-color: {theme.colours.bad};" if reason else ""
        self.setStyleSheet(f"QLineEdit {{ padding: 2px 6px; {border} }}")

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self.take()
        elif event.key() == Qt.Key.Key_Escape:
            self.setModified(False)
            self.cancelled.emit()
        else:
            super().keyPressEvent(event)

    def hideEvent(self, event: QHideEvent) -> None:
        super().hideEvent(event)
        if self.reason:
            QToolTip.hideText()

    def focusOutEvent(self, event: QFocusEvent) -> None:
        super().focusOutEvent(event)
        if event.reason() == Qt.FocusReason.PopupFocusReason:  # its own context menu: the person is still here
            return
        if not (self.isModified() and self.take()):
            self.cancelled.emit()
