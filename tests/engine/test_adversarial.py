"""The losses against closed forms, the regularisers against finite differences and an SVD, and the mode watch."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from engine.nn.adversarial import losses
from engine.nn.adversarial.watch import KNOWN, LESSONS, ModeWatch

# ---- losses ---------------------------------------------------------------------------------------------------------

REAL, FAKE = torch.tensor([2.0, -1.0, 0.5]), torch.tensor([-0.5, 3.0, 0.0])


def sigmoid(v: float) -> float:
    return 1 / (1 + math.exp(-v))


def mean(values: list[float]) -> float:
    return sum(values) / len(values)


def logistic(real: list[float], fake: list[float]) -> float:
    return -mean([math.log(sigmoid(r)) for r in real]) - mean([math.log(1 - sigmoid(f)) for f in fake])


CLOSED = {
    "non-saturating": (logistic, lambda fake: -mean([math.log(sigmoid(f)) for f in fake])),
    "minimax": (logistic, lambda fake: mean([math.log(1 - sigmoid(f)) for f in fake])),
    "Wasserstein": (lambda real, fake: mean(fake) - mean(real), lambda fake: -mean(fake)),
    "least squares": (
        lambda real, fake: 0.5 * mean([(r - 1) ** 2 for r in real]) + 0.5 * mean([f**2 for f in fake]),
        lambda fake: 0.5 * mean([(f - 1) ** 2 for f in fake]),
    ),
    "hinge": (
        lambda real, fake: mean([max(0, 1 - r) for r in real]) + mean([max(0, 1 + f) for f in fake]),
        lambda fake: -mean(fake),
    ),
}


@pytest.mark.parametrize("kind", losses.LOSSES)
def test_losses_have_their_closed_forms(kind: str) -> None:
    of_d, of_g = CLOSED[kind]
    assert float(losses.d_loss(kind, REAL, FAKE)) == pytest.approx(of_d(REAL.tolist(), FAKE.tolist()), abs=1e-6)
    assert float(losses.g_loss(kind, FAKE)) == pytest.approx(of_g(FAKE.tolist()), abs=1e-6)


def test_at_an_even_game_the_value_is_minus_log_four() -> None:
    nothing = torch.zeros(5)
    assert float(losses.d_loss("minimax", nothing, nothing)) == pytest.approx(math.log(4))


def test_far_behind_minimax_gives_no_slope_and_non_saturating_the_largest() -> None:
    behind = torch.full((1,), -20.0, requires_grad=True)
    slopes = {}
    for kind in ("minimax", "non-saturating"):
        (slope,) = torch.autograd.grad(losses.g_loss(kind, behind), behind)
        slopes[kind] = float(slope)
    assert abs(slopes["minimax"]) < 1e-8
    assert slopes["non-saturating"] == pytest.approx(-1.0, abs=1e-6)


@pytest.mark.parametrize("kind", losses.LOSSES)
def test_huge_logits_stay_finite_and_the_generator_is_always_drawn_upwards(kind: str) -> None:
    far = torch.tensor([-200.0, 200.0], requires_grad=True)
    assert torch.isfinite(losses.d_loss(kind, far, far))
    (slope,) = torch.autograd.grad(losses.g_loss(kind, torch.clamp(far, max=0.5)), far)
    assert torch.isfinite(slope).all()
    assert float(slope[0]) <= 0


# ---- regularisers ---------------------------------------------------------------------------------------------------


def critic() -> nn.Sequential:
    torch.manual_seed(3)
    return nn.Sequential(
        nn.Conv2d(2, 3, 3, 2, 1), nn.Tanh(), nn.Flatten(), nn.Linear(3 * 2 * 2, 4), nn.Softplus(), nn.Linear(4, 1),
        nn.Flatten(0),
    ).double()  # fmt: skip


def pictures(count: int, seed: int) -> Tensor:
    return torch.randn(count, 2, 4, 4, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def slope_by_differences(d: nn.Module, x: Tensor, eps: float = 1e-6) -> Tensor:
    """grad_x D(x) of each picture, (B, numbers), by central differences."""
    flat = x.flatten(1)
    columns = []
    with torch.no_grad():
        for i in range(flat.shape[1]):
            step = torch.zeros_like(flat)
            step[:, i] = eps
            columns.append((d((flat + step).view_as(x)) - d((flat - step).view_as(x))) / (2 * eps))
    return torch.stack(columns, 1)


def r1_of(d: nn.Module, x: Tensor) -> Tensor:
    x = x.clone().requires_grad_()
    return losses.r1(d(x), x)


def penalty_of(d: nn.Module, real: Tensor, fake: Tensor) -> Tensor:
    torch.manual_seed(11)
    return losses.gradient_penalty(d, real, fake)


def check_weights_by_differences(d: nn.Module, value: Tensor, again: object) -> None:
    """The gradient of a penalty's mean with respect to every weight of ``d``, against central differences."""
    eps = 1e-6
    weights = list(d.parameters())
    slopes = torch.autograd.grad(value.mean(), weights, allow_unused=True)
    assert callable(again)
    for p, slope in zip(weights, slopes, strict=True):
        flat = p.data.view(-1)
        for i in range(0, flat.numel(), max(1, flat.numel() // 5)):
            here = float(flat[i])
            flat[i] = here + eps
            above = float(again().mean().detach())
            flat[i] = here - eps
            below = float(again().mean().detach())
            flat[i] = here
            there = 0.0 if slope is None else float(slope.flatten()[i])
            assert there == pytest.approx((above - below) / (2 * eps), rel=1e-5, abs=1e-7)


def test_r1_and_its_gradient_are_those_of_finite_differences() -> None:
    d, x = critic(), pictures(5, 0)
    value = r1_of(d, x)
    torch.testing.assert_close(value.detach(), slope_by_differences(d, x).square().sum(1), rtol=1e-6, atol=1e-9)
    check_weights_by_differences(d, value, lambda: r1_of(d, x))


def test_the_gradient_penalty_and_its_gradient_are_those_of_finite_differences() -> None:
    d, real, fake = critic(), pictures(5, 1), pictures(5, 2)
    value = penalty_of(d, real, fake)
    torch.manual_seed(11)
    share = torch.rand(5, 1, 1, 1, dtype=torch.float64)
    mixed = real + share * (fake - real)
    by_hand = (slope_by_differences(d, mixed).norm(dim=1) - 1).square()
    torch.testing.assert_close(value.detach(), by_hand, rtol=1e-6, atol=1e-9)
    check_weights_by_differences(d, value, lambda: penalty_of(d, real, fake))


def test_of_a_linear_critic_both_penalties_are_known_and_the_generator_is_not_drawn() -> None:
    d = nn.Sequential(nn.Flatten(), nn.Linear(32, 1, bias=False), nn.Flatten(0)).double()
    length = float(next(d.parameters()).detach().norm())
    fake = pictures(3, 2).requires_grad_()
    torch.testing.assert_close(r1_of(d, pictures(3, 1)), torch.full((3,), length**2, dtype=torch.float64))
    value = penalty_of(d, pictures(3, 1), fake)
    torch.testing.assert_close(value, torch.full((3,), (length - 1) ** 2, dtype=torch.float64))
    assert torch.autograd.grad(value.sum(), fake, allow_unused=True)[0] is None


def test_a_dead_critic_pays_and_learns_without_numbers_that_are_not_finite() -> None:
    d = nn.Sequential(nn.Flatten(), nn.Linear(32, 1), nn.Flatten(0)).double()
    with torch.no_grad():
        next(d.parameters()).zero_()
    value = penalty_of(d, pictures(3, 1), pictures(3, 2))
    torch.testing.assert_close(value.detach(), torch.ones(3, dtype=torch.float64), rtol=0, atol=1e-5)
    (slope,) = torch.autograd.grad(value.sum(), next(d.parameters()))
    assert torch.isfinite(slope).all()


def test_spectral_norm_makes_every_largest_singular_value_one() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(2, 6, 3), nn.ReLU(), nn.Flatten(), nn.Linear(24, 5))
    assert losses.spectral(net) is net
    with torch.no_grad():
        for p in net.parameters():
            p.mul_(7)
    for _ in range(300):  # one power iteration each, in training mode
        net(torch.zeros(1, 2, 4, 4))
    net.eval()
    for i in (0, 3):
        layer = net[i]
        assert isinstance(layer, nn.Conv2d | nn.Linear)
        weight = layer.weight.detach().flatten(1)
        assert float(torch.linalg.svdvals(weight)[0]) == pytest.approx(1.0, abs=1e-4)


def test_the_norm_of_gradients_is_that_of_them_all_in_a_row() -> None:
    a, b, c = (nn.Parameter(torch.zeros(n)) for n in (2, 1, 3))
    a.grad, b.grad = torch.tensor([3.0, 0.0]), torch.tensor([4.0])
    assert float(losses.grad_norm([a, b, c])) == pytest.approx(5.0)
    assert float(losses.grad_norm([c])) == 0.0


# ---- the watch ------------------------------------------------------------------------------------------------------

CLASSES = 4


def stripes(y: Tensor, seed: int) -> Tensor:
    """Pictures (B, 1, 8, 8) in 0..1 with a bright band whose place says the class."""
    x = 0.3 * torch.rand(len(y), 1, 8, 8, generator=torch.Generator().manual_seed(seed))
    for i, k in enumerate(y.tolist()):
        x[i, 0, 2 * k : 2 * k + 2] += 0.7
    return x


def taught() -> ModeWatch:
    torch.manual_seed(0)
    watch = ModeWatch((1, 8, 8), CLASSES)
    steps = 0
    while not watch.ready:
        y = torch.arange(32) % CLASSES
        watch.learn(stripes(y, steps), y)
        steps += 1
    assert steps == LESSONS + KNOWN // 32
    return watch


@pytest.fixture(scope="module")
def watch() -> ModeWatch:
    return taught()


def fakes(*classes: int) -> Tensor:
    return stripes(torch.tensor(classes).repeat(64 // len(classes)), 10_000)


def test_the_watch_says_nothing_before_it_is_ready() -> None:
    fresh = ModeWatch((1, 8, 8), CLASSES)
    assert not fresh.ready
    assert fresh.look(fakes(0)) == {}
    assert fresh.warning() == ""


def test_the_watch_sorts_and_its_own_pictures_are_no_distance_away(watch: ModeWatch) -> None:
    y = torch.arange(100) % CLASSES
    assert float((watch.classified(stripes(y, 20_000)) == y).float().mean()) > 0.98
    known = stripes(torch.arange(32) % CLASSES, LESSONS)  # the first that it kept
    assert float(watch.nearest(known).max()) < 1e-5
    assert float(watch.nearest(stripes(y, 30_000)).mean()) == pytest.approx(1.0, abs=0.15)
    assert float(watch.nearest(torch.rand(50, 1, 8, 8)).mean()) > 1.5


def test_planted_classes_are_covered_and_a_planted_drop_warns_once() -> None:
    watch = taught()
    for _ in range(40):
        said = watch.look(fakes(0, 1, 2, 3))
        assert watch.warning() == ""
    assert float(said["classes_covered"]) == 4
    assert float(said["largest_class"]) == pytest.approx(0.25, abs=0.03)
    warnings = []
    for _ in range(60):
        said = watch.look(fakes(0, 1))
        warnings.append(watch.warning(("zero", "one", "two", "three")))
    assert float(said["classes_covered"]) == 2
    assert float(said["largest_class"]) == pytest.approx(0.5, abs=0.05)
    spoken = " ".join(filter(None, warnings))
    assert spoken.count("two") == 1
    assert spoken.count("three") == 1
    assert "2 of 4 classes left" in spoken
    for _ in range(40):
        said = watch.look(fakes(0, 1, 2, 3))
        assert watch.warning() == ""
    assert float(said["classes_covered"]) == 4


def test_the_watch_is_saved_whole_and_learns_on_bit_for_bit() -> None:
    y = torch.arange(32) % CLASSES
    torch.manual_seed(0)
    through, cut = ModeWatch((1, 8, 8), CLASSES), ModeWatch((1, 8, 8), CLASSES)
    for step in range(20):
        through.learn(stripes(y, step), y)
        if step == 9:
            cut.load_state_dict({name: value.clone() for name, value in through.state_dict().items()})
        if step > 9:
            cut.learn(stripes(y, step), y)
    for name, value in through.state_dict().items():
        assert torch.equal(value, cut.state_dict()[name]), name


def test_learning_leaves_no_weight_to_the_study_and_no_random_number_used(watch: ModeWatch) -> None:
    assert not any(p.requires_grad for p in watch.parameters())
    fresh, y = ModeWatch((1, 8, 8), CLASSES), torch.arange(32) % CLASSES
    state = torch.get_rng_state()
    with torch.no_grad():
        fresh.learn(stripes(y, 0), y)
    assert torch.equal(torch.get_rng_state(), state)
    assert int(fresh.taught) == 1
    assert all(p.grad is None for p in fresh.parameters())
