"""A control that keeps what lies on one side of some planes: a view's clipping box, told to the engine. Plain data.

It is a control like those of :mod:`engine.probes`. A plane (a, b, c, w) keeps the places p with (a, b, c) . p + w >= 0.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from engine.params import BadValue
from engine.probes import Control, Knobs

MOST_PLANES = 7
"""As many as a view can draw."""
Plane = tuple[float, float, float, float]


@dataclass(frozen=True)
class Crop(Control):
    """Planes that crop what is shown, one for all probes of a study. Value: the text ``a,b,c,w;a,b,c,w;...`` with at
    most :data:`MOST_PLANES` planes, which :func:`planes_of` reads; '' crops nothing."""

    shared: ClassVar[bool] = True
    of_data: ClassVar[bool] = True

    def initial(self, knobs: Knobs) -> str:
        return ""

    def check(self, name: str, value: object, knobs: Knobs) -> str:
        try:
            planes_of(str(value))
        except BadValue as e:
            raise BadValue(f"{name}: {e}") from None
        return str(value)

    def parse(self, name: str, text: str, knobs: Knobs) -> str:
        return self.check(name, text.strip(), knobs)


def planes_of(text: str) -> tuple[Plane, ...]:
    """The planes of a :class:`Crop`'s value, their normals of length 1; BadValue in one line where it is none."""
    found = []
    for part in filter(None, (part.strip() for part in text.split(";"))):
        try:
            a, b, c, w = (float(number) for number in part.split(","))
        except ValueError:
            raise BadValue(f"{part[:40]!r} is not a plane a,b,c,w, such as 0,0,1,0.5") from None
        size = math.hypot(a, b, c)
        if not all(math.isfinite(v) and abs(v) <= 1e6 for v in (a, b, c, w)):
            raise BadValue(f"{part[:40]!r} has a number that is not finite or beyond a million")
        if size < 1e-9:
            raise BadValue(f"{part[:40]!r} has no direction: a, b and c are all 0")
        found.append((a / size, b / size, c / size, w / size))
    if len(found) > MOST_PLANES:
        raise BadValue(f"has {len(found)} planes; there can be {MOST_PLANES} at most")
    return tuple(found)


def planes_text(planes: Iterable[Sequence[float]]) -> str:
    """The value of a :class:`Crop` with these planes, to six digits."""
    return ";".join(",".join(f"{float(v) + 0.0:.6g}" for v in plane) for plane in planes)
