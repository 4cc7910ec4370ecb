"""The accounts of instructions, by the names of their places."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from tests.settlement.program.scene import AT, mint, payee, wallet

if TYPE_CHECKING:
    from solders.pubkey import Pubkey

    from tests.settlement.program.steps import Agreed

EVENT_AUTHORITY: Final = {"event_authority": AT.event_authority()}


def escrow_of(values: dict[str, Any]) -> dict[str, Pubkey]:
    escrow = AT.escrow(wallet(values["buyer"]), mint(values["mint"]))
    return {"buyer": AT.participant(wallet(values["buyer"])), "escrow": escrow}


def with_vault(values: dict[str, Any]) -> dict[str, Pubkey]:
    found = escrow_of(values)
    return {**found, "vault": AT.vault(found["escrow"])}


def line_of(values: dict[str, Any]) -> Pubkey:
    return AT.line(AT.escrow(wallet(values["buyer"]), mint(values["mint"])), wallet(values["battery"]))


def payment(agreed: Agreed) -> dict[str, Pubkey]:
    """Return the accounts of every instruction that may pay."""
    values = {"buyer": agreed.buyer, "battery": agreed.battery, "mint": agreed.mint}
    found = with_vault(values)
    return {
        **found,
        "battery": AT.participant(wallet(agreed.battery)),
        "line": line_of(values),
        "trade": AT.trade(agreed.contract.trade_id),
        "payee": payee(agreed.battery, agreed.mint),
        "unpaid": AT.unpaid(wallet(agreed.battery), found["escrow"]),
        **EVENT_AUTHORITY,
    }
