"""GAN inversion: the probes that look for the code of a given picture, and fill a masked one. Knows no network.

After Zhu et al. 2016 (arXiv:1609.03552), Abdal et al. 2019 (w+, arXiv:1904.03189) and Yeh et al. 2017 (inpainting by a
code, arXiv:1607.07539). What is searched by is :mod:`engine.nn.generator.search`. Not for models that denoise: their
picture takes a dozen passes of the network, and the code of one is found exactly by going the way backwards.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from engine.nn.generator.directions import DirectionProbes
from engine.nn.generator.generator import Generator, weights_state
from engine.nn.generator.search import (
    SCALES,
    Aim,
    Residuals,
    State,
    apart,
    beginnings,
    descend,
    psnr,
    refine,
    refine_in_turn,
)
from engine.nn.pictures import pictures
from engine.params import BadValue
from engine.payloads import Frames
from engine.probes import Choice, Item, Mask, Number, Seed, Steps, mask_cells, probe
from engine.steering import Direction, Directions

DRAWS = 256
"""Codes that are drawn to begin with the ones that fit best."""
ELSEWHERE = 2**31
"""Added to a seed, so that no seed that can be picked draws the codes it begins with."""
SHOWN = 25
"""Frames of the descent."""
SHORT_STEPS, SHORT_STARTS, SHORT_REFINED = 60, 6, 12
"""Of the search that other probes make do with."""
DRAG_STEPS, DRAG_REFINED = 24, 2
GAIN = 4
"""How many times too large differences are shown."""
PANELS = ("found", "target", f"difference × {GAIN}")
OF_FEATURES = 0.1
"""How much a relative difference of features counts beside one of pixels."""
PIXELS, FEATURES, BOTH = "pixels", "features", "both"
PRIOR = 1e-4
"""Holds codes where codes are drawn, and still leaves 40 dB to a picture of the model's own: at the best code the loss
is not above what it is at the true one, whose mean square is 1."""
W, Z, W_PLUS = "w", "z", "w+"
SAID_OF_SPACES = {W: "w, which is steered in", Z: "z, which is drawn", W_PLUS: "w+, a w for each layer"}

STARTS = Number(8, 1, 16, text="How many codes set out side by side; the one that comes nearest is kept.")
STEPS = Steps(100, 10, 400, log=True, text="How many steps of gradient descent (Adam) are taken.")
REFINED = Number(30, 0, 60, text="Gauss-Newton steps after that: they end at the code itself where descent only nears.")
SEED = Seed(text="Draws the codes that it sets out from.")
CONTROLS: dict[str, Any] = dict(
    item=Item("held_out:0", codes=True, text="The picture whose code is looked for: a thumbnail, a file, a seed."),
    starts=STARTS,
    steps=STEPS,
    refined=REFINED,
    prior=Number(
        PRIOR, 1e-6, 0.1, log=True, label="prior λ",
        text="How strongly the code is held where codes are drawn: λ times its mean square is added to the loss.",
    ),
    seed=SEED,
    directions=Directions(text="The directions that were kept: what is found is moved along them at the end."),
)  # fmt: skip


@dataclass(frozen=True)
class Wanted:
    """What is asked of a search, apart from the picture."""

    space: str = W
    compare: str = PIXELS
    starts: int = SHORT_STARTS
    steps: int = SHORT_STEPS
    refined: int = SHORT_REFINED
    prior: float = PRIOR
    seed: int = 0

    def hurried(self) -> Wanted:
        """The same while a hand drags."""
        return replace(
            self,
            starts=min(self.starts, 2),
            steps=min(self.steps, DRAG_STEPS),
            refined=min(self.refined, DRAG_REFINED),
        )


@dataclass(frozen=True)
class Look:
    """A search as it goes on: ``done`` of ``total`` steps."""

    state: State
    done: int
    total: int
    caption: str


class InversionProbes(DirectionProbes):
    """Needs nothing but what a generator is. A study whose layers each take a w of their own says so by ``layers`` and
    ``decode_layers``; one with a network that judges pictures lends it by ``perceived``."""

    def __init_subclass__(cls) -> None:
        """The probe ``invert`` of a study offers what that study can: the spaces that it has, and features if any."""
        super().__init_subclass__()
        spaces = [W]
        if cls.to_w is not Generator.to_w:
            spaces.append(Z)
        if cls.decode_layers is not InversionProbes.decode_layers:
            spaces.append(W_PLUS)
        more: dict[str, Any] = {}
        if len(spaces) > 1:
            said = "Where is searched: " + ", ".join(SAID_OF_SPACES[space] for space in spaces)
            more["space"] = Choice(tuple(spaces), text=f"{said}.")
        if cls.perceived is not InversionProbes.perceived:
            said = "What is to be alike: pixels, what the discriminator sees in them, or both."
            more["compare"] = Choice((PIXELS, FEATURES, BOTH), text=said)
        if more:

            def invert(self: InversionProbes, **values: Any) -> Iterator[float | Frames]:
                return InversionProbes.invert(self, **values)

            invert.__doc__ = InversionProbes.invert.__doc__
            controls = {"item": CONTROLS["item"], **more, **CONTROLS}
            cls.invert = probe(Frames, title="Inversion", **controls)(invert)  # type: ignore[assignment]  # fewer names, the same call

    @property
    def layers(self) -> int:
        """How many w a picture can be made of, one for each layer; 0 where there is one for all."""
        return 0

    def decode_layers(self, w: Tensor) -> Tensor:
        """Codes (B, layers, d_w) -> pictures (B, C, H, W) in 0..1, to be differentiated through."""
        raise NotImplementedError

    def perceived(self, x: Tensor) -> Tensor | None:
        """Pictures (B, C, H, W) in 0..1 -> features (B, ...) in which they can be compared, to be differentiated
        through; None where the model has none. A discriminator's, say, without what depends on the whole batch."""
        return None

    # ---- the search ----

    def _aim(self, x: Tensor, wanted: Wanted, seen: Tensor | None = None) -> Aim:
        """What is looked for: a flat code (d,) of the space that is wanted, for the picture ``x`` where it is seen."""
        fine: Residuals = lambda made: apart(made, x, seen)  # noqa: E731
        coarse: Residuals = lambda made: apart(made, x, seen, SCALES)  # noqa: E731
        if wanted.compare != PIXELS:
            features = self.perceived(x)
            assert features is not None
            there = features.detach().flatten(1)
            unit = OF_FEATURES / there.norm().clamp(min=1e-6)

            def felt(made: Tensor) -> Tensor:
                said = self.perceived(made)
                assert said is not None
                return (said.flatten(1) - there) * unit

            if wanted.compare == FEATURES:
                fine = coarse = felt
            else:
                fine = lambda made: torch.cat([apart(made, x, seen), felt(made)], 1)  # noqa: E731
                coarse = lambda made: torch.cat([apart(made, x, seen, SCALES), felt(made)], 1)  # noqa: E731
        if wanted.space == Z and len(self.spaces) > 1:
            some = self.draw_codes(DRAWS, torch.Generator().manual_seed(0)).to(self.device)
            return Aim(lambda z: self.decode_w(self.to_w(z)), coarse, fine, some.mean(0) * 0, _spread(some),
                       wanted.prior)  # fmt: skip
        middle, size = self.mean_w(), _spread(self.drawn_w(10 * DRAWS))
        if wanted.space != W_PLUS:
            return Aim(self.decode_w, coarse, fine, middle, size, wanted.prior)
        count = self.layers
        many = lambda w: self.decode_layers(w.view(len(w), count, -1))  # noqa: E731
        return Aim(many, coarse, fine, middle.repeat(count), size.repeat(count), wanted.prior)

    def _drawn(self, aim: Aim, x: Tensor, wanted: Wanted) -> Iterator[float | Tensor]:
        """The codes (starts, d) that a search sets out from: those that fit best of many random ones, the middle of all
        and what an encoder says."""
        generator = torch.Generator().manual_seed(ELSEWHERE + wanted.seed)
        z = self.draw_codes(DRAWS, generator).to(self.device)
        in_z = wanted.space == Z and len(self.spaces) > 1
        codes = [z] if in_z else [self.mean_w()[None], self.to_w(z)]
        encoded = None if in_z else self.encode_w(x)
        if encoded is not None:
            codes.append(encoded)
        every = torch.cat(codes)
        yield from beginnings(aim, every.repeat(1, len(aim.middle) // every.shape[1]), wanted.starts)

    def _found(self, x: Tensor, wanted: Wanted, seen: Tensor | None = None, keep_all: bool = False
               ) -> Iterator[float | Look]:  # fmt: skip
        """The search step by step; with ``keep_all`` all starts are refined, else the one that leads."""
        aim = self._aim(x, wanted, seen)
        codes = x
        for part in self._drawn(aim, x, wanted):
            if isinstance(part, float):
                yield 0.1 * part
            else:
                codes = part
        total, state = wanted.steps + wanted.refined, None
        for step, state in enumerate(descend(aim, codes, wanted.steps)):
            lead = f"start {state.best + 1} of {len(codes)} leads, " if len(codes) > 1 and not keep_all else ""
            yield Look(state, step, total, f"{lead}Adam step {step}")
        assert state is not None
        if not bool(torch.isfinite(state.misfit).any()):
            raise BadValue("the model's pictures are not finite numbers: training has diverged; go back to a snapshot")
        if keep_all:
            ways = [refine(aim, state.codes[i : i + 1], wanted.refined) for i in range(len(codes))]
        else:
            ranked = state.codes[state.misfit.nan_to_num(math.inf).argsort()]
            ways = [refine_in_turn(aim, ranked, wanted.refined)]
        for step in range(1, wanted.refined + 1):
            states = []
            for way in ways:
                part_state = next(way)
                while isinstance(part_state, float):
                    yield min(1.0, (wanted.steps + step) / total)
                    part_state = next(way)
                states.append(part_state)
            together = (
                torch.cat(parts) for parts in zip(*((s.codes, s.pictures, s.misfit) for s in states), strict=True)
            )
            yield Look(State(*together), wanted.steps + step, total, f"Gauss-Newton step {step}")

    def _letter(self, wanted: Wanted) -> str:
        """What the space is called that is searched in."""
        return self.spaces[-1] if wanted.space == W else wanted.space

    def _steered(self, code: Tensor, space: str) -> Tensor:
        """A flat code (1, d) of a search in ``space`` as one that is steered: (1, d_w), or (1, layers, d_w) of w+."""
        if space == W_PLUS:
            return code.view(1, self.layers, -1)
        return self.to_w(code) if space == Z and len(self.spaces) > 1 else code

    def _decoded(self, w: Tensor) -> Tensor:
        """Pictures of codes (B, d_w) or (B, layers, d_w)."""
        return self.decode_layers(w) if w.dim() == 3 else self.decode_w(w)

    def search_w(self, x: Tensor) -> Iterator[float | Tensor]:
        """The code (1, d_w) of a picture (1, C, H, W) by a short search; numbers in 0..1 say how far it is."""
        wanted = Wanted().hurried() if self.dragging else Wanted()
        last = None
        for part in self._found(x, wanted):
            if isinstance(part, Look):
                last = part
                yield 0.1 + 0.9 * part.done / part.total
        assert last is not None
        yield last.state.codes[last.state.best][None]

    # ---- probes ----

    @probe(Frames, title="Inversion", **CONTROLS)
    def invert(
        self, item: str, starts: int, steps: int, refined: int, prior: float, seed: int,
        directions: tuple[Direction, ...], space: str = W, compare: str = PIXELS,
    ) -> Iterator[float | Frames]:  # fmt: skip
        """Looks for the code whose picture is this one, from random codes on: a generator has no encoder. What is found
        can be moved along directions like any other."""
        wanted = Wanted(space, compare, starts, steps, refined, prior, seed)
        if self.dragging and self.recall("inverted", (item, wanted)) is None:
            wanted = wanted.hurried()
        kept = self.recall("inverted", (item, wanted))
        used = tuple(d for d in directions if d.amount)
        if kept is None:
            made: list[Frames] = []
            state = weights_state(self)
            for part in self._inversion(item, wanted, len(used) > 0):
                if isinstance(part, Frames):
                    made.append(part)
                    yield part
                elif isinstance(part, float):
                    yield part
                else:
                    kept = self.keep("inverted", (item, wanted), state, (tuple(made), part))
        else:
            count = len(kept[0]) + bool(used)
            # A hand that drags a direction looks at the end; all the rest is as it was.
            for frame in kept[0][-1:] if self.dragging else kept[0]:
                yield Frames(frame.images, index=frame.index, total=count, panels=PANELS, caption=frame.caption,
                             readings=frame.readings)  # fmt: skip
        assert kept is not None
        if used:
            yield self._edited(kept[0][-1], kept[1], used)

    def _inversion(self, item: str, wanted: Wanted, more: bool) -> Iterator[float | Frames | Tensor]:
        """The frames of a search, then what was found; ``more`` if another frame follows."""
        true: Tensor | None = None
        if item.startswith("seed:"):
            (true,) = (part for part in self.w_of(item) if isinstance(part, Tensor))
            x = self.decode_w(true).clamp(0, 1)
        else:
            x = self.source.item(item)
        every = math.ceil(wanted.steps / SHOWN)
        total = len(range(0, wanted.steps, every)) + 1 + wanted.refined + more
        index = 0
        for part in self._found(x, wanted):
            if isinstance(part, float):
                yield part
                continue
            if part.done < wanted.steps and part.done % every:
                continue
            best = part.state.best
            picture, code = part.state.pictures[best : best + 1], part.state.codes[best : best + 1]
            w = self._steered(code, wanted.space)
            caption = part.caption
            if true is not None and wanted.space != W_PLUS:
                caption += f"   ‖w − w true‖ / ‖w true‖ = {float((w - true).norm() / true.norm().clamp(min=1e-9)):.2g}"
            yield Frames(
                pictures(torch.cat([picture, x, GAIN * (picture - x).abs()])),
                index=index,
                total=total,
                panels=PANELS,
                caption=caption,
                readings={
                    "PSNR, dB": psnr(picture, x),
                    "loss": float(part.state.misfit[best]),
                    f"‖{self._letter(wanted)}‖/√d": float(code.square().mean().sqrt()),
                },
            )
            index += 1
        yield w

    def _edited(self, last: Frames, w: Tensor, used: tuple[Direction, ...]) -> Frames:
        """What was found, moved along each direction by its amount, and along all of them."""
        nowhere = torch.zeros_like(w.reshape(-1, w.shape[-1])[:1])
        shifts = [self.moved(nowhere, (direction,)) for direction in used]
        heads = ["found", *(f"{d.name} {d.amount:+.1f} σ" for d in used)]
        if len(used) > 1:
            shifts.append(torch.stack(shifts).sum(0))
            heads.append("all")
        return Frames(
            pictures(self._decoded(torch.cat([w, *(w + shift for shift in shifts)]))),
            index=last.index + 1,
            total=last.index + 2,
            columns=len(heads),
            heads=tuple(heads),
            caption="what was found, moved along the directions that were kept",
            readings=last.readings,
        )

    @probe(
        Frames,
        title="Inpaint by a code",
        item=Item("held_out:0", text="The picture of which a part is hidden: pick a thumbnail or drop an image file."),
        mask=Mask(text="Paint what is hidden."),
        count=Number(4, 1, 12, text="How many ways of filling it are looked for, each from a start of its own."),
        steps=STEPS,
        refined=Number(6, 0, 40, text="Gauss-Newton steps after that, for each of the ways."),
        prior=Number(
            1e-3, 1e-6, 0.1, log=True, label="prior λ",
            text="How strongly the codes are held where codes are drawn: what is hidden is told by nothing else.",
        ),
        seed=SEED,
    )  # fmt: skip
    def inpaint_code(
        self, item: str, mask: str, count: int, steps: int, refined: int, prior: float, seed: int
    ) -> Iterator[float | Frames]:
        """Looks for codes whose pictures are right where the picture is seen, and takes the hidden part from them."""
        wanted = Wanted(W, PIXELS, count, steps, refined, prior, seed)
        if self.dragging:
            wanted = wanted.hurried()
        x = self.source.item(item)
        cells = torch.tensor(mask_cells(mask), dtype=torch.float32, device=self.device)[None, None]
        hidden = (F.interpolate(cells, size=x.shape[2:], mode="area") >= 0.5).float()
        seen = 1 - hidden
        if not bool(seen.any()):
            raise BadValue("mask: nothing is left to be seen of the picture; clear a part of it")
        given = pictures(x * seen + 0.5 * hidden)
        every = math.ceil(wanted.steps / SHOWN)
        total = len(range(0, wanted.steps, every)) + 1 + wanted.refined
        index = 0
        for part in self._found(x, wanted, seen, keep_all=True):
            if isinstance(part, float):
                yield part
                continue
            if part.done < wanted.steps and part.done % every:
                continue
            made = part.state.pictures
            best = part.state.best
            yield Frames(
                np.concatenate([pictures(made), pictures(made * hidden + x * seen), given.repeat(len(made), 0)]),
                index=index,
                total=total,
                panels=("found", "pasted", "given"),
                caption=f"{part.caption}   the way that fits best is number {best + 1}",
                readings={
                    "PSNR of what is seen, dB": psnr(made[best : best + 1], x, seen),
                    "loss": float(part.state.misfit[best]),
                    f"‖{self._letter(wanted)}‖/√d": float(part.state.codes.square().mean().sqrt()),
                },
            )
            index += 1


def _spread(codes: Tensor) -> Tensor:
    """The standard deviation (d,) of codes (N, d); 1 where they do not vary."""
    spread: Tensor = codes.std(0, correction=0)
    return torch.where(spread > 1e-6, spread, torch.ones_like(spread))
