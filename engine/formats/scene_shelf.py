"""3-D files that several probes of a study ask for: each read once, and kept until it changes or nobody asks any more.

Who asks while a file is being read reads on with those who asked before. Knows no study and no window; for one thread.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from engine.formats.scene import SceneFileError, glimpse, named_apart, read
from engine.formats.scene.common import Reading
from engine.scene import Thing

COARSE = 50_000
"""Points or splats of a first picture."""

Stamp = tuple[int, int]
"""Time and size of a file; (0, 0) where it is not there."""


@dataclass(frozen=True)
class Together:
    """What is in files: ``things`` under different names, ``notices`` on those that cannot be read, all ``stamps``.
    With ``progress`` < 1 some are there in part, and more follows."""

    things: tuple[Thing, ...] = ()
    notices: tuple[str, ...] = ()
    stamps: tuple[Stamp, ...] = ()
    progress: float = 1.0


@dataclass(frozen=True)
class _Kept:
    """A file as it was when its reading began."""

    stamp: Stamp
    things: tuple[Thing, ...] = ()
    notice: str = ""


@dataclass
class _Reading:
    """A file that is being read, and how many wait for it."""

    stamp: Stamp
    steps: Reading[tuple[Thing, ...]]
    waiting: int = 0
    found: _Kept | None = None


class Shelf:
    """Holds what was read of the files that were asked for last."""

    def __init__(self) -> None:
        self._kept: dict[str, _Kept] = {}
        self._readings: dict[str, _Reading] = {}

    def together(self, files: Sequence[str], large: int = 0) -> Iterator[float | Together]:
        """How far it is, 0..1, and at last what is in all files. With ``large``, what of a file of more points or
        splats can be seen at once comes before it is read."""
        self._kept = {path: kept for path, kept in self._kept.items() if path in files}
        found: list[_Kept] = []
        for i, path in enumerate(files):
            coarse = glimpse(path, COARSE, large) if large and self._fresh(path) is None else None
            if coarse is not None:
                done = [thing for k in found for thing in k.things]
                yield Together(_apart([*done, coarse]), progress=max(0.01, i / len(files)))
            found.append((yield from self._one(path, i / len(files), 1 / len(files))))
        yield Together(
            _apart([thing for k in found for thing in k.things]),
            tuple(k.notice for k in found if k.notice),
            tuple(k.stamp for k in found),
        )

    def _fresh(self, path: str) -> _Kept | None:
        kept = self._kept.get(path)
        return kept if kept is not None and kept.stamp == stamp_of(path) else None

    def _one(self, path: str, at: float, part: float) -> Generator[float, None, _Kept]:
        """A file, read by whoever asks for it just now; tells how far all are, of which it is ``part`` from ``at``."""
        kept = self._fresh(path)
        if kept is not None:
            return kept
        under = self._readings.setdefault(path, _Reading(stamp_of(path), read(path)))
        under.waiting += 1
        try:
            while under.found is None:
                try:
                    share = next(under.steps)
                except StopIteration as end:
                    under.found = _Kept(under.stamp, end.value)
                except SceneFileError as e:
                    under.found = _Kept(under.stamp, notice=str(e))
                else:
                    yield min(0.999, at + part * share)
        finally:
            under.waiting -= 1
            if self._readings.get(path) is under and (under.found is not None or not under.waiting):
                del self._readings[path]
                under.steps.close()
        self._kept[path] = under.found
        return under.found


def _apart(things: Sequence[Thing]) -> tuple[Thing, ...]:
    """Things under names of which none is there twice."""
    return tuple(replace(t, name=name) for t, name in zip(things, named_apart(things), strict=True))


def stamp_of(path: str) -> Stamp:
    """Tells whether a file has changed."""
    try:
        stat = Path(path).stat()
    except (OSError, ValueError):
        return (0, 0)
    return (stat.st_mtime_ns, stat.st_size)
