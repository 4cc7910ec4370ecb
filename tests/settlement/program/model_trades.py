"""Trades in the model: settle, claim, attest, dispute."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from settlement.program import constants, events
from settlement.program.accounts import Config, Escrow, Line, Trade
from settlement.program.failures import Failure
from settlement.signing import SignatureKind, signed_bytes
from tests.settlement.program.model_consent import Proof, keys_of, require, wallet_signs
from tests.settlement.program.model_ends import end, ending_accounts
from tests.settlement.program.model_money import (
    Ending,
    change_line,
    count_trade,
    hand_over,
    is_spent,
    leave_line,
    price_of,
    sequences,
    spend,
)
from tests.settlement.program.model_terms import (
    Parties,
    contract_of,
    cosigned,
    creates,
    open_trade,
    parties,
    payment,
    receipt_of,
    whole,
)
from tests.settlement.program.model_world import Frame, derive

if TYPE_CHECKING:
    from settlement.contract import Contract
    from settlement.receipt import Receipt


def settle(frame: Frame) -> None:
    config = frame.read("config", Config)
    battery, buyer, line = payment(frame, "rent_payer")
    by_battery = wallet_signs(frame, "battery_wallet", battery)
    by_buyer = wallet_signs(frame, "buyer_wallet", buyer)
    frame.stage()
    config, battery, buyer, line = whole(config, battery, buyer, line)
    who = Parties(battery, buyer, line)
    contract = contract_of(frame, config.genesis, who)
    receipt = receipt_of(frame, contract.trade_id, final=True)
    cosigned(frame, who, receipt.digest, battery=by_battery, buyer=by_buyer)
    wh = min(receipt.delivered_wh, contract.energy_wh)
    if not is_spent(who.line, contract.contract_no):
        _settle_unused(frame, contract, wh)
        return
    address, _ = derive(frame.world.program_id, b"trade", contract.trade_id)
    frame.expect(frame.key("trade") == address, Failure.WRONG_ADDRESS)
    frame.stage()
    trade = frame.account(address)
    if isinstance(trade.data, Trade) and trade.owner == frame.world.program_id:
        ending_accounts(frame, trade.data)
        end(frame, trade.data, Ending(wh, constants.HOW_COSIGNED))


def _settle_unused(frame: Frame, contract: Contract, wh: int) -> None:
    line: Line = frame.account(frame.key("line")).data  # type: ignore[assignment]
    split = contract.split(wh)
    frame.expect(split.payout + split.fee <= line.amount - line.locked, Failure.NOT_ENOUGH)
    frame.stage()
    frame.put(frame.key("line"), spend(line, contract.contract_no))
    leave_line(frame, split.payout + split.fee, fees_due=split.fee)
    unpaid = hand_over(frame, split.payout)
    change_line(frame, paid=line.paid + split.payout)
    count_trade(frame, contract.energy_wh, Ending(wh, constants.HOW_COSIGNED), claimed=False)
    battery_sequence, buyer_sequence = sequences(frame)
    frame.events.append(
        events.Settled(
            trade_id=contract.trade_id,
            line=frame.key("line"),
            contract_no=contract.contract_no,
            battery_wallet=line.battery_wallet,
            buyer_wallet=line.buyer_wallet,
            delivered_wh=wh,
            reserved=contract.reserve,
            payout=split.payout,
            fee=split.fee,
            returned=split.returned,
            bond_to_battery=0,
            bond_to_buyer=0,
            unpaid=unpaid,
            how=constants.HOW_COSIGNED,
            battery_sequence=battery_sequence,
            buyer_sequence=buyer_sequence,
        )
    )


def claim(frame: Frame) -> None:
    frame.signed("payer")
    config = frame.read("config", Config)
    battery, buyer, line = parties(frame)
    by_battery = wallet_signs(frame, "battery_wallet", battery)
    creates(frame)
    frame.distinct(("payer", "battery", "buyer", "line", "trade"))
    frame.stage()
    config, battery, buyer, line = whole(config, battery, buyer, line)
    who = Parties(battery, buyer, line)
    contract = contract_of(frame, config.genesis, who)
    receipt = receipt_of(frame, contract.trade_id, final=True)
    address, bump = derive(frame.world.program_id, b"trade", contract.trade_id)
    said = Proof(keys_of(battery, frame.clock), signed_bytes(SignatureKind.RECEIPT, receipt.digest))
    agreed = Proof(keys_of(buyer, frame.clock), signed_bytes(SignatureKind.CONTRACT, contract.trade_id))
    require(frame, [agreed] if by_battery else [said, agreed])
    frame.expect(frame.key("trade") == address, Failure.WRONG_ADDRESS)
    frame.expect(frame.clock.now >= contract.ends_at_s, Failure.TOO_EARLY)
    frame.expect(frame.clock.now < contract.valid_until_s, Failure.EXPIRED)
    if is_spent(who.line, contract.contract_no):
        frame.expect(False, Failure.NUMBER_USED)
    frame.stage()
    frame.expect(contract.reserve <= who.line.amount - who.line.locked, Failure.NOT_ENOUGH)
    frame.stage()
    trade = _trade_of(frame, contract, receipt, bump)
    frame.create(frame.key("payer"), address, frame.world.program_id, trade, Trade.SIZE)
    frame.put(
        frame.key("line"),
        replace(
            spend(who.line, contract.contract_no),
            locked=who.line.locked + contract.reserve,
            open_trades=who.line.open_trades + 1,
        ),
    )
    named = (trade.trade_id, trade.line, trade.contract_no)
    figures = (trade.claimed_wh, trade.reserved, trade.disputable_until)
    frame.events.append(events.Claimed(*named, *figures, *sequences(frame)))


def _trade_of(frame: Frame, contract: Contract, receipt: Receipt, bump: int) -> Trade:
    return Trade(
        version=1,
        bump=bump,
        state=constants.STATE_CLAIMED,
        fee_bps=contract.fee_bps,
        trade_id=contract.trade_id,
        line=frame.key("line"),
        rent_payer=frame.key("payer"),
        resolver=contract.resolver,
        evidence=receipt.evidence,
        contract_no=contract.contract_no,
        price_e4=contract.price_e4,
        energy_wh=contract.energy_wh,
        base_units_per_cent=contract.base_units_per_cent,
        reserved=contract.reserve,
        claimed_wh=min(receipt.delivered_wh, contract.energy_wh),
        buyer_wh=0,
        safe_wh=0,
        attested_wh=0,
        paid=0,
        bond=0,
        held=0,
        started_at=receipt.started_at_s,
        ended_at=receipt.ended_at_s,
        disputable_until=frame.clock.now + contract.dispute_window_s,
        times_out_at=0,
    )


def attest(frame: Frame) -> None:
    battery, buyer, line = payment(frame)
    trade = open_trade(frame)
    by_battery = wallet_signs(frame, "battery_wallet", battery)
    by_buyer = wallet_signs(frame, "buyer_wallet", buyer)
    frame.stage()
    battery, buyer, line, trade = whole(battery, buyer, line, trade)
    receipt = receipt_of(frame, trade.trade_id, final=False)
    cosigned(frame, Parties(battery, buyer, line), receipt.digest, battery=by_battery, buyer=by_buyer)
    wh = min(receipt.delivered_wh, trade.claimed_wh)
    frame.expect(wh > max(trade.attested_wh, trade.safe_wh), Failure.BAD_AMOUNT)
    frame.stage()
    trade = replace(trade, attested_wh=wh)
    if trade.state == constants.STATE_DISPUTED:
        due = price_of(trade, wh) - price_of(trade, trade.safe_wh)
        leave_line(frame, due, locked=due)
        hand_over(frame, due)
        change_line(frame, paid=line.paid + due)
        trade = replace(trade, safe_wh=wh, paid=trade.paid + due)
    frame.put(frame.key("trade"), trade)
    named = (trade.trade_id, trade.line, trade.contract_no)
    frame.events.append(events.Attested(*named, wh, trade.paid, *sequences(frame)))


def dispute(frame: Frame) -> None:
    frame.signed("buyer_wallet")
    config = frame.read("config", Config)
    battery, buyer, line = payment(frame)
    frame.expect(buyer and buyer.wallet == frame.key("buyer_wallet"), Failure.BAD_ACCOUNT, Failure.NOT_SIGNER)
    trade = open_trade(frame)
    frame.stage()
    config, battery, buyer, line, trade = whole(config, battery, buyer, line, trade)
    frame.expect(trade.state == constants.STATE_CLAIMED, Failure.BAD_STATE)
    frame.expect(frame.clock.now < trade.disputable_until, Failure.EXPIRED)
    buyer_wh = frame.number("buyer_wh")
    frame.expect(buyer_wh < trade.claimed_wh and trade.attested_wh < trade.claimed_wh, Failure.BAD_AMOUNT)
    frame.stage()
    safe_wh = max(buyer_wh, trade.attested_wh)
    safe = price_of(trade, safe_wh)
    bond = max(config.min_bond, (price_of(trade, trade.claimed_wh) - safe) // 10)
    held = min(bond, safe)
    escrow: Escrow = frame.account(frame.key("escrow")).data  # type: ignore[assignment]
    frame.expect(bond <= escrow.available, Failure.NOT_ENOUGH)
    frame.stage()
    leave_line(frame, safe, locked=safe, available=-bond, bonds=bond + held)
    hand_over(frame, safe - held)
    change_line(frame, paid=line.paid + safe - held)
    trade = replace(
        trade,
        state=constants.STATE_DISPUTED,
        buyer_wh=buyer_wh,
        safe_wh=safe_wh,
        paid=safe - held,
        bond=bond,
        held=held,
        times_out_at=frame.clock.now + config.timeout_s,
    )
    frame.put(frame.key("trade"), trade)
    named = (trade.trade_id, trade.line, trade.contract_no, trade.claimed_wh, buyer_wh, safe_wh)
    frame.events.append(events.Disputed(*named, trade.paid, bond, held, trade.times_out_at, *sequences(frame)))
