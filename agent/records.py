"""What the journal holds: record kinds, the value `Record`, and one builder per kind.

A body is plain JSON with integers in the product's units. Times of day are wall ms (the record's own `at_ms`, and what
ends in `_wall_ms`); the other `*_at_ms` are monotonic and mean something only within one process start. A reader
ignores fields and kinds it does not know. `agent.books` says what a sequence of records amounts to.
"""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass, replace
from enum import StrEnum
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from agent.pricing import LotSeen

RecordBody = dict[str, Any]
TradeKey = tuple[str, int]


class Record(NamedTuple):
    """One journal record: `seq` counts from 1, the battery's name ("" = the site), kind, wall ms, body."""

    seq: int
    battery: str
    kind: str
    at_ms: int
    body: RecordBody


class Kind(StrEnum):
    """The kinds of record."""

    LOT_OPENED = "lot_opened"
    LOT_CLOSED = "lot_closed"
    LOT_SEEN = "lot_seen"
    AWARD = "award"
    CONFIRMED = "confirmed"
    VOID = "void"
    SHIELD = "shield"
    TAKE_OVER = "take_over"
    RELEASED = "released"
    DELIVERY_STARTED = "delivery_started"
    DELIVERY_PROGRESS = "delivery_progress"
    DELIVERY_ENDED = "delivery_ended"
    EVIDENCE = "evidence"
    RECEIPT = "receipt"
    CASHED = "cashed"
    REPUTATION = "reputation"
    EPOCH = "epoch"
    ALARM = "alarm"
    OWNER = "owner"
    CHECKPOINT = "checkpoint"


AUDIT_TRAIL: Final = frozenset(
    {
        Kind.AWARD,
        Kind.CONFIRMED,
        Kind.VOID,
        Kind.DELIVERY_ENDED,
        Kind.EVIDENCE,
        Kind.RECEIPT,
        Kind.CASHED,
        Kind.ALARM,
        Kind.OWNER,
    },
)
"""What was promised, what became of it, and who intervened: kept for months at least (`agent.journal_upkeep` says how
long). A checkpoint stands for every other kind."""
PASSING: Final = frozenset(Kind) - AUDIT_TRAIL
OFFERED: Final = frozenset({Kind.AWARD, Kind.VOID})
"""The part of the audit trail that costs a buyer nothing and moves no money: a confirmed trade repeats its award."""


_PAPERS: Final = frozenset({"contract", "battery_key", "battery_signature", "buyer_signature"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Deal:
    """What was awarded to whom, and how it came about.

    `power_w` is the magnitude granted. `buyer` is the name reputation goes by, `signer` the verified key in hex or
    None. `awarded_at_ms` is 0 until the Accept was handed to the kernel, `window_s` 0 until a window was agreed.
    `contract`, the battery's key and both signatures are hex, "" where there is none: such a trade is not paid on a
    ledger.
    """

    peer: str
    bid_id: int
    price_e4: int
    energy_wh: int
    power_w: int
    lot_id: int
    buyer: str = ""
    signer: str | None = None
    reserve_e4: int = 0
    first_acceptable_e4: int = 0
    distinct_bidders: int = 0
    increment_e4: int = 0
    window_s: int = 0
    asked_at_ms: int = 0
    awarded_at_ms: int = 0
    contract: str = ""
    battery_key: str = ""
    battery_signature: str = ""
    buyer_signature: str = ""

    @property
    def key(self) -> TradeKey:
        """The trade's name: peer and the bid's message id (ETP section 2)."""
        return self.peer, self.bid_id

    @property
    def trade_id(self) -> str:
        """The name of a trade that is paid on a ledger, in hex: SHA-256 of its contract; "" without one."""
        return sha256(bytes.fromhex(self.contract)).hexdigest() if self.contract else ""

    def to_body(self) -> RecordBody:
        """Return the JSON object of this deal."""
        return {name: value for name in self.__slots__ if (value := getattr(self, name)) or name not in _PAPERS}

    @classmethod
    def from_body(cls, body: Mapping[str, Any], base: Deal | None = None) -> Deal:
        """Return the deal in a body; what the body does not say is taken from `base`.

        Raises TypeError when a field without default is in neither.
        """
        known = {name: body[name] for name in cls.__slots__ if name in body}
        return cls(**known) if base is None else replace(base, **known)


def lot_opened(
    *, energy_wh: int, power_w: int, reserve_e4: int, increment_e4: int, standing_ms: int, rule: str, seed: bytes = b""
) -> RecordBody:
    """Say that a lot is on offer; the record's number is its lot_id, the seed orders bids of one instant."""
    return {
        "energy_wh": energy_wh,
        "power_w": power_w,
        "reserve_e4": reserve_e4,
        "increment_e4": increment_e4,
        "standing_ms": standing_ms,
        "rule": rule,
        "seed": seed.hex(),
    }


def lot_closed(
    *, lot_id: int, reason: str, sold_wh: int, bids: int, distinct_bidders: int, first_acceptable_e4: int | None = None
) -> RecordBody:
    """Say that a lot was sold, withdrawn, or ended by a restart."""
    return {
        "lot_id": lot_id,
        "reason": reason,
        "sold_wh": sold_wh,
        "bids": bids,
        "distinct_bidders": distinct_bidders,
        "first_acceptable_e4": first_acceptable_e4,
    }


def lot_seen(seen: LotSeen, *, cap_e4: int) -> RecordBody:
    """Say what a lot has taught about the mark-up, which is never above `cap_e4`."""
    return {**seen._asdict(), "cap_e4": cap_e4}


def award(deal: Deal) -> RecordBody:
    """Say that a bid was awarded; on disk before the Accept leaves."""
    return deal.to_body()


def confirmed(deal: Deal, *, award_seq: int, confirmed_at_ms: int) -> RecordBody:
    """Say that the buyer confirmed, at the read of its last byte: with this record on disk the trade exists."""
    return {**deal.to_body(), "award_seq": award_seq, "confirmed_at_ms": confirmed_at_ms}


def void(
    *,
    peer: str,
    bid_id: int,
    code: int,
    blame: bool,
    shield_e4: int = 0,
    shield_until_wall_ms: int = 0,
    reason: str = "",
    untold: bool = False,
) -> RecordBody:
    """Say that an award will never be a trade; `blame` = its buyer left it unconfirmed (ETP section 6, rule 6).

    `untold`: its buyer does not know yet and is to be told when it comes back.
    """
    return {
        "peer": peer,
        "bid_id": bid_id,
        "code": code,
        "blame": blame,
        "shield_e4": shield_e4,
        "shield_until_wall_ms": shield_until_wall_ms,
        "reason": reason,
        "untold": untold,
    }


def shield(*, price_e4: int, until_wall_ms: int, buyer: str = "", reason: str = "") -> RecordBody:
    """Say that nothing is sold below a price for a while although no award fell through.

    So it is when a standing bid is abandoned, its connection closed under it.
    """
    return {"shield_e4": price_e4, "shield_until_wall_ms": until_wall_ms, "buyer": buyer, "reason": reason}


def take_over(*, found: Mapping[str, int], recipe: Sequence[tuple[str, int]]) -> RecordBody:
    """Say what stood in the battery's registers before our first write, and which writes give it back."""
    return {"found": dict(found), "recipe": [[name, value] for name, value in recipe]}


def released(*, reason: str, verified: bool = True) -> RecordBody:
    """Say that the battery is its own again; `verified` = the release was read back."""
    return {"reason": reason, "verified": verified}


def delivery_started(*, peer: str, bid_id: int, first_setpoint_at_ms: int, counter_wh: int | None = None) -> RecordBody:
    """Say that a trade's first setpoint frame is on the wire; `counter_wh` is the discharge counter before it."""
    return {
        "peer": peer,
        "bid_id": bid_id,
        "first_setpoint_at_ms": first_setpoint_at_ms,
        "counter_wh": counter_wh,
    }


def delivery_progress(*, peer: str, bid_id: int, delivered_wh: int, counter_wh: int | None = None) -> RecordBody:
    """Say what was delivered for a trade so far, and from which discharge counter that follows."""
    return {"peer": peer, "bid_id": bid_id, "delivered_wh": delivered_wh, "counter_wh": counter_wh}


def delivery_ended(
    *,
    peer: str,
    bid_id: int,
    code: int,
    delivered_wh: int,
    reason: str = "",
    metered_by: str = "counter",
    ended_at_ms: int = 0,
) -> RecordBody:
    """Say that a trade is over: reason code (0 = all of it), energy delivered, and how it was measured."""
    return {
        "peer": peer,
        "bid_id": bid_id,
        "code": code,
        "delivered_wh": delivered_wh,
        "reason": reason,
        "metered_by": metered_by,
        "ended_at_ms": ended_at_ms,
    }


def evidence(
    *, peer: str, bid_id: int, trade_id: str, samples: bytes, chain: bytes, shared: Sequence[str]
) -> RecordBody:
    """Say what a trade's energy was metered by since the last such record (`settlement.evidence`).

    `chain` is the hash after these samples, `shared` names the trades that had the counter in common so far.
    """
    return {
        "peer": peer,
        "bid_id": bid_id,
        "trade_id": trade_id,
        "samples": b64encode(samples).decode(),
        "chain": chain.hex(),
        "shared": list(shared),
    }


def receipt(
    *,
    trade_id: str,
    receipt: bytes,
    final: bool,
    battery_signature: bytes,
    buyer_signature: bytes,
) -> RecordBody:
    """Say that both parties have signed a receipt (106 bytes)."""
    return {
        "trade_id": trade_id,
        "receipt": receipt.hex(),
        "final": final,
        "battery_signature": battery_signature.hex(),
        "buyer_signature": buyer_signature.hex(),
    }


def disputed(*, trade_id: str, delivered_wh: int) -> RecordBody:
    """Say that a buyer does not sign the final receipt, and what it says it got."""
    return {"trade_id": trade_id, "disputed_wh": delivered_wh}


def cashed(*, trade_id: str, stage: str, payout: int | None, fee: int | None, signature: str | None) -> RecordBody:
    """Say that the ledger has paid a trade (base units), or that it never will, and by which transaction."""
    return {"trade_id": trade_id, "stage": stage, "payout": payout, "fee": fee, "signature": signature}


def reputation(*, buyer: str, score: int, trades: int, next_penalty_ms: int, blocked_until_wall_ms: int) -> RecordBody:
    """Say how a buyer stands at this battery as of the record's time: score 0..10,000 and its penalty."""
    return {
        "buyer": buyer,
        "score": score,
        "trades": trades,
        "next_penalty_ms": next_penalty_ms,
        "blocked_until_wall_ms": blocked_until_wall_ms,
    }


def epoch(*, epoch_id: str, release: str = "") -> RecordBody:
    """Say that a process started: monotonic times in earlier records mean nothing to it."""
    return {"epoch_id": epoch_id, "release": release}


def alarm(*, name: str, raised: bool, detail: str = "", blocks_selling: bool = False) -> RecordBody:
    """Say that an alarm was raised, or cleared by its cause ending or the operator's acknowledgement."""
    return {"name": name, "raised": raised, "detail": detail, "blocks_selling": blocks_selling}


def owner_stop(*, reason: str = "") -> RecordBody:
    """Say that the owner stopped selling; it holds over a restart."""
    return {"action": "stop", "reason": reason}


def owner_resume() -> RecordBody:
    """Say that the owner lets the battery sell again."""
    return {"action": "resume"}


def owner_set_reserve(*, reserve_e4: int | None) -> RecordBody:
    """Say that the owner replaced the site file's reserve, or (None) gave it back."""
    return {"action": "set-reserve", "reserve_e4": reserve_e4}
