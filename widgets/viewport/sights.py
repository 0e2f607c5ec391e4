"""Cameras of pictures that the engine renders for a view: as texts with a size, and where what they see lies.

Knows no widget and no OpenGL.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from engine.probes import camera_of as checked
from engine.probes import size_of
from engine.scene import Field
from widgets.viewport.camera import Array, Camera, frame_of, from_text, moved, to_text

NARROW = 2.0
"""Degrees of view of the perspective camera, far away, that an orthographic one asks for."""
SAMPLED = 48
"""Pixels of a picture across and down that its box is made of."""


def camera_of(text: str) -> Camera:
    """The camera of a control's text, with or without a size at its end; ValueError where it is none."""
    parts = text.split("/")
    return from_text("/".join(parts[:4] if size_of(text) else parts))


def text_of(camera: Camera, width: int, height: int) -> str:
    """What a :class:`engine.probes.Camera` is set to, so that the engine sees what the view does, to seven digits.

    An orthographic camera becomes one that sees nearly the same from far away, since there is no text for it.
    """
    if camera.ortho:
        back = frame_of(camera)[2]
        away = camera.half_height / math.tan(math.radians(NARROW) / 2)
        camera = replace(moved(camera, back * (away - camera.distance)), target=camera.target, fov=NARROW, ortho=False)
    places = (",".join(f"{v:.7g}" for v in place) for place in (camera.eye, camera.target, camera.up))
    text = "/".join([*places, f"{camera.fov:.7g}", f"{max(width, 1)}x{max(height, 1)}"])
    checked(text)
    return text


def stand_of(text: str) -> str:
    """A camera's text without the size at its end, always written in the same way."""
    return to_text(camera_of(text))


def places_of(field: Field) -> Array:
    """Some of the places (N, 3) that a picture sees, relative to the thing's origin and before its transform."""
    alpha, depth = np.asarray(field.alpha), np.asarray(field.depth)
    height, width = alpha.shape
    rows, columns = (np.unique(np.linspace(0, n - 1, min(n, SAMPLED)).astype(np.int64)) for n in (height, width))
    y, x = (grid.ravel() for grid in np.meshgrid(rows, columns, indexing="ij"))
    seen = (alpha[y, x] > 0.5) & (depth[y, x] > 0)
    camera, y, x = camera_of(field.camera), y[seen], x[seen]
    tall = math.tan(math.radians(camera.fov) / 2)
    across = ((x + 0.5) * 2 / width - 1) * tall * width / height
    rise = (1 - (y + 0.5) * 2 / height) * tall
    ways = np.stack([across, rise, np.full(len(x), -1.0)], axis=1) * depth[y, x, None].astype(np.float64)
    return np.asarray(np.asarray(camera.eye) + ways @ frame_of(camera))
