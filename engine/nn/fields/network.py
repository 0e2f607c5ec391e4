"""A field: a network (N, 3) -> (N,) whose zero level is a surface, negative within. Knows no shape and no loss."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from engine.nn.fields.encodings import Fourier, HashGrid, Identity, Positional

RADIUS = 0.5
"""The sphere that every field is about at first."""
SHARPNESS = 100.0
"""beta of the softplus units (Gropp et al. 2020): almost a ReLU, yet with a second derivative."""
FREQUENCY = 30.0
"""omega_0 of the first sine layer (Sitzmann et al. 2020)."""

GRADIENTS_AT_ONCE = 32_768

ENCODINGS: dict[str, Callable[[], nn.Module]] = {
    "none": Identity,
    "positional": lambda: Positional(5),
    "Fourier": lambda: Fourier(48, 1.0),
    "SIREN": Identity,
    "hash grid": lambda: HashGrid(6, 13, coarsest=8, finest=64),
}
"""What makes the encoding of a place, by the knob's words."""


class Sine(nn.Module):
    """sin(frequency * x)"""

    def __init__(self, frequency: float) -> None:
        super().__init__()
        self.frequency = frequency

    def forward(self, x: Tensor) -> Tensor:
        return torch.sin(self.frequency * x)


class Field(nn.Module):
    """f(x; z): ``depth`` layers of ``width`` units over an encoding of x and, where ``code`` > 0, a latent code z.

    Softplus networks begin as about the distance to a sphere of :data:`RADIUS` (geometric initialisation: Atzmon &
    Lipman 2020, theorem 1); what an encoding adds to x, and the code, begin without a say. A SIREN cannot be begun
    like that: it learns what is to be added to the sphere's distance.
    """

    steps: Tensor
    """How many training steps it has taken; counted by whoever trains it."""

    def __init__(self, encoding: str, width: int, depth: int, code: int = 0) -> None:
        super().__init__()
        self.register_buffer("steps", torch.zeros((), dtype=torch.long))  # on the CPU: reading it waits for nothing
        encoder: Any = ENCODINGS[encoding]()
        self.encoding = encoder
        self.siren = encoding == "SIREN"
        sizes = [int(encoder.size) + code, *[width] * depth]
        layers: list[nn.Module] = []
        for k, (inputs, outputs) in enumerate(pairwise(sizes)):
            linear = nn.Linear(inputs, outputs)
            if self.siren:
                _start_siren(linear, k == 0)
                layers += [linear, Sine(FREQUENCY if k == 0 else 1.0)]
            else:
                _start_about_a_sphere(linear, k == 0)
                layers += [linear, nn.Softplus(SHARPNESS)]
        last = nn.Linear(width, 1)
        if self.siren:
            nn.init.uniform_(last.weight, -1e-2 / math.sqrt(width), 1e-2 / math.sqrt(width))
            nn.init.zeros_(last.bias)
        else:
            nn.init.normal_(last.weight, math.sqrt(math.pi / width), 1e-5)
            nn.init.constant_(last.bias, -RADIUS)
        self.layers = nn.Sequential(*layers, last)
        if not self.siren:
            self._scale_to_slope_one(last, code)

    @torch.no_grad()
    def _scale_to_slope_one(self, last: nn.Linear, code: int) -> None:
        """The theorem holds for infinitely many units; with few the slope has to be put right."""
        x = nn.functional.normalize(torch.randn(512, 3), dim=1)
        rise = self(x, torch.zeros(code) if code else None) - last.bias
        last.weight.div_(rise.mean())

    def forward(self, x: Tensor, z: Tensor | None = None) -> Tensor:
        """Values (N,) at ``x`` (N, 3) for the code ``z`` (N, code) or (code,)."""
        h = self.encoding(x)
        if z is not None:
            h = torch.cat([h, z.expand(len(x), -1)], 1)
        out: Tensor = self.layers(h)[:, 0]
        if self.siren:
            out = out + (x.square().sum(1) + 1e-6).sqrt() - RADIUS
        return out

    def with_gradient(self, x: Tensor, z: Tensor | None = None, again: bool = False) -> tuple[Tensor, Tensor]:
        """Values (N,) and their gradients in space (N, 3); with ``again``, these can be differentiated in turn."""
        with torch.enable_grad():
            x = x.detach().requires_grad_(True)
            f = self(x, z)
            (slope,) = torch.autograd.grad(f.sum(), x, create_graph=again)
        return f, slope


def _start_about_a_sphere(linear: nn.Linear, first: bool) -> None:
    nn.init.normal_(linear.weight, 0.0, math.sqrt(2 / linear.out_features))
    nn.init.zeros_(linear.bias)
    if first:
        nn.init.zeros_(linear.weight[:, 3:])


def _start_siren(linear: nn.Linear, first: bool) -> None:
    """Frequencies of later layers are folded into their weights: sin(omega (W x + b)) with omega = 1 here."""
    n = linear.in_features
    bound = 1 / n if first else math.sqrt(6 / n)
    nn.init.uniform_(linear.weight, -bound, bound)
    nn.init.uniform_(linear.bias, -1 / math.sqrt(n), 1 / math.sqrt(n))


ArrayFunction = Callable[[np.ndarray], np.ndarray]


def on_arrays(field: Field, z: Tensor | None, device: torch.device) -> tuple[ArrayFunction, ArrayFunction]:
    """The field for one code, and its gradient, as functions of arrays: (N, 3) float32 -> (N,) and (N, 3) float32."""

    def tensor(points: np.ndarray) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(points, np.float32)).to(device)

    def value(points: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            out: np.ndarray = field(tensor(points), z).cpu().numpy()
        return out

    def gradient(points: np.ndarray) -> np.ndarray:
        parts = [field.with_gradient(part, z)[1].detach() for part in tensor(points).split(GRADIENTS_AT_ONCE)]
        out: np.ndarray = torch.cat(parts).cpu().numpy() if parts else np.zeros((0, 3), np.float32)
        return out

    return value, gradient
