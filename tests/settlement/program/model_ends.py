"""The ends of a claimed or disputed trade in the model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from settlement.money import fee_of
from settlement.program import constants, events
from settlement.program.failures import Failure
from tests.settlement.program.model_money import (
    Ending,
    change_line,
    count_trade,
    hand_over,
    leave_line,
    price_of,
    sequences,
)
from tests.settlement.program.model_terms import open_trade, payment, whole

if TYPE_CHECKING:
    from settlement.program.accounts import Trade
    from tests.settlement.program.model_world import Frame


def ending_accounts(frame: Frame, trade: Trade) -> None:
    frame.expect(trade.line == frame.key("line"), Failure.BAD_ACCOUNT)
    frame.expect(trade.rent_payer == frame.key("rent_payer"), Failure.BAD_ACCOUNT)
    frame.stage()


def _ending(frame: Frame) -> Trade:
    payment(frame, "rent_payer")
    trade = open_trade(frame)
    frame.expect(trade and trade.rent_payer == frame.key("rent_payer"), Failure.BAD_ACCOUNT)
    frame.stage()
    found: Trade = whole(trade)
    return found


def finalize(frame: Frame) -> None:
    trade = _ending(frame)
    frame.expect(trade.state == constants.STATE_CLAIMED, Failure.BAD_STATE)
    frame.expect(frame.clock.now >= trade.disputable_until, Failure.TOO_EARLY)
    frame.stage()
    end(frame, trade, Ending(trade.claimed_wh, constants.HOW_FINALIZED))


def resolve(frame: Frame) -> None:
    frame.signed("resolver")
    trade = _ending(frame)
    ruling = frame.number("ruling_wh")
    frame.expect(trade.resolver == frame.key("resolver"), Failure.NOT_RESOLVER)
    frame.stage()
    frame.expect(trade.state == constants.STATE_DISPUTED, Failure.BAD_STATE)
    frame.stage()
    frame.expect(trade.safe_wh <= ruling <= trade.claimed_wh, Failure.BAD_AMOUNT)
    frame.stage()
    end(frame, trade, Ending(ruling, constants.HOW_RESOLVED, loser(trade, 2 * ruling)))


def timeout(frame: Frame) -> None:
    trade = _ending(frame)
    frame.expect(trade.state == constants.STATE_DISPUTED, Failure.BAD_STATE)
    frame.expect(frame.clock.now >= trade.times_out_at, Failure.TOO_EARLY)
    frame.stage()
    wh = trade.safe_wh + (trade.claimed_wh - trade.safe_wh) // 2
    end(frame, trade, Ending(wh, constants.HOW_TIMED_OUT, loser(trade, trade.safe_wh + trade.claimed_wh)))


def loser(trade: Trade, twice_wh: int) -> str:
    """Return whose word was further from the ruling, given twice so that halves decide nothing."""
    battery_off, buyer_off = 2 * trade.claimed_wh - twice_wh, twice_wh - 2 * trade.buyer_wh
    if battery_off == buyer_off:
        return ""
    return "battery" if battery_off > buyer_off else "buyer"


def end(frame: Frame, trade: Trade, ending: Ending) -> None:
    """Pay what is left of a trade, return the rest to the Line and the bonds where they belong, and close it."""
    already = trade.paid + trade.held
    payout = max(price_of(trade, ending.wh), already)
    fee = fee_of(payout, trade.fee_bps)
    bond_to_battery = trade.bond if ending.loser == "buyer" else 0
    bond_to_buyer = trade.held if ending.loser == "battery" else 0
    line = leave_line(
        frame,
        payout - already + fee,
        locked=trade.reserved - already,
        fees_due=fee,
        bonds=-trade.bond - trade.held,
        available=trade.bond - bond_to_battery + bond_to_buyer,
    )
    due = payout - trade.paid - bond_to_buyer + bond_to_battery
    unpaid = hand_over(frame, due)
    change_line(frame, paid=line.paid + due, open_trades=line.open_trades - 1)
    count_trade(frame, trade.energy_wh, ending, claimed=True)
    frame.remove(frame.key("trade"), trade.rent_payer)
    battery_sequence, buyer_sequence = sequences(frame)
    frame.events.append(
        events.Settled(
            trade_id=trade.trade_id,
            line=trade.line,
            contract_no=trade.contract_no,
            battery_wallet=line.battery_wallet,
            buyer_wallet=line.buyer_wallet,
            delivered_wh=ending.wh,
            reserved=trade.reserved,
            payout=payout,
            fee=fee,
            returned=trade.reserved - payout - fee,
            bond_to_battery=bond_to_battery,
            bond_to_buyer=bond_to_buyer,
            unpaid=unpaid,
            how=ending.how,
            battery_sequence=battery_sequence,
            buyer_sequence=buyer_sequence,
        )
    )
