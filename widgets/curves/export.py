"""Writes curves to files on a thread of their own: CSV, SVG, PNG. Knows arrays and pictures, no widget."""

from __future__ import annotations

import contextlib
import csv
import os
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import repeat
from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

import numpy as np
from PySide6.QtCore import QObject, Signal
from PySide6.QtGui import QImage

from widgets.curves.pyramid import Floats

_ROWS = 2_000
"""Rows of CSV written at a time: about a millisecond, after which the window may go on."""


class Stopped(Exception):
    """The view went away before its file was complete."""


@dataclass(frozen=True)
class Table:
    """The full data of one curve."""

    run: str
    metric: str
    steps: Floats
    values: Floats


@dataclass(frozen=True)
class Line:
    """A line of a drawing: ``points`` (N, 2) in pixels, rows that are not finite break it."""

    points: Floats
    colour: str
    width: float


@dataclass(frozen=True)
class Drawing:
    """All that an SVG needs. ``plot`` is (left, top, width, height); ticks are (pixels, text) along each axis."""

    size: tuple[float, float]
    plot: tuple[float, float, float, float]
    x_ticks: Sequence[tuple[float, str]]
    y_ticks: Sequence[tuple[float, str]]
    right_ticks: Sequence[tuple[float, str]]
    lines: Sequence[Line]
    legend: Sequence[tuple[str, str]]
    """(colour, text)"""
    ground: str
    grid: str
    text: str


class Writer(QObject):
    """Runs one write per call on its own thread; a file appears whole under its name or not at all."""

    written = Signal(str)
    failed = Signal(str)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []
        # No bound method: it would die with this object before the signal arrives.
        self.destroyed.connect(partial(_end, self._stop, self._threads))

    def start(self, path: str, write: Callable[[Path, threading.Event], None]) -> None:
        """Calls ``write(temporary file, stop)`` on a new thread, then tells by a signal how it went."""
        self._threads[:] = [t for t in self._threads if t.is_alive()]
        thread = threading.Thread(target=self._run, args=(path, write), name="curves export")
        self._threads.append(thread)
        thread.start()

    def finish(self) -> None:
        """Stops what is being written and waits for it: some milliseconds."""
        _end(self._stop, self._threads)

    def _run(self, path: str, write: Callable[[Path, threading.Event], None]) -> None:
        part = Path(path).with_name(f".{Path(path).name}.{threading.get_ident()}.part")
        try:
            write(part, self._stop)
            if self._stop.is_set():
                raise Stopped
            os.replace(part, path)
        except Stopped:
            part.unlink(missing_ok=True)
        except OSError as error:
            with contextlib.suppress(OSError):
                part.unlink(missing_ok=True)
            self._tell(self.failed, f"{path}: {error.strerror or error}")
        else:
            self._tell(self.written, path)

    def _tell(self, signal: object, text: str) -> None:
        if not self._stop.is_set():
            signal.emit(text)  # type: ignore[attr-defined]  # a bound signal, whose type has no name


def _end(stop: threading.Event, threads: list[threading.Thread], *_: object) -> None:
    stop.set()
    for thread in threads:
        thread.join()
    threads.clear()


def write_csv(tables: Sequence[Table], path: Path, stop: threading.Event) -> None:
    """Columns run, metric, step, value; numbers as Python writes them, so that they read back exactly."""
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(("run", "metric", "step", "value"))
        for table in tables:
            for at in range(0, len(table.steps), _ROWS):
                if stop.is_set():
                    raise Stopped
                steps = table.steps[at : at + _ROWS]
                whole = bool((steps == np.floor(steps)).all())
                written = (steps.astype(np.int64) if whole else steps).tolist()
                values = table.values[at : at + _ROWS].tolist()
                rows.writerows(zip(repeat(table.run), repeat(table.metric), written, values, strict=False))
                time.sleep(0.0005)  # lets the window have the interpreter


def write_image(image: QImage, path: Path, stop: threading.Event) -> None:
    if not image.save(str(path), "PNG"):  # type: ignore[call-overload]  # the stub wants bytes, Qt takes text
        raise OSError("the picture could not be written")


def write_svg(drawing: Drawing, path: Path, stop: threading.Event) -> None:
    path.write_text(svg(drawing), encoding="utf-8")


def svg(d: Drawing) -> str:
    """The drawing as text. Written by hand because Qt's SVG writer does not clip: lines would leave the plot."""
    left, top, width, height = d.plot
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{d.size[0]:g}" height="{d.size[1]:g}"'
        f' viewBox="0 0 {d.size[0]:g} {d.size[1]:g}" font-family="sans-serif" font-size="11">',
        f'<rect width="100%" height="100%" fill={quoteattr(d.ground)}/>',
        f'<clipPath id="plot"><rect x="{left:g}" y="{top:g}" width="{width:g}" height="{height:g}"/></clipPath>',
    ]
    grid = f'stroke={quoteattr(d.grid)} stroke-width="1"'
    for x, text in d.x_ticks:
        out.append(f'<line x1="{x:.1f}" y1="{top:g}" x2="{x:.1f}" y2="{top + height:g}" {grid}/>')
        out.append(_text(x, top + height + 14, text, d.text, "middle"))
    for y, text in d.y_ticks:
        out.append(f'<line x1="{left:g}" y1="{y:.1f}" x2="{left + width:g}" y2="{y:.1f}" {grid}/>')
        out.append(_text(left - 6, y + 4, text, d.text, "end"))
    out += [_text(left + width + 6, y + 4, text, d.text, "start") for y, text in d.right_ticks]
    out.append('<g clip-path="url(#plot)" fill="none" stroke-linejoin="round">')
    for line in d.lines:
        out.append(f'<path stroke={quoteattr(line.colour)} stroke-width="{line.width:g}" d="{_path(line.points)}"/>')
    out.append("</g>")
    at = left
    for colour, text in d.legend:
        out.append(f'<rect x="{at:g}" y="8" width="8" height="8" rx="2" fill={quoteattr(colour)}/>')
        out.append(_text(at + 14, 16, text, d.text, "start"))
        at += 34 + 6.2 * len(text)
    return "\n".join([*out, "</svg>\n"])


def _text(x: float, y: float, text: str, colour: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" fill={quoteattr(colour)} text-anchor="{anchor}">{escape(text)}</text>'


def _path(points: Floats) -> str:
    pen_up, out = True, []
    for (x, y), good in zip(points.tolist(), np.isfinite(points.sum(1)).tolist(), strict=True):
        if good:
            out.append(f"{'M' if pen_up else 'L'}{x:.1f} {y:.1f}")
        pen_up = not good
    return "".join(out)
