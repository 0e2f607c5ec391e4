"""The still life and captures as rays: exact depth, rays that meet what the photograph shows, order, masks, sizes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from engine import data
from engine.data.captures import still_life
from engine.data.captures.source import CaptureSource
from engine.data.captures.still_life import BALL, BALL_RADIUS, DISTANCE, FLOOR, camera, photograph, poses, traced
from engine.data.rays import HELD_OUT_RAYS, CaptureRays
from engine.data.source import DataError
from tests.engine.data.test_captures import frame, pose_at

CPU = torch.device("cpu")


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> CaptureSource:
    """The still life with six views of 20 pixels."""
    monkeypatch.setattr(still_life, "VIEWS", 4)
    monkeypatch.setattr(still_life, "HELD_OUT", 2)
    monkeypatch.setitem(still_life.SIDES, "still_life", 20)
    source = data.load("still_life", cache=tmp_path)
    assert isinstance(source, CaptureSource)
    return source


# ---- the still life -------------------------------------------------------------------------------------------------


def test_rays_meet_the_surfaces_where_geometry_says() -> None:
    """Straight down onto the ball, the floor and a bar; sideways past everything; through the glass."""
    down = np.array([[0.0, 0.0, -1.0]] * 3)
    o = np.array([[BALL[0], BALL[1], 5.0], [0.0, 1.0, 5.0], [3.0, 3.0, 5.0]])
    _, alpha, t = traced(o, down)
    np.testing.assert_allclose(t[:2], [5 - BALL[2] - BALL_RADIUS, 5 - FLOOR], atol=1e-12)
    assert np.isnan(t[2])
    assert alpha.tolist() == [1, 1, 0]
    level = np.array([[0.0, 1.0, 0.0]])
    colour, alpha, t = traced(np.array([[-0.1, -3.0, 0.55]]), level)  # above the cube, beside the ball: glass alone
    assert np.isnan(t[0])
    assert alpha[0] == still_life.PANE_ALPHA
    np.testing.assert_allclose(colour[0], still_life.PANE_ALPHA * still_life.PANE_TINT)
    side = np.array([[1.0, 0.0, 0.0]])
    at = still_life.BARS[1]
    _, _, t = traced(np.array([[-3.0, at[1], 0.5]]), side)
    assert t[0] == pytest.approx(at[0] - still_life.BAR_RADIUS + 3)


def test_the_ball_mirrors_so_its_looks_change_with_the_view() -> None:
    """The same point of the ball from a ring of places; a point of the floor looks the same from all of them."""
    turn = np.linspace(0, 2 * np.pi, 12, endpoint=False)
    normal = np.array([0.6, 0.0, 0.8])
    for point, upward, changes in (
        (BALL + BALL_RADIUS * normal, normal, True),
        (np.array([0.1, 0.9, FLOOR]), [0, 0, 1], False),
    ):
        eyes = point + 3 * np.stack([np.cos(turn), np.sin(turn), 0.9 + 0 * turn], 1)
        eyes = eyes[(eyes - point) @ upward > 1.0]
        d = point - eyes
        d /= np.linalg.norm(d, axis=1, keepdims=True)
        colour, _, t = traced(eyes, d)
        direct = np.linalg.norm(eyes + t[:, None] * d - point, axis=1) < 1e-9  # the others are hidden by something
        assert direct.sum() >= 3
        spread = np.ptp(colour[direct], axis=0).max()
        assert spread > 0.1 if changes else spread < 1e-9


def test_a_photograph_s_depth_is_along_the_axis() -> None:
    name, split, pose = next(poses())
    assert (name, split) == ("train 1", "train")
    assert np.linalg.norm(pose[:3, 3]) == pytest.approx(DISTANCE)
    inside = camera(33)
    pixels, depth = photograph(pose, inside)
    rows, columns = np.nonzero(np.isfinite(depth))
    rays = inside.directions(np.stack([columns + 0.5, rows + 0.5], 1))  # of depth 1
    points = pose[:3, 3] + (rays * depth[rows, columns][:, None]) @ pose[:3, :3].T
    height = points[:, 2]
    assert height.min() >= FLOOR - 1e-9
    assert np.mean(np.abs(height - FLOOR) < 1e-9) > 0.2  # the floor is flat
    assert (pixels[rows, columns, 3] > 0).all()


def test_it_is_kept_and_the_same_the_second_time(small: CaptureSource, tmp_path: Path) -> None:
    kept = list(tmp_path.rglob("*.npz"))
    assert len(kept) == 1
    again = data.load("still_life", cache=tmp_path)
    for one, other in zip(small.photos, again.photos, strict=True):
        assert np.array_equal(one.pixels, other.pixels)
    kept[0].write_bytes(b"damaged")
    assert np.array_equal(data.load("still_life", cache=tmp_path).photos[5].pixels, small.photos[5].pixels)
    assert [p.view.split for p in small.photos] == ["train"] * 4 + ["held_out"] * 2
    assert small.train.images.shape == (4, 96, 96, 3)
    assert "6 photographs of 20 x 20 pixels" in small.text


# ---- rays -----------------------------------------------------------------------------------------------------------


def test_rays_show_what_the_tracer_sees_there(small: CaptureSource) -> None:
    """Where a pixel of the photograph is full, its ray meets something of about that colour, where empty, nothing;
    only pixels on an edge are between."""
    batch = CaptureRays(small, CPU, 0).batch(0, 1600)
    torch.testing.assert_close(batch.directions.norm(dim=1), torch.ones(1600))
    assert len(batch.origins.unique(dim=0)) == 4
    colour, alpha, _ = traced(batch.origins.double().numpy(), batch.directions.double().numpy())
    seen = batch.alpha[:, 0].numpy()
    full, empty = seen > 0.99, seen < 0.01
    assert full.sum() > 200
    assert empty.sum() > 200
    assert (alpha[full] > 0.99).mean() > 0.97
    assert (alpha[empty] < 0.01).mean() > 0.97
    off = np.abs(colour[full] - batch.rgb.numpy()[full]).max(1)
    assert np.median(off) < 0.1
    white = batch.over(torch.ones(3))
    torch.testing.assert_close(white, batch.rgb * batch.alpha + 1 - batch.alpha)


def test_batches_depend_on_seed_step_and_size_alone_and_an_epoch_has_every_pixel_once(small: CaptureSource) -> None:
    rays, again = CaptureRays(small, CPU, 5), CaptureRays(small, CPU, 5)
    assert rays.train.count == 4 * 400
    epoch = torch.cat([rays.batch(i, 400).directions for i in range(4)])
    assert len(epoch.unique(dim=0)) == 1600
    assert torch.equal(again.batch(2, 400).directions, epoch[800:1200])
    assert not torch.equal(CaptureRays(small, CPU, 6).batch(2, 400).directions, epoch[800:1200])
    assert len(rays.batch(0, 10_000)) == 1600
    assert len(rays.held_out) == min(HELD_OUT_RAYS, 2 * 400)
    assert torch.equal(rays.held_out, CaptureRays(small, CPU, 6).held_out)
    picture = rays.picture(rays.photo("held_out:1"))
    assert torch.equal(
        (picture.rgb.view(20, 20, 3) * 255).round().byte(), torch.from_numpy(small.photos[5].pixels[..., :3])
    )
    with pytest.raises(DataError, match="held_out:2: there are 2 photographs"):
        rays.photo("held_out:2")


def capture_folder(folder: Path, mask: bool = False) -> Path:
    """Three photographs of 40 x 30 pixels, each of one colour, from lenses that bend."""
    for i in range(3):
        (folder / "images").mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (40, 30), (10 + i, 20, 30)).save(folder / "images" / f"{i}.png")
    frames = [frame(f"images/{i}.png", i) for i in range(3)]
    if mask:
        half = np.zeros((30, 40), np.uint8)
        half[:, :10] = 255
        Image.fromarray(half).save(folder / "m.png")
        frames[0]["mask_path"] = "m.png"
    table = {"fl_x": 35.0, "w": 40, "h": 30, "k1": -0.1, "frames": frames}
    (folder / "transforms.json").write_text(json.dumps(table))
    return folder


def test_a_folder_of_the_person_s_own(tmp_path: Path) -> None:
    source = data.load("capture", folder=str(capture_folder(tmp_path / "c", mask=True)), cache=tmp_path)
    rays = CaptureRays(source, CPU, 0)
    assert rays.train.count == 30 * 10 + 30 * 40  # of the first only what its mask leaves; the second is held out
    every = rays.train.all()
    assert set((every.rgb[:, 0] * 255).round().int().tolist()) == {10, 12}
    assert every.alpha.min() == 1
    small = data.load(
        "capture",
        folder=str(tmp_path / "c"),
        cache=tmp_path,
        wishes={"shrink": "2", "fit": "as it is", "orientation": "as it is"},
    )
    first = small.photos[0]
    assert first.pixels.shape == (15, 20, 3)
    assert first.view.camera.fx == 17.5
    np.testing.assert_allclose(first.view.pose, pose_at([1, 0, 1]), atol=1e-9)
    assert first.mask is not None
    assert first.mask.shape == (15, 20)


def test_photographs_of_another_shape_than_their_camera_s(tmp_path: Path) -> None:
    folder = capture_folder(tmp_path / "c")
    Image.new("RGB", (30, 40)).save(folder / "images" / "1.png")
    with pytest.raises(DataError, match=r"1\.png: has 30 x 40 pixels, its camera says 40 x 30"):
        data.load("capture", folder=str(folder), cache=tmp_path)
    Image.new("RGB", (20, 15)).save(folder / "images" / "1.png")  # only smaller: they were scaled after the cameras
    assert data.load("capture", folder=str(folder), cache=tmp_path).photos[1].pixels.shape == (30, 40, 3)
    (folder / "images" / "1.png").write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"1\.png: not an image"):
        data.load("capture", folder=str(folder), cache=tmp_path)
    with pytest.raises(DataError, match="no folder given"):
        data.load("capture", cache=tmp_path)
