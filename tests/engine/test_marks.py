"""What happened while training, in words: sent, logged, written, and gone when training goes back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from engine import messages as m
from engine.formats import marks
from engine.formats.runs import Run
from engine.messages import Mark


def test_marks_are_shown_logged_and_come_back_up_to_the_snapshot(driver: Any, plan: Any, tmp_path: Path) -> None:
    plan["mark"] = 4
    driver.open()
    driver.post(m.AutosaveTo(str(tmp_path / "run")), m.Train(10))
    driver.settle()
    sent = [mark for report in driver.all(m.Marks) for mark in report.marks]
    assert sent == [m.Mark(4, "mark, 4"), m.Mark(8, "mark, 8")]
    assert "step 8: mark, 8" in [notice.text for notice in driver.all(m.Notice)]
    assert marks.read(tmp_path / "run") == tuple(sent)
    driver.post(m.Train(10))
    driver.settle()
    assert [mark.step for mark in marks.read(tmp_path / "run")] == [4, 8, 12, 16, 20]
    driver.post(m.LoadSnapshot(10))
    assert driver.until(m.Opened).marks == tuple(sent)
    driver.post(m.LoadSnapshot(20))
    assert len(driver.until(m.Opened).marks) == 5
    driver.post(m.LoadSnapshot(10), m.Train(2))
    driver.settle()
    assert [mark.step for mark in marks.read(tmp_path / "run")] == [4, 8, 12, 16, 20]
    assert [mark.step for mark in marks.read(tmp_path / "run-from-10")][:2] == [4, 8]


def test_marks_outlive_a_cut_off_line_and_go_when_training_goes_back(tmp_path: Path) -> None:
    run = Run.create(tmp_path / "run", {"study": "toy", "knobs": {}})
    assert marks.read(run.folder) == ()
    marks.append(run.folder, [Mark(3, 'a "b", c'), Mark(9, "d")])
    marks.append(run.folder, [Mark(12, "é")])
    with open(run.folder / marks.NAME, "a") as f:
        f.write("15,half a li")
    assert marks.read(run.folder) == (Mark(3, 'a "b", c'), Mark(9, "d"), Mark(12, "é"))
    run.truncate_metrics(9)
    assert marks.read(run.folder) == (Mark(3, 'a "b", c'), Mark(9, "d"))
    assert (run.folder / marks.NAME).read_text().startswith("step,text\n")
