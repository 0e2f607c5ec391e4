"""The study flow_2d: exact fields, what a trained model makes, and that looking at it changes nothing."""

from __future__ import annotations

import copy
import re
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from engine.data import toys
from engine.nn.diffusion.noising import PREDICTIONS, SCHEDULES, Look
from engine.nn.diffusion.samplers import SAMPLERS, Heun, sampling
from engine.params import BadValue
from engine.payloads import Curves, PlaneFrames, Planes
from engine.registry import find
from engine.session import Session

CPU = torch.device("cpu")
FLOW = find().studies["flow_2d"]


def session(seed: int = 1, **knobs: Any) -> Session:
    return Session.build("flow_2d", FLOW, {**FLOW.tiny, **knobs}, seed, CPU, None)


def trained(steps: int, seed: int = 1, **knobs: Any) -> Session:
    made = session(seed, **knobs)
    for _ in range(steps):
        made.train_step()
    return made


def total_variations(made: Session) -> list[float]:
    """Of DDPM, the flow and the data, as the probe says them."""
    shown = ask(made, "density")
    return [float(text[-4:]) for text in (*(plane.title for plane in shown.planes[1:]), shown.caption)]


def field_errors(made: Session) -> list[float]:
    """Percent, of DDPM and the flow."""
    return [float(re.findall(r"([\d.]+)%", plane.title)[0]) for plane in ask(made, "field", t=0.4).planes]


@pytest.fixture(scope="module")
def eight() -> Session:
    """Small, but trained: about two seconds."""
    return trained(700, width=48, depth=2, batch=256, timesteps=100, decay=0.98)


def ask(made: Session, probe: str, dragging: bool = False, **values: Any) -> Any:
    return next(made.answer(probe, values, dragging=dragging))


def film(made: Session, **values: Any) -> list[Any]:
    return list(made.answer("particles", values))


# ---- the mathematics ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", ["eight Gaussians", "checkerboard"])
@pytest.mark.parametrize("path", ["ddpm", "flow"])
def test_the_exact_velocity_carries_noise_to_the_data(shape: str, path: str) -> None:
    """The probability flow along the closed form, in 40 steps of Heun, ends in the data's own density."""
    study = session(shape=shape, timesteps=200, schedule="cosine").study
    noising = getattr(study, path).noising
    x = torch.randn(1000, 2, generator=torch.Generator().manual_seed(2))

    def denoise(at: Tensor, t: float) -> Look:
        return Look(*study.toy.look(at, *noising.levels(t)))

    assert study.distance(x) > 0.03
    *_, end = sampling(Heun(noising), x, noising.times(40), denoise, lambda: torch.zeros(0))
    assert abs(study.distance(end.x)) < 0.004


@pytest.mark.parametrize("prediction", PREDICTIONS)
@pytest.mark.parametrize("schedule", SCHEDULES)
def test_an_untrained_model_leaves_noise_as_it_is(prediction: str, schedule: str) -> None:
    """It begins with what is right for normal data: DDPM's points stand still, those of the flow come back."""
    frames = film(session(prediction=prediction, schedule=schedule, timesteps=200), count=50, steps=100)
    for plane, near in zip(frames[-1].planes, (0.02, 0.15), strict=True):
        start = np.asarray(plane.trails)[:, 0]
        assert np.allclose(plane.points, start, atol=near * 3)
        assert np.abs(plane.points - start).mean() < near


def test_the_loss_is_near_the_least_possible_one_after_training_and_never_clearly_below(eight: Session) -> None:
    before, after = ask(session(), "loss_over_t"), ask(eight, "loss_over_t")
    assert isinstance(after, Curves)
    for name in ("DDPM", "Rectified flow"):
        least = after.lines[f"{name}, least possible"]
        excess = (after.lines[name] - least).mean()
        assert -0.02 < excess < 0.35 * (before.lines[name] - before.lines[f"{name}, least possible"]).mean()
    # At t = 1 only noise is left: DDPM could name it, while the flow's target z - x_0 still misses the data's variance.
    data = float(eight.study.known.var(0).sum())
    assert after.lines["DDPM, least possible"][-1] < 0.05
    assert after.lines["Rectified flow, least possible"][-1] == pytest.approx(data, rel=0.25)


def test_the_losses_fall() -> None:
    made = trained(300, width=48, depth=2, batch=256)
    points = made.read_metrics()
    for name in ("ddpm_loss", "flow_loss"):
        values = points[name][1]
        assert values[-50:].mean() < 0.9 * values[:10].mean()


# ---- what it makes --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", [0, 1])
def test_samples_cover_all_eight_and_lie_on_them(eight: Session, model: int) -> None:
    points = torch.from_numpy(film(eight, count=400, steps=40)[-1].planes[model].points.copy())
    assert isinstance(eight.study.toy, toys.Gaussians)
    far, nearest = torch.cdist(points, eight.study.toy.centres).min(1)
    shares = torch.bincount(nearest, minlength=8) / 400
    assert shares.min() > 0.06
    assert shares.max() < 0.2
    assert float((far < 4 * eight.study.toy.width).float().mean()) > 0.8


def test_every_sampler_brings_both_models_near_the_data(eight: Session) -> None:
    start = film(eight, count=200, steps=20)[0].readings
    for name in SAMPLERS:
        end = film(eight, count=200, steps=20, ddpm_sampler=name, flow_sampler=name)[-1].readings
        for model in ("DDPM", "Rectified flow"):
            assert end[f"{model}: distance"] < 0.25 * start[f"{model}: distance"], (name, model)


def test_the_density_probe_measures_what_it_shows(eight: Session) -> None:
    off, untrained = total_variations(eight), total_variations(session())
    assert len(off) == len(untrained) == 3
    assert off[2] == untrained[2] < min(off[:2]) < max(off[:2]) < 0.35 < min(untrained[:2])
    truth, ddpm, _ = ask(eight, "density").planes
    area = (6 / len(truth.heat)) ** 2
    assert truth.heat.sum() * area == pytest.approx(1, abs=1e-3)
    assert 0.5 * np.abs(ddpm.heat - truth.heat).sum() * area == pytest.approx(off[0], abs=0.02)


def test_the_measured_distance_falls_and_comes_every_two_hundred_steps() -> None:
    made = trained(400, width=48, depth=2, batch=256)
    points = made.read_metrics()
    for name in ("ddpm_distance", "flow_distance"):
        steps, values = points[name]
        assert steps.tolist() == [1, 200, 400]
        assert values[-1] < 0.5 * values[0]


# ---- probes ---------------------------------------------------------------------------------------------------------


def test_the_field_shows_the_learned_the_exact_and_their_difference(eight: Session) -> None:
    shown = {arrows: ask(eight, "field", t=0.4, arrows=arrows) for arrows in ("learned", "exact", "learned - exact")}
    assert all(isinstance(p, Planes) and len(p.planes) == 2 for p in shown.values())
    for model in (0, 1):
        learned, exact, off = (p.planes[model].arrows for p in shown.values())
        assert learned.shape == (400, 4)
        assert np.array_equal(learned[:, :2], exact[:, :2])
        middle = np.abs(learned[:, :2]).max(1) < 1.6
        a, b = learned[middle, 2:], exact[middle, 2:]
        assert (a * b).sum() > 0.85 * np.linalg.norm(a) * np.linalg.norm(b)
        assert np.linalg.norm(off[middle, 2:]) < 0.6 * np.linalg.norm(b)
    assert max(field_errors(eight)) < 15
    assert all(old > 2 * new for old, new in zip(field_errors(session()), field_errors(eight), strict=True))


def test_arrows_point_to_the_data() -> None:
    """Near the end of a flow to data on one line, the exact arrows of places above it go down, below it up."""
    made = session(shape="drawn", drawn="-1,0 1,0")
    for plane in ask(made, "field", t=0.1, arrows="exact").planes:
        inside = np.abs(plane.arrows[:, 0]) < 1.5
        above = inside & (plane.arrows[:, 1] > 0.3)
        below = inside & (plane.arrows[:, 1] < -0.3)
        assert (plane.arrows[above, 3] < 0).all()
        assert (plane.arrows[below, 3] > 0).all()


def test_particles_begin_in_the_same_noise_and_the_path_is_never_shorter_than_the_line(eight: Session) -> None:
    frames = film(eight, count=60, steps=25)
    assert all(isinstance(f, PlaneFrames) and f.total == len(frames) == 26 for f in frames)
    ddpm, flow = frames[0].planes
    assert np.array_equal(ddpm.points, flow.points)
    assert np.array_equal(ddpm.labels, flow.labels)
    assert set(ddpm.labels.tolist()) == set(range(8))
    assert [f.caption for f in (frames[0], frames[-1])] == ["t = 1.00", "t = 0.00"]
    for i, frame in enumerate(frames):
        for name, plane in zip(("DDPM", "Rectified flow"), frame.planes, strict=True):
            assert plane.trails.shape == (60, i + 1, 2)
            assert np.array_equal(plane.trails[:, -1], plane.points)
            steps = np.linalg.norm(np.diff(plane.trails, axis=1), axis=2).sum()
            line = np.linalg.norm(plane.points - plane.trails[:, 0], axis=1).sum()
            assert frame.readings[f"{name}: path / line"] == pytest.approx(steps / line if i else 1.0, rel=1e-4)
            assert frame.readings[f"{name}: path / line"] >= 1 - 1e-6
    assert film(eight, count=10, steps=100)[-1].planes[0].trails.shape == (10, 40, 2)


def test_the_steps_are_at_most_those_of_ddpm_and_fewer_while_dragging() -> None:
    assert len(film(session(timesteps=10), steps=100)) == 11
    assert next(session().answer("particles", {}, dragging=True)).total == 13


def test_a_seed_means_the_same_picture_whatever_random_numbers_training_drew(eight: Session) -> None:
    torch.manual_seed(123)
    first = film(eight, steps=10, ddpm_sampler="DDPM", seed=5)[-1]
    torch.manual_seed(321)
    again = film(eight, steps=10, ddpm_sampler="DDPM", seed=5)[-1]
    other = film(eight, steps=10, ddpm_sampler="DDPM", seed=6)[-1]
    assert all(np.array_equal(a.points, b.points) for a, b in zip(first.planes, again.planes, strict=True))
    assert not np.array_equal(first.planes[0].points, other.planes[0].points)


def test_the_averaged_weights_are_other_than_the_latest(eight: Session) -> None:
    average, latest = (ask(eight, "field", weights=w).planes[0].arrows for w in ("average", "latest"))
    assert np.abs(average - latest).max() > 1e-3
    assert np.allclose(average, latest, atol=0.3)


# ---- knobs and state ------------------------------------------------------------------------------------------------


def test_the_data_change_while_it_trains() -> None:
    made = trained(3)
    made.set_knob("shape", "checkerboard")
    assert isinstance(made.study.toy, toys.Squares)
    made.train_step()
    made.set_knob("shape", "drawn")
    assert "nothing is drawn yet" in ask(made, "field").caption
    made.set_knob("drawn", "-0.5,0.5 0.5,0.5")
    assert "nothing is drawn" not in ask(made, "field").caption
    assert float(made.study.known[:, 1].mean()) == pytest.approx(0.5 * toys.DRAWING, abs=0.02)
    with pytest.raises(BadValue, match="drawn"):
        made.set_knob("drawn", "9,9")
    made.train_step()
    made.set_knob("rate", 1e-4)
    assert made.study.optimizer.param_groups[0]["lr"] == 1e-4


def test_looking_does_not_disturb_training_and_a_state_goes_on_bit_for_bit() -> None:
    def weights(made: Session) -> list[Tensor]:
        return [p.detach().clone() for part in made.modules().values() for p in part.parameters()]

    plain = weights(trained(7))
    watched = trained(3)
    for name in watched.specs:
        list(watched.answer(name, {}))
    state = copy.deepcopy(watched.state())
    for _ in range(4):
        watched.train_step()
    resumed = session(seed=9)
    resumed.load_state(state)
    for _ in range(4):
        resumed.train_step()
    for made in (watched, resumed):
        assert all(torch.equal(a, b) for a, b in zip(plain, weights(made), strict=True))


@pytest.mark.parametrize("drawn", ["", "0,0", "-1,-1 1,1; 0.3,-0.4 0.5,0.5"])
def test_every_probe_answers_whatever_was_drawn(drawn: str) -> None:
    made = trained(2, shape="drawn", drawn=drawn)
    for name in made.specs:
        payload = ask(made, name)
        for plane in getattr(payload, "planes", ()):
            for array in (plane.heat, plane.arrows, plane.points):
                assert array is None or np.isfinite(array).all()
