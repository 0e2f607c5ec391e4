"""What the window remembers between two starts: theme, size, layouts. One small JSON file; a damaged one is ignored."""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path
from typing import Any

import platformdirs


def runs_folder() -> Path:
    """Where runs are kept unless the person says otherwise."""
    return Path(platformdirs.user_data_dir("mutoscope")) / "runs"


class Settings:
    """Read once before the window is made, written when it closes: a file of some kilobytes either way."""

    def __init__(self, path: Path | None = None) -> None:
        self.path = path or Path(platformdirs.user_config_dir("mutoscope")) / "window.json"
        self.values: dict[str, Any] = {}
        with contextlib.suppress(OSError, ValueError):
            loaded = json.loads(self.path.read_text(encoding="utf-8"))
            if isinstance(loaded, dict):
                self.values = loaded

    def text(self, name: str, default: str = "") -> str:
        value = self.values.get(name, default)
        return value if isinstance(value, str) else default

    def set(self, name: str, value: Any) -> None:
        self.values[name] = value

    def write(self) -> str:
        """Saves; the reason if that was not possible, else ''."""
        part = self.path.with_suffix(f".{os.getpid()}.part")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            part.write_text(json.dumps(self.values, indent=1), encoding="utf-8")
            os.replace(part, self.path)
        except OSError as e:
            return f"the window's layout was not saved: {e}"
        return ""
