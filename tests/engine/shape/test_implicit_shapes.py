"""The implicit shapes against closed forms and brute force: surface, voxels, slices, cells, renders, hovering."""

from __future__ import annotations

import itertools
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from engine.formats.export import write
from engine.geometry import measures
from engine.geometry.sdf import EVALUATE, Node
from engine.params import BadValue
from engine.payloads import Payload
from engine.probes import Camera, Tree, camera_of
from engine.registry import find
from engine.render.fields import cell_edges, slice_picture
from engine.render.tracing import camera_rays, shaded, slopes, sphere_trace
from engine.scene import Lines, Mesh, Points, Render, Scene, SceneFrames
from engine.session import Session
from engine.shape_tree import KINDS, MAX_NODES, PRESETS, check_tree, node, read_tree, write_tree

BOX = 1.1
SPHERE, TORUS = PRESETS["One sphere"], PRESETS["One torus"]
STUDY = find().studies["implicit_shapes"]


@pytest.fixture
def session() -> Session:
    return Session.build("implicit_shapes", STUDY, {}, 0, torch.device("cpu"), None)


def answers(session: Session, probe: str, dragging: bool = False, **values: Any) -> list[Any]:
    return [p for p in session.answer(probe, values, dragging) if isinstance(p, Payload)]


def thing(scene: Any, kind: type, name: str = "") -> Any:
    return next(t for t in scene.things if isinstance(t, kind) and name in t.name)


# ---- the tree as text ---------------------------------------------------------------------------------------------


def test_the_contract_and_the_evaluation_know_the_same_nodes() -> None:
    assert list(KINDS) == list(EVALUATE)
    for name, kind in KINDS.items():
        assert all(p.lo <= p.track[0] < p.track[1] <= p.hi for p in kind.parameters), name


@pytest.mark.parametrize("title", PRESETS)
def test_presets_survive_the_way_there_and_back_and_lie_in_the_box(title: str) -> None:
    text = PRESETS[title]
    assert check_tree(text) == text == write_tree(read_tree(text)) == Node.from_json(text).to_json()
    assert Tree().check("shape", text, {}) == text
    axis = np.linspace(-BOX, BOX, 9)
    faces = np.array([p for p in itertools.product(axis, repeat=3) if max(map(abs, p)) == BOX], np.float32)
    assert Node.from_json(text).evaluate(faces).min() > 0


def test_what_is_left_out_takes_its_default_and_equal_trees_become_equal_texts() -> None:
    short = check_tree('{"kind": "box"}')
    assert short == check_tree('{"half": [0.5, 0.4, 0.3], "kind": "box", "rounding": 0}')
    assert read_tree(short) == {"kind": "box", "half": [0.5, 0.4, 0.3], "rounding": 0.0}


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("{", "JSON"),
        ("[" * 5000, "JSON"),
        ("3", "node"),
        ('{"kind": "cube"}', "cube"),
        ('{"kind": "sphere", "radius": -1}', "radius"),
        ('{"kind": "sphere", "radius": NaN}', "radius"),
        ('{"kind": "sphere", "radius": "1"}', "radius"),
        ('{"kind": "sphere", "size": 1}', "size"),
        ('{"kind": "sphere", "children": [{"kind": "sphere"}]}', "children"),
        ('{"kind": "union"}', "children"),
        ('{"kind": "move", "children": [{"kind": "box"}, {"kind": "box"}]}', "one child"),
        ('{"kind": "box", "half": [1, 1]}', "3 numbers"),
        ('{"kind": "box", "rounding": 1}', "rounding"),
        ('{"kind": "plane", "normal": [0, 0, 0]}', "normal"),
        ('{"kind": "metaballs", "radii": [0.3]}', "radius for each"),
        ('{"kind": "metaballs", "radii": []}', "radii"),
        ('{"kind": "union", "children": ' + "7" * 10 + "}", "list"),
        (" " * 300_000, "longer"),
    ],
)
def test_nonsense_is_refused_in_one_line_that_names_the_control(text: str, word: str) -> None:
    with pytest.raises(BadValue) as refusal:
        Tree().check("shape", text, {})
    message = str(refusal.value)
    assert message.startswith("shape: ")
    assert word in message
    assert "\n" not in message
    assert len(message) < 400


def test_deep_and_large_trees_are_refused() -> None:
    deep = node("sphere")
    for _ in range(30):
        deep = node("grow", deep)
    with pytest.raises(BadValue, match="deeper"):
        check_tree(write_tree(deep))
    with pytest.raises(BadValue, match="more than"):
        check_tree(write_tree(node("union", *[node("sphere")] * MAX_NODES)))
    assert check_tree(write_tree(node("union", *[node("sphere")] * (MAX_NODES - 1))))


# ---- the surface --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shape", "area", "volume"),
    [
        (SPHERE, 4 * math.pi * 0.49, 4 / 3 * math.pi * 0.343),
        (TORUS, 4 * math.pi**2 * 0.6 * 0.25, 2 * math.pi**2 * 0.6 * 0.0625),
    ],
)
def test_area_and_volume_come_near_the_closed_form_with_the_square_of_the_cell(
    session: Session, shape: str, area: float, volume: float
) -> None:
    off = []
    for n in (20, 40):
        mesh = thing(answers(session, "surface", shape=shape, resolution=n)[-1], Mesh)
        assert measures.watertight(mesh.faces)
        off.append(
            (
                abs(measures.area(mesh.vertices, mesh.faces) / area - 1),
                abs(measures.volume(mesh.vertices, mesh.faces) / volume - 1),
            )
        )
    assert max(off[1]) < 0.012
    assert all(fine < 0.4 * coarse for coarse, fine in zip(*off, strict=True))


def test_a_fine_surface_is_shown_coarse_first_and_a_moving_slider_gets_the_coarse_one_alone(session: Session) -> None:
    first, last = answers(session, "surface", shape=TORUS, resolution=64)
    assert first.progress < 1 <= last.progress
    assert len(thing(first, Mesh).faces) < 0.5 * len(thing(last, Mesh).faces)
    (dragged,) = answers(session, "surface", dragging=True, shape=TORUS, resolution=256)
    assert 20 <= round((dragged.readings["grid points"]) ** (1 / 3)) - 1 <= 48
    assert dragged.table == ()


def test_the_drags_resolution_follows_the_time_it_took(session: Session) -> None:
    study: Any = session.study
    for _ in range(8):
        study._pace(0.2)
    assert study._drag_cells == 20
    for _ in range(12):
        study._pace(0.001)
    assert study._drag_cells == 48
    study._pace(0.02)
    assert study._drag_cells == 48


@pytest.mark.parametrize("n", [9, 32, 45])
def test_voxels_are_those_whose_middle_is_inside(session: Session, n: int) -> None:
    shape = PRESETS["Ball and ring"]
    scene = answers(session, "surface", shape=shape, resolution=n, show="voxels")[-1]
    mesh, step = thing(scene, Mesh), 2 * BOX / n
    middles = -BOX + (np.arange(n) + 0.5) * step
    points = np.stack(np.meshgrid(middles, middles, middles, indexing="ij"), -1).reshape(-1, 3).astype(np.float32)
    inside = Node.from_json(shape).evaluate(points) < 0
    assert measures.volume(mesh.vertices, mesh.faces) == pytest.approx(inside.sum() * step**3, rel=1e-4)
    solid = np.pad(inside.reshape(n, n, n), 1).astype(int)
    assert len(mesh.faces) == 2 * sum(int(np.abs(np.diff(solid, axis=k)).sum()) for k in range(3))
    if n > 30:
        assert scene.readings["evaluations"] < 0.7 * n**3


def test_the_memory_table_counts_the_full_grid_and_the_octrees_cells(session: Session) -> None:
    scene = answers(session, "surface", shape=SPHERE, resolution=32)[-1]
    assert [row[:3] for row in scene.table[:3]] == [
        ("8", "512", "2.05 kB"),
        ("16", "4,096", "16.4 kB"),
        ("32", "32,768", "131 kB"),
    ]
    assert scene.table[-1][:3] == ("256", "16,777,216", "67.1 MB")
    cells = 0
    for depth in range(6):
        side = 2 * BOX / 2**depth
        at = -BOX + (np.arange(2**depth) + 0.5) * side
        points = np.stack(np.meshgrid(at, at, at), -1).reshape(-1, 3)
        cells += int((np.abs(np.linalg.norm(points, axis=1) - 0.7) <= side * math.sqrt(3) / 2).sum())
    assert scene.table[2][3] == f"{cells:,}"
    assert scene.table[3][3:] == ("—", "—")
    assert scene.readings["grid points"] == 33**3
    assert scene.readings["used, MB"] < scene.readings["grid, MB"] / 3


def test_the_octrees_lines_are_the_edges_of_its_cells(session: Session) -> None:
    scene = answers(session, "surface", shape=SPHERE, resolution=8, show="octree cells")[-1]
    root = thing(scene, Lines, "level 0")
    assert len(root.ends) == 12
    assert np.allclose(np.ptp(root.ends.reshape(-1, 3), axis=0), 2 * BOX)
    two = cell_edges([[0.0, 0, 0], [0.2, 0, 0]], 0.1)  # two cells share the four edges of a face
    assert len(two) == 20
    assert np.allclose(np.linalg.norm(two[:, 1] - two[:, 0], axis=1), 0.2)


def test_an_empty_shape_says_so(session: Session) -> None:
    far = write_tree(node("move", node("sphere", radius=0.2), by=(5, 0, 0)))
    for probe, values in (("surface", {"resolution": 16}), ("one_cell", {}), ("surface", {"show": "voxels"})):
        scene = answers(session, probe, shape=far, **values)[-1]
        assert len(scene.notices) == 1
        assert "surface" in scene.notices[0]
    assert len(answers(session, "marching", shape=far)) == 1
    picture = answers(session, "render", shape=far, width=20, height=16)[-1]
    assert not picture.alpha.any()


# ---- slices and hovering ------------------------------------------------------------------------------------------


def on_sheet(sheet: Mesh, right: Any, up: Any) -> Any:
    """Places (N, 3) on a picture's rectangle, from the left and from below in 0..1, by its texture's coordinates."""
    assert sheet.uv.tolist() == [[0, 0], [1, 0], [1, 1], [0, 1]]
    corner, u, _, v = sheet.vertices
    return corner + right[:, None] * (u - corner) + up[:, None] * (v - corner)


@pytest.mark.parametrize("axis", ["x", "y", "z"])
def test_the_slices_colours_are_those_of_the_functions_values(session: Session, axis: str) -> None:
    shape, position = PRESETS["Ball and ring"], 0.13
    sheet = thing(answers(session, "slice", shape=shape, axis=axis, position=position)[-1], Mesh, "slice")
    h, w = sheet.texture.shape[:2]
    rng = np.random.default_rng(0)
    rows, columns = rng.integers(0, h, 400), rng.integers(0, w, 400)
    right, up = (columns + 0.5) / w, 1 - (rows + 0.5) / h
    places = on_sheet(sheet, right, up)
    assert np.allclose(places[:, "xyz".index(axis)], position)
    f = Node.from_json(shape).evaluate(places)
    red, blue = sheet.texture[rows, columns, 0].astype(int), sheet.texture[rows, columns, 2].astype(int)
    clear = np.abs(f) > 0.04  # away from the black line of the surface
    assert clear.sum() > 200
    assert (red[clear & (f < 0)] < blue[clear & (f < 0)]).all()
    assert (red[clear & (f > 0)] > blue[clear & (f > 0)]).all()


def test_contours_are_dark_where_the_value_is_a_multiple_and_blackest_at_zero() -> None:
    axis = np.linspace(-1, 1, 401)
    image = slice_picture(np.broadcast_to(axis, (50, 401)), 0.005, 1.0, 0.25)[25, :, :3].astype(int).sum(axis=1)
    assert image[200] < 150
    for k in (-3, -2, -1, 1, 2, 3):
        line = 200 + 50 * k
        assert image[line] < min(image[line - 4], image[line + 4]) - 60
        assert abs(image[line + 20] - image[line + 22]) < 15  # no line between two contours


@pytest.mark.parametrize(
    ("place", "word"), [((0.1, 0.2, -0.1), "inside"), ((0.7, 0.0, 0.0), "on the surface"), ((0.9, 0.3, 0.2), "outside")]
)
def test_hovering_answers_with_the_value_the_slope_and_the_word(
    session: Session, place: tuple[float, float, float], word: str
) -> None:
    scene = answers(session, "slice", shape=SPHERE, place=(place,))[-1]
    assert scene.hover == "place"
    value = float(np.float32(np.linalg.norm(np.float32(place))) - np.float32(0.7))
    assert scene.readings["f(p)"] == pytest.approx(value, abs=1e-6)
    assert scene.readings["|∇f(p)|"] == pytest.approx(1.0, abs=2e-3)
    assert scene.table[0][0] == (word if value else "on the surface")
    assert np.allclose(thing(scene, Points, "point").xyz, [place])


def test_hovering_hands_over_the_same_sheet_and_mesh_again(session: Session) -> None:
    first = answers(session, "slice", place=((0.1, 0, 0),))[-1]
    again = answers(session, "slice", place=((0.3, 0, 0),))[-1]
    assert thing(first, Mesh, "slice").texture is thing(again, Mesh, "slice").texture
    assert thing(first, Mesh, "surface").vertices is thing(again, Mesh, "surface").vertices
    hovering = answers(session, "slice", dragging=True, place=((0.4, 0, 0),))[-1]
    assert thing(hovering, Mesh, "slice").texture is thing(first, Mesh, "slice").texture
    (dragged,) = answers(session, "slice", dragging=True, position=0.4)
    assert len(thing(dragged, Mesh, "slice").texture) < len(thing(first, Mesh, "slice").texture)
    other = answers(session, "slice", place=((0.3, 0, 0),), position=0.5)[-1]
    assert thing(first, Mesh, "slice").texture is not thing(other, Mesh, "slice").texture


# ---- marching cubes by hand ---------------------------------------------------------------------------------------


def test_the_case_is_the_number_of_the_corners_signs(session: Session) -> None:
    cases = set()
    for cell in np.linspace(0, 1, 12):
        scene = answers(session, "one_cell", shape=TORUS, cell=float(cell))[-1]
        corners = thing(scene, Points, "corners").xyz
        f = Node.from_json(TORUS).evaluate(corners)
        case = sum(1 << i for i in range(8) if f[i] < 0)
        assert 0 < case < 255
        assert scene.readings["case"] == case
        assert f"case {case} = {case:08b}" in scene.caption
        assert [row[2] for row in scene.table] == ["inside" if v < 0 else "outside" for v in f]
        assert sum(int(row[3]) for row in scene.table) == case
        soup = thing(scene, Mesh, "triangles of the cell")
        assert len(soup.faces) == scene.readings["triangles"] > 0
        lo, hi = corners.min(0) - 1e-6, corners.max(0) + 1e-6
        assert ((soup.vertices >= lo) & (soup.vertices <= hi)).all()
        cases.add(case)
    assert len(cases) > 4


def test_the_march_ends_with_the_whole_surface(session: Session) -> None:
    frames = answers(session, "marching", shape=TORUS, resolution=12, steps=30)
    assert [f.index for f in frames] == list(range(30))
    assert {f.total for f in frames} == {30}
    assert all(isinstance(f, SceneFrames) for f in frames)
    counts = [f.readings["triangles"] for f in frames]
    assert counts == sorted(counts)
    last = thing(frames[-1], Mesh, "so far")
    assert len(last.faces) == counts[-1]
    welded, index = np.unique(np.round(last.vertices, 5), axis=0, return_inverse=True)
    faces = index.reshape(-1, 3)
    assert measures.watertight(faces)
    assert measures.area(welded, faces) == pytest.approx(4 * math.pi**2 * 0.6 * 0.25, rel=0.06)
    axis = np.linspace(-BOX, BOX, 13)
    corners = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), -1).reshape(-1, 3)
    inside = (Node.from_json(TORUS).evaluate(corners) < 0).reshape(13, 13, 13)
    eight = np.stack([inside[x : x + 12, y : y + 12, z : z + 12] for x, y, z in itertools.product((0, 1), repeat=3)])
    assert frames[-1].readings["cells"] == (eight.any(0) & ~eight.all(0)).sum()


# ---- sphere tracing -----------------------------------------------------------------------------------------------


def test_rays_hit_the_sphere_where_it_is_and_tell_its_depth(session: Session) -> None:
    camera, w, h = "1.5,-2.5,1.2/0.1,0,0/0,0,1/45", 90, 64
    picture = answers(session, "render", shape=SPHERE, camera=camera, width=w, height=h)[-1]
    assert isinstance(picture, Render)
    assert picture.image.shape == (h, w, 3)
    assert picture.depth.shape == picture.alpha.shape == (h, w)
    eye, forward = np.array([1.5, -2.5, 1.2]), np.array([-1.4, 2.5, -1.2])
    forward /= np.linalg.norm(forward)
    _, ways, _ = camera_rays((eye, (0.1, 0, 0), (0, 0, 1), 45.0), w, h)
    half = ways.astype(np.float64) @ eye
    root = half**2 - (eye @ eye - 0.49)
    nearest = np.sqrt(np.maximum(eye @ eye - half**2, 0))
    hit, miss = nearest < 0.7 - 1e-3, nearest > 0.7 + 1e-3
    alpha, depth = picture.alpha.ravel(), picture.depth.ravel()
    assert (alpha[hit] == 1).all()
    assert (alpha[miss] == 0).all()
    assert (depth[alpha == 0] == 0).all()
    true = (-half - np.sqrt(np.maximum(root, 0))) * (ways @ forward)
    steep = nearest < 0.69
    assert hit.sum() > 300
    assert np.abs(depth[steep] - true[steep]).max() < 1e-3
    points = eye + (depth / (ways @ forward))[:, None] * ways
    assert np.abs(np.linalg.norm(points[hit], axis=1) - 0.7).max() < 1e-3


def test_a_render_is_written_as_a_picture_and_as_arrays(session: Session, tmp_path: Path) -> None:
    picture = answers(session, "render", shape=TORUS, width=40, height=30)[-1]
    write(str(tmp_path / "r.npz"), [picture])
    with np.load(tmp_path / "r.npz") as arrays:
        assert set(arrays) == {"image", "depth", "alpha", "caption"}
        assert np.array_equal(arrays["depth"], picture.depth)
        assert arrays["image"].shape == (30, 40, 3)
    write(str(tmp_path / "r.png"), [picture])
    with Image.open(tmp_path / "r.png") as png:
        assert png.size == (480, 360)  # small pictures are enlarged by a whole factor
        assert np.allclose(np.asarray(png)[6::12, 6::12] / 255, picture.image, atol=1 / 255)


@pytest.mark.parametrize(
    "text",
    [
        "1,2,3/0,0,0/0,0,1",
        "1,2/0,0,0/0,0,1/40",
        "1,2,3/1,2,3/0,0,1/40",
        "0,0,5/0,0,0/0,0,1/40",
        "nan,0,0/0,0,0/0,0,1/40",
        "1,2,3/0,0,0/0,0,1/0",
        "1,2,3/0,0,0/0,0,1/40/5",
        "x",
    ],
)
def test_cameras_that_cannot_stand_are_refused(text: str) -> None:
    with pytest.raises(BadValue, match=r"^camera: "):
        Camera().check("camera", text, {})


def test_a_camera_is_read() -> None:
    assert camera_of("3,0,1/0,0,0/0,0,1/45") == ((3, 0, 1), (0, 0, 0), (0, 0, 1), 45)
    assert Camera().check("camera", Camera().default, {}) == Camera().default


def test_the_middle_row_and_column_of_a_camera_look_along_it_and_up_is_up() -> None:
    _, ways, forward = camera_rays(((0, -3, 0), (0, 0, 0), (0, 0, 1), 90.0), 5, 3)
    ways = ways.reshape(3, 5, 3)
    assert np.allclose(forward, (0, 1, 0))
    assert np.allclose(ways[1, 2], forward)
    assert ways[0, 2, 2] > 0 > ways[2, 2, 2]
    assert ways[1, 4, 0] > 0 > ways[1, 0, 0]
    top = ways[0, 2] / ways[0, 2, 1]
    assert top[2] == pytest.approx(math.tan(math.radians(45)) * 2 / 3)  # the middle of the uppermost of three pixels


def test_normals_are_the_gradient_and_light_comes_from_above() -> None:
    sphere = Node.from_json(SPHERE)
    points = np.random.default_rng(0).normal(size=(200, 3))
    points = (0.7 * points / np.linalg.norm(points, axis=1, keepdims=True)).astype(np.float32)
    assert np.abs(slopes(sphere, points) - points / 0.7).max() < 5e-3
    camera = ((0.0, -3.0, 0.0), (0.0, 0.0, 0.0), (0.0, 0.0, 1.0), 40.0)
    steps = sphere_trace(sphere, camera, 41, 41, (-BOX,) * 3, (BOX,) * 3)
    try:
        while True:
            assert 0 <= next(steps) <= 1
    except StopIteration as end:
        trace = end.value
    image = shaded(trace, camera, (1, 1, 1), (0, 0, 0))
    assert image[10, 20].mean() > 1.3 * image[30, 20].mean()
    assert 0 <= image.min() <= image.max() <= 1


def test_a_shape_that_leaves_the_box_is_cut_by_it(session: Session) -> None:
    wide = write_tree(node("plane"))
    camera = "0,-4,0/0,0,0/0,0,1/40"
    picture = answers(session, "render", shape=wide, camera=camera, width=31, height=31)[-1]
    assert picture.alpha[25, 15] == 1  # below the plane: met where the ray enters the box
    assert picture.depth[25, 15] == pytest.approx(4 - BOX, abs=1e-5)
    assert picture.alpha[5, 15] == 0


def test_a_scene_is_what_the_probes_declare(session: Session) -> None:
    for name in ("surface", "slice", "one_cell"):
        (scene,) = answers(session, name, dragging=True)
        assert type(scene) is Scene
        assert len({t.name for t in scene.things}) == len(scene.things)


def test_while_the_shape_is_dragged_the_slice_shows_a_coarser_surface_and_the_same_box(session: Session) -> None:
    settled = answers(session, "slice", shape=SPHERE)[-1]
    hovered = answers(session, "slice", True, shape=SPHERE, place=((0.1, 0.2, 0.3),))[-1]
    assert thing(hovered, Mesh, "surface") is thing(settled, Mesh, "surface")  # what is fine stays so
    dragged = answers(session, "slice", True, shape=TORUS)[-1]
    again = answers(session, "slice", shape=TORUS)[-1]
    few, many = (len(thing(scene, Mesh, "surface").faces) for scene in (dragged, again))
    assert 0 < few < many / 2
    assert thing(dragged, Lines, "box").ends is thing(settled, Lines, "box").ends
