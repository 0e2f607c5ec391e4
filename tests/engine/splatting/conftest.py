"""What the tests of the rasteriser share: small random splats."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

Splats = tuple[Tensor, Tensor, Tensor, Tensor, Tensor]


@pytest.fixture
def splats() -> Callable[..., Splats]:
    """A function that makes xyz, scales, turns, opacities and harmonics of splats in the unit ball."""

    def make(
        n: int,
        size: float = 0.1,
        degree: int = 3,
        dtype: torch.dtype = torch.float32,
        seed: int = 0,
        spread: float = 0.5,
    ) -> Splats:
        generator = torch.Generator().manual_seed(seed)

        def normal(*shape: int) -> Tensor:
            return torch.randn(*shape, generator=generator, dtype=torch.float64)

        ball = torch.nn.functional.normalize(normal(n, 3), dim=1)
        xyz = ball * torch.rand(n, 1, generator=generator, dtype=torch.float64) ** (1 / 3)
        scales = math.log(size) + spread * normal(n, 3)
        parts = (xyz, scales, normal(n, 4), normal(n) * 1.5, normal(n, (degree + 1) ** 2, 3) * 0.3)
        return tuple(part.to(dtype) for part in parts)  # type: ignore[return-value]

    return make
