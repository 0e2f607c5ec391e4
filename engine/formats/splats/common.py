"""What all readers and writers of splats share: numbers that are none put right, alphas and logits, rotations.

Knows no format and no window. What readers hand over is finite, whatever stands in the file.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from engine.formats.scene.common import FAR, NEAR_SHARE, all_finite, origin_for, refuse
from engine.scene import Splats

C0 = 0.28209479177387814
"""The spherical harmonic of degree 0: a colour is 0.5 + C0 * its coefficient, where there are no others."""
COEFFICIENTS = (1, 4, 9, 16)
"""Of spherical harmonics, each for red, green and blue, by the degree; the most that :class:`Splats` holds."""
LOGIT = 16.0
"""Stands for the infinite logit of an alpha of exactly 1, in single precision the last number below it."""
LOG_SCALE = 30.0
"""Logarithms of deviations are kept within plus and minus this: their squares, and one over these, are numbers."""
SLICE = 1 << 14
"""Splats that are turned from one form into another between two reports: 5 to 20 ms. A multiple of every chunk."""


def logit(alpha: np.ndarray) -> np.ndarray:
    """Of alphas 0..1, float32, infinite at both ends."""
    with np.errstate(divide="ignore"):
        return (np.log(alpha) - np.log1p(-alpha)).astype(np.float32)


def sigmoid(logits: np.ndarray) -> np.ndarray:
    """Alphas 0..1 of logits, float64."""
    with np.errstate(over="ignore"):
        return 1 / (1 + np.exp(-np.asarray(logits, np.float64)))


def unit_turns(turns: np.ndarray) -> np.ndarray:
    """Quaternions of length 1, float64 (N, 4)."""
    turns = np.asarray(turns, np.float64)
    return turns / np.linalg.norm(turns, axis=1, keepdims=True)


def name_of(path: Path) -> str:
    """What the splats of a file are called: its name without its endings."""
    return path.name.removesuffix(path.suffix).removesuffix(".compressed")


def splats_of(
    path: Path,
    xyz: np.ndarray,
    scales: np.ndarray,
    turns: np.ndarray,
    opacity: np.ndarray,
    sh: np.ndarray,
    antialiased: bool = False,
    finite: bool = False,
    name: str = "",
) -> Splats:
    """Splats of arrays as :class:`engine.scene.Splats` wants them, put right by :func:`put_right` in place; ``xyz`` may
    be float64. ``finite``: that all numbers are is known already. ``index`` says which are left where some had to go.
    Complains where no splat is left."""
    arrays: dict[str, Any] = {"scales": scales, "turns": turns, "opacity": opacity, "sh": sh}
    xyz, index = put_right(xyz, arrays, finite)
    if not len(xyz):
        refuse(path, "holds no splat", "open a file that has some")
    xyz, origin = _placed(xyz)
    return Splats(name=name or name_of(path), origin=origin, xyz=xyz, antialiased=antialiased, index=index, **arrays)


def put_right(xyz: np.ndarray, arrays: dict[str, Any], finite: bool = False) -> tuple[np.ndarray, np.ndarray | None]:
    """Makes all numbers of splats finite: ``scales``, ``turns``, ``opacity`` and ``sh`` in place; the places that are
    left, and the numbers of the splats that are where that is not all.

    A splat with a place, turn, scale, alpha or colour that is no number is dropped; an infinite logit becomes
    :data:`LOGIT`, a deviation of nothing the least that there is, a quaternion of nothing one that turns nothing.
    """
    kept = None
    if not finite and not all(map(all_finite, (xyz, *arrays.values()))):
        opacity, scales = arrays["opacity"], arrays["scales"]
        np.copyto(opacity, np.copysign(np.float32(LOGIT), opacity), where=np.isinf(opacity))
        scales[scales == -np.inf] = -LOG_SCALE
        good = np.isfinite(xyz).all(1)
        for values in arrays.values():
            good &= np.isfinite(values.reshape(len(good), -1)).all(1)
        if not good.all():
            xyz, kept = xyz[good], np.flatnonzero(good)
            arrays |= {name: values[good] for name, values in arrays.items()}
    np.clip(arrays["scales"], -LOG_SCALE, LOG_SCALE, out=arrays["scales"])
    _tame_turns(arrays["turns"])
    return xyz, kept


def is_right(splats: Splats) -> bool:
    """Whether :func:`put_right` would find nothing to do but scales and turns out of all measure."""
    parts = (splats.xyz, splats.scales, splats.turns, splats.opacity, splats.sh)
    return all(all_finite(np.asarray(values)) for values in parts) and bool(np.any(splats.turns, axis=1).all())


def _tame_turns(turns: np.ndarray) -> None:
    """Gives quaternions whose squares single precision cannot hold the length 1, those of nothing no turn."""
    with np.errstate(over="ignore", under="ignore"):
        square = np.square(turns) @ np.ones(4, turns.dtype)  # half the time of einsum
    odd = np.flatnonzero(~((square > 1e-12) & (square < 1e12)))
    if len(odd):
        wild = turns[odd].astype(np.float64)
        length = np.linalg.norm(wild, axis=1, keepdims=True)
        still = np.array([1.0, 0, 0, 0])
        turns[odd] = np.where(length > 0, np.divide(wild, length, where=length > 0, out=np.zeros_like(wild)), still)


def _placed(xyz: np.ndarray) -> tuple[np.ndarray, tuple[float, float, float]]:
    """Positions as float32 relative to an origin, (0, 0, 0) unless most of them are far from there: a few far splats,
    the sky for instance, take no precision from the others."""
    sample = xyz[:: max(1, len(xyz) // 512)].astype(np.float64)
    most = np.quantile(sample, (0.1, 0.9), axis=0)
    extent, away = float(np.ptp(most, axis=0).max()), float(np.abs(most.mean(0)).max())
    origin = origin_for(most) if away > max(FAR, NEAR_SHARE * extent) else (0.0, 0.0, 0.0)
    if any(origin):
        xyz = xyz - np.array(origin)
    with np.errstate(over="ignore"):
        single = xyz.astype(np.float32, order="C", copy=False)
    return np.clip(single, -3e38, 3e38, out=single), origin
