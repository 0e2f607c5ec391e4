"""MNIST and Fashion-MNIST: their idx files where they are found on disk, else our copy of a download.

Trusts no header: dimensions are checked against a limit first, then against the bytes that are really there. The
official test part is held out, whatever the seed.
"""

from __future__ import annotations

import gzip
import math
import os
import zlib
from collections.abc import Callable, Generator
from dataclasses import dataclass
from functools import partial
from io import BufferedReader
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.data import openml, store
from engine.data.source import DataError, DataSet, ImageSource, Part, Request, named
from engine.study import DataOption

MAX_BYTES = 1 << 28
"""Bytes that one idx file may hold, decompressed; MNIST's largest has 47 million."""
_CHUNK = 1 << 20
_PARTS = ("train-images", "train-labels", "t10k-images", "t10k-labels")
_STORED = {"train_images": "u", "train_labels": "u", "test_images": "u", "test_labels": "u"}


@dataclass(frozen=True)
class Spec:
    """One set in MNIST's layout; ``places`` are the names that its folder goes by."""

    key: str
    title: str
    text: str
    origin: str
    licence: str
    names: tuple[str, ...]
    places: tuple[str, ...]
    download: openml.Download
    debian: str = ""


_CLOTHES = "T-shirt/top,Trouser,Pullover,Dress,Coat,Sandal,Shirt,Sneaker,Bag,Ankle boot"
FASHION = Spec(
    key="fashion_mnist",
    title="Fashion-MNIST",
    text="Clothes from a shop's catalogue, 28 x 28 grey pixels, white on black.",
    origin="Zalando Research, 2017",
    licence="MIT",
    names=tuple(_CLOTHES.split(",")),
    places=("fashion-mnist", "fashion_mnist", "FashionMNIST/raw"),
    download=openml.Download("Fashion-MNIST", 40996, (1000,) * 10),
    debian="dataset-fashion-mnist",
)
MNIST = Spec(
    key="mnist",
    title="MNIST",
    text="Handwritten digits, 28 x 28 grey pixels, white on black.",
    origin="Y. LeCun, C. Cortes, C. Burges, 1998",
    licence="CC BY-SA 3.0, as those who pass it on say",
    names=tuple("0123456789"),
    places=("mnist", "MNIST/raw"),
    download=openml.Download("MNIST", 554, (980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009)),
)


def read_idx(path: Path, dimensions: int, report: Callable[[float], None] = lambda fraction: None) -> NDArray[np.uint8]:
    """The unsigned bytes of an idx file, plain or .gz, as an array of ``dimensions`` axes; :class:`DataError` if its
    magic number, its dimensions or its length do not agree. ``report`` hears how much is read, 0..1."""
    try:
        with _opened(path) as file:
            return _read(file, path, dimensions, report)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(
            f"{path}: cannot be read, perhaps truncated ({store.one_line(error)}); replace or remove it"
        ) from error


def _opened(path: Path) -> gzip.GzipFile | BufferedReader:
    return gzip.open(path, "rb") if path.suffix == ".gz" else open(path, "rb")


def _read(
    file: gzip.GzipFile | BufferedReader, path: Path, dimensions: int, report: Callable[[float], None]
) -> NDArray[np.uint8]:
    head = file.read(4 + 4 * dimensions)
    if head[:4] != bytes((0, 0, 8, dimensions)):
        wanted = f"0000080{dimensions}"
        raise DataError(f"{path}: starts with {head[:4].hex() or 'nothing'}, not idx's {wanted}; replace or remove it")
    shape = tuple(int.from_bytes(head[4 + 4 * i : 8 + 4 * i], "big") for i in range(dimensions))
    size = math.prod(shape)
    if len(head) < 4 + 4 * dimensions or not 0 < size <= MAX_BYTES:
        raise DataError(f"{path}: its header claims the shape {shape}, which cannot be; replace or remove it")
    # Grows with what is there, not with what is claimed; one byte more than claimed tells that the header lies.
    data = bytearray()
    while len(data) <= size:
        chunk = file.read(min(_CHUNK, size + 1 - len(data)))
        if not chunk:
            break
        data += chunk
        report(min(1.0, len(data) / size))
    if len(data) != size:
        found = f"only {len(data):,}" if len(data) < size else "more"
        raise DataError(f"{path}: its header says {size:,} bytes, there are {found}; replace or remove it")
    return np.frombuffer(data, np.uint8).reshape(shape)


def find(spec: Spec, cache: Path) -> dict[str, Path] | None:
    """The four idx files of a set, part -> path, in the first usual place that has them all; None if none has.

    The places are $MUTOSCOPE_DATA, ``cache`` and the system's shared data sets, each with a folder of the set's name:
    both sets call their files the same, so a file outside such a folder says nothing.
    """
    own = os.environ.get("MUTOSCOPE_DATA", "")
    roots = [Path(own)] if own else []
    roots += [cache, *SYSTEM]
    for root in roots:
        for place in spec.places:
            found = {part: path for part in _PARTS if (path := _file_of(root / place, part))}
            if len(found) == len(_PARTS):
                return found
    return None


SYSTEM = (Path("/usr/share/datasets"), Path("/usr/local/share/datasets"))
"""Where systems keep shared data sets (the first is Debian's)."""


def _file_of(folder: Path, part: str) -> Path | None:
    axes = "3" if part.endswith("images") else "1"
    names = [f"{part}{dot}idx{axes}-ubyte{ending}" for dot in "-." for ending in ("", ".gz")]
    return next((folder / name for name in names if os.path.isfile(folder / name)), None)


def _stored(spec: Spec, cache: Path) -> Path:
    return cache / f"{spec.key}.npz"


def _option(spec: Spec, cache: Path) -> DataOption:
    there = find(spec, cache) is not None or os.path.isfile(_stored(spec, cache))
    package = f", install Debian's {spec.debian}" if spec.debian else ""
    reason = (
        f"not on this machine: fetch it from openml.org{package}, or put its idx files into {cache / spec.places[0]}"
    )
    return DataOption(
        key=spec.key,
        title=spec.title,
        origin=spec.origin,
        size="70,000 pictures of 28 x 28, grey",
        licence=spec.licence,
        available=there,
        reason="" if there else reason,
        fetchable=not there,
    )


def _load(spec: Spec, request: Request) -> ImageSource:
    files = find(spec, request.cache)
    if files:
        arrays = []
        for number, part in enumerate(_PARTS):
            dimensions = 3 if part.endswith("images") else 1
            arrays.append(read_idx(files[part], dimensions, partial(_report, spec, request, number)))
        where = str(files[_PARTS[0]].parent)
    else:
        path = _stored(spec, request.cache)
        if not os.path.isfile(path):
            raise DataError(f"{spec.title}: {_option(spec, request.cache).reason}")
        request.report(0.0, f"reading {spec.title}")
        arrays = list(store.read(path, _STORED).values())
        where = str(path)
    train, held_out = _part(spec, where, arrays[0], arrays[1]), _part(spec, where, arrays[2], arrays[3])
    return ImageSource(spec.key, spec.title, spec.text, spec.names, train, held_out)


def _report(spec: Spec, request: Request, number: int, fraction: float) -> None:
    request.report((number + fraction) / len(_PARTS), f"reading {spec.title}")


def _part(spec: Spec, where: str, images: NDArray[Any], labels: NDArray[Any]) -> Part:
    if images.shape[1:] != (28, 28) or images.dtype != np.uint8:
        raise DataError(f"{where}: its pictures are of the shape {images.shape[1:]}, not 28 x 28; replace or remove it")
    if labels.shape != (len(images),):
        raise DataError(f"{where}: {len(images):,} pictures but {len(labels):,} labels; replace or remove it")
    if labels.max() >= len(spec.names):
        raise DataError(
            f"{where}: a label is {labels.max()}, but {spec.title} has {len(spec.names)} classes; replace it"
        )
    classes = labels.astype(np.int64)
    return Part(images[..., None], classes, named(classes, spec.names))


def _fetch(spec: Spec, cache: Path) -> Generator[str, None, None]:
    return openml.fetching(spec.download, _stored(spec, cache))


SETS = tuple(DataSet(s.key, partial(_option, s), partial(_load, s), partial(_fetch, s)) for s in (FASHION, MNIST))
