"""Arrays on their way to the graphics card, piece by piece, so that no paint waits for a large one. Draws nothing."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from OpenGL import GL

from engine.scene import Thing
from widgets.viewport.drawing.gpu import Buffer, Texture
from widgets.viewport.style import Changes

Piece = Callable[[slice], NDArray[Any]]


class Stream:
    """One buffer that is filled block by block. ``sources`` are what its contents come from: two streams of the very
    same sources are the same. ``low`` and ``high`` are the least and greatest of what came so far, by column."""

    def __init__(
        self, sources: tuple[Any, ...], blocks: Sequence[slice], row_bytes: int, piece: Piece, *,
        target: int = GL.GL_ARRAY_BUFFER, watch: bool = False,
    ) -> None:  # fmt: skip
        self.sources = sources
        self._blocks = list(blocks)
        self._piece = piece
        self._row_bytes = row_bytes
        self.rows = sum(len(range(block.start, block.stop, block.step or 1)) for block in self._blocks)
        self.buffer = Buffer(self.rows * row_bytes, target)
        self.done = 0
        self._next = 0
        self._watch = watch
        self.low: NDArray[np.float64] | None = None
        self.high: NDArray[np.float64] | None = None

    @property
    def complete(self) -> bool:
        return self._next >= len(self._blocks)

    def pump(self, deadline: float) -> bool:
        """Sends blocks, one at least, until ``deadline`` (time.perf_counter); whether all are there now."""
        while not self.complete:
            rows = np.ascontiguousarray(self._piece(self._blocks[self._next]))
            if self._watch:
                self._look_at(rows)
            self.buffer.fill(self.done * self._row_bytes, rows)
            self.done += len(rows)
            self._next += 1
            if time.perf_counter() > deadline:
                break
        return self.complete

    def _look_at(self, rows: NDArray[Any]) -> None:
        table = rows.reshape(len(rows), -1)
        if not len(table):
            return
        low, high = table.min(axis=0), table.max(axis=0)
        if not (np.isfinite(low).all() and np.isfinite(high).all()):
            table = table[np.isfinite(table).all(axis=1)]
            if not len(table):
                return
            low, high = table.min(axis=0), table.max(axis=0)
        self.low = low.astype(np.float64) if self.low is None else np.minimum(self.low, low)
        self.high = high.astype(np.float64) if self.high is None else np.maximum(self.high, high)

    def same(self, sources: tuple[Any, ...]) -> bool:
        return same_sources(self.sources, sources)

    def free(self) -> None:
        self.buffer.free()


class Picture:
    """A texture that is filled some rows at a time; the same manners as :class:`Stream`."""

    def __init__(
        self, sources: tuple[Any, ...], image: NDArray[np.uint8], *, smooth: bool, mipmaps: bool = False
    ) -> None:
        self.sources = sources
        self._image = image
        self.texture = Texture(image.shape[1], image.shape[0], "rgba", smooth, mipmaps)
        self.rows = image.shape[0]
        self.done = 0
        self.low = self.high = None

    @property
    def complete(self) -> bool:
        return self.done >= self.rows

    def pump(self, deadline: float) -> bool:
        step = max(1, (1 << 20) // max(1, self._image.shape[1] * 4))
        while not self.complete:
            rows = rgba(self._image[self.done : self.done + step])
            self.texture.fill(rows, self.done)
            self.done += len(rows)
            if time.perf_counter() > deadline:
                break
        return self.complete

    def same(self, sources: tuple[Any, ...]) -> bool:
        return same_sources(self.sources, sources)

    def free(self) -> None:
        self.texture.free()


def rgba(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """uint8 (H, W, 4), contiguous, of one with three or four channels."""
    if image.shape[2] == 4:
        return np.ascontiguousarray(image)
    full = np.full((*image.shape[:2], 4), 255, np.uint8)
    full[..., :3] = image
    return full


def same_sources(a: tuple[Any, ...], b: tuple[Any, ...]) -> bool:
    """Whether two lists of sources are one: plain values by what they are, arrays by which they are."""
    plain = (str, int, float, bool)
    return len(a) == len(b) and all(
        x is y or (isinstance(x, plain) and isinstance(y, plain) and x == y) for x, y in zip(a, b, strict=True)
    )


class FlagPicture:
    """A byte per face as a texture, since a fragment knows its face's number and nothing else of it."""

    WIDTH = 4096
    """Faces in a row, as the shader has it too."""

    def __init__(self, sources: tuple[Any, ...], keep: Any, marked: Any, n: int) -> None:
        self.sources = sources
        self._keep, self._marked, self.rows = keep, marked, n
        self._lines = max(1, -(-n // self.WIDTH))
        self.texture = Texture(self.WIDTH, self._lines, "red")
        self.done = 0
        self.complete = False
        self.low = self.high = None

    def pump(self, deadline: float) -> bool:
        """All at once: a million faces are a megabyte."""
        bits = np.zeros(self._lines * self.WIDTH, np.uint8)
        bits[: self.rows] = mark_bits(self._keep, self._marked, slice(0, self.rows))
        self.texture.fill(bits.reshape(self._lines, self.WIDTH))
        self.done, self.complete = self.rows, True
        return True

    def same(self, sources: tuple[Any, ...]) -> bool:
        return same_sources(self.sources, sources)

    def free(self) -> None:
        self.texture.free()


Plan = dict[str, tuple[tuple[Any, ...], Callable[[], Stream | Picture | FlagPicture]]]
"""Name of a part -> its sources, and how to begin to send it."""


class Item:
    """A thing as it is on the graphics card. Subclasses say what it consists of (:meth:`plan`) and draw it.

    What was complete stays on screen until what replaces it is complete as well; a first one is shown as it comes.
    """

    LAYER = "solid"
    """``solid`` things are drawn first, ``lines`` over them, ``glass`` from far to near, ``signs`` at last."""

    SPARE: tuple[str, ...] = ()
    """Parts that the picture of a camera at rest does without."""

    def __init__(self, thing: Thing) -> None:
        self.thing = thing
        self.changes = Changes()
        self.shown: dict[str, Any] = {}
        self.shown_thing = thing
        self._coming: dict[str, Any] | None = None
        self._coming_thing = thing
        self._begun_changes = self.changes
        self._ready = False
        self._stale = True
        self._matters = True

    def want(self, thing: Thing, changes: Changes) -> None:
        """What is to be shown from now on."""
        if thing is not self.thing or changes is not self.changes:
            self.thing, self.changes, self._stale = thing, changes, True

    @property
    def busy(self) -> bool:
        return self._stale or self._coming is not None

    def plan(self) -> Plan:
        raise NotImplementedError

    def connect(self) -> None:
        """Called when the parts that are shown have changed: feeds them to the shaders' inputs."""

    def pump(self, deadline: float) -> bool:
        """Sends what is missing until ``deadline``; whether the picture changes by that."""
        if self._coming is None:
            if not self._stale:
                return False
            self._begin()
        assert self._coming is not None
        before = self._there(self._coming)
        for part in self._coming.values():
            if not part.complete and not part.pump(deadline):
                break
        if all(part.complete for part in self._coming.values()):
            self._show(self._coming)
            self._coming = None
            self._ready = True
            return self._matters
        if not self._ready:
            if self.shown is not self._coming:
                self._show(self._coming)
            return self._there(self._coming) != before
        return False

    def _begin(self) -> None:
        self._stale = False
        self._coming = {}
        self._matters = (
            not self._ready or self._coming_thing is not self.thing or self._begun_changes is not self.changes
        )
        self._coming_thing, self._begun_changes = self.thing, self.changes
        for name, (sources, begin) in self.plan().items():
            old = self.shown.get(name)
            same = old is not None and old.same(sources)
            self._coming[name] = old if same else begin()
            self._matters = self._matters or (not same and name not in self.SPARE)

    def _show(self, parts: dict[str, Any]) -> None:
        kept = {id(part) for part in parts.values()}
        for part in self.shown.values():
            if id(part) not in kept:
                part.free()
        self.shown, self.shown_thing = parts, self._coming_thing
        self.connect()

    @staticmethod
    def _there(parts: dict[str, Any]) -> int:
        return sum(part.done for part in parts.values())

    def bounds(self) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
        """Least and greatest corner in the thing's own coordinates, of what is there so far."""
        part = self.shown.get("xyz")
        return None if part is None or part.low is None else (part.low, part.high)

    def free(self) -> None:
        parts = {id(part): part for part in [*self.shown.values(), *(self._coming or {}).values()]}
        for part in parts.values():
            part.free()
        self.shown, self._coming = {}, None


def array_stream(
    array: NDArray[Any], dtype: Any, blocks: Sequence[slice], *, order: Any = "", watch: bool = False,
    target: int = GL.GL_ARRAY_BUFFER,
) -> tuple[tuple[Any, ...], Callable[[], Stream]]:  # fmt: skip
    """A part of a plan: ``array`` by rows, as ``dtype``."""
    width = int(np.prod(array.shape[1:], dtype=np.int64)) * np.dtype(dtype).itemsize
    sources = (array, order, str(np.dtype(dtype)))

    def piece(block: slice) -> NDArray[Any]:
        return np.asarray(array[block], dtype)

    return sources, lambda: Stream(sources, blocks, width, piece, target=target, watch=watch)


def mark_bits(keep: Any, marked: Any, block: slice) -> NDArray[np.uint8]:
    """1 for what is not to be drawn, 2 for what is selected."""
    some = keep if keep is not None else marked
    bits = np.zeros(len(some[block]), np.uint8)
    if keep is not None:
        bits |= (~np.asarray(keep[block], bool)).astype(np.uint8)
    if marked is not None:
        bits |= np.asarray(marked[block], bool).astype(np.uint8) << 1
    return bits
