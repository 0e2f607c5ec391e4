"""Pairs made from pictures: where lines lie, what a hand does to them, which pictures stand on which side."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from engine.data.images import ImageSource, Part
from engine.data.pairs import CLASSES, DETAIL, DRAWINGS, KINDS, Pairs, edges, grey, low_detail, outline, roughened
from engine.data.tensors import ImageTensors

CPU = torch.device("cpu")


def square(side: int = 16, colour: tuple[float, ...] = (0.9, 0.2, 0.1)) -> Tensor:
    """A coloured square of the pixels 4..11 on white."""
    x = torch.ones(1, len(colour), side, side)
    x[:, :, 4:12, 4:12] = torch.tensor(colour)[:, None, None]
    return x


def source(classes: int = 4, count: int = 40, seed: int = 5) -> ImageTensors:
    """Grey pictures that are all different; the brightness of a corner is the class."""
    rng = np.random.default_rng(0)
    labels = np.arange(count, dtype=np.int64) % classes
    images = rng.integers(0, 256, (count, 8, 8, 1), dtype=np.uint8)
    images[:, 0, 0, 0] = images[:, 0, 7, 0] = labels  # both corners, for pictures are mirrored
    half = count // 2
    parts = (Part(images[:half], labels[:half]), Part(images[half:], labels[half:]))
    return ImageTensors(ImageSource("t", "t", "", (), *parts), CPU, seed)


def test_edges_of_a_step_are_one_black_pixel_wide_and_nowhere_else() -> None:
    x = torch.ones(1, 3, 12, 12)
    x[..., 6:] = 0.3
    lines = edges(x)
    assert lines.shape == x.shape
    assert torch.equal(lines.sum((0, 1, 2)) / 36, torch.tensor([1.0] * 5 + [0.0] + [1.0] * 6))
    assert torch.equal(edges(x.transpose(2, 3)), lines.transpose(2, 3))


def test_edges_go_around_a_square_in_any_channel_and_a_flat_picture_has_none() -> None:
    for colour in ((0.2, 1.0, 1.0), (1.0, 1.0, 0.2)):  # the edge is in one channel alone
        ink = 1 - edges(square(colour=colour))[0, 0]
        assert 24 <= ink.sum() <= 40  # the square's girth is 32
        assert ink[6:10, 6:10].sum() == 0
        assert ink[:2].sum() == ink[14:].sum() == 0
    assert (edges(torch.full((1, 1, 9, 9), 0.4)) == 1).all()


def test_a_step_below_faint_is_no_line_and_faint_can_differ_from_picture_to_picture() -> None:
    x = torch.ones(2, 1, 8, 8)
    x[..., 4:] = 0.8  # a slope of 0.1
    lines = edges(x, torch.tensor([0.02, 0.12]))
    assert lines[0].min() == pytest.approx(0.2, abs=1e-5)  # 0.08 of a tenth's rise
    assert (lines[1] == 1).all()


def test_an_outline_fills_holes_that_edges_see() -> None:
    x = square()
    x[:, :, 7:9, 7:9] = 1.0
    assert (1 - edges(x))[0, 0, 6:10, 6:10].sum() >= 2
    assert (1 - outline(x))[0, 0, 6:10, 6:10].sum() == 0
    dark = 1 - outline(1 - x)[0, 0]  # on black as well
    assert 24 <= dark.sum() <= 40


def test_grey_is_the_brightness_and_low_detail_the_mean_of_squares() -> None:
    x = torch.rand(2, 3, 32, 32)
    assert torch.allclose(grey(x)[:, 1], 0.299 * x[:, 0] + 0.587 * x[:, 1] + 0.114 * x[:, 2])
    coarse = low_detail(x)
    assert torch.allclose(coarse[0, 0, :4, 4:8], x[0, 0, :4, 4:8].mean().expand(4, 4))
    assert len(coarse[0, 0].unique()) == DETAIL * DETAIL
    assert len(low_detail(torch.rand(1, 1, 8, 8)).unique()) == 16  # half of a small picture's side


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 32, 32), (1, 28, 28), (3, 9, 17)])
@pytest.mark.parametrize("kind", sorted(DRAWINGS))
def test_every_drawing_has_the_shape_of_its_picture(kind: str, shape: tuple[int, int, int]) -> None:
    x = torch.rand(3, *shape)
    drawing = DRAWINGS[kind](x)
    assert drawing.shape == x.shape
    assert drawing.min() >= 0
    assert drawing.max() <= 1
    assert torch.allclose(drawing[1:2], DRAWINGS[kind](x[1:2]), atol=1e-6)  # of its own picture alone


def test_rough_lines_stay_near_the_line_and_are_the_same_for_the_same_random_state() -> None:
    lines = torch.ones(64, 3, 32, 32)
    lines[..., 16] = 0
    torch.manual_seed(3)
    rough = roughened(lines)
    torch.manual_seed(3)
    assert torch.equal(rough, roughened(lines))
    ink = (1 - rough)[:, 0]
    assert torch.equal(rough[:, 0], rough[:, 2])
    near = ink[:, :, 12:21].sum()
    assert near > 0.98 * ink.sum()  # it strays a pixel or two
    mass = ink.sum((1, 2))
    assert mass.std() > 3, "some are thicker than others"
    assert 20 < mass.mean() < 60
    assert (ink.amax(2) < 0.2).any(), "some have gaps"
    assert (roughened(torch.ones(4, 1, 8, 8)) == 1).all(), "an empty sheet stays empty"


def test_pairs_are_aligned_and_deterministic() -> None:
    data = source()
    x = data.held_out[:6].float() / 255
    for kind in DRAWINGS:
        a, b = Pairs(data, kind).pair(x)
        assert torch.equal(b, x)
        assert torch.equal(a, DRAWINGS[kind](x))
        turned = Pairs(data, kind, turned=True).pair(x)
        assert torch.equal(turned[0], b)
        assert torch.equal(turned[1], a)
    torch.manual_seed(0)
    a, b = Pairs(data, "edges").paired(x)
    assert torch.equal(a, edges(b)), "mirrored together"
    mirrored = [bool(torch.equal(y, z.flip(2))) for y, z in zip(b, x, strict=True)]
    assert any(mirrored)
    assert not all(mirrored)
    torch.manual_seed(0)
    again = Pairs(data, "edges").paired(x)
    assert torch.equal(again[0], a)
    assert torch.equal(again[1], b)


def same_picture(x: Tensor, among: Tensor) -> list[int]:
    """Which of ``among`` each picture is, mirrored or not."""
    found = []
    for y in x:
        apart = torch.minimum((among - y).abs().amax((1, 2, 3)), (among - y.flip(2)).abs().amax((1, 2, 3)))
        found += (apart < 1e-5).nonzero()[:, 0].tolist()
    assert len(found) == len(x)
    return found


def test_unpaired_sides_share_no_picture_and_depend_on_the_seed() -> None:
    torch.manual_seed(1)
    sets = []
    for seed in (5, 5, 6):
        data = source(seed=seed)
        pairs = Pairs(data, "low detail", turned=True)
        all_of_them = data.train.float() / 255
        sides = [set(same_picture(pairs.unpaired(200)[0], all_of_them))]
        b = pairs.unpaired(200)[1]
        sides.append(set(same_picture(b, low_detail(all_of_them))))
        assert not sides[0] & sides[1]
        assert len(sides[0]) == len(sides[1]) == 10
        sets.append(sides)
    assert sets[0] == sets[1]
    assert sets[0] != sets[2]


def test_two_classes_stand_on_their_sides() -> None:
    data = source()
    pairs = Pairs(data, CLASSES, classes=(2, 1))
    assert not pairs.known
    a, b = pairs.unpaired(30)
    assert (a[:, 0, 0, 0] * 255).round().unique().tolist() == [2]
    assert (b[:, 0, 0, 0] * 255).round().unique().tolist() == [1]
    a, b = Pairs(data, CLASSES, turned=True, classes=(2, 9)).held_out(7, 3)
    assert (a[:, 0, 0, 0] * 255).round().unique().tolist() == [3], "the last class there is"
    assert (b[:, 0, 0, 0] * 255).round().unique().tolist() == [2]
    assert len(a) == len(b) == 7


def test_held_out_pictures_are_chosen_by_the_seed_and_go_round() -> None:
    data = source()
    pairs = Pairs(data, "grey")
    a, b = pairs.held_out(45, 1)
    assert torch.equal(a, grey(b))
    assert torch.equal(b[:20], b[20:40]), "there are twenty"
    assert torch.equal(pairs.held_out(45, 1)[1], b)
    assert not torch.equal(pairs.held_out(45, 2)[1], b)


def test_lines_can_be_drawn_only_where_a_is_lines() -> None:
    data = source()
    drawable = {(kind, turned) for kind in KINDS for turned in (False, True) if Pairs(data, kind, turned).drawable}
    assert drawable == {("edges", False), ("outline", False)}
    assert Pairs(data, "edges").grey == (True, False)
    assert Pairs(data, "grey", turned=True).grey == (False, True)
    assert Pairs(data, "low detail").grey == Pairs(data, CLASSES).grey == (False, False)
