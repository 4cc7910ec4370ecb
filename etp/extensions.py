"""What may follow a body: `u8 tag, u16 LE length, bytes`, ascending tags (ETP section 2, settlement section 2).

Unknown tags are skipped, yet they stay part of `Extensions.rest`, the bytes that signatures and duplicate checks cover.
"""

from __future__ import annotations

import struct
from typing import Any, Final, NamedTuple, Self

from etp.errors import ExtensionError
from etp.limits import REASON_BYTES_MAX

TAG_AUTH: Final = 1
TAG_CONTRACT: Final = 2
TAG_REASON: Final = 3
TAG_RECEIPT: Final = 4
ZERO_KEY: Final = bytes(32)
ZERO_SIGNATURE: Final = bytes(64)

_HEADER: Final = struct.Struct("<BH")
_AUTH: Final = struct.Struct("<32s32sQ64s")
_CONTRACT: Final = struct.Struct("<32s32s32sQQQqqqHI32s32s64s")
_RECEIPT: Final = struct.Struct("<BQqq32s64s")


class Auth(NamedTuple):
    """Tag 1: who signed this frame, for whom, when (wall clock, ms) and the Ed25519 signature."""

    signer: bytes
    peer: bytes
    timestamp_ms: int
    signature: bytes

    def encode(self) -> bytes:
        """Return the 136 bytes of this extension's content."""
        return _AUTH.pack(*self)

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Return the Auth in `data`. Raises ExtensionError unless it has exactly 136 bytes."""
        return cls(*_unpack(_AUTH, data, "Auth"))


class Contract(NamedTuple):
    """Tag 2: the terms of a settled trade; times in seconds since 1970, money as base units per cent."""

    market: bytes = ZERO_KEY
    battery_wallet: bytes = ZERO_KEY
    buyer_wallet: bytes = ZERO_KEY
    generation: int = 0
    contract_no: int = 0
    base_units_per_cent: int = 0
    starts_at_s: int = 0
    ends_at_s: int = 0
    valid_until_s: int = 0
    fee_bps: int = 0
    dispute_window_s: int = 0
    resolver: bytes = ZERO_KEY
    meter_key: bytes = ZERO_KEY
    signature: bytes = ZERO_SIGNATURE

    def encode(self) -> bytes:
        """Return the 278 bytes of this extension's content."""
        return _CONTRACT.pack(*self)

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Return the Contract in `data`. Raises ExtensionError unless it has exactly 278 bytes."""
        return cls(*_unpack(_CONTRACT, data, "Contract"))


class Receipt(NamedTuple):
    """Tag 4: what was delivered so far (`final` 0) or altogether (`final` 1), in Wh and seconds since 1970."""

    final: int
    delivered_wh: int
    started_at_s: int
    ended_at_s: int
    evidence: bytes
    signature: bytes = ZERO_SIGNATURE

    def encode(self) -> bytes:
        """Return the 121 bytes of this extension's content."""
        return _RECEIPT.pack(*self)

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Return the Receipt in `data`. Raises ExtensionError on another size than 121 bytes or a `final` above 1."""
        receipt = cls(*_unpack(_RECEIPT, data, "Receipt"))
        if receipt.final > 1:
            raise ExtensionError(f"Receipt: final is {receipt.final}, not 0 or 1")
        return receipt


class Extensions(NamedTuple):
    """Everything after a body. `rest` is all of it but Auth, as encoded: what signatures and duplicate checks cover."""

    auth: Auth | None = None
    contract: Contract | None = None
    reason: str = ""
    receipt: Receipt | None = None
    rest: bytes = b""

    def encode(self) -> bytes:
        """Return the bytes that follow the body."""
        if self.auth is None:
            return self.rest
        return encode_item(TAG_AUTH, self.auth.encode()) + self.rest


NO_EXTENSIONS: Final = Extensions()


def extensions(
    *, contract: Contract | None = None, reason: str = "", receipt: Receipt | None = None, auth: Auth | None = None
) -> Extensions:
    """Return the extensions of a frame to be sent; a reason above 120 bytes is cut at a character."""
    rest = b""
    if contract is not None:
        rest += encode_item(TAG_CONTRACT, contract.encode())
    if reason:
        text = _cut(reason)
        rest += encode_item(TAG_REASON, text)
        reason = text.decode()
    if receipt is not None:
        rest += encode_item(TAG_RECEIPT, receipt.encode())
    return Extensions(auth, contract, reason, receipt, rest)


def encode_item(tag: int, content: bytes) -> bytes:
    """Return one extension: tag, length, content."""
    return _HEADER.pack(tag, len(content)) + content


def decode_extensions(data: bytes) -> Extensions:
    """Return the extensions in `data`, the bytes of a frame after its body.

    Raises ExtensionError on a truncated item, tags that do not ascend, or a known tag whose content is malformed.
    """
    found: dict[int, bytes] = {}
    rest = b""
    last_tag = -1
    offset = 0
    end = len(data)
    while offset < end:
        if end - offset < _HEADER.size:
            raise ExtensionError(f"{end - offset} bytes where tag and length need {_HEADER.size}")
        tag, size = _HEADER.unpack_from(data, offset)
        stop = offset + _HEADER.size + size
        if stop > end:
            raise ExtensionError(f"tag {tag} claims {size} bytes, {end - offset - _HEADER.size} are there")
        if tag <= last_tag:
            raise ExtensionError(f"tag {tag} after tag {last_tag}")
        found[tag] = data[offset + _HEADER.size : stop]
        if tag != TAG_AUTH:
            rest += data[offset:stop]
        last_tag = tag
        offset = stop
    return _from_items(found, rest)


def _from_items(found: dict[int, bytes], rest: bytes) -> Extensions:
    auth, contract, receipt = found.get(TAG_AUTH), found.get(TAG_CONTRACT), found.get(TAG_RECEIPT)
    return Extensions(
        auth=None if auth is None else Auth.decode(auth),
        contract=None if contract is None else Contract.decode(contract),
        reason=_decode_reason(found.get(TAG_REASON, b"")),
        receipt=None if receipt is None else Receipt.decode(receipt),
        rest=rest,
    )


def _unpack(layout: struct.Struct, data: bytes, name: str) -> tuple[Any, ...]:
    if len(data) != layout.size:
        raise ExtensionError(f"{name}: {len(data)} bytes, not {layout.size}")
    return layout.unpack(data)


def _decode_reason(data: bytes) -> str:
    if len(data) > REASON_BYTES_MAX:
        raise ExtensionError(f"Reason: {len(data)} bytes, at most {REASON_BYTES_MAX}")
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise ExtensionError(f"Reason: not UTF-8 at byte {error.start}") from None


def _cut(text: str) -> bytes:
    """Return the UTF-8 of as many whole characters as fit into a Reason."""
    return text.encode(errors="replace")[:REASON_BYTES_MAX].decode(errors="ignore").encode()
