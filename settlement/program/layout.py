"""The vocabulary of the schema: fixed little-endian layouts, read alike by borsh, behind Anchor's discriminators."""

from __future__ import annotations

from hashlib import sha256
from typing import Final, NamedTuple

DISCRIMINATOR_BYTES: Final = 8
EVENT_TAG: Final = bytes.fromhex("e445a52e51cb9a1d")
"""What an event's own instruction begins with: SHA-256("anchor:event"), its first eight bytes in reverse."""


class Kind(NamedTuple):
    """A type of field: its name here, bytes, how `struct` says it, how the IDL does, and what Python holds."""

    name: str
    size: int
    struct: str
    idl: object
    python: str


U8: Final = Kind("u8", 1, "B", "u8", "int")
BOOL: Final = Kind("bool", 1, "?", "bool", "bool")
U16: Final = Kind("u16", 2, "H", "u16", "int")
U32: Final = Kind("u32", 4, "I", "u32", "int")
U64: Final = Kind("u64", 8, "Q", "u64", "int")
I64: Final = Kind("i64", 8, "q", "i64", "int")
KEY: Final = Kind("pubkey", 32, "32s", "pubkey", "bytes")
HASH: Final = Kind("hash", 32, "32s", {"array": ["u8", 32]}, "bytes")


def padding(size: int) -> Kind:
    """Return the type of `size` zero bytes that keep what follows on its natural boundary."""
    return Kind("padding", size, f"{size}x", {"array": ["u8", size]}, "")


class Field(NamedTuple):
    """One field: name, type, and what it means with its unit."""

    name: str
    kind: Kind
    text: str = ""

    @property
    def is_padding(self) -> bool:
        """Whether it only fills."""
        return self.kind.name == "padding"


class Slot(NamedTuple):
    """One account of an instruction. An optional one that is absent is said by the program's own id in its place."""

    name: str
    writable: bool = False
    signer: bool = False
    optional: bool = False
    address: str = ""
    """A fixed address in base58, for programs and sysvars."""


class Account(NamedTuple):
    """An account that the program owns."""

    name: str
    text: str
    seeds: tuple[str, ...]
    fields: tuple[Field, ...]

    @property
    def discriminator(self) -> bytes:
        """Its first eight bytes."""
        return sha256(f"account:{self.name}".encode()).digest()[:DISCRIMINATOR_BYTES]

    @property
    def size(self) -> int:
        """Bytes in all."""
        return DISCRIMINATOR_BYTES + size_of(self.fields)


class Call(NamedTuple):
    """An instruction: accounts in order, then arguments."""

    name: str
    text: str
    accounts: tuple[Slot, ...]
    args: tuple[Field, ...] = ()

    @property
    def discriminator(self) -> bytes:
        """The first eight bytes of its data."""
        return sha256(f"global:{self.name}".encode()).digest()[:DISCRIMINATOR_BYTES]

    @property
    def size(self) -> int:
        """Bytes of its data."""
        return DISCRIMINATOR_BYTES + size_of(self.args)


class Event(NamedTuple):
    """What is told of a change. `is_money`: by an instruction to ourselves, never cut; else a log line."""

    name: str
    text: str
    fields: tuple[Field, ...]
    is_money: bool = True

    @property
    def discriminator(self) -> bytes:
        """Its first eight bytes, after the tag where it is an instruction."""
        return sha256(f"event:{self.name}".encode()).digest()[:DISCRIMINATOR_BYTES]


class Failure(NamedTuple):
    """A refusal: its number for ever, its name, what it says and what to do."""

    number: int
    name: str
    text: str


def size_of(fields: tuple[Field, ...]) -> int:
    """Return the bytes of the fields together."""
    return sum(field.kind.size for field in fields)


def offsets(fields: tuple[Field, ...], start: int = DISCRIMINATOR_BYTES) -> dict[str, int]:
    """Return where each field begins. Raises ValueError when one is not on its natural boundary."""
    found: dict[str, int] = {}
    for field in fields:
        natural = field.kind.size if field.kind.size in (2, 4, 8) and not field.is_padding else 1
        if start % natural:
            raise ValueError(f"{field.name} begins at {start}, not at a multiple of {natural}")
        if not field.is_padding:
            found[field.name] = start
        start += field.kind.size
    return found
