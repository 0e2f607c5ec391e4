"""One picture painted with a few hundred Gaussians. Knows neither how they are blended nor how they are shown."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from engine.nn.gaussians import outlines
from engine.nn.gaussians.flat import BEGINNINGS, EDGES, begun
from engine.nn.gaussians.gaussians import fit_moments
from engine.nn.gaussians.histograms import histogram
from engine.nn.gaussians.motifs import MOTIFS, motif
from engine.nn.gaussians.similarity import ssim
from engine.nn.looking.common import decibels
from engine.nn.pictures import array
from engine.params import knob
from engine.payloads import Curves, Frames, ImageGrid
from engine.probes import Choice, Number, Place, Places, Steps, Toggle, probe
from engine.scene import Scene
from engine.study import Study, Term

WHITE = 1.0
NUMBERS = ("opacity", "length", "roundness")
MIDDLE = (0.5, 0.0, -0.5)


class Splat2D(Study):
    """A picture painted with soft ellipses: each has a place, two widths, an angle, a colour and an opacity, and all
    are moved at once, so that the picture that they blend to comes nearer to the one that is wished."""

    title, family = "A picture of Gaussians", "Gaussian splats"
    paper = "Kerbl et al. 2023 (3D Gaussian splatting), arXiv:2308.04079, in two dimensions"
    left = r"\mathcal{L}\;="
    objective = [
        Term(
            r"(1-\lambda)\,\frac{1}{|P|}\sum_{p\in P}\|C(p)-I(p)\|_1",
            "l1",
            "orange",
            "How far the colours of the pixels are from the picture's, the mean of the differences.",
        ),
        Term(
            r"+\;\lambda\,(1-\mathrm{SSIM}(C,I))",
            "dssim",
            "blue",
            "How unlike the patches are in brightness, contrast and structure, which keeps edges sharp.",
        ),
    ]
    try_this = (
        "Start with 40 Gaussians and growth off: each has to stand for a whole part of the face.",
        "Hover over Ellipses: the one that counts most at that pixel is drawn thick, and the table lists all.",
        "Play Painting it: from the back to the front, the large washes come first and the strokes lie over them.",
    )
    first_probes = ("compare", "ellipses")

    @dataclass
    class Params:
        picture: str = knob("astronaut", "The picture to paint, where no file is named.", choices=MOTIFS)
        file: str = knob("", "An image file of yours to paint in place of it.", path=True)
        size: int = knob(128, "Pixels along its longer side.", lo=16, hi=512, log=True)
        count: int = knob(200, "How many Gaussians it begins with.", lo=1, hi=5000, log=True, symbol="N")
        begin: str = knob(EDGES, "Where they begin: more of them at edges, in a grid, or anywhere.", choices=BEGINNINGS)
        weight: float = knob(0.2, "How much the likeness of patches counts beside that of pixels.", lo=0.0, hi=1.0,
                             symbol=r"\lambda", live=True)  # fmt: skip
        grow: bool = knob(True, "Whether Gaussians that pull hard at their place are split or doubled.", live=True)
        most: int = knob(600, "How many there may be.", lo=1, hi=20_000, log=True, live=True)
        every: int = knob(100, "Steps between two rounds of growth.", lo=10, hi=5000, log=True, live=True)
        until: int = knob(2000, "After so many steps there is no more growth.", lo=0, hi=100_000, live=True)
        pull: float = knob(3e-4, "Who pulls as hard as this grows.", lo=1e-6, hi=0.1, log=True, symbol=r"\tau",
                           live=True)  # fmt: skip
        small: float = knob(0.02, "Who is narrower than this share of the picture is doubled, not split.", lo=1e-3,
                            hi=1.0, log=True, live=True)  # fmt: skip
        least: float = knob(0.01, "Who is fainter than this is taken away when the others grow.", lo=1e-4, hi=0.5,
                            log=True, live=True)  # fmt: skip
        rate: float = knob(2e-2, "Step size of the Adam optimiser for colours, widths and angles; places move a tenth "
                           "as fast.", lo=1e-4, hi=0.2, log=True, symbol=r"\eta", live=True)  # fmt: skip
        halve: int = knob(800, "After how many steps the step size is halved, again and again.", lo=50, hi=100_000,
                          log=True, live=True)  # fmt: skip

    p: Params
    tiny = dict(size=24, count=30, most=40, every=10)

    # ---- the Gaussians ----

    def build(self, device: torch.device) -> None:
        self.target = torch.from_numpy(motif(self.p.picture, self.p.file, self.p.size)).to(device)
        self.flat = begun(self.target, self.p.count, self.p.begin)
        groups = [{"params": [getattr(self.flat, name)], "name": name} for name in self.flat.learned]
        self.optimizer = torch.optim.Adam(groups, self.p.rate, eps=1e-15, fused=True)

    def knob_changed(self, name: str) -> None:
        fit_moments(self.flat, self.optimizer)

    @property
    def _ground(self) -> Tensor:
        return torch.full((3,), WHITE, device=self.device)

    def painted(self, order: Tensor) -> Tensor:
        """The picture (H, W, 3) of those in ``order``, the first in front."""
        height, width = self.target.shape[:2]
        return self.flat.painted(width, height, self._ground, order)[0].rgb

    # ---- training ----

    def train_step(self, batch: None) -> dict[str, Tensor]:
        flat, done = self.flat, int(self.flat.steps)
        height, width = self.target.shape[:2]
        order = flat.front_first()
        picture, centres = flat.painted(width, height, self._ground, order)
        off = picture.rgb - self.target
        l1, dssim = off.abs().mean(), 1 - ssim(picture.rgb, self.target).mean()
        loss = (1 - self.p.weight) * l1 + self.p.weight * dssim
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        rate = self.p.rate * 0.5 ** (done / self.p.halve)
        for group in self.optimizer.param_groups:
            group["lr"] = 0.1 * rate if group["name"] == "centre" else rate
        self.optimizer.step()
        flat.steps += 1
        assert centres.grad is not None
        flat.slope[order] += (centres.grad * centres.grad.new_tensor([width / 2, height / 2])).norm(dim=1)
        flat.seen += 1
        done += 1
        if self.p.grow and done < self.p.until and done % self.p.every == 0:
            self._grow()
        mse = off.detach().square().mean()
        psnr = -10 * mse.clamp(min=1e-10).log10()
        return {
            "l1": l1.detach(),
            "dssim": dssim.detach(),
            "psnr": psnr,
            "hundred_gaussians": torch.tensor(len(flat) / 100),
        }

    def _grow(self) -> None:
        cloned, split, gone = self.flat.multiply(
            self.optimizer, self.p.pull, self.p.small, self.p.least, max(self.p.most, self.p.count)
        )
        if cloned + split + gone:
            self.mark(f"{cloned} doubled, {split} split, {gone} gone: {len(self.flat)} Gaussians")

    # ---- probes ----

    @probe(ImageGrid, title="Picture", refresh=0.5)
    def compare(self) -> ImageGrid:
        """The picture that is wished, the one that the Gaussians blend to, and four times the difference."""
        made = self.painted(self.flat.front_first()).clamp(0, 1)
        off = (made - self.target).abs()
        words = f"{len(self.flat)} Gaussians: PSNR {decibels(float(off.square().mean())):.2f} dB"
        words += f", SSIM {float(ssim(made, self.target).mean()):.3f}"
        return ImageGrid(
            array(torch.stack([self.target, made, (4 * off).clamp(0, 1)])),
            columns=3,
            captions=("wished", "painted", "difference x 4"),
            caption=words,
        )

    @probe(
        Scene,
        title="Ellipses",
        refresh=0.5,
        behind=Choice(("painted", "wished", "nothing"), text="What lies behind the outlines."),
        apart=Number(0.0, 0.0, 1.0, text="How far the outlines are drawn apart by their order, the front nearest."),
        splats=Toggle(False, text="Whether the Gaussians themselves float there, soft and coloured."),
        place=Places((MIDDLE,), 1e3, text="The pixel that is asked about: hover over the picture."),
    )
    def ellipses(self, behind: str, apart: float, splats: bool, place: tuple[Place, ...]) -> Scene:
        """The outline of each Gaussian, one deviation from its middle; the one that counts most below the pointer is
        drawn thick, and the table lists all that the pixel there is blended of, the front first."""
        height, width = self.target.shape[:2]
        order = self.flat.front_first()
        made = self.painted(order)
        backs = {"painted": made, "wished": self.target}
        things = outlines.things(
            self.flat, order, apart, array(backs[behind]) if behind in backs else None, (width, height), splats
        )
        x, _, z = place[0]
        u, v = x * max(width, height), -z * max(width, height)
        rows, chosen = outlines.below(self.flat, order, u, v, width, height)
        if chosen >= 0:
            things = (*things, outlines.chosen(self.flat, order, chosen, apart))
        mse = float((made.clamp(0, 1) - self.target).square().mean())
        middle = (width / max(width, height) / 2, -height / max(width, height) / 2)
        return Scene(
            things,
            caption=f"{len(order)} Gaussians" + (f", {len(rows)} in pixel {int(u)}, {int(v)}" if rows else ""),
            readings={"Gaussians": float(len(order)), "PSNR, dB": decibels(mse), "in the pixel": float(len(rows))},
            table=rows[: outlines.ROWS],
            table_heads=("Gaussian", "alpha", "T", "weight", "colour"),
            hover="place",
            home=((middle[0], -1.5, middle[1]), (middle[0], 0.0, middle[1])),
        )

    @probe(Frames, title="Painting it", steps=Steps(24, 2, 120, text="Pictures on the way."))
    def build_up(self, steps: int) -> Iterator[Frames]:
        """The picture as it is painted from the back to the front, Gaussian after Gaussian."""
        order = self.flat.front_first()
        for index in range(steps):
            count = math.ceil(len(order) * index / (steps - 1))
            made = self.painted(order[len(order) - count :]).clamp(0, 1)
            mse = float((made - self.target).square().mean())
            yield Frames(
                array(torch.stack([made, self.target])),
                columns=2,
                heads=("painted so far", "wished"),
                index=index,
                total=steps,
                caption=f"{count} of {len(order)} Gaussians",
                readings={"PSNR, dB": decibels(mse)},
            )

    @probe(
        Curves,
        title="How they differ",
        refresh=1.0,
        of=Choice(NUMBERS, text="Which number is counted: opacity, longer deviation in pixels, or shorter by longer."),
    )
    def numbers(self, of: str) -> Curves:
        """How many Gaussians have which opacity, length or roundness."""
        deviation = self.flat.scales.exp()
        if of == "opacity":
            return histogram(array(self.flat.opacity.sigmoid()), "opacity", (0.0, 1.0))
        if of == "length":
            pixels = max(self.target.shape[:2])
            return histogram(
                array(deviation.amax(1) * pixels), "longer deviation in pixels, by powers of ten", log=True
            )
        return histogram(array(deviation.amin(1) / deviation.amax(1)), "shorter deviation by longer", (0.0, 1.0))
