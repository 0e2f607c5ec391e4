"""Real spherical harmonics: a direction as numbers that a network can bend colours with. Knows no network.

Bands 0 to 3 with the signs that are usual in radiance fields and splats: band 1 is -y, z, -x.
"""

from __future__ import annotations

import torch
from torch import Tensor

MOST = 4
"""Bands that there are at most."""


def harmonics(d: Tensor, bands: int) -> Tensor:
    """The values (N, ``bands`` ** 2) of the first ``bands`` (1..4) at unit directions ``d`` (N, 3); over the sphere
    the mean of the square of each is 1 / (4 pi), that of the product of two is 0."""
    if not 1 <= bands <= MOST:
        raise ValueError(f"{bands} bands: there are 1 to {MOST}")
    x, y, z = d.unbind(1)
    out = [torch.full_like(x, 0.28209479177387814)]
    if bands > 1:
        c = 0.4886025119029199
        out += [-c * y, c * z, -c * x]
    if bands > 2:
        xx, yy, zz, c = x * x, y * y, z * z, 1.0925484305920792
        out += [c * x * y, -c * y * z, 0.31539156525252005 * (3 * zz - 1), -c * x * z, c / 2 * (xx - yy)]
    if bands > 3:
        a, b, c = 0.5900435899266435, 2.890611442640554, 0.4570457994644658
        out += [
            -a * y * (3 * xx - yy),
            b * x * y * z,
            -c * y * (5 * zz - 1),
            0.3731763325901154 * z * (5 * zz - 3),
            -c * x * (5 * zz - 1),
            b / 2 * z * (xx - yy),
            -a * x * (xx - 3 * yy),
        ]
    return torch.stack(out, 1)
