"""A process that is killed while it saves, at random instants: every run folder that it leaves can be opened."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from engine import data
from engine.data.images import ImageSource
from engine.formats.runs import Run
from engine.messages import Open
from engine.opening import build
from engine.registry import find

ROOT = Path(__file__).resolve().parents[2]

SERVER = """
import os, sys
from pathlib import Path
import torch
from engine import data
from engine.messages import Open
from engine.opening import build
from engine.registry import find

torch.set_num_threads(1)
knobs = dict(latent=3, width=4, hidden=16, batch=32)
session = build(find(), Open(1, "vae", "digits", knobs, 3, device="cpu"), {o.key: o for o in data.options()})
session.train_step()  # warm: the children only inherit it
session.read_metrics()
for line in sys.stdin:
    root = Path(line.strip())
    pid = os.fork()
    if pid == 0:
        number = 0
        while True:
            session.start_run(root / f"run{number}")
            for _ in range(12):
                session.train_step()
                session.log_points(session.read_metrics())
                session.save()
            session.run.close()
            number += 1
    sys.stdout.write(f"{pid}\\n")
    sys.stdout.flush()
    os.waitpid(pid, 0)
"""


@pytest.fixture
def server() -> Iterator[subprocess.Popen[str]]:
    """A process that for every folder named on its input forks one that saves runs there until it is killed."""
    command = [sys.executable, "-c", SERVER]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield process
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(10) == 0


def kill_and_open(server: subprocess.Popen[str], root: Path, times: int, seed: int) -> dict[str, int]:
    dice = random.Random(seed)
    registry, options = find(), {o.key: o for o in data.options()}
    sources: dict[tuple[str, str], ImageSource] = {}
    seen = {"runs": 0, "half written": 0, "several snapshots": 0}
    for n in range(times):
        folder = root / str(n)
        folder.mkdir()
        assert server.stdin is not None
        assert server.stdout is not None
        server.stdin.write(f"{folder}\n")
        server.stdin.flush()
        pid = int(server.stdout.readline())
        while not any(folder.iterdir()):
            time.sleep(0.0005)
        time.sleep(dice.uniform(0.0, 0.3))
        os.kill(pid, signal.SIGKILL)
        while Path(f"/proc/{pid}").exists():
            time.sleep(0.001)
        seen["half written"] += bool(list(folder.rglob("*.part")))
        for path in sorted(p for p in folder.iterdir() if not p.name.startswith(".")):
            seen["runs"] += 1
            check_opens(registry, options, sources, path, seen)
    return seen


def check_opens(registry: Any, options: Any, sources: Any, path: Path, seen: dict[str, int]) -> None:
    steps = Run(path).snapshots()
    session = build(registry, Open(1, run=str(path), device="cpu"), options, sources=sources)
    assert session.run is not None
    seen["several snapshots"] += len(steps) > 1
    if steps:
        assert session.step == steps[-1]
        assert session.complaints == ()
    assert not list(path.rglob("*.part"))
    logged = session.metrics_so_far.get("elbo", ([], []))[0]
    # A row is written before the snapshot of its step, so that none is missing once that is there.
    assert list(logged)[-1:] == ([session.step] if len(steps) > 1 else list(logged)[-1:])
    assert session.finite()
    session.run.truncate_metrics(session.step)
    session.train_step()
    session.log_points(session.read_metrics())
    assert session.save() == session.step
    assert Run(path).load("vae")[1] == session.step
    session.run.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_killed_save_leaves_every_run_open(server: subprocess.Popen[str], tmp_path: Path) -> None:
    seen = kill_and_open(server, tmp_path, 3, seed=1)
    assert seen["runs"] >= 3


@pytest.mark.soak
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_twenty_killed_saves_leave_every_run_open(server: subprocess.Popen[str], tmp_path: Path) -> None:
    seen = kill_and_open(server, tmp_path, 20, seed=2)
    assert seen["runs"] >= 20
    assert seen["half written"] >= 3  # else the kills did not fall where they should
    assert seen["several snapshots"] >= 10
