"""A capture by its folder or file: which program wrote it is found out here. Knows the readers, no file format."""

from __future__ import annotations

import os
from pathlib import Path

from engine.data.captures.capture import Capture
from engine.data.captures.colmap import model_folder, read_colmap
from engine.data.captures.transforms import read_synthetic, read_transforms
from engine.data.source import DataError, shown

KNOWN = "transforms.json, transforms_train.json or a COLMAP model (sparse/0)"


def read_capture(path: str | Path) -> Capture:
    """The capture in a folder, or that a transforms.json in it describes, in the world of its file.
    DataError in one line that names what is wrong with which file."""
    place = Path(os.path.expanduser(path))
    if place.is_file():
        folder = place.parent
        if place.name.startswith("transforms_"):
            return read_synthetic(folder)
        if place.suffix == ".json":
            return read_transforms(place)
        if place.stem in ("cameras", "images", "points3D"):
            return read_colmap(_around(folder))
        raise DataError(f"{shown(place.name)}: no list of cameras; choose a folder with {KNOWN}")
    if not place.is_dir():
        raise DataError(f"{shown(str(place))}: no such folder; choose one with {KNOWN}")
    if (place / "transforms.json").is_file():
        return read_transforms(place / "transforms.json")
    if (place / "transforms_train.json").is_file():
        return read_synthetic(place)
    if model_folder(place) is not None:
        return read_colmap(place)
    raise DataError(f"{shown(place.name)}: holds no {KNOWN}")


def _around(folder: Path) -> Path:
    """The capture's folder around one that holds a sparse model."""
    for part in (folder, *folder.parents[:3]):
        if any((part / name).is_dir() for name in ("images", "input")):
            return part
    return folder
