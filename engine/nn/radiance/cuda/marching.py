"""Marching through occupied cells in Triton: a lane per ray, once to count and once to write the samples.

The reference is ``radiance/occupancy.py``; multiplications and additions are not fused, so that the steps are its.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import triton
import triton.language as tl
from torch import Tensor

if TYPE_CHECKING:
    from engine.nn.radiance.occupancy import Occupancy, Samples

LANES = 32


@triton.jit
def _march(  # type: ignore[no-untyped-def]
    origins, directions, start, far, step, cone, widest, most, centre, inverse, occupied, n, cascades, outermost,
    counts, starts, to_t, to_delta, to_points, to_ray, rays,
    CONE: tl.constexpr, WRITE: tl.constexpr, LANES: tl.constexpr
):  # fmt: skip
    r = tl.program_id(0) * LANES + tl.arange(0, LANES)
    real = r < rays
    ox = tl.load(origins + r * 3, real, 0.0)
    oy = tl.load(origins + r * 3 + 1, real, 0.0)
    oz = tl.load(origins + r * 3 + 2, real, 0.0)
    dx = tl.load(directions + r * 3, real, 0.0)
    dy = tl.load(directions + r * 3 + 1, real, 0.0)
    dz = tl.load(directions + r * 3 + 2, real, 0.0)
    begin = tl.load(start + r, real, 0.0)
    end = tl.load(far + r, real, 0.0)
    cx, cy, cz = tl.load(centre), tl.load(centre + 1), tl.load(centre + 2)
    ix, iy, iz = tl.load(inverse), tl.load(inverse + 1), tl.load(inverse + 2)
    cells = n.to(tl.float32) * 0.5
    count = tl.zeros((LANES,), tl.int64)
    first = count
    if WRITE:
        first = tl.load(starts + r, real, 0)
    t = begin
    k = tl.zeros((LANES,), tl.int32)
    going = tl.where(real & (end > begin), 1, 0)
    while tl.max(going, 0) > 0:
        if CONE:
            length = tl.minimum(tl.maximum(t * cone, step), widest)
        else:
            t = begin + k.to(tl.float32) * step
            length = tl.zeros((LANES,), tl.float32) + step
        middle = t + length * 0.5
        going = tl.where((middle < end) & (count < most), going, 0)
        x, y, z = ox + middle * dx, oy + middle * dy, oz + middle * dz
        ux, uy, uz = (x - cx) * ix, (y - cy) * iy, (z - cz) * iz
        reach = tl.maximum(tl.abs(ux), tl.maximum(tl.abs(uy), tl.abs(uz)))
        cascade = tl.zeros((LANES,), tl.int32)
        shrink = tl.zeros((LANES,), tl.float32) + 1.0
        size = tl.zeros((LANES,), tl.float32) + 1.0
        for _ in range(cascades - 1):
            beyond = reach > size
            cascade += tl.where(beyond, 1, 0)
            shrink = tl.where(beyond, shrink * 0.5, shrink)
            size *= 2.0
        i = tl.minimum(tl.maximum(((ux * shrink + 1.0) * cells).to(tl.int32), 0), n - 1)
        j = tl.minimum(tl.maximum(((uy * shrink + 1.0) * cells).to(tl.int32), 0), n - 1)
        l = tl.minimum(tl.maximum(((uz * shrink + 1.0) * cells).to(tl.int32), 0), n - 1)  # noqa: E741
        inside = (going > 0) & (reach <= outermost)
        found = tl.load(occupied + ((cascade * n + i) * n + j) * n + l, inside, 0) > 0
        if WRITE:
            at = first + count
            tl.store(to_t + at, middle, found)
            tl.store(to_delta + at, length, found)
            tl.store(to_points + at * 3, x, found)
            tl.store(to_points + at * 3 + 1, y, found)
            tl.store(to_points + at * 3 + 2, z, found)
            tl.store(to_ray + at, r.to(tl.int64), found)
        count += tl.where(found, 1, 0)
        k += 1
        if CONE:
            t += length
    if not WRITE:
        tl.store(counts + r, count, real)


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

    rays = len(origins)
    rows = [tensor.contiguous() for tensor in (origins, directions, start, far)]
    lengths = (float(step), float(cone), max(float(step), grid.widest), most)
    n, cascades = grid.resolution, grid.cascades
    box = (grid.centre, grid.inverse, grid.occupied.view(torch.uint8), n, cascades, 2.0 ** (cascades - 1))
    counts = torch.zeros(rays, dtype=torch.long, device=origins.device)
    if not rays:
        return Samples(origins.new_empty(0, 3), origins.new_empty(0), origins.new_empty(0), counts, counts, counts)
    none = [counts, origins, origins, origins, counts]  # while counting nothing is written there
    launch = (triton.cdiv(rays, LANES),)
    _march[launch](*rows, *lengths, *box, counts, *none, rays, cone > 0, False, LANES, enable_fp_fusion=False)
    starts = counts.cumsum(0) - counts
    total = int(counts.sum())
    t, delta, points = origins.new_empty(total), origins.new_empty(total), origins.new_empty(total, 3)
    ray = torch.empty(total, dtype=torch.long, device=origins.device)
    out = (counts, starts, t, delta, points, ray)
    _march[launch](*rows, *lengths, *box, *out, rays, cone > 0, True, LANES, enable_fp_fusion=False)
    return Samples(points, t, delta, ray, starts, counts)
