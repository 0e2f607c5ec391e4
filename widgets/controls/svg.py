"""Shows a formula that came as an SVG picture, in the theme's text colour. Knows no LaTeX and asks for no file."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Iterable
from functools import lru_cache

from PySide6.QtCore import QByteArray, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QPainter, QPaintEvent, QPixmap
from PySide6.QtSvg import QSvgRenderer
from PySide6.QtWidgets import QSizePolicy, QWidget

from widgets.theme import theme

_NS = "{http://www.w3.org/2000/svg}"


@lru_cache(maxsize=256)
def _flat(svg: str) -> tuple[bytes, QRectF]:
    """``svg`` with its symbols written out in place, and its view box; empty where it is no SVG.

    QtSvg draws a ``<use>`` of a ``<symbol>`` without the symbol's view box, so glyphs would come out cut and tiny.
    """
    ElementTree.register_namespace("", _NS[1:-1])
    try:
        root = ElementTree.fromstring(svg)
        box = QRectF(*(float(v) for v in root.attrib["viewBox"].split()))
        symbols = {s.attrib["id"]: s for s in root.iter(f"{_NS}symbol")}
        for parent in list(root.iter()):
            for i, child in enumerate(list(parent)):
                if child.tag == f"{_NS}use":
                    parent[i] = _placed(child.attrib, symbols[child.attrib["href"].lstrip("#")])
        for symbol in symbols.values():
            root.remove(symbol)
        return ElementTree.tostring(root), box
    except (ElementTree.ParseError, KeyError, ValueError, TypeError):
        return b"", QRectF()


def _placed(use: dict[str, str], symbol: ElementTree.Element) -> ElementTree.Element:
    """The symbol's drawing as a group, moved and scaled to where ``use`` has it."""
    x, y, width, height = (float(use[key]) for key in ("x", "y", "width", "height"))
    left, top, inner_width, inner_height = (float(v) for v in symbol.attrib["viewBox"].split())
    # a space has no box
    across, down = (a / b if b else 1.0 for a, b in ((width, inner_width), (height, inner_height)))
    transform = f"translate({x} {y}) scale({across} {down}) translate({-left} {-top})"
    group = ElementTree.Element(f"{_NS}g", {"transform": transform, "fill": use.get("fill", "black")})
    group.extend(list(symbol))
    return group


@lru_cache(maxsize=512)
def _drawn(svg: str, colour: str, width: int, height: int) -> QPixmap:
    """The formula in one colour, ``width`` x ``height`` device pixels."""
    pixmap = QPixmap(width, height)
    pixmap.fill(Qt.GlobalColor.transparent)
    painter = QPainter(pixmap)
    QSvgRenderer(QByteArray(_flat(svg)[0])).render(painter, QRectF(0, 0, width, height))
    painter.setCompositionMode(QPainter.CompositionMode.CompositionMode_SourceIn)
    painter.fillRect(pixmap.rect(), QColor(colour))
    painter.end()
    return pixmap


def svg_box(svg: str) -> QRectF:
    """The view box of ``svg``: y 0 is the baseline, so ``-top`` is the ascent. Empty where it is no SVG."""
    return _flat(svg)[1]


def paint_svg(painter: QPainter, svg: str, colour: str, place: QRectF) -> None:
    """Draws ``svg`` into ``place`` (logical pixels), sharp at the painter's own pixel ratio."""
    ratio = painter.device().devicePixelRatioF()
    width, height = round(place.width() * ratio), round(place.height() * ratio)
    if width < 1 or height < 1 or not _flat(svg)[0]:
        return
    pixmap = _drawn(svg, colour, width, height)
    left, top = round(place.left() * ratio) / ratio, round(place.top() * ratio) / ratio
    painter.drawPixmap(QRectF(left, top, width / ratio, height / ratio), pixmap, QRectF(pixmap.rect()))


class SvgLabel(QWidget):
    """A formula. ``scale`` 1 shows it at the size that it was set in; centred unless :meth:`set_lines` was called."""

    def __init__(
        self,
        svg: str = "",
        colour: str | None = None,
        scale: float = 1.0,
        quiet: bool = False,
        parent: QWidget | None = None,
    ) -> None:
        """``colour`` None follows the theme's text colour, or its quiet one."""
        super().__init__(parent)
        self._svg = svg
        self._quiet = quiet
        self._colour = colour
        self._scale = scale
        self._lines: tuple[float, float] | None = None
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Preferred)
        theme.changed.connect(self.update)

    def svg(self) -> str:
        return self._svg

    def colour(self) -> str:
        """The colour that it is drawn in, as #rrggbb."""
        c = theme.colours
        if self._quiet or not self.isEnabled():
            return c.quiet
        return self._colour or c.text

    def set_svg(self, svg: str, colour: str | None = None) -> None:
        """Shows another formula; ``colour`` None is the theme's text colour."""
        self._svg, self._colour = svg, colour
        self.updateGeometry()
        self.update()

    def set_colour(self, colour: str | None) -> None:
        self._colour = colour
        self.update()

    def set_scale(self, scale: float) -> None:
        """Size relative to the one that the formula was set in."""
        self._scale = scale
        self.updateGeometry()
        self.update()

    def ascent(self) -> float:
        """Pixels above the baseline."""
        return -svg_box(self._svg).top() * self._scale

    def descent(self) -> float:
        """Pixels below the baseline."""
        return svg_box(self._svg).bottom() * self._scale

    def set_lines(self, ascent: float, descent: float) -> None:
        """Leaves ``ascent`` pixels above and ``descent`` below the baseline; see :func:`align_baselines`."""
        self._lines = (ascent, descent)
        self.updateGeometry()
        self.update()

    def sizeHint(self) -> QSize:
        box = svg_box(self._svg)
        height = sum(self._lines) if self._lines else box.height() * self._scale
        return QSize(_ceil(box.width() * self._scale), _ceil(height))

    def minimumSizeHint(self) -> QSize:
        return self.sizeHint()

    def paintEvent(self, event: QPaintEvent) -> None:
        box = svg_box(self._svg)
        width, height = box.width() * self._scale, box.height() * self._scale
        top = (self.height() - height) / 2
        if self._lines:
            top = (self.height() - sum(self._lines)) / 2 + self._lines[0] - self.ascent()
        painter = QPainter(self)
        paint_svg(painter, self._svg, self.colour(), QRectF(0, top, width, height))


def align_baselines(labels: Iterable[SvgLabel]) -> None:
    """Gives formulas that stand side by side one baseline and one height."""
    labels = list(labels)
    if labels:
        ascent, descent = max(x.ascent() for x in labels), max(x.descent() for x in labels)
        for label in labels:
            label.set_lines(ascent, descent)


def _ceil(x: float) -> int:
    return int(-(-x // 1))
