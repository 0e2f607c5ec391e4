"""A generator whose every direction is known beforehand: pictures are a sigmoid of a planted linear map of the code."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from engine.data.images import ImageSource, Part
from engine.nn.generator.gathered import GeneratorProbes
from engine.params import knob
from engine.session import Session
from engine.study import Study

NUMBERS, SIDE = 5, 6


class Planted(GeneratorProbes, Study):
    """x = sigmoid(A w): A = U S V^T with the lengths S = 1.6, 1.2, 0.8, 0.5, 0.3."""

    title, family = "Planted", "Tests"

    @dataclass
    class Params:
        latent: int = knob(NUMBERS, "Numbers of the code.", lo=1, hi=64)

    def build(self, device: torch.device) -> None:
        generator = torch.Generator().manual_seed(11)
        u = torch.linalg.qr(torch.randn(SIDE * SIDE, NUMBERS, generator=generator)).Q
        self.v = torch.linalg.qr(torch.randn(NUMBERS, NUMBERS, generator=generator)).Q
        self.lengths = torch.tensor([1.6, 1.2, 0.8, 0.5, 0.3])
        self.map = nn.Linear(NUMBERS, SIDE * SIDE, bias=False)
        with torch.no_grad():
            self.map.weight.copy_(u @ torch.diag(self.lengths) @ self.v.T)
        self.decoded: list[Tensor] = []
        """All codes that were decoded."""

    def draw_codes(self, count: int, generator: torch.Generator) -> Tensor:
        return torch.randn(count, NUMBERS, generator=generator)

    def decode_w(self, w: Tensor) -> Tensor:
        self.decoded.append(w.detach())
        return self.map(w).sigmoid().view(-1, 1, SIDE, SIDE)

    def first_weights(self) -> Tensor:
        return self.map.weight

    def inner_layer(self) -> nn.Module:
        return self.map


class Mapped(Planted):
    """The same, steered in w = M z + 1, whose covariance M M^T has eigenvectors and sizes of its own."""

    spaces = ("z", "w")

    def build(self, device: torch.device) -> None:
        super().build(device)
        generator = torch.Generator().manual_seed(5)
        self.axes = torch.linalg.qr(torch.randn(NUMBERS, NUMBERS, generator=generator)).Q
        self.sizes = torch.tensor([3.0, 2.0, 1.0, 0.5, 0.25])
        self.mapping = nn.Linear(NUMBERS, NUMBERS)
        with torch.no_grad():
            self.mapping.weight.copy_(self.axes @ torch.diag(self.sizes))
            self.mapping.bias.fill_(1.0)

    def to_w(self, z: Tensor) -> Tensor:
        out: Tensor = self.mapping(z)
        return out

    def mean_w(self) -> Tensor:
        return self.mapping.bias.detach()


class Encoded(Planted):
    """The same with the exact inverse as its encoder."""

    def encode_w(self, x: Tensor) -> Tensor:
        return x.flatten(1).clamp(1e-3, 1 - 1e-3).logit() @ torch.linalg.pinv(self.map.weight).T


NORMAL = torch.nn.functional.normalize(torch.tensor([1.0, -2.0, 0.5, 1.0, 0.3]), dim=0)
"""Pictures whose code lies on this side of the middle are of class 1."""


def planted_source(map_: nn.Linear, names: tuple[str, ...] = ("under", "over")) -> ImageSource:
    """1,000 pictures of the planted map, labelled by the side of :data:`NORMAL` that their code lies on."""
    z = torch.randn(1000, NUMBERS, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        x = map_(z).sigmoid().view(-1, SIDE, SIDE, 1)
    images = (x * 255).round().to(torch.uint8).numpy()
    labels = (z @ NORMAL > 0).long().numpy() if names else np.zeros(1000, np.int64)
    return ImageSource("planted", "Planted", "Made.", names, Part(images[:800], labels[:800]),
                       Part(images[800:], labels[800:]))  # fmt: skip


def session_of(kind: type[Study], names: tuple[str, ...] = ("under", "over")) -> Session:
    first: Any = Planted()
    first.build(torch.device("cpu"))
    return Session.build("planted", kind, {}, 0, torch.device("cpu"), planted_source(first.map, names), "planted")


@pytest.fixture
def planted() -> Session:
    return session_of(Planted)


@pytest.fixture
def mapped() -> Session:
    return session_of(Mapped)


@pytest.fixture
def encoded() -> Session:
    return session_of(Encoded)


@pytest.fixture
def unlabelled() -> Session:
    return session_of(Planted, ())
