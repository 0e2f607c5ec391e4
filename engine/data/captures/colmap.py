"""COLMAP's sparse models, binary and text: cameras, poses and points. Reads no image.

Layouts as COLMAP's own script documents them. Every count is held against the file's size before memory is taken.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.data.captures.camera import Floats, Intrinsics, from_opencv, rotation
from engine.data.captures.capture import Capture, View, split_evenly
from engine.data.captures.files import found
from engine.data.source import DataError, shown

MODELS = (
    ("SIMPLE_PINHOLE", 3), ("PINHOLE", 4), ("SIMPLE_RADIAL", 4), ("RADIAL", 5), ("OPENCV", 8), ("OPENCV_FISHEYE", 8),
    ("FULL_OPENCV", 12), ("FOV", 5), ("SIMPLE_RADIAL_FISHEYE", 4), ("RADIAL_FISHEYE", 5), ("THIN_PRISM_FISHEYE", 12),
)  # fmt: skip
"""Name and how many parameters, by number."""
MOST_BYTES = 8 * 2**30
MOST_NAME = 1000
FARTHEST = 1e9
"""Places beyond are nonsense, in whatever unit."""
SPARSE = ("sparse/0", "sparse", "colmap/sparse/0", "0", "")
"""Where in a capture's folder a model lies mostly."""
IMAGES = ("images", "input", "../images", "../../images", "")


@dataclass(frozen=True)
class Posed:
    """One line of images: a pose from world to camera, its camera's number and the image's name."""

    world_to_camera: Floats
    camera: int
    name: str
    pixels: Floats | None = None
    """(K, 2) of the points that it sees, and below their numbers (K,)."""
    points: NDArray[np.int64] | None = None


@dataclass(frozen=True)
class Model:
    """A sparse model as the files have it; ``points`` (M, 3), ``ids`` int64 (M,), ``colours`` uint8 (M, 3)."""

    cameras: dict[int, Intrinsics]
    images: tuple[Posed, ...]
    points: Floats
    ids: NDArray[np.int64]
    colours: NDArray[np.uint8]


def model_folder(folder: Path) -> Path | None:
    """The folder in or below ``folder`` that holds a sparse model; None where there is none."""
    for place in SPARSE:
        for ending in (".bin", ".txt"):
            if all((folder / place / f"{name}{ending}").is_file() for name in ("cameras", "images")):
                return folder / place
    return None


def read_model(folder: Path) -> Model:
    """The model in a folder of cameras, images and points3D, binary where both are there; DataError in one line."""
    if all((folder / f"{name}.bin").is_file() for name in ("cameras", "images")):
        cameras = _cameras_bin(folder / "cameras.bin")
        images = _images_bin(folder / "images.bin")
        points = _points_bin(folder / "points3D.bin")
    else:
        cameras = _cameras_txt(folder / "cameras.txt")
        images = _images_txt(folder / "images.txt")
        points = _points_txt(folder / "points3D.txt")
    for image in images:
        if image.camera not in cameras:
            raise DataError(f"{shown(image.name)}: its camera, number {image.camera}, is not among the cameras")
    if not images:
        raise DataError(f"{shown(folder.name)}: a sparse model without images")
    return Model(cameras, images, *points)


def read_colmap(folder: Path) -> Capture:
    """A capture's folder with a sparse model and its images; DataError in one line that names the file."""
    sparse = model_folder(folder)
    if sparse is None:
        raise DataError(f"{shown(folder.name)}: no sparse model (cameras, images, points3D) in it")
    model = read_model(sparse)
    views = []
    for posed in sorted(model.images, key=lambda image: image.name):
        path = next((p for place in IMAGES if (p := found(folder / place, posed.name)) is not None), None)
        if path is None:
            raise DataError(f"{shown(sparse.name)}: the image {shown(posed.name)} is not in {shown(folder.name)}")
        views.append(
            View(shown(posed.name), from_opencv(posed.world_to_camera), model.cameras[posed.camera], path=path)
        )
    there = len(model.points) > 0
    return Capture(
        shown(folder.name),
        split_evenly(tuple(views)),
        model.points if there else None,
        model.colours if there else None,
    )


# ---- cameras --------------------------------------------------------------------------------------------------------


def _intrinsics(where: str, model: str, width: int, height: int, q: tuple[float, ...]) -> Intrinsics:
    """A camera of COLMAP's; DataError where the model is none that can be drawn with."""
    if not (1 <= width <= 65_536 and 1 <= height <= 65_536):
        raise DataError(f"{where}: a picture of {width} x {height} pixels cannot be")
    if not all(np.isfinite(q)):
        raise DataError(f"{where}: a parameter of the camera is not finite")
    two = model in ("PINHOLE", "OPENCV", "OPENCV_FISHEYE", "FULL_OPENCV")
    fx, fy = (q[0], q[1]) if two else (q[0], q[0])
    cx, cy, *k = q[2 if two else 1 :]
    if not (0 < fx < 1e7 and 0 < fy < 1e7):
        raise DataError(f"{where}: the focal length {fx:g} x {fy:g} pixels cannot be")
    lens = "pinhole"
    radial: tuple[float, ...] = ()
    tangential = (0.0, 0.0)
    match model:
        case "SIMPLE_RADIAL" | "RADIAL":
            lens, radial = "opencv", (*k,)
        case "OPENCV":
            lens, radial, tangential = "opencv", (k[0], k[1]), (k[2], k[3])
        case "FULL_OPENCV":
            lens, radial, tangential = "opencv", (k[0], k[1], *k[4:8]), (k[2], k[3])
        case "OPENCV_FISHEYE" | "SIMPLE_RADIAL_FISHEYE" | "RADIAL_FISHEYE":
            lens, radial = "fisheye", (*k,)
        case "SIMPLE_PINHOLE" | "PINHOLE":
            pass
        case _:
            raise DataError(f"{where}: the camera model {model} is not read; undistort the images with COLMAP first")
    return Intrinsics(width, height, fx, fy, cx, cy, lens, radial, tangential)


def _cameras_bin(path: Path) -> dict[int, Intrinsics]:
    data = _Bytes(path)
    out = {}
    for _ in range(data.count(24)):
        number, kind, width, height = data.take("<iiQQ")
        if not 0 <= kind < len(MODELS):
            raise DataError(f"{data.name}: the camera model number {kind} is unknown")
        model, size = MODELS[kind]
        out[number] = _intrinsics(f"{data.name}, camera {number}", model, width, height, data.take(f"<{size}d"))
    return out


def _cameras_txt(path: Path) -> dict[int, Intrinsics]:
    out, sizes = {}, dict(MODELS)
    for i, line in _lines(path):
        where = f"{shown(path.name)}, line {i}"
        words = line.split()
        try:
            number, model, width, height = int(words[0]), words[1], int(words[2]), int(words[3])
            q = tuple(map(float, words[4:]))
        except (ValueError, IndexError):
            raise DataError(f"{where}: not a camera (number, model, width, height, parameters)") from None
        if len(q) != sizes.get(model, len(q)):
            raise DataError(f"{where}: {model} has {sizes[model]} parameters, here are {len(q)}")
        out[number] = _intrinsics(where, model, width, height, q)
    return out


# ---- images ---------------------------------------------------------------------------------------------------------


def _posed(where: str, q: Floats, t: Floats, camera: int, name: str) -> Posed:
    matrix = np.eye(4)
    if not (np.abs(q) < FARTHEST).all() or not np.abs(q).max() > 1 / FARTHEST:  # NaN fails as well
        raise DataError(f"{where}: its quaternion is no rotation")
    if not (np.abs(t) < FARTHEST).all():
        raise DataError(f"{where}: its place is nowhere")
    matrix[:3, :3] = rotation(q)
    matrix[:3, 3] = t
    return Posed(matrix, camera, name)


def _images_bin(path: Path) -> tuple[Posed, ...]:
    data = _Bytes(path)
    out = []
    for _ in range(data.count(73)):
        head = data.take("<i7di")
        name = data.text()
        seen = data.array(np.dtype([("at", "<f8", 2), ("point", "<i8")]), data.take("<Q")[0])
        q, t = np.array(head[1:5]), np.array(head[5:8])
        posed = _posed(f"{data.name}, {shown(name)}", q, t, head[8], name)
        out.append(Posed(posed.world_to_camera, posed.camera, name, seen["at"], seen["point"]))
    return tuple(out)


def _images_txt(path: Path) -> tuple[Posed, ...]:
    out, head = [], None
    for i, line in _lines(path, keep_empty=True):
        where = f"{shown(path.name)}, line {i}"
        if head is None:
            if not line:
                continue
            words = line.split(maxsplit=9)
            try:
                numbers = np.array(words[1:8], np.float64)
                head = _posed(where, numbers[:4], numbers[4:7], int(words[8]), words[9])
            except (ValueError, IndexError):
                raise DataError(f"{where}: not an image (number, quaternion, place, camera, name)") from None
            continue
        try:
            seen = np.array(line.split(), np.float64).reshape(-1, 3)
        except ValueError:
            raise DataError(f"{where}: not a list of x, y and a point's number") from None
        out.append(Posed(head.world_to_camera, head.camera, head.name, seen[:, :2], seen[:, 2].astype(np.int64)))
        head = None
    if head is not None:  # the last image's second line may be missing where it is empty
        out.append(head)
    return tuple(out)


# ---- points ---------------------------------------------------------------------------------------------------------

Cloud = tuple[Floats, NDArray[np.int64], NDArray[np.uint8]]


def _points_bin(path: Path) -> Cloud:
    if not path.is_file():
        return _cloud([])
    data = _Bytes(path)
    rows = []
    for _ in range(data.count(51)):
        number, x, y, z, r, g, b, _error, track = data.take("<Q3d3BdQ")
        data.skip(8 * track)
        rows.append((number, x, y, z, r, g, b))
    return _cloud(rows)


def _points_txt(path: Path) -> Cloud:
    if not path.is_file():
        return _cloud([])
    rows = []
    for i, line in _lines(path):
        try:
            number, x, y, z, r, g, b = line.split(maxsplit=7)[:7]
            rows.append((int(number), float(x), float(y), float(z), int(r), int(g), int(b)))
        except ValueError:
            raise DataError(f"{shown(path.name)}, line {i}: not a point (number, x, y, z, r, g, b)") from None
    return _cloud(rows)


def _cloud(rows: Sequence[tuple[Any, ...]]) -> Cloud:
    """Those of the rows (number, x, y, z, r, g, b) that are somewhere."""
    places = np.array([row[1:4] for row in rows], np.float64).reshape(-1, 3)
    good = np.isfinite(places).all(1) & (np.abs(places) < FARTHEST).all(1)
    numbers = np.array([row[0] & (2**63 - 1) for row in rows], np.int64)
    colours = np.array([row[4:] for row in rows], np.int64).reshape(-1, 3).clip(0, 255).astype(np.uint8)
    return places[good], numbers[good], colours[good]


# ---- bytes and lines ------------------------------------------------------------------------------------------------


class _Bytes:
    """A binary file, taken from its beginning; DataError where it ends too early."""

    def __init__(self, path: Path) -> None:
        self.name = shown(path.name)
        try:
            if path.stat().st_size > MOST_BYTES:
                raise DataError(f"{self.name}: larger than 8 GB, which is not read")
            self._data = path.read_bytes()
        except OSError as e:
            raise DataError(f"{self.name}: cannot be read ({e.strerror})") from None
        self._at = 0

    def _room(self, size: int) -> int:
        at, self._at = self._at, self._at + size
        if size < 0 or self._at > len(self._data):
            raise DataError(f"{self.name}: ends in the middle; the file is cut off or not COLMAP's")
        return at

    def count(self, least: int) -> int:
        """A count of entries of ``least`` bytes each, which must have room in what is left."""
        (count,) = self.take("<Q")
        if count * least > len(self._data) - self._at:
            raise DataError(f"{self.name}: says {count:,} entries, for which it is too short")
        return int(count)

    def take(self, form: str) -> tuple[Any, ...]:
        return struct.unpack_from(form, self._data, self._room(struct.calcsize(form)))

    def array(self, kind: np.dtype, count: int) -> np.ndarray:
        return np.frombuffer(self._data, kind, count, self._room(int(count) * kind.itemsize))

    def skip(self, size: int) -> None:
        self._room(size)

    def text(self) -> str:
        end = self._data.find(b"\0", self._at, self._at + MOST_NAME)
        if end < 0:
            raise DataError(f"{self.name}: a name without an end; the file is cut off or not COLMAP's")
        out = self._data[self._at : end].decode("utf-8", "replace")
        self._at = end + 1
        return out


def _lines(path: Path, keep_empty: bool = False) -> list[tuple[int, str]]:
    """The lines of a text file with their numbers, from 1 on, without comments."""
    try:
        if path.stat().st_size > MOST_BYTES:
            raise DataError(f"{shown(path.name)}: larger than 8 GB, which is not read")
        text = path.read_text("utf-8", "replace")
    except OSError as e:
        raise DataError(f"{shown(path.name)}: cannot be read ({e.strerror})") from None
    lines = ((i, line.strip()) for i, line in enumerate(text.split("\n"), 1))
    return [(i, line) for i, line in lines if not line.startswith("#") and (line or keep_empty)]
