"""The events of the program. Made from the schema by `python -m settlement.program.generate`; not to be edited."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import ClassVar, Final

from settlement.program.codec import Record


@dataclass(frozen=True, slots=True)
class Deposited(Record):
    """Money came."""

    DISCRIMINATOR: ClassVar[bytes] = bytes.fromhex("6f8d1a2da1236439")
    SIZE: ClassVar[int] = 64
    LAYOUT: ClassVar[struct.Struct] = struct.Struct("<32sQQQ")

    escrow: bytes
    amount: int
    available: int
    buyer_sequence: int


@dataclass(frozen=True, slots=True)
class Withdrawn(Record):
    """Money went back to the buyer."""

    DISCRIMINATOR: ClassVar[bytes] = bytes.fromhex("1459dfc6c27cdb0d")
    SIZE: ClassVar[int] = 96
    LAYOUT: ClassVar[struct.Struct] = struct.Struct("<32s32sQQQ")

    escrow: bytes
    destination: bytes
    amount: int
    available: int
    buyer_sequence: int


@dataclass(frozen=True, slots=True)
class Allotted(Record):
    """A Line got more."""

    DISCRIMINATOR: ClassVar[bytes] = bytes.fromhex("0fc563b1fed8a84d")
    SIZE: ClassVar[int] = 64
    LAYOUT: ClassVar[struct.Struct] = struct.Struct("<32sQQQ")

    line: bytes
    amount: int
    on_line: int
    buyer_sequence: int


@dataclass(frozen=True, slots=True)
class ReleaseRequested(Record):
    """The buyer asks money back from a Line."""

    DISCRIMINATOR: ClassVar[bytes] = bytes.fromhex("ab4bdd0cf888ccdd")
    SIZE: ClassVar[int] = 64
    LAYOUT: ClassVar[struct.Struct] = struct.Struct("<32sQqQ")

    line: bytes
    amount: int
    release_at: int
    buyer_sequence: int


@dataclass(frozen=True, slots=True)
class Released(Record):
    """It left the Line."""

    DISCRIMINATOR: ClassVar[bytes] = bytes.fromhex("e8e5ff8865bd0fdc")
    SIZE: ClassVar[int] = 64
    LAYOUT: ClassVar[struct.Struct] = struct.Struct("<32sQQQ")

    line: bytes
    amount: int
    on_line: int
    buyer_sequence: int


@dataclass(frozen=True, slots=True)
class Claimed(Record):
    """A battery claims without the buyer's co-signature."""

    DISCRIMINATOR: ClassVar[bytes] = bytes.fromhex("d9c07b486c96f821")
    SIZE: ClassVar[int] = 120
    LAYOUT: ClassVar[struct.Struct] = struct.Struct("<32s32sQQQqQQ")

    trade_id: bytes
    line: bytes
    contract_no: int
    claimed_wh: int
    reserved: int
    disputable_until: int
    battery_sequence: int
    buyer_sequence: int


@dataclass(frozen=True, slots=True)
class Attested(Record):
    """Part of a claim is beyond dispute."""

    DISCRIMINATOR: ClassVar[bytes] = bytes.fromhex("b86671c7dcc56032")
    SIZE: ClassVar[int] = 112
    LAYOUT: ClassVar[struct.Struct] = struct.Struct("<32s32sQQQQQ")

    trade_id: bytes
    line: bytes
    contract_no: int
    safe_wh: int
    paid: int
    battery_sequence: int
    buyer_sequence: int


@dataclass(frozen=True, slots=True)
class Disputed(Record):
    """The buyer says that less was delivered."""

    DISCRIMINATOR: ClassVar[bytes] = bytes.fromhex("baeb5bd1945d98d9")
    SIZE: ClassVar[int] = 152
    LAYOUT: ClassVar[struct.Struct] = struct.Struct("<32s32sQQQQQQQqQQ")

    trade_id: bytes
    line: bytes
    contract_no: int
    claimed_wh: int
    buyer_wh: int
    safe_wh: int
    paid: int
    bond: int
    held: int
    times_out_at: int
    battery_sequence: int
    buyer_sequence: int


@dataclass(frozen=True, slots=True)
class Settled(Record):
    """A trade ended: payout + fee + returned = reserved. Of payout and bond, `unpaid` could not be handed over."""

    DISCRIMINATOR: ClassVar[bytes] = bytes.fromhex("e8d228118e7c91ee")
    SIZE: ClassVar[int] = 225
    LAYOUT: ClassVar[struct.Struct] = struct.Struct("<32s32sQ32s32sQQQQQQQQQQB")

    trade_id: bytes
    line: bytes
    contract_no: int
    battery_wallet: bytes
    buyer_wallet: bytes
    delivered_wh: int
    reserved: int
    payout: int
    fee: int
    returned: int
    bond_to_battery: int
    bond_to_buyer: int
    unpaid: int
    battery_sequence: int
    buyer_sequence: int
    how: int
    """0 co-signed, 1 finalized, 2 resolved, 3 timed out."""


@dataclass(frozen=True, slots=True)
class Collected(Record):
    """What was unpaid is paid."""

    DISCRIMINATOR: ClassVar[bytes] = bytes.fromhex("436d8aa7a8ef02cf")
    SIZE: ClassVar[int] = 88
    LAYOUT: ClassVar[struct.Struct] = struct.Struct("<32s32sQQ")

    unpaid: bytes
    destination: bytes
    amount: int
    battery_sequence: int


@dataclass(frozen=True, slots=True)
class FeesSwept(Record):
    """Fees went to the treasury."""

    DISCRIMINATOR: ClassVar[bytes] = bytes.fromhex("60da73884aaacaac")
    SIZE: ClassVar[int] = 88
    LAYOUT: ClassVar[struct.Struct] = struct.Struct("<32s32sQQ")

    escrow: bytes
    destination: bytes
    amount: int
    buyer_sequence: int


@dataclass(frozen=True, slots=True)
class Registered(Record):
    """A Participant is there."""

    DISCRIMINATOR: ClassVar[bytes] = bytes.fromhex("0bde0a48a06ea5e3")
    SIZE: ClassVar[int] = 73
    LAYOUT: ClassVar[struct.Struct] = struct.Struct("<32s32sB")

    wallet: bytes
    signing_key: bytes
    role: int


@dataclass(frozen=True, slots=True)
class KeyRotated(Record):
    """A Participant signs with another key."""

    DISCRIMINATOR: ClassVar[bytes] = bytes.fromhex("ae251268c61e215f")
    SIZE: ClassVar[int] = 80
    LAYOUT: ClassVar[struct.Struct] = struct.Struct("<32s32sq")

    wallet: bytes
    signing_key: bytes
    previous_until: int


@dataclass(frozen=True, slots=True)
class LineOpened(Record):
    """A Line is there."""

    DISCRIMINATOR: ClassVar[bytes] = bytes.fromhex("c8ceed8010a75348")
    SIZE: ClassVar[int] = 112
    LAYOUT: ClassVar[struct.Struct] = struct.Struct("<32s32s32sQ")

    line: bytes
    buyer_wallet: bytes
    battery_wallet: bytes
    generation: int


@dataclass(frozen=True, slots=True)
class LineClosed(Record):
    """A Line is gone."""

    DISCRIMINATOR: ClassVar[bytes] = bytes.fromhex("d580ec3f52558e3c")
    SIZE: ClassVar[int] = 48
    LAYOUT: ClassVar[struct.Struct] = struct.Struct("<32sQ")

    line: bytes
    generation: int


@dataclass(frozen=True, slots=True)
class Voided(Record):
    """A number is spent without a trade."""

    DISCRIMINATOR: ClassVar[bytes] = bytes.fromhex("2030a35f475b56b3")
    SIZE: ClassVar[int] = 48
    LAYOUT: ClassVar[struct.Struct] = struct.Struct("<32sQ")

    line: bytes
    contract_no: int


@dataclass(frozen=True, slots=True)
class ConfigChanged(Record):
    """What the whole program agrees on has changed."""

    DISCRIMINATOR: ClassVar[bytes] = bytes.fromhex("93195662624d4ec0")
    SIZE: ClassVar[int] = 115
    LAYOUT: ClassVar[struct.Struct] = struct.Struct("<32s32s32sQH?")

    admin: bytes
    pending_admin: bytes
    treasury: bytes
    min_bond: int
    fee_bps: int
    paused: bool


@dataclass(frozen=True, slots=True)
class MintRuleSet(Record):
    """A mint is taken, or no more."""

    DISCRIMINATOR: ClassVar[bytes] = bytes.fromhex("4bd45b3daa45d610")
    SIZE: ClassVar[int] = 49
    LAYOUT: ClassVar[struct.Struct] = struct.Struct("<32sQ?")

    mint: bytes
    base_units_per_cent: int
    allowed: bool


EVENTS: Final[tuple[type[Record], ...]] = (
    Deposited,
    Withdrawn,
    Allotted,
    ReleaseRequested,
    Released,
    Claimed,
    Attested,
    Disputed,
    Settled,
    Collected,
    FeesSwept,
    Registered,
    KeyRotated,
    LineOpened,
    LineClosed,
    Voided,
    ConfigChanged,
    MintRuleSet,
)
