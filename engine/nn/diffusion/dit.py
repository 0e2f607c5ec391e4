"""The diffusion transformer: time and class in, a grid of the input's shape out. Knows no noise and no schedule.

After Peebles & Xie 2023: patches as tokens, adaLN-Zero; SiLU in place of GELU, which on a processor took a seventh of a
step.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engine.nn.coding.coder import Shape
from engine.nn.diffusion.unet import embed_time

HEADS = 4


class DiTBlock(nn.Module):
    """Attention and a small network, each scaled, shifted and gated by time and class; the gates begin at 0
    (adaLN-Zero)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.adapt = nn.Linear(width, 6 * width)
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.SiLU(), nn.Linear(4 * width, width))
        nn.init.zeros_(self.adapt.weight)
        nn.init.zeros_(self.adapt.bias)

    def forward(self, h: Tensor, e: Tensor) -> Tensor:
        b, n, d = h.shape
        shift, scale, gate, shift2, scale2, gate2 = self.adapt(e)[:, None].chunk(6, 2)
        x = F.layer_norm(h, (d,)) * (1 + scale) + shift
        q, k, v = self.qkv(x).view(b, n, 3, HEADS, d // HEADS).permute(2, 0, 3, 1, 4).unbind(0)
        seen = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(b, n, d)
        h = h + gate * self.out(seen)
        out: Tensor = h + gate2 * self.mlp(F.layer_norm(h, (d,)) * (1 + scale2) + shift2)
        return out


class DiT(nn.Module):
    """(B, C, h, w), t (B,), class (B,) -> (B, C, h, w). A patch of ``patch`` x ``patch`` cells is a token; class
    ``classes`` means none is named. It says 0 before it has learned anything."""

    positions: Tensor

    def __init__(self, shape: Shape, width: int, depth: int, patch: int, classes: int) -> None:
        super().__init__()
        c, h, w = shape
        width = max(1, round(width / (4 * HEADS))) * 4 * HEADS
        self.patch = patch
        self.size = width
        self.rows, self.columns = -(-h // patch), -(-w // patch)
        self.first = nn.Linear(c * patch * patch, width)
        self.register_buffer("positions", positions(self.rows, self.columns, width), persistent=False)
        self.time = nn.Sequential(nn.Linear(width, width), nn.SiLU(), nn.Linear(width, width))
        self.kind = nn.Embedding(classes + 1, width)
        self.blocks = nn.ModuleList(DiTBlock(width) for _ in range(depth))
        self.adapt = nn.Linear(width, 2 * width)
        self.last = nn.Linear(width, c * patch * patch)
        for layer in (self.adapt, self.last):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor, t: Tensor, y: Tensor) -> Tensor:
        b, c, h, w = x.shape
        p, rows, columns = self.patch, self.rows, self.columns
        e = F.silu(self.time(embed_time(t, self.size)) + self.kind(y))
        x = F.pad(x, (0, columns * p - w, 0, rows * p - h))
        tokens = x.view(b, c, rows, p, columns, p).permute(0, 2, 4, 1, 3, 5).reshape(b, rows * columns, -1)
        v = self.first(tokens) + self.positions
        for block in self.blocks:
            v = block(v, e)
        shift, scale = self.adapt(e)[:, None].chunk(2, 2)
        v = self.last(F.layer_norm(v, (self.size,)) * (1 + scale) + shift)
        v = v.view(b, rows, columns, c, p, p).permute(0, 3, 1, 4, 2, 5).reshape(b, c, rows * p, columns * p)
        return v[:, :, :h, :w]


def positions(rows: int, columns: int, width: int) -> Tensor:
    """Sines and cosines of row and column, (rows * columns, width); Vaswani et al. 2017, a half for each direction."""
    quarter = width // 4
    frequencies = torch.exp(-math.log(10_000.0) * torch.arange(quarter) / quarter)
    row, column = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
    angles = torch.stack([row, column], -1).view(-1, 2, 1) * frequencies
    return torch.cat([angles.sin(), angles.cos()], 2).flatten(1)
