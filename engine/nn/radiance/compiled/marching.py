"""Marching through occupied cells, ray by ray, over each empty cell in one leap. The reference, whose every sample it
finds to the last bit, is ``radiance/occupancy.py``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from engine.nn.radiance.compiled.spread import array, kernel, spread

if TYPE_CHECKING:
    from engine.nn.radiance.occupancy import Occupancy, Samples

ZERO, HALF, ONE, TWO, HUGE = np.float32(0), np.float32(0.5), np.float32(1), np.float32(2), np.float32(1e30)
SHY = np.float32(1e-2)
"""A leap ends this share of a step before the cell does: rounding must not carry it over a sample."""
BLOCK = 4
"""So many cells a side are leapt over at once where all are empty."""
RAYS = 1024
"""Rays that are worth a thread."""
ROOM = 48
"""Samples of a ray that there is room for at first; where it runs out, marching goes on into more."""


@kernel("void(b1[::1], int64, int64, b1[::1])")
def _blocks(occupied, n, cascades, blocks) -> None:  # type: ignore[no-untyped-def]
    """Which blocks of cells have an occupied one, or reach into a finer grid."""
    m = (n + BLOCK - 1) // BLOCK
    blocks[:] = False
    for c in range(cascades):
        for x in range(n):
            for y in range(n):
                cell = ((c * n + x) * n + y) * n
                block = ((c * m + x // BLOCK) * m + y // BLOCK) * m
                for z in range(n):
                    if occupied[cell + z]:
                        blocks[block + z // BLOCK] = True
        if c > 0:
            low, high = n // 4 // BLOCK, (3 * n - 1) // 4 // BLOCK
            for x in range(low, high + 1):
                for y in range(low, high + 1):
                    for z in range(low, high + 1):
                        blocks[((c * m + x) * m + y) * m + z] = True


@kernel(
    "int64(int64, int64, f4[:, ::1], f4[:, ::1], f4[::1], f4[::1], f4, f4, f4, int64, f4[::1], f4[::1], int64, int64,"
    "b1[::1], b1[::1], f4[::1], f4[::1], f4[:, ::1], i8[::1], i8[::1])"
)
def _march(  # type: ignore[no-untyped-def]
    begin,
    end,
    origins,
    directions,
    start,
    far,
    step,
    cone,
    widest,
    most,
    centre,
    inverse,
    n,
    cascades,
    occupied,
    blocks,
    to_t,
    to_delta,
    to_points,
    to_ray,
    counts,
):
    """Rays ``begin`` .. ``end``, one after another as long as there is room for ``most`` more samples; the number of
    the first that was not marched any more."""
    cells = HALF * np.float32(n)
    outermost = np.float32(2.0 ** (cascades - 1))
    m = (n + BLOCK - 1) // BLOCK
    low, high = n // 4, (3 * n - 1) // 4
    total = 0
    for r in range(begin, end):
        if total + most > len(to_t):
            return r
        ox, oy, oz = origins[r, 0], origins[r, 1], origins[r, 2]
        dx, dy, dz = directions[r, 0], directions[r, 1], directions[r, 2]
        # How far along the ray one cell of the first grid is, by each axis.
        px = ONE / (dx * inverse[0] * cells) if dx != ZERO else HUGE
        py = ONE / (dy * inverse[1] * cells) if dy != ZERO else HUGE
        pz = ONE / (dz * inverse[2] * cells) if dz != ZERO else HUGE
        t = start[r]
        k = 0
        count = 0
        while count < most:
            if cone == ZERO:
                t = start[r] + np.float32(k) * step
                length = step
            else:
                length = min(max(t * cone, step), widest)
            middle = t + length * HALF
            if not middle < far[r]:
                break
            x, y, z = ox + middle * dx, oy + middle * dy, oz + middle * dz
            ux = (x - centre[0]) * inverse[0]
            uy = (y - centre[1]) * inverse[1]
            uz = (z - centre[2]) * inverse[2]
            reach = max(abs(ux), max(abs(uy), abs(uz)))
            if not reach <= outermost:  # by rounding, at the box's wall
                k += 1
                t += length
                continue
            size = ONE
            cascade = 0
            while cascade < cascades - 1 and reach > size:
                size *= TWO
                cascade += 1
            ux, uy, uz = (ux / size + ONE) * cells, (uy / size + ONE) * cells, (uz / size + ONE) * cells
            i, j, l = min(max(int(ux), 0), n - 1), min(max(int(uy), 0), n - 1), min(max(int(uz), 0), n - 1)  # noqa: E741
            if occupied[((cascade * n + i) * n + j) * n + l]:
                at = total + count
                to_t[at] = middle
                to_delta[at] = length
                to_points[at, 0], to_points[at, 1], to_points[at, 2] = x, y, z
                to_ray[at] = r
                count += 1
                k += 1
                t += length
                continue
            if cascade > 0 and low <= i <= high and low <= j <= high and low <= l <= high:  # a finer grid begins in it
                k += 1
                t += length
                continue
            wide = 1
            if not blocks[((cascade * m + i // BLOCK) * m + j // BLOCK) * m + l // BLOCK]:
                wide = BLOCK
                i, j, l = i // BLOCK * BLOCK, j // BLOCK * BLOCK, l // BLOCK * BLOCK  # noqa: E741
            leap = (np.float32(min(i + wide, n) if dx > ZERO else i) - ux) * px
            leap = min(leap, (np.float32(min(j + wide, n) if dy > ZERO else j) - uy) * py)
            leap = min(leap, (np.float32(min(l + wide, n) if dz > ZERO else l) - uz) * pz)
            leave = min(middle + leap * size, far[r])
            if cone == ZERO:
                k = max(k + 1, int((leave - start[r]) / step - HALF - SHY) + 1)
            else:
                t += length
                length = min(max(t * cone, step), widest)
                while t + (HALF + SHY) * length < leave:
                    t += length
                    length = min(max(t * cone, step), widest)
        counts[r] = count
        total += count
    return end


def march(
    grid: Occupancy,
    origins: Tensor,
    directions: Tensor,
    start: Tensor,
    far: Tensor,
    step: float,
    cone: float,
    most: int,
) -> Samples:
    """What ``Occupancy.march`` finds from ``start`` on."""
    from engine.nn.radiance.occupancy import Samples

    n, cascades = grid.resolution, grid.cascades
    occupied, blocks = array(grid.occupied), np.empty(cascades * (-(-n // BLOCK)) ** 3, np.bool_)
    _blocks(occupied, n, cascades, blocks)
    fixed = (*(array(tensor) for tensor in (origins, directions, start, far)), np.float32(step), np.float32(cone))
    box = (array(grid.centre), array(grid.inverse), n, cascades, occupied, blocks)
    counts = torch.zeros(len(origins), dtype=torch.long)
    found: dict[int, list[Tensor]] = {}

    def part(begin: int, end: int) -> None:
        while begin < end:
            room = most + ROOM * (end - begin)
            rows = [torch.empty(room), torch.empty(room), torch.empty(room, 3), torch.empty(room, dtype=torch.long)]
            out = [array(tensor) for tensor in (*rows, counts)]
            ended = int(_march(begin, end, *fixed, np.float32(max(step, grid.widest)), most, *box, *out))
            total = int(counts[begin:ended].sum())
            found[begin] = [tensor[:total] for tensor in rows]
            begin = ended

    spread(part, len(origins), RAYS)
    parts = [found[begin] for begin in sorted(found)] or [[torch.empty(0), torch.empty(0), torch.empty(0, 3), counts]]
    t, delta, points, ray = parts[0] if len(parts) == 1 else (torch.cat(column) for column in zip(*parts, strict=True))
    return Samples(points, t, delta, ray, counts.cumsum(0) - counts, counts)
