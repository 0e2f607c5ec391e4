"""The U-Net that the diffusion studies on pixels share: time and class in, a picture of the input's shape out.

Knows no noise and no schedule. After Ho et al. 2020, smaller: one residual block each way per resolution, attention at
the lowest one, scale and shift by time and class.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engine.nn.coding.coder import Shape, halvings


def embed_time(t: Tensor, size: int) -> Tensor:
    """Sines and cosines of 1000 t at geometric frequencies: (B,) -> (B, size), float32."""
    half = size // 2
    frequencies = torch.exp(-math.log(10_000.0) * torch.arange(half, device=t.device) / half)
    angles = 1000.0 * t.float()[:, None] * frequencies
    return torch.cat([angles.cos(), angles.sin()], 1)


class Block(nn.Module):
    """Two convolutions around a scale and shift from the embedding, beside a shortcut."""

    def __init__(self, before: int, after: int, embedding: int) -> None:
        super().__init__()
        self.norm1 = nn.GroupNorm(groups(before), before)
        self.conv1 = nn.Conv2d(before, after, 3, padding=1)
        self.embed = nn.Linear(embedding, 2 * after)
        self.norm2 = nn.GroupNorm(groups(after), after)
        self.conv2 = nn.Conv2d(after, after, 3, padding=1)
        self.shortcut = nn.Conv2d(before, after, 1) if before != after else nn.Identity()
        nn.init.zeros_(self.conv2.weight)  # at the beginning the block is its shortcut

    def forward(self, x: Tensor, e: Tensor) -> Tensor:
        h = self.conv1(F.silu(self.norm1(x)))
        scale, shift = self.embed(e)[:, :, None, None].chunk(2, 1)
        h = self.conv2(F.silu(self.norm2(h) * (1 + scale) + shift))
        out: Tensor = self.shortcut(x) + h
        return out


class Attention(nn.Module):
    """Every place looks at every other, with four heads where they divide the channels."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.heads = math.gcd(4, channels)
        self.norm = nn.GroupNorm(groups(channels), channels)
        self.qkv = nn.Conv2d(channels, 3 * channels, 1)
        self.out = nn.Conv2d(channels, channels, 1)
        nn.init.zeros_(self.out.weight)

    def forward(self, x: Tensor) -> Tensor:
        b, c, h, w = x.shape
        q, k, v = self.qkv(self.norm(x)).view(b, 3, self.heads, c // self.heads, h * w).transpose(3, 4).unbind(1)
        seen = F.scaled_dot_product_attention(q, k, v)
        out: Tensor = x + self.out(seen.transpose(2, 3).reshape(b, c, h, w))
        return out


PATCHED = 16
"""Pictures whose sides are even and at least this long are taken two by two pixels at once, as four times the channels:
on a processor a step of a 28 x 28 net costs half, and per second of training the samples are better."""


class UNet(nn.Module):
    """(B, C, H, W), t (B,), class (B,) -> (B, C, H, W). Channels ``width``, 2 ``width``, 4 ``width`` ... for as many
    resolutions as the picture has halvings, and one more. Class ``classes`` means none is named."""

    def __init__(self, shape: Shape, width: int, classes: int) -> None:
        super().__init__()
        c, h, w = shape
        self.patch = 2 if min(h, w) >= PATCHED and h % 2 == w % 2 == 0 else 1
        c, h, w = c * self.patch**2, h // self.patch, w // self.patch
        widths = [width * min(4, 2**i) for i in range(halvings(h, w) + 1)]
        e = 4 * width
        self.size = width
        self.time = nn.Sequential(nn.Linear(2 * (width // 2), e), nn.SiLU(), nn.Linear(e, e))
        self.kind = nn.Embedding(classes + 1, e)
        self.first = nn.Conv2d(c, width, 3, padding=1)
        self.down = nn.ModuleList()
        self.shrink = nn.ModuleList()
        before = width
        for i, channels in enumerate(widths):
            self.down.append(Block(before, channels, e))
            last = i == len(widths) - 1
            self.shrink.append(nn.Identity() if last else nn.Conv2d(channels, channels, 3, 2, 1))
            before = channels
        self.middle1, self.look, self.middle2 = Block(before, before, e), Attention(before), Block(before, before, e)
        self.up = nn.ModuleList()
        self.grow = nn.ModuleList()
        for i, channels in reversed(list(enumerate(widths))):
            self.up.append(Block(before + channels, channels, e))
            after = widths[i - 1] if i else channels
            self.grow.append(nn.Conv2d(channels, after, 3, padding=1) if i else nn.Identity())
            before = after
        self.norm = nn.GroupNorm(groups(before), before)
        self.last = nn.Conv2d(before, c, 3, padding=1)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)  # type: ignore[arg-type]  # it has one
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # a fifth faster on a processor

    def forward(self, x: Tensor, t: Tensor, y: Tensor) -> Tensor:
        e = F.silu(self.time(embed_time(t, self.size)) + self.kind(y))
        h = self.first(F.pixel_unshuffle(x, self.patch))
        kept = []
        for block, shrink in zip(self.down, self.shrink, strict=True):
            h = block(h, e)
            kept.append(h)
            h = shrink(h)
        h = self.middle2(self.look(self.middle1(h, e)), e)
        for block, grow in zip(self.up, self.grow, strict=True):
            h = block(torch.cat([h, kept.pop()], 1), e)
            if kept:
                h = grow(F.interpolate(h, size=kept[-1].shape[2:]))
        return F.pixel_shuffle(self.last(F.silu(self.norm(h))), self.patch)


def groups(channels: int) -> int:
    """How many groups a normalisation has: eight where that divides the channels."""
    return math.gcd(8, channels)
