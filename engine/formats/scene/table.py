"""Points as lines of numbers: XYZ, PTS, CSV, TXT, ASC; with or without a heading, parted by spaces, commas,
semicolons or tabs. Knows no other format.

Columns are known by the heading's words; without one, the first three are the place, three whole numbers within
0..255 (or fractions that are never negative) are a colour, three of length one a normal, one alone an intensity.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np

from engine.formats.scene.common import LABEL_NAMES, Reading, cloud, lines_of, placed, refuse, rgb8, table
from engine.scene import Thing

TRANSLATED = bytes.maketrans(b",;\t|", b"    ")
WORDS = {
    "x": "x", "y": "y", "z": "z", "easting": "x", "northing": "y", "height": "z", "elevation": "z", "east": "x",
    "north": "y", "altitude": "z", "xcoord": "x", "ycoord": "y", "zcoord": "z",
    "r": "r", "g": "g", "b": "b", "red": "r", "green": "g", "blue": "b", "rf": "r", "gf": "g", "bf": "b",
    "nx": "nx", "ny": "ny", "nz": "nz", "normalx": "nx", "normaly": "ny", "normalz": "nz", "a": "alpha", "af": "alpha",
    "alpha": "alpha",
}  # fmt: skip
PEEK = 200


@dataclass(frozen=True)
class Head:
    """``start`` is the byte of the first line of numbers, ``width`` how many each has, ``peek`` some of them."""

    names: list[str]
    start: int
    width: int
    peek: list[bytes]


def read(path: Path) -> Reading[tuple[Thing, ...]]:
    """One cloud."""
    size = path.stat().st_size
    blocks: list[np.ndarray] = []
    with path.open("rb") as file:
        head = read_head(path, file)
        file.seek(head.start)
        done = head.start
        for lines in lines_of(file):
            done += sum(map(len, lines))
            blocks.append(rows_of(path, lines, head.width))
            yield 0.9 * done / max(1, size)
    return (thing_of(path, np.concatenate(blocks), head.names),)


def read_head(path: Path, file: IO[bytes]) -> Head:
    """The heading, if there is one, and what a line of numbers is like."""
    first = file.readlines(1 << 14)
    names, skipped = _heading(path, first)
    peek = [line for line in map(_clean, first[skipped:]) if line][:PEEK]
    if not peek:
        refuse(path, "holds no line of numbers", "open a file that has some")
    width = len(peek[0].split())
    if width < 3:
        refuse(path, f"has {width} numbers on a line, and a place needs three")
    return Head(names if len(names) == width else [], sum(map(len, first[:skipped])), width, peek)


def rows_of(path: Path, lines: list[bytes], width: int) -> np.ndarray:
    """The numbers of some lines, float64 (N, width)."""
    return table(path, [line for line in map(_clean, lines) if line], width)


def thing_of(path: Path, rows: np.ndarray, names: list[str]) -> Thing:
    """The cloud of rows whose columns have ``names``, or none."""
    kinds = [WORDS.get(re.sub(r"[^a-z]", "", n.lower().partition("(")[0]), "") for n in names]
    if not {"x", "y", "z"} <= set(kinds):
        kinds = _guessed(rows)
        names = names or [""] * rows.shape[1]
    return _points(path, rows, names, kinds)


def _clean(line: bytes) -> bytes:
    line = line.partition(b"#")[0]
    head = line.lstrip()
    return b"" if head.startswith(b"//") else line.translate(TRANSLATED).strip()


def _heading(path: Path, lines: list[bytes]) -> tuple[list[str], int]:
    """The columns' names, if a line gives them, and how many lines come before the numbers."""
    names: list[str] = []
    for i, line in enumerate(lines[:50]):
        if b"\0" in line:
            refuse(path, "is not text", "open it by its true ending")
        bare = line.strip().lstrip(b"\xef\xbb\xbf")
        comment = bare.startswith((b"#", b"//"))
        words = bare.lstrip(b"#/").translate(TRANSLATED).replace(b'"', b"").split()
        numeric = _numeric(words)
        if not words or (comment and numeric):
            continue
        if numeric and not comment:
            after = next((w for w in (_clean(x).split() for x in lines[i + 1 :]) if w), [])
            if len(words) == 1 and len(after) >= 3:  # PTS: how many points follow
                continue
            return names, i
        if not numeric and len(words) >= 3:
            names = [w.decode("utf-8", "replace").strip().lstrip("/") for w in words]
    if names and len(lines) < 50:
        return names, len(lines)
    refuse(path, "holds no line of numbers in its first 50", "open a table of x, y, z on each line")


def _numeric(words: list[bytes]) -> bool:
    try:
        for word in words:
            float(word)
    except ValueError:
        return False
    return bool(words)


def _guessed(rows: np.ndarray) -> list[str]:
    """What each column is, by its values."""
    sample = rows[:: max(1, len(rows) // 1000)]
    kinds = ["x", "y", "z"]
    at, width = 3, rows.shape[1]
    while at < width:
        three = sample[:, at : at + 3]
        full = three.shape[1] == 3 and np.isfinite(three).all()
        if full and "nx" not in kinds and three.min() < 0 and _lengths_one(three):
            kinds += ["nx", "ny", "nz"]
        elif full and "r" not in kinds and three.min() >= 0 and _colours(three):
            kinds += ["r", "g", "b"]
        elif full and "nx" not in kinds and _lengths_one(three):
            kinds += ["nx", "ny", "nz"]
        else:
            # PTS: an intensity stands before the colour
            alone = "alpha" if "r" in kinds and at == width - 1 and sample[:, at].max() <= 255 else "intensity"
            kinds.append(alone if alone not in kinds else "")
        at = len(kinds)
    return kinds


def _lengths_one(three: np.ndarray) -> bool:
    return bool(np.abs(np.square(three).sum(1) - 1).max() < 0.02)


def _colours(three: np.ndarray) -> bool:
    top = three.max()
    return bool(top <= 1.0 or (top <= 255 and (three == three.round()).all()))


def _points(path: Path, rows: np.ndarray, names: list[str], kinds: list[str]) -> Thing:
    def group(*wanted: str) -> np.ndarray | None:
        return rows[:, [kinds.index(k) for k in wanted]] if set(wanted) <= set(kinds) else None

    place = group("x", "y", "z")
    if place is None:
        refuse(path, "has no columns x, y and z", "name them in its first line")
    xyz, origin = placed(place)
    rgb = group("r", "g", "b")
    labels = None
    scalars: dict[str, np.ndarray] = {}
    for i, (name, kind) in enumerate(zip(names, kinds, strict=True)):
        if kind in ("", "intensity"):
            label = name.lower().removeprefix("scalar_")
            if label in LABEL_NAMES and labels is None and _whole(rows[:, i]):
                labels = rows[:, i].astype(np.int32)
            else:
                scalars[name or kind or f"column {i + 1}"] = rows[:, i]
    return cloud(
        path,
        xyz,
        origin,
        rgb=None if rgb is None else rgb8(rgb),
        normals=group("nx", "ny", "nz"),
        labels=labels,
        scalars=scalars,
    )


def _whole(values: np.ndarray) -> bool:
    return bool(np.isfinite(values).all() and (values == values.round()).all() and np.abs(values).max() < 2**31)
