"""A surface as points: how they are drawn, what their normals tell, how far two clouds are apart. Nothing to train."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from engine.formats.shape_file import Shape, from_file, named
from engine.geometry import measures, sampling
from engine.geometry.shapes import SHAPES
from engine.params import knob
from engine.probes import Choice, Number, Seed, Steps, Toggle, probe
from engine.scene import Arrows, Lines, Points, Scene, SceneFrames, Thing
from engine.study import Study, Term

EXACT = 600
"""Up to this many points the earth mover's distance is exact, by assignment."""
EPSILON, ITERATIONS = 0.01, 100
"""Of Sinkhorn's way to it: the entropy's weight, as a share of the mean distance, and the rounds."""
ELIMINATED = 5000
"""Most points that are drawn as a Poisson disk, which takes time in proportion to their square's root and more."""
WARM = np.array([1.0, 0.93, 0.82])
"""The colour of the surface under white light."""
AMBIENT = 0.12
"""What is seen of a place in shadow, so that it does not vanish on a dark ground."""
SAMPLED, FARTHEST = "sampled again", 2000
COUNT = Number(1500, 20, 20_000, log=True, text="How many points are drawn from the surface.")
SEED = Seed(text="The seed that the points are drawn with.")


class PointCloud(Study):
    """A surface as a bag of points, the rawest form of 3-D data: where its points lie matters, a normal at each makes
    it look solid, and two bags are compared point by point, by the nearest ones or by a matching."""

    title, family = "Point clouds", "3-D"
    paper = "Hoppe et al. 1992 (normals); Fan et al. 2017 (chamfer and earth mover's distance), arXiv:1612.00603"
    left = r"d_{CD}(A,B)\;="
    objective = [
        Term(
            r"\frac{1}{|A|}\sum_{a\in A}\min_{b\in B}\|a-b\|^2",
            "",
            "orange",
            "Chamfer, from the first cloud to the nearest points of the second.",
        ),
        Term(
            r"+\;\frac{1}{|B|}\sum_{b\in B}\min_{a\in A}\|b-a\|^2",
            "",
            "blue",
            "Chamfer, from the second cloud back to the first.",
        ),
        Term(
            r",\quad d_{EMD}(A,B)=\min_{\phi:A\to B}\frac{1}{|A|}\sum_{a\in A}\|a-\phi(a)\|",
            "",
            "purple",
            "The earth mover's distance: each point goes to one of its own, by the cheapest matching.",
        ),
    ]
    try_this = (
        "Switch the shading of the sample off and on again: without I = L.n the cloud is flat, with it a solid.",
        "Take k of the normals from 12 to 80: the normals grow smooth, and wrong along every edge.",
        "Move the second cloud: the lines of chamfer jump from point to point, those of the matching stay parallel.",
    )

    @dataclass
    class Params:
        shape: str = knob(
            "knot", "The shape that points are drawn from, where no file is named.", choices=tuple(SHAPES), live=True
        )
        file: str = knob("", "A mesh to draw points from, or a cloud to take them from.", path=True, live=True)

    p: Params

    def build(self, device: torch.device) -> None:
        self._take()

    def knob_changed(self, name: str) -> None:
        self._take()

    def _take(self) -> None:
        self.shape: Shape = from_file("file", self.p.file) if self.p.file else named(self.p.shape)

    @property
    def _up(self) -> str:
        """Meshes in files mostly have y upwards."""
        return "y" if self.p.file and self.shape.is_mesh else "z"

    # ---- drawing points ----

    def drawn(self, how: str, count: int, seed: int, strength: float = 3.0) -> tuple[np.ndarray, np.ndarray]:
        """Points (N, 3) and normals (N, 3), N <= ``count``, drawn in one of the ways of :meth:`sample`."""
        shape = self.shape
        axis = 1 if self._up == "y" else 2
        if how == "Poisson disk":
            count = min(count, ELIMINATED)
        if not shape.is_mesh:
            return self._thinned(how, count, seed, axis, strength)
        if how == "Poisson disk":
            points, normals, _ = sampling.poisson_disk(shape.vertices, shape.faces, count, seed)
        elif how == "crowded":
            points, normals, _ = sampling.biased(shape.vertices, shape.faces, count, seed, axis, strength)
        else:
            points, normals, _ = sampling.uniform(shape.vertices, shape.faces, count, seed)
        return np.asarray(points, np.float32), np.asarray(normals, np.float32)

    def _thinned(self, how: str, count: int, seed: int, axis: int, strength: float) -> tuple[np.ndarray, np.ndarray]:
        """Some of the points of a cloud that has no surface to draw from."""
        points, normals = self.shape.points, self.shape.normals
        random = np.random.default_rng(seed)
        count = min(count, len(points))
        if how == "Poisson disk":
            some = random.permutation(len(points))[: 4 * count]
            pick = some[sampling.farthest_points(points[some], min(count, FARTHEST))]
        elif how == "crowded":
            weight = np.exp(strength * (points[:, axis] - points[:, axis].min()) / 1.8)
            pick = np.argsort(random.exponential(size=len(points)) / weight)[:count]
        else:
            pick = random.permutation(len(points))[:count]
        return points[pick], normals[pick]

    @probe(
        Scene,
        title="Sampling",
        how=Choice(("uniform", "Poisson disk", "crowded"), text="Evenly at random, at even distances, or unevenly."),
        count=COUNT,
        strength=Number(3.0, -6.0, 6.0, text="How much denser crowded points are at the top, as a power of e."),
        shading=Toggle(True, text="Whether a point is as bright as I = L.n says, or all are alike."),
        turn=Number(40.0, -180.0, 180.0, text="Where the light comes from: degrees around the upright axis."),
        height=Number(35.0, -90.0, 90.0, text="How high the light stands, in degrees."),
        seed=SEED,
    )
    def sample(
        self, how: str, count: int, strength: float, shading: bool, turn: float, height: float, seed: int
    ) -> Scene:
        """Points drawn from the surface. Where they crowd, the next neighbour is near, and elsewhere detail is lost:
        the spread of these distances tells the ways apart. The arrow is the light."""
        points, normals = self.drawn(how, min(count, 1500) if self.dragging else count, seed, strength)
        light = direction(turn, height, self._up)
        rgb = lit(normals, light) if shading else None
        near = neighbour_distances(points)
        cloud = Points(
            name="points",
            xyz=points,
            normals=normals,
            rgb=rgb,
            colour_by="rgb" if shading else "plain",
            size=4.0,
        )
        lamp = Arrows(
            name="light",
            at=(1.6 * light[None]).astype(np.float32),
            vectors=(-0.45 * light[None]).astype(np.float32),
            colour="orange",
            width=2.5,
            locked=True,
        )
        return Scene(
            (cloud, lamp) if shading else (cloud,),
            up=self._up,
            caption=f"{self.shape.name}: {len(points):,} points, {how}",
            readings={
                "nearest neighbour, mean": float(near.mean()),
                "spread of that": float(near.std() / max(float(near.mean()), 1e-12)),
                "nearest neighbour, least": float(near.min()),
            },
        )

    # ---- normals ----

    @probe(
        Scene,
        title="Normals",
        count=COUNT,
        k=Number(12, 3, 100, text="How many neighbours a plane is laid through."),
        noise=Number(0.0, 0.0, 0.05, text="How far the points are moved at random first."),
        orient=Toggle(True, text="Whether the signs are made to agree along a spanning tree of neighbours."),
        colour=Choice(("lit", "angle", "normal", "curvature"), text="What colours the points."),
        arrows=Toggle(True, text="Whether the normals stand on the points."),
        seed=SEED,
    )
    def normals(self, count: int, k: int, noise: float, orient: bool, colour: str, arrows: bool, seed: int) -> Scene:
        """Normals from the points alone: each is the direction in which its k nearest points vary least. Its sign is
        a guess until the neighbours agree."""
        points, true = self.drawn("uniform", min(count, 800) if self.dragging else count, seed)
        shake = np.random.default_rng(seed).standard_normal(points.shape)
        points = (points + noise * shake).astype(np.float32)
        found, curvature = sampling.pca_normals(points, min(k, len(points)))
        if orient:
            found = sampling.orient_normals(points, found, min(k, len(points)))
        cosine = np.clip((found * true).sum(1), -1, 1)
        angle = np.degrees(np.arccos(np.abs(cosine))).astype(np.float32)
        kind = {"lit": "rgb", "normal": "normal"}.get(colour, f"scalar:{colour}")
        things: list[Thing] = [
            Points(
                name="points",
                xyz=points,
                normals=found,
                rgb=lit(found, direction(40.0, 35.0, self._up)),
                scalars={"angle": angle, "curvature": curvature},
                colour_by=kind,
                size=4.0,
            )
        ]
        if arrows:
            some = np.arange(min(len(points), 1500))
            wrong = cosine[some] < 0
            rgb = np.where(wrong[:, None], np.array([224, 82, 77]), np.array([86, 180, 233])).astype(np.uint8)
            length = 0.06 if len(points) > 300 else 0.12
            things.append(Arrows(name="normals", at=points[some], vectors=found[some] * np.float32(length), rgb=rgb))
        return Scene(
            tuple(things),
            up=self._up,
            caption="held against a guess: the file has no normals" if self.shape.guessed else "red ones point inwards",
            readings={"mean angle to the true ones": float(angle.mean()), "wrong way": float((cosine < 0).mean())},
        )

    # ---- farthest points ----

    @probe(
        SceneFrames,
        title="Farthest points",
        steps=Steps(40, 2, 200, text="How many points are chosen."),
        count=Number(2000, 50, 10_000, log=True, text="How many points there are to choose from."),
        seed=SEED,
    )
    def farthest(self, steps: int, count: int, seed: int) -> Iterator[SceneFrames]:
        """Each next point is the one farthest from all chosen before it: few points soon stand for the whole. The
        covering radius is how far the worst served point is from its nearest chosen one."""
        points, _ = self.drawn("uniform", min(count, 800) if self.dragging else count, seed)
        steps = min(steps, len(points))
        reach = np.full(len(points), np.inf, np.float32)
        at_random, order = reach.copy(), np.random.default_rng(seed).permutation(len(points))
        chosen: list[int] = []
        for index, new in enumerate(sampling.farthest_steps(points, steps)):
            chosen.append(new)
            reach = np.minimum(reach, np.linalg.norm(points - points[new], axis=1))
            at_random = np.minimum(at_random, np.linalg.norm(points - points[order[index]], axis=1))
            cloud = Points(
                name="points", xyz=points, scalars={"distance": reach.copy()}, colour_by="scalar:distance", size=3.0
            )
            kept = Points(name="chosen", xyz=points[chosen], colour="orange", colour_by="plain", size=8.0)
            latest = Points(name="latest", xyz=points[[new]], colour="red", colour_by="plain", size=12.0)
            yield SceneFrames(
                (cloud, kept, latest),
                up=self._up,
                index=index,
                total=steps,
                caption=f"{index + 1} of {len(points):,} points",
                readings={
                    "covering radius": float(reach.max()),
                    "of points at random": float(at_random.max()),
                },
            )

    # ---- two clouds ----

    @probe(
        Scene,
        title="Two clouds",
        other=Choice((SAMPLED, "same points", *SHAPES), text="What the second cloud is drawn from."),
        lines=Choice(
            ("matching", "nearest", "none"), text="The pairs whose distances count: matching, or nearest both ways."
        ),
        count=Number(200, 10, 1500, log=True, text="How many points each cloud has; above 600 EMD is by Sinkhorn."),
        move=Number(0.3, -2.0, 2.0, text="How far the second cloud is moved along x."),
        turn=Number(0.0, -180.0, 180.0, text="By how many degrees it is turned about the upright axis."),
        noise=Number(0.0, 0.0, 0.3, text="How far its points are moved at random."),
        seed=SEED,
    )
    def two_clouds(
        self, other: str, lines: str, count: int, move: float, turn: float, noise: float, seed: int
    ) -> Iterator[float | Scene]:
        """How far apart two clouds are: chamfer looks from each point to the nearest one of the other cloud, the earth
        mover's distance (EMD) to its partner in the best one-to-one matching."""
        count = min(count, 300) if self.dragging else count
        first, _ = self.drawn("uniform", count, seed)
        count = len(first)
        second = self._second(other, first, count, seed)
        second = moved(second, move, turn, noise, seed, self._up)
        near = measures.chamfer(first, second)
        if count <= EXACT:
            emd, partner = measures.emd_exact(first, second)
        else:
            emd, partner = yield from measures.emd_sinkhorn(first, second, EPSILON, ITERATIONS)
        things: list[Thing] = [
            Points(name="first cloud", xyz=first, colour="orange", colour_by="plain", size=5.0),
            Points(name="second cloud", xyz=second, colour="blue", colour_by="plain", size=5.0),
        ]
        if lines == "matching":
            things.append(segments("matching", first, second[partner], "purple"))
        elif lines == "nearest":
            things.append(segments("nearest to the first", first, second[near.nearest_ab], "orange"))
            things.append(segments("nearest to the second", second, first[near.nearest_ba], "blue"))
        exactly = "exact" if count <= EXACT else f"Sinkhorn, epsilon {EPSILON:g}"
        yield Scene(
            tuple(things),
            up=self._up,
            caption=f"{count} points each; EMD is {exactly}",
            readings={
                "chamfer": near.total,
                "chamfer, first to second": near.a_to_b,
                "chamfer, second to first": near.b_to_a,
                "EMD": emd,
            },
        )

    def _second(self, other: str, first: np.ndarray, count: int, seed: int) -> np.ndarray:
        if other == "same points":
            return first
        if other == SAMPLED:
            return self.drawn("uniform", count, seed + 1)[0]
        return named(other).sample(count, seed + 1)[0]


def direction(turn: float, height: float, up: str) -> np.ndarray:
    """The unit vector (3,) towards a light ``turn`` degrees round and ``height`` degrees above."""
    t, h = math.radians(turn), math.radians(height)
    x, y, z = math.cos(h) * math.cos(t), math.cos(h) * math.sin(t), math.sin(h)
    return np.array([x, z, -y] if up == "y" else [x, y, z])


def lit(normals: np.ndarray, light: np.ndarray) -> np.ndarray:
    """uint8 (N, 3): I = max(0, L.n) of unit ``normals`` (N, 3) and unit ``light`` (3,), and a little more."""
    bright = AMBIENT + (1 - AMBIENT) * np.clip(normals @ light, 0, 1)
    return np.round(255 * bright[:, None] * WARM).astype(np.uint8)


def neighbour_distances(points: np.ndarray) -> Any:
    """How far each point (N, 3), N > 1, is from its nearest other one, (N,)."""
    from scipy.spatial import cKDTree

    return cKDTree(points).query(points, k=[2])[0][:, 0]


def moved(points: np.ndarray, move: float, turn: float, noise: float, seed: int, up: str) -> np.ndarray:
    """``points`` (N, 3) turned by degrees about the upright axis, moved along x, then each at random."""
    t = math.radians(turn)
    a, b = (2, 0) if up == "y" else (0, 1)
    out = points.astype(np.float64)
    out[:, a], out[:, b] = (
        math.cos(t) * points[:, a] - math.sin(t) * points[:, b],
        math.sin(t) * points[:, a] + math.cos(t) * points[:, b],
    )
    out[:, 0] += move
    out += noise * np.random.default_rng(seed + 2).standard_normal(out.shape)
    return out.astype(np.float32)


def segments(name: str, start: np.ndarray, end: np.ndarray, colour: str) -> Lines:
    """Lines from each of ``start`` (N, 3) to ``end`` (N, 3)."""
    return Lines(name=name, ends=np.stack([start, end], 1).astype(np.float32), colour=colour, opacity=0.7)
