"""Cameras as pure numbers: matrices, rays, moves, framing, and the camera as text. Knows no widget and no scene.

World coordinates are float64. A camera looks from ``eye`` to ``target``; ``up`` says which way is up on the picture
and ``fov`` is the vertical angle of view in degrees. An orthographic camera shows at the target exactly what the
perspective one of the same numbers shows there. Matrices act on column vectors: clip = projection @ view @ world. Moves
are functions of the camera at the beginning and of the way since then: a hand that comes back finds the same camera.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]
Vector = tuple[float, float, float]
PER_PIXEL = 0.4
"""Degrees that an orbit turns by per pixel of a drag."""
NARROWEST, WIDEST = 1.0, 150.0
"""Limits of ``fov`` in degrees."""
AXES: dict[str, tuple[Vector, Vector]] = {
    "front": ((0, -1, 0), (0, 0, 1)),
    "back": ((0, 1, 0), (0, 0, 1)),
    "right": ((1, 0, 0), (0, 0, 1)),
    "left": ((-1, 0, 0), (0, 0, 1)),
    "top": ((0, 0, 1), (0, 1, 0)),
    "bottom": ((0, 0, -1), (0, -1, 0)),
}
"""Axis views of a world whose z points up: where the camera stands, seen from the target, and its up."""


@dataclass(frozen=True)
class Camera:
    """Where one looks from and to. Immutable; compare two with ``==``."""

    eye: Vector = (3.0, -4.0, 2.5)
    target: Vector = (0.0, 0.0, 0.0)
    up: Vector = (0.0, 0.0, 1.0)
    fov: float = 40.0
    ortho: bool = False

    @property
    def distance(self) -> float:
        """From eye to target, in world units."""
        return math.dist(self.eye, self.target)

    @property
    def half_height(self) -> float:
        """Half of what is seen at the target, bottom to top, in world units."""
        return self.distance * math.tan(math.radians(self.fov) / 2)


def vector(values: ArrayLike) -> Vector:
    """Three floats as a tuple."""
    x, y, z = (float(v) for v in np.asarray(values, np.float64))
    return x, y, z


def unit(v: ArrayLike) -> Array:
    """``v`` (3,) at length 1; zeros stay zeros."""
    a = np.asarray(v, np.float64)
    size = float(np.sqrt(a @ a))
    return a / size if size > 0 else a


def frame_of(camera: Camera) -> Array:
    """Rows right, up, back (3, 3), orthonormal. An ``up`` along the line of sight is replaced by another axis."""
    back = unit(np.subtract(camera.eye, camera.target))
    if not back.any():
        back = np.array([0.0, 0.0, 1.0])
    right = np.cross(camera.up, back)
    if float(right @ right) < 1e-18:
        right = np.cross(np.eye(3)[int(np.argmin(np.abs(back)))], back)
    right = unit(right)
    return np.stack([right, np.cross(back, right), back])


def view_matrix(camera: Camera) -> Array:
    """World to eye (4, 4): x right, y up, looking along -z."""
    out = np.eye(4)
    out[:3, :3] = frame_of(camera)
    out[:3, 3] = -out[:3, :3] @ np.asarray(camera.eye)
    return out


def near_far(camera: Camera, centre: ArrayLike, radius: float) -> tuple[float, float]:
    """Planes that enclose a ball as tightly as depth's precision wants; near > 0 for a perspective camera."""
    away = -float(frame_of(camera)[2] @ np.subtract(centre, camera.eye))
    radius = max(float(radius), 1e-9) * 1.01
    if camera.ortho:
        return away - radius, away + radius
    far = max(away + radius, camera.distance * 1.01)
    return max(away - radius, far * 1e-4), far


def projection_matrix(camera: Camera, aspect: float, near: float, far: float) -> Array:
    """Eye to clip space (4, 4), OpenGL's: depth -1 at ``near``, +1 at ``far``; ``aspect`` is width / height."""
    out = np.zeros((4, 4))
    if camera.ortho:
        half = camera.half_height
        out[0, 0], out[1, 1], out[2, 2] = 1 / (half * aspect), 1 / half, -2 / (far - near)
        out[2, 3], out[3, 3] = -(far + near) / (far - near), 1
        return out
    scale = 1 / math.tan(math.radians(camera.fov) / 2)
    out[0, 0], out[1, 1], out[2, 2] = scale / aspect, scale, -(far + near) / (far - near)
    out[2, 3], out[3, 2] = -2 * far * near / (far - near), -1
    return out


def screen_matrix(camera: Camera, width: float, height: float) -> Array:
    """World to (x w, y w, ahead, w) (4, 4): pixels from the upper left corner and the distance in front of the eye's
    plane, which w is too for a perspective camera and 1 for an orthographic one."""
    view = view_matrix(camera)
    ahead, here = -view[2], np.array([0.0, 0.0, 0.0, 1.0])
    w = here if camera.ortho else ahead
    scale = height / 2 / (camera.half_height if camera.ortho else math.tan(math.radians(camera.fov) / 2))
    return np.stack([scale * view[0] + width / 2 * w, -scale * view[1] + height / 2 * w, ahead, w])


def project(camera: Camera, points: ArrayLike, width: float, height: float) -> Array:
    """Points (N, 3) to (N, 3): pixels x, y from the upper left corner and the distance in front of the eye's plane.

    What lies behind a perspective eye has NaN pixels.
    """
    frame = frame_of(camera)
    local = (np.asarray(points, np.float64).reshape(-1, 3) - camera.eye) @ frame.T
    ahead = -local[:, 2]
    if camera.ortho:
        scale = np.full(len(local), height / 2 / camera.half_height)
    else:
        scale = np.full(len(local), np.nan)
        np.divide(height / 2 / math.tan(math.radians(camera.fov) / 2), ahead, out=scale, where=ahead > 1e-300)
    return np.stack([width / 2 + local[:, 0] * scale, height / 2 - local[:, 1] * scale, ahead], 1)


def ray(camera: Camera, x: float, y: float, width: float, height: float) -> tuple[Array, Array]:
    """Origin and unit direction (3,) of what is seen at pixel (x, y), y from the top."""
    right, up, back = frame_of(camera)
    half = camera.half_height
    aside = right * ((2 * x - width) / height * half) + up * ((1 - 2 * y / height) * half)
    if camera.ortho:
        return np.asarray(camera.eye) + aside, -back
    return np.asarray(camera.eye, np.float64), unit(aside - back * camera.distance)


def on_target_plane(
    camera: Camera, x: float, y: float, width: float, height: float, through: ArrayLike | None = None
) -> Array:
    """The place (3,) under a pixel in the plane parallel to the picture through ``through``, the target if None."""
    origin, direction = ray(camera, x, y, width, height)
    back = frame_of(camera)[2]
    place = np.asarray(camera.target if through is None else through, np.float64)
    return origin + direction * float(((place - origin) @ back) / (direction @ back))


def rotation(axis: ArrayLike, degrees: float) -> Array:
    """Right-handed turn about ``axis`` (3,) as a (3, 3) matrix (Rodrigues)."""
    x, y, z = unit(axis)
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    angle = math.radians(degrees)
    return np.asarray(np.eye(3) + math.sin(angle) * cross + (1 - math.cos(angle)) * (cross @ cross))


# ---- moves


def _turned(camera: Camera, turn: Array, about: Vector) -> Camera:
    """All of the camera turned about a place."""
    eye = np.asarray(about) + turn @ np.subtract(camera.eye, about)
    target = np.asarray(about) + turn @ np.subtract(camera.target, about)
    return replace(camera, eye=vector(eye), target=vector(target), up=vector(turn @ frame_of(camera)[1]))


def orbit(start: Camera, dx: float, dy: float, world_up: Vector = (0, 0, 1)) -> Camera:
    """Turned about the target by a drag of (dx, dy) pixels: about ``world_up``, and up to straight above or below."""
    if dx == 0 and dy == 0:
        return start
    right, _, back = frame_of(start)
    height = math.degrees(math.asin(min(max(float(back @ unit(world_up)), -1.0), 1.0)))
    rise = min(max(height + dy * PER_PIXEL, -90.0), 90.0) - height
    turn = rotation(world_up, -dx * PER_PIXEL) @ rotation(right, -rise)
    return _turned(start, turn, start.target)


def trackball(start: Camera, dx: float, dy: float) -> Camera:
    """Turned about the target as if a ball were rolled: no direction is up."""
    if dx == 0 and dy == 0:
        return start
    right, up, _ = frame_of(start)
    return _turned(start, rotation(right * dy + up * dx, -math.hypot(dx, dy) * PER_PIXEL), start.target)


def look(start: Camera, dx: float, dy: float, world_up: Vector = (0, 0, 1)) -> Camera:
    """The head is turned: the eye stays, the target goes round it."""
    if dx == 0 and dy == 0:
        return start
    right, _, back = frame_of(start)
    height = math.degrees(math.asin(min(max(float(-back @ unit(world_up)), -1.0), 1.0)))
    rise = min(max(height - dy * PER_PIXEL / 2, -89.9), 89.9) - height
    return _turned(start, rotation(world_up, -dx * PER_PIXEL / 2) @ rotation(right, rise), start.eye)


def pan(start: Camera, dx: float, dy: float, height: float) -> Camera:
    """Moved along the picture so that what lies at the target follows a drag of (dx, dy) pixels."""
    right, up, _ = frame_of(start)
    return moved(start, (right * -dx + up * dy) * (2 * start.half_height / height))


def moved(camera: Camera, by: ArrayLike) -> Camera:
    """Eye and target moved by ``by`` (3,)."""
    return replace(camera, eye=vector(np.add(camera.eye, by)), target=vector(np.add(camera.target, by)))


def fly(camera: Camera, ahead: float, aside: float, rise: float) -> Camera:
    """Moved by so many world units along its own axes."""
    right, up, back = frame_of(camera)
    return moved(camera, right * aside + up * rise - back * ahead)


def zoomed(camera: Camera, factor: float, about: ArrayLike) -> Camera:
    """Everything ``factor`` as far from ``about`` (3,), which keeps its pixel."""
    place = np.asarray(about, np.float64)
    eye, target = (place + (np.asarray(p) - place) * factor for p in (camera.eye, camera.target))
    if not 1e-12 < math.dist(eye, target) < 1e12:
        return camera
    return replace(camera, eye=vector(eye), target=vector(target))


def pivoted(camera: Camera, place: ArrayLike) -> Camera:
    """Turns about ``place`` from now on; the picture moves so that it stands in the middle."""
    return moved(camera, np.subtract(place, camera.target))


def levelled(camera: Camera, world_up: Vector) -> Camera:
    """Without roll: ``world_up`` points up on the picture wherever that is possible."""
    back = frame_of(camera)[2]
    right = np.cross(world_up, back)
    if float(right @ right) < 1e-12:
        return camera
    return replace(camera, up=vector(np.cross(back, unit(right))))


def seen_from(camera: Camera, axis: str, world_up: Vector = (0, 0, 1)) -> Camera:
    """An axis view (a name of :data:`AXES`): the same target and distance."""
    there, up = (to_world(v, world_up) for v in AXES[axis])
    return replace(camera, eye=vector(np.asarray(camera.target) + np.asarray(there) * camera.distance), up=up)


def to_world(v: Vector, world_up: Vector) -> Vector:
    """A direction of a z-up world in one whose up is ``world_up``: y-up has its front along +z."""
    x, y, z = v
    return (x, z, -y) if world_up[1] else (x, y, z)


def framed(camera: Camera, corners: ArrayLike, aspect: float, margin: float = 1.08) -> Camera:
    """The same direction, as near as shows all ``corners`` (N, 3); the target is the middle of their box."""
    places = np.asarray(corners, np.float64).reshape(-1, 3)
    places = places[np.isfinite(places).all(1)]
    if not len(places):
        return camera
    middle = (places.min(0) + places.max(0)) / 2
    local = (places - middle) @ frame_of(camera).T
    high = math.tan(math.radians(camera.fov) / 2)
    across = np.maximum(np.abs(local[:, 0]) / (high * aspect), np.abs(local[:, 1]) / high) * margin
    if camera.ortho:  # the eye stays out of the box, so that nothing is behind it
        distance = float(across.max())
    else:
        distance = float((across + local[:, 2]).max())
    size = float(np.abs(local).max())
    distance = max(distance, size * 0.01, 1e-6 * max(1.0, float(np.abs(middle).max()))) if size else 1.0
    back = frame_of(camera)[2]
    return replace(camera, eye=vector(middle + back * distance), target=vector(middle))


# ---- as text


def to_text(camera: Camera) -> str:
    """``eye/target/up/fov``, vectors as x,y,z; ``/ortho`` at the end of an orthographic one. Reads back the same."""
    parts = [",".join(repr(float(v)) for v in p) for p in (camera.eye, camera.target, camera.up)]
    return "/".join(parts + [repr(float(camera.fov))] + (["ortho"] if camera.ortho else []))


def from_text(text: str) -> Camera:
    """The camera of a text as :func:`to_text` writes it; ``up`` and ``fov`` may be left out.

    :class:`ValueError` with one line that says what is wrong.
    """
    parts = [part.strip() for part in text.strip().split("/")]
    ortho = parts[-1].lower() == "ortho"
    parts = parts[:-1] if ortho else parts
    if not 2 <= len(parts) <= 4:
        raise ValueError("a camera is eye/target/up/fov, as 3,-4,2/0,0,0/0,0,1/40")
    vectors: list[Vector] = []
    for name, part in zip(("eye", "target", "up"), parts, strict=False):
        vectors.append(_numbers(name, part))
    eye, target, up = (*vectors, (0.0, 0.0, 1.0))[:3] if len(vectors) == 2 else vectors
    fov = 40.0
    if len(parts) == 4:
        try:
            fov = float(parts[3])
        except ValueError:
            raise ValueError(f"camera: the field of view {parts[3]!r} is not a number") from None
    if not NARROWEST <= fov <= WIDEST:
        raise ValueError(f"camera: a field of view of {fov:g} degrees is not within {NARROWEST:g} to {WIDEST:g}")
    if eye == target:
        raise ValueError("camera: eye and target are the same place")
    if not any(up):
        raise ValueError("camera: up has no direction")
    return Camera(eye, target, up, fov, ortho)


def _numbers(name: str, text: str) -> Vector:
    parts: Sequence[str] = text.split(",")
    try:
        numbers = [float(part) for part in parts]
    except ValueError:
        numbers = []
    if len(numbers) != 3 or not all(math.isfinite(n) for n in numbers):
        raise ValueError(f"camera: {name} {text!r} is not three numbers x,y,z")
    return vector(numbers)
