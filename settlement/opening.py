"""How parties begin on the ledger, and how a buyer's money moves: instructions for one deployed program and mint.

Each function returns the instructions of one transaction, which the wallet that is named signs. Amounts are base units.
The payments of trades are `settlement.actions`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from solders.pubkey import Pubkey
from spl.token.instructions import create_idempotent_associated_token_account

from settlement.program import instructions as program
from settlement.program.addresses import Addresses, token_account
from settlement.program.constants import ROLE_BATTERY, ROLE_BUYER
from settlement.signing import SignatureKind, signed_bytes
from settlement.statements import Registration
from settlement.transaction import Consent, consent

if TYPE_CHECKING:
    from solders.instruction import Instruction

    from etp.auth import Signer
    from settlement.contract import Venue
    from settlement.signing import Party

ROLES: Final[dict[Party, int]] = {"battery": ROLE_BATTERY, "buyer": ROLE_BUYER}


@dataclass(frozen=True, slots=True)
class Opening:
    """The instructions of one venue."""

    venue: Venue

    @property
    def at(self) -> Addresses:
        """Where its accounts are."""
        return Addresses(self.program_id)

    @property
    def program_id(self) -> Pubkey:
        """The program."""
        return Pubkey.from_bytes(self.venue.program_id)

    @property
    def mint(self) -> Pubkey:
        """The money."""
        return Pubkey.from_bytes(self.venue.mint)

    def tokens(self, wallet: bytes) -> Pubkey:
        """Return where a wallet's money of this venue is, and where it is paid."""
        return token_account(Pubkey.from_bytes(wallet), self.mint)

    def open_tokens(self, wallet: bytes, *, payer: bytes | None = None) -> list[Instruction]:
        """Make a wallet's token account where there is none; it costs its payer 2,039,280 lamports."""
        owner = Pubkey.from_bytes(wallet)
        made = create_idempotent_associated_token_account(Pubkey.from_bytes(payer or wallet), owner, self.mint)
        return [made]

    def register(self, wallet: bytes, identity: Signer, role: Party) -> list[Instruction]:
        """Make a wallet a Participant for which `identity` signs."""
        at = self.at
        made = program.register(
            self.program_id,
            wallet=Pubkey.from_bytes(wallet),
            config=at.config(),
            participant=at.participant(Pubkey.from_bytes(wallet)),
            role=ROLES[role],
            signing_key=identity.public_key,
        )
        return [self._proof(wallet, identity), made]

    def rotate_key(self, wallet: bytes, identity: Signer) -> list[Instruction]:
        """Let another key sign for a Participant; the old one's signatures count for 8 more days."""
        at = self.at
        made = program.rotate_key(
            self.program_id,
            wallet=Pubkey.from_bytes(wallet),
            config=at.config(),
            participant=at.participant(Pubkey.from_bytes(wallet)),
            new_key=identity.public_key,
        )
        return [self._proof(wallet, identity), made]

    def open_escrow(self, buyer: bytes) -> list[Instruction]:
        """Open a buyer's escrow and vault."""
        wallet, escrow = Pubkey.from_bytes(buyer), self.escrow(buyer)
        made = program.open_escrow(
            self.program_id,
            buyer_wallet=wallet,
            buyer=self.at.participant(wallet),
            escrow=escrow,
            vault=self.at.vault(escrow),
            mint=self.mint,
        )
        return [made]

    def deposit(self, buyer: bytes, amount: int) -> list[Instruction]:
        """Bring money from the buyer's token account."""
        at, wallet, escrow = self.at, Pubkey.from_bytes(buyer), self.escrow(buyer)
        made = program.deposit(
            self.program_id,
            buyer_wallet=wallet,
            config=at.config(),
            mint_rule=at.mint_rule(self.mint),
            buyer=at.participant(wallet),
            escrow=escrow,
            vault=at.vault(escrow),
            source=self.tokens(buyer),
            event_authority=at.event_authority(),
            amount=amount,
        )
        return [made]

    def withdraw(self, buyer: bytes, amount: int) -> list[Instruction]:
        """Take money that no Line holds to the buyer's token account."""
        at, wallet, escrow = self.at, Pubkey.from_bytes(buyer), self.escrow(buyer)
        made = program.withdraw(
            self.program_id,
            buyer_wallet=wallet,
            buyer=at.participant(wallet),
            escrow=escrow,
            vault=at.vault(escrow),
            destination=self.tokens(buyer),
            event_authority=at.event_authority(),
            amount=amount,
        )
        return [made]

    def open_line(self, buyer: bytes, battery: bytes) -> list[Instruction]:
        """Open a Line to a battery, both of them Participants."""
        at, wallet, seller, escrow = self.at, Pubkey.from_bytes(buyer), Pubkey.from_bytes(battery), self.escrow(buyer)
        made = program.open_line(
            self.program_id,
            buyer_wallet=wallet,
            buyer=at.participant(wallet),
            battery=at.participant(seller),
            escrow=escrow,
            line=at.line(escrow, seller),
            unpaid=at.unpaid(seller, escrow),
        )
        return [made]

    def allot(self, buyer: bytes, battery: bytes, amount: int) -> list[Instruction]:
        """Lay money aside for a battery's cheques."""
        at, wallet = self.at, Pubkey.from_bytes(buyer)
        made = program.allot(
            self.program_id,
            buyer_wallet=wallet,
            config=at.config(),
            mint_rule=at.mint_rule(self.mint),
            buyer=at.participant(wallet),
            escrow=self.escrow(buyer),
            line=self.line(buyer, battery),
            event_authority=at.event_authority(),
            amount=amount,
        )
        return [made]

    def request_release(self, buyer: bytes, battery: bytes, amount: int) -> list[Instruction]:
        """Ask money back from a Line; it leaves after 8 days. 0 withdraws an earlier request."""
        made = program.request_release(
            self.program_id,
            buyer_wallet=Pubkey.from_bytes(buyer),
            buyer=self.at.participant(Pubkey.from_bytes(buyer)),
            line=self.line(buyer, battery),
            event_authority=self.at.event_authority(),
            amount=amount,
        )
        return [made]

    def release(self, buyer: bytes, battery: bytes) -> list[Instruction]:
        """Take what was asked back 8 days ago."""
        made = program.release(
            self.program_id,
            buyer_wallet=Pubkey.from_bytes(buyer),
            config=self.at.config(),
            buyer=self.at.participant(Pubkey.from_bytes(buyer)),
            escrow=self.escrow(buyer),
            line=self.line(buyer, battery),
            event_authority=self.at.event_authority(),
        )
        return [made]

    def close(self, buyer: bytes, battery: bytes) -> list[Instruction]:
        """Close an empty Line."""
        line = self.line(buyer, battery)
        return [program.close(self.program_id, buyer_wallet=Pubkey.from_bytes(buyer), line=line)]

    def line(self, buyer: bytes, battery: bytes) -> Pubkey:
        """Return where the Line from a buyer to a battery is."""
        return self.at.line(self.escrow(buyer), Pubkey.from_bytes(battery))

    def escrow(self, buyer: bytes) -> Pubkey:
        """Return where a buyer's escrow is."""
        return self.at.escrow(Pubkey.from_bytes(buyer), self.mint)

    def _proof(self, wallet: bytes, identity: Signer) -> Instruction:
        """The precompile instruction by which a signing key proves that its owner holds it."""
        statement = Registration(
            program_id=self.venue.program_id,
            genesis_hash=self.venue.genesis_hash,
            wallet=wallet,
            key=identity.public_key,
        )
        message = signed_bytes(SignatureKind.REGISTRATION, statement.digest)
        return consent([Consent(identity.public_key, statement.sign(identity), message)])
