"""What each trade really received, from the battery's own counter: independent of the agent's metering. Pure.

The counter is read often, whoever buys. Between two trades it stands still, so with as many flows as trades, one after
the other, each flow is a trade's, whatever the clocks say. Trades that overlap share what flowed by granted power x
time; what flows while none runs (a ramp at the end) belongs to the one before. The parts always sum to the whole.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence


class Reading(NamedTuple):
    """The discharge counter at a time."""

    at_ms: int
    discharged_wh: float


class Span(NamedTuple):
    """When a trade ran, at which power (magnitude)."""

    start_ms: int
    end_ms: int
    power_w: int

    def weight(self, from_ms: int, to_ms: int) -> int:
        """Return power x the time it ran within an interval."""
        return self.power_w * max(0, min(to_ms, self.end_ms) - max(from_ms, self.start_ms))


def attribute(readings: Sequence[Reading], spans: Sequence[Span]) -> list[float]:
    """Return the energy (Wh) of each span; what flowed before the first or after the last reading is not seen."""
    parts = [0.0] * len(spans)
    order = sorted(range(len(spans)), key=lambda index: spans[index].start_ms)
    flows = _flows(readings)
    if len(flows) == len(spans) and all(spans[a].end_ms <= spans[b].start_ms for a, b in pairwise(order)):
        for index, flowed_wh in zip(order, flows, strict=True):
            parts[index] = flowed_wh
        return parts
    if not spans:
        return parts
    for before, after in pairwise(readings):
        flowed_wh = after.discharged_wh - before.discharged_wh
        weights = [span.weight(before.at_ms, after.at_ms) for span in spans]
        whole = sum(weights)
        if whole:
            for index, weight in enumerate(weights):
                parts[index] += flowed_wh * weight / whole
        elif flowed_wh:
            parts[_nearest(spans, before.at_ms)] += flowed_wh
    return parts


def _flows(readings: Sequence[Reading]) -> list[float]:
    """Return the energy of each flow: a stretch in which every reading is above the one before."""
    flows: list[float] = []
    flowing = False
    for before, after in pairwise(readings):
        step_wh = after.discharged_wh - before.discharged_wh
        if step_wh > 0:
            if not flowing:
                flows.append(0.0)
            flows[-1] += step_wh
        flowing = step_wh > 0
    return flows


def _nearest(spans: Sequence[Span], at_ms: int) -> int:
    """Return the span that ended last before a time, else the one that starts first."""
    over = [index for index, span in enumerate(spans) if span.end_ms <= at_ms]
    if over:
        return max(over, key=lambda index: spans[index].end_ms)
    return min(range(len(spans)), key=lambda index: spans[index].start_ms)
