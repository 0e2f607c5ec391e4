"""Where the docks are: the first day's places, what the person made of them, the stage alone. Knows no study."""

from __future__ import annotations

from collections.abc import Mapping

from PySide6.QtCore import QByteArray, Qt
from PySide6.QtWidgets import QDockWidget, QMainWindow

from app.settings import Settings
from app.stage import Stage
from widgets.theme import theme

VERSION = 3
"""Raised when the set of docks changes, so that an older layout is not restored onto it."""


class Layouts:
    """The layout of one window: its own docks are kept as one, those of the stage per study."""

    def __init__(self, window: QMainWindow, stage: Stage, docks: Mapping[str, QDockWidget], settings: Settings) -> None:
        self._window = window
        self._stage = stage
        self._docks = docks
        self._settings = settings
        self._around: QByteArray | None = None
        """What was around the stage before it stood alone; None while it does not."""
        self._idle: list[QDockWidget] = []
        """Docks that were closed because the open study learns nothing."""
        self._shares: tuple[list[int], list[int]] | None = None
        """How wide curves and objective were, and how high knobs and controls, before any of them was closed."""

    def reset(self) -> None:
        """Every dock where it was on the first day."""
        window, docks = self._window, self._docks
        self._around = None
        self._idle, self._shares = [], None
        for dock in docks.values():
            dock.setFloating(False)  # before: a dock that was taken out stays afloat
            window.removeDockWidget(dock)
        window.addDockWidget(Qt.DockWidgetArea.LeftDockWidgetArea, docks["catalogue"])
        window.addDockWidget(Qt.DockWidgetArea.RightDockWidgetArea, docks["knobs"])
        window.splitDockWidget(docks["knobs"], docks["controls"], Qt.Orientation.Vertical)
        window.addDockWidget(Qt.DockWidgetArea.BottomDockWidgetArea, docks["curves"])
        window.splitDockWidget(docks["curves"], docks["objective"], Qt.Orientation.Horizontal)
        window.tabifyDockWidget(docks["curves"], docks["data"])
        window.tabifyDockWidget(docks["curves"], docks["log"])
        for dock in docks.values():
            dock.show()
        docks["curves"].raise_()
        window.resizeDocks([docks["catalogue"], docks["knobs"]], [218, 320], Qt.Orientation.Horizontal)
        window.resizeDocks([docks["knobs"], docks["controls"]], [375, 315], Qt.Orientation.Vertical)
        window.resizeDocks([docks["curves"]], [230], Qt.Orientation.Vertical)
        window.resizeDocks([docks["curves"], docks["objective"]], [440, 350], Qt.Orientation.Horizontal)
        self._stage.arrange()

    def show_stage_alone(self, on: bool) -> None:
        """Hides what is around the stage, or brings back exactly what was there."""
        if on:
            self._around = self._window.saveState()
            for dock in self._docks.values():
                if not dock.isFloating():
                    dock.hide()
        elif self._around is not None:
            self._window.restoreState(self._around)
            self._around = None

    def suit(self, trains: bool, knobs: bool = True) -> None:
        """Closes the docks that stay empty where a study learns nothing, or has no knobs either, and opens those again
        for one that does."""
        if self._around is not None:
            return
        empty = [] if trains else ["curves", "data", "log", *([] if knobs else ["knobs"])]
        back = [dock for dock in self._idle if dock not in [self._docks[name] for name in empty]]
        beside, below = (
            [self._docks[name] for name in pair] for pair in (("curves", "objective"), ("knobs", "controls"))
        )
        if empty and not self._idle:
            self._shares = [dock.width() for dock in beside], [dock.height() for dock in below]
        for dock in back:
            dock.show()
        if self._docks["curves"] in back:
            self._docks["curves"].raise_()
        if back and self._shares is not None:
            self._window.resizeDocks(beside, self._shares[0], Qt.Orientation.Horizontal)
            self._window.resizeDocks(below, self._shares[1], Qt.Orientation.Vertical)
        self._idle = [dock for dock in self._idle if dock not in back]
        for dock in (self._docks[name] for name in empty):
            if not dock.isHidden() and not dock.isFloating():
                self._idle.append(dock)
                dock.hide()

    # ---- between two starts ----

    def restore_stage(self) -> None:
        """The stage's layout of the open study, if one was kept."""
        state = self._settings.text(self._key())
        if state:
            self._stage.restore_layout(QByteArray.fromBase64(state.encode()))

    def remember_stage(self) -> None:
        if self._stage.study:
            self._settings.set(self._key(), _text(self._stage.layout_state()))

    def restore(self) -> None:
        """Size and docks as they were when the window was closed."""
        if self._settings.values.get("layout") != VERSION:
            self._window.resize(self._window.sizeHint())
            return
        geometry, state = self._settings.text("geometry"), self._settings.text("docks")
        if geometry:
            self._window.restoreGeometry(QByteArray.fromBase64(geometry.encode()))
        if state:
            self._window.restoreState(QByteArray.fromBase64(state.encode()))

    def remember(self) -> None:
        """Keeps the present layout and theme in the settings."""
        self.suit(True)
        self._settings.set("layout", VERSION)
        self._settings.set("theme", theme.mode)
        self._settings.set("geometry", _text(self._window.saveGeometry()))
        self._settings.set("docks", _text(self._window.saveState() if self._around is None else self._around))
        self.remember_stage()

    def _key(self) -> str:
        return f"stage-{self._stage.study}"


def _text(data: QByteArray) -> str:
    return bytes(data.toBase64().data()).decode()
