"""Planes as files: the same way up as on the screen, in the labels' colours, as pictures, films and arrays."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from engine.formats import export
from engine.formats.planes_picture import GAP, LABELS, THUMB, TITLE, VIRIDIS, draw_planes, heat_pixels
from engine.payloads import Plane, PlaneFrames, Planes

SQUARE = (-2.0, 2.0, -2.0, 2.0)


def rgb(colour: str) -> tuple[int, ...]:
    return tuple(int(colour[i : i + 2], 16) for i in (1, 3, 5))


def pixel(picture: Image.Image, x: float, y: float, side: int = 360) -> tuple[int, ...]:
    """The colour at a point of the first plane of extent SQUARE."""
    found = picture.getpixel((round((x + 2) / 4 * side), round((2 - y) / 4 * side)))
    assert isinstance(found, tuple)
    return found


def test_points_lie_where_they_should() -> None:
    points, labels = np.array([[1.0, 1.5], [-1.0, -0.5], [np.nan, 0.0]]), np.array([3, 12, 0])
    picture = draw_planes([Plane(SQUARE, points=points, labels=labels)])
    assert picture.size == (360, 360)
    assert pixel(picture, 1.0, 1.5) == rgb(LABELS[3])
    assert pixel(picture, -1.0, -0.5) == rgb(LABELS[2])
    assert pixel(picture, 1.0, -1.5) == (255, 255, 255)


def test_row_0_of_the_heat_is_at_the_bottom() -> None:
    heat = np.zeros((8, 8), np.float32)
    heat[0, 7] = 0.02
    assert tuple(heat_pixels(heat)[7, 7]) == rgb(VIRIDIS[-1])
    picture = draw_planes([Plane(SQUARE, heat=heat)])
    assert pixel(picture, 1.75, -1.75)[0] > 200
    assert pixel(picture, 1.75, 1.75) == rgb(VIRIDIS[0])
    assert (heat_pixels(np.full((2, 2), np.nan)) == rgb(VIRIDIS[0])).all()


def test_an_arrow_points_up_where_dy_is_positive() -> None:
    picture = draw_planes([Plane(SQUARE, arrows=np.array([[0.0, 0.0, 0.0, 3.0], [0.0, 0.0, np.inf, 0.0]]))])
    ink = np.asarray(picture.convert("L")) < 250
    rows = np.flatnonzero(ink.any(axis=1))
    assert rows.max() <= 181
    assert 100 < rows.min() < 140


def test_trails_end_more_opaque_than_they_begin() -> None:
    trail = np.stack([np.linspace(-1.5, 1.5, 40), np.zeros(40)], axis=1)[None]
    picture = draw_planes([Plane(SQUARE, trails=trail, labels=np.array([0]))])
    begin, end = (min(pixel(picture, x, 0.0)[0], pixel(picture, x, -0.011)[0]) for x in (-1.2, 1.2))
    assert 245 > begin > end


def test_planes_lie_side_by_side_in_their_own_shapes() -> None:
    picture = draw_planes([Plane((0.0, 2.0, 0.0, 1.0)), Plane(SQUARE)], side=100)
    assert picture.size == (200 + GAP, 100)
    with pytest.raises(ValueError, match="no planes"):
        draw_planes([])
    with pytest.raises(ValueError, match="extent"):
        draw_planes([Plane((0.0, 0.0, 0.0, 1.0))])


def frames() -> list[PlaneFrames]:
    made = []
    for i in range(3):
        trail = np.linspace(0, 1, 2 * (i + 1)).reshape(1, -1, 1) * np.ones(2)
        plane = Plane(SQUARE, title="flow", points=trail[:, -1], trails=trail, heat=np.eye(4))
        made.append(PlaneFrames(index=i, total=3, planes=(plane,), readings={"t": i / 2}))
    return made


def test_a_timeline_of_planes_as_film_and_picture(tmp_path: Path) -> None:
    export.write(str(tmp_path / "a.gif"), frames())
    with Image.open(tmp_path / "a.gif") as film:
        assert (film.n_frames, film.size) == (3, (360, 360 + TITLE))  # type: ignore[attr-defined]  # of GIFs only
    export.write(str(tmp_path / "a.png"), [Planes(frames()[0].planes)])
    with Image.open(tmp_path / "a.png") as picture:
        assert picture.size == (360, 360 + TITLE)
        assert pixel(picture.convert("RGB"), 1.9, -1.9)[2] < 110, "the heat's diagonal goes up"
        assert pixel(picture.convert("RGB"), -1.7, -1.7)[0] > 200


def test_planes_as_arrays_and_json(tmp_path: Path) -> None:
    export.write(str(tmp_path / "a.npz"), frames())
    with np.load(tmp_path / "a.npz") as arrays:
        assert arrays["planes_0_points"].shape == (3, 1, 2)
        assert arrays["planes_0_heat"].shape == (3, 4, 4)
        assert arrays["planes_0_trails_2"].shape == (1, 6, 2), "trails grow: one array per moment"
    export.write(str(tmp_path / "one.npz"), [Planes(frames()[0].planes, "words")])
    with np.load(tmp_path / "one.npz") as arrays:
        assert arrays["planes_0_points"].shape == (1, 2)
        assert arrays["caption"] == "words"
    export.write(str(tmp_path / "a.json"), frames())
    whole = json.loads((tmp_path / "a.json").read_text())
    assert whole[1]["planes"][0]["title"] == "flow"
    assert np.shape(whole[1]["planes"][0]["trails"]) == (1, 4, 2)


def test_titles_stand_above_all_planes_and_take_no_room_where_there_are_none() -> None:
    heat = np.ones((4, 4), np.float32)
    plain = draw_planes([Plane(SQUARE, heat=heat), Plane(SQUARE, heat=heat)])
    titled = draw_planes([Plane(SQUARE, heat=heat, title="x̂₀ of a long name " * 9), Plane(SQUARE, heat=heat)])
    assert titled.size == (plain.width, plain.height + TITLE)
    assert np.array_equal(np.asarray(titled)[TITLE:], np.asarray(plain))
    ink = np.flatnonzero((np.asarray(titled.convert("L"))[:TITLE] < 200).any(axis=0))
    assert ink.min() >= 0
    assert 300 < ink.max() < 360  # cut short, and nothing over the plane that has none


def test_contours_enclose_what_is_dense() -> None:
    at = (np.arange(80) + 0.5) / 20 - 2
    density = np.exp(-((at[None] - 1) ** 2 + (at[:, None] - 1) ** 2) / 0.18)  # around (1, 1), deviation 0.3
    picture = draw_planes([Plane(SQUARE, contours=density)])
    rows, columns = np.nonzero(np.asarray(picture.convert("L")) < 200)
    radius = 0.3 * np.sqrt(2 * np.log(10)) * 90  # of the lowest line, in pixels
    assert columns.min() == pytest.approx(270 - radius, abs=2)
    assert columns.max() == pytest.approx(270 + radius, abs=2)
    assert rows.min() == pytest.approx(90 - radius, abs=2)
    assert pixel(picture, 1.0, 1.0) == (255, 255, 255)
    assert draw_planes([Plane(SQUARE, contours=np.zeros((5, 5)))]).getextrema() == ((255, 255),) * 3


def test_points_may_be_their_pictures_in_a_rim_of_their_colour() -> None:
    points = np.array([[1.0, 1.0], [-1.0, -1.0], [np.nan, 0.0]])
    thumbs = np.zeros((3, 8, 8, 1), np.uint8)
    thumbs[0] = 200
    thumbs[1, :4] = 90
    picture = draw_planes([Plane(SQUARE, points=points, labels=np.array([3, 2, 0]), thumbs=thumbs)])
    assert pixel(picture, 1.0, 1.0) == (200, 200, 200)
    assert (pixel(picture, -1.0, -0.95), pixel(picture, -1.0, -1.05)) == ((90, 90, 90), (0, 0, 0))  # its top is up
    rim = (THUMB // 2 + 0.5) / 90
    assert np.allclose(pixel(picture, 1.0 - rim, 1.0), rgb(LABELS[3]), atol=12)
    assert pixel(picture, 0.0, 0.0) == (255, 255, 255)
