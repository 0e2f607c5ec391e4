"""Where rays meet the surface f = 0 of a function, and how that place moves when the function does.

Forward by marching to the first change of sign and the secant method from there; backward by implicit differentiation:
nothing of the search is remembered (Niemeyer et al. 2020, Differentiable Volumetric Rendering, section 3). f < 0 is
free, f >= 0 is filled. Plain torch for any device and precision; knows no network.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

Function = Callable[[Tensor], Tensor]
"""Places (N, 3) -> values (N,)"""

LEAST_SLOPE = 0.5
"""The slope of f along a ray where it enters is taken to be at least this, so that a ray that only grazes the surface
does not throw it anywhere."""


@dataclass(frozen=True)
class March:
    """Even steps along rays: distances ``t`` and values ``f`` (R, S). Ray r passes from free to filled first between
    its samples ``at[r]`` and ``at[r] + 1`` where ``hit[r]``; ``inside`` bool (R,): it begins where it is filled."""

    t: Tensor
    f: Tensor
    hit: Tensor
    inside: Tensor
    at: Tensor

    def of(self, which: Tensor) -> March:
        """That of the rays ``which`` int64 (N,) alone."""
        return March(self.t[which], self.f[which], self.hit[which], self.inside[which], self.at[which])


@torch.no_grad()
def march(function: Function, o: Tensor, d: Tensor, near: Tensor, far: Tensor, steps: int, shift: Tensor) -> March:
    """``steps`` values between ``near`` and ``far`` (R,) of rays (R, 3), one in each even part of them, all of a ray at
    the share ``shift`` (R,) 0..1 of its part. Rays with far == near hit nothing."""
    share = (torch.arange(steps, device=o.device, dtype=o.dtype) + shift[:, None]) / steps
    t = near[:, None] + share * (far - near)[:, None]
    f = function((o[:, None] + t[..., None] * d[:, None]).reshape(-1, 3)).view(t.shape)
    there = far > near
    enters = (f[:, :-1] < 0) & (f[:, 1:] >= 0) & there[:, None]
    inside = (f[:, 0] >= 0) & there
    return March(t, f, enters.any(1) & ~inside, inside, enters.to(torch.uint8).argmax(1))


@torch.no_grad()
def secant(function: Function, o: Tensor, d: Tensor, found: March, iterations: int) -> tuple[Tensor, Tensor]:
    """The iterates of the secant method, distances and values (iterations + 2, R), for rays that all hit: the two
    samples of the march, then t_{k+1} = t_k - f_k (t_k - t_{k-1}) / (f_k - f_{k-1}). Where that leaves the bracket in
    which the sign changes, the chord of the bracket is taken instead; the last t is the surface."""
    pick = found.at[:, None]
    low, high = found.t.gather(1, pick)[:, 0], found.t.gather(1, pick + 1)[:, 0]
    f_low, f_high = found.f.gather(1, pick)[:, 0], found.f.gather(1, pick + 1)[:, 0]
    ts, fs = [low, high], [f_low, f_high]
    for _ in range(iterations):
        rise = fs[-1] - fs[-2]
        t = ts[-1] - fs[-1] * (ts[-1] - ts[-2]) / torch.where(rise == 0, torch.ones_like(rise), rise)
        chord = low - f_low * (high - low) / (f_high - f_low).clamp(min=torch.finfo(t.dtype).tiny)
        t = torch.where((t >= low) & (t <= high), t, chord.clamp(low, high))
        f = function(o + t[:, None] * d)
        filled = f >= 0
        low, f_low = torch.where(filled, low, t), torch.where(filled, f_low, f)
        high, f_high = torch.where(filled, t, high), torch.where(filled, f, f_high)
        ts.append(t)
        fs.append(f)
    return torch.stack(ts), torch.stack(fs)


def attached(function: Function, o: Tensor, d: Tensor, t: Tensor) -> Tensor:
    """The distances ``t`` (R,) of the surface along rays (R, 3), with the gradient that they have as f changes:
    dt/dtheta = -(grad f . d)^-1 df/dtheta, from f_theta(o + t d) = 0."""
    with torch.enable_grad():
        p = (o + t[:, None] * d).detach().requires_grad_()
        value = function(p)
        (slope,) = torch.autograd.grad(value.sum(), p, retain_graph=True)
        along = (slope * d).sum(1).clamp(min=LEAST_SLOPE)
        return t.detach() - (value - value.detach()) / along


def normals(function: Function, p: Tensor, keep: bool = False) -> Tensor:
    """Unit normals (N, 3) of the surfaces of f at places (N, 3), out of what is filled; ``keep`` for their gradient."""
    with torch.enable_grad():
        p = p.detach().requires_grad_()
        (slope,) = torch.autograd.grad(function(p).sum(), p, create_graph=keep)
    return -torch.nn.functional.normalize(slope, dim=1)
