"""A picture of Gaussians: what they are painted from, how they multiply, and what is said of a pixel."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.spatial.transform import Rotation

from engine.nn.gaussians.flat import BEGINNINGS, EDGES, GRID, Flat, begun
from engine.nn.gaussians.motifs import MOTIFS, motif
from engine.params import BadValue
from engine.payloads import Frames
from engine.registry import find
from engine.scene import Lines, Mesh, Scene, Splats
from engine.session import Session

STUDY = find().studies["splat_2d"]
SMALL = dict(picture="shapes", size=40, count=60, most=120, every=20)
WHITE = torch.ones(3)


def built(**knobs: Any) -> Session:
    return Session.build("splat_2d", STUDY, {**SMALL, **knobs}, 1, torch.device("cpu"), None)


def ask(session: Session, name: str, **controls: Any) -> Any:
    return next(iter(session.answer(name, controls)))


def one(angle: float, wide: float, tall: float, opacity: float) -> Flat:
    """A single orange Gaussian in the middle of a square picture."""
    flat = Flat(torch.tensor([[0.5, 0.5]]), torch.tensor([[1.0, 0.5, 0.0]]), 0.1)
    with torch.no_grad():
        flat.scales.copy_(torch.tensor([[wide, tall]]).log())
        flat.angle.fill_(angle)
        flat.opacity.fill_(math.log(opacity / (1 - opacity)))
    return flat


# ---- the Gaussians --------------------------------------------------------------------------------------------------


def test_a_gaussian_is_what_its_formula_says() -> None:
    flat = one(0.6, 0.2, 0.08, 0.7)
    with torch.no_grad():
        picture = flat.painted(32, 32, WHITE, flat.front_first())[0]
    y, x = (np.mgrid[:32, :32] + 0.5) / 32 - 0.5
    along, across = math.cos(0.6) * x + math.sin(0.6) * y, -math.sin(0.6) * x + math.cos(0.6) * y
    alpha = 0.7 * np.exp(-0.5 * ((along / 0.2) ** 2 + (across / 0.08) ** 2))
    alpha = np.where(alpha < 1 / 255, 0, alpha)
    assert np.allclose(picture.alpha.numpy(), alpha, atol=1e-4)
    assert np.allclose(picture.rgb.numpy(), alpha[..., None] * [1, 0.5, 0] + (1 - alpha[..., None]), atol=1e-4)


def test_the_least_order_is_in_front() -> None:
    flat = Flat(torch.full((2, 2), 0.5), torch.tensor([[1.0, 0, 0], [0, 0, 1.0]]), 0.3)
    with torch.no_grad():
        flat.opacity.fill_(4.0)
        red = flat.painted(8, 8, WHITE, flat.front_first())[0].rgb[4, 4]
        flat.order.copy_(torch.tensor([1.0, 0.0]))
        blue = flat.painted(8, 8, WHITE, flat.front_first())[0].rgb[4, 4]
    assert red[0] > 0.9 > 0.1 > red[2]
    assert blue[2] > 0.9 > 0.1 > blue[0]


@pytest.mark.parametrize("where", BEGINNINGS)
def test_they_begin_in_the_picture_with_its_colours(where: str) -> None:
    torch.manual_seed(0)
    target = torch.zeros(20, 40, 3)
    target[:, 20:] = torch.tensor([0.2, 0.6, 1.0])
    flat = begun(target, 200, where)
    at = flat.centre.detach()
    assert ((at >= 0) & (at <= torch.tensor([1.0, 0.5]))).all()
    right = at[:, 0] >= 0.5
    assert torch.equal(flat.rgb.detach()[right], target[0, 39].expand(int(right.sum()), 3))
    near = ((at[:, 0] - 0.5).abs() < 0.05).float().mean()
    assert near > 0.5 if where == EDGES else near < 0.25
    if where == GRID:
        assert torch.unique(at, dim=0).shape == at.shape


def test_wide_ones_are_split_in_their_own_place_of_the_order_narrow_ones_doubled() -> None:
    flat = Flat(torch.tensor([[0.2, 0.2], [0.5, 0.5], [0.8, 0.8]]), torch.rand(3, 3), 0.1)
    optimizer = torch.optim.Adam([getattr(flat, name) for name in flat.learned], 1e-3)
    with torch.no_grad():
        flat.scales[1] = math.log(0.01)
        flat.opacity[2] = -9.0
        flat.slope.copy_(torch.tensor([5.0, 5.0, 5.0]))
        flat.seen.fill_(1)
    assert flat.multiply(optimizer, 1.0, 0.05, 0.01, 100) == (1, 1, 1)
    assert flat.order.tolist() == [1.0, 1.0, 0.0, 0.0]
    torch.testing.assert_close(flat.scales[2:].exp(), torch.full((2, 2), 0.1 / 1.6))
    assert torch.equal(flat.centre[0], flat.centre[1])


# ---- the picture that is wished -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", MOTIFS)
def test_every_motif_has_the_size_that_is_wished(name: str) -> None:
    picture = motif(name, "", 50)
    assert max(picture.shape[:2]) == 50
    assert picture.shape[2] == 3
    assert picture.dtype == np.float32
    assert 0 <= picture.min() < 0.4 < 0.6 < picture.max() <= 1


def test_a_file_of_ones_own_is_painted_its_transparency_white(tmp_path: Path) -> None:
    pixels = np.zeros((20, 60, 4), np.uint8)
    pixels[:, 30:] = (255, 0, 0, 255)
    Image.fromarray(pixels).save(tmp_path / "half.png")
    picture = motif("cat", str(tmp_path / "half.png"), 30)
    assert picture.shape == (10, 30, 3)
    assert np.allclose(picture[:, 2], 1)
    assert np.allclose(picture[:, 27], [1, 0, 0])
    with pytest.raises(BadValue, match=r"^file: .*no such file"):
        built(file=str(tmp_path / "none.png"))
    (tmp_path / "text.png").write_text("no picture")
    with pytest.raises(BadValue, match=r"^file: "):
        built(file=str(tmp_path / "text.png"))


# ---- what is learned, and what is said of it ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def learned() -> Session:
    session = built()
    for _ in range(120):
        session.train_step()
    session.read_metrics()
    return session


def test_a_picture_is_learned_and_its_growth_is_marked(learned: Session) -> None:
    first = built()
    first.train_step()
    first.read_metrics()
    assert learned.latest["psnr"] > max(24.0, first.latest["psnr"] + 6)
    marks = [mark.text for mark in learned.read_marks()]
    assert marks
    assert marks[-1].endswith(f"{len(learned.study.flat)} Gaussians")  # type: ignore[attr-defined]
    assert 60 < len(learned.study.flat) <= 120  # type: ignore[attr-defined]


def test_without_growth_there_are_always_as_many() -> None:
    session = built(grow=False, every=10)
    for _ in range(25):
        session.train_step()
    assert len(session.study.flat) == 60  # type: ignore[attr-defined]
    assert not session.study.happened()


def test_painting_ends_with_the_picture_and_begins_with_none(learned: Session) -> None:
    moments = [part for part in learned.answer("build_up", {"steps": 5}) if isinstance(part, Frames)]
    compare = ask(learned, "compare")
    assert np.allclose(moments[0].images[0], 1)
    assert np.allclose(moments[-1].images[0], compare.images[1], atol=1e-6)
    assert [m.readings["PSNR, dB"] for m in moments][-1] > moments[0].readings["PSNR, dB"] + 5


def test_the_table_of_a_pixel_adds_up_to_its_colour_and_the_strongest_is_drawn_thick(learned: Session) -> None:
    study: Any = learned.study
    u, v = 17, 11
    scene = ask(learned, "ellipses", place=(((u + 0.5) / 40, 0.0, -(v + 0.5) / 40),))
    assert isinstance(scene, Scene)
    with torch.no_grad():
        made = study.painted(study.flat.front_first())[v, u].numpy()
    rows = scene.table
    assert scene.readings["in the pixel"] == len(rows) > 1
    weights = np.array([float(row[3]) for row in rows])
    colours = np.array([[float(c) for c in row[4].split()] for row in rows])
    assert np.allclose((weights[:, None] * colours).sum(0) + (1 - weights.sum()), made, atol=0.02)
    (chosen,) = (t for t in scene.things if t.name == "chosen")
    assert isinstance(chosen, Lines)
    strongest = int(rows[int(weights.argmax())][0].split()[0]) - 1
    number = int(study.flat.front_first()[strongest])
    middle = chosen.ends.reshape(-1, 3).mean(0)
    assert np.allclose(middle[[0, 2]] * [1, -1], study.flat.centre[number].detach(), atol=1e-3)
    outside = ask(learned, "ellipses", place=((2.0, 0.0, 0.0),))
    assert not outside.table
    assert "chosen" not in [t.name for t in outside.things]


def test_outlines_stand_apart_by_their_order_and_the_soft_ones_are_the_same_ellipses(learned: Session) -> None:
    study: Any = learned.study
    scene = ask(learned, "ellipses", apart=0.5, splats=True)
    things = {t.name: t for t in scene.things}
    count = len(study.flat)
    outlines, soft, picture = things["outlines"], things["Gaussians"], things["picture"]
    assert isinstance(outlines, Lines)
    assert isinstance(soft, Splats)
    assert isinstance(picture, Mesh)
    assert picture.texture.shape == (40, 40, 3)
    depth = outlines.ends.reshape(count, -1, 3)[:, 0, 1]
    assert (np.diff(depth) > 0).all()  # the viewer is at negative y, the first in front
    assert depth[0] == pytest.approx(-0.504)
    # a ring's points lie one deviation from the middle, in the splat's own axes as well
    turn = Rotation.from_quat(soft.turns[:, [1, 2, 3, 0]]).as_matrix()
    ring = outlines.ends.reshape(count, -1, 3).astype(np.float64) - soft.xyz[:, None]
    ring[..., 1] = 0
    own = ring @ turn / np.exp(soft.scales)[:, None]
    wide = np.exp(soft.scales[:, [0, 2]]).min(1) * 40 > 0.36  # narrower ones are painted wider
    assert np.allclose(np.linalg.norm(own[wide], axis=2), 1, atol=1e-3)
