"""Records in slices against numpy's own structured arrays."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.formats.scene.records import Column, read_columns


@pytest.fixture(params=["plain", "compiled"])
def form(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Numbers are picked by numpy where numba is not loaded, else by it."""
    import numba  # noqa: F401

    if request.param == "plain":
        monkeypatch.delitem(sys.modules, "numba")


def read(path: Path, at: int, record: np.dtype, count: int, columns: dict[str, Column]) -> tuple[Any, ...]:
    reading = read_columns(path, at, record, count, columns)
    while True:
        try:
            next(reading)
        except StopIteration as end:
            out: tuple[Any, ...] = end.value
            return out


@pytest.mark.parametrize("count", [1, 16_384, 40_001])
@pytest.mark.usefixtures("form")
def test_columns_of_any_record_are_those_of_numpy(count: int, tmp_path: Path) -> None:
    """Blocks of one to sixty bytes at odd places, some swapped or of another type, over several slices."""
    record = np.dtype([("flag", "u1"), ("x", "<f4"), ("y", "<f4"), ("z", "<f4"), ("r", "u1"), ("g", "u1"), ("b", "u1"),
                       ("far", ">f4"), ("near", "<f8"), *[(f"n{k}", "<f4") for k in range(15)]])  # fmt: skip
    rng = np.random.default_rng(2)
    rows = np.frombuffer(rng.integers(0, 120, count * record.itemsize, dtype=np.uint8).tobytes(), record)
    path = tmp_path / "rows.bin"
    path.write_bytes(b"head" + rows.tobytes())
    single = np.dtype(np.float32)
    columns = {"xyz": Column(("x", "y", "z"), single), "rgb": Column(("r", "g", "b"), np.dtype(np.uint8)),
               "far": Column(("far",), single), "near": Column(("near",), single), "flag": Column(("flag",), single),
               "long": Column(tuple(f"n{k}" for k in range(15)), single)}  # fmt: skip
    found, _, finite = read(path, 4, record, count, columns)
    assert finite
    for key, column in columns.items():
        with np.errstate(over="ignore"):
            want = np.stack([rows[name].astype(column.dtype) for name in column.fields], -1)
        assert found[key].flags.c_contiguous
        np.testing.assert_array_equal(found[key].reshape(count, -1), want)


@pytest.mark.parametrize("count", [1, 16_384, 300_001])
@pytest.mark.usefixtures("form")
def test_numbers_are_picked_out_of_rows_in_any_order(count: int, tmp_path: Path) -> None:
    """Columns of a splat file: alone, together and far apart, over several runs and threads."""
    record = np.dtype([(f"p{k}", "<f4") for k in range(11)])
    rows = np.random.default_rng(3).normal(size=(count, 11)).astype(np.float32)
    path = tmp_path / "rows.bin"
    path.write_bytes(b"four" + rows.tobytes())
    wanted = {"alone": [7], "together": [1, 2, 3], "apart": [10, 0, 5, 4], "last": [8, 9, 10]}
    single = np.dtype(np.float32)
    columns = {key: Column(tuple(f"p{k}" for k in picked), single, checked=True) for key, picked in wanted.items()}
    found, _, finite = read(path, 4, record, count, columns)
    assert finite
    for key, picked in wanted.items():
        np.testing.assert_array_equal(found[key].reshape(count, -1), rows[:, picked])


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("where", [0, 20_000, 39_999])
@pytest.mark.usefixtures("form")
def test_one_number_that_is_none_is_seen_where_it_is_looked_for(bad: float, where: int, tmp_path: Path) -> None:
    record = np.dtype([(name, "<f4") for name in "abc"])
    rows = np.full((40_000, 3), np.finfo(np.float32).max, np.float32)  # whose sum is no number either
    rows[:, 2] = 1e-45
    rows[where, 1] = bad
    path = tmp_path / "rows.bin"
    path.write_bytes(rows.tobytes())
    single = np.dtype(np.float32)
    for fields, checked, want in ((("a", "b"), True, False), (("a", "c"), True, True), (("b", "c"), False, True)):
        _, _, finite = read(path, 0, record, len(rows), {"it": Column(fields, single, checked=checked)})
        assert finite == want, fields
