"""A folder of the user's: classes, notices, limits; one bad file spoils nothing, and none goes unnamed."""

from __future__ import annotations

import os
import struct
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from engine.data import Cancelled, DataError, folder, load

LINKS = pytest.mark.skipif(sys.platform == "win32", reason="links need rights on Windows")


def paint(path: Path, level: int, size: int = 40) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (size, size), (level, 10, 20)).save(path)


def good(root: Path, count: int = 10, start: int = 0) -> None:
    for i in range(count):
        paint(root / f"p{start + i:03}.png", start + i)


def test_pictures_labels_and_captions_belong_together(tmp_path: Path) -> None:
    for i in range(6):
        paint(tmp_path / "cats" / f"c{i}.png", i)
        paint(tmp_path / "dogs" / "big" / f"d{i}.JPG", 100 + i)
        paint(tmp_path / f"loose{i}.bmp", 200 + i)
    source = load("folder", folder=str(tmp_path), split_seed=4)
    assert source.label_names == ("cats", "dogs", folder.LOOSE)
    assert source.shape == (32, 32, 3)
    assert source.title == tmp_path.name
    assert not source.notices
    assert len(source.train) + len(source.held_out) == 18
    assert len(source.held_out) == 3
    for part in (source.train, source.held_out):
        for image, label, caption in zip(part.images, part.labels, part.captions, strict=True):
            level = int(caption[-5]) + 100 * label
            assert abs(int(image[16, 16, 0]) - level) <= 2
    again = load("folder", folder=str(tmp_path), split_seed=4, size=64)
    assert again.shape == (64, 64, 3)
    assert again.held_out.captions == source.held_out.captions
    assert load("folder", folder=str(tmp_path), split_seed=5).held_out.captions != source.held_out.captions


def test_without_sub_folders_there_are_no_classes(tmp_path: Path) -> None:
    good(tmp_path)
    source = load("folder", folder=str(tmp_path))
    assert source.label_names == ()
    assert not source.train.labels.any()


def png_claiming(width: int, height: int) -> bytes:
    body = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = struct.pack(">I", 9) + b"IDAT" + zlib.compress(b"")
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + body + struct.pack(">I", zlib.crc32(body)) + pixels


@LINKS
def test_every_kind_of_bad_file_is_skipped_by_name(tmp_path: Path) -> None:
    good(tmp_path)
    whole = (tmp_path / "p000.png").read_bytes()
    bad = {
        "empty.png": b"",
        "cut.png": whole[:60],
        "magic.png": b"XXXX" + whole[4:],
        "huge.png": png_claiming(50_000, 50_000),
        "large.png": png_claiming(10_000, 9_000),
        "text.jpeg": b"hello",
    }
    for name, data in bad.items():
        (tmp_path / name).write_bytes(data)
    (tmp_path / "circle.png").symlink_to("circle.png")
    (tmp_path / "gone.png").symlink_to("nowhere.png")
    (tmp_path / "line\nbreak.png").write_bytes(b"x")
    os.mkfifo(tmp_path / "pipe.gif")
    (tmp_path / "notes.txt").write_text("not an image, and not said to be one")
    (tmp_path / "._p000.png").write_bytes(b"hidden")
    source = load("folder", folder=str(tmp_path))
    assert len(source.train) + len(source.held_out) == 10
    named = {notice.removeprefix("skipped ").split(":")[0] for notice in source.notices}
    assert named == {*bad, "circle.png", "gone.png", "pipe.gif", "line�break.png"}
    assert not any("\n" in notice for notice in source.notices)


@LINKS
def test_links_to_folders_are_not_walked_and_said(tmp_path: Path) -> None:
    good(tmp_path / "a")
    (tmp_path / "a" / "round").symlink_to(tmp_path)
    source = load("folder", folder=str(tmp_path))
    assert len(source.train) + len(source.held_out) == 10
    assert source.notices == ("skipped a/round: a link to a folder",)


@LINKS
def test_a_link_to_a_picture_and_a_name_that_is_no_text_are_fine(tmp_path: Path) -> None:
    good(tmp_path / "real")
    shown = tmp_path / "shown"
    shown.mkdir()
    for i in range(10):
        (shown / f"l{i}.png").symlink_to(tmp_path / "real" / f"p{i:03}.png")
    (shown / "l0.png").rename(os.fsdecode(os.fsencode(shown) + b"/\xff0.png"))
    source = load("folder", folder=str(shown))
    captions = source.train.captions + source.held_out.captions
    assert len(captions) == 10
    assert "�0.png" in captions


def test_many_bad_files_are_counted_after_the_first(tmp_path: Path) -> None:
    good(tmp_path)
    for i in range(50):
        (tmp_path / f"bad{i:02}.png").write_bytes(b"x")
    notices = load("folder", folder=str(tmp_path)).notices
    assert len(notices) == folder.NAMED + 1
    assert notices[0].startswith("skipped bad00.png: not an image")
    assert notices[-1] == "skipped 30 more files that could not be read"


def test_folders_that_cannot_be_used_are_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no folder given"):
        load("folder")
    with pytest.raises(DataError, match="nowhere: no such folder"):
        load("folder", folder=str(tmp_path / "nowhere"))
    with pytest.raises(DataError, match="no images in it"):
        load("folder", folder=str(tmp_path))
    for i in range(9):
        (tmp_path / f"b{i}.png").write_bytes(b"")
    with pytest.raises(DataError, match=r"0 usable images, at least 8 are needed; b0\.png: empty file$"):
        load("folder", folder=str(tmp_path))
    good(tmp_path, folder.FEWEST - 1)
    with pytest.raises(DataError, match="7 usable images, at least 8"):
        load("folder", folder=str(tmp_path))
    good(tmp_path, 1, start=100)
    source = load("folder", folder=str(tmp_path))
    assert (len(source.train), len(source.held_out)) == (7, 1)


def test_too_many_images_are_thinned_evenly_and_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    good(tmp_path / "a", 20)
    good(tmp_path / "b", 20, start=20)
    monkeypatch.setattr(folder, "MAX_IMAGES", 10)
    source = load("folder", folder=str(tmp_path))
    assert len(source.train) + len(source.held_out) == 10
    labels = np.concatenate([source.train.labels, source.held_out.labels])
    assert np.bincount(labels).tolist() == [5, 5]
    assert source.notices == ("took 10 of the 40 images, evenly from all",)


def test_the_search_gives_up_in_a_folder_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for i in range(6):
        good(tmp_path / f"d{i}", 10)
    monkeypatch.setattr(folder, "MAX_FILES", 35)
    source = load("folder", folder=str(tmp_path))
    assert len(source.train) + len(source.held_out) == 30
    assert source.notices == ("stopped looking after 35 files: choose a smaller folder",)


def test_reading_can_be_cancelled(tmp_path: Path) -> None:
    good(tmp_path, 30)
    heard: list[tuple[float, str]] = []
    with pytest.raises(Cancelled, match="reading images"):
        load(
            "folder",
            folder=str(tmp_path),
            progress=lambda f, text: heard.append((f, text)),
            cancelled=lambda: len(heard) >= 3,
        )
    assert [f for f, _ in heard] == [0.0, 0.0, 8 / 30]
