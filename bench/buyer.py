"""One aggregator in a process of its own, as `aggregator.main` makes it, whose latencies can be asked for.

Options: `core`, `directory`, `ports` of the batteries. Every order is answered with its Confirms: how many were sent,
how many passed their limit, and their tail.
"""

from __future__ import annotations

import random
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import uvloop

from agent.clock import wall_ms
from aggregator.config import load_config
from aggregator.service import Aggregator, Surroundings, label_of
from bench.children import log_to, options, orders, say
from etp.auth import AuthPolicy
from etp.io.client import connect
from etp.io.maker import ConnectionMaker
from etp.io.pollclock import PollClock
from etp.limits import Limits
from etp.messages import MessageType
from etp.timing import Role
from etp.traffic import Traffic

if TYPE_CHECKING:
    from aggregator.slot import Conversation, Slot

_CONFIG: Final = """
name = "bench"
[network]
peers = "open"
multicast = false
batteries = [{batteries}]
[value]
forecast_c = [40]
[strategy]
name = "truthful"
"""


async def serve(given: dict[str, Any]) -> None:
    """Buy until stdin ends."""
    path = Path(given["directory"]) / "aggregator.toml"
    batteries = ", ".join(f'"127.0.0.1:{port}"' for port in given["ports"])
    path.write_text(_CONFIG.format(batteries=batteries), encoding="utf-8")
    config = load_config(path)
    traffic = Traffic()
    label = label_of(config.name)
    maker = ConnectionMaker(
        role=Role.AGGREGATOR,
        device_id=label,
        policy=AuthPolicy(),
        limits=Limits(),
        wall_ms=wall_ms,
        traffic=traffic,
    )
    clock = PollClock()

    async def dial(host: str, port: int, slot: Slot) -> Conversation:
        return await connect(host, port, handler=slot, maker=maker, clock=clock)

    aggregator = Aggregator(
        config, Surroundings(device_id=label, dial=dial, wall_ms=wall_ms, rng=random.Random(8), write=None)
    )
    aggregator.start()
    say(ready=True)
    stream = await orders()
    async for _ in stream:
        confirms = traffic.latency[MessageType.BID_CONFIRM]
        say(count=confirms.count, late=confirms.late, p99_ms=confirms.percentile(0.99))
    await aggregator.stop()


if __name__ == "__main__":
    _given = options()
    with log_to(_given["directory"], "aggregator"):
        uvloop.run(serve(_given))
