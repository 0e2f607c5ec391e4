"""Encodings, networks and what a fit is held against: derivatives by finite differences, known starts, brute force."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

from engine.formats.shape_file import Shape, named
from engine.geometry.isosurface import extract
from engine.nn.fields import encodings
from engine.nn.fields.cuts import cut_of
from engine.nn.fields.network import ENCODINGS, RADIUS, Field, on_arrays
from engine.nn.fields.samples import Samples
from engine.nn.fields.truth import Truth, finished, surface_of

CPU = torch.device("cpu")


def places(count: int, reach: float = 0.95, seed: int = 0) -> torch.Tensor:
    return (torch.rand(count, 3, generator=torch.Generator().manual_seed(seed)) * 2 - 1) * reach


@pytest.fixture(params=list(ENCODINGS))
def field(request: pytest.FixtureRequest) -> Field:
    torch.manual_seed(3)
    made = Field(str(request.param), 32, 2)
    with torch.no_grad():  # away from the start, where what an encoding adds has no say
        for p in made.parameters():
            p.add_(0.05 * torch.randn_like(p))
    return made.double()


def test_the_gradient_in_space_is_that_of_finite_differences(field: Field) -> None:
    x = places(40).double()
    _, slope = field.with_gradient(x)
    h = 1e-6
    for axis in range(3):
        step = torch.zeros(3, dtype=torch.double)
        step[axis] = h
        with torch.no_grad():
            ratio = (field(x + step) - field(x - step)) / (2 * h)
        assert torch.allclose(slope[:, axis], ratio, atol=2e-4, rtol=2e-4)


def test_the_eikonal_loss_has_the_gradient_of_finite_differences(field: Field) -> None:
    x = places(16).double()

    def loss() -> torch.Tensor:
        return (field.with_gradient(x, again=True)[1].norm(dim=1) - 1).square().mean()

    loss().backward()
    for p in field.parameters():
        flat = p.detach().view(-1)
        if p.grad is None:
            assert p.numel() == 1, "only the last bias has no say in the slope"
            continue
        grad = p.grad.view(-1)
        k = int(grad.abs().argmax())
        before = float(flat[k])
        sides = []
        for sign in (1, -1):
            flat[k] = before + sign * 1e-5
            sides.append(float(loss().detach()))
        flat[k] = before
        assert (sides[0] - sides[1]) / 2e-5 == pytest.approx(float(grad[k]), rel=2e-3, abs=1e-7)


@pytest.mark.parametrize("encoding", list(ENCODINGS))
def test_every_network_begins_as_about_the_distance_to_a_sphere(encoding: str) -> None:
    torch.manual_seed(0)
    field = Field(encoding, 128, 4, code=4)
    x = places(2000, 1.0)
    x = x[x.norm(dim=1) > 0.15]  # the hull of a softplus network is blunt at the middle
    f, slope = (part.detach() for part in field.with_gradient(x, torch.zeros(4)))
    off = f - (x.norm(dim=1) - RADIUS)
    assert float(off.abs().mean()) < 0.15  # exact for infinitely many units only
    assert float((f[x.norm(dim=1) < 0.25] < 0).float().mean()) > 0.95
    assert float((f[x.norm(dim=1) > 0.9] > 0).float().mean()) > 0.95
    assert float(slope.norm(dim=1).mean()) == pytest.approx(1.0, abs=0.15)
    assert float(torch.nn.functional.cosine_similarity(slope, x).mean()) > 0.9


def test_a_code_has_no_say_at_the_start_and_a_gradient() -> None:
    torch.manual_seed(0)
    field = Field("none", 16, 2, code=4)
    x = places(10)
    assert torch.equal(field(x, torch.zeros(4)), field(x, torch.ones(4)))
    field(x, torch.ones(10, 4)).sum().backward()
    first: Any = field.layers[0].weight.grad
    assert float(first[:, 3:].abs().min()) > 0


def test_the_encodings_are_what_their_papers_say() -> None:
    x = places(5)
    positional = encodings.Positional(3)(x)
    assert positional.shape == (5, 21)
    assert torch.allclose(positional[:, 3:6], torch.sin(math.pi / 2 * torch.tensor([1.0, 2.0, 4.0]) * x[:, :1]))
    assert torch.allclose(positional[:, 12:15], torch.cos(math.pi / 2 * torch.tensor([1.0, 2.0, 4.0]) * x[:, :1]))
    fourier = encodings.Fourier(2000, 1.5)
    a, b = fourier(x[:1])[:, 3:], fourier(x[1:2])[:, 3:]
    # The kernel of random Fourier features is a Gaussian of width 1 / (2 pi scale).
    expected = math.exp(-((2 * math.pi * 1.5) ** 2) * float((x[0] - x[1]).square().sum()) / 2)
    assert float((a * b).sum() / 2000) == pytest.approx(expected, abs=0.06)


def test_a_hash_grid_interpolates_between_its_corners_and_is_continuous() -> None:
    torch.manual_seed(0)
    grid = encodings.HashGrid(2, 12, coarsest=4, finest=32)
    with torch.no_grad():
        grid.table.normal_()
    corner = torch.tensor([[1, 2, 3]])
    at = corner / 4 * 2.0 - 1
    assert torch.allclose(grid(at)[0, 3:5], grid.table[grid.places(corner, 0)[0]], atol=1e-6)
    middle = grid(at + torch.tensor([[0.25, 0.0, 0.0]]))[0, 3:5]  # half a cell further
    both = grid.table[grid.places(torch.tensor([[1, 2, 3], [2, 2, 3]]), 0)].mean(0)
    assert torch.allclose(middle, both, atol=1e-6)
    edge = torch.tensor([[0.0, 0.1, 0.2]])
    assert torch.allclose(grid(edge - 1e-6), grid(edge + 1e-6), atol=1e-3)
    hashed = grid.places(torch.cartesian_prod(*[torch.arange(33)] * 3), 1)
    assert int(hashed.min()) >= 4096
    assert int(hashed.max()) < 8192
    assert len(hashed.unique()) > 4000, "a hash that clumps is no hash"


# ---- what a fit is held against -----------------------------------------------------------------------------------


def ball(radius: float):  # type: ignore[no-untyped-def]  # a pair of functions of arrays
    def value(p: np.ndarray) -> np.ndarray:
        return (np.linalg.norm(p, axis=1) - radius).astype(np.float32)

    def gradient(p: np.ndarray) -> np.ndarray:
        return (p / np.linalg.norm(p, axis=1, keepdims=True)).astype(np.float32)

    return value, gradient


def test_the_figures_of_a_ball_of_another_radius_are_those_of_the_closed_form() -> None:
    truth = Truth(named("sphere", 96))
    value, gradient = ball(0.8)
    figures = truth.figures(finished(surface_of(value, gradient, 48)), value, gradient)
    assert figures.distance == pytest.approx(0.1, abs=0.002)
    assert figures.chamfer == pytest.approx(2 * 0.1**2, abs=4e-4)
    assert figures.normals == pytest.approx(1.0, abs=0.005)
    assert figures.eikonal == pytest.approx(0.0, abs=1e-5)
    inside = np.linalg.norm(truth.places, axis=1)
    assert truth.inside is not None
    assert (truth.inside == (inside < 0.9)).mean() > 0.995  # a mesh lies a little within its sphere
    a, b = inside < 0.8, truth.inside
    assert figures.iou == pytest.approx((a & b).sum() / (a | b).sum())
    assert figures.iou == pytest.approx((0.8 / 0.9) ** 3, abs=0.02)


def test_a_bounded_coarse_surface_is_that_of_the_whole_grid() -> None:
    torch.manual_seed(2)
    field = Field("SIREN", 32, 2)
    with torch.no_grad():
        last: Any = field.layers[-1]
        last.weight.mul_(20)
    value, gradient = on_arrays(field, None, CPU)
    found = finished(surface_of(value, gradient, 24))
    whole = finished(extract(value, np.full(3, -1.0), np.full(3, 1.0), 24, lipschitz=1e6))
    assert found.evaluations < whole.evaluations
    assert len(found.vertices) == len(whole.vertices)
    order = [np.lexsort(np.round(s.vertices, 5).T) for s in (found, whole)]
    assert np.allclose(found.vertices[order[0]], whole.vertices[order[1]], atol=1e-4)


def test_samples_lie_where_they_should_and_know_their_distance() -> None:
    samples = Samples([named("sphere"), named("torus")], True, CPU, on=400, around=1000)
    torch.manual_seed(0)
    batch, spread = samples.on_surface(300)
    balls = batch.shape == 0
    assert 100 < int(balls.sum()) < 200
    assert torch.allclose(batch.x[balls].norm(dim=1), torch.tensor(0.9), atol=0.01)
    assert float((batch.known[balls] * batch.x[balls]).sum(1).min()) > 0.89 * 0.98
    # 30 neighbours of 400 on a sphere of radius 0.9: pi s^2 is 30/400 of 4 pi 0.81.
    assert float(spread[balls].mean()) == pytest.approx(math.sqrt(4 * 0.81 * 30 / 400), rel=0.1)
    around = samples.around_surface(500)
    balls = around.shape == 0
    assert torch.allclose(around.known[balls], around.x[balls].norm(dim=1) - 0.9, atol=0.01)
    assert float(around.x.abs().max()) <= 1


def test_a_cut_shows_the_two_levels_and_measures_between_them() -> None:
    value, _ = ball(0.6)
    true, _ = ball(0.9)
    cut = cut_of(value, true, 2, 0.3, 80)
    lines = {thing.name: thing for thing in cut.things}
    learned = lines["learned zero level"].ends.reshape(-1, 3)  # type: ignore[attr-defined]
    assert np.allclose(np.linalg.norm(learned, axis=1), 0.6, atol=0.01)
    assert np.allclose(np.abs(learned[:, 2] - 0.3), 0.004, atol=1e-6)
    assert cut.readings["mean error"] == pytest.approx(0.3, abs=1e-3)
    image = lines["values"].image  # type: ignore[attr-defined]
    assert image[40, 40, 2] > image[40, 40, 0], "blue within"
    assert image[0, 0, 0] > image[0, 0, 2], "orange outside"


def test_a_lopsided_cut_is_the_right_way_up() -> None:
    def value(p: np.ndarray) -> np.ndarray:  # inside where y > 0.5
        return (0.5 - p[:, 1]).astype(np.float32)

    cut = cut_of(value, None, 0, 0.0, 40)
    sheet = cut.things[0]
    assert np.allclose(sheet.u, [0, 2, 0])  # type: ignore[attr-defined]
    assert np.allclose(sheet.v, [0, 0, 2])  # type: ignore[attr-defined]
    row = sheet.image[20].astype(int)  # type: ignore[attr-defined]
    assert row[-1, 2] > row[-1, 0]
    assert row[0, 0] > row[0, 2]


def test_a_shape_knows_whether_it_is_closed() -> None:
    whole = named("box")
    assert whole.closed
    cut = Shape("open", whole.vertices, whole.faces[:-1], whole.points, whole.normals)
    assert not cut.closed
