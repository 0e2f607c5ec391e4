"""The probes that steer a generator from code to code: a plane between four seeds, a path with key frames, sums of
codes, and whether a sample was only remembered. Knows no network.

Sources: White 2016 (slerp in a Gaussian space), Radford et al. 2016 (sums of codes).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from engine.nn.gaussian import slerp
from engine.nn.generator.common import PSI, Keeping
from engine.nn.generator.generator import weights_state
from engine.nn.generator.nearest import nearest_distances
from engine.nn.pictures import pictures
from engine.payloads import Frames, ImageGrid, SeedPlane
from engine.probes import Choice, Item, Number, Seed, Toggle, probe
from engine.steering import KeyFrame, KeyFrames, Spot, eased

STRIP = 6
"""Pictures on the way from a to a - b + c."""
HELD_OUT = 200
"""Held-out pictures that say how near to training pictures new ones should lie."""

STRAIGHT = "a straight line between the codes"
ARC = "an arc that keeps their length, as noise of that length wants"


class SteeringProbes(Keeping):
    """Needs nothing but what a generator is."""

    tile_sides: ClassVar[tuple[int, int]] = (5, 3)
    """Tiles along each side of a seed plane: at rest, and while a hand drags."""

    # ---- between codes ----

    def between(self, corners: Tensor, u: float, v: float, method: str) -> Tensor:
        """The code w (d_w,) at (u, v) between the codes z (4, d) of the corners: top left, top right, bottom left,
        bottom right. A bilinear mean is taken of w, an arc of z, whose length means something."""
        if method == "slerp":
            top, bottom = slerp(corners[0], corners[1], u), slerp(corners[2], corners[3], u)
            return self.to_w(slerp(top, bottom, v)[None])[0]
        shares = torch.tensor([(1 - u) * (1 - v), u * (1 - v), (1 - u) * v, u * v]).to(corners)
        return shares @ self.to_w(corners)

    def way(self, a: Tensor, b: Tensor, t: float, method: str) -> Tensor:
        """The code w (d_w,) after the share ``t`` of the way between the codes z (d,) ``a`` and ``b``."""
        if method == "slerp":
            return self.to_w(slerp(a, b, t)[None])[0]
        ends = self.to_w(torch.stack([a, b]))
        return torch.lerp(ends[0], ends[1], t)

    # ---- probes ----

    @probe(
        SeedPlane,
        title="Seed plane",
        refresh=0.5,
        spot=Spot(text="The place in the plane whose picture is shown: drag it."),
        top_left=Seed(1, label="top left", text="The seed of the code in the top left corner."),
        top_right=Seed(2, label="top right", text="The seed of the code in the top right corner."),
        bottom_left=Seed(3, label="bottom left", text="The seed of the code in the bottom left corner."),
        bottom_right=Seed(4, label="bottom right", text="The seed of the code in the bottom right corner."),
        method=Choice(("bilinear", "slerp"), text=f"Between the corners: {STRAIGHT}, or {ARC}."),
        psi=PSI,
    )
    def seed_plane(
        self,
        spot: tuple[float, float],
        top_left: int,
        top_right: int,
        bottom_left: int,
        bottom_right: int,
        method: str,
        psi: float,
    ) -> SeedPlane:
        """A plane of codes between four seeds: wherever the spot is dragged there is a picture, and neighbours are
        alike."""
        seeds = (top_left, top_right, bottom_left, bottom_right)
        state = weights_state(self)
        corners = self.recall("corners", seeds)
        if corners is None:
            corners = self.keep("corners", seeds, state, self.seeded(*seeds))
        image = pictures(self.decode_w(self.truncated(self.between(corners, *spot, method)[None], psi)))[0]
        key = (seeds, method, psi, self.dragging)
        tiles = self.recall("tiles", (*key[:3], False))  # those made at rest are better, so they come first
        if tiles is None and self.dragging:
            tiles = self.recall("few tiles", key)
        if tiles is None:
            side = self.tile_sides[self.dragging]
            middles = [(i + 0.5) / side for i in range(side)]
            w = torch.stack([self.between(corners, u, v, method) for v in middles for u in middles])
            made = self.shown(self.truncated(w, psi))
            tiles = made.reshape(side, side, *made.shape[1:])
            self.keep("few tiles" if self.dragging else "tiles", key, state, tiles)
        names = tuple(f"seed {seed}" for seed in seeds)
        return SeedPlane(image, tiles, spot, names=(names[0], names[1], names[2], names[3]))

    @probe(
        Frames,
        title="Path",
        keys=KeyFrames(
            label="key frames",
            text="The codes that the film passes, by seed: in how many steps each next one is reached.",
        ),
        method=Choice(("lerp", "slerp"), text=f"Between key frames: {STRAIGHT}, or {ARC}."),
        loop=Toggle(False, text="Whether the film goes on from the last key frame back to the first."),
        psi=PSI,
    )
    def path(self, keys: tuple[KeyFrame, ...], method: str, loop: bool, psi: float) -> Iterator[Frames]:
        """A film through the codes of some seeds, one after the other."""
        codes = self.seeded(*(seed for seed, _, _ in keys))
        moments = path_moments(keys, loop)
        size = f"‖{self.spaces[-1]}‖"
        for index, (i, t) in enumerate(moments):
            j = (i + 1) % len(keys)
            w = self.truncated(self.way(codes[i], codes[j], eased(t, keys[i][2]), method)[None], psi)
            yield Frames(
                pictures(self.decode_w(w)),
                index=index,
                total=len(moments),
                caption=f"seed {keys[i][0]} → {keys[j][0]}   t = {t:.2f}",
                readings={"t": i + t, size: float(w.norm())},
            )

    @probe(
        ImageGrid,
        title="Arithmetic",
        a=Item("seed:1", codes=True, text="Where it begins: the picture that is changed."),
        b=Item("seed:2", codes=True, text="What is taken away: a picture with something that c lacks."),
        c=Item("seed:3", codes=True, text="What is added: a picture with something that b lacks."),
        amount=Number(1.0, 0.0, 3.0, text="How much of the difference is added at the end of the row: 1 all of it."),
        psi=PSI,
    )
    def arithmetic(self, a: str, b: str, c: str, amount: float, psi: float) -> Iterator[float | ImageGrid]:
        """Codes are added like numbers: what leads from b to c is added to a, a little more from picture to picture."""
        codes = []
        for i, reference in enumerate((a, b, c)):
            for part in self.w_of(reference):
                if isinstance(part, float):
                    yield (i + part) / 3
                else:
                    codes.append(part)
        start, away, towards = (self.truncated(code, psi) for code in codes)
        share = torch.linspace(0, amount, STRIP).to(start)
        w = torch.cat([away, towards, start + share[:, None] * (towards - away)])
        heads = ("b", "c", "a", *(f"{s:+.1f}" for s in share.tolist()[1:]))
        yield ImageGrid(self.shown(w), columns=len(w), heads=heads, caption="a + amount · (c − b)")

    @probe(
        ImageGrid,
        title="Nearest pictures",
        count=Number(10, 1, 100, text="How many samples are looked up."),
        seed=Seed(text="The seed of the first sample, the next has the next, as in Samples."),
        psi=PSI,
    )
    def nearest(self, count: int, seed: int, psi: float) -> Iterator[float | ImageGrid]:
        """Whether samples are only remembered: each above the training picture nearest to it, with the root mean square
        of their difference over all pixels."""
        w = self.truncated(self.to_w(self.seeded(*range(seed, seed + count))), psi)
        made = torch.from_numpy(self.shown(w)).permute(0, 3, 1, 2).to(self.device)
        train = self.source.train
        yardstick = self._held_out_distance
        asked = made if yardstick is not None else torch.cat([made, self.source.held_out[:HELD_OUT].float() / 255])
        for found in nearest_distances(train, asked):
            if isinstance(found, float):
                yield found
                continue
            distance, place = found
            if yardstick is None:
                yardstick = self._held_out_distance = float(distance[count:].median())
            distance, place = distance[:count], place[:count]
            shown = np.concatenate([pictures(made), pictures(train[place].float() / 255)])
            yield ImageGrid(
                shown,
                columns=count,
                rows=("sample", "nearest"),
                captions=(*(f"seed {seed + i}" for i in range(count)), *(f"{d:.3f}" for d in distance.tolist())),
                caption=f"Median distance to the nearest training picture: samples {float(distance.median()):.3f}, "
                f"held-out pictures {yardstick:.3f}; copies would have 0.",
            )

    _held_out_distance: Any = None
    """The median distance of held-out pictures to their nearest training ones, once it was measured."""


def path_moments(keys: Sequence[KeyFrame], loop: bool) -> list[tuple[int, float]]:
    """The moments of a film: after which key frame, and which share 0..1 of the time to the next one has gone. A film
    that loops ends one step before its first moment, another with its last key frame."""
    last = len(keys) if loop else len(keys) - 1
    moments = [(i, k / keys[i][1]) for i in range(last) for k in range(keys[i][1])]
    return moments if loop else [*moments, (last - 1, 1.0)]
