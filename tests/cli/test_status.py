"""`wattbid status` against a served control socket, as a process; and what it prints."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import sys
from typing import TYPE_CHECKING, Any, cast

import pytest

from agent.control import ControlServer
from agent.events import EventHub
from agent.guardrails import Guardrails
from agent.metrics import Metrics
from agent.offer import Promises, SellingLimits, offer_of
from cli.status_text import event_text, snapshot_text
from drivers.device import BatteryInfo, BatteryState, Value
from etp.messages import MessageType

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from agent.control_protocol import AlarmSnapshot, BatterySnapshot, PriceSnapshot, Snapshot

HOME: BatterySnapshot = {
    "name": "home",
    "endpoint": "127.0.0.1:4084",
    "connected": True,
    "stopped": "",
    "fault": "",
    "soc_permille": 784,
    "power_w": -2_004,
    "voltage_mv": 53_120,
    "temp_max_dc": 231,
    "usable_wh": 7_000,
    "sellable_wh": 5_000,
    "committed_wh": 1_000,
    "reserve_e4": 250_000,
    "price": None,
    "peers": 4,
    "settlement": None,
    "lot": {
        "lot_id": 12,
        "energy_wh": 1_200,
        "power_w": 3_000,
        "reserve_e4": 250_000,
        "price_to_beat_e4": 312_000,
        "standing": [{"peer": "conn:1", "bid_id": 3, "price_e4": 311_000, "energy_wh": 1_200, "stands_ms": 90}],
    },
    "deliveries": [
        {
            "peer": "conn:2",
            "bid_id": 1,
            "price_e4": 300_000,
            "energy_wh": 1_000,
            "delivered_wh": 400,
            "power_w": 2_000,
        }
    ],
}
BARN: BatterySnapshot = {
    **HOME,
    "name": "barn",
    "connected": False,
    "soc_permille": None,
    "power_w": None,
    "voltage_mv": None,
    "lot": None,
    "deliveries": [],
}


def snapshot(*batteries: BatterySnapshot, alarms: list[AlarmSnapshot] | None = None) -> Snapshot:
    metrics = Metrics()
    for competition in metrics.of("home"):
        competition.lot_closed(sold_wh=1_000, distinct_bidders=3)
        for bidders in (1, 3):
            competition.trade_confirmed(
                price_e4=300_000,
                reserve_e4=250_000,
                first_acceptable_e4=260_000,
                distinct_bidders=bidders,
                energy_wh=1_000,
            )
    metrics.traffic.latency[MessageType.BID_REJECT].record(3, 1_200)
    metrics.traffic.latency[MessageType.BID_ACCEPT].record(501, 2)
    metrics.traffic.counts.over_rate = 7
    metrics.traffic.counts.bad = 1
    return {
        "site": "farm",
        "version": "0.1.0",
        "at_ms": 1_700_007_500_000,
        "started_at_ms": 1_700_000_000_000,
        "batteries": list(batteries),
        "alarms": alarms or [],
        "metrics": metrics.summary(),
        "loop_lag_ms": {},
        "tasks": [{"name": "desk", "state": "waiting", "crashes": 2, "last_error": "ValueError: x"}],
    }


def test_people_see_batteries_lots_deliveries_and_figures() -> None:
    text = snapshot_text(snapshot(HOME, BARN))
    assert text.startswith("farm: agent 0.1.0, up 2 h 5 min\n")
    home = next(line for line in text.splitlines() if line.startswith("home"))
    for words in (
        "78.4 %",
        "-2.00 kW",
        "53.1 V",
        "selling",
        "1.2 kWh, 3.0 kW",
        "31.20 c",
        "25.00 c",
        "400 Wh of 1.0 kWh",
    ):
        assert words in home
    barn = next(line for line in text.splitlines() if line.startswith("barn"))
    assert "no contact" in barn
    assert "none" in barn
    assert "no alarms" in text
    assert " 3 bidders a lot on average, " in text
    assert "\nsince start:\n  1 lot, 1 with competition" in text
    assert "several bidders: 1 trade, above reserve 5.00 c (20 %) on average, best 5.00 c" in text
    assert "0 of 0 frames unanswered (0.0 %, target < 1.0 %)" in text
    assert "2 of 1202 frames sent late: 2 BidAccept (p99 520 ms, 2 late), 1200 BidReject (p99 3 ms)" in text
    assert "frames of all connections: 1 bad, 7 above the rate" in text
    assert "task desk: waiting, 2 crashes, last: ValueError: x" in text


def offered(*, floor_permille: int = 200, promised_wh: int = 0, promised_w: int = 0) -> str:
    """Return why an agent offers nothing of a battery that is well."""
    state = BatteryState(
        soc_permille=Value(800, 0),
        power_w=Value(0, 0),
        voltage_mv=Value(51_000, 0),
        temp_min_dc=Value(200, 0),
        temp_max_dc=Value(250, 0),
        max_discharge_w=Value(5_000, 0),
        connected=True,
        fault="",
        ready=True,
        grid_ok=True,
        status_at_ms=0,
        answered_at_ms=0,
    )
    made = offer_of(
        state,
        BatteryInfo(family="sunspec", rated_power_w=5_000, capacity_wh=13_500, min_power_w=50, dead_man_ms=20_000),
        limits=SellingLimits(floor_permille=floor_permille, share_permille=1_000),
        rules=Guardrails(),
        promises=Promises(energy_wh=promised_wh, power_w=promised_w),
        stopped="",
        trouble=None,
        smallest_need_wh=None,
        now_ms=0,
    )
    return made.reason


def test_nothing_left_to_offer_is_not_called_a_stop() -> None:
    """The words are the agent's own, from each way in which it comes to offer nothing while selling is allowed."""
    for text, reason in (
        ("selling", ""),
        ("waiting for free power", offered(promised_w=5_000)),
        ("sold out", offered(promised_wh=7_600)),
        ("sold out", offered(floor_permille=800)),
    ):
        idle: BatterySnapshot = {**HOME, "stopped": reason, "deliveries": [], "lot": None}
        busy: BatterySnapshot = {**HOME, "stopped": reason}
        assert f" {text}  " in snapshot_text(snapshot(idle)), reason
        assert f" {'delivering' if reason else 'selling, delivering'}  " in snapshot_text(snapshot(busy)), reason
        assert "stopped" not in snapshot_text(snapshot(idle, busy))


PRICE: PriceSnapshot = {
    "reserve_e4": 250_000,
    "floor_e4": 80_000,
    "cost_e4": 230_000,
    "opportunity_e4": 180_000,
    "wear_e4": 50_000,
    "markup_e4": 20_000,
    "basis": "forecast",
    "wear_basis": "assumed",
    "lots_learned": 431,
    "forecast_age_ms": 720_000,
    "forecast_half_hours": 95,
    "trouble": "",
}


def priced(**parts: object) -> str:
    battery = {**HOME, "price": {**PRICE, **parts}}
    return snapshot_text(snapshot(cast("BatterySnapshot", battery)))


def test_every_part_of_a_dynamic_reserve_is_explained() -> None:
    text = priced()
    assert "home: reserve 25.00 c = cost 23.00 c (floor 8.00 c) + mark-up 2.00 c (learned from 431 lots)\n" in text
    assert "cost = opportunity 18.00 c + wear 5.00 c (assumed); worked out 12 min ago over 47.5 h of prices\n" in text
    assert "mark-up" not in snapshot_text(snapshot(HOME))
    floor = priced(floor_e4=250_000, markup_e4=0, wear_basis="set")
    assert "reserve 25.00 c = floor 25.00 c (cost 23.00 c) + mark-up 0.00 c" in floor
    assert "wear 5.00 c (set by the owner)" in floor


def test_a_reserve_without_a_forecast_says_what_holds_instead() -> None:
    trouble = "prices.csv: not renewed for 40 h"
    kept = priced(basis="kept", forecast_age_ms=7_200_000, trouble=trouble)
    assert f"worked out 120 min ago over 47.5 h of prices ({trouble})" in kept
    nothing = priced(
        basis="fallback", opportunity_e4=None, cost_e4=230_000, forecast_age_ms=None, forecast_half_hours=0, trouble="x"
    )
    assert "cost 23.00 c, the owner's fallback; nothing is known of later prices (x)\n" in nothing


def test_a_price_that_the_owner_has_set_is_told_beside_the_rule() -> None:
    assert "; not asked: 25.00 c holds, which the owner has set\n" in priced(reserve_e4=270_000)


def test_trouble_is_spelled_out() -> None:
    alarm: AlarmSnapshot = {
        "battery": "home",
        "name": "foreign-controller",
        "reason": "WSet changed",
        "at_ms": 1_700_000_000_000,
        "blocks_selling": True,
    }
    faulty: BatterySnapshot = {**HOME, "fault": "over-temperature"}
    stopped: BatterySnapshot = {**HOME, "stopped": "owner: cleaning"}
    text = snapshot_text(snapshot(faulty, stopped, alarms=[alarm]))
    assert [state_of(line) for line in text.splitlines() if line.startswith("home ")] == [
        "fault",
        "stopped, delivering",
    ]
    assert "\nhome: fault: over-temperature\nhome: owner: cleaning\nALARM " in text
    assert "ALARM 22:13:20 home: foreign-controller: WSet changed (selling is blocked)" in text


def state_of(line: str) -> str:
    """Return the fifth column."""
    return re.split(r" {2,}", line)[4]


def test_a_reason_is_told_once_and_never_in_the_table() -> None:
    """A long reason in the state column pushed the rest of the line off the screen."""
    why = "/var/lib/wattbid/journal.db: no room left on its disk (database or disk is full); free some there"
    alarm: AlarmSnapshot = {
        "battery": "home",
        "name": "journal",
        "reason": why,
        "at_ms": 1_700_000_000_000,
        "blocks_selling": True,
    }
    stopped: BatterySnapshot = {**HOME, "stopped": why, "lot": None, "deliveries": []}
    text = snapshot_text(snapshot(stopped, {**stopped, "name": "shed", "stopped": "too cold"}, alarms=[alarm]))
    assert text.count(why) == 1
    lines = text.splitlines()
    assert [state_of(line) for line in lines[3:5]] == ["stopped", "stopped"]
    assert max(map(len, lines[2:5])) < 110
    assert lines[6] == "shed: too cold"
    assert lines[7].startswith("ALARM 22:13:20 home: journal: /var/lib")


@pytest.mark.parametrize(
    ("energy_wh", "text"),
    [(0, "0 Wh"), (7, "7 Wh"), (999, "999 Wh"), (1_000, "1.0 kWh"), (1_234, "1.23 kWh"), (12_300, "12.3 kWh")],
)
def test_energy_below_a_kwh_is_shown_in_wh(energy_wh: int, text: str) -> None:
    (delivery,) = HOME["deliveries"]
    busy: BatterySnapshot = {**HOME, "deliveries": [{**delivery, "delivered_wh": energy_wh, "energy_wh": 2_000}]}
    assert f"  {text} of 2.0 kWh at 30.00 c" in snapshot_text(snapshot(busy))


def test_an_empty_snapshot_breaks_nothing() -> None:
    assert "agent ?" in snapshot_text({})


def test_an_event_is_one_line() -> None:
    event = {"event": "alarm", "number": 4, "at_ms": 1_700_000_000_000, "battery": "home", "reason": "y" * 90}
    assert event_text(event) == f"22:13:20 #4 alarm battery=home reason={'y' * 57}..."


class Site:
    """A site that only shows itself."""

    def snapshot(self) -> dict[str, Any]:
        return dict(snapshot(HOME))

    def stop_selling(self, battery: str | None, reason: str) -> None:
        raise AssertionError

    def resume(self, battery: str | None) -> None:
        raise AssertionError

    def set_reserve(self, battery: str, price_e4: int | None) -> None:
        raise AssertionError


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[EventHub]:
    hub = EventHub(lambda: 1_700_000_000_000)
    server = ControlServer(tmp_path / "data" / "control.sock", Site(), hub)
    await server.start()
    yield hub
    await server.close()


async def start(*arguments: str) -> asyncio.subprocess.Process:
    code = "from cli.main import main; main()"
    pipe = asyncio.subprocess.PIPE
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", code, "status", *arguments), stdout=pipe, stderr=pipe
    )


async def run(*arguments: str) -> tuple[int | None, str, str]:
    process = await start(*arguments)
    out, err = await asyncio.wait_for(process.communicate(), 30)
    return process.returncode, out.decode(), err.decode()


async def test_machines_get_json(hub: EventHub, tmp_path: Path) -> None:
    status, out, _ = await run("--socket", str(tmp_path / "data" / "control.sock"), "--json")
    assert status == 0
    assert json.loads(out)["batteries"][0]["name"] == "home"


async def test_the_site_file_names_the_socket(hub: EventHub, tmp_path: Path) -> None:
    site = tmp_path / "site.toml"
    site.write_text(
        '[site]\nname = "farm"\nlab = true\n[storage]\ndirectory = "data"\n'
        '[[battery]]\nname = "home"\nreserve_c_per_kwh = 25\n'
    )
    status, out, err = await run("--site", str(site))
    assert (status, err) == (0, "")
    assert out.startswith("farm: agent 0.1.0")


async def test_following_prints_events_until_interrupted(hub: EventHub, tmp_path: Path) -> None:
    process = await start("--socket", str(tmp_path / "data" / "control.sock"), "--json", "--follow")
    assert process.stdout is not None
    assert json.loads(await asyncio.wait_for(process.stdout.readline(), 30))["site"] == "farm"
    hub.publish("alarm", battery="home")
    assert json.loads(await asyncio.wait_for(process.stdout.readline(), 30))["event"] == "alarm"
    process.send_signal(signal.SIGINT)
    _, err = await asyncio.wait_for(process.communicate(), 30)
    assert (process.returncode, err) == (0, b"")


@pytest.mark.parametrize("options", [[], ["--json"], ["--follow"]])
async def test_an_output_that_fails_is_one_line(hub: EventHub, tmp_path: Path, options: list[str]) -> None:
    command = '"$0" -c "from cli.main import main; main()" status "$@"'
    for redirect, returncode, says in (
        ("> /dev/full", 1, "wattbid status: standard output: No space left on device\n"),
        (">&-", 1, "wattbid status: standard output: Bad file descriptor\n"),
        ("| (exec <&-)", 128 + signal.SIGPIPE, ""),
    ):
        process = await asyncio.create_subprocess_exec(
            *("/bin/bash", "-c", f"set -o pipefail; {command} {redirect}", sys.executable),
            *("--socket", str(tmp_path / "data" / "control.sock"), *options),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        _, err = await asyncio.wait_for(process.communicate(), 30)
        assert (process.returncode, err.decode()) == (returncode, says)


async def test_without_an_agent_one_line_says_so(tmp_path: Path) -> None:
    path = tmp_path / "none.sock"
    status, out, err = await run("--socket", str(path))
    assert (status, out) == (1, "")
    assert err.startswith(f"wattbid status: no agent listens on {path}")
    assert len(err.splitlines()) == 1
    status, _, err = await run("--site", str(tmp_path / "none.toml"))
    assert status == 2
    assert len(err.splitlines()) == 1
