"""The study of splat files: its example, what its controls do to the splats, the ground, and files in and out."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from engine.data.captures import still_life as life
from engine.data.captures.still_life_splats import splats as still_life
from engine.formats.scene import read_all
from engine.formats.scene_export import SCENE_WRITERS
from engine.geometry.splats.grade import Grade, graded
from engine.geometry.splats.harmonics import basis
from engine.geometry.splats.transform import UPRIGHT, quaternions, rotations, transformed
from engine.geometry.splats.values import alpha_of
from engine.params import BadValue
from engine.payloads import Bars
from engine.scene import Handles, Mesh, Scene, Splats
from engine.session import Session
from engine.studies.splatting.splat_scene import SplatScene
from tests.engine.geometry.test_splats_transform import run

LIFE = still_life()


@pytest.fixture
def session() -> Session:
    return Session.build("splat_scene", SplatScene, {}, 0, torch.device("cpu"), None)


def ask(session: Session, *files: Path, **controls: Any) -> Scene:
    scene = list(session.answer("scene", {"files": tuple(map(str, files)), **controls}))[-1]
    assert isinstance(scene, Scene)
    return scene


def splats_in(scene: Scene) -> Splats:
    found = scene.things[0]
    assert isinstance(found, Splats)
    return found


def world(splats: Splats) -> np.ndarray:
    m = np.asarray(splats.transform)
    return np.asarray((splats.xyz + np.asarray(splats.origin)) @ m[:3, :3].T + m[:3, 3])


def written(path: Path, *things: Any, up: str = "z", **more: Any) -> Path:
    """Files as the window writes them."""
    ending = ".compressed.ply" if path.name.endswith(".compressed.ply") else path.suffix
    path.write_bytes(SCENE_WRITERS[ending](path, (Scene(things, up, **more),)))
    return path


def test_the_example_shows_the_still_life_and_stands_upright(session: Session) -> None:
    scene = ask(session)
    splats = splats_in(scene)
    assert "Drop" in scene.caption
    assert 5000 < len(splats.xyz) < 15_000
    places, alpha = world(splats), alpha_of(splats.opacity)
    solid = np.flatnonzero(alpha > 0.9)
    ball = solid[np.abs(np.linalg.norm(places[solid] - life.BALL, axis=1) - life.BALL_RADIUS) < 1e-5]
    assert len(ball) > 1000
    # seen from in front of the ball, the harmonics are what a ray finds there
    eye = life.BALL + [1.5, -2.0, 1.0]
    ways = places[ball] - eye
    ways /= np.linalg.norm(ways, axis=1, keepdims=True)
    facing = ((places[ball] - life.BALL) * ways).sum(1) < -0.25 * life.BALL_RADIUS
    ball, ways = ball[facing], ways[facing]
    colour, covered, _ = life.traced(places[ball] - 0.01 * ways, ways)
    own = ways @ UPRIGHT[:3, :3]  # the directions in the axes of the splats
    seen = 0.5 + np.einsum("nk,nkc->nc", basis(own, 2), splats.sh[ball])
    assert covered.min() == 1
    assert np.abs(seen - colour).mean() < 0.08  # degree 2 cannot mirror a lamp
    assert np.corrcoef(seen[:, 0], colour[:, 0])[0, 1] > 0.5
    normals = rotations(splats.turns[ball])[:, :, 2] @ UPRIGHT[:3, :3].T
    outward = (places[ball] - life.BALL) / life.BALL_RADIUS
    np.testing.assert_allclose(np.abs((normals * outward).sum(1)), 1, atol=1e-5)
    again = splats_in(ask(session))
    assert again.xyz is splats.xyz
    assert again.sh is splats.sh


def test_a_large_file_is_seen_in_part_first_and_read_once_for_all_probes(
    session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The part stands where the whole will, is seen from the same place, and covers as much."""
    monkeypatch.setattr(sys.modules[SplatScene.__module__], "MANY", 50_000)
    random, count = np.random.default_rng(4), 120_000
    names = ("scales", "turns", "opacity", "sh")
    arrays: dict[str, Any] = {n: np.resize(getattr(LIFE, n), (count, *getattr(LIFE, n).shape[1:])) for n in names}
    many = replace(LIFE, xyz=random.uniform(-1, 1, (count, 3)).astype(np.float32), **arrays)
    path = written(tmp_path / "many.ply", many, world=np.eye(4))
    asked: dict[str, dict[str, Any]] = {
        "scene": {"files": (str(path),), "size": 0.5},
        "spread": {"files": (str(path),)},
    }
    answers = {name: session.answer(name, controls) for name, controls in asked.items()}
    found: dict[str, list[Any]] = {name: [] for name in answers}
    while answers:  # in turn, as the engine does
        for name, answer in list(answers.items()):
            part = next(answer, None)
            if part is None:
                del answers[name]
            elif isinstance(part, Scene | Bars):
                found[name].append(part)
    first, whole = found["scene"]
    assert first.progress < 1 == whole.progress
    some, every = splats_in(first), splats_in(whole)
    assert len(every.xyz) == count
    assert 40_000 < len(some.xyz) < 60_000
    assert some.size == pytest.approx(0.5 * np.sqrt(count / len(some.xyz)))
    assert every.size == 0.5
    assert some.name == every.name
    np.testing.assert_array_equal(some.transform, every.transform)
    np.testing.assert_allclose(first.home, whole.home, atol=0.05)
    assert f"the {count:,} splats" in found["spread"][0].caption
    assert [part.progress for part in session.answer("scene", asked["scene"]) if isinstance(part, Scene)] == [1]


def test_controls_reach_the_splats_and_grading_is_kept_while_it_is_the_same(session: Session) -> None:
    plain = splats_in(ask(session))
    scene = ask(session, degree=1, size=0.5, antialiased="on", exposure=0.5, saturation=0.2)
    splats = splats_in(scene)
    assert (splats.degree, splats.size, splats.antialiased) == (1, 0.5, True)
    np.testing.assert_array_equal(splats.sh, graded(plain.sh, Grade(exposure=0.5, saturation=0.2)))
    other = splats_in(ask(session, exposure=0.5, saturation=0.2))
    assert other.sh is splats.sh
    assert splats_in(ask(session)).sh is plain.sh
    assert not splats_in(ask(session, antialiased="off")).antialiased


@pytest.mark.parametrize("tilt", [4.0, 21.0])
def test_a_leaning_capture_is_laid_level(tilt: float, session: Session, tmp_path: Path) -> None:
    turn = np.eye(4)
    turn[:3, :3] = Rotation.from_rotvec(np.radians(tilt) * np.array([0.8, 0, 0.6])).as_matrix()
    leaning = run(transformed(LIFE, turn))
    path = written(tmp_path / "leaning.ply", replace(leaning, transform=UPRIGHT), world=UPRIGHT)
    scene = ask(session, path, stand="ground found")
    assert f"leant by {tilt:.1f}" in scene.caption
    splats = splats_in(scene)
    floor = np.abs(world(replace(LIFE, transform=UPRIGHT))[:, 2] - life.FLOOR) < 1e-4
    places = world(splats)[floor]
    normal = np.linalg.svd(places - places.mean(0), full_matrices=False)[2][2]
    assert np.degrees(np.arccos(min(1.0, abs(normal[2])))) < 0.1
    assert abs(places[:, 2].mean()) < 0.01
    as_it_is = world(splats_in(ask(session, path)))[floor]
    assert np.ptp(as_it_is[:, 2]) > 0.1


def test_three_places_lay_their_plane_level_and_a_line_is_told_of(session: Session) -> None:
    down = np.linalg.inv(UPRIGHT)
    places = [(0, 0, 0), (1, 0, 0.5), (0, 1, 0)]
    own = tuple(tuple((down[:3, :3] @ p).tolist()) for p in places)
    scene = ask(session, stand="three places", places=own)
    splats, handles = scene.things
    assert isinstance(handles, Handles)
    assert handles.control == "places"
    m = np.asarray(handles.transform)
    np.testing.assert_allclose(handles.at @ m[:3, :3].T[:, 2] + m[2, 3], 0, atol=1e-6)
    np.testing.assert_array_equal(splats.transform, m)
    assert np.linalg.det(m) == pytest.approx(1)
    line = ask(session, stand="three places", places=((0, 0, 0), (1, 0, 0), (2, 0, 0)))
    assert any("one line" in notice for notice in line.notices)
    first = ask(session, stand="three places").things[1]  # nobody has set them: they lie on the floor
    floor = first.at @ UPRIGHT[:3, :3].T[:, 2]  # type: ignore[attr-defined]
    np.testing.assert_allclose(floor, life.FLOOR, atol=0.01)


def test_a_bad_file_is_a_line_and_the_others_stand_side_by_side(session: Session, tmp_path: Path) -> None:
    splats = LIFE
    one = written(tmp_path / "one.ply", splats)
    two = written(tmp_path / "two.splat", splats)
    bad = tmp_path / "bad.spz"
    bad.write_bytes(b"\x1f\x8b" + bytes(40))
    scene = ask(session, one, bad, two, tmp_path / "none.ply")
    assert [t.name for t in scene.things] == ["one", "two"]
    assert [line.partition(":")[0] for line in scene.notices] == ["bad.spz", "none.ply"]
    assert scene.readings["splats"] == 2 * len(splats.xyz)
    assert [row[1] for row in scene.table] == ["9,400", "9,400"]
    here, there = (world(t) for t in ask(session, one, two, apart=True).things)  # type: ignore[arg-type]  # splats
    solid = alpha_of(LIFE.opacity) > 0.9
    assert here[solid, 0].max() < np.quantile(there[:, 0], 0.02)
    np.testing.assert_allclose(here[:, 1:], world(splats_in(ask(session, one)))[:, 1:], atol=1e-12)
    lone = ask(session, one)
    assert lone.table == ()
    assert lone.caption.startswith("Degree 2, ")
    kept = splats_in(ask(session, one, two)).xyz
    assert splats_in(ask(session, one, two)).xyz is kept  # not read again


def test_what_is_exported_is_what_is_seen(session: Session, tmp_path: Path) -> None:
    """Levelled by three places, graded, written and opened again: the same places and colours, without any control."""
    path = written(tmp_path / "a.ply", LIFE)
    scene = ask(session, path, stand="three places", places=((0, 0, 0), (1, 0.3, 0), (0, 0, 1)), exposure=-0.5,
                contrast=1.4)  # fmt: skip
    edited = splats_in(scene)
    again = splats_in(ask(session, written(tmp_path / "b.ply", edited, world=scene.world)))
    np.testing.assert_allclose(world(again), world(edited), atol=2e-6)
    way = np.array([0.3, -0.8, 0.52])
    way /= np.linalg.norm(way)
    before, after = (
        0.5 + np.einsum("k,nkc->nc", basis(way @ np.asarray(s.transform)[:3, :3], 2), s.sh) for s in (edited, again)
    )
    np.testing.assert_allclose(after, before, atol=1e-5)
    untouched = ask(session, path)
    back = read_all(written(tmp_path / "c.ply", splats_in(untouched), world=untouched.world))[0]
    assert isinstance(back, Splats)
    np.testing.assert_array_equal(back.xyz, LIFE.xyz)
    np.testing.assert_allclose(back.turns, LIFE.turns, atol=1e-7)
    np.testing.assert_array_equal(back.sh, LIFE.sh)


def test_the_spread_counts_every_splat(session: Session) -> None:
    for quantity in ("size", "opacity", "neighbours", "hue"):
        bars = list(session.answer("spread", {"quantity": quantity}))[-1]
        assert isinstance(bars, Bars)
        assert bars.values.sum() == len(LIFE.xyz)
        assert len(bars.names) == len(bars.values)
    sizes = np.exp(LIFE.scales.max(1))
    bars = list(session.answer("spread", {"quantity": "size"}))[-1]
    assert f"below {np.median(sizes):.3g}" in bars.caption  # type: ignore[union-attr]


def test_real_files_open_upright(session: Session, shared_data: Path) -> None:
    folder = shared_data / "splats"
    scene = ask(session, folder / "playbot_lod4_sh2_inria.ply", stand="ground found")
    splats = splats_in(scene)
    assert scene.notices == ()
    assert len(splats.xyz) == 8406
    assert np.quantile(world(splats)[:, 2], 0.02) > -0.1  # it stands on the ground, nothing below
    forms = [ask(session, folder / name) for name in ("guitar.spz", "guitar.compressed.ply")]
    middles = [np.median(world(splats_in(form)), axis=0) for form in forms]
    np.testing.assert_allclose(middles[0], middles[1], atol=0.01)
    assert middles[0][2] > 1  # the neck is above the stand


def test_the_surface_of_a_ball_is_a_ball_with_its_colours(session: Session, tmp_path: Path) -> None:
    count, radius = 1500, 0.7
    k = np.arange(count)
    height, turn = 1 - 2 * (k + 0.5) / count, k * np.pi * (3 - np.sqrt(5))
    flat = np.sqrt(1 - height**2)
    normals = np.stack([flat * np.cos(turn), flat * np.sin(turn), height], 1)
    side = np.linalg.svd(normals[:, None, :])[2]  # rows: the normal, then two across
    frame = np.stack([side[:, 1], side[:, 2], normals], 2)
    frame[np.linalg.det(frame) < 0, :, 0] *= -1
    red = np.where(normals[:, 1:2] < 0, [0.9, 0.2, 0.2], [0.2, 0.2, 0.9])  # y down: the upper half is red
    ball = Splats(
        name="ball",
        xyz=(radius * normals + [0, 1, 3]).astype(np.float32),
        scales=np.tile(np.log([0.035, 0.035, 0.003]), (count, 1)).astype(np.float32),
        turns=quaternions(frame).astype(np.float32),
        opacity=np.full(count, 4.0, np.float32),
        sh=((red - 0.5) / 0.28209479177387814)[:, None].astype(np.float32),
    )
    path = written(tmp_path / "ball.ply", ball)
    scene = list(session.answer("surface", {"files": (str(path),), "detail": 40, "views": 16}))[-1]
    assert isinstance(scene, Scene)
    (mesh,) = scene.things
    assert isinstance(mesh, Mesh)
    away = np.linalg.norm(mesh.vertices - [0, 3, -1], axis=1)  # upright: z up, ahead is y
    assert abs(np.median(away) - radius) < 0.02
    assert np.quantile(np.abs(away - radius), 0.98) < 0.05
    a, b, c = (mesh.vertices[mesh.faces[:, i]].astype(float) - [0, 3, -1] for i in range(3))
    volume = float(np.einsum("ij,ij->i", a, np.cross(b, c)).sum()) / 6  # positive: faces outwards, closed but below
    assert volume == pytest.approx(4 / 3 * np.pi * radius**3, rel=0.08)
    upper, lower = mesh.vertices[:, 2] > -0.8, mesh.vertices[:, 2] < -1.2
    assert np.median(mesh.rgb[upper, 0]) > 200 > 80 > np.median(mesh.rgb[upper, 2])
    assert np.median(mesh.rgb[lower, 2]) > 200
    faint = replace(ball, opacity=np.full(count, -3.0, np.float32))
    with pytest.raises(BadValue, match="too faint"):
        list(session.answer("surface", {"files": (str(written(tmp_path / "faint.ply", faint)),)}))
