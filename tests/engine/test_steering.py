"""Spots, key frames and directions as values and as files; and that a run keeps its directions."""

from __future__ import annotations

import json
import math
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine import messages as m
from engine.formats import directions as files
from engine.formats.runs import RunError
from engine.params import BadValue
from engine.probes import Item
from engine.steering import (
    EASINGS,
    LAST_SEED,
    MOST_DIRECTIONS,
    MOST_KEYS,
    MOST_STEPS,
    REACH,
    Direction,
    Directions,
    KeyFrames,
    Spot,
    directions_text,
    eased,
    fresh_name,
    joined,
)

UP = Direction("up", (0.6, 0.8), "w", 1.5)
SIDE = Direction("side", (1.0, 0.0), "w")


def refused(do: Any) -> str:
    with pytest.raises(BadValue) as error:
        do()
    return str(error.value)


# ---- values -------------------------------------------------------------------------------------------------------


def test_a_spot_is_pulled_into_the_square_and_nothing_else_is_one() -> None:
    spot = Spot()
    assert spot.initial({}) == (0.5, 0.5)
    assert spot.check("spot", (1.5, -0.25), {}) == (1.0, 0.0)
    assert spot.parse("spot", "0.25, 0.75", {}) == (0.25, 0.75)
    assert refused(lambda: spot.parse("spot", "0.25", {})) == "spot: '0.25' is not a place u,v"
    assert refused(lambda: spot.check("spot", (math.nan, 0.0), {})) == "spot: has a number that is not finite"


def test_key_frames_are_typed_with_as_much_as_is_wanted() -> None:
    keys = KeyFrames()
    assert keys.parse("keys", "5;7:12;9:3:hold", {}) == ((5, 24, "smooth"), (7, 12, "smooth"), (9, 3, "hold"))
    assert refused(lambda: keys.parse("keys", "5", {})) == f"keys: has 1 key frames; a path has 2 to {MOST_KEYS}"
    assert "0 to 2147483647" in refused(lambda: keys.parse("keys", "-1;2", {}))
    assert f"1 to {MOST_STEPS} can be" in refused(lambda: keys.parse("keys", "1:0;2", {}))
    assert refused(lambda: keys.parse("keys", "1:3:jump;2", {})).startswith("keys: 'jump' is not one of smooth")
    assert "is not a list of seed:steps:easing" in refused(lambda: keys.parse("keys", "a;b", {}))
    full = tuple((i, 1, "linear") for i in range(MOST_KEYS))
    assert keys.check("keys", full, {}) == full
    assert "has 41 key frames" in refused(lambda: keys.check("keys", (*full, full[0]), {}))


def test_every_easing_goes_from_0_to_1_and_has_the_slopes_of_its_name() -> None:
    def slope(at: float, easing: str) -> float:
        return (eased(at + 1e-6, easing) - eased(at - 1e-6, easing)) / 2e-6

    for easing in EASINGS:
        assert (eased(0.0, easing), eased(1.0, easing)) == (0.0, 1.0)
        way = [eased(t, easing) for t in np.linspace(0, 1, 33)]
        assert all(b >= a for a, b in pairwise(way))
    assert eased(0.999, "hold") == 0.0
    assert [round(slope(1e-5, e), 3) for e in ("linear", "smooth", "slow start", "slow end")] == [1, 0, 0, 2]
    assert [round(slope(1 - 1e-5, e), 3) for e in ("linear", "smooth", "slow start", "slow end")] == [1, 0, 2, 0]


def test_directions_are_made_of_length_1_and_stay_within_reach() -> None:
    control = Directions()
    (made,) = control.check("d", [{"name": "up", "vector": [3, 4], "amount": 99}], {})
    assert made == Direction("up", (0.6, 0.8), "z", REACH)
    assert control.check("d", (UP, SIDE), {}) == (UP, SIDE)
    assert control.check("d", (UP,), {})[0].vector is UP.vector, "no number is copied where none is wrong"


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ([{"name": "a", "vector": [0, 0]}], "d: the direction 'a' has no vector of 1 to 8192 finite numbers"),
        ([{"name": "a", "vector": [math.inf]}], "d: the direction 'a' has no vector"),
        ([{"name": "a", "vector": []}], "d: the direction 'a' has no vector"),
        ([{"name": "a", "vector": [0.1] * 8193}], "d: the direction 'a' has no vector"),
        ([{"name": "a", "vector": [1], "amount": math.nan}], "d: the amount of 'a' is not finite"),
        ([{"name": " ", "vector": [1]}], "d: a direction needs a name of 1 to 60 letters"),
        ([{"name": "a" * 61, "vector": [1]}], "d: a direction needs a name of 1 to 60 letters"),
        ([UP, UP], "d: two directions are called 'up'"),
        ([3], "d: '[3]' is not a list of directions"),
        ([{"vector": [1]}], "d: \"[{'vector': [1]}]\" is not a list of directions"),
        ([{"name": str(i), "vector": [1]} for i in range(MOST_DIRECTIONS + 1)], "d: 65 directions are more than 64"),
    ],
)
def test_what_is_no_direction_is_refused_with_a_line(value: Any, words: str) -> None:
    assert refused(lambda: Directions().check("d", value, {})).startswith(words)


def test_directions_survive_the_way_through_json_bit_for_bit() -> None:
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(3, 512))
    kept = tuple(
        Direction(f"no. {i}", tuple((v / np.linalg.norm(v)).astype(np.float32).tolist()), "w", -1.25 * i)
        for i, v in enumerate(vectors)
    )
    assert Directions().parse("d", directions_text(kept), {}) == kept
    assert refused(lambda: Directions().parse("d", "[{", {})) == "d: '[{' is not JSON"


def test_names_are_made_different_and_one_direction_is_not_taken_twice() -> None:
    assert fresh_name("up", ()) == "up"
    assert fresh_name("up", ("up", "up 2")) == "up 3"
    assert fresh_name("x" * 60, ("x" * 60,)) == "x" * 58 + " 2"
    other = Direction("up", (1.0, 0.0), "z")
    assert [d.name for d in joined((UP,), (UP, other, SIDE))] == ["up", "up 2", "side"]
    assert joined((UP, SIDE), (UP,)) == (UP, SIDE)


def test_an_item_stands_for_a_code_only_where_codes_are_wanted() -> None:
    code = Item(codes=True)
    assert code.parse("a", " seed:5 ", {}) == "seed:5"
    assert code.parse("a", "held_out:3", {}) == "held_out:3"
    assert code.parse("a", "cat.png", {}) == "file:cat.png"
    assert refused(lambda: code.check("a", "seed:x", {})).endswith(
        "is not held_out:NUMBER, train:NUMBER, seed:NUMBER or file:PATH"
    )
    assert refused(lambda: Item().check("a", "seed:5", {})) == (
        "a: 'seed:5' is not held_out:NUMBER, train:NUMBER or file:PATH"
    )
    for high in (str(LAST_SEED + 1), "9" * 5000):
        assert "outside the range from 0 to 2147483647" in refused(
            lambda high=high: code.check("a", f"seed:{high}", {})
        )
    assert code.check("a", f"seed:{LAST_SEED}", {}) == f"seed:{LAST_SEED}"


# ---- files --------------------------------------------------------------------------------------------------------


def test_a_file_that_holds_no_directions_is_told_of_by_its_name(tmp_path: Path) -> None:
    path = tmp_path / "mine.json"
    for data, words in (
        (b"\xff\xfe\x00", "not a text file"),
        (b'{"name": "up"}', "holds no directions (directions: "),
        (b"[[1, 2]]", "holds no directions (directions: "),
        (b"[" * 5000, "is not JSON"),
    ):
        path.write_bytes(data)
        with pytest.raises(RunError) as error:
            files.read(path)
        assert str(error.value).startswith(f"{path}: ")
        assert words in str(error.value)
    with pytest.raises(RunError, match=r"nowhere\.json: cannot be read"):
        files.read(tmp_path / "nowhere.json")
    with pytest.raises(RunError, match="cannot be written"):
        files.write(tmp_path, (UP,))


def test_files_are_written_and_read_by_orders(driver: Any, tmp_path: Path) -> None:
    path = tmp_path / "mine.json"
    driver.post(m.WriteDirections(str(path), (UP, SIDE)), m.ReadDirections(str(path), "along"))
    report = driver.until(m.DirectionsRead)
    assert (report.path, report.control, report.directions) == (str(path), "along", (UP, SIDE))
    assert [n.text for n in driver.all(m.Notice)][-1] == f"saved {path}"
    path.write_text("3")
    driver.post(m.ReadDirections(str(path)), m.WriteDirections(str(tmp_path / ("a" * 300)), (UP,)))
    first = driver.until(m.Failure)
    assert (first.title, first.fault) == ("The directions were not loaded", False)
    second = driver.until(m.Failure)
    assert (second.title, second.fault) == ("The directions were not saved", False)


# ---- runs ---------------------------------------------------------------------------------------------------------


def kept_in(folder: Path) -> Any:
    return json.loads((folder / "directions.json").read_text())


def test_a_run_keeps_its_directions_and_brings_them_back(driver: Any, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    driver.post(m.AutosaveTo(str(folder)))
    assert driver.open().directions == ()
    driver.post(m.KeepDirections((UP,)))  # before there is a run
    driver.post(m.Train(2))
    driver.settle()
    assert [d["name"] for d in kept_in(folder)] == ["up"]
    driver.post(m.KeepDirections((UP, SIDE)))
    driver.settle()
    assert [d["name"] for d in kept_in(folder)] == ["up", "side"]
    assert [p.name for p in folder.iterdir() if p.name.endswith(".part")] == []
    assert driver.open("", epoch=2, run=str(folder)).directions == (UP, SIDE)
    driver.post(m.KeepDirections(()))
    driver.settle()
    assert kept_in(folder) == []
    assert driver.open("", epoch=3, run=str(folder)).directions == ()


def test_a_run_that_is_only_read_stays_as_it_was_and_a_new_run_from_it_takes_them_along(
    driver: Any, tmp_path: Path
) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    driver.post(m.AutosaveTo(str(first)))
    driver.open()
    driver.post(m.Train(2), m.KeepDirections((UP,)))
    driver.settle()
    assert driver.open("", epoch=2, run=str(first), keep=False).directions == (UP,)
    driver.post(m.AutosaveTo(str(second)), m.KeepDirections((UP, SIDE)))
    driver.settle()
    assert len(kept_in(first)) == 1
    driver.post(m.Train(1))
    driver.settle()
    assert (len(kept_in(first)), len(kept_in(second))) == (1, 2)


def test_a_branch_and_a_snapshot_keep_them(driver: Any, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    driver.post(m.AutosaveTo(str(folder)))
    driver.open()
    for _ in range(2):
        driver.post(m.Train(2))
        driver.settle()
        driver.post(m.Save())
        driver.settle()
    driver.post(m.KeepDirections((SIDE,)), m.LoadSnapshot(2))
    assert driver.until(m.Opened).directions == (SIDE,)
    driver.post(m.Train(1))
    driver.settle()
    assert [d["name"] for d in kept_in(tmp_path / "run-from-2")] == ["side"]


def test_a_damaged_file_does_not_keep_a_run_from_being_opened(driver: Any, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    driver.post(m.AutosaveTo(str(folder)))
    driver.open()
    driver.post(m.Train(2), m.KeepDirections((UP,)))
    driver.settle()
    (folder / "directions.json").write_text('[{"name": "up", "vec')
    assert driver.open("", epoch=2, run=str(folder)).directions == ()
    assert any("holds no directions" in n.text for n in driver.all(m.Notice))


def test_directions_without_a_study_are_told_of(driver: Any) -> None:
    driver.post(m.KeepDirections((UP,)))
    assert driver.until(m.Failure).reason == "no study is open; choose one in the catalogue"
