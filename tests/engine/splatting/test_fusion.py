"""Depths fused to a mesh: a ball that is seen from all round, and what cannot be fused."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from engine.geometry.measures import edges_in_two
from engine.nn.splatting import View, view_at
from engine.nn.splatting.fusion import Fused, fuse
from engine.params import BadValue

RADIUS = 0.6


def ball(view: View) -> tuple[Tensor, Tensor]:
    """Depth (H, W) of a ball round the origin, by solving for it, and colours (H, W, 3) that tell the place."""
    eye = view.eye.double()
    v, u = torch.meshgrid(torch.arange(view.height) + 0.5, torch.arange(view.width) + 0.5, indexing="ij")
    way = torch.stack([(u - view.cx) / view.fx, (v - view.cy) / view.fy, torch.ones_like(u)], -1).double()
    way = way @ view.pose[:3, :3].double()
    a, b, c = (way * way).sum(-1), (way * eye).sum(-1), (eye * eye).sum() - RADIUS**2
    root = b * b - a * c
    depth = torch.where(root > 0, (-b - root.clamp_min(0).sqrt()) / a, 0.0)
    return depth, ((eye + depth[..., None] * way) / RADIUS + 1) / 2


def views() -> list[View]:
    angles = [(tilt, turn * math.pi / 3 + tilt) for tilt in (-0.9, -0.3, 0.3, 0.9) for turn in range(6)]
    return [
        view_at(
            (2.5 * math.cos(a) * math.cos(e), 2.5 * math.sin(a) * math.cos(e), 2.5 * math.sin(e)), (0, 0, 0), (0, 0, 1),
            40, 160, 160,
        )
        for e, a in angles
    ]  # fmt: skip


def finished(depths: list[Tensor], rgbs: list[Tensor], seen: list[View], resolution: int) -> Fused:
    steps = fuse(depths, rgbs, seen, [[-0.9, -0.9, -0.8], [0.9, 0.9, 1.0]], resolution)
    progress = [0.0]
    while True:
        try:
            progress.append(next(steps))
        except StopIteration as stop:
            assert progress == sorted(progress)
            assert progress[-1] <= 1
            out: Fused = stop.value
            return out


def test_a_ball_comes_out_round_closed_outside_out_and_in_its_colours() -> None:
    seen = views()
    depths, rgbs = (list(part) for part in zip(*(ball(view) for view in seen), strict=True))
    mesh = finished(depths, rgbs, seen, 48)
    voxel = 1.8 / 48
    away = np.linalg.norm(mesh.vertices, axis=1) - RADIUS
    assert np.abs(away).max() < 0.6 * voxel
    assert abs(away.mean()) < 0.15 * voxel
    assert edges_in_two(mesh.faces) == 1
    corners = mesh.vertices[mesh.faces].astype(np.float64)
    volume = np.einsum("ij,ij->i", corners[:, 0], np.cross(corners[:, 1], corners[:, 2])).sum() / 6
    assert volume == pytest.approx(4 / 3 * math.pi * RADIUS**3, rel=0.04)  # of the other sign if inside out
    assert np.abs(mesh.rgb - (mesh.vertices / RADIUS + 1) / 2).max() < 0.05
    # A crumb in the air, seen by one camera alone, is not in the mesh: the others look through where it would be.
    depths[0] = depths[0].clone()
    depths[0][2:4, 2:4] = 2.0
    assert len(finished(depths, rgbs, seen, 48).faces) == len(mesh.faces)


def test_what_was_not_seen_has_no_surface() -> None:
    """From one side alone: the half that is turned away stays open."""
    seen = views()[7:8]
    depth, rgb = ball(seen[0])
    mesh = finished([depth], [rgb], seen, 40)
    toward = torch.nn.functional.normalize(seen[0].eye, dim=0).numpy()
    assert len(mesh.faces) > 500
    assert (mesh.vertices @ toward).min() > -0.15
    empty = finished([torch.zeros_like(depth)], [rgb], seen, 40)
    assert (len(empty.vertices), len(empty.faces), empty.rgb.shape) == (0, 0, (0, 3))


def test_boxes_that_cannot_be_fused() -> None:
    with pytest.raises(BadValue, match="bounds"):
        next(fuse([], [], [], [[0, 0, 0], [1, 1, 0]], 32))
    with pytest.raises(BadValue, match="resolution 2000"):
        next(fuse([], [], [], [[0, 0, 0], [1, 1, 1]], 2000))
