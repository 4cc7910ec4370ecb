"""What a run of the demo leaves behind to be judged: plain values, gathered by the run, read by the invariants."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from cli.demo_stage.payments import Payments

if TYPE_CHECKING:
    from cli.demo_stage.records import Buyer, Lot, Site, Trade


@dataclass(slots=True, kw_only=True)
class Evidence:
    """Everything that was seen. `metrics` are the agents' own figures at the end, by battery."""

    trades: list[Trade]
    lots: list[Lot]
    sites: list[Site]
    buyers: list[Buyer]
    metrics: dict[str, dict[str, Any]]
    bids_answered: int
    bids_late: int
    bids_waiting: int
    answer_p50_ms: int
    answer_p99_ms: int
    slowest_answer_ms: int
    payments: Payments = field(default_factory=Payments)
    wanted: int | None = None
    duration_ms: int = 0
    discovery: str = ""
    released: dict[str, bool] = field(default_factory=dict)
    left_running: list[str] = field(default_factory=list)
    """Processes, ports and files that outlived the demo."""
    bad_ends: list[str] = field(default_factory=list)
    """Processes that did not end cleanly."""
