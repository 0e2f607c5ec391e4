"""Shapes as functions of space: a tree of solids, its surface by marching cubes, slices, renders. Trains nothing."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from engine.geometry.cells import cell_case, cell_corners, cell_triangles, octree_cells, voxels
from engine.geometry.isosurface import Surface, extract
from engine.geometry.sdf import Node
from engine.probes import Camera, Choice, Number, Place, Places, Steps, Toggle, Tree, camera_of, probe
from engine.render.fields import SIDES, cell_edges, picture_on, plane_points, slice_picture
from engine.render.tracing import shaded, slopes, sphere_trace
from engine.scene import Arrows, Lines, Mesh, Points, Render, Scene, SceneFrames, Thing, Words
from engine.study import Study, Term

BOX = 1.1
"""Half the side of the cube of space in which shapes are looked at."""
LO, HI = (-BOX,) * 3, (BOX,) * 3
FIRST = 40
"""Cells along each side of the first picture of a fine surface."""
DRAG_LEAST, DRAG_MOST, DRAG_SECONDS = 20, 48, 0.02
"""While a slider moves: fewest and most cells along each side, and how long a surface should take."""
MESH, VOXELS, OCTREE = "mesh", "voxels", "octree cells"
DRAWN_DEPTH = 5
"""The octree's level whose cells are drawn at most: more are a grey cloud."""
BLOCK = 8
"""Voxels along each side of the blocks that are asked first, to see which the surface cannot reach."""
SLICE, SLICE_DRAG, ARROWS = 240, 110, 15
CONTOUR = 0.1
"""Distance between the contours of a slice."""
INSIDE, OUTSIDE = np.array((86, 180, 233), np.uint8), np.array((230, 159, 0), np.uint8)
SURFACE = (0.56, 0.72, 0.9)
GROUND = (0.13, 0.14, 0.17)
"""Colours of renders."""
SHAPE = Tree(text="The shape: solids and how they are combined; all probes show the same one.")
WORDS = {"x": 0, "y": 1, "z": 2}

Floats = NDArray[np.float32]
Field = Callable[[Floats], Floats]


class ImplicitShapes(Study):
    """A shape as a function of space: negative inside, zero on the surface, positive outside. Combining shapes is then
    the minimum or maximum of two numbers, and the inside test one sign; the surface itself has to be searched for."""

    title, family = "Implicit shapes", "3-D"
    paper = "Ricci 1973; Lorensen & Cline 1987 (marching cubes); Hart 1996 (sphere tracing)"
    left = r"S=\{f=0\},\;\; f\;="
    objective = [
        Term(r"\min(f_1,f_2)", "", "orange", "Union: a point is inside where it is inside of one or the other."),
        Term(r"\;,\;\;\max(f_1,f_2)", "", "blue", "Intersection: a point is inside where it is inside of both."),
        Term(r"\;,\;\;\max(f_1,-f_2)", "", "green", "Difference: inside of the first and outside of the second."),
        Term(
            r"\;,\;\;\min(f_1,f_2)-\frac{h^2}{4k}",
            "",
            "purple",
            "Smooth union, h = max(0, k - |f₁ - f₂|): where both are about as far away, they swell and flow together.",
        ),
    ]
    try_this = (
        "Select the torus and drag its slider by x: the surface follows, and the fillet to the ball with it.",
        "In Surface, take voxels and drag the resolution from 8 to 64: the stairs get smaller, and their memory grows "
        "with N³.",
        "In Slice, move the pointer over the picture: one number says inside or outside, for any point of space.",
    )

    @dataclass
    class Params:
        """Nothing to set."""

    p: Params

    def build(self, device: torch.device) -> None:
        self._kept: dict[str, tuple[Any, Any]] = {}
        self._drag_cells = 24

    def _keep(self, name: str, key: Any, make: Callable[[], Any]) -> Any:
        """What ``make`` gave for ``key`` the last time: the very same arrays need not be sent to the screen again."""
        if name not in self._kept or self._kept[name][0] != key:
            self._kept[name] = key, make()
        return self._kept[name][1]

    @probe(
        Scene,
        title="Surface",
        shape=SHAPE,
        resolution=Number(64, 8, 256, log=True, text="Cells N along each side of the grid."),
        show=Choice((MESH, VOXELS, OCTREE), text="Triangles of marching cubes, filled voxels, or the octree's cells."),
    )
    def surface(self, shape: str, resolution: int, show: str) -> Generator[Scene | float, None, None]:
        """The surface where f = 0, found on a grid of N³ cells. Only cells that the surface may pass are looked at:
        they grow with N², the full grid and its memory with N³."""
        node = Node.from_json(shape)
        dragging, begun = self.dragging, time.perf_counter()
        wanted = min(resolution, self._drag_cells) if dragging else resolution
        things: tuple[Thing, ...]
        for n in (wanted,) if dragging or show != MESH else sorted({min(wanted, FIRST), wanted}):
            f = Counted(node)
            if show == VOXELS:
                vertices, faces = voxels(skipping(f, node.lipschitz(), n), LO, HI, n)
                things = (Mesh(name="surface", vertices=vertices, faces=faces, colour="blue", shading="flat"),)
                triangles = len(faces)
            else:
                found = yield from extract(f, LO, HI, n, lipschitz=node.lipschitz())
                triangles = len(found.faces)
                things = surface_mesh(found, 0.45 if show == OCTREE else 1.0)
                if show == OCTREE:
                    things = (*things, *octree_lines(node, n))
            table = () if dragging or n < wanted else memory_table(node, n)
            if dragging and n == self._drag_cells:
                self._pace(time.perf_counter() - begun)
            yield self._surface_scene(things, n, f.evaluations, triangles, table, 1.0 if n == wanted else 0.3)

    def _pace(self, seconds: float) -> None:
        """As many cells for the next move of the slider as the time allows: their work grows with N²."""
        factor = min(max((DRAG_SECONDS / seconds) ** 0.5, 0.7), 1.4)
        if not 0.85 < factor < 1.2:
            self._drag_cells = round(min(max(self._drag_cells * factor, DRAG_LEAST), DRAG_MOST))

    @staticmethod
    def _surface_scene(
        things: tuple[Thing, ...], n: int, evaluations: int, triangles: int, table: Any, progress: float
    ) -> Scene:
        dense = (n + 1) ** 3
        times = dense / max(evaluations, 1)
        notices = () if triangles else ("There is no surface in the box: the shape is empty there, or fills it.",)
        return Scene(
            (*things, box_lines()),
            caption=f"N = {n}: {evaluations:,} evaluations; the full grid has {times:.1f} times as many",
            readings={
                "triangles": triangles,
                "evaluations": evaluations,
                "grid points": dense,
                "grid, MB": 4 * dense / 1e6,
                "used, MB": 4 * evaluations / 1e6,
            },
            table=table,
            table_heads=("N", "N³", "grid", "cells", "octree") if table else (),
            notices=notices,
            progress=progress,
            home=((2.1, -2.7, 1.6), (0.0, 0.0, 0.0)),
        )

    @probe(
        Scene,
        title="Slice",
        shape=SHAPE,
        axis=Choice(("y", "x", "z"), text="Which direction the slice looks along."),
        position=Number(0.0, -1.0, 1.0, text="Where the slice lies along that direction."),
        arrows=Toggle(True, text="Whether arrows show the gradient, which points away from the surface."),
        place=Places(((0.55, 0.0, 0.62),), 1e3, text="The point that is tested: hover over the slice."),
    )
    def slice(self, shape: str, axis: str, position: float, arrows: bool, place: tuple[Place, ...]) -> Scene:
        """The function on a plane: blue inside, orange outside, a line at every tenth, the surface black. The point
        under the pointer is inside or outside by the sign of one number."""
        node = Node.from_json(shape)
        plane = (shape, axis, position)
        fine = (*plane, SLICE)
        # A pointer that only hovers moves as a slider does; what is on screen already stays as fine as it is.
        size = SLICE_DRAG if self.dragging and self._kept.get("sheet", ("",))[0] != fine else SLICE
        sheet = self._keep("sheet", (*plane, size), lambda: sheet_of(node, WORDS[axis], position, size))
        n = DRAG_LEAST if self.dragging and self._kept.get("mesh", ("",))[0] != (shape, FIRST) else FIRST
        mesh = self._keep("mesh", (shape, n), lambda: surface_mesh(done(extract(node, LO, HI, n, lipschitz=1.0)), 0.25))
        p = np.array(place, np.float32)
        value, slope = float(node(p)[0]), slopes(node, p)[0]
        steep = float(np.linalg.norm(slope))
        word = "inside" if value < 0 else "outside" if value > 0 else "on the surface"
        things: tuple[Thing, ...] = (sheet, *mesh, box_lines())
        if arrows:
            things = (*things, self._keep("field", plane, lambda: gradient_arrows(node, WORDS[axis], position)))
        return Scene(
            (
                *things,
                Points(name="point", xyz=p, colour="red", size=11.0, locked=True),
                Arrows(name="gradient here", at=p, vectors=slope[None] * np.float32(0.25), colour="red", locked=True),
                Words(name="answer", at=p + single((0, 0, 0.1)), texts=(f"{value:+.3f}, {word}",), locked=True),
            ),
            caption=f"f({p[0, 0]:.2f}, {p[0, 1]:.2f}, {p[0, 2]:.2f}) = {value:+.3f}: {word}",
            readings={"f(p)": value, "|∇f(p)|": steep},
            table=((word, f"{value:+.4f}", f"{steep:.3f}"),),
            table_heads=("the point is", "f(p)", "|∇f|"),
            hover="place",
            home=({"x": (3.6, -1.2, 1.0), "y": (0.9, -3.6, 1.0), "z": (0.6, -1.4, 3.5)}[axis], (0.0, 0.0, 0.0)),
        )

    @probe(
        Scene,
        title="One cell",
        shape=SHAPE,
        resolution=Number(8, 3, 24, text="Cells N along each side of the grid."),
        cell=Number(0.6, 0.0, 1.0, text="Which of the cells that the surface passes, from the first to the last."),
    )
    def one_cell(self, shape: str, resolution: int, cell: float) -> Scene:
        """Marching cubes by hand: the signs at a cell's eight corners are eight bits, the bits a number, and the number
        says which edges the surface cuts and how the cuts join to triangles."""
        node = Node.from_json(shape)
        grid = CoarseGrid(node, resolution)
        mesh = self._keep("coarse", (shape, resolution), grid.mesh)
        if not len(grid.crossed):
            return Scene(
                (box_lines(),),
                notices=("No cell of this grid is passed by the surface: raise N, or make the shape larger.",),
            )
        index = grid.crossed[round(cell * (len(grid.crossed) - 1))]
        values, corners = grid.cell(index)
        case, triangles = cell_case(values), cell_triangles(values, corners)
        inside, half = values < 0, BOX / resolution
        texts = tuple(f"{i}: {v:+.2f}" for i, v in enumerate(values))
        middle = corners[0] + half
        away = slopes(node, single(middle[None]), half)[0] + (0.25, -0.45, 0.35)  # from outside, a little from the side
        eye = middle + 8 * half * away / max(float(np.linalg.norm(away)), 1e-6)
        return Scene(
            (
                *mesh,
                *cell_things(values, corners, triangles),
                Words(name="corner values", at=single(corners), texts=texts, locked=True),
                box_lines(),
            ),
            caption=f"case {case} = {case:08b}: bit i, counted from the right, says that corner i is inside",
            readings={
                "case": case,
                "corners inside": int(inside.sum()),
                "triangles": len(triangles),
                "surface cells": len(grid.crossed),
                "cells": resolution**3,
            },
            table=tuple(
                (str(i), f"{v:+.3f}", "inside" if v < 0 else "outside", str(int(v < 0) << i))
                for i, v in enumerate(values)
            ),
            table_heads=("corner", "f", "sign", "adds"),
            home=(place_of(eye), place_of(middle)),
        )

    @probe(
        SceneFrames,
        title="Marching",
        shape=SHAPE,
        resolution=Number(10, 4, 24, text="Cells N along each side of the grid."),
        steps=Steps(48, 2, 200, text="In how many pictures the march is shown."),
    )
    def marching(self, shape: str, resolution: int, steps: int) -> Iterator[SceneFrames]:
        """The march over the grid: one cell after another adds its triangles, and where cells touch, their triangles
        meet, since both have cut the same edge at the same place."""
        grid = CoarseGrid(Node.from_json(shape), resolution)
        cells = [(values, corners, cell_triangles(values, corners)) for values, corners in map(grid.cell, grid.crossed)]
        total = max(min(steps, len(cells)), 1)
        ends = np.linspace(0, len(cells), total + 1).round().astype(int)[1:]
        box = grid.around()
        for index, end in enumerate(ends):
            done_so_far = [t for _, _, t in cells[:end] if len(t)]
            pile = np.concatenate(done_so_far) if done_so_far else np.zeros((0, 3, 3))
            last = cells[end - 1] if end else None
            case = cell_case(last[0]) if last else 0
            yield SceneFrames(
                (box, soup("triangles so far", pile, "blue"), *(cell_things(*last) if last else ())),
                index=index,
                total=total,
                caption=f"cell {end} of {len(cells)}: case {case} = {case:08b}" if last else "no cell is passed",
                readings={"cells": float(end), "triangles": float(len(pile))},
            )

    @probe(
        Render,
        title="Render",
        shape=SHAPE,
        camera=Camera("1.8,-2.3,1.4/0.05,0,0/0,0,1/38", text="Where it is taken from: eye/target/up/field of view."),
        width=Number(360, 16, 1024, text="Pixels from left to right."),
        height=Number(270, 16, 1024, text="Pixels from top to bottom."),
    )
    def render(self, shape: str, camera: str, width: int, height: int) -> Generator[Render | float, None, None]:
        """A picture without any triangle: along the ray of each pixel one may walk as far as f says, since nothing is
        nearer; where f is nearly 0, the ray has met the surface."""
        node, stand = Node.from_json(shape), camera_of(camera)
        coarser = max(1, round(max(width, height) / 120)) if self.dragging else 1
        width, height = max(width // coarser, 1), max(height // coarser, 1)
        trace = yield from sphere_trace(node, stand, width, height, LO, HI, node.lipschitz())
        yield Render(
            image=shaded(trace, stand, SURFACE, GROUND),
            depth=trace.depth,
            alpha=trace.hit.astype(np.float32),
            caption=f"{trace.evaluations:,} evaluations, {trace.evaluations / (width * height):.1f} for each pixel",
        )


class Counted:
    """A function of points that counts at how many it was asked."""

    def __init__(self, f: Field) -> None:
        self._f, self.evaluations = f, 0

    def __call__(self, points: Floats) -> Floats:
        self.evaluations += len(points)
        return self._f(points)


def skipping(f: Field, lipschitz: float, n: int) -> Field:
    """``f`` for the middles of n³ voxels, asked only in blocks that the surface may reach; elsewhere the block's
    sign."""
    blocks = -(-n // BLOCK)
    side = np.float32(2 * BOX / n * BLOCK)
    at = np.stack(np.meshgrid(*[np.arange(blocks)] * 3, indexing="ij"), -1).reshape(-1, 3)
    value = f((-BOX + (at + 0.5) * side).astype(np.float32))
    near = np.abs(value) <= lipschitz * float(side) * np.sqrt(3) / 2 + 1e-5

    def answer(points: Floats) -> Floats:
        x, y, z = ((points + np.float32(BOX)) / side).astype(np.int64).T
        block = (x * blocks + y) * blocks + z
        made, ask = value[block], near[block]
        if ask.any():
            made[ask] = f(points[ask])
        return made

    return answer


class CoarseGrid:
    """A grid of few cells with f at all its corners, for marching by hand."""

    def __init__(self, f: Field, n: int) -> None:
        self._n, axis = n, np.linspace(-BOX, BOX, n + 1)
        points = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), -1).reshape(-1, 3).astype(np.float32)
        self._values = f(points).reshape((n + 1,) * 3)
        inside = self._values < 0
        corners = np.stack([inside[x : x + n, y : y + n, z : z + n] for x in (0, 1) for y in (0, 1) for z in (0, 1)])
        self.crossed = np.argwhere(corners.any(0) & ~corners.all(0))[:, ::-1]
        """int (K, 3): the cells that the surface passes, x fastest."""
        self.crossed = self.crossed[np.lexsort(self.crossed.T)][:, ::-1]

    def cell(self, index: Any) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The values (8,) and places (8, 3) of a cell's corners."""
        corners = cell_corners(-BOX + 2 * BOX / self._n * np.asarray(index), 2 * BOX / self._n)
        i, j, k = index
        values = self._values[i : i + 2, j : j + 2, k : k + 2].transpose(2, 1, 0).ravel()
        return values.astype(np.float64), corners

    def around(self) -> Lines:
        """The box round the cells that the surface passes; the whole box where there are none."""
        ends = box_lines().ends
        if len(self.crossed):
            low, high = self.crossed.min(0), self.crossed.max(0) + 1
            ends = (ends / BOX + 1) / 2 * (high - low) + low  # from the cube to counts of cells
            ends = single(2 * BOX / self._n * ends - BOX)
        return Lines(name="box", ends=ends, width=1.0, opacity=0.4, locked=True)

    def mesh(self) -> tuple[Thing, ...]:
        """The triangles of all cells, faint."""
        parts = [cell_triangles(*self.cell(index)) for index in self.crossed]
        return (soup("all cells", np.concatenate(parts), "blue", 0.3),) if parts else ()


def cell_things(values: Any, corners: Any, triangles: Any) -> tuple[Thing, ...]:
    """A cell: its edges, its corners in the colours of their signs, and its triangles."""
    half = float(corners[7, 0] - corners[0, 0]) / 2
    rgb = np.where((values < 0)[:, None], INSIDE, OUTSIDE).astype(np.uint8)
    return (
        Lines(name="cell", ends=cell_edges(corners[:1] + half, half), width=2.0, locked=True),
        Points(name="corners", xyz=single(corners), rgb=rgb, colour_by="rgb", size=11.0, locked=True),
        soup("triangles of the cell", triangles, "red"),
    )


def soup(name: str, triangles: Any, colour: str, opacity: float = 1.0) -> Mesh:
    """Triangles (T, 3, 3) as a mesh that shares nothing."""
    faces = np.arange(3 * len(triangles), dtype=np.int32).reshape(-1, 3)
    vertices = single(triangles).reshape(-1, 3)
    return Mesh(name=name, vertices=vertices, faces=faces, colour=colour, opacity=opacity, shading="flat",
                wireframe=True)  # fmt: skip


def surface_mesh(found: Surface, opacity: float) -> tuple[Thing, ...]:
    """The extracted surface; faint ones let the pointer through."""
    if not len(found.faces):
        return ()
    mesh = Mesh(name="surface", vertices=found.vertices, faces=found.faces, normals=found.normals, colour="blue",
                opacity=opacity, locked=opacity < 1)  # fmt: skip
    return (mesh,)


def octree_lines(node: Node, n: int) -> tuple[Thing, ...]:
    """The cells of the octree, every level in a colour of its own, the finest about as fine as n."""
    depth = min(int(np.log2(n)), DRAWN_DEPTH)
    colours = ("red", "purple", "orange", "green", "blue", "")
    return tuple(
        Lines(name=f"level {i}, {2**i} a side", ends=cell_edges(centres, half), colour=colours[i], locked=True,
              width=2.2 - 0.3 * i, opacity=1.0 if i > 2 else 0.6)
        for i, (centres, half) in enumerate(octree_cells(node, LO, HI, depth, node.lipschitz()))
        if len(centres)
    )  # fmt: skip


def memory_table(node: Node, n: int) -> tuple[tuple[str, ...], ...]:
    """What a full grid of single numbers takes beside the octree's cells, for N = 8, 16 ... 256; the octree is counted
    as far as N."""
    levels = octree_cells(node, LO, HI, int(np.log2(n)), node.lipschitz())
    rows = []
    for depth in range(3, 9):
        side = 2**depth
        cells = sum(len(centres) for centres, _ in levels[: depth + 1]) if depth < len(levels) else None
        counted = (f"{cells:,}", size_text(4 * cells)) if cells is not None else ("—", "—")
        rows.append((str(side), f"{side**3:,}", size_text(4 * side**3), *counted))
    return tuple(rows)


def size_text(count: int) -> str:
    """A number of bytes as a person reads it."""
    power = 0 if count < 1000 else 1 if count < 1_000_000 else 2
    return f"{count / 1000**power:.3g} {('B', 'kB', 'MB')[power]}"


def sheet_of(node: Node, axis: int, position: float, size: int) -> Mesh:
    """The function on a plane, as a picture."""
    values = node(plane_points(axis, position, size, BOX)).reshape(size, size)
    corner, whole = np.full(3, -BOX, np.float32), np.eye(3, dtype=np.float32) * np.float32(2 * BOX)
    corner[axis] = position
    u, v = SIDES[axis]
    image = slice_picture(values, 2 * BOX / size, 0.9, CONTOUR)
    return picture_on("slice", corner, whole[u], whole[v], image)


def gradient_arrows(node: Node, axis: int, position: float) -> Arrows:
    """The gradient on a plane, its arrows as long as their distance where the slope is 1."""
    at = plane_points(axis, position, ARROWS, BOX)
    vectors = slopes(node, at) * np.float32(0.8 * 2 * BOX / ARROWS)
    return Arrows(name="gradient", at=at, vectors=vectors, colour="green", width=1.2, locked=True)


@cache
def box_lines() -> Lines:
    """The cube of space in which the shape is looked at; always the same arrays, which are sent to the screen once."""
    return Lines(name="box", ends=cell_edges(np.zeros((1, 3)), BOX), width=1.0, opacity=0.4, locked=True)


def done(steps: Generator[float, None, Any]) -> Any:
    """What a generator returns, its progress unheard."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


def place_of(p: Any) -> Place:
    """A place (3,) as plain numbers."""
    x, y, z = map(float, p)
    return x, y, z


def single(values: Any) -> Floats:
    """float32, a copy of its own."""
    return np.array(values, np.float32)
