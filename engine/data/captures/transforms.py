"""transforms.json of NeRF-synthetic (Blender), instant-ngp and nerfstudio: the cameras of a capture. Reads no image.

Keys as the three programs write them; a key of the file holds for every frame that does not say otherwise.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from engine.data.captures.camera import Floats, Intrinsics, rigid
from engine.data.captures.capture import Capture, View, split_evenly
from engine.data.captures.files import found, sparse_points
from engine.data.picture import photo_size
from engine.data.source import DataError, shown

MOST_BYTES = 256 * 2**20
MOST_FRAMES = 20_000
SYNTHETIC = {"train": "train", "val": "", "test": "held_out"}
"""The parts of a NeRF-synthetic capture and the split that each is; the middle one is left out, as is the custom."""
ENDINGS = ("", ".png", ".jpg", ".jpeg", ".JPG", ".PNG")
LENS_OF = {
    "PINHOLE": "pinhole",
    "SIMPLE_PINHOLE": "pinhole",
    "OPENCV": "opencv",
    "SIMPLE_RADIAL": "opencv",
    "RADIAL": "opencv",
    "OPENCV_FISHEYE": "fisheye",
    "FISHEYE": "fisheye",
}
"""nerfstudio's camera_model."""


def read_synthetic(folder: Path) -> Capture:
    """A folder with transforms_train.json and, mostly, transforms_test.json; DataError with one line."""
    views: list[View] = []
    for part, split in SYNTHETIC.items():
        path = folder / f"transforms_{part}.json"
        if split and path.is_file():
            views += [replace(view, split=split) for view in _views(path, _load(path))]
    if not any(view.split == "held_out" for view in views):
        views = list(split_evenly(tuple(views)))
    return Capture(shown(folder.name), tuple(views))


def read_transforms(path: Path) -> Capture:
    """One transforms.json of instant-ngp or nerfstudio; DataError with one line that names the file."""
    table = _load(path)
    views = tuple(_views(path, table))
    notices: list[str] = []
    points, colours = None, None
    if table.get("ply_file_path"):
        named = str(table["ply_file_path"])
        ply = found(path.parent, named)
        if ply is None:
            notices.append(f"{shown(path.name)}: the points {shown(named)} are not there")
        else:
            points, colours, said = sparse_points(ply)
            notices += said
    views, said = _split(path, table, views)
    capture = Capture(shown(path.parent.name), views, points, colours, _box(path, table), notices=(*notices, *said))
    return capture


# ---- the file -------------------------------------------------------------------------------------------------------


def _load(path: Path) -> dict[str, Any]:
    name = shown(path.name)
    try:
        if path.stat().st_size > MOST_BYTES:
            raise DataError(f"{name}: larger than 256 MB, which no list of cameras is")
        table = json.loads(path.read_text("utf-8"))
    except OSError as e:
        raise DataError(f"{name}: cannot be read ({e.strerror})") from None
    except (ValueError, RecursionError):
        raise DataError(f"{name}: not JSON; the file is damaged") from None
    if not isinstance(table, dict) or not isinstance(table.get("frames"), list) or not table["frames"]:
        raise DataError(f"{name}: has no list of frames; not a capture's transforms.json")
    if len(table["frames"]) > MOST_FRAMES:
        raise DataError(f"{name}: {len(table['frames']):,} frames are more than {MOST_FRAMES:,}")
    return table


def _views(path: Path, table: Mapping[str, Any]) -> list[View]:
    views: list[View] = []
    sizes: dict[Path, tuple[int, int]] = {}
    for i, frame in enumerate(table["frames"]):
        where = f"{shown(path.name)}, frame {i + 1}"
        if not isinstance(frame, dict) or not isinstance(frame.get("file_path"), str):
            raise DataError(f"{where}: names no image (file_path)")
        keys = {**table, **frame}
        image = _image(path.parent, frame["file_path"], where)
        if "w" in keys and "h" in keys:
            size = _whole(keys, "w", where), _whole(keys, "h", where)
        else:
            folder = image.parent
            if "camera_angle_x" in keys and folder in sizes:  # NeRF-synthetic: all pictures are of one size
                size = sizes[folder]
            else:
                size = sizes[folder] = photo_size(image)
        views.append(
            View(
                name=shown(image.name),
                pose=_pose(frame, where),
                camera=_intrinsics(keys, size, where),
                path=image,
                mask=_beside(path.parent, keys, "mask_path", where),
                depth=_beside(path.parent, keys, "depth_file_path", where),
                depth_unit=_number(keys, "depth_unit_scale_factor", where, 1e-3),
            )
        )
    return views


def _image(folder: Path, name: str, where: str) -> Path:
    path = found(folder, name, ENDINGS)
    if path is None:
        raise DataError(f"{where}: the image {shown(name)} is not there")
    return path


def _beside(folder: Path, keys: Mapping[str, Any], key: str, where: str) -> Path | None:
    name = keys.get(key)
    if not name:
        return None
    path = found(folder, str(name))
    if path is None:
        raise DataError(f"{where}: {shown(str(name))} ({key}) is not there")
    return path


def _pose(frame: Mapping[str, Any], where: str) -> Floats:
    try:
        pose = np.array(frame["transform_matrix"], np.float64)
    except (KeyError, TypeError, ValueError):
        raise DataError(f"{where}: has no transform_matrix of numbers") from None
    if pose.shape == (3, 4):
        pose = np.vstack([pose, [0.0, 0.0, 0.0, 1.0]])
    if pose.shape != (4, 4) or not rigid(pose):
        raise DataError(f"{where}: its transform_matrix is no pose (a rotation and a move, 4 x 4)")
    pose[:3, :3] /= np.cbrt(np.linalg.det(pose[:3, :3]))
    return pose


def _intrinsics(keys: Mapping[str, Any], size: tuple[int, int], where: str) -> Intrinsics:
    width, height = size
    fx = _focal(keys, "x", width, where)
    fy = _focal(keys, "y", height, where)
    if fx is None and fy is None:
        raise DataError(f"{where}: no focal length (fl_x, camera_angle_x or x_fov)")
    fx, fy = fx or fy, fy or fx
    assert fx is not None
    assert fy is not None
    if not (0 < fx < 1e7 and 0 < fy < 1e7):
        raise DataError(f"{where}: the focal length {fx:g} x {fy:g} pixels cannot be")
    radial = tuple(_number(keys, f"k{i}", where, 0.0) for i in range(1, 7))
    tangential = (_number(keys, "p1", where, 0.0), _number(keys, "p2", where, 0.0))
    model = str(keys.get("camera_model", "OPENCV")).upper()
    if model not in LENS_OF:
        raise DataError(f"{where}: camera_model {model} is not one of {', '.join(LENS_OF)}")
    lens = "fisheye" if keys.get("is_fisheye") is True else LENS_OF[model]
    if lens == "opencv" and not any(radial) and not any(tangential):
        lens = "pinhole"
    if lens == "opencv":  # k4 is a fisheye's fourth: OpenCV's rational model is written by none of the three
        radial = (*radial[:3], 0.0, 0.0, 0.0)
    return Intrinsics(
        width,
        height,
        fx,
        fy,
        _number(keys, "cx", where, width / 2),
        _number(keys, "cy", where, height / 2),
        lens,
        () if lens == "pinhole" else radial,
        (0.0, 0.0) if lens != "opencv" else tangential,
    )


def _focal(keys: Mapping[str, Any], axis: str, side: int, where: str) -> float | None:
    """In pixels: given, or from the angle that the picture spans, in radians or degrees; None where nothing says."""
    if f"fl_{axis}" in keys:
        return _number(keys, f"fl_{axis}", where, 0.0)
    angle = None
    if f"camera_angle_{axis}" in keys:
        angle = _number(keys, f"camera_angle_{axis}", where, 0.0)
    elif f"{axis}_fov" in keys:
        angle = math.radians(_number(keys, f"{axis}_fov", where, 0.0))
    if angle is None:
        return None
    if not 0 < angle < math.pi:
        raise DataError(f"{where}: a picture cannot span an angle of {math.degrees(angle):g} degrees")
    return side / 2 / math.tan(angle / 2)


def _number(keys: Mapping[str, Any], key: str, where: str, default: float) -> float:
    value = keys.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise DataError(f"{where}: {key} is {str(value)[:30]!r}, not a number")
    return float(value)


def _whole(keys: Mapping[str, Any], key: str, where: str) -> int:
    value = _number(keys, key, where, 0.0)
    if not 1 <= value <= 65_536 or value != int(value):
        raise DataError(f"{where}: {key} is {value:g}, not a number of pixels")
    return int(value)


def _split(path: Path, table: Mapping[str, Any], views: tuple[View, ...]) -> tuple[tuple[View, ...], tuple[str, ...]]:
    """The split that nerfstudio's lists give, else every eighth view held out."""
    lists = {key: table.get(f"{key}_filenames") for key in ("train", "val", "test")}
    if not any(isinstance(names, Sequence) and names for names in lists.values()):
        return split_evenly(views), ()
    by_file = {Path(str(frame["file_path"])).as_posix(): i for i, frame in enumerate(table["frames"])}
    chosen: dict[int, str] = {}
    missing = 0
    for key, split in (("test", "held_out"), ("val", "held_out"), ("train", "train")):
        for name in lists[key] or ():
            i = by_file.get(Path(str(name)).as_posix())
            missing += i is None
            if i is not None:
                chosen[i] = split
    if "train" not in chosen.values():
        raise DataError(f"{shown(path.name)}: none of train_filenames is among the frames")
    out = tuple(replace(view, split=chosen[i]) for i, view in enumerate(views) if i in chosen)
    if not any(view.split == "held_out" for view in out):
        out = split_evenly(out)
    said = (f"{missing} names in the lists of {shown(path.name)} are no frame of it",) if missing else ()
    return out, said


def _box(path: Path, table: Mapping[str, Any]) -> Floats | None:
    """The cube that instant-ngp trains in, in the file's world: the unit cube of world * scale + offset,
    aabb_scale times as large about its middle. (It also takes the axes in turn, which a cube does not show.)"""
    if "aabb_scale" not in table:
        return None
    where = shown(path.name)
    sides = _number(table, "aabb_scale", where, 1.0)
    scale = _number(table, "scale", where, 0.33)
    try:
        offset = np.array(table.get("offset", [0.5, 0.5, 0.5]), np.float64)
    except (ValueError, TypeError):
        offset = np.empty(0)
    if offset.shape != (3,) or not np.isfinite(offset).all() or not scale > 0 or not 0 < sides <= 128:
        raise DataError(f"{where}: aabb_scale, scale and offset make no box") from None
    middle = (0.5 - offset) / scale
    return np.stack([middle - sides / 2 / scale, middle + sides / 2 / scale])
