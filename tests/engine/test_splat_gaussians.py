"""Gaussians as what is learned: where they begin, what grows and what is remembered, likeness, lenses."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from torch import Tensor

from engine.data.captures.camera import Intrinsics
from engine.data.captures.capture import Capture, View
from engine.data.captures.source import Photo
from engine.nn.gaussians import density, relocation
from engine.nn.gaussians.begin import extent, first_points, spacing
from engine.nn.gaussians.gaussians import Gaussians, fit_moments
from engine.nn.gaussians.inspector import ellipsoids
from engine.nn.gaussians.pinhole import shot_of
from engine.nn.gaussians.similarity import ssim
from engine.nn.splatting.projection import rotations
from engine.scene import Mesh

CPU = torch.device("cpu")


def some(count: int = 6, degree: int = 1) -> tuple[Gaussians, torch.optim.Adam]:
    """Gaussians of all kinds, and an optimiser that has taken a step with them."""
    torch.manual_seed(4)
    found = Gaussians(torch.rand(count, 3), torch.rand(count, 3), torch.rand(count) * 0.1 + 0.01, degree)
    with torch.no_grad():
        found.turns.copy_(torch.randn(count, 4))
        found.scales.add_(torch.randn(count, 3) * 0.5)
    optimizer = torch.optim.Adam([getattr(found, name) for name in found.learned], 1e-3, fused=True)
    for name in found.learned:
        parameter = found.get_parameter(name)
        parameter.grad = torch.rand_like(parameter) + 0.1
    optimizer.step()
    return found, optimizer


def moments(optimizer: torch.optim.Adam, parameter: Tensor) -> Tensor:
    value: Tensor = optimizer.state[parameter]["exp_avg"]
    return value


# ---- where they begin -----------------------------------------------------------------------------------------------


def test_the_first_deviation_is_the_distance_to_the_three_nearest_others() -> None:
    grid = torch.tensor([[x, y, z] for x in range(3) for y in range(3) for z in range(3)], dtype=torch.float32) * 0.5
    torch.testing.assert_close(spacing(grid), torch.full((27,), 0.5))
    line = torch.tensor([[0.0, 0, 0], [1, 0, 0], [3, 0, 0], [7, 0, 0]])
    expected = [math.sqrt((1 + 9 + 49) / 3), math.sqrt((1 + 4 + 36) / 3)]
    torch.testing.assert_close(spacing(line)[:2], torch.tensor(expected))
    assert spacing(torch.zeros(5, 3)).min() > 0


def test_they_begin_at_the_points_of_the_capture_or_anywhere_in_its_box() -> None:
    capture = Capture("c", ())
    box = torch.tensor([[-1.0, -2, 0], [1, 2, 3]])
    places, colours = np.random.default_rng(0).random((120, 3)), np.full((120, 3), 51, np.uint8)
    pointed = replace(capture, points=places, colours=colours)
    xyz, rgb = first_points(pointed, box, True, 50)
    assert np.allclose(xyz.numpy(), places, atol=1e-6)
    torch.testing.assert_close(rgb, torch.full((120, 3), 0.2))
    for where, wished in ((pointed, False), (replace(capture, points=None), True)):
        xyz, rgb = first_points(where, box, wished, 50)
        assert xyz.shape == rgb.shape == (50, 3)
        assert ((xyz >= box[0]) & (xyz <= box[1])).all()


def test_the_extent_reaches_a_tenth_beyond_the_outermost_camera() -> None:
    poses = [np.eye(4) for _ in range(3)]
    for pose, x in zip(poses, (-1.0, 0.0, 4.0), strict=True):
        pose[0, 3] = x
    camera = Intrinsics(4, 4, 4.0, 4.0, 2.0, 2.0)
    assert extent(Capture("c", tuple(View(str(i), pose, camera) for i, pose in enumerate(poses)))) == pytest.approx(3.3)


# ---- growth: who is cloned, split, pruned, and what Adam remembers --------------------------------------------------


def pulling(gaussians: Gaussians, pulls: list[float], widths: list[float], opacities: list[float]) -> None:
    with torch.no_grad():
        gaussians.slope.copy_(torch.tensor(pulls) * 3)
        gaussians.seen.fill_(3)
        gaussians.scales.copy_(torch.tensor(widths).log()[:, None] - torch.tensor([0.0, 0.1, 0.2]))
        gaussians.opacity.copy_(torch.tensor(opacities).logit())


def test_small_ones_that_pull_are_cloned_wide_ones_split_faint_ones_go() -> None:
    g, optimizer = some(5)
    pulling(g, [2.0, 2.0, 0.1, 2.0, 0.1], [0.01, 0.5, 0.5, 0.01, 9.0], [0.6, 0.6, 0.6, 0.001, 0.6])
    before, memory = g.rows(torch.arange(5)), moments(optimizer, g.xyz).clone()
    grown = density.control(g, optimizer, threshold=1.0, small=0.1, least=0.005, widest=5.0, most=100)
    assert (grown.cloned, grown.split, grown.pruned, grown.count) == (1, 1, 2, 5)
    # left are 0 and 2, then the clone of 0, then the two halves of 1
    for name in g.learned:
        now = g.get_parameter(name).detach()
        assert torch.equal(now[:3], before[name][[0, 2, 0]]), name
    torch.testing.assert_close(g.scales[3:].exp(), (before["scales"][1].exp() / 1.6).expand(2, 3))
    assert (g.xyz[3:] != before["xyz"][1]).all()
    assert torch.equal(moments(optimizer, g.xyz), torch.cat([memory[[0, 2]], torch.zeros(3, 3)]))
    assert g.slope.shape == g.seen.shape == (5,)
    assert not g.slope.any()


def test_the_halves_of_a_split_one_lie_as_its_shape_does() -> None:
    torch.manual_seed(0)
    g, optimizer = some(400)
    with torch.no_grad():
        g.xyz.zero_()
        g.turns.copy_(torch.tensor([math.cos(0.4), 0.0, 0.0, math.sin(0.4)]))  # 0.8 about z
        g.scales.copy_(torch.tensor([1.0, 0.2, 0.05]).log())
        g.slope.fill_(1)
        g.seen.fill_(1)
    density.control(g, optimizer, threshold=0.5, small=0.1, least=0.0, widest=None, most=10_000)
    assert len(g) == 800
    turn = rotations(g.turns.detach()[:1])[0]
    spread = (turn @ torch.diag(torch.tensor([1.0, 0.04, 0.0025])) @ turn.T).numpy()
    assert np.allclose(np.cov(g.xyz.detach().numpy().T), spread, atol=0.1)


def test_where_there_is_no_room_those_that_pull_hardest_grow() -> None:
    g, optimizer = some(6)
    pulling(g, [1.5, 3.0, 2.0, 2.5, 0.0, 0.0], [0.01] * 6, [0.6] * 6)
    places = g.xyz.detach().clone()
    assert density.control(g, optimizer, threshold=1.0, small=1.0, least=0.0, widest=None, most=8).cloned == 2
    assert torch.equal(g.xyz[6:].sort(0).values, places[[1, 3]].sort(0).values)


def test_a_reset_lowers_opacities_and_forgets_their_moments_alone() -> None:
    g, optimizer = some()
    with torch.no_grad():
        g.opacity.copy_(torch.tensor([0.9, 0.5, 0.02, 0.009, 0.001, 0.1]).logit())
    xyz = moments(optimizer, g.xyz).clone()
    density.reset_opacity(g, optimizer)
    torch.testing.assert_close(g.opacity.sigmoid(), torch.tensor([0.01, 0.01, 0.01, 0.009, 0.001, 0.01]))
    assert not moments(optimizer, g.opacity).any()
    assert torch.equal(moments(optimizer, g.xyz), xyz)


def test_training_goes_on_after_growth_as_adam_would_with_the_same_moments() -> None:
    g, optimizer = some(4, degree=0)
    pulling(g, [2.0, 0.0, 0.0, 0.0], [0.01] * 4, [0.6, 0.6, 0.001, 0.6])
    density.control(g, optimizer, threshold=1.0, small=1.0, least=0.005, widest=None, most=9)
    before, memory = g.xyz.detach().clone(), {k: v.clone() for k, v in optimizer.state[g.xyz].items()}
    slope = torch.rand(4, 3)
    for name in g.learned:
        g.get_parameter(name).grad = None
    g.xyz.grad = slope
    optimizer.step()
    t = float(memory["step"]) + 1
    first = 0.9 * memory["exp_avg"] + 0.1 * slope
    second = 0.999 * memory["exp_avg_sq"] + 0.001 * slope**2
    step = 1e-3 * (first / (1 - 0.9**t)) / ((second / (1 - 0.999**t)).sqrt() + 1e-8)
    torch.testing.assert_close(g.xyz.detach(), before - step, atol=1e-6, rtol=1e-4)


# ---- relocation -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("opacity", [0.05, 0.5, 0.95])
@pytest.mark.parametrize("count", [1, 2, 5, 20])
def test_shared_out_gaussians_let_through_what_the_one_did_and_weigh_as_much(opacity: float, count: int) -> None:
    each, narrow = relocation.shared_out(torch.tensor([opacity]), torch.ones(1, 3), torch.tensor([count]))
    assert (1 - float(each)) ** count == pytest.approx(1 - opacity, rel=1e-4)  # along the ray through the middle
    # what all of them blend to along a line across, integrated, is what the one gave: opacity * sigma * sqrt(2 pi)
    x = np.linspace(-12, 12, 40_001)
    alpha = float(each) * np.exp(-0.5 * (x / float(narrow[0, 0])) ** 2)
    blended = (1 - (1 - alpha) ** count).sum() * (x[1] - x[0])
    assert blended == pytest.approx(opacity * math.sqrt(2 * math.pi), rel=2e-3)


def test_the_dead_move_to_the_living_and_the_number_grows_to_the_most() -> None:
    g, optimizer = some(40)
    with torch.no_grad():
        g.opacity.copy_(torch.full((40,), 0.6).logit())
        g.opacity[:10] = math.log(0.001 / 0.999)
    alive = {tuple(row) for row in g.xyz[10:].tolist()}
    grown = relocation.relocate(g, optimizer, 41)
    assert (grown.pruned, grown.cloned, grown.count) == (10, 1, 41)
    assert {tuple(row) for row in g.xyz.tolist()} == alive
    assert g.opacity.sigmoid().min() > relocation.DEAD
    through: dict[tuple[float, ...], float] = {}
    for row, opacity in zip(g.xyz.tolist(), g.opacity.sigmoid().tolist(), strict=True):
        through[tuple(row)] = through.get(tuple(row), 1.0) * (1 - opacity)
    assert all(left == pytest.approx(0.4, abs=1e-4) for left in through.values())
    assert moments(optimizer, g.xyz).shape == (41, 3)
    assert relocation.relocate(g, optimizer, 41).count == 41


def test_those_that_show_something_stay_the_others_tremble_in_their_own_shape() -> None:
    g, _ = some(4000, degree=0)
    with torch.no_grad():
        g.xyz.zero_()
        g.turns.copy_(torch.tensor([math.cos(0.4), 0.0, 0.0, math.sin(0.4)]))
        g.scales.copy_(torch.tensor([1.0, 0.5, 0.25]).log())
        g.opacity.fill_(math.log(0.005 / 0.995))
        g.opacity[:100] = 2.0
    relocation.tremble(g, 1.0)
    assert g.xyz[:100].abs().max() < 1e-12
    turn = rotations(g.turns.detach()[:1])[0]
    move = turn @ torch.diag(torch.tensor([1.0, 0.25, 0.0625])) @ turn.T * 0.5  # at the knee of the sigmoid
    assert np.allclose(np.cov(g.xyz[100:].detach().numpy().T), (move @ move).numpy(), atol=0.02)


# ---- saving what changes its number ---------------------------------------------------------------------------------


def test_a_state_of_another_number_is_taken_as_it_is_and_another_degree_is_refused() -> None:
    g, optimizer = some(6)
    other, other_optimizer = some(9)
    kept = [other.get_parameter(name) for name in other.learned]
    other.load_state_dict(g.state_dict())
    assert len(other) == 6
    assert all(a is b for a, b in zip(kept, (other.get_parameter(n) for n in other.learned), strict=True))
    fit_moments(other, other_optimizer)  # what it remembers is of nine
    assert not other_optimizer.state
    other_optimizer.load_state_dict(optimizer.state_dict())
    assert torch.equal(moments(other_optimizer, other.xyz), moments(optimizer, g.xyz))
    flat, _ = some(6, degree=0)
    with pytest.raises(RuntimeError, match="size mismatch for rest"):
        flat.load_state_dict(g.state_dict())
    damaged = {**g.state_dict(), "turns": g.state_dict()["turns"][:3]}
    with pytest.raises(RuntimeError, match="size mismatch for turns"):
        other.load_state_dict(damaged)


# ---- the loss -------------------------------------------------------------------------------------------------------


def test_the_likeness_is_wangs() -> None:
    a, b = np.random.default_rng(1).random((2, 20, 24, 3))
    blur = lambda x: gaussian_filter(x, 1.5, mode="constant", radius=5, axes=(0, 1))  # noqa: E731
    ma, mb = blur(a), blur(b)
    va, vb, cov = blur(a * a) - ma**2, blur(b * b) - mb**2, blur(a * b) - ma * mb
    whole = (2 * ma * mb + 1e-4) * (2 * cov + 9e-4) / ((ma**2 + mb**2 + 1e-4) * (va + vb + 9e-4))
    found = ssim(*(torch.from_numpy(x).float() for x in (a, b)))
    assert np.allclose(found.numpy(), whole.mean(2), atol=1e-4)
    assert torch.allclose(ssim(found[..., None], found[..., None]), torch.ones_like(found), atol=1e-3)


# ---- photographs through a lens -------------------------------------------------------------------------------------


def bent_photo() -> tuple[Photo, Any]:
    """A photograph by a strong lens of a pattern that is known everywhere."""
    camera = Intrinsics(60, 40, 45.0, 45.0, 30.0, 20.0, "opencv", (-0.25, 0.05), (0.01, -0.005))

    def pattern(way: np.ndarray) -> np.ndarray:
        u, v = way[:, 0] / -way[:, 2], way[:, 1] / -way[:, 2]
        return 0.5 + 0.4 * np.stack([np.sin(4 * u), np.cos(5 * v), np.sin(3 * (u + v))], 1)

    pixels = np.rint(pattern(camera.directions(camera.centres())) * 255).astype(np.uint8).reshape(40, 60, 3)
    return Photo(View("bent", np.eye(4), camera, pixels=pixels), pixels), pattern


def test_a_photograph_is_bent_straight_and_its_edges_do_not_count_where_it_shows_nothing() -> None:
    photo, pattern = bent_photo()
    shot = shot_of(photo, CPU)
    camera = shot.photo.view.camera
    assert camera.straight
    assert (shot.view.width, shot.view.fx, shot.view.cy) == (60, 45.0, 20.0)
    truth = pattern(camera.directions(camera.centres())).reshape(40, 60, 3)
    counts = np.ones((40, 60), bool) if shot.counts is None else shot.counts.numpy() > 0
    off = np.abs(shot.rgba[..., :3].numpy() / 255 - truth).max(2)
    assert 0.5 < counts.mean() <= 1
    assert off[counts].max() < 0.03
    masked = shot_of(replace(photo, mask=np.pad(np.full((40, 30), 255, np.uint8), ((0, 0), (0, 30)))), CPU)
    assert masked.counts is not None
    assert masked.counts[10:30, 8:26].all()
    assert not masked.counts[:, 34:].any()
    bent = replace(photo.view.camera, radial=(0.3, 0.0), tangential=(0.0, 0.0))  # a pinhole's corners see beyond it
    wide = shot_of(replace(photo, view=replace(photo.view, camera=bent)), CPU)
    assert wide.counts is not None
    beyond = wide.counts == 0
    assert beyond[0, 0]
    assert not beyond[15:25, 20:40].any()
    assert not wide.rgba[beyond].any()  # the ground, not the colour of some edge


def test_ellipsoids_lie_one_deviation_from_the_middle_and_face_outward() -> None:
    g, _ = some(3)
    mesh = ellipsoids(g, torch.tensor([2, 0]), torch.tensor([0.3, 0.7]), torch.rand(2, 3), 1.0, False)
    assert isinstance(mesh, Mesh)
    half = len(mesh.vertices) // 2
    for at, vertices in ((2, mesh.vertices[:half]), (0, mesh.vertices[half:])):
        turn, deviation = rotations(g.turns.detach()[at : at + 1])[0].numpy(), g.scales.detach()[at].exp().numpy()
        own = (vertices - g.xyz.detach()[at].numpy()) @ turn / deviation
        assert np.allclose(np.linalg.norm(own, axis=1), 1, atol=1e-3)
    a, b, c = (mesh.vertices[mesh.faces[:, k]] for k in range(3))
    out = np.cross(b - a, c - a)
    big = np.linalg.norm(out, axis=1) > 1e-12
    assert ((out * mesh.normals[mesh.faces[:, 0]]).sum(1)[big] > 0).all()
