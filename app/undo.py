"""Steps of undo: a knob or control before and after a gesture, and what a view has edited. Knows neither."""

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


class Edit(QUndoCommand):
    """A step that a view has taken by itself and can take back: the first ``redo``, by the push, has been done."""

    def __init__(self, text: str, redo: Callable[[], object], undo: Callable[[], object]) -> None:
        super().__init__(text)
        self._redo, self._undo = redo, undo
        self._done = True

    def redo(self) -> None:
        if not self._done:
            self._redo()
        self._done = True

    def undo(self) -> None:
        self._undo()
        self._done = False
