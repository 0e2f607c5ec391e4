"""``convert``: a 3-D file written as another kind, and how much of it came through. Knows no window and no study."""

from __future__ import annotations

import sys
import time
from collections.abc import Generator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from app.headless import CommandError
from app.headless.progress import Progress
from engine.scene import Mesh, Points, Splats, Thing


def convert(source: str, target: str, force: bool = False, spz_version: int = 3) -> None:
    """Writes what is in ``source`` to ``target``, by its ending, and tells on stdout what was rounded and what lost.
    CommandError for a file that cannot be read or written, or that is there already and not to be replaced."""
    from engine.formats.scene import SceneFileError, read
    from engine.formats.scene.write import WRITERS
    from engine.formats.splats import ending_of

    before, after = Path(source), Path(target)
    if not any(after.name.lower().endswith(ending) for ending in WRITERS):
        raise CommandError(f"{after.name}: its ending {after.suffix!r} is unknown; use one of {' '.join(WRITERS)}")
    if not after.absolute().parent.is_dir():
        raise CommandError(f"{target}: there is no such folder")
    if after.exists() and not force:
        raise CommandError(f"{target}: is there already; --force replaces it")
    progress = _Told()
    try:
        things = progress.through(read(before), f"reading {before.name}")
        splats = [thing for thing in things if isinstance(thing, Splats)]
        if splats and ending_of(after):
            lines = _splats(splats, after, progress, spz_version)
        else:
            lines = _others(things, after)
    except SceneFileError as e:
        raise CommandError(str(e)) from None
    finally:
        progress.close()
    sizes = f"{before.stat().st_size:,} -> {after.stat().st_size:,} bytes"
    sys.stdout.write("\n".join([f"{target}: {_words(things)}, {sizes}", *lines]) + "\n")


class _Told(Progress):
    """Of work that is mostly done at once: nothing is said in the first second."""

    def __init__(self) -> None:
        super().__init__()
        self._shown_at = time.monotonic()

    def through(self, steps: Generator[float, None, Any], text: str) -> Any:
        """What ``steps`` return at their end."""
        while True:
            try:
                self.tell(text, next(steps))
            except StopIteration as end:
                return end.value

    def tell(self, text: str, share: float) -> None:
        if self.due:
            self.show(f"{text}  {share:.0%}")


def _splats(splats: Sequence[Splats], after: Path, progress: _Told, spz_version: int) -> list[str]:
    """Writes the splats and reads them again."""
    from engine.formats.scene import read
    from engine.formats.splats import field_errors, write

    written = write(after, splats, partial(progress.tell, f"writing {after.name}"), spz_version)
    (back,) = progress.through(read(after), f"checking {after.name}")
    lines = []
    if len(back.xyz) == len(written.splats.xyz):
        errors = field_errors(written.splats, back)
        lines = [f"  {'error':<10} {'largest':>11} {'mean':>11}"]
        for e in errors:
            what = f"{e.unit + ', ' if e.unit else ''}{e.what}"
            lines.append(f"  {e.name:<10} {e.largest:>11.3g} {e.mean:>11.3g}   {what}")
    else:
        lines.append(f"  comes back as {len(back.xyz):,} splats of {len(written.splats.xyz):,}")
    return [*lines, *(f"  not kept: {line}" for line in written.lost)]


def _others(things: Sequence[Thing], after: Path) -> list[str]:
    """Writes points and meshes."""
    from engine.formats.scene.write import write

    write(after, things)
    flat = any(isinstance(thing, Splats) for thing in things)
    return ["  not kept: sizes, turns, opacities and harmonics: the splats are points there"] if flat else []


def _words(things: Sequence[Thing]) -> str:
    splats = [t for t in things if isinstance(t, Splats)]
    counts = {
        "splats": sum(len(t.xyz) for t in splats),
        "points": sum(len(t.xyz) for t in things if isinstance(t, Points)),
        "triangles": sum(len(t.faces) for t in things if isinstance(t, Mesh)),
    }
    return ", ".join(f"{n:,} {name}" for name, n in counts.items() if n) or f"{len(things)} things"
