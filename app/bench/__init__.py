"""The benchmarks: a table from name to the function that measures, a printed table and JSON. Measures nothing itself.

Each benchmark runs in a process of its own: what one leaves behind (memory, threads) is not the next one's.
"""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from app.bench.rows import Row, table, write_json
from app.tour.screen import again_on_a_virtual_screen, has_screen

BENCHMARKS = {
    "startup": "app.bench.startup:measure",
    "slider": "app.bench.hands_on:measure_slider",
    "seed_plane": "app.bench.seed_plane:measure",
    "tick": "app.bench.hands_on:measure_tick",
    "train": "app.bench.training:measure_rate",
    "curves": "app.bench.curves:measure",
    "timeline": "app.bench.timeline:measure",
    "isosurface": "app.bench.isosurface:measure",
    "viewport": "app.bench.viewport:measure",
    "elbo": "app.bench.training:measure_elbo",
    "diffusion": "app.bench.diffusion:measure",
    "gan": "app.bench.gan:measure",
    "nerf": "app.bench.nerf:measure",
    "rasteriser": "app.bench.rasteriser:measure",
    "splats": "app.bench.splats:measure",
    "splat_training": "app.bench.splat_training:measure",
}
"""Name -> module and function that answers rows."""
LONG = ("elbo", "diffusion", "gan", "nerf", "splats", "splat_training")
"""Only when named."""
ROOT = Path(__file__).resolve().parents[2]
CHILD = "import sys; from app.bench import measure_here; measure_here(sys.argv[1])"
MARK = "rows: "


def run_bench(names: Sequence[str], json_file: Path | None) -> int:
    """Measures ``names`` (all but the long ones where empty), prints a table and writes ``json_file`` if given.

    0 done, whatever the figures; 1 where a benchmark broke down; 2 for an unknown name.
    """
    unknown = [name for name in names if name not in BENCHMARKS]
    if unknown:
        sys.stderr.write(f"bench: there is no benchmark {unknown[0]!r}; there are {', '.join(BENCHMARKS)}\n")
        return 2
    if not has_screen(os.environ, sys.platform):
        return again_on_a_virtual_screen()
    rows: list[Row] = []
    broken = False
    for name in names or [n for n in BENCHMARKS if n not in LONG]:
        sys.stderr.write(f"measuring {name} …\n")
        found = _in_a_process(name)
        broken = broken or not found
        rows += found
    sys.stdout.write(table(rows))
    if json_file is not None:
        write_json(rows, json_file)
    return 1 if broken else 0


def _in_a_process(name: str) -> list[Row]:
    """The rows of one benchmark; none, with its words on stderr, where it broke down."""
    done = subprocess.run([sys.executable, "-c", CHILD, name], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    line = next((line for line in done.stdout.splitlines() if line.startswith(MARK)), "")
    if done.returncode or not line:
        sys.stderr.write(f"bench: {name} broke down (exit code {done.returncode})\n")
        return []
    return [Row(**row) for row in json.loads(line.removeprefix(MARK))]


def measure_here(name: str) -> None:
    """Measures in this process and writes the rows as one line of JSON."""
    module, _, function = BENCHMARKS[name].partition(":")
    rows = getattr(importlib.import_module(module), function)()
    sys.stdout.write(MARK + json.dumps([asdict(row) for row in rows]) + "\n")
