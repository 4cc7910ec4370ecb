"""How much virtual time the simulation proves in a minute of real time."""

from __future__ import annotations

import logging
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import structlog

from bench.report import Figure
from simulation.world import Options
from simulation.world import run as simulate

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.settings import Settings


def run(settings: Settings) -> list[Figure]:
    """Run one seed."""
    hours = settings.pick(3.0, 0.05)
    began_s, began_cpu_s = time.monotonic(), time.process_time()
    with _without_warnings():
        summary = simulate(Options(seed=8, hours=hours, directory=settings.room("simulation")))
    took_s, cpu_s = time.monotonic() - began_s, time.process_time() - began_cpu_s
    return [
        Figure(
            key="simulation.hours_per_minute",
            value=hours * 60 / took_s,
            unit="h/min",
            note=f"{summary.awards} awards, {summary.faults} faults, {summary.steps:,} steps",
        ),
        Figure(key="simulation.ratio_to_real_time", value=hours * 3_600 / took_s, note=f"{cpu_s / took_s:.0%} CPU"),
    ]


@contextmanager
def _without_warnings() -> Iterator[None]:
    """Faults are the point of a simulated hour: what the agent warns of them is not for the table."""
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    try:
        yield
    finally:
        structlog.configure(**before)
