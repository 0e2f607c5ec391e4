"""Captures: lenses there and back, poses by re-projection, every layout of files, damaged files in one line."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from scipy.spatial.transform import Rotation

from engine.data.captures import Capture, Intrinsics, View, moved, normalised, read_capture
from engine.data.captures.camera import from_opencv, rigid, rotation, to_opencv
from engine.data.captures.capture import looked_at, split_evenly
from engine.data.captures.colmap import MODELS, model_folder, read_model
from engine.data.captures.files import read_depth
from engine.data.source import DataError

RNG = np.random.default_rng(3)
PHONE = Intrinsics(270, 480, 343.9, 343.6, 138.6, 241.3, "opencv", (0.0578, -0.0805, 0.0, 0.0, 0.0, 0.0), (-1e-3, 2e-4))
STRONG = Intrinsics(640, 480, 400.0, 410.0, 320.0, 240.0, "opencv", (-0.28, 0.07, 0.0, 0.0, 0.0, 0.0), (1e-3, -5e-4))
FISH = Intrinsics(640, 640, 250.0, 250.0, 320.0, 320.0, "fisheye", (0.02, -0.01, 0.003, -0.0005))
PLAIN = Intrinsics(100, 80, 90.0, 95.0, 50.0, 41.0)


def pose_at(place: Any, target: Any = (0, 0, 0), up: Any = (0, 0, 1)) -> np.ndarray:
    """A camera at ``place`` that looks at ``target``."""
    back = np.asarray(place, float) - target
    back /= np.linalg.norm(back)
    right = np.cross(up, back)
    right /= np.linalg.norm(right)
    pose = np.eye(4)
    pose[:3, :3] = np.stack([right, np.cross(back, right), back], 1)
    pose[:3, 3] = place
    return pose


# ---- lenses ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("camera", [PLAIN, PHONE, STRONG, FISH], ids=["pinhole", "phone", "strong", "fisheye"])
def test_a_pixel_s_ray_comes_back_to_the_pixel(camera: Intrinsics) -> None:
    pixels = RNG.uniform([0, 0], [camera.width, camera.height], (500, 2))
    if camera is FISH:  # its corners show more than 85 degrees from the axis
        pixels = pixels[np.hypot(*(pixels - 320).T) < 310]
    rays = camera.directions(pixels)
    assert np.isfinite(rays).all()
    assert np.all(rays[:, 2] == -1)
    np.testing.assert_allclose(camera.project(rays * RNG.uniform(0.5, 9, (len(rays), 1))), pixels, atol=1e-5)


def test_the_axes_are_opengl_s_and_the_formula_is_opencv_s() -> None:
    """Right is right, up is up; and one point of the distortion written out by hand."""
    np.testing.assert_allclose(PLAIN.directions(np.array([[50.0, 41.0]])), [[0, 0, -1]])
    right_up = PLAIN.directions(np.array([[95.0, 22.0]]))[0]
    np.testing.assert_allclose(right_up, [45 / 90, 19 / 95, -1])
    x, y = 0.3, -0.2
    r2 = x * x + y * y
    k1, k2 = STRONG.radial[:2]
    p1, p2 = STRONG.tangential
    radial = 1 + k1 * r2 + k2 * r2 * r2
    across = x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x)
    down = y * radial + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y
    seen = STRONG.project(np.array([[x, -y, -1.0]]))[0]
    np.testing.assert_allclose(seen, [400 * across + 320, 410 * down + 240], atol=1e-9)


def test_a_fisheye_goes_by_the_angle() -> None:
    equidistant = Intrinsics(640, 640, 250.0, 250.0, 320.0, 320.0, "fisheye", (0.0, 0.0, 0.0, 0.0))
    angle = np.radians(60)
    seen = equidistant.project(np.array([[np.sin(angle), 0.0, -np.cos(angle)]]))[0]
    np.testing.assert_allclose(seen, [320 + 250 * angle, 320])
    wide = equidistant.directions(np.array([[320 + 250 * np.radians(88), 320.0]]))
    assert np.isnan(wide[0, 0])


def test_where_the_lens_folds_there_is_no_ray_and_behind_the_camera_no_pixel() -> None:
    folding = Intrinsics(640, 480, 100.0, 100.0, 320.0, 240.0, "opencv", (-0.5, 0.0, 0.0))
    assert np.isnan(folding.directions(np.array([[0.0, 0.0]]))).any()
    assert np.isnan(PLAIN.project(np.array([[0.0, 0.0, 1.0]]))).all()


def test_a_smaller_picture_sees_the_same() -> None:
    small = STRONG.scaled(320, 120)
    pixels = RNG.uniform([0, 0], [640, 480], (50, 2))
    np.testing.assert_allclose(small.directions(pixels / [2, 4]), STRONG.directions(pixels), atol=1e-9)


# ---- poses ----------------------------------------------------------------------------------------------------------


def test_quaternions_and_opencv_poses() -> None:
    for turn in Rotation.random(20, random_state=1):
        x, y, z, w = turn.as_quat()
        np.testing.assert_allclose(rotation(3 * np.array([w, x, y, z])), turn.as_matrix(), atol=1e-12)
    pose = pose_at([1, 2, 3])
    there = to_opencv(pose)
    np.testing.assert_allclose(from_opencv(there), pose, atol=1e-12)
    ahead = there @ [0, 0, 0, 1]
    assert ahead[2] == pytest.approx(np.sqrt(14))  # the target is ahead: z is forward
    np.testing.assert_allclose(ahead[:2], 0, atol=1e-12)
    above = there @ [*(pose[:3, 3] + pose[:3, 1] - pose[:3, 2]), 1]
    assert above[1] == pytest.approx(-1)  # y is down


def test_what_is_a_pose() -> None:
    assert rigid(pose_at([1, 1, 1]))
    assert rigid(np.diag([2.0, 2, 2, 1]))
    assert not rigid(np.diag([1.0, 1, -1, 1]))
    assert not rigid(np.zeros((4, 4)))
    assert not rigid(np.diag([1.0, 2, 1, 1]))
    assert not rigid(np.full((4, 4), np.nan))


def ring(count: int = 9, middle: Any = (5.0, -2.0, 7.0), radius: float = 3.0) -> Capture:
    """Cameras round ``middle`` whose world has y up."""
    angles = np.linspace(0, 2 * np.pi, count, endpoint=False)
    places = np.array(middle) + radius * np.stack([np.cos(angles), 0.5 + 0 * angles, np.sin(angles)], 1)
    views = tuple(View(f"{i}", pose_at(p, middle, (0, 1, 0)), PLAIN) for i, p in enumerate(places))
    return Capture("ring", views, points=np.array(middle) + RNG.normal(size=(400, 3)))


def test_normalised_is_upright_about_what_is_looked_at_and_can_be_undone() -> None:
    capture = ring()
    np.testing.assert_allclose(looked_at(capture), [5, -2, 7], atol=1e-9)
    seen = normalised(capture)
    np.testing.assert_allclose(looked_at(seen), 0, atol=1e-9)
    np.testing.assert_allclose(np.mean([v.pose[:3, 1] for v in seen.views], 0)[:2], 0, atol=1e-9)
    assert np.linalg.norm(seen.centres, axis=1).max() == pytest.approx(2)
    for before, after in zip(capture.views, seen.views, strict=True):
        np.testing.assert_allclose(after.pose[:3, :3].T @ after.pose[:3, :3], np.eye(3), atol=1e-9)
        assert capture.points is not None
        assert seen.points is not None
        pixels = [
            v.camera.project((points - v.centre) @ v.pose[:3, :3])
            for v, points in ((before, capture.points), (after, seen.points))
        ]
        np.testing.assert_allclose(pixels[0], pixels[1], atol=1e-7)  # every photograph still shows the same
    back = moved(seen, np.linalg.inv(seen.world))
    np.testing.assert_allclose(back.centres, capture.centres, atol=1e-9)
    np.testing.assert_allclose(back.world, np.eye(4), atol=1e-12)


def test_the_points_can_say_how_large_it_is_and_no_size_is_no_harm() -> None:
    seen = normalised(ring(), "as it is", "points")
    assert seen.points is not None
    assert np.linalg.norm(np.quantile(seen.points, 0.95, axis=0) - np.quantile(seen.points, 0.05, axis=0)) == (
        pytest.approx(2)
    )
    alone = Capture("one", (View("a", pose_at([1, 2, 3]), PLAIN),))
    assert np.isfinite(normalised(alone).centres).all()
    assert normalised(ring(), "as it is", "as it is").views[3].pose is not None


def test_every_eighth_view_is_held_out() -> None:
    views = split_evenly(ring(20).views)
    assert [i for i, v in enumerate(views) if v.split == "held_out"] == [0, 8, 16]
    assert [v.split for v in split_evenly(ring(3).views)] == ["train", "held_out", "train"]
    assert [v.split for v in split_evenly(ring(1).views)] == ["train"]


# ---- files ----------------------------------------------------------------------------------------------------------


def image(path: Path, size: tuple[int, int] = (100, 80), mode: str = "RGB") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, 128).save(path)
    return path


def frame(name: str, i: int, **more: Any) -> dict[str, Any]:
    return {"file_path": name, "transform_matrix": pose_at([np.cos(i), np.sin(i), 1]).tolist(), **more}


@pytest.fixture
def ngp(tmp_path: Path) -> Path:
    """An instant-ngp capture of ten images."""
    folder = tmp_path / "toy"
    for i in range(10):
        image(folder / "images" / f"{i:03d}.png")
    frames = [frame(f"images/{i:03d}.png", i) for i in range(10)]
    frames[3]["fl_x"] = 77.0
    table = {"fl_x": 90.0, "fl_y": 95.0, "cx": 50.0, "cy": 41.0, "w": 100, "h": 80, "k1": 0.1, "k2": 0.01, "p1": 0.002,
             "p2": 0.001, "aabb_scale": 4, "scale": 0.5, "offset": [0.5, 0.25, 0.5], "frames": frames}  # fmt: skip
    (folder / "transforms.json").write_text(json.dumps(table))
    return folder


def edit(folder: Path, **keys: Any) -> None:
    path = folder / "transforms.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **keys}))


def test_instant_ngp(ngp: Path) -> None:
    capture = read_capture(ngp)
    assert len(capture.views) == 10
    assert capture.title == "toy"
    assert [v.split for v in capture.views].count("held_out") == 2
    view = capture.views[4]
    assert view.camera == Intrinsics(100, 80, 90.0, 95.0, 50.0, 41.0, "opencv", (0.1, 0.01, 0, 0, 0, 0), (0.002, 0.001))
    assert capture.views[3].camera.fx == 77.0
    np.testing.assert_allclose(view.pose, pose_at([np.cos(4), np.sin(4), 1]), atol=1e-9)
    assert capture.box is not None  # the unit cube is world * 0.5 + offset; four of them side by side
    np.testing.assert_allclose(capture.box, [[-4, -3.5, -4], [4, 4.5, 4]])


def test_focal_lengths_from_angles(ngp: Path) -> None:
    table = json.loads((ngp / "transforms.json").read_text())
    for key in ("fl_x", "fl_y", "k1", "k2", "p1", "p2"):
        del table[key]
    del table["frames"][3]["fl_x"]
    (ngp / "transforms.json").write_text(json.dumps({**table, "camera_angle_x": np.pi / 2}))
    camera = read_capture(ngp).views[0].camera
    assert (camera.fx, camera.fy, camera.lens) == (pytest.approx(50), pytest.approx(50), "pinhole")
    (ngp / "transforms.json").write_text(json.dumps({**table, "x_fov": 60.0, "y_fov": 50.0, "is_fisheye": True}))
    camera = read_capture(ngp / "transforms.json").views[0].camera
    assert camera.fx == pytest.approx(50 / np.tan(np.radians(30)))
    assert camera.fy == pytest.approx(40 / np.tan(np.radians(25)))
    assert camera.lens == "fisheye"


def test_nerfstudio_s_split_masks_depth_and_points(ngp: Path) -> None:
    image(ngp / "masks" / "a.png", mode="L")
    Image.fromarray(np.full((80, 100), 1500, np.uint16)).save(ngp / "depth.png")
    points = "ply\nformat ascii 1.0\nelement vertex 2\nproperty float x\nproperty float y\nproperty float z\n"
    points += "property uchar red\nproperty uchar green\nproperty uchar blue\nend_header\n0 1 2 9 8 7\n3 4 5 6 5 4\n"
    (ngp / "sparse.ply").write_text(points)
    frames = json.loads((ngp / "transforms.json").read_text())["frames"]
    frames[0] |= {"mask_path": "masks/a.png", "depth_file_path": "depth.png"}
    names = [f["file_path"] for f in frames]
    edit(ngp, frames=frames, ply_file_path="sparse.ply", camera_model="OPENCV", train_filenames=names[:6],
         val_filenames=names[6:8], test_filenames=[*names[7:9], "images/gone.png"])  # fmt: skip
    capture = read_capture(ngp)
    assert [v.split for v in capture.views] == ["train"] * 6 + ["held_out"] * 3
    assert capture.points is not None
    np.testing.assert_allclose(capture.points, [[0, 1, 2], [3, 4, 5]])
    assert capture.colours is not None
    assert capture.colours.tolist() == [[9, 8, 7], [6, 5, 4]]
    assert "1 names" in capture.notices[0]
    first = capture.views[0]
    assert first.mask is not None
    assert first.depth is not None
    depth = read_depth(first.depth, first.depth_unit, (50, 40))
    assert depth.shape == (40, 50)
    np.testing.assert_allclose(depth, 1.5)


def test_nerf_synthetic(tmp_path: Path) -> None:
    for part in ("train", "val", "test"):
        for i in range(3):
            image(tmp_path / part / f"r_{i}.png", (60, 60), "RGBA")
        frames = [frame(f"./{part}/r_{i}", i) for i in range(3)]
        (tmp_path / f"transforms_{part}.json").write_text(json.dumps({"camera_angle_x": 0.69, "frames": frames}))
    capture = read_capture(tmp_path)
    assert [v.split for v in capture.views] == ["train"] * 3 + ["held_out"] * 3
    assert capture.views[0].camera.fx == pytest.approx(30 / np.tan(0.345))
    assert (capture.views[0].camera.cx, capture.views[0].camera.width) == (30, 60)
    (tmp_path / "transforms_test.json").unlink()
    assert [v.split for v in read_capture(tmp_path).views] == ["train", "held_out", "train"]


def test_a_capture_that_was_moved_finds_its_images(ngp: Path) -> None:
    frames = [frame(f"/home/somebody/toy/images/{i:03d}.png", i) for i in range(4)]
    frames.append(frame("..\\images\\004.png", 4))
    edit(ngp, frames=frames)
    assert [v.path.name for v in read_capture(ngp).views if v.path] == [f"{i:03d}.png" for i in range(5)]


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"frames": []}, "transforms.json: has no list of frames"),
        ({"frames": [{"file_path": 3}]}, "frame 1: names no image"),
        ({"frames": [frame("images/gone.png", 0)]}, "frame 1: the image images/gone.png is not there"),
        ({"frames": [frame("/etc/passwd", 0)]}, "frame 1: the image /etc/passwd is not there"),
        ({"frames": [{"file_path": "images/000.png", "transform_matrix": np.zeros((4, 4)).tolist()}]}, "is no pose"),
        ({"frames": [{"file_path": "images/000.png", "transform_matrix": "x"}]}, "no transform_matrix of numbers"),
        ({"w": 1e9}, "w is 1e+09, not a number of pixels"),
        ({"fl_x": "a"}, "fl_x is 'a', not a number"),
        ({"fl_y": -3}, "the focal length 90 x -3 pixels cannot be"),
        ({"camera_model": "EQUIRECTANGULAR"}, "camera_model EQUIRECTANGULAR is not one of"),
        ({"aabb_scale": 4, "offset": [1, 2]}, "make no box"),
        ({"train_filenames": ["a"]}, "none of train_filenames"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(ngp: Path, keys: dict[str, Any], said: str) -> None:
    edit(ngp, **keys)
    with pytest.raises(DataError) as told:
        read_capture(ngp)
    assert said in str(told.value)
    assert "\n" not in str(told.value)


def test_no_capture_here(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"holds no transforms\.json"):
        read_capture(tmp_path)
    with pytest.raises(DataError, match="no such folder"):
        read_capture(tmp_path / "gone")
    (tmp_path / "transforms.json").write_text("{" * 100_000)
    with pytest.raises(DataError, match="not JSON"):
        read_capture(tmp_path)


# ---- COLMAP ---------------------------------------------------------------------------------------------------------


def colmap(folder: Path, model: str = "OPENCV") -> tuple[Path, Intrinsics]:
    """A model in both forms, written from the documented layout; and the camera that it should be."""
    parameters = {
        "SIMPLE_PINHOLE": [90.0, 50, 41],
        "PINHOLE": [90.0, 95, 50, 41],
        "SIMPLE_RADIAL": [90.0, 50, 41, 0.1],
        "RADIAL": [90.0, 50, 41, 0.1, 0.02],
        "OPENCV": [90.0, 95, 50, 41, 0.1, 0.02, 0.003, 0.004],
        "OPENCV_FISHEYE": [90.0, 95, 50, 41, 0.1, 0.02, 0.003, 0.004],
        "FULL_OPENCV": [90.0, 95, 50, 41, 0.1, 0.02, 0.003, 0.004, 0.05, 0.06, 0.007, 0.008],
        "RADIAL_FISHEYE": [90.0, 50, 41, 0.1, 0.02],
        "SIMPLE_RADIAL_FISHEYE": [90.0, 50, 41, 0.1],
        "FOV": [90.0, 95, 50, 41, 0.5],
        "THIN_PRISM_FISHEYE": [90.0, 95, 50, 41, *[0.0] * 8],
    }[model]
    expected = {
        "RADIAL": Intrinsics(100, 80, 90, 90, 50, 41, "opencv", (0.1, 0.02)),
        "OPENCV": Intrinsics(100, 80, 90, 95, 50, 41, "opencv", (0.1, 0.02), (0.003, 0.004)),
        "FULL_OPENCV": Intrinsics(
            100, 80, 90, 95, 50, 41, "opencv", (0.1, 0.02, 0.05, 0.06, 0.007, 0.008), (0.003, 0.004)
        ),
        "OPENCV_FISHEYE": Intrinsics(100, 80, 90, 95, 50, 41, "fisheye", (0.1, 0.02, 0.003, 0.004)),
    }.get(model, PLAIN)
    sparse = folder / "sparse" / "0"
    sparse.mkdir(parents=True)
    number = [name for name, _ in MODELS].index(model)
    (sparse / "cameras.bin").write_bytes(
        struct.pack("<QiiQQ", 1, 7, number, 100, 80) + struct.pack(f"<{len(parameters)}d", *parameters)
    )
    words = " ".join(map(str, parameters))
    (sparse / "cameras.txt").write_text(f"# Camera list\n7 {model} 100 80 {words}\n")
    binary, text = struct.pack("<Q", 3), "# Image list\n"
    for i in range(3):
        image(folder / "images" / f"b {i}.png")
        there = to_opencv(pose_at([np.cos(i), np.sin(i), 1]))
        x, y, z, w = Rotation.from_matrix(there[:3, :3]).as_quat()
        binary += struct.pack("<i7di", i + 1, w, x, y, z, *there[:3, 3], 7) + f"b {i}.png\0".encode()
        binary += struct.pack("<Q", 1 - i % 2) + struct.pack("<2dq", 3.5, 4.5, 11) * (1 - i % 2)
        text += f"{i + 1} {w} {x} {y} {z} {' '.join(map(str, there[:3, 3]))} 7 b {i}.png\n"
        text += "3.5 4.5 11\n" if i % 2 == 0 else "\n"
    (sparse / "images.bin").write_bytes(binary)
    (sparse / "images.txt").write_text(text)
    point = struct.pack("<Q3d3BdQ2i", 11, 0.1, 0.2, 0.3, 200, 100, 50, 0.5, 1, 1, 0)
    (sparse / "points3D.bin").write_bytes(struct.pack("<Q", 2) + point + point)
    (sparse / "points3D.txt").write_text("# points\n11 .1 .2 .3 200 100 50 .5 1 0\n11 .1 .2 .3 200 100 50 .5 1 0\n")
    return folder, expected


@pytest.mark.parametrize("model", ["PINHOLE", "SIMPLE_PINHOLE", "RADIAL", "OPENCV", "OPENCV_FISHEYE", "FULL_OPENCV"])
def test_colmap_binary_and_text_are_the_same(tmp_path: Path, model: str) -> None:
    folder, expected = colmap(tmp_path / "c", model)
    expected = expected if model != "SIMPLE_PINHOLE" else Intrinsics(100, 80, 90, 90, 50, 41)
    binary = read_capture(folder)
    for name in ("cameras", "images", "points3D"):
        (folder / "sparse" / "0" / f"{name}.bin").unlink()
    for capture in (binary, read_capture(folder)):
        assert [v.name for v in capture.views] == ["b 0.png", "b 1.png", "b 2.png"]
        assert capture.views[0].camera == expected
        for i, view in enumerate(capture.views):
            np.testing.assert_allclose(view.pose, pose_at([np.cos(i), np.sin(i), 1]), atol=1e-9)
        assert capture.points is not None
        np.testing.assert_allclose(capture.points, [[0.1, 0.2, 0.3]] * 2)
        assert capture.colours is not None
        assert capture.colours[0].tolist() == [200, 100, 50]


@pytest.mark.parametrize("model", ["FOV", "THIN_PRISM_FISHEYE"])
def test_a_lens_that_is_not_read_says_what_to_do(tmp_path: Path, model: str) -> None:
    folder, _ = colmap(tmp_path / "c", model)
    with pytest.raises(DataError, match="undistort the images with COLMAP first"):
        read_capture(folder)


@pytest.mark.parametrize("name", ["cameras.bin", "images.bin", "points3D.bin", "images.txt", "cameras.txt"])
def test_damaged_models_say_so_in_one_line(tmp_path: Path, name: str) -> None:
    """Cut off at every length, counts of 2^60, and bytes set at random: an error or a model, never anything else."""
    folder, _ = colmap(tmp_path / "c")
    path = folder / "sparse" / "0" / name
    if name.endswith(".txt"):
        for other in ("cameras", "images", "points3D"):
            (path.parent / f"{other}.bin").unlink()
    whole = path.read_bytes()
    cut = [whole[:n] for n in range(0, len(whole), max(1, len(whole) // 40))]
    rng = np.random.default_rng(0)
    spoilt = []
    for _ in range(60):
        data = bytearray(whole)
        for at in rng.integers(0, len(data), 4):
            data[at] = rng.integers(256)
        spoilt.append(bytes(data))
    told = lines = 0
    for data in [*cut, *spoilt, struct.pack("<Q", 2**60) + whole[8:]]:
        path.write_bytes(data)
        try:
            read_capture(folder)
        except DataError as e:
            told += "\n" not in str(e)
            lines += 1
    assert lines == told
    assert told > 25


# ---- the real ones --------------------------------------------------------------------------------------------------


def test_the_real_captures_points_fall_where_they_were_seen(shared_data: Path) -> None:
    """Through our lenses and poses COLMAP's points of the banana come as near to their pixels as it says itself."""
    folder = shared_data / "posed" / "banana"
    sparse = model_folder(folder)
    assert sparse is not None
    model = read_model(sparse)
    place = {int(number): i for i, number in enumerate(model.ids)}
    errors = []
    for seen in model.images:
        assert seen.points is not None
        assert seen.pixels is not None
        known = [k for k, number in enumerate(seen.points) if int(number) in place]
        points = model.points[[place[int(seen.points[k])] for k in known]]
        pose = from_opencv(seen.world_to_camera)
        pixels = model.cameras[seen.camera].project((points - pose[:3, 3]) @ pose[:3, :3])
        errors.append(np.linalg.norm(pixels - seen.pixels[known], axis=1))
    assert np.concatenate(errors).mean() < 0.6
    by_colmap, by_json = read_capture(sparse / "cameras.bin"), read_capture(folder)
    for a, b in zip(by_colmap.views, by_json.views, strict=True):
        assert a.name == b.name
        np.testing.assert_allclose(a.pose, b.pose, atol=1e-5)


def test_the_phone_s_capture(shared_data: Path) -> None:
    """The fox was taken with a lens that bends: its triangulated points lie before every camera that can see them."""
    capture = normalised(read_capture(shared_data / "posed" / "fox"))
    assert len(capture.views) == 50
    assert capture.views[0].camera.lens == "opencv"
    assert capture.points is not None
    inside = []
    for view in capture.views:
        pixels = view.camera.project((capture.points - view.centre) @ view.pose[:3, :3])
        inside.append(np.mean(((pixels > 0) & (pixels < [270, 480])).all(1)))
    assert np.mean(inside) > 0.4
