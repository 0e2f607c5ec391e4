"""How many photographs show a place: against points that each camera's own lens puts into its picture."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from engine import data
from engine.data.captures.source import CaptureSource, Photo
from engine.data.rays import CaptureRays
from engine.nn.radiance import seen_by as module
from engine.nn.radiance.seen_by import seen_by

LENSES: dict[str, dict[str, Any]] = {
    "pinhole": {},
    "opencv": {"lens": "opencv", "radial": (-0.25, 0.05)},
    "fisheye": {"lens": "fisheye", "radial": (0.05, 0.0, 0.0, 0.0), "fx": 45.0, "fy": 45.0},
}


def few(lens: str) -> CaptureRays:
    """Four photographs of the still life by cameras whose axis is off the middle."""
    found = data.load("still_life")
    assert isinstance(found, CaptureSource)
    photos = tuple(
        replace(p, view=replace(p.view, camera=replace(p.view.camera, cx=31.0, **LENSES[lens])))
        for p in found.part("train")[::10]
    )
    return CaptureRays(replace(found, photos=photos), torch.device("cpu"), 0)


def shown(photo: Photo, points: np.ndarray) -> np.ndarray:
    """Whether each of the points (N, 3) is in the picture, between the centres of its outermost pixels."""
    pose, camera = photo.view.pose, photo.view.camera
    pixels = camera.project((points - pose[:3, 3]) @ pose[:3, :3])
    with np.errstate(invalid="ignore"):
        inside = (pixels > 0.5) & (pixels < [camera.width - 0.5, camera.height - 0.5])
    return np.asarray(inside.all(1))


@pytest.mark.parametrize("lens", LENSES)
def test_a_box_is_counted_once_for_each_picture_that_shows_any_of_it(lens: str) -> None:
    rays = few(lens)
    photos = rays.photos["train"]
    rng = np.random.default_rng(4)
    low = rng.uniform(-4, 4, (250, 3))
    size = rng.uniform(0.05, 0.4, (250, 3))
    points = low[:, None] + size[:, None] * rng.random((250, 300, 3))
    least = np.sum([shown(photo, points.reshape(-1, 3)).reshape(250, 300).any(1) for photo in photos], 0)
    counts = seen_by(rays, photos, torch.tensor(low).float(), torch.tensor(size).float()).numpy()
    assert (counts >= least).all()
    assert 0 < least.max() <= counts.max() <= len(photos)
    # More is counted only at the pictures' edges, and there at round corners of a lens that bends.
    assert (counts - least).mean() < {"pinhole": 0.12, "opencv": 0.2, "fisheye": 0.5}[lens]
    assert (counts < len(photos)).any()


def test_what_lies_behind_all_cameras_is_seen_by_none_and_parts_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    rays = few("pinhole")
    photos = rays.photos["train"]
    behind = np.array([p.view.centre + 0.5 * p.view.pose[:3, 2] for p in photos[:1]])
    ahead = np.array([p.view.centre - 0.5 * p.view.pose[:3, 2] for p in photos[:1]])
    boxes = torch.tensor(np.concatenate([behind, ahead, np.zeros((1, 3))]) - 0.01).float()
    sizes = torch.full_like(boxes, 0.02)
    whole = [int(seen_by(rays, (photo,), boxes, sizes)[k]) for k, photo in ((0, photos[0]), (1, photos[0]))]
    assert whole == [0, 1]
    counts = seen_by(rays, photos, boxes, sizes)
    assert int(counts[2]) == len(photos), "all look at the middle"
    monkeypatch.setattr(module, "AT_ONCE", 2)
    assert torch.equal(seen_by(rays, photos, boxes, sizes), counts)
