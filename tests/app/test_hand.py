"""A press in the window holds the engine's long steps up, and only while it trains."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QTest

from app.hand import Hand
from engine.messages import HandDown

if TYPE_CHECKING:
    from conftest import Driver


def test_a_press_anywhere_in_the_window_is_told_while_training(drive: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    hand = Hand(drive.window, drive.bench)
    told: list[Any] = []
    post = drive.bench.bridge.inbox.post
    monkeypatch.setattr(drive.bench.bridge.inbox, "post", lambda order: (told.append(order), post(order)))
    handle = drive.window.windowHandle()

    def click() -> list[Any]:
        told.clear()
        QTest.mouseClick(handle, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, QPoint(5, 5))
        return [order for order in told if isinstance(order, HandDown)]

    assert click() == []
    monkeypatch.setattr(drive.bench, "training", True)
    assert click() == [HandDown()]
    monkeypatch.setattr(drive.bench, "training", False)
    assert click() == []
    handle.removeEventFilter(hand)
