"""The view lane on Qt's side: asks by key, answers on the window's thread. Knows no job; see ``engine/lane.py``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from PySide6.QtCore import QObject, Qt, Signal

from engine.lane import Lane


class ViewLane(QObject):
    """Runs jobs for a view on a thread of its own, which begins with the first ask and ends with this object."""

    failed = Signal(str, str)
    """A job that broke down and whom nobody asked about: its key, and why in one line."""
    _woken = Signal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._lane = Lane(self._wake)
        self._waiting: dict[str, tuple[int, Callable[[Any], None], Callable[[str], None] | None]] = {}
        self._woken.connect(self._read, Qt.ConnectionType.QueuedConnection)
        lane = self._lane
        self.destroyed.connect(lambda: lane.stop())

    def ask(
        self, key: str, job: str, then: Callable[[Any], None], failed: Callable[[str], None] | None = None, /,
        **arguments: Any,
    ) -> None:  # fmt: skip
        """Runs ``job(**arguments)`` and calls ``then`` with its answer on this thread; an older ask of the same key
        that is not answered yet is dropped. ``failed`` is called with one line where it breaks down."""
        self._waiting[key] = (self._lane.ask(key, job, **arguments), then, failed)

    def cancel(self, key: str) -> None:
        """Its answer is not wanted any more."""
        self._waiting.pop(key, None)
        self._lane.cancel(key)

    @property
    def busy(self) -> bool:
        return bool(self._waiting)

    def stop(self) -> None:
        """Ends the thread; what is unanswered stays so."""
        self._waiting.clear()
        self._lane.stop()

    def _wake(self) -> None:
        """On the lane's thread."""
        try:
            self._woken.emit()
        except RuntimeError:
            pass  # the view went away at this very moment: nobody waits for the answer any more

    def _read(self) -> None:
        for answer in self._lane.drain():
            number, then, failed = self._waiting.get(answer.key, (-1, None, None))
            if number != answer.number:
                continue
            del self._waiting[answer.key]
            if not answer.failure:
                if then is not None:
                    then(answer.value)
            elif failed is not None:
                failed(answer.failure)
            else:
                self.failed.emit(answer.key, answer.failure)
