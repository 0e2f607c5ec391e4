"""The game of a generator and a discriminator in the plane, where all can be seen. Knows not how it is trained or
shown."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn

from engine.data import toys
from engine.nn.adversarial.game import grid
from engine.nn.adversarial.game.players import REGULARISERS, Players, layers
from engine.nn.adversarial.game.rewards import LOG_LOSSES, PROBABILITIES, belief
from engine.nn.adversarial.losses import LOSSES
from engine.params import knob
from engine.payloads import Bars, Plane, PlaneFrames, Planes
from engine.probes import Choice, Number, Seed, Steps, Toggle, probe
from engine.study import Study, Term

REACH = 3.0
"""Half the side of the part of the plane that is shown and measured."""
EXTENT = (-REACH, REACH, -REACH, REACH)
CELLS = 96
"""How many cells of a density there are along each side."""
AREA = (2 * REACH / CELLS) ** 2
BLUR = 0.1
"""Standard deviation of the bells that the fakes' density is estimated with; the data's is blurred as much."""
COUNTED = 6000
"""How many fakes that estimate takes."""
ONE_FAKE = 1 / (COUNTED * 2 * math.pi * BLUR**2)
"""The height of the bell that a single fake makes: where there is less, the estimate knows of nothing."""
MEASURE_EVERY = 100
FEW_PARTS = 16
"""A density of more parts than this has no modes to be counted."""
LINES, CORNERS = 17, 97
"""How many lines of each direction the generator's grid has, and how many corners each of them."""
TURNS = {"both": (True, True), "D only": (True, False), "G only": (False, True)}
"""Whether the discriminator moves, and whether the generator does."""


class Progress(nn.Module):
    """How many steps were taken, and the most modes that were covered since they last collapsed."""

    steps: Tensor
    modes: Tensor

    def __init__(self) -> None:
        super().__init__()
        for name in ("steps", "modes"):
            self.register_buffer(name, torch.zeros((), dtype=torch.long))  # on the CPU: reading it waits for nothing

    def event(self, modes: int, of: int) -> str:
        """What is worth a mark now that so many modes are covered; '' for nothing."""
        best = int(self.modes)
        self.modes.fill_(modes if 2 * modes < best else max(modes, best))
        if best >= 4 and 2 * modes < best:
            return f"collapse: {best} -> {modes} of {of} modes"
        return f"all {of} modes" if modes == of > best else ""


class Gan2D(Study):
    """Two networks play against each other on points in the plane: the generator turns noise into points, the
    discriminator tells them from the data, and every move of both can be watched beside the best possible one."""

    title, family = "GAN in the plane", "Adversarial"
    paper = "Goodfellow et al. 2014, arXiv:1406.2661; Metz et al. 2017, arXiv:1611.02163"
    left = r"\min_G\,\max_D\;V(D,G)\;="
    objective = [
        Term(
            r"\mathbb{E}_{x\sim p}\left[\log D(x)\right]",
            "real_value",
            "green",
            "How sure the discriminator is of the data; with another loss, that loss' reward for them.",
        ),
        Term(
            r"+\;\mathbb{E}_{z}\left[\log\left(1-D(G(z))\right)\right]",
            "fake_value",
            "orange",
            "How sure the discriminator is of the fakes; with another loss, that loss' reward for them.",
        ),
        Term(
            r"-\;\lambda\,\Omega(D)",
            "penalty",
            "blue",
            "What the discriminator pays for steep slopes: the chosen regulariser times its strength, 0 without one.",
        ),
        Term(
            r"\quad\mathcal{L}_G\;=\;-\mathbb{E}_{z}\left[\log D(G(z))\right]",
            "g_loss",
            "red",
            "What the generator lowers; non-saturating is shown, minimax takes the orange term instead.",
        ),
    ]
    try_this = (
        "Train until the points sit on one or two of the eight Gaussians and jump from one to the next, then set the "
        "unrolling to 5: within some 300 steps they cover all eight.",
        "Set the play to D only: the learned D grows into the best one beside it, and V rises to -log 4 + 2 JS.",
        "Set the shape to drawn and draw something while they play, then watch a few rounds in slow motion.",
    )

    first_probes = ("game", "value")

    @dataclass
    class Params:
        shape: str = knob(
            "eight Gaussians",
            "What the data look like.",
            choices=("eight Gaussians", *(name for name in toys.SHAPES if name != "eight Gaussians"), toys.DRAWN),
            live=True,
        )
        drawn: str = knob(
            "",
            "Your own data, for the shape named drawn: points along these lines, or along an M while there are none.",
            drawing=True,
            live=True,
        )
        play: str = knob(
            "both", "Who moves in a step; the one who does not is frozen.", choices=tuple(TURNS), live=True
        )
        loss: str = knob("non-saturating", "What the two play for.", choices=LOSSES, live=True)
        regulariser: str = knob(
            "none",
            "What keeps the discriminator from being steep: a slope of 1 between data and fakes, or of 0 at the "
            "data (R1); Wasserstein's critic knows no bound without one.",
            choices=REGULARISERS,
            live=True,
        )
        strength: float = knob(1.0, "How much the regulariser weighs.", lo=0.01, hi=100.0, log=True, live=True,
                               symbol=r"\lambda")  # fmt: skip
        unroll: int = knob(
            0,
            "How many moves of the discriminator the generator looks ahead; each takes about as long as a step.",
            lo=0,
            hi=10,
            symbol="k",
            live=True,
        )
        d_steps: int = knob(1, "How often the discriminator moves for each move of the generator.", lo=1, hi=20,
                            live=True, symbol=r"n_\mathrm{critic}")  # fmt: skip
        prior: str = knob(
            "normal", "The noise that the generator starts from.", choices=("normal", "uniform"), live=True
        )
        latent: int = knob(
            2, "Numbers in a code; the warped grid shows the first two.", lo=2, hi=256, symbol="d", log=True
        )
        width: int = knob(64, "Units of each layer of both networks.", lo=4, hi=256, symbol="c", log=True)
        g_layers: int = knob(2, "Hidden layers of the generator.", lo=1, hi=5, symbol="L_G")
        d_layers: int = knob(2, "Hidden layers of the discriminator.", lo=1, hi=5, symbol="L_D")
        batch: int = knob(128, "How many points one move looks at.", lo=16, hi=2048, symbol="B", live=True, log=True)
        g_rate: float = knob(4e-3, "Step size of the generator's Adam optimiser.", lo=1e-5, hi=1e-1, log=True,
                             symbol=r"\eta_G", live=True)  # fmt: skip
        d_rate: float = knob(1e-3, "Step size of the discriminator's Adam optimiser.", lo=1e-5, hi=1e-1, log=True,
                             symbol=r"\eta_D", live=True)  # fmt: skip
        momentum: float = knob(0.5, "How long both optimisers keep to a direction: much of it makes the two circle.",
                               lo=0.0, hi=0.95, symbol=r"\beta_1", live=True)  # fmt: skip

    p: Params
    tiny = dict(width=16, g_layers=1, d_layers=1, batch=32)

    def build(self, device: torch.device) -> None:
        p = self.p
        self.generator = layers(p.latent, p.width, p.g_layers, 2, nn.ReLU).to(device)
        # Tanh, since a penalty on slopes is learned through the slope of a slope, and ReLU has none.
        self.discriminator = layers(2, p.width, p.d_layers, 1, nn.Tanh).append(nn.Flatten(0)).to(device)
        self.g_optimizer = torch.optim.Adam(self.generator.parameters(), p.g_rate, (p.momentum, 0.999), fused=True)
        self.d_optimizer = torch.optim.Adam(self.discriminator.parameters(), p.d_rate, (p.momentum, 0.999), fused=True)
        self.progress = Progress()
        self._take_shape()

    def _take_shape(self) -> None:
        self.data_shown = self.p.shape, self.p.drawn
        self.toy = toys.make(*self.data_shown, self.device)
        self.known = self.toy.sample(400, torch.Generator().manual_seed(0))
        self.density = self.toy.heat(EXTENT, CELLS, 1.0, BLUR)

    def knob_changed(self, name: str) -> None:
        if name in ("shape", "drawn") and self.data_shown != (self.p.shape, self.p.drawn):
            self._take_shape()
            self.progress.modes.zero_()
        for optimizer, rate in ((self.g_optimizer, self.p.g_rate), (self.d_optimizer, self.p.d_rate)):
            for group in optimizer.param_groups:
                group.update(lr=rate, betas=(self.p.momentum, 0.999))

    def players(self) -> Players:
        return Players(self.generator, self.discriminator, self.g_optimizer, self.d_optimizer)

    def draw_z(self, count: int, generator: torch.Generator | None = None) -> Tensor:
        """Noise (count, latent)."""
        if self.p.prior == "normal":
            return torch.randn(count, self.p.latent, generator=generator).to(self.device)
        return (2 * torch.rand(count, self.p.latent, generator=generator) - 1).to(self.device)

    # ---- training ----

    def train_step(self, batch: None) -> dict[str, Tensor]:
        metrics = {}
        for _, said in self.round(self.players(), *TURNS[self.p.play]):
            metrics.update(said)
        self.progress.steps += 1
        done = int(self.progress.steps)
        if done == 1 or done % MEASURE_EVERY == 0:
            found = self.measures()
            metrics.update({name: torch.tensor(value) for name, value in found.items()})
            event = self.progress.event(int(found["modes"]), len(modes(self.toy)[0])) if "modes" in found else ""
            if event:
                self.mark(event)
        return metrics

    def round(self, players: Players, d_moves: bool, g_moves: bool) -> Iterator[tuple[str, dict[str, Tensor]]]:
        """A step of training, move by move: whose it was, and what was said. Who does not move is only measured."""
        for _ in range(self.p.d_steps if d_moves else 1):
            yield "D", players.d_move(self.p, self.toy.sample(self.p.batch), self.draw_z(self.p.batch), d_moves)
        rules = self.p if g_moves else replace(self.p, unroll=0)
        yield "G", players.g_move(rules, self.toy.sample(self.p.batch), self.draw_z(self.p.batch), g_moves)

    @torch.no_grad()
    def measures(self) -> dict[str, float]:
        """How far the fakes' density is from the data's."""
        x = self.fakes(self.players(), COUNTED)
        away = grid.divergences(self.density, grid.density_of(x, EXTENT, CELLS, BLUR), AREA)
        found = {"kl_p_q": away.kl_pq, "kl_q_p": away.kl_qp, "js": away.js, "coverage": away.coverage}
        if self.p.loss in LOG_LOSSES:
            found["best_value"] = grid.best_value(away.js)
        centres, reach = modes(self.toy)
        if len(centres):
            found["modes"] = float(grid.covered_modes(x, centres, reach))
        return found

    def fakes(self, players: Players, count: int, seed: int = 0) -> Tensor:
        """(count, 2); the same seed draws the same noise."""
        made: Tensor = players.generator(self.draw_z(count, torch.Generator().manual_seed(seed)))
        return made

    # ---- probes ----

    @probe(
        Planes,
        title="The game",
        refresh=0.2,
        fakes=Number(150, 10, 600, text="How many fakes are shown."),
        arrows=Toggle(True, text="Which way the generator's loss pulls each fake; all look ahead where it unrolls."),
        seed=Seed(text="The seed of the noise that the fakes are made of."),
    )
    def game(self, fakes: int, arrows: bool, seed: int) -> Planes:
        """What the discriminator believes, real points (faint) and fakes, beside the best discriminator against this
        generator; the densities of both; and the noise's grid as the generator bends it, with one mass in each mesh."""
        players = self.players()
        q = self.fakes_density(players, 0.25 if self.dragging else 1.0)
        learned = self.learned(players)
        away = grid.divergences(self.density, q, AREA)
        best = grid.best_discriminator(self.density, q, ONE_FAKE)
        off = f", off by {grid.distance(learned, self.density, q):.2f}" if self.p.loss in PROBABILITIES else ""
        meshes, _ = self.meshes(players)
        planes = (
            self.arena(players, learned, self.fakes(players, fakes, seed), f"D learned{off}", arrows),
            Plane(EXTENT, "Best D = p / (p + q)", array(best), "D*", heat_ends=(0.0, 1.0)),
            Plane(EXTENT, f"q, lines: p; JS {away.js:.2f}", array(q), "q", array(self.density)),
            Plane(EXTENT, "G's grid", contours=array(self.density), lines=meshes),
        )
        return Planes(planes, self.caption("D holds blue real and orange fake", f"q covers {away.coverage:.0%} of p"))

    def arena(self, players: Players, learned: Tensor, x: Tensor, title: str, arrows: bool) -> Plane:
        """What the discriminator believes, with fakes ``x`` and which way they are pulled."""
        pull = None
        if arrows:
            real = self.toy.sample(len(x), torch.Generator().manual_seed(0))
            pull = array(torch.cat([x, players.pull(self.p, real, x)], 1))
        heat = array(learned)
        backdrop, points = array(self.known), array(x)
        return Plane(EXTENT, title, heat, "D", heat, backdrop, pull, points=points, heat_ends=(0.0, 1.0))

    def learned(self, players: Players) -> Tensor:
        """What the discriminator believes in every cell, 0..1."""
        across, up = toys.middles(EXTENT, CELLS)
        places = torch.stack([across.repeat(CELLS), up.repeat_interleave(CELLS)], 1).to(self.device)
        return belief(self.p.loss, players.discriminator(places)).view(CELLS, CELLS)

    def fakes_density(self, players: Players, share: float = 1.0) -> Tensor:
        return grid.density_of(self.fakes(players, int(COUNTED * share)), EXTENT, CELLS, BLUR)

    def meshes(self, players: Players) -> tuple[np.ndarray, np.ndarray]:
        """Lines (2 * LINES, CORNERS, 2) of the plane of the code's first two numbers: as the generator bends them, and
        as they are. Between two neighbours lies the same share of the noise."""
        shares = (torch.arange(LINES) + 0.5) / LINES
        along = torch.linspace(float(shares[0]), float(shares[-1]), CORNERS)
        across = torch.stack(torch.meshgrid(shares, along, indexing="ij"), 2)
        flat = torch.cat([across, across.flip(2)])
        flat = torch.special.ndtri(flat) if self.p.prior == "normal" else 2 * flat - 1
        z = torch.zeros(2 * LINES * CORNERS, self.p.latent)
        z[:, :2] = flat.view(-1, 2)
        return array(players.generator(z.to(self.device)).view(2 * LINES, CORNERS, 2)), array(flat)

    def caption(self, *parts: str) -> str:
        """One line: what has to be said of the data and the rules, and ``parts``."""
        said = list(parts)
        if self.p.shape == toys.DRAWN and not self.p.drawn.strip(" ;"):
            said.insert(0, "nothing is drawn yet, so an M stands in")
        if self.p.loss == "Wasserstein" and self.p.regulariser == "none":
            said.append("the critic has no bound: choose the gradient penalty")
        if self.p.loss not in PROBABILITIES:
            said.append(f"{self.p.loss}: D is a score and not meant to become p / (p + q)")
        return "; ".join(said)

    @probe(
        PlaneFrames,
        title="Slow motion",
        rounds=Steps(10, 1, 60, text="How many steps of training to play."),
        play=Choice(("as set", *TURNS), text="Who moves: as the knob says, or otherwise."),
        fakes=Number(100, 10, 400, text="How many fakes are shown."),
        seed=Seed(text="The seed of the noise that the fakes are made of."),
    )
    def slow_motion(self, rounds: int, play: str, fakes: int, seed: int) -> Iterator[PlaneFrames]:
        """The next steps of training on a copy of both players, move by move: how the discriminator changes its mind,
        and where the generator then takes its points; training itself does not go on."""
        players = self.players().copied()
        turns = TURNS[self.p.play if play == "as set" else play]
        total = 1 + rounds * (turns[0] * self.p.d_steps + turns[1])
        way = [self.fakes(players, fakes, seed)]
        losses: dict[str, float] = {}
        for _, said in self.round(players, False, False):
            losses.update(losses_of(said))
        yield self.moment(players, way, 0, total, "before the next step", losses)
        index = 1
        for step in range(1, rounds + 1):
            for who, said in self.round(players, *turns):
                losses.update(losses_of(said))
                if turns["DG".index(who)]:
                    way.append(self.fakes(players, fakes, seed))
                    caption = f"step {step}: {who} has moved, its loss before was {losses[f'loss of {who}']:.3f}"
                    yield self.moment(players, way, index, total, caption, losses)
                    index += 1

    def moment(
        self, players: Players, way: list[Tensor], index: int, total: int, caption: str, losses: dict[str, float]
    ) -> PlaneFrames:
        q, learned = self.fakes_density(players), self.learned(players)
        away = grid.divergences(self.density, q, AREA)
        arena = self.arena(players, learned, way[-1], "D learned", arrows=True)
        corners = np.unique(np.linspace(0, len(way) - 1, min(len(way), 24)).round().astype(int))
        planes = (
            replace(arena, trails=array(torch.stack([way[c] for c in corners], 1))),
            Plane(EXTENT, "q, lines: p", array(q), "q", array(self.density)),
            Plane(EXTENT, "G's grid", contours=array(self.density), lines=self.meshes(players)[0]),
        )
        readings = {"JS": away.js, **losses}
        if self.p.loss in LOG_LOSSES:
            readings["V(D, G)"] = grid.value(learned, self.density, q, AREA)
            readings["V(D*, G)"] = grid.best_value(away.js)
        return PlaneFrames(planes, index=index, total=total, caption=self.caption(caption), readings=readings)

    @probe(Bars, title="Value", refresh=0.5)
    def value(self) -> Bars:
        """The value V(D, G) of the game with the learned discriminator, with the best one against this generator,
        which is -log 4 + 2 JS, and -log 4, where it ends when fakes and data have one density."""
        players = self.players()
        q, learned = self.fakes_density(players), self.learned(players)
        best = grid.best_value(grid.divergences(self.density, q, AREA).js)
        values = {"V(D*, G)": best, "-log 4": grid.LEAST_VALUE}
        caption = f"the best D would reach {best:.2f}, as -log 4 + 2 JS"
        if self.p.loss in LOG_LOSSES:
            now = grid.value(learned, self.density, q, AREA)
            values = {"V(D, G)": now, **values}
            caption = f"D lacks {best - now:.2f} of the best value {best:.2f} = -log 4 + 2 JS"
        return Bars(np.array(list(values.values()), np.float32), names=tuple(values), value_name="V, nats",
                    caption=self.caption(caption))  # fmt: skip


def losses_of(said: Mapping[str, Tensor]) -> dict[str, float]:
    """What a move says of its player's loss, named for a reader."""
    return {f"loss of {name[0].upper()}": float(said[name]) for name in ("d_loss", "g_loss") if name in said}


def modes(toy: toys.Toy) -> tuple[Tensor, float]:
    """The centres (K, 2) of a density that consists of a few parts, and how far each reaches; K = 0 for others."""
    if isinstance(toy, toys.Squares):
        return toy.corners + toy.side / 2, toy.side / math.sqrt(2)
    assert isinstance(toy, toys.Gaussians)
    few = len(toy.centres) <= FEW_PARTS
    return (toy.centres if few else toy.centres[:0]), 4 * toy.width


def array(x: Tensor) -> np.ndarray:
    """float32 on the CPU, a copy of its own; what is not a number is 0."""
    return x.detach().float().nan_to_num(0.0).cpu().numpy().copy()
