"""What every widget of ours must stand: being built, shown, turned dark and light, squeezed and stretched, and gone.

There is no list of exceptions: a class that needs arguments has its line in ``MAKERS``, and one without fails.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PySide6.QtCore import QCoreApplication, QEvent, Qt
from PySide6.QtWidgets import QApplication, QDockWidget, QMainWindow, QWidget
from pytestqt.qtbot import QtBot
from shiboken6 import isValid

import app.panels
import widgets
from engine.crop import Crop
from engine.probes import Camera, Choice, Item, Label, Latent, Mask, Number, Paths, Places, Seed, Toggle, Tree
from engine.sketch import Sketch
from engine.steering import Directions, KeyFrames, Spot
from engine.study import Term
from widgets.controls.fields import IconButton
from widgets.controls.scale import Scale
from widgets.theme import theme
from widgets.viewport.viewport import Viewport

KNOBS = {"latent": 12}


def found() -> dict[str, type[QWidget]]:
    """Every class of ours that is a widget, by module and name."""
    names = [info.name for package in (widgets, app.panels) for info in _modules(package)]
    names += ["app.welcome", "app.status", "app.palette"]
    classes: dict[str, type[QWidget]] = {}
    for name in names:
        for member in vars(importlib.import_module(name)).values():
            if isinstance(member, type) and issubclass(member, QWidget) and member.__module__ == name:
                classes[f"{name}.{member.__name__}"] = member
    return classes


def _modules(package: Any) -> list[pkgutil.ModuleInfo]:
    return [i for i in pkgutil.walk_packages(package.__path__, f"{package.__name__}.") if not i.ispkg]


CLASSES = found()
Make = Callable[[Any, QWidget], QWidget]
"""From the class and a parent for those that need one to the widget."""


def _dock(cls: Any, host: QWidget) -> QWidget:
    """A dock in a window of its own, which is what is shown."""
    window = QMainWindow()
    dock = cls("dock-x", "A dock", "its quiet sentence", QWidget(), window)
    window.setCentralWidget(QWidget())
    window.addDockWidget(Qt.DockWidgetArea.LeftDockWidgetArea, dock)
    return window


def _entry() -> Any:
    """What a chip of the curves' legend shows."""
    return importlib.import_module("widgets.curves.legend").Entry(("metric", "elbo"), "elbo", "#e69f00", True)


def _navigator(host: QWidget) -> Any:
    """The camera that a view cube turns."""
    navigate = importlib.import_module("widgets.viewport.hand.navigate")
    return navigate.Navigator(lambda: (300.0, 200.0), lambda: np.zeros((0, 3)), host)


MAKERS: dict[str, Make] = {
    "widgets.viewport.over.number.Number": lambda cls, host: cls("x", 0.0, 1.0),
    "widgets.dock._Elided": lambda cls, host: cls("a sentence that is too long for a narrow place"),
    "widgets.dock.TitleBar": lambda cls, host: cls(QDockWidget("Title", host), "its quiet sentence"),
    "widgets.dock.Dock": _dock,
    "widgets.curves.tools.Tools": lambda cls, host: cls(host),
    "widgets.curves.legend.Legend": lambda cls, host: cls(host),
    "widgets.curves.legend.Chip": lambda cls, host: cls(_entry(), host),
    "widgets.views.timeline.filmstrip.Filmstrip": lambda cls, host: cls(lambda index: None),
    "widgets.views.mapping.map_parts.HoverCard": lambda cls, host: cls(host),
    "widgets.views.mapping.map_parts.PathBar": lambda cls, host: cls(host),
    "widgets.views.cards.Card": lambda cls, host: cls(host),
    "widgets.views.cards.BusyLine": lambda cls, host: cls(host),
    "widgets.controls.slider.ValueSlider": lambda cls, host: cls(0.0, 1.0, 0.5, label="x", label_width=40),
    "widgets.controls.latent.LatentRow": lambda cls, host: cls(0, 8.0),
    "widgets.controls.latent.LatentSliders": lambda cls, host: cls("z", Latent("latent"), KNOBS),
    "widgets.controls.simple.NumberSlider": lambda cls, host: cls("n", Number(3, 1, 9), KNOBS),
    "widgets.controls.simple.SeedBox": lambda cls, host: cls("seed", Seed(), KNOBS),
    "widgets.controls.simple.Segments": lambda cls, host: cls(("lerp", "slerp")),
    "widgets.controls.simple.ChoiceBox": lambda cls, host: cls("c", Choice(("one", "two")), KNOBS),
    "widgets.controls.simple.ToggleBox": lambda cls, host: cls("t", Toggle(), KNOBS),
    "widgets.controls.picking.item.ItemPicker": lambda cls, host: cls("a", Item(), KNOBS),
    "widgets.controls.picking.label.LabelBox": lambda cls, host: cls("c", Label(), KNOBS),
    "widgets.controls.sketching.mask.MaskPainter": lambda cls, host: cls("m", Mask(), KNOBS),
    "widgets.controls.picking.item_popup.ThumbPopup": lambda cls, host: cls(host),
    "widgets.controls.knobs.Mark": lambda cls, host: cls("rebuilds"),
    "widgets.controls.fields.FieldLabel": lambda cls, host: cls("a name"),
    "widgets.controls.fields.IconButton": lambda cls, host: cls("x", "Closes.", "Close"),
    "widgets.controls.fields.NumberEdit": lambda cls, host: cls(Scale(0, 1)),
    "widgets.controls.fields.NumberBox": lambda cls, host: cls(3.0),
    "widgets.controls.sketching.sketch.SketchBoard": lambda cls, host: cls("s", Sketch(), KNOBS),
    "widgets.controls.steering.spot.SpotBox": lambda cls, host: cls("spot", Spot(), KNOBS),
    "widgets.controls.steering.key_frames.KeyFrameRow": lambda cls, host: cls("keys", KeyFrames(), KNOBS),
    "widgets.controls.steering.directions.DirectionList": lambda cls, host: cls("directions", Directions(), KNOBS),
    "widgets.controls.steering.directions._Track": lambda cls, host: cls(-1.0, 1.0, 0.0, label="x", label_width=96),
    "widgets.controls.steering.name_edit.NameEdit": lambda cls, host: cls(("taken",)),
    "widgets.views.strips._Keep": lambda cls, host: cls(host),
    "widgets.controls.picking.paths.FileRow": lambda cls, host: cls("a-folder/a-scan.ply"),
    "widgets.controls.picking.paths.PathList": lambda cls, host: cls("files", Paths(), KNOBS),
    "widgets.controls.text_line.TextLine": lambda cls, host: cls(
        "at", Places(((0.0, 0.0, 0.0),)), KNOBS, "A place.", IconButton("x", "Empties it.", "Empty")
    ),
    "widgets.controls.text_line.CameraBox": lambda cls, host: cls("camera", Camera(), KNOBS),
    "widgets.controls.text_line.CropBox": lambda cls, host: cls("crop", Crop(), KNOBS),
    "widgets.controls.text_line.PlacesBox": lambda cls, host: cls("at", Places(((0.0, 0.0, 0.0),)), KNOBS),
    "widgets.controls.shapes.tree.TreeEditor": lambda cls, host: cls("tree", Tree(), KNOBS),
    "widgets.viewport.over.cube.ViewCube": lambda cls, host: cls(_navigator(host), host),
    "widgets.viewport.over.wipe.Wipe": lambda cls, host: cls(Viewport(parent=host)),
    "widgets.viewport.hand.by_value.ByValue": lambda cls, host: cls(Viewport(parent=host)),
    "widgets.viewport.over.overlay.Overlay": lambda cls, host: cls(host),
    "widgets.viewport.over.tools.Popup": lambda cls, host: cls(host),
    "widgets.viewport.over.tools.LooksPanel": lambda cls, host: cls(host),
    "widgets.viewport.over.tools.ShotPanel": lambda cls, host: cls(host),
    "app.panels.objective._TermView": lambda cls, host: cls(Term("x^2", "loss", "orange"), ""),
    "app.welcome.Card": lambda cls, host: cls("A title", "A sentence.", Path("no-such-picture.png")),
    "app.status._Figure": lambda cls, host: cls("88,888 MB", "Memory."),
    "app.palette.CommandPalette": lambda cls, host: cls((), host),
}  # fmt: skip


def make(name: str, host: QWidget) -> QWidget:
    """Builds a class by its line in the table, or without arguments."""
    cls = CLASSES[name]
    if name in MAKERS:
        return MAKERS[name](cls, host)
    try:
        return cls()
    except TypeError as e:
        pytest.fail(f"{name} cannot be built without arguments ({e}): give it a line in MAKERS", pytrace=False)


def test_the_table_names_no_widget_that_is_not_there() -> None:
    assert set(MAKERS) <= set(CLASSES)
    assert len(CLASSES) > 40


@pytest.mark.parametrize("name", sorted(CLASSES))
def test_a_widget_lives_through_everything_and_leaves_nothing(name: str, qtbot: QtBot) -> None:
    theme.set_mode("dark")
    before = set(QApplication.topLevelWidgets())
    host = QWidget()
    widget = make(name, host)
    if widget.parent() is host and not widget.isWindow():
        host.show()
    widget.show()
    QApplication.processEvents()
    for mode in ("dark", "light", "dark"):
        theme.set_mode(mode)
        for width, height in ((30, 20), (1500, 900), (320, 200)):
            (host if widget.parent() is host and not widget.isWindow() else widget).resize(width, height)
            QApplication.processEvents()
            assert widget.size().isEmpty() or not widget.grab().isNull()
    widget.close()
    widget.deleteLater()
    host.close()
    host.deleteLater()
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    QApplication.processEvents()
    assert not isValid(widget)
    assert not isValid(host)
    left = [w for w in QApplication.topLevelWidgets() if w not in before and isValid(w)]
    assert not left
    theme.set_mode("light")  # nobody who is gone may still be listening
    theme.set_mode("dark")


@pytest.mark.parametrize("name", sorted(CLASSES))
def test_a_widget_closed_in_the_middle_of_being_shown_is_no_trouble(name: str, qtbot: QtBot) -> None:
    host = QWidget()
    widget = make(name, host)
    widget.show()
    host.deleteLater()
    widget.deleteLater()
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    assert not isValid(widget)
