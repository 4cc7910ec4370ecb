"""Constants for the Rust side, and assertions by which it does not compile when its structures lie otherwise."""

from __future__ import annotations

from typing import TYPE_CHECKING

from settlement.program.constants import VERSION
from settlement.program.layout import EVENT_TAG, offsets
from settlement.program.schema import ACCOUNTS, CALLS, EVENTS, FAILURES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from settlement.program.layout import Account


def schema() -> str:
    """Return `schema.rs`."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    yield "//! Made from the schema by `python -m settlement.program.generate`; not to be edited."
    yield "#![allow(dead_code)]"
    yield ""
    yield f"pub const VERSION: u8 = {VERSION};"
    yield f"pub const EVENT_TAG: u64 = {_number(EVENT_TAG)};"
    yield ""
    yield "/// First eight bytes of each account, as a little-endian number, and its size."
    yield "pub mod account {"
    for account in ACCOUNTS:
        yield f"    pub const {account.name.upper()}: u64 = {_number(account.discriminator)};"
        yield f"    pub const {account.name.upper()}_SIZE: usize = {account.size};"
    yield "}"
    yield ""
    yield "/// First eight bytes of each instruction's data, as a little-endian number; the size of the data; its"
    yield "/// accounts: how many, and by bits from the lowest which must sign and which are changed."
    yield "pub mod call {"
    for call in CALLS:
        yield f"    pub const {call.name.upper()}: u64 = {_number(call.discriminator)};"
        yield f"    pub const {call.name.upper()}_SIZE: usize = {call.size};"
        yield f"    pub const {call.name.upper()}_ACCOUNTS: usize = {len(call.accounts)};"
        signers = [slot.signer and not slot.optional for slot in call.accounts]
        yield f"    pub const {call.name.upper()}_SIGNERS: u16 = {_bits(signers)};"
        yield f"    pub const {call.name.upper()}_WRITABLE: u16 = {_bits([slot.writable for slot in call.accounts])};"
    yield "}"
    yield ""
    yield "/// First eight bytes of each event, as a little-endian number."
    yield "pub mod event {"
    for event in EVENTS:
        yield f"    pub const {event.name.upper()}: u64 = {_number(event.discriminator)};"
    yield "}"
    yield ""
    yield "#[derive(Clone, Copy, PartialEq, Eq, Debug)]"
    yield "#[repr(u64)]"
    yield "pub enum Failure {"
    for failure in FAILURES:
        yield f"    /// {failure.text}"
        yield f"    {failure.name} = {failure.number},"
    yield "}"
    yield ""
    yield "/// Put into the module of the account structures: it does not compile when one lies otherwise than here."
    yield "#[macro_export]"
    yield "macro_rules! assert_layouts {"
    yield "    () => {"
    for account in ACCOUNTS:
        yield from _assertions(account)
    yield "    };"
    yield "}"


def _assertions(account: Account) -> Iterator[str]:
    yield f"        const _: () = assert!(core::mem::size_of::<{account.name}>() == {account.size});"
    for name, offset in offsets(account.fields).items():
        yield f"        const _: () = assert!(core::mem::offset_of!({account.name}, {name}) == {offset});"


def _number(eight: bytes) -> str:
    return f"0x{int.from_bytes(eight, 'little'):016x}"


def _bits(flags: list[bool]) -> str:
    return f"0b{sum(1 << index for index, flag in enumerate(flags) if flag):016b}"
