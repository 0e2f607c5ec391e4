"""marks.csv of a run: what happened at which step, in words, a line each. Knows no study.

Lines are appended as they come; a last one that was cut off, or that is no mark, is left out when they are read.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path

from engine.messages import Mark

NAME = "marks.csv"
HEADER = ("step", "text")


def append(folder: Path, marks: Iterable[Mark]) -> None:
    """Adds marks to the run in ``folder``; OSError where the disk refuses."""
    path = folder / NAME
    new = not path.exists()
    with open(path, "a", encoding="utf-8", newline="") as f:
        f.write(text_of(marks, header=new))


def read(folder: Path) -> tuple[Mark, ...]:
    """The marks of the run in ``folder`` in the order in which they were made; () where there are none."""
    try:
        with open(folder / NAME, encoding="utf-8", errors="replace", newline="") as f:
            text = f.read()
    except OSError:
        return ()
    rows = csv.reader(io.StringIO(text[: text.rfind("\n") + 1]))
    return tuple(Mark(int(row[0]), row[1]) for row in rows if len(row) == 2 and row[0].isdecimal())


def until(marks: Sequence[Mark], step: int) -> tuple[Mark, ...]:
    """Those that were made up to ``step``."""
    return tuple(mark for mark in marks if mark.step <= step)


def text_of(marks: Iterable[Mark], header: bool = True) -> str:
    """The file that holds these marks, or lines to be added to it."""
    out = io.StringIO()
    rows = csv.writer(out, lineterminator="\n")
    rows.writerows([HEADER] if header else [])
    rows.writerows((mark.step, mark.text) for mark in marks)
    return out.getvalue()
