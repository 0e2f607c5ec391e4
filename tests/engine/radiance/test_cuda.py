"""The Triton kernels against plain torch: on a CUDA device, or with TRITON_INTERPRET=1 on the processor."""

from __future__ import annotations

import os
from importlib.util import find_spec

import pytest
import torch
from torch import Tensor

from engine.nn.radiance import compositing, forms
from engine.nn.radiance.hash_grid import HashGrid
from engine.nn.radiance.occupancy import Occupancy
from engine.nn.radiance.sampling import aabb

INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
DEVICE = torch.device("cuda" if torch.cuda.is_available() and not INTERPRETED else "cpu")

pytestmark = pytest.mark.skipif(
    find_spec("triton") is None or (DEVICE.type == "cpu" and not INTERPRETED), reason="needs Triton and a CUDA device"
)


def random(*size: int, seed: int = 0) -> Tensor:
    return torch.rand(*size, generator=torch.Generator().manual_seed(seed)).to(DEVICE)


def test_triton_is_the_best_form_of_a_cuda_device() -> None:
    from engine.nn.radiance.cuda.trial import works

    assert works(DEVICE)
    if DEVICE.type == "cuda":
        assert forms.best(DEVICE) == "triton"


@pytest.mark.parametrize("features", [1, 2, 4])
def test_the_hash_grid_and_its_gradients(features: int) -> None:
    grid = HashGrid(5, 10, features, coarsest=4, finest=60).to(DEVICE)
    with torch.no_grad():
        grid.table.normal_()
    given = random(700, grid.size, seed=1) - 0.5
    found = []
    for form in ("plain", "triton"):
        x = random(700, 3) * 2.2 - 1.1
        x.requires_grad_()
        out = grid(x, form=form)
        found.append((out.detach(), *torch.autograd.grad(out, (x, grid.table), given)))
    for plain, triton in zip(*found, strict=True):
        torch.testing.assert_close(triton, plain, rtol=1e-4, atol=5e-4)


@pytest.mark.parametrize("dense", [3.0, 80.0])
def test_compositing_and_its_gradients(dense: float) -> None:
    counts = (random(70) * 30).long()
    counts[:3] = 0
    m = int(counts.sum())
    delta, t, starts = random(m, seed=2) * 0.2, random(m, seed=3) + 2, counts.cumsum(0) - counts
    given = [random(70, 3, seed=4), random(70, seed=5), random(70, seed=6), random(m, seed=7)]
    found = []
    for form in ("plain", "triton"):
        inputs = ((random(m, seed=8) * dense).requires_grad_(), random(m, 3, seed=9).requires_grad_())
        outputs = compositing.composite_packed(*inputs, delta, t, starts, counts, form)
        found.append([out.detach() for out in outputs] + list(torch.autograd.grad(outputs, inputs, given)))
    for plain, triton in zip(*found, strict=True):
        torch.testing.assert_close(triton, plain, rtol=1e-3, atol=2e-5)


@pytest.mark.parametrize(("cone", "cascades", "most"), [(0.0, 1, 1024), (0.0, 3, 9), (0.02, 3, 1024)])
def test_marching_finds_the_plain_one_s_samples(cone: float, cascades: int, most: int) -> None:
    grid = Occupancy([-1.0, -1.0, -0.8], [1.0, 1.2, 0.8], 16, cascades).to(DEVICE)
    grid.update(lambda p: (p.norm(dim=1) < 0.6).float() * 20, count=None)
    origins = torch.nn.functional.normalize(random(100, 3) - 0.5, dim=1) * 3
    directions = torch.nn.functional.normalize(random(100, 3, seed=1) - 0.5 - origins, dim=1)
    near, far = aabb(origins, directions, *grid.outer)
    jitter = random(100, seed=2)
    plain, triton = (
        grid.march(origins, directions, near, far, 0.03, cone, most, jitter, form) for form in ("plain", "triton")
    )
    assert len(plain) > 500
    for name in ("points", "t", "delta", "ray", "starts", "counts"):
        assert torch.equal(getattr(plain, name), getattr(triton, name)), name


def test_nothing_to_do_is_no_error() -> None:
    none, counts = torch.zeros(0, device=DEVICE), torch.zeros(2, dtype=torch.long, device=DEVICE)
    outputs = compositing.composite_packed(none, none.view(0, 3), none, none, counts, counts, "triton")
    assert outputs[1].tolist() == [0, 0]
    grid = HashGrid(2, 6, 2, 4, 8).to(DEVICE)
    assert grid(torch.zeros(0, 3, device=DEVICE), form="triton").shape == (0, grid.size)
    space = Occupancy([-1.0] * 3, [1.0] * 3, 8).to(DEVICE)
    empty = space.march(none.view(0, 3), none.view(0, 3), none, none, 0.1, form="triton")
    assert len(empty) == 0
