"""The line for a file's path: typed, dropped, cleared, put back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import QMimeData, QPointF, Qt, QUrl
from PySide6.QtGui import QDropEvent

from engine.params import BadValue, Knob
from widgets.controls.knobs import KNOB_WIDGETS
from widgets.controls.picking.path_box import PathBox

KNOB = Knob("file", "path", "", "A file.")


def test_a_typed_path_is_taken_with_enter_and_put_back_by_reset(qtbot: Any) -> None:
    box = KNOB_WIDGETS["path"](KNOB)
    assert isinstance(box, PathBox)
    qtbot.addWidget(box)
    told: list[str] = []
    box.settled.connect(told.append)
    qtbot.keyClicks(box.line, " a.ply ")
    assert told == []
    qtbot.keyClick(box.line, Qt.Key.Key_Return)
    assert (told, box.value()) == (["a.ply"], "a.ply")
    box.set_value("b.ply")
    assert (told, box.line.text()) == (["a.ply"], "b.ply")
    box.reset()
    assert told == ["a.ply", ""]


def test_a_dropped_file_is_taken(qtbot: Any, tmp_path: Path) -> None:
    box = PathBox()
    qtbot.addWidget(box)
    told: list[str] = []
    box.settled.connect(told.append)
    mime = QMimeData()
    mime.setUrls([QUrl.fromLocalFile(str(tmp_path / "c.off"))])
    keys, buttons = Qt.KeyboardModifier.NoModifier, Qt.MouseButton.LeftButton
    box.dropEvent(QDropEvent(QPointF(5, 5), Qt.DropAction.CopyAction, mime, buttons, keys))
    assert told == [str(tmp_path / "c.off")]


def test_a_path_is_one_line_of_text() -> None:
    assert KNOB.parse(" /tmp/x y.ply ") == "/tmp/x y.ply"
    for bad in (3, "a\nb", "x" * 5000):
        with pytest.raises(BadValue, match=r"^file: .* is not the path of a file"):
            KNOB.check(bad)
