"""Names such as x̂₀ in one line: some fonts put a combining hat far off its letter, so it is drawn by hand.

Knows fonts only.
"""

from __future__ import annotations

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QFontMetricsF, QPainter, QPen, QPolygonF

HAT = "\N{COMBINING CIRCUMFLEX ACCENT}"


def hatless(text: str) -> tuple[str, tuple[int, ...]]:
    """``text`` without its hats, and which letters of what is left had one."""
    parts = text.split(HAT)
    ends = [sum(len(part) for part in parts[: i + 1]) for i in range(len(parts) - 1)]
    return "".join(parts), tuple(end - 1 for end in ends if end)


def advance(metrics: QFontMetricsF, text: str) -> float:
    """How wide :func:`write` draws ``text``."""
    return metrics.horizontalAdvance(hatless(text)[0])


def wrapped(metrics: QFontMetricsF, text: str, width: float, most: int = 2) -> list[str]:
    """``text`` in lines of at most ``width``, broken between words; of more than ``most`` the last ends in …; [] for
    no text."""
    lines: list[str] = []
    rest = text.split()
    while rest and len(lines) < most - 1:
        count = len(rest)
        while count > 1 and advance(metrics, " ".join(rest[:count])) > width:
            count -= 1
        lines.append(" ".join(rest[:count]))
        rest = rest[count:]
    if rest:
        plain = " ".join(rest)
        fits = advance(metrics, plain) <= width
        lines.append(plain if fits else metrics.elidedText(plain, Qt.TextElideMode.ElideRight, width))
    return lines


def write(painter: QPainter, box: QRectF, text: str, how: Qt.AlignmentFlag) -> None:
    """Draws ``text`` in the painter's font in the middle of ``box``'s height, ended by … where it is too long."""
    metrics = QFontMetricsF(painter.font())
    plain, hats = hatless(text)
    shown = metrics.elidedText(plain, Qt.TextElideMode.ElideRight, box.width())
    x = box.left()
    if how & (Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignHCenter):
        spare = box.width() - metrics.horizontalAdvance(shown)
        x += spare if how & Qt.AlignmentFlag.AlignRight else spare / 2
    y = round(box.center().y() + (metrics.ascent() - metrics.descent()) / 2)
    painter.drawText(QPointF(x, y), shown)
    for i in hats:
        if i < len(shown) and shown[i] == plain[i]:
            height = metrics.capHeight() if plain[i].isupper() else metrics.xHeight()
            middle = x + metrics.horizontalAdvance(shown[:i]) + metrics.horizontalAdvance(shown[i]) / 2
            top = y - height - 3.5
            painter.save()
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            painter.setPen(QPen(painter.pen().color(), 1))
            sides = (QPointF(middle - 2, top + 2), QPointF(middle, top), QPointF(middle + 2, top + 2))
            painter.drawPolyline(QPolygonF(list(sides)))
            painter.restore()
