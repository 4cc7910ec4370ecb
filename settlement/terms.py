"""What a battery and a buyer agree on before there is a contract: from Register through Bid and Accept to Confirm.

The battery's Register carries the terms of its market with all that is open left zero. A Bid copies them and fills in
who pays, from which Line, and the times; the Accept adds the contract's number and the battery's signature; the Confirm
repeats the Accept under the buyer's. What differs is refused by the name of the field (settlement.md section 2).

Pure: values in, values out, TermsError for what nobody agreed to.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from etp.extensions import ZERO_KEY
from etp.extensions import Contract as WireContract
from settlement.contract import VALID_MAX_S, VALID_MIN_S, Contract
from settlement.errors import TermsError
from settlement.keys import device_id
from settlement.money import FEE_BPS_MAX, UNITS_PER_CENT_MAX
from settlement.values import U32_MAX, ZERO, check_bytes, check_number

if TYPE_CHECKING:
    from settlement.contract import Venue

START_TOLERANCE_S: Final = 30
"""How far a Bid's start may lie from the battery's clock, either way."""
VALID_FOR_S: Final = 3 * 86_400
"""How long after its end a contract may be claimed, where nobody says otherwise."""

_WINDOW_MARGIN_S: Final = 60
_WINDOW_SHARE: Final = 4_500  # 5/4 of the time the lot takes at its power, in s per Wh/W


class Times(NamedTuple):
    """When a delivery may run, and until when it may be claimed; seconds since 1970."""

    starts_at_s: int
    ends_at_s: int
    valid_until_s: int


class Windows(NamedTuple):
    """The delivery windows that a battery has quoted lately, in seconds: a Bid's lies between them."""

    shortest_s: int
    longest_s: int


def window_s(lot_energy_wh: int, lot_power_w: int) -> int:
    """Return how long a delivery from this lot may take: ceil(4500 x kWh / kW) + 60.

    Energy and power are those of the QueryResponse that the Bid answers. Raises ValueError without power: nothing is
    sold that cannot flow.
    """
    if lot_power_w <= 0:
        raise ValueError(f"lot power {lot_power_w} W: a lot needs power")
    return -(-_WINDOW_SHARE * lot_energy_wh // lot_power_w) + _WINDOW_MARGIN_S


def times_for(now_s: int, delivery_window_s: int, valid_for_s: int = VALID_FOR_S) -> Times:
    """Return the times of a Bid sent at `now_s` by the buyer's clock."""
    ends_at_s = now_s + delivery_window_s
    return Times(now_s, ends_at_s, ends_at_s + valid_for_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketTerms:
    """What is the same for all trades of a market, on both sides. Raises TermsError for what no contract may hold."""

    venue: Venue
    base_units_per_cent: int
    fee_bps: int
    dispute_window_s: int
    resolver: bytes
    meter_key: bytes = ZERO

    def __post_init__(self) -> None:
        check_number("base_units_per_cent", self.base_units_per_cent, 1, UNITS_PER_CENT_MAX)
        check_number("fee_bps", self.fee_bps, 0, FEE_BPS_MAX)
        check_number("dispute_window_s", self.dispute_window_s, 1, U32_MAX)
        check_bytes("resolver", self.resolver)
        check_bytes("meter_key", self.meter_key, may_be_zero=True)

    def offer(self, battery_wallet: bytes) -> WireContract:
        """Return what a battery's Register carries."""
        return WireContract(
            market=self.venue.market,
            battery_wallet=battery_wallet,
            base_units_per_cent=self.base_units_per_cent,
            fee_bps=self.fee_bps,
            dispute_window_s=self.dispute_window_s,
            resolver=self.resolver,
            meter_key=self.meter_key,
        )

    def check_offer(self, offer: WireContract) -> None:
        """Raise TermsError unless a battery's Register carries these terms and a wallet, and nothing else."""
        if offer.battery_wallet == ZERO_KEY:
            raise TermsError("battery_wallet", "all zero, which is nobody")
        _require_same(offer, self.offer(offer.battery_wallet))

    def contract(
        self,
        wire: WireContract,
        *,
        battery_key: bytes,
        buyer_key: bytes,
        message_id: int,
        price_e4: int,
        energy_wh: int,
    ) -> Contract:
        """Return the contract that terms on the wire mean between two identity keys, for the Bid with this id.

        Price and energy are those of the frame beside it: the Bid's before the award, then the Accept's. Raises
        TermsError when it is none, one beyond 64 bits of money included.
        """
        return Contract.from_wire(
            wire,
            self.venue,
            battery_device_id=device_id(battery_key),
            buyer_device_id=device_id(buyer_key),
            message_id=message_id,
            price_e4=price_e4,
            energy_wh=energy_wh,
        )


def bid_of(offer: WireContract, *, buyer_wallet: bytes, generation: int, times: Times) -> WireContract:
    """Return what a Bid carries to the battery whose Register made this offer.

    `generation` is that of the buyer's Line to the battery.
    """
    return offer._replace(
        buyer_wallet=buyer_wallet,
        generation=generation,
        starts_at_s=times.starts_at_s,
        ends_at_s=times.ends_at_s,
        valid_until_s=times.valid_until_s,
    )


def check_bid(bid: WireContract, offer: WireContract, *, now_s: int, windows: Windows) -> None:
    """Raise TermsError unless a Bid copies the offer and its times suit the battery's clock and its lots.

    What only the whole contract shows (parties, amounts) is for `MarketTerms.contract`.
    """
    _require_same(bid, offer, but=_FILLED_IN_BY_BID)
    if bid.buyer_wallet in (ZERO_KEY, offer.battery_wallet, offer.resolver):
        raise TermsError("buyer_wallet", "nobody's, the battery's own or the resolver's")
    if bid.generation < 1:
        raise TermsError("generation", "0 is no Line")
    if abs(bid.starts_at_s - now_s) > START_TOLERANCE_S:
        raise TermsError("starts_at_s", f"{bid.starts_at_s - now_s:+d} s by our clock, at most {START_TOLERANCE_S}")
    length_s = bid.ends_at_s - bid.starts_at_s
    if not windows.shortest_s <= length_s <= windows.longest_s:
        raise TermsError("ends_at_s", f"a window of {length_s} s, not {_range(windows)}")
    valid_s = bid.valid_until_s - bid.ends_at_s
    if not VALID_MIN_S <= valid_s <= VALID_MAX_S:
        raise TermsError("valid_until_s", f"{valid_s} s after the end, not {VALID_MIN_S} to {VALID_MAX_S}")


def check_accept(bid: WireContract, accept: WireContract) -> None:
    """Raise TermsError unless an Accept repeats the Bid but for number and signature; both are for others to judge."""
    _require_same(accept, bid, but=("contract_no", "signature"))


def check_confirm(accept: WireContract, confirm: WireContract) -> None:
    """Raise TermsError unless a Confirm repeats the Accept byte for byte but for the signature."""
    _require_same(confirm, accept, but=("signature",))


_FILLED_IN_BY_BID: Final = ("buyer_wallet", "generation", "starts_at_s", "ends_at_s", "valid_until_s")
_WORDS: Final = {
    "market": "another program, cluster or mint than ours",
    "battery_wallet": "another wallet than the battery's",
    "signature": "not zero, where nobody can have signed yet",
}


def _require_same(given: WireContract, expected: WireContract, *, but: tuple[str, ...] = ()) -> None:
    """Raise TermsError for the first field that differs and may not."""
    for name, one, other in zip(WireContract._fields, given, expected, strict=True):
        if one != other and name not in but:
            differs = f"{one}, not {other}" if isinstance(one, int) else "another than agreed on"
            raise TermsError(name, _WORDS.get(name, differs))


def _range(windows: Windows) -> str:
    shortest_s, longest_s = windows
    return f"{longest_s} s" if shortest_s == longest_s else f"{shortest_s} to {longest_s} s"
