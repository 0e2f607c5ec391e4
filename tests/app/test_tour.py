"""The recorded tour: where it runs, what it writes down as trouble, what it saves. The whole round is `make tour`."""

from __future__ import annotations

import re
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import QPoint, qWarning
from PySide6.QtGui import QColor, QImage
from PySide6.QtWidgets import QWidget
from pytestqt.qtbot import QtBot

import app.tour
from app.tour import itinerary, screen
from app.tour.hand import Hand, line
from app.tour.itinerary import Tour, is_blank
from app.tour.rig import Rig
from app.tour.watch import Watch
from engine.messages import Failure


@pytest.fixture
def rig(studies: dict[str, Any]) -> Iterator[Rig]:
    with Rig((1040, 700), threads=1) as rig:
        assert rig.ready()
        yield rig


# ---- where it runs --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("environ", "platform", "has"),
    [
        ({}, "linux", False),
        ({"DISPLAY": ":0"}, "linux", True),
        ({"WAYLAND_DISPLAY": "wayland-0"}, "linux", True),
        ({"QT_QPA_PLATFORM": "offscreen"}, "linux", True),
        ({"QT_QPA_PLATFORM": "xcb"}, "linux", False),
        ({}, "darwin", True),
        ({}, "win32", True),
    ],
)
def test_a_screen_is_known_by_the_environment(environ: dict[str, str], platform: str, has: bool) -> None:
    assert screen.has_screen(environ, platform) is has


def test_without_a_screen_the_same_command_runs_on_a_virtual_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    calls: list[tuple[list[str], str]] = []

    def call(command: tuple[str, ...], env: dict[str, str]) -> int:
        calls.append((list(command), env["QT_QPA_PLATFORM"]))
        return 7

    monkeypatch.setattr(app.tour, "has_screen", lambda environ, platform: False)
    monkeypatch.setattr(screen.shutil, "which", lambda name: f"/bin/{name}")
    monkeypatch.setattr(screen.subprocess, "call", call)
    monkeypatch.setattr(sys, "orig_argv", ["python", "main.py", "tour", "--out", "x"])
    assert app.tour.run_tour(tmp_path / "out") == 7
    assert calls == [([*screen.XVFB, sys.executable, "main.py", "tour", "--out", "x"], "xcb")]
    assert not (tmp_path / "out").exists()


def test_without_any_screen_one_line_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(screen.shutil, "which", lambda name: None)
    assert screen.again_on_a_virtual_screen() == 1
    told = capsys.readouterr().err
    assert "xvfb" in told
    assert told.count("\n") == 1


def test_pictures_that_cannot_be_written_are_told_before_anything_opens(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("in the way", "utf-8")
    assert app.tour.run_tour(tmp_path / "file") == 2
    assert str(tmp_path / "file") in capsys.readouterr().err


# ---- what it writes down as trouble ---------------------------------------------------------------------------------


@pytest.mark.qt_log_ignore("made up")
def test_the_watch_hears_qt_exceptions_and_failures_and_leaves_no_hook(qapp: object) -> None:
    hooks = (sys.excepthook, threading.excepthook, sys.unraisablehook)
    with Watch() as watch:
        watch.at("here")
        qWarning("made up")
        qWarning("made up")  # the same again is counted, not told
        sys.excepthook(ValueError, ValueError("in a slot"), None)
        thread = threading.Thread(target=lambda: 1 / 0, name="side")
        thread.start()
        thread.join()
        watch.failed(Failure("probe", "No picture", "because", detail="where it was", fault=True))
    assert (sys.excepthook, threading.excepthook, sys.unraisablehook) == hooks
    qWarning("made up after")
    assert len(watch.complaints) == 4
    assert watch.complaints[0] == "here: Qt says: made up"
    assert "ValueError: in a slot" in watch.complaints[1]
    assert "in thread side" in watch.complaints[2]
    assert "ZeroDivisionError" in watch.complaints[2]
    assert watch.complaints[3] == "here: No picture: because\nwhere it was"
    assert [f.title for f in watch.failures] == ["No picture"]


def test_a_plain_picture_is_blank_and_a_drawn_one_is_not() -> None:
    picture = QImage(200, 100, QImage.Format.Format_RGB32)
    picture.fill(QColor("#15171c"))
    assert is_blank(picture)
    for x in range(200):
        for y in range(100):
            picture.setPixelColor(x, y, QColor(x, y, 0))
    assert not is_blank(picture)


def test_a_probe_without_a_picture_is_named(rig: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tour = Tour(rig, tmp_path, 0.2)
    assert rig.open("vae", "digits")
    dock = rig.window.stage.docks["decode"]
    tour.picture_of(dock)
    assert rig.watch.complaints == []
    monkeypatch.setattr(itinerary, "PICTURE_SECONDS", 0.2)
    rig.window.bench.forget(dock.slot)  # no later answer may take the card away
    rig.hand.rest(0.3)
    dock.view.show_failure("No answer", "the probe is broken")
    tour.picture_of(dock)
    assert len(rig.watch.complaints) == 1
    assert "Latent sliders" in rig.watch.complaints[0]
    assert "the probe is broken" in rig.watch.complaints[0]


# ---- what it does and saves -----------------------------------------------------------------------------------------


def test_a_study_is_toured_with_real_clicks_and_nothing_of_the_users_is_touched(rig: Rig, tmp_path: Path) -> None:
    tour = Tour(rig, tmp_path, 0.4)
    tour.stop("Welcome, all!", "The first.")
    tour.study(rig.window.bench.studies["vae"])
    assert rig.watch.complaints == []
    names = [name for name, _ in tour.stops]
    assert names[0] == "01-welcome-all.png"
    assert [int(name[:2]) for name in names] == list(range(1, len(names) + 1))
    probes = [spec.name.replace("_", "-") for spec in rig.window.bench.studies["vae"].probes]
    assert [p for p in probes if not any(name.endswith(f"-vae-{p}.png") for name in names)] == []
    assert {n for n in ("data", "log", "curves") if any(x.endswith(f"-vae-{n}.png") for x in names)} == {
        "data",
        "log",
        "curves",
    }
    assert {QImage(str(tmp_path / name)).size().toTuple() for name in names} == {(1040, 700)}
    assert rig.window.bench.step > 0  # the Train button was pressed
    assert not rig.window.bench.training  # and pressed again
    assert any(rig.window.bench.values("decode")["z"])  # a slider was dragged
    assert rig.window.bench.runs_root.is_relative_to(rig.folder)
    assert list(rig.window.bench.runs_root.iterdir())
    text = app.tour._index(tour.stops)
    assert re.findall(r"\]\((.*?)\)", text) == names


def test_a_path_runs_from_end_to_end() -> None:
    assert line(QPoint(0, 10), QPoint(100, 10), 4) == [QPoint(x, 10) for x in (0, 25, 50, 75, 100)]


def test_a_picture_of_the_window_shows_what_floats_over_it(qtbot: QtBot) -> None:
    window, note = QWidget(), QWidget()
    for widget, colour in ((window, "#ff0000"), (note, "#0000ff")):
        qtbot.addWidget(widget)
        widget.setStyleSheet(f"background: {colour};")
    window.setGeometry(100, 100, 200, 200)
    window.show()
    note.setGeometry(150, 150, 20, 20)
    note.show()
    qtbot.waitExposed(note)
    picture = Hand(window).picture()
    place = note.mapToGlobal(QPoint(5, 5)) - window.mapToGlobal(QPoint(0, 0))
    assert picture.pixelColor(place).name() == "#0000ff"
    assert picture.pixelColor(2, 2).name() == "#ff0000"
