"""The commands that work without a window: the same engine thread, driven by messages. Knows no Qt and no torch."""

from __future__ import annotations

FAULT, BAD_INPUT, DIVERGED, INTERRUPTED = 1, 2, 3, 130


class CommandError(Exception):
    """A command that ends early: the message is its one line on stderr, ``code`` its exit code, ``detail`` a traceback
    where the program, not its input, is to blame."""

    def __init__(self, reason: str, code: int = BAD_INPUT, detail: str = "") -> None:
        super().__init__(" ".join(reason.split()))
        self.code = code
        self.detail = detail
