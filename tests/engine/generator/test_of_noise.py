"""Models that turn noise into pictures as generators: the same noise, the same picture, by few steps; and back."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from engine import data
from engine.nn.diffusion.noising import Look
from engine.probes import NO_CLASS
from engine.registry import find
from engine.session import Session

CPU = torch.device("cpu")
OF_NOISE = ("ddpm", "rectified_flow", "latent_diffusion")


@pytest.fixture(params=OF_NOISE)
def session(request: pytest.FixtureRequest) -> Session:
    study = find().studies[request.param]
    session = Session.build(request.param, study, study.tiny, 1, CPU, data.load("digits"))
    for _ in range(6):
        session.train_step()
    return session


def ask(session: Session, name: str, **values: Any) -> Any:
    *_, last = session.answer(name, values)
    return last


def test_a_seed_s_picture_is_the_one_that_sampling_makes_of_its_noise(session: Session) -> None:
    straight = session.key != "ddpm"
    sampler, steps = ("Heun", 5) if straight else ("DDIM", 10)
    sampled = ask(session, "samples", count=1, seed=12, label=NO_CLASS, guidance=0.0, sampler=sampler, steps=steps)
    edited = ask(session, "edit", a="seed:12")
    np.testing.assert_allclose(edited.images[0], sampled.images[0], atol=1e-5)


def test_a_moving_hand_gets_fewer_steps(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    study: Any = session.study
    plain, calls = study.predict, []
    monkeypatch.setattr(study, "predict", lambda net, x, *rest: (calls.append(len(x)), plain(net, x, *rest))[1])
    ask(session, "seed_plane")
    many = calls.count(1)
    calls.clear()
    next(session.answer("seed_plane", {"spot": (0.2, 0.3)}, dragging=True))
    assert (many, len(calls)) == ((10, 5) if session.key == "ddpm" else (9, 5))


def test_its_features_are_those_of_the_first_step_alone(session: Session) -> None:
    study: Any = session.study
    w = study.drawn_w(20)
    with torch.no_grad():
        *_, heard = study.features(w)
        spoken: list[torch.Tensor] = []
        handle = study.inner_layer().register_forward_hook(lambda m, i, out: spoken.append(out.flatten(1)))
        study.decode_w(w)
        handle.remove()
    assert len(spoken) > 1
    torch.testing.assert_close(heard, spoken[0])


def test_there_is_no_factorisation_and_arcs_come_first(session: Session) -> None:
    specs = session.specs
    assert "SeFa" not in specs["directions"].controls["method"].options  # type: ignore[attr-defined]
    assert specs["seed_plane"].controls["method"].options[0] == "slerp"  # type: ignore[attr-defined]
    assert specs["path"].controls["method"].options[0] == "slerp"  # type: ignore[attr-defined]
    assert not {"decode", "traversal"} & set(specs)
    assert next(iter(specs)) == "samples"


def test_pictures_and_noise_follow_the_exact_flow_of_a_gaussian_there_and_back() -> None:
    study = find().studies["rectified_flow"]
    session = Session.build("rectified_flow", study, study.tiny, 1, CPU, data.load("digits"))
    flow: Any = session.study
    s = 0.5  # pictures that are N(0, s^2): the means of data and noise given x_t are known, and x_0 = s z

    def look(x: torch.Tensor, t: float, y: torch.Tensor, w: float, weights: str) -> Look:
        variance = (1 - t) ** 2 * s * s + t * t
        return Look((1 - t) * s * s / variance * x, t / variance * x)

    flow.look = look
    with torch.no_grad():
        z = flow.seeded(1, 2, 3)
        np.testing.assert_allclose(2 * flow.decode_w(z).flatten(1) - 1, s * z, rtol=0.1)
        x = flow.source.held_out_batch(0, 3).x
        np.testing.assert_allclose(flow.encode_w(x), (2 * x.flatten(1) - 1) / s, rtol=0.1)
