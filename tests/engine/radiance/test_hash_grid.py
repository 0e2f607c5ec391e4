"""The hash grid's compiled form against plain torch: values, gradients, threads; and the choice of forms."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec

import pytest
import torch

from engine.nn.fields import encodings
from engine.nn.radiance import forms
from engine.nn.radiance.hash_grid import HashGrid


@pytest.fixture
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def filled(features: int, form: str | None = None) -> HashGrid:
    torch.manual_seed(0)
    grid = HashGrid(5, 10, features, coarsest=4, finest=60, form=form)  # the first levels fit, the others are hashed
    with torch.no_grad():
        grid.table.normal_()
    return grid


def places(count: int) -> torch.Tensor:
    x = torch.rand(count, 3, generator=torch.Generator().manual_seed(1)) * 2 - 1
    x[0], x[1], x[2] = 1.0, -1.0, torch.tensor([1.3, 0.2, -1.1])  # corners, and outside the box
    return x


@pytest.mark.parametrize("features", [1, 2, 4])
def test_the_compiled_form_reads_what_plain_torch_reads(features: int) -> None:
    grid, x = filled(features), places(300)
    plain, compiled = grid(x, form="plain"), grid(x, form="compiled")
    assert plain.shape == (300, grid.size)
    assert torch.equal(plain[:, :3], x)
    torch.testing.assert_close(compiled, plain, rtol=1e-5, atol=2e-6)
    same = encodings.HashGrid(5, 10, features, 4, 60)
    same.load_state_dict(grid.state_dict())
    assert torch.equal(same(x), plain), "it is the grid that the other fields have"


@pytest.mark.parametrize("features", [2, 4])
def test_the_compiled_gradients_are_the_plain_ones(features: int) -> None:
    grid = filled(features)
    given = torch.randn(300, grid.size, generator=torch.Generator().manual_seed(2))
    found = []
    for form in ("plain", "compiled"):
        x = places(300).requires_grad_()
        found.append(torch.autograd.grad(grid(x, form=form), (x, grid.table), given))
    for plain, compiled in zip(*found, strict=True):
        torch.testing.assert_close(compiled, plain, rtol=1e-4, atol=2e-4)


def test_the_gradient_of_the_table_by_finite_differences() -> None:
    """It is linear in the table, so a large step is exact up to rounding."""
    grid, x = filled(2), places(50)
    given = torch.randn(50, grid.size)
    (slope,) = torch.autograd.grad(grid(x, form="compiled"), grid.table, given)
    way = torch.randn_like(grid.table)
    with torch.no_grad():
        before = (grid(x, form="compiled").double() * given).sum()
        grid.table += way
        after = (grid(x, form="compiled").double() * given).sum()
    assert float(after - before) == pytest.approx(float((slope.double() * way).sum()), rel=1e-4)


def test_the_gradient_in_space_by_finite_differences() -> None:
    grid = filled(2).double()
    x = (places(20)[3:].double()).requires_grad_()
    assert torch.autograd.gradcheck(lambda p: grid(p), (x,), eps=1e-7, atol=1e-3)


@pytest.mark.usefixtures("two_threads")
def test_two_threads_compute_what_one_does_bit_for_bit() -> None:
    grid, x = filled(2), places(20_000)
    given = torch.randn(20_000, grid.size)
    both = []
    for threads in (1, 2):
        torch.set_num_threads(threads)
        at = x.clone().requires_grad_()
        out = grid(at, form="compiled")
        both.append((out.detach(), *torch.autograd.grad(out, (at, grid.table), given)))
    for one, two in zip(*both, strict=True):
        assert torch.equal(one, two)


def test_no_place_at_all_is_no_error() -> None:
    grid = filled(2)
    out = grid(torch.zeros(0, 3), form="compiled")
    out.sum().backward()
    assert out.shape == (0, grid.size)
    assert grid.table.grad is not None
    assert grid.table.grad.abs().sum() == 0


def test_forms_are_chosen_by_the_device_alone() -> None:
    cpu = torch.device("cpu")
    assert forms.best(cpu) == ("compiled" if find_spec("numba") else "plain")
    assert forms.of(None, torch.zeros(1, dtype=torch.float64)) == "plain"
    assert forms.of("plain", torch.zeros(1)) == "plain"
    with pytest.raises(ValueError, match="form quick"):
        forms.of("quick", torch.zeros(1))
