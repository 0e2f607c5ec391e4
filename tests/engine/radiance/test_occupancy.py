"""The occupancy grid: its cells, what it learns of a field, and marching against steps counted one by one."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from engine.nn.radiance.occupancy import Occupancy
from engine.nn.radiance.sampling import aabb

FORMS = ("plain", "compiled")


def ball(points: Tensor) -> Tensor:
    return (points.norm(dim=1) < 0.6).float() * 20


def rays(count: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(5)
    origins = torch.nn.functional.normalize(torch.randn(count, 3, generator=generator), dim=1) * 3
    aims = torch.randn(count, 3, generator=generator) * 0.5
    directions = torch.nn.functional.normalize(aims - origins, dim=1)
    directions[0] = torch.tensor([0.0, 0.0, 1.0])  # along the cells' sides
    return origins, directions


def seen(cascades: int = 1, resolution: int = 16) -> Occupancy:
    grid = Occupancy([-1.0, -1.0, -0.8], [1.0, 1.2, 0.8], resolution, cascades)
    for _ in range(4):
        grid.update(ball, decay=1.0, generator=torch.Generator().manual_seed(0))
    return grid


def test_every_cell_is_found_where_its_corners_say() -> None:
    grid = Occupancy([-1.0, 0.0, 2.0], [1.0, 1.0, 5.0], 4, cascades=3)
    cells = torch.arange(3 * 64)
    low, size = grid.corners(cells)
    found = grid.cell(low + size * 0.5)
    inner = ((cells[:, None] // torch.tensor([16, 4, 1]) % 4).sub(1.5).abs() < 1).all(1) & (cells >= 64)
    assert torch.equal(found[~inner], cells[~inner])
    assert (found[inner] < cells[inner]).all(), "the middle of a grid belongs to the finer one within"
    assert grid.outer.tolist() == [[-4.0, -1.5, -2.5], [4.0, 2.5, 9.5]]
    assert grid.cell(torch.tensor([[4.1, 0.5, 3.0]])).item() == -1


def test_an_empty_box_is_refused() -> None:
    with pytest.raises(ValueError, match="no inside"):
        Occupancy([0.0, 0.0, 0.0], [1.0, 0.0, 1.0])


def test_it_learns_where_the_field_is() -> None:
    grid = Occupancy([-1.0] * 3, [1.0] * 3, 16)
    assert grid.share == 1, "what was never looked at may hold anything"
    generator = torch.Generator().manual_seed(0)
    for _ in range(4):
        grid.update(ball, generator=generator, count=1024)
    assert bool((grid.values >= 0).all()) is False
    for _ in range(8):
        grid.update(ball, generator=generator, count=1024)
    low, size = grid.corners(torch.arange(16**3))
    nearest = torch.maximum(torch.zeros(()), torch.maximum(low, -low - size)).norm(dim=1)
    furthest = torch.maximum(low.abs(), (low + size).abs()).norm(dim=1)
    assert bool(grid.occupied[furthest < 0.6].all())
    assert not bool(grid.occupied[nearest > 0.6].any())
    assert grid.share == pytest.approx(4 / 3 * math.pi * 0.6**3 / 8, rel=0.4)


def test_what_moves_in_the_field_moves_in_the_grid() -> None:
    grid = Occupancy([-1.0] * 3, [1.0] * 3, 16)
    there = torch.tensor([0.7, 0.7, 0.7])
    old, new = grid.cell(torch.stack([-there, there]) * 0.6).tolist()

    def small(middle: Tensor) -> Callable[[Tensor], Tensor]:
        return lambda p: ((p - middle).norm(dim=1) < 0.5).float() * 20

    grid.update(small(-there))
    assert grid.occupied[old]
    assert not grid.occupied[new]
    for _ in range(30):
        grid.update(small(there), decay=0.8)
    assert not grid.occupied[old]
    assert grid.occupied[new]


def test_a_field_that_is_empty_everywhere_keeps_its_densest_cells() -> None:
    """Were nothing left to sample, nothing could ever be learned again."""
    grid = Occupancy([-1.0] * 3, [1.0] * 3, 8)
    grid.update(lambda p: 1e-3 * (1 + p[:, 0]))
    assert 0.4 < grid.share < 0.6


def test_what_is_barred_is_empty_whatever_is_found_there_and_is_not_asked_for() -> None:
    grid = Occupancy([-1.0] * 3, [1.0] * 3, 8, cascades=2)
    low, size = grid.corners(torch.arange(2 * 512))
    left = (low + size / 2)[:, 0] < 0
    grid.bar(left)
    assert grid.share == 1, "of the rest nothing is known yet"
    asked = []

    def density(points: Tensor) -> Tensor:
        asked.append(points)
        return ball(points) + 5

    for count in (None, 300, 300):
        grid.update(density, count=count)
        assert torch.equal(grid.occupied, ~left)
    assert float(torch.cat(asked)[:, 0].min()) >= 0
    assert grid.share == 1


def test_the_same_numbers_give_the_same_grid_and_it_is_saved() -> None:
    first, second = Occupancy([-1.0] * 3, [1.0] * 3, 8), Occupancy([-1.0] * 3, [1.0] * 3, 8)
    torch.manual_seed(2)
    first.update(ball, count=100)
    torch.manual_seed(2)
    second.update(ball, count=100)
    assert torch.equal(first.values, second.values)
    third = Occupancy([-1.0] * 3, [1.0] * 3, 8)
    third.load_state_dict(first.state_dict())
    torch.manual_seed(3)
    first.update(ball, count=100)
    torch.manual_seed(3)
    third.update(ball, count=100)
    assert torch.equal(first.values, third.values)
    assert torch.equal(first.occupied, third.occupied)


@pytest.mark.parametrize("form", FORMS)
def test_an_unseen_grid_gives_every_step(form: str) -> None:
    grid = Occupancy([-1.0] * 3, [1.0] * 3, 8)
    origins, directions = torch.tensor([[-2.0, 0.1, 0.1], [0.0, 5.0, 0.0]]), torch.tensor([[1.0, 0, 0], [0, 1.0, 0]])
    near, far = aabb(origins, directions, *grid.outer)
    samples = grid.march(origins, directions, near, far, 0.125, form=form)
    assert samples.counts.tolist() == [16, 0]
    assert samples.starts.tolist() == [0, 16]
    assert len(samples) == 16
    torch.testing.assert_close(samples.t, 1 + 0.0625 + torch.arange(16) * 0.125)
    torch.testing.assert_close(samples.points[:, 0], samples.t - 2)
    assert samples.ray.tolist() == [0] * 16
    few = grid.march(origins, directions, near, far, 0.125, most=5, form=form)
    assert few.counts.tolist() == [5, 0]
    assert torch.equal(few.t, samples.t[:5])
    moved = grid.march(origins, directions, near, far, 0.125, jitter=torch.tensor([0.25, 0.25]), form=form)
    torch.testing.assert_close(moved.t[:3], samples.t[:3] + 0.25 * 0.125)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("cone", "cascades"), [(0.0, 1), (0.0, 3), (0.02, 3)])
def test_samples_are_the_steps_in_occupied_cells_and_no_others(form: str, cone: float, cascades: int) -> None:
    grid = seen(cascades)
    origins, directions = rays(24)
    near, far = aabb(origins, directions, *grid.outer)
    jitter = torch.rand(24, generator=torch.Generator().manual_seed(1))
    samples = grid.march(origins, directions, near, far, 0.03, cone, jitter=jitter, form=form)
    assert bool(grid.occupied[grid.cell(samples.points)].all())
    assert torch.equal(samples.starts, samples.counts.cumsum(0) - samples.counts)
    assert torch.equal(samples.ray, torch.repeat_interleave(torch.arange(24), samples.counts))
    torch.testing.assert_close(samples.points, origins[samples.ray] + samples.t[:, None] * directions[samples.ray])
    for r in range(24):
        t = float(near[r]) + float(jitter[r]) * max(0.03, cone * float(near[r]))
        middles = []
        while t < float(far[r]):
            length = min(max(0.03, cone * t), grid.widest)
            middles += [t + length / 2] if t + length / 2 < float(far[r]) else []
            t += length
        filled = grid.occupied[grid.cell(origins[r] + torch.tensor(middles)[:, None] * directions[r])].tolist()
        expected = [middle for middle, here in zip(middles, filled, strict=True) if here]
        part = slice(int(samples.starts[r]), int(samples.starts[r] + samples.counts[r]))
        # A step whose middle is on a cell's wall may fall to either side by rounding.
        assert abs(len(expected) - int(samples.counts[r])) <= 1
        if len(expected) == int(samples.counts[r]):
            assert samples.t[part].tolist() == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize("cone", [0.0, 0.004, 0.05])
@pytest.mark.parametrize("most", [1024, 7])
@pytest.mark.parametrize("resolution", [16, 12, 9])
def test_the_compiled_form_finds_the_plain_one_s_samples_bit_for_bit(cone: float, most: int, resolution: int) -> None:
    grid = seen(3, resolution)
    origins, directions = rays(400)
    near, far = aabb(origins, directions, *grid.outer)
    jitter = torch.rand(400, generator=torch.Generator().manual_seed(1))
    plain, compiled = (grid.march(origins, directions, near, far, 0.02, cone, most, jitter, form) for form in FORMS)
    assert len(plain) > 400
    for name in ("points", "t", "delta", "ray", "starts", "counts"):
        assert torch.equal(getattr(plain, name), getattr(compiled, name)), name


def test_steps_grow_with_the_distance_and_stay_within_a_cell() -> None:
    grid = Occupancy([-1.0] * 3, [1.0] * 3, 16, cascades=5)
    origins, directions = torch.tensor([[0.0, 0.0, 0.0]]), torch.tensor([[1.0, 0.0, 0.0]])
    near, far = aabb(origins, directions, *grid.outer)
    samples = grid.march(origins, directions, near, far, 0.01, cone=1 / 16)
    begin = samples.t - samples.delta / 2
    torch.testing.assert_close(samples.delta, (begin / 16).clamp(0.01, grid.widest))
    torch.testing.assert_close(begin[1:], (begin + samples.delta)[:-1])
    assert samples.delta.max() <= grid.widest
    assert samples.t.max() > 15


def test_many_rays_are_marched_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    from engine.nn.radiance.compiled import marching

    grid = seen()
    origins, directions = rays(50)
    near, far = aabb(origins, directions, *grid.outer)
    whole = grid.march(origins, directions, near, far, 0.05, most=64, form="compiled")
    monkeypatch.setattr(marching, "ROOM", 1)
    parts = grid.march(origins, directions, near, far, 0.05, most=64, form="compiled")
    for name in ("points", "t", "delta", "ray", "starts", "counts"):
        assert torch.equal(getattr(whole, name), getattr(parts, name)), name
