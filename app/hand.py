"""Tells the engine that a hand is about to ask: a mouse button went down in the window. Knows no control.

A click asks when the button comes up again, a tenth of a second later; by then the training step under way has mostly
ended, and with no other begun, the answer is as quick as while nothing trains.
"""

from __future__ import annotations

from PySide6.QtCore import QEvent, QObject
from PySide6.QtWidgets import QWidget

from app.workbench import Workbench
from engine.messages import HandDown


class Hand(QObject):
    """Listens at the native window, where a press is one event, whichever widget it is for. ``window`` is on screen."""

    def __init__(self, window: QWidget, bench: Workbench) -> None:
        super().__init__(window)
        self._bench = bench
        window.windowHandle().installEventFilter(self)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() == QEvent.Type.MouseButtonPress and self._bench.training:
            self._bench.bridge.inbox.post(HandDown())
        return False
