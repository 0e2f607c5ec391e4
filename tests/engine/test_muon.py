"""Muon: what it turns and how far, against singular values; that it goes on where it was saved."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from torch import nn

from engine.nn.diffusion.unet import UNet
from engine.nn.muon import RISING, RMS, Muon, optimiser, orthogonal


@pytest.mark.parametrize("shape", [(24, 24), (12, 200), (200, 12), (1, 5)])
def test_singular_vectors_stay_and_singular_values_become_one(shape: tuple[int, int]) -> None:
    torch.manual_seed(0)
    x = torch.randn(shape)
    u, s, vh = torch.linalg.svd(x, full_matrices=False)
    turned = u.T @ orthogonal(x) @ vh.T
    values = turned.diagonal()[s > 1e-2 * s.sum()]
    assert values.min() > 0.65
    assert values.max() < 1.25
    assert (turned - turned.diagonal().diag()).abs().max() < 1e-3
    assert orthogonal(torch.zeros(shape)).abs().max() == 0


def test_a_step_is_as_long_as_the_rate_says_whatever_the_gradient() -> None:
    torch.manual_seed(0)
    for scale in (1e-6, 1e3):
        kernel, bias = nn.Parameter(torch.zeros(16, 8, 3, 3)), nn.Parameter(torch.zeros(50))
        tool = Muon([kernel], [bias], 0.01)
        tool.param_groups[0]["steps"] = tool.param_groups[1]["steps"] = RISING  # as if it had risen already
        kernel.grad, bias.grad = scale * torch.randn_like(kernel), scale * torch.randn(50)
        tool.step()
        # sixteen singular values of about 1 in 16 x 72 places, times sqrt(72)
        expected = 0.01 * RMS * math.sqrt(16 / (16 * 72)) * math.sqrt(72)
        assert float(kernel.detach().square().mean().sqrt()) == pytest.approx(expected, rel=0.2)
        assert bool((kernel.flatten(1).T @ kernel.grad.flatten(1)).trace() < 0)


def test_what_is_no_matrix_moves_as_adam_moves_it() -> None:
    torch.manual_seed(0)
    mine, theirs = nn.Parameter(torch.ones(6)), nn.Parameter(torch.ones(6))
    muon, adam = Muon([], [mine], 0.0), torch.optim.Adam([theirs], 0.0)
    for i in range(80):
        rate = 0.02
        muon.param_groups[0]["lr"] = rate
        adam.param_groups[0]["lr"] = rate * min(1, (i + 1) / RISING)
        mine.grad = torch.randn(6) * (1 + i)
        theirs.grad = mine.grad.clone()
        muon.step()
        adam.step()
    assert torch.allclose(mine, theirs, atol=1e-6)
    assert (mine - 1).abs().min() > 1e-3


def test_the_net_is_shared_out_between_them_and_nothing_is_left() -> None:
    net = UNet((1, 16, 16), 8, 3)
    tool = optimiser("Muon", net, 1e-3, ends=(net.first, net.last))
    matrices, others = (group["params"] for group in tool.param_groups)
    assert {id(p) for p in matrices} | {id(p) for p in others} == {id(p) for p in net.parameters()}
    assert len(matrices) + len(others) == len(list(net.parameters()))
    assert all(p.dim() == 4 for p in matrices)
    assert any(p is net.last.weight for p in others)
    assert any(p is net.first.weight for p in others)
    assert isinstance(optimiser("Adam", net, 1e-3), torch.optim.Adam)


def test_it_goes_on_bit_for_bit_where_it_was_saved() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(2, 4, 3), nn.GroupNorm(2, 4), nn.Conv2d(4, 2, 1))
    tool = optimiser("Muon", net, 3e-3)
    x = torch.randn(5, 2, 6, 6)

    def learn(model: nn.Module, by: torch.optim.Optimizer) -> float:
        loss = (model(x) - 1).square().mean()
        by.zero_grad()
        loss.backward()
        by.step()
        return float(loss.detach())

    first = learn(net, tool)
    for _ in range(60):
        learn(net, tool)
    other = copy.deepcopy(net)
    again = optimiser("Muon", other, 1.0)
    again.load_state_dict(copy.deepcopy(tool.state_dict()))
    for _ in range(3):
        assert learn(net, tool) == learn(other, again) < 0.8 * first
