"""Blending and what is asked about it, against closed forms; what the forms have to do with what makes no sense."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from engine.data.captures.camera import Intrinsics, from_opencv
from engine.nn.splatting import (
    Projected,
    blend,
    blend_2d,
    contributions,
    forms,
    project,
    rasterise,
    use,
    view_at,
    view_of,
)
from engine.nn.splatting.compiled.tiles import nearest_first
from engine.params import BadValue

Make = Callable[..., tuple[Tensor, ...]]
FORMS = ("plain", "compiled")


def flat(n: int, opacity: float, sigma: float = 3.0) -> dict[str, Tensor]:
    """n round splats on the same pixel (the middle of an 11 x 9 picture), each with a colour of its own."""
    return {
        "centres": torch.tensor([[5.5, 4.5]]).repeat(n, 1),
        "conics": torch.tensor([[1 / sigma**2, 0.0, 1 / sigma**2]]).repeat(n, 1),
        "rgb": torch.eye(3)[torch.arange(n) % 3],
        "opacity": torch.full((n,), opacity),
    }


@pytest.mark.parametrize("form", FORMS)
def test_one_splat_is_a_gaussian_over_the_ground(form: str) -> None:
    ground = torch.tensor([0.1, 0.2, 0.8])
    picture = blend_2d(**flat(1, 0.7), width=11, height=9, ground=ground, form=form)
    for row, column in ((4, 5), (4, 8), (0, 0), (8, 10)):
        square = (column - 5) ** 2 + (row - 4) ** 2
        alpha = 0.7 * math.exp(-square / 18)
        expected = torch.tensor([alpha, 0, 0]) + (1 - alpha) * ground
        torch.testing.assert_close(picture.rgb[row, column], expected, atol=1e-6, rtol=0)
        assert picture.alpha[row, column].item() == pytest.approx(alpha, abs=1e-6)
    faint = blend_2d(**flat(1, 0.7, 1.0), width=11, height=9, ground=ground, form=form)
    # exp(-d^2 / 2) = 1 / (255 * 0.7) at d = 3.22: three pixels aside something is drawn, four aside nothing at all.
    assert faint.alpha[4, 8].item() == pytest.approx(0.7 * math.exp(-4.5), abs=1e-6)
    assert faint.alpha[4, 9].item() == 0


@pytest.mark.parametrize("form", FORMS)
def test_the_first_is_in_front_and_light_runs_out(form: str) -> None:
    """Alphas of 0.9 leave 0.1, 0.01, 0.001 and then 1e-4 of the light: the pixel is done before a fifth, or at once
    before what would leave less."""
    picture = blend_2d(**flat(3, 0.5), width=11, height=9, ground=torch.ones(3), form=form)
    assert picture.rgb[4, 5].tolist() == pytest.approx([0.5 + 0.125, 0.25 + 0.125, 0.125 + 0.125], abs=1e-6)
    assert picture.depth[4, 5].item() == pytest.approx(0.25 + 2 * 0.125, abs=1e-6)  # depths are 0, 1, 2
    dark = blend_2d(**flat(3, 0.98), width=11, height=9, ground=torch.ones(3), form=form)
    # 0.98, then 0.02 * 0.98; the third would leave 8e-6 and is not drawn: the ground shines through instead.
    assert dark.alpha[4, 5].item() == pytest.approx(1 - 0.02**2, abs=1e-6)
    assert dark.rgb[4, 5].tolist() == pytest.approx([0.98 + 4e-4, 0.0196 + 4e-4, 4e-4], abs=1e-6)
    clipped = blend_2d(**flat(1, 1.0), width=11, height=9, ground=torch.ones(3), form=form)
    assert clipped.alpha[4, 5].item() == pytest.approx(0.99, abs=1e-6)


@pytest.mark.parametrize("form", FORMS)
def test_nothing_to_draw_is_the_ground(splats: Make, form: str) -> None:
    ground = torch.tensor([0.3, 0.6, 0.9])
    view = view_at((2.4, -3.0, 1.8), (0, 0, 0), (0, 0, 1), 40, 33, 20)
    behind = view_at((2.4, -3.0, 1.8), (24, -30, 18), (0, 0, 1), 40, 33, 20)
    some = splats(50)
    for parts, where in ((splats(0), view), (some, behind)):
        inputs = [part.clone().requires_grad_() for part in parts]
        picture, seen = rasterise(*inputs, where, ground, form=form)
        assert torch.equal(picture.rgb.detach(), ground.expand(20, 33, 3))
        assert float(picture.alpha.detach().sum() + picture.depth.detach().sum()) == 0
        assert not seen.visible.any()
        picture.rgb.sum().backward()
        assert all(part.grad is None or not part.grad.any() for part in inputs)
        assert int(use(seen, 33, 20, form=form).pixels.sum()) == 0


def test_numbers_that_are_not_finite_are_not_drawn(splats: Make) -> None:
    """A training that has gone wrong must not take the process with it."""
    view = view_at((2.4, -3.0, 1.8), (0, 0, 0), (0, 0, 1), 40, 33, 20)
    good = splats(60)
    bad = [part.clone() for part in good]
    bad[0][3] = torch.nan
    bad[1][5] = torch.inf
    bad[2][7] = torch.nan
    bad[3][9] = torch.nan
    picture, seen = rasterise(*bad, view, torch.zeros(3), form="compiled")
    assert bool(picture.rgb.isfinite().all())
    assert not seen.visible[[3, 5, 7, 9]].any()
    kept = torch.ones(60, dtype=torch.bool)
    kept[[3, 5, 7, 9]] = False
    rest, _ = rasterise(*(part[kept] for part in good), view, torch.zeros(3), form="compiled")
    torch.testing.assert_close(picture.rgb, rest.rgb)
    p = project(*good, view)
    for part, value in ((p.centres, torch.nan), (p.conics, torch.inf), (p.conics, torch.nan), (p.centres, 1e30)):
        part[:, 0] = value
        blend(p, 33, 20, torch.zeros(3), form="compiled")


def test_a_needle_across_the_picture_is_whole(splats: Make) -> None:
    """Ten thousand times as long as wide: its conic's determinant is lost to rounding."""
    xyz, _, _, _, sh = splats(1, degree=0)
    view = view_at((0.0, -3.0, 0.0), (0, 0, 0), (0, 0, 1), 40, 200, 150)
    parts = (torch.zeros_like(xyz), torch.tensor([[6.0, -9.0, -9.0]]), torch.tensor([[0.92, 0, 0.38, 0]]))
    for form in FORMS:
        picture, seen = rasterise(*parts, torch.tensor([4.0]), sh, view, torch.zeros(3), form=form)
        assert seen.visible.all()
        crossed = (picture.alpha > 0.3).any(1)
        assert int(crossed.sum()) == 150, form


def test_contributions_are_what_the_pixel_is_made_of(splats: Make) -> None:
    parts = splats(300, 0.15, 1, torch.float64)
    view = view_at((2.4, -3.0, 1.8), (0, 0, 0), (0, 0, 1), 40, 33, 20)
    picture, seen = rasterise(*parts, view, torch.zeros(3))
    for row, column in ((10, 16), (3, 20), (19, 32)):
        found = contributions(seen, column + 0.5, row + 0.5)
        colour = (found.weight[:, None] * seen.rgb[found.index]).sum(0)
        torch.testing.assert_close(colour, picture.rgb[row, column])
        torch.testing.assert_close(found.weight.sum(), picture.alpha[row, column])
        assert bool((seen.depth[found.index].diff() >= 0).all())
        torch.testing.assert_close(found.weight, found.alpha * found.transmittance)
    assert len(contributions(seen, 16.5, 10.5).index) > 5


def test_use_is_the_sum_of_the_contributions(splats: Make) -> None:
    parts = splats(200, 0.15, 0)
    view = view_at((2.4, -3.0, 1.8), (0, 0, 0), (0, 0, 1), 40, 33, 20)
    seen = project(*parts, view)
    most, total, pixels = torch.zeros(200), torch.zeros(200), torch.zeros(200, dtype=torch.long)
    for row in range(20):
        for column in range(33):
            found = contributions(seen, column + 0.5, row + 0.5)
            most[found.index] = torch.maximum(most[found.index], found.weight)
            total[found.index] += found.weight
            pixels[found.index] += found.weight > 0
    assert int((pixels > 0).sum()) > 100
    for form in FORMS:
        counted = use(seen, 33, 20, form)
        torch.testing.assert_close(counted.most, most, atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(counted.total, total, atol=1e-4, rtol=1e-4)
        assert int((counted.pixels - pixels).abs().sum()) <= 2  # an alpha of 1 / 255 up to rounding


def test_nearest_first_is_a_stable_sort() -> None:
    random = np.random.default_rng(0)
    depth = random.normal(size=5000).astype(np.float32).round(2)
    depth[:3] = [0.0, -0.0, 1e-30]
    order = nearest_first(depth)
    assert (np.diff(depth[order]) >= 0).all()
    same = np.diff(depth[order]) == 0
    same &= (depth[order][1:] != 0) | (np.signbit(depth[order][1:]) == np.signbit(depth[order][:-1]))
    assert (np.diff(order)[same] > 0).all()


def test_the_view_of_a_photograph_projects_as_its_camera() -> None:
    camera = Intrinsics(64, 48, 70.0, 75.0, 30.0, 26.0)
    random = np.random.default_rng(1)
    turn = np.linalg.qr(random.normal(size=(3, 3)))[0]
    pose = np.eye(4)
    pose[:3, :3] = turn * np.sign(np.linalg.det(turn))
    pose[:3, 3] = [0.3, -0.2, 3.0]
    pose = from_opencv(pose)
    points = random.uniform(-0.4, 0.4, (20, 3))
    expected = camera.project((points - pose[:3, 3]) @ pose[:3, :3])
    view = view_of(camera, pose)
    n = len(points)
    xyz = torch.from_numpy(points)
    rest = (torch.zeros(n, 3), torch.ones(n, 4), torch.zeros(n), torch.zeros(n, 1, 3))
    seen = project(xyz, *(part.double() for part in rest), view)
    np.testing.assert_allclose(seen.centres.numpy(), expected, atol=1e-4)
    np.testing.assert_allclose(view.eye.numpy(), pose[:3, 3], atol=1e-5)
    with pytest.raises(BadValue, match="straighten"):
        view_of(replace(camera, lens="opencv", radial=(0.1,)), pose)


def test_a_camera_s_text_stands_upright() -> None:
    view = view_at((3.0, 0.0, 0.0), (0, 0, 0), (0, 0, 1), 90, 40, 20)
    pose = view.pose
    middle = pose @ torch.tensor([0.0, 0, 0, 1])
    assert middle.tolist() == pytest.approx([0, 0, 3, 1], abs=1e-6)
    above = pose @ torch.tensor([0.0, 0, 3, 1])  # 45 degrees up: the upper edge of the picture
    assert view.fy * float(above[1] / above[2]) + view.cy == pytest.approx(0, abs=1e-4)
    right = pose @ torch.tensor([0.0, 1.0, 0, 1])  # seen from +x, +y is to the right
    assert float(right[0]) == pytest.approx(1, abs=1e-6)


def test_a_form_is_chosen_by_device_and_precision() -> None:
    assert forms.of(None, torch.zeros(1, dtype=torch.float64)) == "plain"
    assert forms.of(None, torch.zeros(1)) == "compiled"
    with pytest.raises(ValueError, match="form fast: not one of"):
        forms.of("fast", torch.zeros(1))
    none = torch.zeros(0)
    with pytest.raises(ValueError, match="form fast"):
        blend(Projected(none.view(0, 2), none.view(0, 3), none, none.view(0, 3), none, none, none.bool()), 4, 4,
              torch.zeros(3), form="fast")  # fmt: skip
