"""Differentiable volumetric rendering: the search along a ray, and the gradient that goes round it."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from engine.data.captures.source import CaptureSource
from engine.nn.radiance import implicit
from engine.nn.radiance.exact import exact_distances
from engine.payloads import Payload
from engine.session import Session
from engine.studies.radiance.dvr import DVR, MET, SURFACE, Network

CPU = torch.device("cpu")


def built(source: CaptureSource, seed: int = 1, **knobs: Any) -> DVR:
    made = session(source, seed, **knobs).study
    assert isinstance(made, DVR)
    made.network.eval()
    return made


def session(source: CaptureSource, seed: int = 1, **knobs: Any) -> Session:
    return Session.build("dvr", DVR, {**DVR.tiny, **knobs}, seed, CPU, source, "still_life")


def only(session: Session, probe: str) -> Any:
    """The one answer of a probe with its controls as they are at first."""
    (payload,) = [part for part in session.answer(probe, {}) if isinstance(part, Payload)]
    return payload


def towards(count: int, spread: float, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor]:
    """Rays from 3 away in all directions to places within ``spread`` of the middle."""
    generator = torch.Generator().manual_seed(3)
    o = 3 * nn.functional.normalize(torch.randn(count, 3, generator=generator, dtype=dtype), dim=1)
    aim = spread * nn.functional.normalize(torch.randn(count, 3, generator=generator, dtype=dtype), dim=1)
    return o, nn.functional.normalize(aim - o, dim=1)


def ball_hit(o: Tensor, d: Tensor, radius: float) -> Tensor:
    b = (o * d).sum(1)
    return -b - (b * b - o.square().sum(1) + radius**2).sqrt()


def search(f: implicit.Function, o: Tensor, d: Tensor, steps: int = 64, iterations: int = 8) -> Tensor:
    near, far = torch.full_like(o[:, 0], 1.0), torch.full_like(o[:, 0], 5.0)
    found = implicit.march(f, o, d, near, far, steps, torch.full_like(near, 0.5))
    assert found.hit.all()
    return implicit.secant(f, o, d, found, iterations)[0][-1]


# ---- the search -----------------------------------------------------------------------------------------------------


def test_the_secant_finds_a_balls_surface_to_the_last_digits_and_faster_than_halving() -> None:
    """f is quadratic along the ray: errors fall as the golden ratio's powers say, not by a factor of two each."""
    o, d = towards(40, 0.5)
    exact = ball_hit(o, d, 0.8)
    near, far = torch.full_like(exact, 1.0), torch.full_like(exact, 5.0)
    found = implicit.march(lambda p: 0.64 - p.square().sum(1), o, d, near, far, 32, torch.full_like(near, 0.5))
    t, f = implicit.secant(lambda p: 0.64 - p.square().sum(1), o, d, found, 7)
    assert t.shape == f.shape == (9, 40)
    assert ((t[0] <= exact) & (exact <= t[1])).all()
    torch.testing.assert_close(t[1] - t[0], torch.full_like(exact, 4 / 32))
    off = (t - exact).abs().amax(1)
    assert off[4] < 1e-2 * (4 / 32) * 2.0**-3
    assert off[-1] < 1e-12
    torch.testing.assert_close(f[-1], torch.zeros(40, dtype=torch.float64), atol=1e-12, rtol=0)


def test_the_secants_first_step_is_the_chord_of_the_two_samples() -> None:
    o, d = torch.zeros(1, 3, dtype=torch.float64), torch.tensor([[1.0, 0.0, 0.0]], dtype=torch.float64)
    f = lambda p: p[:, 0] ** 3 - 0.5  # noqa: E731
    ends = torch.zeros(1, dtype=torch.float64), torch.ones(1, dtype=torch.float64)
    found = implicit.march(f, o, d, *ends, 4, torch.full((1,), 0.5, dtype=torch.float64))
    t, _ = implicit.secant(f, o, d, found, 2)
    x0, x1 = 0.625, 0.875
    assert t[:2, 0].tolist() == [x0, x1]
    f0, f1 = x0**3 - 0.5, x1**3 - 0.5
    x2 = x1 - f1 * (x1 - x0) / (f1 - f0)
    assert float(t[2]) == pytest.approx(x2, abs=1e-14)
    f2 = x2**3 - 0.5
    assert float(t[3]) == pytest.approx(x2 - f2 * (x2 - x1) / (f2 - f1), abs=1e-14)


def test_a_step_that_leaves_the_bracket_is_replaced_and_the_end_lies_within() -> None:
    """An arctangent that is steep at one end throws plain secants far away."""
    o, d = torch.zeros(1, 3, dtype=torch.float64), torch.tensor([[1.0, 0.0, 0.0]], dtype=torch.float64)
    f = lambda p: torch.atan(60 * (p[:, 0] - 0.31)) - 0.2  # noqa: E731
    near, far = torch.zeros(1, dtype=torch.float64), torch.ones(1, dtype=torch.float64)
    found = implicit.march(f, o, d, near, far, 2, torch.full((1,), 0.5, dtype=torch.float64))
    t, _ = implicit.secant(f, o, d, found, 12)
    assert ((t >= 0.25) & (t <= 0.75)).all()
    assert float(t[-1]) == pytest.approx(0.31 + math.tan(0.2) / 60, abs=1e-9)


def test_only_the_first_passage_from_free_to_filled_counts() -> None:
    """Slabs at 0.3..0.4 and 0.6..0.7: rays that begin within the first, before both and behind both, and one away."""
    f = lambda p: torch.maximum(0.05 - (p[:, 0] - 0.35).abs(), 0.05 - (p[:, 0] - 0.65).abs())  # noqa: E731
    o = torch.tensor([[0.35, 0, 0], [0.0, 0, 0], [0.8, 0, 0], [0.0, 0, 0]])
    d = torch.tensor([[1.0, 0, 0]]).expand(4, 3)
    far = torch.tensor([1.0, 1.0, 1.0, 0.0])
    found = implicit.march(f, o, d, torch.zeros(4), far, 100, torch.full((4,), 0.5))
    assert found.inside.tolist() == [True, False, False, False]
    assert found.hit.tolist() == [False, True, False, False]
    assert float(found.t[1, found.at[1]]) == pytest.approx(0.295, abs=1e-6)


# ---- the gradient that goes round the search ------------------------------------------------------------------------


def test_a_balls_distance_changes_with_its_radius_as_the_closed_form_says() -> None:
    """t = -b - sqrt(b^2 - |o|^2 + r^2): dt/dr = -r / sqrt(...), from f = r - |p| by implicit differentiation."""
    o, d = towards(30, 0.5)
    radius = torch.tensor(0.8, dtype=torch.float64, requires_grad=True)
    f = lambda p: radius - p.norm(dim=1)  # noqa: E731
    t = search(f, o, d)
    torch.testing.assert_close(t, ball_hit(o, d, 0.8), atol=1e-12, rtol=0)
    moved = implicit.attached(f, o, d, t)
    assert torch.equal(moved.detach(), t)
    for k in (0, 7, 29):
        (slope,) = torch.autograd.grad(moved[k], radius, retain_graph=True)
        b = float((o[k] * d[k]).sum())
        assert float(slope) == pytest.approx(-0.8 / math.sqrt(b * b - 9 + 0.64), rel=1e-9)


def test_the_gradient_of_rendered_colours_is_that_of_finite_differences() -> None:
    """Every weight moved a little, the surface searched anew, the colours looked at again; without the implicit
    part the gradient is another."""
    torch.manual_seed(0)
    network = Network(2, 12, 2, 0.7).double()
    with torch.no_grad():
        for p in network.parameters():
            p.add_(0.15 * torch.randn_like(p))
    o, d = towards(24, 0.3)
    pull = torch.randn(24, 3, dtype=torch.float64)

    def colours() -> Tensor:
        t = search(network.logit, o, d, iterations=16)
        return network.rgb(o + t[:, None] * d)

    t = search(network.logit, o, d, iterations=16)
    found = (network.rgb(o + implicit.attached(network.logit, o, d, t)[:, None] * d) * pull).sum()
    frozen = (network.rgb(o + t[:, None] * d) * pull).sum()
    size, parameters = 1e-6, list(network.parameters())
    slopes = torch.autograd.grad(found, parameters)
    without = torch.autograd.grad(frozen, parameters, allow_unused=True)
    misses = []
    for p, slope, bare in zip(parameters, slopes, without, strict=True):
        flat, given = p.detach().view(-1), slope.reshape(-1)
        for k in torch.randperm(len(flat))[:4].tolist():
            with torch.no_grad():
                flat[k] += size
                above = float((colours() * pull).sum())
                flat[k] -= 2 * size
                below = float((colours() * pull).sum())
                flat[k] += size
            expected = (above - below) / (2 * size)
            assert float(given[k]) == pytest.approx(expected, rel=2e-4, abs=2e-6)
            misses.append(abs(expected - (0.0 if bare is None else float(bare.reshape(-1)[k]))))
    assert max(misses) > 1e-2  # the surface's own movement is no small part of it


def test_normals_point_out_of_what_is_filled() -> None:
    p = nn.functional.normalize(torch.randn(20, 3), dim=1)
    torch.testing.assert_close(implicit.normals(lambda x: 1 - x.norm(dim=1), p), p)


# ---- the study ------------------------------------------------------------------------------------------------------


def test_at_first_it_is_a_ball_that_is_seen_where_and_as_large_as_it_is(small_life: CaptureSource) -> None:
    dvr = built(small_life, radius=0.5, march=128, secant=6)
    with torch.no_grad():
        dvr.network.filled.weight.zero_()
    o, d = towards(200, 0.9, torch.float32)
    o = o + dvr.middle
    radius = 0.5 * 1.2  # half the longest side of the bounds is 1.2
    b = ((o - dvr.middle) * d).sum(1)
    inside = b * b - (o - dvr.middle).square().sum(1) + radius**2
    clear = inside.abs() > 0.02  # a ray that only grazes may slip between two steps
    seen = dvr.render_rays(o, d, torch.ones(3))
    assert torch.equal((seen.alpha > 0)[clear], (inside > 0)[clear])
    hit = clear & (inside > 0)
    expected = -b[hit] - inside[hit].sqrt()
    torch.testing.assert_close(seen.depth[hit], expected, atol=1e-4, rtol=0)
    assert seen.normal is not None
    out = (o + seen.depth[:, None] * d - dvr.middle)[hit] / radius
    torch.testing.assert_close(seen.normal[hit], out, atol=1e-3, rtol=0)
    assert torch.equal(seen.rgb[~(seen.alpha > 0)], torch.ones(int((seen.alpha == 0).sum()), 3))
    on = dvr.middle + radius * nn.functional.normalize(torch.randn(9, 3), dim=1)
    torch.testing.assert_close(dvr.density(on), torch.full((9,), SURFACE), rtol=1e-4, atol=0)


def test_the_level_moves_the_surface_to_where_that_occupancy_is(small_life: CaptureSource) -> None:
    made = session(small_life, march=64, secant=8, radius=0.4)
    dvr = made.study
    assert isinstance(dvr, DVR)
    dvr.network.eval()
    o, d = towards(30, 0.2, torch.float32)
    o = o + dvr.middle
    for level in (0.3, 0.7):
        made.set_knob("level", level)
        seen = dvr.render_rays(o, d, torch.zeros(3))
        hit = seen.alpha > 0
        assert hit.any()
        places = (o + seen.depth[:, None] * d)[hit]
        torch.testing.assert_close(dvr.occupancy(places), torch.full((len(places),), level), atol=1e-3, rtol=0)


def test_masks_are_held_against_the_fullest_place_or_where_a_ray_enters(small_life: CaptureSource) -> None:
    dvr = built(small_life, radius=0.4)
    rays = dvr.source.batch(0, 64)
    found = dvr._march(rays.origins, rays.directions)

    def asked() -> Tensor:
        return dvr.f(rays.origins + dvr._asked(found)[:, None] * rays.directions)

    torch.testing.assert_close(asked(), found.f.amax(1), atol=1e-4, rtol=0)
    dvr.p.place = MET
    entered = asked()[found.hit]
    assert 0 < int(found.hit.sum()) < 64
    assert (entered >= -1e-5).all()
    assert (entered < found.f.amax(1)[found.hit] - 1e-3).any()
    missed = ~(found.hit | found.inside)
    assert (asked()[missed] < found.f.amax(1)[missed] - 1e-3).any()


def test_colours_move_the_surface_only_where_that_is_wished(small_life: CaptureSource) -> None:
    made = session(small_life)
    dvr = made.study
    assert isinstance(dvr, DVR)
    o, d = towards(16, 0.2, torch.float32)
    t = search(dvr.f, o, d)
    weight = dvr.network.filled.weight
    dvr.rgb(dvr._met(o, d, t)).sum().backward()
    assert weight.grad is not None
    assert weight.grad.abs().max() > 0
    weight.grad = None
    made.set_knob("implicit", False)
    dvr.rgb(dvr._met(o, d, t)).sum().backward()
    assert weight.grad is None


def test_the_exact_distance_of_the_still_life_is_that_of_its_ball(small_life: CaptureSource) -> None:
    from engine.data.captures.still_life import BALL, BALL_RADIUS

    o = torch.tensor([[0.42, 0.12, 3.0], [0.0, 0.0, 3.0]])
    d = torch.tensor([[0.0, 0.0, -1.0], [0.0, 0.0, 1.0]])
    found = exact_distances(small_life, o, d)
    assert found is not None
    assert found.tolist() == [pytest.approx(3.0 - float(BALL[2]) - BALL_RADIUS, abs=1e-6), 0.0]


def test_steps_bring_the_mask_and_the_colours_nearer(small_life: CaptureSource) -> None:
    made = session(small_life, width=32, batch=256, march=24)

    def figures() -> dict[str, float]:
        steps = made.evaluation(500)
        while True:
            try:
                next(steps)
            except StopIteration as end:
                out: dict[str, float] = end.value
                return out

    before = figures()
    for _ in range(60):
        made.train_step()
    after = figures()
    assert after["mask_iou"] > before["mask_iou"] + 0.1
    assert after["psnr"] > before["psnr"] + 1.5
    assert after["depth_error"] < 0.5


def test_the_steps_of_the_secant_are_told_as_they_are(small_life: CaptureSource) -> None:
    made = session(small_life, secant=5)
    dvr = made.study
    assert isinstance(dvr, DVR)
    scene = only(made, "ray_scene")
    assert len(scene.table) == 7  # the two samples and five steps
    values = [abs(float(row[2])) for row in scene.table]
    assert values[-1] < 1e-4 < max(values[:2])
    assert float(scene.table[-1][1]) == pytest.approx(scene.readings["surface at"], abs=1e-5)
    curves = only(made, "secant")
    x, line = curves.x, curves.lines["chord 1"]
    assert x[0] == pytest.approx(float(scene.table[0][1]), abs=1e-5)
    crossing = float(x[abs(line).argmin()])
    assert crossing == pytest.approx(float(scene.table[2][1]), abs=2 * float(x[1] - x[0]))
