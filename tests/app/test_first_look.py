"""What somebody sees first of a study: which probes stand open, an equation that fits, curves told apart by colour; and
pictures of one's own, which the controls show too."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from PySide6.QtCore import QPoint

from app.panels.curves import CurvesPanel
from app.panels.objective import ObjectivePanel
from engine import messages as m
from engine.payloads import Bars, ImageGrid
from engine.probes import probe, probes_of
from engine.study import Declaration, Term
from tests.app.conftest import Driver
from widgets.theme import TERMS


def test_the_probes_that_a_study_names_come_first_and_the_others_keep_their_order() -> None:
    class Base:
        @probe(ImageGrid)
        def a(self) -> None: ...

        @probe(ImageGrid)
        def b(self) -> None: ...

    class Study(Base):
        first_probes = ("d", "b")

        @probe(Bars)
        def c(self) -> None: ...

        @probe(Bars)
        def d(self) -> None: ...

    assert [spec.name for spec in probes_of(Base)] == ["a", "b"]
    assert [spec.name for spec in probes_of(Study)] == ["d", "b", "a", "c"]


@pytest.mark.parametrize(
    ("study", "left", "right"),
    [
        ("dcgan", "samples", "seed_plane"),
        ("style_gan", "samples", "style_mixing"),
        ("translation", "sketch", "translate"),
        ("gan_2d", "game", "value"),
    ],
)
def test_adversarial_studies_open_on_what_teaches_at_a_glance(
    studies: dict[str, Any], study: str, left: str, right: str
) -> None:
    assert [spec.name for spec in probes_of(studies[study])][:2] == [left, right]


def test_the_stage_shows_the_first_two_and_the_equation_fits_its_dock(drive: Driver) -> None:
    drive.open("dcgan")
    drive.settled()
    docks = drive.stage.docks
    assert {name for name, dock in docks.items() if dock.on_screen} == {"samples", "seed_plane"}
    assert docks["samples"].mapTo(drive.window, docks["samples"].rect().topLeft()).x() < docks["seed_plane"].mapTo(
        drive.window, docks["seed_plane"].rect().topLeft()
    ).x()  # fmt: skip
    panel = drive.window.objective
    bar = panel._scroll.horizontalScrollBar()
    drive.until(lambda: bar.maximum() == 0)
    drive.window.resize(1700, 900)
    drive.until(lambda: all(view.formula._scale == 1.0 for view in panel._terms))


def test_terms_in_one_line_stand_on_one_baseline(qtbot: Any) -> None:
    def svg(wide: int, high: int, ascent: int) -> str:
        box = f'width="{wide}" height="{high}" viewBox="0 {-ascent} {wide} {high}"'
        return f'<svg xmlns="http://www.w3.org/2000/svg" {box}><rect y="-2" width="{wide}" height="2"/></svg>'

    terms = tuple(Term(name, name, "blue", "") for name in "abc")
    study = Declaration("key", "title", "family", objective=terms, left="L")
    panel = ObjectivePanel()
    qtbot.addWidget(panel)
    panel.resize(420, 300)
    panel.set_study(study, (svg(40, 12, 10), svg(60, 40, 25), svg(60, 12, 10), svg(360, 30, 20)))
    panel.show()
    qtbot.waitExposed(panel)

    def feet() -> list[float]:
        found = []
        for label in (panel._left, *(view.formula for view in panel._terms)):
            assert label is not None
            assert label._lines is not None
            top = label.mapTo(panel, QPoint(0, 0)).y() + (label.height() - sum(label._lines)) / 2
            found.append(top + label._lines[0])
        return found

    qtbot.waitUntil(lambda: len(set(feet()[:3])) == 1)  # the left side and two terms, of which one is tall
    assert feet()[3] > feet()[0] + 25  # the third has a line of its own
    assert panel._terms[2].formula.sizeHint().height() == 30  # and leaves no room for the tall one there


def test_no_metric_has_the_colour_of_a_term_that_it_is_not(qtbot: Any) -> None:
    panel = CurvesPanel()
    qtbot.addWidget(panel)
    terms = (Term("a", "d_loss", "blue", ""), Term("b", "g_loss", "green", ""))
    panel._study = Declaration("key", "title", "family", objective=terms)
    others = [panel._colour(name) for name in ("d_real", "d_fake", "g_grad", "covered", "modes")]
    assert len(set(others)) == len(others)
    assert not {TERMS["blue"], TERMS["green"]} & set(others)
    assert panel._colour("d_loss") == TERMS["blue"]


def test_of_many_metrics_the_terms_and_three_others_are_drawn_until_more_are_wanted(qtbot: Any) -> None:
    panel = CurvesPanel()
    qtbot.addWidget(panel)
    study = Declaration("key", "title", "family", objective=(Term("a", "d_loss", "blue", ""),))
    names = ("d_loss", "d_real", "d_fake", "g_grad", "covered", "modes")
    points = {name: (np.array([1, 2]), np.array([0.5, 1.0])) for name in names}
    panel.open_run(m.Opened(1, study, {}, 0, "digits", "cpu", 2, 10, metrics=points))
    assert panel.main is not None
    assert {name for _, name in panel.main.visible()} == {"d_loss", "d_real", "d_fake", "g_grad"}
    panel.main.set_visible(None, "modes", True)
    panel.add({name: (np.array([3]), np.array([2.0])) for name in names})
    assert "modes" in {name for _, name in panel.main.visible()}  # what the person chose stays


def test_a_picture_of_ones_own_is_the_thumbnail_and_can_be_traced_and_a_damaged_one_is_one_line(
    drive: Driver, tmp_path: Path
) -> None:
    drive.open("translation")
    drive.show("sketch")
    drive.settled()
    square = np.full((40, 60, 3), 255, np.uint8)
    square[10:30, 20:40] = 0
    Image.fromarray(square).save(tmp_path / "square.png")
    (tmp_path / "damaged.png").write_bytes(b"\x89PNG\r\n\x1a\nno picture")
    board = drive.window.controls.control_widget("sketch")
    drive.window.open_path(tmp_path / "square.png")
    path = str(tmp_path / "square.png")
    drive.until(lambda: path in drive.window.controls._files)
    c, h, w = 1, 8, 8  # of the digits
    assert drive.window.controls._files[path].shape == (h, w, c)
    assert board.trace_button.isEnabled()
    before = board.value()
    drive.click(board.trace_button)
    drive.settled()
    assert board.value() != before
    drive.window.open_path(tmp_path / "damaged.png")
    drive.until(lambda: drive.failed("sketch"))
    drive.settled()
    assert drive.log().count("damaged.png") == 1
    assert not board.trace_button.isEnabled()
