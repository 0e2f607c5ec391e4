"""Gaussian splatting: what is resumed, what is learned, what made a pixel, where the surface is."""

from __future__ import annotations

import copy
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from skimage.metrics import structural_similarity
from torch import Tensor

from engine import data
from engine.data.captures.source import CaptureSource
from engine.formats.export import write
from engine.formats.runs import flatten
from engine.formats.scene import read_all
from engine.nn.gaussians.gaussians import C0, Gaussians, splats_of
from engine.payloads import Curves, ImageGrid
from engine.registry import find
from engine.scene import Frustums, Mesh, Points, Scene, Splats
from engine.session import Session

STUDY = find().studies["gaussian_splatting"]
SMALL = dict(count=600, most=900, degree=1, wait=60, start=20, every=40, span=400)
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def still_life() -> CaptureSource:
    found = data.load("still_life")
    assert isinstance(found, CaptureSource)
    return found


def built(source: CaptureSource, seed: int = 1, **knobs: Any) -> Session:
    return Session.build("gaussian_splatting", STUDY, {**SMALL, **knobs}, seed, CPU, source)


@pytest.fixture(scope="module")
def learned(still_life: CaptureSource) -> Session:
    session = built(still_life)
    for _ in range(130):
        session.train_step()
    session.read_metrics()
    return session


def held_out(session: Session, limit: int = 1500) -> float:
    steps = session.evaluation(limit)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return float(end.value["psnr"])


# ---- saving what changes its number ---------------------------------------------------------------------------------


@pytest.mark.parametrize("growth", ["density control", "MCMC"])
def test_resumed_before_growth_it_grows_the_same_bit_for_bit(still_life: CaptureSource, growth: str) -> None:
    knobs: dict[str, Any] = dict(growth=growth, start=0, every=10, count=200, most=260, pull=1e-6, reset=100)
    one = built(still_life, **knobs)
    for _ in range(15):
        one.train_step()
    saved = copy.deepcopy(one.state())
    for _ in range(15):
        one.train_step()
    other = built(still_life, seed=1, **knobs)
    other.train_step()
    other.load_state(saved)
    for _ in range(15):
        other.train_step()
    here: dict[str, Tensor] = {}
    there: dict[str, Tensor] = {}
    flatten(one.state()["parts"], here)
    flatten(other.state()["parts"], there)
    assert len(one.study.gaussians) > 200  # type: ignore[attr-defined]
    assert all(torch.equal(here[name], there[name]) for name in here)


def test_there_are_no_more_than_so_many_for_each_pixel_that_shows_something(still_life: CaptureSource) -> None:
    study: Any = built(still_life, most=900).study
    assert study.most == 900
    shown = [photo.pixels[..., 3] > 127 for photo in still_life.photos if photo.view.split == "train"]
    per_pixel = 650 / np.mean([mask.sum() for mask in shown])  # the ground behind the things needs none
    few = built(still_life, most=900, per_pixel=float(per_pixel), growth="MCMC", count=640, start=0, every=10)
    study = few.study
    assert study.most == 650
    for _ in range(21):
        few.train_step()
    assert len(study.gaussians) == 650  # two rounds of five per cent would make 704


# ---- photographs through a lens -------------------------------------------------------------------------------------


def test_what_is_hidden_by_a_mask_teaches_nothing(still_life: CaptureSource) -> None:
    photos = tuple(replace(p, mask=np.zeros(p.pixels.shape[:2], np.uint8)) for p in still_life.photos)
    photos[0].mask[0, 0] = 255  # type: ignore[index]  # a capture without any pixel is refused
    session = built(replace(still_life, photos=(*photos[:2], *still_life.photos[2:])))
    study: Any = session.study
    blind = next(s for s in study.shots["train"] if s.counts is not None and not s.counts.any())
    study._next_shot = lambda done: blind
    before = {n: study.gaussians.get_parameter(n).detach().clone() for n in study.gaussians.learned}
    session.train_step()
    assert all(torch.equal(before[n], study.gaussians.get_parameter(n)) for n in before)


# ---- what is learned, and what is said of it ------------------------------------------------------------------------


def test_a_scene_is_learned_in_few_steps_and_growth_is_marked(learned: Session) -> None:
    marks = [mark.text for mark in learned.read_marks()]
    assert [text.endswith("Gaussians") for text in marks] == [True] * 3
    assert held_out(learned) > 15.5  # white alone is at 10
    assert learned.latest["thousand_gaussians"] * 1000 == pytest.approx(len(learned.study.gaussians))  # type: ignore[attr-defined]


def test_every_photograph_is_looked_at_once_before_one_is_again(still_life: CaptureSource) -> None:
    study: Any = built(still_life).study
    count = len(study.shots["train"])
    first = [id(study._next_shot(k)) for k in range(count)]
    second = [id(study._next_shot(k)) for k in range(count, 2 * count)]
    assert len(set(first)) == count
    assert set(second) == set(first)
    assert first != second


def test_the_held_out_figure_is_that_of_whole_pictures(learned: Session) -> None:
    study: Any = learned.study
    shot, number = study.shots["held_out"][2], 2
    rays = learned.study.source.picture(study.source.photos["held_out"][2])
    with learned._looking(0):
        found = study.evaluate(replace(rays, view=torch.full_like(rays.view, number)))
    truth, made = shot.over(study.ground), study.picture(shot.view, study.ground).rgb.clamp(0, 1)
    torch.testing.assert_close(found["mse"].reshape(100, 100), (made - truth).square().mean(2), atol=2e-3, rtol=0)
    whole, each = structural_similarity(made.numpy(), truth.numpy(), channel_axis=2, data_range=1.0, full=True)
    inner = found["ssim"].reshape(100, 100)[3:-3, 3:-3]  # where the window is about the pixel
    np.testing.assert_allclose(inner, each.mean(2)[3:-3, 3:-3], atol=5e-3)
    assert float(inner.mean()) == pytest.approx(whole, abs=1e-4)
    assert f"SSIM {whole:.3f}" in ask(learned, "compare", photo="held_out:2").caption


def test_places_that_say_nothing_make_no_picture_less_alike(still_life: CaptureSource) -> None:
    photos = list(still_life.photos)
    number = next(i for i, p in enumerate(photos) if p.view.split == "held_out")
    mask = np.full((100, 100), 255, np.uint8)
    mask[20:80] = 0
    photos[number] = replace(photos[number], mask=mask)
    study: Any = built(replace(still_life, photos=tuple(photos))).study
    shot = study.shots["held_out"][0]
    made = shot.over(study.ground)
    made[20:80] = 1 - made[20:80]
    assert study._alike_everywhere(made, shot).min() > 0.999
    made[0] = 1 - made[0]
    assert study._alike_everywhere(made, shot).min() < 0.5


def ask(session: Session, name: str, **controls: Any) -> Any:
    return next(iter(session.answer(name, controls)))


def test_the_view_holds_the_very_numbers_and_the_largest_where_there_are_too_many(learned: Session) -> None:
    g = learned.study.gaussians  # type: ignore[attr-defined]
    scene = ask(learned, "view", cameras=True)
    (splats,) = (t for t in scene.things if isinstance(t, Splats))
    assert isinstance(scene, Scene)
    assert np.array_equal(splats.xyz, g.xyz.detach().numpy())
    assert np.array_equal(splats.sh[:, 0], g.dc.detach().numpy()[:, 0])
    assert splats.sh.shape == (len(g), 4, 3)
    assert sum(len(t.eyes) for t in scene.things if isinstance(t, Frustums)) == 48
    few = splats_of(g, "few", torch.tensor([3, 1]))
    assert np.array_equal(few.opacity, g.opacity.detach().numpy()[[3, 1]])


def test_where_not_all_are_shown_the_widest_and_fullest_are_and_it_is_said(still_life: CaptureSource) -> None:
    session = built(still_life, count=1500, most=2000)
    gaussians: Gaussians = session.study.gaussians  # type: ignore[attr-defined]
    with torch.no_grad():
        gaussians.opacity[:500] = -9.0  # hardly there: the first to go
    scene = ask(session, "view", most=1000)
    assert np.array_equal(scene.things[0].xyz, gaussians.xyz[500:].detach().numpy())
    assert scene.notices == ("1,000 of 1,500 are shown and saved: raise most for all.",)
    assert not ask(session, "view").notices


def test_files_are_written_in_the_frame_of_the_captures_own_and_say_how_to_draw_them(
    still_life: CaptureSource, tmp_path: Path
) -> None:
    turn = np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])
    world = np.eye(4)
    world[:3] = np.column_stack([0.5 * turn, [1.0, -2, 3]])
    capture = replace(still_life.capture, world=world)
    session = built(replace(still_life, capture=capture), growth="none")
    session.train_step()
    target = tmp_path / "view.ply"
    write(str(target), [ask(session, "view")])
    g = session.study.gaussians  # type: ignore[attr-defined]
    (again,) = (thing for thing in read_all(target) if isinstance(thing, Splats))
    assert again.antialiased
    xyz = again.xyz + np.asarray(again.origin)
    np.testing.assert_allclose(0.5 * xyz @ turn.T + [1, -2, 3], g.xyz.detach().numpy(), atol=1e-5)
    np.testing.assert_allclose(again.scales, g.scales.detach().numpy() + math.log(2), atol=1e-5)
    for name, controls in {"growth": {}, "surface": {"resolution": 16}, "inspector_scene": {}}.items():
        *_, scene = (part for part in session.answer(name, controls) if isinstance(part, Scene))
        assert scene.world is world


def test_a_pixel_is_the_sum_of_what_made_it(learned: Session) -> None:
    study: Any = learned.study
    for u, v in ((0.5, 0.5), (0.4, 0.62)):
        with torch.no_grad():
            p = study._pixel(study.shot("held_out:1"), ((u, v, 0.0),))
            shot = study.shot("held_out:1")
            whole = study.picture(shot.view, study.ground)
        assert len(p.t) > 2
        torch.testing.assert_close(p.weight, p.alpha * p.transmittance)
        colour = (p.weight[:, None] * p.rgb).sum(0) + (1 - p.weight.sum()) * study.ground
        torch.testing.assert_close(colour, whole.rgb[int(v * 100), int(u * 100)], atol=2e-3, rtol=0)
        # the ray leads through the place in the photograph that was asked for
        camera, pose = shot.photo.view.camera, shot.photo.view.pose
        own = (np.asarray(p.direction, np.float64) @ pose[:3, :3])[None]
        assert np.allclose(camera.project(own), [[int(u * 100) + 0.5, int(v * 100) + 0.5]], atol=1e-3)
    curves = ask(learned, "inspector", photo="held_out:1", colours=True)
    assert isinstance(curves, Curves)
    assert (np.diff(curves.x) >= 0).all()
    away = ask(learned, "inspector", pixel=((0.0, 0.0, 0.0),))
    assert "of the light passes" in away.caption


def test_where_it_grows_shows_the_pull_as_a_share_of_the_threshold(learned: Session) -> None:
    study: Any = learned.study
    learned.set_knob("pull", 1e-5)
    scene = ask(learned, "growth")
    learned.set_knob("pull", 2e-4)
    (points,) = (t for t in scene.things if isinstance(t, Points))
    slope = (study.gaussians.slope / study.gaussians.seen.clamp(min=1)).numpy() / 1e-5
    assert np.allclose(points.scalars["pull"], slope.clip(0, 2), rtol=1e-5)
    assert scene.readings["to be cloned"] + scene.readings["to be split"] == (slope >= 1).sum()
    assert (points.colour_by, scene.notices) == ("scalar:pull", ())


def test_right_after_a_round_the_middles_have_their_own_colours_and_a_line_says_why(still_life: CaptureSource) -> None:
    session = built(still_life)
    scene = ask(session, "growth")
    (points,) = (t for t in scene.things if isinstance(t, Points))
    assert points.colour_by == "rgb"
    own = 0.5 + C0 * session.study.gaussians.dc.detach().numpy()[:, 0]  # type: ignore[attr-defined]
    assert np.abs(points.rgb / 255 - own).max() <= 0.5 / 255 + 1e-6
    assert "the next step brings its colours back" in scene.notices[0]
    session.train_step()
    scene = ask(session, "growth")
    assert next(t for t in scene.things if isinstance(t, Points)).colour_by == "scalar:pull"


def test_the_held_out_photograph_is_compared_as_the_figure_is(learned: Session) -> None:
    grid = ask(learned, "compare", photo="held_out:0")
    assert isinstance(grid, ImageGrid)
    mse = float(np.square(grid.images[0] - grid.images[1]).mean())
    assert f"PSNR {-10 * math.log10(mse):.2f} dB" in grid.caption
    small = ask(learned, "compare", photo="held_out:0", width=50)
    assert small.images.shape[1:] == (50, 50, 3)
    assert np.allclose(small.images[0], grid.images[0].reshape(50, 2, 50, 2, 3).mean((1, 3)), atol=1e-6)


def test_numbers_are_counted_and_colours_are_their_harmonics(learned: Session) -> None:
    curves = ask(learned, "numbers", of="brightness")
    lines = list(curves.lines.values())
    assert lines[1][-1] == pytest.approx(1.0)
    assert lines[0].max() == pytest.approx(1.0)
    g = Gaussians(torch.zeros(2, 3), torch.tensor([[0.2, 0.4, 0.6], [1.0, 0.0, 0.5]]), torch.ones(2), 0)
    torch.testing.assert_close(0.5 + C0 * g.dc[:, 0], torch.tensor([[0.2, 0.4, 0.6], [1.0, 0.0, 0.5]]))


# ---- real captures --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["fox", "banana"])
def test_a_real_capture_begins_at_its_points_and_learns(shared_data: Path, name: str) -> None:
    source = data.load("capture", folder=str(shared_data / "posed" / name), wishes={"shrink": "4"})
    assert isinstance(source, CaptureSource)
    assert source.capture.points is not None
    session = built(source, degree=0, growth="none", shrink="4")
    study: Any = session.study
    assert len(study.gaussians) == len(source.capture.points)
    assert all(shot.photo.view.camera.straight for shot in study.shots["train"])
    before = held_out(session, 800)
    for _ in range(12):
        session.train_step()
    assert held_out(session, 800) > before


def test_the_surface_of_a_ball_of_gaussians_is_that_ball(still_life: CaptureSource) -> None:
    session = built(still_life, degree=0)
    study: Any = session.study
    k = np.arange(3000) + 0.5
    turn, up = np.pi * (1 + 5**0.5) * k, 1 - 2 * k / 3000
    flat = np.sqrt(1 - up * up)
    places = 0.6 * np.stack([flat * np.cos(turn), flat * np.sin(turn), up], 1) + [0, 0, 0.2]
    ball = Gaussians(
        torch.tensor(places, dtype=torch.float32),
        torch.tensor([[0.9, 0.3, 0.1]]).expand(3000, 3),
        torch.full((3000,), 0.02),
        0,
        0.99,
    )
    study.gaussians.load_state_dict(ball.state_dict())
    *_, scene = (part for part in session.answer("surface", {"resolution": 48}) if isinstance(part, Scene))
    mesh = scene.things[0]
    assert isinstance(mesh, Mesh)
    seen_from = mesh.vertices[:, 2] > -0.1  # the photographs are taken from above
    radius = np.linalg.norm(mesh.vertices[seen_from] - [0, 0, 0.2], axis=1)
    assert seen_from.sum() > 500
    assert abs(float(np.median(radius)) - 0.6) < 0.03
    assert np.quantile(np.abs(radius - 0.6), 0.9) < 0.06
    assert np.abs(np.median(mesh.rgb, 0) / 255 - [0.9, 0.3, 0.1]).max() < 0.03
