"""What a canvas asks of the view lane: orders for splats, and what meshes came without. Draws nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QObject, Signal

from engine.scene import Mesh
from widgets.viewport.drawing.holder import Holder
from widgets.viewport.lane import ViewLane

if TYPE_CHECKING:
    from widgets.viewport.drawing.shot import Shot
    from widgets.viewport.drawing.splats.computed import Computed
    from widgets.viewport.drawing.splats.item import Ask, SplatsItem

NORMALS_HERE = 20_000
"""Faces up to which vertex normals are worked out at once; more go to the view lane."""


class Asking(QObject):
    """Begins a thread with the first ask, which ends with this object."""

    answered = Signal(bool)
    """Something came that changes the picture; whether it is an order."""
    failed = Signal(str)
    """Why something could not be worked out, in one line."""

    def __init__(self, inside: Holder, parent: QObject) -> None:
        super().__init__(parent)
        self._inside = inside
        self._made: ViewLane | None = None
        self._asked: dict[str, tuple[int, ...]] = {}

    @property
    def _lane(self) -> ViewLane:
        """Begun with the first ask."""
        if self._made is None:
            self._made = ViewLane(self)
        return self._made

    # ---- in which order splats are drawn ----------------------------------------------------------------------------

    def waits(self, shot: Shot, budget: int, quick: bool) -> bool:
        """Asks for orders; whether a picture cannot be begun before one comes."""
        painter = self._inside.painter
        assert painter is not None
        for owner, ask in painter.asks(shot, budget, quick):
            self._ask_of_splats(owner, ask)
        return painter.waits(shot, quick)

    def at_rest(self, shot: Shot) -> None:
        """The picture for ``shot`` is on screen, complete."""
        assert self._inside.painter is not None
        for owner, ask in self._inside.painter.trials(shot):
            self._ask_of_splats(owner, ask)

    def _ask_of_splats(self, owner: SplatsItem | Computed, ask: Ask) -> None:
        def then(found: Any) -> None:
            painter = self._inside.painter
            if painter is not None and painter.has(owner):
                self._inside.gpu.current()
                owner.take(ask, found)
                self.answered.emit(True)

        def failed(line: str) -> None:
            self.failed.emit(owner.complaint(line))
            painter = self._inside.painter
            if painter is not None and painter.has(owner):
                self._inside.gpu.current()
                owner.give_up()
                self.answered.emit(True)

        self._lane.ask(ask.key, ask.job, then, failed, **ask.arguments)

    # ---- what large meshes lack -------------------------------------------------------------------------------------

    def complete_meshes(self) -> None:
        """Normals for meshes that came without and should look smooth, and coarser ones for a camera that moves."""
        from widgets.viewport.drawing.mesh import MeshItem, vertex_normals

        assert self._inside.painter is not None
        for name, item in self._inside.painter.items.items():
            if not isinstance(item, MeshItem):
                continue
            mesh = item.thing
            if item.lacks_normals and len(mesh.faces) <= NORMALS_HERE:
                item.take_normals(mesh, vertex_normals(mesh.vertices, mesh.faces))
            elif item.lacks_normals:
                self._ask_of_mesh(name, "vertex_normals", "take_normals", mesh)
            if item.lacks_coarse:
                self._ask_of_mesh(name, "coarse_faces", "take_coarse", mesh, keep=item.changes.keep)

    def _ask_of_mesh(self, name: str, job: str, take: str, mesh: Mesh, **more: Any) -> None:
        key, asked = f"{job} {name}", (id(mesh.vertices), id(mesh.faces), *map(id, more.values()))
        if self._asked.get(key) == asked:
            return
        self._asked[key] = asked

        def then(found: Any) -> None:
            self._asked.pop(key, None)
            painter = self._inside.painter
            item: Any = None if painter is None else painter.items.get(name)
            if isinstance(item.thing if item is not None else None, Mesh) and item.thing.faces is mesh.faces:
                getattr(item, take)(mesh, found, **more)
                self.answered.emit(False)

        self._lane.ask(key, job, then, vertices=mesh.vertices, faces=mesh.faces, **more)
