"""Samples along rays: the box against points on the ray, the inverse transform against the density it draws from."""

from __future__ import annotations

import pytest
import torch

from engine.nn.radiance import sampling


def test_rays_enter_and_leave_the_box_where_its_walls_are() -> None:
    lo, hi = torch.tensor([-1.0, -2, 0]), torch.tensor([1.0, 2, 3])
    origins = torch.tensor([[-3.0, 0, 1], [0, 0, 1], [0, 0, 9], [5, 5, 5], [0, 0, -1], [-1, 0, 1]])
    directions = torch.tensor([[1.0, 0, 0], [0, 1, 0], [0, 0, 1], [1, 0, 0], [0, 0.6, 0.8], [0, 0, 1]])
    near, far = sampling.aabb(origins, directions, lo, hi)
    assert near.tolist() == pytest.approx([2, 0, 0, 0, 1.25, 0])
    assert far[:2].tolist() == pytest.approx([4, 2])
    assert far[2] == near[2] == 0, "the box is behind this one"
    assert far[3] == near[3] == 0, "this one misses"
    assert far[4].item() == pytest.approx(2 / 0.6)
    assert torch.isfinite(near).all()
    assert torch.isfinite(far).all()


def test_random_rays_are_inside_between_near_and_far_and_outside_elsewhere() -> None:
    generator = torch.Generator().manual_seed(1)
    lo, hi = torch.tensor([-1.0, -0.5, -0.7]), torch.tensor([0.8, 0.5, 1.0])
    origins = torch.randn(500, 3, generator=generator) * 2
    directions = torch.nn.functional.normalize(torch.randn(500, 3, generator=generator), dim=1)
    near, far = sampling.aabb(origins, directions, lo, hi)
    t = torch.linspace(0, 8, 800) + 1e-3
    points = origins[:, None] + t[:, None] * directions[:, None]
    inside = ((points > lo) & (points < hi)).all(2)
    said = (t > near[:, None]) & (t < far[:, None])
    clear = ((t - near[:, None]).abs() > 1e-4) & ((t - far[:, None]).abs() > 1e-4)
    assert (inside == said)[clear].all()
    assert 20 < int((far > near).sum()) < 480


def test_the_drawn_distances_have_the_histogram_of_the_weights() -> None:
    edges = torch.tensor([[0.0, 1, 1.5, 4, 5]]).expand(200, 5)
    weight = torch.tensor([[0.1, 0.4, 0.0, 0.5]]).expand(200, 4)
    t = sampling.hierarchical(edges, weight, 64, torch.Generator().manual_seed(0))
    assert t.shape == (200, 64)
    assert (t.diff(dim=1) >= 0).all()
    bins = torch.tensor([0.0, 0.5, 1, 1.25, 1.5, 4, 4.25, 4.5, 4.75, 5])
    found = torch.histogram(t.flatten(), bins).hist / t.numel()
    expected = torch.tensor([0.05, 0.05, 0.2, 0.2, 0.0, 0.125, 0.125, 0.125, 0.125])
    assert (found - expected).abs().max() < 3e-3  # stratified: far closer than independent draws would be


def test_without_jitter_the_draws_are_the_middles_of_equal_shares() -> None:
    t = sampling.hierarchical(torch.tensor([[0.0, 2.0, 4.0]]), torch.tensor([[1.0, 1.0]]), 4, jitter=False)
    assert t[0].tolist() == pytest.approx([0.5, 1.5, 2.5, 3.5], abs=1e-4)
    again = sampling.hierarchical(torch.tensor([[0.0, 2.0, 4.0]]), torch.zeros(1, 2), 4, jitter=False)
    assert again[0].tolist() == pytest.approx([0.5, 1.5, 2.5, 3.5], abs=1e-4), "no weight anywhere: evenly"
