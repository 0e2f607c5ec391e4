"""What happened while training, as lines across the curves."""

from __future__ import annotations

from typing import Any

import numpy as np
from PySide6.QtCore import QPointF
from PySide6.QtWidgets import QApplication

from widgets.curves.plot import CurvesView
from widgets.theme import TERMS

STEPS = np.arange(0, 3000)
VALUES = np.sin(STEPS / 300)


def test_what_happened_is_a_line_with_its_words_until_training_goes_back(qtbot: Any) -> None:
    view = CurvesView()
    qtbot.addWidget(view)
    view.resize(900, 400)
    view.set_series("now", "elbo", TERMS["blue"], "ELBO")
    view.append("now", "elbo", STEPS, VALUES)
    view.show()
    qtbot.waitExposed(view)
    view.redraw()
    QApplication.processEvents()
    view.add_events([(1000, "three classes lost"), (500, "grown to 16 x 16")])
    assert view.canvas.events == ((500, "grown to 16 x 16"), (1000, "three classes lost"))
    box = view.canvas.box
    x0, x1 = box.viewRange()[0]
    expected = (np.array([500, 1000]) - x0) / (x1 - x0) * box.width()
    np.testing.assert_allclose(view.canvas._events.shown(), expected)
    assert view.canvas.event_at(QPointF(expected[1] + 3, 40)) == (1000, "three classes lost")
    assert view.canvas.event_at(QPointF(expected[1] + 6, 40)) is None
    before = view.canvas.grab().toImage()
    view.append("now", "elbo", STEPS[700:], VALUES[700:])  # trained on from step 700: what came after is undone
    assert view.canvas.events == ((500, "grown to 16 x 16"),)
    QApplication.processEvents()
    assert view.canvas.grab().toImage() != before
    view.set_log(True, False)
    assert len(view.canvas._events.shown()) == 1
    view.set_current("another")
    assert view.canvas.events == ()
