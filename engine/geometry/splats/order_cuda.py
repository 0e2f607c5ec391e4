"""The exact order of splats on a CUDA device, where there is one and torch is there already. Knows no OpenGL.

The answer stays on the device, for a copy straight into the buffer that OpenGL draws from.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

if TYPE_CHECKING:
    import torch

STRETCHES, SHORTEST = 128, 32
"""Into how many stretches an order is cut by depths, and how many splats one has at least."""
KEPT = 2
"""Arrays of places that are kept on the device: a scene rarely has more things of splats."""
_places: dict[int, tuple[Any, torch.Tensor]] = {}


@dataclass(frozen=True, eq=False)
class OnCard:
    """Numbers int32 (M,) on a CUDA device, all work on which is done; ``marks`` as :class:`order.Order` has
    them."""

    tensor: torch.Tensor
    marks: Any = None

    def __len__(self) -> int:
        return len(self.tensor)

    @property
    def pointer(self) -> int:
        """Where on the device they lie."""
        return self.tensor.data_ptr()

    @property
    def device(self) -> int:
        """The number of the CUDA device."""
        return self.tensor.device.index or 0

    def host(self) -> NDArray[np.uint32]:
        """The same in the memory of the processor."""
        return np.asarray(self.tensor.cpu().numpy()).view(np.uint32)


def stretch_of(many: int) -> int:
    """Splats in a stretch of an order of ``many``."""
    return max(SHORTEST, -(-many // STRETCHES))


def card() -> torch.device | None:
    """The device to sort on. None without one, and before something else has imported torch: that takes seconds, which
    the first picture should not wait for."""
    torch = sys.modules.get("torch")
    if torch is None or not hasattr(torch, "cuda") or not torch.cuda.is_available():
        return None
    return torch.device("cuda", torch.cuda.current_device())


def sorted_ids(xyz: ArrayLike, ahead: ArrayLike, perspective: bool, device: torch.device) -> OnCard:
    """As :func:`order.exact_order` has them: of what is in front of the eye, the farthest first."""
    import torch

    with torch.no_grad():
        places = _on(xyz, device)
        row = torch.tensor(np.asarray(ahead, np.float32), device=device)
        depth = places[:, 0] * row[0] + places[:, 1] * row[1] + places[:, 2] * row[2] + row[3]
        there = depth > 0 if perspective else torch.isfinite(depth)
        index = torch.nonzero(there).squeeze(1)
        depths, order = torch.sort(depth[index], descending=True, stable=True)
        ids = index[order].to(torch.int32).contiguous()
        marks = depths[:: stretch_of(len(ids))].cpu().numpy()
        if device.type == "cuda":
            torch.cuda.current_stream(device).synchronize()
    return OnCard(ids, marks)


def _on(xyz: ArrayLike, device: torch.device) -> torch.Tensor:
    """The array on the device, copied once: the very same array is the same places."""
    import torch

    kept = _places.pop(id(xyz), None)
    if kept is None or kept[0] is not xyz or kept[1].device != device:
        kept = xyz, torch.tensor(np.asarray(xyz, np.float32), device=device)
    _places[id(xyz)] = kept
    while len(_places) > KEPT:
        del _places[next(iter(_places))]
    return kept[1]
