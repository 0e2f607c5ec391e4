"""A view of scenes on screen."""

from __future__ import annotations

import pytest
from pytestqt.qtbot import QtBot

from widgets.viewport.view import SceneView


@pytest.fixture
def view(qtbot: QtBot) -> SceneView:
    made = SceneView()
    qtbot.addWidget(made)
    made.resize(640, 480)
    made.show()
    qtbot.waitExposed(made)
    return made
