"""The search for codes against closed forms, and what the probes of inversion answer, on generators made up here."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from engine.isolation import looking
from engine.nn.generator.inversion import PANELS, InversionProbes, Look
from engine.nn.generator.search import SCALES, Aim, State, apart, beginnings, descend, pace, psnr, refine
from engine.params import BadValue
from engine.payloads import Frames
from engine.probes import Choice, probes_of
from engine.steering import Direction

SIDE, D = 8, 6
DEFAULTS: dict[str, Any] = dict(
    space="w", compare="pixels", starts=4, steps=40, refined=12, prior=1e-6, seed=7, directions=()
)
INPAINT: dict[str, Any] = dict(mask="left", count=3, steps=60, refined=10, prior=1e-6, seed=7)


class Items:
    """In the place of the data: sixteen smooth pictures that no generator made."""

    def __init__(self) -> None:
        generator = torch.Generator().manual_seed(5)
        rough = torch.rand(16, 1, SIDE // 2, SIDE // 2, generator=generator)
        self.held_out = nn.functional.interpolate(rough, scale_factor=2, mode="bilinear")

    def item(self, reference: str) -> Tensor:
        return self.held_out[int(reference.partition(":")[2])][None]


class Fake(InversionProbes):
    """A generator of ``net``: pictures are sigmoids of what it says."""

    def __init__(self, net: nn.Module) -> None:
        self.net = net.eval().requires_grad_(True)
        self.source: Any = Items()
        self.device = torch.device("cpu")
        self.dragging = False
        self.decoded = 0

    def draw_codes(self, count: int, generator: torch.Generator) -> Tensor:
        return torch.randn(count, D, generator=generator)

    def decode_w(self, w: Tensor) -> Tensor:
        self.decoded += len(w)
        out: Tensor = self.net(w).view(len(w), 1, SIDE, SIDE).sigmoid()
        return out


class Mapped(Fake):
    """One with a mapping and with a w for each of two layers: the first makes the upper half, the second the lower."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__(net)
        with torch.random.fork_rng():
            torch.manual_seed(3)
            self.mapping = nn.Sequential(nn.Linear(D, D), nn.LeakyReLU(0.5), nn.Linear(D, D)).requires_grad_(True)

    @property
    def spaces(self) -> tuple[str, ...]:
        return ("z", "w")

    def to_w(self, z: Tensor) -> Tensor:
        out: Tensor = self.mapping(z)
        return out

    @property
    def layers(self) -> int:
        return 2

    def decode_layers(self, w: Tensor) -> Tensor:
        upper, lower = self.decode_w(w[:, 0]), self.decode_w(w[:, 1])
        return torch.cat([upper[:, :, : SIDE // 2], lower[:, :, SIDE // 2 :]], 2)

    def perceived(self, x: Tensor) -> Tensor:
        return nn.functional.avg_pool2d(x, 2)


def convolutions() -> nn.Module:
    """A small network with weights of its first seed, as bent as an untrained generator is."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(
            nn.Linear(D, 64), nn.Unflatten(1, (16, 2, 2)), nn.LeakyReLU(0.2),
            nn.ConvTranspose2d(16, 16, 4, 2, 1), nn.LeakyReLU(0.2), nn.ConvTranspose2d(16, 1, 4, 2, 1, bias=False),
            nn.Flatten(), Gain(6.0),
        )  # fmt: skip


class Gain(nn.Module):
    def __init__(self, gain: float) -> None:
        super().__init__()
        self.gain = gain

    def forward(self, x: Tensor) -> Tensor:
        return self.gain * x


def ask(study: Fake, probe: str = "invert", dragging: bool = False, **controls: Any) -> list[Frames]:
    """All frames, asked as the engine does: each on its own, without gradients."""
    study.dragging = dragging
    defaults = DEFAULTS if probe == "invert" else INPAINT
    parts: Iterator[Any] = getattr(study, probe)(**{"item": "held_out:0", **defaults, **controls})
    found: list[Any] = []
    modules = [part for part in vars(study).values() if isinstance(part, nn.Module)]
    try:
        while True:
            with looking(modules, study.device, len(found)):
                found.append(next(parts))
    except StopIteration:
        study.dragging = False
    assert all(0 <= part <= 1 for part in found if isinstance(part, float))
    return [part for part in found if isinstance(part, Frames)]


# ---- the search -----------------------------------------------------------------------------------------------------


@pytest.fixture
def linear() -> tuple[Tensor, Tensor, Tensor]:
    """A matrix (n, d), its offset (n,) and a picture (1, 1, 8, 8) that it cannot make exactly."""
    generator = torch.Generator().manual_seed(1)
    a, b = torch.randn(SIDE * SIDE, D, generator=generator), torch.rand(SIDE * SIDE, generator=generator)
    return a, b, torch.rand(1, 1, SIDE, SIDE, generator=generator)


def aim_at(linear: tuple[Tensor, Tensor, Tensor], prior: float = 0.0, seen: Tensor | None = None) -> Aim:
    a, b, x = linear
    size = torch.linspace(0.5, 2.0, D)  # codes are not of one size in all directions, nor about 0
    residuals = lambda made: apart(made, x, seen)  # noqa: E731
    return Aim(
        lambda w: (w @ a.T + b).view(-1, 1, SIDE, SIDE), residuals, residuals, torch.full((D,), 0.3), size, prior
    )


def solved(aim: Aim, linear: tuple[Tensor, Tensor, Tensor], rows: Tensor) -> Tensor:
    """The code of least misfit, from the normal equations: (A'A / n + prior / d S^-2) (w - m) = A'(x - b - A m) / n."""
    a, b, x = linear[0][rows], linear[1][rows], linear[2].flatten()[rows]
    left = a.T @ a / len(a) + aim.prior / D * torch.diag(aim.size**-2)
    return aim.middle + torch.linalg.solve(left, a.T @ (x - b - a @ aim.middle) / len(a))


@pytest.mark.parametrize("prior", [0.0, 0.5])
def test_of_a_linear_generator_the_least_squares_code_is_found(
    linear: tuple[Tensor, Tensor, Tensor], prior: float
) -> None:
    aim = aim_at(linear, prior)
    expected = solved(aim, linear, torch.arange(SIDE * SIDE))
    start = torch.randn(3, D, generator=torch.Generator().manual_seed(2))
    *_, descended = descend(aim, start, 200)
    torch.testing.assert_close(descended.codes, expected.expand(3, D), atol=2e-3, rtol=0)  # each start by itself
    *_, refined = (part for part in refine(aim, start[:1], 4) if isinstance(part, State))
    torch.testing.assert_close(refined.codes[0], expected, atol=1e-4, rtol=0)
    assert float(refined.misfit) <= float(descended.misfit.min()) * (1 + 1e-5)


def test_what_is_hidden_has_no_say(linear: tuple[Tensor, Tensor, Tensor]) -> None:
    seen = torch.ones(1, 1, SIDE, SIDE)
    seen[..., : SIDE // 2] = 0
    aim = aim_at(linear, 0.0, seen)
    *_, refined = (part for part in refine(aim, torch.zeros(1, D), 4) if isinstance(part, State))
    expected = solved(aim, linear, seen.flatten().nonzero()[:, 0])
    torch.testing.assert_close(refined.codes[0], expected, atol=1e-4, rtol=0)


def test_the_residuals_are_a_pyramid_of_mean_squares() -> None:
    x, target = torch.full((2, 1, 8, 8), 0.6), torch.full((1, 1, 8, 8), 0.5)
    x[1, 0, ::2] = 0.4  # rows that are off by +-0.1 vanish at half the resolution
    total = apart(x, target, scales=3).square().sum(1)
    torch.testing.assert_close(total, torch.tensor([0.03, 0.01]), atol=1e-7, rtol=1e-5)
    assert psnr(x[:1], target) == pytest.approx(20.0, abs=1e-3)
    assert psnr(target, target) == 100.0
    seen = torch.zeros(1, 1, 8, 8)
    seen[..., :2] = 1
    spoilt = torch.where(seen > 0, x[:1], torch.tensor(7.0))
    assert psnr(spoilt, target, seen) == pytest.approx(20.0, abs=1e-3)  # per pixel that is seen
    tiny = apart(torch.ones(1, 3, 5, 2), torch.zeros(1, 3, 5, 2), scales=SCALES)  # too small to be halved
    assert tiny.shape == (1, 30)


def test_the_rate_rises_stays_and_falls() -> None:
    assert [pace(t) for t in (0.0, 0.025, 0.05, 0.5, 0.75)] == pytest.approx([0, 0.5, 1, 1, 1])
    assert [pace(t) for t in (0.875, 1.0)] == pytest.approx([0.5, 0.0])


def test_the_best_of_many_codes_come_first(linear: tuple[Tensor, Tensor, Tensor]) -> None:
    aim = aim_at(linear)
    codes = torch.randn(150, D, generator=torch.Generator().manual_seed(4))
    *shares, found = beginnings(aim, codes, 5)
    assert shares == sorted(shares)
    off = (aim.pictures(codes) - linear[2]).square().mean((1, 2, 3))
    assert torch.equal(found, codes[off.argsort()[:5]])


def test_gauss_newton_steps_end_where_nothing_is_gained() -> None:
    """Near an exact solution the misfit falls by orders of magnitude a step, and steps after the last are free."""
    study = Fake(convolutions())
    with torch.no_grad():
        true = study.seeded(4)
        x = study.decode_w(true)
        residuals = lambda made: apart(made, x)  # noqa: E731
        aim = Aim(study.decode_w, residuals, residuals, torch.zeros(D), torch.ones(D))
        states = [part for part in refine(aim, true + 0.05, 40) if isinstance(part, State)]
        assert len(states) == 40
        misfits = [float(state.misfit) for state in states]
        assert misfits == sorted(misfits, reverse=True)
        assert misfits[5] < 1e-8
        assert states[-1] is states[-2]
        count = study.decoded
        list(refine(aim, states[-1].codes, 1))
        one = study.decoded - count
        assert study.decoded < 40 * one


# ---- the probes -----------------------------------------------------------------------------------------------------


def test_pictures_of_its_own_come_back_for_all_of_twenty_seeds() -> None:
    study = Fake(convolutions())
    found = [ask(study, item=f"seed:{seed}", starts=2, steps=20, refined=14) for seed in range(20)]
    assert min(frames[-1].readings["PSNR, dB"] for frames in found) >= 35
    exact = [float(frames[-1].caption.rpartition("= ")[2]) for frames in found]
    assert np.median(exact) < 1e-3  # the code itself, not only its picture


def test_the_frames_tell_the_approach() -> None:
    study = Fake(convolutions())
    with torch.no_grad():
        study.source.held_out[0] = 0.9 * study.decode_w(2 * study.seeded(1))[0]
    frames = ask(study, steps=60)
    assert [frame.index for frame in frames] == list(range(len(frames)))
    assert {frame.total for frame in frames} == {len(frames)}
    assert len({tuple(frame.readings) for frame in frames}) == 1
    target = study.source.held_out[0].permute(1, 2, 0).numpy()
    for frame in frames:
        assert frame.panels == PANELS
        np.testing.assert_allclose(frame.images[1], target, atol=1e-6)
        apart_by = np.clip(4 * np.abs(frame.images[1] - frame.images[0]), 0, 1)
        np.testing.assert_allclose(frame.images[2], apart_by, atol=1e-5)
        error = float(np.square(frame.images[1] - frame.images[0]).mean())
        assert frame.readings["PSNR, dB"] == pytest.approx(-10 * math.log10(error), abs=0.01)
    values = [frame.readings["PSNR, dB"] for frame in frames]
    assert values[-1] > values[0] + 3
    assert values[-1] >= max(values) - 0.1


def test_weights_and_random_numbers_are_left_alone() -> None:
    study = Mapped(convolutions())
    weights = [*study.net.parameters(), *study.mapping.parameters()]
    before = [p._version for p in weights]
    state = torch.get_rng_state()
    for space in ("w", "z", "w+"):
        ask(study, space=space, steps=10, refined=2, compare="both")
    ask(study, "inpaint_code", steps=10)
    assert [p._version for p in weights] == before
    assert all(p.grad is None for p in weights)
    assert torch.equal(torch.get_rng_state(), state)


def test_the_same_ask_is_the_same_answer() -> None:
    one, other = (ask(Fake(convolutions()), steps=20, refined=3) for _ in range(2))
    assert all(np.array_equal(a.images, b.images) for a, b in zip(one, other, strict=True))
    assert not np.array_equal(ask(Fake(convolutions()), steps=20, refined=3, seed=8)[0].images, one[0].images)


def test_what_was_found_is_moved_along_directions_without_a_new_search() -> None:
    study = Fake(convolutions())
    plain = ask(study)
    count = study.decoded
    first = Direction("taller", (1.0, 0, 0, 0, 0, 0), "z", 1.5)
    second = Direction("wider", (0, 0.6, 0.8, 0, 0, 0), "z", -2.0)
    idle = Direction("idle", (0, 0, 0, 0, 0, 1.0), "z", 0.0)
    frames = ask(study, directions=(first, idle, second))
    assert study.decoded == count + 4
    assert len(frames) == len(plain) + 1
    assert {frame.total for frame in frames} == {len(frames)}
    assert all(np.array_equal(a.images, b.images) for a, b in zip(plain, frames, strict=False))
    last = frames[-1]
    assert last.heads == ("found", "taller +1.5 σ", "wider -2.0 σ", "all")
    np.testing.assert_allclose(last.images[0], plain[-1].images[0], atol=1e-5)
    with torch.no_grad():
        _, w = study._kept["inverted"][2]  # type: ignore[index]
        vector = torch.tensor([first.vector])
        moved = study.decode_w(w + 1.5 * study.typical_size(vector)[:, None] * vector)
    np.testing.assert_allclose(last.images[1, :, :, 0], moved[0, 0].numpy(), atol=1e-5)

    count = study.decoded
    dragged = ask(study, dragging=True, directions=(first.moved(2.0), second))
    assert [frame.index for frame in dragged] == [len(frames) - 2, len(frames) - 1]  # the end alone
    assert study.decoded == count + 4
    with torch.no_grad():
        next(study.net.parameters()).mul_(1.01)
    ask(study)
    assert study.decoded > count + 300


def test_a_dragging_hand_waits_less() -> None:
    study = Fake(convolutions())
    settled = len(ask(study, steps=100))
    whole = study.decoded
    dragged = ask(study, item="held_out:1", steps=100, dragging=True)
    assert len(dragged) < settled
    assert study.decoded - whole < 0.6 * whole


def test_other_spaces_and_what_they_can() -> None:
    study = Mapped(convolutions())
    with torch.no_grad():
        study.source.held_out[0] = study.decode_layers(4 * study.to_w(study.seeded(1, 2))[None])[0]
    ends = {space: ask(study, space=space, steps=50) for space in ("w", "z", "w+")}
    reached = {space: frames[-1].readings["PSNR, dB"] for space, frames in ends.items()}
    assert reached["w+"] >= 35  # a picture of two codes, which none makes by itself
    assert max(reached["w"], reached["z"]) < 30
    assert [list(frames[0].readings)[2] for frames in ends.values()] == ["‖w‖/√d", "‖z‖/√d", "‖w+‖/√d"]
    own = ask(study, item="seed:3", space="z")
    assert own[-1].readings["PSNR, dB"] >= 35
    assert float(own[-1].caption.rpartition("= ")[2]) < 1e-2  # told in w, whatever was searched in
    for space in ("z", "w+"):
        frames = ask(
            study, space=space, steps=10, refined=2, directions=(Direction("up", (1.0, 0, 0, 0, 0, 0), "w", 1.0),)
        )
        np.testing.assert_allclose(frames[-1].images[0], frames[-2].images[0], atol=1e-5)
        assert np.abs(frames[-1].images[1] - frames[-1].images[0]).max() > 0.01


def test_a_study_is_offered_what_it_can() -> None:
    class Plain(Fake):
        pass

    plain, mapped = ({p.name: p for p in probes_of(kind)}["invert"] for kind in (Plain, Mapped))
    assert not {"space", "compare"} & set(plain.controls)
    assert list(mapped.controls)[:3] == ["item", "space", "compare"]
    assert set(mapped.controls) - set(plain.controls) == {"space", "compare"}
    space, compare = mapped.controls["space"], mapped.controls["compare"]
    assert isinstance(space, Choice)
    assert isinstance(compare, Choice)
    assert space.options == ("w", "z", "w+")
    assert compare.options == ("pixels", "features", "both")
    assert mapped.text == plain.text


def test_features_are_what_is_compared() -> None:
    """Features that see averages of 2 x 2 pixels only: those come nearer than pixels bring them."""
    study = Mapped(convolutions())

    def coarse_error(compare: str) -> float:
        images = ask(study, compare=compare, steps=30, refined=8)[-1].images
        blocks = (images[1] - images[0]).reshape(SIDE // 2, 2, SIDE // 2, 2).mean((1, 3))
        return float(np.square(blocks).mean())

    assert coarse_error("features") < coarse_error("pixels")


def test_what_cannot_be_searched_is_said_in_one_line() -> None:
    study = Fake(convolutions())
    with pytest.raises(BadValue, match=r"^mask: nothing is left"):
        ask(study, "inpaint_code", mask="f" * 256)
    with torch.no_grad():
        next(study.net.parameters()).fill_(math.nan)
    with pytest.raises(BadValue, match=r"training has diverged"):
        ask(study, steps=10)


def test_a_short_search_serves_other_probes() -> None:
    study = Fake(convolutions())
    with torch.no_grad():
        x = study.decode_w(study.seeded(11))
        study.source.held_out[2] = x[0]
        *shares, w = study.w_of("held_out:2")
        assert all(isinstance(share, float) for share in shares)
        assert shares == sorted(shares)
        assert isinstance(w, Tensor)
        assert w.shape == (1, D)
        assert psnr(study.decode_w(w), x) >= 35
        count = study.decoded
        assert torch.equal(list(study.w_of("held_out:2"))[-1], w)  # type: ignore[arg-type]
        assert study.decoded == count  # kept


def test_an_encoders_answer_is_one_of_the_starts() -> None:
    class Encoded(Fake):
        def encode_w(self, x: Tensor) -> Tensor:
            return self.seeded(4)

    study = Encoded(convolutions())
    first = ask(study, item="seed:4", starts=1)[0]
    assert first.readings["PSNR, dB"] == 100.0


def test_the_hidden_part_is_made_to_fit() -> None:
    study = Fake(convolutions())
    with torch.no_grad():
        x = study.decode_w(study.seeded(6))
    study.source.held_out[0], study.source.held_out[1] = x[0], x[0]
    study.source.held_out[1, :, :, : SIDE // 2] = 0.9  # behind the mask: nobody may look
    frames = ask(study, "inpaint_code")
    other = ask(study, "inpaint_code", item="held_out:1")
    last = frames[-1]
    assert last.panels == ("found", "pasted", "given")
    found, pasted, given = np.split(last.images[..., 0], 3)
    picture = x[0, 0].numpy()
    np.testing.assert_array_equal(pasted[:, :, SIDE // 2 :], np.repeat(picture[None, :, SIDE // 2 :], 3, 0))
    np.testing.assert_array_equal(pasted[:, :, : SIDE // 2], found[:, :, : SIDE // 2])
    assert (given[:, :, : SIDE // 2] == 0.5).all()
    np.testing.assert_array_equal(other[-1].images[:3], last.images[:3])
    errors = np.square(found - picture).mean((1, 2))
    assert -10 * math.log10(errors.min()) >= 35  # one way at least is the picture itself, hidden part and all
    assert last.readings["PSNR of what is seen, dB"] >= 35
    assert [frame.index for frame in frames] == list(range(frames[0].total))


def test_a_prior_holds_the_code() -> None:
    study = Fake(convolutions())
    sizes = [ask(study, prior=prior, steps=20, refined=6)[-1].readings["‖z‖/√d"] for prior in (1e-6, 1e-2, 1e-1)]
    assert sizes[0] > sizes[1] > sizes[2]


def test_looks_count_all_steps() -> None:
    study = Fake(convolutions())
    from engine.nn.generator.inversion import Wanted

    with torch.no_grad():
        looks = [part for part in study._found(Items().item("held_out:0"), Wanted(steps=12, refined=3))
                 if isinstance(part, Look)]  # fmt: skip
    assert [look.done for look in looks] == list(range(16))
