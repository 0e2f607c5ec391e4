"""A robot that uses the real window at random, seeded: mouse, wheel, keyboard, docks, drops. Asserts nothing itself.

Knows Qt's widgets and where the window keeps its parts. Dialogs and menus that pop up are used a little and closed,
also those that block (a timer does it). It never quits, fetches no data from the net, and writes below its own folder.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from PySide6.QtCore import QCoreApplication, QMimeData, QPoint, QPointF, Qt, QTimer, QUrl
from PySide6.QtGui import QAction, QContextMenuEvent, QDrag, QDragEnterEvent, QDropEvent, QImage, QWheelEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import (
    QAbstractButton,
    QAbstractSpinBox,
    QApplication,
    QComboBox,
    QDialog,
    QDockWidget,
    QLabel,
    QLineEdit,
    QMainWindow,
    QMenu,
    QPlainTextEdit,
    QTabBar,
    QTextEdit,
    QWidget,
)
from shiboken6 import isValid

from app.tour.hand import line
from app.tour.rig import Rig
from widgets.controls.slider import ValueSlider

KEYS = (
    "Space", "Period", "BracketLeft", "BracketRight", "R", "F", "1", "2", "3", "4", "5", "6", "7", "8", "9", "Tab",
    "Escape", "Left", "Right", "Up", "Down", "Home", "End", "PageUp", "PageDown", "Return", "Backspace", "Question",
)  # fmt: skip
SHORTCUTS = ("Z", "Shift+Z", "T", "K", "R", "S", "Shift+C", "Shift+S", "O")
TEXTS = ("0", "3", "-1", "1e999", "nan", "abc", "", "0.5", "99999999999999999999", "vae", "é漢\U0001f600", "  ", "1,5")
TEXTS_TO_DRAG = (QLineEdit, QPlainTextEdit, QTextEdit, QLabel)
SHUNNED = ("quit", "fetch")
"""Words of buttons and menu lines that the robot leaves alone."""
MODIFIERS = (Qt.KeyboardModifier.NoModifier,) * 6 + (
    Qt.KeyboardModifier.ShiftModifier,
    Qt.KeyboardModifier.ControlModifier,
)
BLOCKING_MS = 150
SIZES = ((1280, 800), (900, 600), (1600, 1000), (700, 500), (1900, 1150), (1280, 800))
MAX_WIDTH, MAX_HIDDEN = 48, 256
"""Knobs beyond these only make every step slow; they are put back."""


class Robot:
    """``act`` does one thing; ``done`` counts what was done, ``last`` are the latest deeds in words."""

    def __init__(self, rig: Rig, seed: int) -> None:
        self.rig, self.window, self.hand = rig, rig.window, rig.hand
        self.random = random.Random(seed)
        self.done: Counter[str] = Counter()
        self.last: list[str] = []
        self.longest = 0.0
        """The longest that the window took for one deed, in seconds, dialogs apart."""
        self.files = self._make_files(rig.folder / "things")
        self._deed = -1
        self._closer = QTimer()
        self._closer.timeout.connect(self._close_blocking)
        self._closer.start(BLOCKING_MS)
        self._deeds: tuple[tuple[int, Callable[[], str]], ...] = (
            (14, self.click_button), (10, self.click_anywhere), (14, self.drag_slider), (5, self.drag_anywhere),
            (6, self.wheel), (5, self.type_number), (12, self.press_key), (6, self.press_shortcut), (8, self.click_tab),
            (3, self.resize), (4, self.change_dock), (2, self.float_dock), (3, self.choose_study),
            (4, self.change_knob), (3, self.drop), (3, self.menu_line), (3, self.palette), (2, self.context_menu),
            (4, self.train), (3, self.double_click), (2, self.theme), (3, self.snapshots), (2, self.combo),
            (3, self.choose_data),
        )  # fmt: skip

    def stop(self) -> None:
        self._closer.stop()
        self.close_all()

    def act(self) -> None:
        """One deed, then a moment of life for the window."""
        weights = [weight for weight, _ in self._deeds]
        deed = self.random.choices([do for _, do in self._deeds], weights)[0]
        name = deed.__name__
        self.rig.watch.at(f"{sum(self.done.values())} {name}")
        begun = time.perf_counter()
        try:
            said = deed()
        except RuntimeError as e:  # what it held went away under its hand; a fault of the window comes by the watch
            if "already deleted" not in str(e):
                raise
            said = "gone"
        took = time.perf_counter() - begun
        self.done[name] += 1
        self.last = [*self.last[-15:], f"{name} {said}".strip()]
        self.rig.watch.at(f"{sum(self.done.values())} after {self.last[-1]}")
        if QApplication.activeModalWidget() is None:
            self.longest = max(self.longest, took if name not in ("drag_slider", "drag_anywhere") else 0.0)
        self.hand.rest(self.random.choice((0.0, 0.0, 0.01, 0.03, 0.15)))
        if self.random.random() < 0.3:
            self.close_all()
        self._tame()
        if not self.window.isVisible():
            raise AssertionError(f"the window went away after {self.last}")

    # ---- what it finds ----

    def visible(self, kind: type[QWidget]) -> list[QWidget]:
        """Widgets of a kind that a mouse could reach."""
        return [
            w
            for w in self.window.findChildren(kind)
            if w.isVisible() and w.isEnabled() and not w.visibleRegion().isEmpty()
        ]

    def pick(self, kind: type[QWidget]) -> QWidget | None:
        found = [w for w in self.visible(kind) if not self.shunned(w)]
        return self.random.choice(found) if found else None

    def shunned(self, widget: QWidget) -> bool:
        text = widget.text() if isinstance(widget, QAbstractButton) else ""
        return any(word in text.lower() for word in SHUNNED)

    def spot(self, widget: QWidget) -> QPoint:
        rect = widget.visibleRegion().boundingRect()
        return QPoint(
            self.random.randint(rect.left(), max(rect.left(), rect.right())),
            self.random.randint(rect.top(), max(rect.top(), rect.bottom())),
        )

    def anywhere(self) -> tuple[QWidget, QPoint]:
        """The widget below a random place of the window, and the place on it."""
        at = self.spot(self.window)
        child = self.window.childAt(at) or self.window
        if self.shunned(child):
            child = self.window
        return child, child.mapFrom(self.window, at)

    # ---- deeds ----

    def click_button(self) -> str:
        button = self.pick(QAbstractButton)
        if button is None:
            return ""
        assert isinstance(button, QAbstractButton)
        said = button.text() or button.accessibleName() or button.toolTip()
        self._click(button, button.rect().center())
        return said

    def click_anywhere(self) -> str:
        child, at = self.anywhere()
        said = type(child).__name__
        self._click(child, at, self.random.choice(MODIFIERS))
        return said

    def double_click(self) -> str:
        child, at = self.anywhere()
        said = type(child).__name__
        QTest.mouseDClick(child, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, at)
        return said

    def drag_slider(self) -> str:
        slider = self.pick(ValueSlider)
        if slider is None:
            return ""
        assert isinstance(slider, ValueSlider)
        track = slider.track_rect().toRect()
        points = [
            QPoint(track.left() + self.random.randint(-5, track.width() + 5), track.center().y()) for _ in range(3)
        ]
        self._drag(slider, line(points[0], points[1], 8) + line(points[1], points[2], 8))
        return slider.accessibleName() if isValid(slider) else ""

    def drag_anywhere(self) -> str:
        """Not on text: what Qt drags then waits for a real mouse to let it go."""
        child, at = self.anywhere()
        said = type(child).__name__
        if isinstance(child, TEXTS_TO_DRAG) or isinstance(child.parentWidget(), TEXTS_TO_DRAG):
            return f"not {said}"
        end = at + QPoint(self.random.randint(-200, 200), self.random.randint(-200, 200))
        self._drag(child, line(at, end, 10))
        return said

    def wheel(self) -> str:
        child, at = self.anywhere()
        delta = QPoint(0, self.random.choice((-360, -120, 120, 360)))
        event = QWheelEvent(QPointF(at), QPointF(child.mapToGlobal(at)), QPoint(), delta, Qt.MouseButton.NoButton,
                            self.random.choice(MODIFIERS), Qt.ScrollPhase.NoScrollPhase, False)  # fmt: skip
        QCoreApplication.sendEvent(child, event)
        return type(child).__name__

    def type_number(self) -> str:
        field = self.random.choice([QLineEdit, QAbstractSpinBox, ValueSlider])
        widget = self.pick(field)
        if widget is None:
            return ""
        if isinstance(widget, ValueSlider):
            self._click(widget, widget.value_rect().center())
        else:
            widget.setFocus()
        text = self.random.choice(TEXTS)
        if isinstance(QApplication.focusWidget(), QLineEdit | QAbstractSpinBox):
            QTest.keyClick(self.hand.focus(), Qt.Key.Key_A, Qt.KeyboardModifier.ControlModifier)
            for letter in text:
                QTest.keyClicks(self.hand.focus(), letter) if letter.isascii() else None
            key = self.random.choice((Qt.Key.Key_Return, Qt.Key.Key_Escape, Qt.Key.Key_Tab))
            QTest.keyClick(self.hand.focus(), key)
        return repr(text)

    def press_key(self) -> str:
        name = self.random.choice(KEYS)
        QTest.keyClick(self.hand.focus(), getattr(Qt.Key, f"Key_{name}"))
        return name

    def press_shortcut(self) -> str:
        name = self.random.choice(SHORTCUTS)
        modifiers = Qt.KeyboardModifier.ControlModifier
        if name.startswith("Shift+"):
            modifiers |= Qt.KeyboardModifier.ShiftModifier
        QTest.keyClick(self.hand.focus(), getattr(Qt.Key, f"Key_{name[-1]}"), modifiers)
        return name

    def click_tab(self) -> str:
        bar = self.pick(QTabBar)
        if not isinstance(bar, QTabBar) or not bar.count():
            return ""
        i = self.random.randrange(bar.count())
        said = bar.tabText(i)
        if bar.rect().contains(bar.tabRect(i).center()):
            self._click(bar, bar.tabRect(i).center())
        return said

    def resize(self) -> str:
        size = self.random.choice(SIZES)
        self.window.resize(*size)
        return str(size)

    def change_dock(self) -> str:
        docks = [*self.window.docks.values(), *self.window.stage.docks.values()]
        dock = self.random.choice(docks)
        dock.toggleViewAction().trigger()
        return dock.windowTitle()

    def float_dock(self) -> str:
        docks: list[QDockWidget] = [*self.window.docks.values(), *self.window.stage.docks.values()]
        dock = self.random.choice(docks)
        dock.setFloating(not dock.isFloating())
        if self.random.random() < 0.3:
            areas = [Qt.DockWidgetArea.LeftDockWidgetArea, Qt.DockWidgetArea.RightDockWidgetArea,
                     Qt.DockWidgetArea.BottomDockWidgetArea, Qt.DockWidgetArea.TopDockWidgetArea]  # fmt: skip
            owner = dock.parentWidget()
            if isinstance(owner, QMainWindow):
                dock.setFloating(False)
                owner.addDockWidget(self.random.choice(areas), dock)
        if self.random.random() < 0.3:
            self.run_action("reset-layout")
        return dock.windowTitle()

    def choose_study(self) -> str:
        tree = self.window.catalogue.tree
        if not tree.isVisible():
            return "not visible"
        items = tree.findItems("", Qt.MatchFlag.MatchContains | Qt.MatchFlag.MatchRecursive)
        item = self.random.choice(items) if items else None
        if item is None or item.isHidden():
            return ""
        said = item.text(0)
        tree.scrollToItem(item)
        self._click(tree.viewport(), tree.visualItemRect(item).center())
        return said

    def choose_data(self) -> str:
        """By the keyboard on the drop-down, among the sets that ask for no folder and no net."""
        data = self.window.data
        if not data.box.isVisible():
            self.window.docks["data"].show()
            self.window.docks["data"].raise_()
            return "shown"
        there = [o for o in self.window.bench.data_options if o.available and not o.needs_folder and o.key != "emoji"]
        option = self.random.choice(there) if there else None
        if option is None:
            return ""
        box = data.box
        box.setCurrentIndex(box.findData(option.key))
        box.activated.emit(box.currentIndex())
        return option.key

    def change_knob(self) -> str:
        """A knob that needs a rebuild, by its slider; sometimes the rebuild itself."""
        form = self.window.knobs
        buttons = [b for b in form.findChildren(QAbstractButton) if b.isVisible() and "Rebuild" in b.text()]
        if buttons and self.random.random() < 0.6:
            self._click(buttons[0], buttons[0].rect().center())
            return "rebuild"
        sliders = [s for s in form.findChildren(ValueSlider) if s.isVisible() and not s.visibleRegion().isEmpty()]
        if not sliders:
            return ""
        slider = self.random.choice(sliders)
        slider.setFocus()
        for _ in range(self.random.randint(1, 4)):
            key = self.random.choice((Qt.Key.Key_Left, Qt.Key.Key_Right, Qt.Key.Key_PageDown, Qt.Key.Key_Delete))
            QTest.keyClick(slider, key)
        return slider.accessibleName()

    def drop(self) -> str:
        path = self.random.choice(self.files)
        mime = QMimeData()
        mime.setUrls([QUrl.fromLocalFile(str(path))])
        at = self.spot(self.window)
        buttons, keys = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
        enter = QDragEnterEvent(at, Qt.DropAction.CopyAction, mime, buttons, keys)
        QCoreApplication.sendEvent(self.window, enter)
        if enter.isAccepted():
            drop = QDropEvent(QPointF(at), Qt.DropAction.CopyAction, mime, buttons, keys)
            QCoreApplication.sendEvent(self.window, drop)
        return path.name

    def menu_line(self) -> str:
        """A line of the menu bar, of any menu."""
        lines = [a for menu in self.window.menuBar().findChildren(QMenu) for a in menu.actions()]
        return self._trigger(lines)

    def context_menu(self) -> str:
        child, at = self.anywhere()
        said = type(child).__name__
        event = QContextMenuEvent(QContextMenuEvent.Reason.Mouse, at, child.mapToGlobal(at))
        QCoreApplication.sendEvent(child, event)
        popup = QApplication.activePopupWidget()
        if isinstance(popup, QMenu):
            said += " " + self._trigger(popup.actions())
            popup.close()
        return said

    def palette(self) -> str:
        QTest.keyClick(self.hand.focus(), Qt.Key.Key_K, Qt.KeyboardModifier.ControlModifier)
        self.hand.rest(0.05)
        popup = QApplication.activePopupWidget()
        if popup is None:
            return "none"
        text = self.random.choice(("samp", "lat", "theme", "reset", "light", "vari", "auto", "step", "frame", "xyz"))
        QTest.keyClicks(self.hand.focus(), text)
        self.hand.rest(0.02)
        QTest.keyClick(self.hand.focus(), self.random.choice((Qt.Key.Key_Return, Qt.Key.Key_Escape, Qt.Key.Key_Down)))
        return text

    def train(self) -> str:
        if not self.window.bench.training:
            self.run_action("train")
        return ""

    def theme(self) -> str:
        self.run_action("theme")
        return ""

    def snapshots(self) -> str:
        name = self.random.choice(("save", "earlier", "later", "earlier", "undo", "redo"))
        self.run_action(name)
        return name

    def combo(self) -> str:
        box = self.pick(QComboBox)
        if not isinstance(box, QComboBox) or box is self.window.data.box:
            return ""
        box.showPopup()
        self.hand.rest(0.05)
        view = box.view()
        QTest.keyClick(view, self.random.choice((Qt.Key.Key_Down, Qt.Key.Key_Up)))
        QTest.keyClick(view, self.random.choice((Qt.Key.Key_Return, Qt.Key.Key_Escape)))
        return box.accessibleName()

    # ---- helpers ----

    def run_action(self, name: str) -> None:
        action = self.window.commands.actions[name]
        if action.isEnabled():
            action.trigger()

    def _trigger(self, lines: list[QAction]) -> str:
        able = [
            a
            for a in lines
            if a.isEnabled() and not a.isSeparator() and a.menu() is None
            and not any(word in a.text().lower() for word in SHUNNED)
        ]  # fmt: skip
        if not able:
            return ""
        action = self.random.choice(able)
        said = action.text().replace("\t", " ")
        action.trigger()
        return said

    def _click(self, widget: QWidget, at: QPoint, modifiers: Qt.KeyboardModifier = MODIFIERS[0]) -> None:
        QTest.mouseClick(widget, Qt.MouseButton.LeftButton, modifiers, at)

    def _drag(self, widget: QWidget, path: list[QPoint]) -> None:
        QTest.mousePress(widget, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, path[0])
        for at in path[1:]:
            if not isValid(widget):
                return
            self.hand.move(widget, at)
            self.hand.rest(0.008)
        if isValid(widget):
            inside = widget.rect()
            end = QPoint(
                min(max(path[-1].x(), inside.left()), inside.right()),
                min(max(path[-1].y(), inside.top()), inside.bottom()),
            )
            QTest.mouseRelease(widget, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, end)

    def _tame(self) -> None:
        """Puts knobs back that would make every step take seconds."""
        for name, most in (("width", MAX_WIDTH), ("hidden", MAX_HIDDEN), ("batch", 256)):
            if self.window.bench.knobs.get(name, 0) > most:
                self.window.bench.settle_knob(name, most)

    def close_all(self) -> None:
        """Closes menus, dialogs and notes that lie over the window."""
        for _ in range(8):
            popup = QApplication.activePopupWidget()
            if popup is None:
                break
            popup.close()
        for widget in QApplication.topLevelWidgets():
            if isinstance(widget, QDialog) and widget.isVisible():
                widget.reject()

    def _close_blocking(self) -> None:
        """What runs a loop of its own (a dialog, a button's menu, a dragged text) would keep the robot for good."""
        modal, popup = QApplication.activeModalWidget(), QApplication.activePopupWidget()
        if isinstance(modal, QDialog):
            modal.reject()
        if self._deed == sum(self.done.values()):  # the same deed as at the last look
            if popup is not None:
                popup.close()
            QDrag.cancel()
        self._deed = sum(self.done.values())

    def _make_files(self, folder: Path) -> list[Path]:
        """Things to drop: good and bad."""
        folder.mkdir()
        picture = QImage(40, 30, QImage.Format.Format_RGB32)
        picture.fill(0xFF3366CC)
        picture.save(str(folder / "good.png"))
        whole = (folder / "good.png").read_bytes()
        (folder / "truncated.png").write_bytes(whole[: len(whole) // 2])
        (folder / "text.txt").write_text("not a picture", "utf-8")
        (folder / "lies.png").write_text("not a picture either", "utf-8")
        (folder / "empty").mkdir()
        (folder / "run").mkdir()
        (folder / "run" / "config.json").write_text("{}", "utf-8")
        (folder / "bad.safetensors").write_bytes(b"\x08\0\0\0\0\0\0\0{}")
        return [*sorted(folder.iterdir()), folder / "missing.png"]
