"""`[settlement]` of the site file: its keys, and the values that the agent works with."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Final

from pydantic import AfterValidator

from agent.config_fields import Section, key
from settlement.base58 import from_base58
from settlement.contract import Venue
from settlement.errors import TermsError
from settlement.money import FEE_BPS_MAX, UNITS_PER_CENT_MAX
from settlement.terms import MarketTerms
from settlement.values import U32_MAX

if TYPE_CHECKING:
    from pathlib import Path

ENDPOINTS_MAX: Final = 8
UNSIGNED_SHARE: Final = 4
"""Of a contract, a quarter may be delivered that the buyer has not signed for, where nobody says otherwise."""
_URL: Final = re.compile(r"https?://[^\s/?#@]+(?:/[^\s]*)?", re.IGNORECASE)
_ADDRESS: Final = "32 bytes in base58"


def _address(text: str) -> str:
    """Return an address as it is. Raises ValueError for what is none."""
    try:
        raw = from_base58(text, field="address")
    except TermsError as error:
        raise ValueError(error.problem) from None
    if not any(raw):
        raise ValueError("all zero, which is nobody")
    return text


def _endpoints(urls: list[str]) -> list[str]:
    for url in urls:
        if len(url) > 500 or not _URL.fullmatch(url):
            raise ValueError(f'"{url[:60]}" is no http or https URL without a password')
    if len(set(urls)) != len(urls):
        raise ValueError("an endpoint stands there twice")
    return urls


Address = Annotated[str, AfterValidator(_address)]


class SettlementSection(Section):
    """`[settlement]`: where signed trades are paid. Without this table none is, and nothing is signed."""

    rpc: Annotated[list[str], AfterValidator(_endpoints)] = key(
        text="Endpoints of the ledger (Solana's JSON-RPC), in order of preference.",
        min_length=1,
        max_length=ENDPOINTS_MAX,
        allowed=f"1..{ENDPOINTS_MAX} http or https URLs",
    )
    program_id: Address = key(text="The program that pays.", allowed=_ADDRESS)
    genesis: Address = key(text="Genesis hash of the cluster; another one is never signed for.", allowed=_ADDRESS)
    mint: Address = key(text="The money.", allowed=_ADDRESS)
    resolver: Address = key(text="Who rules in a dispute; stands in every contract.", allowed=_ADDRESS)
    base_units_per_cent: int = key(
        10_000, unit="base units", text="What one cent is in the mint's smallest unit.", ge=1, le=UNITS_PER_CENT_MAX
    )
    fee_bps: int = key(
        50, unit="1/10000", text="The program's fee, on top of the price and paid by the buyer.", ge=0, le=FEE_BPS_MAX
    )
    dispute_window_s: int = key(86_400, unit="s", text="How long a buyer may dispute a claim.", ge=1, le=U32_MAX)
    cosign_wait_s: int = key(
        600, unit="s", text="How long after the end the buyer may co-sign before the battery claims.", ge=1, le=86_400
    )
    unsigned_limit_wh: int | None = key(
        None,
        unit="Wh",
        text="Energy that may be delivered without the buyer's signature; beyond it the delivery ends.",
        ge=1,
        le=1_000_000,
        default_text="a quarter of the contract",
    )
    uncashable_limit_c: int = key(
        0,
        unit="c",
        text="Open cheques may be worth this much while the battery's wallet cannot pay for a claim.",
        ge=0,
        le=100_000_000,
    )
    outbox: str = key(
        "outbox.db",
        text="What is on its way to the ledger, in `storage.directory`; each battery's own, `<battery>-` before it.",
        pattern=r"^[A-Za-z0-9._-]{1,80}$",
        allowed="a file's name of letters, digits, `.`, `_` and `-`",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class SettlementSite:
    """Where and on what terms signed trades are paid."""

    rpc: tuple[str, ...]
    terms: MarketTerms
    cosign_wait_s: int
    unsigned_limit_wh: int | None
    uncashable_limit_units: int
    """In base units of the mint."""
    directory: Path
    outbox: str

    def outbox_of(self, battery: str) -> Path:
        """Return the file of a battery's transactions."""
        return self.directory / f"{battery}-{self.outbox}"

    def unsigned_limit_of(self, energy_wh: int) -> int:
        """Return how much of a contract may be delivered without the buyer's signature, in Wh."""
        return max(1, energy_wh // UNSIGNED_SHARE) if self.unsigned_limit_wh is None else self.unsigned_limit_wh


def settlement_of(section: SettlementSection, directory: Path) -> SettlementSite:
    """Return the values of a section whose keys have been checked."""
    addresses = {name: from_base58(getattr(section, name), field=name) for name in _ADDRESSES}
    return SettlementSite(
        rpc=tuple(section.rpc),
        terms=MarketTerms(
            venue=Venue(program_id=addresses["program_id"], genesis_hash=addresses["genesis"], mint=addresses["mint"]),
            base_units_per_cent=section.base_units_per_cent,
            fee_bps=section.fee_bps,
            dispute_window_s=section.dispute_window_s,
            resolver=addresses["resolver"],
        ),
        cosign_wait_s=section.cosign_wait_s,
        unsigned_limit_wh=section.unsigned_limit_wh,
        uncashable_limit_units=section.uncashable_limit_c * section.base_units_per_cent,
        directory=directory,
        outbox=section.outbox,
    )


_ADDRESSES: Final = ("program_id", "genesis", "mint", "resolver")
