"""The benchmark of splats' training: who is held against whom, what is promised, and one run from end to end."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.bench import LONG, splat_training
from app.bench.judged import Plan
from app.bench.splat_training import marks, plan, row
from app.headless import CommandError


def test_the_peer_is_trained_first_and_both_are_looked_at_twice() -> None:
    whole = plan({})
    assert (whole.studies, whole.cpu_seconds, whole.threads) == (("nerf_hash", "gaussian_splatting"), 300.0, None)
    turned = plan({"MUTOSCOPE_BENCH_STUDIES": "gaussian_splatting,nerf_hash"})
    assert turned.studies == whole.studies
    assert marks(300.0) == (60.0, 300.0)
    assert marks(20.0) == (20.0,)
    assert "splat_training" in LONG
    with pytest.raises(CommandError, match="'nerf' is not one of nerf_hash, gaussian_splatting"):
        plan({"MUTOSCOPE_BENCH_STUDIES": "nerf"})


def test_more_than_the_peer_is_promised_at_the_marks_alone() -> None:
    better = row("gaussian_splatting", 60.0, 30.0, "5 steps", 24.0)
    assert (better.ratio, better.kept, better.peer) == (1.25, True, "nerf_hash: 24.00 dB; 5 steps")
    assert row("gaussian_splatting", 300.0, 30.0, "", 30.0).kept is False
    assert row("gaussian_splatting", 20.0, 30.0, "", 24.0).kept is None
    assert row("nerf_hash", 60.0, 24.0, "", None).ratio is None


def test_both_are_trained_and_held_against_each_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small = {"batch": 64, "levels": 2, "width": 16, "steps": 32, "resolution": 8}
    monkeypatch.setattr(splat_training, "KNOBS", {"nerf_hash": small, "gaussian_splatting": {"count": 300}})
    wanted, reached = Plan(0.3, studies=splat_training.STUDIES), dict[float, float]()
    (peer,) = splat_training.study_rows("nerf_hash", wanted, tmp_path, reached)
    assert reached == {0.3: peer.figure}
    (ours,) = splat_training.study_rows("gaussian_splatting", wanted, tmp_path, reached)
    assert reached == {0.3: peer.figure}
    assert ours.ratio == pytest.approx(ours.figure / peer.figure)
    assert 5 < ours.figure < 40
    assert ours.kept is None  # nothing is promised after a third of a second
    assert all((tmp_path / f"{study}.png").stat().st_size > 1000 for study in splat_training.STUDIES)
    (missing,) = splat_training.study_rows("splats_by_hand", wanted, tmp_path, reached)
    assert "no such study" in missing.peer
