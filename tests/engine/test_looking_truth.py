"""Photographs over pictures: by another lens they show the same directions; errors and likeness by closed forms."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from skimage.metrics import structural_similarity
from torch import Tensor

from engine.data.captures.camera import Intrinsics
from engine.data.captures.capture import View
from engine.data.captures.source import CaptureSource, Photo
from engine.data.captures.still_life import traced
from engine.data.rays import CaptureRays
from engine.nn.looking import truth
from engine.nn.looking.common import EACH, decibels, placed
from engine.nn.looking.likeness import WINDOW, ssim, window_pixels, window_ssim
from engine.nn.looking.pictures import RaySamples, Rendered
from engine.nn.looking.probes import RadianceProbes
from engine.nn.looking.things import camera_text
from engine.payloads import Payload
from engine.probes import probes_of
from engine.scene import Field, Scene

CPU = torch.device("cpu")


class Seeing(RadianceProbes):
    """What is seen is given by a function of origins and directions: colours, and alpha."""

    slow = 0.0

    def seen(self, o: Tensor, d: Tensor) -> tuple[Tensor, Tensor]:
        colour, alpha, _ = traced(o.double().numpy(), d.double().numpy())
        return torch.tensor(colour).float(), torch.tensor(alpha).float()

    def render_rays(self, origins: Tensor, directions: Tensor, ground: Tensor) -> Rendered:
        colour, alpha = self.seen(origins, directions)
        return Rendered(colour + (1 - alpha)[:, None] * ground, alpha, 2 * alpha, None, torch.ones(len(alpha)))

    def ray_samples(self, origin: Tensor, direction: Tensor) -> RaySamples:
        raise NotImplementedError

    def density(self, points: Tensor) -> Tensor:
        return points[:, 0] * 0


class Wall(Seeing):
    """Grey, wherever one looks."""

    grey = 0.6

    def seen(self, o: Tensor, d: Tensor) -> tuple[Tensor, Tensor]:
        return torch.full((len(o), 3), self.grey), torch.ones(len(o))


def study(kind: type[RadianceProbes], source: CaptureSource) -> Any:
    made = kind()
    made.p, made.device, made.source = None, CPU, CaptureRays(source, CPU, 1)
    return made


def scenes(field: RadianceProbes, **given: Any) -> list[Scene]:
    spec = next(spec for spec in probes_of(type(field)) if spec.name == "view")
    with torch.no_grad():
        return [p for p in field.view(**spec.values(given, {})) if isinstance(p, Scene)]


def field_of(scene: Scene) -> Field:
    return next(thing for thing in scene.things if isinstance(thing, Field))


def marked(photo: Photo, width: int, height: int, fov: float, turn: np.ndarray | None = None) -> tuple[Any, np.ndarray]:
    """The photograph in another pinhole's pixels, and the directions of those in the photograph's own axes."""
    tall = math.tan(math.radians(fov) / 2)
    x, y = np.meshgrid((np.arange(width) + 0.5) * 2 / width - 1, 1 - (np.arange(height) + 0.5) * 2 / height)
    own = np.stack([x * tall * width / height, y * tall, -np.ones_like(x)], -1).reshape(-1, 3)
    own = own @ (np.eye(3) if turn is None else turn).T
    ways = own / np.linalg.norm(own, axis=1, keepdims=True) @ photo.view.pose[:3, :3].T
    return truth.taken(photo, ways, width, height, fov), own


def smooth(own: np.ndarray) -> np.ndarray:
    """Colours 0..1 that change slowly with the direction in a camera's axes."""
    x, y = own[:, 0] / -own[:, 2], own[:, 1] / -own[:, 2]
    return np.stack([0.5 + 0.4 * np.sin(3 * x), 0.5 + 0.4 * np.cos(4 * y), 0.5 + 0.3 * np.sin(2 * x + 3 * y)], -1)


def painted(camera: Intrinsics) -> Photo:
    pose = np.eye(4)
    pose[:3, :3], _ = np.linalg.qr(np.random.default_rng(5).normal(size=(3, 3)))
    pose[:3, 2] *= np.sign(np.linalg.det(pose[:3, :3]))
    pixels = np.round(smooth(camera.directions(camera.centres())) * 255).astype(np.uint8)
    view = View("painted", pose, camera)
    return Photo(view, pixels.reshape(camera.height, camera.width, 3))


def test_a_photograph_in_its_own_pixels_is_itself(small_life: CaptureSource) -> None:
    photo = small_life.photos[0]
    camera = photo.view.camera
    fov = math.degrees(2 * math.atan(camera.height / 2 / camera.fy))
    own, _ = marked(photo, camera.width, camera.height, fov)
    pixels = photo.pixels.astype(int)
    np.testing.assert_allclose(own.pixels()[..., 3], pixels[..., 3], atol=1)
    np.testing.assert_allclose(own.pixels()[..., :3], pixels[..., :3] * pixels[..., 3:] / 255, atol=1)
    assert own.there.all()
    wide, _ = marked(photo, 2 * camera.width, camera.height, fov)  # a wider picture has nothing on either side
    columns = wide.there.any(0)
    assert columns.tolist() == [False] * 12 + [True] * 24 + [False] * 12
    np.testing.assert_allclose(wide.pixels()[:, 12:36], own.pixels(), atol=1)
    assert (wide.pixels()[:, :12] == 0).all()


@pytest.mark.parametrize("size", [(90, 60), (30, 20)])
def test_a_bent_photograph_is_straightened_and_turned_by_its_directions(size: tuple[int, int]) -> None:
    """A lens as of a phone: each pixel of the straight picture has the colour of its direction, near or far."""
    camera = Intrinsics(120, 90, 100.0, 101.0, 57.0, 47.0, "opencv", (0.12, -0.06, 0.0, 0.0, 0.0, 0.0), (0.002, -0.001))
    photo = painted(camera)
    turn = np.array([[0.998, 0.0, 0.0632], [0.0, 1.0, 0.0], [-0.0632, 0.0, 0.998]])
    found, own = marked(photo, *size, 55.0, turn)
    there = found.there.ravel()
    assert 0.6 < there.mean() < 1  # turned: one side sees beyond the photograph
    at = camera.project(own)
    inner = ((at > 2) & (at < [118, 88])).all(1)  # the outermost half pixel goes on as it is
    assert there[inner].all()
    np.testing.assert_allclose(found.rgb.reshape(-1, 3)[inner], smooth(own)[inner], atol=0.008)
    assert not there[((at < -1) | (at > [121, 91])).any(1)].any()


def test_what_lies_behind_a_fold_of_the_lens_is_not_shown() -> None:
    """The photograph's corners are 41 degrees off; beyond 47 this polynomial comes back towards the middle."""
    photo = painted(Intrinsics(56, 56, 60.0, 60.0, 28.0, 28.0, "opencv", (-0.3, 0.0, 0.0, 0.0, 0.0, 0.0)))
    found, own = marked(photo, 80, 80, 140.0)
    angle = np.degrees(np.arccos(-own[:, 2] / np.linalg.norm(own, axis=1))).reshape(80, 80)
    assert not found.there[angle > 44].any()
    assert found.there[angle < 20].all()


def test_masked_pixels_do_not_count() -> None:
    photo = painted(Intrinsics(40, 40, 40.0, 40.0, 20.0, 20.0))
    mask = np.full((40, 40), 255, np.uint8)
    mask[:, :10] = 0
    found, _ = marked(replace(photo, mask=mask), 40, 40, math.degrees(2 * math.atan(0.5)))
    assert found.there[0].tolist() == [False] * 10 + [True] * 30


def test_the_view_knows_whether_it_stands_at_a_photograph(small_life: CaptureSource) -> None:
    photos = small_life.photos
    text = camera_text(photos[1].view, 4.0)
    eye, target, up, _ = text.split("/")
    assert truth.standing(f"{text}/640x480", photos) is photos[1]
    assert truth.standing(f"{eye}/{target}/{up}/12", photos) is photos[1]  # another lens at the same place
    moved = ",".join(f"{float(v) + 0.03:.5g}" for v in eye.split(","))
    aside = ",".join(f"{float(v) + 0.05:.5g}" for v in target.split(","))
    assert truth.standing(f"{moved}/{target}/{up}/40", photos) is None
    assert truth.standing(f"{eye}/{aside}/{up}/40", photos) is None
    side = ",".join(f"{v:.5g}" for v in photos[1].view.pose[:3, 1] + 0.05 * photos[1].view.pose[:3, 0])
    assert truth.standing(f"{eye}/{target}/{side}/40", photos) is None  # rolled by three degrees


def test_the_photograph_lies_over_the_view_at_its_place_alone(small_life: CaptureSource) -> None:
    exact = study(Seeing, small_life)
    text = camera_text(small_life.photos[0].view, 4.0) + "/96x96"
    (*_, last) = scenes(exact, camera=text, width=48, passes=4)
    over = field_of(last).truth
    assert over.shape == (24, 24, 4)  # as fine as it is itself
    pixels = small_life.photos[0].pixels.astype(int)
    np.testing.assert_allclose(over[..., :3], pixels[..., :3] * pixels[..., 3:] / 255, atol=2)
    assert last.caption.startswith("learned from 1: PSNR") or "PSNR" in last.caption
    (*_, again) = scenes(exact, camera=text, width=48, passes=4)
    assert field_of(again).truth is over  # not sent to the screen again
    for given in ({"photograph": False}, {"whole": True}, {"mode": "error"}):
        (*_, other) = scenes(exact, **{"camera": text, "width": 24, "passes": 1, **given})
        assert field_of(other).truth is None
    (*_, away) = scenes(exact, camera="2,-2.6,1.2/0,0,0/0,0,1/40/96x96", width=24, passes=1)
    assert field_of(away).truth is None
    assert "PSNR" not in away.caption
    (*_, none) = scenes(exact, camera="2,-2.6,1.2/0,0,0/0,0,1/40/96x96", width=24, passes=1, mode="error")
    assert none.caption.startswith("No photograph was taken from here")


def test_the_true_scene_has_a_small_error_and_a_mirrored_one_a_large_one(small_life: CaptureSource) -> None:
    text = camera_text(small_life.photos[0].view, 4.0) + "/96x96"
    exact = study(Seeing, small_life)
    (*_, last) = scenes(exact, camera=text, width=24, passes=4)
    figure = float(last.caption.split("PSNR ")[1].split(" dB")[0])
    field = field_of(last)
    ground = np.ones(3, np.float32)
    shown = field.image + (1 - field.alpha)[..., None] * ground
    fov = math.degrees(2 * math.atan(12 / small_life.photos[0].view.camera.fy))
    whole = truth.taken(small_life.photos[0], placed(text)[1](24, 24, (0.5, 0.5)), 24, 24, fov).over(ground)
    assert figure == pytest.approx(decibels(float(np.square(shown.clip(0, 1) - whole).mean())), abs=0.02)
    assert figure > decibels(float(np.square(shown[:, ::-1].clip(0, 1) - whole).mean())) + 3
    assert f"SSIM {structural_similarity(shown.clip(0, 1), whole, channel_axis=2, data_range=1.0):.3f}" in last.caption


def test_the_error_of_a_wall_is_its_distance_in_grey_in_the_colour_of_the_legend(small_life: CaptureSource) -> None:
    grey = tuple(replace(photo, pixels=np.full((24, 24, 3), 128, np.uint8)) for photo in small_life.photos)
    wall = study(Wall, replace(small_life, photos=grey))
    off = 0.6 - 128 / 255
    text = camera_text(grey[0].view, 4.0) + "/192x96"  # twice as wide as the photograph
    (*_, last) = scenes(wall, camera=text, mode="error", width=48, passes=1)
    field = field_of(last)
    shown = field.alpha > 0
    assert shown.any(0).tolist() == [False] * 12 + [True] * 24 + [False] * 12
    np.testing.assert_allclose(field.image[shown], np.tile(truth.colours(np.array([off]))[0], (24 * 24, 1)), atol=1e-3)
    assert (field.image[~shown] == 0).all()
    assert (field.depth[shown] > 0).all()
    title, marks = field.legend
    assert title == "|difference|"
    assert marks[-1] == (1.0, f"{truth.MOST_OFF:g}")
    assert f"PSNR {decibels(off**2):.2f} dB" in last.caption


# ---- likeness ----


def test_windows_are_what_scikit_image_averages() -> None:
    rng = np.random.default_rng(0)
    a, b = (rng.random((2, 20, 31, 3)) * [[[[1.0]]], [[[0.3]]]]).astype(np.float32)
    whole, each = structural_similarity(a, b, win_size=WINDOW, channel_axis=2, data_range=1.0, full=True)
    column, row = torch.tensor([3, 17, 0, 30]), torch.tensor([3, 9, 0, 19])
    pick = window_pixels(column, row, 31, 20).numpy()
    found = window_ssim(torch.tensor(a.reshape(-1, 3)[pick]), torch.tensor(b.reshape(-1, 3)[pick]))
    centre = each.mean(2)[[3, 9, 3, 16], [3, 17, 3, 27]]  # moved into the picture
    np.testing.assert_allclose(found.numpy(), centre, atol=1e-5)
    assert ssim(a, b) == pytest.approx(whole, abs=1e-6)
    part = np.zeros((20, 31), bool)
    part[5:9, 4:20] = True
    assert ssim(a, b, part) == pytest.approx(each[5:9, 4:20].mean(), abs=1e-6)
    assert ssim(a[:6], b[:6]) is None


def test_the_held_out_likeness_is_that_of_windows_about_held_out_pixels(small_life: CaptureSource) -> None:
    exact = study(Seeing, small_life)
    values = exact.evaluate(exact.source.held_out_batch(0, 180))["ssim"]
    assert values.shape == (180,)
    ground = torch.ones(3)
    for first in range(0, 180, EACH):
        number, pixel = divmod(int(exact.source.held_out[first]), 24 * 24)
        photo = exact.source.photos["held_out"][number]
        rays = exact.source.picture(photo)
        seen = exact.render_rays(rays.origins, rays.directions, ground).rgb.clamp(0, 1).view(24, 24, 3).numpy()
        shown = rays.over(ground).view(24, 24, 3).numpy()
        _, each = structural_similarity(shown, seen, win_size=WINDOW, channel_axis=2, data_range=1.0, full=True)
        row, column = (min(max(v, 3), 20) for v in divmod(pixel, 24))
        assert values[first : first + EACH].unique().tolist() == pytest.approx([each[row, column].mean()], abs=2e-3)
    wall = study(Wall, small_life)
    assert float(wall.evaluate(wall.source.held_out_batch(0, 100))["ssim"].mean()) < float(values.mean())


def test_masked_pixels_agree_in_the_held_out_likeness(small_life: CaptureSource) -> None:
    gone = tuple(replace(photo, mask=np.zeros((24, 24), np.uint8)) for photo in small_life.photos)
    for photo in gone:
        assert photo.mask is not None
        photo.mask[12, 12] = 255  # the only pixel that counts
    wall = study(Wall, replace(small_life, photos=gone))
    assert float(wall.evaluate(wall.source.held_out_batch(0, 2))["ssim"][0]) > 0.2  # all but one pixel agree


def test_whole_pictures_are_finished_though_the_weights_change(small_life: CaptureSource) -> None:
    """As the frames of a film are; others end with what there was of the old weights."""
    wall = study(Wall, small_life)
    wall.net = torch.nn.Linear(1, 1)

    def last(whole: bool) -> Scene:
        wall._live = None
        found = []
        for part in wall.view(camera="2,-2.6,1.2/0,0,0/0,0,1/40/96x96", mode="RGB", width=300, passes=2, cameras=False,
                              photograph=True, crop="", whole=whole):  # fmt: skip
            with torch.no_grad():
                wall.net.weight += 1  # a training step
            if isinstance(part, Payload):
                found.append(part)
        return found[-1]  # type: ignore[return-value]

    assert field_of(last(True)).alpha.shape == (300, 300)
    assert field_of(last(False)).alpha.shape[0] < 300
    assert last(False).whole_control == "whole"
