"""The networks of image translation: a U-Net that draws one picture from another, a PatchGAN that judges patches.

Know no loss and no data. After Isola et al. 2017, smaller; the noise as in Zhu et al. 2017 (BicycleGAN), at every
resolution.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engine.nn.coding.coder import SLOPE, Shape

PATCHES = {"1": -1, "16": 1, "34": 2, "70": 3}
"""Side of the patch that a judge sees, in pixels, and how often it halves the picture; -1: single pixels."""
DEEPEST = 5
PER_GROUP = 8


def norm(channels: int) -> nn.GroupNorm:
    """Groups of eight channels: with one a channel, as usual here, a picture's own colours would be lost."""
    return nn.GroupNorm(max(1, channels // PER_GROUP), channels)


class Stage(nn.Module):
    """A convolution, normalised, shifted by the noise; (B, ``before``, h, w) -> (B, ``after``, ...)."""

    def __init__(self, before: int, after: int, latent: int, halve: bool) -> None:
        super().__init__()
        self.conv = nn.Conv2d(before, after, 4, 2, 1) if halve else nn.Conv2d(before, after, 3, padding=1)
        self.norm = norm(after)
        # After the normalisation, which would take away what is equal everywhere.
        self.noise = nn.Linear(latent, after) if latent else None

    def forward(self, x: Tensor, z: Tensor | None) -> Tensor:
        h: Tensor = self.norm(self.conv(x))
        if self.noise is not None and z is not None:
            h = h + self.noise(z)[:, :, None, None]
        return F.leaky_relu(h, SLOPE)


class Translator(nn.Module):
    """Pictures (B, C, H, W) in 0..1, and noise (B, ``latent``) where it has any, to pictures of the same shape in
    0..1, ``grey`` ones in all channels alike. Halved until a side has two or three pixels, and back, with the ways
    across of a U-Net."""

    def __init__(self, shape: Shape, width: int, latent: int = 0, grey: bool = False) -> None:
        super().__init__()
        c, h, w = shape
        self.channels = c
        depth = 1
        while depth < DEEPEST and min(h, w) >> (depth + 1) >= 2:
            depth += 1
        widths = [max(4, width // 2), *(width * min(4, 2**i) for i in range(depth))]
        self.first = Stage(c, widths[0], latent, halve=False)
        self.down = nn.ModuleList(Stage(widths[i], widths[i + 1], latent, halve=True) for i in range(depth))
        self.up = nn.ModuleList()
        before = widths[-1]
        for skip in reversed(widths[:-1]):
            self.up.append(Stage(before + skip, skip, latent, halve=False))
            before = skip
        self.last = nn.Conv2d(before, 1 if grey else c, 3, padding=1)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # faster on a processor

    def forward(self, x: Tensor, z: Tensor | None = None) -> Tensor:
        h = self.first(x * 2 - 1, z)
        kept = []
        for stage in self.down:
            kept.append(h)
            h = stage(h, z)
        for stage in self.up:
            across = kept.pop()
            h = stage(torch.cat([F.interpolate(h, size=across.shape[2:]), across], 1), z)
        return torch.sigmoid(self.last(h)).expand(-1, self.channels, -1, -1)


class PlaceNorm(nn.Module):
    """The features of every place, divided by their root mean square, (B, C, H, W)."""

    def forward(self, x: Tensor) -> Tensor:
        return x * (x.square().mean(1, keepdim=True) + 1e-6).rsqrt()


class PatchGAN(nn.Module):
    """Pictures (B, ``channels``, H, W) -> logits (B, 1, h, w), one for each overlapping patch of ``patch`` pixels a
    side: large where it is held real. Normalised place by place, not over the picture as usual, so that a verdict
    depends on its patch alone."""

    def __init__(self, channels: int, width: int, patch: str) -> None:
        super().__init__()
        halvings = PATCHES[patch]
        layers: list[nn.Module] = []
        if halvings < 0:
            widths = [channels, width, 2 * width]
            for before, after in pairwise(widths):
                layers += [nn.Conv2d(before, after, 1), PlaceNorm(), nn.LeakyReLU(0.2)]
            layers.append(nn.Conv2d(widths[-1], 1, 1))
        else:
            widths = [channels, *(width * min(4, 2**i) for i in range(halvings + 1))]
            for i, (before, after) in enumerate(pairwise(widths)):
                layers += self._convolution(before, after, 2 if i < halvings else 1)
                layers += [PlaceNorm(), nn.LeakyReLU(0.2)] if i else [nn.LeakyReLU(0.2)]
            layers += self._convolution(widths[-1], 1, 1)
        self.net = nn.Sequential(*layers)

    @staticmethod
    def _convolution(before: int, after: int, stride: int) -> list[nn.Module]:
        if stride == 2:
            return [nn.Conv2d(before, after, 4, 2, 1)]
        return [nn.ZeroPad2d((1, 2, 1, 2)), nn.Conv2d(before, after, 4)]  # keeps the size: small pictures go through

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.net(x * 2 - 1)
        return out


def receptive_field(patch: str) -> int:
    """Side in pixels of what one logit sees: 1 + the sum over layers of (kernel - 1) x the strides before it."""
    halvings = PATCHES[patch]
    if halvings < 0:
        return 1
    side, stride = 1, 1
    for layer in range(halvings + 2):
        side += 3 * stride
        stride *= 2 if layer < halvings else 1
    return side


@contextmanager
def frozen(*modules: nn.Module) -> Iterator[None]:
    """What is computed within sends no gradient to the modules' weights, though through them."""
    learned = [p for module in modules for p in module.parameters() if p.requires_grad]
    for p in learned:
        p.requires_grad_(False)
    try:
        yield
    finally:
        for p in learned:
            p.requires_grad_(True)
