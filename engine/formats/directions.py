"""Directions with names as files: the JSON list that :func:`engine.steering.directions_text` writes. Knows no study.

A run keeps those of its own in ``directions.json``, as they are now.
"""

from __future__ import annotations

from pathlib import Path

from engine.formats.atomic import write_atomic
from engine.formats.runs import RunError
from engine.params import BadValue
from engine.steering import Direction, Directions, directions_text

NAME = "directions.json"
LARGEST = 64 * 2**20
"""Bytes of a file that is read at most: more than the most directions of the most numbers take."""


def write(path: Path, directions: tuple[Direction, ...]) -> None:
    """Writes ``directions`` to ``path``; RunError where the disk refuses."""
    try:
        write_atomic(path, (directions_text(directions) + "\n").encode())
    except OSError as e:
        raise RunError(f"{path}: cannot be written ({e.strerror})") from None


def read(path: Path) -> tuple[Direction, ...]:
    """The directions in ``path``; RunError with one line if it is no such file."""
    try:
        if path.stat().st_size > LARGEST:
            raise RunError(f"{path}: larger than {LARGEST >> 20} MB, which no file of directions is")
        text = path.read_text(encoding="utf-8")
        return Directions().parse("directions", text, {})
    except OSError as e:
        raise RunError(f"{path}: cannot be read ({e.strerror})") from None
    except UnicodeDecodeError:
        raise RunError(f"{path}: not a text file, so it holds no directions") from None
    except BadValue as e:
        raise RunError(f"{path}: holds no directions ({e})") from None


def of_run(folder: Path) -> tuple[tuple[Direction, ...], str]:
    """The directions of the run in ``folder``, () where it has none, and what is wrong with their file, '' if nothing:
    damaged ones must not keep a run from being opened."""
    path = folder / NAME
    if not path.exists():
        return (), ""
    try:
        return read(path), ""
    except RunError as e:
        return (), str(e)
