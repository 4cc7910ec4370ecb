"""What a trade costs: whole numbers only, the same to the base unit as the program on the ledger.

amount = price_e4 * energy_wh * base_units_per_cent // 10^7, because price_e4 is 1/10^4 cent per kWh and energy Wh:
10^4 * 10^3. The program works in u64 and splits quotient and remainder; the results are equal, and a test says so.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from settlement.errors import TermsError
from settlement.values import U32_MAX, U64_MAX, check_number

FEE_BPS_MAX: Final = 500
"""The ledger's own bound: no configuration may take more than a twentieth."""
UNITS_PER_CENT_MAX: Final = 10_000_000
"""With this the product of price, energy and rate over 10^7 still fits into u64."""
_CENT: Final = 10_000_000
_BPS: Final = 10_000


class Split(NamedTuple):
    """Where a reserved amount goes, in base units; the three add up to what was reserved."""

    payout: int
    """To the battery."""
    fee: int
    """To the treasury, on top of the payout and paid by the buyer."""
    returned: int
    """Back to the buyer's Line."""


def amount_of(price_e4: int, energy_wh: int, base_units_per_cent: int) -> int:
    """Return the price of an energy in base units, rounded down. Raises TermsError when a factor is out of range."""
    check_number("price_e4", price_e4, 0, U32_MAX)
    check_number("energy_wh", energy_wh, 0, U32_MAX)
    check_number("base_units_per_cent", base_units_per_cent, 1, UNITS_PER_CENT_MAX)
    return price_e4 * energy_wh * base_units_per_cent // _CENT


def fee_of(amount: int, fee_bps: int) -> int:
    """Return the fee on an amount in base units, rounded down. Raises TermsError when either is out of range."""
    check_number("amount", amount, 0, U64_MAX)
    check_number("fee_bps", fee_bps, 0, FEE_BPS_MAX)
    return amount * fee_bps // _BPS


def reserve_of(amount: int, fee_bps: int) -> int:
    """Return what a Line must hold for an amount, its fee included. Raises TermsError when that is beyond u64."""
    reserve = amount + fee_of(amount, fee_bps)
    if reserve > U64_MAX:
        raise TermsError("amount", f"{reserve} base units with the fee, more than 64 bits hold")
    return reserve
