"""Starts the application: the window first, the engine once it is on screen."""

from __future__ import annotations

import sys
from collections.abc import Callable

from PySide6.QtCore import QEvent, QObject, QTimer
from PySide6.QtWidgets import QApplication, QWidget

from app.settings import Settings
from app.window import MainWindow
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


def run_window(run: str = "", study: str = "") -> int:
    """Shows the window and runs until it is closed; opens ``run`` or ``study`` if given."""
    app = make_app()
    settings = Settings()
    theme.set_mode(settings.text("theme", "dark"))
    window = MainWindow(settings)
    window.show()

    def begin() -> None:
        window.start()
        if run:
            window.bench.open_run(run)
        elif study:
            window.bench.catalogue_changed.connect(lambda _: window.open_first(study))

    _AfterFirstPaint(window, begin)  # importing torch would delay the first picture of the window
    return app.exec()
