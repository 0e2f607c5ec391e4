"""Docks that float, tab, close, come back and are remembered; the stage alone; both themes; small screens."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QColor, QImage
from PySide6.QtWidgets import QDockWidget, QMenu

from app.window import MainWindow
from widgets.theme import DARK, LIGHT, theme

if TYPE_CHECKING:
    from conftest import Driver

SMALL = QSize(1280, 800)


def menu(window: MainWindow, title: str, sub: str = "") -> QMenu:
    """A menu of the menu bar, or one below it, filled as when it is opened."""
    found = next(a.menu() for a in window.menuBar().actions() if a.text() == title)
    if sub:
        found = next(a.menu() for a in found.actions() if a.menu() is not None and a.text() == sub)
    found.aboutToShow.emit()
    assert isinstance(found, QMenu)
    return found


def shown(docks: dict[str, Any]) -> set[str]:
    """Those that are open, in front or behind another tab."""
    return {name for name, dock in docks.items() if not dock.isHidden()}


def fill(image: QImage) -> QColor:
    return QColor(image.pixel(2, image.height() - 3))


def test_every_dock_is_there_on_the_first_day(drive: Driver) -> None:
    assert shown(drive.window.docks) == {"catalogue", "knobs", "controls", "curves", "objective", "data", "log"}
    tabbed = drive.window.tabifiedDockWidgets(drive.window.docks["curves"])
    assert set(tabbed) == {drive.window.docks["data"], drive.window.docks["log"]}


def test_a_dock_closes_by_its_button_and_comes_back_by_the_view_menu(drive: Driver) -> None:
    dock = drive.window.docks["objective"]
    drive.qtbot.mouseMove(dock.bar)
    dock.bar._close.show()
    drive.click(dock.bar._close)
    assert dock.isHidden()
    action = next(a for a in menu(drive.window, "View", "Docks").actions() if a.text() == "Objective")
    assert not action.isChecked()
    action.trigger()
    assert dock.isVisible()


def test_a_dock_floats_and_goes_home(drive: Driver) -> None:
    dock = drive.window.docks["knobs"]
    dock.bar._float.show()
    drive.click(dock.bar._float)
    assert dock.isFloating()
    assert dock.isVisible()
    drive.click(dock.bar._float)
    assert not dock.isFloating()


def test_a_closed_probe_is_listed_and_comes_back(drive: Driver) -> None:
    drive.open()
    dock = drive.stage.docks["decode"]
    dock.close()
    action = next(a for a in menu(drive.window, "View", "Probes").actions() if a.text() == "Latent sliders")
    action.trigger()
    assert dock.isVisible()


def test_reset_layout_puts_everything_back(drive: Driver) -> None:
    drive.open()
    home = {n: d.geometry() for n, d in drive.window.docks.items() if not d.visibleRegion().isEmpty()}
    assert {"catalogue", "knobs", "controls", "curves", "objective"} <= set(home)
    drive.window.docks["curves"].setFloating(True)
    drive.window.docks["knobs"].close()
    drive.window.addDockWidget(Qt.DockWidgetArea.LeftDockWidgetArea, drive.window.docks["objective"])
    drive.stage.docks["decode"].setFloating(True)
    drive.stage.docks["samples"].close()
    drive.window.commands.table["reset-layout"].run()
    drive.rest(0.05)
    assert shown(drive.window.docks) == set(drive.window.docks)
    assert shown(drive.stage.docks) == set(drive.stage.docks)
    assert not any(d.isFloating() for d in (*drive.window.docks.values(), *drive.stage.docks.values()))
    for name, place in home.items():
        now = drive.window.docks[name].geometry()
        assert abs(now.x() - place.x()) < 40, name
        assert abs(now.y() - place.y()) < 40, name


def test_the_stage_alone_and_back_restores_exactly_what_was_open(drive: Driver) -> None:
    drive.open()
    drive.window.docks["objective"].close()
    drive.window.docks["data"].setFloating(True)
    before = shown(drive.window.docks)
    drive.key(Qt.Key.Key_F11)
    docked = {name for name, dock in drive.window.docks.items() if not dock.isFloating()}
    assert not shown(drive.window.docks) & docked
    assert drive.stage.docks["decode"].isVisible()
    drive.key(Qt.Key.Key_F11)
    assert shown(drive.window.docks) == before
    assert drive.window.docks["curves"].isVisible(), "the tab that was in front is in front"


def test_the_stage_alone_is_not_what_the_next_window_begins_with(make_drive: Callable[..., Driver]) -> None:
    first = make_drive()
    first.window.docks["objective"].close()
    wanted = shown(first.window.docks)
    first.key(Qt.Key.Key_F11)
    first.window.close()
    assert shown(make_drive().window.docks) == wanted


def test_layouts_are_remembered_from_one_window_to_the_next(
    make_drive: Callable[..., Driver],
) -> None:
    first = make_drive()
    first.open()
    first.window.docks["objective"].close()
    first.window.addDockWidget(Qt.DockWidgetArea.RightDockWidgetArea, first.window.docks["catalogue"])
    first.stage.docks["samples"].close()
    theme.set_mode("light")
    first.window.close()
    theme.set_mode("dark")
    second = make_drive()
    assert second.window.docks["objective"].isHidden()
    area = second.window.dockWidgetArea(second.window.docks["catalogue"])
    assert area == Qt.DockWidgetArea.RightDockWidgetArea
    assert second.window.settings.text("theme") == "light"
    second.open()
    assert second.stage.docks["samples"].isHidden()
    assert not second.stage.docks["decode"].isHidden()


def test_each_study_keeps_its_own_arrangement(drive: Driver) -> None:
    drive.open("vae")
    drive.stage.docks["samples"].close()
    drive.open("autoencoder")
    assert shown(drive.stage.docks) == set(drive.stage.docks), "another study begins with its own layout"
    drive.stage.docks["reconstructions"].close()
    drive.open("vae")
    assert shown(drive.stage.docks) == set(drive.stage.docks) - {"samples"}
    drive.open("autoencoder")
    assert shown(drive.stage.docks) == set(drive.stage.docks) - {"reconstructions"}


def test_a_damaged_settings_file_is_ignored(make_window: Callable[..., MainWindow], tmp_path: Any) -> None:
    (tmp_path / "window.json").write_text('{"layout": 3, "docks": "!!", "geometry": 7', "utf-8")
    window = make_window()
    assert shown(window.docks) == set(window.docks)
    (tmp_path / "window.json").write_text('{"layout": 3, "docks": "AAAA", "geometry": "AAAA"}', "utf-8")
    assert shown(make_window().docks) == set(window.docks)


def test_the_window_fits_a_small_screen_whatever_is_open(drive: Driver) -> None:
    assert drive.window.minimumSizeHint().boundedTo(SMALL) == drive.window.minimumSizeHint()
    for study in sorted(drive.studies):
        drive.open(study)
        for probe in drive.stage.docks:
            drive.stage.raise_named(probe)
        if drive.bench.study is not None and drive.bench.study.trains:
            drive.train(2)
        drive.rest(0.05)
        assert drive.window.size() == SMALL, f"{study} made the window grow"
        needs = drive.window.minimumSizeHint()
        assert needs.boundedTo(SMALL) == needs, f"{study} needs {needs}"
        drive.window.toolbar.show_trouble("a long line of trouble " * 20, ("Back to step 1,240", lambda: None))
        drive.rest(0.02)
        assert drive.window.size() == SMALL


def test_no_dock_changes_size_while_it_trains(drive: Driver) -> None:
    drive.open()
    drive.train(3)
    drive.rest(0.1)
    before = {name: dock.size() for name, dock in drive.window.docks.items() if dock.isVisible()}
    stage = {name: dock.size() for name, dock in drive.stage.docks.items() if dock.isVisible()}
    drive.train(30)
    drive.rest(0.1)
    assert {name: dock.size() for name, dock in drive.window.docks.items() if dock.isVisible()} == before
    assert {name: dock.size() for name, dock in drive.stage.docks.items() if dock.isVisible()} == stage


def test_the_theme_recolours_everything_that_is_drawn(drive: Driver) -> None:
    drive.open()
    drive.train(2)
    drive.window.notice("a notice")
    pictures = {}
    for mode, colours in (("dark", DARK), ("light", LIGHT), ("dark", DARK)):
        if theme.mode != mode:
            drive.key(Qt.Key.Key_T, Qt.KeyboardModifier.ControlModifier)
        drive.rest(0.08)
        assert theme.mode == mode
        image = drive.window.grab().toImage()
        ground = QColor(colours.ground)
        size = image.width() * image.height()
        plain = [QColor(image.pixel(x, y)) for x in range(4, image.width(), 9) for y in range(4, image.height(), 9)]
        near = {ground.rgb(), QColor(colours.raised).rgb(), QColor(colours.plot).rgb(), QColor(colours.hover).rgb()}
        share = sum(c.rgb() in near for c in plain) / len(plain)
        assert size
        assert share > 0.6, f"only {share:.0%} of the {mode} window are its grounds"
        other = QColor((LIGHT if mode == "dark" else DARK).ground).rgb()
        assert sum(c.rgb() == other for c in plain) / len(plain) < 0.02
        family = drive.window.catalogue.tree.topLevelItem(0)
        assert family is not None
        assert family.foreground(0).color().name() == colours.quiet
        pictures.setdefault(mode, image.copy())
    assert pictures["dark"] != pictures["light"]


def test_lines_of_the_log_change_colour_with_the_theme(drive: Driver) -> None:
    log = drive.window.log
    log.add("plain")
    log.add("wrong", "error", "Traceback\n  a line")
    for mode, colours in (("dark", DARK), ("light", LIGHT)):
        theme.set_mode(mode)
        drawn = {}
        block = log.text.document().firstBlock()
        while block.isValid():
            spans = block.layout().formats()
            drawn[block.text().split("  ")[-1]] = spans[0].format.foreground().color().name() if spans else ""
            block = block.next()
        assert drawn == {"plain": "", "wrong": colours.bad, "Traceback": colours.quiet, "a line": colours.quiet}
        assert log.text.palette().text().color().name() == colours.text


def test_docks_of_the_study_before_are_gone(drive: Driver) -> None:
    from shiboken6 import isValid

    drive.open("vae")
    old = list(drive.stage.docks.values())
    views = [dock.view for dock in old]
    drive.open("autoencoder")
    drive.rest(0.05)
    assert not any(isValid(thing) for thing in (*old, *views))
    assert len(drive.stage.findChildren(QDockWidget)) == len(drive.stage.docks)


@pytest.mark.parametrize("study", ["vae", "autoencoder"])
def test_only_docks_on_screen_are_asked(drive: Driver, study: str) -> None:
    drive.open(study)
    drive.settled()
    on_screen = {name for name, dock in drive.stage.docks.items() if dock.on_screen}
    assert on_screen == {name for name, dock in drive.stage.docks.items() if not dock.visibleRegion().isEmpty()}
    assert 1 < len(on_screen) < len(drive.stage.docks)
    drive.pictures.clear()
    drive.train(10)
    assert {p.slot for p in drive.pictures} == {n for n in on_screen if drive.bench.study.probe(n).refresh is not None}
    hidden = next(n for n, dock in drive.stage.docks.items() if not dock.on_screen and not dock.spec.timeline)
    drive.stage.raise_named(hidden)
    drive.until(lambda: any(p.slot == hidden for p in drive.pictures))
    left = next(n for n in on_screen if not drive.stage.docks[n].on_screen)
    drive.rest(0.05)
    drive.pictures.clear()
    drive.train(10)
    assert left not in {p.slot for p in drive.pictures}
    drive.window.commands.table["welcome"].run()
    drive.rest(0.05)
    drive.pictures.clear()
    drive.bench.train(10)
    drive.until(lambda: drive.bench.step == 30 and not drive.bench.training)
    drive.rest(0.1)
    assert drive.pictures == [], "nothing of the stage is on screen"


def test_docks_that_a_study_leaves_empty_close_and_come_back_as_large_as_they_were(drive: Driver) -> None:
    drive.open()
    docks, layouts = drive.window.docks, drive.window.layouts
    sides = {"curves": QSize.width, "objective": QSize.width, "knobs": QSize.height, "controls": QSize.height}

    def sizes() -> dict[str, int]:
        return {name: side(docks[name].size()) for name, side in sides.items()}

    before = sizes()
    layouts.suit(False, False)  # such as a study of files, which learns nothing and has no knobs
    assert shown(docks) == {"catalogue", "controls", "objective"}
    drive.until(lambda: docks["controls"].height() > before["controls"] + 100)
    layouts.suit(False, True)
    assert shown(docks) == {"catalogue", "controls", "objective", "knobs"}
    layouts.suit(True)
    assert len(shown(docks)) == len(docks)
    drive.until(lambda: all(abs(size - before[name]) <= 8 for name, size in sizes().items()))
