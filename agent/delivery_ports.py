"""What a delivery needs and whom it tells: the seams between `agent.delivery` and the rest of the agent."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from agent.energy import DISCHARGE_EFFICIENCY_PERMILLE
from agent.guardrails import Guardrails

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Mapping

    from agent.trades import Delivered, Trade


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryRules:
    """What the site allows one battery's deliveries; None = the device's own value. Powers are magnitudes.

    `time_lapse` multiplies elapsed time in energy rules (lab only); ticks, polls, settling and dead-men stay real.
    """

    floor_permille: int = 200
    capacity_wh: int | None = None
    efficiency_permille: int = DISCHARGE_EFFICIENCY_PERMILLE
    max_power_w: int | None = None
    time_lapse: int = 1
    guardrails: Guardrails = field(default_factory=Guardrails)


class StopReport(NamedTuple):
    """How a stop of everything ended: released, or in words why it is not known to be."""

    released: bool
    reason: str = ""


class DeliveryListener(Protocol):
    """Who is told what happens to deliveries; never from within a call to `Delivery` other than `acknowledge`."""

    def delivery_started(self, trade: Trade, first_setpoint_at_ms: int) -> None:
        """The first setpoint frame that serves a trade was handed to the line at this monotonic time."""

    def delivery_progress(self, trade: Trade, delivered_wh: int) -> None:
        """The energy delivered so far, every 5 s of delivery, as it was journaled."""

    def delivery_ended(self, delivered: Delivered) -> None:
        """A trade is over and its record is on disk (or the journal has failed); exactly once a trade."""

    def delivery_alarm(self, name: str, reason: str, *, raised: bool, blocks_selling: bool) -> None:
        """An alarm was raised or cleared. One that blocks selling stays until `Delivery.acknowledge`."""


class JournalPort(Protocol):
    """The part of `agent.journal.Journal` that deliveries use."""

    def append(self, battery: str, kind: str, body: Mapping[str, Any]) -> tuple[int, asyncio.Future[None]]:
        """Queue a record; its number, and a future that is done when it is on disk or fails with JournalError."""
        ...
