"""The data sets, of images and of captures: which there are, loading one, fetching one. Knows no way of making one.

Everything here may take long and belongs on the engine's thread; progress and cancelling go through callbacks. A new
data set is a new file with ``SETS`` in it, and its name in the table.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Mapping
from pathlib import Path
from typing import Any

from engine.data import digits, emoji, folder, idx, shapes
from engine.data.captures import source as captures
from engine.data.captures import still_life
from engine.data.captures.source import CaptureSource
from engine.data.picture import read_image
from engine.data.source import (
    Cancelled,
    DataError,
    DataSet,
    ImageSource,
    Part,
    Request,
    cache_folder,
    never,
    nobody_listens,
)
from engine.study import DataOption

__all__ = [
    "Cancelled",
    "CaptureSource",
    "DataError",
    "ImageSource",
    "Part",
    "fetch",
    "fetching",
    "load",
    "options",
    "read_image",
]

_MODULES = (digits, shapes, emoji, idx, folder, still_life, captures)
_TABLE: dict[str, DataSet] = {s.key: s for m in _MODULES for s in m.SETS}
SIZES = (32, 64)
"""Sides in pixels that a folder's images can be brought to."""


def options(cache: Path | None = None) -> tuple[DataOption, ...]:
    """All data sets in the order of the drop-down, each with whether it can be had here and now, and if not, why."""
    return tuple(s.option(cache or cache_folder()) for s in _TABLE.values())


def load(
    key: str,
    *,
    folder: str = "",
    split_seed: int = 0,
    size: int = 32,
    progress: Callable[[float, str], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
    cache: Path | None = None,
    wishes: Mapping[str, str] | None = None,
) -> Any:
    """The data set ``key``, an :class:`ImageSource`, split by ``split_seed`` unless it has an official test part; or a
    :class:`CaptureSource`, loaded as the ``wishes`` (shrink, orientation, fit) say.

    ``folder`` is for the keys "folder" and "capture", ``size`` (32 or 64 pixels) for the former. ``progress`` hears a
    share in 0..1 and what is being done. :class:`DataError` where it cannot be had, :class:`Cancelled` once
    ``cancelled`` answers yes.
    """
    if size not in SIZES:
        raise DataError(f"size {size}: choose one of {', '.join(map(str, SIZES))} pixels")
    listener, wish = progress or nobody_listens, cancelled or never
    request = Request(cache or cache_folder(), folder, size, split_seed, listener, wish, wishes or {})
    return _entry(key).load(request)


def fetching(key: str, cache: Path | None = None) -> Generator[str, None, None]:
    """Downloads a set into the user's cache, a little at each ``next``, which never waits; yields how far it is, in
    words, for the whole size is not known. Closing the iterator stops the download. :class:`DataError` if it fails."""
    entry = _entry(key)
    if entry.fetch is None:
        raise DataError(f"{key}: nothing to download, it is made or found on this machine")
    return entry.fetch(cache or cache_folder())


def fetch(
    key: str,
    progress: Callable[[float | None, str], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
    cache: Path | None = None,
) -> None:
    """Downloads a set and waits for it. ``progress`` hears None for the share, because nobody knows the whole, and
    words; both callbacks are called about ten times a second. :class:`Cancelled` a tenth of a second after the wish."""
    steps = fetching(key, cache)
    try:
        for text in steps:
            if progress:
                progress(None, text)
            if cancelled and cancelled():
                raise Cancelled(f"{key}: the download was cancelled")
            time.sleep(0.1)
    finally:
        steps.close()


def _entry(key: str) -> DataSet:
    if key not in _TABLE:
        raise DataError(f"{key}: no such data set; there are {', '.join(_TABLE)}")
    return _TABLE[key]
