"""Blending tile by tile, forward and backward, every splat over the rows that it covers.

The reference is ``splatting/blending.py``. A tile keeps its pixels' transmittance while splats come nearest first; the
backward pass does the same again, taking from each pixel's total what is already in front, so that nothing has to be
kept of the forward one but the picture.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from engine.nn.radiance.compiled.spread import array, kernel, spread
from engine.nn.splatting.compiled.tiles import SLACK, TILE, Lists, lists
from engine.nn.splatting.projection import Projected

F0, F1, HALF = np.float32(0), np.float32(1), np.float32(0.5)
MOST_ALPHA, OPAQUE, FAINTEST = np.float32(0.99), np.float32(1e-4), np.float32(1 / 255)
PIXELS = TILE * TILE
PAIRS = 2000
"""Pairs of a tile and a splat that are worth a thread."""
SPLATS = 8192
"""Splats that are worth a thread."""
SINCE = 8
"""Splats between two looks at whether a tile is done."""
# A tile's state is one array of planes: loops become vectors only where arrays are known not to overlap and places not
# to be below 0. The last two planes hold where the pixels are.
GREEN, BLUE, FAR, FILLED, BEHIND, THROUGH, ACROSS, DOWN = (np.uint64(k * PIXELS) for k in range(1, 9))
PLANES = 9
GRADIENTS = 12
"""Columns of a pair's gradient: those of the table up to the depth, then the gauge's two."""
LOOSE = {"contract", "reassoc", "nsz"}
"""What may be reordered for vectors' sake: sums over the pixels of a row. The same on every run."""

# exp(x) = (exp(x / 8 + s) exp(-s))^8 with a Taylor series round the middle of the only x that count, -6..0: it needs no
# table and no bits, so that rows of pixels become vectors; off by a few 1e-7.
LEAST = np.float32(-6)
EIGHTH, MIDDLE, SCALE = np.float32(1 / 8), np.float32(0.375), np.float32(np.exp(-0.375))
E2, E3, E4, E5, E6 = (np.float32(1 / x) for x in (2, 6, 24, 120, 720))


@kernel("f4(f4)", LOOSE)
def _exp(x):  # type: ignore[no-untyped-def]
    y = x if x > LEAST else LEAST
    y = (F0 if y > F0 else y) * EIGHTH + MIDDLE
    e = SCALE * (F1 + y * (F1 + y * (E2 + y * (E3 + y * (E4 + y * (E5 + y * E6))))))
    e = e * e
    e = e * e
    return e * e


@kernel("UniTuple(int64, 2)(f4, f4, int64, int64)", LOOSE)
def _rows(y, tall, top, bottom):  # type: ignore[no-untyped-def]
    """The first pixel and the one behind the last of a tile's rows that a splat reaches."""
    tall = tall + SLACK
    first = np.ceil(min(max(y - tall - HALF, np.float32(top)), np.float32(bottom)))
    last = np.floor(min(max(y + tall + HALF, np.float32(top)), np.float32(bottom)))
    return (np.int64(first) - top) * TILE, (np.int64(last) - top) * TILE


@kernel("boolean(f4[::1])", LOOSE)
def _done(state):  # type: ignore[no-untyped-def]
    """Whether no light is left in the whole tile."""
    left = F0
    for p in range(PIXELS):
        left += state[np.uint64(p) + THROUGH]
    return left == F0


@kernel("void(f4[::1], int64, int64)", LOOSE)
def _clear(state, wide, tall):  # type: ignore[no-untyped-def]
    """A tile of which ``wide`` x ``tall`` pixels are in the picture, with all their light; the others have none."""
    state[:] = F0
    for row in range(tall):
        for column in range(wide):
            state[np.uint64(row * TILE + column) + THROUGH] = F1
    for p in range(PIXELS):
        state[np.uint64(p) + ACROSS] = np.float32(p % TILE) + HALF
        state[np.uint64(p) + DOWN] = np.float32(p // TILE) + HALF


@kernel(
    "void(int64, int64, f4[:, ::1], i4[::1], i8[::1], int64, int64, int64, f4[::1],"
    "f4[:, :, ::1], f4[:, ::1], f4[:, ::1])",
    LOOSE,
)
def _forward(  # type: ignore[no-untyped-def]
    begin, end, table, splat, starts, across, width, height, ground, rgb, alpha, depth
) -> None:
    s = np.empty(PLANES * PIXELS, np.float32)
    for tile in range(begin, end):
        left, top = tile % across * TILE, tile // across * TILE
        right, bottom = min(left + TILE, width), min(top + TILE, height)
        _clear(s, right - left, bottom - top)
        for m in range(starts[tile], starts[tile + 1]):
            if (m - starts[tile]) % SINCE == SINCE - 1 and _done(s):
                break
            i = splat[m]
            x, y, a, b, c, o = table[i, 0], table[i, 1], table[i, 2], table[i, 3], table[i, 4], table[i, 5]
            cr, cg, cb, z, tall = table[i, 6], table[i, 7], table[i, 8], table[i, 9], table[i, 11]
            first, last = _rows(y, tall, top, bottom)
            ox, oy, ha, hc = np.float32(left) - x, np.float32(top) - y, -HALF * a, -HALF * c
            for p in range(first, last):
                q = np.uint64(p)
                dx, dy = s[q + ACROSS] + ox, s[q + DOWN] + oy
                e = o * _exp(dx * (ha * dx - b * dy) + hc * dy * dy)
                e = MOST_ALPHA if e > MOST_ALPHA else e
                e = e if e >= FAINTEST else F0
                t = s[q + THROUGH]
                after = t * (F1 - e)
                w = t * e if after >= OPAQUE else F0
                s[q + THROUGH] = after if after >= OPAQUE else F0
                s[q + FILLED] += w
                s[q + FAR] += w * z
                s[q] += w * cr
                s[q + GREEN] += w * cg
                s[q + BLUE] += w * cb
        for row in range(top, bottom):
            for column in range(left, right):
                q = np.uint64((row - top) * TILE + column - left)
                rest = F1 - s[q + FILLED]
                rgb[row, column, 0] = s[q] + rest * ground[0]
                rgb[row, column, 1] = s[q + GREEN] + rest * ground[1]
                rgb[row, column, 2] = s[q + BLUE] + rest * ground[2]
                alpha[row, column] = s[q + FILLED]
                depth[row, column] = s[q + FAR]


@kernel(
    "void(int64, int64, f4[:, ::1], i4[::1], i8[::1], i8[::1], int64, int64, int64, f4[::1], f4[:, :, ::1], f4[:, ::1],"
    "f4[:, ::1], f4[:, :, ::1], f4[:, ::1], f4[:, ::1], f4[:, ::1])",
    LOOSE,
)
def _backward(  # type: ignore[no-untyped-def]
    begin, end, table, splat, rows, starts, across, width, height, ground, rgb, alpha, depth,
    to_rgb, to_alpha, to_depth, out,
) -> None:  # fmt: skip
    s = np.empty(PLANES * PIXELS, np.float32)
    for tile in range(begin, end):
        left, top = tile % across * TILE, tile // across * TILE
        right, bottom = min(left + TILE, width), min(top + TILE, height)
        _clear(s, right - left, bottom - top)
        for row in range(top, bottom):
            for column in range(left, right):
                q = np.uint64((row - top) * TILE + column - left)
                r, g, b = to_rgb[row, column, 0], to_rgb[row, column, 1], to_rgb[row, column, 2]
                s[q], s[q + GREEN], s[q + BLUE], s[q + FAR] = r, g, b, to_depth[row, column]
                # What one unit of weight gives beside its colour and depth: alpha, and the ground that it hides.
                hidden = r * ground[0] + g * ground[1] + b * ground[2]
                s[q + FILLED] = to_alpha[row, column] - hidden
                s[q + BEHIND] = (
                    r * rgb[row, column, 0] + g * rgb[row, column, 1] + b * rgb[row, column, 2] - hidden
                    + to_alpha[row, column] * alpha[row, column] + to_depth[row, column] * depth[row, column]
                )  # fmt: skip
        for m in range(starts[tile], starts[tile + 1]):
            i, pair = splat[m], rows[m]
            if (m - starts[tile]) % SINCE == SINCE - 1 and _done(s):
                for k in range(m, starts[tile + 1]):
                    out[rows[k], :] = F0
                break
            x, y, a, b, c, o = table[i, 0], table[i, 1], table[i, 2], table[i, 3], table[i, 4], table[i, 5]
            cr, cg, cb, z, tall = table[i, 6], table[i, 7], table[i, 8], table[i, 9], table[i, 11]
            first, last = _rows(y, tall, top, bottom)
            ox, oy, ha, hc = np.float32(left) - x, np.float32(top) - y, -HALF * a, -HALF * c
            s0, sx, sy, sxx, sxy, syy = F0, F0, F0, F0, F0, F0
            sr, sg, sb, sz, gx, gy = F0, F0, F0, F0, F0, F0
            for p in range(first, last):
                q = np.uint64(p)
                dx, dy = s[q + ACROSS] + ox, s[q + DOWN] + oy
                e = o * _exp(dx * (ha * dx - b * dy) + hc * dy * dy)
                bends = F1 if e < MOST_ALPHA else F0  # where it is clipped neither shape nor opacity matters
                e = MOST_ALPHA if e > MOST_ALPHA else e
                e = e if e >= FAINTEST else F0
                t = s[q + THROUGH]
                after = t * (F1 - e)
                goes = F1 if after >= OPAQUE else F0
                w = t * e * goes
                s[q + THROUGH] = after * goes
                value = s[q] * cr + s[q + GREEN] * cg + s[q + BLUE] * cb + s[q + FAR] * z + s[q + FILLED]
                rest = s[q + BEHIND] - w * value
                s[q + BEHIND] = rest
                # dL/dalpha times alpha: the slope of the exponent.
                d = (w * value - e / (F1 - e) * rest) * (bends * goes)
                sr += w * s[q]
                sg += w * s[q + GREEN]
                sb += w * s[q + BLUE]
                sz += w * s[q + FAR]
                s0 += d
                sx += d * dx
                sy += d * dy
                sxx += d * dx * dx
                sxy += d * dx * dy
                syy += d * dy * dy
                gx += abs(d * (a * dx + b * dy))
                gy += abs(d * (b * dx + c * dy))
            out[pair, 0], out[pair, 1] = a * sx + b * sy, b * sx + c * sy
            out[pair, 2], out[pair, 3], out[pair, 4] = -HALF * sxx, -sxy, -HALF * syy
            out[pair, 5] = s0 / o
            out[pair, 6], out[pair, 7], out[pair, 8], out[pair, 9] = sr, sg, sb, sz
            out[pair, 10], out[pair, 11] = gx, gy


@kernel("void(int64, int64, f4[:, ::1], i8[::1], f4[:, ::1], f4[:, ::1], f4[:, ::1], f4[::1], f4[::1], f4[:, ::1])")
def _sum(begin, end, pairs, firsts, centres, conics, rgb, opacity, depth, gauge) -> None:  # type: ignore[no-untyped-def]
    total = np.empty(GRADIENTS, np.float32)
    for i in range(begin, end):
        total[:] = F0
        for pair in range(firsts[i], firsts[i + 1]):
            for k in range(GRADIENTS):
                total[k] += pairs[pair, k]
        centres[i, 0], centres[i, 1] = total[0], total[1]
        conics[i, 0], conics[i, 1], conics[i, 2] = total[2], total[3], total[4]
        opacity[i] = total[5]
        rgb[i, 0], rgb[i, 1], rgb[i, 2] = total[6], total[7], total[8]
        depth[i] = total[9]
        gauge[i, 0], gauge[i, 1] = total[10], total[11]


def spread_tiles(work: Any, found: Lists) -> None:
    """Calls ``work(begin, end)`` for runs of tiles with about equally many pairs."""
    starts, tiles = found.starts, len(found.starts) - 1

    def bound(pairs: int) -> int:
        return tiles if pairs >= starts[-1] else int(np.searchsorted(starts[:-1], pairs, side="left"))

    if starts[-1] < PAIRS:
        work(0, tiles)
        return
    spread(lambda a, b: work(bound(a) if a else 0, bound(b)), int(starts[-1]), PAIRS)


class Blend(torch.autograd.Function):
    """(rgb, alpha, depth) = apply(centres, conics, rgb, opacity, depth, ground, visible, absolute, width, height)"""

    @staticmethod
    def forward(ctx: Any, *inputs: Any) -> tuple[Tensor, Tensor, Tensor]:
        centres, conics, rgb, opacity, depth, ground, visible, absolute, width, height = inputs
        arrays = tuple(array(part) for part in (centres, conics, rgb, opacity, depth, visible))
        table, found = lists(arrays, width, height)
        picture, alpha, far = (torch.empty(height, width, *rest) for rest in ((3,), (), ()))
        rows = (table, found.splat, found.starts, found.across, width, height, array(ground))
        spread_tiles(lambda a, b: _forward(a, b, *rows, array(picture), array(alpha), array(far)), found)
        ctx.table, ctx.found, ctx.size = table, found, (width, height)
        ctx.gauge = absolute is not None and ctx.needs_input_grad[7]
        ctx.save_for_backward(ground, picture, alpha, far)
        return picture, alpha, far

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        table, found, (width, height) = ctx.table, ctx.found, ctx.size
        ground, picture, alpha, far = ctx.saved_tensors
        rows = (table, found.splat, found.row, found.starts, found.across, width, height)
        images = tuple(array(part) for part in (ground, picture, alpha, far, *gradients))
        pairs = np.empty((len(found.row), GRADIENTS), np.float32)
        spread_tiles(lambda a, b: _backward(a, b, *rows, *images, pairs), found)
        n = len(table)
        out = [torch.empty(n, *rest) for rest in ((2,), (3,), (3,), (), (), (2,))]
        arrays = [array(part) for part in out]
        spread(lambda a, b: _sum(a, b, pairs, found.firsts, *arrays), n, SPLATS)
        to_ground = ((1 - alpha)[..., None] * gradients[0]).sum((0, 1)) if ctx.needs_input_grad[5] else None
        return (*out[:5], to_ground, None, out[5] if ctx.gauge else None, None, None)


@kernel(
    "void(int64, int64, f4[:, ::1], i4[::1], i8[::1], i8[::1], int64, int64, int64, f4[::1], f4[::1], i8[::1])", LOOSE
)
def _use(  # type: ignore[no-untyped-def]
    begin, end, table, splat, rows, starts, across, width, height, most, total, pixels
) -> None:
    s = np.empty(PLANES * PIXELS, np.float32)
    for tile in range(begin, end):
        left, top = tile % across * TILE, tile // across * TILE
        right, bottom = min(left + TILE, width), min(top + TILE, height)
        _clear(s, right - left, bottom - top)
        for m in range(starts[tile], starts[tile + 1]):
            i = splat[m]
            x, y, a, b, c, o = table[i, 0], table[i, 1], table[i, 2], table[i, 3], table[i, 4], table[i, 5]
            tall = table[i, 11]
            first, last = _rows(y, tall, top, bottom)
            ox, oy, ha, hc = np.float32(left) - x, np.float32(top) - y, -HALF * a, -HALF * c
            largest, summed, touched = F0, F0, F0
            for p in range(first, last):
                q = np.uint64(p)
                dx, dy = s[q + ACROSS] + ox, s[q + DOWN] + oy
                e = o * _exp(dx * (ha * dx - b * dy) + hc * dy * dy)
                e = MOST_ALPHA if e > MOST_ALPHA else e
                e = e if e >= FAINTEST else F0
                t = s[q + THROUGH]
                after = t * (F1 - e)
                w = t * e if after >= OPAQUE else F0
                s[q + THROUGH] = after if after >= OPAQUE else F0
                largest = w if w > largest else largest
                summed += w
                touched += F1 if w > F0 else F0
            most[rows[m]], total[rows[m]], pixels[rows[m]] = largest, summed, np.int64(touched)


def use(projected: Projected, width: int, height: int) -> tuple[Tensor, Tensor, Tensor]:
    """The largest weight, the sum of the weights and the number of pixels of each splat."""
    p = projected
    table, found = lists(
        tuple(array(x) for x in (p.centres, p.conics, p.rgb, p.opacity, p.depth, p.visible)), width, height
    )
    m = len(found.row)
    pairs = (np.empty(m, np.float32), np.empty(m, np.float32), np.empty(m, np.int64))
    rows = (table, found.splat, found.row, found.starts, found.across, width, height)
    spread_tiles(lambda a, b: _use(a, b, *rows, *pairs), found)
    most, total, touched = pairs
    some = np.flatnonzero(np.diff(found.firsts))  # reduceat takes no empty run
    first = found.firsts[some]
    out = (np.zeros(len(table), np.float32), np.zeros(len(table), np.float32), np.zeros(len(table), np.int64))
    if len(some):
        out[0][some] = np.maximum.reduceat(most, first)
        out[1][some] = np.add.reduceat(total, first)
        out[2][some] = np.add.reduceat(touched, first)
    return torch.from_numpy(out[0]), torch.from_numpy(out[1]), torch.from_numpy(out[2])
