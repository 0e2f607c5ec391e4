"""Scenes that are written and read again stand where they stood; what a payload becomes by the ending of the name."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from engine.formats import scene_export
from engine.formats.export import ExportError
from engine.formats.export import write as export
from engine.formats.scene import SceneFileError, read_all
from engine.formats.scene.write import world, write
from engine.payloads import Curves
from engine.scene import Arrows, Lines, Mesh, Points, Scene, SceneFrames, Thing
from tests.engine.formats.conftest import CUBE, CUBE_FACES, RGB
from tests.engine.formats.test_readers import volume

QUARTER = np.array([[0.0, -2, 0, 3], [2, 0, 0, 4], [0, 0, 2, 5], [0, 0, 0, 1]])
"""A quarter turn about z, twice as large, moved by (3, 4, 5)."""
MIRROR = np.diag([-1.0, 1, 1, 1])


def cube(**more: object) -> Mesh:
    return Mesh(**{"name": "cube", "vertices": CUBE, "faces": CUBE_FACES, **more})  # type: ignore[arg-type]


def some(**more: object) -> Points:
    rng = np.random.default_rng(8)
    normals = rng.normal(size=(40, 3))
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    given = {
        "name": "some", "xyz": rng.random((40, 3)).astype(np.float32), "rgb": rng.integers(0, 256, (40, 3), np.uint8),
        "normals": normals.astype(np.float32), "labels": np.arange(40, dtype=np.int32) % 3,
        "scalars": {"heat": np.linspace(0, 1, 40, dtype=np.float32)},
    }  # fmt: skip
    return Points(**{**given, **more})  # type: ignore[arg-type]


def places(things: tuple[Thing, ...]) -> np.ndarray:
    return np.concatenate([world(t, t.xyz if isinstance(t, Points) else t.vertices) for t in things])  # type: ignore[attr-defined]


@pytest.mark.parametrize("ending", ["ply", "obj", "glb", "xyz"])
@pytest.mark.parametrize("transform", [None, QUARTER])
@pytest.mark.parametrize("origin", [(0.0, 0.0, 0.0), (500_000.0, 5_400_000.0, 100.0)])
def test_points_come_back_where_they_stood(ending: str, transform: object, origin: object, tmp_path: Path) -> None:
    before = some(transform=transform, origin=origin)
    write(tmp_path / f"a.{ending}", [before])
    (after,) = read_all(tmp_path / f"a.{ending}")
    assert isinstance(after, Points)
    np.testing.assert_allclose(places((after,)), places((before,)), atol=2e-6)
    np.testing.assert_array_equal(after.rgb, before.rgb)
    if ending != "obj":
        turns = [np.eye(3) if t.transform is None else np.asarray(t.transform)[:3, :3] for t in (before, after)]
        mine, theirs = (turn / np.cbrt(np.linalg.det(turn)) for turn in turns)
        np.testing.assert_allclose(after.normals @ theirs.T, before.normals @ mine.T, atol=1e-5)
    if ending == "ply":
        np.testing.assert_array_equal(after.labels, before.labels)
        np.testing.assert_allclose(after.scalars["heat"], before.scalars["heat"])


@pytest.mark.parametrize("ending", ["ply", "obj", "glb"])
def test_meshes_keep_their_outside_even_mirrored(ending: str, tmp_path: Path) -> None:
    for transform, size in ((None, 1.0), (QUARTER, 8.0), (MIRROR, 1.0), (MIRROR @ QUARTER, 8.0)):
        write(tmp_path / f"a.{ending}", [cube(transform=transform, rgb=RGB)])
        (after,) = read_all(tmp_path / f"a.{ending}")
        assert isinstance(after, Mesh)
        np.testing.assert_array_equal(after.rgb, RGB)
        stands = world(after, after.vertices)
        assert len(after.faces) == 12
        mirrored = after.transform is not None and np.linalg.det(np.asarray(after.transform)) < 0  # GLB keeps it
        assert volume(stands, after.faces) == pytest.approx(-size if mirrored else size)


@pytest.mark.parametrize("ending", ["obj", "glb"])
def test_textures_come_along(ending: str, tmp_path: Path) -> None:
    uv = np.random.default_rng(0).random((8, 2)).astype(np.float32)
    texture = np.random.default_rng(1).integers(0, 256, (5, 7, 3), np.uint8)
    write(tmp_path / f"a.{ending}", [cube(uv=uv, texture=texture)])
    (after,) = read_all(tmp_path / f"a.{ending}")
    assert isinstance(after, Mesh)
    np.testing.assert_array_equal(after.texture, texture)
    for face in range(12):  # vertices may be in another order
        mine, theirs = CUBE_FACES[face], after.faces[face]
        np.testing.assert_allclose(after.vertices[theirs], CUBE[mine], atol=1e-6)
        np.testing.assert_allclose(after.uv[theirs], uv[mine], atol=1e-5)


def test_several_things_share_a_file(tmp_path: Path) -> None:
    lines = Lines(name="edge", ends=np.array([[[0, 0, 0], [1, 2, 3]]], np.float32))
    things = (cube(), cube(name="other", transform=QUARTER), some(), lines)
    write(tmp_path / "a.glb", things)
    back = read_all(tmp_path / "a.glb")
    assert [t.name for t in back] == ["cube", "other", "some", "edge"]
    assert isinstance(back[3], Lines)
    np.testing.assert_array_equal(back[3].ends, lines.ends)
    write(tmp_path / "a.ply", things)
    (joined,) = read_all(tmp_path / "a.ply")
    assert isinstance(joined, Mesh)
    assert len(joined.vertices) == 8 + 8 + 40
    assert volume(joined.vertices, joined.faces) == pytest.approx(1 + 8)


def test_what_a_kind_cannot_hold_is_told(tmp_path: Path) -> None:
    arrow = Arrows(name="a", at=np.zeros((1, 3), np.float32), vectors=np.ones((1, 3), np.float32))
    for name in ("a.ply", "a.obj", "a.glb", "a.xyz"):
        with pytest.raises(SceneFileError, match=name):
            write(tmp_path / name, [arrow])
    with pytest.raises(SceneFileError, match="unknown"):
        write(tmp_path / "a.doc", [cube()])
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(SceneFileError, match="cannot be written"):
        write(tmp_path / "file" / "a.ply", [cube()])


def test_scenes_are_exported_by_the_ending(tmp_path: Path) -> None:
    scene = Scene((cube(colour="orange"), some(origin=(9000.0, 0.0, 0.0))), caption="two")
    for ending in ("ply", "obj", "glb", "xyz"):
        export(str(tmp_path / f"a.{ending}"), [scene])
        assert len(places(read_all(tmp_path / f"a.{ending}"))) == 48
    export(str(tmp_path / "a.npz"), [scene])
    with np.load(tmp_path / "a.npz") as arrays:
        np.testing.assert_array_equal(arrays["cube.vertices"], CUBE)
        np.testing.assert_array_equal(arrays["some.scalars.heat"], scene.things[1].scalars["heat"])  # type: ignore[attr-defined]
        assert arrays["some.origin"].tolist() == [9000, 0, 0]
    export(str(tmp_path / "a.json"), [scene])
    told = json.loads((tmp_path / "a.json").read_text())
    assert told["caption"] == "two"
    assert told["things"][0]["name"] == "cube"
    assert told["things"][0]["vertices"][7] == [1, 1, 1]
    with pytest.raises(ExportError, match="for scenes"):
        export(str(tmp_path / "b.ply"), [Curves(np.arange(3.0), {})])


def test_a_timeline_of_scenes_keeps_every_moment(tmp_path: Path) -> None:
    moments = [SceneFrames((cube(vertices=CUBE + k),), index=k, total=2) for k in range(2)]
    export(str(tmp_path / "a.npz"), moments)
    with np.load(tmp_path / "a.npz") as arrays:
        np.testing.assert_array_equal(arrays["1.cube.vertices"], CUBE + 1)
    export(str(tmp_path / "a.ply"), moments)
    (last,) = read_all(tmp_path / "a.ply")
    np.testing.assert_array_equal(last.vertices, CUBE + 1)  # type: ignore[attr-defined]


def test_a_picture_of_a_scene_shows_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from PIL import Image

    monkeypatch.setattr(scene_export, "PICTURE", (192, 128))
    export(str(tmp_path / "a.png"), [Scene((cube(colour="#ff0000"),), up="y")])
    pixels = np.asarray(Image.open(tmp_path / "a.png").convert("RGB")).astype(int)
    red = (pixels[..., 0] > pixels[..., 1] + 40) & (pixels[..., 0] > pixels[..., 2] + 40)
    assert 0.05 < red.mean() < 0.6
    rows, columns = np.nonzero(red)
    assert abs(rows.mean() / pixels.shape[0] - 0.5) < 0.1
    assert abs(columns.mean() / pixels.shape[1] - 0.5) < 0.1
