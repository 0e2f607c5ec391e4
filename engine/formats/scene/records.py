"""Records of fixed size, read in slices straight into one array per column. Knows no format.

An array of all records first, then columns out of it, would take twice the memory and a second pass over it; here
a slice is small enough to stay in the processor's cache between the two. Slices are read on a few threads, since the
copying lets go of Python's lock.
"""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import IO, Any

import numpy as np

from engine.formats.scene.common import Reading, all_finite, origin_for, refuse

SLICE = 16_384
"""Records between the disk and the columns, where they are short."""
SLICE_BYTES = 1 << 19
"""Of long ones fewer, no more than this: they stay in the cache of one core together with what is made of them."""
COMPILED_BYTES = 1 << 21
"""As much where numbers are picked by what is compiled: no slower, and Python's lock, which the window's thread holds
while it paints, has to be waited for less often."""
LEAST_SLICES = 64
"""A file is read in so many slices at least, so that what a thread needs beside stays a small part of it."""
RUN = 1 << 17
"""Records that a thread is given at once, a few milliseconds of work."""
THREADS = 4
SAMPLE = 512
EXPONENT = 0x7F800000
"""The bits that are all set in a float32 that is no finite number."""


@dataclass(frozen=True)
class Column:
    """``fields`` of a record as one array of ``dtype``, (N,) for one field, else (N, k). ``place``: as float32 relative
    to an origin found from a sample. ``checked``: whether all are finite is found out, of places always."""

    fields: tuple[str, ...]
    dtype: np.dtype
    place: bool = False
    checked: bool = False


def read_columns(
    path: Path, offset: int, record: np.dtype, count: int, columns: Mapping[str, Column]
) -> Reading[tuple[dict[str, np.ndarray], tuple[float, float, float], bool]]:
    """Columns of ``count`` records that begin at byte ``offset``; with the origin of those with ``place``, and whether
    these and those that are ``checked`` are all finite. That the file is long enough has been checked before."""
    arrays = {
        key: np.empty((count,) if len(c.fields) == 1 else (count, len(c.fields)), c.dtype) for key, c in columns.items()
    }
    place = next((c for c in columns.values() if c.place), None)
    origin = origin_for(sample_of(path, offset, record, count, place.fields)) if place else (0.0, 0.0, 0.0)
    copies = [_Copy(record, c, arrays[key], origin) for key, c in columns.items()]
    runs = range(0, count, RUN)
    todo: SimpleQueue[int] = SimpleQueue()
    for start in runs:
        todo.put(start)
    finite: list[bool] = []
    """Of each run that has been read."""

    def work() -> None:
        with path.open("rb", buffering=0) as file:
            read = _reader(path, file, offset, record, copies)
            while (start := _next(todo)) is not None:
                finite.append(read(start, min(count, start + RUN)))

    if len(runs) <= 1:
        work()
        yield 1.0
        return arrays, origin, all(finite)
    workers = min(THREADS, len(runs), os.cpu_count() or 1)
    pool = ThreadPoolExecutor(workers, "scene-file")
    try:
        waiting = {pool.submit(work) for _ in range(workers)}
        while waiting:
            done, waiting = wait(waiting, 0.02, FIRST_COMPLETED)
            for future in done:
                future.result()
            yield len(finite) / len(runs)
    finally:
        while _next(todo) is not None:  # given up, or one thread has failed: the others have nothing more to do
            pass
        pool.shutdown(wait=True)
    return arrays, origin, all(finite)


def _next(todo: SimpleQueue[int]) -> int | None:
    try:
        return todo.get_nowait()
    except Empty:
        return None


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
        _Copy(records.dtype, c, arrays[key], origin).of(records)(0, len(records))
    return arrays


class _Copy:
    """How one column is filled from slices of records."""

    def __init__(self, record: np.dtype, column: Column, out: np.ndarray, origin: tuple[float, float, float]) -> None:
        self.out, self.column = out, column
        self.origin = np.array(origin) if column.place and any(origin) else None
        kinds = [record.fields[name] for name in column.fields]  # type: ignore[index]  # records have fields
        size = column.dtype.itemsize
        first = kinds[0][1]
        together = all(
            kind == column.dtype and kind.isnative and at == first + i * size for i, (kind, at, *_) in enumerate(kinds)
        )
        self.as_it_stands = together and self.origin is None
        self.is_record = self.as_it_stands and size * len(kinds) == record.itemsize
        """Whether the records are this column already."""
        alike = all(kind == column.dtype and kind.isnative and at % size == 0 for kind, at, *_ in kinds)
        self._words = (
            np.array([at // size for _, at, *_ in kinds], np.uint64)
            if alike and self.origin is None and record.itemsize % size == 0
            else None
        )
        """Which of the numbers in a record these are, where it can be seen as a row of numbers of the column's type."""
        self._gap, self._first, self._size = record.itemsize, first, size * len(kinds)

    def of(self, records: np.ndarray) -> Callable[[int, int], bool]:
        """What fills ``start`` to ``end`` of the column from the first of ``records``, again and again, and says
        whether what is a place is finite."""
        if self._words is not None and self.column.dtype == np.float32 and (gather := _gather()) is not None:
            return self._gathered(gather, records, self._words)
        if not self.as_it_stands and self._words is not None and len(self._words) > 1:
            width = records.itemsize // self.column.dtype.itemsize
            rows = records.view(self.column.dtype).reshape(len(records), width)
            return self._pick(rows, self._words.astype(np.intp))
        if not self.as_it_stands:
            return lambda start, end: self._convert(records[: end - start], start, end)
        # By pieces that numpy copies with one instruction each, and each in two steps of which one side has no gaps,
        # this takes half the time of copying the block as a whole. It is put together in the cache, since an
        # array that is written in one go need not be read first.
        block = np.empty((len(records), *self.out.shape[1:]), self.out.dtype)
        whole = block.reshape(-1).view(np.uint8)
        moves = []
        for width, at in _pieces(self._size):
            source = records.view(_piece(self._gap, width, self._first + at))["b"]
            moves.append((source, np.empty(len(records), source.dtype), whole.view(_piece(self._size, width, at))["b"]))

        def fill(start: int, end: int) -> bool:
            n = end - start
            for source, between, target in moves:
                between[:n] = source[:n]
                target[:n] = between[:n]
            self.out[start:end] = block[:n]
            return self.sound(block[:n])

        return fill

    def _gathered(
        self, gather: Callable[..., int], records: np.ndarray, words: np.ndarray
    ) -> Callable[[int, int], bool]:
        rows = records.view(np.uint32).reshape(len(records), records.itemsize // 4)
        out = self.out.reshape(len(self.out), len(words)).view(np.uint32)
        checked = self.column.place or self.column.checked

        def fill(start: int, end: int) -> bool:
            most = gather(rows, words, out, start, end)
            return not checked or bool(most < EXPONENT)

        return fill

    def _pick(self, rows: np.ndarray, picked: np.ndarray) -> Callable[[int, int], bool]:
        # Half the time of the numbers one after the other, since a record is in the cache for all of them; through a
        # block that stays there as well, since what has no page of memory yet is best written in one go.
        block = np.empty((len(rows), len(picked)), self.out.dtype)

        def fill(start: int, end: int) -> bool:
            n = end - start
            np.take(rows[:n], picked, axis=1, out=block[:n], mode="wrap")  # a mode: else in an array of its own first
            self.out[start:end] = block[:n]
            return self.sound(block[:n])

        return fill

    def sound(self, values: np.ndarray) -> bool:
        """Whether all that have to be are finite."""
        return not (self.column.place or self.column.checked) or all_finite(values)

    def _convert(self, records: np.ndarray, start: int, end: int) -> bool:
        with np.errstate(over="ignore", invalid="ignore"):
            for i, name in enumerate(self.column.fields):
                values = records[name]
                if self.origin is not None:
                    values = values.astype(np.float64) - self.origin[i]
                target = self.out if self.out.ndim == 1 else self.out[:, i]
                target[start:end] = values
        return self.sound(self.out[start:end])


def _gather() -> Callable[..., Any] | None:
    """What picks numbers out of records fastest, where numba is loaded anyway, as it is in the window: a program that
    reads one file waits longer for numba than it gains."""
    if "numba" not in sys.modules:
        return None
    from engine.formats.scene.gathering import gather

    return gather


def _pieces(size: int) -> list[tuple[int, int]]:
    """``size`` bytes as pieces that a processor copies by one instruction: the width of each and where it begins."""
    found: list[tuple[int, int]] = []
    at = 0
    while at < size:
        width = next(w for w in (16, 8, 4, 2, 1) if w <= size - at)
        found.append((width, at))
        at += width
    return found


def _piece(gap: int, width: int, at: int) -> np.dtype:
    """Of records of ``gap`` bytes the ``width`` from byte ``at`` on, as the field b."""
    return np.dtype({"names": ["b"], "formats": [f"V{width}"], "offsets": [at], "itemsize": gap})


def _reader(
    path: Path, file: IO[bytes], offset: int, record: np.dtype, copies: Sequence[_Copy]
) -> Callable[[int, int], bool]:
    """What reads the records from one to another into their columns, and says whether all places there are finite.
    Its buffers are used again for every run: to take new ones each time cost a fifth of the whole."""
    straight = copies[0] if len(copies) == 1 and copies[0].is_record else None
    size = min(SLICE, max(256, SLICE_BYTES // record.itemsize))
    if straight:
        size = 0
    elif _gather() is not None:
        size = max(256, COMPILED_BYTES // record.itemsize)
    size = min(size, max(256, len(copies[0].out) // LEAST_SLICES))
    buffer = np.empty(size, record)
    fills = [copy.of(buffer) for copy in copies]

    def read(start: int, end: int) -> bool:
        finite = True
        file.seek(offset + start * record.itemsize)
        if straight is not None:  # in one go: there is nothing to be kept in the cache between two steps
            _read_into(path, file, straight.out[start:end])
            return straight.sound(straight.out[start:end])
        for at in range(start, end, size):
            to = min(at + size, end)
            _read_into(path, file, buffer[: to - at])
            for fill in fills:
                finite = fill(at, to) and finite
        return finite

    return read


def _read_into(path: Path, file: IO[bytes], array: np.ndarray) -> None:
    """Fills an array without gaps with the next bytes of a file."""
    into = array.reshape(-1).view(np.uint8).data
    while into:
        got = file.readinto(into)  # type: ignore[attr-defined]  # raw files have it
        if not got:
            refuse(path, "ends before all of its records", "it may still be being written; open it again")
        into = into[got:]
