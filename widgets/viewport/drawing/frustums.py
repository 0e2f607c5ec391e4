"""Cameras as pyramids with their photographs on the bases. Draws one thing of them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from OpenGL import GL

from engine.scene import Frustums
from widgets.viewport.colours import rgb
from widgets.viewport.drawing import shaders_field, shaders_over
from widgets.viewport.drawing.gpu import Gpu, Vao
from widgets.viewport.drawing.shot import MARKED, Shot, world_of
from widgets.viewport.drawing.streams import Item, Picture, Plan, Stream, array_stream
from widgets.viewport.lod import consecutive_blocks

WIDTH = 1.25
"""Pixels of the edges."""
SIDES = np.array([[0, 1], [1, 2], [2, 3], [3, 0]])


class FrustumsItem(Item):
    """The photographs stand among the solid things, the edges among the lines."""

    LAYER = "lines"
    thing: Frustums
    shown_thing: Frustums

    def __init__(self, gpu: Gpu, thing: Frustums) -> None:
        super().__init__(thing)
        self._gpu = gpu
        self._edges, self._photos = Vao(), Vao()

    def plan(self) -> Plan:
        thing = self.thing
        n = len(thing.eyes)
        sources = (thing.eyes, thing.corners)
        lit = (*sources, thing.colour, self.changes.colour or "", thing.chosen, self.changes.hovered)
        blocks = consecutive_blocks(8 * n)
        found: Plan = {
            "xyz": (sources, lambda: Stream(sources, blocks, 24, _sliced(edges_of(thing)), watch=True)),
            "rgb": (lit, lambda: Stream(lit, blocks, 3, _sliced(self._colours(n)))),
        }
        if thing.images is not None and n:
            found["eyes"] = array_stream(thing.eyes, np.float32, consecutive_blocks(n))
            found["corners"] = array_stream(thing.corners, np.float32, consecutive_blocks(n), order="corners")
            picture = (thing.images,)
            found["picture"] = picture, lambda: Picture(picture, tiled(thing.images, self._gpu.largest)[0], smooth=True)
        return found

    def _colours(self, n: int) -> NDArray[np.uint8]:
        """uint8 (8 n, 3): all in one colour, but for the chosen one and that below the pointer."""
        plain = rgb(self.changes.colour or self.thing.colour, "#8a94a6")
        rows = np.tile(np.asarray(plain) * 255, (n, 1))
        if 0 <= self.thing.chosen < n:
            rows[self.thing.chosen] = np.asarray(MARKED) * 255
        if 0 <= self.changes.hovered < n:
            rows[self.changes.hovered] = 255
        return np.repeat(rows + 0.5, 8, axis=0).astype(np.uint8)

    def connect(self) -> None:
        for vao in (self._edges, self._photos):
            vao.free()
        self._edges, self._photos = Vao(), Vao()
        ends = self.shown["xyz"].buffer
        self._edges.feed(0, ends, np.float32, 3, stride=24, divisor=1)
        self._edges.feed(1, ends, np.float32, 3, stride=24, offset=12, divisor=1)
        self._edges.feed(2, self.shown["rgb"].buffer, np.uint8, 3, divisor=1, normalised=True)
        if "picture" in self.shown:
            for k in range(4):
                self._photos.feed(k, self.shown["corners"].buffer, np.float32, 3, stride=48, offset=12 * k, divisor=1)
            self._photos.feed(4, self.shown["eyes"].buffer, np.float32, 3, divisor=1)

    def bounds(self) -> Any:
        part = self.shown.get("xyz")
        if part is None or part.low is None:
            return None
        return np.minimum(part.low[:3], part.low[3:]), np.maximum(part.high[:3], part.high[3:])

    def _setting(self, shot: Shot) -> tuple[dict[str, Any], dict[str, Any], float]:
        thing = self.shown_thing
        defines: dict[str, Any] = {"PLANES": len(shot.planes)} if len(shot.planes) else {}
        alpha = thing.opacity if self.changes.opacity is None else self.changes.opacity
        return defines, shot.place(world_of(thing, self.changes)), alpha

    def draw_photos(self, shot: Shot) -> None:
        """The photographs; all but that of the camera which the view looks through."""
        if "picture" not in self.shown or not all(part.complete for part in self.shown.values()):
            return
        defines, place, alpha = self._setting(shot)
        eye = np.linalg.inv(shot.view @ world_of(self.shown_thing, self.changes))[:3, 3]
        _, across, down = tiled_size(np.shape(self.shown_thing.images), self._gpu.largest)
        program = self._gpu.program(shaders_field.PHOTO_VERTEX, shaders_field.PHOTO_FRAGMENT, **defines)
        program.set(**place, picture=1, alpha=alpha, seen_from=eye, sheet=(float(across), float(down)))
        self.shown["picture"].texture.bind(1)
        self._photos.bind()
        GL.glDrawArraysInstanced(GL.GL_TRIANGLE_STRIP, 0, 4, len(self.shown_thing.eyes))

    def draw(self, shot: Shot, strength: float = 1.0) -> None:
        """The edges, so much of their own opacity."""
        count = min(self.shown["xyz"].done, self.shown["rgb"].done)
        if not count:
            return
        defines, place, alpha = self._setting(shot)
        program = self._gpu.program(shaders_over.LINE_VERTEX, shaders_over.LINE_FRAGMENT, **defines, RGB=1)
        program.set(**place, width=WIDTH * shot.pixel, alpha=alpha * strength)
        self._edges.bind()
        GL.glDrawArraysInstanced(GL.GL_TRIANGLE_STRIP, 0, 4, count)

    def free(self) -> None:
        super().free()
        self._edges.free()
        self._photos.free()


def _sliced(rows: NDArray[Any]) -> Any:
    return lambda block: rows[block]


def edges_of(thing: Frustums) -> NDArray[np.float32]:
    """float32 (8 M, 6): from each eye to its four corners, and round these."""
    eyes = np.asarray(thing.eyes, np.float32)[:, None]
    corners = np.asarray(thing.corners, np.float32)
    spokes = np.concatenate([np.broadcast_to(eyes, corners.shape), corners], axis=2)
    rims = corners[:, SIDES].reshape(len(corners), 4, 6)
    return np.concatenate([spokes, rims], axis=1).reshape(-1, 6)


def tiled_size(shape: tuple[int, ...], largest: int) -> tuple[int, int, int]:
    """Every how many pixels of M pictures (M, h, w, 3) are taken so that one square of them is no larger than
    ``largest``, and how many stand across and down it."""
    count, high, wide = shape[:3]
    across = max(1, math.ceil(math.sqrt(count * high / wide)))
    down = math.ceil(count / across)
    return max(1, math.ceil(max(across * wide, down * high) / largest)), across, down


def tiled(images: Any, largest: int) -> tuple[NDArray[np.uint8], int, int]:
    """All pictures on one, row by row, and how many stand across and down."""
    step, across, down = tiled_size(np.shape(images), largest)
    small = np.asarray(images, np.uint8)[:, ::step, ::step]
    count, high, wide = small.shape[:3]
    sheet = np.zeros((down * across, high, wide, small.shape[3]), np.uint8)
    sheet[:count] = small
    rows = sheet.reshape(down, across, high, wide, -1).transpose(0, 2, 1, 3, 4)
    return np.ascontiguousarray(rows.reshape(down * high, across * wide, -1)), across, down
