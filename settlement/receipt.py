"""The receipt of a delivery: what was delivered so far, or altogether, and the digest that both parties sign."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from typing import Final, Self

from etp.extensions import ZERO_SIGNATURE
from etp.extensions import Receipt as WireReceipt
from settlement.errors import TermsError
from settlement.values import I64_MAX, U64_MAX, check_bytes, check_number

PREFIX: Final = b"\xffwattbid-receipt\x01"
RECEIPT_BYTES: Final = 106
"""What the digest is of."""

_LAYOUT: Final = struct.Struct("<17s32sBQqq32s")


@dataclass(frozen=True, kw_only=True)
class Receipt:
    """A delivery in numbers. Raises TermsError, which names the field, for anything that is no receipt."""

    trade_id: bytes
    final: bool
    """False while energy flows: such a receipt says how much is undisputed."""
    delivered_wh: int
    """Wh since the start, as metered; may exceed the contract, which then pays no more."""
    started_at_s: int
    ended_at_s: int
    """Seconds since 1970; of an interim receipt the moment of the reading."""
    evidence: bytes
    """Hash of the metered samples."""

    def __post_init__(self) -> None:
        check_bytes("trade_id", self.trade_id)
        if type(self.final) is not bool:
            raise TermsError("final", f"{self.final!r} is neither true nor false")
        check_number("delivered_wh", self.delivered_wh, 0, U64_MAX)
        check_number("started_at_s", self.started_at_s, 0, I64_MAX)
        check_number("ended_at_s", self.ended_at_s, self.started_at_s, I64_MAX)
        check_bytes("evidence", self.evidence, may_be_zero=True)

    @cached_property
    def encoded(self) -> bytes:
        """The 106 bytes that the digest is of."""
        numbers = (self.final, self.delivered_wh, self.started_at_s, self.ended_at_s)
        return _LAYOUT.pack(PREFIX, self.trade_id, *numbers, self.evidence)

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Return the receipt in 106 bytes. Raises TermsError for any others."""
        if len(data) != RECEIPT_BYTES:
            raise TermsError("receipt", f"{len(data)} bytes, not {RECEIPT_BYTES}")
        prefix, trade_id, final, delivered_wh, started_at_s, ended_at_s, evidence = _LAYOUT.unpack(data)
        if prefix != PREFIX:
            raise TermsError("receipt", "begins with another domain or version")
        wire = WireReceipt(final, delivered_wh, started_at_s, ended_at_s, evidence)
        return cls.from_wire(wire, trade_id)

    @cached_property
    def digest(self) -> bytes:
        """SHA-256 of the 106 bytes: what receipt signatures cover."""
        return sha256(self.encoded).digest()

    def to_wire(self, signature: bytes = ZERO_SIGNATURE) -> WireReceipt:
        """Return the extension (tag 4) that carries this receipt."""
        return WireReceipt(
            int(self.final), self.delivered_wh, self.started_at_s, self.ended_at_s, self.evidence, signature
        )

    @classmethod
    def from_wire(cls, wire: WireReceipt, trade_id: bytes) -> Self:
        """Return the receipt that an extension means beside a frame of this trade. Raises TermsError."""
        if wire.final not in (0, 1):
            raise TermsError("final", f"{wire.final} is neither 0 nor 1")
        return cls(
            trade_id=trade_id,
            final=bool(wire.final),
            delivered_wh=wire.delivered_wh,
            started_at_s=wire.started_at_s,
            ended_at_s=wire.ended_at_s,
            evidence=wire.evidence,
        )
