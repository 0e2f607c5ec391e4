"""The study style_gan: pictures of all sizes, the growing, the game against a reference, its own probes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from engine import data
from engine.data.images import ImageSource, Part
from engine.nn.adversarial.style import (
    upsampled,
)
from engine.payloads import ImageGrid, Payload
from engine.registry import find
from engine.session import Session

CPU = torch.device("cpu")
KEY = "style_gan"
STUDY = find().studies[KEY]


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


def pictures_of(shape: tuple[int, int, int], count: int = 40) -> ImageSource:
    """A data set of noise, pictures (H, W, C)."""
    known = data.load("digits")
    images = np.random.default_rng(0).integers(0, 256, (count, *shape), dtype=np.uint8)
    part = Part(images, np.arange(count) % len(known.label_names))
    return ImageSource(**{**vars(known), "train": part, "held_out": part})


def session(shape: tuple[int, int, int] = (16, 16, 1), **knobs: Any) -> Session:
    return Session.build(KEY, STUDY, {**STUDY.tiny, **knobs}, 1, CPU, pictures_of(shape), "digits")


def noisy(made: Session) -> Session:
    """With noise that is seen, as after some training, in the averaged generator."""
    with torch.no_grad():
        for layer in made.study.average.net.synthesis.styled():
            layer.strength.fill_(0.5)
    return made


def grid(made: Session, probe: str, **values: Any) -> ImageGrid:
    (answer,) = (part for part in made.answer(probe, values) if isinstance(part, Payload))
    assert isinstance(answer, ImageGrid)
    return answer


def table(answer: ImageGrid) -> np.ndarray:
    """The pictures (rows, columns, H, W, C)."""
    return answer.images.reshape(-1, answer.columns, *answer.images.shape[1:])


# ---- shapes ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(16, 24, 3), (9, 12, 1), (5, 5, 3), (28, 28, 1)])
def test_pictures_of_any_shape_are_learned_and_drawn(shape: tuple[int, int, int]) -> None:
    made = session(shape, growth=1)
    for _ in range(4):
        made.train_step()
    assert grid(made, "samples", count=3).images.shape == (3, *shape)


# ---- growing ---------------------------------------------------------------------------------------------------------


def test_each_resolution_has_its_steps_half_of_them_to_fade_in() -> None:
    made = session(growth=8, batch=4)
    stages, marks = [], []
    for step in range(28):
        stages.append(made.study.stage())
        made.study.train_step(made.study.source.batch(step, 4))
        marks += [(step, text) for text in made.study.happened()]
    assert stages[:8] == [(0, 1.0)] * 8
    assert stages[8:13] == [(1, 0.0), (1, 0.25), (1, 0.5), (1, 0.75), (1, 1.0)]
    assert stages[16:21] == [(2, 0.0), (2, 0.25), (2, 0.5), (2, 0.75), (2, 1.0)]
    assert stages[24:] == [(2, 1.0)] * 4
    assert [(step, text) for step, text in marks if "fade" in text] == [
        (8, "8 x 8 pixels fade in"),
        (16, "16 x 16 pixels fade in"),
    ]
    assert session().study.stage() == (2, 1.0)


def test_real_pictures_are_shown_without_the_detail_that_is_not_yet_drawn() -> None:
    study, x = session(growth=8).study, torch.rand(2, 1, 16, 16)
    torch.testing.assert_close(study.real(x, 2, 1.0), 2 * x - 1)
    torch.testing.assert_close(study.real(x, 1, 1.0), 2 * F.avg_pool2d(x, 2) - 1)
    torch.testing.assert_close(study.real(x, 2, 0.0), 2 * upsampled(F.avg_pool2d(x, 2), (16, 16)) - 1)


# ---- the game --------------------------------------------------------------------------------------------------------


def test_each_player_moves_along_its_own_loss_only(monkeypatch: pytest.MonkeyPatch) -> None:
    made = session(every=64)
    made.train_step()
    study = made.study
    seen: dict[str, list[Tensor]] = {}
    for name, weights in (("d", study.discriminator_weights), ("g", study.generator_weights)):
        optimizer = study.discriminator_optimizer if name == "d" else study.generator_optimizer
        monkeypatch.setattr(
            optimizer, "step", lambda name=name, weights=weights: seen.update({name: [p.grad.clone() for p in weights]})
        )
    monkeypatch.setattr(study.watch, "learn", lambda x, y: None)
    state = torch.get_rng_state()
    batch = study.source.batch(1, 8)
    study.train_step(batch)
    assert "penalty" not in study.train_step(batch)  # only at each 64th
    torch.set_rng_state(state)
    real, fake = study.real(batch.x, 2, 1.0), study.draw(8, 2, 1.0)
    judged = study.discriminator
    d_loss = F.softplus(-judged(real)).mean() + F.softplus(judged(fake.detach())).mean()
    wanted_d = torch.autograd.grad(d_loss, study.discriminator_weights)
    wanted_g = torch.autograd.grad(F.softplus(-judged(fake)).mean(), study.generator_weights)
    torch.set_rng_state(state)
    study.train_step(batch)
    for got, wanted in ((seen["d"], wanted_d), (seen["g"], wanted_g)):
        for a, b in zip(got, wanted, strict=True):
            torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6)
    # What the discriminator keeps for its next step is not what the generator's loss says.
    for p, b in zip(study.discriminator_weights, wanted_d, strict=True):
        assert p.grad is not None
        torch.testing.assert_close(p.grad, b, rtol=1e-4, atol=1e-6)


def test_the_penalty_counts_as_often_as_it_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    grads = []
    for every in (1, 4):
        made = session(every=every, gamma=8.0)
        study = made.study
        monkeypatch.setattr(study.discriminator_optimizer, "step", lambda: None)
        said = study.train_step(study.source.batch(0, 8))
        grads.append(torch.cat([p.grad.flatten() for p in study.discriminator_weights]))
    real = study.real(study.source.batch(0, 8).x, 2, 1.0).requires_grad_()
    (slope,) = torch.autograd.grad(study.discriminator(real).sum(), real, create_graph=True)
    penalty = 4.0 * slope.square().flatten(1).sum(1).mean()
    torch.testing.assert_close(said["penalty"], penalty.detach())
    wanted = torch.autograd.grad(3 * penalty, study.discriminator_weights, allow_unused=True, materialize_grads=True)
    torch.testing.assert_close(grads[1] - grads[0], torch.cat([g.flatten() for g in wanted]), rtol=1e-3, atol=1e-5)


# ---- probes ----------------------------------------------------------------------------------------------------------


def test_truncation_ends_at_the_mean_picture_and_at_the_code_itself() -> None:
    made = noisy(session())
    study = made.study
    with torch.no_grad():
        study.average.net.mapping.mean.normal_()
    rows = table(grid(made, "truncation", count=3, steps=3, seed=4))
    with made._looking(0):
        mean = study.shown(study.mean_w()[None])[0]
        own = study.shown(study.to_w(study.seeded(4, 5, 6)))
        half = study.shown((study.to_w(study.seeded(5)) + study.mean_w()) / 2)[0]
    for picture in rows[0]:
        np.testing.assert_allclose(picture, mean, atol=1e-5)
    np.testing.assert_allclose(rows[2], own, atol=1e-5)
    np.testing.assert_allclose(rows[1, 1], half, atol=1e-5)
    assert np.abs(own[0] - own[1]).max() > 1e-3


def test_mixing_all_layers_is_the_other_code_and_none_the_own() -> None:
    made = noisy(session())
    mixed = {
        layers: table(grid(made, "style_mixing", layers=layers, count=3))
        for layers in ("all", "none", "coarse", "middle and fine")
    }
    for row in range(1, 4):
        np.testing.assert_allclose(mixed["all"][row, 1:], mixed["all"][0, 1:], atol=1e-5)
    for column in range(1, 4):
        np.testing.assert_allclose(mixed["none"][1:, column], mixed["none"][1:, 0], atol=1e-5)
    # The coarse layers of one and the others of another are what the other's others are to the one.
    other = table(grid(made, "style_mixing", layers="middle and fine", count=3, rows=101, columns=1))
    np.testing.assert_allclose(mixed["coarse"][1:, 1:], other[1:, 1:].swapaxes(0, 1), atol=1e-5)
    assert np.abs(mixed["coarse"][1:, 1:] - mixed["none"][1:, 1:]).max() > 1e-3
    assert np.abs(mixed["coarse"][1:, 1:] - mixed["all"][1:, 1:]).max() > 1e-3


def test_layers_are_coarse_middle_and_fine_by_their_resolution() -> None:
    study = session().study
    assert study.chosen("coarse").tolist() == [True, False, False, False, False]
    assert study.chosen("middle").tolist() == [False, True, True, False, False]
    assert study.chosen("fine").tolist() == [False, False, False, True, True]
    assert study.called(study.chosen("middle and fine")) == "layers 2, 3, 4, 5 (8, 16 px)"
    small = session((8, 8, 1)).study
    assert [small.chosen(name).tolist() for name in ("coarse", "middle", "fine")] == torch.eye(3).bool().tolist()


def test_noise_moves_pictures_only_where_it_is_on_and_strong() -> None:
    made = session()
    still = grid(made, "noise", count=4)
    for picture in still.images[2:]:
        np.testing.assert_allclose(picture, still.images[0], atol=1e-6)
    assert still.images[1].max() < 1e-3
    noisy(made)
    drawn = grid(made, "noise", count=4)
    spread = drawn.images[2:].std(0)
    assert spread.max() > 1e-3
    np.testing.assert_allclose(drawn.images[1] * spread.max(), spread, atol=1e-5)
    again = grid(made, "noise", count=3, noise=2)
    np.testing.assert_allclose(again.images[2:], drawn.images[3:], atol=1e-6)  # the same seeds, the same noise
    off = grid(made, "noise", count=4, layers="none")
    np.testing.assert_allclose(off.images[2:], np.repeat(off.images[:1], 4, 0), atol=1e-6)
    with torch.no_grad():
        made.study.average.net.synthesis.styled()[0].strength.zero_()
    assert grid(made, "noise", count=4, layers="coarse").images[1].max() < 1e-5
    assert grid(made, "noise", count=4, layers="fine").images[1].max() > 0.9


def test_samples_do_not_change_from_ask_to_ask_though_the_model_has_noise() -> None:
    made = noisy(session())
    np.testing.assert_array_equal(grid(made, "samples", count=4).images, grid(made, "samples", count=4).images)


def test_activations_are_the_channels_of_the_layer_that_is_asked_for() -> None:
    made = session((16, 16, 3))
    first = grid(made, "activations", layer=1, count=128, seed=3)
    synthesis = made.study.average.net.synthesis
    assert len(first.images) == 1 + synthesis.layers[0].bias.shape[1]
    with made._looking(0):
        w = made.study.to_w(made.study.seeded(3))
        maps = synthesis.layers[0](synthesis.constant, w, synthesis.layers[0].plane)[0]
        np.testing.assert_allclose(first.images[0], made.study.shown(w)[0], atol=1e-6)
    channel = int(first.captions[1]) - 1
    assert channel == int(maps.flatten(1).var(1).argmax())
    expected = (maps[channel] / (2 * maps[channel].abs().max()) + 0.5).numpy().repeat(4, 0).repeat(4, 1)
    np.testing.assert_allclose(first.images[1], expected[..., None].repeat(3, 2), atol=1e-5)
    last, beyond = (grid(made, "activations", layer=n, count=4) for n in (5, 11))
    np.testing.assert_array_equal(last.images, beyond.images)
    assert "Layer 5 of 5" in last.caption


def test_the_first_weights_say_what_a_step_of_w_does_to_every_style() -> None:
    made = session()
    study = made.study
    matrix, w, step = study.first_weights(), torch.randn(1, 4), torch.randn(1, 4)
    layers = study.average.net.synthesis.styled()
    styles = [torch.cat([layer.style(at) for layer in layers], 1) for at in (w, w + step)]
    torch.testing.assert_close(step @ matrix.T, styles[1] - styles[0], rtol=1e-4, atol=1e-5)


def test_while_it_grows_both_players_are_asked_at_the_resolution_of_now() -> None:
    made = session(growth=50, batch=4)
    study = made.study
    made.train_step()
    x, z = 2 * torch.rand(3, 1, 16, 16) - 1, torch.randn(3, 4)
    assert study.fakes(z).shape == (3, 1, 4, 4)
    torch.testing.assert_close(study.score(x), study.discriminator(F.avg_pool2d(x, 4), 0))
    assert grid(made, "samples", count=2).images.shape == (2, 16, 16, 1)
    (bars,) = (part for part in made.answer("gradients", {}) if isinstance(part, Payload))
    unused = [value for name, value in zip(bars.names, bars.values, strict=True) if name == "8→4"]  # type: ignore[attr-defined]
    assert unused
    assert not any(unused)  # finer layers are not pulled yet
