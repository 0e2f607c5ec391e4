"""Pictures to paint: some that come with scikit-image, one of plain shapes, or a file. Knows no Gaussian."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from engine.data.picture import photo_size, read_photo
from engine.data.source import DataError
from engine.params import BadValue

Floats = NDArray[np.float32]

SHAPES = "shapes"
COMING_ALONG = {"astronaut": (96, 0, 256, 256), "cat": (80, 20, 280, 280), "coffee": (60, 20, 480, 360)}
"""Left, top, width and height of what is shown of each."""
NAMES = {"cat": "chelsea"}
MOTIFS = (*COMING_ALONG, SHAPES)
SHARPER = 4
"""The shapes are drawn so many times larger than they are kept."""


def motif(name: str, file: str, size: int) -> Floats:
    """The picture (H, W, 3) in 0..1 whose longer side has ``size`` pixels; BadValue where the ``file`` cannot be
    read."""
    if file:
        try:
            wide, tall = photo_size(Path(file))
            share = size / max(wide, tall)
            pixels = read_photo(Path(file), (max(1, round(wide * share)), max(1, round(tall * share))))
        except DataError as e:
            raise BadValue(f"file: {e}") from None
        colours: Floats = pixels[..., :3].astype(np.float32) / np.float32(255)
        if pixels.shape[2] == 4:
            alpha = pixels[..., 3:].astype(np.float32) / np.float32(255)
            colours = colours * alpha + (1 - alpha)
        return np.ascontiguousarray(colours)
    picture = Image.fromarray(_shapes() if name == SHAPES else _coming_along(name))
    share = size / max(picture.size)
    small = picture.resize((round(picture.width * share), round(picture.height * share)), Image.Resampling.LANCZOS)
    return np.asarray(small, np.float32) / np.float32(255)


def _coming_along(name: str) -> NDArray[np.uint8]:
    from skimage import data  # a quarter of a second, for this alone

    whole = getattr(data, NAMES.get(name, name))()
    left, top, wide, tall = COMING_ALONG[name]
    return np.ascontiguousarray(whole[top : top + tall, left : left + wide])


def _shapes(side: int = 256) -> NDArray[np.uint8]:
    """A ball, a bar, a ring and a square on a sky that changes from above to below."""
    y, x = (np.mgrid[: side * SHARPER, : side * SHARPER] + 0.5) / (side * SHARPER)
    out = np.stack([0.55 + 0.4 * y, 0.75 + 0.15 * y, 0.95 - 0.1 * y], -1)
    r = np.hypot(x - 0.32, y - 0.36)
    out = np.where((r < 0.2)[..., None], np.array([0.95, 0.45, 0.2]) * (1.1 - 1.6 * r[..., None]), out)
    out[np.abs(0.8 * (x - 0.62) + 0.6 * (y - 0.62)) < 0.025] = (0.15, 0.3, 0.6)
    ring = np.hypot(x - 0.74, y - 0.28)
    out[(ring > 0.08) & (ring < 0.13)] = (0.2, 0.6, 0.35)
    out[(np.abs(x - 0.26) < 0.12) & (np.abs(y - 0.76) < 0.1)] = (0.65, 0.3, 0.65)
    small = out.reshape(side, SHARPER, side, SHARPER, 3).mean((1, 3))
    return np.rint(small.clip(0, 1) * 255).astype(np.uint8)
