"""`wattbid ledger`: Solana's runtime and JSON-RPC on this machine, until Ctrl-C or SIGTERM."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from cli.endings import hang_up_ends

if TYPE_CHECKING:
    from settlement.ledger.node import Node

app = typer.Typer(add_completion=False)
_PORT: Final = 8_899
_SWITCH_S: Final = 0.001
"""How long the ledger's thread may keep the event loop waiting."""


@app.command()
def ledger(
    *,
    data: Annotated[
        Path | None, typer.Option(help="The data directory.", show_default="none: in memory, gone at the end")
    ] = None,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port of the JSON-RPC; 0 = any.")] = _PORT,
    finalized_after: Annotated[int, typer.Option(min=1, max=150, help="Blocks after which a block is finalized.")] = 32,
    time_scale: Annotated[
        int, typer.Option(min=1, max=10_000, help="Run this much faster; for tests whose clients share the clock.")
    ] = 1,
    time_anchor: Annotated[
        int | None, typer.Option(min=0, help="UTC second from which time runs faster.", show_default="the start")
    ] = None,
    fault: Annotated[list[str] | None, typer.Option(help="A fault to have, as in rate-limit=3; repeatable.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the ready line as JSON.")] = False,
) -> None:
    """Run a ledger of one node: the real runtime behind JSON-RPC, its state in a directory."""
    from settlement.ledger import FaultError, Faults, Ledger, Node, Settings
    from settlement.ledger.clocks import ScaledClock
    from settlement.ledger.errors import LedgerError

    hang_up_ends()
    faults = Faults()
    try:
        for text in fault or []:
            faults.put(text)
    except FaultError as error:
        typer.echo(f"wattbid ledger: {error}", err=True)
        raise typer.Exit(2) from error
    anchor_ms = None if time_anchor is None else time_anchor * 1_000
    clock = ScaledClock(_wall_ms, _monotonic_ms, scale=time_scale, anchor_ms=anchor_ms)
    sys.setswitchinterval(_SWITCH_S)
    try:
        chain = Ledger(data, clock_ms=clock, settings=Settings(finalized_lag=finalized_after))
        try:
            facts: dict[str, Any] = {"genesis": str(chain.genesis)}
            if time_scale != 1:
                facts |= {"time_scale": time_scale, "time_anchor_ms": clock.anchor_ms}
            asyncio.run(_serve(Node(chain, faults), host, port, facts, as_json=as_json))
        finally:
            chain.close()
    except LedgerError as error:
        typer.echo(f"wattbid ledger: {error}", err=True)
        raise typer.Exit(1) from error


def _wall_ms() -> int:
    return time.time_ns() // 1_000_000


def _monotonic_ms() -> int:
    return time.monotonic_ns() // 1_000_000


async def _serve(node: Node, host: str, port: int, facts: dict[str, Any], *, as_json: bool) -> None:
    from settlement.ledger.server import LedgerServer

    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    server = LedgerServer(node)
    try:
        bound = await server.start(host, port)
        place = f"[{host}]" if ":" in host else host
        told = {"rpc": f"http://{place}:{bound}", **facts}
        print(json.dumps(told) if as_json else _ready(told), flush=True)
        failing, stopping = asyncio.create_task(server.failed()), asyncio.create_task(stop.wait())
        done, pending = await asyncio.wait({failing, stopping}, return_when=asyncio.FIRST_COMPLETED)
        for task in pending:
            task.cancel()
        await asyncio.gather(*pending, return_exceptions=True)
        for task in done:
            await task
    finally:
        await server.close()


def _ready(told: dict[str, Any]) -> str:
    return " ".join(["ready", *(f"{name}={value}" for name, value in told.items())])
