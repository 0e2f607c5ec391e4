"""Image translation: what a judge sees, what each loss reaches, the terms by hand, and the probes' arithmetic."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from engine import data
from engine.data.pairs import edges
from engine.nn.adversarial.losses import d_loss, g_loss
from engine.nn.adversarial.translation.networks import PATCHES, PatchGAN, Translator, frozen, receptive_field
from engine.nn.gaussian import kl_to_standard_normal
from engine.params import BadValue
from engine.registry import find
from engine.session import Session
from engine.sketch import FACE, raster

CPU = torch.device("cpu")
TINY = dict(width=4, batch=8, latent=2)


def built(**knobs: Any) -> Any:
    """The study with tiny knobs, on digits."""
    torch.manual_seed(0)
    return Session.build(
        "translation", find().studies["translation"], {**TINY, **knobs}, 1, CPU, data.load("digits"), "digits"
    )


class Same(nn.Module):
    """A translator that leaves pictures as they are, and shifts them by ``by``."""

    def __init__(self, by: float = 0.0) -> None:
        super().__init__()
        self.by = nn.Parameter(torch.tensor(by))

    def forward(self, x: Tensor, z: Tensor | None = None) -> Tensor:
        return x + self.by


# ---- networks -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("patch", sorted(PATCHES))
def test_a_verdict_depends_on_its_patch_alone(patch: str) -> None:
    side = int(patch)
    assert receptive_field(patch) == side
    torch.manual_seed(0)
    judge = PatchGAN(3, 8, patch)
    for p in judge.parameters():
        p.data.abs_()  # so that no two ways cancel
    x = torch.rand(1, 3, 128, 128, requires_grad=True)
    logits = judge(x)
    middle = logits.shape[2] // 2
    (slope,) = torch.autograd.grad(logits[0, 0, middle, middle], x)
    rows, columns = np.nonzero(slope[0].abs().sum(0).numpy())
    assert rows.max() - rows.min() + 1 == side
    assert columns.max() - columns.min() + 1 == side
    assert logits.shape[2:] == (128 // 2 ** max(0, PATCHES[patch]),) * 2


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 32, 32), (1, 28, 28), (3, 9, 17), (3, 64, 64)])
def test_pictures_of_any_size_go_through_both(shape: tuple[int, int, int]) -> None:
    torch.manual_seed(0)
    x = torch.rand(2, *shape)
    made = Translator(shape, 8, latent=3)(x, torch.randn(2, 3))
    assert made.shape == x.shape
    assert 0 < made.min() < made.max() < 1
    assert PatchGAN(shape[0], 8, "34")(x).shape[:2] == (2, 1)


def test_noise_is_heard_everywhere_and_a_grey_translator_has_no_colours() -> None:
    torch.manual_seed(0)
    x = torch.rand(1, 3, 16, 16)
    net = Translator((3, 16, 16), 8, latent=2)
    z = torch.zeros(1, 2, requires_grad=True)
    slope = torch.stack([torch.autograd.grad(net(x, z)[0, 0, r, c], z)[0][0] for r, c in ((0, 0), (8, 8), (15, 15))])
    assert (slope != 0).all()
    grey = Translator((3, 16, 16), 8, grey=True)(x)
    assert torch.equal(grey[:, 0], grey[:, 2])
    assert grey.std() > 0


def test_a_picture_is_translated_by_itself() -> None:
    torch.manual_seed(0)
    x = torch.rand(4, 1, 8, 8)
    net = Translator((1, 8, 8), 8)
    assert torch.allclose(net(x)[2:3], net(x[2:3]), atol=1e-6)


# ---- the game -----------------------------------------------------------------------------------------------------


def test_each_side_of_the_game_moves_its_own_weights_only() -> None:
    study = built().study
    a, b = torch.rand(2, 4, 1, 8, 8)
    judging, fooled = study.play(study.judge, b, study.translator(a), beside=a)
    fooled.backward(retain_graph=True)
    assert all(p.grad is None for p in study.judge.parameters())
    assert all(p.grad is not None for p in study.translator.parameters())
    study.translator.zero_grad(set_to_none=True)
    judging.backward()
    assert all(p.grad is None for p in study.translator.parameters())
    assert any(bool(p.grad.abs().sum() > 0) for p in study.judge.parameters())
    assert all(p.requires_grad for p in study.judge.parameters())


def test_what_is_frozen_passes_gradients_on_and_learns_again_after_an_error() -> None:
    net = nn.Linear(2, 1)
    x = torch.ones(1, 2, requires_grad=True)
    with frozen(net):
        net(x).sum().backward()
    with pytest.raises(ZeroDivisionError), frozen(net):
        raise ZeroDivisionError
    assert net.weight.grad is None
    assert torch.equal(x.grad, net.weight.detach())  # type: ignore[arg-type]  # it is there
    assert net.weight.requires_grad


@pytest.mark.parametrize("loss", ["least squares", "non-saturating", "hinge"])
@torch.no_grad()
def test_pix2pix_by_hand(loss: str) -> None:
    study = built(loss=loss, rough=False, l1=3.0).study
    x = torch.rand(5, 1, 8, 8)
    batch = type("B", (), {"x": x})()
    torch.manual_seed(4)
    judging, drawing, metrics = study.pix2pix(batch)
    torch.manual_seed(4)
    flip = torch.rand(5) < 0.5
    b = torch.stack([y.flip(2) if f else y for y, f in zip(x, flip, strict=True)])
    a = edges(b)
    fake = study.translator(a)
    l1 = sum(float((fake[i] - b[i]).abs().sum()) for i in range(5)) / (5 * 64)
    real_says, fake_says = (study.judge(torch.cat([a, y], 1)).flatten() for y in (b, fake))
    assert float(metrics["l1"]) == pytest.approx(l1, rel=1e-5)
    assert float(judging) == pytest.approx(float(d_loss(loss, real_says, fake_says)), rel=1e-5)
    assert float(drawing) == pytest.approx(float(g_loss(loss, fake_says)) + 3.0 * l1, rel=1e-5)


@torch.no_grad()
def test_cyclegan_of_identity_networks_loses_nothing_and_shifts_add_up() -> None:
    study = built(method="CycleGAN", identity=2.0).study
    batch = type("B", (), {"x": torch.rand(4, 1, 8, 8)})()
    study.translator, study.back = Same(), Same()
    _, _, metrics = study.there_and_back(batch)
    assert float(metrics["cycle"]) == float(metrics["identity"]) == 0
    study.translator, study.back = Same(0.25), Same(-0.05)
    _, total, metrics = study.there_and_back(batch)
    assert float(metrics["cycle"]) == pytest.approx(0.4)  # 0.2 on either way
    assert float(metrics["identity"]) == pytest.approx(0.3)
    assert float(total) == pytest.approx(float(metrics["g_loss"]) + 10 * 0.4 + 2 * 0.3, rel=1e-5)


@torch.no_grad()
def test_bicyclegan_keeps_its_two_halves_apart() -> None:
    study = built(method="BicycleGAN", kl=0.7, code=0.4, l1=2.0).study
    x = torch.rand(6, 1, 8, 8)
    batch = type("B", (), {"x": x})()
    torch.manual_seed(2)
    _, total, metrics = study.bicycle(batch)
    torch.manual_seed(2)
    a, b = study.pairs.paired(x, True)
    mean, log_variance = study.encoder(b[:3]).chunk(2, 1)
    found = mean + (0.5 * log_variance).exp() * torch.randn(3, 2)
    drawn = torch.randn(3, 2)
    one, other = study.translator(a[:3], found), study.translator(a[3:], drawn)
    l1 = float((one - b[:3]).abs().mean())
    kl = float(kl_to_standard_normal(mean, log_variance).sum() / 3)
    latent = float((study.encoder(other)[:, :2] - drawn).abs().mean())
    assert float(metrics["l1"]) == pytest.approx(l1, rel=1e-4)
    assert float(metrics["kl"]) == pytest.approx(kl, rel=1e-4)
    assert float(metrics["latent"]) == pytest.approx(latent, rel=1e-4)
    assert float(total) == pytest.approx(float(metrics["g_loss"]) + 2 * l1 + 0.7 * kl + 0.4 * latent, rel=1e-4)


@pytest.mark.parametrize("knobs", [dict(method="CycleGAN"), dict(method="BicycleGAN"), dict(pair="two classes")])
def test_every_method_learns_resumes_and_answers(knobs: dict[str, Any]) -> None:
    """What the common suite asks of the default, of the other methods."""
    session, other = built(**knobs), built(**knobs)
    before = {f"{n}.{k}": p.clone() for n, m in session.modules().items() for k, p in m.named_parameters()}
    for _ in range(3):
        session.train_step()
    after = {f"{n}.{k}": p for n, m in session.modules().items() for k, p in m.named_parameters()}
    assert [k for k, p in after.items() if p.requires_grad and torch.equal(p, before[k])] == []
    state = session.state()
    random = state["random"].clone()
    other.load_state(state)
    other.train_step()
    torch.set_rng_state(random)
    session.train_step()
    theirs = {f"{n}.{k}": p for n, m in other.modules().items() for k, p in m.named_parameters()}
    assert all(torch.equal(p, theirs[k]) for k, p in after.items())
    for name in session.specs:
        (payload,) = session.answer(name, {})
        assert np.isfinite(payload.images).all()


# ---- probes -------------------------------------------------------------------------------------------------------


def answer(session: Session, name: str, **values: Any) -> Any:
    (payload,) = session.answer(name, values)
    return payload


def test_there_and_back_shows_its_errors() -> None:
    session = built(method="CycleGAN")
    session.study.average.net, session.study.back_average.net = Same(0.0), Same(0.0)
    shown = answer(session, "cycle", a="held_out:2", b="held_out:3")
    a, b = (session.study.source.item(f"held_out:{i}")[0, 0].numpy() for i in (2, 3))
    drawn = edges(torch.from_numpy(a)[None, None])[0, 0].numpy()
    assert np.allclose(shown.images[[0, 2], :, :, 0], drawn)
    assert np.allclose(shown.images[[3, 5], :, :, 0], b)
    assert "0.000 of A, 0.000 of B" in shown.caption
    with_pairs = answer(built(), "cycle")
    made = torch.from_numpy(with_pairs.images[1].copy()).permute(2, 0, 1)[None]
    assert np.allclose(with_pairs.images[2], edges(made)[0].permute(1, 2, 0).numpy()), "the rule leads back"
    assert len(answer(built(direction="B to A"), "cycle").images) == 2


def test_a_sketch_is_what_the_translator_is_given() -> None:
    session = built()
    session.study.average.net = Same(0.0)
    shown = answer(session, "sketch", sketch=FACE)
    assert np.allclose(shown.images[0, :, :, 0], 1 - raster(FACE, 8, 8))
    assert np.array_equal(shown.images[0], shown.images[1])
    assert shown.caption == ""
    assert (answer(session, "sketch", sketch="").images[0] == 1).all()
    assert "edges" in answer(built(pair="grey"), "sketch").caption
    with pytest.raises(BadValue, match="sketch: '2,0'"):
        answer(session, "sketch", sketch="0,0 2,0")


def test_many_answers_differ_only_where_there_is_noise() -> None:
    shown = answer(built(method="BicycleGAN"), "many", count=4, seed=1)
    assert len(shown.images) == 10
    above, below = shown.images[1:5], shown.images[6:10]
    assert np.allclose(above[0], below[0], atol=1e-6)
    assert np.allclose(above[1], below[3], atol=1e-6), "the way ends at the second noise"
    apart = [np.abs(above[i] - above[j]).mean() for i in range(4) for j in range(4) if i != j]
    assert f"{np.mean(apart):.3f}" in shown.caption
    assert len(answer(built(), "many", count=4).images) == 2


@pytest.mark.parametrize(("loss", "boundary"), [("least squares", 0.5), ("hinge", 0.0)])
def test_the_judges_verdict_is_drawn_where_it_was_given(loss: str, boundary: float) -> None:
    session = built(loss=loss)

    class Half(nn.Module):
        """Sure of the left half being real and of the right one being made."""

        def forward(self, x: Tensor) -> Tensor:
            said = torch.full((len(x), 1, 4, 4), boundary + 2)
            said[..., 2:] = boundary - 2
            return said

    session.study.judge = Half()
    shown = answer(session, "patch_scores")
    left, right = shown.images[2][:, 0], shown.images[2][:, -1]
    assert (left[:, 2] > left[:, 0]).all(), "blue"
    assert (right[:, 0] > right[:, 2]).all(), "orange"
    assert "50% of the real" in shown.caption


def test_held_out_l1_is_that_of_the_averaged_weights() -> None:
    session = built()
    batch = session.study.source.held_out_batch(0, 5)
    session.study.average.net = Same(0.0)
    said = session.study.evaluate(batch)["l1"]
    assert torch.allclose(said, (edges(batch.x) - batch.x).abs().flatten(1).mean(1))
    assert built(pair="two classes").study.evaluate(batch) == {}
