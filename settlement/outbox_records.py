"""What the outbox holds: cheques with what became of them, and the transactions sent for them; as values and as JSON.

A record is written whole each time it changes, so that what is read is always one state.
"""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import dataclass, replace
from enum import Enum
from typing import TYPE_CHECKING, Any

from settlement.cheque import Cheque, SignedReceipt
from settlement.contract import Contract
from settlement.errors import SettlementError
from settlement.exchange import to_base58
from settlement.receipt import Receipt
from settlement.settler_types import Stage, TradeView

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a trade ended, as the ledger's own event tells it; base units."""

    delivered_wh: int
    payout: int
    fee: int
    returned: int
    unpaid: int
    how: str
    signature: bytes
    """Of the transaction that ended it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TradeRecord:
    """One cheque and how far it is."""

    cheque: Cheque
    seen_wh: int | None = None
    """The buyer's own figure."""
    stage: Stage = Stage.WAITING
    outcome: Outcome | None = None
    signature: bytes | None = None
    """The last transaction that was sent for it."""
    problem: str | None = None
    due_at_s: int | None = None

    @property
    def trade_id(self) -> bytes:
        """The 32 bytes that name the trade."""
        return self.cheque.trade_id

    def joined(self, cheque: Cheque, seen_wh: int | None) -> TradeRecord:
        """Return the record with what another copy of the cheque knows. Raises TermsError for another trade's."""
        merged = self.cheque.merged(cheque)
        seen = self.seen_wh if seen_wh is None else seen_wh
        if merged == self.cheque and seen == self.seen_wh:
            return self
        reopened = self.stage is Stage.EXPIRED and merged != self.cheque
        stage = Stage.WAITING if reopened else self.stage
        is_news = reopened or (self.seen_wh is None and seen is not None)
        return replace(self, cheque=merged, seen_wh=seen, stage=stage, problem=None if is_news else self.problem)

    def view(self) -> TradeView:
        """Return it as a settler shows it."""
        outcome, final = self.outcome, self.cheque.final
        signature = self.signature if outcome is None else outcome.signature
        return TradeView(
            trade_id=self.trade_id,
            role=self.cheque.role,
            contract=self.cheque.contract,
            stage=self.stage,
            delivered_wh=outcome.delivered_wh if outcome else final.receipt.delivered_wh if final else None,
            payout=None if outcome is None else outcome.payout,
            fee=None if outcome is None else outcome.fee,
            returned=None if outcome is None else outcome.returned,
            unpaid=0 if outcome is None else outcome.unpaid,
            how=None if outcome is None else outcome.how,
            signature=None if signature is None else to_base58(signature),
            problem=self.problem,
            due_at_s=self.due_at_s,
        )


class AttemptState(Enum):
    """What became of a signed transaction."""

    OPEN = "open"
    """It may still land: no other is signed for the same thing."""
    LANDED = "landed"
    FAILED = "failed"
    """It landed without effect, or no node ever took it."""
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One signed transaction: on disk before its first byte leaves."""

    seq: int
    subject: bytes
    """What it is for: a trade id, or the address of what is collected."""
    action: str
    number: int
    """The how-manieth for this subject, from 1."""
    transaction: bytes
    """The bytes to send; empty once they can have no more effect."""
    signature: bytes
    blockhash: bytes
    last_valid_block_height: int
    slot: int
    """That the blockhash was read at."""
    price: int
    """Millionths of a lamport a compute unit."""
    state: AttemptState = AttemptState.OPEN
    error: str | None = None

    def ended(self, state: AttemptState, error: str | None = None) -> Attempt:
        """Return it with its end; its bytes are of no more use."""
        return replace(self, state=state, error=error, transaction=b"")


def trade_to_json(record: TradeRecord) -> str:
    """Return a trade as text."""
    cheque, outcome = record.cheque, record.outcome
    body = {
        "role": cheque.role,
        "contract": cheque.contract.encoded.hex(),
        "battery_key": cheque.battery_key.hex(),
        "buyer_key": cheque.buyer_key.hex(),
        "battery_signature": cheque.battery_signature.hex(),
        "buyer_signature": cheque.buyer_signature.hex(),
        "interim": receipt_to_dict(cheque.interim),
        "final": receipt_to_dict(cheque.final),
        "seen_wh": record.seen_wh,
        "stage": record.stage.value,
        "outcome": None
        if outcome is None
        else {
            **{name: getattr(outcome, name) for name in Outcome.__slots__},
            "signature": outcome.signature.hex(),
        },
        "signature": _hex(record.signature),
        "problem": record.problem,
        "due_at_s": record.due_at_s,
    }
    return json.dumps(body, sort_keys=True, separators=(",", ":"))


def trade_from_json(text: str) -> TradeRecord:
    """Return the trade in a text. Raises ValueError."""
    with _readable():
        body = json.loads(text)
        outcome = body["outcome"]
        return TradeRecord(
            cheque=Cheque(
                role=body["role"],
                contract=Contract.decode(bytes.fromhex(body["contract"])),
                battery_key=bytes.fromhex(body["battery_key"]),
                buyer_key=bytes.fromhex(body["buyer_key"]),
                battery_signature=bytes.fromhex(body["battery_signature"]),
                buyer_signature=bytes.fromhex(body["buyer_signature"]),
                interim=receipt_from_dict(body["interim"]),
                final=receipt_from_dict(body["final"]),
            ),
            seen_wh=body["seen_wh"],
            stage=Stage(body["stage"]),
            outcome=None
            if outcome is None
            else Outcome(**{**outcome, "signature": bytes.fromhex(outcome["signature"])}),
            signature=_bytes(body["signature"]),
            problem=body["problem"],
            due_at_s=body["due_at_s"],
        )


def attempt_to_json(attempt: Attempt) -> str:
    """Return an attempt as text; its number and subject stand beside it."""
    body = {name: getattr(attempt, name) for name in Attempt.__slots__ if name not in ("seq", "subject")}
    for name in ("transaction", "signature", "blockhash"):
        body[name] = body[name].hex()
    body["state"] = attempt.state.value
    return json.dumps(body, sort_keys=True, separators=(",", ":"))


def attempt_from_json(seq: int, subject: bytes, text: str) -> Attempt:
    """Return the attempt in a text. Raises ValueError."""
    with _readable():
        body = json.loads(text)
        for name in ("transaction", "signature", "blockhash"):
            body[name] = bytes.fromhex(body[name])
        return Attempt(**{**body, "seq": seq, "subject": subject, "state": AttemptState(body["state"])})


def receipt_to_dict(signed: SignedReceipt | None) -> dict[str, str | None] | None:
    """Return a receipt and its signatures in hexadecimal."""
    if signed is None:
        return None
    return {
        "receipt": signed.receipt.encoded.hex(),
        "battery_signature": _hex(signed.battery_signature),
        "buyer_signature": _hex(signed.buyer_signature),
    }


def receipt_from_dict(fields: Mapping[str, Any] | None) -> SignedReceipt | None:
    """Return what `receipt_to_dict` was given. Raises KeyError, TypeError, ValueError or TermsError."""
    if fields is None:
        return None
    return SignedReceipt(
        receipt=Receipt.decode(bytes.fromhex(fields["receipt"])),
        battery_signature=_bytes(fields["battery_signature"]),
        buyer_signature=_bytes(fields["buyer_signature"]),
    )


@contextmanager
def _readable() -> Iterator[None]:
    """Turn every way in which a text can be none of ours into a ValueError."""
    try:
        yield
    except (KeyError, TypeError, AttributeError, RecursionError, SettlementError) as error:
        raise ValueError(f"{type(error).__name__}: {error}") from error


def _hex(data: bytes | None) -> str | None:
    return None if data is None else data.hex()


def _bytes(text: str | None) -> bytes | None:
    return None if text is None else bytes.fromhex(text)
