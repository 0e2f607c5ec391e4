"""Extraction against the dense grid with scikit-image, closed forms and thin shapes; marching a cell by hand."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial import cKDTree
from skimage.measure import marching_cubes

from engine.geometry import cells, sdf
from engine.geometry.isosurface import extract, finish
from engine.geometry.measures import area, edges_in_two, volume, watertight
from engine.params import BadValue

LO, HI = (-1.0,) * 3, (1.0,) * 3
TREE = sdf.make(
    "smooth_union",
    sdf.make("difference", sdf.make("box", half=[0.6, 0.6, 0.5], rounding=0.05), sdf.make("cylinder", radius=0.3)),
    sdf.make("move", sdf.make("torus", major=0.4, minor=0.12), by=[0.2, 0.1, 0.4]),
    k=0.2,
)


def dense(f, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Vertices and faces of scikit-image on the full grid of n^3 cells."""
    axis = np.linspace(-1, 1, n + 1, dtype=np.float32)
    grid = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1).reshape(-1, 3)
    values = f(grid).reshape(n + 1, n + 1, n + 1)
    vertices, faces, _, _ = marching_cubes(values, 0.0, spacing=(2 / n,) * 3)
    return vertices - 1, faces


def apart(a: np.ndarray, b: np.ndarray) -> float:
    """The largest distance from a point of either to the nearest of the other."""
    return max(cKDTree(a).query(b)[0].max(), cKDTree(b).query(a)[0].max())


@pytest.mark.parametrize("lipschitz", [1.0, None])
def test_the_surface_is_that_of_the_dense_grid_for_a_fifth_of_the_evaluations(lipschitz: float | None) -> None:
    n = 128
    surface = finish(extract(TREE, LO, HI, n, lipschitz=lipschitz))
    vertices, faces = dense(TREE, n)
    assert surface.evaluations * 5 <= (n + 1) ** 3
    assert apart(surface.vertices, vertices) < 1e-5
    assert (len(surface.vertices), len(surface.faces)) == (len(vertices), len(faces))
    assert watertight(surface.faces)
    assert volume(surface.vertices, surface.faces) > 0


def test_evaluations_are_counted() -> None:
    asked = 0

    def f(p: np.ndarray) -> np.ndarray:
        nonlocal asked
        asked += len(p)
        assert p.dtype == np.float32
        assert len(p) <= 1000
        return sdf.sphere(p, 0.7)

    surface = finish(extract(f, LO, HI, 40, lipschitz=1.0, chunk=1000, secant=2))
    assert surface.evaluations == asked


@pytest.mark.parametrize("n", [17, 50])
def test_sphere_and_torus_measures_converge_with_the_square_of_the_cell(n: int) -> None:
    for f, true_area, true_volume in (
        (lambda p: sdf.sphere(p, 0.8), 4 * np.pi * 0.64, 4 / 3 * np.pi * 0.512),
        (lambda p: sdf.torus(p, 0.6, 0.25), 4 * np.pi**2 * 0.6 * 0.25, 2 * np.pi**2 * 0.6 * 0.0625),
    ):
        errors = []
        for resolution in (n, 2 * n):
            s = finish(extract(f, LO, HI, resolution, lipschitz=1.0))
            assert watertight(s.faces)
            errors.append([area(s.vertices, s.faces) / true_area - 1, volume(s.vertices, s.faces) / true_volume - 1])
        coarse, fine = np.abs(errors)
        assert (coarse < 0.6 * (2 / n / 0.25) ** 2).all()
        assert ((coarse / fine > 3) & (coarse / fine < 5.5)).all()


def test_normals_are_those_of_the_sphere_and_given_gradients_are_exact() -> None:
    def f(p: np.ndarray) -> np.ndarray:
        return sdf.sphere(p, 0.8)

    surface = finish(extract(f, LO, HI, 64, lipschitz=1.0))
    true = surface.vertices / np.linalg.norm(surface.vertices, axis=1, keepdims=True)
    assert np.einsum("ij,ij->i", surface.normals, true).min() > np.cos(np.radians(0.2))
    given = finish(extract(f, LO, HI, 20, lipschitz=1.0, gradient=lambda p: 7 * p))
    true = given.vertices / np.linalg.norm(given.vertices, axis=1, keepdims=True)
    assert np.allclose(given.normals, true, atol=1e-6)


def test_secant_steps_bring_the_vertices_onto_the_surface() -> None:
    def f(p: np.ndarray) -> np.ndarray:  # far from linear along an edge
        return np.expm1(6 * sdf.sphere(p, 0.7)).astype(np.float32)

    plain = finish(extract(f, LO, HI, 24))
    fine = finish(extract(f, LO, HI, 24, secant=4))
    assert np.array_equal(plain.faces, fine.faces)
    assert plain.residual_before == plain.residual_after == pytest.approx(fine.residual_before, rel=0.05)
    assert fine.residual_before == pytest.approx(float(np.abs(f(plain.vertices)).mean()), rel=1e-3)
    assert fine.residual_after == pytest.approx(float(np.abs(f(fine.vertices)).mean()), rel=1e-3, abs=1e-7)
    assert fine.residual_after < 3e-4 * fine.residual_before
    moved = fine.vertices - plain.vertices
    assert ((np.abs(moved) > 1e-7).sum(axis=1) <= 1).all()  # along the edges of the grid only


@pytest.mark.parametrize("lipschitz", [1.0, None])
def test_a_thin_shell_and_a_thin_thread_are_not_lost(lipschitz: float | None) -> None:
    n = 96
    cell = 2 / n
    shell = sdf.make("shell", sdf.make("sphere", radius=0.7), thickness=1.2 * cell)
    thread = sdf.make("capsule", a=[-0.8, -0.7, -0.6], b=[0.8, 0.75, 0.7], radius=1.0 * cell)
    for node in (shell, thread):
        surface = finish(extract(node, LO, HI, n, lipschitz=lipschitz))
        vertices, _ = dense(node, n)
        assert apart(surface.vertices, vertices) < 1e-5
    assert surface.evaluations * 5 < (n + 1) ** 3


def test_a_surface_that_the_coarse_grid_hardly_sees_is_followed() -> None:
    """Flat but for a thread, so that slopes say nothing: the front has to travel along it."""

    def f(p: np.ndarray) -> np.ndarray:
        bend = np.stack([p[:, 0], p[:, 1] - 0.4 * np.sin(3 * p[:, 0]), p[:, 2] - 0.3 * np.cos(2 * p[:, 0])], axis=1)
        distance = sdf.capsule(bend, [-0.85, 0, 0], [0.7, 0, 0], 0.02)
        ball = sdf.sphere(p - np.float32([-0.85, -0.2, 0]), 0.1)
        return np.clip(np.minimum(distance, ball), -0.01, 0.01)

    surface = finish(extract(f, LO, HI, 128))
    vertices, _ = dense(f, 128)
    assert apart(surface.vertices, vertices) < 1e-5


def test_levels_boxes_and_open_surfaces() -> None:
    surface = finish(extract(lambda p: sdf.sphere(p, 0.3), LO, (2, 1, 1), 60, level=0.4, lipschitz=1.0))
    assert np.abs(np.linalg.norm(surface.vertices, axis=1) - 0.7).max() < 2e-3
    assert surface.vertices[:, 0].max() > 0.69
    plane = finish(extract(lambda p: p[:, 2] - 0.03, LO, HI, 33, lipschitz=1.0))
    assert np.abs(plane.vertices[:, 2] - 0.03).max() < 1e-6
    assert np.allclose(plane.normals, [0, 0, 1], atol=1e-5)
    assert area(plane.vertices, plane.faces) == pytest.approx(4, rel=1e-5)
    assert not watertight(plane.faces)
    none = finish(extract(lambda p: sdf.sphere(p, 0.3) + 1, LO, HI, 20))
    assert (len(none.vertices), len(none.faces), none.residual_after) == (0, 0, 0.0)


@pytest.mark.parametrize("seed", range(3))
def test_random_fields_with_values_on_the_level_give_closed_surfaces(seed: int) -> None:
    """Corners exactly on the level and every ambiguous case; nothing falls apart where blocks meet."""
    n = 36
    values = np.random.default_rng(seed).integers(-2, 3, (n + 1,) * 3).astype(np.float32)
    values[[0, -1]] = values[:, [0, -1]] = values[:, :, [0, -1]] = 1

    def f(p: np.ndarray) -> np.ndarray:
        i, j, k = np.rint((p + 1) * n / 2).astype(int).T
        return values[i, j, k]

    surface = finish(extract(f, LO, HI, n, lipschitz=1e6))
    assert edges_in_two(surface.faces) > 0.999
    assert np.isfinite(surface.normals).all()


def test_it_can_be_given_up_and_says_how_far_it_is() -> None:
    calls = 0

    def f(p: np.ndarray) -> np.ndarray:
        nonlocal calls
        calls += 1
        return sdf.sphere(p, 0.8)

    steps = extract(f, LO, HI, 96, chunk=2000)
    seen = [next(steps) for _ in range(6)]
    steps.close()
    assert calls <= 7
    assert seen == sorted(seen)
    every = list(extract(f, LO, HI, 64, chunk=4000, secant=1))
    assert len(every) > 20
    assert every == sorted(every)
    assert 0 <= every[0] < 0.2
    assert every[-1] == pytest.approx(1)


def test_bad_input_is_named() -> None:
    with pytest.raises(BadValue, match="resolution"):
        next(extract(TREE, LO, HI, 100_000))
    with pytest.raises(BadValue, match="box"):
        next(extract(TREE, LO, (1, -1, 1), 32))
    with pytest.raises(BadValue, match="lipschitz"):
        next(extract(TREE, LO, HI, 32, lipschitz=-1))
    with pytest.raises(ArithmeticError, match="finite"):
        finish(extract(lambda p: np.where(p[:, 0] > 0.9, np.nan, 1).astype(np.float32), LO, HI, 32))


# ---- one cell by hand ---------------------------------------------------------------------------------------------


def test_cases_number_their_corners() -> None:
    values = np.ones(8)
    values[[0, 3, 7]] = -1
    assert cells.cell_case(values) == 1 + 8 + 128
    assert cells.cell_case(np.zeros(8)) == 0
    assert len({cells.case_triangles(k) for k in range(256)}) > 200


def test_one_corner_inside_gives_the_triangle_that_looks_away_from_it() -> None:
    values = np.full(8, 3.0)
    values[0] = -1
    (triangle,) = cells.cell_triangles(values, cells.cell_corners([2, 2, 2], 4))
    assert sorted(triangle.tolist()) == [[2, 2, 3], [2, 3, 2], [3, 2, 2]]
    normal = np.cross(triangle[1] - triangle[0], triangle[2] - triangle[0])
    assert (normal > 0).all()


@pytest.mark.parametrize("seed", range(2))
def test_cells_by_hand_close_up_over_random_signs(seed: int) -> None:
    n = 9
    values = np.random.default_rng(seed).normal(size=(n, n, n))
    values[[0, -1]] = values[:, [0, -1]] = values[:, :, [0, -1]] = 1.0
    soup = []
    for at in np.ndindex(n - 1, n - 1, n - 1):
        corners = cells.cell_corners(at, 1.0)
        soup.append(cells.cell_triangles(values[tuple(corners.astype(int).T)], corners))
    triangles = np.concatenate(soup)
    _, index = np.unique(triangles.reshape(-1, 3).round(9), axis=0, return_inverse=True)
    assert watertight(index.reshape(-1, 3))


def test_cells_by_hand_add_up_to_the_extracted_surface() -> None:
    n = 12
    surface = finish(extract(TREE, LO, HI, n, lipschitz=1.0))
    total = 0.0
    points = set()
    for at in np.ndindex(n, n, n):
        corners = cells.cell_corners(np.array(at) * 2 / n - 1, 2 / n)
        triangles = cells.cell_triangles(TREE.evaluate(corners), corners)
        total += np.linalg.norm(np.cross(*(triangles[:, k] - triangles[:, 0] for k in (1, 2))), axis=1).sum() / 2
        points.update(map(tuple, triangles.reshape(-1, 3).round(4).tolist()))
    assert total == pytest.approx(area(surface.vertices, surface.faces), rel=2e-3)
    assert apart(np.array(sorted(points)), surface.vertices) < 2e-4


def test_voxels_are_closed_and_their_volume_is_their_number() -> None:
    n = 24
    vertices, faces = cells.voxels(lambda p: sdf.sphere(p, 0.7), LO, HI, n)
    middle = (np.arange(n) + 0.5) * 2 / n - 1
    count = (middle[:, None, None] ** 2 + middle[:, None] ** 2 + middle**2 < 0.49).sum()
    assert edges_in_two(faces) == 1
    assert volume(vertices, faces) == pytest.approx(count * (2 / n) ** 3, rel=1e-5)
    empty, none = cells.voxels(lambda p: p[:, 0] + 9, LO, HI, 4)
    assert len(empty) == len(none) == 0


def test_an_octree_keeps_the_cells_at_the_surface_and_grows_with_its_area() -> None:
    levels = cells.octree_cells(lambda p: sdf.sphere(p, 0.7), LO, HI, 6)
    assert [half for _, half in levels] == [2.0**-k for k in range(7)]
    for centres, half in levels:
        assert (np.abs(np.linalg.norm(centres, axis=1) - 0.7) <= np.sqrt(3) * half + 1e-6).all()
    counts = [len(c) for c, _ in levels]
    assert 3.5 < counts[6] / counts[5] < 4.5  # area, not volume
    surface = finish(extract(lambda p: sdf.sphere(p, 0.7), LO, HI, 64, lipschitz=1.0))
    centres, half = levels[6]
    assert (cKDTree(centres).query(surface.vertices, p=np.inf)[0] <= half + 1e-6).all()
