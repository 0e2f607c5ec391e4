"""The benchmark of radiance fields: when it looks, what it promises, and one run from end to end."""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from app.bench import nerf
from app.bench.judged import Plan
from app.bench.nerf import Orbit, Turn, marks, plan
from app.bench.object_scene import made
from app.headless import CommandError
from engine import messages as m
from engine.data.captures import still_life
from engine.data.captures.reading import read_capture


def test_all_is_looked_at_thrice_unless_less_is_named() -> None:
    whole = plan({})
    assert (whole.studies, whole.cpu_seconds, whole.threads) == (("nerf", "nerf_hash", "object"), 180.0, None)
    assert marks(whole.cpu_seconds) == (15.0, 60.0, 180.0)
    less = plan({"MUTOSCOPE_BENCH_STUDIES": "nerf_hash", "MUTOSCOPE_BENCH_CPU_SECONDS": "20"})
    assert (less.studies, marks(less.cpu_seconds)) == (("nerf_hash",), (15.0, 20.0))
    assert marks(5.0) == (5.0,)
    with pytest.raises(CommandError, match="'gan' is not one of nerf, nerf_hash"):
        plan({"MUTOSCOPE_BENCH_STUDIES": "gan"})


class Asked:
    """In the place of a client: only notes what is asked."""

    def __init__(self) -> None:
        self.cameras: list[str] = []

    def look(self, probe: str, values: dict[str, Any], phase: str) -> None:
        assert (probe, phase) == ("view", "drag")
        self.cameras.append(values["camera"])


def test_the_camera_goes_round_no_faster_than_a_hand_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr("time.perf_counter", lambda: now)
    client: Any = Asked()
    orbit = Orbit(client)
    picture = m.Picture("look", 1, 1, "view", None, 0, "drag")
    for _ in range(600):  # six seconds in steps of 10 ms
        orbit.turn()
        orbit.heard(picture)
        now += 0.01
    before = orbit.asked
    assert before == len(client.cameras) == pytest.approx(6 * nerf.ASKS_A_SECOND, rel=0.2)
    now += 1
    orbit.turn()
    now += 1
    orbit.turn()  # the last one is not there yet
    assert len(client.cameras) == orbit.asked == before + 1
    assert not orbit.heard(m.Picture("look", 1, 1, "view", None, 0, "settled"))
    eyes = [tuple(map(float, camera.split("/")[0].split(","))) for camera in client.cameras[:before]]
    angles = [math.atan2(y, x) % (2 * math.pi) for x, y, _ in eyes]
    assert all(math.hypot(x, y) == pytest.approx(3.2, abs=1e-3) for x, y, _ in eyes)
    assert max(angles) > 6
    assert angles == sorted(angles)


def test_what_pictures_cost_by_themselves_is_not_held_against_an_orbit(monkeypatch: pytest.MonkeyPatch) -> None:
    def rate(client: object, seconds: float, clock: object, orbit: bool = False) -> Turn:
        return Turn(19.0, 10.0) if orbit else Turn(40.0, 0.0)

    monkeypatch.setattr(nerf, "_rate", rate)
    monkeypatch.setattr(nerf, "_seconds_a_picture", lambda client: 0.05)
    anything: Any = None
    row = nerf._orbit_row(anything, "nerf_hash", 1.0)
    assert row.figure == pytest.approx(5.0)  # ten pictures of 50 ms take half of the time: 20 of 40 steps are left
    assert not row.kept
    assert "subtracted: 10.0 pictures/s of 50 ms" in row.peer


def test_training_that_grows_slower_by_itself_is_not_held_against_an_orbit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures take half of the time and nothing else; each turn is slower by 2 % than the one before."""
    turns = []

    def rate(client: object, seconds: float, clock: object, orbit: bool = False) -> Turn:
        turns.append(orbit)
        free = 40.0 * 0.98 ** len(turns)
        return Turn(free / 2, 10.0) if orbit else Turn(free, 0.0)

    monkeypatch.setattr(nerf, "_rate", rate)
    monkeypatch.setattr(nerf, "_seconds_a_picture", lambda client: 0.05)
    anything: Any = None
    row = nerf._orbit_row(anything, "nerf_hash", 1.0)
    assert turns.count(True) == turns.count(False) == nerf.ORBITS
    assert abs(row.figure) < 0.1
    assert "within -2.0 .. 2.0" in row.peer
    assert row.kept


def test_a_study_is_trained_compared_and_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nerf, "TURNS", 1)
    monkeypatch.setattr(nerf, "KNOBS", {"batch": 64, "levels": 2, "width": 16, "steps": 32, "resolution": 8})
    monkeypatch.setattr(nerf, "PICTURES", 4)
    monkeypatch.setattr(nerf, "ORBITS", 2)
    rows = nerf._study_rows("nerf_hash", Plan(0.3, studies=("nerf_hash",)), tmp_path)
    assert [row.unit for row in rows] == ["dB", "steps/CPU-s", "rays/CPU-s", "%"]
    assert 5 < rows[0].figure < 40
    assert rows[0].kept is None  # nothing is promised after a third of a second
    assert rows[1].ratio is not None
    assert rows[2].figure == pytest.approx(64 * rows[1].figure)
    assert (tmp_path / "nerf_hash.png").stat().st_size > 1000
    (missing,) = nerf._study_rows("nerf_by_hand", Plan(0.3), tmp_path)
    assert "no such study" in missing.peer


def test_the_object_scene_is_read_as_it_was_traced_and_learned_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Blender's conventions end to end: what the reader says of a camera is what the pictures were traced with."""
    small = partial(made, side=24, views=5, held_out=2)
    capture = read_capture(str(small(tmp_path / "scene")))
    assert [len(capture.part(split)) for split in ("train", "held_out")] == [5, 2]
    for view, (_, split, pose) in zip(capture.views, still_life.poses(5, 2), strict=True):
        assert view.split == split
        np.testing.assert_allclose(view.pose, pose, atol=1e-12)
        assert view.camera.fx == pytest.approx(still_life.camera(24).fx)
        assert view.path is not None
        with Image.open(view.path) as picture:
            assert (picture.mode, picture.size) == ("RGBA", (24, 24))
    monkeypatch.setattr(nerf, "made", small)
    monkeypatch.setattr(nerf, "KNOBS", {"batch": 64, "levels": 2, "width": 16, "steps": 32, "resolution": 8})
    (row,) = nerf._study_rows("object", Plan(0.3), tmp_path)
    assert 3 < row.figure < 40
    assert row.kept is None
    assert (tmp_path / "object.png").stat().st_size > 1000
