"""The probes of radiance fields, asked of two that are known exactly: a ball of fog, and the still life itself."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from engine import data
from engine.data.captures.source import CaptureSource
from engine.data.captures.still_life import DISTANCE, traced
from engine.data.rays import CaptureRays
from engine.data.source import DataError
from engine.nn.looking import things as things_of
from engine.nn.looking.common import decibels
from engine.nn.looking.pictures import RaySamples, Rendered
from engine.nn.looking.probes import RadianceProbes, ssim
from engine.nn.radiance import compositing
from engine.params import BadValue
from engine.payloads import Payload
from engine.probes import camera_of, probes_of
from engine.render import raster
from engine.scene import Field, Frustums, Handles, Mesh, Scene

CPU = torch.device("cpu")
RADIUS, STEP = 0.6, 0.015


class Ball(RadianceProbes):
    """An opaque ball of fog about the origin whose colour is where it is met."""

    steepness = 40.0

    def density(self, points: Tensor) -> Tensor:
        return 50 * torch.sigmoid((RADIUS - points.norm(dim=1)) * self.steepness)

    def _samples(self, o: Tensor, d: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        t = torch.linspace(0, 6, 401)[None].expand(len(o), -1)
        points = o[:, None] + t[..., None] * d[:, None]
        return t, self.density(points.reshape(-1, 3)).view(t.shape), (points / 2 + 0.5).clamp(0, 1)

    def render_rays(self, origins: Tensor, directions: Tensor, ground: Tensor) -> Rendered:
        t, sigma, rgb = self._samples(origins, directions)
        weight, _ = compositing.weights(sigma, torch.full_like(t, STEP))
        colour, alpha, depth = compositing.over(weight, rgb, t, ground)
        return Rendered(colour, alpha, depth, None, torch.full_like(alpha, t.shape[1]))

    def ray_samples(self, origin: Tensor, direction: Tensor) -> RaySamples:
        t, sigma, rgb = self._samples(origin[None], direction[None])
        if float(torch.linalg.cross(origin, direction).norm()) > 2:
            t, sigma, rgb = t[:, :0], sigma[:, :0], rgb[:, :0]
        delta = torch.full_like(t, STEP)
        weight, left = compositing.weights(sigma, delta)
        return RaySamples(t[0], delta[0], sigma[0], 1 - torch.exp(-sigma * delta)[0], left[0], weight[0], rgb[0])


class Hard(Ball):
    """The same with a surface that is as sharp as a pixel."""

    steepness = 400.0


class Exact(Ball):
    """The still life as its own tracer sees it."""

    def render_rays(self, origins: Tensor, directions: Tensor, ground: Tensor) -> Rendered:
        colour, alpha, t = traced(origins.double().numpy(), directions.double().numpy())
        rgb = torch.tensor(colour).float() + (1 - torch.tensor(alpha).float())[:, None] * ground
        covered = torch.tensor(alpha).float()
        return Rendered(rgb, covered, covered * torch.tensor(np.nan_to_num(t)).float(), None, torch.ones(len(t)))


def study(kind: type[RadianceProbes], source: CaptureSource) -> RadianceProbes:
    made = kind()
    made.p, made.device, made.source = None, CPU, CaptureRays(source, CPU, 1)
    return made


def asked(field: RadianceProbes, name: str, **given: Any) -> list[Any]:
    """All payloads of an answer, the last one the best."""
    spec = next(spec for spec in probes_of(type(field)) if spec.name == name)
    with torch.no_grad():
        answer = getattr(field, name)(**spec.values(given, {}))
        return [answer] if isinstance(answer, Payload) else [part for part in answer if isinstance(part, Payload)]


def thing(scene: Scene, name: str) -> Any:
    return next(thing for thing in scene.things if thing.name == name)


# ---- pictures -------------------------------------------------------------------------------------------------------


def test_the_view_agrees_with_a_mesh_of_the_same_ball(small_life: CaptureSource) -> None:
    """The same camera over the same shape, by rays and by triangles: cover and depth agree to a pixel and a hair."""
    ball = study(Hard, small_life)
    camera = "2,-2.6,1.2/0.1,0,-0.1/0,0.1,1/40/64x48"
    scenes = asked(ball, "view", camera=camera, width=64, passes=1)
    assert scenes[-1].progress == 1.0
    assert [scene.progress for scene in scenes] == sorted(scene.progress for scene in scenes)
    assert scenes[-1].camera_control == "camera"
    field = thing(scenes[-1], "field")
    assert isinstance(field, Field)
    assert field.image.shape == (48, 64, 3)
    assert field.camera == camera
    turn, rise = np.meshgrid(np.linspace(0, 2 * np.pi, 60), np.linspace(0, np.pi, 30))
    at = RADIUS * np.stack([np.cos(turn) * np.sin(rise), np.sin(turn) * np.sin(rise), np.cos(rise)], -1)
    k = np.arange(29 * 60)
    faces = np.concatenate([np.stack([k, k + 60, k + 1], 1), np.stack([k + 1, k + 60, k + 61], 1)])
    faces = faces[(faces < 1800).all(1)].astype(np.int32)
    mesh = Mesh(name="ball", vertices=at.reshape(-1, 3).astype(np.float32), faces=faces)
    _, depth, alpha = raster.render((mesh,), camera_of(camera), 64, 48)
    assert (np.abs(field.alpha - alpha) > 0.5).sum() <= 25  # a shift by one pixel makes twice as many
    both = (field.alpha > 0.95) & (alpha > 0.5)
    assert np.abs(field.depth - depth)[both].max() < 0.1
    assert np.median(np.abs(field.depth - depth)[both]) < 0.03
    edge = field.alpha == field.alpha.min()
    assert (field.image[edge] < 0.05).all()  # colours are those over black


def test_the_modes_say_what_they_name(small_life: CaptureSource) -> None:
    ball = study(Ball, small_life)
    camera = "0,-3,0/0,0,0/0,0,1/40"
    shown = {mode: asked(ball, "render", camera=camera, mode=mode, width=33, height=33)[0] for mode in
             ("RGB", "depth", "accumulation", "normals", "cost")}  # fmt: skip
    centre = {mode: render.image[16, 16] for mode, render in shown.items()}
    np.testing.assert_allclose(centre["RGB"], [0.5, 0.5 - RADIUS / 2, 0.5], atol=0.03)
    np.testing.assert_allclose(centre["normals"], [0.5, 0.0, 0.5], atol=0.02)  # towards the eye
    assert shown["RGB"].depth[16, 16] == pytest.approx(3 - RADIUS, abs=0.03)
    np.testing.assert_allclose(shown["RGB"].image[0, 0], 1.0, atol=1e-4)  # on white: there is alpha
    assert shown["accumulation"].image[0, 0, 0] < 1e-3 < 0.99 < centre["accumulation"][0]
    assert (shown["cost"].image == centre["cost"]).all()  # as many samples on every ray
    grey = shown["depth"].image[..., 0]
    assert grey[16, 16] == grey.max()
    assert grey[0, 0] == 0


def test_a_moving_hand_gets_fewer_pixels_and_rest_gets_all_of_them(small_life: CaptureSource) -> None:
    ball = study(Ball, small_life)
    ball.dragging = True
    (first,) = asked(ball, "view", width=400)
    assert first.progress == 1.0
    small = thing(first, "field").alpha.shape
    ball.dragging = False
    rest = asked(ball, "view", width=80, passes=2)
    assert small[1] < 400
    assert thing(rest[-1], "field").alpha.shape == (60, 80)
    again = asked(ball, "view", width=80, passes=2)
    assert all(np.array_equal(thing(a, "field").image, thing(b, "field").image)
               for a, b in zip(rest, again, strict=True))  # fmt: skip


# ---- photographs and rays -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("photo", ["held_out:1", "train:2"])
def test_the_true_scene_compares_well_with_its_photographs_and_a_wrong_one_does_not(
    small_life: CaptureSource, photo: str
) -> None:
    """Poses, pixel order and ground: one ray through each pixel's middle against the mean of four."""
    (grid,) = asked(study(Exact, small_life), "compare", photo=photo)
    figure = float(grid.caption.split("PSNR ")[1].split(" dB")[0])
    assert figure > 17
    truth, image, off = grid.images
    assert figure == pytest.approx(decibels(float(np.square(truth - image).mean())), abs=0.01)
    np.testing.assert_allclose(off, (4 * np.abs(truth - image)).clip(0, 1), atol=1e-6)
    for moved in (image[::-1], image[:, ::-1]):
        assert decibels(float(np.square(truth - moved).mean())) < figure - 2
    assert f"SSIM {ssim(truth, image):.3f}" in grid.caption
    assert ssim(truth, truth) == pytest.approx(1.0)


def test_a_photograph_is_averaged_down_with_its_camera(small_life: CaptureSource) -> None:
    exact = study(Exact, small_life)
    photo = exact.source.photo("held_out:0")
    origins, directions, colour, counts = exact._photo_rays(photo, 3)
    assert colour.shape == (8, 8, 3)
    assert counts.all()
    full = exact.source.picture(photo)
    middle = full.directions.view(24, 24, 3)[1::3, 1::3].reshape(-1, 3)  # the middle one of each nine
    torch.testing.assert_close(directions, middle, atol=1e-5, rtol=0)
    torch.testing.assert_close(origins[0], full.origins[0])
    mean = full.over(torch.ones(3)).view(8, 3, 8, 3, 3).mean((1, 3)).numpy()
    np.testing.assert_allclose(colour, mean, atol=1e-5)


def test_the_held_out_figures_are_those_of_the_pixels_on_the_ground(small_life: CaptureSource) -> None:
    exact = study(Exact, small_life)
    batch = exact.source.held_out_batch(0, 200)
    mse = exact.evaluate(batch)["mse"]
    seen = exact.render_rays(batch.origins, batch.directions, torch.ones(3)).rgb
    torch.testing.assert_close(mse, (seen - batch.over(torch.ones(3))).square().mean(1))
    assert exact.figures({"mse": 0.01}) == {"mse": 0.01, "psnr": pytest.approx(20.0)}
    assert decibels(0.0) == 100


def test_the_ray_of_a_pixel_goes_through_it(small_life: CaptureSource) -> None:
    ball = study(Ball, small_life)
    photo = ball.source.photo("held_out:0")
    pixel = ((0.3, 0.6, 0.0),)
    _, place, origin, direction = ball._pixel_ray("held_out:0", pixel)
    own = (origin + 2 * direction - origin).double().numpy() @ photo.view.pose[:3, :3]
    np.testing.assert_allclose(photo.view.camera.project(own[None])[0], [0.3 * 24, 0.6 * 24], atol=1e-4)
    (scene,) = asked(ball, "ray_scene", pixel=pixel)
    handle = thing(scene, "pixel")
    assert isinstance(handle, Handles)
    at = handle.transform @ np.append(handle.at[0], 1.0)
    across = np.cross(at[:3] - origin.numpy(), direction.numpy())
    assert np.linalg.norm(across) < 1e-4  # the handle lies on the ray
    assert handle.control == "pixel"
    assert place == (0.3, 0.6)
    samples = thing(scene, "samples")
    gone = samples.xyz - origin.numpy()
    assert np.abs(np.cross(gone, direction.numpy())).max() < 1e-4


def test_the_curves_of_a_ray_obey_their_definitions_and_a_ray_that_misses_is_flat(small_life: CaptureSource) -> None:
    ball = study(Ball, small_life)
    (curves,) = asked(ball, "ray", colours=True)
    lines = curves.lines
    np.testing.assert_allclose(lines["weight"], lines["T"] * lines["α"], atol=1e-6)
    assert lines["weight"].sum() == pytest.approx(1.0, abs=1e-3)
    assert curves.x[np.argmax(lines["weight"])] == pytest.approx(DISTANCE - RADIUS, abs=0.05)
    assert {"red", "green", "blue"} <= set(lines)
    wide = replace(ball.source.photo("held_out:0").view.camera, fx=4.0)
    ball.source.photos["held_out"] = (replace(ball.source.photo("held_out:0"), view=replace(
        ball.source.photo("held_out:0").view, camera=wide)),)  # fmt: skip
    (flat,) = asked(ball, "ray", pixel=((0.0, 0.5, 0.0),))
    assert len(flat.x) == 2
    assert (flat.lines["weight"] == 0).all()
    assert (flat.lines["T"] == 1).all()


def test_what_is_not_there_is_a_clear_line(small_life: CaptureSource) -> None:
    ball = study(Ball, small_life)
    for name in ("compare", "ray", "ray_scene"):
        with pytest.raises(DataError, match="held_out:7: there are 2 photographs"):
            asked(ball, name, photo="held_out:7")
    fish = replace(ball.source.photo("train:0").view.camera, lens="fisheye", fx=3.0, fy=3.0, radial=(0.0,) * 4)
    ball.source.photos["train"] = (replace(ball.source.photo("train:0"), view=replace(
        ball.source.photo("train:0").view, camera=fish)),)  # fmt: skip
    with pytest.raises(BadValue, match="the lens shows nothing there"):
        asked(ball, "ray", photo="train:0", pixel=((0.0, 0.0, 0.0),))


# ---- surface and cameras --------------------------------------------------------------------------------------------


def test_the_surface_is_the_level_of_the_density_in_the_colours_that_are_seen_there(small_life: CaptureSource) -> None:
    ball = study(Ball, small_life)
    first, last = asked(ball, "surface", level=25.0, resolution=40)
    assert (first.progress, last.progress) == (0.2, 1.0)
    mesh = thing(last, "surface")
    radius = np.linalg.norm(mesh.vertices, axis=1)
    np.testing.assert_allclose(radius, RADIUS, atol=0.01)
    assert (mesh.normals * mesh.vertices / radius[:, None]).sum(1).min() > 0.98
    np.testing.assert_allclose(mesh.rgb / 255, mesh.vertices / 2 + 0.5, atol=0.06)
    (nothing,) = asked(ball, "surface", level=500.0, resolution=20)
    assert nothing.notices


def test_frustums_show_each_photograph_where_it_was_taken(small_life: CaptureSource) -> None:
    ball = study(Ball, small_life)
    (scene,) = asked(ball, "cameras")
    frustums = thing(scene, "learned from")
    assert isinstance(frustums, Frustums)
    assert len(frustums.eyes) == len(frustums.cameras) == len(frustums.images) == 4
    for i, photo in enumerate(ball.source.photos["train"]):
        view = photo.view
        own = (frustums.corners[i] - view.centre) @ view.pose[:3, :3]
        np.testing.assert_allclose(view.camera.project(own), [[0, 0], [24, 0], [24, 24], [0, 24]], atol=1e-3)
        eye, target, up, fov = camera_of(frustums.cameras[i])
        np.testing.assert_allclose(eye, view.centre, atol=1e-3)
        axes = raster.Camera(eye, target, up, fov).axes()
        np.testing.assert_allclose(axes, view.pose[:3, :3].T, atol=1e-3)
        assert fov == pytest.approx(40.0, abs=1e-2)
        assert (frustums.images[i][0, 0] == 255).all()  # the photograph's own corner, transparent on white: no frame
    (again,) = asked(ball, "cameras")
    assert thing(again, "learned from") is frustums  # not sent to the screen again


def test_thumbnails_are_stretched_to_their_frame_without_the_grey_around_them(small_life: CaptureSource) -> None:
    view = small_life.photos[0].view
    wide = replace(view, camera=view.camera.scaled(192, 96))
    picture = np.full((96, 96, 3), 128, np.uint8)
    picture[24:72] = 200
    assert (things_of._without_frame(picture, wide) == 200).all()


@pytest.mark.parametrize("name", ["fox", "banana"])
def test_real_captures_are_shown_with_their_points_and_compared(shared_data: Path, name: str) -> None:
    source = data.load("capture", folder=str(shared_data / "posed" / name), wishes={"shrink": "8"})
    ball = study(Ball, source)
    (scene,) = asked(ball, "cameras")
    assert len(thing(scene, "learned from").eyes) == len(ball.source.photos["train"])
    assert not ball.transparent
    assert ball.ground.tolist() == [0, 0, 0]
    low, high = ball.bounds
    assert (high > low).all()
    (grid,) = asked(ball, "compare", width=24)
    assert math.isfinite(float(grid.caption.split("PSNR ")[1].split(" dB")[0]))
