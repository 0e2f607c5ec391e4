"""What the project as a whole keeps to: its top level, its words, its boundaries, its commands. Knows no behaviour.

These are the habits that nobody looks after once they are agreed on, so a machine does.
"""

from __future__ import annotations

import ast
import importlib.util
import os
import re
import shutil
import socket
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
ROOMS = ("app", "engine", "widgets")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))

NEEDED = {"pyproject.toml", "app", "engine", "widgets", "resources", "tests", "main.py"} | {
    "README.md",
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "LICENSE",
    "Makefile",
    "constraints.txt",
}

MOST_LINES = 500


def sources(*folders: str) -> list[Path]:
    found = [p for folder in folders for p in sorted((ROOT / folder).rglob("*.py"))]
    return found + [p for p in (ROOT / "main.py",) if p.exists()]


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def load_helper(name: str) -> ModuleType:
    """A script of .ci/, as a module."""
    spec = importlib.util.spec_from_file_location(f"ci_{name}", ROOT / ".ci" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


# ---- the tree -----------------------------------------------------------------------------------------------------


def test_the_top_level_is_exactly_what_was_agreed() -> None:
    listing = ["git", "-c", f"safe.directory={ROOT}", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    done = subprocess.run(listing, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip("this copy of the project is not a git checkout")
    names = {name for name in done.stdout.split("\0") if name and (ROOT / name).exists()}
    assert {name.split("/")[0] for name in names if not name.startswith(".")} == NEEDED


def test_every_file_says_what_it_is() -> None:
    trees = {name_of(p): ast.parse(p.read_text("utf-8")) for p in sources(*ROOMS, "tests", ".ci")}
    assert [name for name, tree in trees.items() if not ast.get_docstring(tree)] == []


def test_no_file_is_a_warehouse() -> None:
    lengths = {name_of(p): len(p.read_text("utf-8").splitlines()) for p in sources(*ROOMS, "tests", ".ci")}
    assert {name: n for name, n in lengths.items() if n > MOST_LINES} == {}


def test_the_readme_asks_a_newcomer_for_two_commands_only() -> None:
    text = (ROOT / "README.md").read_text("utf-8")
    assert set(re.findall(r"\bmake ([a-z]+)\b(?=`|\s+#|$)", text, re.M)) == {"run", "test"}
    commands = "\n".join(re.findall(r"^```\w*\n(.*?)^```", text, re.M | re.S))
    assert not re.search(r"\b(pip|python3?|apt|conda|uv|source)\b", commands)


def test_the_readme_has_a_line_for_each_folder_and_its_picture_exists() -> None:
    text = (ROOT / "README.md").read_text("utf-8")
    for folder in (*ROOMS, "resources", "tests"):
        assert re.search(rf"^{folder}/ +\w", text, re.M), folder
    for target in re.findall(r"\]\(([^)#]+)\)", text):
        assert "://" in target or (ROOT / target).exists(), target


# ---- boundaries ---------------------------------------------------------------------------------------------------


def contract_modules() -> list[str]:
    contracts = PROJECT["tool"]["importlinter"]["contracts"]
    return next(c["source_modules"] for c in contracts if c["name"] == "the contract imports no torch")


def test_the_contract_imports_in_milliseconds_and_brings_nothing_heavy() -> None:
    modules = contract_modules()
    assert len(modules) >= 6
    heavy = ("torch", "numpy", "PySide6", "sklearn", "scipy", "PIL", "pyqtgraph", "vispy", "OpenGL", "safetensors")
    code = f"""
import importlib, sys, time
start = time.process_time()
for name in {modules}:
    importlib.import_module(name)
print(time.process_time() - start)
print(*[name for name in {heavy} if name in sys.modules])
"""
    command = [sys.executable, "-c", code]
    runs = [subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout for _ in range(2)]
    seconds, loaded = zip(*(out.split("\n")[:2] for out in runs), strict=True)
    assert loaded == ("", "")
    assert min(map(float, seconds)) < 0.25  # about 0.05 s, dataclasses being most of it; numpy alone is 0.15 s


@pytest.mark.parametrize(
    ("file", "line", "contract"),
    [
        ("engine/params.py", "from PySide6 import QtCore", "the engine never sees Qt, OpenGL or a plot"),
        ("engine/params.py", "import torch", "the contract imports no torch"),
        ("widgets/theme.py", "from app import window", "rooms: app, then widgets, then engine"),
        ("widgets/theme.py", "import engine.worker", "widgets know the contract only"),
        ("app/__init__.py", "import torch", "the app reaches the engine through its contract and its worker"),
        ("engine/data/__init__.py", "import engine.worker", "inner order of the engine"),
    ],
)
def test_a_forbidden_import_breaks_its_contract(tmp_path: Path, file: str, line: str, contract: str) -> None:
    for room in ROOMS:
        for path in sources(room):
            copy = tmp_path / name_of(path)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, copy)
    (tmp_path / "app" / "window.py").touch()
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    target = tmp_path / file
    target.write_text(target.read_text("utf-8") + f"\n{line}\n", "utf-8")
    code = "from importlinter.cli import lint_imports_command as lint; lint()"
    command = [sys.executable, "-c", code, "--no-logo", "--no-cache"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stdout + done.stderr
    assert f"{contract} BROKEN" in " ".join(done.stdout.split())


PICKLES = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}


def unsafe_loading(code: str) -> Iterator[str]:
    """Where a file could run code out of a data file: pickle in any of its clothes."""
    for node in ast.walk(ast.parse(code)):
        found: list[str] = []
        match node:
            case ast.Import(names=aliases):
                found = [f"imports {a.name}" for a in aliases if a.name.split(".")[0] in PICKLES]
            case ast.ImportFrom(module=str(module)) if module.split(".")[0] in PICKLES:
                found = [f"imports from {module}"]
            case ast.Call(func=function, keywords=keywords):
                if ast.unparse(function) in ("torch.load", "torch.save"):
                    found = [f"calls {ast.unparse(function)}"]
                words = {f"{k.arg}={ast.unparse(k.value)}" for k in keywords}
                found += sorted(words & {"weights_only=False", "allow_pickle=True"})
        for what in found:
            yield f"line {getattr(node, 'lineno', 0)}: {what}"


def test_nothing_is_ever_unpickled() -> None:
    found = {name_of(path): list(unsafe_loading(path.read_text("utf-8"))) for path in sources(*ROOMS)}
    assert {name: lines for name, lines in found.items() if lines} == {}
    for code in ("import pickle", "from joblib import load", "f(x, weights_only=False)", "torch.load(x)"):
        assert list(unsafe_loading(code)), code


# ---- packages -----------------------------------------------------------------------------------------------------


def pins() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text("utf-8").splitlines()
    pairs = [line.split("==") for line in lines if line and not line.startswith("#")]
    assert all(len(pair) == 2 for pair in pairs), "every line of constraints.txt is name==version"
    return {canonicalize_name(name): pinned for name, pinned in pairs}


def requirements() -> list[Requirement]:
    project = PROJECT["project"]
    return [Requirement(line) for line in project["dependencies"] + project["optional-dependencies"]["dev"]]


@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13"])
def test_every_dependency_is_pinned_inside_its_range(python: str) -> None:
    pinned = pins()
    for r in requirements():
        if r.marker is None or r.marker.evaluate({"python_version": python}):
            assert r.specifier.contains(pinned[canonicalize_name(r.name)]), r


def test_torch_is_pinned_and_its_range_admits_older_and_newer_ones() -> None:
    assert pins()["torch"] == "2.13.0"
    (torch,) = [r for r in requirements() if r.name == "torch"]
    assert [v for v in ("2.10.1", "2.11.0", "2.12.1", "2.13.0+cpu", "2.14.1") if v in torch.specifier] == [
        "2.11.0",
        "2.12.1",
        "2.13.0+cpu",
        "2.14.1",
    ]


def test_what_is_installed_lies_inside_the_ranges() -> None:
    for r in requirements():
        if r.marker is None or r.marker.evaluate():
            assert r.specifier.contains(version(r.name), prereleases=True), r


# ---- the commands -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def screen() -> Any:
    return load_helper("screen")


@pytest.fixture(scope="module")
def setup() -> Any:
    return load_helper("setup")


@pytest.mark.parametrize(
    ("environ", "platform", "answers", "wanted"),
    [
        ({}, "linux", [], False),
        ({"DISPLAY": ""}, "linux", ["/tmp/.X11-unix/X0"], False),
        ({"DISPLAY": ":0"}, "linux", [], False),  # the variable of a session that has gone
        ({"DISPLAY": ":0"}, "linux", ["/tmp/.X11-unix/X0"], True),
        ({"DISPLAY": ":12.0"}, "linux", ["\0/tmp/.X11-unix/X12"], True),
        ({"DISPLAY": "localhost:10.0"}, "linux", [("localhost", 6010)], True),
        ({"DISPLAY": "nonsense"}, "linux", ["/tmp/.X11-unix/X0"], False),
        ({"WAYLAND_DISPLAY": "wayland-1", "XDG_RUNTIME_DIR": "/run/user/7"}, "linux", ["/run/user/7/wayland-1"], True),
        ({"WAYLAND_DISPLAY": "wayland-1", "XDG_RUNTIME_DIR": "/run/user/7"}, "linux", [], False),
        ({"QT_QPA_PLATFORM": "offscreen"}, "linux", [], True),
        ({"QT_QPA_PLATFORM": "xcb"}, "linux", [], False),
        ({}, "darwin", [], True),
        ({}, "win32", [], True),
    ],
)
def test_a_display_is_one_that_answers(screen: Any, environ: Any, platform: str, answers: Any, wanted: bool) -> None:
    assert screen.has_display(environ, platform, lambda address: address in answers) is wanted


def test_a_socket_answers_only_while_somebody_listens(screen: Any, tmp_path: Path) -> None:
    path = str(tmp_path / "X0")
    assert not screen.reachable(path)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
        server.listen()
        assert screen.reachable(path)
    assert not screen.reachable(path)  # the file is still there, nobody behind it


def test_make_run_opens_the_window_or_else_runs_the_tour_and_says_where_its_pictures_are(screen: Any) -> None:
    window = screen.plan_window(display=True, xvfb=True, python="py", args=["--light"])
    assert (window.command, window.virtual, window.before) == (("py", "main.py", "--light"), False, "")
    tour = screen.plan_window(display=False, xvfb=True, python="py")
    assert (tour.command, tour.virtual) == (("py", "main.py", "tour", "--out", "out/tour"), True)
    assert "no display" in tour.before
    assert "\n" not in tour.before
    assert tour.after.endswith("out/tour")
    nothing = screen.plan_window(display=False, xvfb=False, python="py")
    assert nothing.command == ()
    assert "xvfb" in nothing.before
    assert "\n" not in nothing.before


def test_tests_get_a_screen_of_their_own_where_there_is_one_to_have(screen: Any) -> None:
    assert screen.plan_virtual("linux", True, ["a", "b"]) == screen.Plan(("a", "b"), virtual=True)
    assert screen.plan_virtual("darwin", False, ["a"]) == screen.Plan(("a",))
    assert screen.plan_virtual("linux", False, ["a"]).command == ()


def test_a_plan_carried_out_keeps_its_exit_status(screen: Any, capfd: pytest.CaptureFixture[str]) -> None:
    fails = screen.Plan((sys.executable, "-c", "raise SystemExit(3)"), before="first", after="never said")
    assert screen.carry_out(fails) == 3
    assert capfd.readouterr().out == "first\n"
    works = screen.Plan((sys.executable, "-c", "print('second')"), before="first", after="third")
    assert screen.carry_out(works) == 0
    assert capfd.readouterr().out.split() == ["first", "second", "third"]
    assert screen.carry_out(screen.Plan(before="why not")) == 1


def test_setup_notices_what_apt_has_and_has_not(setup: Any) -> None:
    text = "xvfb installed\nlibegl1 config-files\nlibglib2.0-0t64 installed\nlibgl1 not-installed\n"
    there = setup.parse_installed(text)
    assert {"xvfb", "libglib2.0-0"} <= there
    assert not {"libegl1", "libgl1"} & there


def test_setup_runs_pip_again_only_for_other_packages(setup: Any) -> None:
    asked = setup.read_requirements()
    assert any(line.startswith("torch") for line in asked)
    assert any(line.startswith("pytest-qt") for line in asked)
    now = setup.fingerprint(asked, "torch==2.13.0\n")
    assert now == setup.fingerprint(list(asked), "torch==2.13.0\n")
    assert now != setup.fingerprint(asked, "torch==2.13.1\n")
    assert now != setup.fingerprint([*asked, "rich"], "torch==2.13.0\n")


def test_an_old_python_is_named_in_one_line(setup: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(setup.sys, "version_info", (3, 9, 2, "final", 0))
    monkeypatch.setattr(setup, "newer_python", lambda: "")
    with pytest.raises(SystemExit, match=r"needs Python 3\.11 or newer") as stop:
        setup.main()
    assert "\n" not in str(stop.value)


# ---- the rules of the tests themselves ----------------------------------------------------------------------------

BAD = """
import threading, warnings
from PySide6.QtCore import QObject, QTimer, qWarning
from PySide6.QtWidgets import QLabel
import pytest

kept = []

def test_leaves_nothing(qtbot):
    label = QLabel("fine")
    qtbot.addWidget(label)
    label.show()
    QTimer(label).start(5)
    threading.Thread(target=threading.Event().wait, args=(0.02,)).start()

def test_leaves_a_thread():
    threading.Thread(target=threading.Event().wait, args=(0.5,), name="straggler").start()

def test_leaves_a_window(qapp):
    kept.append(QLabel("left open"))

def test_leaves_a_timer(qapp):
    kept.append(QTimer())
    kept[-1].start(10)

@pytest.fixture
def untidy():
    yield
    qWarning("from the teardown")

def test_complains_while_cleaning_up(qapp, untidy):
    pass

def test_makes_qt_complain(qapp):
    thread = threading.Thread(target=lambda: QObject().startTimer(5))
    thread.start()
    thread.join()

def test_warns():
    warnings.warn("careless")

def test_forgets_an_exception_in_a_thread():
    thread = threading.Thread(target=lambda: 1 / 0)
    thread.start()
    thread.join()

class Bad:
    def __del__(self):
        raise ValueError("nobody sees this")

def test_raises_where_nobody_sees():
    Bad()

@pytest.mark.soak
def test_takes_minutes():
    pass
"""


def test_a_test_that_leaves_something_behind_fails(tmp_path: Path) -> None:
    rules = (ROOT / "tests" / "conftest.py").read_text("utf-8")
    assert "PATIENCE = 2.0" in rules
    (tmp_path / "conftest.py").write_text(rules.replace("PATIENCE = 2.0", "PATIENCE = 0.1"), "utf-8")
    (tmp_path / "test_bad.py").write_text(BAD, "utf-8")
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    (tmp_path / "tests").mkdir()
    shutil.copy(ROOT / "tests" / "screen.py", tmp_path / "tests")
    command = [sys.executable, "-m", "pytest", "-rA", "test_bad.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    pairs = re.findall(r"^(PASSED|FAILED|ERROR) .*test_bad.py::(\w+)", done.stdout, re.M)
    seen = {(name, word) for word, name in pairs}
    bad = {name for name in re.findall(r"def test_(\w+)", BAD)} - {"leaves_nothing", "takes_minutes"}
    assert ("test_leaves_nothing", "PASSED") in seen
    assert {name for name, word in seen if word in ("FAILED", "ERROR")} == {f"test_{name}" for name in bad}
    for words in ("a live thread: straggler", "a top-level widget", "a running timer of 10 ms", "from the teardown"):
        assert words in done.stdout, words
    assert "1 skipped" in done.stdout


SIDE_BY_SIDE = """
import os, time
from pathlib import Path
import pytest
from PySide6.QtWidgets import QWidget

@pytest.mark.parametrize("me, other", [("a", "b"), ("b", "a")])
def test_keeps_the_keyboard(qtbot, me, other):
    window = QWidget()
    qtbot.addWidget(window)
    window.show()
    window.activateWindow()
    qtbot.waitUntil(window.isActiveWindow)
    folder = Path(os.environ["SIDE_BY_SIDE"])
    (folder / me).write_text(os.environ["DISPLAY"])
    qtbot.waitUntil((folder / other).exists, timeout=60_000)  # both windows are active now, and stay so
    qtbot.wait(100)
    assert window.isActiveWindow()
"""


@pytest.mark.skipif(shutil.which("Xvfb") is None, reason="needs Xvfb")
def test_tests_side_by_side_have_a_screen_each_and_nothing_of_them_stays(tmp_path: Path) -> None:
    shutil.copy(ROOT / "tests" / "conftest.py", tmp_path)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    (tmp_path / "tests").mkdir()
    shutil.copy(ROOT / "tests" / "screen.py", tmp_path / "tests")
    (tmp_path / "test_two.py").write_text(SIDE_BY_SIDE, "utf-8")
    command = [sys.executable, "-m", "pytest", "-n", "2", "--dist", "load", "test_two.py"]
    env = {**os.environ, "SIDE_BY_SIDE": str(tmp_path)}
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
    assert "2 passed" in done.stdout, done.stdout + done.stderr
    displays = {(tmp_path / name).read_text("utf-8") for name in "ab"}
    assert len(displays) == 2
    for display in displays:
        assert not Path(f"/tmp/.X11-unix/X{display[1:]}").exists()
