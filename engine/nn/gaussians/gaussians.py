"""The Gaussians of a scene as what is learned: parameters, of which there may be more or fewer tomorrow.

Knows no camera, no loss and no rule of growth. The numbers are those of INRIA's files: logits, logarithms and
quaternions of any length (Kerbl et al. 2023, section 5.1).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from engine.nn.pictures import array
from engine.scene import Splats

C0 = 0.28209479177387814
"""The spherical harmonic of degree 0."""
NAMES = ("xyz", "dc", "rest", "opacity", "scales", "turns")
"""The parameters, row i of each is Gaussian i."""
STATISTICS = ("slope", "seen")
"""The buffers that have a row for each Gaussian, too."""
FIRST_OPACITY = 0.1


class Crowd(nn.Module):
    """Parameters with a row for each member of a crowd that grows and shrinks; the parameters stay the same objects,
    so that an optimiser goes on with them. A state of another number of members is taken as it is."""

    steps: Tensor
    """How many training steps it has taken."""

    def __init__(
        self,
        parameters: Mapping[str, Tensor],
        statistics: tuple[str, ...] = (),
        fixed: Mapping[str, Tensor] | None = None,
    ) -> None:
        super().__init__()
        self.learned = tuple(parameters)
        self.names = (*self.learned, *(fixed or {}))
        """All that a member has, learned or not."""
        self.statistics = statistics
        self.register_buffer("steps", torch.zeros((), dtype=torch.long))
        for name, value in parameters.items():
            learns = value.numel() > 0  # of harmonics of degree 0 there is no rest to learn
            self.register_parameter(name, nn.Parameter(value.detach().clone(), requires_grad=learns))
        for name, value in (fixed or {}).items():
            self.register_buffer(name, value.detach().clone())
        for name in statistics:
            self.register_buffer(name, torch.zeros(len(self)))

    def __len__(self) -> int:
        return len(self.get_parameter(self.names[0]))

    def rows(self, pick: Tensor) -> dict[str, Tensor]:
        """The numbers of some of them, by parameter: ``pick`` is a mask or indices."""
        return {name: getattr(self, name).detach()[pick] for name in self.names}

    @torch.no_grad()
    def change(self, keep: Tensor, more: Mapping[str, Tensor], optimizer: torch.optim.Optimizer | None) -> None:
        """Leaves those of the mask ``keep`` (N,) and puts ``more`` of them behind; what the optimiser remembers goes
        with those that stay and is 0 for the new ones, and statistics begin anew."""
        keep = keep.to(self.steps.device)
        for name in self.names:
            value = getattr(self, name)
            new = more[name].to(value)
            value.data = torch.cat([value.data[keep], new])
            value.grad = None
            moments = {} if optimizer is None else optimizer.state.get(value, {})
            for key, moment in moments.items():
                if isinstance(moment, Tensor) and moment.ndim:  # the count of steps has no rows
                    moments[key] = torch.cat([moment[keep], torch.zeros_like(new)])
        self.forget()

    def forget(self) -> None:
        """Statistics of training begin anew."""
        for name in self.statistics:
            self.get_buffer(name).data = torch.zeros(len(self), device=self.steps.device)

    def _load_from_state_dict(self, state_dict: Any, prefix: str, *args: Any) -> None:
        rows = {len(value) for name in self.names if (value := state_dict.get(prefix + name)) is not None}
        if len(rows) == 1:  # else torch finds what is wrong with it, and says so
            count = rows.pop()
            for name in (*self.names, *self.statistics):
                mine = getattr(self, name)
                if len(mine) != count:
                    mine.data = mine.new_zeros((count, *mine.shape[1:]))
        super()._load_from_state_dict(state_dict, prefix, *args)


def fit_moments(module: Crowd, optimizer: torch.optim.Optimizer) -> None:
    """Lets an optimiser begin anew with parameters whose number has changed behind its back: weights alone were
    loaded."""
    for name in module.learned:
        parameter = module.get_parameter(name)
        state = optimizer.state.get(parameter, {})
        if any(isinstance(value, Tensor) and value.ndim and value.shape != parameter.shape for value in state.values()):
            del optimizer.state[parameter]


class Gaussians(Crowd):
    """N Gaussians: means ``xyz`` (N, 3), ``dc`` (N, 1, 3) and ``rest`` (N, K - 1, 3) of the colours' harmonics, logits
    ``opacity`` (N,), logarithms of deviations ``scales`` (N, 3) and quaternions ``turns`` (N, 4) w x y z."""

    xyz: nn.Parameter
    dc: nn.Parameter
    rest: nn.Parameter
    opacity: nn.Parameter
    scales: nn.Parameter
    turns: nn.Parameter
    slope: Tensor
    """Sums of how much the loss would fall if the mean moved in a picture (half a picture's width is 1)."""
    seen: Tensor
    """In how many pictures each was seen since the sums began."""

    def __init__(self, xyz: Tensor, rgb: Tensor, scale: Tensor, degree: int, opacity: float = FIRST_OPACITY) -> None:
        """Balls with deviations ``scale`` (N,) and colours ``rgb`` (N, 3) in 0..1 at ``xyz`` (N, 3)."""
        count = len(xyz)
        turns = torch.zeros(count, 4, device=xyz.device)
        turns[:, 0] = 1
        super().__init__(
            {
                "xyz": xyz.float(),
                "dc": ((rgb.float() - 0.5) / C0)[:, None],
                "rest": torch.zeros(count, (degree + 1) ** 2 - 1, 3, device=xyz.device),
                "opacity": torch.full((count,), opacity, device=xyz.device).logit(),
                "scales": scale.float().log()[:, None].expand(-1, 3),
                "turns": turns,
            },
            STATISTICS,
        )

    @property
    def sh(self) -> Tensor:
        """The harmonics (N, K, 3)."""
        return torch.cat([self.dc, self.rest], 1)

    @property
    def degree(self) -> int:
        return round((1 + self.rest.shape[1]) ** 0.5) - 1


def splats_of(gaussians: Gaussians, name: str, pick: Tensor | None = None, **how: Any) -> Splats:
    """The Gaussians, or those of ``pick``, as a thing of a scene; ``how`` are other fields of it."""
    rows = gaussians.rows(torch.arange(len(gaussians), device=gaussians.xyz.device) if pick is None else pick)
    sh = torch.cat([rows["dc"], rows["rest"]], 1)
    return Splats(
        name=name,
        xyz=array(rows["xyz"]),
        scales=array(rows["scales"]),
        turns=array(rows["turns"]),
        opacity=array(rows["opacity"]),
        sh=np.ascontiguousarray(array(sh)),
        **how,
    )
