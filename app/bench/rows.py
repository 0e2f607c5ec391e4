"""What a benchmark answers: rows of figures, an aligned table of them, and JSON. Measures nothing."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class Row:
    """One figure. ``peer`` says what it is measured against, ``ratio`` is figure over peer (for rates and times alike),
    ``bar`` the promise in words and ``kept`` whether it is kept; None where nothing is promised."""

    name: str
    figure: float
    unit: str
    peer: str = ""
    ratio: float | None = None
    bar: str = ""
    kept: bool | None = None


HEADS = ("name", "figure", "unit", "peer", "ratio", "bar", "kept")


def percentile(values: Sequence[float], q: float) -> float:
    """The ``q``-th percentile, 0..100, by linear interpolation; ValueError without values."""
    ordered = sorted(values)
    if not ordered:
        raise ValueError("nothing was measured")
    place = q / 100 * (len(ordered) - 1)
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def median(values: Sequence[float]) -> float:
    return percentile(values, 50)


def machine() -> str:
    """Processor, cores, system and Python in one line."""
    model = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.is_file():
        lines = info.read_text("utf-8", errors="replace").splitlines()
        model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), model)
    return f"{model}, {os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}"


def table(rows: Sequence[Row]) -> str:
    """The rows under one another, numbers to the right."""
    cells = [list(HEADS)]
    for row in rows:
        ratio = "" if row.ratio is None else f"{row.ratio:.2f}"
        kept = {True: "yes", False: "NO", None: ""}[row.kept]
        cells.append([row.name, f"{row.figure:,.4g}", row.unit, row.peer, ratio, row.bar, kept])
    widths = [max(len(line[i]) for line in cells) for i in range(len(HEADS))]
    right = {1, 4}
    lines = [
        "  ".join(
            text.rjust(w) if i in right else text.ljust(w) for i, (text, w) in enumerate(zip(line, widths, strict=True))
        )
        for line in cells
    ]
    return "\n".join(line.rstrip() for line in lines) + "\n"


def write_json(rows: Sequence[Row], path: Path) -> None:
    """An array of rows, each with the machine that it was measured on."""
    where = machine()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps([asdict(row) | {"machine": where} for row in rows], indent=1), encoding="utf-8")
