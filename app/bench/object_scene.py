"""A folder as Blender's users make them: the still life traced from many sides, as pictures with a transparent ground
beside ``transforms_train.json`` and ``transforms_test.json``. Knows no study.
"""

from __future__ import annotations

import json
from pathlib import Path

from PIL import Image

from engine.data.captures import still_life

SIDE, VIEWS, HELD_OUT = 200, 87, 8
"""Pixels along a side, and the views to learn from and to judge by: those of the scene that the bar was set on."""
NAMES = {"train": "train", "held_out": "test"}


def made(folder: Path, side: int = SIDE, views: int = VIEWS, held_out: int = HELD_OUT) -> Path:
    """Traces the pictures, which takes half a minute, and writes all that belongs to them; ``folder`` comes back."""
    frames: dict[str, list[dict[str, object]]] = {name: [] for name in NAMES.values()}
    for _, split, pose in still_life.poses(views, held_out):
        name = NAMES[split]
        file = f"{name}/r_{len(frames[name]):03d}"
        (folder / name).mkdir(parents=True, exist_ok=True)
        pixels, _ = still_life.photograph(pose, still_life.camera(side))
        Image.fromarray(pixels).save(folder / f"{file}.png")
        frames[name].append({"file_path": f"./{file}", "transform_matrix": pose.tolist()})
    for name, listed in frames.items():
        text = json.dumps({"camera_angle_x": float(still_life.FOV), "frames": listed})
        (folder / f"transforms_{name}.json").write_text(text)
    return folder
