"""Looking at a model without disturbing its training. Knows no study: modules in, modules as they were out."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterable, Iterator

import numpy as np
import torch


@contextlib.contextmanager
def private_random(device: torch.device, seed: int) -> Iterator[None]:
    """Within, every random generator starts from ``seed``; afterwards each goes on as if nothing had been drawn."""
    cpu = torch.get_rng_state()
    cuda = torch.cuda.get_rng_state(device) if device.type == "cuda" else None
    plain, numpys = random.getstate(), np.random.get_state()
    try:
        torch.manual_seed(seed)
        random.seed(seed)
        np.random.seed(seed)
        yield
    finally:
        torch.set_rng_state(cpu)
        if cuda is not None:
            torch.cuda.set_rng_state(cuda, device)
        random.setstate(plain)
        np.random.set_state(numpys)


@contextlib.contextmanager
def looking(parts: Iterable[torch.nn.Module], device: torch.device, seed: int) -> Iterator[None]:
    """Eval mode, no gradients, private random numbers. Modes, gradients and random states are put back at the end,
    whatever happens within; code that needs gradients turns them on for itself with ``torch.enable_grad``."""
    parts = list(parts)
    modes = [(module, module.training) for part in parts for module in part.modules()]
    gradients = [(p, p.grad) for part in parts for p in part.parameters()]
    with private_random(device, seed), torch.no_grad():
        try:
            for module, _ in modes:
                module.training = False
            for p, _ in gradients:
                p.grad = None  # a backward pass within must not add to what training has gathered
            yield
        finally:
            for module, mode in modes:
                module.training = mode
            for p, gradient in gradients:
                p.grad = gradient
