"""What all captures ask of a disk: images by the names that a list of cameras gives, points, depth. Trusts no name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.data.captures.camera import Floats
from engine.data.picture import read_photo
from engine.data.source import DataError, shown
from engine.formats.scene import SceneFileError, read_all
from engine.scene import Points

PLACES = ("", "images", "..", "../images")
"""Where an image is looked for by its bare name, seen from the list, where the list's own path leads nowhere: captures
are often moved, and lists often hold the paths of the machine that made them."""


def found(folder: Path, name: str, endings: tuple[str, ...] = ("",)) -> Path | None:
    """The file that a list in ``folder`` calls ``name``; None where there is none in that folder or the one around it,
    beyond which no name is followed."""
    text = name.replace("\\", "/").strip()
    if not text or "\0" in text or len(text) > 1000:
        return None
    try:
        around = folder.resolve().parent
        bare = Path(text).name
        for candidate in (folder / text, *(folder / place / bare for place in PLACES)):
            for ending in endings:
                path = (candidate.parent / (candidate.name + ending)).resolve()
                if path.is_file() and path.is_relative_to(around):
                    return path
    except (OSError, RuntimeError, ValueError):
        return None
    return None


def sparse_points(path: Path) -> tuple[Floats | None, NDArray[np.uint8] | None, tuple[str, ...]]:
    """Places (M, 3) and colours (M, 3) of a file of points; None with a notice where it cannot be read, since a capture
    can do without."""
    try:
        clouds = [thing for thing in read_all(path) if isinstance(thing, Points)]
    except SceneFileError as e:
        return None, None, (str(e),)
    if not clouds or not len(clouds[0].xyz):
        return None, None, (f"{shown(path.name)}: holds no points",)
    cloud = clouds[0]
    xyz = np.asarray(cloud.xyz, np.float64) + cloud.origin
    return xyz, None if cloud.rgb is None else np.asarray(cloud.rgb), ()


def read_mask(path: Path, size: tuple[int, int]) -> NDArray[np.uint8]:
    """A mask, uint8 (H, W), brought to ``size`` (width, height): what is 0 does not count. DataError."""
    pixels = read_photo(path, size)
    return pixels[..., 0] if pixels.shape[-1] == 3 else pixels[..., 3] // 255 * pixels[..., 0]


def read_depth(path: Path, unit: float, size: tuple[int, int]) -> NDArray[np.float32]:
    """Depth along the optical axis, float32 (H, W) in the world's unit, NaN where the file has 0; brought to ``size``
    (width, height) without mixing near with far. DataError."""
    from PIL import Image

    try:
        with Image.open(path, formats=("PNG", "TIFF")) as image:
            if image.width * image.height > 64_000_000:
                raise DataError(f"{shown(path.name)}: a depth picture of more than 64 megapixels is not read")
            steps = np.asarray(image.resize(size, Image.Resampling.NEAREST), np.float32)
    except DataError:
        raise
    except Exception as e:  # noqa: BLE001  # a decoder that meets damaged bytes may raise anything whatever
        raise DataError(f"{shown(path.name)}: no depth picture that can be read ({type(e).__name__})") from None
    if steps.ndim != 2:
        raise DataError(f"{shown(path.name)}: a depth picture has one channel, this has {steps.shape[-1]}")
    return np.where(steps > 0, steps * np.float32(unit), np.float32(np.nan))
