"""One step of undo: a knob or control before and after a gesture. Knows neither, only how to apply a value."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from PySide6.QtGui import QUndoCommand


class Change(QUndoCommand):
    """Applied by the stack when pushed, undone and redone. It leaves the stack once it does not fit any more, as a
    code of another size: ``apply`` then answers False."""

    def __init__(self, what: str, before: Any, after: Any, apply: Callable[[Any], bool]) -> None:
        super().__init__(f"change of {what}")
        self._before, self._after, self._apply = before, after, apply

    def redo(self) -> None:
        self.setObsolete(not self._apply(self._after))

    def undo(self) -> None:
        self.setObsolete(not self._apply(self._before))
