"""One file of the user's: upright, on white, cropped in the middle; and every way in which a file can be bad."""

from __future__ import annotations

import contextlib
import os
import struct
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from engine.data import DataError, read_image
from engine.data.picture import MAX_PIXELS

SHAPE = (32, 32, 3)


def png_header(width: int, height: int) -> bytes:
    """The beginning of a PNG that claims a size, and has almost no pixels."""
    body = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = struct.pack(">I", 9) + b"IDAT" + zlib.compress(b"")
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + body + struct.pack(">I", zlib.crc32(body)) + pixels


def saved(path: Path, image: Image.Image, **options: object) -> str:
    image.save(path, **options)  # type: ignore[arg-type]
    return str(path)


def quarters(width: int = 64, height: int = 64) -> Image.Image:
    """Red, green / blue, white."""
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[: height // 2, : width // 2] = (255, 0, 0)
    pixels[: height // 2, width // 2 :] = (0, 255, 0)
    pixels[height // 2 :, : width // 2] = (0, 0, 255)
    pixels[height // 2 :, width // 2 :] = (255, 255, 255)
    return Image.fromarray(pixels)


@pytest.mark.parametrize("ending", ["png", "bmp", "gif", "webp", "tif", "jpg"])
def test_formats(tmp_path: Path, ending: str) -> None:
    got = read_image(saved(tmp_path / f"a.{ending}", quarters()), SHAPE).astype(int)
    assert got.shape == SHAPE
    for (y, x), colour in {
        (8, 8): (255, 0, 0),
        (8, 24): (0, 255, 0),
        (24, 8): (0, 0, 255),
        (24, 24): (255,) * 3,
    }.items():
        assert np.abs(got[y, x] - colour).max() < 12


def test_the_result_is_ones_own_writable_array(tmp_path: Path) -> None:
    got = read_image(saved(tmp_path / "a.png", quarters()), SHAPE)
    assert got.dtype == np.uint8
    assert got.flags.writeable
    assert got.flags.c_contiguous


@pytest.mark.parametrize(("width", "height"), [(96, 32), (32, 96)])
def test_the_middle_is_kept(tmp_path: Path, width: int, height: int) -> None:
    pixels = np.zeros((height, width, 3), np.uint8)
    middle = (slice(None), slice(32, 64)) if width > height else (slice(32, 64), slice(None))
    pixels[middle] = 200
    assert (read_image(saved(tmp_path / "a.png", Image.fromarray(pixels)), SHAPE) == 200).all()


def test_other_shapes_than_squares(tmp_path: Path) -> None:
    got = read_image(saved(tmp_path / "a.png", quarters(80, 40)), (20, 40, 3))
    assert got.shape == (20, 40, 3)
    assert got[5, 10].tolist() == [255, 0, 0]
    assert got[15, 30].tolist() == [255, 255, 255]


def test_it_is_turned_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: rotate by 90 degrees clockwise to view
    got = read_image(saved(tmp_path / "a.jpg", quarters(), exif=exif, quality=95), SHAPE).astype(int)
    assert np.abs(got[8, 24] - (255, 0, 0)).max() < 20
    assert np.abs(got[8, 8] - (0, 0, 255)).max() < 20


def test_transparency_is_laid_on_white_and_lends_no_colour(tmp_path: Path) -> None:
    pixels = np.zeros((64, 64, 4), np.uint8)
    pixels[:, :32] = (255, 0, 0, 255)
    pixels[:, 32:] = (0, 255, 0, 0)  # green that nobody sees
    got = read_image(saved(tmp_path / "a.png", Image.fromarray(pixels)), SHAPE).astype(int)
    assert got[16, 4].tolist() == [255, 0, 0]
    assert got[16, 28].tolist() == [255, 255, 255]
    assert (got[..., 1] - got[..., 2]).max() == 0
    palette = quarters().quantize(4)
    palette.info["transparency"] = palette.getpixel((0, 0))
    got = read_image(saved(tmp_path / "p.png", palette), SHAPE)
    assert got[8, 8].tolist() == [255, 255, 255]
    assert got[8, 24].tolist() == [0, 255, 0]


def test_grey(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.png", quarters())
    got = read_image(path, (28, 28, 1))
    assert got.shape == (28, 28, 1)
    assert got[7, 7, 0] == pytest.approx(0.299 * 255, abs=1)
    assert (read_image(saved(tmp_path / "g.png", Image.new("L", (9, 9), 77)), SHAPE) == 77).all()


def test_sixteen_bits_are_scaled_not_clipped(tmp_path: Path) -> None:
    values = np.full((40, 40), 32768, np.uint16)
    values[:, 20:] = 65535
    got = read_image(saved(tmp_path / "a.png", Image.fromarray(values)), (32, 32, 1))
    assert got[16, 4, 0] == 128
    assert got[16, 28, 0] == 255
    floats = np.full((8, 8), 0.5, np.float32)
    floats[0, 0] = np.nan
    assert read_image(saved(tmp_path / "f.tif", Image.fromarray(floats)), (8, 8, 1))[4, 4, 0] == 128


def test_a_large_jpeg_is_read_at_a_fraction_of_its_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = saved(tmp_path / "a.jpg", quarters(1600, 1200))
    decoded: list[tuple[int, int]] = []
    resize = Image.Image.resize

    def spy(self: Image.Image, *args: object, **options: object) -> Image.Image:
        decoded.append(self.size)
        return resize(self, *args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(Image.Image, "resize", spy)
    got = read_image(path, SHAPE)
    assert decoded[0] == (200, 150)
    assert np.abs(got[8, 8].astype(int) - (255, 0, 0)).max() < 12


def bad_files(folder: Path) -> dict[str, tuple[str, str]]:
    """Every kind of bad file: name -> (path, what the message must say)."""
    folder.mkdir(exist_ok=True)
    whole = folder / "whole.png"
    Image.fromarray(np.random.RandomState(0).randint(0, 256, (64, 64, 3)).astype(np.uint8)).save(whole)
    data = whole.read_bytes()
    whole.unlink()
    bad = {
        "empty.png": (b"", "empty file"),
        "text.jpg": (b"this is no picture", "not an image that can be read"),
        "half.png": (data[: len(data) // 2], "truncated or damaged"),
        "head.png": (data[:40], "its beginning is damaged"),
        "magic.png": (b"X" + data[1:], "not an image that can be read"),
        "huge.png": (png_header(30_000, 3_000), "30000 x 3000 is 90 megapixels, more than the 64"),
        "bomb.png": (png_header(60_000, 60_000), "more than the 64 megapixels"),
        "liar.png": (png_header(5_000, 5_000), "truncated or damaged"),
        "flat.png": (png_header(0, 5), "."),
        "script.gif": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not an image that can be read"),
    }
    for name, (content, _) in bad.items():
        (folder / name).write_bytes(content)
    return {name: (str(folder / name), word) for name, (_, word) in bad.items()}


def test_bad_files_are_named_in_one_line(tmp_path: Path) -> None:
    for name, (path, word) in bad_files(tmp_path).items():
        with pytest.raises(DataError, match=word) as caught:
            read_image(path, SHAPE)
        message = str(caught.value)
        assert name in message
        assert "\n" not in message
        assert len(message) < len(path) + 200


def test_the_pixel_count_is_looked_at_before_decoding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "huge.png"
    path.write_bytes(png_header(MAX_PIXELS // 1000 + 1, 1000))

    def load(self: object) -> None:
        raise AssertionError("decoded")

    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", load)
    with pytest.raises(DataError, match="megapixels"):
        read_image(str(path), SHAPE)


def test_what_is_no_file_is_refused_without_waiting(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        read_image(str(tmp_path / "none.png"), SHAPE)
    with pytest.raises(DataError, match="a folder, not an image"):
        read_image(str(tmp_path), SHAPE)
    with pytest.raises(DataError, match="null"):
        read_image("a\0b.png", SHAPE)
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe.png")
        with pytest.raises(DataError, match="not a file"):
            read_image(str(tmp_path / "pipe.png"), SHAPE)


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights on Windows")
def test_circular_links_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.png").symlink_to("b.png")
    (tmp_path / "b.png").symlink_to("a.png")
    with pytest.raises(DataError, match=r"a\.png: a link that leads back to itself"):
        read_image(str(tmp_path / "a.png"), SHAPE)


def test_a_file_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = saved(tmp_path / "a.png", quarters())

    def refuse(*args: object, **options: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("builtins.open", refuse)  # as root, the tests may read everything
    with pytest.raises(DataError, match=r"a\.png: no permission to read it"):
        read_image(path, SHAPE)


def test_random_damage_never_escapes_as_another_error(tmp_path: Path) -> None:
    random = np.random.RandomState(4)
    for ending in ("png", "jpg", "gif", "bmp", "webp", "tif"):
        data = Path(saved(tmp_path / f"a.{ending}", quarters())).read_bytes()
        for _ in range(40):
            broken = bytearray(data)
            for place in random.randint(0, len(data), 6):
                broken[place] = random.randint(256)
            path = tmp_path / f"b.{ending}"
            path.write_bytes(broken[: random.randint(1, len(data) + 1)])
            with contextlib.suppress(DataError):
                assert read_image(str(path), SHAPE).shape == SHAPE
