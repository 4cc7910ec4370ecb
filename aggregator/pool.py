"""All batteries of one process: one connection each, dialled again after a loss, with a circuit breaker.

`dial(host, port, handler)` opens a connection (or raises ConnectError or OSError). It is handed in, so that the pool
runs the same over sockets, TLS and a simulated network on a virtual-time loop. A task per battery dials and waits;
everything else happens in the callbacks of the connection, so a Confirm waits for nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from aggregator.slot import Conversation, Keeper, Slot, Watch
from etp.io.client import ConnectError

if TYPE_CHECKING:
    import random
    from collections.abc import Awaitable, Callable, Iterator

    from aggregator.buyer import Buyer
    from aggregator.session import Session
    from etp.discovery import Endpoint

    Dial: TypeAlias = Callable[[str, int, Slot], Awaitable[Conversation]]
    Emit: TypeAlias = Callable[[str, dict[str, Any]], None]

FEED_S: Final = 0.02
"""Need or budget that becomes free is offered to the batteries that wait for it at most this often."""
CLOSE_S: Final = 2.0
"""How long a stop waits for connections to say what is waiting."""
CRASH_S: Final = 5.0
"""Pause after a fault of ours, so that it is reported and not repeated at full speed."""
_JITTER: Final = 0.25
"""Up to this share longer is waited before dialling, so that a hundred lost connections do not come back at once."""


class Pool:
    """The batteries this process trades with."""

    def __init__(
        self,
        *,
        dial: Dial,
        new_session: Callable[[str], Session],
        buyer: Buyer,
        emit: Emit,
        rng: random.Random,
        max_batteries: int = 512,
        watch: Watch | None = None,
        keeper: Keeper | None = None,
    ) -> None:
        """Make an empty pool; `new_session` gets the endpoint as text, `emit` every event with its fields."""
        self._dial = dial
        self._new_session = new_session
        self._buyer = buyer
        self._emit = emit
        self._rng = rng
        self._max = max_batteries
        self._watch = watch
        self._keeper = keeper
        self._slots: dict[Endpoint, Slot] = {}
        self._tasks: dict[Endpoint, asyncio.Task[None]] = {}
        self._feeding: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._slots)

    def __iter__(self) -> Iterator[Slot]:
        return iter(tuple(self._slots.values()))

    def get(self, endpoint: Endpoint) -> Slot | None:
        """Return the place of a battery."""
        return self._slots.get(endpoint)

    @property
    def connected(self) -> int:
        """How many batteries are connected now."""
        return sum(slot.link is not None for slot in self._slots.values())

    def add(self, endpoint: Endpoint) -> bool:
        """Dial a battery from now on; False when it is there already or the pool is full."""
        if endpoint in self._slots or len(self._slots) >= self._max:
            return False
        session = self._new_session(str(endpoint))
        slot = self._slots[endpoint] = Slot(
            endpoint, session, emit=self._emit, after=self._heard, watch=self._watch, keeper=self._keeper
        )
        self._tasks[endpoint] = asyncio.create_task(self._keep_always(slot), name=f"battery {endpoint}")
        return True

    def remove(self, endpoint: Endpoint) -> bool:
        """Forget a battery without a connection and without open trades; False when it must stay."""
        slot = self._slots.get(endpoint)
        if slot is None or slot.link is not None or slot.session.open_trades:
            return False
        slot.stop()
        self._tasks.pop(endpoint).cancel()
        del self._slots[endpoint]
        return True

    def retire(self, endpoint: Endpoint, heir: Slot) -> None:
        """Leave an endpoint whose battery now trades at another; its signed trades go on there."""
        slot = self._slots.get(endpoint)
        if slot is not None and slot is not heir:
            heir.session.adopt(slot.session)
            slot.retired = True
            if slot.link is not None:
                slot.link.close("the battery has moved")

    async def close(self) -> None:
        """Close all connections and wait until they are."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._feeding is not None:
            self._feeding.cancel()
        for slot in self:
            slot.stop()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_S):
                for slot in self:
                    await slot.over.wait()
        for slot in self:
            slot.stop()
        self._tasks.clear()
        self._slots.clear()

    async def _keep_always(self, slot: Slot) -> None:
        """Report a fault of ours and go on: one battery must not cost the others."""
        while not slot.retired:
            try:
                await self._keep(slot)
            except Exception as error:  # noqa: BLE001 (a task's outermost edge)
                slot.tell("crashed", {"reason": repr(error)})
                await asyncio.sleep(CRASH_S)

    async def _keep(self, slot: Slot) -> None:
        """Keep one battery connected."""
        host, port = slot.endpoint
        while not slot.retired:
            wait_ms = slot.breaker.wait_ms(slot.now_ms())
            if wait_ms:
                await asyncio.sleep(wait_ms / 1_000 * (1 + _JITTER * self._rng.random()))
            slot.breaker = slot.breaker.dialled(slot.now_ms())
            try:
                await self._dial(host, port, slot)
            except (ConnectError, OSError) as error:
                slot.unreachable(str(error))
            else:
                await slot.over.wait()

    def _heard(self, slot: Slot) -> None:
        """Offer need or budget that became free to the batteries that wait for it."""
        del slot
        if self._buyer.purse.freed:
            self.feed_soon()

    def feed_soon(self) -> None:
        """Let the batteries that wait for need, budget or cover look at their lots again, in a moment."""
        if self._feeding is None:
            self._feeding = asyncio.get_running_loop().call_later(FEED_S, self._feed)

    def _feed(self) -> None:
        self._feeding = None
        self._buyer.purse.freed = False
        hungry = [slot for slot in self if slot.session.hungry]
        self._rng.shuffle(hungry)
        for slot in hungry:
            slot.tick()
