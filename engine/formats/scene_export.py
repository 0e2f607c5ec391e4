"""Scenes as payloads to be written: which of the writers of files they go to, their arrays by name, their picture.

Knows the formats through :mod:`engine.formats.scene` only, and no study.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from engine.formats.scene.common import refuse
from engine.formats.scene.write import WRITERS, world
from engine.geometry.splats.align import extent
from engine.payloads import Payload
from engine.probes import camera_of
from engine.scene import Field, Frustums, Lines, Mesh, Points, Scene, SceneFrames, Splats, Thing

PICTURE = (960, 640)
GROUND = (1.0, 1.0, 1.0)
FOV = 40.0
SAMPLE, TAIL = 40_000, 0.005
"""Splats that say where all are, and the share of them at each end that does not count."""
FROM = {"z": (0.6, -0.8, 0.45), "y": (0.6, 0.45, 0.8)}
"""Where a picture is taken from, seen from the middle of the scene."""


def _writer(ending: str) -> Callable[[Path, Sequence[Payload]], bytes]:
    def writer(target: Path, payloads: Sequence[Payload]) -> bytes:
        last = payloads[-1]
        if not isinstance(last, Scene | SceneFrames):
            kind = type(last).__name__
            refuse(target, f"is for scenes, and this answer is a {kind}", "write it as .json, .npz or a picture")
        return WRITERS[ending](target, in_file_frame(last))

    return writer


def in_file_frame(scene: Scene | SceneFrames) -> tuple[Thing, ...]:
    """The things of a scene as they stand in the frame that its files are written in. Locked lines, which are there to
    find one's way in the picture, are left out where there is anything solid."""
    solid = any(isinstance(thing, Points | Mesh | Splats) for thing in scene.things)
    things = tuple(t for t in scene.things if not (solid and isinstance(t, Lines) and t.locked))
    if isinstance(scene, SceneFrames) or scene.world is None:
        return things
    back = np.linalg.inv(np.asarray(scene.world, np.float64))
    return tuple(replace(t, transform=back if t.transform is None else back @ np.asarray(t.transform)) for t in things)


SCENE_WRITERS = {ending: _writer(ending) for ending in WRITERS}


def scene_arrays(payloads: Sequence[Payload]) -> dict[str, np.ndarray]:
    """Every array of a scene as ``<thing>.<field>``, of a timeline as ``<moment>.<thing>.<field>``. Positions are
    relative to ``<thing>.origin`` and before ``<thing>.transform``, where there are such."""
    arrays: dict[str, np.ndarray] = {}
    for k, payload in enumerate(payloads):
        assert isinstance(payload, Scene | SceneFrames)
        before = f"{k}." if isinstance(payload, SceneFrames) else ""
        for thing in payload.things:
            for name, value in _fields(thing).items():
                arrays[f"{before}{thing.name}.{name}".replace("/", "_")] = value
    return arrays


def _fields(thing: Thing) -> dict[str, np.ndarray]:
    found: dict[str, np.ndarray] = {}
    for f in dataclasses.fields(thing):
        value = getattr(thing, f.name)
        if isinstance(value, np.ndarray):
            found[f.name] = value
        elif isinstance(value, Mapping):
            found |= {f"{f.name}.{k}": v for k, v in value.items() if isinstance(v, np.ndarray)}
    if any(thing.origin):
        found["origin"] = np.array(thing.origin)
    return found


def corners_of(things: Sequence[Thing]) -> np.ndarray:
    """Where the things end: the corners of their boxes, or all places of small ones, in the world, float64 (N, 3)."""
    found = []
    for thing in things:
        places: Any = None
        if isinstance(thing, Points):
            places = thing.xyz
        elif isinstance(thing, Splats):  # floaters far away would make all else small
            places = np.stack(extent(thing.xyz[:: max(1, len(thing.xyz) // SAMPLE)], TAIL)) if len(thing.xyz) else None
        elif isinstance(thing, Mesh):
            places = thing.vertices
        elif isinstance(thing, Lines):
            places = np.asarray(thing.ends).reshape(-1, 3)
        elif isinstance(thing, Frustums):
            places = np.concatenate([np.reshape(thing.eyes, (-1, 3)), np.reshape(thing.corners, (-1, 3))])
        if places is None or not len(places):
            continue
        lo, hi = np.asarray(places.min(0)), np.asarray(places.max(0))
        box = np.array([[(lo, hi)[i >> k & 1][k] for k in range(3)] for i in range(8)])
        found.append(world(thing, box))
    return np.concatenate(found) if found else np.zeros((0, 3))


def picture_of(scene: Scene | SceneFrames) -> np.ndarray:
    """A scene drawn without OpenGL from where all of it is seen, float32 (H, W, 3) in 0..1."""
    from engine.render.raster import Camera, render

    up = (0.0, 1.0, 0.0) if scene.up == "y" else (0.0, 0.0, 1.0)
    home = getattr(scene, "home", None)
    field = next((thing for thing in scene.things if isinstance(thing, Field)), None)
    if field is not None:  # from where it was seen
        stand = Camera(*camera_of(field.camera))
        height, width = np.shape(field.alpha)
        size = (PICTURE[0], max(1, round(PICTURE[0] * height / width)))
        return np.asarray(render(scene.things, stand, *size, GROUND, finer=2)[0], np.float32)
    if home is not None:
        eye, target = home
    else:
        corners = corners_of(scene.things)
        if not len(corners):
            corners = np.array([[-1.0, -1, -1], [1, 1, 1]])
        middle = (corners.min(0) + corners.max(0)) / 2
        radius = float(np.linalg.norm(corners - middle, axis=1).max()) or 1.0
        ahead = np.array(FROM[scene.up]) / np.linalg.norm(FROM[scene.up])
        place = middle + ahead * radius / np.sin(np.radians(FOV) / 2)
        eye, target = tuple(place.tolist()), tuple(middle.tolist())
    image, _, _ = render(scene.things, Camera(eye, target, up, FOV), *PICTURE, GROUND, finer=2)
    return np.asarray(image, np.float32)
