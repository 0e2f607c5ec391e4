"""Surfaces and clouds taken out of a field, written and read back: in the capture's own frame, in their colours."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from engine.data.captures.capture import normalised
from engine.data.captures.source import CaptureSource
from engine.data.rays import CaptureRays
from engine.formats.export import write
from engine.formats.scene import read_all
from engine.formats.scene.write import world
from engine.nn.looking.pictures import RaySamples, Rendered
from engine.nn.looking.probes import RadianceProbes
from engine.payloads import Payload
from engine.probes import probes_of
from engine.scene import Lines, Mesh, Points, Scene

CPU = torch.device("cpu")
RADIUS = 0.6


class Ball(RadianceProbes):
    """A hard ball about the origin: its colour is where it is met, its density 100 at its surface and more inside."""

    def render_rays(self, origins: Tensor, directions: Tensor, ground: Tensor) -> Rendered:
        b = (origins * directions).sum(1)
        under = b * b - origins.square().sum(1) + RADIUS**2
        near, far = -b - under.clamp(min=0).sqrt(), -b + under.clamp(min=0).sqrt()
        near, far = self.within_crop(origins, directions, near.clamp(min=0), far)
        hit = ((under > 0) & (far > near)).float()
        rgb = ((origins + near[:, None] * directions) / 2 + 0.5).clamp(0, 1) * hit[:, None]
        return Rendered(rgb + (1 - hit)[:, None] * ground, hit, near * hit, None, torch.ones_like(hit))

    def ray_samples(self, origin: Tensor, direction: Tensor) -> RaySamples:
        raise NotImplementedError

    def density(self, points: Tensor) -> Tensor:
        return (100 + 200 * (RADIUS - points.norm(dim=1))).clamp(min=0)


@pytest.fixture
def turned(small_life: CaptureSource) -> CaptureSource:
    """The still life in the frame of a file: another size, turned and elsewhere; and normalised from that."""
    matrix = np.eye(4)
    turn, _ = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))
    matrix[:3, :3] = 3.5 * turn * np.sign(np.linalg.det(turn))
    matrix[:3, 3] = [40.0, -7.0, 300.0]
    views = []
    for photo in small_life.photos:
        pose = matrix @ photo.view.pose
        pose[:3, :3] /= 3.5
        views.append(replace(photo.view, pose=pose))
    found = normalised(replace(small_life.capture, views=tuple(views), world=np.eye(4), box=None))
    photos = tuple(replace(p, view=v) for p, v in zip(small_life.photos, found.views, strict=True))
    return replace(small_life, capture=found, photos=photos)


def asked(source: CaptureSource, name: str, kind: type[Ball] = Ball, **given: Any) -> list[Any]:
    field = kind()
    field.p, field.device, field.source = None, CPU, CaptureRays(source, CPU, 1)
    spec = next(spec for spec in probes_of(Ball) if spec.name == name)
    with torch.no_grad():
        return [p for p in getattr(field, name)(**spec.values(given, {})) if isinstance(p, Payload)]


def solid(scene: Scene) -> Any:
    (thing,) = (t for t in scene.things if isinstance(t, Mesh | Points))
    return thing


@pytest.mark.parametrize("ending", ["ply", "glb"])
@pytest.mark.parametrize("name", ["surface", "cloud"])
def test_files_stand_where_the_captures_own_cameras_have_it(
    name: str, ending: str, turned: CaptureSource, tmp_path: Path
) -> None:
    """Read back and seen by the file's own cameras, every vertex falls on the pixel where the normalised one does."""
    answers = asked(turned, name, **({"resolution": 24, "level": 100.0} if name == "surface" else {"count": 2000}))
    shown = solid(answers[-1])
    local = shown.vertices if isinstance(shown, Mesh) else shown.xyz
    assert np.abs(np.linalg.norm(local, axis=1) - RADIUS).max() < 0.02
    assert any(isinstance(thing, Lines) for thing in answers[-1].things)
    path = tmp_path / f"a.{ending}"
    write(str(path), answers)
    back: Any = read_all(path)[0]
    assert len(read_all(path)) == 1  # the box that stands round it in the picture is not in the file
    assert type(back) is type(shown)
    places = world(back, back.vertices if isinstance(back, Mesh) else back.xyz)
    assert len(places) == len(local)
    size = np.cbrt(np.linalg.det(turned.capture.world[:3, :3]))
    assert size != pytest.approx(1, abs=0.1)
    radius = np.linalg.norm(places - np.linalg.inv(turned.capture.world)[:3, 3], axis=1)
    np.testing.assert_allclose(radius, RADIUS / size, rtol=0.04)
    order = back.index if isinstance(back, Points) and back.index is not None else np.arange(len(local))
    own = np.linalg.inv(turned.capture.world)
    np.testing.assert_allclose(places, (local @ own[:3, :3].T + own[:3, 3])[order], atol=1e-3)
    normal = turned.capture.world[:3, :3] @ np.asarray(places - own[:3, 3]).T  # outward, in the frame of the picture
    np.testing.assert_allclose(back.rgb / 255, normal.T / 2 + 0.5, atol=0.03)
    assert back.normals is not None


def test_a_cropped_surface_ends_at_the_planes(turned: CaptureSource) -> None:
    *_, last = asked(turned, "surface", resolution=30, level=100.0, crop="0,0,1,0.1;0.6,0.8,0,0.2")
    mesh = solid(last)
    above = mesh.vertices @ [[0, 0.6], [0, 0.8], [1, 0]] + [0.1, 0.2]
    assert above.min() > -1e-5
    assert np.abs(above).min(0).max() < 1e-5  # it reaches both
    assert np.abs(np.linalg.norm(mesh.vertices, axis=1) - RADIUS).max() < 0.02  # open: no lid
    whole = solid(asked(turned, "surface", resolution=30, level=100.0)[-1])
    box = ";".join(f"{sign},0,0,0.65;0,{sign},0,0.65;0,0,{sign},0.65" for sign in (1, -1))
    tight = solid(asked(turned, "surface", resolution=30, level=100.0, crop=box)[-1])
    assert len(tight.faces) > 5 * len(whole.faces)  # as many cells on what is left of the bounds
    *_, cloud = asked(turned, "cloud", count=1500, crop="0,0,1,-0.1")
    assert len(solid(cloud).xyz) > 50
    assert solid(cloud).xyz[:, 2].min() > 0.0999


class Unsure(Ball):
    """Where it is red, its rays end on average before the ball."""

    def render_rays(self, origins: Tensor, directions: Tensor, ground: Tensor) -> Rendered:
        seen = super().render_rays(origins, directions, ground)
        return replace(seen, depth=seen.depth - 0.3 * (seen.rgb[:, 0] > 0.5) * seen.alpha)


def test_points_where_the_field_is_thin_are_left_out(turned: CaptureSource) -> None:
    """A ray that ends on average where the density is low has met two things, neither of them there."""
    (few,) = asked(turned, "cloud", Unsure, count=1500, level=99.0)
    (every,) = asked(turned, "cloud", Unsure, count=1500, level=0.0)
    assert 0 < len(solid(few).xyz) < len(solid(every).xyz)
    assert (solid(few).rgb[:, 0] <= 128).all()
    radius = np.linalg.norm(solid(every).xyz, axis=1)
    assert ((radius > RADIUS + 0.01) == (solid(every).rgb[:, 0] > 128)).mean() > 0.99
