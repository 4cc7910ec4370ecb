"""The outboxes that a site file or an aggregator's file names, and the trades in them; read beside whoever runs."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from cli.holder import HolderError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from settlement.contract import Venue
    from settlement.outbox_records import Attempt, TradeRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class Paid:
    """One party's outbox."""

    name: str
    role: str
    outbox: Path
    base_units_per_cent: int
    venue: Venue
    """Where the file says that trades are paid now."""
    rpc: tuple[str, ...]
    control: Path | None = None
    """The socket of the agent; None for a buyer."""
    journal: Path | None = None
    """Of the agent, which holds the metered samples; None for a buyer."""

    def seen(self, record: TradeRecord) -> TradeRecord:
        """Return a trade with what hinders it, where no settler can have written it down: the file has changed."""
        if record.stage.is_done or record.cheque.contract.venue == self.venue:
            return record
        problem = (
            "for another program, cluster or mint than the file names now: it is paid when those stand there again"
        )
        return replace(record, problem=problem)

    def c(self, units: int | None) -> str:
        """Return an amount in base units as people write it."""
        return "-" if units is None else f"{units / self.base_units_per_cent:.2f} c"


def outboxes_of(*, site: Path | None, config: Path | None) -> list[Paid]:
    """Return the outboxes of the batteries of a site file, or of the buyer of an aggregator's file.

    No key is opened. Raises HolderError and what reading the file raises.
    """
    if (site is None) == (config is None):
        raise HolderError("name one file: --site for a site's batteries, --config for an aggregator")
    if config is not None:
        return [_buyer(config)]
    if site is None:
        raise AssertionError("one of the two is there")
    return _sellers(site)


def find_trade(paid: list[Paid], prefix: str) -> tuple[Paid, TradeRecord, tuple[Attempt, ...]]:
    """Return the one trade whose id begins so (4 hex digits at least). Raises HolderError, OutboxError."""
    from settlement.outbox_file import read_trade

    try:
        wanted = bytes.fromhex(prefix)
    except ValueError:
        wanted = b""
    if not 2 <= len(wanted) <= 32:
        raise HolderError(f"{prefix!r} is no beginning of a trade's id: 4 to 64 hex digits, an even number of them")
    found = [
        (one, record, attempts)
        for one in paid
        if one.outbox.exists()
        for record, attempts in read_trade(one.outbox, wanted)
    ]
    if not found:
        names = ", ".join(str(one.outbox) for one in paid)
        raise HolderError(f"no trade begins with {prefix} in {names}; `wattbid trades` lists them")
    if len(found) > 1:
        raise HolderError(f"more than one trade begins with {prefix}: write more of its id")
    return found[0]


def trades_in(paid: Paid, limit: int) -> Iterator[tuple[TradeRecord, tuple[Attempt, ...]]]:
    """Yield the trades of an outbox, the last change first; none where nothing was settled yet. Raises OutboxError."""
    from settlement.outbox_file import read_outbox

    if paid.outbox.exists():
        for record, attempts in read_outbox(paid.outbox, limit=limit):
            yield paid.seen(record), attempts


def trade_row(paid: Paid, record: TradeRecord) -> dict[str, Any]:
    """Return a trade as one JSON object; money in base units."""
    view, contract = record.view(), record.cheque.contract
    return {
        "trade_id": record.trade_id.hex(),
        "party": paid.name,
        "role": paid.role,
        "stage": view.stage.value,
        "how": view.how,
        "energy_wh": contract.energy_wh,
        "delivered_wh": view.delivered_wh,
        "price_e4": contract.price_e4,
        "reserve": contract.reserve,
        "payout": view.payout,
        "fee": view.fee,
        "returned": view.returned,
        "unpaid": view.unpaid,
        "contract_no": contract.contract_no,
        "starts_at_s": contract.starts_at_s,
        "ends_at_s": contract.ends_at_s,
        "valid_until_s": contract.valid_until_s,
        "due_at_s": view.due_at_s,
        "signature": view.signature,
        "problem": view.problem,
    }


def attempt_row(attempt: Attempt) -> dict[str, Any]:
    """Return a transaction that was signed as one JSON object."""
    from settlement.exchange import to_base58

    return {
        "action": attempt.action,
        "number": attempt.number,
        "state": attempt.state.value,
        "signature": to_base58(attempt.signature),
        "last_valid_block_height": attempt.last_valid_block_height,
        "error": attempt.error,
    }


def samples_of(paid: Paid, trade_id: bytes) -> dict[str, Any]:
    """Return what a battery's journal holds of a trade's metered samples. Raises HolderError, JournalError."""
    from agent.evidence_export import export_evidence
    from agent.journal_file import salvage_records

    if paid.journal is None:
        raise HolderError("a buyer has no metered samples: ask the battery's owner")
    if not paid.journal.exists():
        raise HolderError(f"{paid.journal}: is not there; the samples lie in the agent's journal")
    damage: list[str] = []
    try:
        found = export_evidence(salvage_records(paid.journal, damage), trade_id.hex())
    except KeyError:
        torn = f" ({'; '.join(damage)})" if damage else ""
        raise HolderError(f"{paid.journal}: holds nothing of trade {trade_id.hex()[:16]}{torn}") from None
    return {**found, "damage": damage}


def told(said: object) -> str:
    """Return a value as one line of JSON."""
    return json.dumps(said)


def _buyer(path: Path) -> Paid:
    from aggregator.config import load_config

    config = load_config(path)
    if config.settlement is None:
        raise HolderError(f"{path}: has no [settlement], so nothing is settled")
    return Paid(
        name=config.name,
        role="buyer",
        outbox=config.directory / config.settlement.outbox,
        base_units_per_cent=config.settlement.base_units_per_cent,
        venue=config.settlement.venue,
        rpc=tuple(config.settlement.rpc),
    )


def _sellers(path: Path) -> list[Paid]:
    from agent.config import load_site

    site = load_site(path)
    if site.settlement is None:
        raise HolderError(f"{path}: has no [settlement], so nothing is settled")
    settlement = site.settlement
    return [
        Paid(
            name=battery.name,
            role="battery",
            outbox=settlement.outbox_of(battery.name),
            base_units_per_cent=settlement.terms.base_units_per_cent,
            venue=settlement.terms.venue,
            rpc=settlement.rpc,
            control=site.control_socket,
            journal=site.storage.journal,
        )
        for battery in site.batteries
    ]
