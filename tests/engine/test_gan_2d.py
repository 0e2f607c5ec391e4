"""The study gan_2d: who collapses and who does not, what the probes show of the players, and that looking changes
nothing."""

from __future__ import annotations

import copy
import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from engine.data import toys
from engine.nn.adversarial.game import grid
from engine.nn.adversarial.losses import LOSSES
from engine.payloads import Bars, PlaneFrames, Planes
from engine.registry import find
from engine.session import Session

CPU = torch.device("cpu")
GAN = find().studies["gan_2d"]
VANILLA: dict[str, Any] = {}
UNROLLED = {"unroll": 5}
WASSERSTEIN = {"loss": "Wasserstein", "regulariser": "gradient penalty", "d_steps": 5}


def session(seed: int = 1, **knobs: Any) -> Session:
    return Session.build("gan_2d", GAN, {**GAN.tiny, **knobs}, seed, CPU, None)


def trained(steps: int, seed: int = 1, **knobs: Any) -> Session:
    made = session(seed, **knobs)
    for _ in range(steps):
        made.train_step()
    return made


def played(steps: int, seed: int, knobs: dict[str, Any]) -> dict[str, np.ndarray]:
    """What was measured every hundred steps of a full-sized game on the eight Gaussians."""
    made = Session.build("gan_2d", GAN, knobs, seed, CPU, None)
    for _ in range(steps):
        made.train_step()
    points = made.read_metrics()
    return {name: points[name][1][1:] for name in ("modes", "coverage", "js", "kl_p_q")}


def ask(made: Session, probe: str, dragging: bool = False, **values: Any) -> Any:
    return next(made.answer(probe, values, dragging=dragging))


def film(made: Session, **values: Any) -> list[Any]:
    return list(made.answer("slow_motion", values))


def states(made: Session) -> dict[str, Tensor]:
    return {f"{n}.{k}": v.clone() for n, part in made.modules().items() for k, v in part.state_dict().items()}


# ---- who collapses --------------------------------------------------------------------------------------------------


def test_the_plain_game_collapses_onto_few_of_the_eight_gaussians() -> None:
    found = played(600, 1, VANILLA)
    assert len(found["modes"]) == 6
    assert found["modes"].max() <= 3
    assert found["js"].min() > 0.5
    assert found["coverage"].max() < 0.2
    assert found["kl_p_q"].min() > 5


@pytest.mark.parametrize(("knobs", "steps"), [(UNROLLED, 200), (WASSERSTEIN, 200)], ids=["unrolled", "WGAN-GP"])
def test_the_same_players_cover_all_eight_if_they_look_ahead_or_play_for_the_wasserstein_distance(
    knobs: dict[str, Any], steps: int
) -> None:
    """Same networks, rates and seed as where it collapses."""
    found = played(steps, 1, knobs)
    assert found["modes"][-1] == 8
    assert found["coverage"][-1] > 0.25
    assert found["kl_p_q"][-1] < 2.5
    assert found["js"][-1] < 0.42


@pytest.mark.soak
@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("knobs", [VANILLA, UNROLLED, WASSERSTEIN], ids=["plain", "unrolled", "WGAN-GP"])
def test_it_stays_like_that(knobs: dict[str, Any], seed: int) -> None:
    if knobs is VANILLA:
        assert np.median(played(2000, seed, knobs)["modes"]) <= 2
    else:
        found = played(1000, seed, knobs)
        assert (found["modes"][5:] >= 7).all()
        assert found["js"][-1] < 0.35


def test_a_collapse_and_its_end_are_marked() -> None:
    progress = session().study.progress
    events = [progress.event(modes, 8) for modes in (1, 2, 1, 5, 8, 7, 8, 3, 1, 2, 8)]
    assert [(i, e) for i, e in enumerate(events) if e] == [
        (4, "all 8 modes"),
        (7, "collapse: 8 -> 3 of 8 modes"),
        (10, "all 8 modes"),
    ]


def test_marks_are_made_in_training_and_other_data_begin_anew() -> None:
    made = session()
    study = made.study
    study.generator = torch.nn.Identity()
    study.draw_z = lambda count, generator=None: study.toy.sample(count, generator)
    made.set_knob("play", "D only")
    made.train_step()
    assert [(mark.step, mark.text) for mark in made.read_marks()] == [(1, "all 8 modes")]
    assert int(study.progress.modes) == 8
    made.set_knob("batch", 16)
    assert int(study.progress.modes) == 8
    made.set_knob("shape", "checkerboard")
    assert int(study.progress.modes) == 0


# ---- training -------------------------------------------------------------------------------------------------------


def test_who_does_not_play_keeps_every_weight() -> None:
    made = trained(2)
    for play, moving in (("D only", "discriminator"), ("G only", "generator")):
        made.set_knob("play", play)
        before = states(made)
        made.train_step()
        changed = {k.split(".")[0] for k, v in states(made).items() if not torch.equal(v, before[k])}
        assert changed - {"progress"} == {moving}
        assert {"d_loss", "g_loss", "penalty"} <= set(made._pending[-1][1])


def test_the_discriminator_moves_as_often_as_is_said() -> None:
    made = trained(3, d_steps=4)
    steps = [
        int(next(iter(optimizer.state.values()))["step"])
        for optimizer in (made.study.d_optimizer, made.study.g_optimizer)
    ]
    assert steps == [12, 3]


@pytest.mark.parametrize("loss", LOSSES)
def test_the_metrics_are_what_they_say(loss: str) -> None:
    made = trained(1, loss=loss, regulariser="R1")
    points = {name: float(values[-1]) for name, (_, values) in made.read_metrics().items()}
    assert points["value"] == pytest.approx(points["real_value"] + points["fake_value"], rel=1e-5)
    assert points["d_loss"] == pytest.approx(points["penalty"] - points["value"], rel=1e-5)
    assert 0 <= points["js"] <= math.log(2)
    assert ("best_value" in points) == (loss in ("non-saturating", "minimax"))
    if "best_value" in points:
        assert points["best_value"] == pytest.approx(-math.log(4) + 2 * points["js"], abs=1e-6)


def test_fakes_of_the_datas_own_density_measure_as_such() -> None:
    """A generator that is the data: all modes, no divergence but that of 6000 points."""
    made = session()
    made.study.generator = torch.nn.Identity()
    made.study.draw_z = lambda count, generator=None: made.study.toy.sample(count, generator)
    found = made.study.measures()
    assert found["modes"] == 8
    assert found["coverage"] > 0.98
    assert found["js"] < 0.01
    assert found["best_value"] == pytest.approx(-math.log(4), abs=0.02)
    assert max(found["kl_p_q"], found["kl_q_p"]) < 0.04


def test_the_knobs_reach_the_optimisers_and_the_data() -> None:
    made = trained(1)
    for name, value in (("g_rate", 1e-4), ("d_rate", 2e-4), ("momentum", 0.1)):
        made.set_knob(name, value)
    groups = made.study.g_optimizer.param_groups[0], made.study.d_optimizer.param_groups[0]
    assert [g["lr"] for g in groups] == [1e-4, 2e-4]
    assert [g["betas"] for g in groups] == [(0.1, 0.999)] * 2
    made.set_knob("shape", "drawn")
    assert "nothing is drawn yet" in ask(made, "game").caption
    made.set_knob("drawn", "-0.5,0.5 0.5,0.5")
    assert float(made.study.known[:, 1].mean()) == pytest.approx(0.5 * toys.DRAWING, abs=0.02)
    made.train_step()
    assert "modes" not in made.study.measures()
    made.set_knob("shape", "checkerboard")
    assert "modes" in made.study.measures()
    made.set_knob("loss", "Wasserstein")
    assert "choose the gradient penalty" in ask(made, "game").caption


def test_looking_does_not_disturb_training_and_a_state_goes_on_bit_for_bit() -> None:
    plain = trained(7, unroll=2)
    watched = trained(3, unroll=2)
    for name in watched.specs:
        list(watched.answer(name, {}))
    kept = copy.deepcopy(watched.state())
    for _ in range(4):
        watched.train_step()
    resumed = session(seed=9, unroll=2)
    resumed.load_state(kept)
    for _ in range(4):
        resumed.train_step()
    for made in (watched, resumed):
        assert all(torch.equal(v, states(made)[k]) for k, v in states(plain).items())


# ---- probes ---------------------------------------------------------------------------------------------------------


def test_the_game_shows_the_learned_and_the_best_discriminator() -> None:
    made = trained(30, prior="uniform")
    shown = ask(made, "game", fakes=40)
    assert isinstance(shown, Planes)
    learned, best, densities, bent = shown.planes
    assert learned.heat_ends == best.heat_ends == (0.0, 1.0)
    study = made.study
    with torch.no_grad():
        at = torch.tensor([[-3 + 6 / 96 * 60.5, -3 + 6 / 96 * 10.5]])
        assert learned.heat[10, 60] == pytest.approx(float(study.discriminator(at).sigmoid()), abs=1e-5)
        assert np.allclose(learned.points, study.fakes(study.players(), 40, 7), atol=1e-6)
    q, p = densities.heat, densities.contours
    clear = p + q > 0.05 * p.max()
    assert np.allclose(best.heat[clear], p[clear] / (p + q)[clear], atol=0.05)
    off = (np.abs(learned.heat - p / np.maximum(p + q, 1e-30)) * (p + q)).sum() / (p + q).sum()
    assert learned.title == f"D learned, off by {off:.2f}"
    assert bent.lines.shape == (34, 97, 2)
    assert ask(made, "game", arrows=False).planes[0].arrows is None
    assert learned.arrows.shape == (40, 4)


def test_the_arrows_lead_to_where_the_discriminator_believes_more() -> None:
    made = trained(60)
    arrows = torch.from_numpy(ask(made, "game", fakes=60).planes[0].arrows.copy())
    d = made.study.discriminator
    with torch.no_grad():
        away = 1e-3 * arrows[:, 2:] / arrows[:, 2:].norm(dim=1, keepdim=True)
        assert (d(arrows[:, :2] + away) > d(arrows[:, :2])).all()


@pytest.mark.parametrize("prior", ["normal", "uniform"])
def test_between_the_lines_of_the_grid_lies_the_same_share_of_the_noise(prior: str) -> None:
    made = session(prior=prior, latent=3)
    with torch.no_grad():
        bent, flat = made.study.meshes(made.study.players())
        z = made.study.draw_z(20_000, torch.Generator().manual_seed(0))
        straight = torch.from_numpy(flat).view(-1, 2)
        code = torch.cat([straight, torch.zeros(len(straight), 1)], 1)
        assert np.allclose(bent.reshape(-1, 2), made.study.generator(code), atol=1e-5)
    for axis, lines in ((0, flat[:17]), (1, flat[17:])):
        places = lines[:, 0, axis]
        assert np.allclose(lines[:, :, axis], places[:, None])
        counts = np.histogram(z[:, axis], np.concatenate([[-np.inf], places, [np.inf]]))[0] / 20_000
        assert np.allclose(counts[1:-1], 1 / 17, atol=0.006)
        assert np.allclose(counts[[0, -1]], 0.5 / 17, atol=0.006)


def test_slow_motion_shows_each_move_and_who_made_it() -> None:
    made = trained(5, d_steps=2)
    before = states(made)
    frames = film(made, rounds=3, fakes=30)
    assert all(torch.equal(v, before[k]) for k, v in states(made).items())
    assert all(isinstance(f, PlaneFrames) and f.total == len(frames) == 10 for f in frames)
    assert [f.index for f in frames] == list(range(10))
    movers = [f.caption.split(": ")[1][0] for f in frames[1:]]
    assert "".join(movers) == "DDG" * 3
    for mover, old, new in zip(movers, frames, frames[1:], strict=False):
        same_d = np.array_equal(old.planes[0].heat, new.planes[0].heat)
        same_g = np.array_equal(old.planes[0].points, new.planes[0].points)
        assert (same_d, same_g) == ((False, True) if mover == "D" else (True, False))
        assert np.array_equal(new.planes[0].trails[:, -1], new.planes[0].points)
        assert np.array_equal(old.planes[2].lines, new.planes[2].lines) == same_g
    assert len({tuple(f.readings) for f in frames}) == 1
    assert len(film(made, rounds=3, play="G only")) == 4


def test_the_discriminator_alone_wins_up_to_the_best_value() -> None:
    """In slow motion with the generator frozen V rises towards -log 4 + 2 JS, which stays where it is."""
    made = trained(1, width=48, d_layers=2, d_rate=1e-2)
    frames = film(made, rounds=60, play="D only", fakes=10)
    value = np.array([f.readings["V(D, G)"] for f in frames])
    best = np.array([f.readings["V(D*, G)"] for f in frames])
    assert np.ptp(best) == 0
    assert (value <= best + 1e-3).all()
    assert best[0] - value[-1] < 0.25 * (best[0] - value[0])


def test_the_value_is_below_that_of_the_best_discriminator_and_above_minus_log_4() -> None:
    made = trained(20)
    shown = ask(made, "value")
    assert isinstance(shown, Bars)
    assert shown.names == ("V(D, G)", "V(D*, G)", "-log 4")
    assert shown.values[0] < shown.values[1]
    assert shown.values[1] > shown.values[2] == pytest.approx(grid.LEAST_VALUE)
    assert f"{shown.values[1]:.2f}" in shown.caption
    made.set_knob("loss", "hinge")
    assert ask(made, "value").names == ("V(D*, G)", "-log 4")


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("regulariser", ["gradient penalty", "R1"])
def test_every_probe_answers_for_every_game(loss: str, regulariser: str) -> None:
    made = trained(2, loss=loss, regulariser=regulariser, unroll=2, latent=4, batch=20)
    for name in made.specs:
        payload = ask(made, name)
        for plane in getattr(payload, "planes", ()):
            for array in (plane.heat, plane.arrows, plane.points, plane.lines):
                assert array is None or np.isfinite(array).all()
