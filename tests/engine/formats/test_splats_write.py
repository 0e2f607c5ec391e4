"""Writers of splats: what comes back, what is told to be lost, and the way through the window's export."""

from __future__ import annotations

import io
import math
import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from engine.formats import export, scene_export
from engine.formats.scene import SceneFileError, read_all
from engine.formats.scene.write import write as write_scene
from engine.formats.splats import ENDINGS, encode, field_errors, points_of, stood_up, write
from engine.formats.splats.common import LOGIT, sigmoid
from engine.scene import Frustums, Lines, Mesh, Points, Scene, Splats
from tests.engine.formats import splat_files as files
from tests.engine.formats.splat_files import C0, truth
from tests.engine.formats.test_splats import angles, check, harmonics

TIGHT = {"position": 1e-6, "scale": 1e-4, "rotation": 1e-4, "opacity": 1e-6, "colour": 1e-6, "harmonics": 1e-6}


def splats(count: int = 300, degree: int = 3, seed: int = 0, **more: object) -> Splats:
    t = truth(count, degree, seed)
    arrays = {name: getattr(t, name).astype(np.float32) for name in ("xyz", "scales", "opacity", "sh")}
    return Splats(name="made", turns=(1.7 * t.turns).astype(np.float32), **arrays, **more)


def back(path: Path) -> Splats:
    (thing,) = read_all(path)
    assert isinstance(thing, Splats)
    return thing


# ---- every kind -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("degree", [0, 1, 2, 3])
def test_inria_comes_back_as_it_went(degree: int, tmp_path: Path) -> None:
    s = splats(500, degree, antialiased=degree == 2)
    written = write(tmp_path / "a.ply", s)
    again = back(tmp_path / "a.ply")
    for name in ("xyz", "scales", "turns", "opacity", "sh"):
        assert np.array_equal(getattr(again, name), getattr(s, name)), name
    assert again.antialiased == s.antialiased
    assert written.lost == ()
    assert written.order is None


def test_inria_has_the_properties_that_other_programs_expect(tmp_path: Path) -> None:
    """62 floats of 4 bytes at degree 3, in the order of the original; read here by position."""
    s = splats(3)
    write(tmp_path / "a.ply", s)
    head, _, body = (tmp_path / "a.ply").read_bytes().partition(b"end_header\n")
    assert [line.split()[-1] for line in head.decode().splitlines() if "property float" in line] == files.properties(3)
    rows = np.frombuffer(body, "<f4").reshape(3, 62)
    assert np.array_equal(rows[:, :3], s.xyz)
    assert np.array_equal(rows[:, 9:54].reshape(3, 3, 15), s.sh[:, 1:].transpose(0, 2, 1))
    assert np.array_equal(rows[:, 58:], s.turns)


@pytest.mark.parametrize("degree", [0, 3])
@pytest.mark.parametrize("version", [2, 3, 4])
def test_spz_comes_back_within_its_steps(version: int, degree: int, tmp_path: Path) -> None:
    s = splats(400, degree, antialiased=True)
    written = write(tmp_path / "a.spz", s, spz_version=version)
    t = truth(400, degree)
    place = 0.51 / 4096
    turn = 10.0 if version == 2 else 0.3
    check(back(tmp_path / "a.spz"), t, place, 0.51 / 16, turn, 0.51 / 255, 0.51 / 255 / 0.15, 0.51 / 128)
    assert back(tmp_path / "a.spz").antialiased
    assert written.lost == ()


def test_spz_is_packed_byte_for_byte_as_its_description_says() -> None:
    """Against the packing that is written in the tests. Halves may be rounded either way: the seed has none."""
    import gzip

    t = truth(200, 3)
    s = splats(200, 3)
    for version in (2, 3):
        made = b"".join(_encoded(s, version))
        assert gzip.decompress(made) == gzip.decompress(files.spz(t, version)), version


def _encoded(s: Splats, version: int) -> list[bytes]:
    from engine.formats.splats import spz

    return list(spz.encode(s, version))


def test_spz_keeps_far_places_with_fewer_bits(tmp_path: Path) -> None:
    s = splats(100, 0)
    s = replace(s, xyz=s.xyz * np.float32(10_000))
    write(tmp_path / "a.spz", s)
    assert np.abs(back(tmp_path / "a.spz").xyz - s.xyz).max() <= 0.51 / 2**8


def test_compressed_ply_goes_along_a_curve_and_comes_back_within_its_steps(tmp_path: Path) -> None:
    s = splats(3000, 2, antialiased=True)
    written = write(tmp_path / "a.compressed.ply", s)
    again = back(tmp_path / "a.compressed.ply")
    assert again.name == "a"
    assert again.antialiased
    assert sorted(written.order.tolist()) == list(range(3000))
    assert np.array_equal(written.splats.xyz, s.xyz[written.order])
    t = truth(3000, 2)
    t = files.Truth(*(a[written.order] for a in (t.xyz, t.scales, t.turns, t.opacity, t.sh)))
    check(again, t, 0.51 * 6 / 1023, 0.51 * 6 / 1023, 0.25, 0.51 / 255, 0.51 * 3.4 / 255, 1 / 64 + 1e-6)
    # Neighbours in the file are so in space: chunks are small, so their steps are.
    error = field_errors(written.splats, again)[0]
    order = np.random.default_rng(0).permutation(3000)
    loose = field_errors(replace(s, xyz=s.xyz[order]), replace(s, xyz=_in_chunks(s.xyz[order])))
    assert error.name == loose[0].name == "position"
    assert error.mean < 0.7 * loose[0].mean


def _in_chunks(xyz: np.ndarray) -> np.ndarray:
    """Places as they come out of chunks in the order in which they stand."""
    out = []
    for a in range(0, len(xyz), 256):
        part = xyz[a : a + 256].astype(np.float64)
        low, width = part.min(0), np.ptp(part, axis=0)
        most = np.array([2047, 1023, 2047])
        out.append(low + width * np.round((part - low) / width * most) / most)
    return np.concatenate(out).astype(np.float32)


def test_chunks_without_extent_and_a_single_splat(tmp_path: Path) -> None:
    s = splats(1, 1)
    for ending in ENDINGS:
        write(tmp_path / f"a{ending}", s)
        assert np.abs(back(tmp_path / f"a{ending}").xyz - s.xyz).max() < 2e-4, ending


def test_splat_has_what_matters_most_first_and_no_harmonics(tmp_path: Path) -> None:
    s = splats(300, 1, antialiased=True)
    written = write(tmp_path / "a.splat", s)
    again = back(tmp_path / "a.splat")
    weight = again.scales.astype(np.float64).sum(1) + np.log(sigmoid(s.opacity[written.order]))
    assert (np.diff(weight) <= 1e-5).all()
    assert np.abs(again.xyz - s.xyz[written.order]).max() == 0
    assert angles(again.turns, s.turns[written.order]).max() < 1
    assert again.sh.shape[1] == 1
    assert len(written.lost) == 2
    assert "3 of 4 coefficients" in written.lost[0]
    assert "antialiasing" in written.lost[1]


def test_what_a_kind_cannot_hold_is_told_with_its_number(tmp_path: Path) -> None:
    s = splats(100, 1)
    s.sh.setflags(write=True)
    s.scales.setflags(write=True)
    s.sh[:7, 0] = 4.0
    s.sh[:5, 2] = 1.5
    s.scales[:9, 1] = -15
    s.sh.setflags(write=False)
    spz = " | ".join(write(tmp_path / "a.spz", s).lost)
    assert "deviations of 9 splats" in spz
    assert "colours of 7 splats" in spz
    assert "harmonics of 5 splats" in spz
    assert write(tmp_path / "a.ply", s).lost == ()
    assert write(tmp_path / "a.compressed.ply", s).lost == ()


def test_numbers_that_are_none_are_not_written(tmp_path: Path) -> None:
    s = splats(20, 1)
    arrays = {name: np.array(getattr(s, name)) for name in ("xyz", "opacity", "scales")}
    arrays["xyz"][3], arrays["opacity"][5], arrays["opacity"][6] = np.nan, np.inf, -np.inf
    arrays["scales"][7, 0] = -np.inf
    broken = replace(s, **arrays)
    for ending in ENDINGS:
        written = write(tmp_path / f"a{ending}", broken)
        assert len(back(tmp_path / f"a{ending}").xyz) == 19, ending
        assert "1 splats with numbers that are none" in written.lost[0]
    assert np.isnan(broken.xyz[3]).all(), "what was given stays as it is"
    assert back(tmp_path / "a.ply").opacity[[4, 5]].tolist() == [LOGIT, -LOGIT]
    with pytest.raises(SceneFileError, match="none has numbers"):
        write(tmp_path / "b.ply", replace(s, xyz=np.full_like(s.xyz, np.nan)))


# ---- where they stand -----------------------------------------------------------------------------------------------


def turned(angle: float, axis: int, scale: float = 1.0, shift: tuple[float, float, float] = (0, 0, 0)) -> np.ndarray:
    out = np.eye(4)
    a, b = [k for k in range(3) if k != axis]
    out[a, a] = out[b, b] = math.cos(angle)
    out[a, b], out[b, a] = -math.sin(angle), math.sin(angle)
    out[:3, :3] *= scale
    out[:3, 3] = shift
    return out


def test_a_transform_is_in_the_numbers_of_the_file(tmp_path: Path) -> None:
    """Means, covariances, and the colours seen along turned directions."""
    matrix = turned(0.7, 2, 2.5, (1, 2, 3)) @ turned(-0.4, 0)
    s = splats(60, 3, transform=matrix, origin=(10.0, 0.0, 0.0))
    write(tmp_path / "a.ply", s)
    again = back(tmp_path / "a.ply")
    assert np.abs(again.xyz - ((s.xyz + [10, 0, 0]) @ matrix[:3, :3].T + matrix[:3, 3])).max() < 1e-4
    assert np.abs(again.scales - s.scales - math.log(2.5)).max() < 1e-5
    turn = matrix[:3, :3] / 2.5
    d = np.random.default_rng(2).normal(size=(40, 3))
    d /= np.linalg.norm(d, axis=1, keepdims=True)
    before, after = (np.einsum("dk,nkc->ndc", basis(v), x.sh) for v, x in ((d, s), (d @ turn.T, again)))
    assert np.abs(before - after).max() < 1e-4
    one, other = covariances(s), covariances(again)
    assert np.abs(matrix[:3, :3] @ one @ matrix[:3, :3].T - other).max() < 1e-4 * other.max()


def covariances(s: Splats) -> np.ndarray:
    from scipy.spatial.transform import Rotation

    axes = Rotation.from_quat(s.turns[:, [1, 2, 3, 0]].astype(np.float64)).as_matrix()
    half = axes * np.exp(s.scales.astype(np.float64))[:, None, :]
    return half @ half.transpose(0, 2, 1)


def basis(d: np.ndarray) -> np.ndarray:
    """Harmonics with their signs and factors, by the mean of their squares over the sphere, 1 / (4 pi)."""
    k = np.arange(20_000)
    z = 1 - 2 * (k + 0.5) / len(k)
    angle, flat = k * np.pi * (3 - np.sqrt(5)), np.sqrt(1 - z * z)
    square = np.square(harmonics(np.stack([flat * np.cos(angle), flat * np.sin(angle), z], 1))).mean(0)
    signs = np.array([1, -1, 1, -1, 1, -1, 1, -1, 1, -1, 1, -1, 1, -1, 1, -1])
    return harmonics(d) * signs / np.sqrt(square * 4 * np.pi)


def test_an_origin_far_away_is_not_lost(tmp_path: Path) -> None:
    s = splats(50, 0, origin=(20_000.0, -3_000.0, 0.0))
    for ending in (".ply", ".splat", ".spz"):
        written = write(tmp_path / f"a{ending}", s)
        again = back(tmp_path / f"a{ending}")
        places = again.xyz.astype(np.float64) + np.array(again.origin)
        order = slice(None) if written.order is None else written.order
        assert np.abs(places - (s.xyz + np.array(s.origin))[order]).max() < 2.1e-3, ending


def test_several_become_one_with_the_higher_degree(tmp_path: Path) -> None:
    a, b = splats(30, 1, antialiased=True), splats(20, 3, seed=1, antialiased=True)
    write(tmp_path / "a.ply", [a, b])
    again = back(tmp_path / "a.ply")
    assert again.antialiased
    assert np.array_equal(again.xyz, np.concatenate([a.xyz, b.xyz]))
    assert np.array_equal(again.sh[30:], b.sh)
    assert np.array_equal(again.sh[:30, :4], a.sh)
    assert not again.sh[:30, 4:].any()
    write(tmp_path / "b.ply", [a, replace(b, antialiased=False)])
    assert not back(tmp_path / "b.ply").antialiased


def test_progress_rises_and_can_give_up(tmp_path: Path) -> None:
    shares: list[float] = []
    write(tmp_path / "a.ply", splats(100), shares.append)
    assert shares == sorted(shares)
    assert all(0 <= share <= 1 for share in shares)

    def stop(share: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write(tmp_path / "b.ply", splats(100), stop)
    assert [p.name for p in tmp_path.iterdir()] == ["a.ply"]


def test_endings_and_nothing_to_write(tmp_path: Path) -> None:
    with pytest.raises(SceneFileError, match="none of splats"):
        write(tmp_path / "a.obj", splats(3))
    with pytest.raises(SceneFileError, match="no splat"):
        write(tmp_path / "a.ply", [])
    (tmp_path / "folder.ply").mkdir()
    with pytest.raises(SceneFileError, match="cannot be written"):
        write(tmp_path / "folder.ply", splats(3))


# ---- the errors that are told ---------------------------------------------------------------------------------------


def test_errors_are_what_was_changed() -> None:
    s = splats(100, 1)
    half = math.radians(3) / 2
    turn = np.array([math.cos(half), math.sin(half), 0, 0])
    w, x, y, z = s.turns.T
    a, b = turn[:2]
    by = np.stack([a * w - b * x, a * x + b * w, a * y - b * z, a * z + b * y], 1)
    t = replace(
        s,
        xyz=s.xyz + np.float32(0.25) * np.array([0, 0.6, 0.8], np.float32),
        scales=s.scales + np.float32(math.log(1.1)),
        turns=(-3 * by).astype(np.float32),
        opacity=np.zeros_like(s.opacity),
        sh=s.sh + np.float32(0.125),
    )
    errors = {e.name: e for e in field_errors(s, t)}
    assert [errors[n].largest for n in ("position", "scale", "rotation", "harmonics")] == pytest.approx(
        [0.25, 10, 3, 0.125], rel=1e-3
    )
    assert [errors[n].mean for n in ("position", "scale", "rotation", "harmonics")] == pytest.approx(
        [0.25, 10, 3, 0.125], rel=1e-3
    )
    assert errors["colour"].mean == pytest.approx(0.125 * C0, rel=1e-4)
    assert errors["opacity"].mean == pytest.approx(float(np.abs(sigmoid(s.opacity) - 0.5).mean()), rel=1e-4)
    assert {e.name: e.largest < TIGHT[e.name] for e in field_errors(s, s)} == dict.fromkeys(TIGHT, True)
    assert field_errors(s, replace(s, sh=s.sh[:, :1]))[-1].largest == pytest.approx(float(np.abs(s.sh[:, 1:]).max()))


# ---- through the window's export ------------------------------------------------------------------------------------


def frustums() -> Frustums:
    return Frustums(
        name="cameras", eyes=np.zeros((1, 3), np.float32), corners=np.zeros((1, 4, 3), np.float32), cameras=("",)
    )


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("up", ["z", "y"])
def test_a_file_shown_upright_and_exported_again_is_the_same(ending: str, up: str, tmp_path: Path) -> None:
    """Through the scene of a study and the export of the window: the axes of the file come back."""
    write(tmp_path / f"a{ending}", splats(200, 1))
    first = back(tmp_path / f"a{ending}")
    things, turn = stood_up([first], up)
    grown = np.array([0, 0, 1.0, 1]) if up == "z" else np.array([0, 1.0, 0, 1])
    assert np.allclose(turn @ [0, -1, 0, 1], grown), "what was up in the file, -y, is up in the scene"
    scene = Scene((*things, frustums()), up, world=turn)
    export.write(str(tmp_path / f"b{ending}"), [scene])
    again = back(tmp_path / f"b{ending}")
    limits = {".spz": 0.0, ".ply": 0.0, ".splat": 0.0, ".compressed.ply": 0.01}
    order = np.lexsort(first.xyz.T), np.lexsort(again.xyz.T)
    if ending != ".compressed.ply":
        assert np.abs(first.xyz[order[0]] - again.xyz[order[1]]).max() <= limits[ending]
        assert np.abs(first.sh[order[0]] - again.sh[order[1]]).max() < 1e-6
    else:
        assert np.abs(first.xyz.mean(0) - again.xyz.mean(0)).max() < limits[ending]


def test_the_endings_of_scenes_hold_splats_or_points_of_them(tmp_path: Path) -> None:
    s = splats(50, 1)
    lines = Lines(name="grid", ends=np.zeros((1, 2, 3), np.float32), locked=True)
    cloud = Points(name="cloud", xyz=np.zeros((4, 3), np.float32))
    for ending in (".xyz", ".obj", ".glb"):
        write_scene(tmp_path / f"a{ending}", [s])
        points = [t for t in read_all(tmp_path / f"a{ending}") if isinstance(t, Points)]
        assert np.abs(points[0].xyz - s.xyz).max() < 1e-4, ending
        rgb = np.clip(0.5 + C0 * s.sh[:, 0], 0, 1) * 255
        assert np.abs(points[0].rgb - rgb).max() <= 1.01, ending
    with pytest.raises(SceneFileError, match="either splats or points"):
        write_scene(tmp_path / "b.ply", [s, cloud])
    with pytest.raises(SceneFileError, match="is for splats, and there are none"):
        write_scene(tmp_path / "b.spz", [cloud])
    write_scene(tmp_path / "b.compressed.ply", [s, lines])
    assert len(back(tmp_path / "b.compressed.ply").xyz) == 50


def test_meshes_stay_with_splats_when_both_are_turned() -> None:
    mesh = Mesh(name="m", vertices=np.eye(3, dtype=np.float32), faces=np.array([[0, 1, 2]], np.int32))
    (a, b), turn = stood_up([mesh, splats(3, 0, transform=turned(0.3, 1))], "z")
    assert np.array_equal(a.transform, turn)
    assert np.allclose(b.transform, turn @ turned(0.3, 1))
    assert stood_up([mesh], "z") == ((mesh,), None)


def test_a_picture_of_splats_without_opengl_shows_their_colours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scene_export, "PICTURE", (192, 128))
    s = splats(1000, 0)
    red = np.broadcast_to(np.array([0.5, -0.5, -0.5], np.float32) / np.float32(C0), s.sh.shape)
    export.write(str(tmp_path / "a.png"), [Scene((replace(s, sh=np.array(red)),))])
    from PIL import Image

    with Image.open(io.BytesIO((tmp_path / "a.png").read_bytes())) as image:
        pixels = np.asarray(image.convert("RGB")).reshape(-1, 3).astype(int)
    assert ((pixels[:, 0] > 200) & (pixels[:, 1:] < 60).all(1)).mean() > 0.02
    assert points_of(s).name == "made"


def test_encode_is_what_write_writes(tmp_path: Path) -> None:
    steps = encode(tmp_path / "a.spz", splats(10))
    while True:
        try:
            next(steps)
        except StopIteration as end:
            data = end.value[1]
            break
    write(tmp_path / "a.spz", splats(10))
    assert data == (tmp_path / "a.spz").read_bytes()
    assert struct.unpack_from("<H", data) == (0x8B1F,)
