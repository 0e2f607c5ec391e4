"""The list of files: adding, taking away by button and key, dropping, and what a person without a mouse can do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from PySide6.QtCore import QMimeData, QPoint, QPointF, Qt, QUrl
from PySide6.QtGui import QDragEnterEvent, QDropEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QFileDialog, QLabel
from pytestqt.qtbot import QtBot

from engine.payloads import ImageGrid
from engine.probes import Paths, ProbeSpec
from widgets.controls.picking.paths import SHOWN, PathList, dialog_filters
from widgets.controls.probe_controls import ControlForm


def made(qtbot: QtBot) -> tuple[PathList, list[Any]]:
    box = PathList("files", Paths(("ply", "obj")), {})
    qtbot.addWidget(box)
    box.resize(260, 300)
    with qtbot.waitExposed(box):
        box.show()
    settled: list[Any] = []
    box.settled.connect(settled.append)
    return box, settled


def names(box: PathList) -> list[str]:
    return [row._label.text() for row in box.rows]


def test_files_are_added_once_and_taken_away(qtbot: QtBot) -> None:
    box, settled = made(qtbot)
    assert box.value() == ()
    assert not box.clear_button.isVisible()
    box.add(["/a/one.ply", "/a/two.obj"])
    box.add(["/a/one.ply", "/a/three.ply"])
    assert settled[-1] == ("/a/one.ply", "/a/two.obj", "/a/three.ply")
    qtbot.waitUntil(lambda: names(box) == ["one.ply", "two.obj", "three.ply"])
    QTest.mouseClick(box.rows[1].button, Qt.MouseButton.LeftButton)
    assert settled[-1] == box.value() == ("/a/one.ply", "/a/three.ply")
    QTest.mouseClick(box.clear_button, Qt.MouseButton.LeftButton)
    assert settled[-1] == ()
    assert len(settled) == 4


def test_a_value_set_from_elsewhere_is_shown_quietly(qtbot: QtBot) -> None:
    box, settled = made(qtbot)
    box.set_value(tuple(f"/a/{i}.ply" for i in range(SHOWN + 3)))
    assert len(box.rows) == SHOWN
    assert any("3 more" in label.text() for label in box.findChildren(QLabel) if label.isVisible())
    assert settled == []


def test_the_keyboard_takes_a_file_away_and_stays_in_the_list(qtbot: QtBot) -> None:
    box, settled = made(qtbot)
    box.set_value(("/a/one.ply", "/a/two.obj"))
    box.activateWindow()
    qtbot.waitUntil(box.isActiveWindow)
    box.rows[0].button.setFocus()
    QTest.keyClick(box.rows[0].button, Qt.Key.Key_Delete)
    assert settled == [("/a/two.obj",)]
    qtbot.waitUntil(lambda: QApplication.focusWidget() is box.rows[0].button)
    QTest.keyClick(box.rows[0].button, Qt.Key.Key_Space)
    assert settled[-1] == ()
    assert QApplication.focusWidget() is box.add_button
    assert all(b.accessibleName() for b in (box, box.add_button, box.clear_button))


def test_several_files_are_dropped_at_once(qtbot: QtBot, tmp_path: Path) -> None:
    box, settled = made(qtbot)
    mime = QMimeData()
    mime.setUrls([QUrl.fromLocalFile(str(tmp_path / n)) for n in ("a.ply", "b.obj")])
    keys, button = Qt.KeyboardModifier.NoModifier, Qt.MouseButton.LeftButton
    enter = QDragEnterEvent(QPoint(5, 5), Qt.DropAction.CopyAction, mime, button, keys)
    QApplication.sendEvent(box, enter)
    assert enter.isAccepted()
    QApplication.sendEvent(box, QDropEvent(QPointF(5, 5), Qt.DropAction.CopyAction, mime, button, keys))
    assert settled == [(str(tmp_path / "a.ply"), str(tmp_path / "b.obj"))]


def test_the_dialog_offers_the_kinds_and_blocks_nothing(qtbot: QtBot) -> None:
    box, settled = made(qtbot)
    assert dialog_filters(("ply", "obj")) == ["3-D files (*.ply *.obj)", "All files (*)"]
    QTest.mouseClick(box.add_button, Qt.MouseButton.LeftButton)
    (dialog,) = box.findChildren(QFileDialog)
    dialog.filesSelected.emit(["/a/one.ply"])
    dialog.reject()
    assert settled == [("/a/one.ply",)]


def test_the_form_of_a_probe_has_the_list(qtbot: QtBot) -> None:
    form = ControlForm()
    qtbot.addWidget(form)
    form.set_probe(ProbeSpec("scene", "Scene", "", ImageGrid, {"files": Paths(text="Files.")}, None), {})
    assert isinstance(form.control_widget("files"), PathList)
    settled: list[Any] = []
    form.settled.connect(lambda name, value: settled.append((name, value)))
    form.control_widget("files").add(["/a.ply"])
    assert settled == [("files", ("/a.ply",))]
