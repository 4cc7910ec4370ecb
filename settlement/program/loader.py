"""How the program gets onto a cluster: the instructions of the upgradeable loader (v3), and what its accounts hold.

The code is written into a buffer in pieces that fit into packets, in any order; then one transaction makes the program
account and deploys the buffer into its program data, whose rent the buffer's lamports pay. With the upgrade authority
taken away nobody can change the program any more.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from solders.instruction import AccountMeta, Instruction
from solders.pubkey import Pubkey
from solders.system_program import ID as SYSTEM_PROGRAM
from solders.system_program import CreateAccountParams, create_account

from settlement.program.addresses import Addresses
from settlement.program.codec import LayoutError

if TYPE_CHECKING:
    from collections.abc import Callable

LOADER: Final = Pubkey.from_string("BPFLoaderUpgradeab1e11111111111111111111111")
PROGRAM_BYTES: Final = 36
"""Of the program account: that it is one, and where its data is."""
BUFFER_HEAD_BYTES: Final = 37
"""Before the code in a buffer: that it is one, and its authority."""
PROGRAM_DATA_HEAD_BYTES: Final = 45
"""Before the code in the program data: that it is that, the slot of the deployment, the upgrade authority."""
PIECE_BYTES: Final = 860
"""Of code in one transaction: it fits into a packet with a price for priority and a payer beside the authority."""

_RENT: Final = Pubkey.from_string("SysvarRent111111111111111111111111111111111")
_CLOCK: Final = Pubkey.from_string("SysvarC1ock11111111111111111111111111111111")
_PROGRAM_DATA: Final = struct.Struct("<IQB")
_PROGRAM_DATA_TAG: Final = 3
_INITIALIZE_BUFFER, _WRITE, _DEPLOY, _UPGRADE, _SET_AUTHORITY = range(5)


@dataclass(frozen=True, slots=True)
class ProgramData:
    """What the loader keeps of a program."""

    slot: int
    """Of the last deployment."""
    authority: bytes | None
    """Who may upgrade it, 32 bytes; None: nobody ever will."""
    code: bytes

    @classmethod
    def decode(cls, data: bytes) -> ProgramData:
        """Return what a program data account holds. Raises LayoutError."""
        if len(data) < PROGRAM_DATA_HEAD_BYTES:
            raise LayoutError(f"program data of {len(data)} bytes, at least {PROGRAM_DATA_HEAD_BYTES}")
        tag, slot, has_authority = _PROGRAM_DATA.unpack_from(data)
        if tag != _PROGRAM_DATA_TAG or has_authority not in (0, 1):
            raise LayoutError(f"begins with {data[:13].hex()}, which is no program data")
        authority = data[_PROGRAM_DATA.size : PROGRAM_DATA_HEAD_BYTES] if has_authority else None
        return cls(slot, authority, data[PROGRAM_DATA_HEAD_BYTES:])


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """The parts of one deployment, in the order in which they are sent; each list is one transaction."""

    open: list[Instruction]
    """Signed by payer and buffer."""
    writes: list[list[Instruction]]
    """Signed by the authority; in any order, all at once if one likes."""
    deploy: list[Instruction]
    """Signed by payer, program and authority, once every write has landed."""


def deployment(
    code: bytes, *, payer: Pubkey, authority: Pubkey, program: Pubkey, buffer: Pubkey, rent: Callable[[int], int]
) -> Deployment:
    """Return how to bring code to the address `program`; `rent` says what an account of so many bytes needs, lamports.

    The program data is as long as the code: nobody will ever put a longer one in its place.
    """
    opened = _made(payer, buffer, BUFFER_HEAD_BYTES + len(code), rent)
    writes = [
        [write(buffer, authority, offset, code[offset : offset + PIECE_BYTES])]
        for offset in range(0, len(code), PIECE_BYTES)
    ]
    made = _made(payer, program, PROGRAM_BYTES, rent)
    deployed = deploy(payer, program, buffer, authority, len(code))
    return Deployment(open=[opened, initialize_buffer(buffer, authority)], writes=writes, deploy=[made, deployed])


def initialize_buffer(buffer: Pubkey, authority: Pubkey) -> Instruction:
    """Make a fresh account of the loader a buffer of this authority."""
    return _instruction(_INITIALIZE_BUFFER, b"", _at(buffer, writable=True), _at(authority))


def write(buffer: Pubkey, authority: Pubkey, offset: int, piece: bytes) -> Instruction:
    """Put a piece of the code into a buffer."""
    data = struct.pack("<IQ", offset, len(piece)) + piece
    return _instruction(_WRITE, data, _at(buffer, writable=True), _at(authority, signer=True))


def deploy(payer: Pubkey, program: Pubkey, buffer: Pubkey, authority: Pubkey, code_bytes: int) -> Instruction:
    """Make a buffer the code of a new program, with room for `code_bytes`."""
    return _instruction(
        _DEPLOY,
        struct.pack("<Q", code_bytes),
        _at(payer, writable=True, signer=True),
        _at(Addresses(program).program_data(), writable=True),
        _at(program, writable=True),
        _at(buffer, writable=True),
        _at(_RENT),
        _at(_CLOCK),
        _at(SYSTEM_PROGRAM),
        _at(authority, signer=True),
    )


def upgrade(program: Pubkey, buffer: Pubkey, spill: Pubkey, authority: Pubkey) -> Instruction:
    """Replace the code of a program; `spill` gets the lamports that are left over."""
    return _instruction(
        _UPGRADE,
        b"",
        _at(Addresses(program).program_data(), writable=True),
        _at(program, writable=True),
        _at(buffer, writable=True),
        _at(spill, writable=True),
        _at(_RENT),
        _at(_CLOCK),
        _at(authority, signer=True),
    )


def freeze(program: Pubkey, authority: Pubkey) -> Instruction:
    """Take the upgrade authority away, for ever."""
    program_data = Addresses(program).program_data()
    return _instruction(_SET_AUTHORITY, b"", _at(program_data, writable=True), _at(authority, signer=True))


def _made(payer: Pubkey, account: Pubkey, size: int, rent: Callable[[int], int]) -> Instruction:
    return create_account(
        CreateAccountParams(from_pubkey=payer, to_pubkey=account, lamports=rent(size), space=size, owner=LOADER)
    )


def _instruction(tag: int, data: bytes, *accounts: AccountMeta) -> Instruction:
    return Instruction(LOADER, struct.pack("<I", tag) + data, list(accounts))


def _at(address: Pubkey, *, signer: bool = False, writable: bool = False) -> AccountMeta:
    return AccountMeta(address, is_signer=signer, is_writable=writable)
