"""What a clipping box leaves of rays, boxes, surfaces and pictures, held against counting, areas and closed forms."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from engine.crop import Crop, planes_of, planes_text
from engine.data.captures.source import CaptureSource
from engine.data.rays import CaptureRays
from engine.geometry.isosurface import Surface, extract
from engine.nn.looking.crop import cut, planes_array, region, trimmed
from engine.nn.looking.pictures import RaySamples, Rendered
from engine.nn.looking.probes import RadianceProbes
from engine.nn.radiance.sampling import aabb
from engine.params import BadValue
from engine.payloads import Payload
from engine.probes import probes_of
from engine.registry import find
from engine.scene import Field, Scene
from engine.session import Session

CPU = torch.device("cpu")
RNG = np.random.default_rng(3)
RADIANCE = sorted(key for key, study in find().studies.items() if issubclass(study, RadianceProbes))


def turned_box(half: tuple[float, float, float], centre: tuple[float, float, float]) -> np.ndarray:
    turn, _ = np.linalg.qr(RNG.normal(size=(3, 3)))
    rows = []
    for axis, size in zip(turn, half, strict=True):
        rows += [[*axis, size - axis @ centre], [*-axis, size + axis @ centre]]
    return np.array(rows)


def inside(planes: np.ndarray, places: np.ndarray) -> np.ndarray:
    return np.asarray((places @ planes[:, :3].T + planes[:, 3] >= 0).all(-1))


def test_the_text_of_planes_is_read_back_and_refused_in_one_line() -> None:
    planes = turned_box((0.5, 0.3, 0.2), (0.1, -0.4, 0.2))
    np.testing.assert_allclose(planes_of(planes_text(planes)), planes, atol=1e-5)
    assert planes_of("0,0,2,1") == ((0.0, 0.0, 1.0, 0.5),)  # the same half of space
    assert Crop().check("crop", "", {}) == ""
    for text, reason in (("1,2,3", "not a plane"), ("0,0,0,1", "no direction"), ("1,0,0,nan", "not finite"),
                         ("1,0,0,1;" * 8, "8 planes")):  # fmt: skip
        with pytest.raises(BadValue, match=f"crop: .*{reason}"):
            Crop().parse("crop", text, {})


def test_rays_keep_exactly_their_part_inside() -> None:
    planes = turned_box((0.7, 0.4, 0.9), (0.2, 0.1, -0.3))
    o = RNG.uniform(-2, 2, (200, 3))
    d = RNG.uniform(-0.8, 0.8, (200, 3)) - o
    d[:20] = [1.0, 0.0, 0.0]
    d /= np.linalg.norm(d, axis=1, keepdims=True)
    near, far = cut(
        planes, torch.tensor(o), torch.tensor(d), torch.zeros(200).double(), torch.full((200,), 4.0).double()
    )
    t = np.linspace(0, 4, 4001)
    within = inside(planes, o[:, None] + t[:, None] * d[:, None])
    length = within.sum(1) * (t[1] - t[0])
    assert 20 < (length > 0).sum() < 180
    np.testing.assert_allclose((far - near).numpy(), length, atol=4e-3)
    hit = length > 4e-3
    np.testing.assert_allclose(near.numpy()[hit], t[within.argmax(1)][hit], atol=2e-3)
    along = cut(np.array([[0.0, 0, 1, 0.5]]), torch.tensor([[0.0, 0, 1], [0, 0, -1]]), torch.tensor([[1.0, 0, 0]] * 2),
                torch.zeros(2), torch.ones(2))  # fmt: skip
    assert [v.tolist() for v in along] == [[0, 0], [1, 0]]  # above the plane and below it


def test_the_region_of_a_turned_box_is_the_least_that_holds_what_is_inside() -> None:
    low, high = np.array([-1.0, -1, -1]), np.array([1.0, 1, 1])
    planes = turned_box((0.7, 0.4, 0.9), (0.5, 0.1, -0.3))
    places = RNG.uniform(-1, 1, (400_000, 3))
    places = places[inside(planes, places)]
    found = region(planes, low, high)
    assert found is not None
    assert (found[0] <= places.min(0)).all()
    assert (found[1] >= places.max(0)).all()
    np.testing.assert_allclose(found, [places.min(0), places.max(0)], atol=0.06)
    uncropped = region(np.zeros((0, 4)), low, high)
    assert uncropped is not None
    np.testing.assert_allclose(uncropped, [low, high])
    assert region(np.array([[1.0, 0, 0, -1.5]]), low, high) is None


def ball(radius: float = 0.8) -> Surface:
    steps = extract(lambda p: np.linalg.norm(p, axis=1) - radius, [-1, -1, -1], [1, 1, 1], 40)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            found: Surface = end.value
            return found


def test_a_trimmed_ball_has_the_area_of_its_zone_and_its_rims_in_the_planes() -> None:
    """Archimedes: between two parallel planes a distance h apart a ball has the area 2 pi r h."""
    n = np.array([0.36, -0.48, 0.8])
    planes = np.array([[*n, 0.3], [*-n, 0.5]])
    whole = ball()
    part = trimmed(whole, planes)
    corners = part.vertices[part.faces].astype(np.float64)
    crosses = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    assert np.linalg.norm(crosses, axis=1).sum() / 2 == pytest.approx(2 * math.pi * 0.8 * 0.8, rel=0.01)
    assert (crosses * corners.mean(1)).sum(1).min() > -1e-9  # still counter-clockwise from outside
    above = part.vertices @ planes[:, :3].T + planes[:, 3]
    assert above.min() > -1e-6
    edges = np.sort(part.faces[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2), 1)
    each, times = np.unique(edges, axis=0, return_counts=True)
    assert times.max() == 2
    rim = each[times == 1]
    assert np.abs(above[rim]).min(-1).max() < 1e-6  # neighbours share the new vertices: no other edge is open
    assert len(part.vertices) == len(np.unique(part.faces))
    np.testing.assert_allclose(np.linalg.norm(part.normals, axis=1), 1, atol=1e-5)
    assert len(trimmed(whole, np.array([[0.0, 0, 1, -2]])).faces) == 0
    same = trimmed(whole, np.array([[0.0, 0, 1, 2]]))
    np.testing.assert_array_equal(same.faces, whole.faces)


DENSITY = 0.7


class Fog(RadianceProbes):
    """The same density everywhere within the bounds."""

    def render_rays(self, origins: Tensor, directions: Tensor, ground: Tensor) -> Rendered:
        near, far = self.within_crop(origins, directions, *aabb(origins, directions, *self.bounds))
        alpha = 1 - torch.exp(-DENSITY * (far - near))
        return Rendered((1 - alpha)[:, None] * ground, alpha, alpha * (near + far) / 2, None, torch.ones_like(alpha))

    def ray_samples(self, origin: Tensor, direction: Tensor) -> RaySamples:
        raise NotImplementedError

    def density(self, points: Tensor) -> Tensor:
        return torch.full((len(points),), DENSITY)


def asked(field: RadianceProbes, name: str, **given: Any) -> list[Any]:
    spec = next(spec for spec in probes_of(type(field)) if spec.name == name)
    with torch.no_grad():
        answer = getattr(field, name)(**spec.values(given, {}))
        return [part for part in answer if isinstance(part, Payload)]


def fog(source: CaptureSource) -> Fog:
    made = Fog()
    made.p, made.device, made.source = None, CPU, CaptureRays(source, CPU, 1)
    return made


def test_a_picture_of_fog_is_as_thick_as_the_box_it_is_cropped_to(small_life: CaptureSource) -> None:
    study = fog(small_life)
    planes = "0,1,0,0.25;0,-1,0,0.15"
    small = {"view": {"width": 17, "passes": 1}, "render": {"width": 17, "height": 17}}
    for name in ("view", "render"):
        (*_, last) = asked(study, name, camera="0,-3,0/0,0,0/0,0,1/2", crop=planes, **small[name])
        thing: Any = last.things[0] if isinstance(last, Scene) else last
        middle = thing.alpha.shape[0] // 2, thing.alpha.shape[1] // 2
        assert thing.alpha[middle] == pytest.approx(1 - math.exp(-DENSITY * 0.4), abs=1e-3)
        assert thing.depth[middle] == pytest.approx(3 - 0.05, abs=1e-3)
        if isinstance(thing, Field):
            np.testing.assert_array_equal(thing.planes, planes_array(planes))
    uncropped = asked(study, "render", camera="0,-3,0/0,0,0/0,0,1/2", **small["render"])[0].alpha
    assert uncropped[8, 8] > 1 - math.exp(-DENSITY * 1.5)
    held = study.evaluate(study.source.held_out_batch(0, 50))["mse"].clone()
    steps = study.view(camera="0,-3,0/0,0,0/0,0,1/40", mode="RGB", width=100, passes=1, cameras=False,
                       photograph=False, crop="1,0,0,-50", whole=False)  # fmt: skip
    next(steps)
    torch.testing.assert_close(study.evaluate(study.source.held_out_batch(0, 50))["mse"], held)  # nor what is learned


ASIDE = "2.6,-2.2,1.3/0,0,0/0,0,1/40"
"""A camera before which the planes cut off a part that is seen."""


@pytest.mark.parametrize("key", RADIANCE)
def test_every_radiance_study_leaves_out_what_is_cropped_away(key: str, small_life: CaptureSource) -> None:
    """A study that finds the ends of its rays without asking for the crop would show its first fog."""
    session = Session.build(key, find().studies[key], dict(find().studies[key].tiny), 1, CPU, small_life, "still_life")
    shown = {}
    for crop in ("", "1,0,0,-9", "0,1,0,0.5;0,-1,0,0.5"):
        answer = session.answer("render", {"camera": ASIDE, "width": 16, "height": 16, "crop": crop})
        shown[crop] = [part for part in answer if isinstance(part, Payload)][-1].alpha  # type: ignore[attr-defined]
    assert shown[""].max() > 0.02
    assert shown["1,0,0,-9"].max() == 0
    slab = shown["0,1,0,0.5;0,-1,0,0.5"]
    assert slab.sum() > 0  # a cut through a solid may show more of it than before, never the same
    assert np.abs(slab - shown[""]).max() > 0.02


def test_a_crop_that_leaves_nothing_is_told(small_life: CaptureSource) -> None:
    (*_, last) = asked(fog(small_life), "surface", crop="0,0,1,-9", resolution=16)
    assert len(last.things[0].faces) == 0
    assert last.notices[0].startswith("The crop leaves nothing")
    (cloud,) = asked(fog(small_life), "cloud", crop="0,0,1,-9", count=100)
    assert "widen the crop" in cloud.notices[0]
    with pytest.raises(BadValue, match="crop: "):
        asked(fog(small_life), "cloud", crop="up")
