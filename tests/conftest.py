"""The rules that every test lives under: nothing outlives it, no warning passes, nobody's own files are touched.

Knows no room of the project. A test that leaves a thread, a window or a running timer behind, or makes Qt complain
while it is cleaned up, fails at its teardown (pytest-qt watches Qt's messages during the test itself).
"""

from __future__ import annotations

import gc
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import weakref
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from tests.screen import own_screen

# Before anything of ours or Qt's is imported: a home of the tests' own, and a screen and language like everybody's.
_OLD_HOME = os.path.expanduser("~")
_HOME = Path(tempfile.mkdtemp(prefix="mutoscope-tests-"))
for _name, _folder in (
    ("HOME", ""),
    ("XDG_CONFIG_HOME", "config"),
    ("XDG_DATA_HOME", "data"),
    ("XDG_CACHE_HOME", "cache"),
    ("XDG_STATE_HOME", "state"),
):
    (_HOME / _folder).mkdir(exist_ok=True)
    os.environ[_name] = str(_HOME / _folder)
if "XDG_RUNTIME_DIR" not in os.environ:  # Qt warns without one
    (_HOME / "runtime").mkdir(mode=0o700)
    os.environ["XDG_RUNTIME_DIR"] = str(_HOME / "runtime")
if os.path.exists(os.path.join(_OLD_HOME, ".Xauthority")):
    os.environ.setdefault("XAUTHORITY", os.path.join(_OLD_HOME, ".Xauthority"))
for _name in [n for n in os.environ if re.match(r"QT_(SCALE|SCREEN|FONT|STYLE|LOGGING|AUTO|ENABLE|USE)", n)]:
    del os.environ[_name]
if sys.platform.startswith("linux"):
    os.environ["LC_ALL"] = "C.UTF-8"

from PySide6.QtCore import (  # noqa: E402
    QCoreApplication,
    QEvent,
    QMessageLogContext,
    QThread,
    QTimer,
    QtMsgType,
    qInstallMessageHandler,
)
from PySide6.QtWidgets import QApplication, QWidget  # noqa: E402
from shiboken6 import isValid  # noqa: E402

PATIENCE = 2.0
"""Seconds that something already told to stop has for stopping."""

_SCREEN = pytest.StashKey[subprocess.Popen[bytes]]()
_made: weakref.WeakSet[QTimer | QThread] = weakref.WeakSet()
_BEFORE = pytest.StashKey[set[Any]]()


def _remember(kind: Any) -> None:
    """Notes every object of a Qt class that Python makes: Qt itself cannot list its timers and threads."""
    plain = kind.__init__

    def init(self: Any, *args: Any, **kwargs: Any) -> None:
        plain(self, *args, **kwargs)
        _made.add(self)

    kind.__init__ = init


_remember(QTimer)
_remember(QThread)


# ---- command line and folders -------------------------------------------------------------------------------------


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--soak", action="store_true", help="also run the long tests marked soak")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--soak"):
        return
    for item in items:
        if item.get_closest_marker("soak"):
            item.add_marker(pytest.mark.skip(reason="takes minutes: make soak"))


def pytest_configure(config: pytest.Config) -> None:
    """One of several processes (``-n``) gets a screen of its own, before Qt looks for one, and one thread of torch's:
    more would only wait for those of the other processes."""
    if not hasattr(config, "workerinput"):
        return
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    screen = own_screen()
    if screen is not None:
        config.stash[_SCREEN] = screen  # it ends with this process: ended before, it takes what Qt still holds along


def pytest_unconfigure() -> None:
    shutil.rmtree(_HOME, ignore_errors=True)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of larger sample data beside the checkout; tests that need it are skipped where it is not there."""
    folder = Path(__file__).resolve().parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("no folder shared/data beside the checkout")
    return folder


# ---- nothing outlives its test ------------------------------------------------------------------------------------


def _busy() -> set[Any]:
    """What is alive and could act on its own: threads, top-level widgets, running timers and Qt threads."""
    alive: set[Any] = set(threading.enumerate())
    if isinstance(QApplication.instance(), QApplication):
        alive.update(QApplication.topLevelWidgets())
    for thing in list(_made):
        if isValid(thing) and (thing.isActive() if isinstance(thing, QTimer) else thing.isRunning()):
            alive.add(thing)
    return alive


def _settle() -> None:
    """Lets Qt finish what was asked of it; destroys what ``deleteLater`` was called on."""
    if QCoreApplication.instance() is not None:
        QCoreApplication.processEvents()
        QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)


def _leaks(before: set[Any]) -> list[str]:
    """What is alive now and was not ``before``, in words; waits for what is just about to end."""
    _settle()
    if not _busy() - before:
        return []
    gc.collect()  # slow (some 50 ms), hence only on suspicion: a window may hang on nothing but a cycle of references
    end = time.monotonic() + PATIENCE
    while True:
        _settle()
        left = _busy() - before
        if not left or time.monotonic() > end:
            break
        time.sleep(0.005)
    words = [_describe(thing) for thing in left]
    for thing in left:
        if isinstance(thing, QWidget) and isValid(thing):
            thing.close()
            thing.deleteLater()
        elif isinstance(thing, QTimer) and isValid(thing):
            thing.stop()
    _settle()
    return sorted(words)


def _describe(thing: Any) -> str:
    if isinstance(thing, threading.Thread):
        return f"a live thread: {thing.name}"
    name = f"{type(thing).__module__}.{type(thing).__qualname__} {thing.objectName()!r}"
    if isinstance(thing, QWidget):
        return f"a top-level widget: {name} {thing.windowTitle()!r}"
    if isinstance(thing, QTimer):
        return f"a running timer of {thing.interval()} ms: {name}, parent {thing.parent()!r}"
    return f"a running Qt thread: {name}"


@pytest.fixture(autouse=True)
def _nothing_left_behind(request: pytest.FixtureRequest) -> None:
    """Notes what is there once the fixtures of module and session are set up, before those of the test itself."""
    request.node.stash[_BEFORE] = _busy()


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol() -> Generator[None, Any, Any]:
    """No garbage collection by itself within a test. A widget that a test made hangs on nothing but its own circle of
    references once the test function is left; half collected and then painted once more before pytest-qt closes it,
    a plot of pyqtgraph's takes the interpreter along."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None, None, None]:
    """Looks on while the fixtures and windows of a test are taken down, then at what is left of it."""
    complaints: list[str] = []
    ignored = list(item.config.getini("qt_log_ignore"))
    for marker in item.iter_markers("qt_log_ignore"):
        ignored += marker.args

    def complain(kind: QtMsgType, _context: QMessageLogContext, text: str) -> None:
        harmless = kind in (QtMsgType.QtDebugMsg, QtMsgType.QtInfoMsg)
        if not harmless and not any(re.search(pattern, text) for pattern in ignored):
            complaints.append(f"a message of Qt while cleaning up: {text}")

    previous = qInstallMessageHandler(complain)
    try:
        yield
        left = []
        if _BEFORE in item.stash:
            left = _leaks(item.stash[_BEFORE])
            del item.stash[_BEFORE]  # pytest keeps its items to the end, and this would keep their widgets
    finally:
        qInstallMessageHandler(previous)
    if left or complaints:
        pytest.fail("this test leaves behind " + "; ".join([*left, *complaints]), pytrace=False)
