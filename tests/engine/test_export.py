"""Payloads as files: where each pixel of panels, tables and strips lands, and which names are refused."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageSequence

from engine.formats.export import GAP, PANEL_GAP, STRIP_GAP, WRITERS, ExportError, check_ending, write
from engine.payloads import Bars, Frames, ImageGrid, SeedPlane, Strips


def whole_255ths(n: int, h: int, w: int, c: int, seed: int = 0) -> np.ndarray:
    return (np.random.default_rng(seed).integers(0, 256, (n, h, w, c)) / 255).astype(np.float32)


def moment(images: np.ndarray, index: int = 0, total: int = 1, **more: object) -> Frames:
    return Frames(images=images, index=index, total=total, **more)  # type: ignore[arg-type]


def read(path: Path) -> np.ndarray:
    """A file's pixels as uint8 (H, W, 3), shrunk again by its whole factor of enlargement (given the true size)."""
    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB"))


def cell(pixels: np.ndarray, x: int, y: int, w: int, h: int, factor: int) -> np.ndarray:
    """A rectangle of source pixels out of an enlarged picture."""
    return pixels[y * factor : (y + h) * factor : factor, x * factor : (x + w) * factor : factor]


def panels_lie_beside(pixels: np.ndarray, images: np.ndarray, factor: int) -> None:
    """Two panels of four 3 x 2 pictures in rows of two, panel-major."""
    each = 2 * 2 + GAP
    assert pixels.shape[:2] == ((2 * 3 + GAP) * factor, (2 * each + PANEL_GAP) * factor)
    for i, image in enumerate(images):
        panel, within = divmod(i, 4)
        x, y = panel * (each + PANEL_GAP) + within % 2 * (2 + GAP), within // 2 * (3 + GAP)
        np.testing.assert_array_equal(cell(pixels, x, y, 2, 3, factor), (image * 255).round().astype(np.uint8))
    gap = cell(pixels, each, 0, PANEL_GAP, 2 * 3 + GAP, factor)
    assert gap.min() == 255


def test_panels_lie_side_by_side_in_a_still_and_in_every_frame_of_a_gif(tmp_path: Path) -> None:
    images = [np.repeat((np.arange(8 * 6).reshape(8, 3, 2, 1) * 5 + k) / 255, 3, 3).astype(np.float32) for k in (0, 9)]
    frames = [moment(one, i, 2, columns=2, panels=("x_t", "x̂₀")) for i, one in enumerate(images)]
    factor = 512 // (2 * 5 + PANEL_GAP)
    write(str(tmp_path / "a.png"), frames)
    panels_lie_beside(read(tmp_path / "a.png"), images[1], factor)
    write(str(tmp_path / "a.gif"), frames)
    with Image.open(tmp_path / "a.gif") as gif:
        shown = [np.asarray(one.convert("RGB")) for one in ImageSequence.Iterator(gif)]
    assert len(shown) == 2
    for pixels, one in zip(shown, images, strict=True):
        panels_lie_beside(pixels, one, factor)


def test_panels_lie_side_by_side_in_a_film() -> None:
    import av

    images = np.concatenate([np.full((4, 16, 16, 1), 0.1), np.full((4, 16, 16, 1), 0.8)]).astype(np.float32)
    film = WRITERS[".mp4"](Path("a.mp4"), [moment(images, i, 3, columns=2, panels=("a", "b")) for i in range(3)])
    with av.open(io.BytesIO(film)) as container:
        frames = [frame.to_ndarray(format="gray") for frame in container.decode(video=0)]
    each = 2 * 16 + GAP
    factor = 512 // (2 * each + PANEL_GAP)
    for frame in frames:
        assert abs(frame[8 * factor, 8 * factor] / 255 - 0.1) < 0.05
        assert abs(frame[8 * factor, (each + PANEL_GAP + 8) * factor] / 255 - 0.8) < 0.05
        assert frame[8 * factor, each * factor + PANEL_GAP * factor // 2] > 235


def test_the_heads_of_a_table_give_its_columns(tmp_path: Path) -> None:
    images = whole_255ths(6, 4, 4, 3)
    for payload in (
        moment(images, rows=("a", "b"), heads=("1", "2", "3")),
        ImageGrid(images, rows=("a", "b"), heads=("1", "2", "3")),
    ):
        write(str(tmp_path / "a.png"), [payload])
        pixels = read(tmp_path / "a.png")
        factor = 512 // (3 * 4 + 2 * GAP)
        assert pixels.shape == ((2 * 4 + GAP) * factor, (3 * 4 + 2 * GAP) * factor, 3)
        corner = cell(pixels, 2 * (4 + GAP), 4 + GAP, 4, 4, factor)
        np.testing.assert_array_equal(corner, (images[5] * 255).round().astype(np.uint8))


@pytest.mark.parametrize(("total", "chosen"), [(5, [0, 1, 2, 3, 4]), (34, list(range(0, 34, 3))), (1, [0])])
def test_a_strip_shows_even_moments_with_their_panels_stacked(tmp_path: Path, total: int, chosen: list[int]) -> None:
    frames = [
        moment(np.repeat(np.float32([[i], [255 - i]]) / 255, 4 * 4, 1).reshape(2, 4, 4, 1), i, total, panels=("a", "b"))
        for i in range(total)
    ]
    write(str(tmp_path / "a.strip.png"), frames)
    pixels = read(tmp_path / "a.strip.png")
    high, wide = 2 * 4 + PANEL_GAP, len(chosen) * (4 + STRIP_GAP) - STRIP_GAP
    factor = 2048 // max(high, wide)
    assert pixels.shape[:2] == (high * factor, wide * factor)
    small = pixels[factor // 2 :: factor, factor // 2 :: factor, 0]
    assert [small[0, k * (4 + STRIP_GAP)] for k in range(len(chosen))] == chosen
    assert [small[4 + PANEL_GAP, k * (4 + STRIP_GAP)] for k in range(len(chosen))] == [255 - i for i in chosen]
    assert small[4, 0] == 255
    if total > 1:
        assert small[0, 4] == 255


def test_a_strip_of_grey_and_coloured_moments_is_in_colour(tmp_path: Path) -> None:
    red = np.zeros((1, 4, 4, 3), np.float32)
    red[..., 0] = 1
    write(str(tmp_path / "a.strip.png"), [moment(np.zeros((1, 4, 4, 1), np.float32), 0, 2), moment(red, 1, 2)])
    pixels = read(tmp_path / "a.strip.png")
    assert pixels[5, 5].tolist() == [0, 0, 0]
    assert pixels[5, -5].tolist() == [255, 0, 0]


def test_names_are_known_by_their_longest_ending(tmp_path: Path) -> None:
    frames = [moment(np.zeros((1, 8, 8, 1), np.float32), i, 2) for i in range(2)]
    for name, wide in (("A.Strip.PNG", (2 * 8 + STRIP_GAP) * (2048 // 22)), ("strip.png", 512)):
        write(str(tmp_path / name), frames)
        assert read(tmp_path / name).shape[1] == wide
    for name in (".png", ".strip.pn", "strip"):
        with pytest.raises(ExportError, match=r"use one of \.png, \.gif, \.mp4, \.strip\.png"):
            check_ending(name)


def test_what_cannot_be_a_picture_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="5 pictures do not make 2 equal panels"):
        write(str(tmp_path / "a.gif"), [moment(np.zeros((5, 2, 2, 1), np.float32), panels=("a", "b"))])
    with pytest.raises(ExportError, match="a Bars is no picture"):
        write(str(tmp_path / "a.strip.png"), [Bars(np.ones(3, np.float32))])
    assert not list(tmp_path.iterdir())


def test_a_seed_plane_is_its_square_with_a_ring_at_the_spot_and_the_picture_beside_it(tmp_path: Path) -> None:
    tiles = np.zeros((2, 2, 16, 16, 1), np.float32)
    tiles[0, 1], tiles[1, 0] = 0.4, 0.6
    image = np.full((16, 16, 1), 0.2, np.float32)
    plane = SeedPlane(image, tiles, (0.25, 0.75), ("a", "b", "c", "d"))
    write(str(tmp_path / "plane.png"), [plane])
    pixels = read(tmp_path / "plane.png")[..., 0]
    assert pixels.shape == (256, 256 + PANEL_GAP + 256)
    assert [pixels[y, x] for y, x in ((20, 20), (20, 240), (240, 20), (240, 240))] == [0, 102, 153, 0]
    assert pixels[192, 64] == 153, "the spot: a quarter to the right, three quarters down"
    assert pixels[192, 64 + 6] == pixels[192 - 7, 64] == 255, "a fortieth of the side away from it, 6.4 pixels"
    assert pixels[192, 64 + 7] == pixels[192 - 6, 64] == 0
    assert (pixels[:, 256 : 256 + PANEL_GAP] == 255).all()
    assert (pixels[:, 256 + PANEL_GAP :] == 51).all()
    write(str(tmp_path / "plane.npz"), [plane])
    with np.load(tmp_path / "plane.npz") as arrays:
        np.testing.assert_array_equal(arrays["tiles"], tiles)
        assert tuple(arrays["spot"]) == (0.25, 0.75)
        assert list(arrays["names"]) == ["a", "b", "c", "d"]


def test_strips_are_written_with_their_vectors(tmp_path: Path) -> None:
    vectors = np.eye(2, 3, dtype=np.float32)
    strips = Strips(whole_255ths(6, 4, 4, 1), 3, rows=("one", "two"), vectors=vectors, space="w")
    for ending in ("png", "npz", "json"):
        write(str(tmp_path / f"strips.{ending}"), [strips])
    with np.load(tmp_path / "strips.npz") as arrays:
        np.testing.assert_array_equal(arrays["vectors"], vectors)
        assert str(arrays["space"]) == "w"
    told = json.loads((tmp_path / "strips.json").read_text())
    assert (told["vectors"], told["rows"], told["control"]) == (vectors.tolist(), ["one", "two"], "directions")
    grid = ImageGrid(strips.images, 3)
    write(str(tmp_path / "grid.png"), [grid])
    np.testing.assert_array_equal(read(tmp_path / "strips.png"), read(tmp_path / "grid.png"))
