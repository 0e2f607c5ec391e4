"""Reading a hash grid and its gradient in Triton: a program per level and block of places.

The reference is the plain torch ``HashGrid`` of ``nn/fields/encodings.py``.
"""

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor
from torch.autograd.function import once_differentiable

from engine.nn.fields.encodings import PRIMES

SECOND, THIRD = tl.constexpr(PRIMES[1]), tl.constexpr(PRIMES[2])
LANES = 256


@triton.jit
def _cell(x, i, real, side, axis: tl.constexpr):  # type: ignore[no-untyped-def]
    """The lower corner of the cells that places ``i`` lie in, and how far into them they are, along an axis."""
    at = (tl.load(x + i * 3 + axis, real, 0.0) + 1.0) * 0.5 * side.to(tl.float32)
    low = tl.minimum(tl.maximum(tl.floor(at), 0.0), (side - 1).to(tl.float32))
    return low.to(tl.int64), at - low


@triton.jit
def _row(cx, cy, cz, side, level, entries):  # type: ignore[no-untyped-def]
    """The rows of the table of grid corners."""
    n = (side + 1).to(tl.int64)
    dense = (cx * n + cy) * n + cz
    hashed = (cx ^ (cy * SECOND) ^ (cz * THIRD)) & (entries - 1)
    return tl.where(n * n * n <= entries, dense, hashed) + level * entries


@triton.jit
def _read(x, table, sides, out, rows, entries, width, FEATURES: tl.constexpr, LANES: tl.constexpr):  # type: ignore[no-untyped-def]
    i = (tl.program_id(0) * LANES + tl.arange(0, LANES)).to(tl.int64)
    real = i < rows
    level = tl.program_id(1)
    side = tl.load(sides + level)
    lx, sx = _cell(x, i, real, side, 0)
    ly, sy = _cell(x, i, real, side, 1)
    lz, sz = _cell(x, i, real, side, 2)
    if level == 0:
        for axis in tl.static_range(3):
            tl.store(out + i * width + axis, tl.load(x + i * 3 + axis, real, 0.0), real)
    for f in tl.static_range(FEATURES):
        total = tl.zeros((LANES,), tl.float32)
        for corner in tl.static_range(8):
            a, b, c = corner // 4, corner // 2 % 2, corner % 2
            w = (sx if a else 1.0 - sx) * (sy if b else 1.0 - sy) * (sz if c else 1.0 - sz)
            row = _row(lx + a, ly + b, lz + c, side, level, entries)
            total += w * tl.load(table + row * FEATURES + f, real, 0.0)
        tl.store(out + i * width + 3 + level * FEATURES + f, total, real)


@triton.jit
def _scatter(x, sides, given, to_table, rows, entries, width, FEATURES: tl.constexpr, LANES: tl.constexpr):  # type: ignore[no-untyped-def]
    i = (tl.program_id(0) * LANES + tl.arange(0, LANES)).to(tl.int64)
    real = i < rows
    level = tl.program_id(1)
    side = tl.load(sides + level)
    lx, sx = _cell(x, i, real, side, 0)
    ly, sy = _cell(x, i, real, side, 1)
    lz, sz = _cell(x, i, real, side, 2)
    for f in tl.static_range(FEATURES):
        g = tl.load(given + i * width + 3 + level * FEATURES + f, real, 0.0)
        for corner in tl.static_range(8):
            a, b, c = corner // 4, corner // 2 % 2, corner % 2
            w = (sx if a else 1.0 - sx) * (sy if b else 1.0 - sy) * (sz if c else 1.0 - sz)
            row = _row(lx + a, ly + b, lz + c, side, level, entries)
            # Most samples of a batch that is half learned are hidden: nothing is to be added for them.
            tl.atomic_add(to_table + row * FEATURES + f, w * g, real & (g != 0.0))


@triton.jit
def _slope(x, table, sides, given, to_x, rows, entries, width, levels, FEATURES: tl.constexpr, LANES: tl.constexpr):  # type: ignore[no-untyped-def]
    i = (tl.program_id(0) * LANES + tl.arange(0, LANES)).to(tl.int64)
    real = i < rows
    gx = tl.load(given + i * width, real, 0.0)
    gy = tl.load(given + i * width + 1, real, 0.0)
    gz = tl.load(given + i * width + 2, real, 0.0)
    for level in range(levels):
        side = tl.load(sides + level)
        lx, sx = _cell(x, i, real, side, 0)
        ly, sy = _cell(x, i, real, side, 1)
        lz, sz = _cell(x, i, real, side, 2)
        half = side.to(tl.float32) * 0.5
        for corner in tl.static_range(8):
            a, b, c = corner // 4, corner // 2 % 2, corner % 2
            row = _row(lx + a, ly + b, lz + c, side, level, entries)
            gain = tl.zeros((LANES,), tl.float32)
            for f in tl.static_range(FEATURES):
                g = tl.load(given + i * width + 3 + level * FEATURES + f, real, 0.0)
                gain += tl.load(table + row * FEATURES + f, real, 0.0) * g
            gain *= half
            wx, wy, wz = sx if a else 1.0 - sx, sy if b else 1.0 - sy, sz if c else 1.0 - sz
            gx += wy * wz * gain * (2 * a - 1)
            gy += wx * wz * gain * (2 * b - 1)
            gz += wx * wy * gain * (2 * c - 1)
    tl.store(to_x + i * 3, gx, real)
    tl.store(to_x + i * 3 + 1, gy, real)
    tl.store(to_x + i * 3 + 2, gz, real)


class Encode(torch.autograd.Function):
    """features = apply(x, table, sides int64 (levels,), entries)"""

    @staticmethod
    def forward(ctx: Any, x: Tensor, table: Tensor, sides: Tensor, entries: int) -> Tensor:
        x = x.contiguous()
        features, rows = table.shape[1], len(x)
        out = x.new_empty(rows, 3 + len(sides) * features)
        if rows:
            grid = (triton.cdiv(rows, LANES), len(sides))
            _read[grid](x, table, sides, out, rows, entries, out.shape[1], features, LANES, enable_fp_fusion=True)
        ctx.save_for_backward(x, table, sides)
        ctx.entries = entries
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, given: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:
        x, table, sides = ctx.saved_tensors
        given = given.contiguous()
        rows, levels = len(x), len(sides)
        size = (rows, ctx.entries, given.shape[1])
        blocks = triton.cdiv(rows, LANES)
        to_x = to_table = None
        if ctx.needs_input_grad[1]:
            to_table = torch.zeros_like(table)
            if rows:
                _scatter[(blocks, levels)](
                    x, sides, given, to_table, *size, table.shape[1], LANES, enable_fp_fusion=True
                )
        if ctx.needs_input_grad[0]:
            to_x = torch.empty_like(x)
            if rows:
                _slope[(blocks,)](
                    x, table, sides, given, to_x, *size, levels, table.shape[1], LANES, enable_fp_fusion=True
                )
        return to_x, to_table, None, None
