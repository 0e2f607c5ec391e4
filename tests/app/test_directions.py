"""Directions in the window: kept from a strip, steered by, undone, back with the run, to and from files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest

from app.headless.asking import question
from engine import messages as m
from engine.steering import Direction
from tests.app.conftest import Driver

STUDY = "vae"


def keep(drive: Driver, row: int, name: str) -> None:
    """Keeps a strip under a name, as a hand does."""
    drive.show("directions")
    view: Any = drive.stage.docks["directions"].view
    drive.click(view.buttons[row])
    view.edit.setText(name)
    QTest.keyClick(view.edit, Qt.Key.Key_Return)


def names(drive: Driver) -> list[str]:
    return [d.name for d in drive.bench.values("edit")["directions"]]


def in_file(path: Path) -> list[str]:
    return [d["name"] for d in json.loads(path.read_text())] if path.exists() else []


def reopened(drive: Driver, what: str, keep_run: bool = True) -> None:
    seen = len(drive.opened)
    drive.bench.open_run(what, keep_run)
    drive.until(lambda: len(drive.opened) > seen)
    drive.settled()


def test_from_a_strip_to_the_sliders_and_back_by_undo(drive: Driver) -> None:
    drive.open(STUDY)
    keep(drive, 0, "bolder")
    keep(drive, 1, "wider")
    drive.settled()
    kept = drive.bench.values("edit")["directions"]
    drive.until(lambda: drive.engine._desk.session.directions == kept)  # type: ignore[union-attr]  # one is open
    view: Any = drive.stage.docks["directions"].view
    assert [b.text() for b in view.buttons[:3]] == ["Kept", "Kept", "Keep"]
    drive.show("edit")
    before = drive.image("edit")
    widget = drive.window.controls.control_widget("directions")
    assert [row.slider.accessibleName() for row in widget.rows] == ["bolder", "wider"]
    drive.drag(widget.rows[0].slider, 1.0)
    drive.settled()
    assert widget.value()[0].amount == pytest.approx(5.0)
    assert widget.value()[1].amount == 0.0
    after = drive.image("edit")
    assert before is not None
    assert after is not None
    assert (before[0] == after[0]).all()
    assert (before[1] != after[1]).any()
    drive.bench.undo.undo()
    drive.settled()
    assert [d.amount for d in widget.value()] == [0.0, 0.0]
    drive.bench.undo.undo()
    drive.settled()
    assert names(drive) == ["bolder"] == [row.slider.accessibleName() for row in widget.rows]
    assert [b.text() for b in view.buttons[:3]] == ["Kept", "Keep", "Keep"]
    drive.bench.undo.redo()
    assert names(drive) == ["bolder", "wider"]


def test_they_are_written_with_the_run_and_come_back_with_it(drive: Driver) -> None:
    drive.open(STUDY)
    keep(drive, 0, "before training")
    drive.train(2)
    run = Path(drive.bench.run)
    drive.until(lambda: in_file(run / "directions.json") == ["before training"])
    keep(drive, 1, "after")
    drive.settled()
    drive.until(lambda: in_file(run / "directions.json") == ["before training", "after"])
    drive.open("autoencoder")
    assert drive.bench.values("edit")["directions"] == ()
    keep(drive, 0, "another's")
    reopened(drive, str(run))
    assert names(drive) == ["before training", "after"]
    drive.show("directions")
    view: Any = drive.stage.docks["directions"].view
    assert [d.name for d in view.present()] == ["before training", "after"]
    drive.show("edit")
    assert len(drive.window.controls.control_widget("directions").rows) == 2
    drive.until(lambda: in_file(run / "directions.json") == ["before training", "after"])


def test_another_run_of_the_same_study_brings_its_own_and_a_fresh_build_keeps_what_is_there(drive: Driver) -> None:
    drive.open(STUDY)
    drive.train(1)
    empty = drive.bench.run
    keep(drive, 0, "mine")
    drive.settled()
    drive.show("edit")
    (Path(empty) / "directions.json").unlink()
    reopened(drive, empty)
    assert names(drive) == []
    assert drive.window.controls.control_widget("directions").rows == []
    keep(drive, 0, "new")
    drive.settled()
    seen = len(drive.opened)
    drive.bench.rebuild()
    drive.until(lambda: len(drive.opened) > seen)
    drive.settled()
    assert names(drive) == ["new"]
    drive.train(1)
    assert drive.bench.run != empty
    drive.until(lambda: in_file(Path(drive.bench.run) / "directions.json") == ["new"])


def test_those_of_a_run_that_is_only_read_last_as_long_as_the_window(drive: Driver) -> None:
    drive.open(STUDY)
    keep(drive, 0, "own")
    drive.train(1)
    starter = Path(drive.bench.run)
    reopened(drive, str(starter), keep_run=False)
    assert names(drive) == ["own"]
    keep(drive, 1, "of the hour")
    drive.settled()
    assert in_file(starter / "directions.json") == ["own"], "a starter is only read"
    drive.open("autoencoder")
    reopened(drive, str(starter), keep_run=False)
    assert names(drive) == ["own", "of the hour"]
    drive.train(1)
    drive.until(lambda: in_file(Path(drive.bench.run) / "directions.json") == ["own", "of the hour"])
    assert in_file(starter / "directions.json") == ["own"]


def test_they_go_into_files_and_come_from_them(drive: Driver, tmp_path: Path) -> None:
    drive.open(STUDY)
    keep(drive, 0, "one")
    keep(drive, 1, "two")
    kept = drive.bench.values("edit")["directions"]
    path = tmp_path / "mine.json"
    drive.window.controls.save_wanted.emit("directions", str(path), kept)
    drive.until(lambda: f"saved {path}" in drive.log())
    drive.bench.settle_control("edit", "directions", (Direction("two", kept[0].vector, "elsewhere"),))
    drive.window.controls.load_wanted.emit("directions", str(path))
    drive.until(lambda: len(names(drive)) == 3)
    assert names(drive) == ["two", "one", "two 2"]
    assert drive.bench.values("edit")["directions"][2].vector == kept[1].vector
    drive.bench.undo.undo()
    assert names(drive) == ["two"]
    path.write_text("nothing of ours")
    drive.window.controls.load_wanted.emit("directions", str(path))
    drive.until(lambda: "The directions were not loaded" in drive.log())
    assert "holds no directions" in drive.log()
    assert names(drive) == ["two"]


def test_the_command_line_steers_by_the_directions_of_the_run(drive: Driver) -> None:
    drive.open(STUDY)
    spec = drive.bench.study
    assert spec is not None
    kept = (Direction("up", (1.0, 0.0), "z", 2.0),)
    opened = m.Opened(1, spec, drive.bench.built, 0, "", "cpu", 0, 0, directions=kept)
    assert question(opened, "edit", {})[1]["directions"] == kept
    other = '[{"name": "b", "vector": [0, 1]}]'
    assert [d.name for d in question(opened, "edit", {"directions": other})[1]["directions"]] == ["b"]
