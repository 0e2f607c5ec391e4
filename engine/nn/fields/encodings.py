"""Ways to hand a place x in [-1, 1]^3 to a network, each a module (N, 3) -> (N, ``size``) whose first three columns are
x itself. All can be differentiated twice, as the eikonal term needs. Knows no shape and no loss."""

from __future__ import annotations

import itertools
import math

import torch
from torch import Tensor, nn

PRIMES = (1, 2_654_435_761, 805_459_861)
"""The multipliers of the spatial hash of Müller et al. 2022, eq. 4."""


class Identity(nn.Module):
    """x as it is."""

    size = 3

    def forward(self, x: Tensor) -> Tensor:
        return x


class Positional(nn.Module):
    """x and its sines and cosines at doubling frequencies pi/2 * 2^k, k < ``octaves`` (Mildenhall et al. 2020)."""

    waves: Tensor

    def __init__(self, octaves: int) -> None:
        super().__init__()
        self.size = 3 + 6 * octaves
        self.register_buffer("waves", math.pi / 2 * 2.0 ** torch.arange(octaves), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        phase = (x[:, :, None] * self.waves).flatten(1)
        return torch.cat([x, phase.sin(), phase.cos()], 1)


class Fourier(nn.Module):
    """x and sines and cosines of ``count`` random directions 2 pi B x, B ~ N(0, scale^2) (Tancik et al. 2020)."""

    directions: Tensor

    def __init__(self, count: int, scale: float) -> None:
        super().__init__()
        self.size = 3 + 2 * count
        self.register_buffer("directions", 2 * math.pi * scale * torch.randn(3, count))

    def forward(self, x: Tensor) -> Tensor:
        phase = x @ self.directions
        return torch.cat([x, phase.sin(), phase.cos()], 1)


class HashGrid(nn.Module):
    """x and features read off ``levels`` grids of growing fineness by trilinear interpolation; the corners of the fine
    ones share ``2 ** log_entries`` places of a table by a hash (Müller et al. 2022). Plain torch, for any device.
    """

    offsets: Tensor

    def __init__(self, levels: int, log_entries: int, features: int = 2, coarsest: int = 8, finest: int = 64) -> None:
        super().__init__()
        growth = (finest / coarsest) ** (1 / max(1, levels - 1))
        self.sides = [round(coarsest * growth**k) for k in range(levels)]
        self.entries = 2**log_entries
        self.features = features
        self.size = 3 + levels * features
        self.table = nn.Parameter(torch.empty(levels * self.entries, features).uniform_(-1e-4, 1e-4))
        corners = torch.tensor(list(itertools.product((0, 1), repeat=3)))
        self.register_buffer("offsets", corners, persistent=False)

    def places(self, corner: Tensor, level: int) -> Tensor:
        """Rows of the table of integer grid corners (..., 3) of a level; hashed where the grid is larger than it."""
        side = self.sides[level] + 1
        x, y, z = corner.unbind(-1)
        if side**3 <= self.entries:
            place = (x * side + y) * side + z
        else:
            place = ((x * PRIMES[0]) ^ (y * PRIMES[1]) ^ (z * PRIMES[2])) % self.entries
        return place + level * self.entries

    def forward(self, x: Tensor) -> Tensor:
        parts = [x]
        unit = (x + 1) / 2
        for level, side in enumerate(self.sides):
            at = unit * side
            low = at.detach().floor().clamp(0, side - 1)
            share = (at - low)[:, None, :]  # outside the box the last cell is continued in a straight line
            corner = low.long()[:, None, :] + self.offsets
            weight = torch.where(self.offsets.bool(), share, 1 - share).prod(2)
            read = nn.functional.embedding(self.places(corner, level), self.table)
            parts.append((weight[:, :, None] * read).sum(1))
        return torch.cat(parts, 1)
