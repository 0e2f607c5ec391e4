"""The view of a :class:`Scene`: the viewport, and under it what the scene says in words and numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

from PySide6.QtCore import Qt
from PySide6.QtGui import QImage, QResizeEvent
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QLabel,
    QMenu,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from engine.payloads import Payload
from engine.scene import Scene, Splats
from widgets.theme import CAPTION, theme
from widgets.viewport.over.cube import SIDE
from widgets.viewport.viewport import Viewport
from widgets.views.base import View
from widgets.views.compare import Line

SCENE_FORMATS = (
    "PLY (*.ply)", "Wavefront (*.obj)", "glTF binary (*.glb)", "Points as text (*.xyz)",
    "Compressed splats (*.compressed.ply)", "Splats (*.splat)", "Packed splats (*.spz)", "NumPy arrays (*.npz)",
)  # fmt: skip
SPLAT_FORMATS = ("Splats, compressed (*.spz)", "Splats (*.splat)", "Splats as compressed PLY (*.compressed.ply)")
PICTURE_FORMATS = ("PNG picture (*.png)",)
FILM_FORMATS = ("MP4 film (*.mp4)", "GIF animation (*.gif)")
TABLE_TALLEST, TABLE_SHARE = 132, 0.28
"""A table is at most so many pixels, and so much of the view, high; the rest is scrolled to."""


class Under(QWidget):
    """Table, caption and notices below a picture; takes no room where there are none."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.table = QTableWidget()
        self.table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.table.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.table.setAccessibleName("Numbers of this scene")
        self.table.verticalHeader().hide()
        self.table.setShowGrid(False)
        self.table.horizontalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Stretch)
        self.table.horizontalHeader().setHighlightSections(False)
        self.table.verticalHeader().setDefaultSectionSize(22)
        self.caption, self.notice = Line(), QLabel()
        self.caption.setFixedHeight(16)
        self._wanted = 0
        column = QVBoxLayout(self)
        column.setContentsMargins(12, 4, 12, 4)
        column.setSpacing(4)
        column.addWidget(self.table)
        self.notice.setWordWrap(True)
        self.notice.setProperty("role", "caption")
        column.addWidget(self.caption)
        column.addWidget(self.notice)
        self.restyle()
        self.show_all("", (), (), ())

    def restyle(self) -> None:
        c = theme.colours
        self.table.setStyleSheet(
            f"QHeaderView::section {{ background: transparent; color: {c.quiet}; border: none; padding: 2px 8px;"
            f" border-bottom: 1px solid {c.line}; font-size: {CAPTION}px; }}"
            f"QTableView {{ background: transparent; font-size: {CAPTION}px; }}"
        )
        self.notice.setStyleSheet(f"color: {c.warn};")
        self.caption.update()

    def fit_height(self) -> None:
        """The table leaves the picture its room, and its columns theirs to each other."""
        host = self.parentWidget()
        room = TABLE_TALLEST if host is None else int(host.height() * TABLE_SHARE)
        self.table.setFixedHeight(max(50, min(self._wanted, room)))
        head = self.table.horizontalHeader()
        asked = sum(max(head.sectionSizeHint(k), self.table.sizeHintForColumn(k)) for k in range(head.count()))
        fits = asked <= self.width() - 24
        mode = QHeaderView.ResizeMode.Stretch if fits else QHeaderView.ResizeMode.ResizeToContents
        head.setSectionResizeMode(mode)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        if self._wanted:
            self.fit_height()

    def show_all(
        self, caption: str, heads: Sequence[str], rows: Sequence[Sequence[str]], notices: Sequence[str]
    ) -> None:
        """What stands below the picture now."""
        self.caption.show_text(caption)
        self.caption.setVisible(bool(caption))
        self.notice.setText("\n".join(notices))
        self.notice.setVisible(bool(notices))
        self.table.setVisible(bool(rows))
        if rows:
            columns = max(len(heads), *(len(row) for row in rows))
            self.table.setColumnCount(columns)
            self.table.setRowCount(len(rows))
            self.table.horizontalHeader().setVisible(bool(heads))
            for k, head in enumerate([*heads, *[""] * (columns - len(heads))]):
                self.table.setHorizontalHeaderItem(k, _cell(head, k))
            for r, row in enumerate(rows):
                for c, text in enumerate(row):
                    item = self.table.item(r, c)
                    if item is None:
                        self.table.setItem(r, c, _cell(text, c))
                    else:
                        item.setText(text)
            self._wanted = min(22 * len(rows) + (26 if heads else 0) + 4, TABLE_TALLEST)
            self.fit_height()
        self.setVisible(bool(caption or notices or rows))


def _cell(text: str, column: int) -> QTableWidgetItem:
    """Words at the left, numbers at the right."""
    item = QTableWidgetItem(text)
    side = Qt.AlignmentFlag.AlignLeft if column == 0 else Qt.AlignmentFlag.AlignRight
    item.setTextAlignment(Qt.AlignmentFlag.AlignVCenter | side)
    return item


def connect_viewport(view: View, viewport: Viewport) -> None:
    """What a viewport says becomes what a view says, and what cancels stands beside its cube, on no tool; both views
    of scenes share this."""
    view.busy_line.corner = (SIDE + 24, viewport.tools.sizeHint().height() + 8)
    viewport.control_set.connect(view.control_set)
    viewport.edited.connect(view.edited)
    viewport.menu_wanted.connect(view.open_menu)
    view.cancel_requested.connect(viewport.shots.stop)

    def exported(kind: str, payloads: tuple[Payload, ...]) -> None:
        film = FILM_FORMATS if len(view.picture_formats) == 1 else view.picture_formats
        formats = {"picture": PICTURE_FORMATS, "film": film, "scene": SCENE_FORMATS, "data": view.data_formats}[kind]
        things = payloads[-1].things if payloads and isinstance(payloads[-1], Scene) else ()
        if any(isinstance(thing, Splats) for thing in things):
            formats = (formats[0], *SPLAT_FORMATS, *formats[1:])  # a PLY of theirs holds splats too
        titles = {"picture": "Save picture", "film": "Save film", "scene": "Export selection", "data": "Save data"}
        view.save_as(titles[kind], formats, payloads)

    def progress(share: float) -> None:
        if 0 <= share < 1:
            view.set_busy(share)
        else:
            view.set_idle()

    viewport.exported.connect(exported)
    viewport.progress.connect(progress)


class SceneView(View):
    """A scene that stands still or is renewed by its controls."""

    accepts = Scene
    data_formats = (*SCENE_FORMATS, "JSON (*.json)")

    def __init__(self, parent: QWidget | None = None, make_canvas: Callable[[QWidget], Any] | None = None) -> None:
        super().__init__(parent)
        self.viewport = Viewport(make_canvas)
        self.under = Under()
        whole = QWidget()
        column = QVBoxLayout(whole)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(self.viewport, 1)
        column.addWidget(self.under)
        self.set_body(whole)
        self.setFocusProxy(self.viewport.canvas)
        connect_viewport(self, self.viewport)
        self.viewport.noticed.connect(self._notice)
        self._progress = 1.0

    def draw_payload(self, payload: Payload) -> None:
        scene = cast(Scene, payload)
        self.viewport.set_scene(scene)
        self.viewport.show_readings(scene.readings)
        self.under.show_all(scene.caption, scene.table_heads, scene.table, scene.notices)
        self._progress = scene.progress
        if scene.progress < 1:
            self.set_busy(scene.progress)

    def more_to_come(self) -> bool:
        return self._progress < 1

    def forget(self) -> None:
        self._progress = 1.0
        self.viewport.clear()
        self.under.show_all("", (), (), ())

    def show_control(self, name: str, value: object) -> None:
        self.viewport.cropping.hear(name, value)

    def restyle(self) -> None:
        self.under.restyle()
        self.viewport.overlay.update()

    def fit(self) -> None:
        self.viewport.frame()

    def picture(self) -> QImage:
        return self.viewport.shots.on_screen()

    def save_data(self) -> None:
        """The scene as it stands, without what is hidden or deleted."""
        if self.payload is not None:
            self.viewport.editing.export("data", marked=False)

    def menu(self) -> QMenu:
        """The common menu, the selection and the camera."""
        menu = super().menu()
        if self.payload is None:
            return menu
        menu.addSeparator()
        for text, command in (("Export selection…", "select:export"), ("Copy camera", "copy_camera"),
                              ("Paste camera", "paste_camera")):  # fmt: skip
            action = menu.addAction(text)
            action.triggered.connect(lambda _=False, c=command: self.viewport.command(c))
        return menu

    def _notice(self, text: str) -> None:
        """A line below the picture; '' when it does not hold any more."""
        scene = self.payload
        if isinstance(scene, Scene):
            said = (*scene.notices, text) if text else scene.notices
            self.under.show_all(scene.caption, scene.table_heads, scene.table, said)
