"""Shapes: areas against closed forms, pictures against their factors and against another rasteriser."""

from __future__ import annotations

import math

import numpy as np
import pytest
from PIL import Image, ImageDraw

from engine.data import load, shapes
from engine.data.shapes import OUTLINES, SHAPES


def factors(
    shape: str, *, size: float = 0.5, angle: float = 0.0, x: float = 0.5, y: float = 0.5, colour: int = 0
) -> dict:
    values = {"size": size, "angle": angle, "x": x, "y": y}
    whole = {"shape": np.array([SHAPES.index(shape)]), "colour": np.array([colour])}
    return whole | {name: np.array([value], np.float32) for name, value in values.items()}


def mask_of(shape: str, pixels: int = 64, **given: float) -> np.ndarray:
    return shapes.render(factors(shape, **given), pixels)[1][0] / 255.0


def shoelace(corners: np.ndarray) -> float:
    x, y = corners.T.astype(float)
    return float(np.sum(x * np.roll(y, -1) - y * np.roll(x, -1)) / 2)


@pytest.mark.parametrize("size", [0.35, 0.5, 0.7])
@pytest.mark.parametrize("place", [(0.5, 0.5), (0.43, 0.571)])
def test_the_area_of_a_circle_and_of_a_square_is_the_closed_form(size: float, place: tuple[float, float]) -> None:
    radius = size / 2 * 64
    circle = mask_of("circle", size=size, x=place[0], y=place[1]).sum()
    assert circle == pytest.approx(math.pi * radius**2, rel=0.003)
    for angle in (0.0, 17.0, 45.0):
        square = mask_of("square", size=size, angle=angle, x=place[0], y=place[1]).sum()
        assert square == pytest.approx(2 * radius**2, rel=0.006)


@pytest.mark.parametrize("shape", [s for s in SHAPES if s != "circle"])
def test_polygons_cover_their_shoelace_area_and_run_anticlockwise(shape: str) -> None:
    outline = OUTLINES[shape]
    assert outline is not None
    assert np.hypot(*outline.T).max() == pytest.approx(1, abs=1e-6)
    area = shoelace(outline)
    assert area > 0
    assert mask_of(shape, 256, angle=11.0).sum() == pytest.approx(area * (0.25 * 256) ** 2, rel=0.003)


@pytest.mark.parametrize("shape", [s for s in SHAPES if s != "circle"])
def test_the_distance_is_that_to_the_nearest_edge_and_negative_inside(shape: str) -> None:
    outline = OUTLINES[shape]
    assert outline is not None
    random = np.random.RandomState(3)
    x, y = random.uniform(-1.5, 1.5, (2, 400)).astype(np.float32)
    got = shapes.distance(outline, x, y)
    along = np.linspace(0, 1, 2001)[:, None]
    border = np.concatenate([a + along * (b - a) for a, b in zip(outline, np.roll(outline, -1, 0), strict=True)])
    want = np.min(np.hypot(x[:, None] - border[:, 0], y[:, None] - border[:, 1]), axis=1)
    assert np.abs(np.abs(got) - want).max() < 2e-3
    # Inside, by the winding number: the angle under which the outline is seen adds up to a full turn.
    away = outline[None, :, 0] - x[:, None] + 1j * (outline[None, :, 1] - y[:, None])
    turns = np.angle(np.roll(away, -1, axis=1) / away).sum(axis=1) / (2 * np.pi)
    assert np.array_equal(got < 0, turns > 0.5)


@pytest.mark.parametrize("shape", SHAPES)
def test_pictures_agree_with_another_rasteriser(shape: str) -> None:
    """Pillow draws the same shape at 16 times the size: turned anticlockwise, y downwards, colour on white."""
    given = {"size": 0.6, "angle": 25.0, "x": 0.44, "y": 0.55}
    image, mask = (a[0] for a in shapes.render(factors(shape, colour=4, **given), 32))
    large, radius = 32 * 16, 0.3 * 32 * 16
    canvas = Image.new("L", (large, large))
    at = (0.44 * large, 0.55 * large)
    outline = OUTLINES[shape]
    if outline is None:
        box = (at[0] - radius, at[1] - radius, at[0] + radius, at[1] + radius)
        ImageDraw.Draw(canvas).ellipse(box, fill=255)
    else:
        turned = (outline[:, 0] + 1j * outline[:, 1]) * np.exp(1j * np.radians(25)) * radius
        ImageDraw.Draw(canvas).polygon([(at[0] + p.real, at[1] - p.imag) for p in turned], fill=255)
    want = np.asarray(canvas, float).reshape(32, 16, 32, 16).mean(axis=(1, 3)) / 255
    assert np.abs(mask / 255 - want).mean() < 0.01
    assert np.abs(mask / 255 - want).max() < 0.3  # the smoothstep is softer than the box, and rounds sharp tips
    colour = np.array(shapes.COLOURS["blue"])
    mixed = 255 + (mask / 255)[..., None] * (colour - 255)
    assert np.abs(image - mixed).max() <= 1


def test_edges_are_soft_and_nothing_is_cut_off() -> None:
    given = shapes.sample(300, seed=1)
    _, masks = shapes.render(given, 32)
    border = np.concatenate([masks[:, 0], masks[:, -1], masks[:, :, 0], masks[:, :, -1]], axis=1)
    assert border.max() == 0
    grey = ((masks > 0) & (masks < 255)).sum(axis=(1, 2))
    assert grey.min() > 10
    assert (masks == 255).sum(axis=(1, 2)).min() > 4


def test_the_factors_reproduce_the_pictures_and_the_set_is_deterministic() -> None:
    source = load("shapes", split_seed=5)
    part = source.held_out
    images, masks = shapes.render(part.factors, 32)
    assert np.array_equal(images, part.images)
    assert part.masks is not None
    assert np.array_equal(masks, part.masks)
    assert np.array_equal(part.labels, part.factors["shape"])
    assert len(source.train) + len(part) == shapes.COUNT
    for i in range(20):
        names = [source.factor_names[f][part.factors[f][i]] for f in ("colour", "shape")]
        assert " ".join(names) in part.captions[i]


def test_samples_depend_on_the_seed_alone_and_are_spread_evenly() -> None:
    one, again, other = shapes.sample(4000, 7), shapes.sample(4000, 7), shapes.sample(4000, 8)
    assert all(np.array_equal(one[name], again[name]) for name in one)
    assert not np.array_equal(one["x"], other["x"])
    for name, (lo, hi) in {"size": shapes.SIZE, "x": shapes.PLACE, "y": shapes.PLACE}.items():
        assert one[name].min() >= lo
        assert one[name].max() <= hi
        assert one[name].mean() == pytest.approx((lo + hi) / 2, abs=4 * (hi - lo) / math.sqrt(12 * 4000))
    assert np.abs(np.corrcoef([one["size"], one["x"], one["y"]]) - np.eye(3)).max() < 0.06
    for index, name in enumerate(SHAPES):
        angles = one["angle"][one["shape"] == index]
        assert angles.max() <= shapes.PERIODS[name]
        assert name == "circle" or angles.max() > 0.95 * shapes.PERIODS[name]


def test_a_turn_by_the_period_changes_nothing_and_by_half_of_it_does() -> None:
    for name, period in shapes.PERIODS.items():
        still = mask_of(name, 32, angle=3.0)
        assert np.abs(mask_of(name, 32, angle=3.0 + period) - still).max() < 0.01
        if period:
            assert np.abs(mask_of(name, 32, angle=3.0 + period / 2) - still).max() > 0.3


def test_both_sizes_show_the_same_scenes() -> None:
    given = shapes.sample(50)
    small, large = shapes.render(given, 32)[1], shapes.render(given, 64)[1]
    halved = large.reshape(50, 32, 2, 32, 2).mean(axis=(2, 4))
    assert np.abs(halved - small).mean() < 2


def test_captions() -> None:
    red_square, blue_circle = (SHAPES.index("square"), 0), (SHAPES.index("circle"), 4)
    assert shapes.caption(*red_square, 0.36, 30.2) == "a small red square, turned 30°"
    assert shapes.caption(*blue_circle, 0.69, 0.0) == "a large blue circle"
