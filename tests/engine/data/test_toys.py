"""Toy densities: closed forms against counting, differentiation and integration."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from engine import data
from engine.data import toys
from engine.params import strokes

CPU = torch.device("cpu")
EVERY = (*toys.SHAPES, toys.DRAWN)
EXTENT = (-4.0, 4.0, -4.0, 4.0)
LEVELS = [(1.0, 0.02), (0.8, 0.6), (0.3, 0.7), (0.02, 1.0)]


def toy(shape: str, drawing: str = "") -> toys.Toy:
    return toys.make(shape, drawing, CPU)


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("shape", EVERY)
@pytest.mark.parametrize(("alpha", "sigma"), [(1.0, 0.0), *LEVELS])
def test_the_density_integrates_to_one_and_the_grid_agrees_with_the_points(
    shape: str, alpha: float, sigma: float
) -> None:
    side = 240
    heat = toy(shape).heat(EXTENT, side, alpha, sigma)
    assert heat.shape == (side, side)
    assert float(heat.sum()) * (8 / side) ** 2 == pytest.approx(1.0, abs=3e-3)
    across, up = toys.middles(EXTENT, side)
    rows, columns = torch.randint(side, (2, 400), generator=seeded(1))
    at = torch.stack([across[columns], up[rows]], 1)
    assert torch.allclose(toy(shape).log_density(at, alpha, sigma).exp(), heat[rows, columns], rtol=3e-3, atol=1e-4)


@pytest.mark.parametrize("shape", EVERY)
def test_samples_fall_where_the_density_says(shape: str) -> None:
    count, side = 40_000, 16
    x = toy(shape).sample(count, seeded(2))
    assert x.abs().max() < 2.6
    cell = ((x + 4) / 8 * side).long()
    found = torch.bincount(cell[:, 1] * side + cell[:, 0], minlength=side * side).double() / count
    fine = toy(shape).heat(EXTENT, side * 20).double() * (8 / (side * 20)) ** 2
    expected = fine.view(side, 20, side, 20).sum((1, 3)).flatten()
    spread = (expected * (1 - expected) / count).sqrt()
    assert ((found - expected).abs() <= 5 * spread + 2e-4).all()


@pytest.mark.parametrize("shape", EVERY)
@pytest.mark.parametrize(("alpha", "sigma"), LEVELS)
def test_the_expected_noise_is_the_score_of_the_density(shape: str, alpha: float, sigma: float) -> None:
    """Tweedie: E[eps | x] = -sigma grad log q(x), by central differences of the log density."""
    x = alpha * toy(shape).sample(200, seeded(3)) + sigma * torch.randn(200, 2, generator=seeded(4))
    x = x.double() if isinstance(toy(shape), toys.Squares) else x
    mine = toy(shape)
    if isinstance(mine, toys.Gaussians):
        mine, x = toys.Gaussians(mine.centres.double(), mine.weights.double(), mine.width), x.double()
    h = 1e-5

    def slope(axis: int) -> Tensor:
        off = torch.zeros(2, dtype=torch.float64)
        off[axis] = h
        return (mine.log_density(x + off, alpha, sigma) - mine.log_density(x - off, alpha, sigma)) / (2 * h)

    x0, eps = mine.look(x, alpha, sigma)
    assert torch.allclose(eps, -sigma * torch.stack([slope(0), slope(1)], 1), atol=3e-3)
    assert torch.allclose(alpha * x0 + sigma * eps, x, atol=1e-6)


def test_the_expected_data_is_what_counting_finds() -> None:
    """Of many noised draws those that fell near a place have, on average, the data that the closed form says."""
    for shape in ("checkerboard", "two moons"):
        x0 = toy(shape).sample(2_000_000, seeded(5))
        x = 0.7 * x0 + 0.5 * torch.randn(x0.shape, generator=seeded(6))
        for place in ((0.4, 0.9), (-1.1, 0.2)):
            near = (x - torch.tensor(place)).norm(dim=1) < 0.05
            assert int(near.sum()) > 1000
            mean = toy(shape).look(torch.tensor([place]), 0.7, 0.5)[0][0]
            assert torch.allclose(x0[near].mean(0), mean, atol=5 * 1.2 / math.sqrt(int(near.sum())))


def test_levels_may_differ_from_point_to_point_and_extremes_are_finite() -> None:
    for shape in EVERY:
        mine, x = toy(shape), 6 * torch.randn(50, 2, generator=seeded(7))
        alpha, sigma = torch.linspace(0, 1, 50)[:, None], torch.linspace(1, 0.01, 50)[:, None]
        x0, eps = mine.look(x, alpha, sigma)
        assert torch.isfinite(x0).all()
        assert torch.isfinite(eps).all()
        for i in (0, 20, 49):
            one = mine.look(x[i : i + 1], float(alpha[i]), float(sigma[i]))
            assert torch.allclose(one[0][0], x0[i], atol=1e-3)
            assert torch.allclose(one[1][0], eps[i], atol=1e-3 * max(1.0, float(eps[i].abs().max())))


def test_without_signal_all_is_noise() -> None:
    x = torch.randn(100, 2, generator=seeded(8))
    for shape in EVERY:
        x0, eps = toy(shape).look(x, 0.0, 1.0)
        assert torch.allclose(eps, x, atol=5e-3)
        assert torch.allclose(x0, toy(shape).sample(100_000, seeded(9)).mean(0).expand_as(x), atol=0.03)
        expected = -x.square().sum(1) / 2 - math.log(2 * math.pi)
        assert torch.allclose(toy(shape).log_density(x, 0.0, 1.0), expected, atol=5e-3)


def test_the_checkerboard_is_even_on_half_of_its_square() -> None:
    density = toy("checkerboard").log_density(torch.tensor([[-1.5, -1.5], [-0.5, -1.5], [0.5, 0.5], [2.5, 0.5]])).exp()
    assert density.tolist() == pytest.approx([1 / 8, 0, 1 / 8, 0], abs=1e-6)


def test_a_drawing_is_where_it_was_drawn() -> None:
    x = toy("drawn", "-1,0 1,0; 0.5,0.5").sample(20_000, seeded(10))
    line, dot = x[x[:, 1] < 0.5], x[x[:, 1] >= 0.5]
    assert float(line[:, 1].abs().max()) < 5 * toys.PEN
    assert line[:, 0].min() < -toys.DRAWING + 0.1
    # along the line evenly: the standard deviation of a uniform density on a line 2 * DRAWING long
    assert float(line[:, 0].std()) == pytest.approx(toys.DRAWING / math.sqrt(3), rel=0.03)
    assert torch.allclose(dot.mean(0), torch.full((2,), toys.DRAWING / 2), atol=0.02)
    assert len(dot) / len(x) == pytest.approx(toys.PEN / (2 * toys.DRAWING + toys.PEN), rel=0.2)


def test_a_line_drawn_twice_as_long_weighs_twice_as_much_however_its_points_lie() -> None:
    x = toy("drawn", "-0.9,0.8 -0.89,0.8 -0.88,0.8 0.9,0.8; 0,-0.8 0.9,-0.8").sample(30_000, seeded(11))
    assert float((x[:, 1] > 0).float().mean()) == pytest.approx(2 / 3, abs=0.015)
    assert float((x[x[:, 1] > 0, 0] > 0).float().mean()) == pytest.approx(0.5, abs=0.02)


def test_with_nothing_drawn_a_letter_stands_in_and_the_longest_drawing_is_taken() -> None:
    assert torch.equal(toy("drawn").sample(5, seeded(1)), toy("drawn", toys.DRAWING_INSTEAD).sample(5, seeded(1)))
    assert torch.equal(toy("drawn", " ; ").sample(5, seeded(1)), toy("drawn").sample(5, seeded(1)))
    many = ";".join(f"{i / 5000:.3f},0" for i in range(4000))
    assert len(strokes(many)) == 4000
    assert toy("drawn", many).sample(10, seeded(1)).isfinite().all()


def test_a_seed_means_the_same_points() -> None:
    for shape in EVERY:
        assert torch.equal(toy(shape).sample(50, seeded(3)), toy(shape).sample(50, seeded(3)))
        assert not torch.equal(toy(shape).sample(50, seeded(3)), toy(shape).sample(50, seeded(4)))


def test_the_energy_distance_of_shifted_normals() -> None:
    """E|X - X'| of N(0, I) in the plane is sqrt pi; far apart, E|X - Y| is the shift; without a shift it is 0."""
    x, y = torch.randn(4000, 2, generator=seeded(1)), torch.randn(4000, 2, generator=seeded(2))
    assert abs(toys.energy_distance(x, y)) < 5e-3
    assert toys.energy_distance(x, y + torch.tensor([100.0, 0.0])) == pytest.approx(
        2 * 100 - 2 * math.sqrt(math.pi), abs=0.1
    )
    assert toys.energy_distance(x, y, toys.spread(y)) == toys.energy_distance(x, y)


def test_the_kernel_density_of_one_point_is_its_bell() -> None:
    heat = toys.bells(torch.tensor([[1.0, -1.0]]), torch.ones(1), 0.3, EXTENT, 80)
    row, column = divmod(int(heat.argmax()), 80)
    across, up = toys.middles(EXTENT, 80)
    assert abs(float(across[column]) - 1.0) <= 0.05 + 1e-6
    assert abs(float(up[row]) + 1.0) <= 0.05 + 1e-6
    assert float(heat.max()) == pytest.approx(math.exp(-0.0025 * 2 / (2 * 0.09)) / (2 * math.pi * 0.09), rel=1e-3)


def test_the_image_sets_are_not_disturbed() -> None:
    assert not {*EVERY} & {option.key for option in data.options()}
