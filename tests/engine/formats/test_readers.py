"""What readers make of whole files: the same shape from every format, colours, labels, places to the last figure."""

from __future__ import annotations

import io
import time
import tracemalloc
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.formats.scene import READERS, SceneFileError, glimpse, read, read_all, up_of
from engine.formats.scene.common import fans, origin_for
from engine.formats.scene.pcd import unpack_lzf
from engine.formats.scene.write import world
from engine.scene import Mesh, Points, Thing
from tests.engine.formats.conftest import CUBE, CUBE_FACES, RGB, compress_lzf, glb, gltf_document, pcd, ply, png

Put = Callable[..., Path]


def one(path: Path) -> Thing:
    (thing,) = read_all(path)
    assert thing.name == path.stem
    return thing


def mesh(path: Path) -> Mesh:
    thing = one(path)
    assert isinstance(thing, Mesh)
    assert thing.vertices.dtype == np.float32
    assert thing.faces.dtype == np.int32
    return thing


def cloud(path: Path) -> Points:
    thing = one(path)
    assert isinstance(thing, Points)
    assert thing.xyz.dtype == np.float32
    assert thing.xyz.flags.c_contiguous
    return thing


def volume(vertices: np.ndarray, faces: np.ndarray) -> float:
    """Of a closed surface whose faces are counter-clockwise from outside."""
    a, b, c = (np.asarray(vertices, np.float64)[faces[:, k]] for k in range(3))
    return float(np.einsum("ij,ij->i", a, np.cross(b, c)).sum() / 6)


@pytest.mark.parametrize(
    "name", ["little.ply", "big.ply", "ascii.ply", "cube.obj", "cube.stl", "ascii.stl", "cube.off", "cube.glb"]
)
def test_a_cube_is_the_same_from_every_format(name: str, put: Put) -> None:
    m = mesh(put(name))
    assert len(m.faces) == 12
    assert {tuple(v) for v in m.vertices.tolist()} == {tuple(v) for v in CUBE.tolist()}
    assert volume(m.vertices, m.faces) == pytest.approx(1.0)
    if "stl" in name or "ply" in name:
        assert len(m.vertices) == 8


@pytest.mark.parametrize("order", ["<", ">", ""])
def test_ply_colours_labels_and_scalars_are_exact(order: str, put: Put) -> None:
    m = mesh(put("cube.ply", ply(order)))
    np.testing.assert_array_equal(m.rgb, RGB)
    c = cloud(put("cloud.ply", ply(order, 500)))
    reference = np.random.default_rng(1)
    np.testing.assert_array_equal(c.xyz, reference.random((500, 3)).astype(np.float32))
    np.testing.assert_array_equal(c.rgb, reference.integers(0, 256, (500, 3), np.uint8))
    np.testing.assert_array_equal(c.labels, np.arange(500) % 4)
    np.testing.assert_allclose(c.scalars["heat"], np.arange(500) / 500, rtol=1e-6)


@pytest.mark.parametrize("order", ["<", ""])
def test_polygons_of_a_ply_become_triangles(order: str, put: Put) -> None:
    """A triangle, a square and a pentagon, with a number before and after the list."""
    n = 5
    angle = 2 * np.pi * np.arange(n) / n
    head = f"ply\nformat {'binary_little_endian' if order else 'ascii'} 1.0\nelement vertex 5\n"
    head += "property float x\nproperty float y\nproperty float z\nelement face 3\nproperty uchar flag\n"
    head += "property list uchar ushort vertex_index\nproperty float quality\nend_header\n"
    vertices = np.column_stack([np.cos(angle), np.sin(angle), np.zeros(n)]).astype("<f4")
    lists = [[0, 1, 2], [0, 1, 2, 3], [0, 1, 2, 3, 4]]
    if order:
        body = vertices.tobytes()
        for corners in lists:
            body += bytes([9, len(corners)]) + np.array(corners, "<u2").tobytes() + np.float32(0.5).tobytes()
    else:
        rows = [" ".join(f"{v:.9g}" for v in row) for row in vertices.tolist()]
        rows += [f"9 {len(c)} {' '.join(map(str, c))} 0.5" for c in lists]
        body = "\n".join(rows).encode() + b"\n"
    m = mesh(put("fan.ply", head.encode() + body))
    assert m.faces.tolist() == [[0, 1, 2], [0, 1, 2], [0, 2, 3], [0, 1, 2], [0, 2, 3], [0, 3, 4]]


def test_fans_have_the_area_of_their_polygons() -> None:
    sizes = np.array([3, 7, 2, 4, 0, 12])
    corners, areas, points = [], 0.0, []
    for n in sizes.tolist():
        angle = 2 * np.pi * np.arange(n) / max(1, n)
        corners += list(range(len(points), len(points) + n))
        points += np.column_stack([np.cos(angle), np.sin(angle)]).tolist()
        areas += n / 2 * np.sin(2 * np.pi / n) if n > 2 else 0.0
    p = np.array(points)[fans(np.array(corners), sizes)]
    u, v = p[:, 1] - p[:, 0], p[:, 2] - p[:, 0]
    assert 0.5 * np.abs(u[:, 0] * v[:, 1] - u[:, 1] * v[:, 0]).sum() == pytest.approx(areas)


def test_large_coordinates_keep_their_millimetres(put: Put) -> None:
    rng = np.random.default_rng(5)
    places = rng.random((400, 3)) * 50 + [512_345.678, 5_403_210.123, 321.0]
    head = "ply\nformat binary_little_endian 1.0\nelement vertex 400\nproperty double x\nproperty double y\n"
    head += "property double z\nend_header\n"
    text = "\n".join(" ".join(f"{v:.6f}" for v in row) for row in places.tolist()).encode()
    for path in (put("utm.ply", head.encode() + places.tobytes()), put("utm.xyz", text)):
        c = cloud(path)
        assert any(c.origin)
        np.testing.assert_allclose(world(c, c.xyz), places, atol=1e-5)
    assert origin_for(places) == c.origin
    assert origin_for(places - places.mean(0)) == (0.0, 0.0, 0.0)


@pytest.mark.parametrize("kind", ["ascii", "binary", "binary_compressed"])
def test_pcd_drops_what_was_not_seen_and_unpacks_colours(kind: str, put: Put) -> None:
    c = cloud(put("depth.pcd", pcd(kind)))
    kept = np.array([i for i in range(60) if i % 5])
    np.testing.assert_array_equal(c.xyz, np.column_stack([kept % 8, kept // 8, np.full(48, 0.5)]).astype(np.float32))
    np.testing.assert_array_equal(c.rgb, np.column_stack([kept * 4, np.full(48, 100), np.full(48, 7)]))


def test_lzf_gives_back_what_was_compressed() -> None:
    rng = np.random.default_rng(2)
    for data in (
        b"a" * 5000,  # what is repeated runs into what it makes
        b"abcabcab" * 900,
        rng.integers(0, 4, 20_000, np.uint8).tobytes(),
        rng.bytes(9000),
    ):
        packed = compress_lzf(data)
        assert bytes(_last(unpack_lzf(Path("x"), packed, len(data)))) == data


def _last(steps: Generator[float, None, bytearray]) -> bytearray:
    """What a generator returns."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


def test_tables_know_their_columns(put: Put) -> None:
    plain = cloud(put("table.xyz"))
    for name in ("table.pts", "table.csv"):
        other = cloud(put(name))
        np.testing.assert_array_equal(other.xyz, plain.xyz)
        np.testing.assert_array_equal(other.rgb, plain.rgb)
    headed = b"// X;Y;Z;Intensity;Classification;Nx;Ny;Nz\n1;2;3;0.5;2;0;0;1\n4;5;6;0.25;5;0;1;0\n\n"
    c = cloud(put("headed.csv", headed))
    assert c.xyz.tolist() == [[1, 2, 3], [4, 5, 6]]
    assert c.scalars["Intensity"].tolist() == [0.5, 0.25]
    assert c.labels.tolist() == [2, 5]
    assert c.normals.tolist() == [[0, 0, 1], [0, 1, 0]]
    floats = cloud(put("floats.xyz", b"0 0 0 1 0.5 0\n1 1 1 0 0 1\n"))
    assert floats.rgb.tolist() == [[255, 128, 0], [0, 0, 255]]
    swapped = cloud(put("swapped.csv", b"z,x,y\n3,1,2\n6,4,5\n"))
    assert swapped.xyz.tolist() == [[1, 2, 3], [4, 5, 6]]


def test_las_and_laz_are_the_same(put: Put) -> None:
    a, b = cloud(put("scan.las")), cloud(put("scan.laz"))
    grid = np.arange(200)
    places = np.column_stack([600_000 + grid % 20, 5_000_000 + grid // 20, grid * 0.05])
    for c in (a, b, cloud(put("layers.laz"))):
        np.testing.assert_allclose(world(c, c.xyz), places, atol=0.006)
        assert (c.rgb == [10, 20, 30]).all()
        np.testing.assert_array_equal(c.labels, 2 + 3 * (grid % 2))
        assert c.label_names == {2: "ground", 5: "high vegetation"}
        np.testing.assert_array_equal(c.scalars["intensity"], grid)
    np.testing.assert_array_equal(a.xyz, b.xyz)


def test_arrays_of_numpy(put: Put) -> None:
    c = cloud(put("rows.npy"))
    np.testing.assert_array_equal(c.xyz, CUBE)
    np.testing.assert_array_equal(c.rgb, RGB)
    c = cloud(put("named.npz"))
    np.testing.assert_array_equal(c.rgb, RGB)
    np.testing.assert_array_equal(c.labels, np.arange(8))
    assert set(c.scalars) == {"heat"}
    out = io.BytesIO()
    np.savez(out, vertices=CUBE, faces=CUBE_FACES)
    assert volume(mesh(put("cube.npz", out.getvalue())).vertices, CUBE_FACES) == pytest.approx(1)
    out = io.BytesIO()
    np.save(out, np.array([{}], object), allow_pickle=True)
    with pytest.raises(SceneFileError, match="Python objects"):
        read_all(put("objects.npy", out.getvalue()))


def test_nodes_place_their_meshes_and_pictures_come_along(put: Put) -> None:
    m = mesh(put("cube.glb"))
    turned = world(m, m.vertices)  # by a quarter about z, then moved: (x, y) -> (10 - y, x)
    np.testing.assert_allclose(turned, np.column_stack([10 - CUBE[:, 1], CUBE[:, 0], CUBE[:, 2]]), atol=1e-6)
    assert m.texture.tolist() == [[[255, 0, 0], [0, 255, 0]], [[0, 0, 255], [9, 9, 9]]]
    np.testing.assert_allclose(m.uv[:4], [[0, 1], [1, 1], [1, 0], [0, 0]])  # glTF counts from the upper left


def test_a_gltf_with_its_parts_beside_it(put: Put) -> None:
    import json

    document, binary = gltf_document()
    document["buffers"][0]["uri"] = "cube%20data.bin"
    put("cube data.bin", binary)
    assert len(mesh(put("cube.gltf", json.dumps(document).encode())).faces) == 12


def test_instances_share_their_arrays(put: Put) -> None:
    document, _ = gltf_document()
    document["nodes"] = [{"mesh": 0}, {"mesh": 0, "translation": [5, 0, 0]}]
    document["scenes"][0]["nodes"] = [0, 1]
    first, second = read_all(put("two.glb", glb(document)))
    assert isinstance(first, Mesh)
    assert isinstance(second, Mesh)
    assert first.vertices is second.vertices
    assert first.name != second.name
    assert world(second, second.vertices)[:, 0].min() == 5


def test_obj_takes_its_texture_from_its_own_folder_only(put: Put, tmp_path: Path) -> None:
    inside = tmp_path / "inside"
    inside.mkdir()
    (tmp_path / "secret.png").write_bytes(png())
    cube = put("cube.obj").read_bytes()
    (inside / "cube.obj").write_bytes(cube)
    for named, found in (("../secret.png", False), (str(tmp_path / "secret.png"), False), ("own.png", True)):
        (inside / "own.png").write_bytes(png())
        (inside / "cube.mtl").write_text(f"newmtl red\nmap_Kd {named}\n")
        m = mesh(inside / "cube.obj")
        assert (m.texture is not None) == found, named
        assert (m.uv is not None) == found
        assert len(m.vertices) == (8 if not found else len({tuple(c) for c in _corners(cube)}))


def _corners(text: bytes) -> list[tuple[int, ...]]:
    words = [w for line in text.splitlines() if line.startswith(b"f ") for w in line.split()[1:]]
    return [tuple(int(part) for part in w.split(b"/")[:2]) for w in words]


def test_obj_counts_back_joins_lines_and_reads_colours(put: Put) -> None:
    text = b"v 0 0 0 1 0 0\nv 1 0 0 0 1 0\nv 1 1 0 0 0 1\nv 0 1 0 1 1 1 # corner\nf -4 -3 \\\n-2 -1\nv 5 5 5 0 0 0\n"
    m = mesh(put("square.obj", text))
    assert m.faces.tolist() == [[0, 1, 2], [0, 2, 3]]
    assert m.rgb.tolist() == [[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255], [0, 0, 0]]


def test_corners_that_are_no_place_go_with_their_faces(put: Put) -> None:
    text = b"OFF\n4 2 0\n0 0 0\n1 0 0\n0 1 0\nnan 0 0\n3 0 1 2\n3 1 3 2\n"
    m = mesh(put("torn.off", text))
    assert m.faces.tolist() == [[0, 1, 2]]
    assert len(m.vertices) == 3


def test_reading_takes_little_more_memory_than_the_file(put: Put) -> None:
    path = put("large.ply", ply("<", 200_000))
    cloud(path)  # what is imported and compiled once is no file's memory
    tracemalloc.start()
    try:
        c = cloud(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(c.xyz) == 200_000
    assert peak < 1.3 * path.stat().st_size


def test_reading_says_how_far_it_is_and_can_be_given_up(put: Put, monkeypatch: pytest.MonkeyPatch) -> None:
    from engine.formats.scene import records

    plain = records._read_into

    def slow(*args: Any) -> None:
        time.sleep(0.005)
        plain(*args)

    monkeypatch.setattr(records, "RUN", 1000)
    monkeypatch.setattr(records, "_read_into", slow)
    path = put("large.ply", ply("<", 50_000))
    steps = list(read(path))
    assert len(steps) > 3
    assert all(0 <= s <= 1 for s in steps)
    assert steps == sorted(steps)
    reading = read(path)
    next(reading)
    next(reading)
    reading.close()  # the threads that read end: the test set-up looks
    reference = cloud(path)
    monkeypatch.setattr(records, "RUN", 1 << 20)
    np.testing.assert_array_equal(cloud(path).xyz, reference.xyz)


@pytest.mark.parametrize("name", ["large.ply", "scan.las", "scan.laz", "binary.pcd", "table.xyz"])
def test_a_glimpse_shows_points_of_the_whole_cloud(name: str, put: Put) -> None:
    path = put(name, ply("<", 5000)) if name == "large.ply" else put(name)
    whole = cloud(path)
    assert glimpse(path, 32, len(whole.xyz) * 2) is None
    few = glimpse(path, 32, 10)
    assert few is not None
    assert 0 < len(few.xyz) <= len(whole.xyz)
    there = {tuple(np.round(p, 3)) for p in world(whole, whole.xyz)}
    assert {tuple(np.round(p, 3)) for p in world(few, few.xyz)} <= there


def test_which_way_is_up() -> None:
    assert [up_of(f"a{ending}") for ending in (".glb", ".OBJ", ".ply", ".las")] == ["y", "y", "z", "z"]
    assert ".txt" in READERS


# ---- real files -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "faces", "closed"),
    [
        ("spot.obj", 5856, True), ("spot.glb", 5856, True), ("bunny.off", 6966, True),
        ("armadillo_20k.ply", 20_000, True),
        ("fandisk.obj", 12_946, True), ("featuretype.stl", 3476, True), ("suzanne.obj", 968, False),
        ("teapot.obj", 6320, False),
    ],
)  # fmt: skip
def test_real_meshes_have_their_counts_and_are_closed(name: str, faces: int, closed: bool, shared_data: Path) -> None:
    m = mesh(shared_data / "meshes" / name)
    assert len(m.faces) == faces
    _, merged = np.unique(np.round(m.vertices, 6), axis=0, return_inverse=True)  # seams of the texture
    corners = merged[m.faces]
    edges = np.sort(np.concatenate([corners[:, [0, 1]], corners[:, [1, 2]], corners[:, [2, 0]]]), 1)
    assert (np.unique(edges, axis=0, return_counts=True)[1] == 2).all() == closed
    assert not closed or volume(m.vertices, m.faces) > 0
    assert (m.texture is not None) == name.startswith("spot")


@pytest.mark.parametrize(
    ("name", "points", "rgb"),
    [
        ("b9_training_labelled.ply", 22_300, True), ("autzen_trim.laz", 110_000, True),
        ("autzen_30k.las", 30_000, True),
        ("table_scene_mug_stereo_textured.pcd", 209_280, True), ("room_scan1.pcd", 112_586, False),
        ("milk.pcd", 12_575, True), ("ism_train_cat.pcd", 3400, False), ("livingroom_fragment.ply", 5028, True),
        ("points_cloudcompare.xyz", 101, True),
    ],
)  # fmt: skip
def test_real_clouds_have_their_counts(name: str, points: int, rgb: bool, shared_data: Path) -> None:
    c = cloud(shared_data / "pointclouds" / name)
    assert len(c.xyz) == points
    assert (c.rgb is not None) == rgb
    assert np.isfinite(c.xyz).all()
    if name == "b9_training_labelled.ply":
        assert sorted(np.unique(c.labels)) == [-1, 0, 1, 2]
    if name == "points_cloudcompare.xyz":
        np.testing.assert_allclose(world(c, c.xyz)[0], [665187.522077, 5648349.895035, 241.767693], atol=1e-5)


def test_spot_is_the_same_as_obj_and_glb(shared_data: Path) -> None:
    a, b = (mesh(shared_data / "meshes" / name) for name in ("spot.obj", "spot.glb"))
    assert volume(a.vertices, a.faces) == pytest.approx(volume(b.vertices, b.faces), rel=1e-5)
    corner = [m.vertices[m.faces].mean(1) for m in (a, b)]
    place = [m.uv[m.faces].mean(1) for m in (a, b)]
    order = [np.lexsort(np.round(c, 4).T) for c in corner]
    np.testing.assert_allclose(place[0][order[0]], place[1][order[1]], atol=1e-4)


def test_a_place_that_is_none_is_found_in_a_file_of_places_alone(put: Put) -> None:
    xyz = np.arange(120_000, dtype="<f4").reshape(-1, 3) % 100
    xyz[33_333, 1] = np.nan
    head = b"ply\nformat binary_little_endian 1.0\nelement vertex 40000\n"
    head += b"property float x\nproperty float y\nproperty float z\nend_header\n"
    found = cloud(put("places.ply", head + xyz.tobytes()))
    np.testing.assert_array_equal(found.xyz, np.delete(xyz, 33_333, axis=0))
