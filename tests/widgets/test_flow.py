"""The layout that goes on in the next line."""

from __future__ import annotations

import pytest
from PySide6.QtCore import QSize
from PySide6.QtWidgets import QApplication, QVBoxLayout, QWidget
from pytestqt.qtbot import QtBot

from widgets.flow import Flow


class Block(QWidget):
    """A widget of a given size."""

    def __init__(self, width: int, height: int) -> None:
        super().__init__()
        self._size = QSize(width, height)

    def sizeHint(self) -> QSize:
        return self._size

    def minimumSizeHint(self) -> QSize:
        return self._size


@pytest.fixture
def row(qtbot: QtBot) -> tuple[QWidget, Flow]:
    host = QWidget()
    qtbot.addWidget(host)
    flow = Flow(host, gap=10)
    for width, height in ((100, 20), (60, 30), (100, 20)):
        flow.addWidget(Block(width, height))
    return host, flow


def places(flow: Flow) -> list[tuple[int, int]]:
    found = []
    for i in range(flow.count()):
        item = flow.itemAt(i)
        assert item is not None
        found.append((item.geometry().x(), item.geometry().y()))
    return found


@pytest.mark.parametrize(
    ("width", "height", "wanted"),
    [
        (280, 30, [(0, 0), (110, 0), (180, 0)]),  # exactly fits
        (279, 60, [(0, 0), (110, 0), (0, 40)]),
        (170, 60, [(0, 0), (110, 0), (0, 40)]),
        (120, 90, [(0, 0), (0, 30), (0, 70)]),
        (10, 90, [(0, 0), (0, 30), (0, 70)]),  # narrower than the widest: one a line, nothing lost
    ],
)
def test_widgets_go_on_in_the_next_line(
    row: tuple[QWidget, Flow], width: int, height: int, wanted: list[tuple[int, int]]
) -> None:
    host, flow = row
    host.setMinimumSize(1, 1)
    assert flow.hasHeightForWidth()
    assert flow.heightForWidth(width) == height
    host.setFixedSize(max(width, 1), 200)
    host.show()
    QApplication.processEvents()
    flow.setGeometry(host.rect())
    assert places(flow) == wanted


def test_the_smallest_size_is_the_widest_widget(row: tuple[QWidget, Flow]) -> None:
    assert row[1].minimumSize() == QSize(100, 30)


def test_a_hidden_widget_takes_no_room(row: tuple[QWidget, Flow]) -> None:
    host, flow = row
    host.show()
    second = flow.itemAt(1)
    assert second is not None
    second.widget().hide()
    assert flow.heightForWidth(210) == 20
    assert flow.minimumSize() == QSize(100, 20)


def test_the_column_around_it_gives_it_the_height_it_needs(row: tuple[QWidget, Flow], qtbot: QtBot) -> None:
    outer = QWidget()
    qtbot.addWidget(outer)
    column = QVBoxLayout(outer)
    column.setContentsMargins(0, 0, 0, 0)
    column.addWidget(row[0])
    column.addStretch(1)
    outer.resize(120, 300)
    outer.show()
    QApplication.processEvents()
    assert row[0].height() >= 90
    row[0].setParent(None)


def test_items_can_be_taken_out_again(row: tuple[QWidget, Flow]) -> None:
    _, flow = row
    assert flow.itemAt(9) is None
    assert flow.takeAt(9) is None
    taken = flow.takeAt(0)
    assert taken is not None
    taken.widget().deleteLater()
    assert flow.count() == 2
    assert flow.heightForWidth(170) == 30
