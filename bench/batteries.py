"""Stand-in batteries in one process, for an aggregator to buy from.

Options: `core`, `directory` (for the log), `count`.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import uvloop

from agent.clock import wall_ms
from aggregator.testing import StandInBattery
from bench.children import log_to, options, orders, say

if TYPE_CHECKING:
    from collections.abc import Sequence


async def serve(given: dict[str, Any]) -> None:
    """Sell lot after lot until stdin ends; every order is answered with what was sold."""
    batteries = [StandInBattery(wall_ms=wall_ms, device_id=number + 1) for number in range(given["count"])]
    say(ports=[await battery.start() for battery in batteries])
    stream = await orders()
    async for _ in stream:
        say(**sold(batteries))
    await asyncio.gather(*(battery.close() for battery in batteries))


def sold(batteries: Sequence[StandInBattery]) -> dict[str, int]:
    """Count awards, confirms, and batteries that have sold at least once."""
    sales = [sale for battery in batteries for sale in battery.sold.values()]
    return {
        "awards": len(sales),
        "confirmed": sum(sale.confirmed for sale in sales),
        "batteries": sum(bool(battery.sold) for battery in batteries),
    }


if __name__ == "__main__":
    _given = options()
    with log_to(_given["directory"], "batteries"):
        uvloop.run(serve(_given))
