"""What stands around a radiance field in a scene: cameras, photographs, sparse points, the box, a ray and its samples.

Plain arrays in, things of a scene out. Knows no network and computes no ray.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from engine.data.captures.camera import Floats
from engine.data.captures.capture import View
from engine.data.captures.source import CaptureSource, Photo, thumbnails
from engine.scene import Frustums, Handles, Lines, Points, Sheet, Thing

SPLIT_COLOURS = {"train": "blue", "held_out": "orange"}
FRUSTUM = 0.12
"""How deep the pyramid of a camera is, as a share of how far the cameras stand from their middle."""
LARGER = 3.0
"""How many times as large the one is that a ray goes out from."""
EDGES = np.array([[0, 1], [1, 3], [3, 2], [2, 0], [4, 5], [5, 7], [7, 6], [6, 4], [0, 4], [1, 5], [2, 6], [3, 7]])
RAY_COLOUR = "#c8ccd4"


def frustum_depth(views: Sequence[View]) -> float:
    """How deep the pyramids of these cameras are drawn, in world units."""
    centres = np.array([view.centre for view in views])
    spread = float(np.linalg.norm(centres - centres.mean(0), axis=1).mean())
    return FRUSTUM * spread if spread > 1e-6 else FRUSTUM


def corners(view: View, depth: float) -> Floats:
    """The picture's corners (4, 3) in the world at ``depth`` before the camera: upper left, upper right, lower right,
    lower left. The lens is left out: it may show no corner at all."""
    c = view.camera
    x = np.array([0.0, c.width, c.width, 0.0])
    y = np.array([0.0, 0.0, c.height, c.height])
    own = np.stack([(x - c.cx) / c.fx, -(y - c.cy) / c.fy, np.full(4, -1.0)], 1) * depth
    return np.asarray(own @ view.pose[:3, :3].T + view.pose[:3, 3])


def camera_text(view: View, ahead: float) -> str:
    """The text of a camera control that stands where ``view`` was taken, its target ``ahead`` of it."""
    eye, axis, up = view.centre, -view.pose[:3, 2], view.pose[:3, 1]
    parts = [",".join(f"{v:.5g}" for v in place) for place in (eye, eye + ahead * axis, up)]
    fov = math.degrees(2 * math.atan(view.camera.height / 2 / view.camera.fy))
    return "/".join([*parts, f"{min(max(fov, 1.0), 170.0):.5g}"])


def frustums(photos: Sequence[Photo], name: str, depth: float, ahead: float, visible: bool = True) -> Frustums:
    """The cameras of photographs of one split as pyramids with thumbnails on their bases."""
    views = [photo.view for photo in photos]
    pictures = thumbnails(tuple(photos))
    shown = np.array([_without_frame(picture, view) for picture, view in zip(pictures.images, views, strict=True)])
    return Frustums(
        name=name,
        eyes=np.array([view.centre for view in views], np.float32),
        corners=np.array([corners(view, depth) for view in views], np.float32),
        cameras=tuple(camera_text(view, ahead) for view in views),
        images=shown,
        texts=tuple(view.name for view in views),
        colour=SPLIT_COLOURS[views[0].split],
        visible=visible,
    )


def _without_frame(picture: NDArray[np.uint8], view: View) -> NDArray[np.uint8]:
    """A thumbnail stretched over its whole square: the corners in space give it the photograph's shape again."""
    side, camera = len(picture), view.camera
    share = min(1.0, side / max(camera.width, camera.height))  # small photographs were not made larger
    w, h = max(1, int(camera.width * share)), max(1, int(camera.height * share))
    top, left = (side - h) // 2, (side - w) // 2
    rows = top + np.arange(side) * h // side
    columns = left + np.arange(side) * w // side
    return picture[rows][:, columns]


def sparse_points(source: CaptureSource) -> tuple[Points, ...]:
    """The sparse points that came with a capture, in their colours; none where there are none."""
    capture = source.capture
    if capture.points is None or not len(capture.points):
        return ()
    return (Points(name="sparse points", xyz=capture.points.astype(np.float32), rgb=capture.colours, size=2.0),)


def box_lines(bounds: NDArray[np.floating]) -> Lines:
    """The edges of the box ``bounds`` (2, 3)."""
    places = np.array([[bounds[i >> 2, 0], bounds[i >> 1 & 1, 1], bounds[i & 1, 2]] for i in range(8)], np.float32)
    return Lines(name="bounds", ends=places[EDGES], colour="#7d8696", width=1.0, locked=True)


def photo_sheet(photo: Photo, depth: float) -> Sheet:
    """A photograph on the base of its camera's pyramid."""
    at = corners(photo.view, depth).astype(np.float32)
    return Sheet(name="photograph", corner=at[3], u=at[2] - at[3], v=at[0] - at[3], image=photo.pixels)


def pixel_handle(photo: Photo, depth: float, pixel: tuple[float, float], control: str) -> Handles:
    """A handle on the photograph's sheet; its own coordinates are (u, v, 0), shares of the picture from its upper left
    corner, whatever the camera."""
    at = corners(photo.view, depth)
    frame = np.eye(4)
    frame[:3, 0], frame[:3, 1] = at[1] - at[0], at[3] - at[0]
    normal = np.cross(frame[:3, 0], frame[:3, 1])
    frame[:3, 2] = normal / max(float(np.linalg.norm(normal)), 1e-12)
    frame[:3, 3] = at[0]
    place = np.array([[*pixel, 0.0]], np.float32)
    return Handles(name="pixel", at=place, control=control, transform=frame, texts=("pixel",))


def ray_things(
    origin: NDArray[np.float32], direction: NDArray[np.float32], t: NDArray[np.float32], weight: NDArray[np.float32]
) -> tuple[Thing, ...]:
    """A ray from its camera to its last sample, and its samples coloured by their weight."""
    end = float(t[-1]) if len(t) else 1.0
    ends = np.stack([origin, origin + end * direction])[None].astype(np.float32)
    line = Lines(name="ray", ends=ends, colour=RAY_COLOUR, width=1.5, locked=True)
    places = (origin + t[:, None] * direction).astype(np.float32)
    shown = Points(
        name="samples", xyz=places, scalars={"weight": weight}, colour_by="scalar:weight", size=7.0, locked=True
    )
    return (line, shown) if len(t) else (line,)
