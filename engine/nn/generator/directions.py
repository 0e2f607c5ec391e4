"""The probes that find directions in a space of codes, show what each does, and go along them. Knows no network."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from engine.nn.generator.common import PORTION, PSI, Keeping
from engine.nn.generator.components import (
    Found,
    alike_in_all_directions,
    factorised,
    principal,
    regressed,
)
from engine.nn.generator.generator import weights_state
from engine.nn.pictures import array
from engine.params import BadValue
from engine.payloads import ImageGrid, Strips
from engine.probes import Choice, Item, Number, Seed, Steps, probe
from engine.steering import Direction, Directions

MOST = 20
"""Directions that are looked for."""
SPREAD_CODES = 2000
"""Codes from which the typical size along a direction is read."""
OF_W, OF_ACTIVATIONS, SEFA = "PCA of w", "PCA of activations", "SeFa"
COUNT = Number(6, 1, MOST, text="How many directions are shown.")
NONE_KEPT = "No direction is kept yet: press Keep beside a row of Directions or Attributes"
ALONG = Steps(7, 3, 31, text="How many pictures a row has.")
FAR = Number(3.0, 0.5, 10.0, text="How far each row goes either way, in standard deviations of codes along it.")
AROUND = Seed(1, text="The seed of the code that is moved.")


class _Reached(Exception):
    """The layer has spoken: what lies behind it need not be computed."""


class DirectionProbes(Keeping):
    """Needs nothing but what a generator is; ``inner_layer`` and ``first_weights`` for the methods that use them."""

    draws: ClassVar[tuple[int, int]] = (4000, 500)
    """Codes from which components of w are found: at rest, and while a hand drags."""
    activation_draws: ClassVar[tuple[int, int]] = (2000, 300)
    """The same for components of activations."""

    def features(self, w: Tensor) -> Iterator[float | Tensor]:
        """What the inner layer says of codes (N, d_w), flat, (N, F): shares 0..1 of the work, then all of it. A layer
        that speaks more than once for a picture is heard the first time."""
        layer = self.inner_layer()
        if layer is None:
            raise BadValue(f"method: this model names no inner layer; take {OF_W} or {SEFA}")
        heard: list[Tensor] = []

        def hear(module: object, inputs: object, output: Tensor) -> None:
            heard.append(output.detach().flatten(1).float())
            raise _Reached

        parts = w.split(PORTION)
        for i, part in enumerate(parts):
            handle = layer.register_forward_hook(hear)
            try:
                self.decode_w(part)
            except _Reached:
                pass
            finally:
                handle.remove()
            if i + 1 < len(parts):
                yield (i + 1) / len(parts)
        yield torch.cat(heard)

    def typical_size(self, vectors: Tensor) -> Tensor:
        """The standard deviation (R,) of codes along vectors (R, d_w) of length 1; 1 where codes do not vary."""
        drawn = self.recall("drawn", ())
        if drawn is None:
            drawn = self.keep("drawn", (), weights_state(self), self.drawn_w(SPREAD_CODES))
        sizes = ((drawn - drawn.mean(0)) @ vectors.T).std(0, correction=0)
        return torch.where(sizes > 1e-6, sizes, torch.ones_like(sizes))

    def analysed(self, method: str) -> Iterator[float | tuple[Found, str]]:
        """The directions of a method and what is to be known of them; shares 0..1 of the work before."""
        kept = self.recall(method, ())
        if kept is not None:
            yield kept
            return
        state = weights_state(self)
        remark = ""
        if method == SEFA:
            a = self.first_weights()
            if a is None:
                raise BadValue(f"method: {SEFA} needs a linear map as the first layer, which this model has not")
            found = factorised(a.detach().float(), MOST)
        elif method == OF_W:
            w = self.drawn_w(self.draws[self.dragging])
            found = principal(w, MOST)
            if alike_in_all_directions(found, len(w)):
                remark = "these codes are drawn alike in all directions, so no component means more than another: "
                remark += f"take {OF_ACTIVATIONS}"
        else:
            w = self.drawn_w(self.activation_draws[self.dragging])
            for part in self.features(w):
                if isinstance(part, float):
                    yield 0.9 * part
                else:
                    found = regressed(part, w, MOST)
        yield self.keep(method, (), state, (found, remark))

    def strips(
        self, vectors: Tensor, names: tuple[str, ...], seed: int, steps: int, reach: float, caption: str
    ) -> Iterator[float | Strips]:
        """A row of pictures along each of ``vectors`` (R, d_w), through the code of a seed: shares 0..1 of the work,
        then all rows."""
        middle = self.to_w(self.seeded(seed))
        span = torch.linspace(-reach, reach, steps).to(middle)
        rows: list[np.ndarray] = []
        for along in self.typical_size(vectors)[:, None] * vectors:
            if rows:
                yield len(rows) / len(vectors)
            rows.append(self.shown(middle + span[:, None] * along))
        yield Strips(
            np.concatenate(rows),
            columns=steps,
            rows=names,
            heads=tuple(f"{v:+.1f} σ" if abs(v) > 0.05 else "0" for v in span.tolist()),
            caption=caption,
            vectors=array(vectors),
            space=self.spaces[-1],
        )

    # ---- probes ----

    @probe(
        Strips,
        title="Directions",
        method=Choice(
            (OF_ACTIVATIONS, OF_W, SEFA),
            text="Where most varies: the first features (GANSpace), the codes, or the first layer's matrix (SeFa).",
        ),
        count=COUNT,
        steps=ALONG,
        reach=FAR,
        seed=AROUND,
    )
    def directions(self, method: str, count: int, steps: int, reach: float, seed: int) -> Iterator[float | Strips]:
        """Directions that the model has found by itself, a row for each: keep the ones that mean something to you."""
        for part in self.analysed(method):
            if isinstance(part, float):
                yield part
                continue
            found, remark = part
            short, whole = ("SeFa", "squared norm of A") if method == SEFA else ("PCA", "variance")
            names = tuple(f"{short} {i + 1} ({100 * share:.0f} %)" for i, share in enumerate(found.shares[:count]))
            said = "; ".join(filter(None, (f"In brackets: its share of the {whole}", remark)))
            for done in self.strips(found.vectors[:count], names, seed, steps, reach, said):
                yield 0.9 + 0.1 * done if isinstance(done, float) else done

    @probe(
        ImageGrid,
        title="Edit",
        a=Item("seed:1", codes=True, text="The picture that is changed: a seed, a thumbnail or an image file."),
        directions=Directions(text="The directions that were kept, and how far to go along each."),
        psi=PSI,
    )
    def edit(self, a: str, directions: tuple[Direction, ...], psi: float) -> Iterator[float | ImageGrid]:
        """A picture before and after its code was moved along directions that you kept."""
        for part in self.w_of(a):
            if isinstance(part, float):
                yield part
                continue
            w = self.truncated(part, psi)
            yield ImageGrid(
                self.shown(torch.cat([w, self.moved(w, directions)])),
                columns=2,
                heads=("before", "after"),
                caption=", ".join(f"{d.name} {d.amount:+.1f} σ" for d in directions if d.amount)
                or ("Pull the slider of a direction" if directions else NONE_KEPT),
            )

    def moved(self, w: Tensor, directions: tuple[Direction, ...]) -> Tensor:
        """``w`` (1, d_w) gone along each direction by its amount; BadValue for one of another space."""
        for direction in (d for d in directions if d.amount):
            space = f"{self.spaces[-1]} of {w.shape[1]} numbers"
            if direction.space != self.spaces[-1] or len(direction.vector) != w.shape[1]:
                raise BadValue(f"directions: {direction.name!r} belongs to other codes than these, {space}: remove it")
            vector = torch.tensor([direction.vector]).to(w)
            w = w + direction.amount * self.typical_size(vector)[:, None] * vector
        return w
