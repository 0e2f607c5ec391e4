"""NeRF by hashing: what is in a ray's way, what is learned in seconds, what skipping empty space may and may not do."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from engine import data
from engine.data.captures.source import CaptureSource
from engine.nn.radiance.compositing import composite_packed
from engine.nn.radiance.occupancy import Samples
from engine.nn.radiance.seen_by import seen_by
from engine.registry import find
from engine.scene import Mesh, Scene
from engine.session import Session

STUDY = find().studies["nerf_hash"]
SMALL = dict(
    levels=6,
    table=13,
    finest=64,
    width=32,
    layers=1,
    batch=512,
    budget=8192,
    steps=96,
    rate=2e-2,
    threshold=0.01,
    foggy=60,
)
GROUND = torch.tensor([0.2, 0.4, 0.6])


@pytest.fixture(scope="module")
def still_life() -> CaptureSource:
    found = data.load("still_life")
    assert isinstance(found, CaptureSource)
    return found


def built(source: CaptureSource, seed: int = 1, **knobs: Any) -> Session:
    return Session.build("nerf_hash", STUDY, {**SMALL, **knobs}, seed, torch.device("cpu"), source)


def held_out(session: Session) -> float:
    steps = session.evaluation(2000)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return float(end.value["psnr"])


@pytest.fixture(scope="module")
def learned(still_life: CaptureSource) -> Session:
    session = built(still_life)
    for _ in range(160):
        session.train_step()
    return session


def some_rays(count: int = 64) -> tuple[Tensor, Tensor]:
    """Rays from a ring about the middle of the box to places in it."""
    generator = torch.Generator().manual_seed(5)
    turn = torch.rand(count, generator=generator) * 2 * math.pi
    origins = 3 * torch.stack([turn.cos(), turn.sin(), 0.3 * torch.ones_like(turn)], 1)
    targets = (torch.rand(count, 3, generator=generator) - 0.5) * 0.8
    return origins, torch.nn.functional.normalize(targets - origins, dim=1)


def clear(session: Session, sigma: float, colour: tuple[float, float, float]) -> Any:
    """The study with its field made the same everywhere."""
    study: Any = session.study
    study.network.eval()
    with torch.no_grad():
        study.network.dense[2].weight.zero_()
        study.network.dense[2].bias[0] = math.log(sigma * study.unit)
        study.network.colour[-1].weight.zero_()
        study.network.colour[-1].bias.copy_(torch.tensor(colour).logit())
    return study


# ---- what is in a ray's way -----------------------------------------------------------------------------------------


def test_fog_of_one_density_hides_what_lambert_and_beer_say(still_life: CaptureSource) -> None:
    sigma, colour = 0.7, (0.9, 0.5, 0.1)
    study = clear(built(still_life, steps=256, cone=0.0), sigma, colour)
    origins, directions = some_rays()
    seen = study.render_rays(origins, directions, GROUND)
    low, high = study.bounds
    one, other = (low - origins) / directions, (high - origins) / directions
    length = torch.maximum(one, other).amin(1) - torch.minimum(one, other).amax(1)
    alpha = 1 - torch.exp(-sigma * length)
    torch.testing.assert_close(seen.alpha, alpha, atol=sigma * study.step, rtol=0)
    expected = seen.alpha[:, None] * torch.tensor(colour) + (1 - seen.alpha)[:, None] * GROUND
    torch.testing.assert_close(seen.rgb, expected, atol=1e-4, rtol=0)
    torch.testing.assert_close(study.density(origins / 10), torch.full((64,), sigma))
    assert (seen.cost - length / study.step).abs().max() <= 1.01


def test_a_ray_that_misses_and_space_that_is_empty_cost_nothing_and_show_the_ground(still_life: CaptureSource) -> None:
    study = clear(built(still_life), 5.0, (0.9, 0.5, 0.1))
    origins, directions = some_rays(8)
    away = study.render_rays(origins, -directions, GROUND)
    study.space.occupied.zero_()
    empty = study.render_rays(origins, directions, GROUND)
    for seen in (away, empty):
        assert seen.cost.sum() == 0
        assert torch.equal(seen.rgb, GROUND.expand(8, 3))
        assert torch.equal(seen.alpha, torch.zeros(8))
    assert len(study.ray_samples(origins[0], directions[0]).t) == 0


def test_the_samples_of_a_ray_add_up_to_its_pixel(learned: Session) -> None:
    study: Any = learned.study
    study.network.eval()
    origins, directions = some_rays(12)
    seen = study.render_rays(origins, directions, GROUND)
    for k in range(12):
        ray = study.ray_samples(origins[k], directions[k])
        assert len(ray.t) == seen.cost[k]
        torch.testing.assert_close(ray.weight, ray.transmittance * ray.alpha)
        torch.testing.assert_close(ray.weight.sum(), seen.alpha[k], atol=2e-4, rtol=0)
        colour = (ray.weight[:, None] * ray.rgb).sum(0) + (1 - ray.weight.sum()) * GROUND
        torch.testing.assert_close(colour, seen.rgb[k], atol=5e-4, rtol=0)
        torch.testing.assert_close((ray.weight * ray.t).sum(), seen.depth[k], atol=2e-3, rtol=0)


def test_rounds_that_stop_early_show_what_all_samples_at_once_show(learned: Session) -> None:
    study: Any = learned.study
    study.network.eval()
    origins, directions = some_rays(500)
    seen = study.render_rays(origins, directions, GROUND)
    with torch.no_grad():
        s = study._march(origins, directions)
        sigma, rgb = study._asked(s, directions)
        colour, alpha, depth, _ = composite_packed(sigma, rgb, s.delta, s.t, s.starts, s.counts)
    assert (seen.rgb - colour - (1 - alpha)[:, None] * GROUND).abs().max() < 1e-3
    assert (seen.alpha - alpha).abs().max() < 1e-3
    assert (seen.depth - depth).abs().max() < 5e-3
    assert (seen.cost <= s.counts).all()
    assert study.render_rays(origins[:0], directions[:0], GROUND).rgb.shape == (0, 3)


def test_rays_begin_before_the_camera_at_the_knobs_distance(still_life: CaptureSource) -> None:
    study = clear(built(still_life, near=0.5, steps=256, cone=0.0), 2.0, (0.9, 0.5, 0.1))
    inside = torch.zeros(6, 3)
    ways = torch.cat([torch.eye(3), -torch.eye(3)])
    low, high = study.bounds
    length = (torch.cat([high, -low]) - 0.5).clamp(min=0)
    seen = study.render_rays(inside, ways, GROUND)
    torch.testing.assert_close(seen.alpha, 1 - torch.exp(-2.0 * length), atol=2 * study.step, rtol=0)
    assert (length == 0).sum() == 1  # the floor's underside is nearer than that
    assert study.ray_samples(inside[0], ways[0]).t.min() > 0.5


def test_one_band_of_harmonics_leaves_the_direction_out(learned: Session) -> None:
    study: Any = learned.study
    x = torch.rand(50, 3) - 0.5
    one, other = torch.nn.functional.normalize(torch.randn(2, 50, 3), dim=2)
    looks = []
    for bands in (1, 4):
        learned.set_knob("bands", bands)
        looks.append([study.network(x, study._directions(d)) for d in (one, other)])
    (sigma, rgb), (sigma_2, rgb_2) = looks[0]
    assert torch.equal(sigma, sigma_2)
    assert torch.equal(rgb, rgb_2)
    (sigma, rgb), (sigma_2, rgb_2) = looks[1]
    assert torch.equal(sigma, sigma_2)
    assert (rgb - rgb_2).abs().max() > 1e-3


def without_box(source: CaptureSource, points: float | None = None, opaque: bool = True) -> CaptureSource:
    """The same as a capture that names no box, 99 of its 100 sparse points at ``points``."""
    cloud = None if points is None else np.concatenate([np.full((99, 3), -points), np.full((1, 3), 500.0)])
    photos = tuple(replace(p, pixels=p.pixels[..., :3] if opaque else p.pixels) for p in source.photos)
    return replace(source, capture=replace(source.capture, box=None, points=cloud), photos=photos)


@pytest.mark.parametrize(("reach", "points", "opaque", "found"), [
    (0.0, None, False, 2.0), (0.0, None, True, 4.0), (0.0, 3.0, True, 3.0), (0.0, 1.0, True, 2.0),
    (6.0, 3.0, True, 6.0), (0.0, 300.0, True, 64.0),
])  # fmt: skip
def test_the_bounds_hold_what_a_capture_tells_of_unless_the_knob_says_how_far_they_go(
    still_life: CaptureSource, reach: float, points: float | None, opaque: bool, found: float
) -> None:
    study: Any = built(without_box(still_life, points, opaque), reach=reach).study
    torch.testing.assert_close(study.bounds, torch.tensor([[-found] * 3, [found] * 3]))
    assert study.space.extent.max() <= 1.25
    torch.testing.assert_close(study.space.outer, study.bounds)


def test_a_background_is_drawn_together_and_what_is_near_is_not(still_life: CaptureSource) -> None:
    """The innermost box keeps the knob's cells whatever lies around, all of space fits the grid, and a capture
    without a background is as it was."""
    study: Any = built(without_box(still_life), finest=64).study
    assert study.unit == 1.0
    assert study.network.grid.sides[-1] == 112  # the innermost 64, with 1 / (2 - 1/4) of the side
    inner = torch.rand(40, 3) * 2 - 1
    torch.testing.assert_close(study._within(inner), inner / 1.75)
    edge = torch.tensor([[4.0, -4.0, 3.0], [-4.0, 0.0, 0.0], [0.1, 4.0, 0.2]])
    torch.testing.assert_close(study._within(edge).abs().amax(1), torch.ones(3))
    far, near = study._within(torch.tensor([[4.0, 2.0, 1.0], [2.0, 1.0, 0.5]]))
    torch.testing.assert_close(far / near, torch.full((3,), 1.75 / 1.5))
    for source, knobs in ((still_life, {}), (without_box(still_life), {"contract": False})):
        other: Any = built(source, **knobs).study
        low, high = other.bounds
        torch.testing.assert_close(other._within(torch.stack([low, high])), torch.tensor([[-1.0] * 3, [1.0] * 3]))
        torch.testing.assert_close(other._within(low[None] * 0.75 + high[None] * 0.25), torch.full((1, 3), -0.5))


def test_space_that_too_few_photographs_show_stays_empty(still_life: CaptureSource) -> None:
    source = without_box(still_life)
    session = built(source, resolution=12, all_cells=0)
    study: Any = session.study
    corners, sizes = study.space.corners(torch.arange(len(study.space.values)))
    often = seen_by(study.source, study.source.photos["train"], corners, sizes)
    assert 0.03 < float((often < 2).float().mean()) < 0.9
    assert torch.equal(study.space.occupied, often >= 2)
    for _ in range(9):
        session.train_step()
    assert not bool(study.space.occupied[often < 2].any())
    assert study.space.share <= 1.0
    assert bool(built(still_life).study.space.occupied.all())  # type: ignore[attr-defined]  # its ground is transparent
    assert bool(built(source, seen=0).study.space.occupied.all())  # type: ignore[attr-defined]
    apart = replace(
        source, photos=tuple(p for p in source.photos if p.view.split == "held_out" or p is source.photos[0])
    )
    assert bool(built(apart, seen=2).study.space.occupied.any())  # type: ignore[attr-defined]


def test_the_step_takes_the_distortion_of_its_rays_as_often_as_the_knob_says(still_life: CaptureSource) -> None:
    """Against all pairs, one ray after the other; what is learned from follows the knob."""
    session = built(still_life, batch=64, distortion=0.0)
    study: Any = session.study
    session.train_step()
    samples = study._march(*some_rays(20))
    weight = torch.rand(len(samples))
    expected = []
    for at, n in zip(samples.starts.tolist(), samples.counts.tolist(), strict=True):
        t, d, w = (x[at : at + n].double() for x in (samples.t, samples.delta, weight))
        s = 1 - 1 / (1 + t)
        apart = (s[:, None] - s[None]).abs()
        expected.append((w[:, None] * w[None] * apart).sum() + (w * w * d / (1 + t) ** 2).sum() / 3)
    found = study._spread(weight, samples)
    assert float(found) == pytest.approx(float(torch.stack(expected).mean()), rel=1e-4)
    slopes = []
    for weighs in (0.0, 0.02, 0.06):
        session = built(still_life, batch=64, distortion=weighs)
        session.train_step()
        trained: Any = session.study
        slopes.append(trained.network.dense[2].bias.grad.clone())
    assert float((slopes[1] - slopes[0]).abs().max()) > 1e-6
    torch.testing.assert_close(slopes[2] - slopes[0], 3 * (slopes[1] - slopes[0]), rtol=1e-3, atol=1e-7)


def test_photographs_of_different_brightness_teach_one_scene_if_each_has_its_exposure(
    still_life: CaptureSource,
) -> None:
    """Every second photograph is made darker by half: their exposures come to lie as far apart, their mean at 1."""
    photos = list(still_life.photos)
    for k, photo in enumerate(still_life.part("train")):
        if k % 2:
            pixels = photo.pixels.copy()
            pixels[..., :3] //= 2
            photos[photos.index(photo)] = replace(photo, pixels=pixels)
    session = built(replace(still_life, photos=tuple(photos)), exposure=True)
    for _ in range(150):
        session.train_step()
    study: Any = session.study
    found = study.exposure.logarithms.detach()
    apart = found[::2].mean() - found[1::2].mean()
    assert apart == pytest.approx(math.log(2), abs=0.15)
    shown = study.exposure(torch.ones(len(found), 3), torch.arange(len(found)))
    torch.testing.assert_close(shown.log().mean(0), torch.zeros(3), atol=1e-5, rtol=0)
    assert built(still_life).study.exposure is None  # type: ignore[attr-defined]


@pytest.mark.parametrize(("half", "cascades", "made"), [(1.2, 0, 1), (2.0, 0, 2), (8.0, 0, 4), (2.0, 3, 3)])
def test_cascades_fill_the_bounds_from_a_grid_about_the_middle(
    still_life: CaptureSource, monkeypatch: pytest.MonkeyPatch, half: float, cascades: int, made: int
) -> None:
    box = torch.tensor([[-half, -half, -half / 2], [half, half, half / 2]])
    monkeypatch.setattr(STUDY, "bounds", box)
    study: Any = built(still_life, cascades=cascades).study
    assert study.space.cascades == made
    torch.testing.assert_close(study.space.outer, box)
    assert study.unit == pytest.approx(half / 2 ** (made - 1))
    assert study.network.grid.sides[-1] == 64 * 2 ** (made - 1)


# ---- learning -------------------------------------------------------------------------------------------------------


def test_seconds_of_training_find_the_scene_and_what_is_empty(learned: Session) -> None:
    study: Any = learned.study
    assert held_out(learned) > 17.0  # about 10 dB untrained
    assert study.space.share < 0.5
    low, high = study.bounds
    air = torch.tensor([[0.9, 0.9, 0.9], [-1.0, 0.9, 0.6], [0.0, -1.1, 0.8]])
    things = torch.tensor([[0.42, 0.12, 0.40], [0.8, -0.5, -0.41]])  # below the ball's top, in the floor
    assert study.density(things).min() > 10 * study.density(air).max()
    assert bool((low < air).all() and (air < high).all())


def test_what_is_skipped_was_not_seen(learned: Session) -> None:
    study: Any = learned.study
    study.network.eval()
    origins, directions = some_rays(400)
    skipped = study.render_rays(origins, directions, GROUND)
    kept = study.space.occupied.clone()
    study.space.occupied.fill_(True)
    whole = study.render_rays(origins, directions, GROUND)
    study.space.occupied.copy_(kept)
    assert (skipped.rgb - whole.rgb).abs().mean() < 0.01
    assert skipped.cost.sum() < 0.6 * whole.cost.sum()


def test_both_forms_take_the_same_step(still_life: CaptureSource) -> None:
    after = []
    for form in ("best", "plain"):
        session = built(still_life, form=form, batch=128)
        for _ in range(3):
            session.train_step()
        losses = session.read_metrics()["loss"][1]
        trained: Any = session.study
        after.append((losses, trained.network.dense[0].weight.detach().clone()))
    np.testing.assert_allclose(after[0][0], after[1][0], rtol=1e-3)
    torch.testing.assert_close(after[0][1], after[1][1], rtol=0.02, atol=2e-3)


def test_rays_take_fewer_steps_through_fog_while_learning_and_all_of_them_when_looked_at(
    still_life: CaptureSource,
) -> None:
    session = built(still_life, foggy=2, foggy_steps=24, budget=2**21)
    study: Any = session.study
    for _ in range(2):
        session.train_step()
    study.network.steps.fill_(17)  # and no look at what is empty
    session.train_step()
    counts = session.read_metrics()["samples_per_ray"][1]
    assert counts[2] == pytest.approx(4 * counts[1], rel=0.05)  # of 96 steps across the box, 24
    session.set_knob("budget", 2048)
    session.set_knob("foggy", 1)
    study.network.train()
    for steps, share, length in ((3, 1.0, 24), (7, 1.0, 24), (8, 1.0, 96), (3, 0.4, 96), (0, 0.4, 24)):
        study.network.steps.fill_(steps)
        study.space.occupied.fill_(False)
        study.space.occupied[: round(share * len(study.space.occupied))] = True
        assert study.step == pytest.approx(study.diagonal / length)
    study.network.eval()
    young = built(still_life, foggy=100, foggy_steps=24).study
    young.network.eval()  # type: ignore[attr-defined]
    assert young.step == pytest.approx(study.step)  # type: ignore[attr-defined]


def test_a_step_in_space_that_is_all_empty_changes_nothing_and_breaks_nothing(still_life: CaptureSource) -> None:
    session = built(still_life, every=256)
    session.train_step()
    study: Any = session.study
    study.space.occupied.zero_()
    session.train_step()
    metrics = session.read_metrics()
    assert metrics["samples_per_ray"][1][-1] == 0
    assert all(np.isfinite(values).all() for _, values in metrics.values())
    assert session.finite()


def test_hubers_loss_is_the_square_within_delta_and_a_line_beyond(still_life: CaptureSource) -> None:
    session = built(still_life, huber=0.2)
    study: Any = session.study
    assert float(study._loss(torch.tensor([0.1]))) == pytest.approx(0.1**2)
    assert float(study._loss(torch.tensor([-0.7]))) == pytest.approx(2 * 0.2 * 0.7 - 0.2**2)
    session.set_knob("loss", "L2")
    assert float(study._loss(torch.tensor([-0.7]))) == pytest.approx(0.7**2)


def test_a_step_takes_the_first_rays_that_its_budget_is_enough_for() -> None:
    counts = torch.tensor([3, 0, 4, 2, 5])
    starts = counts.cumsum(0) - counts
    m = int(counts.sum())
    ray = torch.repeat_interleave(torch.arange(5), counts)
    samples = Samples(torch.randn(m, 3), torch.arange(float(m)), torch.ones(m), ray, starts, counts)
    cut = samples.of_first_rays(8)
    assert cut.counts.tolist() == [3, 0, 4]
    assert cut.starts.tolist() == [0, 3, 3]
    assert cut.ray.tolist() == [0, 0, 0, 2, 2, 2, 2]
    assert torch.equal(cut.points, samples.points[:7])
    assert samples.of_first_rays(14) is samples
    assert samples.of_first_rays(1).counts.tolist() == [3]  # one ray is always taken


def test_the_occupied_cells_are_shown_where_they_are(learned: Session) -> None:
    study: Any = learned.study
    (scene,) = [part for part in learned.answer("occupied", {}) if isinstance(part, Scene)]
    (mesh,) = [thing for thing in scene.things if isinstance(thing, Mesh)]
    corners, sizes = study.space.corners(study.space.occupied.nonzero()[:, 0])
    low, high = corners.amin(0).numpy(), (corners + sizes).amax(0).numpy()
    np.testing.assert_allclose(mesh.vertices.min(0), low, atol=1e-5)
    np.testing.assert_allclose(mesh.vertices.max(0), high, atol=1e-5)
    assert scene.readings["cells"] == len(corners)
