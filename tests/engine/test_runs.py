"""Run folders: what is written comes back, and what is damaged or foreign is told in one line."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from engine.formats import runs
from engine.formats.atomic import write_atomic
from engine.formats.runs import KEEP, Run, RunError, flatten, read_snapshot, recent, unflatten

CONFIG = {"study": "vae", "data": "digits", "folder": "", "knobs": {"latent": 2}, "seed": 5, "target": 100}
STATE = {"parts": {"net": {"w": torch.arange(6.0).reshape(2, 3)}}, "step": 3}


@pytest.fixture
def run(tmp_path: Path) -> Run:
    made = Run.create(tmp_path / "run", CONFIG)
    yield made  # type: ignore[misc]
    made.close()


def one_line(error: pytest.ExceptionInfo[RunError], path: Path) -> str:
    text = str(error.value)
    assert "\n" not in text
    assert text.startswith(f"{path}: ")
    return text


# ---- atomic files -------------------------------------------------------------------------------------------------


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "deep" / "file"
    write_atomic(path, b"one")
    write_atomic(path, b"two")
    assert path.read_bytes() == b"two"

    def fails(*_: Any) -> None:
        assert path.read_bytes() == b"two"  # nothing was written in its place
        raise OSError(28, "No space left on device")

    for step in ("fsync", "replace"):
        with monkeypatch.context() as patch:
            patch.setattr(runs.os, step, fails)
            with pytest.raises(OSError, match="No space"):
                write_atomic(path, b"three")
    assert path.read_bytes() == b"two"
    assert os.listdir(path.parent) == ["file"]


# ---- states -------------------------------------------------------------------------------------------------------


def test_a_state_comes_back_bit_for_bit(tmp_path: Path) -> None:
    state = {
        "parts": {
            "net": {"w": torch.randn(3, 4), "half": torch.randn(2).bfloat16(), "odd": torch.randn(4, 6).T[::2]},
            "optimizer": {
                "state": {0: {"step": torch.tensor(7.0), "avg": torch.zeros(0, 3)}, 1: {}},
                "param_groups": [{"lr": 1e-3, "betas": (0.9, 0.999), "amsgrad": False, "maximize": None}],
            },
        },
        "random": torch.get_rng_state(),
        "step": 12345678901,
        "seconds": 0.1 + 0.2,
    }
    run = Run.create(tmp_path / "run", CONFIG)
    run.save("vae", 7, state)
    back, step, complaints = run.load("vae")
    assert (step, complaints) == (7, [])
    ours: dict[str, torch.Tensor] = {}
    theirs: dict[str, torch.Tensor] = {}
    shape = flatten(state, ours)
    assert flatten(back, theirs) == json.loads(json.dumps(shape))
    assert back["seconds"] == 0.1 + 0.2
    assert set(back["parts"]["optimizer"]["state"]) == {0, 1}  # numbers stay numbers
    for name, tensor in ours.items():
        assert theirs[name].dtype == tensor.dtype
        assert torch.equal(theirs[name], tensor)


def test_tensors_that_share_memory_and_views_are_saved(tmp_path: Path) -> None:
    whole = torch.arange(10.0)
    run = Run.create(tmp_path / "run", CONFIG)
    run.save("vae", 1, {"a": whole, "b": whole, "c": whole[2:5]})
    state, _, _ = run.load("vae")
    assert state["c"].tolist() == [2.0, 3.0, 4.0]
    assert torch.equal(state["a"], state["b"])


def test_what_cannot_be_saved_is_refused_by_its_place() -> None:
    with pytest.raises(TypeError, match="/parts/net/0: a set cannot be saved"):
        flatten({"parts": {"net": [{1, 2}]}}, {})
    with pytest.raises((KeyError, TypeError)):
        unflatten({"what": 1}, {})


# ---- snapshots that are not right ---------------------------------------------------------------------------------


def test_every_truncation_of_a_snapshot_is_refused(run: Run) -> None:
    run.save("vae", 3, STATE)
    path = run.snapshot_path(3)
    whole = path.read_bytes()
    for size in (0, 1, 7, 8, 9, 60, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:size])
        with pytest.raises(RunError) as error:
            read_snapshot(path, "vae")
        assert "not a whole safetensors file" in one_line(error, path)
    path.write_bytes(whole)
    assert read_snapshot(path, "vae")[1] == 3


def test_foreign_newer_and_other_files_are_refused_each_with_its_reason(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"

    def refused(meta: dict[str, str] | None, study: str = "vae") -> str:
        save_file({"/w": torch.zeros(2)}, path, meta)
        with pytest.raises(RunError) as error:
            read_snapshot(path, study)
        return one_line(error, path)

    shape = json.dumps({"items": [["w", {"tensor": "/w"}]]})
    good = {"format": "mutoscope 1", "study": "vae", "step": "4", "state": shape}
    save_file({"/w": torch.zeros(2)}, path, good)
    assert read_snapshot(path, "vae")[1] == 4
    assert "not a snapshot of Mutoscope's" in refused(None)
    assert "not a snapshot of Mutoscope's" in refused({**good, "format": "nerf 1"})
    assert "not a snapshot of Mutoscope's" in refused({**good, "format": "mutoscope one"})
    newer = refused({**good, "format": "mutoscope 2"})
    assert "newer Mutoscope (format 2, not 1); update the program" in newer
    assert "study 'vae', not of 'gan'" in refused(good, "gan")
    for broken in (
        {"state": "{"},
        {"state": json.dumps({"items": [["w", {"tensor": "/other"}]]})},
        {"state": json.dumps([1])},
        {"state": json.dumps({"list": []})},
        {"state": "[" * 100_000},
        {"step": "soon"},
    ):
        assert "the file is damaged" in refused({**good, **broken}), broken
    with pytest.raises(RunError) as error:
        read_snapshot(tmp_path / "none.safetensors")
    assert "not found" in one_line(error, tmp_path / "none.safetensors")
    with pytest.raises(RunError):
        read_snapshot(tmp_path)
    picture = tmp_path / "picture.safetensors"
    picture.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(1000))
    with pytest.raises(RunError) as error:
        read_snapshot(picture)
    one_line(error, picture)


def test_the_newest_whole_snapshot_is_taken_and_the_others_are_told_of(run: Run) -> None:
    for step in (1, 2, 3):
        run.save("vae", step, {**STATE, "step": step})
    for step in (2, 3):
        path = run.snapshot_path(step)
        path.write_bytes(path.read_bytes()[:-3])
    state, step, complaints = run.load("vae")
    assert (state["step"], step) == (1, 1)
    assert [str(run.snapshot_path(s)) in line for s, line in zip((3, 2), complaints, strict=True)] == [True, True]
    with pytest.raises(RunError):
        run.load("vae", 3)
    run.snapshot_path(1).unlink()
    with pytest.raises(RunError, match="not a whole"):
        run.load("vae")
    with pytest.raises(RunError, match="holds no snapshot"):
        Run(run.folder.parent / "other").load("vae")


# ---- config -------------------------------------------------------------------------------------------------------


def test_config_comes_back_and_what_is_not_one_is_refused(run: Run) -> None:
    assert run.config() == {"format": 1, **CONFIG}
    path = run.folder / "config.json"
    for text, reason in (
        ("{", "damaged or not ours"),
        ("[1]", "not a JSON object"),
        ('"' + "\\ud800" * 3, "damaged or not ours"),
        ("[" * 100_000, "damaged or not ours"),
        ("{}", "no format number"),
        (json.dumps({"format": 2, **CONFIG}), "newer Mutoscope (format 2, not 1)"),
        (json.dumps({"format": 1, "knobs": {}}), "lacks study"),
        (json.dumps({"format": 1, "study": 7, "knobs": []}), "lacks study and knobs"),
        (json.dumps({"format": 1, **CONFIG, "seed": "five"}), "lacks seed"),
    ):
        path.write_text(text)
        with pytest.raises(RunError) as error:
            run.config()
        assert reason in one_line(error, path)
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(RunError, match="damaged"):
        run.config()
    path.unlink()
    with pytest.raises(RunError, match=r"not found; a run folder holds config\.json"):
        run.config()


def test_a_run_is_never_made_over_another_but_in_an_empty_folder(run: Run, tmp_path: Path) -> None:
    with pytest.raises(RunError, match="holds a run already"):
        Run.create(run.folder, CONFIG)
    (tmp_path / "empty").mkdir()
    assert Run.create(tmp_path / "empty", CONFIG).config()["seed"] == 5
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="cannot be made"):
        Run.create(tmp_path / "file" / "run", CONFIG)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["empty", "file", "run"]


def test_a_folder_appears_with_its_config_in_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    plain = runs.os.replace

    def watch(a: Any, b: Any) -> None:
        seen.append((tmp_path / "run").exists())
        plain(a, b)

    monkeypatch.setattr(runs.os, "replace", watch)
    Run.create(tmp_path / "run", CONFIG)
    assert seen == [False]
    assert (tmp_path / "run" / "config.json").exists()


# ---- metrics ------------------------------------------------------------------------------------------------------


def test_metrics_come_back_with_vectors_gaps_and_late_columns(run: Run) -> None:
    run.log_metrics([{"step": 1, "loss": 0.1, "kl/0": 1.0, "kl/1": 2.0}, {"step": 2, "loss": 1e-12}])
    run.log_metrics([{"step": 3, "loss": -3.5e8, "kl/0": 3.0, "kl/1": 4.0, "held_out/loss": 0.25}])
    run.close()
    metrics = Run(run.folder).metrics()
    assert set(metrics) == {"loss", "kl", "held_out/loss"}
    assert metrics["loss"][0].dtype == np.int64
    np.testing.assert_allclose(metrics["loss"][1], [0.1, 1e-12, -3.5e8], rtol=1e-8)
    np.testing.assert_array_equal(metrics["kl"][0], [1, 3])
    np.testing.assert_array_equal(metrics["kl"][1], [[1, 2], [3, 4]])
    np.testing.assert_array_equal(metrics["held_out/loss"][0], [3])


def test_more_than_ten_dimensions_keep_their_order(run: Run) -> None:
    run.log_metrics([{"step": 1, **{f"kl/{i}": float(i) for i in range(12)}}])
    run.flush()
    np.testing.assert_array_equal(run.metrics()["kl"][1], [np.arange(12.0)])


def test_a_last_line_cut_off_anywhere_is_ignored_and_the_next_does_not_join_it(run: Run) -> None:
    run.log_metrics([{"step": step, "loss": step / 8, "kl": 1.5} for step in range(1, 6)])
    run.close()
    path = run.folder / "metrics.csv"
    whole = path.read_bytes()
    last = len(whole) - len(whole.splitlines(True)[-1])
    for cut in range(last, len(whole)):
        path.write_bytes(whole[:cut])
        again = Run(run.folder)
        assert again.metrics()["loss"][0].tolist() == [1, 2, 3, 4]
        again.log_metrics([{"step": 5, "loss": 0.625, "kl": 1.5}])
        again.close()
        assert path.read_bytes() == whole


def test_rubbish_in_metrics_is_skipped(run: Run) -> None:
    path = run.folder / "metrics.csv"
    path.write_bytes(b"step,loss\n1,0.5\n2,half\n3\n4,1,2\n,1\n\xff\xfe,3\n5,0.25\n")
    assert run.metrics()["loss"][0].tolist() == [1, 5]
    path.write_bytes(b"\x00\x01\x02")
    assert run.metrics() == {}
    path.unlink()
    assert run.metrics() == {}


def test_a_failed_write_leaves_no_half_line(run: Run) -> None:
    run.log_metrics([{"step": 1, "loss": 0.5}])
    run.flush()

    class Full:
        def write(self, text: str) -> None:
            with open(run.folder / "metrics.csv", "a") as f:
                f.write("2,0.")
            raise OSError(28, "No space left on device")

        def close(self) -> None:
            raise OSError(28, "No space left on device")

    assert run._metrics is not None
    run._metrics.close()
    run._metrics = Full()  # type: ignore[assignment]
    with pytest.raises(OSError, match="No space"):
        run.log_metrics([{"step": 2, "loss": 0.25}])
    run.log_metrics([{"step": 3, "loss": 0.125}])
    run.flush()
    assert (run.folder / "metrics.csv").read_text() == "step,loss\n1,0.5\n3,0.125\n"


def test_truncating_keeps_the_rows_up_to_the_step(run: Run) -> None:
    run.log_metrics([{"step": step, "loss": 1.0} for step in range(1, 11)])
    run.truncate_metrics(6)
    assert run.metrics()["loss"][0].tolist() == [1, 2, 3, 4, 5, 6]
    run.log_metrics([{"step": 7, "loss": 2.0}])
    run.flush()
    assert run.metrics()["loss"][0].tolist() == [1, 2, 3, 4, 5, 6, 7]
    run.truncate_metrics(100)
    assert len(run.metrics()["loss"][0]) == 7


# ---- many snapshots -----------------------------------------------------------------------------------------------


def test_thinning_keeps_the_first_the_newest_and_an_even_spread(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs.os, "fsync", lambda _: None)
    for step in range(0, 2000, 10):
        run.save("vae", step, {"step": step})
        steps = run.snapshots()
        assert steps[0] == 0
        assert steps[-1] == step
        assert len(steps) <= KEEP
    gaps = np.diff(run.snapshots())
    assert len(gaps) == KEEP - 1
    assert gaps[:-1].max() <= 3 * gaps[:-1].min()


def test_snapshots_that_are_set_aside_are_renamed_not_deleted(run: Run) -> None:
    for step in (1, 2, 3):
        run.save("vae", step, STATE)
    run.set_aside(1)
    assert run.snapshots() == (1,)
    assert len(os.listdir(run.folder / "snapshots")) == 3


def test_what_a_killed_process_left_is_swept(run: Run) -> None:
    run.save("vae", 1, STATE)
    for name in (".config.json.77.part", "snapshots/.step-000000002.safetensors.77.part"):
        (run.folder / name).write_text("half")
    run.sweep()
    left = [p.name for p in run.folder.rglob("*") if p.is_file()]
    assert sorted(left) == ["config.json", "step-000000001.safetensors"]


# ---- recent runs --------------------------------------------------------------------------------------------------


def test_recent_runs_come_newest_first_without_what_is_none(tmp_path: Path) -> None:
    for i, name in enumerate(("old", "new", "empty", "foreign", "newer")):
        made = Run.create(tmp_path / name, {**CONFIG, "study": name})
        if name != "empty":
            made.save(name, 10 * i, STATE)
            os.utime(made.folder / "snapshots", (1000 + i, 1000 + i))
    (tmp_path / "foreign" / "config.json").write_text("{}")
    (tmp_path / "newer" / "config.json").write_text('{"format": 99}')
    (tmp_path / "a file").write_text("")
    (tmp_path / "other" / "snapshots").mkdir(parents=True)
    found = recent(tmp_path)
    assert [(r.study, r.data, r.step, r.when) for r in found] == [
        ("new", "digits", 10, 1001.0),
        ("old", "digits", 0, 1000.0),
    ]
    assert [r.path for r in recent(tmp_path, limit=1)] == [str(tmp_path / "new")]
    assert recent(tmp_path / "nowhere") == ()
    assert recent(tmp_path / "a file") == ()
