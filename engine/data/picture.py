"""One image file of the user's as pixels of a wanted shape. Trusts nothing in the file; knows no data set.

The pixel count is read from the header and refused before anything is decoded.
"""

from __future__ import annotations

import errno
import stat
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from engine.data.source import DataError, shown

ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff")
FORMATS = ("PNG", "JPEG", "BMP", "GIF", "WEBP", "TIFF")
MAX_PIXELS = 64_000_000
MAX_BYTES = 512_000_000

Pixels = NDArray[np.uint8]
T = TypeVar("T")


class _Refused(Exception):
    """Why a file cannot be used, without its name."""


def read_image(path: str, shape: tuple[int, int, int], *, name: str = "") -> Pixels:
    """One image file as uint8 (H, W, C), ``shape`` being (H, W, C) with C 1 (grey) or 3 (colour).

    Turned upright by its EXIF tag, its transparency laid on white, its first frame if it moves, the largest centred
    part of the right proportions, scaled. :class:`DataError` calls the file ``name``, or its path, and says what is
    wrong with it.
    """
    return _read(Path(path), lambda image: _fitted(image, shape), name or path)


def read_photo(path: Path, size: tuple[int, int] | None = None, *, name: str = "") -> Pixels:
    """A photograph with its pixels where the file has them, for cameras know nothing of EXIF tags: uint8 (H, W, 3), or
    (H, W, 4) where it is transparent anywhere; averaged down to ``size`` (width, height). DataError as above."""
    return _read(path, lambda image: _as_it_lies(image, size), name or path.name)


def photo_size(path: Path, *, name: str = "") -> tuple[int, int]:
    """Width and height in pixels, from the header alone. DataError as above."""
    return _read(path, lambda image: (image.width, image.height), name or path.name)


def _read(path: Path, use: Callable[[Image.Image], T], name: str) -> T:
    try:
        _check_file(path)
        with warnings.catch_warnings(), open(path, "rb") as file:
            # Pillow warns of odd EXIF data, of palettes and of large pictures: it decodes the first two nevertheless,
            # and the last we refuse ourselves.
            warnings.simplefilter("ignore")
            with Image.open(file, formats=FORMATS) as image:
                return use(image)
    except Exception as error:  # a decoder that meets damaged bytes may raise anything whatever
        raise DataError(f"{shown(name)}: {_reason(error)}") from error


def _check_file(path: Path) -> None:
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        # A pipe or a device would keep the engine waiting for ever.
        raise _Refused("not a file" if not path.is_dir() else "a folder, not an image file")
    if status.st_size == 0:
        raise _Refused("empty file")
    if status.st_size > MAX_BYTES:
        raise _Refused(f"{status.st_size / 1e6:,.0f} MB, more than the {MAX_BYTES / 1e6:,.0f} MB that are read")


def _reason(error: Exception) -> str:
    """What is wrong, in words, as part of one line."""
    if isinstance(error, _Refused):
        return str(error)
    if isinstance(error, UnidentifiedImageError):
        return f"not an image that can be read ({', '.join(FORMATS)}), or its beginning is damaged"
    if isinstance(error, Image.DecompressionBombError):
        return f"more than the {MAX_PIXELS / 1e6:.0f} megapixels that are read; scale it down first"
    if isinstance(error, FileNotFoundError):
        return "no such file"
    if isinstance(error, PermissionError):
        return "no permission to read it"
    if isinstance(error, OSError) and error.errno == errno.ELOOP:
        return "a link that leads back to itself"
    if isinstance(error, MemoryError):
        return "does not fit into memory"
    detail = " ".join(str(error).split()) or type(error).__name__
    return f"truncated or damaged ({detail[:120]})"


def _check_size(image: Image.Image) -> None:
    if image.width * image.height > MAX_PIXELS:
        mega = image.width * image.height / 1e6
        raise _Refused(
            f"{image.width} x {image.height} is {mega:,.0f} megapixels, more than the {MAX_PIXELS / 1e6:.0f} "
            "that are read; scale it down first"
        )


def _as_it_lies(image: Image.Image, size: tuple[int, int] | None) -> Pixels:
    _check_size(image)
    if size is not None and image.format == "JPEG":
        image.draft(None, size)
    image = _eight_bits(image)
    image = image.convert("RGBA" if image.has_transparency_data else "RGB")
    if size is not None and image.size != size:
        image = image.resize(size, Image.Resampling.BOX)
    return np.asarray(image).copy()


def _fitted(image: Image.Image, shape: tuple[int, int, int]) -> Pixels:
    height, width, channels = shape
    _check_size(image)
    if image.format == "JPEG":
        side = 2 * max(height, width)  # both ways, for it may lie on its side
        image.draft(None, (side, side))
    upright = ImageOps.exif_transpose(_eight_bits(image))
    # Channels before scaling: a palette's numbers cannot be averaged, and transparent pixels have no colour to lend.
    clear = upright.has_transparency_data
    upright = upright.convert("RGBA" if clear else "RGB")
    scale = min(upright.width / width, upright.height / height)
    w, h = scale * width, scale * height
    left, top = (upright.width - w) / 2, (upright.height - h) / 2
    box = (max(0.0, left), max(0.0, top), min(upright.width, left + w), min(upright.height, top + h))
    small = upright.resize((width, height), Image.Resampling.LANCZOS, box, reducing_gap=3.0)
    if clear:
        small = Image.alpha_composite(Image.new("RGBA", small.size, "white"), small)
    pixels = np.asarray(small.convert("L" if channels == 1 else "RGB"))
    return pixels.reshape(height, width, channels).copy()


def _eight_bits(image: Image.Image) -> Image.Image:
    """Grey pictures of 16 or 32 bits as 8 bits by their full range (Pillow itself would clip them at 255)."""
    if image.mode not in ("I", "F") and not image.mode.startswith("I;"):
        return image
    values = np.nan_to_num(np.asarray(image, dtype=np.float32), nan=0.0, posinf=0.0, neginf=0.0)
    top = 1.0 if image.mode == "F" else 255.0
    if image.mode.startswith("I;") or values.max() > 255:
        top = max(65535.0, float(values.max()))
    grey = Image.fromarray(np.rint(np.clip(values / top, 0, 1) * 255).astype(np.uint8))
    exif = image.getexif()
    grey.getexif().update(exif)
    return grey
