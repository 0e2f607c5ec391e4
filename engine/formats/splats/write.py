"""Splats to files by the ending of the name, and what a kind of file cannot hold of them. Knows no study and no window.

Files have no transform: splats are written as they stand in the world. How far they are drawn too large and up to which
degree is how they are looked at, and is not written.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from engine.formats.atomic import write_atomic
from engine.formats.scene.common import Reading, refuse
from engine.formats.splats import compressed, inria, splat, spz
from engine.formats.splats.common import C0, COEFFICIENTS, SLICE, is_right, put_right
from engine.formats.splats.standing import as_in_a_file, joined
from engine.geometry.splats.order import morton_order
from engine.scene import Splats

Encoder = Callable[[Splats], Iterator[bytes]]
ENCODERS: dict[str, Encoder] = {
    ".ply": inria.encode,
    ".compressed.ply": compressed.encode,
    ".splat": splat.encode,
    ".spz": spz.encode,
}
ENDINGS = tuple(ENCODERS)
"""Of the files that splats are written to."""
ORDERS: dict[str, Callable[[Splats], np.ndarray]] = {
    ".compressed.ply": lambda splats: morton_order(splats.xyz),
    ".splat": splat.order_of,
}
"""How splats are ordered in files that want an order: neighbours together, or the ones that matter first."""
FIELDS = ("xyz", "scales", "turns", "opacity", "sh")


@dataclass(frozen=True)
class Limits:
    """What a kind of file holds: places, logarithms of deviations, colours and harmonics above degree 0 up to what."""

    place: float = math.inf
    scale: tuple[float, float] = (-math.inf, math.inf)
    colour: tuple[float, float] = (-math.inf, math.inf)
    harmonics: float = math.inf
    antialiased: bool = True


HALF = 0.5 * C0 / spz.COLOUR
LIMITS = {
    ".ply": Limits(),
    ".compressed.ply": Limits(scale=(-compressed.SCALES, compressed.SCALES), harmonics=4.0),
    ".splat": Limits(colour=(0.0, 1.0), harmonics=0.0, antialiased=False),
    ".spz": Limits(spz.REACH, (-10.0, 255 / 16 - 10), (0.5 - HALF, 0.5 + HALF), 1.0),
}


@dataclass(frozen=True)
class Written:
    """What was written: ``splats`` in the axes and order of the file, before its rounding; ``order`` their numbers
    among those that were asked for, None for the same order; ``lost`` lines on what the file cannot hold."""

    splats: Splats
    order: Any = None
    lost: tuple[str, ...] = ()


def ending_of(path: str | Path) -> str:
    """The ending by which a file of splats is written, '' where there is none for it."""
    name = Path(path).name.lower()
    return max((ending for ending in ENDINGS if name.endswith(ending)), key=len, default="")


def write(
    path: str | Path,
    splats: Splats | Sequence[Splats],
    progress: Callable[[float], None] | None = None,
    spz_version: int = spz.LATEST_COMMON,
) -> Written:
    """Writes splats to a file of one of :data:`ENDINGS`, several as one; :class:`SceneFileError` if that cannot be.

    ``progress`` is told how far it is, 0..1; what it raises gives the writing up.
    """
    target = Path(path)
    steps = encode(target, splats, spz_version)
    while True:
        try:
            share = next(steps)
        except StopIteration as end:
            written, data = end.value
            break
        if progress is not None:
            progress(share)
    try:
        write_atomic(target, data)
    except OSError as e:
        refuse(target, f"cannot be written ({e.strerror})", "choose another folder")
    return written


def encode(
    target: Path, splats: Splats | Sequence[Splats], spz_version: int = spz.LATEST_COMMON
) -> Reading[tuple[Written, bytes]]:
    """The file that :func:`write` writes, and what is in it."""
    ending = ending_of(target)
    if not ending:
        refuse(target, f"its ending {target.suffix!r} is none of splats", f"use one of {' '.join(ENDINGS)}")
    parts = []
    for part in [splats] if isinstance(splats, Splats) else splats:
        parts.append((yield from as_in_a_file(part)))
    whole = joined(parts) if parts else None
    if whole is None or not len(whole.xyz):
        refuse(target, "would hold no splat", "choose some first")
    lost = []
    if not is_right(whole):
        whole, gone = _righted(whole)
        lost += [f"{gone:,} splats with numbers that are none"] if gone else []
        if not len(whole.xyz):
            refuse(target, "would hold no splat: none has numbers", "train again from an earlier snapshot")
    whole = _full_bands(whole)
    lost += _lost(ending, whole)
    order = ORDERS[ending](whole) if ending in ORDERS else None
    if order is not None:
        taken: dict[str, Any] = {name: np.asarray(getattr(whole, name))[order] for name in FIELDS}
        whole = replace(whole, **taken, index=None)
    yield 0.1
    made = []
    pieces = -(-len(whole.xyz) // SLICE)
    encoder = partial(spz.encode, version=spz_version) if ending == ".spz" else ENCODERS[ending]
    for n, piece in enumerate(encoder(whole)):
        made.append(piece)
        yield min(0.99, 0.1 + 0.9 * n / pieces)
    return Written(whole, order, tuple(lost)), b"".join(made)


def _righted(splats: Splats) -> tuple[Splats, int]:
    """Splats of which all numbers are finite, and how many had to go."""
    arrays: dict[str, Any] = {name: np.array(getattr(splats, name)) for name in FIELDS[1:]}
    xyz, kept = put_right(np.array(splats.xyz), arrays)
    return replace(splats, xyz=xyz, index=kept, **arrays), len(splats.xyz) - len(xyz)


def _full_bands(splats: Splats) -> Splats:
    """Without harmonics of a degree of which some are missing."""
    most = max(k for k in COEFFICIENTS if k <= splats.sh.shape[1])
    return splats if most == splats.sh.shape[1] else replace(splats, sh=np.ascontiguousarray(splats.sh[:, :most]))


def _lost(ending: str, splats: Splats) -> Iterator[str]:
    """Lines on what a kind of file cannot hold, beside its rounding."""
    held = LIMITS[ending]
    if splats.sh.shape[1] > 1 and not held.harmonics:
        yield f"harmonics above degree 0: {splats.sh.shape[1] - 1} of {splats.sh.shape[1]} coefficients of each colour"
    if splats.antialiased and not held.antialiased:
        yield "that the splats were trained with antialiasing"
    low, high = held.scale
    if cut := _outside(splats.scales, low - 1e-6, high + 1e-6):
        yield f"deviations of {cut:,} splats, beyond {math.exp(low):.2g} to {math.exp(high):.3g}"
    low, high = held.colour
    if cut := _outside(C0 * splats.sh[:, 0] + 0.5, low - 1 / 255, high + 1 / 255):
        yield f"colours of {cut:,} splats, beyond {low:.3g} to {high:.3g}"
    if held.harmonics and (cut := _outside(splats.sh[:, 1:], -held.harmonics * 1.01, held.harmonics * 1.01)):
        yield f"harmonics of {cut:,} splats, beyond -{held.harmonics:g} to {held.harmonics:g}"
    if cut := _outside(np.asarray(splats.xyz) + np.asarray(splats.origin), -held.place, held.place):
        yield f"places of {cut:,} splats, farther than {held.place:,.0f} from the origin"


def _outside(values: np.ndarray, low: float, high: float) -> int:
    """How many splats have a number that is not between."""
    if not values.size or (low <= values.min() and values.max() <= high):
        return 0
    return int(((values < low) | (values > high)).reshape(len(values), -1).any(1).sum())
