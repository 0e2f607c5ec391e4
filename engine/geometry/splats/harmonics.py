"""Real spherical harmonics as Gaussian splats carry them, and what becomes of their coefficients when the splats are
turned. Knows no splats, only numbers.

Signs and order are those of INRIA's files (degree 1: -y, z, -x), directions point from the eye to the mean. A colour is
0.5 plus the sum of coefficients times basis functions.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
C0 = 0.28209479177387814
C1 = 0.4886025119029199
C2 = (1.0925484305920792, -1.0925484305920792, 0.31539156525252005, -1.0925484305920792, 0.5462742152960396)
C3 = (
    -0.5900435899266435, 2.890611442640554, -0.4570457994644658, 0.3731763325901154, -0.4570457994644658,
    1.445305721320277, -0.5900435899266435,
)  # fmt: skip
MOST_DEGREE = 3


def degree_of(count: int) -> int:
    """The degree whose harmonics are ``count`` in all: 1, 4, 9, 16 -> 0, 1, 2, 3. A count between is that of the full
    bands in it."""
    return min(MOST_DEGREE, math.isqrt(max(1, count)) - 1)


def basis(directions: ArrayLike, degree: int) -> Floats:
    """The basis functions float64 (..., (degree + 1)^2) at unit directions (..., 3), degree 0..3 (Ramamoorthi and
    Hanrahan, An efficient representation for irradiance environment maps, 2001; signs of 3DGS)."""
    d = np.asarray(directions, np.float64)
    x, y, z = d[..., 0], d[..., 1], d[..., 2]
    parts = [np.full_like(x, C0)]
    if degree >= 1:
        parts += [-C1 * y, C1 * z, -C1 * x]
    if degree >= 2:
        xx, yy, zz = x * x, y * y, z * z
        parts += [C2[0] * x * y, C2[1] * y * z, C2[2] * (2 * zz - xx - yy), C2[3] * x * z, C2[4] * (xx - yy)]
    if degree >= 3:
        parts += [
            C3[0] * y * (3 * xx - yy), C3[1] * x * y * z, C3[2] * y * (4 * zz - xx - yy),
            C3[3] * z * (2 * zz - 3 * xx - 3 * yy), C3[4] * x * (4 * zz - xx - yy), C3[5] * z * (xx - yy),
            C3[6] * x * (xx - 3 * yy),
        ]  # fmt: skip
    return np.stack(parts, axis=-1)


def turning(rotation: ArrayLike, degree: int) -> Floats:
    """The matrix float64 (K, K), K = (degree + 1)^2, that takes coefficients to those of the turned colours: a colour
    that was seen along d is then seen along ``rotation`` (3, 3) d. Also for what mirrors.

    A turned function of one band stays in it (Wigner), so the block of each is known from as many directions as it
    has functions; more of them, spread evenly, keep the solution exact to rounding.
    """
    turn = np.asarray(rotation, np.float64)
    k = np.arange(4 * MOST_DEGREE**2)
    height = 1 - 2 * (k + 0.5) / len(k)
    angle = k * np.pi * (3 - np.sqrt(5))
    flat = np.sqrt(1 - height**2)
    places = np.stack([flat * np.cos(angle), flat * np.sin(angle), height], 1)
    before, after = basis(places @ turn, degree), basis(places, degree)
    out = np.zeros(((degree + 1) ** 2,) * 2)
    for band in range(degree + 1):
        part = slice(band**2, (band + 1) ** 2)
        out[part, part] = np.linalg.lstsq(after[:, part], before[:, part], rcond=None)[0]
    return out
