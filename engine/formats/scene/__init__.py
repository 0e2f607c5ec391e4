"""Scenes from files and to files, by the ending of the name. Readers are generators; runs on the engine's thread.

``read(path)`` yields how far it is, 0..1, and returns the things in the file, named by its stem; whatever is wrong with
the file is a :class:`SceneFileError` of one line. What a header says is checked against the file's size before memory
is taken.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from engine.formats.scene import arrays, gltf, las, obj, pcd, ply, simple, table
from engine.formats.scene.common import Reading, SceneFileError, named_apart, refuse
from engine.formats.scene.glimpse import glimpse
from engine.scene import Thing


def _splats(path: Path) -> Reading[tuple[Thing, ...]]:
    from engine.formats import splats  # which reads headers of PLY by this package

    return (yield from splats.READERS[path.suffix.lower()](path))


READERS: dict[str, Callable[[Path], Reading[tuple[Thing, ...]]]] = {
    ".ply": ply.read,
    ".obj": obj.read,
    ".stl": simple.read_stl,
    ".off": simple.read_off,
    ".glb": gltf.read,
    ".gltf": gltf.read,
    ".pcd": pcd.read,
    ".xyz": table.read,
    ".pts": table.read,
    ".csv": table.read,
    ".txt": table.read,
    ".asc": table.read,
    ".las": las.read,
    ".laz": las.read,
    ".npy": arrays.read_npy,
    ".npz": arrays.read_npz,
    ".splat": _splats,
    ".spz": _splats,
    ".sog": _splats,
}
"""By the ending, small letters."""
SOG_FOLDER = "meta.json"
"""The name of the file by which a folder of splats is opened."""


def read(path: str | Path) -> Reading[tuple[Thing, ...]]:
    """The things in a file; :class:`SceneFileError` where it cannot be read."""
    target = Path(path)
    reader = _splats if target.name.lower() == SOG_FOLDER else READERS.get(target.suffix.lower())
    try:
        if target.is_dir():
            refuse(target, "is a folder", "open the files in it")
        if reader is None:
            refuse(target, f"its ending {target.suffix!r} is unknown", f"open one of {' '.join(READERS)}")
        if not target.stat().st_size:
            refuse(target, "is empty", "it may still be being written; open it again")
        return (yield from reader(target))
    except (SceneFileError, GeneratorExit, KeyboardInterrupt, SystemExit):
        raise
    except FileNotFoundError:
        refuse(target, "is not there", "look whether it was moved or renamed")
    except MemoryError:
        refuse(target, "is too large for this machine's memory", "close other programs or open a part of it")
    except OSError as e:
        refuse(target, f"cannot be read ({e.strerror or e})", "look at its permissions and its disk")
    except BaseException as e:  # noqa: BLE001  # a damaged file trips libraries in any way, Rust's panics among them
        refuse(target, f"is damaged ({type(e).__name__}: {str(e)[:80]})")


def up_of(path: str | Path) -> str:
    """Which axis points up in files of this kind nearly always: y or z."""
    return "y" if Path(path).suffix.lower() in (".glb", ".gltf", ".obj", ".off") else "z"


def read_all(path: str | Path) -> tuple[Thing, ...]:
    """As :func:`read`, at once."""
    reading = read(path)
    while True:
        try:
            next(reading)
        except StopIteration as end:
            things: tuple[Thing, ...] = end.value
            return things


__all__ = ["READERS", "SceneFileError", "glimpse", "named_apart", "read", "read_all", "up_of"]
