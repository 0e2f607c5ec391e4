"""Damaged files: 200 of every kind. Each is read, or told of in one line; soon, and without taking much memory."""

from __future__ import annotations

import json
import math
import re
import resource
import struct
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from engine.formats.scene import READERS, SceneFileError, read_all
from engine.scene import FILE_KINDS, Mesh, Points
from tests.engine.formats.conftest import SEEDS, glb, gltf_document

COUNT = 200
"""Damaged files for each reader, shared evenly by the variants that it reads."""
SECONDS, BYTES = 1.0, 200 << 20
HUGE = (10**12, 2**31 - 1, 2**32 - 1, 2**63 - 1)
Mutation = Callable[[bytes, np.random.Generator], bytes]


def cut(data: bytes, rng: np.random.Generator) -> bytes:
    return data[: rng.integers(0, len(data))]


def flip(data: bytes, rng: np.random.Generator) -> bytes:
    out = bytearray(data)
    for at in rng.integers(0, len(data), rng.integers(1, 12)):
        out[at] ^= 1 << rng.integers(0, 8)
    return bytes(out)


def head_flip(data: bytes, rng: np.random.Generator) -> bytes:
    """Where the counts are."""
    head = min(len(data), 400)
    return flip(data[:head], rng) + data[head:]


def large_word(data: bytes, rng: np.random.Generator) -> bytes:
    """A whole number of 10^12 or the greatest there is, somewhere."""
    value, width = HUGE[rng.integers(len(HUGE))], int(rng.choice([4, 8]))
    at = int(rng.integers(0, max(1, min(len(data), 600) - width)))
    word = (value & (256**width - 1)).to_bytes(width, "little")
    return data[:at] + word + data[at + width :]


def large_text(data: bytes, rng: np.random.Generator) -> bytes:
    return _number(data, rng, str(HUGE[rng.integers(len(HUGE))]).encode())


def words(data: bytes, rng: np.random.Generator) -> bytes:
    options = (b"abc", b"nan", b"-1", b"1e999", b"inf", b"", b"0x12", b"--3")
    return _number(data, rng, options[rng.integers(len(options))])


def _number(data: bytes, rng: np.random.Generator, by: bytes) -> bytes:
    places = [m.span() for m in re.finditer(rb"\d+", data)]
    if not places:
        return flip(data, rng)
    start, end = places[rng.integers(min(len(places), 200))]
    return data[:start] + by + data[end:]


def not_numbers(data: bytes, rng: np.random.Generator) -> bytes:
    out = bytearray(data)
    for at in rng.integers(0, max(1, len(data) - 8), 6):
        bad = struct.pack("<f", [np.nan, np.inf, -np.inf, 3e38][rng.integers(4)])
        out[at : at + 4] = bad
    return bytes(out)


def order(data: bytes, rng: np.random.Generator) -> bytes:
    for here, there in ((b"little", b"big"), (b"big", b"little"), (b"binary", b"ascii"), (b"ascii", b"binary")):
        if here in data:
            return data.replace(here, there, 1)
    start = int(rng.integers(0, len(data) // 2))
    rest = data[start:]
    rest = rest[: len(rest) // 4 * 4]
    return data[:start] + np.frombuffer(rest, "<u4").byteswap().tobytes()


def shifted(data: bytes, rng: np.random.Generator) -> bytes:
    at, n = int(rng.integers(0, len(data))), int(rng.integers(1, 60))
    return data[:at] + data[at + n :] if rng.integers(2) else data[:at] + rng.bytes(n) + data[at:]


def doubled(data: bytes, rng: np.random.Generator) -> bytes:
    a, b = sorted(rng.integers(0, len(data), 2).tolist())
    return data[:b] + data[a:]


MUTATIONS: tuple[Mutation, ...] = (
    cut, flip, head_flip, large_word, large_text, words, not_numbers, order, shifted, doubled,
)  # fmt: skip


def check(path: Path) -> str:
    """Reads a file as far as it goes; what was complained of, '' if nothing."""
    tracemalloc.reset_peak()
    before, begun = tracemalloc.get_traced_memory()[0], time.perf_counter()
    reason = ""
    try:
        for thing in read_all(path):
            if isinstance(thing, Points):
                assert len(thing.xyz)
                assert np.isfinite(thing.xyz).all()
                assert all(np.isfinite(values).all() for values in thing.scalars.values())
            if isinstance(thing, Mesh):
                assert np.isfinite(thing.vertices).all()
                assert thing.faces.min() >= 0
                assert thing.faces.max() < len(thing.vertices)
    except SceneFileError as e:
        reason = str(e)
        assert reason.startswith(path.name)
        assert "\n" not in reason
        assert len(reason) <= 300
    assert time.perf_counter() - begun < SECONDS, path.name
    assert tracemalloc.get_traced_memory()[1] - before < BYTES, path.name
    return reason


@pytest.mark.parametrize("name", sorted(SEEDS))
def test_damaged_files_are_read_or_told_of_in_a_line(name: str, seeds: dict[str, bytes], tmp_path: Path) -> None:
    path = tmp_path / name
    rng = np.random.default_rng(sum(name.encode()))
    # The library that unpacks LAZ is not seen by tracemalloc: the process as a whole must not grow either.
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    variants = [other for other in SEEDS if READERS[Path(other).suffix] is READERS[Path(name).suffix]]
    count = math.ceil(COUNT / len(variants))
    told = 0
    tracemalloc.start()
    try:
        for i in range(count):
            path.write_bytes(MUTATIONS[i % len(MUTATIONS)](seeds[name], rng))
            told += bool(check(path))
    finally:
        tracemalloc.stop()
    assert told >= count // 10, "the damage was never seen"
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak) * 1024 < BYTES


def test_the_seeds_themselves_are_read(seeds: dict[str, bytes], put: Callable[..., Path]) -> None:
    for name in seeds:
        assert read_all(put(name)), name


def test_nodes_that_run_in_circles_are_told_of(put: Callable[..., Path]) -> None:
    for children in ([[1], [0]], [[1], [1]], [[0], []], [[1, 1], []]):
        document, _ = gltf_document()
        for node, below in zip(document["nodes"], children, strict=True):
            node["children"] = below
        with pytest.raises(SceneFileError, match="below itself"):
            read_all(put("circle.glb", glb(document)))


def test_a_deep_chain_of_nodes_and_deep_json_are_no_recursion(put: Callable[..., Path]) -> None:
    document, _ = gltf_document()
    document["nodes"] = [{"children": [i + 1]} for i in range(5000)] + [{"mesh": 0}]
    assert len(read_all(put("deep.glb", glb(document)))) == 1
    text = b'{"asset":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    with pytest.raises(SceneFileError, match="JSON"):
        read_all(put("deep.gltf", text))


@pytest.mark.parametrize(
    ("where", "value"),
    [
        (("accessors", 0, "count"), 10**12),
        (("accessors", 0, "count"), -5),
        (("accessors", 0, "bufferView"), 77),
        (("bufferViews", 0, "byteOffset"), 10**12),
        (("bufferViews", 0, "byteLength"), 10**12),
        (("buffers", 0, "byteLength"), 10**12),
        (("buffers", 0, "uri"), "../../../../etc/passwd"),
        (("buffers", 0, "uri"), "https://example.org/cube.bin"),
        (("nodes", 1, "mesh"), 3),
        (("nodes", 0, "translation"), [float("nan"), 0, 0]),
        (("scenes", 0, "nodes"), "all"),
        (("meshes", 0, "primitives"), 7),
    ],
)
def test_what_a_document_says_is_checked(where: tuple, value: object, put: Callable[..., Path]) -> None:
    document, _ = gltf_document()
    entry = document
    for key in where[:-1]:
        entry = entry[key]
    entry[where[-1]] = value
    path = put("wrong.glb", glb(json.loads(json.dumps(document))))
    with pytest.raises(SceneFileError):
        read_all(path)


def test_every_kind_that_the_window_offers_has_a_reader() -> None:
    assert {f".{kind}" for kind in FILE_KINDS} <= set(READERS)


def test_what_is_no_file_is_told_of(tmp_path: Path) -> None:
    (tmp_path / "empty.ply").write_bytes(b"")
    (tmp_path / "folder.ply").mkdir()
    for name, words_ in (
        ("none.ply", "not there"),
        ("empty.ply", "empty"),
        ("folder.ply", "folder"),
        ("a.doc", "unknown"),
    ):
        with pytest.raises(SceneFileError, match=words_):
            read_all(tmp_path / name)
