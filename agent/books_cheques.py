"""The cheques in a battery's books: confirmed trades that are paid on a ledger, until they are. Pure.

A trade's cheque outlives its delivery: it is dropped when the ledger has paid it, or long after nothing can come of it.
Of one that was not paid the number stays: its receipts are signed, and what both have signed pays as long as the Line's
number is unused, so that no other contract may ever have it.

Keys are trade ids in hex, because a bid's id comes round and a contract does not.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from agent.records import Deal
from settlement.contract import Contract
from settlement.errors import TermsError
from settlement.lines import NUMBERS
from settlement.settler_types import Stage

if TYPE_CHECKING:
    from collections.abc import Mapping, MutableMapping

    from agent.records import Record, RecordBody

KEPT_AFTER_S: Final = 30 * 86_400
"""How long a cheque is kept that can no longer be claimed: its buyer may still co-sign, and disputes end within it."""
NUMBERED_MAX: Final = 1_024
"""Buyers whose numbers are kept; each has put money on a Line, and the battery has not claimed it."""


class BookedNumbers(NamedTuple):
    """The numbers of unpaid contracts on one Line, rising; their cheques are gone from the books."""

    generation: int
    numbers: tuple[int, ...]


class BookedReceipt(NamedTuple):
    """A receipt (106 bytes) and the signatures on record, all in hex; "" where a party has not signed."""

    receipt: str
    battery_signature: str = ""
    buyer_signature: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class BookedCheque:
    """A confirmed trade with what is on record of its receipts.

    `interim` is the co-signed one that says most; `final` is journaled before anybody signs it. `disputed_wh` is the
    buyer's own figure where it has refused to sign the battery's.
    """

    deal: Deal
    valid_until_s: int
    interim: BookedReceipt | None = None
    final: BookedReceipt | None = None
    disputed_wh: int | None = None

    def to_json(self) -> RecordBody:
        """Return it as JSON."""
        return {
            "deal": self.deal.to_body(),
            "valid_until_s": self.valid_until_s,
            "interim": self.interim,
            "final": self.final,
            "disputed_wh": self.disputed_wh,
        }

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> BookedCheque:
        """Return what `to_json` has made. Raises KeyError or TypeError."""
        return cls(
            deal=Deal.from_body(body["deal"]),
            valid_until_s=body["valid_until_s"],
            interim=body["interim"] and BookedReceipt(*body["interim"]),
            final=body["final"] and BookedReceipt(*body["final"]),
            disputed_wh=body["disputed_wh"],
        )


Cheques = dict[str, BookedCheque]
Numbers = dict[str, BookedNumbers]
"""By the buyer's wallet in hex, whoever had one added last at the end."""


def take_confirmed(cheques: MutableMapping[str, BookedCheque], deal: Deal) -> None:
    """A buyer's signature of a contract is on record. Raises ValueError when that is no contract."""
    if deal.contract and deal.buyer_signature and deal.trade_id not in cheques:
        try:
            contract = Contract.decode(bytes.fromhex(deal.contract))
        except TermsError as error:
            raise ValueError(str(error)) from error
        cheques[deal.trade_id] = BookedCheque(deal=deal, valid_until_s=contract.valid_until_s)


def take_final(cheques: MutableMapping[str, BookedCheque], record: Record) -> None:
    """A delivery's end may carry the one final receipt of its trade; a second one does not count."""
    trade_id, receipt = record.body.get("trade_id"), record.body.get("receipt")
    cheque = cheques.get(str(trade_id))
    if cheque is not None and receipt and cheque.final is None:
        cheques[str(trade_id)] = replace(cheque, final=BookedReceipt(str(receipt)))


def take_receipt(cheques: MutableMapping[str, BookedCheque], record: Record) -> None:
    """A buyer has signed a receipt, or has given its own figure."""
    body = record.body
    trade_id = str(body["trade_id"])
    cheque = cheques.get(trade_id)
    if cheque is None:
        return
    if body.get("disputed_wh") is not None:
        cheques[trade_id] = replace(cheque, disputed_wh=int(body["disputed_wh"]))
        return
    booked = BookedReceipt(str(body["receipt"]), str(body["battery_signature"]), str(body["buyer_signature"]))
    if body["final"]:
        cheques[trade_id] = replace(cheque, final=booked, disputed_wh=None)
    else:
        cheques[trade_id] = replace(cheque, interim=booked)


def take_cashed(cheques: MutableMapping[str, BookedCheque], numbers: Numbers, record: Record) -> None:
    """The ledger has paid a trade, or never will: then its number stays."""
    cheque = cheques.pop(str(record.body["trade_id"]), None)
    if cheque is not None and record.body["stage"] != Stage.SETTLED.value:
        keep_number(numbers, cheque)


def forget_old(cheques: MutableMapping[str, BookedCheque], numbers: Numbers, at_ms: int) -> None:
    """Drop cheques from the front that nothing can come of any more at a wall time; their numbers stay."""
    while cheques:
        trade_id, oldest = next(iter(cheques.items()))
        if oldest.valid_until_s + KEPT_AFTER_S >= at_ms // 1_000:
            return
        del cheques[trade_id]
        keep_number(numbers, oldest)


def keep_number(numbers: Numbers, cheque: BookedCheque) -> None:
    """Remember the number of a cheque that leaves the books unpaid.

    Of each buyer the newest Line counts: it was not opened before the old one was closed. There, a number that is 256
    below another one was below the Line's base when that one was signed, and can never be used again.
    """
    contract = Contract.decode(bytes.fromhex(cheque.deal.contract))
    wallet = contract.buyer_wallet.hex()
    known = numbers.pop(wallet, BookedNumbers(contract.generation, ()))
    if known.generation < contract.generation:
        known = BookedNumbers(contract.generation, ())
    if known.generation == contract.generation:
        taken = sorted({*known.numbers, contract.contract_no})
        known = known._replace(numbers=tuple(number for number in taken if number > taken[-1] - NUMBERS))
    numbers[wallet] = known
    if len(numbers) > NUMBERED_MAX:
        del numbers[next(iter(numbers))]
