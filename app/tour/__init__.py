"""The recorded tour: the real window driven through everything that it can do, with a picture of each stop.

Any trouble on the way (a failure, a warning of Qt, an exception, a probe without a picture) makes it fail by name.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from app.tour.screen import again_on_a_virtual_screen, has_screen


def run_tour(
    out: Path,
    size: tuple[int, int] | None = None,
    theme: str | None = None,
    seconds: float = 8.0,
    screenshot: Path | None = None,
    only: tuple[str, ...] = (),
) -> int:
    """Writes the pictures and ``index.md`` into ``out``; 0 if all went well, 1 with a line per trouble on stderr.

    ``size`` of the window in pixels, 1280 x 800 by default; ``theme`` dark or light; about ``seconds`` of training in
    each study, four times as many for the README's picture, which is copied to ``screenshot`` if given. ``only`` names
    studies to which the tour keeps.
    """
    if not has_screen(os.environ, sys.platform):
        return again_on_a_virtual_screen()
    from app.tour.itinerary import Tour
    from app.tour.rig import Rig

    try:
        out.mkdir(parents=True, exist_ok=True)
        for old in out.glob("[0-9][0-9]-*.png"):
            old.unlink()
    except OSError as e:
        sys.stderr.write(f"tour: pictures cannot be written to {out}: {e.strerror}\n")
        return 2
    with Rig(size or (1280, 800), theme or "dark") as rig:
        tour = Tour(rig, out, seconds, only)
        tour.run()
        rig.watch.at("closing")
        rig.close()
    (out / "index.md").write_text(_index(tour.stops), encoding="utf-8")
    if screenshot is not None and tour.screenshot is not None:
        screenshot.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(tour.screenshot, screenshot)
    for line in rig.watch.complaints:
        sys.stderr.write(f"tour: {line}\n")
    sys.stdout.write(f"{len(tour.stops)} pictures in {out}\n")
    return 1 if rig.watch.complaints else 0


def _index(stops: list[tuple[str, str]]) -> str:
    lines = ["# The recorded tour", ""]
    for name, text in stops:
        lines += [f"## {name.removesuffix('.png')}", "", text, "", f"![{text}]({name})", ""]
    return "\n".join(lines)
