"""What is left of rays, boxes and surfaces on the inner side of some planes. Knows no field, no probe and no view.

Planes are rows (n, w) of float64 with unit normals; what has n.p + w >= 0 for all of them is inside.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.crop import planes_of
from engine.geometry.isosurface import Surface

Doubles = NDArray[np.float64]
ALONG = 1e-9
"""A ray whose direction has less than this against a plane runs along it."""


def planes_array(text: str) -> Doubles:
    """(K, 4) of the value of an :class:`engine.crop.Crop`."""
    return np.array(planes_of(text), np.float64).reshape(-1, 4)


def cut(planes: Doubles, origins: Tensor, directions: Tensor, near: Tensor, far: Tensor) -> tuple[Tensor, Tensor]:
    """The part inside of rays (R, 3) between ``near`` and ``far`` (R,); of those with none, both are 0."""
    for row in torch.tensor(planes, dtype=origins.dtype, device=origins.device):
        above, slope = origins @ row[:3] + row[3], directions @ row[:3]
        meets = -above / torch.where(slope.abs() < ALONG, torch.full_like(slope, ALONG), slope)
        near = torch.where(slope >= ALONG, torch.maximum(near, meets), near)
        far = torch.where(slope <= -ALONG, torch.minimum(far, meets), far)
        far = torch.where((slope.abs() < ALONG) & (above < 0), near, far)
    there = far > near
    return near.where(there, torch.zeros_like(near)), far.where(there, torch.zeros_like(far))


def region(planes: Doubles, low: NDArray[np.floating], high: NDArray[np.floating]) -> tuple[Doubles, Doubles] | None:
    """The least upright box that holds what of the box ``low`` .. ``high`` (3,) is inside; None where nothing is."""
    low, high = np.asarray(low, np.float64), np.asarray(high, np.float64)
    walls = np.concatenate([np.c_[np.eye(3), -low], np.c_[-np.eye(3), high], planes])
    triples = np.array(list(combinations(range(len(walls)), 3)))
    normals = walls[triples][..., :3]
    crossing = np.abs(np.linalg.det(normals)) > 1e-9
    corners = np.linalg.solve(normals[crossing], -walls[triples[crossing]][..., 3:])[..., 0]
    size = float((high - low).max())
    corners = corners[(corners @ walls[:, :3].T + walls[:, 3] >= -1e-6 * size).all(1)]
    if not len(corners):
        return None
    least, most = np.clip(corners.min(0), low, high), np.clip(corners.max(0), low, high)
    return (least, most) if (most - least > 1e-6 * size).all() else None


def trimmed(found: Surface, planes: Doubles) -> Surface:
    """A surface without what of it is outside, its triangles cut along the planes; open there."""
    vertices, faces, normals = found.vertices.astype(np.float64), found.faces, found.normals.astype(np.float64)
    for plane in planes:
        above = vertices @ plane[:3] + plane[3]
        kept = above >= 0
        corners = kept[faces]
        count = corners.sum(1)
        lone = np.where(count == 1, corners.argmax(1), (~corners).argmax(1))
        turned = np.take_along_axis(faces, (lone[:, None] + np.arange(3)) % 3, 1)  # the odd corner comes first
        one, two = turned[count == 1], turned[count == 2]
        cuts = np.concatenate([one[:, [0, 1]], one[:, [0, 2]], two[:, [0, 1]], two[:, [0, 2]]])
        edges, where = np.unique(np.sort(cuts, 1), axis=0, return_inverse=True)
        a, b = edges.T
        share = (above[a] / (above[a] - above[b]))[:, None] if len(edges) else np.zeros((0, 1))
        new = len(vertices) + where.reshape(-1)
        at = np.split(new, np.cumsum([len(one), len(one), len(two)]))
        faces = np.concatenate([
            faces[count == 3],
            np.stack([one[:, 0], at[0], at[1]], 1),
            np.stack([at[2], two[:, 1], two[:, 2]], 1),
            np.stack([at[2], two[:, 2], at[3]], 1),
        ])  # fmt: skip
        vertices = np.concatenate([vertices, vertices[a] + share * (vertices[b] - vertices[a])])
        normals = np.concatenate([normals, normals[a] + share * (normals[b] - normals[a])])
        used = np.zeros(len(vertices), bool)
        used[faces] = True
        faces = (np.cumsum(used) - 1)[faces]
        vertices, normals = vertices[used], normals[used]
    length = np.linalg.norm(normals, axis=1, keepdims=True)
    return replace(
        found,
        vertices=vertices.astype(np.float32),
        faces=faces.astype(np.int32),
        normals=np.divide(normals, length, out=np.zeros_like(normals), where=length > 0).astype(np.float32),
    )
