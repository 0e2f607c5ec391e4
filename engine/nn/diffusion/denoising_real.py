"""Probes of denoising that begin with real pictures: noised, encoded and mixed, painted over; and the samples' paths.

A mixin on top of :class:`~engine.nn.diffusion.denoising.Denoising`; knows no study. Sources: Song et al. 2021
(inversion), Lugmayr et al. 2022 (inpainting with resampling).
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from engine.nn.diffusion.denoising import (
    DRAG_STEPS,
    ETA,
    GUIDANCE,
    LABEL,
    SAMPLER,
    SEED,
    STEPS,
    WEIGHTS,
    Denoising,
    SeededNoise,
)
from engine.nn.diffusion.noising import Look
from engine.nn.diffusion.samplers import DDPM, SAMPLERS, State, inverting
from engine.nn.gaussian import slerp
from engine.nn.pictures import array, pictures
from engine.payloads import Frames, ImageGrid, Plane, PlaneFrames
from engine.probes import NO_CLASS, Item, Label, Mask, Number, Seed, Steps, mask_cells, probe

BACKDROP = 300
"""Held-out pictures that are drawn behind the samples' paths."""


class DenoisingReal(Denoising):
    """Further probes; needs the same of the study as its base."""

    @probe(
        ImageGrid,
        title="Forward process",
        refresh=2.0,
        item=Item("held_out:0", text="The picture that is noised: pick a thumbnail or drop an image file."),
        t=Number(0.4, 0.0, 1.0, label="t", text="How far towards noise: 0 the picture, 1 noise alone."),
        label=Label(default=NO_CLASS, label="class", text="Which class the network is told."),
        seed=Seed(text="Chooses the noise."),
        weights=WEIGHTS,
    )
    def forward_process(self, item: str, t: float, label: int, seed: int, weights: str) -> ImageGrid:
        """A real picture, noise, their mixture at t, and the picture that the network still sees in it."""
        x0 = self.from_images(self.source.item(item))
        eps = SeededNoise(1, self.space, seed, self.device)()
        alpha, sigma = self.noising.levels(t)
        x = self.noising.noised(x0, eps, t)
        said = self.look(x, t, self.classes_of(label, 1), 0.0, weights) if sigma else Look(x0, torch.zeros_like(x0))
        error = float((said.x0 - x0).square().mean())
        shown = [self.to_pictures(v) for v in (x0, eps, x, said.x0)]
        ratio = f"{(alpha / sigma) ** 2:.3g}" if sigma else "∞"
        return ImageGrid(
            np.concatenate(shown),
            columns=4,
            heads=("x₀", "ε", "x_t", "x̂₀"),
            caption=f"α = {alpha:.3f}   ᾱ = α² = {alpha * alpha:.3f}   σ = {sigma:.3f}   SNR = {ratio}"
            f"   ‖x̂₀ − x₀‖²/d = {error:.3f}",
        )

    @probe(
        Frames,
        title="Encode and mix",
        a=Item("held_out:0", text="The picture where the path begins."),
        b=Item("held_out:1", text="The picture where the path ends."),
        between=Number(8, 3, 16, text="How many pictures the path has, ends included."),
        steps=Steps(30, 2, 500, text="How many steps lead to noise, and as many back."),
        label=Label(default=NO_CLASS, label="class", text="Which class the network is told, there and back."),
        weights=WEIGHTS,
    )
    def encode(self, a: str, b: str, between: int, steps: int, label: int, weights: str) -> Iterator[Frames]:
        """Two real pictures are run backwards into the noise that would make them, the noise between them is taken
        along an arc, and all of it is denoised."""
        times = self.noising.times(steps)
        ends = self.from_images(torch.cat([self.source.item(a), self.source.item(b)]))
        y = self.classes_of(label, between)
        total = 2 * len(times) - 1
        gap = ends.new_zeros(between - 2, *ends.shape[1:])

        def frame(state: State, index: int, way: str) -> Frames:
            x, x0 = (
                (torch.cat([v[:1], gap, v[1:]]) if len(v) == 2 else v) for v in (state.x, state.look.x0)
            )  # on the way to noise there are only the ends
            return Frames(
                np.concatenate([self.to_pictures(x), self.to_pictures(x0)]),
                index=index,
                total=total,
                columns=between,
                panels=("x_t", "x̂₀"),
                caption=f"{way}   {self.caption(state)}",
                readings={"‖x_t‖/√d": float(state.x.square().mean().sqrt())},
            )

        look = lambda x, t: self.look(x, t, y[: len(x)], 0.0, weights)  # noqa: E731
        for state in inverting(self.noising, ends, times[::-1], look):
            if state.index < len(times) - 1:
                yield frame(state, state.index, "encoding")
        one, other = state.x.flatten(1)
        arc = [slerp(one, other, i / (between - 1)) for i in range(between)]
        z = torch.stack(arc).view(between, *self.space)
        x = z
        tool = SAMPLERS["DDIM"](self.noising)
        for i, t in enumerate(times):
            said = look(x, t) if i < len(times) - 1 else Look(x, torch.zeros_like(x))
            yield frame(State(i, t, x, said), len(times) - 1 + i, "decoding")
            if i < len(times) - 1:
                x = tool.step(x, said, t, times[i + 1], look, lambda: torch.zeros_like(z))

    @probe(
        Frames,
        title="Inpaint",
        item=Item("held_out:0", text="The picture that is painted over: pick a thumbnail or drop an image file."),
        mask=Mask(text="Paint where the picture is to be made anew."),
        resample=Number(3, 1, 10, text="How often each step is gone back and taken again, so that new and old agree."),
        steps=STEPS,
        label=Label(default=NO_CLASS, label="class", text="Which class the network is told."),
        guidance=GUIDANCE,
        count=Number(5, 1, 32, text="How many ways of filling it are made."),
        seed=SEED,
        weights=WEIGHTS,
    )
    def inpaint(
        self,
        item: str,
        mask: str,
        resample: int,
        steps: int,
        label: int,
        guidance: float,
        count: int,
        seed: int,
        weights: str,
    ) -> Iterator[float | Frames]:
        """The painted part is made anew to fit the rest: at each step the rest is put back, at the noise of that
        step."""
        picture = self.source.item(item)
        known = self.from_images(picture).expand(count, *self.space)
        cells = torch.tensor(mask_cells(mask), dtype=torch.float32, device=self.device)[None, None]
        new = (F.interpolate(cells, size=self.space[1:], mode="area") >= 0.5).float()  # 1 where it is made anew
        whole = (F.interpolate(cells, size=picture.shape[2:], mode="area") >= 0.5).float()
        given = pictures(picture * (1 - whole) + 0.5 * whole).repeat(count, 0)
        noise = SeededNoise(count, self.space, seed, self.device)
        y = self.classes_of(label, count)
        tool = DDPM(self.noising)
        times = self.noising.times(steps)
        look = lambda x, t: self.look(x, t, y, guidance, weights)  # noqa: E731
        x = noise()
        for i, t in enumerate(times):
            said = look(x, t) if i < len(times) - 1 else Look(x, torch.zeros_like(x))
            state = State(i, t, x, said)
            seen = [self.to_pictures(x), self.to_pictures(said.x0 * new + known * (1 - new)), given]
            yield Frames(
                np.concatenate(seen),
                index=i,
                total=len(times),
                panels=("x_t", "x̂₀", "given"),
                caption=self.caption(state),
                readings={"misfit": float(((said.x0 - known) * (1 - new)).square().mean().sqrt())},
            )
            if i == len(times) - 1:
                return
            s = times[i + 1]
            for again in range(resample):
                if again:
                    yield (i + again / resample) / len(times)
                    x = self._back(x, s, t, noise())
                    said = look(x, t)
                made = tool.step(x, said, t, s, look, noise)
                x = made * new + self.noising.noised(known, noise(), s) * (1 - new)
                if s == 0:
                    break  # there is no noise left to take again

    def _back(self, x: Tensor, s: float, t: float, eps: Tensor) -> Tensor:
        """A draw from q(x_t | x_s)."""
        (alpha_s, sigma_s), (alpha_t, sigma_t) = self.noising.levels(s), self.noising.levels(t)
        ratio = alpha_t / alpha_s
        return ratio * x + math.sqrt(max(0.0, sigma_t**2 - ratio**2 * sigma_s**2)) * eps

    @probe(
        PlaneFrames,
        title="Trajectories",
        sampler=SAMPLER,
        steps=STEPS,
        guidance=GUIDANCE,
        label=LABEL,
        eta=ETA,
        count=Number(40, 2, 200, text="How many samples' paths are drawn."),
        seed=SEED,
        weights=WEIGHTS,
    )
    def trajectories(
        self, sampler: str, steps: int, guidance: float, label: int, eta: float, count: int, seed: int, weights: str
    ) -> Iterator[float | PlaneFrames]:
        """The paths from noise to picture in the plane of the two directions in which the samples' paths differ most;
        real pictures lie behind them."""
        if self.dragging:
            steps = min(steps, DRAG_STEPS)
        noise = SeededNoise(count, self.space, seed, self.device)
        y = self.classes_of(label, count)
        total = len(self.noising.times(steps))
        states: list[Tensor] = []
        for state in self.run(SAMPLERS[sampler](self.noising, eta), noise, steps, y, guidance, weights):
            states.append(state.x.flatten(1))
            yield 0.95 * (state.index + 1) / total
        path = torch.stack(states, 1)  # (N, T, d)
        centre, basis = principal_plane(path[:, -1])
        trails = array((path - centre) @ basis)
        real = self.from_images(self.source.held_out[:BACKDROP].float() / 255)
        backdrop = array((real.flatten(1) - centre) @ basis)
        ends = np.concatenate([trails.reshape(-1, 2), backdrop])
        low, high = ends.min(0), ends.max(0)
        margin = 0.05 * (high - low).max()
        extent = (float(low[0] - margin), float(high[0] + margin), float(low[1] - margin), float(high[1] + margin))
        labels = y.cpu().numpy().astype(np.int64) if self.classes else None
        length = np.linalg.norm(np.diff(array(path), axis=1), axis=2).sum(1)
        apart = np.linalg.norm(array(path[:, -1] - path[:, 0]), axis=1)
        # A network that says nothing yet leaves the samples where they are: no way at all is a straight one.
        straight = float(np.divide(length, apart, out=np.ones_like(length), where=apart > 0).mean())
        for i, x in enumerate(states):
            shown = self.to_pictures(x.view(count, *self.space))
            plane = Plane(
                extent,
                trails=trails[:, : i + 1],
                points=trails[:, i],
                labels=labels,
                backdrop=backdrop,
                thumbs=(shown * 255).round().astype(np.uint8),
                axes=("PC 1", "PC 2"),
            )
            yield PlaneFrames(
                (plane,),
                index=i,
                total=total,
                caption=f"length of a path / distance between its ends: {straight:.3f}",
                readings={"spread": float(x.std(0).mean())},
            )


def principal_plane(x: Tensor) -> tuple[Tensor, Tensor]:
    """The mean of (N, d) and its two principal components (d, 2), each with its largest entry positive."""
    centre = x.mean(0)
    _, _, v = torch.linalg.svd(x - centre, full_matrices=False)
    basis = v[:2]
    if len(basis) < 2:
        basis = torch.cat([basis, torch.zeros_like(basis)])
    basis = basis * torch.where(basis.gather(1, basis.abs().argmax(1, keepdim=True)) < 0, -1.0, 1.0)
    return centre, basis.T
