"""The command palette, keys alone, and words for everything that can be pressed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QKeySequence
from PySide6.QtWidgets import (
    QAbstractButton,
    QApplication,
    QComboBox,
    QLineEdit,
    QMessageBox,
    QPlainTextEdit,
    QTabBar,
    QWidget,
)

from app.palette import CommandPalette, Entry, matches
from app.toolbar import TrainBar

if TYPE_CHECKING:
    from conftest import Driver


def open_palette(drive: Driver) -> CommandPalette:
    drive.key(Qt.Key.Key_K, Qt.KeyboardModifier.ControlModifier)
    drive.until(lambda: isinstance(QApplication.activePopupWidget(), CommandPalette))
    palette = QApplication.activePopupWidget()
    assert isinstance(palette, CommandPalette)
    return palette


def lines(palette: CommandPalette) -> list[str]:
    return [palette.list.item(row).text() for row in range(palette.list.count())]


def write(drive: Driver, text: str) -> None:
    for letter in text:
        drive.key(letter)


@pytest.mark.parametrize(
    ("query", "text", "found"),
    [("vae", "Variational autoencoder", True), ("TRN", "Train", True), ("nrt", "Train", False), ("", "Train", True)],
)
def test_letters_are_found_in_their_order(query: str, text: str, found: bool) -> None:
    assert (matches(query, text) is not None) is found


def test_the_nearest_match_comes_first() -> None:
    entries = ("Reset knobs", "Unsnap", "Later snapshot", "Snapshots", "Save snapshot")
    order = sorted((e for e in entries if matches("sn", e) is not None), key=lambda e: matches("sn", e) or 0)
    assert order == ["Snapshots", "Save snapshot", "Later snapshot", "Unsnap", "Reset knobs"]


def test_typing_finds_a_study_and_enter_opens_it(drive: Driver) -> None:
    drive.until(lambda: drive.bench.studies)
    palette = open_palette(drive)
    write(drive, "variational")
    assert lines(palette)[0].startswith("Variational autoencoder")
    drive.key(Qt.Key.Key_Return)
    drive.until(lambda: drive.opened)
    assert drive.bench.study is not None
    assert drive.bench.study.key == "vae"
    assert QApplication.activePopupWidget() is None


def test_typing_finds_a_command_and_enter_runs_it(drive: Driver) -> None:
    drive.open()
    open_palette(drive)
    write(drive, "10 steps")
    drive.key(Qt.Key.Key_Return)
    drive.until(lambda: drive.bench.step == 10)


def test_a_probe_is_found_too(drive: Driver) -> None:
    drive.open()
    open_palette(drive)
    write(drive, "probe traversal")
    drive.key(Qt.Key.Key_Return)
    assert drive.stage.active == "traversal"


def test_what_cannot_act_says_why_and_is_passed_over(drive: Driver) -> None:
    drive.until(lambda: drive.bench.studies)
    palette = open_palette(drive)
    write(drive, "undo")
    assert lines(palette)[0] == "Undo    Nothing was changed yet."
    first = palette.list.item(0)
    assert not first.flags() & Qt.ItemFlag.ItemIsEnabled
    assert palette.list.currentItem() is not first
    drive.key(Qt.Key.Key_Escape)
    palette = open_palette(drive)
    write(drive, "step")
    for _ in range(palette.list.count() + 2):
        drive.key(Qt.Key.Key_Down)
        current = palette.list.currentItem()
        assert current is None or current.flags() & Qt.ItemFlag.ItemIsEnabled
    drive.key(Qt.Key.Key_Escape)
    assert drive.bench.epoch == 0


def test_what_is_not_there_is_told(drive: Driver) -> None:
    palette = open_palette(drive)
    write(drive, "zzzq")
    assert lines(palette) == ["Nothing is called “zzzq”."]
    drive.key(Qt.Key.Key_Return)
    assert palette.isVisible()
    drive.key(Qt.Key.Key_Escape)
    drive.until(lambda: QApplication.activePopupWidget() is None)


def test_a_click_runs_an_entry(drive: Driver) -> None:
    ran: list[str] = []
    palette = CommandPalette([Entry("One", "", lambda: ran.append("one")), Entry("Two", "", list)], drive.window)
    palette.show()
    drive.click(palette.list.viewport(), palette.list.visualItemRect(palette.list.item(0)).center())
    assert ran == ["one"]


def test_the_whole_main_flow_by_keys_alone(drive: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tab to the search, find the study, Enter; train; Tab to a slider, move it; undo; pause."""
    monkeypatch.setattr("app.welcome.STARTERS", Path("nowhere"))  # it opens afresh, on its first probe
    drive.until(lambda: drive.bench.studies)
    for _ in range(60):
        if QApplication.focusWidget() is drive.window.catalogue.search:
            break
        drive.key(Qt.Key.Key_Tab)
    assert drive.window.catalogue.search.hasFocus()
    write(drive, "variational")
    drive.key(Qt.Key.Key_Down)
    assert drive.window.catalogue.tree.hasFocus()
    drive.key(Qt.Key.Key_Return)
    drive.until(lambda: drive.opened)
    drive.until(lambda: drive.image() is not None)
    drive.key(Qt.Key.Key_Space)
    drive.until(lambda: drive.bench.step > 2)
    row = drive.window.controls.control_widget("z").row(0)
    for _ in range(60):
        if row.hasFocus():
            break
        drive.key(Qt.Key.Key_Tab)
    assert row.hasFocus(), f"Tab never comes to the slider; stuck at {QApplication.focusWidget()}"
    seen = drive.bench._seq
    drive.key(Qt.Key.Key_Right)
    drive.key(Qt.Key.Key_Right)
    assert drive.bench.values("decode")["z"][0] > 0
    drive.until(lambda: drive.stage.docks["decode"]._shown > seen + 1)
    drive.until(lambda: drive.bench.undo.count() == 1)
    drive.key(Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert drive.bench.values("decode")["z"][0] == 0
    drive.key(Qt.Key.Key_Space)
    drive.settled()
    assert not drive.bench.training


def test_tab_goes_through_the_window_as_the_eye_does_and_comes_round(drive: Driver) -> None:
    drive.open()
    drive.settled()
    drive.rest(0.1)
    order = drive.window.tab_order()
    assert len(order) == len(set(order)) > 20
    knobs = [drive.window.knobs.knob_widget(k.name) for k in drive.bench.study.knobs]
    places = [order.index(knob.focusProxy() or knob) for knob in knobs]
    assert places == list(range(places[0], places[0] + len(knobs))), "one knob after the other"
    assert order[0] is drive.window.toolbar.study
    order[0].setFocus()
    for wanted in (*order[1:], order[0]):
        drive.key(Qt.Key.Key_Tab)
        assert QApplication.focusWidget() is wanted
    assert drive.stage.active == "decode", "passing by makes no probe the active one"
    drive.window.toolbar.train.setFocus()
    drive.key(Qt.Key.Key_Backtab, Qt.KeyboardModifier.ShiftModifier)
    assert drive.window.toolbar.study.hasFocus()


def test_the_list_of_keys_names_every_key_and_blocks_nothing(drive: Driver) -> None:
    drive.open()
    drive.key("?")
    box = next(w for w in drive.window.findChildren(QMessageBox) if w.isVisible())
    for command in drive.window.commands.table.values():
        if command.keys:
            assert f"<b>{command.keys}</b>" in box.text()
    assert not box.isModal()
    box.close()
    drive.rest(0.02)


def test_no_two_commands_share_a_key(drive: Driver) -> None:
    keys = [QKeySequence(c.keys).toString() for c in drive.window.commands.table.values() if c.keys]
    assert len(keys) == len(set(keys))


def test_commands_that_cannot_act_are_grey_with_the_reason(drive: Driver) -> None:
    actions, table = drive.window.commands.actions, drive.window.commands.table
    for name in ("train", "step", "restart", "undo", "earlier", "save-picture"):
        assert not actions[name].isEnabled(), name
        assert actions[name].toolTip() == table[name].why_not() != ""
    drive.open()
    for name in ("train", "step", "restart", "save-picture"):
        assert actions[name].isEnabled(), name
        assert actions[name].toolTip()


# ---- words for everything ----


def name_of(widget: QWidget) -> str:
    """What a screen reader would say."""
    if widget.accessibleName():
        return widget.accessibleName()
    if isinstance(widget, QAbstractButton):
        return widget.text()
    if isinstance(widget, QTabBar):
        return widget.tabText(0)
    if isinstance(widget, QComboBox):
        return widget.currentText()
    if isinstance(widget, QLineEdit | QPlainTextEdit):
        return widget.placeholderText()
    proxy = widget.focusProxy()
    return name_of(proxy) if proxy is not None else ""


@pytest.mark.parametrize("study", ["vae", "autoencoder"])
def test_every_control_has_a_tip_and_every_focusable_widget_a_name(drive: Driver, study: str) -> None:
    drive.open(study)
    drive.train(1)
    knobs, bar = drive.window.knobs, drive.window.toolbar
    for knob in drive.bench.study.knobs:
        tip = knobs.knob_widget(knob.name).toolTip()
        assert tip.lower().startswith(knob.text[:12].lower()), knob.name
        assert tip.count(".") >= 1
        assert not tip.count("\n")
    for probe in list(drive.stage.docks):
        drive.show(probe)
        for name in drive.stage.docks[probe].spec.controls:
            widget = drive.window.controls.control_widget(name)
            assert widget.toolTip(), f"{probe}.{name} has no tool tip"
        check_names(drive)
    for button in bar.findChildren(QAbstractButton):
        if button.objectName() != "qt_toolbar_ext_button" and button.isVisibleTo(bar):
            assert button.toolTip(), f"{button.text()!r} has no tool tip"
            assert name_of(button)


def check_names(drive: Driver) -> None:
    nameless = [
        f"{type(w).__module__}.{type(w).__name__} in {type(w.parent()).__name__}"
        for w in drive.window.findChildren(QWidget)
        if w.focusPolicy() & Qt.FocusPolicy.TabFocus
        and w.isVisible()
        and not isinstance(w, TrainBar)
        and type(w).__name__ not in ("QScrollArea", "QMenuBar", "QTabWidget")
        and not name_of(w)
    ]
    assert not nameless, sorted(set(nameless))


def test_every_command_in_the_menus_is_in_the_palette(drive: Driver) -> None:
    drive.open()
    texts = {a.text().split("\t")[0] for a in drive.window.commands.actions.values() if a.text()}
    palette = open_palette(drive)
    there = " | ".join(lines(palette))
    missing = [t for t in texts if t not in there and t not in ("Search", "Pause")]
    assert not missing
    drive.key(Qt.Key.Key_Escape)


def test_saving_asks_in_a_window_that_blocks_nothing(drive: Driver, tmp_path: Any) -> None:
    from PySide6.QtWidgets import QFileDialog

    drive.open()
    QApplication.instance().setAttribute(Qt.ApplicationAttribute.AA_DontUseNativeDialogs)
    drive.window.commands.actions["save-data"].trigger()
    dialog = drive.stage.docks["decode"].view.findChild(QFileDialog)
    assert dialog is not None
    drive.train(1)
    dialog.fileSelected.emit(str(tmp_path / "code.npz"))
    dialog.reject()
    drive.until(lambda: "code.npz" in drive.log())
    assert (tmp_path / "code.npz").stat().st_size > 0
