"""Pictures of scenes by a z-buffer in numpy: for files and for probes, where there is no OpenGL. Knows no window.

Triangles, discs and strokes are cut into fragments of one pixel; the nearest of each pixel wins. Colours are worked out
at the end, for the pixels that are seen, from the ray through each. A headlight shines, as in the viewport.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.params import BadValue
from engine.render.fragments import Fragments, discs, strokes, triangles
from engine.render.splats import paint as paint_splats
from engine.render.surfaces import Look, looks_of
from engine.scene import Scene, Splats, Thing

Vector = tuple[float, float, float]
MAX_PIXELS = 64_000_000
FRAMED = 50_000
"""Places of each thing that are looked at to have all in view."""
AMBIENT, DIFFUSE = 0.2, 0.8
"""Shares of light from all sides and from the eye."""


@dataclass(frozen=True)
class Camera:
    """Looks from ``eye`` to ``target``; ``up`` is up on the picture, ``fov`` the vertical angle of view in degrees."""

    eye: Vector
    target: Vector
    up: Vector = (0.0, 0.0, 1.0)
    fov: float = 40.0
    ortho: bool = False

    def axes(self) -> NDArray[np.float64]:
        """Rows: right, up on the picture, and backwards, as unit vectors; :class:`BadValue` where eye is the target."""
        back = np.asarray(self.eye, np.float64) - np.asarray(self.target, np.float64)
        size = float(np.linalg.norm(back))
        if not (size > 0 and math.isfinite(size) and 0 < self.fov < 180):
            raise BadValue("camera: the eye has to be away from its target, with a view of 0 to 180 degrees")
        back /= size
        right = np.cross(np.asarray(self.up, np.float64), back)
        if np.linalg.norm(right) < 1e-9:  # looks along its own up
            right = np.cross(np.eye(3)[np.abs(back).argmin()], back)
        right /= np.linalg.norm(right)
        return np.stack([right, np.cross(back, right), back])


@dataclass(frozen=True)
class View:
    """A camera over a picture of ``width`` x ``height`` pixels: takes the world to pixels and back to rays."""

    camera: Camera
    width: int
    height: int
    near: float

    @property
    def focal(self) -> float:
        """Pixels per unit at distance 1, or per world unit where orthographic."""
        half = math.tan(math.radians(self.camera.fov) / 2)
        return self.height / 2 / (half * self.distance if self.camera.ortho else half)

    @property
    def parallel(self) -> bool:
        return self.camera.ortho

    @property
    def distance(self) -> float:
        return math.dist(self.camera.eye, self.camera.target)

    def seen(self, xyz: Any) -> Any:
        """Coordinates to the right, up and ahead of the eye, float64 (N, 3)."""
        axes = self.camera.axes() * [[1], [1], [-1]]
        return (np.asarray(xyz, np.float64) - np.asarray(self.camera.eye)) @ axes.T

    def pixels(self, seen: Any) -> Any:
        """Pixel places (x to the right, y down, (0, 0) the upper left corner) and depth, (N, 3), of what is ahead."""
        depth = seen[..., 2]
        scale = self.focal if self.camera.ortho else self.focal / np.maximum(depth, self.near)
        x = self.width / 2 + seen[..., 0] * scale
        y = self.height / 2 - seen[..., 1] * scale
        return np.stack([x, y, depth], axis=-1)

    def rays(self, index: Any) -> tuple[Any, Any]:
        """Origins and directions (N, 3) in seen coordinates through the middles of pixels, numbered row by row."""
        x = (index % self.width + 0.5 - self.width / 2) / self.focal
        y = (self.height / 2 - index // self.width - 0.5) / self.focal
        if self.camera.ortho:
            start = np.stack([x, y, 0 * x], axis=1)
            return start, np.broadcast_to([0.0, 0.0, 1.0], start.shape)
        return np.zeros((len(index), 3)), np.stack([x, y, 0 * x + 1], axis=1)


Picture = tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]


def render(
    things: Sequence[Thing],
    camera: Camera | tuple[Vector, Vector, Vector, float],
    width: int,
    height: int,
    background: Any = (0.0, 0.0, 0.0),
    finer: int = 1,
) -> Picture:
    """Image float32 (H, W, 3) in 0..1, depth float32 (H, W) ahead of the eye (inf where nothing is) and alpha (H, W).

    ``camera`` is a :class:`Camera` or (eye, target, up, fov). ``background`` is a colour of three numbers 0..1, on
    which what is half transparent lies. ``finer`` 1..4 draws so many times larger and averages, for smooth edges; the
    depth is then the nearest. Things with opacity below 1 are drawn over the others, the farthest first. Words are
    left out. Gaussian splats are drawn over what is solid, before what is half transparent. :class:`BadValue` for a bad
    size or camera.
    """
    if not (width >= 1 and height >= 1 and 1 <= finer <= 4 and width * height * finer**2 <= MAX_PIXELS):
        raise BadValue(f"picture: {width} x {height} pixels cannot be drawn, choose 1 to {MAX_PIXELS} in all")
    stands = camera if isinstance(camera, Camera) else Camera(*camera)
    stands.axes()  # says what is wrong with the camera before any work
    near = max(math.dist(stands.eye, stands.target) * 1e-4, 1e-9)
    view = View(stands, width * finer, height * finer, near)
    up = int(np.abs(stands.up).argmax())
    seen = [thing for thing in things if thing.visible]
    splats = [thing for thing in seen if isinstance(thing, Splats)]
    others = [thing for thing in seen if not isinstance(thing, Splats)]
    looks = [look for thing in others if thing.opacity > 0 for look in looks_of(thing, up)]
    count = view.width * view.height
    image = np.broadcast_to(np.asarray(background, np.float32), (count, 3)).copy()
    alpha = np.zeros(count, np.float32)
    solid = Fragments(count)
    for number, look in enumerate(looks):
        if look.opacity >= 1:
            _draw(look, number, view, solid, finer)
    _paint(image, alpha, solid, looks, view)
    paint_splats(image, alpha, solid.depth, splats, view)
    clear = [(number, look) for number, look in enumerate(looks) if look.opacity < 1]
    for number, look in sorted(clear, key=lambda item: -_mean_depth(item[1], view)):
        layer = Fragments(count)
        _draw(look, number, view, layer, finer)
        layer.hide_behind(solid.depth)
        _paint(image, alpha, layer, looks, view)
    return _reduced(image, alpha, solid.depth, view, finer)


def _mean_depth(look: Look, view: View) -> float:
    return float(view.seen(look.xyz)[:, 2].mean()) if len(look.xyz) else 0.0


def _draw(look: Look, number: int, view: View, into: Fragments, finer: int) -> None:
    """Adds the fragments of one look: its triangles, discs or strokes."""
    seen = view.seen(look.xyz)
    if look.faces is not None:
        triangles(seen, look.faces, view, into, number)
    elif look.segments is not None:
        strokes(seen, look.segments, look.size * finer, view, into, number)
    else:
        size = look.size * finer
        if look.world_size:
            size = look.size * view.pixels(seen + [1.0, 0, 0])[:, 0] - look.size * view.pixels(seen)[:, 0]
        discs(seen, size, view, into, number)


def _paint(image: Any, alpha: Any, fragments: Fragments, looks: Sequence[Look], view: View) -> None:
    """Lays the nearest fragments over the image."""
    for number in np.unique(fragments.thing[fragments.thing >= 0]).tolist():
        look = looks[number]
        index = np.flatnonzero(fragments.thing == number)
        part = fragments.part[index]
        start, ray = view.rays(index)
        colour, cover, normal = look.shade(view.seen(look.xyz), part, start, ray)
        if normal is not None:
            seen_normal = normal @ (view.camera.axes() * [[1], [1], [-1]]).T
            towards = ray / np.linalg.norm(ray, axis=1, keepdims=True)
            size = np.linalg.norm(seen_normal, axis=1)
            cosine = np.abs(np.einsum("ij,ij->i", seen_normal, towards)) / np.maximum(size, 1e-12)
            colour = colour * np.where(size > 1e-6, AMBIENT + DIFFUSE * cosine, 1.0)[:, None]
        cover = (cover * look.opacity)[:, None].astype(np.float32)
        image[index] = image[index] * (1 - cover) + colour.astype(np.float32) * cover
        alpha[index] = 1 - (1 - alpha[index]) * (1 - cover[:, 0])


def _reduced(image: Any, alpha: Any, depth: Any, view: View, finer: int) -> Picture:
    """Averages ``finer`` x ``finer`` pixels to one."""
    h, w = view.height // finer, view.width // finer
    shape = (h, finer, w, finer)
    picture = image.reshape(*shape, 3).mean(axis=(1, 3)).clip(0, 1)
    nearest = depth.reshape(shape).min(axis=(1, 3))
    return picture.astype(np.float32), nearest.astype(np.float32), alpha.reshape(shape).mean(axis=(1, 3))


# ---- whole scenes -------------------------------------------------------------------------------------------------


def camera_for(scene: Scene, aspect: float = 1.0, fov: float = 40.0) -> Camera:
    """Where the scene says that one stands, else a camera from the front, right and above that has all in view.

    ``aspect`` is the picture's width over its height.
    """
    up = (0.0, 0.0, 1.0) if scene.up == "z" else (0.0, 1.0, 0.0)
    if scene.home is not None:
        return Camera(scene.home[0], scene.home[1], up, fov)
    boxes = [look.xyz for thing in scene.things if thing.visible for look in looks_of(thing) if len(look.xyz)]
    if not any(np.isfinite(box).all(axis=1).any() for box in boxes):
        return Camera((3.0, -4.0, 2.5) if scene.up == "z" else (3.0, 2.5, 4.0), (0.0, 0.0, 0.0), up, fov)
    places = np.concatenate([box[:: max(1, len(box) // FRAMED)] for box in boxes])
    places = places[np.isfinite(places).all(axis=1)]
    middle = (places.min(axis=0) + places.max(axis=0)) / 2
    away = np.array([0.53, -0.70, 0.48] if scene.up == "z" else [0.53, 0.48, 0.70])
    away /= np.linalg.norm(away)
    axes = Camera(_vector(away), (0.0, 0.0, 0.0), up, fov).axes()
    right, top, back = ((places - middle) @ axes.T).T
    half = math.tan(math.radians(fov) / 2) * 0.94  # a little room at the sides
    distance = float(np.max(np.maximum(np.abs(top), np.abs(right) / aspect) / half + back))
    eye = middle + away * max(distance, 1e-6)
    return Camera(_vector(eye), _vector(middle), up, fov)


def _vector(values: Any) -> Vector:
    return float(values[0]), float(values[1]), float(values[2])


def picture(
    scene: Scene,
    width: int,
    height: int,
    background: Any = (1.0, 1.0, 1.0),
    camera: Camera | None = None,
    finer: int = 2,
) -> NDArray[np.uint8]:
    """The scene as uint8 (H, W, 3) on ``background``, or (H, W, 4) with straight alpha where that is None."""
    ground = (0.0, 0.0, 0.0) if background is None else background
    image, _, alpha = render(scene.things, camera or camera_for(scene, width / height), width, height, ground, finer)
    if background is not None:
        return (image * 255 + 0.5).astype(np.uint8)
    straight = np.divide(image, alpha[..., None], out=np.zeros_like(image), where=alpha[..., None] > 0)
    return (np.concatenate([straight.clip(0, 1), alpha[..., None]], axis=2) * 255 + 0.5).astype(np.uint8)
