"""Shapes given by a formula of parameters: what is easy with them and what is not. Trains nothing; knows no window."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray

from engine.geometry.parametric import (
    Array,
    Patch,
    Search,
    Torus,
    bezier,
    bezier_derivative,
    de_casteljau,
    lattice,
    nearest_of,
)
from engine.probes import Choice, Number, Place, Places, Seed, Toggle, probe
from engine.render.fields import picture_on
from engine.scene import Arrows, Handles, Lines, Mesh, Points, Scene, Thing, Words
from engine.study import Study, Term

TURN = 2 * np.pi
MAJOR = 0.65
"""Radius of the tori's rings; that of their tubes is a slider."""
UV, CORRECTED = "even in (u, v)", "even on the surface"
INSIDE, OUTSIDE = np.array([86, 180, 233]), np.array([230, 159, 0])
"""Colours of the two sides of a surface, also for the colour-blind."""
SHEET = 160
"""Pixels along each side of a slice."""
CONTROL_CURVE: tuple[Place, ...] = ((-0.9, -0.5, -0.3), (-0.5, 0.7, 0.6), (0.4, -0.7, 0.7), (0.9, 0.5, -0.2))
HEIGHTS = (0.0, 0.15, 0.1, -0.3, 0.2, 0.75, 0.6, 0.1, 0.1, 0.6, -0.5, 0.0, -0.3, 0.1, 0.0, 0.35)
CONTROL_NET: tuple[Place, ...] = tuple(
    (round(-0.9 + 0.6 * i, 2), round(-0.9 + 0.6 * j, 2), HEIGHTS[4 * i + j]) for i in range(4) for j in range(4)
)
LEVELS = ("orange", "purple", "green")
"""Colours of the levels of de Casteljau's construction, from the control points on."""


class ParametricShapes(Study):
    """A formula of parameters makes points of a shape as fast as numbers can be put into it; whether some other point
    lies inside is another matter: that takes a search for the nearest point, where an implicit function takes one
    sign."""

    title, family = "Parametric shapes", "3-D"
    paper = "de Casteljau 1959; Bézier 1966; Farin 2002, Curves and Surfaces for CAGD"
    left = r"S\;="
    objective = [
        Term(r"\{x(u,v)", "", "orange", "The formula: any parameters give a point of the surface, for one evaluation."),
        Term(r":\;u,v\in[0,2\pi)\}", "", "blue", "The parameters: a flat square that is easily filled evenly."),
        Term(
            r",\;\; p\in S\Leftrightarrow\min_{u,v}\|x-p\|=0",
            "",
            "purple",
            "The other way round: to test a point, the parameters that come nearest to it have to be searched for.",
        ),
    ]
    try_this = (
        "In Sampling, take points that are even on the surface: the crowd round the hole of the torus goes away.",
        "In Inside or outside, take more guesses until the search ends at the right point, and watch the evaluations: "
        "the implicit function needs one.",
        "In Bezier curve, drag t to and fro: each level of the construction cuts the lines of the one before at t.",
    )

    @dataclass
    class Params:
        """Nothing to set."""

    p: Params

    def build(self, device: torch.device) -> None:
        """Nothing is learned."""

    @probe(
        Scene,
        title="Sampling",
        how=Choice(
            (UV, CORRECTED), text="Whether points are spread evenly over the square of parameters or over the torus."
        ),
        count=Number(3000, 100, 20_000, log=True, text="How many points are drawn."),
        tube=Number(0.3, 0.05, 0.6, text="Radius r of the torus's tube; that of its ring, R, is 0.65."),
        seed=Seed(text="The seed of the points."),
    )
    def sampling(self, how: str, count: int, tube: float, seed: int) -> Scene:
        """Points on a torus are easily drawn: any (u, v) gives one. Even in (u, v) is not even on the surface, though:
        the formula squeezes the inner side of the ring, so points crowd there."""
        torus, rng = Torus(MAJOR, tube), np.random.default_rng(seed)
        if how == UV:
            uv, drawn = rng.uniform(0, TURN, (count, 2)), count
        else:
            uv, drawn = torus.uniform(count, rng)
        density = np.full(count, 1.0) if how == CORRECTED else MAJOR * tube / torus.area_factor(uv[:, 1])
        inner = np.cos(uv[:, 1]) < 0
        # Half the tube's turn faces the axis; its share of the area is 1/2 - r / (pi R).
        area_inner = 4 * np.pi * tube * (np.pi / 2 * MAJOR - tube)
        area_outer = 4 * np.pi * tube * (np.pi / 2 * MAJOR + tube)
        per_area = int(inner.sum()) / area_inner, int((~inner).sum()) / area_outer
        ratio = per_area[0] / max(per_area[1], 1e-9)
        crowding = {"points per area": single(density * count / (4 * np.pi**2 * MAJOR * tube))}
        flat = np.stack([uv[:, 0] / TURN - 2.2, np.zeros(count), uv[:, 1] / TURN - 0.5], 1)
        colour_by = "scalar:points per area"
        corners = np.array([(-2.2, 0.0, -0.5), (-1.2, 0.0, -0.5), (-1.2, 0.0, 0.5), (-2.2, 0.0, 0.5)])
        things: tuple[Thing, ...] = (
            torus_mesh(torus, 0.25),
            Points(name="points x(u, v)", xyz=single(torus.point(uv)), scalars=crowding, colour_by=colour_by),
            Points(name="parameters (u, v)", xyz=single(flat), scalars=crowding, colour_by=colour_by, size=2.0),
            closed("square of parameters", corners, "blue"),
            Words(name="axes", at=single(corners[[1, 3]] + 0.08), texts=("u → 2π", "v → 2π"), locked=True),
        )
        rows = tuple(
            (side, f"{n:,}", f"{area:.2f}", f"{per:,.0f}")
            for side, n, area, per in (
                ("inner", int(inner.sum()), area_inner, per_area[0]),
                ("outer", int((~inner).sum()), area_outer, per_area[1]),
            )
        )
        spent = "" if drawn == count else f"; {drawn:,} were drawn, each kept with a chance of (R + r cos v) / (R + r)"
        return Scene(
            things,
            caption=f"{how}: inside the ring {ratio:.2f} times as dense as outside{spent}",
            readings={"points": count, "evaluations": drawn, "inner / outer": ratio},
            table=rows,
            table_heads=("side", "points", "area", "per area"),
            home=((-0.5, -4.4, 2.8), (-0.5, 0.0, -0.05)),
        )

    @probe(
        Scene,
        title="Inside or outside",
        place=Places(((0.5, -0.2, 0.0),), 1e3, text="The point that is tested: hover over the slice."),
        height=Number(0.0, -0.3, 0.3, text="Where the slice lies that the pointer moves on."),
        guesses=Number(1, 1, 8, text="From how many (u, v) along each side of their square the search begins."),
        downhill=Toggle(False, text="Whether steps that lead away from the point are turned round and shortened."),
        iterations=Number(12, 0, 30, text="How many steps of Newton's method each search takes at most."),
    )
    def inside_outside(
        self, place: tuple[Place, ...], height: float, guesses: int, downhill: bool, iterations: int
    ) -> Scene:
        """Is the point under the pointer inside the torus? The implicit function says it by one sign; with x(u, v) the
        nearest point of the surface has to be searched for, and Newton's method may end at the farthest as well."""
        torus, p = Torus(MAJOR, 0.3), np.array(place[0])
        middles = (np.arange(guesses) + 0.5) / guesses * TURN
        starts = np.stack([np.repeat(middles, guesses), np.tile(middles, guesses)], 1)
        best, searches = nearest_of(torus, p, starts, iterations, downhill)
        truth = float(torus.implicit(p[None])[0])
        end = best.path[-1:]
        foot = torus.point(end)[0]
        said = float((p - foot) @ torus.normal(end)[0])
        evaluations = sum(s.evaluations for s in searches)
        right = abs(best.distance - abs(truth)) < 1e-6
        verdict = "the nearest point" if right else f"a wrong point: the nearest is {abs(truth):.3f} away"
        things = (
            torus_mesh(torus, 0.3),
            self._torus_slice(torus, height),
            *search_lines(torus, searches, best),
            Lines(name="to the point found", ends=single(np.stack([p, foot])[None]), colour="green", width=2.5),
            Points(name="nearest found", xyz=single(foot[None]), colour="green", size=9.0, locked=True),
            Points(name="the point p", xyz=single(p[None]), colour="red", size=11.0, locked=True),
            Words(
                name="answer",
                at=single(p[None] + [0, 0, 0.09]),
                texts=(f"f(p) = {truth:+.3f}, {side(truth)}",),
                locked=True,
            ),
        )
        rows = (
            ("f(p)", "1", f"{abs(truth):.4f}", side(truth)),
            (f"x(u, v), searches: {len(searches)}", f"{evaluations:,}", f"{best.distance:.4f}", side(said)),
        )
        return Scene(
            things,
            caption=f"after {evaluations:,} evaluations the search ends {best.distance:.3f} away, at {verdict}",
            readings={
                "f(p)": truth,
                "distance found": best.distance,
                "residual": best.residual,
                "evaluations": evaluations,
                "searches": len(searches),
            },
            table=rows,
            table_heads=("way", "evaluations", "distance", "answer"),
            hover="place",
            home=((1.1, -2.3, 2.2), (0.0, 0.0, 0.0)),
        )

    def _torus_slice(self, torus: Torus, height: float) -> Mesh:
        """The sign of the implicit function at z = ``height``, as a picture."""
        axis = (np.arange(SHEET) + 0.5) / SHEET * 2.4 - 1.2
        x, y = np.meshgrid(axis, axis[::-1])
        f = torus.implicit(np.stack([x.ravel(), y.ravel(), np.full(x.size, height)], 1)).reshape(x.shape)
        image = np.empty((SHEET, SHEET, 4), np.uint8)
        image[..., :3] = np.where(f[..., None] < 0, INSIDE, OUTSIDE)
        image[..., 3] = np.where(f < 0, 190, 70)
        corner, u, v = single([-1.2, -1.2, height]), single([2.4, 0, 0]), single([0, 2.4, 0])
        return picture_on("slice, sign of f", corner, u, v, image)

    @probe(
        Scene,
        title="Circle",
        t=Number(0.8, 0.0, 6.28, text="The parameter t: the angle, in radians."),
        count=Number(24, 3, 200, text="How many points are drawn at even steps of t."),
    )
    def circle(self, t: float, count: int) -> Scene:
        """The circle f(t) = (cos t, sin t): a walk along it as t grows. Even steps of t are even steps of length here,
        which is a kindness of the circle alone."""
        steps = TURN * np.arange(200) / 200
        at = ring(np.array([t]))[0]
        things = (
            closed("circle", ring(steps), "orange"),
            Points(name="even steps of t", xyz=single(ring(TURN * np.arange(count) / count)), colour="blue", size=5.0),
            Lines(name="angle t", ends=single([[(0, 0, 0), (1, 0, 0)], [(0, 0, 0), at]]), width=1.5),
            Arrows(name="velocity", at=single(at[None]), vectors=single([[-np.sin(t), np.cos(t), 0]]) * np.float32(0.5),
                   colour="green", width=2.5),
            Points(name="f(t)", xyz=single(at[None]), colour="orange", size=12.0),
            Words(name="place", at=single(at[None] * 1.12), texts=(f"({at[0]:.2f}, {at[1]:.2f})",), locked=True),
        )  # fmt: skip
        return Scene(
            things,
            caption=f"f({t:.2f}) = (cos t, sin t) = ({at[0]:.3f}, {at[1]:.3f}); speed 1 at every t",
            readings={"x": float(at[0]), "y": float(at[1]), "x² + y² − 1": float(at @ at) - 1},
            home=((0.0, -1.6, 3.0), (0.0, 0.0, 0.0)),
        )

    @probe(
        Scene,
        title="Bezier curve",
        control=Places(CONTROL_CURVE, 10.0, text="The four control points: drag them in the picture."),
        t=Number(0.4, 0.0, 1.0, text="The parameter t at which the construction is shown."),
        count=Number(21, 2, 200, text="How many points are drawn at even steps of t."),
    )
    def bezier_curve(self, control: tuple[Place, ...], t: float, count: int) -> Scene:
        """De Casteljau's construction: cut every line of the control polygon at t, then the lines between the cuts, and
        so on; the last cut is the curve's point. Even steps of t are not even steps of length."""
        points = np.array(control)
        fine = np.linspace(0, 1, 201)
        curve, steps = bezier(points, fine), bezier(points, np.linspace(0, 1, count))
        levels = de_casteljau(points, t)
        speed = bezier_derivative(points, np.array([t]))[0]
        gaps = np.linalg.norm(np.diff(steps, axis=0), axis=1)
        lengths = np.linalg.norm(np.diff(curve, axis=0), axis=1)
        return Scene(
            (
                chain("curve", curve, "blue", 3.0),
                *(
                    chain(f"level {i + 1}", level, colour, 1.5)
                    for i, (level, colour) in enumerate(zip(levels[1:-1], LEVELS[1:], strict=True))
                ),
                *(
                    Points(name=f"cuts {i + 1}", xyz=single(level), colour=colour, size=7.0, locked=True)
                    for i, (level, colour) in enumerate(zip(levels[1:-1], LEVELS[1:], strict=True))
                ),
                Points(name="even steps of t", xyz=single(steps), colour="blue", size=5.0, locked=True),
                Points(name="f(t)", xyz=single(levels[-1]), colour="red", size=12.0, locked=True),
                Arrows(name="velocity / 6", at=single(levels[-1]), vectors=single(speed[None] / 6), colour="red"),
                Handles(
                    name="control points",
                    at=single(points),
                    control="control",
                    links=np.array([(i, i + 1) for i in range(len(points) - 1)], np.int32),
                    texts=tuple(f"p{i}" for i in range(len(points))),
                    colour=LEVELS[0],
                ),
            ),
            caption=f"t = {t:.2f}: the last cut is the point of the curve; "
            f"steps of t are {gaps.min():.3f} to {gaps.max():.3f} long",
            readings={
                "speed |df/dt|": float(np.linalg.norm(speed)),
                "length": float(lengths.sum()),
                "longest / shortest step": float(gaps.max() / max(gaps.min(), 1e-9)),
            },
            home=((0.4, -3.6, 1.7), (0.0, 0.0, 0.1)),
        )

    @probe(
        Scene,
        title="Bezier patch",
        control=Places(CONTROL_NET, 10.0, text="The sixteen control points: drag them in the picture."),
        u=Number(0.35, 0.0, 1.0, text="The first parameter: which curve across the patch."),
        v=Number(0.6, 0.0, 1.0, text="The second parameter: where on that curve."),
        net=Toggle(True, text="Whether the lines between the control points are drawn."),
    )
    def bezier_patch(self, control: tuple[Place, ...], u: float, v: float, net: bool) -> Scene:
        """A bicubic patch: four Bezier curves, each at v, give four points, and the curve of these four points at u is
        the surface. Sixteen points bend it all, and no formula says on which side of it a point lies."""
        points = np.array(control).reshape(4, 4, 3)
        patch, cells = Patch(points), 24 if self.dragging else 48
        axis = np.linspace(0, 1, cells + 1)
        uv = np.stack([np.repeat(axis, cells + 1), np.tile(axis, cells + 1)], 1)
        sides, at = patch.first(uv), np.array([[u, v]])
        place, tangents = patch.point(at)[0], patch.first(at)[0]
        normal = unit(np.cross(*tangents)[None])[0]
        four = bezier_rows(points, v)
        grid = np.arange(16).reshape(4, 4)
        links = np.concatenate(
            [
                np.stack([grid[:-1].ravel(), grid[1:].ravel()], 1),
                np.stack([grid[:, :-1].ravel(), grid[:, 1:].ravel()], 1),
            ]
        )
        fine = np.linspace(0, 1, 65)
        things: tuple[Thing, ...] = (
            Mesh(
                name="patch",
                vertices=single(patch.point(uv)),
                faces=lattice(cells + 1, cells + 1),
                normals=single(unit(np.cross(sides[:, 0], sides[:, 1]))),
                colour="blue",
                opacity=0.85,
            ),
            *(chain(f"curve {i + 1} of v", bezier(row, fine), "purple", 1.5) for i, row in enumerate(points)),
            Points(name="their points at v", xyz=single(four), colour="purple", size=8.0, locked=True),
            chain("curve of these points", bezier(four, fine), "orange", 3.0),
            Points(name="x(u, v)", xyz=single(place[None]), colour="red", size=12.0, locked=True),
            Arrows(
                name="x_u, x_v and the normal",
                at=single(np.repeat(place[None], 3, 0)),
                vectors=single(np.stack([tangents[0] / 5, tangents[1] / 5, normal * 0.35])),
                colour="red",
                width=2.0,
            ),
            Handles(name="control points", at=single(points.reshape(16, 3)), control="control", colour="orange",
                    links=links.astype(np.int32) if net else None),
        )  # fmt: skip
        x, y, z = map(float, place)
        return Scene(
            things,
            caption=f"x({u:.2f}, {v:.2f}) = ({x:.2f}, {y:.2f}, {z:.2f})",
            readings={"x": x, "y": y, "z": z, "|x_u × x_v|": float(np.linalg.norm(np.cross(*tangents)))},
            home=((1.9, -3.2, 2.2), (0.0, 0.0, 0.0)),
        )


def search_lines(torus: Torus, searches: list[Search], best: Search) -> tuple[Thing, ...]:
    """The ways of all searches over the surface, and where they began; that of the best one stands out."""
    ends = [walk(torus, s.path) for s in searches if s is not best and len(s.path) > 1]
    made: list[Thing] = []
    if ends:
        made.append(Lines(name="other searches", ends=single(np.concatenate(ends)), colour="purple", width=1.0))
    if len(best.path) > 1:
        made.append(Lines(name="best search", ends=single(walk(torus, best.path)), colour="green", width=3.0))
    begun = torus.point(np.array([s.path[0] for s in searches]))
    made.append(Points(name="guesses", xyz=single(begun), colour="purple", size=6.0, locked=True))
    return tuple(made)


def walk(torus: Torus, path: Array) -> Array:
    """A way through parameters as segments (M, 2, 3) that follow the surface."""
    fine = np.concatenate([a + (b - a) * np.linspace(0, 1, 9)[:-1, None] for a, b in pairwise(path)])
    places = torus.point(np.concatenate([fine, path[-1:]]))
    return np.stack([places[:-1], places[1:]], 1)


def torus_mesh(torus: Torus, opacity: float) -> Mesh:
    """The torus as a faint mesh that the pointer goes through."""
    columns, rows = 97, 49
    axes = np.linspace(0, TURN, columns), np.linspace(0, TURN, rows)
    uv = np.stack([np.repeat(axes[0], rows), np.tile(axes[1], columns)], 1)
    return Mesh(
        name="torus",
        vertices=single(torus.point(uv)),
        faces=lattice(columns, rows),
        normals=single(torus.normal(uv)),
        opacity=opacity,
        locked=True,
    )


def bezier_rows(points: Array, v: float) -> Array:
    """The points at ``v`` of the Bezier curves of each row (m, n, 3) of control points: (m, 3)."""
    return np.concatenate([bezier(row, np.array([v])) for row in points])


def ring(t: Array) -> Array:
    """The unit circle at t (N,), in the plane z = 0."""
    return np.stack([np.cos(t), np.sin(t), np.zeros_like(t)], 1)


def chain(name: str, places: Array, colour: str, width: float) -> Lines:
    """Lines from each place to the next."""
    ends = single(np.stack([places[:-1], places[1:]], 1))
    return Lines(name=name, ends=ends, colour=colour, width=width, locked=True)


def closed(name: str, places: Array, colour: str) -> Lines:
    """The same, and back to the first."""
    return chain(name, np.concatenate([places, places[:1]]), colour, 2.0)


def unit(vectors: Array) -> Array:
    """``vectors`` (N, 3) of length 1; what has no length points up."""
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    made: Array = np.where(length > 1e-12, vectors / np.maximum(length, 1e-12), [0.0, 0.0, 1.0])
    return made


def side(value: float) -> str:
    """In words on which side of the surface a signed distance is."""
    return "inside" if value < 0 else "outside" if value > 0 else "on the surface"


def single(values: object) -> NDArray[np.float32]:
    """float32, a copy of its own."""
    return np.array(values, np.float32)
