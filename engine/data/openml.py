"""Downloads from openml.org through scikit-learn, in a process of their own. Knows no idx file and no window.

scikit-learn's download can neither be interrupted nor asked how far it is. In a child process it can be ended at any
moment, and the bytes that it has received so far are seen on disk. The child hands back a .npz.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from engine.data import store
from engine.data.source import DataError

TIMEOUT = 30.0
"""Seconds without a byte after which the network counts as gone."""
_ROOT = Path(__file__).resolve().parents[2]
_CHILD = (
    "import sys; sys.path.insert(0, sys.argv[1]); from engine.data.openml import child; sys.exit(child(sys.argv[2:]))"
)


@dataclass(frozen=True)
class Download:
    """A data set of 28 x 28 pictures on openml.org; its last ``sum(test_counts)`` are the official test part, where
    class i occurs ``test_counts[i]`` times: by that its order is checked."""

    title: str
    number: int
    test_counts: tuple[int, ...]
    count: int = 70_000


def fetching(download: Download, target: Path) -> Generator[str, None, None]:
    """Downloads into the .npz ``target``, a little at each ``next``, which never waits; yields how far it is in words
    (nobody knows the whole size beforehand). Closing the iterator stops it. :class:`DataError` if it fails."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix="fetch-") as home:
            yield from _watched(download, Path(home))
            _accept(download, Path(home) / "data.npz", target)
    except OSError as error:
        raise DataError(f"{download.title}: cannot be kept in {target.parent} ({store.one_line(error)})") from error


def _watched(download: Download, home: Path) -> Generator[str, None, None]:
    answer = home / "answer"
    with open(answer, "wb") as out:
        child = subprocess.Popen(
            [sys.executable, "-c", _CHILD, str(_ROOT), str(download.number), str(home)],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.DEVNULL,
        )
    try:
        while child.poll() is None:
            yield f"{download.title}: {_received(home) / 1e6:.1f} MB received from openml.org"
    finally:
        child.kill()
        child.wait()
    if child.returncode:
        said = answer.read_text("utf-8", "replace").strip() or f"exit code {child.returncode}"
        raise DataError(
            f"{download.title}: the download from openml.org failed ({said[:200]}); check the network and try again"
        )


def _received(home: Path) -> int:
    total = 0
    for folder, _, files in os.walk(home):
        for name in files:
            try:
                total += os.stat(os.path.join(folder, name)).st_size
            except FileNotFoundError:  # the child has just moved it
                pass
    return total


def _accept(download: Download, found: Path, target: Path) -> None:
    """Moves the child's answer to ``target`` in train and test parts, if it is what it should be."""
    arrays = store.read(found, {"images": "u", "labels": "u"})
    images, labels = arrays["images"], arrays["labels"]
    test = sum(download.test_counts)
    if images.shape != (download.count, 28, 28) or labels.shape != (download.count,):
        raise DataError(f"{download.title}: openml.org sent {images.shape}, not {download.count:,} pictures of 28 x 28")
    if tuple(np.bincount(labels[-test:], minlength=len(download.test_counts))) != download.test_counts:
        raise DataError(f"{download.title}: openml.org sent other pictures than the official ones; try again later")
    parts = {"train_images": images[:-test], "train_labels": labels[:-test]}
    store.write(target, {**parts, "test_images": images[-test:], "test_labels": labels[-test:]})


def child(arguments: list[str]) -> int:
    """The child process: downloads set ``arguments[0]`` below the folder ``arguments[1]`` and writes ``data.npz``
    there, or one line to standard output that says why not."""
    import socket

    from sklearn.datasets import fetch_openml

    number, home = int(arguments[0]), Path(arguments[1])
    socket.setdefaulttimeout(TIMEOUT)
    try:
        # liac-arff because it comes with scikit-learn, while the faster parser needs pandas.
        bunch = fetch_openml(data_id=number, data_home=home, as_frame=False, parser="liac-arff", n_retries=1)
        images = np.asarray(bunch.data).astype(np.uint8).reshape(-1, 28, 28)
        labels = np.asarray(bunch.target).astype(np.uint8)
        store.write(home / "data.npz", {"images": images, "labels": labels})
    except Exception as error:  # noqa: BLE001  # whatever it is, the parent process shows it as one line
        sys.stdout.write(store.one_line(error))
        return 1
    return 0
