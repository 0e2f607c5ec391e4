"""Planes, paths and sums of codes against their closed forms; samples, and what is kept of them."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
import torch

from engine.nn.gaussian import slerp
from engine.nn.generator.nearest import nearest_distances
from engine.nn.generator.steering import path_moments
from engine.nn.pictures import pictures
from engine.payloads import Payload
from engine.session import Session

LINEAR = ((1, 4, "linear"), (2, 6, "linear"), (5, 3, "linear"))


def ask(session: Session, name: str, dragging: bool = False, **values: Any) -> Any:
    *_, last = session.answer(name, values, dragging=dragging)
    return last


def asked(session: Session, name: str, **values: Any) -> tuple[Any, torch.Tensor]:
    """The answer and the codes that were decoded for it."""
    study: Any = session.study
    study.decoded.clear()
    answers = [part for part in session.answer(name, values) if isinstance(part, Payload)]
    return answers, torch.cat(study.decoded)


def pictures_of(session: Session, w: torch.Tensor) -> np.ndarray:
    with torch.no_grad():
        study: Any = session.study
        return pictures(study.decode_w(w))


def touch(session: Session) -> None:
    with torch.no_grad():
        next(iter(session.modules().values())).weight.mul_(1.1)  # type: ignore[operator,union-attr]


# ---- the plane ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["bilinear", "slerp"])
@pytest.mark.parametrize("name", ["planted", "mapped"])
def test_the_corners_of_a_seed_plane_are_the_seeds(name: str, method: str, request: pytest.FixtureRequest) -> None:
    session: Session = request.getfixturevalue(name)
    study: Any = session.study
    seeds = dict(top_left=11, top_right=12, bottom_left=13, bottom_right=14)
    for (v, u), seed in zip(itertools.product((0.0, 1.0), (0.0, 1.0)), seeds.values(), strict=True):
        plane = ask(session, "seed_plane", spot=(u, v), method=method, **seeds)
        np.testing.assert_allclose(plane.image, pictures_of(session, study.to_w(study.seeded(seed)))[0], atol=1e-5)
    assert plane.names == ("seed 11", "seed 12", "seed 13", "seed 14")
    assert plane.spot == (1.0, 1.0)


def test_a_bilinear_plane_weighs_the_corners_w_and_a_spherical_one_follows_arcs_of_z(mapped: Session) -> None:
    study: Any = mapped.study
    z = study.seeded(1, 2, 3, 4)
    w = study.to_w(z).detach()
    u, v = 0.25, 0.6
    _, codes = asked(mapped, "seed_plane", spot=(u, v), method="bilinear")
    hand = 0.75 * 0.4 * w[0] + 0.25 * 0.4 * w[1] + 0.75 * 0.6 * w[2] + 0.25 * 0.6 * w[3]
    torch.testing.assert_close(codes[0], hand)
    _, codes = asked(mapped, "seed_plane", spot=(u, v), method="slerp")
    arc = slerp(slerp(z[0], z[1], u), slerp(z[2], z[3], u), v)
    torch.testing.assert_close(codes[0], study.to_w(arc[None])[0].detach())
    # Half way between two codes the arc's length is the mean of theirs; the straight line's is less.
    half = slerp(z[0], z[1], 0.5)
    assert math.isclose(float(half.norm()), float(z[:2].norm(dim=1).mean()), rel_tol=1e-5)


def test_the_tiles_are_the_middles_of_an_even_grid_from_the_top(planted: Session) -> None:
    study: Any = planted.study
    tiles = ask(planted, "seed_plane", method="bilinear", psi=0.5).tiles
    assert tiles.shape == (5, 5, 6, 6, 1)
    w = study.seeded(1, 2, 3, 4)
    u, v = 0.9, 0.3  # column 4, row 1
    hand = 0.5 * ((1 - v) * ((1 - u) * w[0] + u * w[1]) + v * ((1 - u) * w[2] + u * w[3]))
    np.testing.assert_allclose(tiles[1, 4], pictures_of(planted, hand[None])[0], atol=1e-6)


def test_tiles_stay_until_corners_method_truncation_or_weights_change(planted: Session) -> None:
    tiles = ask(planted, "seed_plane").tiles
    assert ask(planted, "seed_plane", spot=(0.1, 0.9)).tiles is tiles
    assert ask(planted, "seed_plane", top_left=9).tiles is not tiles
    assert ask(planted, "seed_plane", method="slerp").tiles is not tiles
    assert ask(planted, "seed_plane", psi=0.7).tiles is not tiles
    tiles = ask(planted, "seed_plane").tiles
    before = ask(planted, "seed_plane").image
    touch(planted)
    moved = ask(planted, "seed_plane", dragging=True)
    assert moved.tiles is tiles  # a hand does not wait for what lies behind the picture
    assert not np.array_equal(moved.image, before)  # the picture itself is of the new weights
    assert not np.array_equal(ask(planted, "seed_plane").tiles, tiles)


def test_other_corners_under_a_moving_hand_get_few_tiles_and_all_of_them_at_rest(planted: Session) -> None:
    few = ask(planted, "seed_plane", dragging=True, top_left=77).tiles
    assert few.shape[:2] == (3, 3)
    assert ask(planted, "seed_plane", dragging=True, top_left=77, spot=(0, 0)).tiles is few
    assert ask(planted, "seed_plane", top_left=77).tiles.shape[:2] == (5, 5)


def test_truncation_leads_to_the_middle_of_all_codes(mapped: Session) -> None:
    study: Any = mapped.study
    _, codes = asked(mapped, "samples", count=3, psi=0.0)
    torch.testing.assert_close(codes, study.mean_w().expand(3, -1))
    _, half = asked(mapped, "samples", count=3, psi=0.5)
    whole = study.to_w(study.seeded(7, 8, 9)).detach()
    torch.testing.assert_close(half, 0.5 * (whole + study.mean_w()))


# ---- the path -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["lerp", "slerp"])
@pytest.mark.parametrize("easing", ["smooth", "linear", "slow start", "slow end", "hold"])
def test_a_path_passes_its_key_frames_and_ends_at_the_last(mapped: Session, easing: str, method: str) -> None:
    study: Any = mapped.study
    keys = tuple((seed, steps, easing) for seed, steps, _ in LINEAR)
    frames, codes = asked(mapped, "path", keys=keys, method=method)
    assert [frame.index for frame in frames] == list(range(11))  # 4 + 6 and the end
    assert {frame.total for frame in frames} == {11}
    torch.testing.assert_close(codes[[0, 4, 10]], study.to_w(study.seeded(1, 2, 5)).detach())
    assert [frame.readings["t"] for frame in frames[::2]] == pytest.approx([0, 0.5, 1, 1 + 1 / 3, 1 + 2 / 3, 2])
    np.testing.assert_allclose([f.readings["‖w‖"] for f in frames], codes.norm(dim=1), rtol=1e-5)


def test_what_is_eased_lingers_where_it_should(planted: Session) -> None:
    study: Any = planted.study
    a, b = study.seeded(1, 2)

    def covered(easing: str) -> list[float]:
        _, codes = asked(planted, "path", keys=((1, 4, easing), (2, 1, easing)))
        return (((codes - a) @ (b - a)) / (b - a).square().sum()).tolist()

    assert covered("linear") == pytest.approx([0, 0.25, 0.5, 0.75, 1], abs=1e-5)
    assert covered("smooth") == pytest.approx([0, 0.15625, 0.5, 0.84375, 1], abs=1e-5)
    assert covered("slow start") == pytest.approx([0, 0.0625, 0.25, 0.5625, 1], abs=1e-5)
    assert covered("slow end") == pytest.approx([0, 0.4375, 0.75, 0.9375, 1], abs=1e-5)
    assert covered("hold") == pytest.approx([0, 0, 0, 0, 1], abs=1e-5)


def test_a_loop_closes_with_a_step_like_the_others_and_repeats_no_frame(planted: Session) -> None:
    study: Any = planted.study
    frames, codes = asked(planted, "path", keys=LINEAR, loop=True)
    assert len(frames) == 4 + 6 + 3
    a, b, c = study.seeded(1, 2, 5)
    steps = (codes.roll(-1, 0) - codes).norm(dim=1)  # the last one leads back to the first frame
    hand = [(b - a).norm() / 4] * 4 + [(c - b).norm() / 6] * 6 + [(a - c).norm() / 3] * 3
    torch.testing.assert_close(steps, torch.stack(hand), rtol=1e-4, atol=1e-5)
    assert path_moments(((1, 1, "linear"), (2, 2, "linear")), True) == [(0, 0.0), (1, 0.0), (1, 0.5)]


# ---- sums and samples ---------------------------------------------------------------------------------------------


def test_a_sum_of_codes_goes_from_a_towards_a_minus_b_plus_c(mapped: Session) -> None:
    study: Any = mapped.study
    a, b, c = study.to_w(study.seeded(4, 5, 6)).detach()
    answers, codes = asked(mapped, "arithmetic", a="seed:4", b="seed:5", c="seed:6", amount=1.0)
    torch.testing.assert_close(codes[:3], torch.stack([b, c, a]))
    torch.testing.assert_close(codes[-1], a - b + c)
    torch.testing.assert_close(codes[2:].diff(dim=0), ((c - b) / 5).expand(5, -1), atol=1e-5, rtol=1e-4)
    assert answers[0].columns == 8
    assert answers[0].heads[:4] == ("b", "c", "a", "+0.2")
    _, codes = asked(mapped, "arithmetic", a="seed:4", b="seed:5", c="seed:5", amount=3.0)
    torch.testing.assert_close(codes[2:], a.expand(6, -1))


@pytest.mark.parametrize("name", ["encoded", "planted"])
def test_a_picture_stands_for_its_code_encoded_or_searched(name: str, request: pytest.FixtureRequest) -> None:
    session: Session = request.getfixturevalue(name)
    answer = ask(session, "edit", a="held_out:3")
    np.testing.assert_allclose(answer.images[0], session.study.source.item("held_out:3")[0, 0, :, :, None], atol=0.01)


def test_each_sample_is_the_picture_of_its_own_seed(planted: Session) -> None:
    study: Any = planted.study
    answer = ask(planted, "samples", count=150, seed=40)
    assert answer.captions[::149] == ("seed 40", "seed 189")
    alone = pictures_of(planted, study.seeded(40, 103, 104, 189))
    np.testing.assert_allclose(answer.images[[0, 63, 64, 149]], alone, atol=1e-6)


def test_the_influence_of_a_number_is_the_length_of_its_column_of_the_jacobian(planted: Session) -> None:
    study: Any = planted.study
    z = study.seeded(*range(300))
    slope = study.map(z).sigmoid().detach()
    slope = slope * (1 - slope)
    exact = (slope.square() @ study.map.weight.detach().square()).mean(0)
    torch.testing.assert_close(study.influence(z), exact, rtol=0.12, atol=0)
    hint = planted.hints()["z"]
    assert hint.order[0] == int(exact.argmax())
    assert np.allclose(hint.spread, 1, atol=0.1)


def test_looking_at_influence_leaves_no_gradient_behind(planted: Session) -> None:
    planted.hints()
    assert all(p.grad is None for p in planted.modules()["map"].parameters())
    first = planted.hints()
    assert planted.hints() is first  # kept
    touch(planted)
    assert planted.hints() is not first


# ---- the nearest training picture ---------------------------------------------------------------------------------


@pytest.mark.parametrize("portion", [2**22, 4 * 192])
def test_the_nearest_picture_is_the_one_that_a_slow_search_finds(portion: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.nn.generator.nearest.PORTION", portion)
    generator = torch.Generator().manual_seed(0)
    train = torch.randint(0, 256, (70, 3, 8, 8), generator=generator, dtype=torch.uint8)
    x = torch.rand(9, 3, 8, 8, generator=generator)
    x[4] = train[33].float() / 255
    *shares, (distance, place) = nearest_distances(train, x)
    apart = (x[:, None] - train[None].float() / 255).square().mean((2, 3, 4)).sqrt()
    torch.testing.assert_close(distance, apart.amin(1))
    assert torch.equal(place, apart.argmin(1))
    assert (float(distance[4]), int(place[4])) == (0.0, 33)
    assert shares == sorted(shares)
    assert len(shares) == (0 if portion > 10_000 else 17)


def test_a_sample_that_is_a_copy_is_found_out_and_the_yardstick_is_of_held_out_pictures(planted: Session) -> None:
    study: Any = planted.study
    source = study.source
    copied = torch.from_numpy((pictures_of(planted, study.seeded(9)) * 255).round().astype(np.uint8))
    source.train[321] = copied.permute(0, 3, 1, 2)[0]
    answer = ask(planted, "nearest", count=4, seed=7)
    assert answer.captions[:4] == ("seed 7", "seed 8", "seed 9", "seed 10")
    distances = [float(caption) for caption in answer.captions[4:]]
    assert distances[2] < 0.002  # as near as whole numbers of brightness are
    assert min(distances[:2] + distances[3:]) > 0.004
    np.testing.assert_allclose(answer.images[6, ..., 0], source.train[321, 0].float() / 255)
    apart = (source.held_out[:200, None].float() - source.train[None].float()).square().mean((2, 3, 4)).sqrt() / 255
    assert f"held-out pictures {float(apart.amin(1).median()):.3f}" in answer.caption
