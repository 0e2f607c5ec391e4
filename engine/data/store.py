"""Arrays in the user's cache as .npz: written atomically, read without pickle and without trusting a header.

Knows nothing of what the arrays mean."""

from __future__ import annotations

import os
import tempfile
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from engine.data.source import DataError

LIMIT = 1 << 30
"""Bytes that one stored array may have."""


def write(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Writes the arrays; ``path`` is replaced at one instant or not at all. OSError where the disk refuses."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=path.stem, suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            for member, array in arrays.items():
                with archive.open(f"{member}.npy", "w") as out:
                    npy.write_array(out, np.ascontiguousarray(array), version=(1, 0), allow_pickle=False)
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def read(path: Path, wanted: Mapping[str, str]) -> dict[str, NDArray[Any]]:
    """The arrays named in ``wanted``, each of the kind given there ('u' unsigned, 'i' signed, 'U' text);
    :class:`DataError` naming ``path`` where the file is not what :func:`write` wrote."""
    try:
        with zipfile.ZipFile(path) as archive:
            return {name: _member(archive, name, kind) for name, kind in wanted.items()}
    except (zipfile.BadZipFile, zlib.error, EOFError, KeyError, ValueError, NotImplementedError, RuntimeError) as error:
        raise DataError(f"{path}: damaged or not ours ({one_line(error)}); delete it and try again") from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error}); delete it and try again") from error


def _member(archive: zipfile.ZipFile, name: str, kind: str) -> NDArray[Any]:
    info = archive.getinfo(f"{name}.npy")
    if info.file_size > LIMIT:
        raise ValueError(f"{name} claims {info.file_size} bytes")
    with archive.open(info) as file:
        if npy.read_magic(file) != (1, 0):
            raise ValueError(f"{name} is of another version")
        shape, fortran, dtype = npy.read_array_header_1_0(file)
        if dtype.kind != kind or fortran:
            raise ValueError(f"{name} has the type {dtype}")
        data = file.read(LIMIT)
    size = dtype.itemsize
    for side in shape:
        size *= side
    if size != len(data):
        raise ValueError(f"{name} holds {len(data)} bytes where its header says {size}")
    return np.frombuffer(bytearray(data), dtype).reshape(shape)


def one_line(error: BaseException) -> str:
    """What an exception says, as one line; its type's name where it says nothing."""
    return " ".join(str(error).split()) or type(error).__name__
