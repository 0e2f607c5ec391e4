"""The CUDA forms against plain torch: on a CUDA device, or Triton's with TRITON_INTERPRET=1 on the processor."""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib.util import find_spec

import pytest
import torch
from torch import Tensor

from engine.nn.splatting import forms, project, rasterise, use, view_at

INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
DEVICE = torch.device("cuda" if torch.cuda.is_available() and not INTERPRETED else "cpu")
Make = Callable[..., tuple[Tensor, ...]]

pytestmark = pytest.mark.skipif(
    find_spec("triton") is None or (DEVICE.type == "cpu" and not INTERPRETED), reason="needs Triton and a CUDA device"
)


@pytest.mark.parametrize("antialiased", [False, True])
def test_the_picture_and_its_gradients(splats: Make, antialiased: bool) -> None:
    width, height = 33, 21
    view = view_at((2.4, -3.0, 1.8), (0, 0, 0), (0, 0, 1), 40, width, height)
    generator = torch.Generator().manual_seed(0)
    given = [torch.randn(height, width, *k, generator=generator).to(DEVICE) for k in ((3,), (), ())]
    found = []
    for form in ("plain", "cuda"):
        inputs = [part.to(DEVICE).requires_grad_() for part in splats(50, 0.1, 3)]
        ground = torch.tensor([0.2, 0.5, 0.9], device=DEVICE, requires_grad=True)
        picture, seen = rasterise(*inputs, view, ground, antialiased=antialiased, absolute=True, form=form)
        outputs = (picture.rgb, picture.alpha, picture.depth)
        torch.autograd.backward(outputs, given)
        assert seen.absolute is not None
        found.append(
            [*(part.detach() for part in outputs), seen.absolute.grad, ground.grad, *(part.grad for part in inputs)]
        )
    # gsplat clips alphas elsewhere.
    near = 0.02 if DEVICE.type == "cuda" and forms.has_gsplat() else 1e-3
    for plain, cuda in zip(*found, strict=True):
        assert plain is not None
        assert cuda is not None
        assert float((cuda - plain).abs().amax() / plain.abs().amax().clamp_min(1e-6)) < near


def test_use_and_an_empty_scene(splats: Make) -> None:
    view = view_at((2.4, -3.0, 1.8), (0, 0, 0), (0, 0, 1), 40, 20, 18)
    seen = project(*(part.to(DEVICE) for part in splats(60, 0.1, 0)), view, form="plain")
    plain, cuda = (use(seen, 20, 18, form) for form in ("plain", "cuda"))
    torch.testing.assert_close(cuda.most, plain.most, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(cuda.total, plain.total, rtol=1e-4, atol=1e-5)
    assert int((cuda.pixels - plain.pixels).abs().sum()) <= 1
    none = [part.to(DEVICE) for part in splats(0)]
    picture, _ = rasterise(*none, view, torch.ones(3, device=DEVICE), form="cuda")
    assert float(picture.rgb.min()) == 1
