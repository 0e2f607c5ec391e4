"""Writes down whatever goes wrong while a window is driven: Qt's warnings, exceptions, failures of the engine.

Knows no window; what it hears it passes on to whoever listened before.
"""

from __future__ import annotations

import sys
import threading
import traceback
from types import TracebackType
from typing import Any

from PySide6.QtCore import QMessageLogContext, QtMsgType, qInstallMessageHandler

from engine.messages import Failure

_HARMLESS = (QtMsgType.QtDebugMsg, QtMsgType.QtInfoMsg)


class Watch:
    """A context; ``complaints`` has one line per trouble, ``failures`` the engine's reports among them."""

    def __init__(self) -> None:
        self.complaints: list[str] = []
        self.failures: list[Failure] = []
        self._where = ""
        self._counts: dict[str, int] = {}
        self._before: tuple[Any, Any, Any] = (None, None, None)
        self._messages: Any = None

    def at(self, where: str) -> None:
        """What is being done now: it goes before the complaints that follow."""
        self._where = where

    def complain(self, text: str) -> None:
        """One more trouble; the same one again is only counted."""
        self._counts[text] = self._counts.get(text, 0) + 1
        if self._counts[text] == 1:
            self.complaints.append(f"{self._where}: {text}" if self._where else text)

    def failed(self, failure: Failure) -> None:
        """Hears a Failure report of the engine."""
        self.failures.append(failure)
        self.complain(f"{failure.title}: {failure.reason}" + (f"\n{failure.detail}" if failure.fault else ""))

    def __enter__(self) -> Watch:
        self._before = (sys.excepthook, threading.excepthook, sys.unraisablehook)
        sys.excepthook = self._raised
        threading.excepthook = self._raised_in_thread
        sys.unraisablehook = self._unraisable
        self._messages = qInstallMessageHandler(self._message)
        return self

    def __exit__(self, kind: type[BaseException] | None, e: BaseException | None, tb: TracebackType | None) -> None:
        sys.excepthook, threading.excepthook, sys.unraisablehook = self._before
        qInstallMessageHandler(self._messages)

    def _message(self, kind: QtMsgType, context: QMessageLogContext, text: str) -> None:
        if kind not in _HARMLESS:
            self.complain(f"Qt says: {text}")
        if self._messages is not None:
            self._messages(kind, context, text)

    def _raised(self, kind: type[BaseException], e: BaseException, tb: TracebackType | None) -> None:
        self.complain("".join(traceback.format_exception(kind, e, tb)))

    def _raised_in_thread(self, args: threading.ExceptHookArgs) -> None:
        name = args.thread.name if args.thread is not None else "?"
        lines = traceback.format_exception(args.exc_type, args.exc_value, args.exc_traceback)
        self.complain(f"in thread {name}: " + "".join(lines))

    def _unraisable(self, args: Any) -> None:
        lines = traceback.format_exception(args.exc_type, args.exc_value, args.exc_traceback)
        self.complain(f"{args.err_msg or 'ignored'} {args.object!r}: " + "".join(lines))
