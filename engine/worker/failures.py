"""From an exception to a :class:`Failure`, one clear line for the person. Knows no study and no session."""

from __future__ import annotations

import sys
import traceback
from typing import Any

from engine.messages import Failure

EXPECTED = {"BadValue", "DataError", "RunError", "OpenError", "ExportError", "Diverged", "NotFinite", "SceneFileError"}
"""Exceptions whose message was written for the person. By name: their modules import torch, this one must not."""


def failure(e: BaseException, where: str, title: str, slot: str, epoch: int, seq: int) -> Failure:
    """What ``e`` is told as. Traceback and all go into ``detail``; ``fault`` where the input is not to blame."""
    reason, advice = str(e) or type(e).__name__, ""
    if isinstance(e, KeyError) and e.args:
        reason = str(e.args[0])  # KeyError's own text is in quotes
    if out_of_memory(e):
        title, reason = "Out of memory", reason.splitlines()[0]
        advice = "Lower the batch, the width or the picture's size, then go on; the weights are as they were."
    elif not expected(e):
        reason = f"{type(e).__name__}: {reason.splitlines()[0]}"
        advice = "This is a fault of the program or the machine; the log has the details."
    detail = "".join(traceback.format_exception(e))
    return Failure(where, title, reason, advice, slot, epoch, seq, detail=detail, fault=not expected(e))


def out_of_memory(e: BaseException) -> bool:
    """Whether ``e`` says that memory ran out: Python's, torch's on a GPU, or torch's CPU allocator's."""
    torch: Any = sys.modules.get("torch")
    if isinstance(e, MemoryError) or (torch is not None and isinstance(e, torch.OutOfMemoryError)):
        return True
    # A library on the GPU that cannot get its own work space says so in words of its own.
    words = ("can't allocate memory", "STATUS_ALLOC_FAILED", "out of memory")
    return isinstance(e, RuntimeError) and any(word in str(e) for word in words)


def expected(e: BaseException) -> bool:
    """Whether the message was written for the person: a bad value, file, run or data set."""
    return any(cls.__name__ in EXPECTED for cls in type(e).__mro__)


def release(e: BaseException | None) -> None:
    """Empties the frames that ``e`` came through: they hold the very arrays that memory ran out for."""
    seen: set[int] = set()
    while e is not None and id(e) not in seen:
        seen.add(id(e))
        traceback.clear_frames(e.__traceback__)
        e = e.__cause__ or e.__context__
