"""The ledger as one node shows it at one commitment level, and one call with what it needs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from settlement.cluster.tokens import read_mint
from settlement.ledger.errors import MinContextSlotError

if TYPE_CHECKING:
    from solders.account import Account
    from solders.pubkey import Pubkey

    from settlement.ledger.chain import Commitment, Ledger
    from settlement.ledger.faults import Faults
    from settlement.ledger.params import Options, Params


@dataclass(frozen=True, slots=True)
class View:
    """The state after one block."""

    ledger: Ledger
    height: int

    @property
    def slot(self) -> int:
        """Its slot."""
        return self.ledger.blocks.slot_of(self.height)

    def context(self, value: Any) -> dict[str, Any]:
        """Return an answer with the slot it holds for."""
        return {"context": {"apiVersion": VERSION, "slot": self.slot}, "value": value}

    def account(self, key: Pubkey) -> Account | None:
        """Return an account, None when there is none."""
        return self.ledger.account_at(key, self.height)

    def accounts_of(self, owner: Pubkey) -> dict[Pubkey, Account]:
        """Return every account of a program."""
        return self.ledger.accounts_of_at(owner, self.height)

    def decimals(self, mint: Pubkey) -> int | None:
        """Return the decimals of a mint, None for what is none."""
        found = read_mint(self.account(mint))
        return None if found is None else found.decimals


@dataclass(frozen=True, slots=True)
class Call:
    """One call to one node."""

    ledger: Ledger
    faults: Faults
    params: Params

    def height(self, commitment: Commitment) -> int:
        """Return the height that this node shows at a level."""
        return max(0, self.ledger.height(commitment) - self.faults.stale)

    def view(self, options: Options) -> View:
        """Return the state that the options ask for. Raises MinContextSlotError when this node is not as far."""
        return self.view_at(options.commitment(), options)

    def view_at(self, commitment: Commitment, options: Options) -> View:
        """Return the state at a level. Raises MinContextSlotError when it is older than the options want it."""
        view = View(self.ledger, self.height(commitment))
        least = options.whole("minContextSlot")
        if least is not None and view.slot < least:
            raise MinContextSlotError(view.slot)
        return view


VERSION = "4.1.2"
"""The validator whose behaviour this is."""
