"""What the curves write to files, and that the thread that writes them neither blocks nor outlives the view."""

from __future__ import annotations

import csv
import threading
import time
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PySide6.QtCore import QCoreApplication, QEvent
from PySide6.QtGui import QGuiApplication, QImage
from PySide6.QtWidgets import QApplication, QMenu

from widgets.curves.plot import CurvesView
from widgets.theme import TERMS, theme

STEPS = np.arange(0, 5000, 2)
VALUES = np.random.default_rng(0).normal(size=2500) * 1e-3 - 241


@pytest.fixture
def view(qtbot: Any) -> CurvesView:
    view = CurvesView()
    qtbot.addWidget(view)
    view.resize(640, 300)
    view.set_series("now", "elbo", TERMS["blue"], "ELBO & co")
    view.append("now", "elbo", STEPS, VALUES)
    view.append("now", "hidden", STEPS, VALUES)
    view.set_series('o"ld,1', "elbo", TERMS["blue"])
    view.append('o"ld,1', "elbo", [0.5, 1.5], [np.nan, np.inf])
    view.show()
    qtbot.waitExposed(view)
    view.redraw()
    QApplication.processEvents()
    return view


def test_csv_holds_every_sample_of_what_is_visible(view: CurvesView, qtbot: Any, tmp_path: Path) -> None:
    path = str(tmp_path / "curves.csv")
    view.canvas.look_at((100, 200), (-242, -240))
    with qtbot.waitSignal(view.exported) as done:
        view.export_csv(path)
    assert done.args == [path]
    with open(path, newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["run", "metric", "step", "value"]
    assert rows[1:3] == [['o"ld,1', "elbo", "0.5", "nan"], ['o"ld,1', "elbo", "1.5", "inf"]]
    own = rows[3:]
    assert {(r[0], r[1]) for r in own} == {("now", "elbo")}
    assert [r[2] for r in own] == [str(s) for s in STEPS]
    assert [float(r[3]) for r in own] == VALUES.tolist()
    assert [p.name for p in tmp_path.iterdir()] == ["curves.csv"]


def test_csv_does_not_block_and_sees_the_moment_it_was_asked_for(view: CurvesView, qtbot: Any, tmp_path: Path) -> None:
    n = 300_000
    view.append("now", "elbo", np.arange(5000, 5000 + n), np.zeros(n))
    begin = time.perf_counter()
    with qtbot.waitSignal(view.exported, timeout=20_000):
        view.export_csv(str(tmp_path / "big.csv"))
        assert time.perf_counter() - begin < 0.05
        view.drop_after("now", 10)
        view.append("now", "elbo", np.arange(11, 1011), np.ones(1000))
    lines = (tmp_path / "big.csv").read_text().splitlines()
    assert len(lines) == 1 + 2 + 2500 + n
    assert lines[-1] == f"now,elbo,{4999 + n},0.0"


def test_png_is_the_plot_with_its_legend(view: CurvesView, qtbot: Any, tmp_path: Path) -> None:
    path = str(tmp_path / "curves.png")
    with qtbot.waitSignal(view.exported):
        view.export_png(path)
    image = QImage(path)
    assert image.width() == 2 * view.canvas.width()
    assert image.height() > 2 * view.canvas.height()
    colours = {image.pixelColor(x, y).name() for x in range(0, image.width(), 2) for y in range(image.height())}
    assert theme.colours.plot in colours
    assert TERMS["blue"] in colours


def test_svg_is_well_formed_and_its_lines_are_where_the_data_are(view: CurvesView, qtbot: Any, tmp_path: Path) -> None:
    view.canvas.look_at((100, 120), (-241.01, -240.99))
    path = tmp_path / "curves.svg"
    with qtbot.waitSignal(view.exported):
        view.export_svg(str(path))
    root = ElementTree.parse(path).getroot()
    ns = {"s": "http://www.w3.org/2000/svg"}
    clip = root.find(".//s:clipPath/s:rect", ns)
    assert clip is not None
    left, top, width, height = (float(clip.get(k, "nan")) for k in ("x", "y", "width", "height"))
    line = next(p for p in root.findall(".//s:path", ns) if p.get("stroke") == TERMS["blue"])
    points = np.array([p.split() for p in line.get("d", "").replace("M", "L").split("L")[1:]], float)
    steps = 100 + (points[:, 0] - left) / width * 20
    found = -240.99 - (points[:, 1] - top) / height * 0.02
    assert np.allclose(steps, np.arange(98, 123, 2), atol=0.01)
    assert np.allclose(found, VALUES[49:62], atol=1e-5)
    texts = [t.text for t in root.findall(".//s:text", ns)]
    assert "105" in texts
    assert any(t and t.startswith("ELBO & co") for t in texts)


def test_a_file_that_cannot_be_written_is_reported(view: CurvesView, qtbot: Any, tmp_path: Path) -> None:
    for export in (view.export_csv, view.export_png, view.export_svg):
        path = str(tmp_path / "missing" / "file")
        with qtbot.waitSignal(view.export_failed) as failed:
            export(path)
        assert path in failed.args[0]
        assert "No such file" in failed.args[0] or "could not be written" in failed.args[0]
    assert list(tmp_path.iterdir()) == []


def test_closing_in_the_middle_leaves_no_thread_and_no_half_file(qtbot: Any, tmp_path: Path) -> None:
    view = CurvesView()
    n = 2_000_000
    view.append("now", "loss", np.arange(n), np.zeros(n))
    (tmp_path / "old.csv").write_text("kept")
    view.export_csv(str(tmp_path / "old.csv"))
    assert [t.name for t in threading.enumerate()].count("curves export") == 1
    view.deleteLater()
    QCoreApplication.sendPostedEvents(view, QEvent.Type.DeferredDelete)
    assert "curves export" not in [t.name for t in threading.enumerate()]
    assert (tmp_path / "old.csv").read_text() == "kept"
    assert [p.name for p in tmp_path.iterdir()] == ["old.csv"]


def test_menu_copies_and_the_name_decides_the_format(view: CurvesView, qtbot: Any, tmp_path: Path) -> None:
    view.canvas.menu_wanted.emit(view.canvas.mapToGlobal(view.canvas.rect().center()).toPointF())
    menu = next(m for m in view.findChildren(QMenu) if m.isVisible())
    names = [a.text() for a in menu.actions() if a.text()]
    assert names == ["Copy picture", "Save picture…", "Save data…", "Fit"]
    menu.actions()[0].trigger()
    menu.close()
    assert QGuiApplication.clipboard().image().width() == 2 * view.canvas.width()
    for name, start in (("a.svg", b"<svg"), ("a.png", b"\x89PNG"), ("a.csv", b"run,")):
        with qtbot.waitSignal(view.exported):
            view._saving.write(str(tmp_path / name), view._book)
        assert (tmp_path / name).read_bytes().startswith(start)
