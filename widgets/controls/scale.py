"""Numbers on a track: value to place and back, steps, rounding, text. Pure arithmetic; knows no widget."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

from engine.params import BadValue, parse_value

MINUS = "\N{MINUS SIGN}"
FINE = 0.1
"""What Shift does to a drag or a step."""


def _nice(x: float) -> float:
    """The largest of 1, 2, 5 times a power of ten that is not above ``x`` > 0."""
    power = 10.0 ** math.floor(math.log10(x))
    return power * (1 if x < 2 * power else 2 if x < 5 * power else 5)


@dataclass(frozen=True)
class Scale:
    """The numbers ``lo``..``hi``, both inclusive; ``log`` spaces them by ratio.

    A ``log`` scale from 0 has 0 at its very start and four decades after it; one from below 0 is linear.
    """

    lo: float
    hi: float
    integer: bool = False
    log: bool = False

    @cached_property
    def _floor(self) -> float:
        return self.lo if self.lo > 0 else self.hi * 1e-4

    @property
    def by_ratio(self) -> bool:
        return self.log and self.lo >= 0 and self.hi > self._floor

    @cached_property
    def decimals(self) -> int:
        """Figures after the point that are always shown on a linear scale."""
        if self.integer or self.hi <= self.lo:
            return 0 if self.integer else 2
        return min(max(0, -math.floor(math.log10((self.hi - self.lo) / 200))), 8)

    @cached_property
    def _step(self) -> float:
        if self.hi <= self.lo:
            return 0.0
        step = _nice((self.hi - self.lo) / 100)
        return max(1.0, step) if self.integer else step

    def fraction(self, value: float) -> float:
        """Where ``value`` lies between ``lo`` (0) and ``hi`` (1); values outside are at the ends."""
        if self.hi <= self.lo or value <= self.lo:
            return 0.0
        if self.by_ratio:
            place = math.log(max(value, self._floor) / self._floor) / math.log(self.hi / self._floor)
        else:
            place = (value - self.lo) / (self.hi - self.lo)
        return min(place, 1.0)

    def at(self, fraction: float) -> float:
        """The value at a place in 0..1, rounded to what the text can show."""
        if fraction <= 0 or self.hi <= self.lo:
            return self.typed(self.lo)
        if fraction >= 1:
            return self.typed(self.hi)
        if self.by_ratio:
            value = self._floor * (self.hi / self._floor) ** fraction
        else:
            value = self.lo + fraction * (self.hi - self.lo)
        return self._rounded(value)

    def stepped(self, value: float, steps: float, fine: bool = False) -> float:
        """``value`` moved by ``steps`` steps (a hundredth of the track each), a tenth of that where ``fine``."""
        steps *= FINE if fine else 1.0
        if self.by_ratio:
            moved = self.at(self.fraction(value) + steps / 100)
        else:
            moved = self._rounded(value + steps * self._step, extra=1)
        if self.integer and moved == value and steps:
            moved = value + math.copysign(1, steps)
        return self.typed(min(max(moved, self.lo), self.hi))

    def _rounded(self, value: float, extra: int = 0) -> float:
        """``value`` with as many figures as a person reads, within the range."""
        if self.integer:
            value = round(value)
        elif self.by_ratio:
            value = float(f"{value:.3g}")
        else:
            value = round(value, self.decimals + extra)
        return self.typed(min(max(value, self.lo), self.hi))

    def typed(self, value: float) -> float:
        """``value`` as int or float, as the scale has it."""
        return int(value) if self.integer else float(value)

    def text(self, value: float) -> str:
        """``value`` in at most about eight signs."""
        if self.integer:
            return f"{int(value)}".replace("-", MINUS)
        if self.by_ratio:
            return short(value)
        text = ""
        for more in (0, 1, 2):
            text = f"{value:.{self.decimals + more}f}"
            if math.isclose(float(text), value, rel_tol=1e-9, abs_tol=1e-12):
                break
        else:
            text = f"{value:.{self.decimals}f}"
        return _signed(text)

    def parse(self, text: str, lo: float | None = None, hi: float | None = None) -> float:
        """The number that was typed if it lies in ``lo``..``hi`` (by default the scale's own), else BadValue.

        The message is short enough to stand in the row: ``not a number``, ``from 0 to 16``.
        """
        lo = self.lo if lo is None else lo
        hi = self.hi if hi is None else hi
        try:
            value = float(parse_value("", "float", text.replace(MINUS, "-")))
        except BadValue:
            raise BadValue("not a number") from None
        if not math.isfinite(value):
            raise BadValue("not a number")
        if self.integer and value != int(value):
            raise BadValue("whole numbers only")
        if not lo <= value <= hi:
            if math.isinf(hi):
                raise BadValue("any number" if math.isinf(lo) else f"from {short(lo)} up")
            raise BadValue(f"up to {short(hi)}" if math.isinf(lo) else f"from {short(lo)} to {short(hi)}")
        return self.typed(value)


def short(value: float) -> str:
    """A number in three figures, whole numbers in full, small ones as 1.5e-4."""
    if value == int(value) and abs(value) < 1e10:
        return f"{int(value)}".replace("-", MINUS)
    text = f"{value:.3g}"
    if "e" in text or abs(value) < 1e-3:
        mantissa, _, power = f"{value:.2e}".partition("e")
        text = f"{mantissa.rstrip('0').rstrip('.')}e{int(power)}"
    return _signed(text)


def _signed(text: str) -> str:
    """The typographic minus, and no minus before a zero."""
    if text.startswith("-") and not text.strip("-0."):
        text = text[1:]
    return text.replace("-", MINUS)
