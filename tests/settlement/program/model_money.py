"""What moves in the model when a trade does: numbers, money, counters."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from settlement.money import amount_of
from settlement.program import constants
from settlement.program.failures import Failure
from settlement.values import U64_MAX
from tests.settlement.program.model_world import NUMBERS, TOKEN, Frame, Refused, Token

if TYPE_CHECKING:
    from settlement.program.accounts import Escrow, Line, Participant, Trade, Unpaid


class Ending(NamedTuple):
    """How a trade ends."""

    wh: int
    how: int
    loser: str = ""


def is_spent(line: Line, number: int) -> bool:
    """Whether a number was used. Raises Refused for one beyond the window."""
    if number < line.base_no:
        return True
    if number >= line.base_no + NUMBERS:
        raise Refused(Failure.NUMBER_OUT_OF_WINDOW)
    return bool(int.from_bytes(line.used, "little") >> (number - line.base_no) & 1)


def spend(line: Line, number: int) -> Line:
    """Return the Line with one more number used, its window moved on over those at its beginning."""
    used = int.from_bytes(line.used, "little") | 1 << (number - line.base_no)
    base = line.base_no
    while used & 1:
        used >>= 1
        base += 1
    if base > U64_MAX:
        raise Refused(Failure.OVERFLOW)
    return replace(line, used=used.to_bytes(32, "little"), base_no=base)


def price_of(trade: Trade, wh: int) -> int:
    return amount_of(trade.price_e4, wh, trade.base_units_per_cent)


def hand_over(frame: Frame, amount: int) -> int:
    """Pay the battery out of the vault, or write down what it is owed. Return the part that could not be paid."""
    if amount == 0:
        return 0
    line: Line = frame.account(frame.key("line")).data  # type: ignore[assignment]
    vault, payee = frame.account(frame.key("vault")), frame.account(frame.key("payee"))
    assert isinstance(vault.data, Token)
    fit = payee.owner == TOKEN and isinstance(payee.data, Token)
    if fit and isinstance(payee.data, Token):
        fit = payee.data.mint == line.mint and payee.data.owner == line.battery_wallet and not payee.data.frozen
    if fit and not vault.data.frozen:
        frame.move_tokens(frame.key("vault"), frame.key("payee"), amount)
        return 0
    unpaid: Unpaid = frame.account(frame.key("unpaid")).data  # type: ignore[assignment]
    escrow: Escrow = frame.account(frame.key("escrow")).data  # type: ignore[assignment]
    frame.put(frame.key("unpaid"), replace(unpaid, amount=unpaid.amount + amount))
    frame.put(frame.key("escrow"), replace(escrow, unpaid=escrow.unpaid + amount))
    return amount


def leave_line(frame: Frame, amount: int, *, locked: int = 0, **escrow_changes: int) -> Line:
    """Take money off the Line, and `locked` off its lock; `escrow_changes` are added to the escrow's fields."""
    line: Line = frame.account(frame.key("line")).data  # type: ignore[assignment]
    escrow: Escrow = frame.account(frame.key("escrow")).data  # type: ignore[assignment]
    line = replace(line, amount=line.amount - amount, locked=line.locked - locked)
    frame.put(frame.key("line"), line)
    added = {name: getattr(escrow, name) + value for name, value in escrow_changes.items()}
    frame.put(frame.key("escrow"), replace(escrow, allotted=escrow.allotted - amount, **added))
    return line


def change_line(frame: Frame, **fields: object) -> None:
    line: Line = frame.account(frame.key("line")).data  # type: ignore[assignment]
    frame.put(frame.key("line"), replace(line, **fields))  # type: ignore[arg-type]


def sequences(frame: Frame) -> tuple[int, int]:
    """Return the numbers of this event for battery and buyer, and take them."""
    return frame.count("battery"), frame.count("buyer")


def count_trade(frame: Frame, energy_wh: int, ending: Ending, *, claimed: bool) -> None:
    """Move both Participants' counters, and the Line's."""
    disputed = ending.how in (constants.HOW_RESOLVED, constants.HOW_TIMED_OUT)
    for slot in ("battery", "buyer"):
        one: Participant = frame.account(frame.key(slot)).data  # type: ignore[assignment]
        after = replace(
            one,
            trades_settled=one.trades_settled + 1,
            trades_claimed=one.trades_claimed + claimed,
            trades_disputed=one.trades_disputed + disputed,
            disputes_lost=one.disputes_lost + (ending.loser == slot),
            contracted_wh=one.contracted_wh + energy_wh,
            delivered_wh=one.delivered_wh + ending.wh,
        )
        frame.put(frame.key(slot), after)
    line: Line = frame.account(frame.key("line")).data  # type: ignore[assignment]
    change_line(frame, trades_settled=line.trades_settled + 1)
