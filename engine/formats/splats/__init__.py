"""Gaussian splats from files and to files: INRIA's PLY, compressed PLY, .splat and .spz; SOG is only read.

``read(path)`` is a generator that yields how far it is, 0..1, and returns the splats as things of a scene, with the
numbers that stand in the file, in the axes of the PLY files (x right, y down, z ahead, as training leaves them);
``write`` goes by the ending of the name. Whatever is wrong with a file is a :class:`SceneFileError` of one line.
"""

from __future__ import annotations

from engine.formats.scene import SceneFileError, read
from engine.formats.splats import sog, splat, spz
from engine.formats.splats.errors import FieldError, field_errors
from engine.formats.splats.standing import STANDING, points_of, stood_up
from engine.formats.splats.write import ENDINGS, Written, encode, ending_of, write

READERS = {".splat": splat.read, ".spz": spz.read, ".sog": sog.read_zip, ".json": sog.read_folder}
"""By the ending, small letters; PLY files of splats are found out by their header."""

__all__ = [
    "ENDINGS", "READERS", "STANDING", "FieldError", "SceneFileError", "Written", "encode", "ending_of",
    "field_errors", "points_of", "read", "stood_up", "write",
]  # fmt: skip
