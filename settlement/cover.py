"""Whether a battery may promise: the acceptance rule over one Line and its own open promises (settlement.md section 1).

A Line is the buyer's money for one battery's cheques and nothing else, and what is taken off it leaves eight days
later. So the battery judges alone, by what it read of the Line at a finalized slot and by what it has promised itself:

- its open promises on this Line, fee included, and the new one are within what is not being released;
- the contract can be claimed until before any release that began since could have left;
- the Line has a number free for it: unused on the ledger, and not the number of another open promise.

A number belongs to the contract that was signed for it until that award is void. Then it is free: no receipt is ever
signed for a void award, so two contracts with one number can never both be paid.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from settlement.lines import NUMBERS, RELEASE_DELAY_S
from settlement.values import ZERO

if TYPE_CHECKING:
    from collections.abc import Collection

    from settlement.lines import LineState

CLAIM_MARGIN_S: Final = 3_600
"""A claim must have landed this long before a release can leave the Line."""


class Promise(NamedTuple):
    """What one open award or unpaid cheque may still take from its Line: base units, fee included."""

    contract_no: int
    units: int


class Wanted(NamedTuple):
    """A promise to be made: for whom, and on what."""

    buyer_key: bytes
    battery_key: bytes
    """The identity keys that sign, 32 bytes each."""
    generation: int
    units: int
    """Amount and fee, in base units."""
    valid_until_s: int


def promised(line: LineState, promises: Collection[Promise]) -> int:
    """Return what is spoken for on a Line, in base units.

    What a claim has locked is counted by the Line itself, and a settled number takes nothing any more: of the promises
    only those whose number was unused at the read count.
    """
    return line.locked + sum(promise.units for promise in promises if not line.is_used(promise.contract_no))


def free_number(line: LineState, promises: Collection[Promise]) -> int | None:
    """Return the smallest contract number that is neither used nor promised, None when the Line has none free."""
    taken = {promise.contract_no for promise in promises}
    numbers = range(line.base_no, line.base_no + NUMBERS)
    return next((no for no in numbers if no not in taken and not line.is_used(no)), None)


def shortfall(line: LineState | None, promises: Collection[Promise], wanted: Wanted) -> str:
    """Return why a promise must not be made, in words for the buyer; "" when it may."""
    if line is None:
        return "no line of yours to this battery was seen on the ledger"
    if stranger := _mismatch(line, wanted):
        return stranger
    if wanted.valid_until_s > line.read_at_s + RELEASE_DELAY_S - CLAIM_MARGIN_S:
        return f"valid until {wanted.valid_until_s}: the line was read too long ago, at {line.read_at_s}"
    open_units = promised(line, promises)
    if open_units + wanted.units > line.cover:
        return f"{wanted.units} units wanted, {max(0, line.cover - open_units)} of {line.cover} free"
    return "" if free_number(line, promises) is not None else f"all {NUMBERS} contract numbers of the line are taken"


def _mismatch(line: LineState, wanted: Wanted) -> str:
    """Return why signatures of these parties would not take from this Line, "" when they do."""
    if line.generation != wanted.generation:
        return f"generation {wanted.generation}, your line is {line.generation}"
    if wanted.buyer_key == ZERO or line.buyer_key != wanted.buyer_key:
        return "the ledger knows another signing key of this wallet"
    return "" if line.battery_key == wanted.battery_key else "the ledger does not know this battery's signing key yet"
