"""What a study of Gaussians shows of itself: pictures of them, photographs straightened, held-out figures.

Knows no growth and no loss; the questions themselves are in :mod:`engine.nn.gaussians.probes`.
"""

from __future__ import annotations

import torch
from torch import Tensor

from engine.data.rays import Rays
from engine.nn.gaussians.gaussians import Gaussians
from engine.nn.gaussians.pinhole import Shot
from engine.nn.generator.generator import weights_state
from engine.nn.looking.common import RadianceStudy
from engine.nn.looking.likeness import WINDOW, ssim_map
from engine.nn.splatting import Picture, Projected, View, project, rasterise


class SplatStudy(RadianceStudy):
    """Base of studies whose model is Gaussians in space, learned from captures."""

    gaussians: Gaussians
    shots: dict[str, list[Shot]]
    """The photographs of each split, straightened."""
    _seen: tuple[tuple[int, ...], dict[int, Tensor]] | None = None

    # ---- what a study gives ----

    @property
    def degree(self) -> int:
        """The degree of the harmonics that are used by now."""
        raise NotImplementedError

    @property
    def antialiased(self) -> bool:
        """Whether opacities make up for the width that a pixel adds."""
        raise NotImplementedError

    # ---- pictures ----

    def projected(self, view: View) -> Projected:
        """The Gaussians as they lie in the picture of ``view``."""
        g = self.gaussians
        return project(g.xyz, g.scales, g.turns, g.opacity, g.sh, view, self.degree, self.antialiased)

    @torch.no_grad()
    def picture(self, view: View, ground: Tensor) -> Picture:
        """What ``view`` sees over a ``ground`` (3,)."""
        g = self.gaussians
        return rasterise(
            g.xyz, g.scales, g.turns, g.opacity, g.sh, view, ground, self.degree, self.antialiased
        )[0]  # fmt: skip

    def shot(self, reference: str) -> Shot:
        """The photograph that ``train:3`` or ``held_out:0`` names, straightened; those that are learned from stand in
        where nothing is held out. DataError where there is none."""
        photo = self.photo(reference)
        split = photo.view.split
        return self.shots[split][[each is photo for each in self.source.photos[split]].index(True)]

    # ---- held-out figures ----

    def evaluate(self, batch: Rays) -> dict[str, Tensor]:
        shots = self.shots["held_out"] or self.shots["train"]
        square, alike = torch.zeros(2, len(batch), device=self.device)
        large = all(min(shot.view.width, shot.view.height) >= WINDOW for shot in shots)
        for number in batch.view.unique().tolist():
            rays, view = batch.view == number, shots[number].view
            own = batch.directions[rays] @ view.pose[:3, :3].T
            scale, middle, size = (own.new_tensor(x) for x in self._inside(view))
            at = ((own[:, :2] / own[:, 2:] * scale + middle) / size * 2 - 1)[None, None]
            made = self._held_out(number, shots[number]).movedim(-1, 0)[None]
            seen = torch.nn.functional.grid_sample(made, at, padding_mode="border", align_corners=False)[0, :, 0].T
            truth = torch.lerp(self.ground.expand(len(seen), 3), batch.rgb[rays], batch.alpha[rays])
            square[rays], alike[rays] = (seen[:, :3] - truth).square().mean(1), seen[:, 3]
        return {"mse": square, "ssim": alike} if large else {"mse": square}

    @staticmethod
    def _inside(view: View) -> tuple[tuple[float, float], tuple[float, float], tuple[int, int]]:
        return (view.fx, view.fy), (view.cx, view.cy), (view.width, view.height)

    def _held_out(self, number: int, shot: Shot) -> Tensor:
        """A held-out photograph's view as it is drawn, and how alike the two are there, (H, W, 4): drawn once for the
        present Gaussians."""
        state = weights_state(self), int(self.gaussians.steps), len(self.gaussians)
        if self._seen is None or self._seen[0] != state:
            self._seen = state, {}
        kept = self._seen[1]
        if number not in kept:
            made = self.picture(shot.view, self.ground).rgb.clamp(0, 1)
            kept[number] = torch.cat([made, self._alike_everywhere(made, shot)[..., None]], 2)
        return kept[number]

    def _alike_everywhere(self, made: Tensor, shot: Shot) -> Tensor:
        """How alike a photograph and what is ``made`` (H, W, 3) of it are about each pixel (H, W), as radiance fields
        are held against their photographs; 1 where the photograph says nothing."""
        truth = shot.over(self.ground)
        if min(truth.shape[:2]) < WINDOW:
            return torch.ones_like(truth[..., 0])
        if shot.counts is not None:
            made = torch.where(shot.counts[..., None] > 0, made, truth)
        return ssim_map(truth, made)
