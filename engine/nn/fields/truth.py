"""How well the zero level of a field meets the shape that it was fitted to. Knows no network: fields are functions."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.spatial import cKDTree

from engine.formats.shape_file import Shape
from engine.geometry import measures, sampling
from engine.geometry.isosurface import Surface, extract
from engine.geometry.mesh_distance import MeshDistance
from engine.nn.fields.network import ArrayFunction

COMPARED, PROBED = 2500, 6000
"""Points on each surface, and places in the box, that figures are taken from."""
BOUNDED = 56
"""Up to this resolution cells are left out by a bound of the slope."""


@dataclass(frozen=True)
class Figures:
    """What is measured of a fit; None where it is not defined. Lengths are in units of the box [-1, 1]^3.

    ``chamfer``: mean squared distance from places on the surface found to the true one, plus that the other way round
    (Fan et al. 2017, to the surface instead of to samples of it); ``distance``: the mean of both plain distances;
    ``iou`` of the two insides; ``normals``: mean |cosine| between normals of nearest places, both ways; ``eikonal``:
    mean | |grad f| - 1 | at the surface found.
    """

    chamfer: float | None = None
    distance: float | None = None
    iou: float | None = None
    normals: float | None = None
    eikonal: float | None = None

    def readings(self) -> dict[str, float]:
        """Those that are defined, by the names they have on screen."""
        named = {
            "chamfer": self.chamfer,
            "mean distance": self.distance,
            "IoU": self.iou,
            "normal consistency": self.normals,
            "eikonal residual": self.eikonal,
        }
        return {name: value for name, value in named.items() if value is not None}


class Truth:
    """The shape as places that a fit is held against; drawn apart from those that it was trained on."""

    def __init__(self, shape: Shape) -> None:
        self.shape = shape
        self.points, self.normals = shape.sample(COMPARED, seed=77)
        self.places = np.random.default_rng(78).uniform(-1, 1, (PROBED, 3)).astype(np.float32)
        self.inside = np.asarray(shape.distance.signed(self.places)) < 0 if shape.closed else None
        if shape.is_mesh:
            self.face_normals = measures.face_normals(shape.vertices, shape.faces)
        else:
            self.tree = cKDTree(shape.points)

    def nearest(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """How far ``points`` (N, 3) are from the true surface, float32 (N,), and its normals there (N, 3)."""
        if self.shape.is_mesh:
            distance, _, face = self.shape.distance.nearest(points)
            return distance, self.face_normals[face]
        found, which = self.tree.query(points)
        return found.astype(np.float32), self.shape.normals[which]

    def figures(self, surface: Surface, value: ArrayFunction, gradient: ArrayFunction) -> Figures:
        """The figures of a ``surface`` found in the field ``value``; a surface without faces has an IoU alone."""
        iou = None
        if self.inside is not None:
            iou = float(measures.iou(value(self.places) < 0, self.inside))
        if not len(surface.faces):
            return Figures(iou=iou)
        points, normals, _ = sampling.uniform(surface.vertices, surface.faces, COMPARED, 79)
        there, true = self.nearest(points)
        back, _, face = MeshDistance(surface.vertices, surface.faces).nearest(self.points)
        learned = measures.face_normals(surface.vertices, surface.faces)[face]
        cosines = np.abs((normals * true).sum(1)).mean(), np.abs((self.normals * learned).sum(1)).mean()
        slope = np.linalg.norm(gradient(points), axis=1)
        return Figures(
            chamfer=float(np.square(there).mean() + np.square(back).mean()),
            distance=float(there.mean() + back.mean()) / 2,
            iou=iou,
            normals=float(cosines[0] + cosines[1]) / 2,
            eikonal=float(np.abs(slope - 1).mean()),
        )


@lru_cache(maxsize=8)
def truth_of(shape: Shape) -> Truth:
    """The truth of a shape; that of one which was studied before is still there."""
    return Truth(shape)


def surface_of(
    value: ArrayFunction, gradient: ArrayFunction, resolution: int, level: float = 0.0, secant: int = 0
) -> Generator[float, None, Surface]:
    """The surface where ``value`` is ``level``, in the box [-1, 1]^3 of ``resolution`` cells a side.

    Coarse grids have no coarser one worth beginning with, but the steepest slope of some places is soon found; half as
    much again is taken as a bound, which halves the work.
    """
    bound = None
    if resolution <= BOUNDED:
        places = np.random.default_rng(80).uniform(-1, 1, (1000, 3)).astype(np.float32)
        bound = 1.5 * float(np.linalg.norm(gradient(places), axis=1).max()) + 1e-3
    box = np.full(3, -1.0), np.full(3, 1.0)
    return (yield from extract(value, *box, resolution, lipschitz=bound, level=level, secant=secant, gradient=gradient))


def finished(steps: Generator[float, None, Surface]) -> Surface:
    """What the steps end in."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            found: Surface = end.value
            return found
