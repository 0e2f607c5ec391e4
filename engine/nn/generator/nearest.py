"""The training picture nearest to each of some pictures, portion by portion. Knows no generator."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

PORTION = 2**22
"""Pixels of training pictures that are compared at once: 16 MB."""


def nearest_distances(train: Tensor, x: Tensor) -> Iterator[float | tuple[Tensor, Tensor]]:
    """For pictures ``x`` (N, C, H, W) in 0..1 the nearest of ``train`` uint8 (M, C, H, W): root mean square of the
    difference over the pixels (N,), and which it is (N,) int64. Shares 0..1 of the work come first."""
    flat = x.flatten(1).float()
    size = flat.shape[1]
    squares = flat.square().sum(1, keepdim=True)
    best = torch.full((len(flat),), math.inf, device=flat.device)
    place = torch.zeros(len(flat), dtype=torch.long, device=flat.device)
    step = max(1, PORTION // size)
    for start in range(0, len(train), step):
        if start:
            yield start / len(train)
        part = train[start : start + step].flatten(1).float().div_(255)
        apart = squares - 2 * flat @ part.T + part.square().sum(1)
        which = apart.argmin(1)
        # The difference of large sums has lost its digits where two pictures are almost alike: take it once more.
        exact = (flat - part[which]).square().sum(1)
        closer = exact < best
        best = torch.where(closer, exact, best)
        place = torch.where(closer, which + start, place)
    yield (best / size).sqrt(), place
