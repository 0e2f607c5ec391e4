"""Picking, selecting and measuring against closed forms and brute force."""

from __future__ import annotations

import math
from collections.abc import Generator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from engine.geometry import parts, viewing
from engine.geometry.viewing import ray_faces
from engine.scene import Lines, Mesh, Points
from widgets.viewport import camera as c
from widgets.viewport.camera import Camera
from widgets.viewport.hand import select
from widgets.viewport.hand.measure import Measure, angle, distance
from widgets.viewport.hand.picking import Hit, box_corners, matrix_of, to_world, words
from widgets.viewport.hand.pointer import Sight
from widgets.viewport.hand.select import Marks

CAMERA = Camera((3.0, -4.0, 2.5), (0.0, 0.0, 0.0), (0, 0, 1), 40.0)
SIZE = (640.0, 480.0)
RNG = np.random.default_rng(5)


def run(steps: Generator[None, None, Any]) -> Any:
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


def sight(things: list[Any], camera: Camera = CAMERA, planes: Any = None, **keep: Any) -> Sight:
    return Sight(camera, SIZE, [(thing, matrix_of(thing), keep.get(thing.name)) for thing in things], planes)


def find(things: list[Any], x: float, y: float, camera: Camera = CAMERA, planes: Any = None, **keep: Any) -> Any:
    at = sight(things, camera, planes, **keep)
    laid_out, met = run(viewing.pick(at.things, at.screen, (x, y), *c.ray(camera, x, y, *SIZE), planes))
    again = run(viewing.pick(at.things, at.screen, (x, y), *c.ray(camera, x, y, *SIZE), planes, laid_out))[1]
    assert (met is None) == (again is None)
    assert met is None or (met.index, met.ahead) == (again.index, again.ahead)  # what was laid out serves again
    return met


def select_in(thing: Any, polygon: Any, planes: Any = None, drawn: Any = None) -> Any:
    at = sight([thing], planes=planes)
    return run(viewing.select_inside(at.things, at.screen, polygon, planes, drawn))[thing.name]


def sphere(name: str = "ball", rings: int = 40) -> Mesh:
    u, v = np.meshgrid(np.linspace(0, 2 * math.pi, 2 * rings), np.linspace(0, math.pi, rings))
    xyz = np.stack([np.cos(u) * np.sin(v), np.sin(u) * np.sin(v), np.cos(v)], -1).reshape(-1, 3)
    i, j = np.meshgrid(np.arange(rings - 1), np.arange(2 * rings - 1), indexing="ij")
    a = (i * 2 * rings + j).ravel()
    faces = np.concatenate(
        [np.stack([a, a + 2 * rings, a + 1], 1), np.stack([a + 1, a + 2 * rings, a + 2 * rings + 1], 1)]
    )
    return Mesh(name=name, vertices=xyz.astype(np.float32), faces=faces.astype(np.int32))


def test_a_ray_meets_a_triangle_where_the_closed_form_says() -> None:
    corners = np.array([[[0, 0, 0], [1, 0, 0], [0, 1, 0]], [[0, 0, -1], [1, 0, -1], [0, 1, -1]]], float)
    away, inside = ray_faces(np.array([0.25, 0.25, 5.0]), np.array([0, 0, -1.0]), corners)
    np.testing.assert_allclose(away, [5, 6])
    assert inside.all()
    _, inside = ray_faces(np.array([0.6, 0.6, 5.0]), np.array([0, 0, -1.0]), corners)
    assert not inside.any()
    _, inside = ray_faces(np.array([0.2, 0.2, 5.0]), np.array([1.0, 0, 0]), corners)  # alongside
    assert not inside.any()


@pytest.mark.parametrize("ortho", [False, True])
def test_a_pick_on_a_sphere_is_the_near_side(ortho: bool) -> None:
    camera = replace(CAMERA, ortho=ortho)
    ball = sphere()
    for x, y in ((320, 240), (350, 200), (290, 270)):
        hit = find([ball], x, y, camera)
        assert hit is not None
        origin, direction = c.ray(camera, x, y, *SIZE)
        b = float(origin @ direction)
        expected = origin + direction * (-b - math.sqrt(b * b - float(origin @ origin) + 1))
        np.testing.assert_allclose(hit.place, expected, atol=0.01)  # the mesh is a polyhedron
        np.testing.assert_allclose(hit.normal, expected, atol=0.06)
        np.testing.assert_allclose(c.project(camera, hit.place, *SIZE)[0, :2], [x, y], atol=1e-6)
        assert hit.ahead == pytest.approx(c.project(camera, hit.place, *SIZE)[0, 2])
    assert find([ball], 5, 5, camera) is None


def test_the_picked_point_is_that_of_brute_force_and_carries_its_own() -> None:
    xyz = RNG.normal(size=(4000, 3)).astype(np.float32)
    scalars = {"height": xyz[:, 2].copy()}
    cloud = Points(
        name="cloud", xyz=xyz, normals=xyz.copy(), scalars=scalars, labels=np.arange(4000, dtype=np.int32) % 3,
        label_names={0: "roof"}, origin=(500_000.0, 4_000_000.0, 100.0), index=np.arange(4000)[::-1].copy(),
    )  # fmt: skip
    camera = replace(CAMERA, eye=(500_003.0, 3_999_996.0, 102.5), target=(500_000.0, 4_000_000.0, 100.0))
    world = xyz.astype(np.float64) + cloud.origin
    seen = c.project(camera, world, *SIZE)
    for k in (3, 77, 1234):
        x, y = seen[k, :2]
        hit = find([cloud], x, y, camera)
        assert hit is not None
        away = np.hypot(seen[:, 0] - x, seen[:, 1] - y)
        near = np.flatnonzero(away <= 4)
        assert hit.index in near
        assert hit.ahead == pytest.approx(seen[near, 2].min(), rel=0.02)
        np.testing.assert_allclose(hit.place, world[hit.index], atol=1e-9)
        said = Hit(cloud, c.vector(hit.place), None, hit.index, hit.vertex, hit.ahead)
        lines = words(said, 0.01)
        assert lines[0].replace("−", "-").split()[0] == f"{hit.place[0]:.3f}"
        assert lines[1] == f"cloud · point {3999 - hit.index:,}"
        assert f"label {'roof' if hit.index % 3 == 0 else hit.index % 3}" in lines
    hidden = np.ones(4000, bool)
    hidden[hit.index] = False
    other = find([cloud], x, y, camera, cloud=hidden)
    assert other is None or other.index != hit.index


def test_a_point_on_a_surface_wins_and_clipping_opens_the_view() -> None:
    ball = sphere()
    place = np.asarray(CAMERA.eye) / np.linalg.norm(CAMERA.eye)
    cloud = Points(name="on it", xyz=np.array([place, [0, 0, 0]], np.float32))
    hit = find([ball, cloud], 320, 240)
    assert hit is not None
    assert (hit.thing, hit.index) == (1, 0)
    cut = np.array([[*-place, 0.0]])  # keeps the far half
    hit = find([ball], 320, 240, planes=cut)
    assert hit is not None
    np.testing.assert_allclose(hit.place, -place, atol=0.01)


def test_normals_stay_upright_on_what_is_stretched() -> None:
    transform = np.diag([1.0, 1.0, 4.0, 1.0])
    normal = np.array([[1, 0, 1]], np.float32) / math.sqrt(2)
    cloud = Points(name="one", xyz=np.zeros((1, 3), np.float32), normals=normal, transform=transform)
    hit = find([cloud], 320, 240)
    assert hit is not None
    np.testing.assert_allclose(hit.normal, np.array([4, 0, 1]) / math.sqrt(17), atol=1e-6)


def test_boxes_of_things() -> None:
    lines = Lines(name="l", ends=np.array([[[0, 1, 2], [3, -1, 5]]], np.float32))
    corners = box_corners(lines)
    np.testing.assert_allclose([corners.min(0), corners.max(0)], [[0, -1, 2], [3, 1, 5]])
    broken = Points(name="p", xyz=np.array([[np.nan, 0, 0], [1, 2, 3], [np.inf, 0, 0]], np.float32))
    np.testing.assert_allclose(box_corners(broken), np.tile([1, 2, 3], (8, 1)))
    assert len(box_corners(Points(name="none", xyz=np.empty((0, 3), np.float32)))) == 0
    np.testing.assert_allclose(to_world(matrix_of(replace(lines, origin=(10, 0, 0))), corners)[:, 0].max(), 13)


# ---- selecting


def test_in_polygon_by_the_even_odd_rule() -> None:
    star = [(0, 0), (10, 0), (10, 10), (5, 2), (0, 10)]  # a notch from above
    pixels = np.array([[5, 1], [5, 5], [1, 5], [9, 5], [11, 1], [np.nan, 1], [-1, 0.5]])
    np.testing.assert_array_equal(viewing.inside_polygon(pixels, star), [True, False, True, True, False, False, False])
    assert not select_in(Points(name="c", xyz=np.zeros((3, 3), np.float32)), [(0, 0), (999, 999)]).any()


def test_inside_of_is_the_projection_of_points_and_of_faces_middles() -> None:
    xyz = RNG.uniform(-1, 1, (130_000, 3)).astype(np.float32)  # more than two slices
    rectangle = [(200, 150), (333, 150), (333, 290), (200, 290)]
    seen = c.project(CAMERA, xyz, *SIZE)
    expected = ((seen[:, :2] >= (200, 150)) & (seen[:, :2] <= (333, 290))).all(1)
    cloud = Points(name="c", xyz=xyz)
    found = select_in(cloud, rectangle)
    border = (np.abs(seen[:, :2, None] - np.array([[200, 333], [150, 290]])) < 1e-3).any((1, 2))
    np.testing.assert_array_equal(found[~border], expected[~border])
    assert 1000 < found.sum() < 100_000
    ball = sphere()
    middles = ball.vertices[ball.faces].mean(1)
    seen = c.project(CAMERA, middles, *SIZE)
    found = select_in(ball, rectangle)
    np.testing.assert_array_equal(found, ((seen[:, :2] >= (200, 150)) & (seen[:, :2] <= (333, 290))).all(1))
    cut = np.array([[0, 0, 1.0, 0]])
    found = select_in(cloud, rectangle, cut)
    np.testing.assert_array_equal(found[~border], (expected & (xyz[:, 2] >= 0))[~border])


def test_only_what_is_in_front_is_selected_where_depths_are_given() -> None:
    """A wall of points behind one before it: the depth of what is drawn is that of the front one."""
    side = np.stack(np.meshgrid(np.linspace(-0.5, 0.5, 30), np.linspace(-0.5, 0.5, 30)), -1).reshape(-1, 2)
    toward = np.asarray(CAMERA.eye) / np.linalg.norm(CAMERA.eye)
    right, up = c.frame_of(CAMERA)[:2]
    front = side @ np.stack([right, up]) + toward
    cloud = Points(name="walls", xyz=np.concatenate([front, front - 1.5 * toward]).astype(np.float32))
    everything = [(0, 0), (SIZE[0], 0), SIZE, (0, SIZE[1])]
    assert select_in(cloud, everything).all()
    projection = c.projection_matrix(CAMERA, SIZE[0] / SIZE[1], 1.0, 20.0)
    clip = projection @ [0, 0, -(CAMERA.distance - 1), 1]
    depths = np.ones((int(SIZE[1]) * 2, int(SIZE[0]) * 2), np.float32)  # a stage of twice the widget's pixels
    x, y = (c.project(CAMERA, front, *SIZE)[:, :2].T * 2).astype(int)
    y = 2 * int(SIZE[1]) - 1 - y
    depths[y.min() : y.max() + 2, x.min() : x.max() + 2] = clip[2] / clip[3] / 2 + 0.5
    seen = select_in(cloud, everything, drawn=(depths, projection, SIZE))
    assert seen[:900].all()
    hidden = c.project(CAMERA, cloud.xyz[900:], *SIZE)
    assert not seen[900:].any()
    assert (hidden[:, 2] > CAMERA.distance).all()


def bools(*on: int, n: int = 6) -> np.ndarray:
    out = np.zeros(n, bool)
    out[list(on)] = True
    return out


def test_states_follow_one_another_and_none_is_changed() -> None:
    first = select.selected({}, {"a": bools(0, 1, 2)})
    second = select.selected(first, {"a": bools(2, 3)}, "add")
    third = select.selected(second, {"a": bools(0)}, "subtract")
    np.testing.assert_array_equal(second["a"].marked, bools(0, 1, 2, 3))
    np.testing.assert_array_equal(third["a"].marked, bools(1, 2, 3))
    np.testing.assert_array_equal(first["a"].marked, bools(0, 1, 2))
    gone = select.hidden(third)
    np.testing.assert_array_equal(gone["a"].keep, bools(0, 4, 5))
    more = select.selected(gone, {"a": bools(0, 1)})
    np.testing.assert_array_equal(more["a"].marked, bools(0))  # what is hidden cannot be marked
    deleted = select.deleted(more)
    np.testing.assert_array_equal(select.shown(deleted)["a"].keep, ~bools(0))
    cloud = Points(name="a", xyz=np.zeros((6, 3), np.float32))
    np.testing.assert_array_equal(select.inverted(gone, [cloud])["a"].marked, bools(0, 4, 5))
    assert select.number_marked(select.unmarked(third)) == 0
    assert select.fitting(third, [Points(name="a", xyz=np.zeros((7, 3), np.float32))]) == {}
    assert "a" in select.fitting(third, [cloud])


def test_a_part_of_a_mesh_keeps_its_shape_and_drops_what_nobody_needs() -> None:
    ball = replace(sphere(rings=6), scalars={"z": sphere(rings=6).vertices[:, 2].copy()})
    keep = np.zeros(len(ball.faces), bool)
    keep[5:9] = True
    part = run(parts.part_of(ball, keep))
    assert isinstance(part, Mesh)
    np.testing.assert_array_equal(part.vertices[part.faces], ball.vertices[ball.faces[keep]])
    assert len(part.vertices) == len(np.unique(ball.faces[keep]))
    np.testing.assert_array_equal(part.scalars["z"], part.vertices[:, 2])
    cloud = Points(name="c", xyz=RNG.normal(size=(6, 3)).astype(np.float32), labels=np.arange(6, dtype=np.int32))
    chosen = run(parts.cut_out(select.parts_of([ball, cloud], {"c": Marks(6, marked=bools(1, 4))}, marked=True)))
    assert [t.name for t in chosen] == ["c"]
    np.testing.assert_array_equal(chosen[0].labels, [1, 4])
    rest = run(parts.cut_out(select.parts_of([ball, cloud], {"c": Marks(6, deleted=bools(1, 4))}, marked=False)))
    assert [t.name for t in rest] == ["ball", "c"]
    np.testing.assert_array_equal(rest[1].labels, [0, 2, 3, 5])


# ---- measuring


def test_distance_and_angle_by_closed_forms() -> None:
    assert distance((0, 0, 0), (1, 2, 2)) == 3
    assert angle((1, 0, 0), (0, 0, 0), (0, 3, 0)) == pytest.approx(90)
    for degrees in (1e-5, 30, 60, 179.99999):
        a = math.radians(degrees)
        assert angle((2, 0, 1), (0, 0, 1), (math.cos(a), math.sin(a), 1)) == pytest.approx(degrees, rel=1e-9)
    assert math.isnan(angle((0, 0, 0), (0, 0, 0), (1, 0, 0)))


def test_a_measurement_is_said_when_its_places_are_there() -> None:
    m = Measure("distance").with_place((0, 0, 0))
    assert m.text(0.01) == ""
    m = m.with_place((3, 4, 0))
    assert m.text(0.01) == "5.000"
    assert m.more(0.1) == "Δx 3.00  Δy 4.00  Δz 0.00"
    assert m.with_place((1, 1, 1)).places == ((1, 1, 1),)
    corner = Measure("angle", ((1, 0, 0), (0, 0, 0), (1, 1, 0)))
    assert corner.text(1) == "45.0°"
