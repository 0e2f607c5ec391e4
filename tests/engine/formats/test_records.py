"""Records in slices against numpy's own structured arrays."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from engine.formats.scene.records import Column, read_columns


@pytest.mark.parametrize("count", [1, 16_384, 40_001])
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
    reading = read_columns(path, 4, record, count, columns)
    while True:
        try:
            next(reading)
        except StopIteration as end:
            found, _, finite = end.value
            break
    assert finite
    for key, column in columns.items():
        with np.errstate(over="ignore"):
            want = np.stack([rows[name].astype(column.dtype) for name in column.fields], -1)
        assert found[key].flags.c_contiguous
        np.testing.assert_array_equal(found[key].reshape(count, -1), want)
