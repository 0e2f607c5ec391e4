"""Triangles: what is sent of a mesh, its shading, edges over faces, faces hidden and selected. Draws one mesh."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np
from numpy.typing import NDArray
from OpenGL import GL

from engine.scene import Mesh
from widgets.viewport.colours import rgb, value_range
from widgets.viewport.drawing import shaders
from widgets.viewport.drawing.gpu import Gpu, Program, Texture, Vao, free_all, set_flags
from widgets.viewport.drawing.points import table_key
from widgets.viewport.drawing.shot import Shot, world_of
from widgets.viewport.drawing.streams import FlagPicture, Item, Picture, Plan, array_stream, same_sources
from widgets.viewport.lod import consecutive_blocks

COARSE_FROM = 150_000
"""Faces from which on a coarser mesh is wanted for a camera that moves."""


def best_colouring(mesh: Mesh) -> str:
    """What a mesh is coloured by where nobody says it; ``texture`` where it has one."""
    if mesh.colour_by:
        return mesh.colour_by
    if mesh.texture is not None and mesh.uv is not None:
        return "texture"
    if mesh.rgb is not None:
        return "rgb"
    return f"scalar:{next(iter(mesh.scalars))}" if mesh.scalars else "plain"


class MeshItem(Item):
    """Drawn in stretches of faces, as a cloud is in stretches of points: see :class:`PointsItem`."""

    SPARE = ("coarse",)
    thing: Mesh
    shown_thing: Mesh

    def __init__(self, gpu: Gpu, thing: Mesh, tables: dict[str, Texture]) -> None:
        super().__init__(thing)
        self._gpu = gpu
        self._tables = tables
        self._vao = Vao()
        self._drawn = 0
        self._all = 0
        self._made_normals: tuple[Any, Any, Any] = (None, None, None)
        self._made_coarse: tuple[Any, ...] = (None, None, None, None)
        self._coarse_vao = Vao()
        self._moving = False

    @property
    def colour_by(self) -> str:
        mesh = self.thing
        asked = self.changes.colour_by
        wanted = asked if asked else best_colouring(mesh)
        name = wanted.removeprefix("scalar:")
        there = {"rgb": mesh.rgb is not None, "normal": True, "height": True}
        there["texture"] = mesh.texture is not None and mesh.uv is not None
        return wanted if there.get(wanted, wanted.startswith("scalar:") and name in mesh.scalars) else "plain"

    @property
    def lacks_normals(self) -> bool:
        """Whether it should look smooth and somebody has to work its normals out: see :meth:`take_normals`."""
        return self.thing.shading == "smooth" and self._normals is None

    def take_normals(self, mesh: Mesh, normals: Any) -> None:
        """Vertex normals (V, 3) of ``mesh``, which came without; they serve for as long as its shape is shown."""
        self._made_normals = (mesh.vertices, mesh.faces, normals)
        self._stale = True

    @property
    def lacks_coarse(self) -> bool:
        """Whether it is so large that moving the camera needs a coarser one: see :meth:`take_coarse`."""
        return len(self.thing.faces) > COARSE_FROM and self._coarse is None

    @property
    def _coarse(self) -> Any:
        *sources, coarse = self._made_coarse
        fits = same_sources(tuple(sources), (self.thing.vertices, self.thing.faces, self.changes.keep))
        return coarse if fits else None

    def take_coarse(self, mesh: Mesh, coarse: Any, keep: Any) -> None:
        """Fewer faces on the vertices of ``mesh``, of those that ``keep`` leaves; they serve while that is shown."""
        self._made_coarse = (mesh.vertices, mesh.faces, keep, coarse)
        self._stale = True

    @property
    def _normals(self) -> Any:
        if self.thing.normals is not None:
            return self.thing.normals
        vertices, faces, normals = self._made_normals
        return normals if vertices is self.thing.vertices and faces is self.thing.faces else None

    def plan(self) -> Plan:
        mesh = self.thing
        blocks = consecutive_blocks(len(mesh.vertices))
        found: Plan = {"xyz": array_stream(mesh.vertices, np.float32, blocks, watch=True)}
        by = self.colour_by
        if by == "rgb":
            found["rgb"] = array_stream(mesh.rgb, np.uint8, blocks)
        elif by == "texture":
            found["uv"] = array_stream(mesh.uv, np.float32, blocks)
            sources = (mesh.texture, "picture")
            image = np.asarray(mesh.texture)[::-1]
            found["picture"] = (sources, lambda: Picture(sources, image, smooth=True, mipmaps=True))
        elif by.startswith("scalar:"):
            found["value"] = array_stream(mesh.scalars[by.removeprefix("scalar:")], np.float32, blocks, watch=True)
        normals = self._normals
        if normals is not None:
            found["normal"] = array_stream(normals, np.float32, blocks)
        keep, marked = self.changes.keep, self.changes.marked
        if keep is not None or marked is not None:
            n = len(mesh.faces)
            flag_sources = (keep, marked, n, "flags")
            found["flags"] = (flag_sources, lambda: FlagPicture(flag_sources, keep, marked, n))
        coarse = self._coarse
        if coarse is not None:
            found["coarse"] = array_stream(
                coarse, np.uint32, consecutive_blocks(len(coarse)), target=GL.GL_ELEMENT_ARRAY_BUFFER
            )
        # The faces come last: what they refer to is there by then.
        found["faces"] = array_stream(
            mesh.faces, np.uint32, consecutive_blocks(len(mesh.faces)), target=GL.GL_ELEMENT_ARRAY_BUFFER
        )
        return found

    def connect(self) -> None:
        free_all([self._vao, self._coarse_vao])
        self._vao, self._coarse_vao = Vao(), Vao()
        parts = self.shown
        for vao, faces in ((self._vao, "faces"), (self._coarse_vao, "coarse")):
            if faces not in parts:
                continue
            vao.feed(0, parts["xyz"].buffer, np.float32, 3)
            if "rgb" in parts:
                vao.feed(1, parts["rgb"].buffer, np.uint8, 3, normalised=True)
            if "value" in parts:
                vao.feed(1, parts["value"].buffer, np.float32, 1)
            if "uv" in parts:
                vao.feed(1, parts["uv"].buffer, np.float32, 2)
            if "normal" in parts:
                vao.feed(2, parts["normal"].buffer, np.float32, 3)
            vao.index(parts[faces].buffer)

    def range(self) -> tuple[float, float]:
        if self.changes.range is not None:
            return self.changes.range
        part = self.shown.get("value")
        if part is None or part.low is None:
            return 0.0, 1.0
        return value_range(float(part.low[0]), float(part.high[0]), self.colour_by.removeprefix("scalar:"))

    # ---- what is drawn ----------------------------------------------------------------------------------------------

    @property
    def there(self) -> int:
        """Faces of which all that they need is there."""
        parts = self.shown
        if not parts or not all(part.complete for name, part in parts.items() if name != "faces"):
            return 0
        return int(parts["faces"].done)

    @property
    def weight(self) -> int:
        return self.there

    @property
    def rest(self) -> int:
        return self._all - self._drawn

    def begin(self, shot: Shot, budget: int, moving: bool) -> None:
        self._drawn = 0
        self._moving = moving and self.there > budget and "coarse" in self.shown
        self._all = int(self.shown["coarse"].done) if self._moving else self.there
        if moving and self.lacks_coarse:
            self._all = min(self._all, max(budget, COARSE_FROM))

    @property
    def alpha(self) -> float:
        return self.thing.opacity if self.changes.opacity is None else self.changes.opacity

    def advance(self, shot: Shot, amount: int) -> int:
        """Draws the next ``amount`` faces; how many it were."""
        first, until = self._drawn, min(self._drawn + amount, self._all)
        if until > first:
            self._drawn = until
            self._draw(shot, first, until - first)
        return until - first

    def draw_glass(self, shot: Shot) -> None:
        """All of it, see-through: what looks away first, then what looks at the eye."""
        mirrored = bool(np.linalg.det(world_of(self.shown_thing, self.changes)[:3, :3]) < 0)
        self._moving = False
        GL.glEnable(GL.GL_CULL_FACE)
        sides = (GL.GL_BACK, GL.GL_FRONT) if mirrored else (GL.GL_FRONT, GL.GL_BACK)
        for k, side in enumerate(sides):
            if k == 0 and shot.style.backface == "cull":
                continue
            GL.glCullFace(side)
            self._draw_faces(shot, 0, self.there)
        GL.glDisable(GL.GL_CULL_FACE)
        self._draw_edges(shot, 0, self.there)

    def _draw(self, shot: Shot, first: int, count: int) -> None:
        mirrored = bool(np.linalg.det(world_of(self.shown_thing, self.changes)[:3, :3]) < 0)
        cull = shot.style.backface == "cull"
        set_flags({GL.GL_CULL_FACE: cull})
        if cull:
            GL.glCullFace(GL.GL_FRONT if mirrored else GL.GL_BACK)
        self._draw_faces(shot, first, count)
        set_flags({GL.GL_CULL_FACE: False})
        self._draw_edges(shot, first, count)

    def _flags(self, program: Program, first: int) -> None:
        if "flags" in self.shown and not self._moving:
            self.shown["flags"].texture.bind(2)
            program.set(flags=2, first_face=first)

    def _draw_faces(self, shot: Shot, first: int, count: int) -> None:
        mesh, parts, style = self.shown_thing, self.shown, shot.style
        world = world_of(mesh, self.changes)
        flat = style.flat if style.flat is not None else mesh.shading == "flat"
        smooth = "normal" in parts and style.smooth and not flat
        by = self.colour_by
        defines = shot.defines(normals=smooth, shaded=mesh.shading != "none" and by != "normal")
        for name, word in (("rgb", "RGB"), ("value", "VALUE"), ("uv", "TEXTURE"), ("flags", "FLAGS")):
            if name in parts and not (name == "flags" and self._moving):
                defines[word] = 1
        if by == "height":
            defines["HEIGHT"] = 1
        elif by == "normal":
            defines["BY_NORMAL"] = 1
        program = self._gpu.program(shaders.MESH_VERTEX, shaders.MESH_FRAGMENT, **defines)
        program.set(
            **shot.place(world), **shot.turns(world),
            plain=rgb(self.changes.colour or mesh.colour, shot.palette.thing),
            alpha=self.alpha, range=self.range(), height=shot.height_of(world),
            tint_back=style.backface == "tint", mirrored=bool(np.linalg.det(world[:3, :3]) < 0),
            table=0, picture=1,
        )  # fmt: skip
        self._tables[table_key(by)].bind(0)
        if "picture" in parts:
            parts["picture"].texture.bind(1)
        self._flags(program, first)
        (self._coarse_vao if self._moving else self._vao).bind()
        GL.glDrawElements(GL.GL_TRIANGLES, count * 3, GL.GL_UNSIGNED_INT, ctypes.c_void_p(first * 12))

    def _draw_edges(self, shot: Shot, first: int, count: int) -> None:
        wanted = shot.style.wireframe
        if not (self.shown_thing.wireframe if wanted is None else wanted):
            return
        defines: dict[str, Any] = {"PLANES": len(shot.planes)} if len(shot.planes) else {}
        if "flags" in self.shown and not self._moving:
            defines["FLAGS"] = 1
        program = self._gpu.program(shaders.EDGE_VERTEX, shaders.EDGE_FRAGMENT, **defines)
        dark = sum(rgb(self.changes.colour or self.shown_thing.colour, shot.palette.thing)) > 1.0
        strength = 0.55 * self.alpha
        ink = 0.05 if dark else 0.9
        program.set(
            **shot.place(world_of(self.shown_thing, self.changes)),
            colour=(ink * strength, ink * strength, ink * strength, strength),
        )
        self._flags(program, first)
        self._vao.bind()
        GL.glPolygonMode(GL.GL_FRONT_AND_BACK, GL.GL_LINE)
        GL.glDrawElements(GL.GL_TRIANGLES, count * 3, GL.GL_UNSIGNED_INT, ctypes.c_void_p(first * 12))
        GL.glPolygonMode(GL.GL_FRONT_AND_BACK, GL.GL_FILL)

    def free(self) -> None:
        super().free()
        free_all([self._vao, self._coarse_vao])


def vertex_normals(vertices: NDArray[Any], faces: NDArray[Any]) -> NDArray[np.float32]:
    """(V, 3) unit normals, triangles weighted by area: for small meshes, which need no second thread."""
    corners = np.asarray(vertices, np.float64)[faces]
    across = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals = np.stack(
        [np.bincount(faces.ravel(), np.repeat(across[:, k], 3), minlength=len(vertices)) for k in range(3)], axis=1
    )
    return (normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-30)).astype(np.float32)
