"""A download of a data set that goes on beside everything else; looked at a few times a second."""

from __future__ import annotations

from collections.abc import Callable, Generator

from engine import messages as m
from engine.params import BadValue
from engine.worker.desk import Desk

FETCH_EVERY = 0.2


class Fetch:
    """At most one at a time. ``text`` says how far it is, '' while there is none; ``ended`` is called after each."""

    def __init__(self, desk: Desk, ended: Callable[[], None]) -> None:
        self._desk = desk
        self._ended = ended
        self._steps: Generator[str, None, None] | None = None
        self._key = ""
        self._looked_at = 0.0
        self.text = ""

    @property
    def active(self) -> bool:
        return self._steps is not None

    def start(self, key: str) -> None:
        """Begins to download a data set; BadValue while another one is under way, DataError if it has no source."""
        if self._steps is not None:
            raise BadValue(f"{self._key} is being fetched; cancel it or wait")
        from engine import data

        self._steps, self._key, self.text = data.fetching(key), key, f"fetching {key}"

    def tick(self, now: float) -> None:
        if self._steps is None or now - self._looked_at < FETCH_EVERY:
            return
        self._looked_at = now
        try:
            self.text = next(self._steps)
        except StopIteration:
            self._end()
            self._desk.put(m.Notice(f"{self._key}: fetched"))
        except Exception as e:  # noqa: BLE001  # whatever the network raises is told in one line
            self._end()
            self._desk.fail(e, "data", f"{self._key} was not fetched")

    def cancel(self) -> None:
        if self._steps is not None:
            self._end()
            self._desk.put(m.Notice(f"{self._key}: cancelled"))

    def close(self) -> None:
        steps, self._steps, self.text = self._steps, None, ""
        if steps is not None:
            self._desk.guard(steps.close, "data", f"{self._key}: the download did not stop cleanly")

    def _end(self) -> None:
        self.close()
        self._ended()
