"""From what was read to what is done, trade by trade: `settlement.progress` decides, this carries out.

A step without a transaction (a new stage, an end, the search for what was paid) is made here; the transactions that are
due are handed to the dispatch together.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Final, NamedTuple

from settlement.actions import COLLECT, NotReadyError, plan, plan_collect
from settlement.dispatch import Due
from settlement.lookup import find_outcome
from settlement.progress import Action, Place, Rules, Standing, Step, is_in_the_way, is_open_again, next_step
from settlement.rpc import RefusedError
from settlement.settler_types import EventKind, Stage

if TYPE_CHECKING:
    from settlement.chain import View
    from settlement.desk import Desk
    from settlement.dispatch import Dispatch
    from settlement.outbox_records import TradeRecord
    from settlement.reading import Reading

SLICE: Final = 20
"""Trades decided on before others get the loop: some 20 us each."""
LOOKS_AT_ONCE: Final = 8
LOOKS_A_ROUND: Final = 64
"""Searches for what was paid before due transactions get their turn again."""
LOOKS_MAX: Final = 6
LOOK_AGAIN_S: Final = 15.0
"""A node may show a finalized transaction a little later than its effect."""
_STAGES: Final = {Place.CLAIMED: Stage.CLAIMED, Place.DISPUTED: Stage.DISPUTED}
_GOING: Final = {Action.SETTLE: Stage.SETTLING, Action.CLAIM: Stage.CLAIMING}
_ENDS: Final = {
    Place.FREE: (Stage.EXPIRED, "neither claimed nor co-signed while it was valid"),
    Place.AHEAD: (Stage.LOST, "its number was never among the 256 that the Line has open"),
    Place.NO_LINE: (Stage.LOST, "the Line it was made for is not on the ledger"),
}
_UNJUDGED: Final = (
    "claimed, and nobody has said what was seen of it: it is paid as claimed unless somebody does in time"
)
_UNPAID_NUMBER: Final = "its number is spent and nothing shows a payment: it was voided, or another contract had it"


class Outlook(NamedTuple):
    """When the ledger should be looked at again: at once, or in so many seconds of its clock, or so often a window."""

    more: bool = False
    due_in_s: int | None = None
    window_s: int | None = None


class Steps:
    """One round over all open trades."""

    def __init__(self, desk: Desk, reading: Reading, dispatch: Dispatch) -> None:
        self._desk = desk
        self._reading = reading
        self._dispatch = dispatch
        settings = desk.settings
        self._rules = Rules(settings.cosign_wait_s, settings.tolerance_wh, settings.tolerance_percent)
        self._looks: dict[bytes, int] = {}

    async def take(self) -> Outlook:
        """Do what is due by the last look; return when to look again.

        Raises RpcError, NoEndpointError or OutboxError; what was not done then is due again.
        """
        confirmed, final = self._reading.confirmed, self._reading.final
        if confirmed is None or final is None:
            return Outlook()
        await self._open_again(final)
        due: list[Due] = []
        over: list[TradeRecord] = []
        soonest_s: int | None = None
        window_s: int | None = None
        for place, trade_id in enumerate(list(self._desk.book.open)):
            if place % SLICE == SLICE - 1:
                await asyncio.sleep(0)
            record = self._desk.book.open[trade_id]
            standing, sure = (self._standing(record, view) for view in (confirmed, final))
            if standing is None or sure is None or not self._dispatch.is_free(trade_id):
                continue
            if await self._is_doubtful(record, sure, final):
                continue
            step = next_step(record.cheque, record.seen_wh, standing, self._rules)
            soonest_s = _sooner(soonest_s, None if step.due_at_s is None else step.due_at_s - standing.now_s)
            window_s = _sooner(window_s, self._window_s(record, standing))
            if step.action is Action.LOOK:
                over += [record] if sure.place is Place.SPENT else []
            elif (found := await self._step(record, step, standing, sure)) is not None:
                due.append(found)
        due += self._collections(final)
        begun = due[: self._dispatch.room]
        if begun:
            await self._dispatch.begin(begun)
        await self._look_at(over[:LOOKS_A_ROUND])
        return Outlook(more=len(over) > LOOKS_A_ROUND, due_in_s=soonest_s, window_s=window_s)

    async def _open_again(self, final: View) -> None:
        """Go on with what was given up where the ledger shows that it can be paid, was paid, or is in the way."""
        book = self._desk.book
        for place, seen in enumerate(self._reading.given_up, 1):
            if not place % SLICE:
                await asyncio.sleep(0)
            record = book.given_up.get(seen.trade_id)
            standing = None if record is None else self._standing(record, final)
            if record is None or standing is None:
                continue
            if record.cheque.role == "battery" and standing.place is Place.FREE:
                self._reading.holes.add(record.trade_id)
            else:
                self._reading.holes.discard(record.trade_id)
            expired = record.stage is Stage.EXPIRED
            if not book.is_full and is_open_again(record.cheque, standing, expired=expired):
                await self._change(record, replace(record, stage=Stage.WAITING, problem=None, due_at_s=None))

    def _window_s(self, record: TradeRecord, standing: Standing) -> int | None:
        """How long the window is in which a buyer may yet have to dispute this trade."""
        contract = record.cheque.contract
        may_come = standing.place in (Place.FREE, Place.CLAIMED) and contract.starts_at_s <= standing.now_s
        return contract.dispute_window_s if may_come and record.cheque.role == "buyer" else None

    async def _step(self, record: TradeRecord, step: Step, standing: Standing, sure: Standing) -> Due | None:
        """Carry out a step that needs no transaction; return the transaction of one that does."""
        if step.action is Action.WAIT:
            stage = _STAGES.get(standing.place, Stage.WAITING)
            await self._change(record, replace(record, stage=stage, due_at_s=step.due_at_s))
        elif step.action is Action.EXPIRE:
            if sure.place is standing.place:
                stage, problem = _ENDS[standing.place]
                await self._change(record, replace(record, stage=stage, problem=problem, due_at_s=None))
        elif step.action is Action.TELL:
            await self._tell_unjudged(record, step)
        elif step.action is not Action.VOID or is_in_the_way(record.cheque, sure):
            return await self._prepare(record, step)
        return None

    async def _tell_unjudged(self, record: TradeRecord, step: Step) -> None:
        """Tell once, restarts included, that a claim is to be paid that nobody can judge."""
        after = replace(record, stage=Stage.CLAIMED, problem=_UNJUDGED, due_at_s=step.due_at_s)
        is_news = record.problem != _UNJUDGED
        await self._change(record, after)
        if is_news:
            fields = {"trade_id": record.trade_id.hex(), "claimed_wh": step.wh, "disputable_until_s": step.due_at_s}
            self._desk.tell(EventKind.CLAIM_UNJUDGED, problem=_UNJUDGED, **fields)

    async def _prepare(self, record: TradeRecord, step: Step) -> Due | None:
        view = self._reading.confirmed
        assert view is not None  # noqa: S101 - `take` has looked
        try:
            planned = plan(step.action, record.cheque, self._desk.atlas, view, buyer_wh=step.wh)
        except NotReadyError as error:
            await self._change(record, replace(record, problem=f"{step.action.value}: {error}"))
            return None
        if view.lamports < planned.lamports:
            needed = f"needs {planned.lamports} lamports and the wallet holds {view.lamports}"
            problem = f"{step.action.value}: {needed}; send SOL to {self._desk.address}"
            await self._change(record, replace(record, problem=problem))
            return None
        after = replace(record, stage=_GOING.get(step.action, record.stage), due_at_s=None)
        return Due(record.trade_id, step.action.value, planned, after)

    def _collections(self, final: View) -> list[Due]:
        """What a battery is owed beside its trades, once its own account can take it again."""
        if self._desk.settings.role != "battery" or final.tokens is None:
            return []
        due = []
        for wallet, amount in final.unpaid.items():
            pair = self._desk.atlas.counterpart(wallet)
            subject = bytes(pair.unpaid)
            if amount and self._dispatch.is_free(subject):
                due.append(Due(subject, COLLECT, plan_collect(self._desk.atlas, pair), None))
        return due

    async def _is_doubtful(self, record: TradeRecord, sure: Standing, final: View) -> bool:
        """Whether nothing may be signed yet, because a transaction was called final and its effect is not seen.

        When it is not there at that slot, somebody does not tell the truth; the bytes may land all the same until their
        blockhash is too old.
        """
        landing = self._dispatch.landed.get(record.trade_id)
        if landing is None:
            return False
        if final.slot < landing.slot:
            return True  # too early to say
        if sure.place is not Place.FREE:
            del self._dispatch.landed[record.trade_id]
            return False
        if not landing.is_doubted and landing.slot:
            problem = f"it called a transaction for trade {record.trade_id.hex()[:16]} final, and there is no effect"
            self._desk.client.distrust(landing.place, "getSignatureStatuses", problem)
        landing.is_doubted = True
        if await self._desk.client.block_height("finalized") <= landing.last_valid_block_height:
            return True
        del self._dispatch.landed[record.trade_id]
        return False

    async def _look_at(self, over: list[TradeRecord]) -> None:
        for start in range(0, len(over), LOOKS_AT_ONCE):
            await asyncio.gather(*(self._look(record) for record in over[start : start + LOOKS_AT_ONCE]))

    async def _look(self, record: TradeRecord) -> None:
        desk, trade_id = self._desk, record.trade_id
        address, program_id = bytes(desk.atlas.trade(trade_id)), desk.settings.venue.program_id
        try:
            outcome = await find_outcome(desk.client, program_id, trade_id, address, record.signature)
        except RefusedError as error:
            desk.failed(trade_id)
            await self._change(
                record, replace(record, problem=f"it is over, and no endpoint says how: {error.message}")
            )
            return
        if outcome is not None:
            self._looks.pop(trade_id, None)
            after = replace(record, stage=Stage.SETTLED, outcome=outcome, problem=None, due_at_s=None)
            await self._change(record, after)
            return
        looks = self._looks[trade_id] = self._looks.get(trade_id, 0) + 1
        desk.book.postpone(trade_id, desk.monotonic_s() + LOOK_AGAIN_S * looks)
        if looks >= LOOKS_MAX:
            del self._looks[trade_id]
            await self._change(record, replace(record, stage=Stage.LOST, problem=_UNPAID_NUMBER, due_at_s=None))

    async def _change(self, before: TradeRecord, after: TradeRecord) -> None:
        if after != before:
            await self._desk.save(after, before)

    def _standing(self, record: TradeRecord, view: View) -> Standing | None:
        return view.standing(record.cheque.contract, self._other(record), self._desk.book.given_no(record))

    def _other(self, record: TradeRecord) -> bytes:
        return self._desk.atlas.other(record.cheque.contract)


def _sooner(one: int | None, other: int | None) -> int | None:
    return one if other is None else other if one is None else min(one, other)
