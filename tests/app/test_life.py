"""Beginning and end: the window stands before torch is there, and closes at any moment without leaving anything."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from pytestqt.qtbot import QtBot

from app.settings import Settings
from app.window import MainWindow
from engine.messages import Status

if TYPE_CHECKING:
    from conftest import Driver

ROOT = Path(__file__).resolve().parents[2]

HEAD = """
import json, sys, threading, time
from pathlib import Path
from PySide6.QtCore import QEvent, QObject, QTimer
import app.start as start
from app.window import MainWindow

said = {}
qt = start.make_app()

def heavy():
    return sorted(set(sys.modules) & {"torch", "sklearn", "scipy", "ziamath", "engine.studies", "engine.session"})

def say(**more):
    said.update(more)
    print(json.dumps(said), flush=True)
"""

FIRST_PAINT = (
    HEAD
    + """
class Watch(QObject):
    def eventFilter(self, watched, event):
        if event.type() == QEvent.Type.Paint and "at_paint" not in said:
            said["at_paint"] = heavy()
            said["threads"] = [t.name for t in threading.enumerate()]
        return False

watch = Watch()
plain = MainWindow.__init__
windows = []

def made(self, *args, **kwargs):
    plain(self, *args, **kwargs)
    windows.append(self)
    self.installEventFilter(watch)
    self.bench.catalogue_changed.connect(lambda report: QTimer.singleShot(0, self.close))
    self.bench.catalogue_changed.connect(lambda report: said.update(studies=len(report.studies)))

MainWindow.__init__ = made
code = start.run_window()
say(code=code, alive=windows[0].bridge._engine.is_alive(), torch="torch" in sys.modules)
"""
)

CLOSE_WHILE_IMPORTING = (
    HEAD
    + """
window = MainWindow()
window.show()
window.start()
end = time.monotonic() + 20
while "torch" not in sys.modules and time.monotonic() < end:
    qt.processEvents()
importing = not window.bench.studies
began = time.monotonic()
window.close()
say(importing=importing, alive=window.bridge._engine.is_alive(), seconds=time.monotonic() - began)
"""
)


def run_script(script: str, home: Path) -> dict[str, Any]:
    """What a fresh process says in its last line; it must be silent on stderr."""
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    for name in ("HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME"):
        env[name] = str(home)
    done = subprocess.run(
        [sys.executable, "-W", "error::RuntimeWarning", "-c", script],
        env=env, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    said: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return said


def test_the_window_is_on_screen_before_torch_is_touched(tmp_path: Path) -> None:
    said = run_script(FIRST_PAINT, tmp_path)
    assert said["at_paint"] == []
    assert said["threads"] == ["MainThread"]
    assert said["studies"] >= 2
    assert said["torch"]
    assert said["code"] == 0
    assert not said["alive"]


def test_closing_while_torch_is_being_imported_waits_for_the_thread(tmp_path: Path) -> None:
    said = run_script(CLOSE_WHILE_IMPORTING, tmp_path)
    assert said["importing"]
    assert not said["alive"]


def test_a_window_that_was_never_started_closes(make_window: Callable[..., MainWindow]) -> None:
    window = make_window(start=False)
    window.close()
    window.close()
    window.start()
    assert not window.bridge._engine.is_alive(), "nothing starts after the end"


def test_closing_while_training_saves_the_run_and_ends_the_thread(drive: Driver) -> None:
    drive.open()
    drive.bench.train()
    drive.until(lambda: drive.bench.step > 10 and drive.bench.run)
    run = Path(drive.bench.run)
    before = {t for t in threading.enumerate() if t.name == "engine"}
    begun = time.perf_counter()
    drive.window.close()
    took = time.perf_counter() - begun
    assert took < 3.0
    assert before
    assert not any(t.is_alive() for t in before)
    saved = json.loads((run / "summary.json").read_text("utf-8"))
    newest = max((run / "snapshots").glob("*.safetensors"))
    assert saved["steps"] >= drive.bench.step > 10
    assert newest.name == f"step-{saved['steps']:09d}.safetensors"


def test_a_run_goes_on_in_the_next_window_where_it_was_left(make_drive: Callable[..., Driver]) -> None:
    first = make_drive()
    first.open()
    first.train(6)
    run, curve = first.bench.run, first.curve("elbo")[1]
    first.window.close()
    second = make_drive()
    second.until(lambda: second.bench.studies)
    second.until(lambda: second.window.welcome._recent.count() == 1)
    button = second.window.welcome._recent.itemAt(0).widget()
    assert "Variational autoencoder" in button.text()
    assert "step 6" in button.text()
    second.click(button)
    second.until(lambda: second.opened)
    assert second.bench.run == run
    assert second.bench.step == 6
    assert second.curve("elbo")[1] == pytest.approx(curve)
    second.train(1)
    assert second.bench.step == 7


def test_closing_while_a_study_is_being_built(drive: Driver) -> None:
    drive.until(lambda: drive.bench.studies)
    drive.bench.open_study("vae")
    drive.window.close()
    assert not drive.engine.is_alive()


def test_closing_in_the_middle_of_a_drag_and_a_timeline(drive: Driver) -> None:
    drive.open()
    drive.bench.train()
    drive.show("interpolation")
    drive.stage.raise_named("decode")
    drive.drag(drive.window.controls.control_widget("z").row(0), 0.9, release=False)
    drive.window.close()
    assert not drive.engine.is_alive()


def test_two_windows_one_after_the_other(make_drive: Callable[..., Driver]) -> None:
    for study in ("vae", "autoencoder"):
        drive = make_drive()
        drive.open(study)
        drive.train(2)
        drive.window.close()
        assert not drive.engine.is_alive()


def test_two_windows_at_once_do_not_disturb_each_other(make_drive: Callable[..., Driver]) -> None:
    one, two = make_drive(), make_drive()
    one.open("vae")
    two.open("autoencoder")
    two.train(2)
    assert one.bench.step == 0
    two.window.close()
    one.train(3)
    assert one.bench.step == 3


def test_a_disk_that_refuses_the_settings_is_no_catastrophe(drive: Driver, tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("", "utf-8")
    settings = Settings(blocked / "below" / "window.json")
    assert "layout was not saved" in settings.write()
    drive.window.settings = settings
    drive.window.close()


def test_settings_survive_a_round_trip_and_nonsense(tmp_path: Path) -> None:
    path = tmp_path / "window.json"
    settings = Settings(path)
    settings.set("theme", "light")
    settings.set("layout", 3)
    assert settings.write() == ""
    again = Settings(path)
    assert again.text("theme") == "light"
    assert again.text("layout", "x") == "x", "a number is not a text"
    assert [p.name for p in tmp_path.iterdir()] == ["window.json"], "no part is left behind"
    path.write_text('["not", "a", "table"]', "utf-8")
    assert Settings(path).values == {}


def test_a_fast_answer_shows_no_progress_and_a_slow_one_does(
    make_window: Callable[..., MainWindow], qtbot: QtBot
) -> None:
    status = make_window(start=False).status
    busy = Status(0, "building", 0, None, 0.0, 0.0, 0, "cpu", "loading data", 0.5)
    status.show_status(busy)
    assert not status.progress.isVisible()
    status.show_status(Status(0, "idle", 0, None, 0.0, 0.0, 0, "cpu"))
    qtbot.wait(150)
    assert not status.progress.isVisible()
    status.show_status(busy)
    qtbot.waitUntil(status.progress.isVisible, timeout=1000)
    assert status.message.text() == "building: loading data"
    assert status.progress.value() == 500
    assert not status.cancel.isVisible()
    status.show_status(Status(0, "fetching", 0, None, 0.0, 0.0, 0, "cpu", "mnist: 3 MB"))
    assert status.cancel.isVisible()


def test_the_figures_of_the_status_bar_keep_their_places(make_window: Callable[..., MainWindow], qtbot: QtBot) -> None:
    status, places = make_window(start=False).status, []
    for rate, load, memory in ((1.0, 0.01, 50e6), (1234.5, 1.0, 9000e6)):
        status.show_status(Status(0, "training", 5, None, rate, load, int(memory), "cpu x2"))
        qtbot.wait(20)
        places.append([label.x() for label in status._labels.values()])
    assert places[0] == places[1]
