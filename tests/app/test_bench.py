"""The benchmarks measure what they say: known delays come out as such, and a bare loop is bare. No figure is judged."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QWidget
from pytestqt.qtbot import QtBot

import app.bench
from app.bench import hands_on, seed_plane, startup
from app.bench.bare_engine import BareEngine
from app.bench.rows import Row, median, percentile, table, write_json
from app.tour.hand import Hand
from app.tour.rig import Rig


@pytest.fixture
def rig(studies: dict[str, Any]) -> Iterator[Rig]:
    with Rig((1000, 700), threads=1) as rig:
        assert rig.ready()
        assert rig.open("vae", "digits")
        yield rig


# ---- rows -----------------------------------------------------------------------------------------------------------


def test_percentiles_are_numpys() -> None:
    values = list(np.random.default_rng(0).exponential(size=37))
    for q in (0, 5, 50, 95, 99, 100):
        assert percentile(values, q) == pytest.approx(np.percentile(values, q))
    assert median([3.0, 1.0, 2.0, 10.0]) == 2.5
    with pytest.raises(ValueError, match="nothing was measured"):
        percentile([], 50)


def test_the_table_is_aligned_and_a_broken_promise_stands_out() -> None:
    rows = [Row("a", 1234, "ms", "peer", 1.5, "<= 1", False), Row("long name", 2, "s")]
    head, first, second = table(rows).splitlines()
    assert first.index("ms") == second.index("s") == head.index("unit")
    assert first.split() == ["a", "1,234", "ms", "peer", "1.50", "<=", "1", "NO"]
    assert second.split() == ["long", "name", "2", "s"]


def test_json_names_the_machine(tmp_path: Path) -> None:
    write_json([Row("a", 1.0, "ms", "peer", 0.5)], tmp_path / "new" / "bench.json")
    (row,) = json.loads((tmp_path / "new" / "bench.json").read_text("utf-8"))
    assert {"name", "figure", "unit", "peer", "ratio", "machine"} <= row.keys()
    assert "cores" in row["machine"]


# ---- the command ----------------------------------------------------------------------------------------------------


def test_an_unknown_name_is_refused_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert app.bench.run_bench(["speed"], None) == 2
    told = capsys.readouterr().err
    assert "'speed'" in told
    assert "startup" in told
    assert told.count("\n") == 1


def test_every_name_leads_to_a_function() -> None:
    import importlib

    for target in app.bench.BENCHMARKS.values():
        module, _, function = target.partition(":")
        assert callable(getattr(importlib.import_module(module), function))


def test_all_but_the_long_ones_run_and_a_breakdown_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    asked: list[str] = []

    def measured(name: str) -> list[Row]:
        asked.append(name)
        return [] if name == "tick" else [Row(name, 1.0, "ms")]

    monkeypatch.setattr(app.bench, "_in_a_process", measured)
    assert app.bench.run_bench([], tmp_path / "b.json") == 1
    assert asked == [name for name in app.bench.BENCHMARKS if name not in app.bench.LONG]
    assert [row["name"] for row in json.loads((tmp_path / "b.json").read_text("utf-8"))] == [
        name for name in asked if name != "tick"
    ]
    assert "slider" in capsys.readouterr().out


def test_a_benchmark_comes_back_from_its_process(monkeypatch: pytest.MonkeyPatch) -> None:
    row = {"name": "x", "figure": 2.5, "unit": "ms"}
    monkeypatch.setattr(app.bench, "CHILD", f"print('noise'); print({app.bench.MARK!r} + {json.dumps([row])!r})")
    assert app.bench._in_a_process("curves") == [Row("x", 2.5, "ms")]
    monkeypatch.setattr(app.bench, "CHILD", "raise SystemExit(3)")
    assert app.bench._in_a_process("curves") == []


# ---- what is measured -----------------------------------------------------------------------------------------------


def test_a_start_is_timed_from_the_process_on(tmp_path: Path) -> None:
    code = "import sys, time; time.sleep(0.3); sys.stdout.write(f'{time.monotonic()} True')"
    seconds, torch = startup.timed(code, str(tmp_path))
    assert 0.3 <= seconds < 3.0
    assert torch
    with pytest.raises(RuntimeError, match="made up"):
        startup.timed("raise OSError('made up')", str(tmp_path))


def test_the_window_is_timed_before_torch_and_writes_nothing_of_the_users(tmp_path: Path) -> None:
    seconds, torch = startup.timed(startup.WINDOW, str(tmp_path))
    assert 0.1 < seconds < 30
    assert not torch
    assert list(tmp_path.rglob("window.json")) == []


def test_a_blocked_window_shows_in_its_ticks(qtbot: QtBot) -> None:
    widget = QWidget()
    qtbot.addWidget(widget)
    timer = QTimer()
    timer.setSingleShot(True)
    timer.timeout.connect(lambda: time.sleep(0.12))
    timer.start(150)
    ms = hands_on.ticks(SimpleNamespace(hand=Hand(widget)), 0.5)  # type: ignore[arg-type]
    assert max(ms) >= 110
    assert 14 < median(ms) < 40


def test_every_move_of_the_slider_is_answered_and_none_before_it_was_made(rig: Rig) -> None:
    seen: list[int] = []
    rig.window.bench.control_changed.connect(lambda probe, name, value: seen.append(1))
    seconds = hands_on.SliderRun(rig).run(moves=30)
    assert len(seconds) == 30
    assert len(seen) >= 30
    assert min(seconds) > 0.0005
    assert max(seconds) < 20
    assert "ask" not in vars(rig.window.bench)  # nothing is left listening


def test_a_hand_goes_round_in_the_plane_and_every_move_is_answered(rig: Rig) -> None:
    seen: list[tuple[float, float]] = []
    rig.window.bench.control_changed.connect(lambda probe, name, value: seen.append(value))
    seconds = seed_plane.PlaneRun(rig).run(moves=25)
    assert len(seconds) == 25
    assert 0.0005 < min(seconds) <= max(seconds) < 20
    away = [math.hypot(u - 0.5, v - 0.5) for u, v in seen]
    assert len(set(seen)) >= 20
    assert all(0.2 < r < 0.55 for r in away), "on a circle around the middle"


def test_a_slow_engine_shows_in_the_latency(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    from engine.nn.coding.latent_probes import LatentProbes

    plain = LatentProbes._z

    def slow(self: Any, z: Any) -> Any:
        time.sleep(0.08)
        return plain(self, z)

    monkeypatch.setattr(LatentProbes, "_z", slow)
    assert median(hands_on.SliderRun(rig).run(moves=20)) >= 0.08


def test_the_bare_loop_and_the_bare_engine_take_real_steps(studies: dict[str, Any]) -> None:
    from app.bench.plain import BareLoop

    assert BareLoop("vae", "digits").rate(0.3) > 1
    with BareEngine("vae", "digits", {"width": 4, "hidden": 16, "latent": 2}) as engine:
        assert engine.rate(0.5) > 1


def test_a_failure_of_the_engine_breaks_a_benchmark() -> None:
    with pytest.raises(RuntimeError, match="there is no study"), BareEngine("nothing", ""):
        pass


def test_the_reference_is_the_closed_form_where_there_is_one() -> None:
    """With all weights zero q is the prior and every pixel a fair coin: the ELBO is -784 log 2."""
    import torch

    from app.bench.plain import _Reference

    model = _Reference()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
        elbo = model.elbo(torch.rand(3, 1, 28, 28))
    assert elbo.tolist() == pytest.approx([-784 * math.log(2)] * 3, rel=1e-5)
