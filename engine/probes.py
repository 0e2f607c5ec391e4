"""Probes and their controls: how a study declares a question that can be put to its weights. Plain data.

``@probe(ImageGrid, z=Latent("latent"), refresh=0.5)`` marks a method of a study; :func:`probes_of` reads the
declarations back. Controls that are ``shared`` (latents, trees) are so by name between all probes of a study: moving
``z`` in one moves it in all. Every other control belongs to its probe.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeVar

from engine.params import BadValue, check_value, parse_value
from engine.payloads import Moment, Payload
from engine.shape_tree import EXAMPLE, check_tree

Knobs = Mapping[str, Any]
EVERY_CLASS, NO_CLASS = -1, -2
MASK_SIDE = 32
MASK_WORDS = ("centre", "left", "right", "top", "bottom", "none")
F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True)
class Control:
    """Base of all controls; ``text`` is the one sentence of its tool tip."""

    text: str = field(default="", kw_only=True)
    label: str = field(default="", kw_only=True)
    shared: ClassVar[bool] = False
    """Whether all probes of a study have one value of it."""
    of_data: ClassVar[bool] = False
    """Whether a value makes no sense with other data: it starts afresh with them."""

    def initial(self, knobs: Knobs) -> Any:
        """The value before anybody touched it."""
        raise NotImplementedError

    def check(self, name: str, value: Any, knobs: Knobs) -> Any:
        """``value`` in this control's type, or :class:`BadValue` naming ``name``."""
        raise NotImplementedError

    def parse(self, name: str, text: str, knobs: Knobs) -> Any:
        """What a person typed on the command line, checked."""
        raise NotImplementedError


@dataclass(frozen=True)
class Latent(Control):
    """A code z: as many numbers as the knob named ``size`` says. Value: tuple of float, within +-``reach``."""

    size: str = "latent"
    reach: float = 8.0
    shared: ClassVar[bool] = True

    def initial(self, knobs: Knobs) -> tuple[float, ...]:
        return (0.0,) * int(knobs[self.size])

    def check(self, name: str, value: Any, knobs: Knobs) -> tuple[float, ...]:
        n = int(knobs[self.size])
        try:
            z = tuple(float(v) for v in value)
        except (TypeError, ValueError):
            raise BadValue(f"{name}: {value!r} is not a list of numbers") from None
        if len(z) != n:
            raise BadValue(f"{name}: has {len(z)} numbers, the study's code has {n}")
        if not all(math.isfinite(v) for v in z):
            raise BadValue(f"{name}: has a number that is not finite")
        return tuple(min(max(v, -self.reach), self.reach) for v in z)

    def parse(self, name: str, text: str, knobs: Knobs) -> tuple[float, ...]:
        try:
            return self.check(name, [float(part) for part in text.split(",")], knobs)
        except ValueError as e:
            raise e if isinstance(e, BadValue) else BadValue(f"{name}: {text!r} is not numbers with commas") from None


@dataclass(frozen=True)
class Number(Control):
    """A number in ``lo``..``hi``; whole numbers where ``default`` is an int."""

    default: float
    lo: float
    hi: float
    log: bool = False

    @property
    def kind(self) -> str:
        return "int" if isinstance(self.default, int) else "float"

    def initial(self, knobs: Knobs) -> float:
        return self.default

    def check(self, name: str, value: Any, knobs: Knobs) -> Any:
        return check_value(name, self.kind, value, self.lo, self.hi)

    def parse(self, name: str, text: str, knobs: Knobs) -> Any:
        return self.check(name, parse_value(name, self.kind, text), knobs)


@dataclass(frozen=True)
class Steps(Number):
    """How many steps a timeline has."""

    default: float = 8
    lo: float = 2
    hi: float = 200


@dataclass(frozen=True)
class Seed(Number):
    """The seed of a probe's private random generator; drawn with a button that shuffles it."""

    default: float = 7
    lo: float = 0
    hi: float = 2**31 - 1


@dataclass(frozen=True)
class Label(Number):
    """A class of the data by its number; :data:`EVERY_CLASS` takes them in turn, :data:`NO_CLASS` names none.

    How many classes there are is known to the engine, which answers a number too high with a clear line.
    """

    default: float = EVERY_CLASS
    lo: float = NO_CLASS
    hi: float = 9_999
    every: str = "every class in turn"
    """What :data:`EVERY_CLASS` is called where it is chosen."""


@dataclass(frozen=True)
class Choice(Control):
    """One of some words; the first is the default."""

    options: tuple[str, ...]

    def initial(self, knobs: Knobs) -> str:
        return self.options[0]

    def check(self, name: str, value: Any, knobs: Knobs) -> Any:
        return check_value(name, "choice", value, None, None, self.options)

    def parse(self, name: str, text: str, knobs: Knobs) -> Any:
        return self.check(name, text.strip(), knobs)


@dataclass(frozen=True)
class Toggle(Control):
    """On or off."""

    default: bool = False

    def initial(self, knobs: Knobs) -> bool:
        return self.default

    def check(self, name: str, value: Any, knobs: Knobs) -> Any:
        return check_value(name, "bool", value, None, None)

    def parse(self, name: str, text: str, knobs: Knobs) -> Any:
        return self.check(name, parse_value(name, "bool", text), knobs)


@dataclass(frozen=True)
class Item(Control):
    """One image: ``held_out:12``, ``train:3`` or ``file:/path/to.png``, picked from thumbnails or dropped in; where
    codes are what is picked (``codes``), also ``seed:5``, the picture of the code that is drawn with that seed.

    Value: that string. Whether the index or file exists is found out by the engine, which answers with a clear line.
    """

    default: str = "held_out:0"
    codes: bool = False

    def initial(self, knobs: Knobs) -> str:
        return self.default

    def check(self, name: str, value: Any, knobs: Knobs) -> str:
        text = str(value)
        where, _, rest = text.partition(":")
        if where == "file" and rest:
            return text
        places = ("held_out", "train", *(("seed",) if self.codes else ()))
        if where in places and rest.isdecimal():
            if where == "seed" and (len(rest) > 10 or int(rest) > Seed.hi):
                raise BadValue(f"{name}: the seed {rest[:20]} is outside the range from 0 to {Seed.hi}")
            return text
        known = ", ".join(f"{place}:NUMBER" for place in places)
        raise BadValue(f"{name}: {text!r} is not {known} or file:PATH")

    def parse(self, name: str, text: str, knobs: Knobs) -> str:
        text = text.strip()
        known = text.partition(":")[0] in ("train", "held_out", "file", *(("seed",) if self.codes else ()))
        return self.check(name, text if known else f"file:{text}", knobs)


@dataclass(frozen=True)
class Mask(Control):
    """Where a picture is to be made anew, painted by hand over the picture of the control named ``item``.

    Value: a square grid of :data:`MASK_SIDE` cells a side as rows of hexadecimal digits, from the top left cell on, or
    one of :data:`MASK_WORDS`; :func:`mask_cells` reads both. The grid is stretched over the picture.
    """

    item: str = "item"
    default: str = "centre"

    def initial(self, knobs: Knobs) -> str:
        return self.default

    def check(self, name: str, value: Any, knobs: Knobs) -> str:
        text = str(value)
        if text not in MASK_WORDS and not re.fullmatch(rf"[0-9a-f]{{{MASK_SIDE * MASK_SIDE // 4}}}", text):
            raise BadValue(f"{name}: {text[:20]!r} is not one of {', '.join(MASK_WORDS)} nor a painted mask")
        return text

    def parse(self, name: str, text: str, knobs: Knobs) -> str:
        return self.check(name, text.strip(), knobs)


Place = tuple[float, float, float]


@dataclass(frozen=True)
class Places(Control):
    """Places in space, dragged as handles in a scene or set by its pointer. Value: tuple of (x, y, z) tuples."""

    default: tuple[Place, ...]
    reach: float = 1e6

    def initial(self, knobs: Knobs) -> tuple[Place, ...]:
        return self.default

    def check(self, name: str, value: Any, knobs: Knobs) -> tuple[Place, ...]:
        try:
            places = tuple((float(x), float(y), float(z)) for x, y, z in value)
        except (TypeError, ValueError):
            raise BadValue(f"{name}: {str(value)[:40]!r} is not a list of places x,y,z") from None
        if len(places) != len(self.default):
            raise BadValue(f"{name}: has {len(places)} places, {len(self.default)} are wanted")
        if not all(math.isfinite(v) and abs(v) <= self.reach for place in places for v in place):
            raise BadValue(f"{name}: has a number that is not finite or beyond {self.reach:g}")
        return places

    def parse(self, name: str, text: str, knobs: Knobs) -> tuple[Place, ...]:
        """``x,y,z;x,y,z;...``"""
        try:
            return self.check(name, [[float(v) for v in part.split(",")] for part in text.split(";")], knobs)
        except ValueError as e:
            raise e if isinstance(e, BadValue) else BadValue(f"{name}: {text!r} is not x,y,z;x,y,z;...") from None


@dataclass(frozen=True)
class Paths(Control):
    """Files of the person's, dropped in or chosen. Value: tuple of paths; the engine says whether they exist."""

    kinds: tuple[str, ...] = ()
    """Endings without the dot that the file dialog offers first."""

    def initial(self, knobs: Knobs) -> tuple[str, ...]:
        return ()

    def check(self, name: str, value: Any, knobs: Knobs) -> tuple[str, ...]:
        if isinstance(value, str) or not all(isinstance(path, str) and path for path in value):
            raise BadValue(f"{name}: {str(value)[:40]!r} is not a list of paths")
        return tuple(dict.fromkeys(value))

    def parse(self, name: str, text: str, knobs: Knobs) -> tuple[str, ...]:
        return self.check(name, [part for part in text.split(";") if part], knobs)


@dataclass(frozen=True)
class Tree(Control):
    """A shape built of primitives and operations. Value: the JSON text that :mod:`engine.shape_tree` describes."""

    default: str = EXAMPLE
    shared: ClassVar[bool] = True

    def initial(self, knobs: Knobs) -> str:
        return self.default

    def check(self, name: str, value: Any, knobs: Knobs) -> str:
        try:
            return check_tree(str(value))
        except BadValue as e:
            raise BadValue(f"{name}: {e}") from None

    def parse(self, name: str, text: str, knobs: Knobs) -> str:
        return self.check(name, text, knobs)


@dataclass(frozen=True)
class Camera(Control):
    """Where a picture is taken from. Value: the text ``eye/target/up/fov``, which :func:`camera_of` reads, and where it
    is known ``/WIDTHxHEIGHT``, the pixels that the picture is shown in, which :func:`size_of` reads. Where the default
    is '', that means a place which the study knows."""

    default: str = "2.4,-3,1.8/0,0,0/0,0,1/40"
    of_data: ClassVar[bool] = True

    def initial(self, knobs: Knobs) -> str:
        return self.default

    def check(self, name: str, value: Any, knobs: Knobs) -> str:
        if value == self.default:
            return self.default
        try:
            camera_of(str(value))
        except BadValue as e:
            raise BadValue(f"{name}: {e}") from None
        return str(value)

    def parse(self, name: str, text: str, knobs: Knobs) -> str:
        return self.check(name, text.strip(), knobs)


def camera_of(text: str) -> tuple[Place, Place, Place, float]:
    """The eye, the target, the direction that is up in the picture and the vertical field of view in degrees of a
    text such as ``3,0,1/0,0,0/0,0,1/45``; BadValue where no camera can stand like that."""
    parts = text.split("/")[: 4 if size_of(text) else None]
    try:
        eye, target, up = ((float(x), float(y), float(z)) for x, y, z in (part.split(",") for part in parts[:3]))
        (fov,) = (float(part) for part in parts[3:])
    except ValueError:
        raise BadValue(f"{text[:60]!r} is not eye/target/up/fov, such as 3,0,1/0,0,0/0,0,1/45") from None
    if not all(math.isfinite(v) and abs(v) <= 1e6 for v in (*eye, *target, *up, fov)):
        raise BadValue(f"{text[:60]!r} has a number that is not finite or beyond a million")
    if not 1 <= fov <= 170:
        raise BadValue(f"the field of view {fov:g} is outside the range from 1 to 170 degrees")
    look = tuple(t - e for t, e in zip(target, eye, strict=True))
    across = (
        look[1] * up[2] - look[2] * up[1],
        look[2] * up[0] - look[0] * up[2],
        look[0] * up[1] - look[1] * up[0],
    )
    if math.hypot(*across) <= 1e-6 * math.hypot(*look) * math.hypot(*up):
        raise BadValue("the camera has no direction: eye and target are one place, or up points along the view")
    return eye, target, up, fov


def size_of(text: str) -> tuple[int, int] | None:
    """Width and height in pixels at the end of a camera's text, None where it says nothing of them."""
    found = re.search(r"/([1-9]\d{0,4})x([1-9]\d{0,4})$", text.rstrip())
    return None if found is None else (int(found[1]), int(found[2]))


def mask_cells(value: str) -> tuple[tuple[bool, ...], ...]:
    """The rows of a :class:`Mask`'s value, from the top; True where the picture is to be made anew."""
    side = range(MASK_SIDE)
    if value in MASK_WORDS:
        half, quarter = MASK_SIDE // 2, MASK_SIDE // 4
        middle = range(quarter, MASK_SIDE - quarter)
        word: dict[str, Callable[[int, int], bool]] = {
            "centre": lambda r, c: r in middle and c in middle,
            "left": lambda r, c: c < half,
            "right": lambda r, c: c >= half,
            "top": lambda r, c: r < half,
            "bottom": lambda r, c: r >= half,
            "none": lambda r, c: False,
        }
        return tuple(tuple(word[value](r, c) for c in side) for r in side)
    bits = int(value, 16)
    last = MASK_SIDE * MASK_SIDE - 1
    return tuple(tuple(bool(bits >> (last - r * MASK_SIDE - c) & 1) for c in side) for r in side)


@dataclass(frozen=True)
class Hint:
    """What the present weights say of a latent control: ``order`` most active first, ``spread`` the aggregate
    posterior's standard deviation per dimension, ``mean`` its mean, ``activity`` a number per dimension
    (KL in nats, or variance) and ``activity_name`` what it is."""

    order: tuple[int, ...]
    spread: tuple[float, ...]
    mean: tuple[float, ...]
    activity: tuple[float, ...]
    activity_name: str = "KL, nats"


@dataclass(frozen=True)
class ProbeSpec:
    """The declaration of one probe."""

    name: str
    title: str
    text: str
    payload: type[Payload]
    controls: Mapping[str, Control]
    refresh: float | None

    @property
    def timeline(self) -> bool:
        """Whether the answer is a sequence of moments that are all kept."""
        return issubclass(self.payload, Moment)

    def values(self, given: Mapping[str, Any], knobs: Knobs) -> dict[str, Any]:
        """Every control's value: the ``given`` one, checked, or its initial one; :class:`BadValue` if wrong."""
        for name in given:
            if name not in self.controls:
                there = ", ".join(self.controls) or "none"
                raise BadValue(f"{name}: no such control of {self.name}; there are {there}")
        return {
            name: control.check(name, given[name], knobs) if name in given else control.initial(knobs)
            for name, control in self.controls.items()
        }


def probe(
    payload: type[Payload], *, title: str = "", refresh: float | None = None, **controls: Control
) -> Callable[[F], F]:
    """Marks a method of a study as a probe that answers with ``payload``; its doc string is shown to the user.

    ``refresh``: seconds between redraws while training; None asks again only when a control moves.
    """

    def mark(method: F) -> F:
        name = method.__name__
        text = " ".join((method.__doc__ or "").split())
        spec = ProbeSpec(name, title or name.replace("_", " ").capitalize(), text, payload, controls, refresh)
        method.probe_spec = spec  # type: ignore[attr-defined]  # functions take attributes; read back by probes_of
        return method

    return mark


def probes_of(study: type) -> tuple[ProbeSpec, ...]:
    """The probes of a study class: those that its ``first_probes`` names, then the others in the order in which it (and
    before it, its bases) define them."""
    found: dict[str, ProbeSpec] = {}
    for cls in reversed(study.__mro__):
        for name, member in vars(cls).items():
            if hasattr(member, "probe_spec"):
                found[name] = member.probe_spec
    first: tuple[str, ...] = getattr(study, "first_probes", ())
    return tuple(found[name] for name in (*first, *(name for name in found if name not in first)))
