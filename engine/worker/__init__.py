"""The engine's one thread and the parts that it is made of. Imports no torch until the thread runs."""

from engine.worker.thread import Engine

__all__ = ["Engine"]
