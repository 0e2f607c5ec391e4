"""Gaussian splats painted over a picture by the processor alone: one after the other, the farthest first (Zwicker et
al., EWA splatting, 2001; Kerbl et al., 3D Gaussian Splatting, 2023). Knows neither OpenGL nor torch.

For pictures that are written to files, of some ten thousand splats in a second or two; not for a hand that moves.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from engine.geometry.splats.harmonics import basis, degree_of
from engine.geometry.splats.transform import in_world, rotations
from engine.geometry.splats.values import alpha_of
from engine.scene import Splats

if TYPE_CHECKING:
    from engine.render.raster import View

Floats = NDArray[np.float64]
WIDER = 0.3
"""Square pixels that are added to every splat's spread."""
MOST_ALPHA, LEAST_ALPHA = 0.99, 1 / 255
BEYOND = 1.3
"""Times the half field of view at which the projection is held for what stands farther aside."""
MOST = 80_000
"""Of more splats those are painted that cover most."""
LEAST_SHARE = 2.5e-5


@dataclass(frozen=True)
class Flat:
    """Splats on the picture: ``centres`` (N, 2), conics (N, 3) as xx, xy, yy, half widths and heights (N, 2) in pixels,
    ``rgb`` (N, 3), ``opacity`` and ``ahead`` (N,)."""

    centres: Floats
    conics: Floats
    reach: Floats
    rgb: Floats
    opacity: Floats
    ahead: Floats

    def taken(self, index: Any) -> Flat:
        """Some of them, in another order."""
        return Flat(*(getattr(self, name)[index] for name in self.__dataclass_fields__))


def paint(image: Any, alpha: Any, depth: Any, splats: Sequence[Splats], view: View) -> None:
    """Lays splats over ``image`` (H * W, 3) and ``alpha`` (H * W,), both changed; what stands in front by ``depth``
    (H * W,), ahead of the eye, hides them."""
    parts = [flat(_standing(thing), view) for thing in splats]
    if not parts:
        return
    joined = Flat(*(np.concatenate([getattr(p, n) for p in parts]) for n in Flat.__dataclass_fields__))
    if len(joined.ahead) > MOST:
        covers = joined.opacity * joined.reach.prod(1)
        joined = joined.taken(np.sort(np.argpartition(-covers, MOST)[:MOST]))
    joined = joined.taken(np.argsort(-joined.ahead, kind="stable"))
    height, width = view.height, view.width
    picture, cover, there = image.reshape(height, width, 3), alpha.reshape(height, width), depth.reshape(height, width)
    low = np.clip(np.floor(joined.centres - joined.reach), 0, [width, height]).astype(int).tolist()
    high = np.clip(np.ceil(joined.centres + joined.reach), 0, [width, height]).astype(int).tolist()
    across, down = np.arange(width) + 0.5, np.arange(height) + 0.5
    rgb = joined.rgb.astype(np.float32)
    rows = zip(low, high, joined.centres.tolist(), joined.conics.tolist(), joined.opacity.tolist(),
               joined.ahead.tolist(), rgb, strict=True)  # fmt: skip
    for (x0, y0), (x1, y1), (x, y), (a, b, c), opacity, ahead, colour in rows:
        if x1 <= x0 or y1 <= y0:
            continue
        dx, dy = across[x0:x1] - x, (down[y0:y1] - y)[:, None]
        share = opacity * np.exp(-0.5 * (a * dx * dx + c * dy * dy) - b * dx * dy)
        share = np.minimum(share, MOST_ALPHA) * (share >= LEAST_ALPHA)
        part = (slice(y0, y1), slice(x0, x1))
        share = (share * (there[part] > ahead)).astype(np.float32)
        picture[part] += share[..., None] * (colour - picture[part])
        cover[part] += share * (1 - cover[part])


def _standing(splats: Splats) -> Splats:
    """In the numbers of the world."""
    steps = in_world(splats)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            found: Splats = end.value
            return found


def flat(splats: Splats, view: View) -> Flat:
    """What is seen of splats whose numbers are the world's."""
    seen = view.seen(splats.xyz)
    alpha = alpha_of(splats.opacity).astype(np.float64)
    index = np.flatnonzero((seen[:, 2] > view.near) & (alpha >= LEAST_ALPHA))
    seen, alpha = seen[index], alpha[index]
    turn = view.camera.axes() * [[1], [1], [-1]]
    x, y, z = seen.T
    nothing = np.zeros_like(z)
    if view.parallel:
        slopes = np.broadcast_to(view.focal * np.array([[1.0, 0, 0], [0, -1, 0]]), (len(z), 2, 3))
    else:
        wide, tall = (BEYOND * side / 2 / view.focal for side in (view.width, view.height))
        tx, ty = np.clip(x / z, -wide, wide), np.clip(y / z, -tall, tall)
        rows = [[1 / z, nothing, -tx / z], [nothing, -1 / z, ty / z]]
        slopes = view.focal * np.stack([np.stack(row, -1) for row in rows], -2)
    deviations = np.exp(np.clip(np.asarray(splats.scales[index], np.float64), -60, 60)) * splats.size
    half = slopes @ turn @ (rotations(splats.turns[index]) * deviations[:, None, :])
    bare = half @ half.transpose(0, 2, 1)
    a, b, c = bare[:, 0, 0] + WIDER, bare[:, 0, 1], bare[:, 1, 1] + WIDER
    size = a * c - b * b
    if splats.antialiased:
        own = (a - WIDER) * (c - WIDER) - b * b
        alpha = alpha * np.sqrt(np.maximum(own / size, LEAST_SHARE))
    extent = np.sqrt(2 * np.log(np.maximum(alpha / LEAST_ALPHA, 1)))
    reach = extent[:, None] * np.sqrt(np.stack([a, c], 1))
    conics = np.stack([c / size, -b / size, a / size], 1)
    return Flat(view.pixels(seen)[:, :2], conics, reach, _colours(splats, index, view), alpha, z)


def _colours(splats: Splats, index: Any, view: View) -> Floats:
    """What is seen from the eye, not below 0."""
    full = degree_of(splats.sh.shape[1])
    degree = full if splats.degree < 0 else min(splats.degree, full)
    ways = np.asarray(splats.xyz[index], np.float64) - np.asarray(view.camera.eye)
    if view.parallel:
        ways = np.broadcast_to(-view.camera.axes()[2], ways.shape)
    ways = ways / np.maximum(np.linalg.norm(ways, axis=1, keepdims=True), 1e-30)
    sh = np.asarray(splats.sh[index, : (degree + 1) ** 2], np.float64)
    return np.asarray(np.maximum(0.5 + np.einsum("nk,nkc->nc", basis(ways, degree), sh), 0))
