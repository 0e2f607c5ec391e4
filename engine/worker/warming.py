"""What takes seconds once in a process, done while nobody waits: what torch, the equations, the digits and the compiled
kernels of radiance fields and of files import."""

from __future__ import annotations

from collections.abc import Generator

FEATURES = 2
"""Numbers in each entry of the hash grids that the studies begin with: a kernel is compiled for as many."""


def warm_up() -> Generator[None, None, None]:
    """Yields between two parts, so that an order that comes meanwhile is not kept waiting for all of them."""
    import torch
    from torch import nn

    # The first optimiser of a process imports the compiler (1.5 s), its first step makes the thread pool.
    net = nn.Sequential(nn.Conv2d(1, 4, 4, 2, 1), nn.ReLU(), nn.Flatten(), nn.Linear(64, 1))
    optimizer = torch.optim.Adam(net.parameters())
    yield
    net(torch.zeros(2, 1, 8, 8)).sum().backward()
    optimizer.step()
    yield
    from engine.formats.equations import svg

    svg("x")
    yield
    from engine import data

    data.load("digits")
    yield
    from engine.nn.radiance import forms

    if forms.best(torch.device("cpu")) == forms.COMPILED:
        # Half a second to read; seconds, of all the program's runs once, to compile: the last of all that is done here.
        from engine.nn.radiance.compiled import compositing, marching  # noqa: F401  # what importing them compiles

        yield
        from engine.nn.radiance.compiled.hashing import kernels

        kernels(FEATURES)
        yield
        from engine.formats.scene import gathering  # noqa: F401
