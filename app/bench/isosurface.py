"""Surfaces at 256^3: what coarse-to-fine extraction asks and takes, against the full grid with scikit-image.

Both in the same run, of a tree of solids with a Lipschitz bound and of a small network without one. It imports torch to
train the network: what a study would hand over must not be a formula in disguise.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from scipy.spatial import cKDTree
from skimage.measure import marching_cubes
from torch import nn

from app.bench.rows import Row
from engine.geometry import sdf
from engine.geometry.isosurface import extract, finish
from engine.geometry.measures import edges_in_two

Function = Callable[[Any], Any]
RESOLUTION = 256
CHUNK = 65536
LEAST_TIMES_FEWER = 5
WITHIN_VOXELS = 0.5
WIDTH, STEPS, BATCH, RATE = 64, 400, 2048, 2e-3


def csg() -> sdf.Node:
    """A plate with holes, a ring melted onto it, balls and a hollow filled with a gyroid: 17 nodes."""
    plate = sdf.make("box", half=[0.75, 0.75, 0.18], rounding=0.05)
    hole = sdf.make("repeat", sdf.make("cylinder", radius=0.1, half_height=1.0), period=[0.5, 0.5, 1.0])
    ring = sdf.make("move", sdf.make("torus", major=0.45, minor=0.14), by=[0.0, 0.0, 0.3])
    balls = sdf.make(
        "metaballs", centres=[[0.5, 0.5, 0.3], [-0.5, 0.5, 0.35], [0.0, -0.6, 0.3]], radii=[0.2, 0.25, 0.3]
    )
    foam = sdf.make("intersection", sdf.make("gyroid", scale=0.35, thickness=0.05), sdf.make("sphere", radius=0.38))
    arm = sdf.make("capsule", a=[-0.7, -0.7, 0.1], b=[0.7, 0.4, 0.7], radius=0.07)
    body = sdf.make("difference", sdf.make("smooth_union", plate, ring, balls, k=0.12), hole)
    tilted = sdf.make("turn", sdf.make("union", body, arm), axis=[1.0, 0.3, 0.0], degrees=25.0)
    return sdf.make("union", tilted, sdf.make("move", foam, by=[0.0, 0.0, -0.5]))


def network(target: sdf.Node) -> Function:
    """A network of three hidden layers fitted for seconds to ``target``'s distances, as numpy in and out."""
    torch.manual_seed(0)
    layers: list[nn.Module] = []
    for inward, outward in ((3, WIDTH), (WIDTH, WIDTH), (WIDTH, WIDTH)):
        layers += [nn.Linear(inward, outward), nn.Softplus(beta=30)]
    net = nn.Sequential(*layers, nn.Linear(WIDTH, 1))
    adam = torch.optim.Adam(net.parameters(), RATE)
    random = np.random.default_rng(0)
    for _ in range(STEPS):
        points = random.uniform(-1, 1, (BATCH, 3)).astype(np.float32)
        loss = (net(torch.from_numpy(points))[:, 0] - torch.from_numpy(target.evaluate(points))).abs().mean()
        adam.zero_grad(set_to_none=True)
        loss.backward()
        adam.step()

    def values(points: Any) -> Any:
        with torch.no_grad():
            return net(torch.from_numpy(points))[:, 0].numpy()

    return values


def _dense(f: Function, n: int) -> tuple[Any, Any]:
    """Vertices and faces of scikit-image's marching cubes on the whole grid, asked in chunks of the same size."""
    axis = np.linspace(-1, 1, n + 1, dtype=np.float32)
    values = np.empty((n + 1) ** 3, np.float32)
    for begin in range(0, len(values), CHUNK):
        key = np.arange(begin, min(begin + CHUNK, len(values)))
        points = np.stack([axis[key // (n + 1) ** 2], axis[key // (n + 1) % (n + 1)], axis[key % (n + 1)]], axis=1)
        values[begin : begin + CHUNK] = f(points)
    vertices, faces, _, _ = marching_cubes(values.reshape((n + 1,) * 3), 0.0, spacing=(2 / n,) * 3)
    return vertices - 1, faces


def _apart(a: Any, b: Any) -> float:
    """The largest distance from a vertex of either surface to the nearest of the other."""
    return float(max(cKDTree(a).query(b)[0].max(), cKDTree(b).query(a)[0].max()))


def _compared(name: str, f: Function, lipschitz: float | None) -> list[Row]:
    n = RESOLUTION
    begin = time.perf_counter()
    surface = finish(extract(f, [-1.0] * 3, [1.0] * 3, n, lipschitz=lipschitz, chunk=CHUNK))
    ours = time.perf_counter() - begin
    begin = time.perf_counter()
    vertices, _ = _dense(f, n)
    theirs = time.perf_counter() - begin
    asked, points = surface.evaluations, (n + 1) ** 3
    voxels = _apart(surface.vertices, vertices) * n / 2
    closed = edges_in_two(surface.faces)
    title = f"isosurface {n}³, {name}"
    return [
        Row(f"{title}: evaluations", asked, "points", f"dense grid: {points:,}", asked / points,
            f"<= 1/{LEAST_TIMES_FEWER}", asked * LEAST_TIMES_FEWER <= points),
        Row(f"{title}: time, welded, with normals", ours, "s", f"dense + scikit-image: {theirs:.3g} s", ours / theirs,
            "<= 1", ours <= theirs),
        Row(f"{title}: farthest from the dense surface", voxels, "voxels", "", None,
            f"<= {WITHIN_VOXELS:g}", voxels <= WITHIN_VOXELS),
        Row(f"{title}: edges in two triangles", 100 * closed, "%", "", None, "100 %", closed == 1),
    ]  # fmt: skip


def measure() -> list[Row]:
    torch.set_num_threads(1)
    tree = csg()
    target = sdf.make("smooth_union", sdf.make("torus", major=0.55, minor=0.2), sdf.make("box", half=[0.2, 0.2, 0.6]))
    return _compared("tree of solids", tree, tree.lipschitz()) + _compared("network", network(target), None)
