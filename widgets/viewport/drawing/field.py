"""Pictures with depth among the things of a scene, taken by the view's camera or by one before. Draws one of them.

A photograph that came with the picture lies over its left part, up to a line that the view sets (``Changes.wipe``).
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
from OpenGL import GL

from engine.scene import Field
from widgets.viewport.camera import Array, frame_of
from widgets.viewport.drawing import shaders_field, shaders_over
from widgets.viewport.drawing.gpu import Gpu, Texture, Vao
from widgets.viewport.drawing.shot import Shot, world_of
from widgets.viewport.drawing.streams import Item, Picture, Plan, same_sources
from widgets.viewport.sights import camera_of

CELLS = 24_000
"""Of a relief at most: about as many as a software OpenGL draws in a frame. The colours keep their own pixels."""
SAME = 1e-5
"""Two eyes are one where they are nearer than this share of the distance to the target."""
WINDOW_TO_UV = np.array([[0.5, 0.0, -0.5], [0.0, -0.5, -0.5], [0.0, 0.0, -1.0]])
"""From directions in a camera whose picture is -1..1 at depth 1 to (u w, v w, w), v from the top."""


class Planes:
    """Colours and depth of a picture as two textures, sent at once: a part of a plan."""

    def __init__(self, sources: tuple[Any, ...], field: Field) -> None:
        self.sources = sources
        self._field = field
        self.rows, width = np.shape(field.alpha)
        self.colours = Texture(width, self.rows, smooth=True)
        self.distances = Texture(width, self.rows, "pair", smooth=True)
        self.done = 0
        self.low = self.high = None

    @property
    def complete(self) -> bool:
        return self.done > 0

    def pump(self, deadline: float) -> bool:
        field = self._field
        alpha = np.clip(np.asarray(field.alpha, np.float32), 0, 1)
        rgba = np.concatenate([np.clip(field.image, 0, 1), alpha[..., None]], axis=2)
        self.colours.fill(np.ascontiguousarray(rgba * 255 + 0.5, np.uint8))
        depth = np.asarray(field.depth, np.float32)
        alpha = np.where((depth > 0) & np.isfinite(depth), alpha, 0)
        self.distances.fill(np.ascontiguousarray(np.stack([np.where(alpha > 0, depth, 0) * alpha, alpha], axis=2)))
        self.done = self.rows
        return True

    def same(self, sources: tuple[Any, ...]) -> bool:
        return same_sources(self.sources, sources)

    def free(self) -> None:
        self.colours.free()
        self.distances.free()


class FieldItem(Item):
    """Drawn after what is solid and before all else, with a depth of its own."""

    LAYER = "field"
    thing: Field
    shown_thing: Field

    def __init__(self, gpu: Gpu, thing: Field) -> None:
        super().__init__(thing)
        self._gpu = gpu
        self._vao = Vao()

    def plan(self) -> Plan:
        field = self.thing
        sources = (field.image, field.alpha, field.depth)
        # The table's part speaks of streams and pictures; this one has the same manners.
        found: Plan = {"planes": (sources, lambda: Planes(sources, field))}  # type: ignore[dict-item, return-value]
        if field.truth is not None:
            truth = (field.truth,)
            found["truth"] = truth, lambda: Picture(truth, field.truth, smooth=True)
        return found

    def bounds(self) -> None:
        """None: it changes with every picture, and the grid should not."""
        return None

    def draw(self, shot: Shot) -> None:
        field = self.shown_thing
        planes: Planes = self.shown["planes"]
        if not planes.complete:
            return
        camera = camera_of(field.camera)
        planes.colours.bind(1)
        planes.distances.bind(2)
        tall = math.tan(math.radians(camera.fov) / 2)
        half_size = (tall * planes.colours.width / planes.colours.height, tall)
        world = np.eye(4)
        world[:3, :3], world[:3, 3] = frame_of(camera).T, camera.eye
        world = world_of(field, self.changes) @ world
        common = {
            "picture": 1, "distances": 2, "near_far": shot.near_far, "by_depth": shot.style.mode == "depth",
            "alpha": field.opacity if self.changes.opacity is None else self.changes.opacity,
        }  # fmt: skip
        if cropped_alike(field.planes, shot.planes):
            shot = replace(shot, planes=shot.planes[:0])  # the engine left out what is outside
        eye = np.linalg.inv(shot.view)[:3, 3]
        if shot.perspective and not len(shot.planes) and math.dist(eye, world[:3, 3]) < SAME * camera.distance:
            self._draw_exact(shot, world, half_size, {**common, **self._laid_over()})
        else:
            self._draw_relief(shot, world, half_size, common)

    def _laid_over(self) -> dict[str, Any]:
        """The photograph, and up to which share of the picture's width it lies over it."""
        truth: Picture | None = self.shown.get("truth")
        if truth is None or not truth.complete or self.shown_thing.truth is None:
            return {"photograph": 1, "wipe": 0.0}
        truth.texture.bind(3)
        return {"photograph": 3, "wipe": self.changes.wipe}

    def _draw_exact(self, shot: Shot, world: Array, half_size: tuple[float, float], common: dict[str, Any]) -> None:
        """Each pixel of the screen looks up its own ray."""
        rows = shot.projection[[0, 1, 3], :3]
        rays = np.linalg.inv(rows)  # (x, y, 1) of the screen to a direction in the view's axes
        turned = np.linalg.inv(world[:3, :3]) @ shot.view[:3, :3].T @ rays
        turned[:2] /= np.array(half_size)[:, None]
        p = shot.projection
        program = self._gpu.program(shaders_over.SCREEN_VERTEX, shaders_field.SAME_EYE_FRAGMENT)
        program.set(**common, look=WINDOW_TO_UV @ turned, ahead_row=-rays[2], lens=(p[2, 2], p[2, 3], p[3, 2], p[3, 3]))
        for number in (0, 1):
            GL.glDepthMask(number == 1)
            GL.glColorMask(*[number == 0] * 4)
            program.set(pass_=number)
            self._gpu.fill_screen(program)
        GL.glColorMask(True, True, True, True)
        GL.glDepthMask(True)

    def _draw_relief(self, shot: Shot, world: Array, half_size: tuple[float, float], common: dict[str, Any]) -> None:
        """The picture of another eye as a surface of cells."""
        planes: Planes = self.shown["planes"]
        cells = cells_of(planes.colours.width, planes.colours.height)
        defines: dict[str, Any] = {"PLANES": len(shot.planes)} if len(shot.planes) else {}
        program = self._gpu.program(shaders_field.RELIEF_VERTEX, shaders_field.RELIEF_FRAGMENT, **defines)
        program.set(**{**shot.place(world), **common}, half_size=half_size, cells=cells)
        self._vao.bind()
        GL.glDrawArrays(GL.GL_TRIANGLES, 0, int(cells[0] * cells[1]) * 6)

    def free(self) -> None:
        super().free()
        self._vao.free()


def cropped_alike(planes: Any, cut: Array) -> bool:
    """Whether a picture was cropped by the planes (K, 4) that the view cuts by, to what a control's text holds."""
    return planes is not None and len(cut) > 0 and np.shape(planes) == np.shape(cut) and np.allclose(
        planes, cut, rtol=1e-4, atol=1e-4
    )  # fmt: skip


def cells_of(width: int, height: int) -> tuple[float, float]:
    """Across and down: one a pixel where that are not too many, of the picture's shape."""
    share = min(1.0, math.sqrt(CELLS / (width * height)))
    return float(max(1, round(width * share))), float(max(1, round(height * share)))
