"""The accounts of the program. Made from the schema by `python -m settlement.program.generate`; not to be edited."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import ClassVar, Final

from settlement.program.codec import Record


@dataclass(frozen=True, slots=True)
class Config(Record):
    """Who runs the program, and what the whole of it agrees on. One there is."""

    DISCRIMINATOR: ClassVar[bytes] = bytes.fromhex("9b0caae01efacc82")
    SIZE: ClassVar[int] = 160
    LAYOUT: ClassVar[struct.Struct] = struct.Struct("<BBH?3xQI4x32s32s32s32s")

    version: int
    """Of this layout: 1."""
    bump: int
    """Of its address."""
    fee_bps: int
    """1/10 000 of a payout that the operator asks new contracts to carry; at most 500."""
    paused: bool
    """No registration, deposit, allotment or release while it is set."""
    min_bond: int
    """The least that a dispute puts at stake, base units."""
    timeout_s: int
    """After a dispute, how long the resolver has; written once."""
    admin: bytes
    pending_admin: bytes
    """Who may take over by accept_admin; zero: nobody."""
    treasury: bytes
    """Wallet whose token accounts take the fees."""
    genesis: bytes
    """Of the cluster, in full; written once."""


@dataclass(frozen=True, slots=True)
class MintRule(Record):
    """Whether deposits in a mint of the classic token program are taken."""

    DISCRIMINATOR: ClassVar[bytes] = bytes.fromhex("1a0dde414c04e46f")
    SIZE: ClassVar[int] = 56
    LAYOUT: ClassVar[struct.Struct] = struct.Struct("<BB?B4x32sQ")

    version: int
    """Of this layout: 1."""
    bump: int
    """Of its address."""
    allowed: bool
    decimals: int
    mint: bytes
    base_units_per_cent: int
    """1 to 10^7."""


@dataclass(frozen=True, slots=True)
class Participant(Record):
    """A battery or a buyer: its wallet, the key that signs for it, and what became of its trades. Never closed."""

    DISCRIMINATOR: ClassVar[bytes] = bytes.fromhex("208e6c4ff7b33606")
    SIZE: ClassVar[int] = 176
    LAYOUT: ClassVar[struct.Struct] = struct.Struct("<BBB5x32s32s32sqQQQQQQQ")

    version: int
    """Of this layout: 1."""
    bump: int
    """Of its address."""
    role: int
    """1 battery, 2 buyer, 3 both."""
    wallet: bytes
    signing_key: bytes
    previous_key: bytes
    """Zero: there is none."""
    previous_until: int
    """Until then the previous key's signatures count."""
    sequence: int
    """Number of its next money event."""
    trades_settled: int
    """Each trade that ended, once."""
    trades_claimed: int
    """Of them, those that were claimed first."""
    trades_disputed: int
    """Of them, those that a resolver or the time-out ended."""
    disputes_lost: int
    """Of those, the ones in which this side was further from the ruling."""
    contracted_wh: int
    delivered_wh: int
    """Paid for, so never more than contracted."""


@dataclass(frozen=True, slots=True)
class Escrow(Record):
    """A buyer's money in one mint. The vault holds at least the sum of the five amounts. Never closed."""

    DISCRIMINATOR: ClassVar[bytes] = bytes.fromhex("1fd57bbbba16da9b")
    SIZE: ClassVar[int] = 152
    LAYOUT: ClassVar[struct.Struct] = struct.Struct("<BB6x32s32s32sQQQQQ")

    version: int
    """Of this layout: 1."""
    bump: int
    """Of its address."""
    buyer_wallet: bytes
    mint: bytes
    vault: bytes
    """The token account at ["vault", escrow], owned by the escrow."""
    available: int
    """May be withdrawn or allotted."""
    allotted: int
    """Lies on Lines."""
    bonds: int
    """Of the buyer and of batteries, in open disputes."""
    fees_due: int
    """To the treasury."""
    unpaid: int
    """To batteries whose token account could not take it."""


@dataclass(frozen=True, slots=True)
class Line(Record):
    """What a buyer has laid aside for one battery's cheques, and which contract numbers are spent."""

    DISCRIMINATOR: ClassVar[bytes] = bytes.fromhex("0f497d99b40d50bb")
    SIZE: ClassVar[int] = 280
    LAYOUT: ClassVar[struct.Struct] = struct.Struct("<BB6x32s32s32s32s32sQQQqQQ32sI4xQQ")

    version: int
    """Of this layout: 1."""
    bump: int
    """Of its address."""
    buyer_wallet: bytes
    battery_wallet: bytes
    mint: bytes
    escrow: bytes
    payee: bytes
    """The battery's associated token account."""
    amount: int
    """All that lies here."""
    locked: int
    """Of it, reserved by claimed and disputed trades."""
    release_amount: int
    """Of it, asked back by the buyer."""
    release_at: int
    """When that may leave."""
    generation: int
    """The slot in which it was opened."""
    base_no: int
    """Every number below is spent."""
    used: bytes
    """Bit n (of byte n / 8, from the lowest): base_no + n is spent."""
    open_trades: int
    """Claimed or disputed."""
    trades_settled: int
    paid: int
    """To the battery, in all."""


@dataclass(frozen=True, slots=True)
class Trade(Record):
    """A trade that was claimed or disputed; closed as soon as it is settled."""

    DISCRIMINATOR: ClassVar[bytes] = bytes.fromhex("848b7b1f9dc4f4be")
    SIZE: ClassVar[int] = 296
    LAYOUT: ClassVar[struct.Struct] = struct.Struct("<BBB1xH2x32s32s32s32s32sQIIQQQQQQQQQqqqq")

    version: int
    """Of this layout: 1."""
    bump: int
    """Of its address."""
    state: int
    """1 claimed, 2 disputed."""
    fee_bps: int
    trade_id: bytes
    line: bytes
    rent_payer: bytes
    """Gets the rent back."""
    resolver: bytes
    evidence: bytes
    """Of the claim."""
    contract_no: int
    price_e4: int
    energy_wh: int
    base_units_per_cent: int
    reserved: int
    """Amount and fee of the whole contract."""
    claimed_wh: int
    """At most the contract's."""
    buyer_wh: int
    """The buyer's figure; 0 until it disputes."""
    safe_wh: int
    """Undisputed: the buyer's figure, or a co-signed interim receipt that says more."""
    attested_wh: int
    """The highest co-signed interim receipt."""
    paid: int
    """To the battery so far."""
    bond: int
    """The buyer's, in the escrow's bonds."""
    held: int
    """Of the safe payout, held back as the battery's bond, in the escrow's bonds."""
    started_at: int
    ended_at: int
    disputable_until: int
    times_out_at: int
    """0 until it is disputed."""


@dataclass(frozen=True, slots=True)
class Unpaid(Record):
    """What a battery is owed out of one buyer's vault because its token account could not take it. Never closed."""

    DISCRIMINATOR: ClassVar[bytes] = bytes.fromhex("db20eef81e145a18")
    SIZE: ClassVar[int] = 120
    LAYOUT: ClassVar[struct.Struct] = struct.Struct("<BB6x32s32s32sQ")

    version: int
    """Of this layout: 1."""
    bump: int
    """Of its address."""
    wallet: bytes
    mint: bytes
    escrow: bytes
    amount: int


ACCOUNTS: Final[tuple[type[Record], ...]] = (
    Config,
    MintRule,
    Participant,
    Escrow,
    Line,
    Trade,
    Unpaid,
)
