"""One aggregator process buys from 100 batteries at once: every Confirm must leave within its limit."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from bench.children import Child
from bench.machine import cores, cpu_s
from bench.report import Figure

if TYPE_CHECKING:
    from bench.settings import Settings

_BATTERIES: Final = 100


def run(settings: Settings) -> list[Figure]:
    """Let it trade for a while."""
    here = cores()
    count = settings.count(_BATTERIES, 5)
    room = str(settings.room("aggregator"))
    with (
        Child("bench.batteries", core=here.server, directory=room, count=count) as batteries,
        Child("bench.buyer", core=here.client, directory=room, ports=batteries.ready["ports"]) as buyer,
    ):
        began_s, began_cpu_s = time.monotonic(), cpu_s(buyer.pid)
        time.sleep(settings.pick(15.0, 2.0))
        confirms = buyer.ask(do="figures")
        took_s, used_s = time.monotonic() - began_s, cpu_s(buyer.pid) - began_cpu_s
        time.sleep(1.0)  # what is on its way arrives
        sold = batteries.ask(do="figures")
    whole = sold["batteries"] == count and confirms["count"] > 0
    return [
        Figure(
            key="aggregator.late_confirms",
            value=confirms["late"],
            target=0,
            valid=whole,
            note=f"of {confirms['count']:,} to {sold['batteries']} batteries, p99 {confirms['p99_ms']} ms",
        ),
        Figure(key="aggregator.confirms_per_s", value=confirms["count"] / took_s, unit="/s"),
        Figure(
            key="aggregator.cpu_share",
            value=used_s / took_s,
            note=f"of one core; {used_s * 1e3 / max(1, confirms['count']):.2f} ms a trade",
        ),
    ]
