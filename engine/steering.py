"""Controls that steer a generator: a spot in a square, the key frames of a path, directions with names. Plain data.

They are controls like those of :mod:`engine.probes`; apart because they are about codes.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from engine.params import BadValue
from engine.probes import Control, Knobs

EASINGS = ("smooth", "linear", "slow start", "slow end", "hold")
"""How the way from one key frame to the next is covered; ``hold`` stays and jumps."""
MOST_KEYS, MOST_STEPS = 40, 240
MOST_DIRECTIONS, MOST_NUMBERS, REACH = 64, 8192, 20.0
LAST_SEED = 2**31 - 1

KeyFrame = tuple[int, int, str]
"""The seed of a code, in how many steps the next one is reached, and how (one of :data:`EASINGS`)."""
_CURVES: dict[str, Callable[[float], float]] = {
    "smooth": lambda t: t * t * (3 - 2 * t),
    "linear": lambda t: t,
    "slow start": lambda t: t * t,
    "slow end": lambda t: t * (2 - t),
    "hold": lambda t: float(t >= 1),
}


def eased(t: float, easing: str) -> float:
    """How much of the way to the next key frame is covered after the part ``t`` (0..1) of the time."""
    return _CURVES[easing](t)


@dataclass(frozen=True)
class Spot(Control):
    """A place in the unit square. Value: (u, v), each in 0..1; u goes right and v down, as in a picture."""

    default: tuple[float, float] = (0.5, 0.5)

    def initial(self, knobs: Knobs) -> tuple[float, float]:
        return self.default

    def check(self, name: str, value: Any, knobs: Knobs) -> tuple[float, float]:
        try:
            u, v = (float(part) for part in value)
        except (TypeError, ValueError):
            raise BadValue(f"{name}: {str(value)[:40]!r} is not a place u,v") from None
        if not (math.isfinite(u) and math.isfinite(v)):
            raise BadValue(f"{name}: has a number that is not finite")
        return min(max(u, 0.0), 1.0), min(max(v, 0.0), 1.0)

    def parse(self, name: str, text: str, knobs: Knobs) -> tuple[float, float]:
        """``u,v``"""
        parts = text.split(",")
        return self.check(name, parts if len(parts) == 2 else text, knobs)


@dataclass(frozen=True)
class KeyFrames(Control):
    """The codes that a film passes through, by their seeds. Value: tuple of :data:`KeyFrame`, two at least."""

    default: tuple[KeyFrame, ...] = ((1, 24, "smooth"), (2, 24, "smooth"), (3, 24, "smooth"))

    def initial(self, knobs: Knobs) -> tuple[KeyFrame, ...]:
        return self.default

    def check(self, name: str, value: Any, knobs: Knobs) -> tuple[KeyFrame, ...]:
        try:
            keys = tuple((int(seed), int(steps), str(easing)) for seed, steps, easing in value)
        except (TypeError, ValueError):
            raise BadValue(f"{name}: {str(value)[:40]!r} is not a list of seed:steps:easing") from None
        if not 2 <= len(keys) <= MOST_KEYS:
            raise BadValue(f"{name}: has {len(keys)} key frames; a path has 2 to {MOST_KEYS}")
        for seed, steps, easing in keys:
            if not 0 <= seed <= LAST_SEED:
                raise BadValue(f"{name}: the seed {seed} is outside the range from 0 to {LAST_SEED}")
            if not 1 <= steps <= MOST_STEPS:
                raise BadValue(f"{name}: {steps} steps from a key frame to the next; 1 to {MOST_STEPS} can be")
            if easing not in EASINGS:
                raise BadValue(f"{name}: {easing!r} is not one of {', '.join(EASINGS)}")
        return keys

    def parse(self, name: str, text: str, knobs: Knobs) -> tuple[KeyFrame, ...]:
        """``seed:steps:easing;...``; steps and easing may be left out."""
        keys = []
        for part in filter(None, text.split(";")):
            seed, *rest = part.split(":")
            keys.append((seed, rest[0] if rest else 24, rest[1] if len(rest) > 1 else EASINGS[0]))
        return self.check(name, keys, knobs)


@dataclass(frozen=True)
class Direction:
    """A direction with a name: ``vector`` of length 1 in the ``space`` of codes of so many numbers, and the
    ``amount`` of it, in the typical size of a code there, within +-:data:`REACH`."""

    name: str
    vector: tuple[float, ...]
    space: str = "z"
    amount: float = 0.0

    def moved(self, amount: float) -> Direction:
        return replace(self, amount=min(max(float(amount), -REACH), REACH))


@dataclass(frozen=True)
class Directions(Control):
    """The directions that the person has kept, and how far to go along each. Value: tuple of :class:`Direction`."""

    shared: ClassVar[bool] = True

    def initial(self, knobs: Knobs) -> tuple[Direction, ...]:
        return ()

    def check(self, name: str, value: Any, knobs: Knobs) -> tuple[Direction, ...]:
        try:
            kept = tuple(self._direction(part) for part in value)
        except BadValue as e:
            raise BadValue(f"{name}: {e}") from None
        except (TypeError, ValueError, LookupError):
            raise BadValue(f"{name}: {str(value)[:40]!r} is not a list of directions") from None
        if len(kept) > MOST_DIRECTIONS:
            raise BadValue(f"{name}: {len(kept)} directions are more than {MOST_DIRECTIONS}")
        titles = [direction.name for direction in kept]
        for title in titles:
            if not title.strip() or len(title) > 60:
                raise BadValue(f"{name}: a direction needs a name of 1 to 60 letters")
            if titles.count(title) > 1:
                raise BadValue(f"{name}: two directions are called {title!r}")
        return kept

    def parse(self, name: str, text: str, knobs: Knobs) -> tuple[Direction, ...]:
        """The JSON that :func:`directions_text` writes."""
        try:
            return self.check(name, json.loads(text), knobs)
        except (ValueError, RecursionError) as e:
            raise e if isinstance(e, BadValue) else BadValue(f"{name}: {text[:40]!r} is not JSON") from None

    def _direction(self, part: Any) -> Direction:
        if not isinstance(part, Direction):
            if not isinstance(part, Mapping):
                raise TypeError
            vector = tuple(float(v) for v in part["vector"])
            part = Direction(str(part["name"]), vector, str(part.get("space", "z")), float(part.get("amount", 0.0)))
        length = math.hypot(*part.vector)  # in C: this is done for every move of a slider
        if not (0 < len(part.vector) <= MOST_NUMBERS and math.isfinite(length) and length > 0):
            raise BadValue(f"the direction {part.name!r} has no vector of 1 to {MOST_NUMBERS} finite numbers")
        if not math.isfinite(part.amount):
            raise BadValue(f"the amount of {part.name!r} is not finite")
        if abs(length - 1) > 1e-4:
            part = replace(part, vector=tuple(v / length for v in part.vector))
        return part.moved(part.amount)


def directions_text(directions: tuple[Direction, ...]) -> str:
    """Directions as JSON: a list of objects with ``name``, ``space``, ``vector`` and ``amount``."""
    return json.dumps(
        [{"name": d.name, "space": d.space, "amount": d.amount, "vector": list(d.vector)} for d in directions]
    )


def fresh_name(name: str, taken: Collection[str]) -> str:
    """``name`` where nobody has it, else with the first number that makes it one that nobody has."""
    tries = (f"{name[: 60 - len(tail)]}{tail}" for tail in ("", *(f" {i}" for i in range(2, len(taken) + 3))))
    return next(one for one in tries if one not in taken)


def joined(kept: tuple[Direction, ...], more: tuple[Direction, ...]) -> tuple[Direction, ...]:
    """``more`` behind those that are ``kept``: a name that is taken gets a number, one that is there already, the same
    vector in the same space, is not taken twice."""
    whole = list(kept)
    for one in more:
        if not any(d.vector == one.vector and d.space == one.space for d in whole):
            whole.append(replace(one, name=fresh_name(one.name, [d.name for d in whole])))
    return tuple(whole)
