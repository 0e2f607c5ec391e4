"""Stored arrays: written whole or not at all, and no header is believed."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from numpy.lib import format as npy

from engine.data import store
from engine.data.source import DataError


def test_what_is_written_is_read_and_nothing_else_is_left(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "a.npz"
    pixels, names = np.arange(24, dtype=np.uint8).reshape(2, 3, 4), np.array(["grinning face", "ü"])
    store.write(path, {"pixels": pixels, "names": names})
    back = store.read(path, {"pixels": "u", "names": "U"})
    assert np.array_equal(back["pixels"], pixels)
    assert back["names"].tolist() == names.tolist()
    assert [p.name for p in path.parent.iterdir()] == ["a.npz"]
    assert np.array_equal(np.load(path, allow_pickle=False)["pixels"], pixels)


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    store.write(path, {"a": np.arange(3)})
    with pytest.raises(ValueError, match=r"[Oo]bject"):
        store.write(path, {"a": np.arange(9), "b": np.array([object()])})
    assert len(store.read(path, {"a": "i"})["a"]) == 3
    assert [p.name for p in tmp_path.iterdir()] == ["a.npz"]


def member(path: Path, data: bytes) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.npy", data)


def header(shape: tuple[int, ...], descr: str = "|u1") -> bytes:
    out = io.BytesIO()
    npy.write_array_header_1_0(out, {"descr": descr, "fortran_order": False, "shape": shape})
    return out.getvalue()


@pytest.mark.parametrize(
    ("data", "word"),
    [
        (b"", "."),
        (b"not an array", "magic"),
        (header((1 << 40,)), "header says 1099511627776"),
        (header((4,)) + b"abc", "holds 3 bytes"),
        (header((2,), "|O") + b"cos\nsystem\n", "object"),
        (header((2,), "<i8") + bytes(16), "int64"),
    ],
)
def test_lies_are_refused_with_the_files_name(tmp_path: Path, data: bytes, word: str) -> None:
    path = tmp_path / "a.npz"
    member(path, data)
    with pytest.raises(DataError, match=word) as caught:
        store.read(path, {"a": "u"})
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_foreign_truncated_and_missing_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    with pytest.raises(DataError, match="No such file"):
        store.read(path, {"a": "u"})
    store.write(path, {"a": np.random.RandomState(0).randint(0, 255, 9999).astype(np.uint8)})
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match="delete it and try again"):
        store.read(path, {"a": "u"})
    broken = bytearray(whole)
    broken[2000] ^= 0xFF
    path.write_bytes(broken)
    with pytest.raises(DataError, match="delete it"):
        store.read(path, {"a": "u"})
    path.write_bytes(whole)
    with pytest.raises(DataError, match="other"):
        store.read(path, {"other": "u"})
