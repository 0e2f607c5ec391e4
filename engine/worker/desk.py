"""What the parts of the worker share: the open session, its epoch, the boxes, and how a failure is told."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from engine.mailbox import Inbox, Outbox
from engine.messages import Report
from engine.params import BadValue
from engine.worker.failures import failure, out_of_memory, release

if TYPE_CHECKING:
    from engine.session import Session


class Desk:
    """``session`` is what is open, built as ``epoch``; ``training`` whether it is being trained."""

    def __init__(self, inbox: Inbox, outbox: Outbox) -> None:
        self.inbox = inbox
        self.outbox = outbox
        self.session: Session | None = None
        self.epoch = 0
        self.training = False
        self._told: dict[str, str] = {}

    def put(self, report: Report) -> None:
        self.outbox.put(report)

    def need_session(self) -> Session:
        if self.session is None:
            raise BadValue("no study is open; choose one in the catalogue")
        return self.session

    def fail(self, e: BaseException, where: str, title: str, slot: str = "", seq: int = 0, once: str = "") -> None:
        """Tells of a failure and, where memory ran out, gives back what can be. What is tried again and again has a
        name ``once``: it is told again only when the reason changes or after :meth:`fine`."""
        report = failure(e, where, title, slot, self.epoch, seq)
        if out_of_memory(e):
            release(e)
            if self.session is not None:
                self.session.free(gradients=where == "train")
        if once:
            if self._told.get(once) == report.reason:
                return
            self._told[once] = report.reason
        self.put(report)

    def fine(self, once: str = "") -> None:
        """What has the name ``once`` works again; without a name, everything starts afresh."""
        if once:
            self._told.pop(once, None)
        else:
            self._told.clear()

    def guard(
        self, do: Callable[[], object], where: str, title: str, slot: str = "", seq: int = 0, once: str = ""
    ) -> bool:
        """Runs ``do``; what it raises is told as a failure. Whether it went well."""
        try:
            do()
        except Exception as e:  # noqa: BLE001  # failures are values: the window survives whatever a study or disk raises
            self.fail(e, where, title, slot, seq, once)
            return False
        if once:
            self.fine(once)
        return True
