"""How far splats that come back from a file are from those that went in, field by field. Knows no format."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engine.formats.splats.common import C0, SLICE, sigmoid, unit_turns
from engine.scene import Splats


@dataclass(frozen=True)
class FieldError:
    """``largest`` and ``mean`` distance of one field, in ``unit``; ``what`` is measured."""

    name: str
    largest: float
    mean: float
    unit: str
    what: str


FIELDS = {
    "position": ("", "how far a mean has moved, in the file's own unit"),
    "scale": ("%", "by how much a deviation is larger or smaller"),
    "rotation": ("degrees", "the angle between the two turns"),
    "opacity": ("", "alpha, 0 to 1"),
    "colour": ("", "of degree 0, 0 to 1"),
    "harmonics": ("", "coefficients above degree 0"),
}


def field_errors(before: Splats, after: Splats) -> tuple[FieldError, ...]:
    """Errors of N splats in the same order, those of the harmonics where either has some; what one lacks is 0."""
    count = len(before.xyz)
    rest = max(before.sh.shape[1], after.sh.shape[1]) - 1
    largest, total = dict.fromkeys(FIELDS, 0.0), dict.fromkeys(FIELDS, 0.0)
    for start in range(0, count, SLICE):
        part = slice(start, start + SLICE)
        for name, values in _distances(before, after, part, rest).items():
            largest[name] = max(largest[name], float(values.max(initial=0.0)))
            total[name] += float(values.sum()) / max(1, values.size // len(before.xyz[part]))
    names = [name for name in FIELDS if name != "harmonics" or rest]
    return tuple(FieldError(n, largest[n], total[n] / count, *FIELDS[n]) for n in names)


def _distances(before: Splats, after: Splats, part: slice, rest: int) -> dict[str, np.ndarray]:
    places = [np.asarray(s.xyz[part], np.float64) + np.asarray(s.origin) for s in (before, after)]
    one, other = (unit_turns(s.turns[part]) for s in (before, after))
    other *= np.where((one * other).sum(1) < 0, -1, 1)[:, None]  # q and -q are the same turn
    # Of a small angle the cosine tells nothing; the chord does.
    chord = np.linalg.norm(one - other, axis=1)
    alphas = [sigmoid(s.opacity[part]) for s in (before, after)]
    dc = np.asarray(after.sh[part, 0], np.float64) - before.sh[part, 0]
    harmonics = np.zeros((len(one), rest, 3))
    for splats, sign in ((before, -1), (after, 1)):
        harmonics[:, : splats.sh.shape[1] - 1] += sign * splats.sh[part, 1:]
    scales = np.asarray(after.scales[part], np.float64) - before.scales[part]
    return {
        "position": np.linalg.norm(places[1] - places[0], axis=1),
        "scale": 100 * np.expm1(np.abs(scales)),
        "rotation": np.degrees(4 * np.arcsin(np.clip(chord / 2, 0, 1))),
        "opacity": np.abs(alphas[1] - alphas[0]),
        "colour": np.abs(C0 * dc),
        "harmonics": np.abs(harmonics),
    }
