"""The table of data sets: what is offered, the split, what goes wrong in one clear line."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_digits

from engine.data import Cancelled, DataError, fetch, images, load, options
from engine.data.source import Part, cache_folder, split


def test_every_option_says_where_it_comes_from_how_large_it_is_and_why_not(tmp_path: Path) -> None:
    found = {option.key: option for option in options(tmp_path)}
    images = [key for key, option in found.items() if option.kind == "images"]
    assert images == ["digits", "shapes", "shapes64", "emoji", "emoji64", "fashion_mnist", "mnist", "folder"]
    assert [key for key, option in found.items() if option.kind == "captures"] == (
        ["still_life", "still_life_400", "capture"]
    )
    for option in found.values():
        assert option.title
        assert option.origin
        assert option.size
        assert option.licence
        assert option.available == (not option.reason)
        assert "\n" not in option.reason
    assert found["folder"].needs_folder
    assert found["digits"].available
    assert found["shapes"].available
    assert not list(tmp_path.iterdir())


def test_digits_are_scikit_learns_scaled_to_bytes() -> None:
    source = load("digits", split_seed=3)
    assert source.shape == (8, 8, 1)
    assert len(source.train) + len(source.held_out) == 1797
    assert len(source.held_out) == round(0.15 * 1797)
    assert {0, 255} <= set(np.unique(source.train.images))
    bunch = load_digits()
    want = {
        (label, (pixels * 255 / 16).round().astype(np.uint8).tobytes())
        for label, pixels in zip(bunch.target, bunch.images, strict=True)
    }
    both = [
        (label, picture.tobytes())
        for part in (source.train, source.held_out)
        for label, picture in zip(part.labels, part.images, strict=True)
    ]
    assert set(both) == want
    assert source.train.captions[0] == str(source.train.labels[0])


def numbered(n: int) -> Part:
    """A part whose pictures are their own numbers."""
    pixels = np.arange(n, dtype=np.uint8)[:, None, None, None]
    return Part(pixels, np.arange(n), tuple(map(str, range(n))), {"f": np.arange(n)}, pixels[..., 0])


def test_the_split_is_disjoint_complete_and_moves_all_that_belongs_to_a_picture() -> None:
    train, held_out = split(numbered(100), 1)
    assert len(held_out) == 15
    assert sorted([*train.labels, *held_out.labels]) == list(range(100))
    for part in (train, held_out):
        assert part.masks is not None
        for i, label in enumerate(part.labels):
            assert (
                part.images[i, 0, 0, 0] == part.masks[i, 0, 0] == part.factors["f"][i] == int(part.captions[i]) == label
            )


def test_the_split_follows_the_seed_for_ever() -> None:
    assert np.array_equal(split(numbered(100), 1)[1].labels, split(numbered(100), 1)[1].labels)
    assert not np.array_equal(split(numbered(100), 1)[1].labels, split(numbered(100), 2)[1].labels)
    # Written down: a run saved today must find the same held-out pictures after any upgrade.
    assert split(numbered(20), 0)[1].labels.tolist() == [18, 1, 19]
    assert len(split(numbered(2), 2**40 + 1)[1]) == 1


def test_refusals_are_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"^cifar: no such data set; there are digits, shapes, .*capture$"):
        load("cifar")
    with pytest.raises(DataError, match=r"size 48: choose one of 32, 64"):
        load("folder", folder=str(tmp_path), size=48)
    with pytest.raises(DataError, match=r"^digits: nothing to download"):
        fetch("digits")


@pytest.mark.parametrize("key", ["digits", "shapes"])
def test_loading_stops_when_asked(key: str) -> None:
    heard: list[float] = []
    with pytest.raises(Cancelled):
        load(key, progress=lambda f, _: heard.append(f), cancelled=lambda: len(heard) >= 2 or key == "digits")
    assert len(heard) == (0 if key == "digits" else 2)


def test_progress_rises_to_one() -> None:
    heard: list[tuple[float, str]] = []
    load("shapes", progress=lambda f, text: heard.append((f, text)))
    shares = [f for f, _ in heard]
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    assert len(shares) > 20
    assert heard[0][1] == "drawing Shapes, 32 px"


def test_the_package_needs_no_torch_no_qt_and_scikit_learn_only_when_used() -> None:
    code = "import sys, engine.data; print(sorted({'torch', 'PySide6', 'sklearn', 'scipy'} & set(sys.modules)))"
    root = Path(images.__file__).resolve().parents[2]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_cache_is_the_users() -> None:
    assert cache_folder().name == "mutoscope" or "mutoscope" in cache_folder().parts
