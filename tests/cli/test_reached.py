"""What `wattbid settle status` says of a ledger that cannot be reached, and of one that can."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent.control import ControlServer
from agent.events import EventHub
from cli.outboxes import Paid
from cli.reached import Reach, reach_of
from settlement.cluster.reach import Reached
from settlement.outbox_records import TradeRecord
from tests.settlement.settler.cheques import numbered, with_final
from tests.settlement.terms import CONTRACT

if TYPE_CHECKING:
    from collections.abc import Mapping

    from settlement import Party

GONE = Reached("http://gone", "no connection")
HERE = Reached("http://here", None)
LOOK = {"state": "offline", "problem": "no route", "read_age_s": 3_600.0}
OPEN = [
    TradeRecord(cheque=numbered(1)),
    TradeRecord(cheque=with_final(numbered(2), 2_000, cosigned=True)),
]


def paid_by(role: Party, **more: Any) -> Paid:
    known = {"outbox": Path("b1-outbox.db"), "base_units_per_cent": 10_000, "venue": CONTRACT.venue}
    return Paid(name="b1", role=role, **{"rpc": ("http://127.0.0.1:1",), **known, **more})


def lines(*endpoints: Reached, role: Party = "battery", shown: Mapping[str, Mapping[str, Any]] | None = None) -> str:
    return "\n".join(Reach(endpoints, shown or {}).lines(paid_by(role), OPEN))


def test_where_all_is_well_nothing_is_said() -> None:
    assert lines(HERE, shown={"b1": {**LOOK, "state": "connected"}}) == ""
    assert lines(HERE) == ""


def test_which_endpoint_since_when_and_what_happens_meanwhile() -> None:
    told = lines(GONE, shown={"b1": LOOK})
    assert "the ledger cannot be reached: http://gone (no connection)" in told
    read_at = datetime.fromtimestamp(time.time() - 3_600, UTC)
    assert f"the running agent read it last at {read_at:%Y-%m-%d %H}:" in told
    assert "cheques wait in b1-outbox.db and go out when an endpoint answers" in told
    until = datetime.fromtimestamp(OPEN[0].cheque.contract.valid_until_s, UTC)
    assert told.endswith(f"can be claimed until {until:%Y-%m-%d %H:%M} UTC or later")


def test_who_cannot_know_since_when_says_who_does() -> None:
    assert "no running agent answers that could tell" in lines(GONE)
    assert "has not read it since it was started" in lines(GONE, shown={"b1": {**LOOK, "read_age_s": None}})
    told = lines(GONE, role="buyer")
    assert "the last `offline` among the running aggregator's events" in told
    assert "claimed" not in told


def test_one_endpoint_of_two_and_an_agent_that_is_behind() -> None:
    told = lines(GONE, HERE, shown={"b1": LOOK})
    assert told.splitlines() == [
        "  no answer from http://gone (no connection); another endpoint is asked",
        "  the running agent says: offline (no route)",
    ]


class Desk:
    """What an agent with one battery shows."""

    def snapshot(self) -> dict[str, Any]:
        return {"batteries": [{"name": "b1", "settlement": LOOK}, {"name": "b2", "settlement": None}]}

    def stop_selling(self, battery: str | None, reason: str) -> None:
        raise NotImplementedError

    def resume(self, battery: str | None) -> None:
        raise NotImplementedError

    def set_reserve(self, battery: str, price_e4: int | None) -> None:
        raise NotImplementedError


async def test_a_running_agent_is_asked_over_its_socket(tmp_path: Path) -> None:
    server = ControlServer(tmp_path / "control.sock", Desk(), EventHub(lambda: 5))
    await server.start()
    try:
        reach = await asyncio.to_thread(reach_of, [paid_by("battery", control=server.path)])
    finally:
        await server.close()
    assert reach.shown == {"b1": LOOK}
    assert not reach.is_reached
    assert reach.as_json("b1")["read_age_s"] == 3_600.0
    assert (await asyncio.to_thread(reach_of, [paid_by("battery", control=server.path)])).shown == {}
