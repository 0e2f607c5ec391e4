"""Files of the person's in the window and by ``main.py view``: dropped, added, remembered, drawn, refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from PySide6.QtCore import QMimeData, QPointF, Qt, QUrl
from PySide6.QtGui import QDragEnterEvent, QDropEvent
from PySide6.QtWidgets import QApplication

from app.cli import main
from app.headless import BAD_INPUT
from app.viewing import Wish, look_into
from engine.formats.scene import read_all
from engine.formats.splats import write
from engine.scene import Mesh, Points, Splats
from tests.app.conftest import Driver
from tests.engine.formats.conftest import glb, obj, ply, stl

START = 20_000
"""Milliseconds that the first scene may take: with it comes all that draws one."""


@pytest.fixture(scope="module", autouse=True)
def _loaded(studies: dict[str, Any]) -> None:
    """What an engine imports is imported before, with its own warnings."""


@pytest.fixture
def cube(tmp_path: Path) -> Path:
    path = tmp_path / "cube.ply"
    path.write_bytes(ply())
    return path


def drop(drive: Driver, *paths: Path) -> None:
    mime = QMimeData()
    mime.setUrls([QUrl.fromLocalFile(str(path)) for path in paths])
    place, button, keys = QPointF(400, 300), Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    enter = QDragEnterEvent(place.toPoint(), Qt.DropAction.CopyAction, mime, button, keys)
    QApplication.sendEvent(drive.window, enter)
    assert enter.isAccepted()
    QApplication.sendEvent(drive.window, QDropEvent(place, Qt.DropAction.CopyAction, mime, button, keys))


def names(drive: Driver) -> list[str]:
    dock = drive.stage.docks.get("scene")
    payload: Any = dock.view.payload if dock is not None else None
    return [thing.name for thing in payload.things] if payload is not None else []


# ---- the window -----------------------------------------------------------------------------------------------------


def test_files_dropped_on_the_window_open_the_study_and_more_are_added(
    drive: Driver, cube: Path, tmp_path: Path
) -> None:
    drive.until(lambda: drive.bench.studies)
    solid, bad, odd = tmp_path / "solid.stl", tmp_path / "bad.obj", tmp_path / "odd.xyzzy"
    solid.write_bytes(stl())
    bad.write_bytes(b"v 1 2 what\n")
    odd.write_bytes(b"?")
    drop(drive, cube, solid, odd)
    drive.until(lambda: names(drive) == ["cube", "solid"], START)
    assert drive.bench.study is not None
    assert drive.bench.study.key == "scene_files"
    assert "odd.xyzzy: is no 3-D file" in drive.log()
    drop(drive, bad)
    view = drive.stage.docks["scene"].view
    drive.until(lambda: view.payload.notices)
    assert names(drive) == ["cube", "solid"]
    assert len(view.payload.notices) == 1
    assert view.payload.notices[0].startswith("bad.obj: ")
    drive.window.commands.table["undo"].run()
    drive.until(lambda: view.payload.notices == ())
    assert len(drive.bench.values("scene")["files"]) == 2
    drive.settled()


def test_files_are_remembered_from_one_start_to_the_next(drive: Driver, cube: Path, make_drive: Any) -> None:
    drive.until(lambda: drive.bench.studies)
    menu = drive.window.files.menu
    assert not menu.isEnabled()
    drive.window.open_path(cube)
    drive.until(lambda: names(drive) == ["cube"], START)
    assert [action.text() for action in menu.actions()] == ["cube.ply"]
    drive.window.close()
    again = make_drive()
    again.until(lambda: again.bench.studies)
    (action,) = again.window.files.menu.actions()
    action.trigger()
    again.until(lambda: names(again) == ["cube"])
    again.settled()


def test_how_far_the_reading_is_stands_on_the_view(drive: Driver, cube: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import time

    from engine.studies.shape import scene_files

    def slow(path: str) -> Any:
        for k in range(400):
            time.sleep(0.005)
            yield k / 400
        return read_all(path)

    monkeypatch.setattr(scene_files, "read", slow)
    drive.until(lambda: drive.bench.studies)
    drive.window.open_path(cube)
    drive.until(lambda: "scene" in drive.stage.docks and drive.stage.docks["scene"].view.busy_line.isVisible())
    view = drive.stage.docks["scene"].view
    asked = drive.bench._seq
    view.cancel_requested.emit()
    drive.until(lambda: any(p.slot == "scene" and p.payload is None for p in drive.pictures))
    drive.rest(0.2)
    assert not view.busy_line.isVisible()
    assert drive.bench._seq == asked
    monkeypatch.undo()


# ---- the command line -----------------------------------------------------------------------------------------------


def refusal(capsys: pytest.CaptureFixture[str], *argv: str) -> str:
    capsys.readouterr()
    assert main(argv) == BAD_INPUT
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1, err
    return err


def test_a_screenshot_stands_where_the_camera_says(cube: Path, tmp_path: Path, qapp: QApplication) -> None:
    """The unit cube seen along x: its face at distance 4 from x = 5, with 30 degrees over 200 pixels."""
    out = tmp_path / "out.png"
    camera = "5,0.5,0.5/0,0.5,0.5/0,0,1/30"
    arguments = ["--size", "300x200", "--camera", camera, "--background", "0,0,1", "--screenshot", str(out)]
    assert main(["view", str(cube), *arguments]) == 0
    pixels = np.asarray(Image.open(out).convert("RGB")).astype(int)
    assert pixels.shape == (200, 300, 3)
    assert pixels[2, 2].tolist() == [0, 0, 255]
    there = (pixels != [0, 0, 255]).any(2)
    rows, columns = np.nonzero(there)
    side = 200 / (2 * 4 * np.tan(np.radians(15)))
    for found in (rows, columns):
        assert found.max() - found.min() + 1 == pytest.approx(side, abs=2)
    assert rows.mean() == pytest.approx(99.5, abs=1)
    assert columns.mean() == pytest.approx(149.5, abs=1)


def test_without_a_camera_everything_is_in_the_picture(tmp_path: Path, qapp: QApplication) -> None:
    for name, data in (("a.glb", glb()), ("b.obj", obj())):
        (tmp_path / name).write_bytes(data)
    out = tmp_path / "out.png"
    arguments = [str(tmp_path / "a.glb"), str(tmp_path / "b.obj"), "--size", "200x160", "--background", "1,1,1"]
    assert main(["view", *arguments, "--screenshot", str(out)]) == 0
    there = (np.asarray(Image.open(out).convert("RGB")) < 250).any(2)
    assert there.any()
    assert not there[[0, -1]].any()
    assert not there[:, [0, -1]].any()


@pytest.mark.parametrize("ending", [".ply", ".spz"])
def test_splats_stand_upright_and_all_of_them_are_in_the_picture(
    ending: str, tmp_path: Path, qapp: QApplication
) -> None:
    """A tall pole as captures have it, y down: red at its top, blue at its foot, wide floaters far away."""
    count = 800
    y = np.linspace(0, -4, count)
    sh = np.zeros((count, 1, 3), np.float32)
    sh[:, 0, 0], sh[:, 0, 2] = np.where(y < -2, 1.7, -1.7), np.where(y < -2, -1.7, 1.7)
    sh[:, 0, 1] = -1.7
    xyz = np.column_stack([0 * y, y, 0 * y]).astype(np.float32)
    xyz[:2] = [[500, 0, 0], [0, 0, -500]]
    pole = Splats(
        name="pole",
        xyz=xyz,
        scales=np.full((count, 3), np.log(0.03), np.float32),
        turns=np.tile(np.array([1, 0, 0, 0], np.float32), (count, 1)),
        opacity=np.full(count, 5, np.float32),
        sh=sh,
    )
    path, out = tmp_path / f"pole{ending}", tmp_path / "out.png"
    write(path, pole)
    wish = ["--size", "320x200", "--background", "1,1,1", "--screenshot", str(out)]
    assert main(["view", str(path), *wish]) == 0
    image = np.asarray(Image.open(out).convert("RGB")).astype(int)
    red, blue = (np.argwhere((image[..., c] > 150) & (image[..., 2 - c] < 100)) for c in (0, 2))
    assert len(red)
    assert len(blue)
    assert red[:, 0].max() <= blue[:, 0].min() + 3  # row 0 is at the top
    rows, columns = np.concatenate([red, blue]).T
    assert 0.55 * 200 < np.ptp(rows) < 0.99 * 200  # as large as fits
    assert rows.min() > 2
    assert rows.max() < 197
    assert np.ptp(columns) < 12
    assert columns.mean() == pytest.approx(159.5, abs=4)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--camera", "1,2/0,0,0/0,0,1/45"], "camera"),
        (["--camera", "0,0,0/0,0,0/0,0,1/45"], "same place"),
        (["--background", "1,2,3"], "0..1"),
        (["--size", "big"], "WIDTHxHEIGHT"),
    ],
)
def test_a_bad_wish_is_one_line(
    arguments: list[str], words: str, cube: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shot = str(tmp_path / "a.png")
    assert words in refusal(capsys, "view", str(cube), *arguments, "--screenshot", shot)
    assert not Path(shot).exists()


def test_a_bad_file_ends_with_one_line(cube: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bad = tmp_path / "bad.ply"
    bad.write_bytes(ply().replace(b"vertex 8", b"vertex 1000000000000"))
    for more in ([], ["--screenshot", str(tmp_path / "a.png")]):  # without a picture no window opens on it either
        assert "bad.ply: says that it has 1,000,000,000,000" in refusal(capsys, "view", str(cube), str(bad), *more)
        assert "none.ply: is not there" in refusal(capsys, "view", str(tmp_path / "none.ply"), *more)
    assert "a screenshot is a .png" in refusal(capsys, "view", str(cube), "--screenshot", str(tmp_path / "a.jpg"))
    look_into([str(cube)])


def test_a_window_opens_on_the_files_with_the_camera_wished_for(drive: Driver, cube: Path) -> None:
    from app.start import open_wish

    wish = Wish((str(cube),), camera="7,1,2/0,0,0/0,0,1/33")
    open_wish(drive.window, wish)
    drive.until(lambda: names(drive) == ["cube"], START)
    viewport: Any = drive.stage.docks["scene"].view.viewport  # type: ignore[attr-defined]
    assert viewport.navigator.camera.eye == (7, 1, 2)
    assert viewport.navigator.camera.fov == 33
    drive.settled()


def test_a_probe_of_a_study_without_training_writes_a_scene(
    cube: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.glb"
    files = f"files={cube};{tmp_path / 'none.obj'}"
    assert main(["probe", "scene_files", "scene", "--set", files, "--out", str(out)]) == 0
    assert "none.obj: is not there" in capsys.readouterr().err
    (thing,) = read_all(out)
    assert isinstance(thing, Mesh)
    assert len(thing.faces) == 12
    example = tmp_path / "example.ply"
    assert main(["probe", "scene_files", "scene", "--out", str(example)]) == 0
    assert not isinstance(read_all(example)[0], Points)
