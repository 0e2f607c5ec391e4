"""``train`` and ``resume``: exact steps, the same bits after a break, honest figures, and every way to end early."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from app.cli import main
from app.headless import DIVERGED, FAULT, INTERRUPTED
from app.headless.client import Client, Interrupted
from app.headless.progress import Progress, span, step_line
from engine.formats.runs import Run, read_snapshot

ROOT = Path(__file__).resolve().parents[2]
TINY = ["--set", "latent=3", "--set", "width=4", "--set", "hidden=16", "--set", "batch=32", "--device", "cpu"]


def rows_of(run: Path) -> list[dict[str, str]]:
    """The rows of training in metrics.csv, without the held-out figures and the vectors, which come now and then."""
    with open(run / "metrics.csv", newline="") as f:
        rows = [{k: v for k, v in row.items() if "/" not in k} for row in csv.DictReader(f)]
    return [row for row in rows if row["elbo"]]


def summary_of(run: Path) -> dict[str, Any]:
    value: dict[str, Any] = json.loads((run / "summary.json").read_text())
    return value


def differences(a: Any, b: Any, at: str = "") -> list[str]:
    """Where two nested states differ in a single bit."""
    if isinstance(a, torch.Tensor):
        return [] if a.dtype == b.dtype and torch.equal(a, b) else [at]
    if isinstance(a, Mapping):
        assert list(a) == list(b)
        return [d for key in a for d in differences(a[key], b[key], f"{at}/{key}")]
    if isinstance(a, list):
        assert len(a) == len(b)
        return [d for i, (x, y) in enumerate(zip(a, b, strict=True)) for d in differences(x, y, f"{at}/{i}")]
    return [] if a == b else [at]


@pytest.fixture(scope="module", autouse=True)
def _loaded(studies: dict[str, Any]) -> None:
    """Every test here starts an engine: what that imports is imported before, with its own warnings."""


@pytest.fixture(scope="module")
def six(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("runs") / "six"
    assert main(["train", "vae", "--steps", "6", "--seed", "5", *TINY, "--out", str(run)]) == 0
    return run


# ---- figures --------------------------------------------------------------------------------------------------------


def test_exactly_so_many_steps_are_trained_and_recorded(six: Path) -> None:
    assert [row["step"] for row in rows_of(six)] == ["1", "2", "3", "4", "5", "6"]
    summary = summary_of(six)
    assert summary["steps"] == 6
    assert summary["seed"] == 5
    assert summary["knobs"]["latent"] == 3
    assert summary["train"]["elbo"] == pytest.approx(float(rows_of(six)[-1]["elbo"]))
    assert summary["train"]["elbo"] == pytest.approx(summary["train"]["reconstruction"] - summary["train"]["kl"])
    assert Run(six).snapshots() == (0, 6)
    keys = "study data knobs seed steps seconds steps_per_second train held_out peak_memory_bytes device versions"
    assert list(summary) == keys.split()


def test_the_held_out_figures_are_of_the_whole_held_out_part(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import engine.worker as worker

    few = [
        name
        for name in sys.modules
        if name.startswith("engine.worker") and hasattr(sys.modules[name], "EVALUATE_ITEMS")
    ]
    assert worker.__name__ == "engine.worker"
    assert few, "the engine's glances at the held-out part have a size"
    for name in few:
        monkeypatch.setattr(sys.modules[name], "EVALUATE_ITEMS", 10)
    run = tmp_path / "run"
    assert main(["train", "autoencoder", "--steps", "3", *TINY, "--out", str(run)]) == 0
    held_out = summary_of(run)["held_out"]
    assert f"held out: reconstruction {held_out['reconstruction']:.5g}" in capsys.readouterr().out

    from engine import data
    from engine.messages import Open
    from engine.opening import build
    from engine.registry import find

    options = {option.key: option for option in data.options()}
    session = build(find(), Open(1, run=str(run), keep=False, device="cpu"), options)
    source = session.study.source
    with torch.no_grad():
        batch = source.held_out_batch(0, len(source.held_out))
        whole = {name: float(values.double().mean()) for name, values in session.study.evaluate(batch).items()}
    assert set(held_out) == {"reconstruction", "pca"}
    assert held_out == pytest.approx(whole, rel=1e-5)


def test_training_for_seconds_stops_in_time(tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert main(["train", "vae", "--seconds", "1", *TINY, "--out", str(run)]) == 0
    summary = summary_of(run)
    assert summary["steps"] == len(rows_of(run)) > 3
    assert 0.4 < summary["seconds"] < 2.0
    assert Run(run).snapshots()[-1] == summary["steps"]


def test_images_of_a_folder_are_found_again_when_the_run_is_resumed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from PIL import Image

    monkeypatch.chdir(tmp_path)
    Path("pictures").mkdir()
    for i in range(24):
        Image.new("RGB", (32, 32), (10 * i, 255 - 10 * i, 90)).save(f"pictures/{i}.png")
    train = ["train", "vae", "--folder", "pictures", "--steps", "2", *TINY, "--set", "batch=8", "--out", "run"]
    assert main(train) == 0
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert main(["resume", str(tmp_path / "run"), "--steps", "1"]) == 0
    assert summary_of(tmp_path / "run")["steps"] == 3


# ---- the same bits --------------------------------------------------------------------------------------------------


def test_three_steps_and_three_more_are_six(six: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert main(["train", "vae", "--steps", "3", "--seed", "5", *TINY, "--out", str(run)]) == 0
    assert main(["resume", str(run), "--steps", "3"]) == 0
    straight, step = read_snapshot(Run(six).snapshot_path(6))
    broken, at = read_snapshot(Run(run).snapshot_path(6))
    assert (step, at) == (6, 6)
    assert straight["parts"]["optimizer"]["state"], "Adam's moments are in the snapshot"
    straight.pop("seconds")
    broken.pop("seconds")
    assert differences(straight, broken) == []
    assert rows_of(run) == rows_of(six)
    assert summary_of(run)["held_out"] == summary_of(six)["held_out"]
    assert summary_of(run)["train"] == summary_of(six)["train"]


def test_another_seed_gives_other_weights(six: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert main(["train", "vae", "--steps", "1", "--seed", "6", *TINY, "--out", str(run)]) == 0
    assert rows_of(run)[0] != rows_of(six)[0]


def test_resume_goes_on_to_the_step_once_asked_for_and_then_further(
    six: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import app.headless.training as training

    monkeypatch.setattr(training, "DEFAULT_STEPS", 4)
    run = Path(shutil.copytree(six, tmp_path / "run"))
    config = json.loads((run / "config.json").read_text())
    assert config["target"] == 6
    (run / "config.json").write_text(json.dumps({**config, "target": 8}))
    assert main(["resume", str(run)]) == 0
    assert summary_of(run)["steps"] == 8
    assert main(["resume", str(run)]) == 0
    assert summary_of(run)["steps"] == 12
    assert [row["step"] for row in rows_of(run)] == [str(i) for i in range(1, 13)]


# ---- early ends -----------------------------------------------------------------------------------------------------


def test_training_that_diverges_ends_with_3_and_keeps_the_last_good_snapshot(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from engine.studies.latent.vae import VAE

    good, taken = VAE.train_step, []

    def step(self: VAE, batch: Any) -> dict[str, torch.Tensor]:
        taken.append(1)
        metrics = good(self, batch)
        return {**metrics, "kl": metrics["kl"] * torch.nan} if len(taken) == 4 else metrics

    monkeypatch.setattr(VAE, "train_step", step)
    run = tmp_path / "run"
    capsys.readouterr()
    assert main(["train", "vae", "--steps", "50", *TINY, "--out", str(run)]) == DIVERGED
    line = capsys.readouterr().err.splitlines()[-1]
    assert "training diverged: kl is not a finite number at step 4" in line
    assert f"{run} keeps the last good snapshot, step 0" in line
    assert Run(run).snapshots() == (0,)
    assert [row["step"] for row in rows_of(run)] == ["1", "2", "3"]
    assert main(["probe", str(run), "samples", "--out", str(tmp_path / "a.png")]) == 0


def test_a_faulty_study_is_a_fault_with_its_traceback(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from engine.studies.latent.vae import VAE

    monkeypatch.setattr(VAE, "train_step", lambda self, batch: 1 / 0)
    capsys.readouterr()
    assert main(["train", "vae", "--steps", "5", *TINY, "--out", str(tmp_path / "run")]) == FAULT
    lines = capsys.readouterr().err.splitlines()
    assert lines[-1].startswith("main.py train: Training stopped at step 0: ZeroDivisionError")
    assert "Traceback (most recent call last):" in lines


def test_a_last_snapshot_that_cannot_be_saved_is_no_success(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = Run.save

    def save(self: Run, study: str, step: int, state: Any) -> None:
        if step:
            raise OSError(28, "No space left on device")
        whole(self, study, step, state)

    monkeypatch.setattr(Run, "save", save)
    assert main(["train", "vae", "--steps", "2", *TINY, "--out", str(tmp_path / "run")]) == FAULT
    assert "No space left on device" in capsys.readouterr().err


def test_ctrl_c_saves_and_says_how_to_go_on(tmp_path: Path) -> None:
    """In a process of its own, which also shows that training needs neither Qt nor a display."""
    run = tmp_path / "a run"
    code = (
        "import sys; from app.cli import main; code = main(sys.argv[1:]);"
        "print([name for name in sys.modules if name.startswith(('PySide6', 'pyqtgraph', 'OpenGL'))]); sys.exit(code)"
    )
    argv = [sys.executable, "-c", code, "train", "vae", "--steps", "1000000", *TINY, "--out", str(run)]
    environment = {k: v for k, v in os.environ.items() if k not in ("DISPLAY", "WAYLAND_DISPLAY")}
    process = subprocess.Popen(
        argv, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stderr is not None
        end = time.monotonic() + 60
        while not re.match(r"step [1-9].* / 1,000,000 .*elbo", line := process.stderr.readline()):
            assert line, "it ended before it trained"
            assert time.monotonic() < end
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == INTERRUPTED
    assert out == "[]\n"
    found = re.fullmatch(
        rf"main\.py train: interrupted; saved at step (\d+); go on with: main\.py resume '{re.escape(str(run))}'",
        err.splitlines()[-1],
    )
    assert found, err
    step = int(found[1])
    assert Run(run).snapshots()[-1] == step == summary_of(run)["steps"] > 0
    assert json.loads((run / "config.json").read_text())["target"] == 1_000_000
    assert main(["resume", str(run), "--steps", "1"]) == 0
    assert [int(row["step"]) for row in rows_of(run)] == list(range(1, step + 2))


def test_the_second_ctrl_c_is_the_systems_own() -> None:
    before = signal.getsignal(signal.SIGINT)
    with Client() as client:
        client.catalogue()
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(Interrupted):
            client.next_report()
        assert signal.getsignal(signal.SIGINT) is signal.SIG_DFL
    assert signal.getsignal(signal.SIGINT) is before


def test_ctrl_c_before_training_leaves_no_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def catalogue(self: Client) -> None:
        raise Interrupted

    monkeypatch.setattr(Client, "catalogue", catalogue)
    assert main(["train", "vae", "--out", str(tmp_path / "run")]) == INTERRUPTED
    assert "interrupted before anything was trained" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


# ---- the line of progress -------------------------------------------------------------------------------------------


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_progress_rewrites_its_line_on_a_terminal_only() -> None:
    screen, file = Terminal(), io.StringIO()
    for stream in (screen, file):
        progress = Progress(stream)
        assert progress.due
        progress.show("one")
        assert not progress.due
        progress.show("two")
        progress.close()
        progress.close()
    assert screen.getvalue() == "\rone\x1b[K\rtwo\x1b[K\n"
    assert file.getvalue() == "one\ntwo\n"


def test_the_line_of_progress_says_how_far_how_fast_and_how_good() -> None:
    assert (
        step_line(1240, 3000, 29.04, {"elbo": -18.23456})
        == "step 1,240 / 3,000  29.0 steps/s  1:01 min left  elbo -18.235"
    )
    assert step_line(7, None, 0.0, {}) == "step 7"
    assert [span(s) for s in (41.6, 185, 7800)] == ["42 s", "3:05 min", "2:10 h"]
