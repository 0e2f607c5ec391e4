"""The parametric shapes: Bezier curves and patches, even sampling of a torus, and the search for the nearest point."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import chisquare

from engine.geometry import measures
from engine.geometry.parametric import (
    Patch,
    Torus,
    bernstein,
    bezier,
    bezier_derivative,
    de_casteljau,
    lattice,
    nearest_from,
    nearest_of,
)
from engine.registry import find
from engine.scene import Handles, Lines, Mesh, Points, Scene
from engine.session import Session

RNG = np.random.default_rng(4)
TORUS = Torus(0.65, 0.3)


@pytest.fixture
def session() -> Session:
    return Session.build("parametric_shapes", find().studies["parametric_shapes"], {}, 0, torch.device("cpu"), None)


def answer(session: Session, probe: str, dragging: bool = False, **values: Any) -> Scene:
    (scene,) = session.answer(probe, values, dragging)
    assert isinstance(scene, Scene)
    return scene


def thing(scene: Scene, kind: type, name: str = "") -> Any:
    return next(t for t in scene.things if isinstance(t, kind) and name in t.name)


# ---- Bezier -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("degree", [1, 2, 3, 5])
def test_de_casteljau_and_bernstein_agree(degree: int) -> None:
    points = RNG.normal(size=(degree + 1, 3))
    t = np.linspace(0, 1, 11)
    weights = bernstein(degree, t)
    assert np.allclose(weights.sum(axis=1), 1)
    assert (weights >= 0).all()
    for at, place in zip(t, bezier(points, t), strict=True):
        levels = de_casteljau(points, float(at))
        assert [len(level) for level in levels] == list(range(degree + 1, 0, -1))
        assert np.allclose(levels[-1][0], place)


def test_a_curve_begins_and_ends_at_its_outer_points_along_its_outer_lines() -> None:
    points = RNG.normal(size=(4, 3))
    assert np.allclose(bezier(points, np.array([0.0, 1.0])), points[[0, 3]])
    ends = bezier_derivative(points, np.array([0.0, 1.0]))
    assert np.allclose(ends, 3 * np.array([points[1] - points[0], points[3] - points[2]]))
    t, h = np.linspace(0.1, 0.9, 7), 1e-6
    numeric = (bezier(points, t + h) - bezier(points, t - h)) / (2 * h)
    assert np.allclose(bezier_derivative(points, t), numeric, atol=1e-7)


@pytest.mark.parametrize(
    "surface", [TORUS, Patch(np.random.default_rng(1).normal(size=(4, 4, 3)))], ids=["torus", "patch"]
)
def test_derivatives_of_surfaces_are_those_of_finite_differences(surface: Any) -> None:
    uv, h = RNG.uniform(0.1, 0.9, (20, 2)), 1e-5
    first, second = surface.first(uv), surface.second(uv)
    for k in range(2):
        step = h * np.eye(2)[k]
        assert np.allclose(first[:, k], (surface.point(uv + step) - surface.point(uv - step)) / (2 * h), atol=1e-7)
        numeric = (surface.first(uv + step) - surface.first(uv - step)) / (2 * h)
        assert np.allclose(second[:, k], numeric, atol=1e-6)


def test_a_patch_goes_through_its_corners_and_its_sides_are_bezier_curves() -> None:
    points = RNG.normal(size=(4, 4, 3))
    patch, t = Patch(points), np.linspace(0, 1, 9)
    corners = patch.point(np.array([(0, 0), (0, 1), (1, 0), (1, 1)], float))
    assert np.allclose(corners, points[[0, 0, 3, 3], [0, 3, 0, 3]])
    assert np.allclose(patch.point(np.stack([t, 0 * t], 1)), bezier(points[:, 0], t))
    assert np.allclose(patch.point(np.stack([0 * t + 1, t], 1)), bezier(points[3], t))


def test_the_construction_on_screen_is_de_casteljaus(session: Session) -> None:
    control = tuple(map(tuple, RNG.uniform(-1, 1, (4, 3)).round(3).tolist()))
    scene = answer(session, "bezier_curve", control=control, t=0.3)
    levels = de_casteljau(np.array(control), 0.3)
    assert np.allclose(thing(scene, Points, "cuts 1").xyz, levels[1], atol=1e-6)
    assert np.allclose(thing(scene, Points, "cuts 2").xyz, levels[2], atol=1e-6)
    assert np.allclose(thing(scene, Points, "f(t)").xyz, levels[3], atol=1e-6)
    handles = thing(scene, Handles)
    assert (handles.control, len(handles.at), handles.links.tolist()) == ("control", 4, [[0, 1], [1, 2], [2, 3]])
    curve = thing(scene, Lines, "curve").ends
    assert np.allclose(curve[0, 0], control[0], atol=1e-6)
    assert scene.readings["length"] == pytest.approx(np.linalg.norm(curve[:, 1] - curve[:, 0], axis=1).sum(), rel=1e-5)


def test_dragging_a_point_of_the_net_moves_the_patch_there_and_leaves_the_far_corner(session: Session) -> None:
    before = answer(session, "bezier_patch")
    moved = list(map(tuple, thing(before, Handles).at.astype(float).tolist()))
    moved[0] = (moved[0][0], moved[0][1], moved[0][2] + 1.0)
    after = answer(session, "bezier_patch", control=tuple(moved))
    old, new = thing(before, Mesh).vertices, thing(after, Mesh).vertices
    assert np.allclose(new[0] - old[0], (0, 0, 1), atol=1e-5)
    assert np.allclose(new[-1], old[-1])
    place = thing(after, Points, "x(u, v)").xyz[0]
    assert [after.readings[k] for k in "xyz"] == pytest.approx(place.tolist(), abs=1e-6)


# ---- sampling -----------------------------------------------------------------------------------------------------


def test_samples_that_are_even_on_the_surface_fill_equal_areas_alike_and_those_even_in_uv_do_not() -> None:
    count, bins = 20_000, 16
    rng = np.random.default_rng(0)
    uv, drawn = TORUS.uniform(count, rng)
    assert uv.shape == (count, 2)
    edges = np.linspace(0, 2 * np.pi, bins + 1)
    area = 0.65 * np.diff(edges) + 0.3 * np.diff(np.sin(edges))  # of bands of v, but for a factor
    expected = count * area / area.sum()
    assert chisquare(np.histogram(uv[:, 1], edges)[0], expected).pvalue > 1e-3
    assert chisquare(np.histogram(uv[:, 0], edges)[0]).pvalue > 1e-3
    plain = rng.uniform(0, 2 * np.pi, (count, 2))
    assert chisquare(np.histogram(plain[:, 1], edges)[0], expected).pvalue < 1e-12
    assert drawn / count == pytest.approx((0.65 + 0.3) / 0.65, rel=0.02)  # all of the box over the mean factor


def test_the_sampling_probe_reads_off_the_densities_of_both_halves(session: Session) -> None:
    even = answer(session, "sampling", how="even in (u, v)", count=20_000, tube=0.3)
    right = answer(session, "sampling", how="even on the surface", count=20_000, tube=0.3)
    ratio = (math.pi / 2 * 0.65 + 0.3) / (math.pi / 2 * 0.65 - 0.3)  # half of the points on unequal areas
    assert even.readings["inner / outer"] == pytest.approx(ratio, rel=0.05)
    assert right.readings["inner / outer"] == pytest.approx(1.0, abs=0.05)
    areas = [float(row[2]) for row in right.table]
    assert sum(areas) == pytest.approx(4 * math.pi**2 * 0.65 * 0.3, abs=0.011)
    points = thing(even, Points, "x(u, v)")
    assert np.abs(TORUS.implicit(points.xyz)).max() < 1e-6
    mesh = thing(even, Mesh)
    assert measures.area(mesh.vertices, mesh.faces) == pytest.approx(4 * math.pi**2 * 0.65 * 0.3, rel=0.01)
    assert measures.volume(mesh.vertices, mesh.faces) == pytest.approx(2 * math.pi**2 * 0.65 * 0.09, rel=0.01)


def test_the_lattice_of_a_surface_faces_along_the_cross_product() -> None:
    flat = Patch(np.stack(np.meshgrid([0.0, 1], [0.0, 1], [0.0], indexing="ij"), -1).reshape(2, 2, 3))
    axis = np.linspace(0, 1, 4)
    uv = np.stack([np.repeat(axis, 4), np.tile(axis, 4)], 1)
    vertices = flat.point(uv)
    assert np.allclose(measures.face_normals(vertices, lattice(4, 4)), (0, 0, 1))
    assert measures.area(vertices, lattice(4, 4)) == pytest.approx(1)


# ---- the nearest point --------------------------------------------------------------------------------------------


def test_newtons_end_stands_upright_and_from_enough_guesses_it_is_the_nearest() -> None:
    middles = (np.arange(4) + 0.5) / 4 * 2 * np.pi
    guesses = np.stack([np.repeat(middles, 4), np.tile(middles, 4)], 1)
    for place in RNG.uniform(-1, 1, (25, 3)):
        best, searches = nearest_of(TORUS, place, guesses)
        assert best.distance == pytest.approx(abs(float(TORUS.implicit(place[None])[0])), abs=1e-9)
        assert best.residual < 1e-6
        assert best.distance == min(s.distance for s in searches)
        foot = TORUS.point(best.path[-1:])[0]
        assert np.linalg.norm(foot - place) == pytest.approx(best.distance)
        assert abs(TORUS.first(best.path[-1:])[0] @ (place - foot)).max() < 1e-6


def test_newton_is_quadratic_near_its_end_and_goes_only_downhill_where_told() -> None:
    place = np.array([0.8, 0.3, 0.4])
    true = abs(float(TORUS.implicit(place[None])[0]))
    path = nearest_from(TORUS, place, np.array([0.2, 0.9])).path
    end = path[-1]
    off = np.linalg.norm(path - end, axis=1)
    late = [(a, b) for a, b in pairwise(off) if 1e-7 < a < 0.1 and b > 1e-14]
    assert late
    assert all(b < 5 * a * a for a, b in late)
    distances = [float(np.linalg.norm(TORUS.point(uv[None])[0] - place)) for uv in path]
    assert distances == sorted(distances, reverse=True)
    wrong = nearest_from(TORUS, place, np.array([np.pi, np.pi]), downhill=False)
    assert wrong.residual < 1e-9  # upright on the surface, and yet not the nearest
    assert wrong.distance > 2 * true


def test_the_point_under_the_pointer_is_told_by_both_ways(session: Session) -> None:
    for place, word in (((0.7, 0.1, 0.1), "inside"), ((0.0, 0.05, 0.0), "outside")):
        scene = answer(session, "inside_outside", place=(place,), guesses=6)
        f = float(TORUS.implicit(np.array([place]))[0])
        assert scene.hover == "place"
        assert scene.readings["f(p)"] == pytest.approx(f)
        assert scene.readings["distance found"] == pytest.approx(abs(f), abs=1e-8)
        assert scene.readings["searches"] == 36
        assert [row[3] for row in scene.table] == [word, word]
        assert scene.table[0][1] == "1"
        assert int(scene.table[1][1].replace(",", "")) == scene.readings["evaluations"] > 36


def test_the_first_sight_is_a_search_that_ends_at_the_wrong_place(session: Session) -> None:
    scene = answer(session, "inside_outside")
    assert "wrong" in scene.caption
    assert scene.readings["distance found"] > 2 * abs(scene.readings["f(p)"])
    assert "at the nearest" in answer(session, "inside_outside", guesses=6).caption


def test_the_slice_shows_the_implicit_functions_sign(session: Session) -> None:
    sheet = thing(answer(session, "inside_outside", height=0.1), Mesh, "slice")
    h, w = sheet.texture.shape[:2]
    rows, columns = np.divmod(np.arange(0, h * w, 37), w)
    corner, right, _, up = sheet.vertices.astype(np.float64)
    places = corner + ((columns + 0.5) / w)[:, None] * (right - corner)
    places += (1 - (rows + 0.5) / h)[:, None] * (up - corner)
    inside = TORUS.implicit(places) < 0
    assert inside.any()
    assert np.array_equal(sheet.texture[rows, columns, 2] > sheet.texture[rows, columns, 0], inside)


def test_the_circle_is_walked_at_unit_speed(session: Session) -> None:
    scene = answer(session, "circle", t=1.3, count=12)
    assert scene.readings["x"] == pytest.approx(math.cos(1.3))
    assert abs(scene.readings["x² + y² − 1"]) < 1e-12
    steps = thing(scene, Points, "even").xyz
    assert np.allclose(np.linalg.norm(steps - np.roll(steps, 1, axis=0), axis=1), 2 * math.sin(math.pi / 12), atol=1e-6)
