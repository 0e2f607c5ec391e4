"""The outside of boxes: its area and volume, and that it is closed and turned outwards."""

from __future__ import annotations

import numpy as np
import pytest

from engine.nn.looking.voxels import hull


def measures(corners: np.ndarray, sizes: np.ndarray) -> tuple[float, float]:
    """Area and volume of the hull; the volume by the divergence theorem, positive where faces look outwards."""
    vertices, faces, normals = hull(corners.astype(np.float32), sizes.astype(np.float32))
    a, b, c = (vertices[faces[:, k]].astype(np.float64) for k in range(3))
    across = np.cross(b - a, c - a)
    assert ((across * normals[faces[:, 0]]).sum(1) > 0).all()
    np.testing.assert_allclose(np.linalg.norm(normals, axis=1), 1.0)
    return float(np.linalg.norm(across, axis=1).sum() / 2), float((a * np.cross(b, c)).sum() / 6)


def test_the_hull_of_a_row_of_boxes_and_of_one_apart() -> None:
    size = np.array([0.5, 1.0, 2.0])
    at = np.array([[0, 0, 0], [1, 0, 0], [4, 2, 1]]) * size
    area, volume = measures(at, np.tile(size, (3, 1)))
    single = 2 * (0.5 * 1 + 1 * 2 + 0.5 * 2)
    assert area == pytest.approx(3 * single - 2 * (1 * 2))
    assert volume == pytest.approx(3 * 1.0)


def test_boxes_of_two_sizes_keep_their_own_sides_and_no_box_has_none() -> None:
    area, volume = measures(np.array([[0.0, 0, 0], [1, 0, 0]]), np.array([[1.0, 1, 1], [2, 2, 2]]))
    assert area == pytest.approx(6 + 24)
    assert volume == pytest.approx(9)
    vertices, faces, normals = hull(np.zeros((0, 3), np.float32), np.zeros((0, 3), np.float32))
    assert len(vertices) == len(faces) == len(normals) == 0
