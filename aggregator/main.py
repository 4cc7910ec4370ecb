"""The aggregator as a process: real sockets, real clock, real chance; it ends on SIGTERM or SIGINT."""

from __future__ import annotations

import asyncio
import json
import random
import signal
import time
from typing import TYPE_CHECKING, Final

import structlog
import uvloop

from aggregator.keys import open_keys
from aggregator.service import Aggregator, Money, Surroundings, label_of
from etp.auth import AuthPolicy
from etp.io.client import connect
from etp.io.group import MulticastSettings, MulticastUnavailable
from etp.io.maker import ConnectionMaker
from etp.io.multicast import Finder
from etp.io.pollclock import PollClock
from etp.limits import Limits
from etp.timing import Role
from etp.traffic import Traffic

if TYPE_CHECKING:
    from collections.abc import Callable

    from aggregator.config import AggregatorConfig
    from aggregator.slot import Conversation, Slot
    from etp.auth import Signer
    from settlement.keyring import KeyRing
    from settlement.settler import Settler
    from settlement.settler_types import SettlerEvent, SettlerSettings

_LOG: Final = structlog.get_logger("aggregator")


def run_aggregator(
    config: AggregatorConfig, *, ready: Callable[[str], None], write: Callable[[str], None] | None = None
) -> None:
    """Buy until SIGTERM or SIGINT; `ready` gets the ready line, `write` every event as a JSON line.

    With `write` the ready line goes there as well, as JSON, and `ready` is not called. Raises SettlementError for keys
    or an outbox that cannot be used, ChequeFileError for such a journal.
    """
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(config, ready, write))


def wall_ms() -> int:
    """Return the time of day in ms since 1970."""
    return time.time_ns() // 1_000_000


async def _serve(config: AggregatorConfig, ready: Callable[[str], None], write: Callable[[str], None] | None) -> None:
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    keys = open_keys(config)
    key = None if keys is None else keys.identity
    policy = AuthPolicy(peers=config.network.peers, trusted=config.network.trusted_keys, signer=key)
    device_id = label_of(config.name) if key is None else key.device_id
    traffic = Traffic()
    maker = ConnectionMaker(
        role=Role.AGGREGATOR,
        device_id=device_id,
        policy=policy,
        limits=Limits(),
        wall_ms=wall_ms,
        traffic=traffic,
    )
    clock = PollClock()

    async def dial(host: str, port: int, slot: Slot) -> Conversation:
        return await connect(host, port, handler=slot, maker=maker, clock=clock)

    chance = random.Random(config.seed)  # noqa: S311 (a market's chance, no secret)
    aggregator = Aggregator(
        config,
        Surroundings(
            device_id=device_id,
            dial=dial,
            wall_ms=wall_ms,
            rng=chance,
            write=write,
            traffic=traffic,
            money=None if config.settlement is None or keys is None else _money(keys),
        ),
    )
    finder = _finder(config, policy, device_id, aggregator)
    try:
        await aggregator.open()
        await _look(config, finder)
        aggregator.start()
        _say_ready(config, device_id, ready, write)
        await ended.wait()
    finally:
        finder.close()
        await aggregator.stop()


def _money(keys: KeyRing) -> Money:
    """Return what settlement needs; what a ledger takes is loaded only here."""
    from settlement.executor import ThreadExecutor  # noqa: PLC0415
    from settlement.settler import open_settler  # noqa: PLC0415

    def opened(settings: SettlerSettings, wallet: Signer, on_event: Callable[[SettlerEvent], None]) -> Settler:
        return open_settler(settings, wallet=wallet, on_event=on_event)

    return Money(keys=keys, open_settler=opened, executor=ThreadExecutor("cheque-writer"))


def _finder(config: AggregatorConfig, policy: AuthPolicy, device_id: int, aggregator: Aggregator) -> Finder:
    network = config.network
    return Finder(
        device_id=device_id,
        policy=policy,
        wall_ms=wall_ms,
        listener=aggregator.scout,
        settings=MulticastSettings(
            group=network.group, port=network.group_port, interface=network.interface, ttl=network.ttl
        ),
    )


async def _look(config: AggregatorConfig, finder: Finder) -> None:
    """Look for batteries by multicast; without it, those that are listed must do."""
    if not config.network.multicast:
        return
    try:
        await finder.start()
    except MulticastUnavailable as error:
        if not config.network.batteries:
            raise
        _LOG.warning("no multicast", reason=str(error), batteries=config.network.batteries)


def _say_ready(
    config: AggregatorConfig, device_id: int, ready: Callable[[str], None], write: Callable[[str], None] | None
) -> None:
    count = len(config.network.batteries)
    if write is None:
        ready(f"ready name={config.name} device={device_id} batteries={count}")
        return
    line = {
        "event": "ready",
        "at_ms": wall_ms(),
        "aggregator": config.name,
        "device": device_id,
        "batteries": count,
    }
    write(json.dumps(line, separators=(",", ":")))
