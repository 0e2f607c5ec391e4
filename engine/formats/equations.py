"""LaTeX to SVG pictures, on the engine's thread because typesetting takes tens of milliseconds. Knows no view."""

from __future__ import annotations

import warnings
from functools import lru_cache

SIZE = 20
"""Pixels of the type at which the pictures are set; a view scales them."""


@lru_cache(maxsize=512)
def svg(latex: str) -> str:
    """An SVG picture of ``latex`` in black on nothing; '' if it is empty or cannot be typeset."""
    if not latex:
        return ""
    try:
        with warnings.catch_warnings():
            # It finds its fonts by an old call of Python's, which is no business of ours.
            warnings.simplefilter("ignore", DeprecationWarning)
            from ziamath.zmath import Latex  # a quarter of a second to import, and only equations need it
        return str(Latex(latex, size=SIZE).svg())
    except Exception:  # noqa: BLE001  # a study's typing error may raise anything; the view falls back to the text
        return ""
