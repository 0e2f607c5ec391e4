"""The download: never waits, ends when asked, believes nothing that it was sent. No network is touched."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import sklearn.datasets

from engine.data import Cancelled, DataError, fetch, fetching, idx, load, openml, store

SMALL = openml.Download("Toy", 1, (1,) * 10, count=30)


@pytest.fixture
def played(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Puts other code into the child process, where ``home`` is its folder."""

    def play(code: str) -> None:
        monkeypatch.setattr(openml, "_CHILD", f"import sys, time\nhome = sys.argv[3]\n{code}")

    return play


def answer(home: Path, labels: np.ndarray, side: int = 28) -> None:
    pixels = np.random.RandomState(0).randint(0, 256, (len(labels), side, side)).astype(np.uint8)
    store.write(home / "data.npz", {"images": pixels, "labels": labels.astype(np.uint8)})


def test_a_download_becomes_ours(
    tmp_path: Path, played: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    answer(tmp_path / "sent", np.tile(np.arange(10), 3))
    played(f"import shutil; time.sleep(.3); shutil.copy({str(tmp_path / 'sent/data.npz')!r}, home)")
    cache = tmp_path / "cache"
    texts = list(openml.fetching(SMALL, cache / "toy.npz"))
    assert "MB received from openml.org" in texts[0]
    assert [p.name for p in cache.iterdir()] == ["toy.npz"]
    kept = store.read(cache / "toy.npz", {"train_images": "u", "test_images": "u", "test_labels": "u"})
    sent = store.read(tmp_path / "sent/data.npz", {"images": "u"})["images"]
    assert np.array_equal(kept["train_images"], sent[:20])
    assert np.array_equal(kept["test_images"], sent[20:])
    (cache / "toy.npz").rename(cache / "mnist.npz")
    monkeypatch.setattr(idx, "SYSTEM", ())
    monkeypatch.delenv("MUTOSCOPE_DATA", raising=False)
    assert len(load("mnist", cache=cache).held_out) == 10


@pytest.mark.parametrize(
    ("labels", "side", "word"),
    [
        (np.tile(np.arange(10), 2), 28, "not 30 pictures of 28 x 28"),
        (np.tile(np.arange(10), 3), 14, "not 30 pictures of 28 x 28"),
        (np.sort(np.tile(np.arange(10), 3)), 28, "other pictures than the official ones"),
    ],
)
def test_other_data_than_asked_for_is_refused(
    tmp_path: Path, played: Callable[[str], None], labels: np.ndarray, side: int, word: str
) -> None:
    answer(tmp_path / "sent", labels, side)
    played(f"import shutil; shutil.copy({str(tmp_path / 'sent/data.npz')!r}, home)")
    with pytest.raises(DataError, match=word):
        list(openml.fetching(SMALL, tmp_path / "cache" / "toy.npz"))
    assert not list((tmp_path / "cache").iterdir())


def test_cancelling_takes_a_moment_even_if_the_network_hangs(tmp_path: Path, played: Callable[[str], None]) -> None:
    played("open(home + '/part', 'wb').write(bytes(2_500_000)); time.sleep(60)")
    heard: list[tuple[float | None, str]] = []
    start = time.monotonic()
    with pytest.raises(Cancelled):
        fetch("mnist", lambda f, text: heard.append((f, text)), lambda: "2.5 MB" in heard[-1][1], tmp_path)
    assert time.monotonic() - start < 5
    assert {f for f, _ in heard} == {None}
    assert not list(tmp_path.iterdir())


def test_a_step_of_the_download_never_waits(tmp_path: Path, played: Callable[[str], None]) -> None:
    played("time.sleep(60)")
    steps = fetching("fashion_mnist", tmp_path)
    next(steps)
    start = time.monotonic()
    for _ in range(20):
        next(steps)
    assert time.monotonic() - start < 0.5
    steps.close()
    assert not list(tmp_path.iterdir())


def test_a_failed_download_is_one_line(tmp_path: Path, played: Callable[[str], None]) -> None:
    played("sys.stdout.write('Name or service not known'); sys.exit(1)")
    with pytest.raises(DataError, match=r"^MNIST: the download from openml\.org failed \(Name or service not known\)"):
        fetch("mnist", cache=tmp_path)
    played("import os; os.abort()")
    with pytest.raises(DataError, match=r"failed \(exit code -?\d+\)"):
        fetch("mnist", cache=tmp_path)
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(DataError, match="MNIST: cannot be kept in"):
        fetch("mnist", cache=blocked / "below")


def test_the_child_stores_what_scikit_learn_hands_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pixels = np.random.RandomState(0).randint(0, 256, (20, 784)).astype(float)
    given: dict[str, object] = {}

    def fetch_openml(**options: object) -> SimpleNamespace:
        given.update(options)
        return SimpleNamespace(data=pixels, target=np.array(list("0123456789" * 2), dtype=object))

    monkeypatch.setattr("socket.setdefaulttimeout", lambda seconds: given.update(timeout=seconds))
    monkeypatch.setattr(sklearn.datasets, "fetch_openml", fetch_openml)
    assert openml.child(["554", str(tmp_path)]) == 0
    back = store.read(tmp_path / "data.npz", {"images": "u", "labels": "u"})
    assert np.array_equal(back["images"].reshape(20, 784), pixels)
    assert back["labels"].tolist() == list(range(10)) * 2
    assert given["data_id"] == 554
    assert given["timeout"] == openml.TIMEOUT

    def fails(**options: object) -> None:
        raise OSError("first line\nsecond line")

    monkeypatch.setattr(sklearn.datasets, "fetch_openml", fails)
    assert openml.child(["554", str(tmp_path)]) == 1
    assert capsys.readouterr().out == "first line second line"
