"""Makes what the welcome page and the catalogue open: small trained runs, weights only, some with a card's picture.

Knows the recipes; training and asking go the way of ``main.py train`` and ``main.py probe``.
"""

from __future__ import annotations

import csv
import io
import shutil
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.headless import INTERRUPTED, CommandError
from app.headless.client import Client, Interrupted
from app.headless.training import closing_line, train
from engine.payloads import Frames, ImageGrid
from engine.scene import Render

if TYPE_CHECKING:
    from PIL.Image import Image

FOLDER = Path(__file__).resolve().parent.parent / "resources" / "starters"
ROWS = 300
"""Rows of metrics.csv that a starter keeps at most."""
CARD_BYTES = 100_000
"""A card's picture of more is kept with 256 colours."""
SHARP = 4
"""Cards are drawn so many times larger than they are kept, which smooths their round corners."""


@dataclass(frozen=True)
class Recipe:
    """One starter: what is trained and how, and the picture of its card, where it has one."""

    folder: str
    study: str
    data: str
    steps: int
    knobs: Mapping[str, str]
    card: Callable[[Client], Image] | None = None
    seed: int = field(default=0, kw_only=True)


# ---- cards, about 560 x 300 pixels, on a transparent ground so that they lie on dark and light -----------------------


def shapes_card(client: Client) -> Image:
    """Four dimensions of the code, each moved along a row."""
    (grid,) = client.ask("traversal", {"dimensions": 4, "steps": 8, "reach": 2.5})
    assert isinstance(grid, ImageGrid)
    return tiles_picture(grid.images, 8, 64, 6, smooth=True)


def noise_card(client: Client) -> Image:
    """Four samples on their way from noise, left, to picture, right."""
    import numpy as np

    films = client.ask("denoise", {"count": 4, "steps": 40, "seed": 3})
    moments = [films[i] for i in (0, 14, 20, 25, 29, 33, 36, 40)]
    states = [m.images[:4] for m in moments if isinstance(m, Frames)]  # x_t is the first panel
    return tiles_picture(np.stack(states, 1).reshape(-1, *states[0].shape[1:]), 8, 64, 6, smooth=True)


def surface_card(client: Client) -> Image:
    """The surface that the network learned, seen from two sides."""
    import numpy as np
    from PIL import Image

    sheet = Image.new("RGBA", (2 * 280, 300))
    for i, eye in enumerate(("2.6,-2.9,1.9", "0.4,-2.2,3.7")):
        controls = {"camera": f"{eye}/0,0,0/0,0,1/34", "width": 280 * 2, "height": 300 * 2}
        (answer,) = client.ask("render", controls)
        assert isinstance(answer, Render)
        pixels = np.concatenate([answer.image, answer.alpha[..., None]], -1)
        seen = Image.fromarray((pixels.clip(0, 1) * 255).round().astype("uint8"))
        sheet.paste(seen.resize((280, 300), Image.Resampling.LANCZOS), (280 * i, 0))
    return sheet


def tiles_picture(images: Any, columns: int, side: int, gap: int, smooth: bool = False) -> Image:
    """Float pictures (N, h, w, C) as tiles of ``side`` pixels, ``gap`` apart, with round corners and a hairline."""
    from PIL import Image

    mask, line = rounded(side, side // 8)
    sheet = Image.new("RGBA", (columns * (side + gap) - gap, -(-len(images) // columns) * (side + gap) - gap))
    for i, image in enumerate(images):
        pixels = (image.clip(0, 1) * 255).round().astype("uint8")
        tile = Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels).convert("RGBA")
        tile = tile.resize((side, side), Image.Resampling.BICUBIC if smooth else Image.Resampling.NEAREST)
        tile.alpha_composite(line)
        tile.putalpha(mask)
        sheet.paste(tile, (i % columns * (side + gap), i // columns * (side + gap)))
    return sheet


def rounded(side: int, radius: int) -> tuple[Image, Image]:
    """A square with round corners: its mask, and its outline in a grey that shows on white as well as on black."""
    from PIL import Image, ImageDraw

    large = side * SHARP
    mask, line = Image.new("L", (large, large)), Image.new("RGBA", (large, large), (128, 128, 128, 0))
    box = (0, 0, large - 1, large - 1)
    ImageDraw.Draw(mask).rounded_rectangle(box, radius * SHARP, fill=255)
    ImageDraw.Draw(line).rounded_rectangle(box, radius * SHARP, outline=(128, 128, 128, 110), width=SHARP)
    small = Image.Resampling.LANCZOS
    return mask.resize((side, side), small), line.resize((side, side), small)


# ---- the recipes ----------------------------------------------------------------------------------------------------

SHAPES = {"latent": "8", "beta": "0.3", "width": "8", "hidden": "64", "batch": "64", "rate": "0.002"}
"""With beta 1 the small code does not pay for the outline, and every shape stays a disc."""

NOISE = {"width": "24", "rate": "0.002", "decay": "0.999"}
FLOW = {"width": "16", "rate": "0.002", "decay": "0.999"}
LATENTS = {"decay": "0.999", "dim": "96", "width": "16", "first": "1500"}
FAKES = {"latent": "32"}
STYLES = {"latent": "32", "width": "10"}
FEW = {"table": "13"}
SPLATS = {"degree": "1", "most": "5000"}
SKETCHES = {"method": "BicycleGAN", "width": "16"}

RECIPES = (
    Recipe("shapes", "vae", "shapes", 8000, SHAPES, shapes_card),
    Recipe("noise", "ddpm", "shapes", 8000, NOISE, noise_card),
    Recipe("surface", "implicit_fit", "", 1500, {}, surface_card),
    Recipe("digits_map", "vae", "digits", 4000, {"latent": "2", "width": "16", "hidden": "64"}),
    Recipe("holes", "autoencoder", "digits", 3000, {"latent": "8", "width": "16", "hidden": "64"}),
    Recipe("straight", "rectified_flow", "digits", 8000, FLOW),
    Recipe("latents", "latent_diffusion", "digits", 8000, LATENTS),
    Recipe("plane", "flow_2d", "", 4000, {}),
    Recipe("solids", "pointnet", "", 1000, {}),
    Recipe("game", "gan_2d", "", 1000, {}),
    Recipe("fakes", "dcgan", "digits", 5000, FAKES),
    Recipe("styles", "style_gan", "shapes", 6000, STYLES),
    Recipe("sketches", "translation", "shapes", 4000, SKETCHES),
    Recipe("life", "nerf_hash", "still_life", 1500, {}),
    Recipe("blur", "nerf", "still_life", 1200, {}),
    Recipe("few", "nerf_sparse", "still_life", 1200, FEW),
    Recipe("solid", "dvr", "still_life", 1500, {}),
    Recipe("strokes", "splat_2d", "", 1000, {}),
    Recipe("splats", "gaussian_splatting", "still_life", 1400, SPLATS),
)


def make_starters(only: str = "", out: Path | None = None, device: str = "auto") -> None:
    """Trains the starters (all, or the one called ``only``) into ``out``; CommandError with the reason if it fails."""
    names = [recipe.folder for recipe in RECIPES]
    if only and only not in names:
        raise CommandError(f"there is no starter {only!r}; there are {', '.join(names)}")
    for recipe in RECIPES:
        if only in ("", recipe.folder):
            sys.stderr.write(f"{recipe.folder}:\n")
            make(recipe, (out or FOLDER) / recipe.folder, device)


def make(recipe: Recipe, folder: Path, device: str = "auto") -> None:
    """Trains one starter and puts what the welcome page needs of it in place of ``folder``."""
    from PIL.Image import Quantize

    try:
        with tempfile.TemporaryDirectory() as place:
            run, slim = Path(place) / "run", Path(place) / recipe.folder
            train(
                recipe.study,
                str(run),
                data=recipe.data,
                knobs=recipe.knobs,
                steps=recipe.steps,
                seed=recipe.seed,
                device=device,
            )
            slim_down(run, slim)
            if recipe.card is not None:
                with Client() as client:
                    client.catalogue()
                    client.open(run=str(slim), keep=False, device="cpu")
                    card = recipe.card(client)
                card.save(slim / "card.png", optimize=True)
                if (slim / "card.png").stat().st_size > CARD_BYTES:  # 256 colours are a quarter of the bytes
                    card.quantize(256, Quantize.FASTOCTREE).save(slim / "card.png", optimize=True)
            line = closing_line(run).rpartition(";")[0]
            shutil.rmtree(folder, ignore_errors=True)
            shutil.copytree(slim, folder)
    except (Interrupted, CommandError) as e:
        if isinstance(e, CommandError) and e.code != INTERRUPTED:
            raise
        raise CommandError(f"interrupted; {folder} is as it was", INTERRUPTED) from None
    except OSError as e:
        raise CommandError(f"{folder}: cannot be written ({e.strerror})") from None
    sys.stdout.write(f"{recipe.folder}: {line}; in {folder}\n")


def slim_down(run: Path, folder: Path) -> None:
    """Copies of a run what a starter needs: config, summary, few rows of the curves, the last weights alone."""
    from engine.formats.atomic import write_atomic
    from engine.formats.runs import Run, read_snapshot, snapshot_bytes

    source, copy = Run(run), Run(folder)
    newest = source.snapshots()[-1]
    state, step = read_snapshot(source.snapshot_path(newest))
    optimiser = {"state", "param_groups"}  # the keys of every torch optimiser's state
    parts = {name: part for name, part in state["parts"].items() if not optimiser <= set(part)}
    if "average" in parts:  # what samples well stands in for the weights of the last step: half the bytes
        mean = {name.removeprefix("net."): w for name, w in parts["average"].items() if name.startswith("net.")}
        parts.update({name: mean if part.keys() == mean.keys() else part for name, part in parts.items()})
        parts.update({"teacher": parts["average"]} if "teacher" in parts else {})
    parts = _halved(parts, {})
    weights = {"parts": parts, "step": step, "seconds": state["seconds"]}
    write_atomic(copy.snapshot_path(step), snapshot_bytes(source.config()["study"], step, weights))
    for name in ("config.json", "summary.json"):
        shutil.copy(run / name, folder / name)
    (folder / "metrics.csv").write_text(thin((run / "metrics.csv").read_text("utf-8")), "utf-8")


def _halved(value: Any, done: dict[int, Any]) -> Any:
    """The nested state with its float32 tensors as float16, which the networks cannot tell; a tensor that is in two
    places stays one."""
    if isinstance(value, Mapping):
        return {name: _halved(part, done) for name, part in value.items()}
    if getattr(value, "is_floating_point", bool)() and value.numel() > 1:
        return done.setdefault(id(value), value.half())
    return value


def thin(text: str) -> str:
    """A metrics.csv of ``ROWS`` rows at most: training's evenly, the first and last among them, with vectors where
    they are recorded only now and then; of the held-out figures the last, over the whole held-out part."""
    header, *rows = list(csv.reader(io.StringIO(text)))
    held_out = [i for i, name in enumerate(header) if name.startswith("held_out/")]
    own = [i for i in range(1, len(header)) if i not in held_out]
    # a row may hold both, the first one often does
    measured = [_only(row, held_out) for row in rows if any(row[i] for i in held_out)]
    trained = [_only(row, own) for row in rows if any(row[i] for i in own)]
    empty = max((row.count("") for row in trained), default=0)
    full = evenly([row for row in trained if row.count("") < empty], ROWS - 3)  # those that hold the vectors, too
    inner = full + evenly([row for row in trained if row.count("") == empty], ROWS - 3 - len(full))
    inner.sort(key=lambda row: int(row[0]))
    kept = [*trained[:1], *inner, *trained[-1:], *measured[-1:]]
    kept = [[_short(cell) for cell in row] for i, row in enumerate(kept) if i == 0 or row != kept[i - 1]]
    return "".join(",".join(row) + "\n" for row in [header, *kept])


def _only(row: list[str], columns: Sequence[int]) -> list[str]:
    """The step and these columns of a row; the others are empty."""
    return [cell if i == 0 or i in columns else "" for i, cell in enumerate(row)]


def evenly(rows: Sequence[list[str]], most: int) -> list[list[str]]:
    """``most`` of the rows at even distances, ends included; all where there are no more."""
    if len(rows) <= most:
        return list(rows)
    if most < 2:
        return list(rows[:most])
    return [rows[round(i * (len(rows) - 1) / (most - 1))] for i in range(most)]


def _short(cell: str) -> str:
    return cell if not cell or cell.isdecimal() else f"{float(cell):.5g}"
