"""A real window with a real engine, and a hand to drive it with. Knows no single feature.

Torch, the studies and the equations are loaded once in the process; each test then has a window, a settings file and
a runs folder of its own. Studies are built small: with the knobs that they declare as ``tiny``.
"""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PySide6.QtCore import QMimeData, QPoint, QPointF, Qt, QUrl
from PySide6.QtGui import QDragEnterEvent, QDropEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QWidget
from pytestqt.qtbot import QtBot

from app.settings import Settings
from app.start import make_app
from app.window import MainWindow
from engine.messages import Failure, Opened, Picture, Status
from widgets.theme import theme

PATIENCE = 20_000
"""Milliseconds after which something that has not happened will not."""


@pytest.fixture(scope="session")
def studies() -> dict[str, Any]:
    """All study classes by key. Loads torch, the studies and the renderer of equations, once in the process."""
    from engine import data, registry
    from engine.formats.equations import svg

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of packages that ziamath and torch import
        svg(r"\beta")
        found = registry.find()
        data.load("digits")
    assert not found.errors
    return found.studies


def crowd() -> float:
    """How many times longer than alone things take here now: processes that want a core, per core, and at least 1."""
    return max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1)) if hasattr(os, "getloadavg") else 1.0


class Driver:
    """One window, and what a person at it can do. Remembers what the workbench announced."""

    def __init__(self, window: MainWindow, qtbot: QtBot, studies: dict[str, Any]) -> None:
        self.window, self.qtbot, self.studies = window, qtbot, studies
        self.bench, self.stage, self.engine = window.bench, window.stage, window.bridge._engine
        self.opened: list[Opened] = []
        self.failures: list[Failure] = []
        self.pictures: list[Picture] = []
        self.statuses: list[Status] = []
        for signal, heard in (
            (self.bench.opened, self.opened),
            (self.bench.failed, self.failures),
            (self.bench.picture, self.pictures),
            (self.bench.status, self.statuses),
        ):
            signal.connect(heard.append)

    # ---- waiting ----

    def until(self, happened: Callable[[], object], timeout: int = PATIENCE) -> None:
        """Runs the event loop until ``happened()`` is true; fails the test if it never is."""
        self.qtbot.waitUntil(lambda: bool(happened()), timeout=timeout)

    def rest(self, seconds: float) -> None:
        QTest.qWait(round(1000 * seconds))

    def settled(self) -> None:
        """Until the engine has taken every order and rests, and its answers are on screen."""
        inbox = self.window.bridge.inbox
        self.until(lambda: not inbox.pending and inbox.taken == inbox.posted)
        self.until(lambda: self.bench._opening is None and not self.bench.training)
        for dock in [d for d in self.stage.docks.values() if d.on_screen]:
            self.until(lambda dock=dock: self._answered(dock.slot) >= dock._asked)
            if dock.spec.refresh is not None:
                self.until(lambda dock=dock: self.failed(dock.slot) or dock.view.step == self.bench.step)

    def _answered(self, slot: str) -> int:
        """The newest question of a slot that was answered, by a picture or a failure."""
        return max((a.seq for a in (*self.pictures, *self.failures) if a.slot == slot), default=-1)

    def failed(self, probe: str) -> bool:
        """Whether a card with a failure is where the picture of a probe would be."""
        return bool(self.stage.docks[probe].view.card.button.isVisibleTo(self.stage.docks[probe]))

    # ---- studies ----

    def tiny(self, study: str) -> dict[str, Any]:
        return {**self.bench.studies[study].initial_knobs(), **self.studies[study].tiny}

    def open(self, study: str = "vae", data: str = "digits", **knobs: Any) -> None:
        """Opens a study, built small, and waits until it stands and the first picture of its first probe is there."""
        self.until(lambda: self.bench.studies)
        seen = len(self.opened)
        self.bench.open_study(study, data, knobs={**self.tiny(study), **knobs})
        self.until(lambda: len(self.opened) > seen)
        self.until(lambda: next(iter(self.stage.docks.values())).view.payload is not None)

    def train(self, steps: int) -> None:
        """Trains ``steps`` more and waits until that is done, saved and on screen."""
        goal = self.bench.step + steps
        self.bench.train(steps)
        self.until(lambda: self.bench.step == goal and not self.bench.training)
        self.until(lambda: goal in self.bench.snapshots)
        self.settled()

    def show(self, probe: str) -> None:
        """Brings a probe to the front, makes it the active one and waits for an answer."""
        self.stage.raise_named(probe)
        self.until(lambda: self.stage.docks[probe].view.payload is not None)

    def image(self, probe: str = "decode") -> np.ndarray | None:
        """What the dock of a probe shows."""
        payload: Any = self.stage.docks[probe].view.payload
        return None if payload is None else np.asarray(payload.images)

    def curve(self, name: str, run: int = -1) -> tuple[np.ndarray, np.ndarray]:
        """Steps and values that the curves dock holds of a metric in one of its runs."""
        assert self.window.curves.main is not None
        data = self.window.curves.main._book.runs[self.window.curves._runs[run]][name].data
        return np.array(data.x), np.array(data.y)

    def log(self) -> str:
        return self.window.log.text.toPlainText()

    # ---- the hand ----

    def click(self, widget: QWidget, at: QPoint | None = None) -> None:
        QTest.mouseClick(widget, Qt.MouseButton.LeftButton, pos=at or widget.rect().center())

    def key(self, key: Any, modifiers: Qt.KeyboardModifier = Qt.KeyboardModifier.NoModifier) -> None:
        """A key pressed wherever the keyboard is."""
        popup = QApplication.activePopupWidget()
        target = (popup.focusWidget() or popup) if popup is not None else QApplication.focusWidget() or self.window
        QTest.keyClick(target, key, modifiers)

    def drag(self, slider: Any, to: float, moves: int = 6, release: bool = True) -> None:
        """Takes the handle of a slider and pulls it to the fraction ``to`` of its track, in some moves."""
        track = slider.track_rect()
        y = int(track.center().y())
        start, end = slider.handle_x(), track.left() + to * track.width()
        QTest.mousePress(slider, Qt.MouseButton.LeftButton, pos=QPoint(round(start), y))
        for i in range(1, moves + 1):
            QTest.mouseMove(slider, QPoint(round(start + (end - start) * i / moves), y))
            QTest.qWait(8)
        if release:
            QTest.mouseRelease(slider, Qt.MouseButton.LeftButton, pos=QPoint(round(end), y))

    def drop(self, path: Path, widget: QWidget | None = None) -> bool:
        """Lets go of a file over ``widget``, the window if none is given; whether it was taken."""
        target = widget or self.window
        mime = QMimeData()
        mime.setUrls([QUrl.fromLocalFile(str(path))])
        buttons, keys = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
        at = target.rect().center()
        enter = QDragEnterEvent(at, Qt.DropAction.CopyAction, mime, buttons, keys)
        QApplication.sendEvent(target, enter)
        if not enter.isAccepted():
            return False
        drop = QDropEvent(QPointF(at), Qt.DropAction.CopyAction, mime, buttons, keys)
        QApplication.sendEvent(target, drop)
        return drop.isAccepted()


@pytest.fixture
def make_window(qtbot: QtBot, studies: dict[str, Any], tmp_path: Path) -> Iterator[Callable[..., MainWindow]]:
    """Makes windows that share one settings file and one runs folder; all are closed at the end."""
    make_app()
    theme.set_mode("dark")
    made: list[MainWindow] = []

    def make(size: tuple[int, int] = (1280, 800), start: bool = True) -> MainWindow:
        window = MainWindow(Settings(tmp_path / "window.json"), tmp_path / "runs", threads=1)
        made.append(window)
        window.resize(*size)
        with qtbot.waitExposed(window):
            window.show()
        window.activateWindow()
        qtbot.waitUntil(window.isActiveWindow)
        if start:
            window.start()
        return window

    yield make
    for window in made:
        begun = time.perf_counter()
        window.close()
        assert not window.bridge._engine.is_alive(), "the engine outlives its window"
        assert time.perf_counter() - begun < 3.0 * crowd(), "closing took longer than three seconds"
        window.deleteLater()


@pytest.fixture
def make_drive(make_window: Callable[..., MainWindow], qtbot: QtBot, studies: dict[str, Any]) -> Callable[..., Driver]:
    """Makes windows, each with a hand that drives it."""
    return lambda **how: Driver(make_window(**how), qtbot, studies)


@pytest.fixture
def drive(make_drive: Callable[..., Driver]) -> Driver:
    """A started window and the hand that drives it."""
    return make_drive()


@pytest.fixture
def window(drive: Driver) -> MainWindow:
    return drive.window
