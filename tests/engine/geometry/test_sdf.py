"""Distance functions against closed forms and nearest surface samples; trees against plain functions; bad JSON."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy.spatial import cKDTree

from engine.geometry import sdf
from engine.geometry.sampling import uniform
from engine.geometry.shapes import shape
from engine.params import BadValue
from engine.shape_tree import KINDS, MAX_DEPTH, MAX_NODES

RANDOM = np.random.default_rng(3)
POINTS = RANDOM.uniform(-1.2, 1.2, (4000, 3)).astype(np.float32)
NODES = {
    **{kind: sdf.make(kind) for kind, entry in KINDS.items() if entry.group == "solid"},
    "many balls": sdf.make(
        "metaballs", centres=RANDOM.uniform(-0.6, 0.6, (7, 3)).tolist(), radii=RANDOM.uniform(0.1, 0.4, 7).tolist()
    ),
    **{
        kind: sdf.make(kind, sdf.make("box"), sdf.make("move", sdf.make("sphere"), by=[0.4, 0.2, 0.1]))
        for kind, entry in KINDS.items()
        if entry.group == "combine"
    },
    "changed": sdf.make(
        "turn",
        sdf.make("scale", sdf.make("move", sdf.make("torus"), by=[0.1, 0.2, 0.0]), factor=0.7),
        axis=[1, 2, 3],
        degrees=50,
    ),
    "repeat": sdf.make("repeat", sdf.make("move", sdf.make("sphere", radius=0.1), by=[0.1, 0, 0]), period=[0.5] * 3),
    "shell": sdf.make("shell", sdf.make("cylinder")),
    "grow": sdf.make("grow", sdf.make("box"), by=0.1),
}


@pytest.mark.parametrize("name", NODES)
def test_every_node_is_1_lipschitz(name: str) -> None:
    node = NODES[name]
    near = POINTS + RANDOM.normal(0, 0.03, POINTS.shape).astype(np.float32)
    far = POINTS[::-1]
    f = node.evaluate(POINTS)
    assert f.dtype == np.float32
    for other in (near, far):
        rise = np.abs(f - node.evaluate(other)).astype(np.float64)
        assert (rise <= node.lipschitz() * np.linalg.norm(POINTS - other, axis=1) + 2e-6).all()


def _surface_samples(kind: str) -> np.ndarray:
    """Points of the surface itself, from its parameters, not from the function."""
    n = 200_000
    u, v = RANDOM.uniform(0, 2 * np.pi, n), RANDOM.uniform(0, 2 * np.pi, n)
    way = RANDOM.normal(size=(n, 3))
    way /= np.linalg.norm(way, axis=1, keepdims=True)
    if kind == "sphere":
        return 0.5 * way
    if kind == "torus":
        ring = 0.5 + 0.2 * np.cos(v)
        return np.stack([ring * np.cos(u), ring * np.sin(u), 0.2 * np.sin(v)], axis=1)
    if kind == "capsule":
        ends = 0.25 * way + np.sign(way[:, 2:]) * [0, 0, 0.4]
        side = np.stack([0.25 * np.cos(u), 0.25 * np.sin(u), RANDOM.uniform(-0.4, 0.4, n)], axis=1)
        return np.concatenate([ends, side])
    box = RANDOM.uniform(-1, 1, (n, 3))
    box[np.arange(n), RANDOM.integers(0, 3, n)] = RANDOM.choice([-1.0, 1.0], n)
    return box * [0.5, 0.4, 0.3]


@pytest.mark.parametrize("kind", ["sphere", "box", "torus", "capsule"])
def test_exact_distances_are_those_to_the_nearest_of_many_surface_samples(kind: str) -> None:
    nearest = cKDTree(_surface_samples(kind)).query(POINTS[:800])[0]
    found = np.abs(sdf.make(kind).evaluate(POINTS[:800]))
    # The nearest sample is never nearer than the surface, and at most the samples' spacing farther.
    assert (nearest >= found - 1e-5).all()
    assert (nearest - found).max() < 0.02
    assert (nearest - found).mean() < 0.002


@pytest.mark.parametrize("kind", ["sphere", "box", "torus", "capsule", "cylinder", "plane"])
def test_the_gradient_has_length_1_almost_everywhere(kind: str) -> None:
    h = 1e-2
    slope = np.stack([
        (sdf.make(kind).evaluate(POINTS + h * e).astype(float) - sdf.make(kind).evaluate(POINTS - h * e)) / (2 * h)
        for e in np.eye(3, dtype=np.float32)
    ], axis=1)  # fmt: skip
    size = np.linalg.norm(slope, axis=1)
    assert np.abs(np.median(size) - 1) < 1e-3
    assert (np.abs(size - 1) < 0.01).mean() > 0.85  # creases have none


def test_the_inside_is_where_it_should_be() -> None:
    x, y, z = POINTS.astype(float).T
    assert np.array_equal(sdf.cylinder(POINTS, 0.5, 0.3) < 0, (np.hypot(x, y) < 0.5) & (np.abs(z) < 0.3))
    assert np.array_equal(sdf.plane(POINTS, [0, 0, 2], 0.25) < 0, z < 0.25)
    wave = np.sin(4 * x) * np.cos(4 * y) + np.sin(4 * y) * np.cos(4 * z) + np.sin(4 * z) * np.cos(4 * x)
    wall = sdf.gyroid(POINTS, 2 * np.pi / 4, 0.1)
    assert np.array_equal(wall < 0, np.abs(wave) < 0.1 / 2 * 4 * np.sqrt(3))
    one = sdf.metaballs(POINTS, [[0.1, 0, 0]], [0.6])
    assert np.allclose(one, sdf.sphere(POINTS - np.float32([0.1, 0, 0]), 0.6), atol=1e-5)
    two = sdf.metaballs(POINTS, [[-0.3, 0, 0], [0.3, 0, 0]], [0.4, 0.4])
    both = np.minimum(
        sdf.sphere(POINTS + np.float32([0.3, 0, 0]), 0.4), sdf.sphere(POINTS - np.float32([0.3, 0, 0]), 0.4)
    )
    assert (two <= both + 1e-6).all()
    field = sum(np.exp(-4 * (np.linalg.norm(POINTS - np.float32([s, 0, 0]), axis=1) / 0.4 - 1)) for s in (-0.3, 0.3))
    assert np.array_equal(two < 0, field > 1)


def test_smooth_combinations_bound_the_plain_ones_within_a_quarter_of_k() -> None:
    a, b, k = sdf.sphere(POINTS, 0.6), sdf.box(POINTS, [0.5, 0.7, 0.2]), 0.3
    for smooth, plain, sign in (
        (sdf.smooth_union, sdf.union, 1),
        (sdf.smooth_intersection, sdf.intersection, -1),
        (sdf.smooth_difference, sdf.difference, -1),
    ):
        gap = sign * (plain(a, b) - smooth(a, b, k))
        assert gap.min() >= 0
        assert 0.7 * k / 4 < gap.max() <= k / 4 + 1e-6
        apart = np.abs(a - b) >= k if smooth is not sdf.smooth_difference else np.abs(a + b) >= k
        if smooth is not sdf.smooth_intersection:
            assert np.abs(gap[apart]).max() < 1e-6
        assert np.array_equal(smooth(a, b, 0.0), plain(a, b))


def test_transforms_move_the_solid_the_way_they_say() -> None:
    box = sdf.make("box", half=[0.5, 0.2, 0.1])
    turned = sdf.make("move", sdf.make("turn", box, axis=[0, 0, 1], degrees=90), by=[1.0, 0, 0])
    at = np.float32([[1, 0.45, 0], [1.45, 0, 0], [1, 0.55, 0]])
    assert (turned.evaluate(at) < 0).tolist() == [True, False, False]
    scaled = sdf.make("scale", sdf.make("sphere", radius=0.5), factor=2.0)
    assert np.allclose(scaled.evaluate(POINTS), sdf.sphere(POINTS, 1.0), atol=1e-6)


def test_repetition_is_the_union_of_all_copies() -> None:
    child = sdf.make("move", sdf.make("box", half=[0.1, 0.05, 0.1]), by=[0.12, -0.1, 0.05])
    repeated = sdf.make("repeat", child, period=[0.5, 0.4, 1.0], counts=[2, 1, 0])
    copies = [child.evaluate(POINTS - np.float32([0.5 * i, 0.4 * j, 0])) for i in (-2, -1, 0, 1, 2) for j in (-1, 0, 1)]
    assert np.allclose(repeated.evaluate(POINTS), np.min(copies, axis=0), atol=1e-6)


@pytest.mark.parametrize("name", NODES)
def test_a_tree_survives_json(name: str) -> None:
    node = NODES[name]
    again = sdf.Node.from_json(node.to_json())
    assert again == node
    assert np.array_equal(again.evaluate(POINTS), node.evaluate(POINTS))
    assert again.size() == node.size()


def _chain(depth: int) -> dict[str, object]:
    node: dict[str, object] = {"kind": "sphere"}
    for _ in range(depth - 1):
        node = {"kind": "move", "children": [node]}
    return node


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("{", "JSON"),
        ("[" * 100_000, "JSON"),
        ("3", "node"),
        ('{"kind": "egg"}', "egg"),
        ('{"kind": ["sphere"]}', "kind"),
        ('{"kind": "sphere", "radius": "big"}', "radius"),
        ('{"kind": "sphere", "radius": NaN}', "radius"),
        ('{"kind": "sphere", "radius": 1e400}', "radius"),
        ('{"kind": "sphere", "radius": -1}', "radius"),
        ('{"kind": "sphere", "size": 1}', "size"),
        ('{"kind": "box", "half": [1, 2]}', "half"),
        ('{"kind": "box", "half": [1, 1, 0.1], "rounding": 0.5}', "rounding"),
        ('{"kind": "metaballs", "centres": [[0, 0, 0]], "radii": [1, 1]}', "radius"),
        ('{"kind": "metaballs", "centres": []}', "centres"),
        ('{"kind": "union"}', "union"),
        ('{"kind": "union", "children": {}}', "children"),
        ('{"kind": "move", "children": [{"kind": "sphere"}, {"kind": "sphere"}]}', "move"),
        ('{"kind": "sphere", "children": [{"kind": "sphere"}]}', "sphere"),
        (json.dumps(_chain(MAX_DEPTH + 1)), "deeper"),
        (json.dumps({"kind": "union", "children": [{"kind": "sphere"}] * MAX_NODES}), "nodes"),
    ],
)
def test_nonsense_gets_one_line_that_names_it(text: str, names: str) -> None:
    with pytest.raises(BadValue, match=names) as failure:
        sdf.Node.from_json(text)
    assert "\n" not in str(failure.value)
    assert len(str(failure.value)) < 300


def test_the_largest_tree_allowed_is_read() -> None:
    assert sdf.Node.from_plain(_chain(MAX_DEPTH)).depth() == MAX_DEPTH


def test_a_shape_made_of_distances_agrees_with_its_mesh() -> None:
    points, _, _ = uniform(*shape("drilled", 48), 500)
    assert np.abs(points).max() <= 0.9 + 1e-6
