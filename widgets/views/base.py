"""The base of all views: a payload comes in, a picture stands. Cards, progress and the context menu are here.

Knows no kind of payload and asks nobody: it emits what the person wants, and the owner sees to it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from PySide6.QtCore import QPoint, QSize, Signal
from PySide6.QtGui import QContextMenuEvent, QGuiApplication, QHideEvent, QImage, QResizeEvent, QShowEvent
from PySide6.QtWidgets import QFileDialog, QLayout, QMenu, QVBoxLayout, QWidget

from engine.payloads import ImageGrid, Payload
from widgets.theme import theme
from widgets.views.cards import BusyLine, Card
from widgets.views.images import from_qimage


class View(QWidget):
    """Shows payloads of the type ``accepts``; until the first one an empty state."""

    control_set = Signal(str, object, str)
    """A control's name, its new value, and the phase: ``drag`` while the hand moves, ``settled`` after."""
    export_requested = Signal(tuple, str)
    """Payloads to write and the path the person chose; the format goes by the name's ending."""
    edited = Signal(str, object, object)
    """A step that can be undone: what it was in words, how to do it again, how to undo it. It has been done already."""
    cancel_requested = Signal()
    """The person does not want to wait for the answer."""

    accepts: ClassVar[type[Payload]] = Payload
    picture_formats: ClassVar[tuple[str, ...]] = ("PNG picture (*.png)",)
    data_formats: ClassVar[tuple[str, ...]] = ("NumPy arrays (*.npz)", "JSON (*.json)")

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.payload: Payload | None = None
        self.step = 0
        self.file_stem = "picture"
        """What a saved file is called before the person changes it; the owner sets the probe's name."""
        self._body = QVBoxLayout(self)
        self._body.setContentsMargins(0, 0, 0, 0)
        self._body.setSpacing(0)
        # a dock may be made small: what does not fit is hidden by the view, not pushed against the window
        self._body.setSizeConstraint(QLayout.SizeConstraint.SetNoConstraint)
        self.card = Card(self)
        self.busy_line = BusyLine(self)
        self.busy_line.cancelled.connect(self.cancel_requested)
        self._empty: tuple[str, str] | None = None
        theme.changed.connect(self._retheme)
        self.show_empty("Nothing to show yet", "Move a control or press Train, and the answer appears here.")

    # ---- what the owner calls

    def show_payload(self, payload: Payload, step: int) -> None:
        """Draws ``payload``, an answer of the weights at ``step``; any card goes away."""
        if not isinstance(payload, self.accepts):
            self.show_failure(
                "No picture for this answer",
                f"This view draws {self.accepts.__name__}, and the answer is {type(payload).__name__}.",
                "Save the data from the context menu to look at it elsewhere.",
            )
            self.payload, self.step = payload, step
            return
        try:
            self.draw_payload(payload)
        except (ValueError, TypeError, IndexError) as error:  # a study's arrays do not fit: say so in place
            self.show_failure("This answer could not be drawn", str(error), "The study's probe made these numbers.")
            return
        self.payload, self.step = payload, step
        self._empty = None
        self.card.hide()
        if not self.more_to_come():
            self.set_idle()

    def clear(self) -> None:
        """Forgets the payload and shows the empty state."""
        self.payload = None
        self.forget()
        self.set_idle()
        self.show_empty("Nothing to show yet", "Move a control or press Train, and the answer appears here.")

    def show_failure(
        self,
        title: str,
        reason: str,
        advice: str = "",
        action_text: str = "",
        action: Callable[[], None] | None = None,
    ) -> None:
        """Covers the picture until the next payload: what happened, why, and one button that helps."""
        self.set_idle()
        self._empty = None
        self.card.tell(title, reason, advice, bad=True, action_text=action_text, action=action)

    def show_empty(self, title: str, text: str) -> None:
        """Says what would be here and how to get it."""
        self._empty = (title, text)
        self.card.tell(title, text, bad=False)

    def set_busy(self, progress: float | None = None, cancellable: bool = True) -> None:
        """An answer is on its way: ``progress`` in 0..1, or None where nobody knows. Shown after 100 ms only."""
        self.busy_line.start(progress, cancellable)
        if not self.isVisible():
            self.busy_line.sleep()

    def set_idle(self) -> None:
        """Nothing is on its way any more; a payload, a failure and ``clear`` say so by themselves."""
        self.busy_line.stop()

    def show_control(self, name: str, value: object) -> None:
        """A control shared by all probes was set elsewhere; views that mark it in their picture override this."""

    def fit(self) -> None:
        """Shows the whole picture again, where a view can zoom."""

    def picture(self) -> QImage:
        """The picture as it stands on screen."""
        return self.grab().toImage()

    # ---- what a view overrides

    def draw_payload(self, payload: Payload) -> None:
        """Takes ``payload`` in; raises :class:`ValueError` with a sentence where it cannot be drawn."""
        raise NotImplementedError

    def forget(self) -> None:
        """Drops what was drawn."""

    def more_to_come(self) -> bool:
        """Whether the present answer goes on, so that progress stays."""
        return False

    def restyle(self) -> None:
        """Colours and icons changed."""

    def payloads_for_picture(self) -> tuple[Payload, ...]:
        """What *Save picture* hands to the engine; by default the view as it stands, as a picture."""
        return (ImageGrid(from_qimage(self.picture())),)

    def payloads_for_data(self) -> tuple[Payload, ...]:
        """What *Save data* hands to the engine."""
        return () if self.payload is None else (self.payload,)

    def narrow(self, payloads: tuple[Payload, ...], path: str) -> tuple[Payload, ...]:
        """Those of ``payloads`` that a file of this name takes."""
        return payloads

    def set_body(self, widget: QWidget) -> None:
        """The widget that fills the view."""
        self._body.addWidget(widget)
        self.card.raise_()
        self.busy_line.raise_()

    # ---- copying and saving

    def copy_picture(self) -> None:
        """Puts the picture on the clipboard."""
        QGuiApplication.clipboard().setImage(self.picture())

    def save_picture(self) -> None:
        """Asks for a place; ``export_requested`` follows."""
        self._save("Save picture", self.picture_formats, self.payloads_for_picture)

    def save_data(self) -> None:
        """Asks for a place; ``export_requested`` follows."""
        self._save("Save data", self.data_formats, self.payloads_for_data)

    def menu(self) -> QMenu:
        """The context menu, the same on every view."""
        menu = QMenu(self)
        menu.setToolTipsVisible(True)
        for text, act in (
            ("Copy picture", self.copy_picture),
            ("Save picture…", self.save_picture),
            ("Save data…", self.save_data),
        ):
            action = menu.addAction(text)
            action.triggered.connect(act)
            action.setEnabled(self.payload is not None)
            if self.payload is None:
                action.setToolTip("There is no picture here yet")
        return menu

    def open_menu(self, at: QPoint) -> None:
        """Opens the context menu at a place on the screen."""
        menu = self.menu()
        menu.aboutToHide.connect(menu.deleteLater)
        menu.popup(at)

    def _save(self, title: str, formats: tuple[str, ...], payloads: Callable[[], tuple[Payload, ...]]) -> None:
        self.save_as(title, formats, payloads())  # now: the picture that the person saw, not that of a later step

    def save_as(self, title: str, formats: tuple[str, ...], chosen: tuple[Payload, ...]) -> None:
        """Asks where to write ``chosen``, in one of ``formats``; ``export_requested`` follows."""
        if not chosen:
            return
        dialog = QFileDialog(self, title)
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        dialog.setNameFilters(list(formats))
        dialog.selectFile(f"{self.file_stem}-{self.step}")

        def ending(chosen_filter: str) -> None:
            dialog.setDefaultSuffix(chosen_filter.rpartition("*.")[2].rstrip(")"))

        ending(formats[0])
        dialog.filterSelected.connect(ending)
        dialog.fileSelected.connect(lambda path: self.export_requested.emit(self.narrow(chosen, path), path))
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()

    # ---- Qt

    def sizeHint(self) -> QSize:
        return QSize(480, 360)

    def minimumSizeHint(self) -> QSize:
        return QSize(160, 120)

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        self.open_menu(event.globalPos())

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self.card.setGeometry(self.rect())
        self.busy_line.place()

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self.busy_line.wake()

    def hideEvent(self, event: QHideEvent) -> None:
        super().hideEvent(event)
        self.busy_line.sleep()

    def _retheme(self) -> None:
        self.restyle()
        self.card.update()
        self.update()
