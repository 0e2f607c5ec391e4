"""PointNet: a cloud of points is told by the largest of its points' features. Knows not how it is trained or shown."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from engine.data.solids import SOLIDS, bank
from engine.formats.shape_file import ENDINGS, from_file
from engine.params import BadValue, knob
from engine.payloads import Bars, Curves
from engine.probes import Number, Paths, Seed, Toggle, probe
from engine.scene import Points, Scene, Thing
from engine.study import Study, Term

BANK = 8192
"""Points kept of each class, of which every cloud takes some."""
HELD_OUT = 400
"""Clouds that are drawn once and never learned from."""
MEASURE_EVERY = 50
MOST_CLASSES = 40
ITEM = Number(0, 0, HELD_OUT - 1, text="Which of the held-out clouds.")
FILES = Paths(text="A cloud or mesh of your own in its place; only the first file counts.")


class TNet(nn.Module):
    """Turns a cloud before it is looked at: (B, N, 3) -> a matrix (B, 3, 3), at first the identity."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.each = nn.Sequential(nn.Linear(3, width), nn.ReLU(), nn.Linear(width, 2 * width), nn.ReLU())
        last = nn.Linear(width, 9)
        nn.init.normal_(last.weight, 0.0, 1e-3)
        nn.init.zeros_(last.bias)
        self.all = nn.Sequential(nn.Linear(2 * width, width), nn.ReLU(), last)

    def forward(self, x: Tensor) -> Tensor:
        change: Tensor = self.all(self.each(x).amax(1)).view(-1, 3, 3)
        return change + torch.eye(3, device=x.device)


class Net(nn.Module):
    """g(x_1 ... x_n) = gamma(max_i h(x_i)) (Qi et al. 2017, eq. 1). h ends in no ReLU, so that every feature has one
    point that is its largest. The largest are brought to one scale: it learns several times faster so, and the order
    still does not matter, which norms over a batch or over points would not leave so."""

    def __init__(self, width: int, features: int, classes: int, tnet: bool) -> None:
        super().__init__()
        self.turn = TNet(width) if tnet else None
        self.each = nn.Sequential(
            nn.Linear(3, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, features)
        )
        self.all = nn.Sequential(
            nn.LayerNorm(features), nn.Linear(features, width), nn.ReLU(), nn.Linear(width, classes)
        )

    def matrix(self, x: Tensor) -> Tensor:
        """What turns the clouds (B, N, 3), (B, 3, 3)."""
        if self.turn is None:
            return torch.eye(3, device=x.device).expand(len(x), 3, 3)
        out: Tensor = self.turn(x)
        return out

    def features(self, x: Tensor, matrix: Tensor | None = None) -> Tensor:
        """h of every point of clouds (B, N, 3): (B, N, features)."""
        out: Tensor = self.each(x @ (self.matrix(x) if matrix is None else matrix))
        return out

    def forward(self, x: Tensor) -> Tensor:
        """Logits (B, classes) of clouds (B, N, 3) of any number of points in any order."""
        out: Tensor = self.all(self.features(x).amax(1))
        return out


class PointNet(Study):
    """A network that takes a bag of points: every point passes through the same small network, the largest value of
    each feature is kept, and the class is read off these. Neither the order of the points nor their number matters."""

    title, family = "PointNet", "3-D"
    paper = "Qi et al. 2017, arXiv:1612.00593"
    left = r"\mathcal{L}(\theta)\;="
    objective = [
        Term(
            r"-\,\mathbb{E}\log p_\theta\left(y\,|\,\gamma(\max_i h(x_i))\right)",
            "cross_entropy",
            "orange",
            "How surprised PointNet is by the right class.",
        ),
        Term(
            r"-\,\mathbb{E}\log q_\phi\left(y\,|\,x_1,\dots,x_n\right)",
            "list_cross_entropy",
            "blue",
            "How surprised the plain network is that reads the same points as one long list.",
        ),
        Term(
            r"+\;\lambda\,\|I-AA^\top\|^2",
            "orthogonality",
            "purple",
            "How far the T-Net's matrix is from a mere rotation; nothing without a T-Net.",
        ),
    ]
    try_this = (
        "Look at the critical points: a few dozen of the points decide alone, and they trace the edges of the shape.",
        "Shuffle: PointNet's answer stays the same to the last digit, that of the plain network falls apart.",
        "Train with 32 points a cloud, then look at the robustness up to 512: it works on numbers it never saw.",
    )

    @dataclass
    class Params:
        folder: str = knob(
            "",
            "A folder of meshes and clouds, or a file in it: each file is a class, in place of the solids.",
            path=True,
        )
        points: int = knob(128, "Points of each cloud.", lo=16, hi=1024, log=True, symbol="n")
        width: int = knob(64, "Units of each layer.", lo=8, hi=256, symbol="c")
        features: int = knob(128, "Features whose largest values are kept.", lo=8, hi=1024, log=True, symbol="K")
        tnet: bool = knob(False, "Whether a small network of its own first turns each cloud.")
        batch: int = knob(32, "Clouds of one step.", lo=4, hi=256, log=True, symbol="B", live=True)
        rate: float = knob(
            2e-3, "Step size of the Adam optimiser.", lo=1e-5, hi=1e-1, log=True, symbol=r"\eta", live=True
        )
        halve: int = knob(400, "After how many steps the step size halves, time and again.", lo=50, hi=20_000, log=True,
                          live=True)  # fmt: skip
        noise: float = knob(0.02, "How far each point is moved at random.", lo=0.0, hi=0.3, symbol=r"\sigma", live=True)
        stretch: float = knob(0.3, "How unlike the three sides of a shape may be: 0 keeps it as it is.", lo=0.0, hi=0.9,
                              live=True)  # fmt: skip
        orthogonal: float = knob(0.01, "Weight of the T-Net's being a rotation.", lo=0.0, hi=1.0, symbol=r"\lambda",
                                 live=True)  # fmt: skip

    p: Params
    tiny = dict(points=32, width=8, features=16, batch=64, rate=1e-2)

    def build(self, device: torch.device) -> None:
        self.names, banks = self._classes()
        self.bank = torch.from_numpy(banks).to(device)
        self.net = Net(self.p.width, self.p.features, len(self.names), self.p.tnet).to(device)
        self.list_net = nn.Sequential(
            nn.Flatten(),
            nn.Linear(3 * self.p.points, 2 * self.p.width),
            nn.ReLU(),
            nn.Linear(2 * self.p.width, self.p.width),
            nn.ReLU(),
            nn.Linear(self.p.width, len(self.names)),
        ).to(device)
        self.counter = Counter()
        parameters = [*self.net.parameters(), *self.list_net.parameters()]
        self.optimizer = torch.optim.Adam(parameters, self.p.rate, fused=True)
        self.held_out_y = torch.arange(HELD_OUT, device=device) % len(self.names)
        self.held_out = self.clouds(self.held_out_y, torch.Generator(device).manual_seed(5))

    def _classes(self) -> tuple[tuple[str, ...], np.ndarray]:
        """The names of the classes and points of each, float32 (C, BANK, 3)."""
        if not self.p.folder:
            return tuple(SOLIDS), np.stack([bank(name, BANK, seed) for seed, name in enumerate(SOLIDS)])
        folder = Path(self.p.folder).expanduser()
        folder = folder.parent if folder.is_file() else folder
        try:
            files = sorted(path for path in folder.iterdir() if path.suffix.lower() in ENDINGS)
        except OSError as e:
            raise BadValue(f"folder: {folder} cannot be read ({e.strerror}); choose another") from None
        if not 2 <= len(files) <= MOST_CLASSES:
            raise BadValue(f"folder: {folder.name} has {len(files)} meshes and clouds; 2 to {MOST_CLASSES} are wanted")
        shapes = [from_file("folder", str(path)) for path in files]
        return tuple(path.stem for path in files), np.stack([shape.sample(BANK, 1)[0] for shape in shapes])

    # ---- data ----

    def clouds(self, y: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Clouds (B, points, 3) of the classes ``y`` (B,): stretched, turned about z, noised, in the unit ball. They
        come from the bottom up, as a scanner might deliver them."""
        n, count, device = len(y), self.p.points, y.device

        def random(*shape: int) -> Tensor:
            return torch.rand(*shape, generator=generator, device=device)

        pick = torch.randint(BANK, (n, count), generator=generator, device=device)
        x = self.bank[y[:, None], pick]
        x = x * (1 + self.p.stretch * (2 * random(n, 1, 3) - 1))
        turn = 2 * math.pi * random(n)
        c, s = turn.cos()[:, None], turn.sin()[:, None]
        x = torch.stack([c * x[..., 0] - s * x[..., 1], s * x[..., 0] + c * x[..., 1], x[..., 2]], 2)
        x = unit_ball(x)
        x = x + self.p.noise * torch.randn(x.shape, generator=generator, device=device)
        order = x[..., 2].argsort(1)
        return x.gather(1, order[..., None].expand_as(x))

    # ---- training ----

    def train_step(self, batch: None) -> dict[str, Tensor]:
        y = torch.randint(len(self.names), (self.p.batch,), device=self.device)
        x = self.clouds(y)
        matrix = self.net.matrix(x)
        logits = self.net.all(self.net.features(x, matrix).amax(1))
        loss, of_list = F.cross_entropy(logits, y), F.cross_entropy(self.list_net(x), y)
        identity = torch.eye(3, device=self.device)
        orthogonality = (identity - matrix @ matrix.transpose(1, 2)).square().sum((1, 2)).mean()
        for group in self.optimizer.param_groups:
            group["lr"] = self.p.rate * 0.5 ** (int(self.counter.steps) / self.p.halve)
        self.optimizer.zero_grad(set_to_none=True)
        (loss + of_list + self.p.orthogonal * orthogonality).backward()
        self.optimizer.step()
        metrics = {
            "cross_entropy": loss.detach(),
            "list_cross_entropy": of_list.detach(),
            "orthogonality": orthogonality.detach(),
            "accuracy": (logits.detach().argmax(1) == y).float().mean(),
        }
        self.counter.steps += 1
        done = int(self.counter.steps)
        if done == 1 or done % MEASURE_EVERY == 0:
            with torch.no_grad():
                metrics["held_out/accuracy"] = self.accuracy(self.net)
                metrics["held_out/list_accuracy"] = self.accuracy(self.list_net)
        return metrics

    def accuracy(self, net: nn.Module) -> Tensor:
        """Share of the held-out clouds whose class ``net`` tells."""
        right = [
            net(x).argmax(1) == y for x, y in zip(self.held_out.split(100), self.held_out_y.split(100), strict=True)
        ]
        return torch.cat(right).float().mean()

    # ---- probes ----

    def cloud(self, item: int, files: tuple[str, ...]) -> tuple[Tensor, str]:
        """A cloud (1, N, 3) and what it is: a held-out one, or points of the person's own file."""
        if not files:
            return self.held_out[item : item + 1], f"a {self.names[int(self.held_out_y[item])]}"
        shape = from_file("files", files[0])
        x = torch.from_numpy(np.array(shape.sample(self.p.points, 1)[0])).to(self.device)[None]
        x = unit_ball(x)
        order = x[..., 2].argsort(1)
        return x.gather(1, order[..., None].expand_as(x)), shape.name

    def said(self, logits: Tensor) -> str:
        """The likeliest class of logits (1, C), in words."""
        p = logits.softmax(1)[0]
        return f"{self.names[int(p.argmax())]} with {float(p.max()):.1%}"

    @probe(
        Scene,
        title="Critical points",
        refresh=1.0,
        item=ITEM,
        files=FILES,
        bound=Toggle(False, text="Whether places are shown where points could be added without changing anything."),
    )
    def critical_points(self, item: int, files: tuple[str, ...], bound: bool) -> Scene:
        """The points that won the max of at least one feature: they alone decide, and any point between them and the
        upper bound, whose features nowhere exceed theirs, could be added unnoticed."""
        x, what = self.cloud(item, files)
        matrix = self.net.matrix(x)
        h = self.net.features(x, matrix)[0]
        top, winner = h.max(0)
        won = torch.bincount(winner, minlength=len(h))
        critical = won > 0
        whole = self.net.all(top[None])
        alone = self.net.all(h[critical].amax(0)[None])
        points = array(x[0])
        few = array(won > 0).astype(bool)
        things: list[Thing] = [
            Points(name="other points", xyz=points[~few], colour="#8a93a3", colour_by="plain", size=3.0),
            Points(
                name="critical points",
                xyz=points[few],
                scalars={"features won": array(won[critical])},
                colour_by="scalar:features won",
                size=8.0,
            ),
        ]
        if bound:
            free = self._upper_bound(top, matrix)
            things.append(Points(name="upper bound", xyz=free, colour="blue", colour_by="plain", size=2.0, opacity=0.5))
        return Scene(
            tuple(things),
            caption=f"{what}: {self.said(whole)}",
            readings={
                "critical points": float(critical.sum()),
                "of points": float(len(h)),
                "change without the others": float((whole - alone).abs().max()),
            },
        )

    def _upper_bound(self, top: Tensor, matrix: Tensor) -> np.ndarray:
        """Places of a grid in the box whose features are all at most ``top`` (K,), float32 (M, 3)."""
        side = torch.linspace(-1.1, 1.1, 24 if self.dragging else 40, device=self.device)
        grid = torch.cartesian_prod(side, side, side)
        free = [part[(self.net.features(part[None], matrix)[0] <= top).all(1)] for part in grid.split(16_384)]
        return array(torch.cat(free))

    @probe(
        Scene,
        title="Shuffle",
        refresh=1.0,
        item=ITEM,
        files=FILES,
        seed=Seed(text="The seed of the shuffling."),
    )
    def shuffle(self, item: int, files: tuple[str, ...], seed: int) -> Scene:
        """One cloud twice, coloured by the place of each point in the list: from the bottom up, and shuffled. The table
        says what PointNet and the plain network on the list make of both."""
        x, what = self.cloud(item, files)
        order = torch.randperm(x.shape[1], generator=torch.Generator().manual_seed(seed)).to(x.device)
        mixed = x[:, order]
        answers = [net(cloud).softmax(1)[0] for net in (self.net, self.list_net) for cloud in (x, mixed)]
        place = np.arange(x.shape[1], dtype=np.float32)
        away = np.array([1.15, 0.0, 0.0], np.float32)
        things = tuple(
            Points(
                name=name,
                xyz=array(cloud[0]) + shift,
                scalars={"place in the list": place},
                colour_by="scalar:place in the list",
                size=5.0,
            )
            for name, cloud, shift in (("in order", x, -away), ("shuffled", mixed, away))
        )
        rows = sorted(range(len(self.names)), key=lambda c: -float(answers[0][c]))
        table = tuple((self.names[c], *(f"{float(p[c]):.1%}" for p in answers)) for c in rows[:12])
        return Scene(
            things,
            caption=f"{what}, as it came and shuffled",
            readings={
                "PointNet changes by": float((answers[0] - answers[1]).abs().max()),
                "the list's network by": float((answers[2] - answers[3]).abs().max()),
            },
            table=table,
            table_heads=("class", "PointNet", "shuffled", "list", "shuffled"),
        )

    @probe(Bars, title="Prediction", refresh=0.5, item=ITEM, files=FILES)
    def predict(self, item: int, files: tuple[str, ...]) -> Bars:
        """The probability of each class for one cloud."""
        x, what = self.cloud(item, files)
        logits = self.net(x)
        return Bars(
            array(logits.softmax(1)[0]),
            names=self.names,
            value_name="probability",
            caption=f"{what}: {self.said(logits)}",
        )

    @probe(
        Curves,
        title="Robustness",
        refresh=2.0,
        seed=Seed(text="The seed of the order in which points are dropped."),
    )
    def robustness(self, seed: int) -> Curves:
        """Held-out accuracy on fewer and fewer points. Few are enough where they are those that win features; without
        the winners, or without the top of the shape, it fails much sooner than by chance."""
        some = 60 if self.dragging else 200
        x, y = self.held_out[:some], self.held_out_y[:some]
        n = x.shape[1]
        counts = sorted({round(n * 2 ** (-k / 2)) for k in range(13)} - {0})
        h = self.net.features(x)
        won = F.one_hot(h.argmax(1), n).sum(1)
        generator = torch.Generator().manual_seed(seed)
        shuffled = torch.rand(some, n, generator=generator).to(x.device).argsort(1)
        wins = won.gather(1, shuffled)
        keeps = {
            "dropped at random": shuffled,
            "winners dropped first": shuffled.gather(1, wins.argsort(dim=1, stable=True)),
            "winners kept longest": shuffled.gather(1, wins.argsort(dim=1, descending=True, stable=True)),
            "dropped from the top": torch.arange(n, device=x.device).expand(some, n),
        }
        lines = {}
        for name, keep in keeps.items():
            kept = h.gather(1, keep[..., None].expand_as(h))
            right = [(self.net.all(kept[:, :count].amax(1)).argmax(1) == y).float().mean() for count in counts]
            lines[name] = array(torch.stack(right))
        return Curves(np.array(counts, np.float32), lines, x_name="points kept", y_name="accuracy")


class Counter(nn.Module):
    """How many steps were taken, kept with the weights."""

    steps: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("steps", torch.zeros((), dtype=torch.long))


def unit_ball(x: Tensor) -> Tensor:
    """Clouds (B, N, 3) moved to their mean and scaled so that the farthest point is at 1."""
    x = x - x.mean(1, keepdim=True)
    return x / x.norm(dim=2).amax(1)[:, None, None].clamp(min=1e-9)


def array(x: Tensor) -> np.ndarray:
    """float32 on the CPU, a copy of its own."""
    return x.detach().float().cpu().numpy().copy()
