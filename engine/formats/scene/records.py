"""Records of fixed size, read in slices straight into one array per column. Knows no format.

An array of all records first, then columns out of it, would take twice the memory and a second pass over it; here
a slice is small enough to stay in the processor's cache between the two. Slices are read on a few threads, since the
copying lets go of Python's lock.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from engine.formats.scene.common import Reading, origin_for, refuse

SLICE = 16_384
"""Records between the disk and the columns."""
RUN = 1 << 18
"""Records that a thread is given at once, a few milliseconds of work."""
THREADS = 4
SAMPLE = 512


@dataclass(frozen=True)
class Column:
    """``fields`` of a record as one array of ``dtype``, (N,) for one field, else (N, k). ``place``: as float32 relative
    to an origin found from a sample."""

    fields: tuple[str, ...]
    dtype: np.dtype
    place: bool = False


def read_columns(
    path: Path, offset: int, record: np.dtype, count: int, columns: Mapping[str, Column]
) -> Reading[tuple[dict[str, np.ndarray], tuple[float, float, float], bool]]:
    """Columns of ``count`` records that begin at byte ``offset``; with the origin of those with ``place``, and whether
    these are all finite. That the file is long enough has been checked before."""
    arrays = {
        key: np.empty((count,) if len(c.fields) == 1 else (count, len(c.fields)), c.dtype) for key, c in columns.items()
    }
    place = next((c for c in columns.values() if c.place), None)
    origin = origin_for(sample_of(path, offset, record, count, place.fields)) if place else (0.0, 0.0, 0.0)
    copies = [_Copy(record, c, arrays[key], origin) for key, c in columns.items()]
    runs = range(0, count, RUN)

    def read(start: int) -> bool:
        return _read_run(path, offset, record, start, min(count, start + RUN), copies)

    finite = True
    if len(runs) <= 1:
        finite = all(read(start) for start in runs)
        yield 1.0
        return arrays, origin, finite
    workers = min(THREADS, len(runs), os.cpu_count() or 1)
    pool = ThreadPoolExecutor(workers, "scene-file")
    try:
        waiting = {pool.submit(read, start) for start in runs}
        while waiting:
            done, waiting = wait(waiting, 0.05, FIRST_COMPLETED)
            finite = all(future.result() for future in done) and finite
            yield 1 - len(waiting) / len(runs)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
    return arrays, origin, finite


def sample_of(
    path: Path, offset: int, record: np.dtype, count: int, fields: Sequence[str], most: int = SAMPLE
) -> np.ndarray:
    """Some of the records, evenly over the file: float64 (K, fields)."""
    mapped = np.memmap(path, np.uint8, "r", offset, (count * record.itemsize,)) if count else np.zeros(0, np.uint8)
    records = mapped.view(record)[:: max(1, math.ceil(count / most))]
    with np.errstate(over="ignore", invalid="ignore"):
        return np.stack([np.asarray(records[name], np.float64) for name in fields], 1)


def fill_columns(
    records: np.ndarray, columns: Mapping[str, Column], origin: tuple[float, float, float]
) -> dict[str, np.ndarray]:
    """The columns of records that are in memory."""
    arrays = {}
    for key, c in columns.items():
        arrays[key] = np.empty((len(records),) if len(c.fields) == 1 else (len(records), len(c.fields)), c.dtype)
        _Copy(records.dtype, c, arrays[key], origin).fill(records, 0, len(records))
    return arrays


class _Copy:
    """How one column is filled from a slice of records."""

    def __init__(self, record: np.dtype, column: Column, out: np.ndarray, origin: tuple[float, float, float]) -> None:
        self.out, self.column = out, column
        self.origin = np.array(origin) if column.place and any(origin) else None
        kinds = [record.fields[name] for name in column.fields]  # type: ignore[index]  # records have fields
        size = column.dtype.itemsize
        first = kinds[0][1]
        together = all(
            kind == column.dtype and kind.isnative and at == first + i * size for i, (kind, at, *_) in enumerate(kinds)
        )
        self.block: np.dtype | None = None
        if together and self.origin is None:  # copied as it stands
            block = f"V{size * len(kinds)}"
            self.block = np.dtype({"names": ["b"], "formats": [block], "offsets": [first], "itemsize": record.itemsize})
            self.blocks = out.reshape(len(out), -1).view(block)[:, 0] if len(out) else out

    def fill(self, records: np.ndarray, start: int, end: int) -> bool:
        """Whether what is a place is finite."""
        if self.block is not None:
            self.blocks[start:end] = records.view(self.block)["b"]
        else:
            with np.errstate(over="ignore", invalid="ignore"):
                for i, name in enumerate(self.column.fields):
                    values = records[name]
                    if self.origin is not None:
                        values = values.astype(np.float64) - self.origin[i]
                    target = self.out if self.out.ndim == 1 else self.out[:, i]
                    target[start:end] = values
        if not self.column.place:
            return True
        flat = self.out[start:end].reshape(-1)
        return math.isfinite(float(flat.min())) and math.isfinite(float(flat.max()))  # not a number spreads


def _read_run(path: Path, offset: int, record: np.dtype, start: int, end: int, copies: Sequence[_Copy]) -> bool:
    buffer = np.empty(min(SLICE, end - start), record)
    finite = True
    with path.open("rb", buffering=0) as file:
        file.seek(offset + start * record.itemsize)
        for at in range(start, end, SLICE):
            part = buffer[: min(SLICE, end - at)]
            into = part.view(np.uint8).data
            while into:
                got = file.readinto(into)
                if not got:
                    refuse(path, "ends before all of its records", "it may still be being written; open it again")
                into = into[got:]
            for copy in copies:
                finite = copy.fill(part, at, at + len(part)) and finite
    return finite
