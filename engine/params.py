"""Knobs: how a study declares its hyper-parameters. Plain data; knows neither torch nor a form.

A study's ``Params`` is a dataclass whose fields are made by :func:`knob`; :func:`knobs_of` reads them back
as :class:`Knob` values that a form, the command line or a run's ``config.json`` can use.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

Value = int | float | bool | str

DRAWING_LIMIT = 40_000
"""Characters: about four thousand points."""
PATH_LIMIT = 4096
"""Characters of a path."""
_ON = ("1", "true", "on", "yes")
_OFF = ("0", "false", "off", "no")


class BadValue(ValueError):
    """A value that a knob or control refuses; the message is one line that names it and says what to do."""


@dataclass(frozen=True)
class Knob:
    """One hyper-parameter: ``kind`` is ``int``, ``float``, ``bool``, ``choice``, ``drawing`` or ``path``; ``lo`` and
    ``hi`` are inclusive. A drawing is a text that :func:`strokes` reads; a path names a file, '' none: whether it is
    there is found out by who reads it."""

    name: str
    kind: str
    default: Value
    text: str
    lo: float | None = None
    hi: float | None = None
    symbol: str = ""
    live: bool = False
    log: bool = False
    choices: tuple[str, ...] = ()

    def check(self, value: Any) -> Value:
        """The value in this knob's own type, or :class:`BadValue`."""
        return check_value(self.name, self.kind, value, self.lo, self.hi, self.choices)

    def parse(self, text: str) -> Value:
        """The value that a person typed, or :class:`BadValue`."""
        return self.check(parse_value(self.name, self.kind, text))


def check_value(
    name: str, kind: str, value: Any, lo: float | None, hi: float | None, choices: tuple[str, ...] = ()
) -> Value:
    """``value`` converted to ``kind`` if it lies in range, else :class:`BadValue` naming ``name``."""
    if kind == "bool":
        if not isinstance(value, bool):
            raise BadValue(f"{name}: {value!r} is not on or off")
        return value
    if kind == "drawing":
        try:
            strokes(str(value))
        except ValueError as e:
            raise BadValue(f"{name}: {e}") from None
        return str(value)
    if kind == "path":
        if not isinstance(value, str) or len(value) > PATH_LIMIT or not value.isprintable():
            raise BadValue(f"{name}: {str(value)[:40]!r} is not the path of a file")
        return value
    if kind == "choice":
        if value not in choices:
            raise BadValue(f"{name}: {value!r} is not one of {', '.join(choices)}")
        return str(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise BadValue(f"{name}: {value!r} is not a number")
    if not math.isfinite(value):
        raise BadValue(f"{name}: {value!r} is not a finite number")
    if kind == "int" and value != int(value):
        raise BadValue(f"{name}: {value!r} is not a whole number")
    if (lo is not None and value < lo) or (hi is not None and value > hi):
        raise BadValue(f"{name}: {value:g} is outside {_range(lo, hi)}")
    return int(value) if kind == "int" else float(value)


def parse_value(name: str, kind: str, text: str) -> Value:
    """What ``text`` means for a value of ``kind``; range and choices are not looked at."""
    text = text.strip()
    if kind == "bool":
        if text.lower() not in _ON + _OFF:
            raise BadValue(f"{name}: {text!r} is not on or off")
        return text.lower() in _ON
    if kind in ("choice", "drawing", "path"):
        return text
    try:
        return int(text) if kind == "int" else float(text)
    except ValueError:
        what = "a whole number" if kind == "int" else "a number"
        raise BadValue(f"{name}: {text!r} is not {what}") from None


def strokes(drawing: str) -> list[list[tuple[float, float]]]:
    """The lines of a drawing: points (x, y), each within -1..1, y up. In the text a point is ``x,y``, points are parted
    by spaces and lines by semicolons; empty: nothing is drawn. ValueError in one line for anything else."""
    if len(drawing) > DRAWING_LIMIT:
        raise ValueError(f"the drawing is longer than {DRAWING_LIMIT:,} characters; draw less, or clear it")
    lines = []
    for line in filter(None, (part.strip() for part in drawing.split(";"))):
        points = []
        for point in line.split():
            x, comma, y = point.partition(",")
            try:
                place = (float(x), float(y))
            except ValueError:
                place = (math.nan, math.nan)
            if not comma or not all(-1 <= c <= 1 for c in place):
                raise ValueError(f"{point[:20]!r} is not a point x,y within -1..1")
            points.append(place)
        lines.append(points)
    return lines


def _range(lo: float | None, hi: float | None) -> str:
    if lo is None:
        return f"the range up to {hi:g}"
    return f"the range from {lo:g}" + ("" if hi is None else f" to {hi:g}")


def knob(
    default: Value,
    text: str,
    *,
    lo: float | None = None,
    hi: float | None = None,
    symbol: str = "",
    live: bool = False,
    log: bool = False,
    choices: tuple[str, ...] = (),
    drawing: bool = False,
    path: bool = False,
) -> Any:
    """A dataclass field that is a knob: ``text`` is its one sentence, ``symbol`` the paper's, in LaTeX.

    ``live`` knobs apply while training goes on; the others rebuild the study. ``log`` asks for a logarithmic slider;
    ``drawing`` makes a knob of text one that is drawn with the mouse, ``path`` one that names a file.
    """
    if drawing:
        kind = "drawing"
    elif path:
        kind = "path"
    elif choices:
        kind = "choice"
    elif isinstance(default, bool):
        kind = "bool"
    else:
        kind = "int" if isinstance(default, int) else "float"
    meta = dict(kind=kind, text=text, lo=lo, hi=hi, symbol=symbol, live=live, log=log, choices=tuple(choices))
    return dataclasses.field(default=default, metadata={"knob": meta})


def knobs_of(params: type) -> tuple[Knob, ...]:
    """The knobs of a ``Params`` dataclass, in the order in which it declares them."""
    return tuple(
        Knob(name=f.name, default=cast(Value, f.default), **f.metadata["knob"])
        for f in dataclasses.fields(params)
        if "knob" in f.metadata
    )


def with_values(params: type, values: Mapping[str, Any]) -> Any:
    """A ``Params`` with ``values`` in place of the defaults; :class:`BadValue` for an unknown name or bad value."""
    known = {k.name: k for k in knobs_of(params)}
    for name in values:
        if name not in known:
            raise BadValue(f"{name}: no such knob; there are {', '.join(known) or 'none'}")
    return params(**{name: known[name].check(value) for name, value in values.items()})
