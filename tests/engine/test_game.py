"""What the game of gan_2d is made of: divergences on a grid, looking ahead, losses taken apart."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from scipy import integrate, stats
from torch import Tensor, nn

from engine.data import toys
from engine.nn.adversarial.game import grid
from engine.nn.adversarial.game.players import REGULARISERS, Players, layers
from engine.nn.adversarial.game.rewards import LOG_LOSSES, PROBABILITIES, belief, rewards
from engine.nn.adversarial.game.unroll import ahead
from engine.nn.adversarial.losses import LOSSES, d_loss, g_loss

EXTENT = (-3.0, 3.0, -3.0, 3.0)
SIDE = 120
AREA = (6 / SIDE) ** 2


@dataclass
class Rules:
    loss: str = "non-saturating"
    regulariser: str = "none"
    strength: float = 1.0
    unroll: int = 0


def bell(x: float, y: float, width: float, weight: float = 1.0) -> Tensor:
    return toys.bells(torch.tensor([[float(x), float(y)]]), torch.tensor([weight]), width, EXTENT, SIDE)


# ---- divergences ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("apart", "wide"), [(0.4, 0.3), (0.8, 0.4), (0.0, 0.5)])
def test_divergences_of_two_gaussians_are_those_of_a_fine_quadrature(apart: float, wide: float) -> None:
    """They differ along x only, so that one integral will do; one is 0.3 wide, the other ``wide`` in x."""
    narrow = 0.3
    x, _ = toys.middles(EXTENT, SIDE)
    y = torch.exp(-x.square() / (2 * narrow**2)) / (math.sqrt(2 * math.pi) * narrow)
    across = (
        torch.exp(-(x - at).square() / (2 * w**2)) / (math.sqrt(2 * math.pi) * w)
        for at, w in ((-apart / 2, narrow), (apart / 2, wide))
    )
    p, q = (torch.outer(y, one) for one in across)
    found = grid.divergences(p, q, AREA)
    first, second = stats.norm(-apart / 2, narrow), stats.norm(apart / 2, wide)

    def kl(a: Any, b: Any) -> float:
        return float(integrate.quad(lambda t: a.pdf(t) * (a.logpdf(t) - math.log(b(t))), -4, 4, limit=200)[0])

    def middle(t: float) -> float:
        return float((first.pdf(t) + second.pdf(t)) / 2)

    assert found.kl_pq == pytest.approx(kl(first, second.pdf), rel=2e-3, abs=1e-5)
    # The floor takes a little where the narrow one is a million times fainter than the wide one.
    assert found.kl_qp == pytest.approx(kl(second, first.pdf), rel=1e-2, abs=1e-5)
    assert found.js == pytest.approx(0.5 * (kl(first, middle) + kl(second, middle)), rel=1e-3)
    closed = math.log(wide / narrow) + (narrow**2 + apart**2) / (2 * wide**2) - 0.5
    assert found.kl_pq == pytest.approx(closed, rel=2e-3)


def test_equal_densities_are_0_apart_and_separate_ones_log_2() -> None:
    p, far = bell(0, 0, 0.3), bell(0.5, 50.0, 0.3)  # all of the second lies outside the grid
    same, apart = grid.divergences(p, p.clone(), AREA), grid.divergences(p, far, AREA)
    assert (same.kl_pq, same.kl_qp, same.js) == pytest.approx((0, 0, 0), abs=1e-9)
    assert same.coverage == pytest.approx(1)
    assert apart.js == pytest.approx(math.log(2), abs=1e-6)
    assert apart.kl_pq == pytest.approx(-math.log(grid.FLOOR), rel=1e-3)
    assert apart.kl_qp == pytest.approx(-math.log(grid.FLOOR), rel=1e-3)
    assert apart.coverage == pytest.approx(0, abs=1e-9)


def test_the_half_that_lies_on_one_of_two_modes_covers_half() -> None:
    p = (bell(-1.5, 0, 0.2) + bell(1.5, 0, 0.2)) / 2
    found = grid.divergences(p, bell(1.5, 0, 0.2), AREA)
    assert found.coverage == pytest.approx(0.5, abs=0.01)
    # KL(q || p) is log 2 where all fakes lie in one of two modes; JS of 1 and 1/2 in closed form.
    assert found.kl_qp == pytest.approx(math.log(2), abs=0.01)
    assert found.js == pytest.approx(
        0.5 * (0.5 * math.log(4 / 3 / 2) - 0.5 * math.log(0.5) + math.log(4 / 3)), abs=0.01
    )
    assert found.kl_pq > 5


def test_the_best_discriminator_has_the_value_minus_log_4_plus_2_js_and_no_other_has_more() -> None:
    p = (bell(-1, 0, 0.5) + bell(1, 0.5, 0.4)) / 2
    q = bell(0.3, -0.4, 0.6)
    js = grid.divergences(p, q, AREA).js
    best = grid.best_discriminator(p, q)
    top = grid.value(best, p, q, AREA)
    assert top == pytest.approx(grid.best_value(js), abs=1e-3)  # but for what lies outside the grid
    assert grid.value(torch.full_like(p, 0.5), p, q, AREA) == pytest.approx(-math.log(4), abs=1e-3)
    assert grid.best_value(0.0) == pytest.approx(-math.log(4))
    for seed in range(5):
        wrong = best.logit() + 0.3 * torch.randn(SIDE, SIDE, generator=torch.Generator().manual_seed(seed))
        assert grid.value(wrong.sigmoid(), p, q, AREA) < top
    assert grid.distance(best, p, q) == 0
    assert grid.distance((best + 0.1), p, q) == pytest.approx(0.1, rel=1e-4)


def test_where_nothing_is_known_the_best_discriminator_has_no_opinion() -> None:
    p, q = torch.tensor([[0.0, 1e-9, 1.0]]), torch.tensor([[0.0, 0.0, 0.0]])
    assert grid.best_discriminator(p, q).tolist() == [[0.5, 1.0, 1.0]]
    assert grid.best_discriminator(p, q, 1e-3)[0].tolist() == pytest.approx([0.5, 0.5, 1.0], abs=1e-3)


def test_the_density_of_points_is_the_kernel_estimate() -> None:
    x = toys.SHAPES["eight Gaussians"]().sample(3000, torch.Generator().manual_seed(0))
    x = torch.cat([x, torch.tensor([[50.0, 0.0], [0.0, -3.1], [math.nan, 0.0]])])
    found = grid.density_of(x, EXTENT, SIDE, 0.1)
    exact = toys.bells(x[:-3], torch.full((3000,), 1 / len(x)), 0.1, EXTENT, SIDE)
    assert float((found - exact).abs().max()) < 0.02 * float(exact.max())
    assert float(found.sum()) * AREA == pytest.approx(3000 / 3003, abs=1e-3)
    one = grid.density_of(torch.tensor([[2.0, -1.0]]), EXTENT, SIDE, 0.1)
    row, column = divmod(int(one.argmax()), SIDE)
    across, up = toys.middles(EXTENT, SIDE)
    assert (float(across[column]), float(up[row])) == pytest.approx((2.0, -1.0), abs=0.05)


def test_modes_are_counted_where_a_quarter_of_what_is_due_lies() -> None:
    centres = torch.tensor([[-1.0, 0], [1, 0], [0, 1], [0, -1]])
    x = centres.repeat_interleave(torch.tensor([70, 20, 6, 4]), 0)
    assert grid.covered_modes(x, centres, 0.1) == 2  # 6 of the 25 that are due are too few, 6.25 would do
    assert grid.covered_modes(torch.cat([x, centres[2:3]]), centres, 0.1) == 3
    assert grid.covered_modes(x + 0.2, centres, 0.1) == 0


# ---- losses ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", LOSSES)
def test_the_rewards_add_up_to_what_the_discriminator_maximises(kind: str) -> None:
    real, fake = torch.linspace(-3, 4, 9), torch.linspace(-2.5, 3, 7)
    assert float(sum(rewards(kind, real, fake))) == pytest.approx(-float(d_loss(kind, real, fake)), rel=1e-6)


@pytest.mark.parametrize("kind", LOSSES)
def test_the_belief_in_the_best_logits_is_the_best_discriminator(kind: str) -> None:
    """The logit that maximises p * reward(real) + q * reward(fake), searched for, means p / (p + q)."""
    logits = torch.linspace(-4, 4, 8001, requires_grad=True)
    believed = belief(kind, logits).detach()
    assert float(believed.min()) >= 0
    assert float(believed.max()) <= 1
    assert (believed.diff() >= 0).all()
    for p in (0.2, 0.5, 0.7) if kind in PROBABILITIES else ():
        of_real, of_fake = rewards(kind, logits, logits)
        (rises,) = torch.autograd.grad(p * of_real + (1 - p) * of_fake, logits)
        assert float(believed[int(rises.abs().argmin())]) == pytest.approx(p, abs=1e-3)
    assert set(LOG_LOSSES) < set(PROBABILITIES)


# ---- looking ahead --------------------------------------------------------------------------------------------------


def game(seed: int = 0, taken: int = 3, rules: Rules | None = None) -> tuple[Players, Tensor, Tensor]:
    """Small players in double precision who have made some moves; real points and noise."""
    torch.manual_seed(seed)
    generator = layers(2, 6, 1, 2, nn.Tanh).double()
    discriminator = layers(2, 6, 1, 1, nn.Tanh).append(nn.Flatten(0)).double()
    players = Players(
        generator,
        discriminator,
        torch.optim.Adam(generator.parameters(), 0.02, (0.5, 0.999)),
        torch.optim.Adam(discriminator.parameters(), 0.02, (0.5, 0.999)),
    )
    real, z = torch.randn(12, 2).double() + 1, torch.randn(12, 2).double()
    for _ in range(taken):
        players.d_move(rules or Rules(), real, z)
        players.g_move(rules or Rules(), real, z)
    return players, real, z


def moved(players: Players, rules: Rules, real: Tensor, fake: Tensor, steps: int) -> Players:
    """A copy whose discriminator has really taken so many steps of torch's Adam against these points."""
    later = players.copied()
    for _ in range(steps):
        loss, _ = later.d_total(rules, later.discriminator, real, fake)
        later.d_optimizer.zero_grad()
        loss.backward()
        later.d_optimizer.step()
    return later


@pytest.mark.parametrize("taken", [0, 3])
@pytest.mark.parametrize("regulariser", ["none", "R1"])
def test_looking_ahead_is_what_adam_then_does(taken: int, regulariser: str) -> None:
    rules = Rules(regulariser=regulariser)
    players, real, z = game(taken=taken)
    fake = players.generator(z).detach()
    before = copy.deepcopy(players.discriminator.state_dict())
    seen = ahead(players.discriminator, players.d_optimizer, lambda d: players.d_total(rules, d, real, fake)[0], 4)(
        real
    )
    assert all(torch.equal(v, before[k]) for k, v in players.discriminator.state_dict().items())
    after = moved(players, rules, real, fake, 4).discriminator(real)
    assert torch.allclose(seen, after, atol=1e-6)
    assert not torch.allclose(seen, players.discriminator(real), atol=1e-2)


@pytest.mark.parametrize("loss", LOSSES)
def test_the_unrolled_gradient_is_a_finite_difference_through_real_steps(loss: str) -> None:
    """A weight of the generator is moved a little; torch's own Adam then takes the discriminator's steps."""
    rules = Rules(loss, unroll=3)
    players, real, z = game(seed=4)
    players.generator.zero_grad()
    players.g_total(rules, real, players.generator(z)).backward()

    def after() -> float:
        with torch.no_grad():
            fake = players.generator(z)
        d = moved(players, rules, real, fake, 3).discriminator
        with torch.no_grad():
            zero_sum = loss in ("minimax", "Wasserstein")
            return float(-d_loss(loss, d(real), d(fake)) if zero_sum else g_loss(loss, d(fake)))

    for weight in players.generator.parameters():
        flat, slope = weight.data.view(-1), weight.grad
        assert slope is not None
        for i in (0, len(flat) - 1):
            kept, step = float(flat[i]), 1e-5
            flat[i] = kept + step
            up = after()
            flat[i] = kept - step
            down = after()
            flat[i] = kept
            assert float(slope.view(-1)[i]) == pytest.approx((up - down) / (2 * step), rel=1e-3, abs=1e-6)


@pytest.mark.parametrize("unroll", [0, 2])
def test_the_pull_is_the_way_down_the_generators_loss(unroll: int) -> None:
    rules = Rules("minimax", unroll=unroll)
    players, real, z = game(seed=2)
    fake = players.generator(z).detach()
    pull = players.pull(rules, real, fake)
    for i, axis in ((0, 0), (5, 1)):
        ends = []
        for step in (1e-5, -1e-5):
            there = fake.clone()
            there[i, axis] += step
            ends.append(float(players.g_total(rules, real, there).detach()))
        assert float(pull[i, axis]) == pytest.approx(-len(fake) * (ends[0] - ends[1]) / 2e-5, rel=1e-4, abs=1e-6)


# ---- moves ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("regulariser", REGULARISERS)
def test_a_move_changes_the_one_who_moves_and_no_other(regulariser: str) -> None:
    rules = Rules(regulariser=regulariser, unroll=2)
    players, real, z = game()
    states = [copy.deepcopy(net.state_dict()) for net in (players.generator, players.discriminator)]

    def unchanged(net: nn.Module, state: dict[str, Tensor]) -> list[bool]:
        return [torch.equal(v, state[k]) for k, v in net.state_dict().items()]

    players.d_move(rules, real, z, moves=False)
    players.g_move(rules, real, z, moves=False)
    said = players.d_move(rules, real, z)
    assert all(unchanged(players.generator, states[0]))
    assert not any(unchanged(players.discriminator, states[1]))
    states[1] = copy.deepcopy(players.discriminator.state_dict())
    players.g_move(rules, real, z)
    assert not any(unchanged(players.generator, states[0]))
    assert all(unchanged(players.discriminator, states[1]))
    assert all(w.grad is None for net in (players.generator, players.discriminator) for w in net.parameters())
    assert float(said["d_loss"]) == pytest.approx(float(said["penalty"] - said["value"]), rel=1e-6)
    assert (float(said["penalty"]) > 0) == (regulariser != "none")


def test_copied_players_go_on_alike_and_apart() -> None:
    players, real, z = game()
    twin = players.copied()
    kept = copy.deepcopy(players.discriminator.state_dict())
    twin.d_move(Rules(), real, z)
    assert all(torch.equal(v, kept[k]) for k, v in players.discriminator.state_dict().items())
    players.d_move(Rules(), real, z)
    for mine, its in zip(players.discriminator.parameters(), twin.discriminator.parameters(), strict=True):
        assert torch.equal(mine, its)


def test_a_discriminator_trained_to_the_end_is_near_the_best_one() -> None:
    """Against a generator whose density is known, N(0, 1.2^2): the mean distance to p / (p + q) falls below 0.04, from
    0.4 of one that has learned nothing, and V comes within 0.05 of -log 4 + 2 JS."""
    torch.manual_seed(0)
    toy = toys.SHAPES["eight Gaussians"]()
    generator = nn.Linear(2, 2)
    with torch.no_grad():
        generator.weight.copy_(1.2 * torch.eye(2))
        generator.bias.zero_()
    net = layers(2, 64, 2, 1, nn.Tanh).append(nn.Flatten(0))
    optimizer = torch.optim.Adam(net.parameters(), 1e-2, fused=True)
    players = Players(generator, net, torch.optim.Adam(generator.parameters()), optimizer)
    across, up = toys.middles(EXTENT, SIDE)
    places = torch.stack([across.repeat(SIDE), up.repeat_interleave(SIDE)], 1)
    p, q = toy.heat(EXTENT, SIDE), bell(0, 0, 1.2)

    def off() -> float:
        with torch.no_grad():
            return grid.distance(belief("minimax", net(places)).view(SIDE, SIDE), p, q)

    assert off() > 0.35
    steps = 1000
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = 1e-2 * (1 - step / steps) + 1e-4
        players.d_move(Rules("minimax"), toy.sample(256), torch.randn(256, 2))
    assert off() < 0.04
    with torch.no_grad():
        learned = net(places).sigmoid().view(SIDE, SIDE)
    best = grid.best_value(grid.divergences(p, q, AREA).js)
    assert best - 0.05 < grid.value(learned, p, q, AREA) < best + 0.01
