"""How splats stand in their files, and several as one. Knows no format and no window.

Files of splats have x right, y down and z ahead, as cameras and training have them, and nothing in them says so. What
is read keeps its numbers; a scene whose z or y points up shows it with a transform, and what is written from such a
scene is turned back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from engine.formats.scene.common import Reading
from engine.geometry.splats.transform import UPRIGHT, transformed
from engine.geometry.splats.values import colours_of
from engine.scene import Points, Splats, Thing

STANDING = {"z": UPRIGHT, "y": np.diag([1.0, -1.0, -1.0, 1.0])}
"""From the axes of files to those of a world, by the axis that points up in it."""


def stood_up(things: Sequence[Thing], up: str) -> tuple[tuple[Thing, ...], np.ndarray | None]:
    """Things out of files as a scene with this axis up shows them, and the matrix (4, 4) that leads there, for
    ``Scene.world``. Where there are splats all are turned, so that a mesh made of them stays in its place."""
    if not any(isinstance(t, Splats) for t in things):
        return tuple(things), None
    turn = STANDING[up]
    return tuple(replace(t, transform=turn if t.transform is None else turn @ t.transform) for t in things), turn


def as_in_a_file(splats: Splats) -> Reading[Splats]:
    """Splats as they stand in the world, their transform in their numbers."""
    matrix = np.eye(4)
    matrix[:3, 3] = splats.origin
    if splats.transform is not None:
        matrix = np.asarray(splats.transform, np.float64) @ matrix
    if np.array_equal(matrix[:3, :3], np.eye(3)):  # to move the origin costs no figure
        return replace(splats, transform=None, origin=tuple(matrix[:3, 3].tolist()))
    return (yield from transformed(replace(splats, transform=None, origin=(0.0, 0.0, 0.0)), matrix))


def points_of(splats: Splats) -> Points:
    """The means as points of the colours that do not change with the view."""
    return Points(
        name=splats.name,
        transform=splats.transform,
        origin=splats.origin,
        visible=splats.visible,
        xyz=splats.xyz,
        rgb=np.round(colours_of(splats) * 255).astype(np.uint8),
        index=splats.index,
    )


def joined(parts: Sequence[Splats]) -> Splats:
    """All splats as one thing; harmonics that some lack are 0. Antialiased where all are."""
    if len(parts) == 1:
        return parts[0]
    coefficients = max(part.sh.shape[1] for part in parts)
    sh = np.zeros((sum(len(part.sh) for part in parts), coefficients, 3), np.float32)
    at = 0
    for part in parts:
        sh[at : at + len(part.sh), : part.sh.shape[1]] = part.sh
        at += len(part.sh)
    origin = parts[0].origin
    places = [np.asarray(p.xyz) + (np.asarray(p.origin) - np.asarray(origin)).astype(np.float32) for p in parts]
    return Splats(
        name=parts[0].name,
        origin=origin,
        xyz=np.concatenate(places),
        scales=np.concatenate([p.scales for p in parts]),
        turns=np.concatenate([p.turns for p in parts]),
        opacity=np.concatenate([p.opacity for p in parts]),
        sh=sh,
        antialiased=all(part.antialiased for part in parts),
    )
