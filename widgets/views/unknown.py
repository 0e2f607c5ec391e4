"""The view of a payload that no view draws: a card that says so. The data can still be saved."""

from __future__ import annotations

from engine.payloads import Payload
from widgets.views.base import View


class UnknownView(View):
    """Never blank: the name of what came, and what can be done with it."""

    def show_payload(self, payload: Payload, step: int) -> None:
        self.payload, self.step = payload, step
        self.show_failure(
            f"No picture for {type(payload).__name__}",
            "The probe answered with a kind of data that this window has no view for.",
            "Its numbers can be saved.",
            "Save data…",
            self.save_data,
        )
