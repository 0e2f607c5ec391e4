"""Segments, arrows, and the links and discs of handles: thin things, smooth at their edges. Draws one of them."""

from __future__ import annotations

from typing import Any

import numpy as np
from OpenGL import GL

from engine.scene import Arrows, Handles, Lines
from widgets.viewport.colours import rgb
from widgets.viewport.drawing import shaders, shaders_over
from widgets.viewport.drawing.gpu import Gpu, Vao
from widgets.viewport.drawing.shot import Shot, world_of
from widgets.viewport.drawing.streams import Item, Plan, Stream, array_stream
from widgets.viewport.lod import consecutive_blocks

HANDLE = 11.0
"""Pixels across of a handle's disc."""
MANY = 50_000
"""From here on segments are drawn as OpenGL's own lines, a pixel wide, four times as fast."""


class LinesItem(Item):
    LAYER = "lines"
    thing: Lines
    shown_thing: Lines

    def __init__(self, gpu: Gpu, thing: Lines) -> None:
        super().__init__(thing)
        self._gpu = gpu
        self._vao = Vao()

    def plan(self) -> Plan:
        lines = self.thing
        n = len(lines.ends)
        sources = (lines.ends, n)
        found: Plan = {"xyz": (sources, lambda: _ends_stream(sources, lines.ends))}
        if lines.rgb is not None:
            found["rgb"] = array_stream(lines.rgb, np.uint8, consecutive_blocks(n))
        return found

    def connect(self) -> None:
        self._vao.free()
        self._vao = Vao()
        ends = self.shown["xyz"].buffer
        if self._thin:
            self._vao.feed(0, ends, np.float32, 3, stride=12)
            return
        self._vao.feed(0, ends, np.float32, 3, stride=24, divisor=1)
        self._vao.feed(1, ends, np.float32, 3, stride=24, offset=12, divisor=1)
        if "rgb" in self.shown:
            self._vao.feed(2, self.shown["rgb"].buffer, np.uint8, 3, divisor=1, normalised=True)

    @property
    def _thin(self) -> bool:
        return len(self.shown_thing.ends) > MANY and "rgb" not in self.shown

    def bounds(self) -> Any:
        part = self.shown.get("xyz")
        if part is None or part.low is None:
            return None
        return np.minimum(part.low[:3], part.low[3:]), np.maximum(part.high[:3], part.high[3:])

    def draw(self, shot: Shot) -> None:
        lines = self.shown_thing
        count = min((part.done for part in self.shown.values()), default=0)
        if not count:
            return
        world = world_of(lines, self.changes)
        colour = rgb(self.changes.colour or lines.colour, shot.palette.line)
        alpha = lines.opacity if self.changes.opacity is None else self.changes.opacity
        defines: dict[str, Any] = {"PLANES": len(shot.planes)} if len(shot.planes) else {}
        if self._thin:
            program = self._gpu.program(shaders.EDGE_VERTEX, shaders.EDGE_FRAGMENT, **defines)
            program.set(**shot.place(world), colour=(*(c * alpha for c in colour), alpha))
            self._vao.bind()
            GL.glDrawArrays(GL.GL_LINES, 0, count * 2)
            return
        if "rgb" in self.shown:
            defines["RGB"] = 1
        program = self._gpu.program(shaders_over.LINE_VERTEX, shaders_over.LINE_FRAGMENT, **defines)
        program.set(**shot.place(world), plain=colour, width=lines.width * shot.pixel, alpha=alpha)
        self._vao.bind()
        GL.glDrawArraysInstanced(GL.GL_TRIANGLE_STRIP, 0, 4, count)

    def free(self) -> None:
        super().free()
        self._vao.free()


def _ends_stream(sources: tuple[Any, ...], ends: Any) -> Stream:
    flat = np.asarray(ends, np.float32).reshape(len(ends), 6)
    return Stream(sources, consecutive_blocks(len(flat)), 24, lambda block: flat[block], watch=True)


class ArrowsItem(Item):
    LAYER = "lines"
    thing: Arrows
    shown_thing: Arrows

    def __init__(self, gpu: Gpu, thing: Arrows) -> None:
        super().__init__(thing)
        self._gpu = gpu
        self._vao = Vao()

    def plan(self) -> Plan:
        arrows = self.thing
        blocks = consecutive_blocks(len(arrows.at))
        found: Plan = {
            "xyz": array_stream(arrows.at, np.float32, blocks, watch=True),
            "vectors": array_stream(arrows.vectors, np.float32, blocks),
        }
        if arrows.rgb is not None:
            found["rgb"] = array_stream(arrows.rgb, np.uint8, blocks)
        return found

    def connect(self) -> None:
        self._vao.free()
        self._vao = Vao()
        self._vao.feed(0, self.shown["xyz"].buffer, np.float32, 3, divisor=1)
        self._vao.feed(1, self.shown["vectors"].buffer, np.float32, 3, divisor=1)
        if "rgb" in self.shown:
            self._vao.feed(2, self.shown["rgb"].buffer, np.uint8, 3, divisor=1, normalised=True)

    def draw(self, shot: Shot) -> None:
        arrows = self.shown_thing
        count = min((part.done for part in self.shown.values()), default=0)
        if not count:
            return
        defines: dict[str, Any] = {"PLANES": len(shot.planes)} if len(shot.planes) else {}
        if "rgb" in self.shown:
            defines["RGB"] = 1
        program = self._gpu.program(shaders_over.ARROW_VERTEX, shaders_over.LINE_FRAGMENT, **defines)
        program.set(
            **shot.place(world_of(arrows, self.changes)),
            plain=rgb(self.changes.colour or arrows.colour, shot.palette.line),
            width=arrows.width * shot.pixel,
            alpha=arrows.opacity if self.changes.opacity is None else self.changes.opacity,
        )
        self._vao.bind()
        GL.glDrawArraysInstanced(GL.GL_TRIANGLE_STRIP, 0, 9, count)

    def free(self) -> None:
        super().free()
        self._vao.free()


class HandlesItem(Item):
    """Discs over everything else, since what cannot be seen cannot be taken hold of."""

    LAYER = "signs"
    thing: Handles
    shown_thing: Handles

    def __init__(self, gpu: Gpu, thing: Handles) -> None:
        super().__init__(thing)
        self._gpu = gpu
        self._vao = Vao()
        self._links = Vao()

    def plan(self) -> Plan:
        handles = self.thing
        found: Plan = {
            "xyz": array_stream(handles.at, np.float32, consecutive_blocks(len(handles.at)), watch=True),
        }
        if handles.links is not None and len(handles.links):
            sources = (handles.at, handles.links, "links")
            found["links"] = sources, lambda: _ends_stream(sources, np.asarray(handles.at)[np.asarray(handles.links)])
        return found

    def connect(self) -> None:
        for vao in (self._vao, self._links):
            vao.free()
        self._vao, self._links = Vao(), Vao()
        self._vao.feed(0, self.shown["xyz"].buffer, np.float32, 3)
        if "links" in self.shown:
            self._links.feed(0, self.shown["links"].buffer, np.float32, 3, stride=24, divisor=1)
            self._links.feed(1, self.shown["links"].buffer, np.float32, 3, stride=24, offset=12, divisor=1)

    def draw(self, shot: Shot) -> None:
        handles = self.shown_thing
        defines: dict[str, Any] = {"PLANES": len(shot.planes)} if len(shot.planes) else {}
        place = shot.place(world_of(handles, self.changes))
        colour = rgb(self.changes.colour or handles.colour, shot.palette.accent)
        alpha = handles.opacity if self.changes.opacity is None else self.changes.opacity
        if "links" in self.shown:
            program = self._gpu.program(shaders_over.LINE_VERTEX, shaders_over.LINE_FRAGMENT, **defines)
            program.set(**place, plain=colour, width=1.25 * shot.pixel, alpha=0.7 * alpha)
            self._links.bind()
            GL.glDrawArraysInstanced(GL.GL_TRIANGLE_STRIP, 0, 4, self.shown["links"].done)
        program = self._gpu.program(shaders_over.HANDLE_VERTEX, shaders_over.HANDLE_FRAGMENT, **defines)
        program.set(
            **{**place, "marked": rgb("#ffffff", "")}, plain=colour, rim=rgb(shot.palette.ground, ""),
            size=HANDLE * shot.pixel, hovered=self.changes.hovered, alpha=alpha,
        )  # fmt: skip
        self._vao.bind()
        GL.glDrawArrays(GL.GL_POINTS, 0, self.shown["xyz"].done)

    def free(self) -> None:
        super().free()
        self._vao.free()
        self._links.free()
