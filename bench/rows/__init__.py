"""The rows of `make bench`: each module measures one thing and returns its figures, `run(settings) -> list[Figure]`."""

from __future__ import annotations

from typing import Final

ALL: Final = (
    "codec",
    "winner",
    "auction",
    "mechanism",
    "pricing",
    "journal",
    "settlement",
    "etp_server",
    "open_loop",
    "fan_out",
    "aggregator",
    "setpoint",
    "start",
    "program",
    "simulation",
)
"""In the order in which they run."""
