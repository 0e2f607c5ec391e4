"""From arrays of pictures to what Qt draws, and where each picture goes. Knows no widget and no payload."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QRect
from PySide6.QtGui import QImage

PIXEL_ART = 96
"""Pictures up to this many pixels a side are enlarged by whole factors, each pixel kept square and sharp."""
BETWEEN = 1.3
"""From this factor to 2 they are enlarged by what fits, softly: by a whole factor they would leave half the room."""


def to_uint8(images: NDArray[Any]) -> NDArray[np.uint8]:
    """``images`` in 0..1 (or already uint8) as rounded uint8 of the same shape; NaN becomes 0."""
    if images.dtype == np.uint8:
        return images
    scaled = np.multiply(images, np.float32(255), dtype=np.float32)
    scaled += np.float32(0.5)
    # fmax and fmin, unlike clip, drop NaN: a diverging model's picture is black, not a warning
    np.fmax(scaled, np.float32(0), out=scaled)
    np.fmin(scaled, np.float32(255), out=scaled)
    return scaled.astype(np.uint8)


def check_images(images: Any) -> NDArray[Any]:
    """``images`` if it is (N, H, W, 1 or 3), else :class:`ValueError` in words for the screen."""
    array = np.asarray(images)
    if array.ndim != 4 or array.shape[3] not in (1, 3) or 0 in array.shape[1:]:
        raise ValueError(f"Pictures must be N × height × width × 1 or 3 numbers; these are {array.shape}.")
    return array


@dataclass(frozen=True)
class Atlas:
    """``count`` pictures of one size on one sheet of ``columns``; ``pixels`` owns the memory that ``image`` shows.

    The image must not outlive the atlas: whoever hands it on (a clipboard) hands on a copy.
    """

    pixels: NDArray[np.uint32]
    image: QImage
    count: int
    width: int
    height: int
    columns: int

    def source(self, index: int) -> QRect:
        """Where picture ``index`` lies on the sheet."""
        row, column = divmod(index, self.columns)
        return QRect(column * self.width, row * self.height, self.width, self.height)

    @property
    def nbytes(self) -> int:
        return int(self.pixels.nbytes)


def make_atlas(images: NDArray[Any]) -> Atlas:
    """The sheet of ``images`` (N, H, W, C): float in 0..1 or uint8, C 1 or 3, N at least 1."""
    images = check_images(images)
    n, h, w, channels = images.shape
    columns = max(1, math.isqrt(n - 1) + 1)  # as square as can be: Qt paints from images up to 32,767 px a side
    rows = -(-n // columns)
    pixels = np.full((rows, h, columns, w), 0xFF000000, np.uint32)
    view = pixels.view(np.uint8).reshape(rows, h, columns, w, 4)  # RGB32 in memory: blue, green, red, 255
    source = to_uint8(images)
    whole, rest = divmod(n, columns)
    for channel in range(3):
        one = source[..., 2 - channel if channels == 3 else 0]
        view[:whole, ..., channel] = one[: whole * columns].reshape(whole, columns, h, w).transpose(0, 2, 1, 3)
        if rest:
            view[whole, :, :rest, :, channel] = one[whole * columns :].transpose(1, 0, 2)
    sheet = pixels.reshape(rows * h, columns * w)
    image = QImage(sheet.data, columns * w, rows * h, columns * w * 4, QImage.Format.Format_RGB32)
    return Atlas(sheet, image, n, w, h, columns)


def from_qimage(image: QImage) -> NDArray[np.float32]:
    """A QImage as float32 (1, H, W, 3) in 0..1, as :class:`engine.payloads.ImageGrid` holds it."""
    image = image.convertToFormat(QImage.Format.Format_RGB32)
    h, w = image.height(), image.width()
    raw = np.frombuffer(image.constBits(), np.uint8).reshape(h, image.bytesPerLine() // 4, 4)[:, :w, 2::-1]
    return (raw.astype(np.float32) / np.float32(255))[None]


@dataclass(frozen=True)
class Layout:
    """Where ``count`` tiles go: each ``tile_w`` x ``tile_h`` at (``x``, ``y``) plus whole pitches, in pixels.

    ``panels`` are equal grids of ``columns``, the tiles panel-major: how far each lies from (``x``, ``y``).
    """

    count: int
    columns: int
    tile_w: int
    tile_h: int
    x: int
    y: int
    pitch_x: int
    pitch_y: int
    panels: tuple[tuple[int, int], ...] = ((0, 0),)

    @property
    def per(self) -> int:
        """Tiles in each panel."""
        return self.count // len(self.panels)

    @property
    def rows(self) -> int:
        return -(-self.per // self.columns)

    def rect(self, index: int) -> QRect:
        panel, within = divmod(index, self.per)
        row, column = divmod(within, self.columns)
        dx, dy = self.panels[panel]
        x, y = self.x + dx + column * self.pitch_x, self.y + dy + row * self.pitch_y
        return QRect(x, y, self.tile_w, self.tile_h)

    def panel_rect(self, panel: int) -> QRect:
        """All of one panel's tiles."""
        first = self.rect(panel * self.per)
        width = (self.columns - 1) * self.pitch_x + self.tile_w
        return QRect(first.x(), first.y(), width, (self.rows - 1) * self.pitch_y + self.tile_h)

    def at(self, x: float, y: float) -> int | None:
        """The tile under a point; None between tiles and beside them."""
        for panel, (dx, dy) in enumerate(self.panels):
            column, in_x = divmod(x - self.x - dx, self.pitch_x)
            row, in_y = divmod(y - self.y - dy, self.pitch_y)
            within = int(row) * self.columns + int(column)
            inside = 0 <= column < self.columns and row >= 0 and in_x < self.tile_w and in_y < self.tile_h
            if inside and within < self.per:
                return panel * self.per + within
        return None


def lay_out(count: int, height: int, width: int, columns: int, area: QRect, gap: int, caption: int = 0) -> Layout:
    """The largest tiles of ``height`` x ``width`` source pixels that fit ``area``, centred.

    ``columns`` 0 takes the number that fills the space best; ``caption`` pixels are kept free under each tile.
    Small pictures grow by whole factors, but from :data:`BETWEEN` to 2 by what fits; a tile is at least one pixel, even
    where that does not fit.
    """
    tries = np.array([columns]) if columns > 0 else np.arange(1, count + 1)
    rows = -(-count // tries)
    room_x = (area.width() - (tries - 1) * gap) / (tries * width)
    room_y = (area.height() - (rows - 1) * gap - rows * caption) / (rows * height)
    scale = np.minimum(room_x, room_y)
    if max(height, width) <= PIXEL_ART:
        scale = np.where((scale >= 1) & ((scale >= 2) | (scale < BETWEEN)), np.floor(scale), scale)
    # the largest tiles; among equals the fewest empty places, then the shape nearest to the area's
    empty = tries * rows - count
    shape = np.abs(np.log((tries * width) / (rows * height) * max(area.height(), 1) / max(area.width(), 1)))
    best = int(np.lexsort((shape, empty, -scale))[0])
    k, r, s = int(tries[best]), int(rows[best]), float(scale[best])
    tile_w, tile_h = max(1, int(width * s + 1e-6)), max(1, int(height * s + 1e-6))
    total_w, total_h = k * tile_w + (k - 1) * gap, r * (tile_h + caption) + (r - 1) * gap
    x = area.x() + max(0, (area.width() - total_w) // 2)
    y = area.y() + max(0, (area.height() - total_h) // 2)
    return Layout(count, k, tile_w, tile_h, x, y, tile_w + gap, tile_h + caption + gap)


def lay_out_panels(
    count: int, height: int, width: int, columns: int, area: QRect, gap: int, shape: tuple[int, int], head: int = 0
) -> Layout:
    """``count`` tiles in ``shape`` (groups, panels of each) equal grids; ``head`` pixels are free above each grid.

    Groups lie above one another with their panels beside one another, or the other way about: whichever gives the
    larger tiles, and among equals what follows the shape of ``area``.
    """
    groups, each = shape
    apart = 4 * gap
    wide = area.width() >= area.height()
    best: tuple[Layout, int, int, bool] | None = None
    for down, across, upright in sorted(
        ((groups, each, True), (each, groups, False)), key=lambda s: -s[1 if wide else 0]
    ):
        room_w = (area.width() - (across - 1) * apart) // across
        room_h = (area.height() - (down - 1) * apart) // down - head
        grid = lay_out(count // (groups * each), height, width, columns, QRect(0, 0, room_w, room_h), gap)
        if best is None or grid.tile_w > best[0].tile_w:
            best = (grid, down, across, upright)
    assert best is not None
    grid, down, across, upright = best
    step_x = grid.columns * grid.pitch_x - gap + apart
    step_y = grid.rows * grid.pitch_y - gap + apart + head
    x = area.x() + max(0, (area.width() - across * step_x + apart) // 2)
    y = area.y() + max(0, (area.height() - down * step_y + apart) // 2) + head
    places = [(g, p) if upright else (p, g) for g in range(groups) for p in range(each)]
    panels = tuple((column * step_x, row * step_y) for row, column in places)
    return Layout(count, grid.columns, grid.tile_w, grid.tile_h, x, y, grid.pitch_x, grid.pitch_y, panels)
