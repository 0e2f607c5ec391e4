"""The probes that every model with an encoder and a decoder answers alike. Knows no loss and no network.

A study mixes in :class:`LatentProbes` and says how to encode and decode; the questions are then the same for all. What
needs no encoder is asked of every generator, in :mod:`engine.nn.generator`.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from engine.nn.gaussian import slerp
from engine.nn.generator.gathered import GeneratorProbes
from engine.nn.generator.generator import weights_state
from engine.nn.generator.sliders import SliderProbes
from engine.nn.pictures import array, pictures
from engine.payloads import Bars, Frames, ImageGrid, LatentMap
from engine.probes import Choice, Hint, Item, Number, Seed, Steps, probe

MAP_POINTS = 2000
HINT_ITEMS = 500
ENCODE_BATCH = 500
BY_ACTIVITY = Choice(("most active first", "as numbered"), text="The order of the bars.")


class NotFinite(ArithmeticError):
    """The network answers with numbers that are not finite; the message is one line for the person."""


class EncoderProbes(SliderProbes):
    """The probes that need the encoder, on top of the sliders; see :class:`LatentProbes`."""

    _measured: tuple[int, Tensor, Tensor] | None = None
    """The codes that were measured last, and the state of the weights then."""

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(B, C, H, W) -> mean and standard deviation of the code, (B, d) each; zeros where the code is certain."""
        raise NotImplementedError

    def decode_images(self, z: Tensor) -> Tensor:
        """(B, d) -> pictures (B, C, H, W) in 0..1."""
        raise NotImplementedError

    def activity(self, mean: Tensor, sigma: Tensor) -> tuple[Tensor, str]:
        """How much each dimension says of the image, (d,), and the name of that number."""
        raise NotImplementedError

    # ---- as a generator ----

    def decode_w(self, w: Tensor) -> Tensor:
        return self.decode_images(w)

    def encode_w(self, x: Tensor) -> Tensor:
        return self.encode(x)[0]

    # ---- shared ----

    def codes(self, count: int) -> tuple[Tensor, Tensor]:
        """Codes of the first ``count`` held-out items: mean and standard deviation, (N, d) each.

        They are kept until the weights change, and while a hand drags even a little longer: what is decoded follows
        the hand, what is only measured may be a moment old. :class:`NotFinite` if training has diverged.
        """
        count = min(count, len(self.source.held_out))
        kept = self._measured
        if kept is None or len(kept[1]) < count or not (self.dragging or kept[0] == weights_state(self)):
            kept = self._measure(count)
        return kept[1][:count], kept[2][:count]

    def _measure(self, count: int) -> tuple[int, Tensor, Tensor]:
        starts = range(0, count, ENCODE_BATCH)
        batches = [self.encode(self.source.held_out_batch(at, min(ENCODE_BATCH, count - at)).x) for at in starts]
        mean, sigma = torch.cat([m for m, _ in batches]), torch.cat([s for _, s in batches])
        if not bool(torch.isfinite(mean).all() and torch.isfinite(sigma).all()):
            raise NotFinite("the encoder's codes are not finite numbers: training has diverged")
        self._measured = (weights_state(self), mean, sigma)
        return self._measured

    def hints(self) -> dict[str, Hint]:
        mean, sigma = self.codes(HINT_ITEMS)
        activity, name = self.activity(mean, sigma)
        spread = (mean.var(0, correction=0) + sigma.square().mean(0)).sqrt().clamp(min=1e-3)
        order = torch.argsort(activity, descending=True, stable=True)
        return {
            "z": Hint(
                order=tuple(order.tolist()),
                spread=tuple(spread.tolist()),
                mean=tuple(mean.mean(0).tolist()),
                activity=tuple(activity.tolist()),
                activity_name=name,
            )
        }

    # ---- probes ----

    @probe(
        ImageGrid,
        title="Reconstructions",
        refresh=0.5,
        count=Number(10, 2, 40, text="How many held-out images are shown."),
        seed=Seed(text="Chooses which held-out images are shown."),
    )
    def reconstructions(self, count: int, seed: int) -> ImageGrid:
        """Held-out images above, what comes back through the code below."""
        generator = torch.Generator().manual_seed(seed)
        pick = torch.randperm(len(self.source.held_out), generator=generator)[:count].to(self.device)
        x = self.source.held_out[pick].float().div_(255)
        rows = {"image": x, **self.reconstruct(x)}
        return ImageGrid(pictures(torch.cat(list(rows.values()))), columns=len(x), rows=tuple(rows))

    def reconstruct(self, x: Tensor) -> dict[str, Tensor]:
        """Row name -> pictures that came back, each as ``x``."""
        return {"decoded": self.decode_images(self.encode(x)[0])}

    @probe(
        Frames,
        title="Interpolation",
        a=Item("held_out:0", codes=True, text="Where the path begins: a thumbnail, an image file or a seed."),
        b=Item("held_out:1", codes=True, text="Where the path ends."),
        method=Choice(("lerp", "slerp"), text="A straight line between the codes, or an arc that keeps their length."),
        steps=Steps(16, 2, 120, text="How many pictures the path has, ends included."),
    )
    def interpolation(self, a: str, b: str, method: str, steps: int) -> Iterator[Frames]:
        """The decoder's pictures along a path between the codes of two images."""
        (za,), (zb,) = (code for reference in (a, b) for code in self.w_of(reference) if not isinstance(code, float))
        for i in range(steps):
            t = i / (steps - 1)
            z = slerp(za, zb, t) if method == "slerp" else torch.lerp(za, zb, t)
            yield Frames(
                pictures(self.decode_images(z[None])),
                index=i,
                total=steps,
                caption=f"t = {t:.2f}",
                readings={"t": t, "‖z‖": float(z.norm())},
            )

    @probe(
        LatentMap,
        title="Latent map",
        refresh=1.0,
        axes=Choice(("most active", "PCA"), text="The plane: the two most active dimensions, or the two widest."),
        tiles=Number(15, 2, 40, text="How many pictures are decoded along each side."),
    )
    def latent_map(self, axes: str, tiles: int) -> LatentMap:
        """Where held-out images lie in the space of codes, with what the decoder makes of each place behind them."""
        mean, sigma = self.codes(MAP_POINTS)
        centre = mean.mean(0)
        d = mean.shape[1]
        if axes == "PCA" and min(mean.shape) > 1:
            _, widths, v = torch.linalg.svd(mean - centre, full_matrices=False)
            # A singular vector's sign is arbitrary: fix it, or the map would flip between two redraws.
            basis = v[:2] * torch.sign(v[:2].gather(1, v[:2].abs().argmax(1, keepdim=True)))
            share = (widths.square() / widths.square().sum().clamp(min=1e-12)).tolist()
            names = (f"1st component, {share[0]:.0%} of the variance", f"2nd component, {share[1]:.0%}")
            origin = centre
        else:
            order = torch.argsort(self.activity(mean, sigma)[0], descending=True, stable=True)
            first, second = int(order[0]), int(order[min(1, d - 1)])
            first, second = min(first, second), max(first, second)  # an even race must not swap the axes
            basis = torch.zeros(2, d, device=mean.device)
            basis[0, first] = 1
            if second != first:
                basis[1, second] = 1
            names = (f"z{first + 1}", f"z{second + 1}")
            origin = centre - basis.T @ (basis @ centre)
        points = (mean - origin) @ basis.T
        lo, hi = points.quantile(0.005, 0), points.quantile(0.995, 0)
        margin = 0.08 * (hi - lo).clamp(min=0.5)
        (u0, v0), (u1, v1) = (lo - margin).tolist(), (hi + margin).tolist()
        n = min(tiles, 8) if self.dragging else tiles
        u = torch.tensor([u0 + (i + 0.5) * (u1 - u0) / n for i in range(n)], device=mean.device)
        v = torch.tensor([v0 + (i + 0.5) * (v1 - v0) / n for i in range(n)], device=mean.device)
        plane = torch.stack([u.repeat(n), v.repeat_interleave(n)], 1)
        decoded = pictures(self.decode_images(origin + plane @ basis))
        count = len(mean)
        return LatentMap(
            points=array(points),
            labels=self.source.held_out_labels[:count].cpu().numpy(),
            label_names=self.source.label_names,
            items=np.arange(count),
            codes=array(mean),
            origin=array(origin),
            basis=array(basis),
            tiles=decoded.reshape(n, n, *decoded.shape[1:]),
            extent=(u0, u1, v0, v1),
            thumbs=self.source.source.held_out.images[:count].copy(),
            axes=names,
        )

    @probe(
        Bars,
        title="Code of an image",
        refresh=0.5,
        item=Item("held_out:0", text="The image that is encoded: pick a thumbnail or drop an image file."),
    )
    def posterior(self, item: str) -> Bars:
        """What the encoder says of one image: a bar per dimension, with its standard deviation where it has one."""
        x = self.source.item(item)
        mean, sigma = self.encode(x)
        names = tuple(f"z{i + 1}" for i in range(mean.shape[1]))
        uncertain = bool((sigma > 0).any())
        return Bars(
            values=array(mean[0]),
            spread=array(sigma[0]) if uncertain else None,
            names=names,
            value_name="μ" if uncertain else "z",
            spread_name="σ" if uncertain else "",
            image=pictures(x)[0],
            control="z",
        )

    def activity_bars(self, order: str) -> Bars:
        """The activity of every dimension over the held-out part, as the probe ``code_activity`` shows it."""
        mean, sigma = self.codes(HINT_ITEMS)
        activity, name = self.activity(mean, sigma)
        ranked = torch.argsort(activity, descending=True, stable=True).tolist()
        places = ranked if order == BY_ACTIVITY.options[0] else range(len(ranked))
        names = tuple(f"z{d + 1}" for d in places)
        return Bars(array(activity[list(places)]), names=names, value_name=name, caption=f"Σ = {activity.sum():.2f}")


class LatentProbes(GeneratorProbes, EncoderProbes):
    """Needs ``encode``, ``decode_images``, ``draw_codes`` and ``activity`` of the study, and ``p.latent``."""
