"""Whether the ledger of a site or an aggregator can be reached: which endpoint not, since when, and what that means."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from cli.outboxes import Paid
    from settlement.cluster.reach import Reached
    from settlement.outbox_records import TradeRecord

_PATIENCE_S: Final = 4.0
"""Somebody sits before it."""
_CONNECTED: Final = "connected"


@dataclass(frozen=True, slots=True)
class Reach:
    """The endpoints as they answer this command, and what a running agent shows of each battery's settlement."""

    endpoints: tuple[Reached, ...]
    shown: Mapping[str, Mapping[str, Any]]
    """By the battery's name; empty where no agent answers, and for a buyer."""

    @property
    def is_reached(self) -> bool:
        """Whether any endpoint answers."""
        return any(each.problem is None for each in self.endpoints)

    def as_json(self, name: str) -> dict[str, Any]:
        """Return it for one party; `read_age_s` and `state` are null where nobody runs that could tell."""
        look = self.shown.get(name, {})
        return {
            "reached": self.is_reached,
            "endpoints": [each._asdict() for each in self.endpoints],
            "state": look.get("state"),
            "read_age_s": look.get("read_age_s"),
        }

    def lines(self, paid: Paid, open_trades: Iterable[TradeRecord]) -> list[str]:
        """Return what a person should know; nothing where all is well."""
        failed = [f"{each.url} ({each.problem})" for each in self.endpoints if each.problem is not None]
        look = self.shown.get(paid.name, {})
        if not self.is_reached:
            told = [f"  the ledger cannot be reached: {'; '.join(failed)}", f"  {self._since(paid)}"]
            return [*told, f"  {_meanwhile(paid, open_trades)}"]
        told = [f"  no answer from {one}; another endpoint is asked" for one in failed]
        if look and look.get("state") != _CONNECTED:
            told.append(f"  the running agent says: {look.get('state')} ({look.get('problem') or 'not read yet'})")
        return told

    def _since(self, paid: Paid) -> str:
        if paid.role == "buyer":
            return "since when: the last `offline` among the running aggregator's events"
        look = self.shown.get(paid.name)
        if look is None:
            return "since when: no running agent answers that could tell"
        age_s = look.get("read_age_s")
        if age_s is None:
            return "the running agent has not read it since it was started"
        began = datetime.now(UTC).timestamp() - age_s
        return f"the running agent read it last at {_utc(began)}"


def reach_of(parties: list[Paid]) -> Reach:
    """Ask the endpoints, and the agent where one runs; takes seconds. The parties are those of one file."""
    return asyncio.run(_reach(parties[0]))


async def _reach(paid: Paid) -> Reach:
    from settlement.cluster.reach import reach
    from settlement.rpc import HttpTransport

    transport = HttpTransport()
    try:
        asked = reach(paid.rpc, paid.venue.genesis_hash, transport, timeout_s=_PATIENCE_S)
        endpoints, shown = await asyncio.gather(asked, _shown(paid))
    finally:
        await transport.close()
    return Reach(endpoints, shown)


async def _shown(paid: Paid) -> dict[str, Mapping[str, Any]]:
    """Return what a running agent shows of each battery's settlement, nothing where none answers."""
    from agent.control_client import ControlClient
    from agent.errors import AgentError

    if paid.control is None:
        return {}
    try:
        async with asyncio.timeout(_PATIENCE_S), await ControlClient.connect(paid.control) as client:
            found = await client.request("snapshot")
    except (AgentError, TimeoutError):
        return {}
    return {str(battery["name"]): battery["settlement"] for battery in found["batteries"] if battery.get("settlement")}


def _meanwhile(paid: Paid, open_trades: Iterable[TradeRecord]) -> str:
    told = f"meanwhile nothing is lost: cheques wait in {paid.outbox} and go out when an endpoint answers"
    ends = [one.cheque.contract.valid_until_s for one in open_trades if not _is_cosigned(one)]
    if paid.role == "buyer" or not ends:
        return told
    return f"{told}; what its buyer does not sign for can be claimed until {_utc(min(ends))} or later"


def _is_cosigned(record: TradeRecord) -> bool:
    return record.cheque.final is not None and record.cheque.final.is_cosigned


def _utc(at_s: float) -> str:
    return f"{datetime.fromtimestamp(at_s, UTC):%Y-%m-%d %H:%M} UTC"
