"""Of a trade in the model: its accounts, and the contract and receipt that arguments and accounts say."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from settlement.contract import Contract, Venue
from settlement.errors import TermsError
from settlement.program.accounts import Escrow, Line, Participant, Trade, Unpaid
from settlement.program.failures import Failure
from settlement.receipt import Receipt
from settlement.signing import SignatureKind, signed_bytes
from settlement.values import ZERO
from tests.settlement.program.model_consent import Proof, keys_of, require
from tests.settlement.program.model_world import SYSTEM, TOKEN, Frame, Refused

PAYMENT: Final = ("battery", "buyer", "escrow", "vault", "line", "trade", "payee", "unpaid")
"""The writable places of every instruction that may pay."""
CONTRACT_TERMS: Final = (
    "contract_no",
    "battery_device_id",
    "buyer_device_id",
    "message_id",
    "price_e4",
    "energy_wh",
    "base_units_per_cent",
    "starts_at_s",
    "ends_at_s",
    "valid_until_s",
    "fee_bps",
    "dispute_window_s",
    "resolver",
    "meter_key",
)


class Parties(NamedTuple):
    """The accounts of a trade, as they stood when the instruction began."""

    battery: Participant
    buyer: Participant
    line: Line


def parties(frame: Frame) -> tuple[Participant | None, Participant | None, Line | None]:
    """Read both Participants and the Line that joins them."""
    battery = frame.read("battery", Participant)
    buyer = frame.read("buyer", Participant)
    line = frame.read("line", Line)
    if line is not None:
        frame.expect(battery and line.battery_wallet == battery.wallet, Failure.BAD_ACCOUNT)
        frame.expect(buyer and line.buyer_wallet == buyer.wallet, Failure.BAD_ACCOUNT)
    return battery, buyer, line


def payment(frame: Frame, *more: str) -> tuple[Participant | None, Participant | None, Line | None]:
    """Read what every payment needs."""
    battery, buyer, line = parties(frame)
    escrow = frame.read("escrow", Escrow)
    unpaid = frame.read("unpaid", Unpaid)
    frame.expect(line and line.escrow == frame.key("escrow"), Failure.BAD_ACCOUNT)
    frame.expect(escrow and escrow.vault == frame.key("vault"), Failure.BAD_ACCOUNT)
    frame.expect(line and line.payee == frame.key("payee"), Failure.BAD_ACCOUNT)
    if unpaid is not None:
        frame.expect(battery and unpaid.wallet == battery.wallet, Failure.BAD_ACCOUNT)
        frame.expect(unpaid.escrow == frame.key("escrow"), Failure.BAD_ACCOUNT)
    frame.expect(frame.key("token_program") == TOKEN, Failure.BAD_ACCOUNT)
    frame.distinct((*PAYMENT, *more))
    return battery, buyer, line


def open_trade(frame: Frame) -> Trade | None:
    """Read a Trade that must be on this Line."""
    trade = frame.read("trade", Trade)
    frame.expect(trade and trade.line == frame.key("line"), Failure.BAD_ACCOUNT)
    return trade


def creates(frame: Frame) -> None:
    """Require the System program, which makes accounts."""
    frame.expect_by_then(frame.key("system_program") == SYSTEM, Failure.BAD_ACCOUNT)


def whole(*accounts: Any) -> Any:
    """Return what was read once the stage has shown that all of it is there."""
    assert all(account is not None for account in accounts)
    return accounts if len(accounts) > 1 else accounts[0]


def contract_of(frame: Frame, genesis: bytes, who: Parties) -> Contract:
    """Return the contract that accounts and arguments say. Raises Refused."""
    terms = {name: frame.args[name] for name in CONTRACT_TERMS}
    if terms["meter_key"] != ZERO:
        raise Refused(Failure.BAD_TERMS)
    try:
        return Contract(
            venue=Venue(program_id=frame.world.program_id, genesis_hash=genesis, mint=who.line.mint),
            battery_wallet=who.line.battery_wallet,
            buyer_wallet=who.line.buyer_wallet,
            generation=who.line.generation,
            **terms,  # type: ignore[arg-type]
        )
    except TermsError as error:
        same = error.field in ("battery_wallet", "buyer_wallet", "resolver") and terms["resolver"] != ZERO
        failure = Failure.SAME_PARTY if same else Failure.BAD_TERMS
        raise Refused(Failure.OVERFLOW if error.field == "amount" else failure) from None


def receipt_of(frame: Frame, trade_id: bytes, *, final: bool) -> Receipt:
    """Return the receipt that the arguments say. Raises Refused."""
    try:
        return Receipt(
            trade_id=trade_id,
            final=final,
            delivered_wh=frame.number("delivered_wh"),
            started_at_s=frame.number("started_at_s"),
            ended_at_s=frame.number("ended_at_s"),
            evidence=frame.hash("evidence"),
        )
    except TermsError:
        raise Refused(Failure.BAD_TERMS) from None


def cosigned(frame: Frame, who: Parties, digest: bytes, *, battery: bool, buyer: bool) -> None:
    """Require a receipt from both; `battery` and `buyer` say whose wallet has signed."""
    message = signed_bytes(SignatureKind.RECEIPT, digest)
    proofs = [] if battery else [Proof(keys_of(who.battery, frame.clock), message)]
    require(frame, proofs if buyer else [*proofs, Proof(keys_of(who.buyer, frame.clock), message)])
