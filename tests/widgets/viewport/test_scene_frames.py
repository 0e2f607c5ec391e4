"""The view of a timeline of scenes: one camera through all moments, films drawn in turns of the event loop."""

from __future__ import annotations

from typing import Any

import numpy as np
from pytestqt.qtbot import QtBot

from engine.scene import Points, SceneFrames
from widgets.viewport.frames import SceneFramesView


def moment(index: int, total: int, scale: float) -> SceneFrames:
    x, y = np.meshgrid(np.linspace(-scale, scale, 21), np.linspace(-scale, scale, 21))
    xyz = np.stack([x.ravel(), y.ravel(), np.zeros(441)], 1).astype(np.float32)
    return SceneFrames(index=index, total=total, things=(Points(name="grid", xyz=xyz),))


def test_a_timeline_of_scenes_keeps_its_camera(qtbot: QtBot) -> None:
    view = SceneFramesView()
    qtbot.addWidget(view)
    view.resize(640, 560)
    view.show()
    qtbot.waitExposed(view)
    for k in range(3):
        view.show_payload(moment(k, 3, 1 + k), k)
    navigator = view.viewport.navigator
    navigator.begin("turn", 200, 100)
    navigator.drag(260, 90)
    navigator.end()
    camera = navigator.camera
    view.go_to(0)
    assert view.viewport.shown.things[0].xyz.max() == 1  # type: ignore[attr-defined]
    assert navigator.camera == camera
    kept: list[Any] = []
    view.save_as = lambda title, formats, payloads: kept.extend(payloads)  # type: ignore[method-assign]  # no dialog
    view.save_picture()
    qtbot.waitUntil(lambda: bool(kept))
    assert [p.index for p in kept] == [0, 1, 2]
    assert np.abs(kept[0].images.astype(int) - kept[2].images).max() > 30
    assert view.position == 0
    assert view.viewport.shown.things[0].xyz.max() == 1  # type: ignore[attr-defined]
    qtbot.waitUntil(lambda: view.thumb(0) is not None)
