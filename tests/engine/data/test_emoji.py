"""Emoji: what a colour font draws, what it lacks, and the rendered set that is kept."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFont

from engine.data import Cancelled, DataError, emoji, load, options

FOUND = emoji.find_font()
with_font = pytest.mark.skipif(
    FOUND is None, reason="no colour emoji font on this machine (Debian: fonts-noto-color-emoji); its twin is tested"
)


@pytest.fixture
def twin(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A font file in a place of its own, and glyphs drawn as disks whose colour tells the code point; every third is
    missing, and every fifth is the box that stands for a missing one."""
    path = tmp_path / "fonts" / "sub" / "Twin.ttf"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"font")
    monkeypatch.setattr(emoji, "FONTS", (emoji.FontKind("Twin.ttf", "Twin", "free", (f"{tmp_path}/fonts/*",)),))
    monkeypatch.setattr(emoji, "open_font", lambda path: None)

    def draw(font: object, text: str, size: int) -> np.ndarray | None:
        code = ord(text)
        if code == 0x10FFFD or code % 5 == 0:
            return np.full((size, size, 3), 255, np.uint8)
        return None if code % 3 == 0 else np.full((size, size, 3), code % 251, np.uint8)

    monkeypatch.setattr(emoji, "draw", draw)
    return path


def test_a_twin_renders_names_labels_and_leaves_out_what_is_missing(twin: Path, tmp_path: Path) -> None:
    source = load("emoji", cache=tmp_path / "cache")
    codes = {name: code for code, name, _ in emoji.candidates()}
    count = 0
    for part in (source.train, source.held_out):
        for image, label, caption in zip(part.images, part.labels, part.captions, strict=True):
            code = codes[caption]
            assert code % 3
            assert code % 5
            assert image[0, 0, 0] == code % 251
            first, last, _ = emoji.BLOCKS[label]
            assert first <= code <= last
            count += 1
    assert count == sum(1 for code in codes.values() if code % 3 and code % 5)


def test_the_rendered_set_is_kept_and_made_anew_when_the_font_changes_or_it_is_damaged(
    twin: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / "cache"
    first = load("emoji64", cache=cache)
    (kept,) = cache.iterdir()
    drawn: list[str] = []
    whole = emoji.draw
    monkeypatch.setattr(emoji, "draw", lambda font, text, size: (drawn.append(text), whole(font, text, size))[1])
    again = load("emoji64", cache=cache)
    assert not drawn
    assert np.array_equal(first.train.images, again.train.images)
    assert first.train.captions == again.train.captions
    kept.write_bytes(kept.read_bytes()[:1000])
    assert np.array_equal(load("emoji64", cache=cache).train.images, first.train.images)
    assert drawn
    drawn.clear()
    twin.write_bytes(b"a newer font")
    load("emoji64", cache=cache)
    assert drawn


def test_a_cache_that_cannot_be_written_is_a_notice(twin: Path, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file where the folder should be")
    source = load("emoji", cache=tmp_path / "cache")
    assert len(source.notices) == 1
    assert "could not be kept for next time" in source.notices[0]


def test_rendering_can_be_cancelled_and_leaves_nothing(twin: Path, tmp_path: Path) -> None:
    heard: list[float] = []
    with pytest.raises(Cancelled):
        load("emoji", cache=tmp_path / "c", progress=lambda f, _: heard.append(f), cancelled=lambda: len(heard) > 3)
    assert heard == sorted(heard)
    assert not (tmp_path / "c").exists()


def test_no_font_is_a_reason_not_a_crash(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(emoji, "FONTS", (emoji.FontKind("None.ttf", "None", "free", (str(tmp_path),)),))
    option = next(o for o in options(tmp_path) if o.key == "emoji")
    assert not option.available
    assert option.reason.startswith("no colour emoji font found: install")
    with pytest.raises(DataError, match=r"^Emoji: no colour emoji font found: install"):
        load("emoji", cache=tmp_path)


def test_a_file_that_is_no_font_and_a_font_without_colour_are_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = tmp_path / "Fake.ttf"
    path.write_bytes(b"not a font at all")
    monkeypatch.setattr(emoji, "FONTS", (emoji.FontKind("Fake.ttf", "Fake", "free", (str(tmp_path),)),))
    with pytest.raises(DataError, match=r"Fake\.ttf: cannot be used as a font"):
        load("emoji", cache=tmp_path / "cache")
    black = ImageFont.load_default(40)  # Pillow's own, outlines only
    assert isinstance(black, ImageFont.FreeTypeFont)
    assert emoji.draw(black, "A", 32) is None
    monkeypatch.setattr(emoji, "open_font", lambda path: black)
    with pytest.raises(DataError, match="only 0 coloured emoji"):
        load("emoji", cache=tmp_path / "cache")


def test_candidates_are_named_and_no_mere_parts_of_an_emoji() -> None:
    codes = [code for code, _, _ in emoji.candidates()]
    assert len(codes) == len(set(codes))
    assert {0x1F600, 0x2764, 0x1F680, 0x1F9E0} <= set(codes)
    assert not {0x1F1E6, 0x1F3FB, 0x1F9B0, 0xFE0F, 0x200D} & set(codes)
    assert all(unicodedata.name(chr(code)).lower() == name for code, name, _ in emoji.candidates())


@with_font
def test_the_real_font_draws_a_yellow_face_a_red_heart_and_no_unassigned_character() -> None:
    assert FOUND is not None
    font = emoji.open_font(FOUND[1])
    face, heart = emoji.draw(font, "\U0001f600", 32), emoji.draw(font, "\N{HEAVY BLACK HEART}", 32)
    assert face is not None
    assert heart is not None
    r, _, b = face[16, 16:20].astype(int).mean(axis=0)
    assert r > 150
    assert r > b + 30
    for picture in (face, heart):
        assert (picture[0, 0] > 240).all()
    middle = heart[14, 16].astype(int)
    assert middle[0] > middle[1] + 80
    assert middle[0] > middle[2] + 80
    assert emoji.draw(font, "A", 32) is None or FOUND[0].file != "NotoColorEmoji.ttf"


@with_font
def test_the_real_glyphs_are_centred_and_blended_with_white() -> None:
    assert FOUND is not None
    font = emoji.open_font(FOUND[1])
    circle = emoji.draw(font, "\N{LARGE RED CIRCLE}", 64)
    assert circle is not None
    ink = 255.0 - circle.mean(axis=2)
    rows, columns = np.indices(ink.shape)
    assert (ink * rows).sum() / ink.sum() == pytest.approx(31.5, abs=1.5)
    assert (ink * columns).sum() / ink.sum() == pytest.approx(31.5, abs=1.5)
    assert Image.fromarray(circle).size == (64, 64)
    # Nothing on the way from red to white is darker than the red: transparent pixels lent no colour.
    assert circle[..., 0].min() > 150
