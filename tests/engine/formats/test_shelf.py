"""Files that several ask for at once: each is read once, coarse at first where it is large, and kept."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.formats import scene_shelf
from engine.formats.scene import read
from engine.formats.scene.common import Reading
from engine.formats.scene_shelf import COARSE, Shelf, Together
from engine.formats.splats import write
from engine.scene import Mesh, Splats, Thing
from tests.engine.formats.conftest import ply


class Reads:
    """How often files are read, and how often their reading is given up."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.given_up: list[str] = []

    def __call__(self, path: str) -> Reading[tuple[Thing, ...]]:
        name = Path(path).name
        self.begun.append(name)
        try:
            for k in range(4):
                yield k / 4
            return (yield from read(path))
        except GeneratorExit:
            self.given_up.append(name)
            raise


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> Reads:
    counted = Reads()
    monkeypatch.setattr(scene_shelf, "read", counted)
    return counted


@pytest.fixture
def cube(tmp_path: Path) -> str:
    path = tmp_path / "cube.ply"
    path.write_bytes(ply())
    return str(path)


def last(steps: Iterator[float | Together]) -> Together:
    *_, end = steps
    assert isinstance(end, Together)
    assert end.progress == 1
    return end


def test_two_who_ask_at_once_read_once_and_get_the_same(reads: Reads, cube: str) -> None:
    shelf = Shelf()
    one, other = shelf.together([cube]), shelf.together([cube, cube])
    seen: list[list[Any]] = [[], []]
    going = [(one, seen[0]), (other, seen[1])]
    while going:  # in turn, as the engine does
        for pair in list(going):
            try:
                pair[1].append(next(pair[0]))
            except StopIteration:
                going.remove(pair)
    assert reads.begun == ["cube.ply"]
    first, second = seen[0][-1], seen[1][-1]
    assert [t.name for t in first.things] == ["cube"]
    assert [t.name for t in second.things] == ["cube", "cube 2"]
    assert first.things[0].vertices is second.things[1].vertices
    (again,) = last(shelf.together([cube])).things
    assert isinstance(again, Mesh)
    assert again.vertices is first.things[0].vertices
    assert reads.begun == ["cube.ply"]


def test_who_gives_up_does_not_keep_the_others_from_reading_on(reads: Reads, cube: str) -> None:
    shelf = Shelf()
    one, other = shelf.together([cube]), shelf.together([cube])
    assert next(one) == 0.0
    assert next(other) == 0.25  # goes on where the first one was
    one.close()  # type: ignore[attr-defined]
    assert reads.given_up == []
    assert len(last(other).things) == 1
    lone = shelf.together([cube + "2"])
    next(lone)
    lone.close()  # type: ignore[attr-defined]
    assert reads.given_up == ["cube.ply2"]
    assert reads.begun == ["cube.ply", "cube.ply2"]


def test_what_changed_or_left_is_read_again_and_what_is_wrong_is_a_line(reads: Reads, cube: str) -> None:
    shelf = Shelf()
    before = last(shelf.together([cube]))
    os.utime(cube, ns=(1, 1))
    after = last(shelf.together([cube]))
    assert before.stamps != after.stamps
    assert after.stamps[0][0] == 1
    missing = last(shelf.together([cube + ".obj"]))
    assert missing.things == ()
    assert "is not there" in missing.notices[0]
    last(shelf.together([cube]))
    assert reads.begun == ["cube.ply", "cube.ply", "cube.ply.obj", "cube.ply"]


def test_a_large_file_is_coarse_and_whole_at_first_then_all_there(cube: str, tmp_path: Path) -> None:
    """The coarse splats are so much larger that together they cover as much as all do."""
    count = 2 * COARSE
    random = np.random.default_rng(0)
    splats = Splats(
        name="many",
        xyz=random.normal(size=(count, 3)).astype(np.float32),
        scales=np.full((count, 3), -4, np.float32),
        turns=random.normal(size=(count, 4)).astype(np.float32),
        opacity=np.zeros(count, np.float32),
        sh=np.zeros((count, 1, 3), np.float32),
    )
    path = str(tmp_path / "many.ply")
    write(path, splats)
    shelf = Shelf()
    parts = [part for part in shelf.together([cube, path], large=COARSE) if isinstance(part, Together)]
    coarse, whole = parts
    assert coarse.progress < 1
    assert [t.name for t in coarse.things] == [t.name for t in whole.things] == ["cube", "many"]
    some, every = coarse.things[1], whole.things[1]
    assert isinstance(some, Splats)
    assert isinstance(every, Splats)
    assert abs(len(some.xyz) - COARSE) < 32
    assert some.size == pytest.approx(np.sqrt(count / len(some.xyz)))
    assert np.isin(some.xyz[:, 0], splats.xyz[:, 0]).all()
    assert np.abs(some.xyz.std(0) - 1).max() < 0.02
    np.testing.assert_array_equal(every.xyz, splats.xyz)
    assert every.size == 1
    assert [type(p) for p in shelf.together([cube, path], large=COARSE)] == [Together]  # it is kept: nothing coarse
    assert len([p for p in Shelf().together([path], large=count) if isinstance(p, Together)]) == 1
