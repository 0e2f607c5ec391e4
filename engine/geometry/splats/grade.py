"""Colour grading of splats, baked into their harmonics. Knows no picture and no file.

Every change is an affine map of red, green and blue, so that it goes into the coefficients exactly: what is drawn
afterwards is the graded colour of what was drawn before, from every side. (Where a renderer cuts colours below 0 off,
the cut comes after the grading.)
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.geometry.splats.harmonics import C0

Floats = NDArray[np.float64]
LUMA = np.array([0.2126, 0.7152, 0.0722])
"""Shares of red, green and blue in brightness (ITU-R BT.709)."""
WARMTH = np.array([0.25, 0.0, -0.25])
"""What full warmth multiplies red, green and blue by, as powers of two before brightness is held."""
MIDDLE = 0.5
"""The grey that contrast leaves as it is."""


@dataclass(frozen=True)
class Grade:
    """``exposure`` in stops, ``contrast`` and ``saturation`` as factors, ``temperature`` -1 cold .. 1 warm."""

    exposure: float = 0.0
    contrast: float = 1.0
    saturation: float = 1.0
    temperature: float = 0.0

    @property
    def neutral(self) -> bool:
        """Whether it changes nothing."""
        return all(getattr(self, f.name) == f.default for f in fields(self))

    def affine(self) -> tuple[Floats, Floats]:
        """The matrix (3, 3) and the shift (3,) by which colours change: temperature first, then exposure, saturation
        and contrast. Greys keep their brightness under temperature and saturation."""
        warm = 2.0 ** (self.temperature * WARMTH)
        warm = warm / (LUMA @ warm)
        grey = np.broadcast_to(LUMA, (3, 3))
        saturate = self.saturation * np.eye(3) + (1 - self.saturation) * grey
        matrix = self.contrast * saturate @ np.diag(warm * 2.0**self.exposure)
        return matrix, np.full(3, MIDDLE * (1 - self.contrast))


def graded(sh: Any, grade: Grade) -> Any:
    """Coefficients float32 (N, K, 3) after a grading; the same array where it changes nothing."""
    if grade.neutral:
        return sh
    matrix, shift = grade.affine()
    out = np.asarray(sh, np.float32) @ matrix.T.astype(np.float32)
    out[:, 0] += ((matrix @ np.full(3, 0.5) + shift - 0.5) / C0).astype(np.float32)
    return out
