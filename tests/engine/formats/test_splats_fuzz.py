"""200 damaged files for each reader of splats: a clear line or finite numbers, in bounded memory and time."""

from __future__ import annotations

import resource
import struct
import time
import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from engine.formats.scene import SceneFileError, read_all
from engine.formats.splats.common import LOG_SCALE
from engine.scene import Points, Splats
from tests.engine.formats import splat_files as files
from tests.engine.formats.test_fuzz import BYTES, COUNT, MUTATIONS, SECONDS

SEEDS: dict[str, Callable[[], bytes]] = {
    "little.ply": lambda: files.inria(files.truth(40, 3)),
    "big.ply": lambda: files.inria(files.truth(40, 1), ">"),
    "ascii.ply": lambda: files.inria(files.truth(20, 1), ""),
    "packed.ply": lambda: files.compressed(files.truth(300, 1)),
    "old.ply": lambda: files.compressed(files.truth(300, 0), colours=False),
    "a.splat": lambda: files.splat(files.truth(60, 0)),
    "one.spz": lambda: files.spz(files.truth(60, 0), 1),
    "two.spz": lambda: files.spz(files.truth(60, 1), 2),
    "three.spz": lambda: files.spz(files.truth(60, 3), 3),
    "four.spz": lambda: files.spz(files.truth(60, 3), 4),
    "a.sog": lambda: files.zipped(files.sog(files.truth(60, 1), 30)),
}
SHARING = (("little.ply", "big.ply", "ascii.ply"), ("packed.ply", "old.ply"), ("a.splat",), ("a.sog",))
"""Seeds of one reader, which share its files; all others are of .spz."""


def variants(name: str) -> int:
    return next((len(group) for group in SHARING if name in group), 4)


def check(path: Path) -> str:
    """Reads a file as far as it goes; what was complained of, '' if nothing."""
    tracemalloc.reset_peak()
    before, begun = tracemalloc.get_traced_memory()[0], time.process_time()
    reason = ""
    try:
        for thing in read_all(path):
            assert len(thing.xyz)  # type: ignore[attr-defined]
            if isinstance(thing, Points):  # a header that lost a property is a cloud's
                continue
            assert isinstance(thing, Splats)
            count, coefficients = thing.sh.shape[:2]
            assert coefficients in (1, 4, 9, 16)
            assert {len(a) for a in (thing.xyz, thing.scales, thing.turns, thing.opacity)} == {count}
            for values in (thing.xyz, thing.scales, thing.turns, thing.opacity, thing.sh):
                assert values.dtype == np.float32
                assert np.isfinite(values).all()
            assert np.abs(thing.scales).max() <= LOG_SCALE
            length = np.linalg.norm(thing.turns, axis=1)
            assert np.isfinite(length).all()
            assert length.min() > 0
    except SceneFileError as e:
        reason = str(e)
        assert reason.startswith(path.name)
        assert "\n" not in reason
        assert len(reason) <= 300
    assert time.process_time() - begun < SECONDS, path.name
    assert tracemalloc.get_traced_memory()[1] - before < BYTES, path.name
    return reason


@pytest.mark.parametrize("name", sorted(SEEDS))
def test_damaged_files_are_read_or_told_of_in_a_line(name: str, tmp_path: Path) -> None:
    path, data = tmp_path / name, SEEDS[name]()
    rng = np.random.default_rng(sum(name.encode()))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # Zstandard's own memory is not seen by tracemalloc
    count = -(-COUNT // variants(name))
    told = 0
    tracemalloc.start()
    try:
        for i in range(count):
            path.write_bytes(MUTATIONS[i % len(MUTATIONS)](data, rng))
            told += bool(check(path))
    finally:
        tracemalloc.stop()
    assert told >= count // 10, "the damage was never seen"
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak) * 1024 < BYTES


def gzipped(plain: bytes) -> bytes:
    packer = zlib.compressobj(6, zlib.DEFLATED, 31)
    return packer.compress(plain) + packer.flush()


def test_what_is_packed_in_spz_is_damaged_too(tmp_path: Path) -> None:
    """Behind the checksum of gzip: the same damage to what is inside."""
    plain = zlib.decompress(files.spz(files.truth(60, 3), 3), 31)
    rng, path, told = np.random.default_rng(7), tmp_path / "a.spz", 0
    tracemalloc.start()
    try:
        for i in range(COUNT // 2):
            path.write_bytes(gzipped(MUTATIONS[i % len(MUTATIONS)](plain, rng)))
            told += bool(check(path))
    finally:
        tracemalloc.stop()
    assert told >= COUNT // 20


def test_bombs_are_small(tmp_path: Path) -> None:
    """Few bytes that unpack to very many take no more than they say, and no more than gzip could."""
    import zstandard

    head = struct.pack("<4sIIBBBB", b"NGSP", 3, 4, 0, 12, 0, 0)
    size = 4 * (9 + 1 + 3 + 3 + 4)
    path = tmp_path / "a.spz"
    path.write_bytes(gzipped(head + bytes(size) + bytes(50 << 20)))  # four splats, and 50 MB behind them
    tracemalloc.start()
    try:
        assert check(path) == ""
        assert tracemalloc.get_traced_memory()[1] < 4 << 20
        tracemalloc.stop()
        count, each = 2_000_000, (9, 1, 3, 3, 4)
        head = struct.pack("<4sIIBBBBI12x", b"NGSP", 4, count, 0, 12, 0, 5, 32)
        streams = [zstandard.compress(bytes(count * size)) for size in each]
        sizes = b"".join(struct.pack("<QQ", len(s), count * size) for s, size in zip(streams, each, strict=True))
        path.write_bytes(head + sizes + b"".join(streams))
        tracemalloc.start()
        assert "splats, more than its" in check(path)
        assert tracemalloc.get_traced_memory()[1] < 4 << 20
    finally:
        tracemalloc.stop()
