"""Metrics that lie in 0..1 beside others: a scale of their own at the right of the curves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PySide6.QtWidgets import QApplication

from widgets.curves.plot import CurvesView
from widgets.theme import TERMS

STEPS = np.arange(100)
SSIM = np.linspace(0.42, 0.87, 100)


def curves(qtbot: Any) -> CurvesView:
    view = CurvesView()
    qtbot.addWidget(view)
    view.resize(900, 400)
    view.set_series("now", "psnr", TERMS["blue"])
    view.set_series("now", "held_out/ssim", TERMS["green"])
    view.append("now", "psnr", STEPS, np.linspace(10.0, 30.0, 100))
    view.append("now", "held_out/ssim", STEPS, SSIM)
    view.show()
    qtbot.waitExposed(view)
    view.redraw()
    QApplication.processEvents()
    return view


def test_a_share_beside_decibels_fills_the_height_on_a_scale_at_the_right(qtbot: Any, tmp_path: Path) -> None:
    view = curves(qtbot)
    shares = view.canvas.shares
    low, high, bottom, top = shares.span or pytest.fail("there is no scale at the right")
    assert (low, high) == (0.4, 0.9)
    y0, y1 = view.canvas.box.viewRange()[1]
    drawn = next(c for key, c in view.canvas._curves.items() if key[1] == "held_out/ssim")  # type: ignore[index]  # keys are tuples
    np.testing.assert_allclose(drawn.yData[[0, -1]], bottom + (SSIM[[0, -1]] - low) / (high - low) * (top - bottom))
    assert np.ptp(drawn.yData) > 0.7 * (y1 - y0)
    labels = dict((text, share) for share, text in shares.labels(y0, y1, 300.0))
    assert set(labels) <= {"0.40", "0.50", "0.60", "0.70", "0.80", "0.90", "0.4", "0.5", "0.6", "0.7", "0.8", "0.9"}
    tick = next(t for t in labels if t.startswith("0.6"))
    assert labels[tick] * (y1 - y0) + y0 == pytest.approx(bottom + 0.4 * (top - bottom))
    view.set_cursor(99)
    assert view.canvas._points.getData()[1].max() == pytest.approx(max(drawn.yData[-1], 30.0))
    with qtbot.waitSignal(view.exported):
        view.export_svg(str(tmp_path / "curves.svg"))
    assert f">{tick}</text>" in (tmp_path / "curves.svg").read_text(encoding="utf-8")


def test_alone_a_share_has_the_scale_at_the_left(qtbot: Any) -> None:
    view = curves(qtbot)
    view.set_visible(None, "psnr", False)
    view.redraw()
    assert view.canvas.shares.span is None
    assert not view.canvas.shares.isVisible()
    y0, y1 = view.canvas.box.viewRange()[1]
    assert 0.3 < y0 < SSIM[0]
    assert SSIM[-1] < y1 < 1
