"""Where the accounts of one deployment are: addresses that follow from wallets, mints and trade ids."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from solders.pubkey import Pubkey

from settlement.program.constants import TOKEN_PROGRAM

_TOKEN: Final = Pubkey.from_string(TOKEN_PROGRAM)
_ASSOCIATED_TOKEN: Final = Pubkey.from_string("ATokenGPvbdGVxr1b2hvZbsiqW5xWH25efTNsLJA8knL")
_LOADER: Final = Pubkey.from_string("BPFLoaderUpgradeab1e11111111111111111111111")


def token_account(wallet: Pubkey, mint: Pubkey) -> Pubkey:
    """Return the associated token account of a wallet for a mint of the classic token program."""
    seeds = (bytes(wallet), bytes(_TOKEN), bytes(mint))
    return Pubkey.find_program_address(seeds, _ASSOCIATED_TOKEN)[0]


@dataclass(frozen=True, slots=True)
class Addresses:
    """The addresses of one deployed program."""

    program_id: Pubkey

    def config(self) -> Pubkey:
        """Where its one Config is."""
        return self._at(b"config")

    def event_authority(self) -> Pubkey:
        """The address that signs its events."""
        return self._at(b"__event_authority")

    def program_data(self) -> Pubkey:
        """Where the upgradeable loader keeps its code and upgrade authority."""
        return Pubkey.find_program_address((bytes(self.program_id),), _LOADER)[0]

    def mint_rule(self, mint: Pubkey) -> Pubkey:
        """The rule of a mint."""
        return self._at(b"mint", bytes(mint))

    def participant(self, wallet: Pubkey) -> Pubkey:
        """The Participant of a wallet."""
        return self._at(b"part", bytes(wallet))

    def escrow(self, buyer_wallet: Pubkey, mint: Pubkey) -> Pubkey:
        """A buyer's escrow in a mint."""
        return self._at(b"escrow", bytes(buyer_wallet), bytes(mint))

    def vault(self, escrow: Pubkey) -> Pubkey:
        """The token account of an escrow."""
        return self._at(b"vault", bytes(escrow))

    def line(self, escrow: Pubkey, battery_wallet: Pubkey) -> Pubkey:
        """The Line from an escrow to a battery."""
        return self._at(b"line", bytes(escrow), bytes(battery_wallet))

    def unpaid(self, battery_wallet: Pubkey, escrow: Pubkey) -> Pubkey:
        """What a battery is owed out of an escrow's vault."""
        return self._at(b"unpaid", bytes(battery_wallet), bytes(escrow))

    def trade(self, trade_id: bytes) -> Pubkey:
        """Where a claimed or disputed trade is."""
        return self._at(b"trade", trade_id)

    def _at(self, *seeds: bytes) -> Pubkey:
        return Pubkey.find_program_address(seeds, self.program_id)[0]
