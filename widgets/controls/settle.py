"""Tells a moving hand from a hand at rest. Knows neither what moves nor who listens.

Every control follows one manner: ``moved`` at each change, then ``settled`` once the hand has rested.
"""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import QObject, QTimer, Signal

SETTLE_MS = 150
"""Rest, in milliseconds, after which a moving hand counts as still."""


class Settle(QObject):
    """Keeps the latest value and hands it on after a rest: the newest wins, the last one always arrives, once."""

    settled = Signal(object)

    def __init__(self, parent: QObject, delay_ms: int = SETTLE_MS) -> None:
        super().__init__(parent)
        self._value: Any = None
        self._pending = False
        self._delay = delay_ms
        self._timer: QTimer | None = None

    @property
    def pending(self) -> bool:
        """Whether a value waits to be handed on."""
        return self._pending

    def touch(self, value: Any, wait: bool = True) -> None:
        """The hand moved to ``value``; the rest starts anew. Without ``wait`` only :meth:`flush` ends the gesture."""
        self._value = value
        self._pending = True
        if not wait:
            return
        if self._timer is None:  # made late: a form of 64 sliders seldom has more than one that moves
            self._timer = QTimer(self)
            self._timer.setSingleShot(True)
            self._timer.timeout.connect(self.flush)
        self._timer.start(self._delay)

    def flush(self) -> None:
        """Hands on the waiting value now; nothing happens where none waits."""
        value, pending = self._value, self._pending
        self.cancel()
        if pending:
            self.settled.emit(value)

    def cancel(self) -> None:
        """Forgets the waiting value."""
        self._value = None
        self._pending = False
        if self._timer is not None:
            self._timer.stop()
