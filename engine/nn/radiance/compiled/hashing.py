"""Reading a hash grid and its gradient, all levels and corners in one pass. The reference is the plain torch
``HashGrid`` of ``nn/fields/encodings.py``."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from engine.nn.fields.encodings import PRIMES
from engine.nn.radiance.compiled.spread import array, kernel, spread

HALF, ONE = np.float32(0.5), np.float32(1)
SECOND, THIRD = np.int64(PRIMES[1]), np.int64(PRIMES[2])
ROWS = 4096
"""Places that are worth a thread."""


class Kernels(NamedTuple):
    """``read(begin, end, x, table, sides, entries, out)`` for rows begin .. end; ``scatter(begin, end, x, sides,
    entries, to_out, to_table)`` for levels begin .. end; ``slope(begin, end, x, table, sides, entries, to_out, to_x)``.
    """

    read: Callable[..., None]
    scatter: Callable[..., None]
    slope: Callable[..., None]


@lru_cache(maxsize=8)
def kernels(features: int) -> Kernels:
    """For that many features a level: with the number known, the compiler unrolls the loops over them."""

    @kernel("void(int64, int64, f4[:, ::1], f4[:, ::1], i8[::1], int64, f4[:, ::1])")
    def read(begin, end, x, table, sides, entries, out) -> None:  # type: ignore[no-untyped-def]
        for i in range(begin, end):
            out[i, 0], out[i, 1], out[i, 2] = x[i, 0], x[i, 1], x[i, 2]
        for level in range(len(sides)):
            side = sides[level]
            dense = (side + 1) ** 3 <= entries
            first = level * entries
            scale = np.float32(side)
            column = 3 + level * features
            for i in range(begin, end):
                ax, ay, az = (
                    (x[i, 0] + ONE) * HALF * scale,
                    (x[i, 1] + ONE) * HALF * scale,
                    (x[i, 2] + ONE) * HALF * scale,
                )
                lx = min(max(int(np.floor(ax)), 0), side - 1)
                ly = min(max(int(np.floor(ay)), 0), side - 1)
                lz = min(max(int(np.floor(az)), 0), side - 1)
                sx, sy, sz = ax - np.float32(lx), ay - np.float32(ly), az - np.float32(lz)
                for f in range(features):
                    out[i, column + f] = np.float32(0)
                for a in range(2):
                    wx = sx if a else ONE - sx
                    for b in range(2):
                        wy = wx * (sy if b else ONE - sy)
                        for c in range(2):
                            w = wy * (sz if c else ONE - sz)
                            if dense:
                                row = first + ((lx + a) * (side + 1) + ly + b) * (side + 1) + lz + c
                            else:
                                row = first + (((lx + a) ^ ((ly + b) * SECOND) ^ ((lz + c) * THIRD)) & (entries - 1))
                            for f in range(features):
                                out[i, column + f] += w * table[row, f]

    @kernel("void(int64, int64, f4[:, ::1], i8[::1], int64, f4[:, ::1], f4[:, ::1])")
    def scatter(begin, end, x, sides, entries, to_out, to_table) -> None:  # type: ignore[no-untyped-def]
        for level in range(begin, end):
            side = sides[level]
            dense = (side + 1) ** 3 <= entries
            first = level * entries
            scale = np.float32(side)
            column = 3 + level * features
            for i in range(len(x)):
                ax, ay, az = (
                    (x[i, 0] + ONE) * HALF * scale,
                    (x[i, 1] + ONE) * HALF * scale,
                    (x[i, 2] + ONE) * HALF * scale,
                )
                lx = min(max(int(np.floor(ax)), 0), side - 1)
                ly = min(max(int(np.floor(ay)), 0), side - 1)
                lz = min(max(int(np.floor(az)), 0), side - 1)
                sx, sy, sz = ax - np.float32(lx), ay - np.float32(ly), az - np.float32(lz)
                for a in range(2):
                    wx = sx if a else ONE - sx
                    for b in range(2):
                        wy = wx * (sy if b else ONE - sy)
                        for c in range(2):
                            w = wy * (sz if c else ONE - sz)
                            if dense:
                                row = first + ((lx + a) * (side + 1) + ly + b) * (side + 1) + lz + c
                            else:
                                row = first + (((lx + a) ^ ((ly + b) * SECOND) ^ ((lz + c) * THIRD)) & (entries - 1))
                            for f in range(features):
                                to_table[row, f] += w * to_out[i, column + f]

    @kernel("void(int64, int64, f4[:, ::1], f4[:, ::1], i8[::1], int64, f4[:, ::1], f4[:, ::1])")
    def slope(begin, end, x, table, sides, entries, to_out, to_x) -> None:  # type: ignore[no-untyped-def]
        for i in range(begin, end):
            to_x[i, 0], to_x[i, 1], to_x[i, 2] = to_out[i, 0], to_out[i, 1], to_out[i, 2]
        for level in range(len(sides)):
            side = sides[level]
            dense = (side + 1) ** 3 <= entries
            first = level * entries
            scale = np.float32(side)
            column = 3 + level * features
            for i in range(begin, end):
                ax, ay, az = (
                    (x[i, 0] + ONE) * HALF * scale,
                    (x[i, 1] + ONE) * HALF * scale,
                    (x[i, 2] + ONE) * HALF * scale,
                )
                lx = min(max(int(np.floor(ax)), 0), side - 1)
                ly = min(max(int(np.floor(ay)), 0), side - 1)
                lz = min(max(int(np.floor(az)), 0), side - 1)
                sx, sy, sz = ax - np.float32(lx), ay - np.float32(ly), az - np.float32(lz)
                for a in range(2):
                    wx, gx = (sx, ONE) if a else (ONE - sx, -ONE)
                    for b in range(2):
                        wy, gy = (sy, ONE) if b else (ONE - sy, -ONE)
                        for c in range(2):
                            wz, gz = (sz, ONE) if c else (ONE - sz, -ONE)
                            if dense:
                                row = first + ((lx + a) * (side + 1) + ly + b) * (side + 1) + lz + c
                            else:
                                row = first + (((lx + a) ^ ((ly + b) * SECOND) ^ ((lz + c) * THIRD)) & (entries - 1))
                            gain = np.float32(0)
                            for f in range(features):
                                gain += table[row, f] * to_out[i, column + f]
                            gain *= HALF * scale
                            to_x[i, 0] += gx * wy * wz * gain
                            to_x[i, 1] += wx * gy * wz * gain
                            to_x[i, 2] += wx * wy * gz * gain

    return Kernels(read, scatter, slope)


class Encode(torch.autograd.Function):
    """features = apply(x, table, sides int64 (levels,), entries)"""

    @staticmethod
    def forward(ctx: Any, x: Tensor, table: Tensor, sides: Tensor, entries: int) -> Tensor:
        features = table.shape[1]
        out = x.new_empty(len(x), 3 + len(sides) * features)
        inputs = (array(x), array(table), array(sides), entries, array(out))
        spread(lambda begin, end: kernels(features).read(begin, end, *inputs), len(x), ROWS)
        ctx.save_for_backward(x, table, sides)
        ctx.entries = entries
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, given: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:
        x, table, sides = ctx.saved_tensors
        k = kernels(table.shape[1])
        places, levels, to_out = array(x), array(sides), array(given)
        to_x = to_table = None
        if ctx.needs_input_grad[1]:
            to_table = torch.zeros_like(table)
            levels_of = (places, levels, ctx.entries, to_out, array(to_table))
            # By levels, each of which has rows of the table for itself: no two threads add to the same one.
            spread(
                lambda begin, end: k.scatter(begin, end, *levels_of), len(levels), 1 if len(x) > ROWS else len(levels)
            )
        if ctx.needs_input_grad[0]:
            to_x = torch.empty_like(x)
            rows = (places, array(table), levels, ctx.entries, to_out, array(to_x))
            spread(lambda begin, end: k.slope(begin, end, *rows), len(x), ROWS)
        return to_x, to_table, None, None
