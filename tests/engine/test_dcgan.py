"""What only DCGAN promises: who is touched by whose step, the average, lazy penalties, the marks, its own probes."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from engine import data
from engine.params import BadValue
from engine.payloads import Bars, Curves
from engine.registry import find
from engine.session import Session
from engine.studies.adversarial.dcgan import DCGAN, Draws, Judges

CPU = torch.device("cpu")


def session(key: str = "digits", **knobs: Any) -> Session:
    study = find().studies["dcgan"]
    return Session.build("dcgan", study, {**study.tiny, **knobs}, 0, CPU, data.load(key), key)


def study_of(s: Session) -> DCGAN:
    assert isinstance(s.study, DCGAN)
    return s.study


@pytest.fixture(scope="module")
def trained() -> Session:
    s = session(batch=32)
    for _ in range(440):
        s.train_step()
    return s


def weights(net: nn.Module) -> list[Tensor]:
    return [p.detach().clone() for p in net.parameters()]


def same(a: list[Tensor], b: list[Tensor]) -> bool:
    return all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


# ---- the networks ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 32, 32), (1, 8, 8), (3, 30, 22)])
@pytest.mark.parametrize("norm", ["batch", "pixel", "none"])
def test_pictures_of_every_size_come_out_as_they_go_in(shape: tuple[int, int, int], norm: str) -> None:
    torch.manual_seed(0)
    fake = Draws(shape, 5, 4, 1, norm)(torch.randn(6, 5))
    assert fake.shape == (6, *shape)
    assert float(fake.detach().abs().max()) <= 1
    judge = Judges(shape, 4, 1)
    logits = judge(fake)
    assert logits.shape == (6,)
    torch.testing.assert_close(judge(fake[2:3])[0], logits[2])  # alone as among others: a penalty may look at each


# ---- the steps ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("regulariser", ["R1", "gradient penalty", "spectral norm", "none"])
def test_each_player_moves_itself_alone(regulariser: str) -> None:
    study = study_of(session(regulariser=regulariser))
    study.generator.train()
    real = study.source.batch(0, 16).x * 2 - 1
    g, d, mean = weights(study.generator), weights(study.discriminator), weights(study.average)
    fake = study.draw(16)
    study.discriminator_step(real, fake, lazy=4)
    assert same(weights(study.generator), g)
    assert not same(weights(study.discriminator), d)
    assert all(p.grad is None for p in study.generator.parameters())
    d = weights(study.discriminator)
    before = [None if p.grad is None else p.grad.clone() for p in study.discriminator.parameters()]
    study.generator_step(fake)
    assert same(weights(study.discriminator), d)
    assert not same(weights(study.generator), g)
    assert not same(weights(study.average), mean)
    after = [p.grad for p in study.discriminator.parameters()]
    assert all(a is b is None or torch.equal(a, b) for a, b in zip(after, before, strict=True))  # type: ignore[arg-type]


def test_the_average_follows_the_generator_as_its_formula_says() -> None:
    study = study_of(session(decay=0.9))
    mean = weights(study.generator)
    for n in range(30):
        study.train_step(study.source.batch(n, 16))
        keep = min(0.9, (1 + n) / (10 + n))
        mean = [keep * m + (1 - keep) * p.detach() for m, p in zip(mean, study.generator.parameters(), strict=True)]
    for m, p in zip(mean, study.average.net.parameters(), strict=True):
        torch.testing.assert_close(m, p.detach(), rtol=1e-4, atol=1e-6)


def test_the_penalty_is_taken_lazily_and_as_much_stronger(monkeypatch: pytest.MonkeyPatch) -> None:
    study = study_of(session(every=4))
    strengths = []
    step = study.discriminator_step

    def noted(real: Tensor, fake: Tensor, lazy: int) -> dict[str, Tensor]:
        strengths.append(lazy)
        return step(real, fake, lazy)

    monkeypatch.setattr(study, "discriminator_step", noted)
    said = [study.train_step(study.source.batch(n, 16)) for n in range(9)]
    assert strengths == [4, 0, 0, 0, 4, 0, 0, 0, 4]
    paid = [float(each["penalty"]) for each in said]
    assert paid[0] == paid[3] > 0
    assert paid[4] != paid[3]


def test_r1_of_the_study_is_half_gamma_times_the_squared_slope() -> None:
    study = study_of(session(gamma=3.0))
    x = (study.source.batch(0, 16).x * 2 - 1).requires_grad_()
    (slope,) = torch.autograd.grad(study.discriminator(x).sum(), x)
    by_hand = 1.5 * slope.flatten(1).norm(dim=1).square().mean()
    torch.testing.assert_close(study.penalty(x.detach(), x.detach()), by_hand)


def test_more_critic_steps_train_the_discriminator_more() -> None:
    study = study_of(session(critics=3))
    calls = 0
    step = study.discriminator_optimizer.step

    def counted(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        calls += 1
        return step(*args, **kwargs)

    study.discriminator_optimizer.step = counted  # type: ignore[method-assign]
    study.train_step(study.source.batch(0, 16))
    assert calls == 3
    assert int(study.average.steps) == 1


def test_knobs_reach_both_optimisers() -> None:
    s = session()
    for name, value in (("rate", 1e-3), ("ttur", 2.0), ("beta1", 0.0), ("beta2", 0.9)):
        s.set_knob(name, value)
    study = study_of(s)
    of_g, of_d = study.generator_optimizer.param_groups[0], study.discriminator_optimizer.param_groups[0]
    assert of_g["lr"] == pytest.approx(1e-3)
    assert of_d["lr"] == pytest.approx(2e-3)
    assert of_g["betas"] == of_d["betas"] == (0.0, 0.9)
    with pytest.raises(BadValue, match="loss"):
        s.set_knob("loss", "cosine")


@pytest.mark.parametrize(
    ("loss", "regulariser"),
    [("Wasserstein", "gradient penalty"), ("hinge", "spectral norm"), ("least squares", "R1"), ("minimax", "none")],
)
def test_every_loss_trains_and_goes_on_bit_for_bit(loss: str, regulariser: str) -> None:
    knobs = dict(loss=loss, regulariser=regulariser, critics=2)
    through, cut = session(**knobs), session(**knobs)
    for _ in range(5):
        through.train_step()
    kept = copy.deepcopy(through.state())
    for _ in range(5):
        through.train_step()
    cut.load_state(kept)
    for _ in range(5):
        cut.train_step()
    assert same(weights(study_of(through).generator), weights(study_of(cut).generator))
    assert same(weights(study_of(through).watch), weights(study_of(cut).watch))


def test_the_first_drop_of_a_class_is_marked(trained: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    s = session(batch=32)
    s.load_state(trained.state())
    study = study_of(s)
    study.average.steps.zero_()  # at a step at which the watch looks
    one = study.source.train[study.source.train_labels == 1][:32].float() / 127.5 - 1
    study.watch.covered.fill_(True)
    study.watch.seen.fill_(1)
    marks: list[str] = []
    monkeypatch.setattr(study, "mark", marks.append)
    monkeypatch.setattr(study, "draw", lambda size: one.clone().requires_grad_() + 0 * study.generator.first.bias.sum())
    for n in range(17):
        study.train_step(study.source.batch(n, 32))
    assert marks
    assert "lost" in marks[0]
    assert "mode collapse" in marks[0]


# ---- the probes -----------------------------------------------------------------------------------------------------


def answer(s: Session, probe: str, **values: Any) -> Any:
    return list(s.answer(probe, values))[-1]


def test_scores_are_densities_of_the_discriminators_own_logits(trained: Session) -> None:
    curves = answer(trained, "scores", count=200)
    assert isinstance(curves, Curves)
    assert list(curves.lines) == ["training", "held out", "fake"]
    means = dict(re.findall(r"(training|held out|fake) ([+-][0-9.]+)", curves.caption))
    width = curves.x[1] - curves.x[0]
    for name, line in curves.lines.items():
        assert float(line.sum() * width) == pytest.approx(1.0, abs=1e-3)
        mean = float((curves.x * line).sum() * width)
        assert mean == pytest.approx(float(means[name]), abs=float(width))


def test_gradients_are_those_of_the_loss_and_leave_no_trace(trained: Session) -> None:
    study = study_of(trained)
    bars = answer(trained, "gradients", of="generator", seed=3)
    assert isinstance(bars, Bars)
    study.generator.eval()
    study.discriminator.eval()
    generator = torch.Generator().manual_seed(3)
    z = torch.randn(64, study.p.latent, generator=generator)
    loss = nn.functional.softplus(-study.discriminator(study.generator(z))).mean()
    (first,) = torch.autograd.grad(loss, study.generator.first.weight)
    study.generator.train()
    study.discriminator.train()
    assert float(bars.values[0]) == pytest.approx(float(first.norm()), rel=1e-4)
    assert bars.names[0] == f"{study.p.latent}→{study.generator.first.out_features}"
    share = answer(trained, "gradients", of="generator", size="gradient / weights", seed=3)
    assert float(share.values[0]) == pytest.approx(
        float(first.norm() / study.generator.first.weight.detach().norm()), rel=1e-4
    )


def test_classes_are_counted_once_the_classifier_can_see(trained: Session) -> None:
    early = answer(session(), "modes")
    assert float(np.abs(early.values).sum()) == 0
    assert "still learns" in early.caption
    bars = answer(trained, "modes", count=200)
    assert float(bars.values.sum()) == pytest.approx(100, abs=1e-3)
    ratio = answer(trained, "modes", count=200, shown="share / real share")
    real = study_of(trained).watch.real.numpy()
    np.testing.assert_allclose(ratio.values * real, bars.values / 100, atol=1e-5)
    assert "of 10 classes" in bars.caption


def spectra(study: DCGAN) -> Iterator[float]:
    for layer in study.discriminator.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            yield float(torch.linalg.svdvals(layer.weight.detach().flatten(1))[0])


def test_spectral_norm_holds_while_it_trains() -> None:
    s = session(regulariser="spectral norm", loss="hinge")
    for _ in range(40):
        s.train_step()
    study = study_of(s)
    study.discriminator.eval()
    assert list(spectra(study)) == pytest.approx([1.0] * len(list(spectra(study))), abs=0.05)
