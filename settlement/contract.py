"""The contract of a settled trade: 328 bytes that both parties sign and that the ledger rebuilds (docs/contract.md).

A `Contract` that exists is in range, on the grid and affordable in 64 bits; whether its times suit the lot and the
clock is for the desk to judge. `Venue` says where it is paid: program, cluster and mint are hashed into every contract,
so a signature given for one ledger means nothing on another.

The device ids are those of the parties' identity keys (`settlement.device_id`), not the labels that frames carry.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, fields
from functools import cached_property
from hashlib import sha256
from typing import Final, Self

from etp.extensions import ZERO_SIGNATURE
from etp.extensions import Contract as WireContract
from etp.messages import FIRST_BATTERY_ID
from etp.units import ENERGY_STEP_WH, PRICE_TICK_E4
from settlement.errors import TermsError
from settlement.money import FEE_BPS_MAX, UNITS_PER_CENT_MAX, Split, amount_of, fee_of, reserve_of
from settlement.strict import key_problem
from settlement.values import I64_MAX, U32_MAX, U64_MAX, ZERO, check_bytes, check_number

CONTRACT_BYTES: Final = 328
PREFIX: Final = b"\xffwattbid-contract\x01"
"""0xFF begins no Solana message and no TLS transcript; then what this is, and its version."""
VALID_MIN_S: Final = 86_400
"""A contract outlives its delivery by a day at least: a gateway may be without network for so long."""
VALID_MAX_S: Final = 7 * 86_400
"""And by a week at most: less than the delay of a release, so the cover is still there."""

_LAYOUT: Final = struct.Struct("<18s32s32s32s32s32sQQQQQIIQqqqHI32s32s")


@dataclass(frozen=True, slots=True, kw_only=True)
class Venue:
    """A program on a cluster and the mint it pays in, 32 bytes each. Raises TermsError for what is no address."""

    program_id: bytes
    genesis_hash: bytes
    mint: bytes

    def __post_init__(self) -> None:
        for name in self.__slots__:
            check_bytes(name, getattr(self, name))

    @property
    def market(self) -> bytes:
        """The 32 bytes that stand for the venue on the wire: SHA-256 of the three."""
        return sha256(self.program_id + self.genesis_hash + self.mint).digest()


@dataclass(frozen=True, kw_only=True)
class Contract:
    """All that both parties agree on. Raises TermsError, which names the field, for anything that is no contract."""

    venue: Venue
    battery_wallet: bytes
    buyer_wallet: bytes
    generation: int
    """The slot in which the buyer's Line was opened: a Line opened again is another one."""
    contract_no: int
    """The battery's counter on this Line; a number pays once."""
    battery_device_id: int
    buyer_device_id: int
    message_id: int
    """The id of the winning Bid."""
    price_e4: int
    """1/10 000 cent per kWh, whole ticks of 100."""
    energy_wh: int
    """Wh, whole steps of 100."""
    base_units_per_cent: int
    starts_at_s: int
    ends_at_s: int
    valid_until_s: int
    """Seconds since 1970, on the ledger's clock; until then a claim is possible."""
    fee_bps: int
    dispute_window_s: int
    resolver: bytes
    meter_key: bytes = ZERO
    """The key of an independent meter; zero is the battery's own counter."""

    def __post_init__(self) -> None:
        for name, (lowest, highest) in _RANGES.items():
            check_number(name, getattr(self, name), lowest, highest)
        if type(self.venue) is not Venue:
            raise TermsError("venue", f"{type(self.venue).__name__} where a Venue belongs")
        self._check_parties()
        if self.price_e4 % PRICE_TICK_E4:
            raise TermsError("price_e4", f"{self.price_e4} is not a whole number of ticks of {PRICE_TICK_E4}")
        if self.energy_wh % ENERGY_STEP_WH:
            raise TermsError("energy_wh", f"{self.energy_wh} is not a whole number of steps of {ENERGY_STEP_WH}")
        if self.ends_at_s <= self.starts_at_s:
            raise TermsError("ends_at_s", f"{self.ends_at_s} is not after the start, {self.starts_at_s}")
        if not VALID_MIN_S <= self.valid_until_s - self.ends_at_s <= VALID_MAX_S:
            problem = f"{self.valid_until_s - self.ends_at_s} s after the end, not {VALID_MIN_S} to {VALID_MAX_S}"
            raise TermsError("valid_until_s", problem)
        reserve_of(self.amount, self.fee_bps)

    def _check_parties(self) -> None:
        for name in ("battery_wallet", "buyer_wallet", "resolver"):
            check_bytes(name, getattr(self, name))
        if self.battery_wallet == self.buyer_wallet:
            raise TermsError("buyer_wallet", "the battery's own wallet")
        if self.resolver in (self.battery_wallet, self.buyer_wallet):
            raise TermsError("resolver", "a wallet of one of the parties: nobody rules on his own dispute")
        if self.battery_device_id == self.buyer_device_id:
            raise TermsError("buyer_device_id", "the battery's own id")
        check_bytes("meter_key", self.meter_key, may_be_zero=True)
        if self.meter_key != ZERO and (problem := key_problem(self.meter_key)) is not None:
            raise TermsError("meter_key", problem)

    @cached_property
    def encoded(self) -> bytes:
        """The 328 bytes of the contract."""
        venue = self.venue
        terms = (getattr(self, name) for name in _AFTER_VENUE)
        return _LAYOUT.pack(PREFIX, venue.program_id, venue.genesis_hash, venue.mint, *terms)

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Return the contract in 328 bytes. Raises TermsError for any others."""
        if len(data) != CONTRACT_BYTES:
            raise TermsError("contract", f"{len(data)} bytes, not {CONTRACT_BYTES}")
        prefix, program_id, genesis_hash, mint, *terms = _LAYOUT.unpack(data)
        if prefix != PREFIX:
            raise TermsError("contract", "begins with another domain or version")
        venue = Venue(program_id=program_id, genesis_hash=genesis_hash, mint=mint)
        return cls(venue=venue, **dict(zip(_AFTER_VENUE, terms, strict=True)))

    @cached_property
    def trade_id(self) -> bytes:
        """SHA-256 of the 328 bytes: the name of the trade, and what contract signatures cover."""
        return sha256(self.encoded).digest()

    @property
    def amount(self) -> int:
        """What the whole energy costs, in base units, without the fee."""
        return amount_of(self.price_e4, self.energy_wh, self.base_units_per_cent)

    @property
    def reserve(self) -> int:
        """What the Line holds for this trade, in base units: amount and fee."""
        return reserve_of(self.amount, self.fee_bps)

    def split(self, delivered_wh: int) -> Split:
        """Return where the reserve goes after a delivery in Wh; what was delivered beyond the contract is not paid."""
        check_number("delivered_wh", delivered_wh, 0, U64_MAX)
        payout = amount_of(self.price_e4, min(delivered_wh, self.energy_wh), self.base_units_per_cent)
        fee = fee_of(payout, self.fee_bps)
        return Split(payout, fee, self.reserve - payout - fee)

    def to_wire(self, signature: bytes = ZERO_SIGNATURE) -> WireContract:
        """Return the extension (tag 2) that carries this contract beside an Accept or a Confirm."""
        shared = {name: getattr(self, name) for name in _ON_WIRE}
        return WireContract(market=self.venue.market, signature=signature, **shared)

    @classmethod
    def from_wire(
        cls,
        wire: WireContract,
        venue: Venue,
        *,
        battery_device_id: int,
        buyer_device_id: int,
        message_id: int,
        price_e4: int,
        energy_wh: int,
    ) -> Self:
        """Return the contract that an extension means, with what the frame and the connection say.

        Raises TermsError when it is for another market, or is none.
        """
        if wire.market != venue.market:
            raise TermsError("market", "another program, cluster or mint than ours")
        return cls(
            venue=venue,
            battery_device_id=battery_device_id,
            buyer_device_id=buyer_device_id,
            message_id=message_id,
            price_e4=price_e4,
            energy_wh=energy_wh,
            **{name: getattr(wire, name) for name in _ON_WIRE},
        )


_RANGES: Final = {
    "generation": (1, U64_MAX),
    "contract_no": (0, U64_MAX),
    "battery_device_id": (0, U64_MAX),
    "buyer_device_id": (0, U64_MAX),
    "message_id": (0, FIRST_BATTERY_ID - 1),
    "price_e4": (0, U32_MAX),
    "energy_wh": (1, U32_MAX),
    "base_units_per_cent": (1, UNITS_PER_CENT_MAX),
    "starts_at_s": (1, I64_MAX),
    "ends_at_s": (1, I64_MAX),
    "valid_until_s": (1, I64_MAX),
    "fee_bps": (0, FEE_BPS_MAX),
    "dispute_window_s": (1, U32_MAX),
}
_AFTER_VENUE: Final = tuple(field.name for field in fields(Contract))[1:]
"""The fields in the order of the bytes."""
_ON_WIRE: Final = tuple(name for name in WireContract._fields if name not in ("market", "signature"))
