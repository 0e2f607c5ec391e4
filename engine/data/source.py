"""What every data set is made of: its parts, its split, its errors. Knows no data set, no file format and no torch."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import platformdirs
from numpy.typing import NDArray

from engine.study import DataOption

HELD_OUT = 0.15
"""Share of the pictures held out where a set has no official test part."""


class DataError(Exception):
    """Data that cannot be had; the message is one line that names the file or data set and says what to do."""


class Cancelled(DataError):
    """The person stopped the loading or the fetch; nothing is wrong."""


@dataclass(frozen=True, eq=False)
class Part:
    """One side of the split: ``images`` uint8 (N, H, W, C) with C 1 or 3, ``labels`` int64 (N,), zeros where there
    are no classes, ``captions`` one line per picture or ().

    ``factors`` are the generative factors where they are known, name -> (N,); ``masks`` uint8 (N, H, W) is the
    object's coverage of each pixel, 0 to 255, or None.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    captions: tuple[str, ...] = ()
    factors: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    masks: NDArray[np.uint8] | None = None

    def __post_init__(self) -> None:
        n = len(self.images)
        assert self.images.shape == (n, *self.images.shape[1:3], 3 if self.images.shape[-1] == 3 else 1)
        assert self.images.dtype == np.uint8
        assert self.labels.shape == (n,)
        assert self.labels.dtype == np.int64
        assert not self.captions or len(self.captions) == n
        assert all(len(values) == n for values in self.factors.values())
        assert self.masks is None or self.masks.shape == self.images.shape[:3]

    def __len__(self) -> int:
        return len(self.images)

    def take(self, pick: NDArray[np.int64]) -> Part:
        """The pictures numbered ``pick`` (K,), in that order."""
        return Part(
            self.images[pick],
            self.labels[pick],
            tuple(self.captions[i] for i in pick) if self.captions else (),
            {name: values[pick] for name, values in self.factors.items()},
            None if self.masks is None else self.masks[pick],
        )


@dataclass(frozen=True, eq=False)
class ImageSource:
    """A loaded data set. ``label_names[label]`` names a class; () where there are none. ``factor_names`` names the
    values of the factors that are categories; ``notices`` are lines for the log, such as skipped files."""

    key: str
    title: str
    text: str
    label_names: tuple[str, ...]
    train: Part
    held_out: Part
    factor_names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    notices: tuple[str, ...] = ()

    @property
    def shape(self) -> tuple[int, int, int]:
        """(H, W, C) of every picture."""
        h, w, c = self.train.images.shape[1:]
        return int(h), int(w), int(c)


def nobody_listens(fraction: float, text: str) -> None:
    """The progress of a loading that nobody watches."""


def never() -> bool:
    """The wish to stop, where nobody can have it."""
    return False


@dataclass(frozen=True)
class Request:
    """What a data set is asked to load. ``size`` is the side in pixels that a folder's pictures are brought to;
    ``cache`` the user's cache folder, which need not exist."""

    cache: Path
    folder: str = ""
    size: int = 32
    split_seed: int = 0
    progress: Callable[[float, str], None] = nobody_listens
    cancelled: Callable[[], bool] = never
    wishes: Mapping[str, str] = field(default_factory=dict)
    """How a capture is to be loaded, by name."""

    def report(self, fraction: float, text: str) -> None:
        """Says how far the loading is (0..1), and raises :class:`Cancelled` if it is to stop."""
        if self.cancelled():
            raise Cancelled(f"cancelled while {text}")
        self.progress(fraction, text)


@dataclass(frozen=True)
class DataSet:
    """One entry of the table of data sets. ``option`` and ``load`` answer at once where nothing is to be computed;
    ``fetch`` is a download that can be advanced in small steps and is stopped by closing it."""

    key: str
    option: Callable[[Path], DataOption]
    load: Callable[[Request], Any]
    """An :class:`ImageSource`, or a CaptureSource where the option's kind is captures."""
    fetch: Callable[[Path], Generator[str, None, None]] | None = None


def cache_folder() -> Path:
    """Where fetched and rendered data are kept for this user; it need not exist yet."""
    return Path(platformdirs.user_cache_dir("mutoscope", appauthor=False))


def split(part: Part, seed: int) -> tuple[Part, Part]:
    """``part`` as (train, held out): a permutation fixed by ``seed``, :data:`HELD_OUT` of it held out, at least one."""
    # RandomState, not Generator: NumPy keeps its stream for ever, so a run resumed after an upgrade has its own split.
    order = np.random.RandomState(seed % 2**32).permutation(len(part)).astype(np.int64)
    held_out = max(1, round(len(part) * HELD_OUT))
    return part.take(order[held_out:]), part.take(order[:held_out])


def shown(name: str) -> str:
    """A file's name as it may stand in a line of text: bytes that are no text and line breaks are replaced."""
    text = name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


def named(labels: NDArray[np.int64], names: tuple[str, ...]) -> tuple[str, ...]:
    """The class's name of every picture, for use as its caption."""
    return tuple(names[i] for i in labels.tolist())
