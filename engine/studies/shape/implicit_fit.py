"""A network is fitted to a shape: its zero level becomes the surface. Knows not how it is trained or shown."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from engine.formats.shape_file import Shape, from_file, named
from engine.geometry.isosurface import Surface
from engine.geometry.measures import volume
from engine.geometry.shapes import SHAPES
from engine.nn.fields.cuts import cut_of
from engine.nn.fields.network import ENCODINGS, ArrayFunction, Field, on_arrays
from engine.nn.fields.samples import Samples
from engine.nn.fields.truth import Truth, finished, surface_of, truth_of
from engine.params import BadValue, knob
from engine.probes import Camera, Choice, Number, Steps, camera_of, probe
from engine.render import raster
from engine.scene import Mesh, Points, Render, Scene, SceneFrames, Thing
from engine.study import Study, Term

IGR, SDF, OCCUPANCY = METHODS = ("IGR", "SDF", "occupancy")
MEASURE_EVERY, MEASURED_AT = 250, 32
"""Steps between the figures of the curves, and the resolution of the surface that they are taken from: a few percent
of the time."""
COARSE, WHILE_DRAGGING = 40, 28
"""Resolutions of a surface that is drawn while the network learns, and while a hand moves."""
GROUND = (0.09, 0.1, 0.13)
"""What is behind the surface in a picture."""
STEEPNESS = 20.0
"""Occupancy is the sigmoid of -STEEPNESS f, so that f keeps the size of a distance."""
OTHERS = 6
"""How many shapes one network may learn."""
WHICH = Number(
    0.0, 0.0, float(OTHERS - 1), text="Which shape's code: 0 is the first, 0.5 half-way between the first and second."
)


class ImplicitFit(Study):
    """A network learns a function of space whose zero level is a surface: from distances, from inside and outside, or
    (IGR) from nothing but points on it, since a function that is 0 there and has slope 1 everywhere is a distance."""

    title, family = "Fit a surface", "3-D"
    paper = (
        "Gropp et al. 2020 (IGR), arXiv:2002.10099; Park et al. 2019 (DeepSDF), arXiv:1901.05103; "
        "Mescheder et al. 2019 (occupancy), arXiv:1812.03828"
    )
    left = r"\mathcal{L}(\theta)\;="
    objective = [
        Term(
            r"\mathbb{E}_{x}\,\ell\left(f_\theta(x),\,s(x)\right)",
            "data",
            "orange",
            "How far f is from what is known: 0 on the points (IGR), the clamped distance (SDF), inside or not.",
        ),
        Term(
            r"+\;\lambda\,\mathbb{E}_{x}\left(\|\nabla f_\theta(x)\|-1\right)^2",
            "eikonal",
            "blue",
            "How far the slope of f is from 1, the slope of every distance; a term of IGR alone.",
        ),
        Term(
            r"+\;\tau\,\mathbb{E}_{x}\left\|\nabla f_\theta(x)-n(x)\right\|",
            "normals",
            "green",
            "How far the slope at the points is from their normals; a term of IGR alone, nothing for tau = 0.",
        ),
        Term(
            r"+\;\beta\,\mathbb{E}_{x}\,e^{-50\,|f_\theta(x)|}",
            "away",
            "red",
            "How near to 0 f is away from the points, where no surface should be; a term of IGR alone.",
        ),
        Term(
            r"+\;\gamma\,\mathbb{E}_{i}\|z_i\|^2",
            "codes",
            "purple",
            "How far the shapes' codes are from 0, which keeps them close together; nothing for one shape.",
        ),
    ]
    try_this = (
        "Take the normals' weight tau to 0: the points alone still give a surface, later and smoother.",
        "Set the method to occupancy and look at the slice: only the zero level is right, the distances are not.",
        "Set the number of shapes to 3, the method to SDF, train, and drag the shape of the surface from 0 to 2.",
    )

    @dataclass
    class Params:
        method: str = knob(
            IGR, "What is known: points on the surface, distances to it, or inside and outside.", choices=METHODS
        )
        shape: str = knob("knot", "The shape to fit, where no file is named.", choices=tuple(SHAPES))
        file: str = knob("", "A mesh or a cloud to fit in place of the shape; a cloud by IGR only.", path=True)
        shapes: int = knob(1, "How many shapes one network learns, each with a code of its own.", lo=1, hi=OTHERS)
        points: int = knob(
            20_000, "How many points of each surface are known.", lo=200, hi=50_000, log=True, symbol="N"
        )
        encoding: str = knob("positional", "How a place is handed to the network.", choices=tuple(ENCODINGS))
        width: int = knob(128, "Units of each layer.", lo=8, hi=256, symbol="c")
        depth: int = knob(4, "Hidden layers.", lo=1, hi=8, symbol="L")
        code: int = knob(8, "Numbers in a shape's code, where there are several shapes.", lo=2, hi=64, symbol="d_z")
        batch: int = knob(1024, "How many places one step looks at; IGR as many again around them.", lo=64, hi=8192,
                          log=True, symbol="B", live=True)  # fmt: skip
        rate: float = knob(
            1e-3, "Step size of the Adam optimiser.", lo=1e-5, hi=1e-2, log=True, symbol=r"\eta", live=True
        )
        halve: int = knob(1000, "After how many steps the step size is halved, again and again.", lo=50, hi=20_000,
                          log=True, live=True)  # fmt: skip
        slope: float = knob(0.1, "Weight of the slope in IGR.", lo=0.0, hi=10.0, symbol=r"\lambda", live=True)
        normals: float = knob(0.3, "Weight of the normals in IGR; 0 learns from the points alone.", lo=0.0, hi=10.0,
                              symbol=r"\tau", live=True)  # fmt: skip
        away: float = knob(0.1, "Weight in IGR of what keeps f from 0 away from the points.", lo=0.0, hi=10.0,
                           symbol=r"\beta", live=True)  # fmt: skip
        clamp: float = knob(0.1, "Distances beyond this count as this in SDF: what is near matters.",
                            lo=0.01, hi=2.0, log=True, symbol=r"\delta", live=True)  # fmt: skip
        prior: float = knob(1e-4, "Weight of the size of the codes.", lo=0.0, hi=0.1, symbol=r"\gamma", live=True)

    p: Params
    tiny = dict(shape="sphere", encoding="none", points=300, width=16, depth=2, batch=64)

    # ---- what is learned, and what learns ----

    def build(self, device: torch.device) -> None:
        self.shapes = self._shapes()
        several = len(self.shapes) > 1
        signed = self.p.method != IGR
        if signed and (bad := next((shape for shape in self.shapes if not shape.closed), None)):
            kind = "a mesh with holes" if bad.is_mesh else "a cloud of points"
            raise BadValue(f"method: {bad.name} is {kind}, which has no inside; set the method to {IGR}")
        self.samples = Samples(self.shapes, signed, device, self.p.points, 3 * self.p.points)
        self.things: dict[int, tuple[Mesh, Points]] = {}
        self.field = Field(self.p.encoding, self.p.width, self.p.depth, self.p.code if several else 0).to(device)
        parameters = list(self.field.parameters())
        if several:
            self.codes = torch.nn.Embedding(len(self.shapes), self.p.code).to(device)
            torch.nn.init.normal_(self.codes.weight, 0.0, 0.1)
            parameters += list(self.codes.parameters())
        self.optimizer = torch.optim.Adam(parameters, self.p.rate, fused=True)

    def _shapes(self) -> list[Shape]:
        first = from_file("file", self.p.file) if self.p.file else named(self.p.shape)
        others = [name for name in SHAPES if self.p.file or name != self.p.shape]
        return [first, *(named(name) for name in others[: self.p.shapes - 1])]

    def code(self, which: float) -> Tensor | None:
        """The code at a place in the row of shapes, between two of them a mixture; None for a single shape."""
        if len(self.shapes) == 1:
            return None
        last = len(self.shapes) - 1
        low = min(int(which), last - 1)
        share = min(which, last) - low
        return self.codes.weight[low].detach().lerp(self.codes.weight[low + 1].detach(), share)

    def nearest(self, which: float) -> int:
        """The number of the shape that a place in the row is nearest to."""
        return min(int(which + 0.5), len(self.shapes) - 1)

    def truth(self, number: int) -> Truth:
        return truth_of(self.shapes[number])

    # ---- training ----

    def train_step(self, batch: None) -> dict[str, Tensor]:
        terms = self._points_alone() if self.p.method == IGR else self._from_distances()
        nothing = torch.zeros((), device=self.device)
        terms["codes"] = self.codes.weight.square().sum(1).mean() if len(self.shapes) > 1 else nothing
        weights = {"eikonal": self.p.slope, "normals": self.p.normals, "away": self.p.away, "codes": self.p.prior}
        loss = torch.stack([weights.get(name, 1.0) * term for name, term in terms.items()]).sum()
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        for group in self.optimizer.param_groups:
            group["lr"] = self.p.rate * 0.5 ** (int(self.field.steps) / self.p.halve)
        self.optimizer.step()
        self.field.steps += 1
        metrics = {name: term.detach() for name, term in terms.items()}
        done = int(self.field.steps)
        if done == 1 or done % MEASURE_EVERY == 0:
            metrics.update(self._measured())
        return metrics

    def _points_alone(self) -> dict[str, Tensor]:
        """IGR: f is 0 at the points and has slope 1 everywhere, there and around (eq. 2 and section 5). Networks that
        can wave also need to be told where no surface is (Sitzmann et al. 2020, eq. 6)."""
        on, spread = self.samples.on_surface(self.p.batch)
        half = self.p.batch // 2
        near = on.x[:half] + spread[:half, None] * torch.randn_like(on.x[:half])
        anywhere = torch.rand_like(on.x[half:]) * 2 - 1
        z = self.codes(torch.cat([on.shape, on.shape])) if len(self.shapes) > 1 else None
        f, slope = self.field.with_gradient(torch.cat([on.x, near, anywhere]), z, again=True)
        return {
            "data": f[: self.p.batch].abs().mean(),
            "eikonal": (slope.norm(dim=1) - 1).square().mean(),
            "normals": (slope[: self.p.batch] - on.known).norm(dim=1).mean(),
            "away": torch.exp(-50 * f[self.p.batch + half :].abs()).mean(),
        }

    def _from_distances(self) -> dict[str, Tensor]:
        """DeepSDF's clamped distance (eq. 4), or the cross entropy of inside and outside."""
        batch = self.samples.around_surface(self.p.batch)
        f = self.field(batch.x, self.codes(batch.shape) if len(self.shapes) > 1 else None)
        if self.p.method == SDF:
            delta = self.p.clamp
            data = (f.clamp(-delta, delta) - batch.known.clamp(-delta, delta)).abs().mean()
        else:
            data = F.binary_cross_entropy_with_logits(-STEEPNESS * f, (batch.known < 0).float())
        nothing = torch.zeros((), device=self.device)
        return {"data": data, "eikonal": nothing, "normals": nothing, "away": nothing}

    @torch.no_grad()
    def _measured(self) -> dict[str, Tensor]:
        """The figures of the first shape, at a low resolution."""
        value, gradient = on_arrays(self.field, self.code(0.0), self.device)
        figures = self.truth(0).figures(finished(surface_of(value, gradient, MEASURED_AT)), value, gradient)
        names = {name: name.lower().replace(" ", "_") for name in figures.readings()}
        return {names[name]: torch.tensor(number) for name, number in figures.readings().items()}

    # ---- probes ----

    def _functions(self, which: float) -> tuple[ArrayFunction, ArrayFunction]:
        return on_arrays(self.field, self.code(which), self.device)

    def _mesh(self, surface: Surface, number: int, colour: str) -> Mesh:
        """The surface as a thing; coloured by its distance from the truth where that is asked for."""
        scalars: dict[str, Any] = {}
        if colour == "distance" and len(surface.vertices):
            scalars["distance"] = self.truth(number).nearest(surface.vertices)[0]
        by = {"distance": "scalar:distance" if scalars else "plain"}.get(colour, colour)
        return Mesh(
            name="surface",
            vertices=surface.vertices,
            faces=surface.faces,
            normals=surface.normals,
            scalars=scalars,
            colour_by=by,
            colour="orange",
        )

    def _truth_things(self, number: int, kind: str) -> tuple[Thing, ...]:
        """The true shape; the same arrays each time, so that they are uploaded once."""
        if number not in self.things:
            shape, truth = self.shapes[number], self.truth(number)
            outline = Mesh(name="true mesh", vertices=shape.vertices, faces=shape.faces, colour="blue", opacity=0.45)
            points = Points(name="true points", xyz=truth.points, colour="blue", colour_by="plain")
            cloud = Points(name="true points", xyz=truth.points, colour="blue", colour_by="plain")
            self.things[number] = (outline, cloud)
        mesh, points = self.things[number]
        if kind == "mesh" and self.shapes[number].is_mesh:
            return (mesh,)
        return () if kind == "off" else (points,)

    def _caption(self, which: float, resolution: int) -> str:
        names = [shape.name for shape in self.shapes]
        low, share = int(which), which - int(which)
        where = names[0]
        if len(names) > 1:
            low = min(low, len(names) - 1)
            between = share > 0.0 and low + 1 < len(names)
            where = f"{share:.0%} of the way from {names[low]} to {names[low + 1]}" if between else names[low]
        return f"{where}, {resolution}³ cells"

    @property
    def _up(self) -> str:
        """Meshes in files mostly have y upwards."""
        return "y" if self.p.file and self.shapes[0].is_mesh else "z"

    @probe(
        Scene,
        title="Surface",
        refresh=1.0,
        which=WHICH,
        truth=Choice(("off", "points", "mesh"), text="What of the true shape stands beside the learned one."),
        colour=Choice(("plain", "distance", "normal"), text="What colours the surface: distance is that to the truth."),
        resolution=Number(96, 16, 160, text="Cells a side once the network rests; while it learns there are 40."),
    )
    def surface(self, which: float, truth: str, colour: str, resolution: int) -> Iterator[float | Scene]:
        """The zero level of the network, found by marching cubes, with its distance from the truth: while the network
        learns it is drawn coarsely, at rest finely."""
        number, step = self.nearest(which), int(self.field.steps)
        value, gradient = self._functions(which)

        def scene(found: Surface, cells: int, progress: float) -> Scene:
            figures = self.truth(number).figures(found, value, gradient)
            readings = {**figures.readings(), "triangles": float(len(found.faces))}
            nothing = () if len(found.faces) else ("The network has no zero level in the box yet: train it further.",)
            return Scene(
                (self._mesh(found, number, colour), *self._truth_things(number, truth)),
                up=self._up,
                caption=self._caption(which, cells),
                readings=readings,
                notices=nothing,
                progress=progress,
            )

        yield 0.0
        coarse = min(resolution, WHILE_DRAGGING if self.dragging else COARSE)
        found = finished(surface_of(value, gradient, coarse))
        if coarse == resolution or self.dragging or int(self.field.steps) != step:
            yield scene(found, coarse, 1.0)
            return
        first = scene(found, coarse, 0.1)
        yield first
        steps = surface_of(value, gradient, resolution, secant=1)
        while True:
            try:
                yield 0.1 + 0.85 * next(steps)
            except StopIteration as end:
                yield scene(end.value, resolution, 1.0)
                return
            if int(self.field.steps) != step:  # half of it would be of other weights than the rest
                steps.close()
                yield replace(first, progress=1.0)
                return

    @probe(
        Scene,
        title="Slice",
        refresh=0.5,
        which=WHICH,
        axis=Choice(("z", "y", "x"), text="The axis that the slice is square to."),
        offset=Number(0.0, -0.95, 0.95, text="Where on that axis the slice is."),
    )
    def slice(self, which: float, axis: str, offset: float) -> Scene:
        """The values of the network in a plane: blue within, orange outside, a band for every 0.1, the learned zero
        level in white and the true one in green. Bands of even width are a true distance."""
        number = self.nearest(which)
        value, _ = self._functions(which)
        shape = self.shapes[number]
        true = shape.distance.signed if shape.closed else None
        cut = cut_of(value, true, "xyz".index(axis), offset, 64 if self.dragging else 160)
        nearby = () if shape.closed else cut.points_near(self.truth(number).points)
        return Scene(
            (*cut.things, *nearby),
            up=self._up,
            caption=self._caption(which, cut.cells).replace("³", "²"),
            readings=cut.readings,
        )

    @probe(
        SceneFrames,
        title="Interpolation",
        start=Number(0, 0, OTHERS - 1, text="The shape that it starts from."),
        end=Number(1, 0, OTHERS - 1, text="The shape that it ends at."),
        steps=Steps(7, 2, 60, text="How many surfaces there are on the way."),
    )
    def interpolate(self, start: int, end: int, steps: int) -> Iterator[float | SceneFrames]:
        """The surfaces of the codes on the straight line between those of two shapes; with a single shape, which has
        no code, the levels of its distance from within to without."""
        last = len(self.shapes) - 1
        resolution = WHILE_DRAGGING if self.dragging else 48
        for index in range(steps):
            share = index / (steps - 1)
            if last:
                ends = self.code(float(min(start, last))), self.code(float(min(end, last)))
                z, level = torch.lerp(ends[0], ends[1], share), 0.0  # type: ignore[arg-type]  # there are codes
                caption = f"{1 - share:.0%} {self.shapes[min(start, last)].name}, {share:.0%} "
                caption += self.shapes[min(end, last)].name
            else:
                z, level = None, -0.1 + 0.3 * share
                caption = f"where f = {level:+.3f}; several shapes would have codes to mix"
            value, gradient = on_arrays(self.field, z, self.device)
            found = yield from surface_of(value, gradient, resolution, level)
            thing = Mesh(
                name="surface", vertices=found.vertices, faces=found.faces, normals=found.normals, colour="orange"
            )
            readings = {"volume": volume(found.vertices, found.faces) if len(found.faces) else 0.0}
            yield SceneFrames((thing,), up=self._up, index=index, total=steps, caption=caption, readings=readings)

    @probe(
        Render,
        title="Picture",
        camera=Camera(text="Where the picture is taken from."),
        width=Number(320, 16, 1920, text="The picture's width in pixels."),
        height=Number(240, 16, 1080, text="The picture's height in pixels."),
        which=WHICH,
    )
    def render(self, camera: str, width: int, height: int, which: float) -> Iterator[float | Render]:
        """The surface as a camera sees it."""
        value, gradient = self._functions(which)
        cells = WHILE_DRAGGING if self.dragging else 96
        found = yield from surface_of(value, gradient, cells, secant=1)
        things = (self._mesh(found, self.nearest(which), "plain"),)
        view = raster.Camera(*camera_of(camera))
        image, depth, alpha = raster.render(things, view, width, height, GROUND, 1 if self.dragging else 2)
        depth = np.where(alpha > 0, depth, 0.0).astype(np.float32)
        yield Render(image, depth, alpha, self._caption(which, cells))
