"""NeRF from few views: the terms against their definitions, cameras between cameras, the twin that is told nothing."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from engine.data.captures.source import CaptureSource
from engine.data.rays import CaptureRays
from engine.nn.radiance import compositing, regularisers
from engine.nn.radiance.few_views import Between, FewViews, spread
from engine.payloads import Payload
from engine.scene import Frustums
from engine.session import Session
from engine.studies.radiance.nerf_sparse import NeRFSparse

CPU = torch.device("cpu")
TERMS = ("near_fog", "roughness", "distortion", "entropy")


def built(source: CaptureSource, seed: int = 1, **knobs: Any) -> Session:
    return Session.build("nerf_sparse", NeRFSparse, {**NeRFSparse.tiny, **knobs}, seed, CPU, source, "still_life")


def study(session: Session) -> NeRFSparse:
    assert isinstance(session.study, NeRFSparse)
    return session.study


def only(session: Session, probe: str) -> Any:
    """The one answer of a probe with its controls as they are at first."""
    (payload,) = [part for part in session.answer(probe, {}) if isinstance(part, Payload)]
    return payload


def packed(counts: list[int]) -> tuple[Tensor, Tensor]:
    """starts and counts of rays with so many samples."""
    many = torch.tensor(counts)
    return many.cumsum(0) - many, many


# ---- the terms, against their definitions ---------------------------------------------------------------------------


def test_the_distortion_in_one_pass_is_the_sum_over_all_pairs_and_so_is_its_gradient() -> None:
    torch.manual_seed(0)
    starts, counts = packed([5, 0, 1, 17])
    m = int(counts.sum())
    weight = (torch.rand(m, dtype=torch.float64) / 9).requires_grad_()
    length = torch.rand(m, dtype=torch.float64) / 20
    s = torch.cat([torch.rand(int(n), dtype=torch.float64).sort().values for n in counts])
    found = regularisers.distortion(weight, s, length, starts, counts)
    expected = []
    for begin, n in zip(starts.tolist(), counts.tolist(), strict=True):
        w, at, long = (x[begin : begin + n] for x in (weight, s, length))
        apart = (at[:, None] - at[None, :]).abs()
        expected.append((w[:, None] * w[None, :] * apart).sum() + (w.square() * long).sum() / 3)
    torch.testing.assert_close(found, torch.stack(expected))
    pull = torch.randn(4, dtype=torch.float64)
    one, other = (torch.autograd.grad((x * pull).sum(), weight)[0] for x in (found, torch.stack(expected)))
    torch.testing.assert_close(one, other)


def test_the_distortion_of_a_slab_is_a_third_of_its_width_and_less_the_thinner_it_is() -> None:
    """Even weight over a stretch a: the mean distance of two places in it is a / 3."""
    n = 4000
    for a in (0.4, 0.1):
        s = 0.3 + a * (torch.arange(n, dtype=torch.float64) + 0.5) / n
        even = torch.full((n,), 1 / n, dtype=torch.float64)
        found = regularisers.distortion(even, s, torch.full_like(s, a / n), *packed([n]))
        assert float(found) == pytest.approx(a / 3, rel=1e-6)


def test_the_entropy_is_that_of_the_opacities_shares_and_of_empty_rays_none() -> None:
    starts, counts = packed([4, 3, 2, 0])
    alpha = torch.tensor([0.2, 0.2, 0.2, 0.2, 0.9, 0.0, 0.0, 0.01, 0.01])
    found = regularisers.entropy(alpha, starts, counts, least=0.1)
    torch.testing.assert_close(found, torch.tensor([math.log(4), 0.0, 0.0, 0.0]))
    p = torch.tensor([0.5, 0.25, 0.25], requires_grad=True)
    mixed = regularisers.entropy(p, *packed([3]))
    assert float(mixed.detach()) == pytest.approx(1.5 * math.log(2))
    mixed.sum().backward()
    assert p.grad is not None
    assert torch.isfinite(p.grad).all()
    assert p.grad[0] < 0 < p.grad[1]  # what is likeliest grows


def test_fog_counts_only_before_the_lens() -> None:
    starts, counts = packed([3, 2])
    sigma = torch.tensor([6.0, 3.0, 99.0, 4.0, 8.0])
    s = torch.tensor([0.0, 0.19, 0.2, 0.5, 0.9])
    found = regularisers.occlusion(sigma, s, 0.2, starts, counts)
    torch.testing.assert_close(found, torch.tensor([3.0, 0.0]))


def test_a_plane_seen_aslant_is_as_rough_as_its_slope_and_its_edge_against_nothing_is_no_step() -> None:
    x = torch.arange(6.0)
    depth = (0.5 * x[None, :] + 0.25 * x[:, None])[None]
    alpha = torch.ones(1, 6, 6)
    assert float(regularisers.roughness(depth, alpha)) == pytest.approx((0.5**2 + 0.25**2) / 2)
    alpha[:, :, 3:] = 0
    depth[:, :, 3:] = 1e3
    pairs = 6 * 2, 5 * 3  # across and down
    expected = (pairs[0] * 0.25 + pairs[1] * 0.0625) / sum(pairs)
    assert float(regularisers.roughness(depth, alpha)) == pytest.approx(expected)
    assert float(regularisers.roughness(depth, torch.zeros(1, 6, 6))) == 0.0


def test_levels_open_one_after_the_other_from_the_coarsest() -> None:
    assert regularisers.window(4, 0.0).tolist() == [1, 0, 0, 0]
    assert regularisers.window(4, 0.625).tolist() == [1, 1, 0.5, 0]
    assert regularisers.window(4, 1.0).tolist() == regularisers.window(4, 7.0).tolist() == [1, 1, 1, 1]


# ---- which photographs, and cameras between them --------------------------------------------------------------------


def test_photographs_are_chosen_far_apart_and_always_the_same(small_life: CaptureSource) -> None:
    photos = small_life.part("train")
    assert spread(photos, 99) == (0, 1, 2, 3)
    two = spread(photos, 2)
    assert two == spread(photos, 2)
    places = np.array([photo.view.centre for photo in photos])
    first = int(np.linalg.norm(places - places.mean(0), axis=1).argmin())
    assert set(two) == {first, int(np.linalg.norm(places - places[first], axis=1).argmax())}


def test_only_those_are_learned_from_and_the_figures_stay_comparable(small_life: CaptureSource) -> None:
    whole = CaptureRays(small_life, CPU, 5)
    few = FewViews(whole, 2)
    origins = torch.cat([few.batch(k, 64).origins for k in range(40)]).unique(dim=0)
    chosen = torch.tensor(np.array([whole.photos["train"][i].view.centre for i in few.chosen]), dtype=torch.float32)
    assert {tuple(o) for o in origins.tolist()} == {tuple(c) for c in chosen.tolist()}
    one, other = whole.held_out_batch(0, 50), few.held_out_batch(0, 50)
    assert torch.equal(one.origins, other.origins)
    assert torch.equal(one.rgb, other.rgb)
    assert (len(few.few), len(few.rest), len(few.photos["train"])) == (2, 2, 4)


def test_cameras_between_look_at_the_middle_from_between_the_others(small_life: CaptureSource) -> None:
    torch.manual_seed(0)
    between = Between.of(FewViews(CaptureRays(small_life, CPU, 5), 3))
    origins, directions = between.patches(200, 4)
    assert origins.shape == directions.shape == (200 * 16, 3)
    torch.testing.assert_close(directions.norm(dim=1), torch.ones(3200))
    eyes = origins[::16]
    assert torch.equal(eyes.repeat_interleave(16, 0), origins)
    away = between.eyes - between.middle
    far = (eyes - between.middle).norm(dim=1)
    assert (far >= away.norm(dim=1).min() - 1e-4).all()
    assert (far <= away.norm(dim=1).max() + 1e-4).all()
    # each direction is a mixture of the three with no negative part
    mixture = torch.linalg.solve(torch.nn.functional.normalize(away, dim=1).T, (eyes - between.middle).T)
    assert (mixture > -1e-4).all()
    ahead = torch.nn.functional.normalize(between.middle - eyes, dim=1)
    cosine = (directions.view(200, 16, 3) * ahead[:, None]).sum(2)
    assert (cosine > math.cos(math.atan(math.sqrt(2) * 0.5 / between.focal)) - 1e-4).all()
    # neighbours in a patch are a pixel apart: at the picture's middle that is 1 / focal
    step = torch.linalg.cross(directions.view(200, 4, 4, 3)[:, 0, 0], directions.view(200, 4, 4, 3)[:, 0, 1]).norm(
        dim=1
    )
    assert float(step.max()) == pytest.approx(1 / (between.focal * between.width), rel=0.02)


# ---- the study ------------------------------------------------------------------------------------------------------


def test_the_twin_begins_the_same_and_learns_beside(small_life: CaptureSource) -> None:
    """Same weights and photographs, but no tensor in common, and both take each step."""
    session = built(small_life)
    made = study(session)
    assert made.without is not None
    for one, other in zip(made.field.state_dict().values(), made.without.state_dict().values(), strict=True):
        assert torch.equal(one, other)
    assert not {id(p) for p in made.field.parameters()} & {id(p) for p in made.without.parameters()}
    before = made.without.grid.table.detach().clone()
    session.train_step()
    assert not torch.equal(before, made.without.grid.table)
    assert int(made.without.steps) == int(made.field.steps) == 1


def test_what_the_terms_weigh_moves_the_field_and_never_its_twin(small_life: CaptureSource) -> None:
    after = []
    for weight in (0.0, 0.1):
        session = built(small_life, near_fog=weight, smooth=weight, opening=0)
        for _ in range(3):
            session.train_step()
        made = study(session)
        assert made.without is not None
        after.append((made.field.grid.table.detach().clone(), made.without.grid.table.detach().clone()))
    assert torch.equal(after[0][1], after[1][1])
    assert not torch.equal(after[0][0], after[1][0])


def test_switched_off_it_is_told_the_photographs_alone(small_life: CaptureSource) -> None:
    after = []
    for weights in (0.0, 0.02):
        session = built(small_life, regularised=False, near_fog=weights, smooth=weights, distortion=weights)
        session.train_step()
        assert study(session).field.shown.tolist() == [1, 1, 1]
        metrics = session.read_metrics()
        assert metrics["loss"][1][0] == metrics["pixels"][1][0]
        assert all(metrics[name][1][0] > 0 for name in TERMS)  # watched all the same
        after.append(study(session).field.grid.table.detach().clone())
    assert torch.equal(*after)


def test_the_loss_is_the_sum_of_its_terms_by_their_weights(small_life: CaptureSource) -> None:
    session = built(small_life, near_fog=0.1, smooth=0.2, distortion=0.02, entropy=0.01)
    session.train_step()
    value = {name: float(v[0]) for name, (_, v) in session.read_metrics().items()}
    rest = 0.1 * value["near_fog"] + 0.2 * value["roughness"] + 0.02 * value["distortion"] + 0.01 * value["entropy"]
    assert value["loss"] == pytest.approx(value["pixels"] + rest, rel=1e-5)


def test_levels_that_are_not_open_have_no_say(small_life: CaptureSource) -> None:
    session = built(small_life, opening=100)
    session.train_step()
    field = study(session).field
    assert field.shown.tolist() == [1, 0, 0]
    points = torch.rand(50, 3) - 0.5
    before = field.density(points)
    entries = field.grid.entries
    with torch.no_grad():
        field.grid.table[entries:] += torch.randn_like(field.grid.table[entries:])
    assert torch.equal(field.density(points), before)
    field.shown.fill_(1)
    assert not torch.equal(field.density(points), before)


def test_the_samples_of_a_ray_add_up_to_its_pixel(small_life: CaptureSource) -> None:
    made = study(built(small_life))
    made.field.eval()
    photo = made.source.photos["held_out"][0]
    origins, directions, _, _ = made._photo_rays(photo, 1)
    pick = torch.arange(200, 376, 25)
    seen = made.render_rays(origins[pick], directions[pick], torch.tensor([0.2, 0.4, 0.6]))
    for k, i in enumerate(pick.tolist()):
        ray = made.ray_samples(origins[i], directions[i])
        assert len(ray.t) == seen.cost[k]
        weight, _ = compositing.weights(ray.sigma[None], ray.delta[None])
        torch.testing.assert_close(weight[0].sum(), seen.alpha[k], atol=2e-4, rtol=0)
        colour = (weight[0, :, None] * ray.rgb).sum(0) + (1 - weight.sum()) * torch.tensor([0.2, 0.4, 0.6])
        torch.testing.assert_close(colour, seen.rgb[k], atol=5e-4, rtol=0)


def test_with_and_without_show_three_pictures_over_two_depths(small_life: CaptureSource) -> None:
    session = built(small_life)
    grid = only(session, "against")
    assert grid.images.shape == (6, 24, 24, 3)
    assert grid.columns == 3
    np.testing.assert_array_equal(grid.images[1], grid.images[2])  # the same weights at first
    alone = built(small_life, twin=False)
    grid = only(alone, "against")
    assert grid.images.shape == (4, 24, 24, 3)
    assert "twin" in grid.caption
    assert "psnr_without" not in _figures(alone)
    assert {"psnr", "psnr_without"} <= set(_figures(session))


def test_cameras_tell_which_photographs_it_learns_from(small_life: CaptureSource) -> None:
    session = built(small_life, views=3)
    scene = only(session, "cameras")
    assert {t.name: len(t.eyes) for t in scene.things if isinstance(t, Frustums)} == {
        "learned from": 3,
        "left out": 1,
        "held out": 2,
    }


def test_near_fog_that_costs_much_leaves_the_space_before_the_lenses_empty(small_life: CaptureSource) -> None:
    """With a heavy weight the density near where rays enter falls below the twin's by far."""
    session = built(small_life, near_fog=0.1, near=0.3, rate=2e-2, opening=0)
    for _ in range(25):
        session.train_step()
    made = study(session)
    assert made.without is not None
    rays = made.source.batch(0, 256)
    o, d = rays.origins, rays.directions
    low, high = made.bounds
    entry = torch.minimum((low - o) / d, (high - o) / d).amax(1)
    places = (o + (entry + 0.15)[:, None] * d)[(entry > 0)]
    inside = ((places > low) & (places < high)).all(1)
    assert made.field.density(places[inside]).mean() < 0.5 * made.without.density(places[inside]).mean()


def _figures(session: Session) -> dict[str, float]:
    steps = session.evaluation(200)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            out: dict[str, float] = end.value
            return out
