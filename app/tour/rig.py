"""The real window in folders of its own, for tour, benchmarks and robot: nothing of the user's is touched."""

from __future__ import annotations

import tempfile
from pathlib import Path
from types import TracebackType

from PySide6.QtCore import QCoreApplication, QEvent

from app.settings import Settings
from app.start import make_app
from app.tour.hand import Hand
from app.tour.watch import Watch
from app.window import MainWindow
from engine.messages import Failure, Opened
from widgets.theme import theme

START_SECONDS = 120.0
"""How long torch may take to load on a cold disk."""


class Rig:
    """A context: ``window`` is on screen, its engine at work; ``hand`` drives it, ``watch`` writes down troubles."""

    window: MainWindow
    hand: Hand

    def __init__(self, size: tuple[int, int] = (1280, 800), mode: str = "dark", threads: int | None = None) -> None:
        self.size, self.mode, self.threads = size, mode, threads
        self.watch = Watch()
        self.closed = False
        self.opened = 0
        """The epoch of the study that stands."""

    def __enter__(self) -> Rig:
        self._folder = tempfile.TemporaryDirectory(prefix="mutoscope-", ignore_cleanup_errors=True)
        self.folder = Path(self._folder.name)
        make_app()
        self._mode_before = theme.mode
        theme.set_mode(self.mode)
        self.watch.__enter__()
        self.window = MainWindow(Settings(self.folder / "window.json"), self.folder / "runs", self.threads)
        self.window.resize(*self.size)
        self.hand = Hand(self.window)
        self.window.bridge.on(Failure, self.watch.failed)
        self.window.bench.opened.connect(self._on_opened)
        self.window.show()
        self.window.activateWindow()
        self.hand.rest(0.3)
        self.window.start()
        return self

    def ready(self) -> bool:
        """Waits for the catalogue; whether it came."""
        return self.hand.wait(lambda: self.window.bench.studies, START_SECONDS)

    def open(self, study: str, data: str = "") -> bool:
        """Opens a study and waits until it stands and its probes on screen have pictures; whether all came in time."""
        self.window.bench.open_study(study, data)
        if not self.stands():
            return False
        docks = self.window.stage.docks.values()
        return self.hand.wait(lambda: all(d.view.payload is not None for d in docks if d.on_screen), 30.0)

    def stands(self, seconds: float = 60.0) -> bool:
        """Waits for the study that was asked for last; whether it was built in time."""
        return self.hand.wait(lambda: self.opened == self.window.bench.epoch, seconds)

    def _on_opened(self, opened: Opened) -> None:
        self.opened = opened.epoch

    def close(self) -> None:
        """Closes the window as its button does, and lets Qt destroy it."""
        if not self.closed:
            self.closed = True
            self.window.close()
            self.window.deleteLater()
            QCoreApplication.processEvents()
            QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)

    def __exit__(self, kind: type[BaseException] | None, e: BaseException | None, tb: TracebackType | None) -> None:
        self.close()
        self.watch.__exit__(kind, e, tb)
        theme.set_mode(self._mode_before)
        self._folder.cleanup()
