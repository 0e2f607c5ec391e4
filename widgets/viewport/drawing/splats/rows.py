"""The numbers of Gaussian splats as textures, packed and sent piece by piece. Draws nothing."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from OpenGL import GL

from engine.scene import Splats
from widgets.viewport.drawing.gpu import Buffer, Texture
from widgets.viewport.drawing.interop import NoInterop, SharedBuffer
from widgets.viewport.drawing.streams import same_sources

PIECE = 1 << 14
"""Splats that are packed and sent at once: some two milliseconds."""
TEXELS = {0: 1, 1: 3, 2: 7, 3: 12}
"""Of harmonics by degree: four numbers each."""


class Rows:
    """A texture of some texels per splat, filled piece by piece; ``per`` splats lie in a row. A part of a plan."""

    def __init__(
        self, sources: tuple[Any, ...], n: int, texels: int, kind: str, largest: int,
        piece: Callable[[slice], NDArray[Any]], watch: bool = False,
    ) -> None:  # fmt: skip
        self.sources = sources
        self.rows, self.texels = n, texels
        self.per = max(1, min(largest // texels, max(4096 // texels, -(-n // largest))))
        self.texture = Texture(self.per * texels, max(1, -(-n // self.per)), kind)
        self._piece, self._watch = piece, watch
        self.done = 0
        self.low: NDArray[np.float64] | None = None
        self.high: NDArray[np.float64] | None = None

    @property
    def complete(self) -> bool:
        return self.done >= self.rows

    def pump(self, deadline: float) -> bool:
        step = max(1, PIECE // self.per) * self.per
        while not self.complete:
            end = min(self.done + step, self.rows)
            texels = self._piece(slice(self.done, end))
            if self._watch:
                self._look_at(texels[:, 0, :3])
            short = -(end - self.done) % self.per
            if short:
                texels = np.concatenate([texels, np.zeros((short, *texels.shape[1:]), texels.dtype)])
            self.texture.fill(texels.reshape(-1, self.per * self.texels, 4), self.done // self.per)
            self.done = end
            if time.perf_counter() > deadline:
                break
        return self.complete

    def _look_at(self, places: NDArray[np.float32]) -> None:
        found = places[np.isfinite(places).all(axis=1)]
        if len(found):
            low, high = found.min(axis=0).astype(np.float64), found.max(axis=0).astype(np.float64)
            self.low = low if self.low is None else np.minimum(self.low, low)
            self.high = high if self.high is None else np.maximum(self.high, high)

    def same(self, sources: tuple[Any, ...]) -> bool:
        return same_sources(self.sources, sources)

    def free(self) -> None:
        self.texture.free()


def packed_body(splats: Splats, part: slice) -> NDArray[np.float32]:
    """(n, 3, 4): place and alpha, the unit quaternion, the deviations. What is not finite is not drawn: alpha 0."""
    xyz, logits = np.asarray(splats.xyz[part], np.float32), np.asarray(splats.opacity[part], np.float32)
    out = np.zeros((len(xyz), 3, 4), np.float32)
    turns = np.asarray(splats.turns[part], np.float32)
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        out[:, 0, :3], out[:, 0, 3] = xyz, 1 / (1 + np.exp(-logits))
        out[:, 1] = turns / np.sqrt(np.einsum("ij,ij->i", turns, turns))[:, None]
        out[:, 2, :3] = np.exp(np.minimum(splats.scales[part], np.float32(60)))
    bad = ~np.isfinite(out.reshape(len(out), 12)).all(axis=1)
    if bad.any():
        out[bad] = 0
    return out


def packed_tint(sh: Any, part: slice, texels: int) -> NDArray[np.float16]:
    """(n, texels, 4): the coefficients' numbers one after the other, zeros behind the last."""
    some = np.asarray(sh[part], np.float32)
    flat = some.reshape(len(some), -1)[:, : texels * 4]
    out = np.zeros((len(some), texels * 4), np.float16)
    out[:, : flat.shape[1]] = np.clip(np.nan_to_num(flat), -60_000, 60_000)
    return out.reshape(len(some), texels, 4)


def room_of(largest: int) -> int:
    """How many splats textures of ``largest`` texels on each side can hold."""
    return (largest // 3) * largest


def best_degree(coefficients: int, n: int, largest: int) -> int:
    """The highest degree of harmonics of ``n`` splats that there are and that a texture of ``largest`` can hold."""
    fits = [d for d, t in TEXELS.items() if (d + 1) ** 2 <= coefficients and (largest // t) * largest >= n]
    return max(fits, default=0)


class Ids:
    """The splats' numbers in the order in which they are drawn, as the shaders read them."""

    def __init__(self) -> None:
        self._buffer: Buffer | None = None
        self._shared: SharedBuffer | None = None
        self._can_share = True
        self._room = 0
        self._texture = int(GL.glGenTextures(1))
        self.count = 0

    def fill(self, ids: Any) -> None:
        """uint32 (M,), or what lies on a CUDA device (``pointer``, ``device`` and ``host()``): takes the place of what
        was there."""
        if self._buffer is None or len(ids) > self._room:
            self._make(max(len(ids), 1))
        assert self._buffer is not None
        if not (hasattr(ids, "pointer") and self._copied(ids)):
            rows = ids.host() if hasattr(ids, "host") else ids
            self._buffer.fill(0, np.ascontiguousarray(rows, np.uint32))
        self.count = len(ids)

    def _make(self, room: int) -> None:
        self._free_buffer()
        self._room = room
        self._buffer = Buffer(4 * room, GL.GL_TEXTURE_BUFFER)
        GL.glBindTexture(GL.GL_TEXTURE_BUFFER, self._texture)
        GL.glTexBuffer(GL.GL_TEXTURE_BUFFER, GL.GL_R32UI, self._buffer.handle)

    def _copied(self, ids: Any) -> bool:
        """From the card to the card; False where that cannot be, from then on."""
        assert self._buffer is not None
        if not len(ids) or not self._can_share:
            return False
        try:
            if self._shared is None:
                self._shared = SharedBuffer(self._buffer.handle, ids.device)
            self._shared.copy(ids.pointer, 4 * len(ids))
        except NoInterop:
            self._can_share = False
        return self._can_share

    def bind(self, unit: int) -> None:
        GL.glActiveTexture(GL.GL_TEXTURE0 + unit)
        GL.glBindTexture(GL.GL_TEXTURE_BUFFER, self._texture)

    def _free_buffer(self) -> None:
        if self._shared is not None:
            self._shared.free()
            self._shared = None
        if self._buffer is not None:
            self._buffer.free()
            self._buffer = None

    def free(self) -> None:
        GL.glDeleteTextures(1, [self._texture])
        self._free_buffer()
