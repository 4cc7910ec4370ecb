"""The buyer's money in the model: escrow, Lines, and what is left to be paid."""

from __future__ import annotations

from dataclasses import replace

from settlement.program import constants, events
from settlement.program.accounts import Config, Escrow, Line, MintRule, Participant, Unpaid
from settlement.program.failures import Failure
from settlement.values import U64_MAX, ZERO
from tests.settlement.program.model_money import change_line, is_spent, spend
from tests.settlement.program.model_terms import creates, whole
from tests.settlement.program.model_world import (
    RELEASE_DELAY_S,
    SYSTEM,
    TOKEN,
    TOKEN_BYTES,
    Frame,
    Mint,
    Token,
    associated,
    derive,
)

# Escrow


def open_escrow(frame: Frame) -> None:
    frame.signed("buyer_wallet")
    wallet, mint = frame.key("buyer_wallet"), frame.key("mint")
    buyer = frame.read("buyer", Participant)
    frame.expect(buyer and buyer.wallet == wallet, Failure.BAD_ACCOUNT)
    frame.expect(buyer and bool(buyer.role & constants.ROLE_BUYER), Failure.BAD_ACCOUNT)
    escrow, bump = derive(frame.world.program_id, b"escrow", wallet, mint)
    vault, _ = derive(frame.world.program_id, b"vault", escrow)
    frame.expect(frame.key("escrow") == escrow and frame.key("vault") == vault, Failure.WRONG_ADDRESS)
    frame.expect(frame.account(frame.key("escrow")).owner == SYSTEM, Failure.BAD_STATE)
    at = frame.account(mint)
    frame.expect(at.owner == TOKEN and isinstance(at.data, Mint), Failure.MINT_NOT_ALLOWED)
    frame.distinct(("buyer_wallet", "escrow", "vault"))
    creates(frame)
    frame.expect_by_then(frame.key("token_program") == TOKEN, Failure.BAD_ACCOUNT)
    frame.stage()
    data = Escrow(1, bump, wallet, mint, vault, 0, 0, 0, 0, 0)
    frame.create(wallet, escrow, frame.world.program_id, data, Escrow.SIZE)
    frame.create(wallet, vault, TOKEN, Token(mint, escrow), TOKEN_BYTES)


def _escrow(frame: Frame) -> tuple[Participant | None, Escrow | None]:
    """Read a buyer's escrow and vault."""
    buyer, escrow = frame.read("buyer", Participant), frame.read("escrow", Escrow)
    frame.expect(buyer and escrow and escrow.buyer_wallet == buyer.wallet, Failure.BAD_ACCOUNT)
    return buyer, escrow


def _own(frame: Frame, buyer: Participant | None) -> None:
    frame.signed("buyer_wallet")
    frame.expect(buyer and buyer.wallet == frame.key("buyer_wallet"), Failure.BAD_ACCOUNT, Failure.NOT_SIGNER)


def _vault(frame: Frame, escrow: Escrow | None) -> None:
    frame.expect(escrow and escrow.vault == frame.key("vault"), Failure.BAD_ACCOUNT)
    frame.expect(frame.key("token_program") == TOKEN, Failure.BAD_ACCOUNT)


def _new_money(frame: Frame, escrow: Escrow | None) -> None:
    config, rule = frame.read("config", Config), frame.read("mint_rule", MintRule)
    frame.expect(config and not config.paused, Failure.PAUSED)
    frame.expect(rule and rule.allowed, Failure.MINT_NOT_ALLOWED)
    frame.expect(rule and escrow and rule.mint == escrow.mint, Failure.BAD_ACCOUNT)


def deposit(frame: Frame) -> None:
    buyer, escrow = _escrow(frame)
    _own(frame, buyer)
    _vault(frame, escrow)
    _new_money(frame, escrow)
    frame.distinct(("buyer", "escrow", "vault", "source"))
    frame.expect(frame.number("amount") > 0, Failure.BAD_AMOUNT)
    frame.stage()
    escrow, amount = whole(escrow), frame.number("amount")
    frame.expect(escrow.available + amount <= U64_MAX, Failure.OVERFLOW)
    frame.stage()
    source = frame.account(frame.key("source")).data
    if isinstance(source, Token) and source.owner != frame.key("buyer_wallet"):
        frame.refuse_elsewhere()
    frame.move_tokens(frame.key("source"), frame.key("vault"), amount)
    escrow = replace(escrow, available=escrow.available + amount)
    frame.put(frame.key("escrow"), escrow)
    frame.events.append(events.Deposited(frame.key("escrow"), amount, escrow.available, frame.count("buyer")))


def withdraw(frame: Frame) -> None:
    buyer, escrow = _escrow(frame)
    _own(frame, buyer)
    _vault(frame, escrow)
    frame.distinct(("buyer", "escrow", "vault", "destination"))
    frame.expect(frame.number("amount") > 0, Failure.BAD_AMOUNT)
    frame.stage()
    escrow, amount = whole(escrow), frame.number("amount")
    frame.expect(amount <= escrow.available, Failure.NOT_ENOUGH)
    frame.stage()
    frame.move_tokens(frame.key("vault"), frame.key("destination"), amount)
    escrow = replace(escrow, available=escrow.available - amount)
    frame.put(frame.key("escrow"), escrow)
    named = (frame.key("escrow"), frame.key("destination"))
    frame.events.append(events.Withdrawn(*named, amount, escrow.available, frame.count("buyer")))


# Lines


def open_line(frame: Frame) -> None:
    buyer, escrow = _escrow(frame)
    _own(frame, buyer)
    battery = frame.read("battery", Participant)
    frame.expect(buyer and bool(buyer.role & constants.ROLE_BUYER), Failure.BAD_ACCOUNT)
    frame.expect(battery and bool(battery.role & constants.ROLE_BATTERY), Failure.BAD_ACCOUNT)
    program, wallet = frame.world.program_id, battery.wallet if battery else ZERO
    line, bump = derive(program, b"line", frame.key("escrow"), wallet)
    unpaid, unpaid_bump = derive(program, b"unpaid", wallet, frame.key("escrow"))
    if battery is not None:
        frame.expect(frame.key("line") == line and frame.key("unpaid") == unpaid, Failure.WRONG_ADDRESS)
        frame.expect(wallet != frame.key("buyer_wallet"), Failure.SAME_PARTY)
    frame.expect(frame.account(frame.key("line")).owner == SYSTEM, Failure.BAD_STATE)
    frame.distinct(("buyer_wallet", "line", "unpaid"))
    creates(frame)
    frame.stage()
    escrow = whole(escrow)
    slot = frame.clock.slot
    who = (frame.key("buyer_wallet"), wallet, escrow.mint, frame.key("escrow"), associated(wallet, escrow.mint))
    data = Line(1, bump, *who, 0, 0, 0, 0, slot, 0, ZERO, 0, 0, 0)
    frame.create(frame.key("buyer_wallet"), line, program, data, Line.SIZE)
    if frame.account(unpaid).owner != program:
        owed = Unpaid(1, unpaid_bump, wallet, escrow.mint, frame.key("escrow"), 0)
        frame.create(frame.key("buyer_wallet"), unpaid, program, owed, Unpaid.SIZE)
    frame.events.append(events.LineOpened(line, frame.key("buyer_wallet"), wallet, slot))


def allot(frame: Frame) -> None:
    buyer, escrow = _escrow(frame)
    _own(frame, buyer)
    line = frame.read("line", Line)
    frame.expect(line and line.escrow == frame.key("escrow"), Failure.BAD_ACCOUNT)
    _new_money(frame, escrow)
    frame.distinct(("buyer", "escrow", "line"))
    frame.expect(frame.number("amount") > 0, Failure.BAD_AMOUNT)
    frame.stage()
    escrow, line = whole(escrow, line)
    amount = frame.number("amount")
    frame.expect(amount <= escrow.available, Failure.NOT_ENOUGH)
    frame.stage()
    frame.put(
        frame.key("escrow"),
        replace(escrow, available=escrow.available - amount, allotted=escrow.allotted + amount),
    )
    change_line(frame, amount=line.amount + amount)
    on_line = line.amount + amount
    frame.events.append(events.Allotted(frame.key("line"), amount, on_line, frame.count("buyer")))


def request_release(frame: Frame) -> None:
    buyer, line = frame.read("buyer", Participant), frame.read("line", Line)
    _own(frame, buyer)
    frame.expect(line and buyer and line.buyer_wallet == buyer.wallet, Failure.BAD_ACCOUNT)
    frame.distinct(("buyer", "line"))
    frame.stage()
    line, amount = whole(line), frame.number("amount")
    frame.expect(amount <= line.amount, Failure.BAD_AMOUNT)
    frame.stage()
    at = frame.clock.now + RELEASE_DELAY_S if amount else 0
    change_line(frame, release_amount=amount, release_at=at)
    frame.events.append(events.ReleaseRequested(frame.key("line"), amount, at, frame.count("buyer")))


def release(frame: Frame) -> None:
    buyer, escrow = _escrow(frame)
    _own(frame, buyer)
    config, line = frame.read("config", Config), frame.read("line", Line)
    frame.expect(line and line.escrow == frame.key("escrow"), Failure.BAD_ACCOUNT)
    frame.distinct(("buyer", "escrow", "line"))
    frame.expect(config and not config.paused, Failure.PAUSED)
    frame.stage()
    escrow, line = whole(escrow, line)
    frame.expect(line.release_amount > 0, Failure.BAD_STATE)
    frame.expect(frame.clock.now >= line.release_at, Failure.TOO_EARLY)
    frame.stage()
    amount = min(line.release_amount, line.amount - line.locked)
    frame.put(
        frame.key("escrow"),
        replace(escrow, available=escrow.available + amount, allotted=escrow.allotted - amount),
    )
    change_line(frame, amount=line.amount - amount, release_amount=0, release_at=0)
    left = line.amount - amount
    frame.events.append(events.Released(frame.key("line"), amount, left, frame.count("buyer")))


def close(frame: Frame) -> None:
    frame.signed("buyer_wallet")
    line = frame.read("line", Line)
    frame.expect(line and line.buyer_wallet == frame.key("buyer_wallet"), Failure.BAD_ACCOUNT, Failure.NOT_SIGNER)
    frame.distinct(("buyer_wallet", "line"))
    frame.stage()
    line = whole(line)
    empty = line.amount == 0 and line.locked == 0 and line.open_trades == 0
    frame.expect(empty and frame.clock.slot > line.generation, Failure.NOT_EMPTY)
    frame.stage()
    frame.remove(frame.key("line"), frame.key("buyer_wallet"))
    frame.events.append(events.LineClosed(frame.key("line"), line.generation))


def void(frame: Frame) -> None:
    frame.signed("battery_wallet")
    line = frame.read("line", Line)
    frame.expect(line and line.battery_wallet == frame.key("battery_wallet"), Failure.BAD_ACCOUNT, Failure.NOT_SIGNER)
    frame.stage()
    line, number = whole(line), frame.number("contract_no")
    frame.expect(not is_spent(line, number), Failure.NUMBER_USED)
    frame.stage()
    frame.put(frame.key("line"), spend(line, number))
    frame.events.append(events.Voided(frame.key("line"), number))


# What is left to be paid


def collect(frame: Frame) -> None:
    battery, escrow = frame.read("battery", Participant), frame.read("escrow", Escrow)
    unpaid = frame.read("unpaid", Unpaid)
    _vault(frame, escrow)
    if unpaid is not None:
        frame.expect(battery and unpaid.wallet == battery.wallet, Failure.BAD_ACCOUNT)
        frame.expect(unpaid.escrow == frame.key("escrow"), Failure.BAD_ACCOUNT)
    frame.distinct(("battery", "escrow", "vault", "unpaid", "destination"))
    if frame.has("battery_wallet"):
        frame.signed("battery_wallet")
        frame.expect(battery and battery.wallet == frame.key("battery_wallet"), Failure.BAD_ACCOUNT)
    else:
        target = frame.account(frame.key("destination"))
        if target.owner != TOKEN:
            frame.expect(False, Failure.WRONG_OWNER, Failure.BAD_ACCOUNT)
        elif isinstance(target.data, Token):
            of_battery = target.data.owner == battery.wallet if battery else None
            frame.expect(of_battery, Failure.BAD_ACCOUNT, Failure.NOT_SIGNER)
            frame.expect(escrow and target.data.mint == escrow.mint, Failure.BAD_ACCOUNT)
            frame.expect(not target.data.frozen, Failure.BAD_ACCOUNT)
        else:
            frame.expect(False, Failure.BAD_ACCOUNT)
    frame.expect(unpaid and unpaid.amount > 0, Failure.BAD_AMOUNT)
    frame.stage()
    escrow, unpaid = whole(escrow, unpaid)
    frame.move_tokens(frame.key("vault"), frame.key("destination"), unpaid.amount)
    frame.put(frame.key("unpaid"), replace(unpaid, amount=0))
    frame.put(frame.key("escrow"), replace(escrow, unpaid=escrow.unpaid - unpaid.amount))
    named = (frame.key("unpaid"), frame.key("destination"))
    frame.events.append(events.Collected(*named, unpaid.amount, frame.count("battery")))


def sweep_fees(frame: Frame) -> None:
    config = frame.read("config", Config)
    _, escrow = _escrow(frame)
    _vault(frame, escrow)
    frame.distinct(("buyer", "escrow", "vault", "destination"))
    target = frame.account(frame.key("destination"))
    if isinstance(target.data, Token) and target.owner == TOKEN:
        frame.expect(config and target.data.owner == config.treasury, Failure.BAD_ACCOUNT)
        frame.expect(escrow and target.data.mint == escrow.mint, Failure.BAD_ACCOUNT)
    else:
        frame.expect(False, Failure.WRONG_OWNER, Failure.BAD_ACCOUNT)
    frame.expect(escrow and escrow.fees_due > 0, Failure.BAD_AMOUNT)
    frame.stage()
    escrow = whole(escrow)
    frame.move_tokens(frame.key("vault"), frame.key("destination"), escrow.fees_due)
    frame.put(frame.key("escrow"), replace(escrow, fees_due=0))
    named = (frame.key("escrow"), frame.key("destination"))
    frame.events.append(events.FeesSwept(*named, escrow.fees_due, frame.count("buyer")))
