"""The ledger as a command runs it: opened, made ready where that is wished, served until a signal ends it."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from settlement.keys import ROOT_BYTES, load_or_create_root
from settlement.ledger.chain import Ledger, Settings
from settlement.ledger.clocks import HeadStart, ScaledClock
from settlement.ledger.faults import Faults
from settlement.ledger.init import Wishes, prepare
from settlement.ledger.node import Node
from settlement.ledger.server import LedgerServer
from settlement.ledger.store import FILE_NAME

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

OPERATOR_FILE: Final = "operator.root"
"""Beside the ledger's file: the secret of who deployed the program and may mint the test currency."""
_HEAD_START_MS: Final = 300_000
"""A new ledger that is made ready begins this long ago: every wait of a deployment fits into it many times."""
_SWITCH_S: Final = 0.001
"""How long the ledger's thread may keep the event loop waiting for the interpreter."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hosting:
    """How a ledger is to be run."""

    directory: Path | None
    host: str
    port: int
    settings: Settings = field(default_factory=Settings)
    faults: Faults = field(default_factory=Faults)
    wishes: Wishes | None = None
    """What is to be made before it is served."""
    time_scale: int = 1
    time_anchor_ms: int | None = None


def run_ledger(hosting: Hosting, *, ready: Callable[[dict[str, Any]], None]) -> None:
    """Run until SIGTERM or Ctrl-C; `ready` is told once where it listens and what it is.

    Raises SettlementError when it cannot be opened, made ready, listened for, or written any more.
    """
    sys.setswitchinterval(_SWITCH_S)
    asyncio.run(_run(hosting, ready))


async def _run(hosting: Hosting, ready: Callable[[dict[str, Any]], None]) -> None:
    clock = ScaledClock(_wall_ms, _monotonic_ms, scale=hosting.time_scale, anchor_ms=hosting.time_anchor_ms)
    directory, wishes = hosting.directory, hosting.wishes

    async def sleep(seconds: float) -> None:
        await asyncio.sleep(seconds / clock.scale)

    is_new = directory is None or not (directory / FILE_NAME).exists()
    started = HeadStart(clock, ahead_ms=_HEAD_START_MS if wishes and is_new else 0, sleep=sleep)
    ledger = Ledger(directory, clock_ms=started, settings=hosting.settings)
    try:
        told: dict[str, Any] = {"genesis": str(ledger.genesis)}
        if clock.scale != 1:
            told |= {"time_scale": clock.scale, "time_anchor_ms": clock.anchor_ms}
        if wishes is not None:
            root = os.urandom(ROOT_BYTES) if directory is None else load_or_create_root(directory / OPERATOR_FILE)
            place = await prepare(Node(ledger), root, wishes, clock_ms=started, sleep=started.sleep)
            told |= {"program": str(place.program), "mint": str(place.mint)}
        started.end()
        ledger.advance()
        await _serve(Node(ledger, hosting.faults), hosting, told, ready)
    finally:
        ledger.close()


async def _serve(node: Node, hosting: Hosting, told: dict[str, Any], ready: Callable[[dict[str, Any]], None]) -> None:
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    server = LedgerServer(node)
    try:
        port = await server.start(hosting.host, hosting.port)
        host = f"[{hosting.host}]" if ":" in hosting.host else hosting.host
        ready({"rpc": f"http://{host}:{port}", **told})
        failing, stopping = asyncio.create_task(server.failed()), asyncio.create_task(stop.wait())
        done, pending = await asyncio.wait({failing, stopping}, return_when=asyncio.FIRST_COMPLETED)
        for task in pending:
            task.cancel()
        await asyncio.gather(*pending, return_exceptions=True)
        for task in done:
            await task
    finally:
        await server.close()


def _wall_ms() -> int:
    return time.time_ns() // 1_000_000


def _monotonic_ms() -> int:
    return time.monotonic_ns() // 1_000_000
