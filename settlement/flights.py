"""Transactions on their way: on disk first, sent again and again as the same bytes, until their end is certain.

The rules (one transaction, called a flight, from its first byte to its end):

- It is written to the outbox, signature and all, before any byte leaves.
- The same bytes may be sent as often as one likes; while nobody has seen it land that is every RESEND_S.
- It has landed or failed when its status is finalized. It has expired when the finalized block height is above its last
  valid one *and* a status query with history, made after that height was read, still knows nothing of it.
- It failed at once when the first node it was shown to simulated it and refused: no other was shown it.
- Until it has ended in one of these ways, nothing else is signed for the same subject.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from settlement.failures import Cause, Explained, explain
from settlement.outbox_records import Attempt, AttemptState
from settlement.rpc import NOT_TAKEN, NoEndpointError, PreflightError, RefusedError, RpcError
from settlement.rpc.answers import STATUSES_MAX

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from settlement.rpc import RpcClient, Status

RESEND_S: Final = 2.0
CHECK_S: Final = 1.0
EXPIRY_FROM_S: Final = 30.0
"""A blockhash lives for at least as long as 150 blocks take, 60 s: before half of that nobody need ask."""
EXPIRY_EVERY_S: Final = 5.0
SENDS_AT_ONCE: Final = 8


class Ended(NamedTuple):
    """How a flight ended: its attempt as it is to be saved, the slot it landed in, who said so."""

    attempt: Attempt
    explained: Explained | None = None
    slot: int = 0
    place: int = 0


@dataclass(slots=True)
class _Flight:
    attempt: Attempt
    shown: bool
    """Whether a node may have it."""
    first_sent_s: float
    last_sent_s: float
    seen: bool = False
    """Whether it was seen in a block that is not final yet."""
    old: bool = False
    """Whether a node called its blockhash too old."""


class Flights:
    """Every transaction of one settler that has not ended."""

    def __init__(self, client: RpcClient, monotonic_s: Callable[[], float]) -> None:
        self._client = client
        self._monotonic_s = monotonic_s
        self._flights: dict[bytes, _Flight] = {}
        self._expiry_asked_s = float("-inf")

    def __len__(self) -> int:
        return len(self._flights)

    def __contains__(self, subject: bytes) -> bool:
        return subject in self._flights

    def resume(self, attempts: Sequence[Attempt]) -> None:
        """Go on with what an earlier process left: it may have been sent, and may be long over."""
        never = float("-inf")
        for attempt in attempts:
            self._flights[attempt.subject] = _Flight(attempt, shown=True, first_sent_s=never, last_sent_s=never)

    async def launch(self, attempts: Sequence[Attempt]) -> list[Ended]:
        """Send new transactions, which are on disk already; return those that were refused at once."""
        now_s = self._monotonic_s()
        for attempt in attempts:
            self._flights[attempt.subject] = _Flight(attempt, shown=False, first_sent_s=now_s, last_sent_s=now_s)
        return await self._send([self._flights[attempt.subject] for attempt in attempts])

    async def check(self) -> list[Ended]:
        """Ask what became of everything, send again what nobody has seen; return what has ended. Raises RpcError."""
        flights = list(self._flights.values())
        if not flights:
            return []
        is_new = any(flight.last_sent_s == float("-inf") for flight in flights)
        ended = await self._judge(flights, history=is_new)
        ended += await self._judge_old()
        now_s = self._monotonic_s()
        due = [
            flight for flight in self._flights.values() if not flight.seen and now_s - flight.last_sent_s >= RESEND_S
        ]
        return ended + await self._send(due)

    async def _judge(self, flights: Sequence[_Flight], *, history: bool) -> list[Ended]:
        ended = []
        for start in range(0, len(flights), STATUSES_MAX):
            some = flights[start : start + STATUSES_MAX]
            statuses = await self._client.statuses([flight.attempt.signature for flight in some], history=history)
            place = self._client.last_place
            for flight, status in zip(some, statuses, strict=True):
                flight.seen = status is not None and status.reached("confirmed")
                if status is not None and status.reached("finalized"):
                    ended.append(self._end(flight, status, place))
        return ended

    async def _judge_old(self) -> list[Ended]:
        now_s = self._monotonic_s()
        old = [
            flight
            for flight in self._flights.values()
            if not flight.seen and (flight.old or now_s - flight.first_sent_s >= EXPIRY_FROM_S)
        ]
        if not old or now_s - self._expiry_asked_s < EXPIRY_EVERY_S:
            return []
        self._expiry_asked_s = now_s
        height = await self._client.block_height("finalized")
        over = [flight for flight in old if height > flight.attempt.last_valid_block_height]
        ended = await self._judge(over, history=True) if over else []
        for flight in over:
            if flight.attempt.subject in self._flights and not flight.seen:
                del self._flights[flight.attempt.subject]
                ended.append(
                    Ended(flight.attempt.ended(AttemptState.EXPIRED, "it did not land before its blockhash aged"))
                )
        return ended

    def _end(self, flight: _Flight, status: Status, place: int) -> Ended:
        del self._flights[flight.attempt.subject]
        if status.error is None:
            return Ended(flight.attempt.ended(AttemptState.LANDED), slot=status.slot, place=place)
        explained = explain(status.error)
        return Ended(flight.attempt.ended(AttemptState.FAILED, explained.text), explained, status.slot, place)

    async def _send(self, flights: Sequence[_Flight]) -> list[Ended]:
        ended: list[Ended] = []
        for start in range(0, len(flights), SENDS_AT_ONCE):
            found = await asyncio.gather(*(self._send_one(flight) for flight in flights[start : start + SENDS_AT_ONCE]))
            ended += [one for one in found if one is not None]
        return ended

    async def _send_one(self, flight: _Flight) -> Ended | None:
        attempt, is_first = flight.attempt, not flight.shown
        flight.last_sent_s = self._monotonic_s()
        try:
            await self._client.send(attempt.transaction, attempt.signature, preflight=is_first, min_slot=attempt.slot)
        except PreflightError as error:
            explained = explain(error.failure, error.message)
            flight.old = flight.old or explained.cause is Cause.OLD_HASH
            if is_first and explained.cause not in (Cause.DONE_ALREADY, Cause.OLD_HASH):
                return self._refused(flight, explained)
        except RefusedError as error:
            if is_first:
                return self._refused(flight, Explained(Cause.OTHER, error.message))
        except (*NOT_TAKEN, NoEndpointError):
            return None
        except RpcError:
            pass  # no answer is no refusal: the node may have it; of its failure the client tells
        flight.shown = True
        return None

    def _refused(self, flight: _Flight, explained: Explained) -> Ended:
        del self._flights[flight.attempt.subject]
        return Ended(flight.attempt.ended(AttemptState.FAILED, explained.text), explained)
