"""One aggregator, put together from its configuration; what touches the world outside is handed in.

`Surroundings` says how to dial, which clock tells the time of day, and where events go, so that the same service runs
over sockets and in the simulator.
"""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import structlog

from aggregator.buyer import Buyer, Ids
from aggregator.output import Events, write_status
from aggregator.pool import Pool
from aggregator.purse import MONEY_PER_CENT, Purse
from aggregator.reputation import Reputation
from aggregator.scout import Scout
from aggregator.session import Session
from aggregator.till import Till
from aggregator.value import ValueModel
from etp.traffic import Traffic

if TYPE_CHECKING:
    import random
    from collections.abc import Awaitable, Callable

    from aggregator.config import AggregatorConfig
    from aggregator.slot import Conversation, Slot
    from aggregator.till import OpenSettler
    from settlement.executor import Executor
    from settlement.keyring import KeyRing

STATUS_S: Final = 1.0
_E4: Final = 10_000


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """What the service needs of the world.

    `dial` opens a connection, `rng` is all its chance, `write` takes event lines (None = nobody does); what
    `dial` opens counts into `traffic`. Only a configuration with `[settlement]` needs `money`.
    """

    device_id: int
    dial: Callable[[str, int, Slot], Awaitable[Conversation]]
    wall_ms: Callable[[], int]
    rng: random.Random
    write: Callable[[str], None] | None = None
    traffic: Traffic = field(default_factory=Traffic)
    money: Money | None = None


@dataclass(frozen=True, kw_only=True)
class Money:
    """What settlement needs of the world: keys, a settler for them, and a thread for the journal."""

    keys: KeyRing
    open_settler: OpenSettler
    executor: Executor


class Aggregator:
    """A buyer with its batteries. Make it inside a running loop; with `[settlement]` await `open` before `start`."""

    def __init__(self, config: AggregatorConfig, surroundings: Surroundings) -> None:
        """Raises ChequeFileError when the journal of `[settlement]` cannot be used, ValueError without `money`."""
        self._config = config
        self._traffic = surroundings.traffic
        self.emit = Events(config.name, wall_ms=surroundings.wall_ms, write=surroundings.write)
        rng = surroundings.rng
        self.buyer = make_buyer(config, wall_ms=surroundings.wall_ms, rng=rng, now_ms=_now_ms())
        self.till = self._make_till(surroundings)
        ids = Ids(surroundings.wall_ms(), above=0 if self.till is None else self.till.last_id)
        self.scout = Scout(
            static=config.network.endpoints,
            everywhere=config.network.peers == "signed" or config.network.open_on_network,
        )
        self.pool = Pool(
            dial=surroundings.dial,
            new_session=lambda battery: Session(
                battery=battery,
                device_id=surroundings.device_id,
                buyer=self.buyer,
                ids=ids,
                signed=config.network.peers == "signed",
                settling=None if self.till is None else self.till.settling,
            ),
            buyer=self.buyer,
            emit=self.emit,
            rng=rng,
            max_batteries=config.network.max_batteries,
            watch=self.scout,
            keeper=None if self.till is None else self.till.cashier,
        )
        self._tasks: list[asyncio.Task[None]] = []

    async def open(self) -> None:
        """Start the settler, and take up what an earlier process left. Raises SettlementError."""
        if self.till is not None:
            await self.till.open(_now_ms())
            for entry in self.till.running():
                self.buyer.purse.resume(entry.key.bid_id, entry.contract.price_e4, entry.contract.energy_wh)

    def start(self) -> None:
        """Begin to dial, to look for silent batteries and to write the status file."""
        self.scout.serve(self.pool)
        self._tasks.append(asyncio.create_task(self.scout.sweep(), name="sweep"))
        if self._config.status_file is not None:
            self._tasks.append(asyncio.create_task(self._write_status(), name="status"))

    async def stop(self) -> None:
        """End every connection and task."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.pool.close()
        if self.till is not None:
            await self.till.close()

    def status(self) -> dict[str, Any]:
        """Return need, budget, market, every battery and how late we were, for people and machines."""
        return {
            "name": self._config.name,
            **self.buyer.summary(),
            "connected": self.pool.connected,
            "batteries": [{**slot.session.summary(), "circuit": slot.breaker.circuit.value} for slot in self.pool],
            **self._traffic.summary(),
            **({} if self.till is None else {"settlement": self.till.status()}),
        }

    def _make_till(self, surroundings: Surroundings) -> Till | None:
        if self._config.settlement is None:
            return None
        if surroundings.money is None:
            raise ValueError("[settlement] needs keys and a settler")
        return Till(
            self._config.settlement,
            directory=self._config.directory,
            keys=surroundings.money.keys,
            open_settler=surroundings.money.open_settler,
            executor=surroundings.money.executor,
            wall_ms=surroundings.wall_ms,
            emit=self.emit,
            news=self._news,
        )

    def _news(self) -> None:
        self.pool.feed_soon()

    async def _write_status(self) -> None:
        path = self._config.directory / (self._config.status_file or "")
        was_well = True
        while True:
            try:
                await asyncio.to_thread(write_status, path, self.status())
                was_well = True
            except OSError as error:
                if was_well:
                    structlog.get_logger("aggregator").warning("cannot write the status file", reason=str(error))
                was_well = False
            await asyncio.sleep(STATUS_S)


def make_buyer(config: AggregatorConfig, *, wall_ms: Callable[[], int], rng: random.Random, now_ms: int) -> Buyer:
    """Return the buyer that a configuration describes; its period begins at `now_ms`."""
    buy, value = config.buy, config.value
    return Buyer(
        strategy=config.make_strategy(),
        value=ValueModel(
            forecast=value.curve(config.directory),
            fee_e4=round(value.fee_c * _E4),
            margin_e4=round(value.margin_c * _E4),
            spread_e4=round(value.private_spread_c * _E4),
            seed=config.seed,
        ),
        purse=Purse(
            need_wh=None if buy.need_kwh is None else round(buy.need_kwh * 1_000),
            budget=None if buy.budget_c is None else round(buy.budget_c * MONEY_PER_CENT),
            period_ms=round(buy.period_h * 3_600_000),
            now_ms=now_ms,
        ),
        reputation=Reputation(),
        draws=lambda _: rng.random(),
        wall_ms=wall_ms,
        max_bid_wh=None if buy.max_bid_kwh is None else round(buy.max_bid_kwh * 1_000),
        min_bid_wh=round(buy.min_bid_kwh * 1_000),
        sealed=config.is_sealed,
        fee_bps=0 if config.settlement is None else config.settlement.fee_bps,
    )


def label_of(name: str) -> int:
    """Return the device_id of a buyer without a key: a label, never an identity."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "little")


def _now_ms() -> int:
    return int(asyncio.get_running_loop().time() * 1_000)
