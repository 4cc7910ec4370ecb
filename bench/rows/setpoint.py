"""From a Confirm to the first setpoint frame: the real agent, a simulated battery behind Modbus TCP, one buyer.

The agent's own clock marks both ends: when the Confirm was read, which is before its record is on disk, and when the
first frame of the setpoint was handed to the line. The battery's own control is taken over in between.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import uvloop

from agent.control_client import ControlClient
from bench.commands import agent, simulated_battery
from bench.report import Figure
from bench.stats import percentile
from etp.frame import decode_frame, encode_tcp
from etp.messages import Body, MessageType

if TYPE_CHECKING:
    from bench.settings import Settings

_TARGET_MS: Final = 200.0
_TIME_LAPSE: Final = 120
_PATIENCE_S: Final = 30.0


def run(settings: Settings) -> list[Figure]:
    """Buy a few times, one trade after the other."""
    room = settings.room("setpoint")
    with simulated_battery(room, time_lapse=_TIME_LAPSE) as battery:
        address = battery.ready["modbus"]
        with agent(room, address, time_lapse=_TIME_LAPSE) as seller:
            waits_ms = uvloop.run(_buy(seller.ready, settings.count(10, 1)))
    return [
        Figure(
            key="setpoint.worst_ms",
            value=max(waits_ms),
            unit="ms",
            target=_TARGET_MS,
            note=f"{len(waits_ms)} trades, the journal's commit included",
        ),
        Figure(key="setpoint.p50_ms", value=percentile(waits_ms, 0.5), unit="ms"),
    ]


async def _buy(ready: dict[str, str], trades: int) -> list[float]:
    host, port = ready["battery"].rsplit(":", 1)
    waits_ms: list[float] = []
    async with AsyncExitStack() as tidy, asyncio.timeout(_PATIENCE_S * trades):
        control = await tidy.enter_async_context(await ControlClient.connect(Path(ready["control"])))
        await control.request("subscribe", events=["lot_opened", "delivery_started", "delivery_ended"])
        reader, writer = await asyncio.open_connection(host, int(port))
        tidy.callback(writer.close)
        for number in range(trades):
            await _win(reader, writer, 2 * number + 1)
            started = await _event(control, "delivery_started")
            waits_ms.append(float(started["first_setpoint_at_ms"] - started["confirmed_at_ms"]))
            await _event(control, "delivery_ended")
    return waits_ms


async def _win(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, bid_id: int) -> None:
    """Bid until a lot is open and the bid is accepted, then confirm."""
    while True:
        writer.write(encode_tcp(Body.bid(bid_id, 7, price_e4=400_000, energy_wh=100)))
        answer = await _answer(reader)
        if answer.message_type == MessageType.BID_ACCEPT:
            break
        bid_id += 1 << 32
        await asyncio.sleep(0.05)
    writer.write(
        encode_tcp(Body.bid_confirm(bid_id, 7, price_e4=answer.sale_price_e4, energy_wh=answer.energy_wh)),
    )


async def _answer(reader: asyncio.StreamReader) -> Body:
    while True:
        size = int.from_bytes(await reader.readexactly(4), "little")
        body, _ = decode_frame(await reader.readexactly(size))
        if body.message_type in {MessageType.BID_ACCEPT, MessageType.BID_REJECT}:
            return body


async def _event(control: ControlClient, name: str) -> dict[str, Any]:
    while (event := await control.next_event())["event"] != name:
        pass
    return event
