"""Pictures of any size: the camera's picture cut into tiles that the graphics card can draw. Knows no widget."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from widgets.viewport.drawing.gpu import Gpu
from widgets.viewport.drawing.painter import Painter
from widgets.viewport.drawing.shot import Shot
from widgets.viewport.drawing.stage import Stage

TILE = 4096
MARGIN = 64
"""Pixels that a tile draws beyond its edge, for points and words whose middle lies in the next one."""


def render_tiles(gpu: Gpu, painter: Painter, shot: Shot, tile: int = TILE) -> NDArray[np.uint8]:
    """uint8 (H, W, 4), straight alpha, of the whole ``shot``."""
    tile = min(tile, gpu.largest)
    picture = np.empty((shot.height, shot.width, 4), np.uint8)
    if max(shot.width, shot.height) <= tile:
        return straight(_tile(gpu, painter, shot, (0.0, 1.0)))
    inner = tile - 2 * MARGIN
    for top in range(0, shot.height, inner):
        rows = min(inner, shot.height - top)
        for left in range(0, shot.width, inner):
            columns = min(inner, shot.width - left)
            width, height = columns + 2 * MARGIN, rows + 2 * MARGIN
            crop = cropping(shot, left - MARGIN, top - MARGIN, width, height)
            full = shot.width, shot.height
            part = replace(shot, projection=crop @ shot.projection, width=width, height=height, whole=full)
            low = 1.0 - (top + rows + MARGIN) / shot.height
            piece = _tile(gpu, painter, part, (low, height / shot.height))
            picture[top : top + rows, left : left + columns] = piece[MARGIN : MARGIN + rows, MARGIN : MARGIN + columns]
    return straight(picture)


def cropping(shot: Shot, left: int, top: int, width: int, height: int) -> NDArray[np.float64]:
    """(4, 4): what takes the clip coordinates of the whole picture to those of one rectangle of its pixels."""
    crop = np.eye(4)
    crop[0, 0], crop[1, 1] = shot.width / width, shot.height / height
    crop[0, 3] = (shot.width - 2 * left - width) / width
    crop[1, 3] = -(shot.height - 2 * top - height) / height
    return crop


def _tile(gpu: Gpu, painter: Painter, shot: Shot, part: tuple[float, float]) -> NDArray[np.uint8]:
    stage = Stage(gpu, shot.width, shot.height, shot.width, shot.height)
    try:
        painter.order_now(shot)
        painter.begin(stage, shot, 1 << 40, False, part)
        while painter.rest > 0 and painter.advance(stage, shot, 1 << 40):
            pass
        painter.finish(stage, shot)
        pixels = np.empty((shot.height, shot.width, 4), np.uint8)
        stage.read(pixels, blue_first=False)
    finally:
        stage.free()
    return pixels


def straight(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Colours divided by their alpha, in place where there is anything to divide."""
    alpha = picture[..., 3]
    thin = (alpha > 0) & (alpha < 255)
    if thin.any():
        colours = picture[thin].astype(np.uint16)
        picture[thin, :3] = np.minimum(colours[:, :3] * 255 // colours[:, 3:], 255).astype(np.uint8)
    return picture
