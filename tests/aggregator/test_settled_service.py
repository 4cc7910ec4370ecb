"""A whole buyer that settles, over real sockets with signed frames, on a real journal file; the ledger stands in."""

from __future__ import annotations

import asyncio
import json
import random
import time
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from aggregator.cheque_file import ChequeFile
from aggregator.config import AggregatorConfig, load_config
from aggregator.entries import Entry, State
from aggregator.errors import ChequeFileError
from aggregator.service import Aggregator, Money, Surroundings, make_buyer
from aggregator.testing import SettledBattery, StandInSettler
from aggregator.testing.seller import BATTERY_KEYS, BUYER_KEYS, TERMS, Seller
from aggregator.testing.settler import a_line
from etp.auth import AuthPolicy
from etp.io.client import connect
from etp.io.maker import ConnectionMaker
from etp.limits import Limits
from etp.messages import MessageType
from etp.timing import Role
from settlement.exchange import to_base58
from settlement.executor import ThreadExecutor
from tests.aggregator.test_cheque_file import entry as cheque_entry

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from aggregator.slot import Conversation, Slot
    from etp.auth import Signer
    from settlement.settler_types import SettlerEvent, SettlerSettings

HOST = "127.0.0.1"
WALLET = BATTERY_KEYS.public_keys["wallet"]


def wall_ms() -> int:
    return time.time_ns() // 1_000_000


def configure(tmp_path: Path, port: int, extra: str = "") -> AggregatorConfig:
    """A buyer of one lot of 0.1 kWh in a laboratory a thousand times as fast."""
    path = tmp_path / "buyer.toml"
    venue = TERMS.venue
    addresses = {
        "program_id": venue.program_id,
        "genesis": venue.genesis_hash,
        "mint": venue.mint,
        "resolver": TERMS.resolver,
    }
    lines = "".join(f'{key} = "{to_base58(value)}"\n' for key, value in addresses.items())
    path.write_text(
        f'name = "test"\nroot_file = "r"\n[network]\ntrusted_peers = "any"\nmulticast = false\n'
        f'batteries = ["{HOST}:{port}"]\n[buy]\nneed_kwh = 0.1\n[value]\nforecast_c = [20]\n'
        f'[settlement]\nrpc = ["http://127.0.0.1:9"]\ntime_lapse = 1000\n{lines}{extra}'
    )
    (tmp_path / "r").write_bytes(bytes([2]) * 32)
    (tmp_path / "r").chmod(0o600)
    return load_config(path)


class Disk(ThreadExecutor):
    """A thread whose disk can be full."""

    full = False

    def submit(self, job: Callable[[], None], done: Callable[[BaseException | None], None]) -> None:
        if self.full:
            asyncio.get_running_loop().call_soon(done, OSError(28, "No space left on device"))
        else:
            super().submit(job, done)


class Running:
    """An aggregator with its events, its settler and its disk."""

    def __init__(self, config: AggregatorConfig, settler: StandInSettler) -> None:
        self.lines: list[dict[str, Any]] = []
        self.told = asyncio.Event()
        self.settler = settler
        self.disk = Disk("cheques")
        self.settings: SettlerSettings | None = None
        maker = ConnectionMaker(
            role=Role.AGGREGATOR,
            device_id=BUYER_KEYS.identity.device_id,
            policy=AuthPolicy(peers="signed", signer=BUYER_KEYS.identity),
            limits=Limits(),
            wall_ms=wall_ms,
        )

        async def dial(host: str, port: int, slot: Slot) -> Conversation:
            return await connect(host, port, handler=slot, maker=maker)

        def open_settler(
            settings: SettlerSettings, wallet: Signer, on_event: Callable[[SettlerEvent], None]
        ) -> StandInSettler:
            assert wallet.public_key == BUYER_KEYS.public_keys["wallet"]
            self.settings, settler.on_event = settings, on_event
            return settler

        money = Money(keys=BUYER_KEYS, open_settler=open_settler, executor=self.disk)
        self.aggregator = Aggregator(
            config,
            Surroundings(
                device_id=maker.device_id,
                dial=dial,
                wall_ms=wall_ms,
                rng=random.Random(1),
                write=self.write,
                money=money,
            ),
        )

    def write(self, line: str) -> None:
        self.lines.append(json.loads(line))
        self.told.set()

    def events(self) -> list[str]:
        return [line["event"] for line in self.lines]

    def the(self, event: str) -> dict[str, Any]:
        return next(line for line in self.lines if line["event"] == event)

    async def until(self, *events: str) -> None:
        async with asyncio.timeout(30):
            while not set(events) <= set(self.events()):
                self.told.clear()
                await self.told.wait()


@asynccontextmanager
async def started(config: AggregatorConfig, settler: StandInSettler) -> AsyncIterator[Running]:
    running = Running(config, settler)
    await running.aggregator.open()
    running.aggregator.start()
    try:
        yield running
    finally:
        await running.aggregator.stop()


@asynccontextmanager
async def selling(**options: Any) -> AsyncIterator[SettledBattery]:
    policy = AuthPolicy(peers="signed", signer=BATTERY_KEYS.identity)
    options = {"delivery_ms": 120, **options}
    battery = SettledBattery(wall_ms=wall_ms, policy=policy, lot_wh=100, lots=1, **options)
    await battery.start()
    try:
        async with asyncio.timeout(60):
            yield battery
    finally:
        await battery.close()


def funded(amount: int = 1_000_000) -> StandInSettler:
    settler = StandInSettler()
    keys = {"buyer_key": BUYER_KEYS.public_keys["identity"], "battery_key": BATTERY_KEYS.public_keys["identity"]}
    settler.lines[WALLET] = a_line(amount, read_at_s=wall_ms() // 1_000, **keys)
    return settler


def on_disk(tmp_path: Path) -> list[Entry]:
    file = ChequeFile.open(tmp_path / "cheques.db")
    try:
        return file.read_open(0, 100)
    finally:
        file.close()


async def test_a_trade_becomes_a_cheque_that_both_signed(tmp_path: Path) -> None:
    settler = funded()
    async with selling(interims=1) as battery, started(configure(tmp_path, battery.port), settler) as running:
        await running.until("cosigned", "ended")
        await battery.until(lambda: len(battery.cosigned) == 1)
        status = running.aggregator.status()
        assert status["settlement"]["trades"] == {"open": 0, "void": 0, "agreed": 1, "disputed": 0, "unsigned": 0}
        assert status["batteries"][0]["line"]["cover"] == 1_000_000
        assert json.loads(json.dumps(status)) == status
        assert running.settings is not None
        assert running.settings.outbox == tmp_path / "outbox.db"
    assert battery.problems == []
    assert len(battery.interim_answers) == 1
    (kept,) = on_disk(tmp_path)
    assert (kept.state, kept.figure_wh) == (State.AGREED, 100)
    ((cheque, figure_wh),) = settler.last().values()
    assert (cheque, figure_wh) == (kept.cheque, 100)
    assert running.the("cosigned")["trade_id"] == cheque.trade_id.hex()


async def test_a_twisted_contract_is_never_confirmed(tmp_path: Path) -> None:
    settler = funded()
    async with (
        selling(twist=lambda wire: wire._replace(fee_bps=51)) as battery,
        started(configure(tmp_path, battery.port), settler) as running,
    ):
        await running.until("not_confirmed")
        assert "fee_bps: 51, not 50" in running.the("not_confirmed")["why"]
        assert MessageType.BID_CONFIRM not in battery.heard
    assert (settler.puts, on_disk(tmp_path)) == ([], [])


async def test_a_battery_that_says_too_much_is_disputed_with_our_own_figure(tmp_path: Path) -> None:
    settler = funded()
    async with (
        selling(overclaims_wh=500, delivers_permille=500) as battery,
        started(configure(tmp_path, battery.port), settler) as running,
    ):
        await running.until("disputed", "ended")
        await battery.until(lambda: len(battery.disputed) == 1)
        assert running.aggregator.buyer.purse.bought_wh == running.the("disputed")["own_wh"]
    (own,) = battery.disputed.values()
    (kept,) = on_disk(tmp_path)
    assert (kept.state, kept.figure_wh) == (State.DISPUTED, own.delivered_wh)
    assert 50 <= own.delivered_wh <= 100
    ((cheque, figure_wh),) = settler.last().values()
    assert (cheque.final, figure_wh) == (None, own.delivered_wh)


async def test_a_buyer_that_does_not_cosign_leaves_the_battery_to_claim(tmp_path: Path) -> None:
    settler = funded()
    async with (
        selling(interims=1) as battery,
        started(configure(tmp_path, battery.port, "cosign = false\n"), settler) as running,
    ):
        await running.until("not_cosigned", "ended")
    assert (battery.cosigned, battery.disputed, battery.interim_answers) == ({}, {}, [])
    ((cheque, figure_wh),) = settler.last().values()
    assert (cheque.final, figure_wh) == (None, 100)


async def test_after_a_restart_the_repeated_receipt_is_answered(tmp_path: Path) -> None:
    async with selling(mute_finals=1) as battery:
        config = configure(tmp_path, battery.port)
        async with started(config, funded()) as running:
            await running.until("confirmed")
            await battery.until(lambda: all(sold.ended for sold in battery.sold.values()))
        assert battery.cosigned == {}
        (before,) = on_disk(tmp_path)
        assert before.state is State.OPEN
        settler = funded()
        async with started(config, settler) as running:
            await battery.until(lambda: len(battery.cosigned) == 1)
        (after,) = on_disk(tmp_path)
        assert after.state is State.AGREED
        (again,) = battery.cosigned.values()
        battery.cosigned.clear()
        async with started(config, funded()):
            await battery.until(lambda: len(battery.cosigned) == 1)
        assert [again] == list(battery.cosigned.values())
        assert len(battery.sold) == 1
    assert battery.problems == []


async def test_a_claim_of_the_last_moment_meets_a_figure_though_the_buyer_was_gone_for_days(tmp_path: Path) -> None:
    """Whoever claims just before the end of validity can be disputed for a window longer."""
    now_s = wall_ms() // 1_000
    file = ChequeFile.open(tmp_path / "cheques.db")
    for bid_id, over_s in enumerate((3_600, 86_400, 2 * 86_400), 1):
        times = {"starts_at_s": now_s - 400_000, "ends_at_s": now_s - 390_000, "valid_until_s": now_s - over_s}
        open_ = cheque_entry(bid_id, contract_no=bid_id, **times)
        seen_at_ms = times["ends_at_s"] * 1_000
        file.write(replace(open_, agreed_at_ms=seen_at_ms - 1_000_000, seen_wh=1_234, seen_at_ms=seen_at_ms))
    file.close()
    settler = funded()
    async with started(configure(tmp_path, 1), settler):
        await settler.until(lambda: len([figure for _, figure in settler.puts if figure is not None]) >= 2)
    figures = {cheque.contract.message_id: figure for cheque, figure in settler.last().values()}
    assert figures == {1: 1_234, 2: 1_234}


async def test_nothing_is_bid_until_the_line_is_seen(tmp_path: Path) -> None:
    settler = StandInSettler()
    async with selling() as battery, started(configure(tmp_path, battery.port), settler) as running:
        await running.until("not_payable")
        await battery.until_heard(MessageType.QUERY)
        assert settler.watched == [WALLET]
        assert MessageType.BID not in battery.heard
        settler.read(WALLET, funded().lines[WALLET])
        await running.until("payable", "cosigned")
    assert "no line of yours" in running.the("not_payable")["why"]
    assert [line["event"] for line in running.lines].count("not_payable") == 1


async def test_a_full_disk_stops_the_buying_and_not_the_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aggregator.cashier.PROBE_S", 0.05)
    settler = funded()
    async with selling() as battery:
        running = Running(configure(tmp_path, battery.port), settler)
        await running.aggregator.open()
        running.disk.full = True
        running.aggregator.start()
        try:
            await running.until("cheques_failed", "not_confirmed")
            assert "No space left" in running.the("not_confirmed")["why"]
            assert running.aggregator.status()["settlement"]["disk_fails"]
            assert MessageType.BID_CONFIRM not in battery.heard
            running.disk.full = False
            await running.until("cheques_recovered")
            assert not running.aggregator.status()["settlement"]["disk_fails"]
        finally:
            await running.aggregator.stop()
    assert running.events().count("cheques_failed") == 1
    assert settler.puts == []


async def test_what_was_signed_while_the_disk_was_full_is_kept_and_settled_when_it_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aggregator.cashier.PROBE_S", 0.05)
    settler = funded()
    async with (
        selling(delivery_ms=1_500) as battery,
        started(configure(tmp_path, battery.port), settler) as running,
    ):
        await running.until("confirmed")
        running.disk.full = True
        await running.until("cosigned", "cheques_failed")
        assert battery.cosigned == {}
        running.disk.full = False
        await running.until("cheques_recovered")
        await settler.until(lambda: any(cheque.final is not None for cheque, _ in settler.puts))
    (kept,) = on_disk(tmp_path)
    assert kept.state is State.AGREED


async def test_a_settler_that_takes_no_more_is_asked_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aggregator.cashier.HAND_OVER_S", 0.05)
    settler = funded()
    settler.is_full = True
    async with selling() as battery, started(configure(tmp_path, battery.port), settler) as running:
        await running.until("outbox_full", "cosigned")
        settler.is_full = False
        await settler.until(lambda: any(figure_wh == 100 for _, figure_wh in settler.puts))
    assert running.events().count("outbox_full") == 1


async def test_two_buyers_do_not_share_a_journal(tmp_path: Path) -> None:
    async with selling() as battery:
        config = configure(tmp_path, battery.port)
        async with started(config, funded()):
            with pytest.raises(ChequeFileError, match="in use by another process"):
                Running(config, funded())


async def test_settlement_without_keys_is_a_mistake_of_who_puts_it_together(tmp_path: Path) -> None:
    config = configure(tmp_path, 1)

    async def dial(host: str, port: int, slot: Slot) -> Conversation:
        raise OSError

    around = Surroundings(device_id=1, dial=dial, wall_ms=wall_ms, rng=random.Random(1))
    with pytest.raises(ValueError, match=r"\[settlement\] needs keys and a settler"):
        Aggregator(config, around)


async def test_a_crash_leaves_a_file_that_opens_again(tmp_path: Path) -> None:
    async with selling() as battery:
        running = Running(configure(tmp_path, battery.port), funded())
        await running.aggregator.open()
        running.aggregator.start()
        await running.until("confirmed")
        assert running.aggregator.till is not None
        running.aggregator.till.abandon()
        for slot in running.aggregator.pool:
            slot.stop()
        (kept,) = on_disk(tmp_path)
        kept.cheque.check()
        await running.aggregator.pool.close()
        assert Seller().wallet == kept.contract.battery_wallet


def test_the_fee_comes_off_what_a_kwh_is_worth(tmp_path: Path) -> None:
    config = configure(tmp_path, 1, "fee_bps = 500\n")
    buyer = make_buyer(config, wall_ms=wall_ms, rng=random.Random(1), now_ms=0)
    assert buyer.value_e4("battery", 0) == 200_000 * 10_000 // 10_500
