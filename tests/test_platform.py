"""What the platform under us must be able to do; knows nothing of the application.

PySide6 6.12.0 on Python 3.11 aborts the interpreter (``bool_dealloc``) after about 100 queued signals without arguments
from a worker thread. The engine wakes the window in just this way, so a release with that fault is of no use here.
"""

from __future__ import annotations

import subprocess
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest
from packaging.requirements import Requirement

PYPROJECT = Path(__file__).resolve().parents[1] / "pyproject.toml"

SIGNALS = """
import sys, threading
from PySide6.QtCore import QCoreApplication, QObject, Qt, QTimer, Signal, Slot

COUNT = 20_000

class Sender(QObject):
    woke = Signal()

class Receiver(QObject):
    seen = 0

    @Slot()
    def take(self):
        assert threading.current_thread() is threading.main_thread()
        self.seen += 1
        if self.seen == COUNT:
            QCoreApplication.quit()

app = QCoreApplication([])
sender, receiver = Sender(), Receiver()
sender.woke.connect(receiver.take, Qt.ConnectionType.QueuedConnection)

def work():
    for _ in range(COUNT):
        sender.woke.emit()

thread = threading.Thread(target=work)
QTimer.singleShot(0, thread.start)
QTimer.singleShot(60_000, QCoreApplication.quit)
app.exec()
thread.join()
print(receiver.seen)
"""


def pyside_requirements() -> list[Requirement]:
    lines = tomllib.loads(PYPROJECT.read_text("utf-8"))["project"]["dependencies"]
    return [r for r in map(Requirement, lines) if r.name == "PySide6-Essentials"]


def admits(pyside: str, python: str) -> bool:
    """Whether pyproject.toml lets pip take this release of PySide6 on this Python."""
    environment = {"python_version": python}
    asked = [r for r in pyside_requirements() if r.marker is None or r.marker.evaluate(environment)]
    assert asked, f"PySide6 is not asked for at all on Python {python}"
    return all(r.specifier.contains(pyside) for r in asked)


def test_20000_queued_signals_from_a_worker_thread_all_arrive() -> None:
    done = subprocess.run([sys.executable, "-c", SIGNALS], capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "20000", "")


def test_the_installed_pyside_is_not_the_faulty_one() -> None:
    if sys.version_info[:2] == (3, 11):
        assert version("PySide6-Essentials") != "6.12.0"
    assert admits(version("PySide6-Essentials"), ".".join(map(str, sys.version_info[:2])))


@pytest.mark.parametrize(
    ("pyside", "python", "wanted"),
    [
        ("6.12.0", "3.11", False),
        ("6.11.3", "3.11", True),
        ("6.12.1", "3.11", True),
        ("6.12.0", "3.12", True),
        ("6.11.3", "3.12", True),
        ("6.7.3", "3.11", False),
    ],
)
def test_pyproject_refuses_the_faulty_release_where_it_is_faulty(pyside: str, python: str, wanted: bool) -> None:
    assert admits(pyside, python) is wanted
