"""Starts the application: the window first, the engine once it is on screen."""

from __future__ import annotations

import sys

from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QApplication

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

    QTimer.singleShot(0, begin)
    return app.exec()
