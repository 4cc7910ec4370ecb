"""The `[settlement]` table: on which ledger a buyer's trades are paid, and how far it trusts a battery's figures."""

from __future__ import annotations

from typing import Any, Final, Self
from urllib.parse import urlsplit

from pydantic import Field, ValidationInfo, field_validator, model_validator

from aggregator.config_table import Table, shown, usable_path
from settlement.base58 import from_base58
from settlement.contract import VALID_MAX_S, VALID_MIN_S, Venue
from settlement.errors import TermsError
from settlement.money import FEE_BPS_MAX, UNITS_PER_CENT_MAX
from settlement.terms import VALID_FOR_S, MarketTerms
from settlement.values import U32_MAX, ZERO

_URL_CHARS_MAX: Final = 500


class Settlement(Table):
    """Where and how trades are paid. Without this table nothing is settled, and batteries that settle do not sell."""

    rpc: list[str] = Field(min_length=1, max_length=8)
    """Endpoints of the cluster, http:// or https://, in order of preference."""
    program_id: str
    """Address of the settlement program, base58."""
    genesis: str
    """Genesis hash of the cluster, base58: another cluster never gets a signature."""
    mint: str
    """Address of the token that is paid in, base58."""
    resolver: str
    """Wallet that rules on disputes, base58."""
    base_units_per_cent: int = Field(default=10_000, ge=1, le=UNITS_PER_CENT_MAX)
    """Base units of the token for one cent."""
    fee_bps: int = Field(default=50, ge=0, le=FEE_BPS_MAX)
    """Fee that the program adds to a payment, 1/10 000."""
    dispute_window_s: int = Field(default=86_400, ge=1, le=U32_MAX)
    """How long a claim may be disputed, s."""
    valid_for_s: int = Field(default=VALID_FOR_S, ge=VALID_MIN_S, le=VALID_MAX_S)
    """How long after the end of its window a trade may be claimed, s."""
    tolerance_wh: int = Field(default=20, ge=0, le=1_000_000)
    """How far a battery's figure may lie above what was seen, Wh; at least the step of its meter."""
    tolerance_percent: int = Field(default=2, ge=0, le=100)
    """The same as a share of what was seen, %; the larger of the two holds."""
    cosign: bool = True
    """Sign what batteries delivered; false is for tests: they must claim what they are owed."""
    time_lapse: int = Field(default=1, ge=1, le=1_000)
    """The energy of the batteries runs this much faster (laboratory only)."""
    cheques: str = "cheques.db"
    """File that keeps every contract and receipt that was signed."""
    outbox: str = "outbox.db"
    """File that keeps what is on its way to the ledger."""

    @field_validator("rpc")
    @classmethod
    def _are_urls(cls, value: list[str]) -> list[str]:
        for url in value:
            if not _is_url(url):
                raise ValueError(f"{shown(url)} is not a URL like http://127.0.0.1:8899")
        if len(set(value)) < len(value):
            raise ValueError("one endpoint twice")
        return value

    @field_validator("program_id", "genesis", "mint", "resolver")
    @classmethod
    def _is_address(cls, value: str, info: ValidationInfo) -> str:
        try:
            address = from_base58(value, field=info.field_name or "")
        except TermsError as error:
            raise ValueError(f"{shown(value)} is no address: {error.problem}") from None
        if address == ZERO:
            raise ValueError(f"{shown(value)} is the address of nobody")
        return value

    @field_validator("cheques", "outbox")
    @classmethod
    def _is_path(cls, value: str) -> str | None:
        return usable_path(value)

    @model_validator(mode="after")
    def _two_files(self) -> Self:
        if self.cheques == self.outbox:
            raise ValueError(f"cheques and outbox are one file, {shown(self.cheques)}: each needs its own")
        return self

    @property
    def venue(self) -> Venue:
        """Program, cluster and mint."""
        return Venue(**{name: self._address(key) for name, key in _VENUE.items()})

    @property
    def terms(self) -> MarketTerms:
        """What every trade of this market has in common."""
        return MarketTerms(
            venue=self.venue,
            base_units_per_cent=self.base_units_per_cent,
            fee_bps=self.fee_bps,
            dispute_window_s=self.dispute_window_s,
            resolver=self._address("resolver"),
        )

    def _address(self, key: str) -> bytes:
        text: Any = getattr(self, key)
        return from_base58(text, field=key)


_VENUE: Final = {"program_id": "program_id", "genesis_hash": "genesis", "mint": "mint"}


def _is_url(text: str) -> bool:
    try:
        url = urlsplit(text)
        named = url.hostname is not None and (url.port is None or url.port > 0)
    except ValueError:
        return False
    return named and url.scheme in {"http", "https"} and text.isprintable() and len(text) <= _URL_CHARS_MAX
