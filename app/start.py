"""Starts the application: the window first, the engine once it is on screen."""

from __future__ import annotations

import sys
from collections.abc import Callable

from PySide6.QtCore import QEvent, QObject, QTimer
from PySide6.QtWidgets import QApplication, QWidget

from app.hand import Hand
from app.settings import Settings
from app.viewing import Wish, place_camera
from app.window import MainWindow
from engine.messages import Picture
from widgets.theme import theme


def make_app() -> QApplication:
    """The one QApplication, with the style that the theme is made for."""
    app = QApplication.instance()
    if not isinstance(app, QApplication):
        app = QApplication(sys.argv[:1])
    app.setApplicationName("Mutoscope")
    app.setStyle("Fusion")
    return app


class _AfterFirstPaint(QObject):
    """Calls ``act`` once, as soon as ``window`` has been painted; after ``PATIENCE_MS`` where it is not (minimised)."""

    PATIENCE_MS = 2000

    def __init__(self, window: QWidget, act: Callable[[], None]) -> None:
        super().__init__(window)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(act)
        self._timer.start(self.PATIENCE_MS)
        window.installEventFilter(self)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() == QEvent.Type.Paint:
            watched.removeEventFilter(self)
            if self._timer.isActive():
                self._timer.start(0)  # once this paint is through
        return False


def open_wish(window: MainWindow, wish: Wish) -> None:
    """Opens files once the studies are known, and looks at them as wished once they are on screen."""

    def catalogue(_: object = None) -> None:
        window.bench.catalogue_changed.disconnect(catalogue)
        window.bench.picture.connect(picture)
        window.files.open(wish.files)

    def picture(shown: Picture) -> None:
        dock = window.stage.docks.get(shown.slot)
        viewport = getattr(dock.view, "viewport", None) if dock is not None else None
        if viewport is not None:
            window.bench.picture.disconnect(picture)
            place_camera(viewport, wish)

    window.bench.catalogue_changed.connect(catalogue)
    if window.bench.studies:
        catalogue()


def run_window(run: str = "", study: str = "", wish: Wish | None = None) -> int:
    """Shows the window and runs until it is closed; opens ``run``, ``study`` or the files of ``wish`` if given."""
    app = make_app()
    settings = Settings()
    theme.set_mode(settings.text("theme", "dark"))
    window = MainWindow(settings)
    if wish is not None and wish.size is not None:
        window.resize(*wish.size)
    window.show()
    Hand(window, window.bench)

    def begin() -> None:
        window.start()
        if run:
            window.bench.open_run(run)
        elif study:
            window.bench.catalogue_changed.connect(lambda _: window.open_first(study))
        elif wish is not None:
            open_wish(window, wish)

    _AfterFirstPaint(window, begin)  # importing torch would delay the first picture of the window
    return app.exec()
