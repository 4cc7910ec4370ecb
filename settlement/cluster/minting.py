"""Instructions of the classic Token program and of the associated accounts, as far as a test currency needs them."""

from __future__ import annotations

import struct
from typing import Final

from solders.instruction import AccountMeta, Instruction
from solders.pubkey import Pubkey
from solders.system_program import ID as SYSTEM_PROGRAM
from solders.system_program import CreateAccountParams, create_account

from settlement.cluster.tokens import MINT_BYTES, TOKEN
from settlement.program.addresses import token_account

_ASSOCIATED: Final = Pubkey.from_string("ATokenGPvbdGVxr1b2hvZbsiqW5xWH25efTNsLJA8knL")
_INITIALIZE_MINT_2: Final = 20
_MINT_TO: Final = 7
_CREATE_IDEMPOTENT: Final = b"\x01"


def make_mint(payer: Pubkey, mint: Pubkey, authority: Pubkey, decimals: int, rent: int) -> list[Instruction]:
    """Make a mint without freeze authority; `rent` lamports are what its account must hold."""
    made = create_account(
        CreateAccountParams(from_pubkey=payer, to_pubkey=mint, lamports=rent, space=MINT_BYTES, owner=TOKEN)
    )
    data = struct.pack("<BB32sB", _INITIALIZE_MINT_2, decimals, bytes(authority), 0)
    return [made, Instruction(TOKEN, data, [_at(mint, writable=True)])]


def make_token_account(payer: Pubkey, wallet: Pubkey, mint: Pubkey) -> Instruction:
    """Make the associated token account of a wallet, unless it is there."""
    accounts = [
        _at(payer, writable=True, signer=True),
        _at(token_account(wallet, mint), writable=True),
        _at(wallet),
        _at(mint),
        _at(SYSTEM_PROGRAM),
        _at(TOKEN),
    ]
    return Instruction(_ASSOCIATED, _CREATE_IDEMPOTENT, accounts)


def mint_to(mint: Pubkey, wallet: Pubkey, authority: Pubkey, amount: int) -> Instruction:
    """Bring new base units of a mint into the associated token account of a wallet."""
    accounts = [
        _at(mint, writable=True),
        _at(token_account(wallet, mint), writable=True),
        _at(authority, signer=True),
    ]
    return Instruction(TOKEN, struct.pack("<BQ", _MINT_TO, amount), accounts)


def _at(address: Pubkey, *, signer: bool = False, writable: bool = False) -> AccountMeta:
    return AccountMeta(address, is_signer=signer, is_writable=writable)
