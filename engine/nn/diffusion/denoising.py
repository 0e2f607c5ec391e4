"""What all studies that turn noise into pictures have in common: noise, guidance, and the probes that show the steps.

A mixin that knows a network only through :meth:`Denoising.predict` and the space it works in only through
``decoded`` and ``from_images``. The probes that begin with a real picture are in ``denoising_real``.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from engine.data.tensors import ImageTensors
from engine.machine import fast_bf16
from engine.nn.average import Average, MeanOverTime
from engine.nn.diffusion.noising import Look, Noising, clipped, guided, look_of
from engine.nn.diffusion.samplers import SAMPLERS, Sampler, State, sampling
from engine.nn.pictures import pictures
from engine.params import BadValue
from engine.payloads import Curves, Frames, ImageGrid
from engine.probes import EVERY_CLASS, NO_CLASS, Choice, Label, Number, Seed, Steps, probe

SAMPLER = Choice(tuple(SAMPLERS), label="sampler", text="How a step is taken from what the network says.")
STEPS = Steps(30, 1, 1000, log=True, text="How many steps lead from noise to picture: more is finer and slower.")
ETA = Number(
    0.0, 0.0, 1.0, label="η", text="How much of the noise DDIM removes it puts back afresh: 0 none, 1 as DDPM."
)
GUIDANCE = Number(
    1.0, 0.0, 10.0, label="w", text="Guidance: how far beyond the class's own prediction, away from that of no class."
)
LABEL = Label(label="class", text="Which class the network is asked for.")
SEED = Seed(text="Chooses the noise that it begins with.")
WEIGHTS = Choice(
    ("EMA", "raw"), label="weights", text="The running average of the weights, or the weights of this step."
)
CHUNK = 64
"""Samples that go through the network at once: more take longer than a hand waits."""
GUIDANCES = (0.0, 0.5, 1.0, 2.0, 4.0)
STEP_COUNTS = (2, 5, 10, 20, 50)
DRAG_STEPS = 6


class SeededNoise:
    """Standard normal noise, one random generator per sample: a sample does not depend on how many others there are,
    nor on when it is computed. Each call gives the next (count, *shape)."""

    def __init__(self, count: int, shape: Sequence[int], seed: int, device: torch.device, first: int = 0) -> None:
        self._generators = [torch.Generator().manual_seed(seed + 7919 * i) for i in range(first, first + count)]
        self._shape = tuple(shape)
        self._device = device

    def __call__(self) -> Tensor:
        drawn = [torch.randn(self._shape, generator=g) for g in self._generators]
        return torch.stack(drawn).to(self._device)


class Denoising:
    """Needs from the study: ``net``, ``average``, ``noising``, ``over_time``, ``kind``, knobs ``precision`` ...; for
    another space than pixels also ``space``, ``bound``, ``decoded`` and ``from_images``."""

    p: Any
    source: ImageTensors
    device: torch.device
    dragging: bool
    net: nn.Module
    average: Average
    over_time: MeanOverTime
    noising: Noising

    @property
    def kind(self) -> str:
        """What the network predicts, one of :data:`engine.nn.diffusion.noising.TARGETS`."""
        raise NotImplementedError

    # ---- the space ----

    @property
    def space(self) -> tuple[int, int, int]:
        """The shape (C, H, W) of x."""
        return self.source.shape

    @property
    def bound(self) -> float | None:
        """Within +- this the data lies; None where that is not known."""
        return 1.0

    @property
    def remark(self) -> str:
        """What should be known of the weights before what they make is looked at; mostly nothing."""
        return ""

    @property
    def classes(self) -> int:
        return len(self.source.label_names)

    def from_images(self, images: Tensor) -> Tensor:
        """Pictures (N, C, H, W) in 0..1 as x."""
        return images * 2 - 1

    def decoded(self, x: Tensor) -> Tensor:
        """x as pictures (N, C, H, W), about 0..1."""
        return (x + 1) / 2

    def to_pictures(self, x: Tensor) -> np.ndarray:
        """x as float32 (N, H, W, C) in 0..1."""
        return pictures(self.decoded(x))

    def noise_pictures(self, look: Look) -> np.ndarray:
        """The predicted noise, or velocity where the network predicts one; grey is 0."""
        said = look.eps - look.x0 if self.kind == "velocity" else look.eps
        return pictures(0.5 + said / 6)

    @property
    def noise_name(self) -> str:
        return "v̂" if self.kind == "velocity" else "ε̂"

    # ---- the network ----

    def autocast(self) -> torch.autocast:
        """bfloat16 for the heavy parts, where that is faster and the knob allows it."""
        wanted = self.p.precision == "auto" and fast_bf16(self.device)
        return torch.autocast(self.device.type, torch.bfloat16, enabled=wanted)

    def predict(self, net: nn.Module, x: Tensor, t: float, y: Tensor) -> Look:
        """What ``net`` says of ``x`` (B, C, H, W) at t for classes (B,)."""
        alpha, sigma = self.noising.levels(t)
        with self.autocast():
            said = net(x, torch.full((len(x),), t, device=x.device), y).float()
        return look_of(self.kind, said, x, alpha, sigma)

    def look(self, x: Tensor, t: float, y: Tensor, w: float | Tensor, weights: str) -> Look:
        """The guided prediction, its data kept within the bound. ``w`` is a number, or one for each sample (B,)."""
        net = self.average.net if weights == "EMA" else self.net
        nobody = torch.full_like(y, self.classes)
        strength = torch.as_tensor(w, dtype=x.dtype, device=x.device).reshape(-1, *[1] * (x.dim() - 1))
        if bool((y == nobody).all()) or not bool(strength.any()):
            found = self.predict(net, x, t, y)
        else:
            both = self.predict(net, torch.cat([x, x]), t, torch.cat([y, nobody]))
            (x0, x0_free), (eps, eps_free) = both.x0.chunk(2), both.eps.chunk(2)
            found = guided(Look(x0, eps), Look(x0_free, eps_free), strength)
        if self.bound is None:
            return found
        return clipped(found, x, *self.noising.levels(t), self.bound)

    def classes_of(self, label: int, count: int) -> Tensor:
        """The class of each of ``count`` samples, (count,): BadValue where the data has no such class."""
        if label == NO_CLASS or not self.classes:
            return torch.full((count,), self.classes, device=self.device)
        if label == EVERY_CLASS:
            return torch.arange(count, device=self.device) % self.classes
        if label >= self.classes:
            raise BadValue(f"class: there is no number {label}; the data has {self.classes}, numbered from 0")
        return torch.full((count,), label, device=self.device)

    def run(
        self, sampler: Sampler, noise: SeededNoise, steps: int, y: Tensor, w: float | Tensor, weights: str
    ) -> Iterator[State]:
        """Sampling from noise on."""
        times = self.noising.times(steps)
        return sampling(sampler, noise(), times, lambda x, t: self.look(x, t, y, w, weights), noise)

    def readings(self, state: State) -> dict[str, float]:
        """Root mean squares of x and of what is predicted, and the signal-to-noise ratio (alpha / sigma)^2 in decibels,
        within +-40."""
        alpha, sigma = self.noising.levels(state.t)
        said = {"x̂₀": state.look.x0, "ε̂": state.look.eps}
        size = {"x_t": state.x, **said}
        ratio = 20 * math.log10(max(alpha, 1e-2) / max(sigma, 1e-2))
        return {f"‖{name}‖/√d": float(v.square().mean().sqrt()) for name, v in size.items()} | {"SNR, dB": ratio}

    def caption(self, state: State) -> str:
        alpha, sigma = self.noising.levels(state.t)
        said = f"t = {state.t:.3f}   α = {alpha:.3f}   σ = {sigma:.3f}"
        return f"{said}   {self.remark}" if self.remark else said

    # ---- probes ----

    @probe(
        ImageGrid,
        title="Samples",
        refresh=5.0,
        count=Number(20, 1, 2000, text="How many pictures are made."),
        seed=SEED,
        label=LABEL,
        sampler=SAMPLER,
        steps=Steps(15, 1, 1000, log=True, text=STEPS.text),
        guidance=GUIDANCE,
        eta=ETA,
        weights=WEIGHTS,
    )
    def samples(
        self, count: int, seed: int, label: int, sampler: str, steps: int, guidance: float, eta: float, weights: str
    ) -> Iterator[float | ImageGrid]:
        """New pictures: noise, denoised."""
        if self.dragging:
            steps = min(steps, DRAG_STEPS)
        y = self.classes_of(label, count)
        made = []
        total = -(-count // CHUNK) * (len(self.noising.times(steps)) - 1)
        done = 0
        for first in range(0, count, CHUNK):
            size = min(CHUNK, count - first)
            noise = SeededNoise(size, self.space, seed, self.device, first)
            tool = SAMPLERS[sampler](self.noising, eta)
            for state in self.run(tool, noise, steps, y[first : first + size], guidance, weights):
                if state.t > 0:
                    done += 1
                    yield done / total
            made.append(self.to_pictures(state.x))
        asked = y.cpu().numpy().astype(np.int64)
        named = asked if label != NO_CLASS and self.classes else None
        yield ImageGrid(np.concatenate(made), labels=named, caption=self.remark)

    @probe(
        Frames,
        title="Denoise",
        sampler=SAMPLER,
        steps=STEPS,
        guidance=GUIDANCE,
        label=LABEL,
        eta=ETA,
        count=Number(10, 1, 64, text="How many samples are made at once."),
        seed=SEED,
        weights=WEIGHTS,
    )
    def denoise(
        self, sampler: str, steps: int, guidance: float, label: int, eta: float, count: int, seed: int, weights: str
    ) -> Iterator[Frames]:
        """Noise becomes pictures, a step at a time: where it is, which picture the network sees in it, and which noise
        it would take away."""
        noise = SeededNoise(count, self.space, seed, self.device)
        y = self.classes_of(label, count)
        total = len(self.noising.times(steps))
        for state in self.run(SAMPLERS[sampler](self.noising, eta), noise, steps, y, guidance, weights):
            seen = [self.to_pictures(state.x), self.to_pictures(state.look.x0), self.noise_pictures(state.look)]
            yield Frames(
                np.concatenate(seen),
                index=state.index,
                total=total,
                panels=("x_t", "x̂₀", self.noise_name),
                caption=self.caption(state),
                readings=self.readings(state),
            )

    @probe(
        Frames,
        title="Branch",
        at=Number(0.5, 0.0, 1.0, label="branch at", text="How far along the way it leaves: 0 at once, 1 at the end."),
        change=Choice(("class", "noise", "guidance"), text="What is different after it."),
        other=Label(label="other class", text="The class after the branch; “every class in turn” takes the next one."),
        other_guidance=Number(4.0, 0.0, 10.0, label="other w", text="The guidance after the branch."),
        sampler=SAMPLER,
        steps=STEPS,
        guidance=GUIDANCE,
        label=LABEL,
        eta=ETA,
        count=Number(5, 1, 32, text="How many samples are made at once."),
        seed=SEED,
        weights=WEIGHTS,
    )  # fmt: skip
    def branch(
        self,
        at: float,
        change: str,
        other: int,
        other_guidance: float,
        sampler: str,
        steps: int,
        guidance: float,
        label: int,
        eta: float,
        count: int,
        seed: int,
        weights: str,
    ) -> Iterator[Frames]:
        """One past, two futures: from the branch on, one thing is different below."""
        times = self.noising.times(steps)
        k = min(round(at * (len(times) - 1)), len(times) - 2)
        noise = SeededNoise(count, self.space, seed, self.device)
        y = self.classes_of(label, count)
        other_y = (y + 1) % max(1, self.classes) if other == EVERY_CLASS else self.classes_of(other, count)
        tool = SAMPLERS[sampler](self.noising, eta)
        past = sampling(tool, noise(), times, lambda x, t: self.look(x, t, y, guidance, weights), noise)
        for state in past:
            if state.index == k:
                break
            yield self._futures(state, state, times, k)
        x, second, y_after, w_after = state.x, copy.copy(tool), y, guidance
        if change == "noise":
            x = self.noising.noised(state.look.x0, SeededNoise(count, self.space, seed + 1, self.device)(), times[k])
        elif change == "class":
            y_after = other_y
        else:
            w_after = other_guidance
        again = copy.deepcopy(noise)
        future = sampling(second, x, times[k:], lambda x, t: self.look(x, t, y_after, w_after, weights), again)
        yield self._futures(state, next(future), times, k)
        for mine in past:
            yield self._futures(mine, next(future), times, k)

    def _futures(self, above: State, below: State, times: Sequence[float], k: int) -> Frames:
        seen = [self.to_pictures(v) for v in (above.x, above.look.x0, below.x, below.look.x0)]
        names = ("x_t", "x̂₀", "x_t after the branch", "x̂₀ after the branch")
        return Frames(
            np.concatenate(seen),
            index=above.index,
            total=len(times),
            panels=names,
            caption=self.caption(above) + ("   the same past" if above.index < k else "   two futures"),
            readings={"‖difference‖/√d": float((above.x - below.x).square().mean().sqrt())},
        )

    @probe(
        Frames,
        title="Grid",
        across=Choice(("sampler", "steps"), text="What differs from column to column."),
        sampler=SAMPLER,
        steps=STEPS,
        label=Label(default=0, label="class", text="Which class the network is asked for."),
        eta=ETA,
        seed=SEED,
        weights=WEIGHTS,
    )
    def grid(
        self, across: str, sampler: str, steps: int, label: int, eta: float, seed: int, weights: str
    ) -> Iterator[float | Frames]:
        """The same noise, denoised in every way: guidance w from row to row, sampler or number of steps from column to
        column."""
        columns: list[tuple[str, str, int]] = [(name, name, steps) for name in SAMPLERS]
        if across == "steps":
            columns = [(str(n), sampler, n) for n in STEP_COUNTS]
        y = self.classes_of(label, 1).repeat(len(GUIDANCES))
        w = torch.tensor(GUIDANCES, device=self.device)
        c, h, width = self.space
        empty = self.to_pictures(torch.zeros(len(GUIDANCES), c, h, width, device=self.device))
        cells = np.repeat(empty[:, None], len(columns), 1)
        for i, (_, name, n) in enumerate(columns):
            single = SeededNoise(1, self.space, seed, self.device)
            times = self.noising.times(n)
            start = single().repeat(len(GUIDANCES), 1, 1, 1)
            tool = SAMPLERS[name](self.noising, eta)
            fresh = _Repeated(single, len(GUIDANCES))
            for state in sampling(tool, start, times, lambda x, t: self.look(x, t, y, w, weights), fresh):
                if state.t > 0:
                    yield (i + state.index / len(times)) / len(columns)
            cells[:, i] = self.to_pictures(state.x)
            yield Frames(
                cells.reshape(-1, *cells.shape[2:]).copy(),
                index=i,
                total=len(columns),
                columns=len(columns),
                rows=tuple(f"w = {g:g}" for g in GUIDANCES),
                heads=tuple(head for head, _, _ in columns),
                caption=f"{i + 1} of {len(columns)} columns",
            )

    @probe(Curves, title="Loss over t", refresh=1.0)
    def loss_over_t(self) -> Curves:
        """How hard each noise level is: the training loss by t, over the last few hundred steps."""
        x, mean = self.over_time.curve()
        return Curves(x, {"loss": mean}, "t", "loss")


class _Repeated:
    """The noise of one sample, the same for ``count`` of them."""

    def __init__(self, noise: SeededNoise, count: int) -> None:
        self._noise = noise
        self._count = count

    def __call__(self) -> Tensor:
        one = self._noise()
        return one.repeat(self._count, *[1] * (one.dim() - 1))
