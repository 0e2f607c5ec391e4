"""Splats as ``.splat`` (antimatter15/splat): 32 bytes each and no header. No harmonics above degree 0.

Place and deviations (not their logarithms) are float32; red, green, blue and alpha a byte each, and so are the numbers
of the quaternion w x y z, as q * 128 + 128. By custom the ones that matter most come first, since viewers show the file
while it comes. Knows no other format.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from engine.formats.scene.common import Reading, refuse
from engine.formats.splats.common import C0, SLICE, logit, sigmoid, splats_of, unit_turns
from engine.scene import Splats, Thing

RECORD = np.dtype([("xyz", "<f4", 3), ("scales", "<f4", 3), ("rgba", "u1", 4), ("turns", "u1", 4)])


def read(path: Path) -> Reading[tuple[Thing, ...]]:
    """The splats of a file."""
    count, over = divmod(path.stat().st_size, RECORD.itemsize)
    if over:
        refuse(path, f"is no .splat file, or cut off: {over} bytes are left over after {count:,} splats of 32")
    xyz, scales = np.empty((count, 3), np.float32), np.empty((count, 3), np.float32)
    turns, opacity, sh = (
        np.empty((count, 4), np.float32),
        np.empty(count, np.float32),
        np.empty((count, 1, 3), np.float32),
    )
    with path.open("rb") as file:
        for start in range(0, count, SLICE):
            part = slice(start, min(count, start + SLICE))
            records = np.fromfile(file, RECORD, part.stop - start)
            if len(records) < part.stop - start:
                refuse(path, "ends before all of its splats", "it may still be being written; open it again")
            xyz[part] = records["xyz"]
            with np.errstate(divide="ignore", invalid="ignore"):
                scales[part] = np.log(records["scales"])
            turns[part] = (records["turns"] - np.float32(128)) / 128
            opacity[part] = logit(records["rgba"][:, 3] / 255)
            sh[part, 0] = (records["rgba"][:, :3] / 255 - 0.5) / C0
            yield part.stop / count
    return (splats_of(path, xyz, scales, turns, opacity, sh),)


def order_of(splats: Splats) -> np.ndarray:
    """The numbers of splats by volume times alpha, the greatest first."""
    weight = np.asarray(splats.scales, np.float64).sum(1) + np.log(sigmoid(splats.opacity))
    return np.argsort(-weight, kind="stable")


def encode(splats: Splats) -> Iterator[bytes]:
    """A file of splats in the order in which they come, piece by piece."""
    origin = np.asarray(splats.origin)
    for start in range(0, len(splats.xyz), SLICE):
        part = slice(start, start + SLICE)
        records = np.empty(len(splats.xyz[part]), RECORD)
        records["xyz"] = splats.xyz[part] + origin
        records["scales"] = np.exp(splats.scales[part].astype(np.float64))
        records["rgba"][:, :3] = _byte((0.5 + C0 * splats.sh[part, 0].astype(np.float64)) * 255)
        records["rgba"][:, 3] = _byte(sigmoid(splats.opacity[part]) * 255)
        turns = unit_turns(splats.turns[part])
        turns[turns[:, 0] < 0] *= -1  # the same turn; 1 itself has no byte, and w is the largest most often
        records["turns"] = _byte(turns * 128 + 128)
        yield records.tobytes()


def _byte(values: np.ndarray) -> np.ndarray:
    return np.clip(np.round(values), 0, 255).astype(np.uint8)
