"""``list`` and ``probe``: what studies there are, and a question put to a run, which is only read."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from app.headless import INTERRUPTED, CommandError
from app.headless.client import Client, Interrupted, warn
from engine import messages as m
from engine.params import BadValue
from engine.payloads import ImageGrid, Moment, Payload
from engine.probes import ProbeSpec
from engine.steering import Directions
from engine.study import Declaration


def list_studies(as_json: bool = False) -> None:
    """Writes all studies to stdout, those that could not be loaded with their error."""
    try:
        with Client() as client:
            studies = client.catalogue().studies
    except Interrupted:
        raise CommandError("interrupted", INTERRUPTED) from None
    if as_json:
        text = json.dumps([described(d) for d in studies], indent=1, ensure_ascii=False)
    else:
        rows = [(d.key, d.family, d.title, d.paper or d.error) for d in studies]
        widths = [max(len(row[i]) for row in rows) for i in range(3)] if rows else []
        text = "\n".join("  ".join([*(f"{row[i]:{w}}" for i, w in enumerate(widths)), row[3]]).rstrip() for row in rows)
    sys.stdout.write(text + "\n")


def described(d: Declaration) -> dict[str, Any]:
    """A study as plain JSON: what it is, its knobs with their ranges, its probes with their controls."""
    return {
        "key": d.key,
        "family": d.family,
        "title": d.title,
        "paper": d.paper,
        "error": d.error,
        "text": d.text,
        "data": d.default_data,
        "trains": d.trains,
        "knobs": [dataclasses.asdict(k) for k in d.knobs],
        "probes": [
            {"name": p.name, "title": p.title, "text": p.text, "payload": p.payload.__name__, "controls": [*p.controls]}
            for p in d.probes
        ],
    }


def probe(run: str, name: str, texts: Mapping[str, str], out: str, device: str = "auto") -> None:
    """Asks a probe of the newest whole snapshot of ``run`` (or of the snapshot file that it names) and writes the
    answer to ``out``, by its ending. The run is only read. A study that has nothing to train is named by its key."""
    from engine.formats.export import ExportError, check_ending, write

    try:
        check_ending(out)
        with Client() as client:
            studies = {d.key: d for d in client.catalogue().studies}
            if run in studies and not studies[run].trains and not Path(run).exists():
                opened = client.open(study=run, device=device)
            else:
                opened = client.open(run=run, keep=False, device=device)
            spec, values = question(opened, name, texts)
            payloads = client.ask(spec.name, values)
        write(out, payloads)
        for line in getattr(payloads[-1], "notices", ()):
            warn(line)
    except Interrupted:
        raise CommandError("interrupted; nothing was written", INTERRUPTED) from None
    except ExportError as e:
        raise CommandError(str(e)) from None
    sys.stdout.write(f"{out}: {spec.title} of {opened.study.key} at step {opened.step:,}{_size(payloads)}\n")


def question(opened: m.Opened, name: str, texts: Mapping[str, str]) -> tuple[ProbeSpec, dict[str, Any]]:
    """The probe and the values of its controls; CommandError for an unknown name or a bad value."""
    spec = opened.study.probe(name)
    if spec is None:
        there = ", ".join(p.name for p in opened.study.probes) or "none"
        raise CommandError(f"{name}: no such probe of {opened.study.key}; there are {there}")
    try:
        known = {key: text for key, text in texts.items() if key in spec.controls}
        given = {key: spec.controls[key].parse(key, text, opened.knobs) for key, text in known.items()}
        kept = {key: opened.directions for key, control in spec.controls.items() if isinstance(control, Directions)}
        return spec, spec.values({**kept, **texts, **given}, opened.knobs)
    except BadValue as e:
        raise CommandError(str(e)) from None


def _size(payloads: list[Payload]) -> str:
    first = payloads[0]
    if isinstance(first, Moment):
        return f", {len(payloads)} frames"
    return f", {len(first.images)} pictures" if isinstance(first, ImageGrid) else ""
