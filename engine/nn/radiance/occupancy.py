"""Where a field is empty: a grid of what its density was lately, and rays that step over its empty cells.

After Müller et al. 2022, appendix E.1-E.2. The step sequence of a ray does not depend on the grid: the grid only says
which steps become samples, so that all forms find the same ones. Knows no network: density is a function.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from engine.nn.radiance import forms

UNSEEN = -1.0
"""The value of a cell that was never looked at; it counts as occupied."""
STRIDE = 2_654_435_761
"""A prime: cells are visited this far apart, so that any stretch of the sweep is spread over the whole grid."""
AT_ONCE = 2**20
"""How many steps of plain marching are looked at together."""


@dataclass(frozen=True)
class Samples:
    """``points`` (M, 3), the middles of the steps, at distances ``t`` (M,) with lengths ``delta`` (M,), ray by ray:
    ``ray`` int64 (M,) is each one's ray, and ray r has the ``counts[r]`` samples from ``starts[r]`` on, int64 (R,)."""

    points: Tensor
    t: Tensor
    delta: Tensor
    ray: Tensor
    starts: Tensor
    counts: Tensor

    def __len__(self) -> int:
        return len(self.t)

    @property
    def packed(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """What compositing asks for, in its order: lengths, distances, starts, counts."""
        return self.delta, self.t, self.starts, self.counts

    def kept(self, keep: Tensor) -> Samples:
        """Those where ``keep`` bool (M,) is True."""
        pick = keep.nonzero()[:, 0]
        ray = self.ray[pick]
        counts = torch.bincount(ray, minlength=len(self.counts))
        return Samples(self.points[pick], self.t[pick], self.delta[pick], ray, counts.cumsum(0) - counts, counts)

    def of_first_rays(self, budget: int) -> Samples:
        """Those of the first rays, as many as have no more than ``budget`` samples together, one at least."""
        ends = self.starts + self.counts
        if len(self) <= budget or len(ends) <= 1:
            return self
        rays = max(1, int((ends <= budget).sum()))
        m = int(ends[rays - 1])
        starts, counts = self.starts[:rays], self.counts[:rays]
        return Samples(self.points[:m], self.t[:m], self.delta[:m], self.ray[:m], starts, counts)


class Occupancy(nn.Module):
    """``cascades`` grids of ``resolution`` cells a side, the first over the box ``lo`` .. ``hi``, each further one
    twice as large about the same middle. A place belongs to the smallest grid that holds it."""

    values: Tensor
    occupied: Tensor
    cursor: Tensor
    barred: Tensor
    centre: Tensor
    extent: Tensor
    inverse: Tensor

    def __init__(self, lo: Sequence[float], hi: Sequence[float], resolution: int = 64, cascades: int = 1) -> None:
        super().__init__()
        self.resolution = resolution
        self.cascades = cascades
        low, high = torch.tensor(lo, dtype=torch.float32), torch.tensor(hi, dtype=torch.float32)
        if not bool((high > low).all()):
            raise ValueError(f"a box from {list(lo)} to {list(hi)} has no inside")
        self.register_buffer("centre", (low + high) / 2, persistent=False)
        self.register_buffer("extent", (high - low) / 2, persistent=False)
        self.register_buffer("inverse", 1 / self.extent, persistent=False)
        cells = cascades * resolution**3
        self.register_buffer("values", torch.full((cells,), UNSEEN))
        self.register_buffer("occupied", torch.ones(cells, dtype=torch.bool))
        self.register_buffer("cursor", torch.zeros((), dtype=torch.long))
        self.register_buffer("barred", torch.zeros(cells, dtype=torch.bool), persistent=False)

    @property
    def outer(self) -> Tensor:
        """(2, 3) the box of the outermost grid."""
        reach = self.extent * 2 ** (self.cascades - 1)
        return torch.stack([self.centre - reach, self.centre + reach])

    @property
    def widest(self) -> float:
        """The longest step that cannot jump over a cell of the outermost grid."""
        return float(self.extent.min()) * 2**self.cascades / self.resolution

    @property
    def share(self) -> float:
        """How much of the grids is occupied, of what is not barred, 0 .. 1."""
        return float(self.occupied.sum() / (~self.barred).sum().clamp(min=1))

    @torch.no_grad()
    def bar(self, cells: Tensor) -> None:
        """From now on the cells where ``cells`` bool (N,) is True are empty, whatever is found there."""
        self.barred.copy_(cells)
        self.values.masked_fill_(self.barred, 0.0)
        self.occupied &= ~self.barred

    def cell(self, points: Tensor) -> Tensor:
        """The number int64 (...) of the cell that each of ``points`` (..., 3) lies in, -1 outside the outermost."""
        unit = (points - self.centre) * self.inverse
        reach = unit.abs().amax(-1)
        cascade = torch.zeros_like(reach, dtype=torch.long)
        for c in range(self.cascades - 1):
            cascade += reach > 2.0**c
        scaled = unit * torch.exp2(-cascade.to(unit.dtype))[..., None]
        n = self.resolution
        x, y, z = ((scaled + 1) * (0.5 * n)).long().clamp(0, n - 1).unbind(-1)
        number = ((cascade * n + x) * n + y) * n + z
        return number.where(reach <= 2.0 ** (self.cascades - 1), torch.full_like(number, -1))

    def corners(self, cells: Tensor) -> tuple[Tensor, Tensor]:
        """The lowest corner and the size, each (N, 3), of ``cells`` int64 (N,)."""
        n = self.resolution
        at = torch.stack([cells // (n * n) % n, cells // n % n, cells % n], 1)
        reach = self.extent * torch.exp2((cells // n**3).to(self.extent.dtype))[:, None]
        size = reach * (2 / n)
        return self.centre - reach + at * size, size

    @torch.no_grad()
    def update(
        self,
        density: Callable[[Tensor], Tensor],
        decay: float = 0.95,
        generator: torch.Generator | None = None,
        threshold: float = 1.0,
        count: int | None = None,
    ) -> None:
        """Looks at ``count`` cells (all of them: None), each at a random place in it: three quarters in a sweep that
        comes to every cell in turn, the others among the occupied. A cell's value is the largest of what is found now
        and ``decay`` times what it was; it is occupied above ``threshold`` or the mean value, whichever is less, but
        never where it is barred.
        """
        total = len(self.values)
        count = total if count is None else min(count, total)
        sweep = count if count == total else count - count // 4
        device = self.values.device
        cells = (int(self.cursor) + torch.arange(sweep, device=device)) % total * STRIDE % total
        self.cursor.add_(sweep).remainder_(total)
        if sweep < count:
            filled = self.occupied.nonzero()[:, 0]
            if len(filled):
                pick = torch.randint(len(filled), (count - sweep,), generator=generator, device=device)
                cells = torch.cat([cells, filled[pick]]).unique()
        cells = cells[~self.barred[cells]]
        low, size = self.corners(cells)
        found = density(low + size * torch.rand(low.shape, generator=generator, device=device)).to(self.values.dtype)
        self.values[cells] = torch.maximum(self.values[cells].clamp(min=0) * decay, found)
        mean = self.values.clamp(min=0).sum() / (~self.barred).sum().clamp(min=1)
        torch.logical_or(self.values > mean.clamp(max=threshold), self.values < 0, out=self.occupied)

    @torch.no_grad()
    def march(
        self,
        origins: Tensor,
        directions: Tensor,
        near: Tensor,
        far: Tensor,
        step: float,
        cone: float = 0.0,
        most: int = 1024,
        jitter: Tensor | None = None,
        form: str | None = None,
    ) -> Samples:
        """The steps of rays (R, 3) with unit directions between ``near`` and ``far`` (R,) whose middles lie in
        occupied cells, ``most`` of a ray at most. A step at distance t is max(``step``, ``cone`` t) long, no longer
        than :attr:`widest`; a ray begins ``jitter`` (R,) in 0 .. 1 of its first step behind ``near``.
        """
        start = near if jitter is None else near + jitter * self._length(near, step, cone)
        form = forms.of(form, origins)
        if form == forms.COMPILED:
            from engine.nn.radiance.compiled.marching import march  # compiles, or reads what was compiled before

            return march(self, origins, directions, start, far, step, cone, most)
        if form == forms.TRITON:
            from engine.nn.radiance.cuda import marching as on_cuda

            return on_cuda.march(self, origins, directions, start, far, step, cone, most)
        parts = []
        longest = float((far - near).max()) if len(near) else 0.0
        size = max(1, AT_ONCE // (int(longest / step) + 2))
        for o, d, s, e in zip(
            origins.split(size), directions.split(size), start.split(size), far.split(size), strict=True
        ):
            parts.append(self._march(o, d, s, e, step, cone, most))
        if not parts:
            parts = [self._march(origins, directions, start, far, step, cone, most)]
        t, delta, points, counts = (torch.cat(column) for column in zip(*parts, strict=True))
        ray = torch.repeat_interleave(torch.arange(len(counts), device=counts.device), counts)
        return Samples(points, t, delta, ray, counts.cumsum(0) - counts, counts)

    def _length(self, t: Tensor, step: float, cone: float) -> Tensor:
        return (t * cone).clamp(step, max(step, self.widest))

    def _march(
        self, origins: Tensor, directions: Tensor, start: Tensor, far: Tensor, step: float, cone: float, most: int
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        if cone == 0:
            steps = int(float((far - start).max()) / step) + 2 if len(start) else 1
            begin = start[:, None] + torch.arange(steps, device=start.device, dtype=start.dtype) * step
            length = torch.full_like(begin, step)
        else:
            begins: list[Tensor] = []
            lengths: list[Tensor] = []
            at = start
            while not begins or bool((at < far).any()):
                begins.append(at)
                lengths.append(self._length(at, step, cone))
                at = at + lengths[-1]
            begin, length = (torch.stack(column, 1) for column in (begins, lengths))
        middle = begin + length * 0.5
        points = origins[:, None] + middle[..., None] * directions[:, None]
        cell = self.cell(points)
        keep = (middle < far[:, None]) & (cell >= 0) & self.occupied[cell.clamp(min=0)]
        keep &= keep.cumsum(1) <= most
        return middle[keep], length[keep], points[keep], keep.sum(1)
