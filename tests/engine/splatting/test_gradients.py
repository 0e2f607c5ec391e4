"""Gradients: the plain form's by finite differences in float64, for every input; the compiled form's against those."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from engine.nn.splatting import Projected, View, blend, project, rasterise, view_at

Make = Callable[..., tuple[Tensor, ...]]
NAMES = ("xyz", "scales", "turns", "opacity", "sh")


def seen_from(eye: tuple[float, float, float], width: int = 19, height: int = 18, fov: float = 40) -> View:
    view = view_at(eye, (0, 0, 0), (0, 0, 1), fov, width, height)
    return replace(view, pose=view.pose.double(), fy=view.fy * 1.2, cx=view.cx + 1)


def mixture(*parts: Tensor) -> Tensor:
    """Two sums of all numbers with random factors: every one of them counts, at the cost of two backward passes."""
    generator = torch.Generator().manual_seed(11)
    flat = torch.cat([part.reshape(-1) for part in parts])
    return torch.randn(2, len(flat), generator=generator, dtype=flat.dtype) @ flat


def learnt(parts: tuple[Tensor, ...]) -> list[Tensor]:
    return [part.clone().requires_grad_() for part in parts]


@pytest.mark.parametrize(("eye", "antialiased"), [((2.4, -3.0, 1.8), False), ((0.2, -0.6, 0.1), True)])
def test_the_projection_by_finite_differences(splats: Make, eye: tuple[float, float, float], antialiased: bool) -> None:
    """From near by as well, where means are out of the picture and the slope is held at its edge."""
    parts = learnt(splats(4, 0.3, 3, torch.float64, seed=1))
    view = seen_from(eye)
    shown = project(*parts, view, antialiased=antialiased).visible
    assert int(shown.sum()) >= 2
    slopes = (parts[0].detach() @ view.pose[:3, :3].T + view.pose[:3, 3])[shown]
    if eye[0] < 1:
        assert bool((slopes[:, :2] / slopes[:, 2:]).abs().gt(view.limits[1]).any()), "nothing is held at the edge"

    def mixed(*inputs: Tensor) -> Tensor:
        p = project(*inputs, view, antialiased=antialiased)
        return mixture(*(part[shown] for part in (p.centres, p.conics * 100, p.depth, p.rgb, p.opacity)))

    assert torch.autograd.gradcheck(mixed, parts, atol=1e-4)


def test_the_blending_by_finite_differences() -> None:
    """Over two by two tiles, one of them cut by the picture's edge; one splat is clipped, and one pixel done early."""
    generator = torch.Generator().manual_seed(5)
    n = 8
    centres = torch.rand(n, 2, generator=generator, dtype=torch.float64) * 18
    root = torch.randn(n, 2, 2, generator=generator, dtype=torch.float64) * 2
    cover = torch.linalg.inv(root @ root.transpose(1, 2) + 4 * torch.eye(2, dtype=torch.float64))
    conics = torch.stack([cover[:, 0, 0], cover[:, 0, 1], cover[:, 1, 1]], 1)
    opacity = torch.rand(n, generator=generator, dtype=torch.float64) * 0.9 + 0.05
    opacity[0] = 0.999
    rgb, depth = (torch.rand(n, *k, generator=generator, dtype=torch.float64) for k in ((3,), ()))
    depth[0] = -1
    inputs = [part.requires_grad_() for part in (centres, conics, rgb, opacity, depth)]
    ground = torch.tensor([0.1, 0.7, 0.4], dtype=torch.float64, requires_grad=True)
    visible, none = torch.ones(n, dtype=torch.bool), torch.zeros(n, dtype=torch.float64)

    def mixed(c: Tensor, k: Tensor, r: Tensor, o: Tensor, z: Tensor, g: Tensor) -> Tensor:
        p = blend(Projected(c, k, z, r, o, none, visible), 19, 18, g)
        return mixture(p.rgb, p.alpha, p.depth)

    assert torch.autograd.gradcheck(mixed, (*inputs, ground), atol=1e-4)


@pytest.mark.parametrize(
    ("eye", "size", "degree", "antialiased"),
    [
        ((2.4, -3.0, 1.8), 0.1, 3, False),
        ((2.4, -3.0, 1.8), 0.02, 2, True),
        ((0.2, -0.6, 0.1), 0.3, 1, True),
        ((9.0, 2.0, 5.0), 0.3, 0, False),
    ],
)
def test_the_compiled_gradients_are_the_plain_ones(
    splats: Make, eye: tuple[float, float, float], size: float, degree: int, antialiased: bool
) -> None:
    parts = splats(400, size, 3, torch.float64, seed=2)
    width, height = 53, 41
    view = seen_from(eye, width, height)
    generator = torch.Generator().manual_seed(0)
    given = [torch.randn(height, width, *k, generator=generator, dtype=torch.float64) for k in ((3,), (), ())]
    found = []
    for form, dtype in (("plain", torch.float64), ("compiled", torch.float32)):
        inputs = [part.detach().clone().to(dtype).requires_grad_() for part in parts]
        ground = torch.tensor([0.2, 0.5, 0.9], dtype=dtype, requires_grad=True)
        picture, seen = rasterise(*inputs, view, ground, degree, antialiased, absolute=True, form=form)
        seen.centres.retain_grad()
        outputs = (picture.rgb, picture.alpha, picture.depth)
        torch.autograd.backward(outputs, [part.to(dtype) for part in given])
        assert seen.absolute is not None
        found.append(
            [
                *(part.detach() for part in outputs),
                seen.centres.grad,
                seen.absolute.grad,
                ground.grad,
                *(part.grad for part in inputs),
            ]
        )
    names = ("rgb", "alpha", "depth", "centres", "absolute", "ground", *NAMES)
    for name, plain, compiled in zip(names, *found, strict=True):
        assert plain is not None
        assert compiled is not None
        assert compiled.shape == plain.shape, name
        scale = plain.abs().amax().clamp_min(1e-6)
        off = (compiled.double() - plain).abs()
        assert float(off.amax() / scale) < 2e-3, name
        assert float(off.mean() / plain.abs().mean().clamp_min(1e-9)) < 1e-3, name
    sizes, gradient = found[1][4], found[1][3]
    assert bool((sizes >= gradient.abs() * (1 - 1e-4) - 1e-6).all())
    assert float(sizes.sum()) > 1.5 * float(gradient.abs().sum()), "nothing ever cancelled: the gauge tells nothing new"
    if degree < 3:
        assert not found[1][-1][:, (degree + 1) ** 2 :].any()


def test_gradients_do_not_depend_on_the_number_of_threads(splats: Make) -> None:
    """To the last bit: a training is resumed on another machine."""
    parts = splats(20000, 0.03, 1)
    view = view_at((2.4, -3.0, 1.8), (0, 0, 0), (0, 0, 1), 40, 96, 80)
    found, before = [], torch.get_num_threads()
    try:
        for threads in (1, 3):
            torch.set_num_threads(threads)
            inputs = learnt(parts)
            picture, _ = rasterise(*inputs, view, torch.zeros(3), form="compiled")
            picture.rgb.square().sum().backward()
            found.append([picture.rgb.detach(), *(part.grad for part in inputs)])
    finally:
        torch.set_num_threads(before)
    for one, three in zip(*found, strict=True):
        assert one is not None
        assert torch.equal(one, three)


def test_splats_learn_a_picture(splats: Make) -> None:
    """All gradients point the right way: sixty steps bring strangers a good deal nearer to the picture."""
    view = view_at((2.4, -3.0, 1.8), (0, 0, 0), (0, 0, 1), 40, 24, 24)
    wanted = rasterise(*splats(30, 0.3, 0, seed=7), view, torch.zeros(3))[0].rgb
    inputs = learnt(splats(30, 0.3, 0, seed=8))
    adam = torch.optim.Adam(inputs, 0.03)
    losses = []
    for _ in range(60):
        loss = (rasterise(*inputs, view, torch.zeros(3))[0].rgb - wanted).square().mean()
        losses.append(float(loss.detach()))
        adam.zero_grad()
        loss.backward()
        adam.step()
    assert losses[-1] < 0.1 * losses[0]
