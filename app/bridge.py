"""The engine's thread as a Qt object: reports become calls on the GUI thread. Knows no window.

The engine wakes the GUI with one queued signal when its outbox goes from empty to non-empty, never one per report.
"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable
from typing import Any, TypeVar

from PySide6.QtCore import QObject, Qt, Signal

from app.garbage import Garbage
from engine.mailbox import Inbox
from engine.messages import Opened, Report, Shutdown
from engine.worker import Engine

R = TypeVar("R", bound=Report)

SWITCH_INTERVAL = 0.0005
"""Seconds after which Python hands its lock to a waiting thread: ten times the usual rate keeps the GUI's tick even
beside training, for two per cent of the steps (measured)."""


class Bridge(QObject):
    """Owns the engine. ``on`` registers who hears a kind of report."""

    _woken = Signal()

    def __init__(self, parent: QObject | None = None, threads: int | None = None) -> None:
        super().__init__(parent)
        self._handlers: dict[type[Report], list[Callable[[Any], None]]] = {}
        self._reports: deque[Report] = deque()
        self._stopped = False
        self._engine = Engine(self._wake, threads, warm=True)
        self._garbage = Garbage(self)
        self.on(Opened, lambda _: self._garbage.soon())
        self._woken.connect(self._drain, Qt.ConnectionType.QueuedConnection)

    @property
    def inbox(self) -> Inbox:
        return self._engine.inbox

    def start(self) -> None:
        """Starts the thread; torch is imported there. Nothing happens after :meth:`stop`."""
        if self._stopped:
            return
        sys.setswitchinterval(SWITCH_INTERVAL)
        self._garbage.start()
        self._engine.start()

    def on(self, kind: type[R], handler: Callable[[R], None]) -> None:
        """``handler`` is called on the GUI thread with every report of ``kind``."""
        self._handlers.setdefault(kind, []).append(handler)

    def stop(self, timeout: float = 10.0) -> bool:
        """Ends the engine's thread, which saves what is unsaved; whether it ended in time. Nobody hears of it more."""
        self._stopped = True
        self._handlers.clear()
        self._reports.clear()
        if self._engine.is_alive():
            self._engine.inbox.post(Shutdown())
            self._engine.join(timeout)
        ended = not self._engine.is_alive()
        if ended:  # one that goes on must not collect
            self._garbage.stop()
        return ended

    def _wake(self) -> None:
        """Called on the engine's thread, which may outlive this object if it does not end in time."""
        if not self._stopped:
            self._woken.emit()

    def _drain(self) -> None:
        """Hands every report on, in order, even where a handler runs an event loop of its own or fails."""
        if self._stopped:
            return
        self._reports.extend(self._engine.outbox.drain())
        try:
            while self._reports:
                report = self._reports.popleft()
                for handler in self._handlers.get(type(report), ()):
                    handler(report)
        finally:
            if self._reports:  # a handler failed: the others' reports are not lost with it
                self._woken.emit()
