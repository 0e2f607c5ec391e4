"""Makes a bare machine ready: .venv, the Python packages, the system libraries. Knows nothing of the application.

Standard library only, and written so that an old Python can at least read it and say that it is too old.
Quick when nothing changed: stamp files inside .venv remember what was installed for which requirements.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PY = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
OLDEST = (3, 11)
NEW_ENOUGH = f"import sys; sys.exit(sys.version_info[:2] < {OLDEST})"

LIBRARIES = [
    "xvfb",
    "xauth",
    "libgl1",
    "libgl1-mesa-dri",
    "libegl1",
    "libopengl0",
    "libglib2.0-0",
    "libxkbcommon-x11-0",
    "libxcb-cursor0",
    "libxcb-icccm4",
    "libxcb-keysyms1",
    "libxcb-shape0",
    "libxcb-image0",
    "libxcb-render-util0",
    "libfontconfig1",
    "libdbus-1-3",
    "fonts-dejavu-core",
]
"""What Qt, OpenGL and a virtual screen need, by Debian's names."""

EXTRAS = ["dataset-fashion-mnist", "fonts-noto-color-emoji"]
"""Data that the application finds on the machine: welcome, but it runs without."""


def say(line: str) -> None:
    print(line, flush=True)


def run(command: list, **kwargs: Any) -> bool:
    """Runs a command without a keyboard; True where it succeeded."""
    return subprocess.run(command, stdin=subprocess.DEVNULL, check=False, **kwargs).returncode == 0


def quiet(command: list) -> bool:
    """Whether a command succeeds; its output is of no interest."""
    try:
        return run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    except OSError:
        return False


# ---- Python -------------------------------------------------------------------------------------------------------


def newer_python() -> str:
    """A Python on this machine that is new enough; empty where there is none."""
    names = [str(PY)] + [f"python3.{minor}" for minor in range(14, OLDEST[1] - 1, -1)]
    for name in names:
        path = shutil.which(name)
        if path and quiet([path, "-c", NEW_ENOUGH]):
            return path
    return ""


def read_requirements() -> list:
    """What pyproject.toml asks for, tests included, as lines for pip."""
    import tomllib  # from Python 3.11 on

    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    return project["dependencies"] + project["optional-dependencies"]["dev"]


def fingerprint(requirements: list, constraints: str) -> str:
    """One line that changes when other packages, or other versions of them, are wanted."""
    return hashlib.sha256(json.dumps([requirements, constraints]).encode()).hexdigest()


def make_venv(apt: list) -> None:
    if quiet([str(PY), "-c", f"import pip; {NEW_ENOUGH}"]):
        return
    try:
        import ensurepip  # noqa: F401, Debian leaves it out of its python3
        import venv  # noqa: F401
    except ImportError:
        package = f"python3.{sys.version_info[1]}-venv"
        if not (apt and install(apt, [package])):
            raise SystemExit(f"Python's venv module is missing: install {package} (python3-venv).") from None
    say(f"Creating .venv with Python {sys.version.split()[0]}.")
    if not run([sys.executable, "-m", "venv", "--clear", str(VENV)]):
        raise SystemExit(f"Could not create {VENV}: see the lines above.")


def install_packages(requirements: list, constraints: str) -> None:
    pip = [str(PY), "-m", "pip", "install", "--no-input", "--disable-pip-version-check", "-c", "constraints.txt"]
    if not sys.stdout.isatty():
        pip.append("-q")
    env = dict(os.environ, PIP_USER="0")  # a personal "user = true" cannot work inside a virtual environment
    torch = next(line for line in constraints.splitlines() if line.startswith("torch=="))
    say("Installing the Python packages into .venv; the first time takes some minutes.")
    # torch goes first and by itself, so that the build that pip is set up to prefer here (CPU or CUDA) is the one taken
    for wanted in ([torch], requirements):
        if not run([*pip, *wanted], cwd=str(ROOT), env=env):
            raise SystemExit("pip could not install the packages: see the lines above, then try again.")


# ---- system libraries ---------------------------------------------------------------------------------------------


def apt_command() -> list:
    """How apt-get can be called here without asking anybody; empty where it cannot."""
    if not sys.platform.startswith("linux") or not shutil.which("apt-get"):
        return []
    call = ["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-qq", "-o", "DPkg::Lock::Timeout=120"]
    if os.geteuid() == 0:
        return call
    if shutil.which("sudo") and quiet(["sudo", "-n", "true"]):
        return ["sudo", "-n", *call]
    return []


def install(apt: list, packages: list) -> bool:
    say(f"Installing with apt: {' '.join(packages)}")
    install_them = [*apt, "install", "-y", "--no-install-recommends", *packages]
    # the lists of a fresh container are empty, those of an old one stale: only then is it worth fetching them
    return run(install_them, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) or (
        run([*apt, "update"]) and run(install_them, stdout=subprocess.DEVNULL)
    )


def parse_installed(text: str) -> set:
    """Package names out of dpkg-query's lines ``name status``; those that Debian renamed (t64) under both."""
    names = {line.split()[0] for line in text.splitlines() if line.endswith(" installed")}
    return names | {name[: -len("t64")] for name in names if name.endswith("t64")}


def missing_libraries(wanted: list) -> list:
    """Which of the Debian packages are not there; all of them where there is no dpkg and no sign of them either."""
    if shutil.which("dpkg-query"):
        query = ["dpkg-query", "-W", "-f", "${Package} ${db:Status-Status}\n"]
        text = subprocess.run(query, capture_output=True, text=True, check=False).stdout
        there = parse_installed(text)
        return [name for name in wanted if name not in there]
    from ctypes.util import find_library

    signs = ("EGL", "GL", "xkbcommon-x11", "xcb-cursor")
    if shutil.which("xvfb-run") and all(find_library(name) for name in signs):
        return []
    return list(wanted)


def install_libraries(apt: list) -> None:
    """Installs what is missing where that can be done without asking, else names it."""
    missing = missing_libraries(LIBRARIES)
    if missing and not (apt and install(apt, missing)):
        say(f"Please install these system packages (Debian's names): {' '.join(missing)}")
    extras = missing_libraries(EXTRAS) if apt else []
    if extras and not install(apt, extras):
        say(f"Not installed, and not needed: {' '.join(extras)}")


# ---- all together -------------------------------------------------------------------------------------------------


def stamped(name: str, key: str) -> bool:
    stamp = VENV / name
    return stamp.is_file() and PY.exists() and stamp.read_text("utf-8") == key


def main() -> None:
    if sys.version_info[:2] < OLDEST:
        newer = newer_python()
        if not newer:
            have = sys.version.split()[0]
            raise SystemExit(f"Mutoscope needs Python 3.11 or newer, this is {have}: name another by make PYTHON=...")
        raise SystemExit(subprocess.call([newer, str(Path(__file__).resolve())]))
    requirements, constraints = read_requirements(), (ROOT / "constraints.txt").read_text("utf-8")
    packages, libraries = fingerprint(requirements, constraints), " ".join(LIBRARIES + EXTRAS)
    ready, libraries_ready = stamped(".packages", packages), stamped(".libraries", libraries)
    if ready and libraries_ready:
        return
    apt = apt_command()
    if not libraries_ready and sys.platform.startswith("linux"):
        install_libraries(apt)
    if not ready:
        make_venv(apt)
        install_packages(requirements, constraints)
        (VENV / ".packages").write_text(packages, "utf-8")
    # kept inside .venv, and so only once that is there; what had to be asked of a person is asked once
    (VENV / ".libraries").write_text(libraries, "utf-8")


if __name__ == "__main__":
    main()
