"""The editor of a tree of solids: the outline's rows, edits by button and key, sliders, and what comes of them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QMenu
from pytestqt.qtbot import QtBot

from engine.probes import Camera, Places, ProbeSpec, Tree
from engine.scene import Scene
from engine.shape_tree import EXAMPLE, KINDS, MAX_NODES, PRESETS, check_tree, node, read_tree, write_tree
from widgets.controls.probe_controls import ControlForm
from widgets.controls.shapes import tree_edit as edit
from widgets.controls.shapes.tree import TreeEditor
from widgets.controls.text_line import CameraBox, PlacesBox

NONE, ALT, CONTROL = (
    Qt.KeyboardModifier.NoModifier,
    Qt.KeyboardModifier.AltModifier,
    Qt.KeyboardModifier.ControlModifier,
)


def made(qtbot: QtBot, tree: str = EXAMPLE) -> tuple[TreeEditor, list[str], list[str]]:
    editor = TreeEditor("shape", Tree(tree), {})
    qtbot.addWidget(editor)
    editor.resize(280, 500)
    with qtbot.waitExposed(editor):
        editor.show()
    editor.activateWindow()
    moved: list[str] = []
    settled: list[str] = []
    editor.moved.connect(moved.append)
    editor.settled.connect(settled.append)
    return editor, moved, settled


def lines(editor: TreeEditor) -> list[str]:
    return [item.text(0) for item in editor.outline.items()]


def tree_of(editor: TreeEditor) -> Any:
    return json.loads(editor.value())


# ---- edits, without a widget --------------------------------------------------------------------------------------


def test_rows_are_solids_and_combinations_with_the_changes_over_them() -> None:
    tree = node("turn", node("union", node("sphere"), node("move", node("grow", node("box")))))
    rows = edit.rows_of(tree)
    assert [(r.top, r.path, r.level) for r in rows] == [
        ((), (0,), 0),
        ((0, 0), (0, 0), 1),
        ((0, 1), (0, 1, 0, 0), 1),
    ]
    assert rows[2].changes == ((0, 1), (0, 1, 0))


def test_edits_leave_the_old_tree_alone_and_make_valid_ones() -> None:
    for text in PRESETS.values():
        tree = read_tree(text)
        for row in edit.rows_of(tree):
            results = [edit.added(tree, row, kind) for kind in KINDS]
            results += [r for r in (edit.duplicated(tree, row), edit.removed(tree, row)) if r]
            results += [r for by in (-1, 1) if (r := edit.shifted(tree, row, by))]
            for fresh, path in results:
                assert check_tree(write_tree(fresh)) == write_tree(fresh)
                rows = edit.rows_of(fresh)
                assert path in [r.path for r in rows] + [r.top for r in rows]
            assert write_tree(tree) == text


def test_what_is_left_alone_by_a_removal_goes_too_but_never_the_last() -> None:
    tree = node("union", node("sphere"), node("move", node("difference", node("box"))))
    box = edit.rows_of(tree)[3]
    assert box.path == (1, 0, 0)
    after = edit.removed(tree, box)
    assert after == (node("union", node("sphere")), (0,))
    assert edit.removed(after[0], edit.rows_of(after[0])[1]) is None


def test_another_kind_keeps_children_and_what_has_the_same_name() -> None:
    tree = node("smooth_union", node("sphere", radius=0.31), node("box"), k=0.33)
    smooth = edit.changed_kind(tree, (), "smooth_difference")
    assert (smooth["kind"], smooth["k"], smooth["children"]) == ("smooth_difference", 0.33, tree["children"])
    assert edit.changed_kind(tree, (0,), "cylinder")["children"][0] == node("cylinder", radius=0.31)


def test_values_that_would_make_no_shape_are_mended() -> None:
    tree = node("box", half=(0.5, 0.4, 0.3), rounding=0.2)
    assert edit.with_value(tree, (), "half", (2,), 0.1)["rounding"] == 0.1
    tree = node("turn", node("sphere"), axis=(1, 0, 0))
    assert edit.with_value(tree, (), "axis", (0,), 0.0) == tree
    assert edit.with_value(tree, (), "axis", (1,), 0.5)["axis"] == [1, 0.5, 0]


# ---- the widget ---------------------------------------------------------------------------------------------------


def test_the_outline_shows_the_tree_and_the_selected_rows_sliders(qtbot: QtBot) -> None:
    editor, moved, settled = made(qtbot)
    assert lines(editor) == ["Smooth union", "Sphere", "Torus  ·  move"]
    assert list(editor.sliders.sliders) == [((), "k", ())]
    editor.select((1, 0))
    assert list(editor.sliders.sliders) == [
        ((1, 0), "major", ()),
        ((1, 0), "minor", ()),
        *[((1,), "by", (i,)) for i in range(3)],
    ]
    assert editor.sliders.sliders[(1,), "by", (2,)].value() == 0.25
    assert (moved, settled) == ([], [])
    assert editor.value() == EXAMPLE


def test_adding_a_solid_to_the_combination_and_beside_a_solid(qtbot: QtBot) -> None:
    editor, moved, settled = made(qtbot)
    editor.add("box")
    assert lines(editor) == ["Smooth union", "Sphere", "Torus  ·  move", "Box"]
    assert editor.row.path == (2,)
    assert len(moved) == len(settled) == 1
    assert settled[0] == editor.value() == check_tree(editor.value())
    editor.select((0,))
    editor.add("gyroid")
    assert [c["kind"] for c in tree_of(editor)["children"]] == ["sphere", "gyroid", "move", "box"]


def test_a_moving_slider_changes_the_value_at_once_and_settles_at_release(qtbot: QtBot) -> None:
    editor, moved, settled = made(qtbot)
    editor.select((1, 0))
    slider = editor.sliders.sliders[(1,), "by", (0,)]
    track = slider.track_rect()
    y = slider.height() // 2

    def at(share: float) -> QPoint:
        return QPoint(round(track.left() + share * track.width()), y)

    QTest.mousePress(slider, Qt.MouseButton.LeftButton, NONE, at(0.75))
    for share in (0.7, 0.5, 0.25):
        QTest.mouseMove(slider, at(share))
    assert len(moved) >= 3
    assert tree_of(editor)["children"][1]["by"][0] == pytest.approx(-0.5, abs=0.03)
    assert moved[-1] == editor.value()
    before = len(settled)
    QTest.mouseRelease(slider, Qt.MouseButton.LeftButton, NONE, at(0.25))
    assert len(settled) == before + 1
    assert settled[-1] == editor.value() == check_tree(editor.value())
    assert lines(editor)[2] == "Torus  ·  move"


def test_keys_step_a_slider_and_the_value_settles_after_a_rest(qtbot: QtBot) -> None:
    editor, _moved, settled = made(qtbot)
    editor.select((0,))
    slider = editor.sliders.sliders[(0,), "radius", ()]
    QTest.keyClick(slider, Qt.Key.Key_Right)
    assert tree_of(editor)["children"][0]["radius"] == pytest.approx(0.455, abs=0.006)
    qtbot.waitUntil(lambda: len(settled) == 1, timeout=2000)
    assert settled == [editor.value()]


def test_a_value_from_outside_moves_the_sliders_quietly_and_keeps_the_selection(qtbot: QtBot) -> None:
    editor, moved, settled = made(qtbot)
    editor.select((1, 0))
    slider = editor.sliders.sliders[(1, 0), "major", ()]
    other = read_tree(EXAMPLE)
    other["children"][1]["children"][0]["major"] = 0.5
    editor.set_value(write_tree(other))
    assert slider.value() == 0.5
    assert editor.sliders.sliders[(1, 0), "major", ()] is slider  # nothing was made anew under the hand
    assert (moved, settled) == ([], [])
    editor.set_value(PRESETS["One sphere"], quiet=False)
    assert settled == [PRESETS["One sphere"]]
    assert lines(editor) == ["Sphere"]
    editor.reset()
    assert settled[-1] == EXAMPLE


def test_keys_remove_duplicate_and_reorder(qtbot: QtBot) -> None:
    editor, _, settled = made(qtbot)
    editor.select((0,))
    outline = editor.outline
    outline.setFocus()
    QTest.keyClick(outline, Qt.Key.Key_D, CONTROL)
    assert lines(editor) == ["Smooth union", "Sphere", "Sphere  ·  move", "Torus  ·  move"]
    assert editor.row.path == (1, 0)
    QTest.keyClick(outline, Qt.Key.Key_Down, ALT)
    assert lines(editor) == ["Smooth union", "Sphere", "Torus  ·  move", "Sphere  ·  move"]
    QTest.keyClick(outline, Qt.Key.Key_Down, ALT)  # it is the last already
    QTest.keyClick(outline, Qt.Key.Key_Up, ALT)
    QTest.keyClick(outline, Qt.Key.Key_Delete)
    assert editor.value() == EXAMPLE
    QTest.keyClick(outline, Qt.Key.Key_Up)
    assert editor.row.path == (0,)
    assert len(settled) == 4


def test_the_last_shape_cannot_be_removed_and_says_why(qtbot: QtBot) -> None:
    editor, _, settled = made(qtbot, PRESETS["One sphere"])
    assert not editor.remove_button.isEnabled()
    assert "last shape" in editor.remove_button.toolTip()
    editor.remove()
    assert settled == []
    editor.add("torus")
    assert lines(editor) == ["Union", "Sphere", "Torus"]
    assert editor.remove_button.isEnabled()


def test_changes_go_over_the_row_and_can_be_taken_away(qtbot: QtBot) -> None:
    editor, _, _ = made(qtbot, PRESETS["One sphere"])
    editor.add("move")
    editor.add("turn")
    assert lines(editor) == ["Sphere  ·  move  ·  turn"]
    assert tree_of(editor)["kind"] == "turn"
    editor.sliders.change_removed.emit(())
    assert lines(editor) == ["Sphere  ·  move"]
    editor.change_kind((0,), "capsule")
    assert lines(editor) == ["Capsule  ·  move"]


def test_balls_are_added_and_taken_away(qtbot: QtBot) -> None:
    editor, _, _ = made(qtbot, PRESETS["Metaballs"])
    editor.sliders.resized_by.emit((), 1)
    tree = tree_of(editor)
    assert len(tree["centres"]) == len(tree["radii"]) == 5
    assert len(editor.sliders.sliders) == 5 * 4 + 1
    for _ in range(4):
        editor.sliders.resized_by.emit((), -1)
    assert len(tree_of(editor)["radii"]) == 1


def test_a_tree_that_is_full_takes_no_more_and_says_so(qtbot: QtBot) -> None:
    editor, _, settled = made(qtbot, write_tree(node("union", *[node("sphere")] * (MAX_NODES - 1))))
    editor.add("box")
    assert settled == []
    assert "more than" in editor.add_button.toolTip()
    assert not editor.add_button.isEnabled()
    editor.remove()  # the root cannot go; a sphere can
    editor.select((3,))
    editor.remove()
    assert editor.add_button.isEnabled()


def test_menus_offer_every_kind_once_and_every_preset(qtbot: QtBot) -> None:
    editor, _, settled = made(qtbot)

    def titles(menu: QMenu) -> list[str]:
        found = [a.text() for a in menu.actions() if not a.isSeparator()]
        menu.deleteLater()
        return found

    assert titles(editor.add_menu()) == [k.title for k in KINDS.values()]
    assert titles(editor.kinds_menu((0,))) == [k.title for k in KINDS.values() if k.group == "solid"]
    menu = editor.presets_menu()
    menu.actions()[list(PRESETS).index("Mug")].trigger()
    menu.deleteLater()
    assert settled == [PRESETS["Mug"]]
    assert editor.outline.accessibleName() == "shape"
    assert all(b.accessibleName() for b in (editor.duplicate_button, editor.up_button, editor.remove_button))


# ---- in the form, and the lines of text ---------------------------------------------------------------------------


def test_the_form_has_widgets_for_trees_cameras_and_places(qtbot: QtBot) -> None:
    spec = ProbeSpec("p", "P", "", Scene, {"shape": Tree(), "camera": Camera(), "at": Places(((0, 0, 0),))}, None)
    form = ControlForm()
    qtbot.addWidget(form)
    form.set_probe(spec, {}, {"shape": PRESETS["Mug"], "at": ((1, 2, 3),)})
    assert form.values() == {"shape": PRESETS["Mug"], "camera": Camera().default, "at": ((1.0, 2.0, 3.0),)}
    kinds = {name: type(form.control_widget(name)) for name in spec.controls}
    assert kinds == {"shape": TreeEditor, "camera": CameraBox, "at": PlacesBox}


def test_a_camera_is_typed_refused_or_set_to_a_stand(qtbot: QtBot) -> None:
    box = CameraBox("camera", Camera("3,0,0/0,0,0/0,0,1/45"), {})
    qtbot.addWidget(box)
    settled: list[str] = []
    box.settled.connect(settled.append)
    box.line.selectAll()
    QTest.keyClicks(box.line, "1,2,3/1,2,3/0,0,1/45")
    QTest.keyClick(box.line, Qt.Key.Key_Return)
    assert settled == []
    assert "direction" in box.line.toolTip()
    box.line.selectAll()
    QTest.keyClicks(box.line, "1,2,3/0,0,0/0,0,1/45")
    QTest.keyClick(box.line, Qt.Key.Key_Return)
    assert settled == [box.value()] == ["1,2,3/0,0,0/0,0,1/45"]
    box.set_value("3,0,0/1,0,0/0,0,1/45")
    box.stand((0.0, 0.0, 1.0))
    assert box.value() == "1,0,2/1,0,0/0,1,0/45"
    box.reset()
    assert box.value() == "3,0,0/0,0,0/0,0,1/45"


def test_places_are_typed_as_numbers_with_commas(qtbot: QtBot) -> None:
    box = PlacesBox("at", Places(((0.0, 0.0, 0.0), (1.0, 0.0, 0.0))), {})
    qtbot.addWidget(box)
    assert box.line.text() == "0,0,0; 1,0,0"
    box.line.selectAll()
    QTest.keyClicks(box.line, "1,2,3;4,5,6")
    QTest.keyClick(box.line, Qt.Key.Key_Return)
    assert box.value() == ((1.0, 2.0, 3.0), (4.0, 5.0, 6.0))
    box.line.selectAll()
    QTest.keyClicks(box.line, "1,2,3")
    QTest.keyClick(box.line, Qt.Key.Key_Return)
    assert "2 are wanted" in box.line.toolTip()
    assert box.value() == ((1.0, 2.0, 3.0), (4.0, 5.0, 6.0))
