"""What a buyer stands for when a battery claims on the ledger: a figure for every trade, 0 for one that was refused."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aggregator.entries import State
from aggregator.sight import STATUS_MS, UNHEARD_MS
from aggregator.stages import Stage
from aggregator.testing.money_bench import RULES, MoneyBench
from etp.messages import Body, MessageType, ReasonCode
from settlement.progress import Action, Claim, Place, Standing, Step, next_step

if TYPE_CHECKING:
    from aggregator.effects import Send

LOT_WH = 5_000
"""At the 5 kW that are granted it takes an hour."""
STATUS_WH = 5_000 * STATUS_MS // 3_600_000
"""What may flow between two reports."""


@pytest.fixture(name="bench")
def _bench(tmp_path: Path) -> MoneyBench:
    return MoneyBench(tmp_path / "cheques.db")


def confirmed(bench: MoneyBench) -> Body:
    """Agree on a trade whose Confirm has left and is not acknowledged."""
    bench.bidding()
    bid = bench.bid_sent()
    bench.accepted(bid).only(MessageType.BID_CONFIRM)
    return bid.body


def voided(bench: MoneyBench) -> Body:
    """Agree on a trade whose Confirm the battery refuses."""
    bid = confirmed(bench)
    bench.hear(bench.reject(bid, ReasonCode.NOT_CONFIRMED))
    return bid


def later(bench: MoneyBench, minutes: int) -> None:
    for _ in range(minutes):
        bench.wait(60_000)


def when_all_is_claimed(bench: MoneyBench) -> Step:
    """Return what the settler does by what it was told last when the battery claims the whole contract."""
    cheque, seen_wh = bench.settler.puts[-1]
    contract = cheque.contract
    claim = Claim(
        claimed_wh=contract.energy_wh,
        safe_wh=0,
        disputable_until_s=contract.ends_at_s + 86_400,
        times_out_at_s=0,
    )
    standing = Standing(place=Place.CLAIMED, now_s=contract.ends_at_s + 60, claim=claim)
    return next_step(cheque, seen_wh, standing, RULES)


def answer(bench: MoneyBench) -> Send:
    (send,) = [send for send in bench.sent if send.receipt is not None]
    return send


def restarted(bench: MoneyBench, tmp_path: Path) -> MoneyBench:
    """End the process, and start another as `Cashier.start` does."""
    bench.crash()
    bench.settler.puts.clear()
    second = MoneyBench(tmp_path / "cheques.db", after=bench)
    second.perform([*second.settling.windows_over(second.now_ms)])
    for entry in second.settling.book:
        second.settler.put(entry.cheque, entry.figure_wh)
    return second


def test_a_claim_of_what_the_battery_refused_is_disputed_with_nothing(bench: MoneyBench) -> None:
    bid = voided(bench)
    assert bench.settler.puts[-1][1] == 0
    later(bench, 120)
    assert when_all_is_claimed(bench) == Step(Action.DISPUTE, wh=0)
    assert bench.session.summary()["line"]["promised"] == 0
    kept = bench.on_disk(bid)
    assert kept is not None
    assert (kept.state, kept.figure_wh) == (State.VOID, 0)


def test_terminate_10_of_a_restarted_battery_voids_too(bench: MoneyBench) -> None:
    bid = confirmed(bench)
    bench.end(bid, None, code=ReasonCode.NOT_CONFIRMED)
    kept = bench.on_disk(bid)
    assert kept is not None
    assert (kept.state, kept.figure_wh) == (State.VOID, 0)
    assert when_all_is_claimed(bench) == Step(Action.DISPUTE, wh=0)


def test_what_is_void_is_disputed_after_a_restart_too(bench: MoneyBench, tmp_path: Path) -> None:
    voided(bench)
    restarted(bench, tmp_path)
    assert when_all_is_claimed(bench) == Step(Action.DISPUTE, wh=0)


def test_a_void_trade_that_a_file_keeps_without_a_figure_gets_one_at_the_start(tmp_path: Path) -> None:
    bench = MoneyBench(tmp_path / "cheques.db")
    bid = voided(bench)
    kept = bench.on_disk(bid)
    assert kept is not None
    bench.file.write(replace(kept, figure_wh=None))
    second = restarted(bench, tmp_path)
    assert when_all_is_claimed(second) == Step(Action.DISPUTE, wh=0)


@pytest.mark.parametrize("wh", [0, 20, 900, LOT_WH])
@pytest.mark.parametrize("cosigns", [True, False])
def test_no_receipt_of_a_void_trade_is_ever_signed(tmp_path: Path, wh: int, cosigns: bool) -> None:
    bench = MoneyBench(tmp_path / "cheques.db", cosigns=cosigns)
    bid = voided(bench)
    later(bench, 90)
    bench.status(bid, wh, bench.seller.receipt(bid.message_id, wh, final=False))
    assert [send for send in bench.sent if send.receipt is not None] == []
    bench.end(bid, bench.seller.receipt(bid.message_id, wh, final=True))
    kept = bench.on_disk(bid)
    assert kept is not None
    assert (kept.cheque.final, kept.cheque.interim, kept.figure_wh) == (None, None, 0)
    assert bench.settler.puts[-1][1] == 0
    if cosigns:
        send = answer(bench)
        assert send.receipt is not None
        assert (send.body.termination_code, send.body.energy_wh) == (ReasonCode.DISPUTED, 0)
        assert (send.receipt.final, send.receipt.delivered_wh) == (1, 0)
    else:
        assert kept.state is State.UNSIGNED


def test_a_receipt_of_a_void_trade_is_answered_so_after_a_restart_too(bench: MoneyBench, tmp_path: Path) -> None:
    bid = voided(bench)
    second = restarted(bench, tmp_path)
    second.register()
    second.end(bid, second.seller.receipt(bid.message_id, LOT_WH, final=True))
    assert (answer(second).body.termination_code, answer(second).body.energy_wh) == (ReasonCode.DISPUTED, 0)


@pytest.mark.parametrize("code", [ReasonCode.NONE, ReasonCode.DISPUTED, 2])
def test_a_delivery_that_ends_without_a_receipt_leaves_what_was_seen(bench: MoneyBench, code: int) -> None:
    bid = bench.agreed_bid()
    later(bench, 6)
    bench.status(bid, 400)
    bench.end(bid, None, code=code)
    later(bench, 120)
    cheque, figure_wh = bench.settler.puts[-1]
    assert (cheque.contract.message_id, figure_wh) == (bid.message_id, 400)
    assert when_all_is_claimed(bench) == Step(Action.DISPUTE, wh=400)


def test_a_trade_that_ends_at_once_leaves_nothing(bench: MoneyBench) -> None:
    bid = confirmed(bench)
    bench.end(bid, None)
    later(bench, 120)
    assert when_all_is_claimed(bench) == Step(Action.DISPUTE, wh=0)


def test_an_end_with_a_receipt_that_does_not_hold_is_one_without(bench: MoneyBench) -> None:
    bid = bench.agreed_bid()
    receipt = bench.seller.receipt(bid.message_id, LOT_WH, final=True)
    bench.end(bid, receipt._replace(evidence=bytes(32)))
    assert "receipt_refused" in bench.events()
    later(bench, 120)
    assert when_all_is_claimed(bench) == Step(Action.DISPUTE, wh=0)


@pytest.mark.parametrize(("wh", "is_signed"), [(400, True), (420, True), (421, False), (LOT_WH, False)])
def test_a_receipt_that_comes_after_the_end_is_held_against_what_was_seen_until_then(
    bench: MoneyBench, tmp_path: Path, wh: int, is_signed: bool
) -> None:
    bid = bench.agreed_bid()
    later(bench, 6)
    bench.status(bid, 400)
    bench.end(bid, None, after_ms=0)
    later(bench, 90)
    second = restarted(bench, tmp_path)
    second.register()
    second.end(bid, second.seller.receipt(bid.message_id, wh, final=True))
    assert answer(second).body.termination_code == (ReasonCode.NONE if is_signed else ReasonCode.DISPUTED)
    assert second.settler.puts[-1][1] == (wh if is_signed else 400)


def test_what_was_signed_on_the_way_is_stood_for(bench: MoneyBench) -> None:
    bid = bench.agreed_bid()
    later(bench, 6)
    bench.status(bid, 400, bench.seller.receipt(bid.message_id, 420, final=False))
    bench.end(bid, None, after_ms=0)
    assert when_all_is_claimed(bench) == Step(Action.DISPUTE, wh=420)


def quoting(bench: MoneyBench, minutes: int) -> None:
    """Let the battery quote, and say nothing of any delivery."""
    for _ in range(6 * minutes):
        bench.wait(10_000)
        bench.hear(bench.push(60_000), after_ms=0)


def test_a_battery_that_is_heard_and_reports_nothing_has_delivered_nothing(bench: MoneyBench) -> None:
    bench.agreed_bid()
    quoting(bench, 100)
    step = when_all_is_claimed(bench)
    assert step.action is Action.DISPUTE
    assert step.wh <= 2 * STATUS_WH + 1


def test_one_that_falls_silent_is_believed_until_its_last_report(bench: MoneyBench) -> None:
    bid = bench.agreed_bid()
    later(bench, 6)
    bench.status(bid, 400)
    quoting(bench, 60)
    bench.end(bid, bench.seller.receipt(bid.message_id, LOT_WH, final=True))
    assert (answer(bench).body.termination_code, answer(bench).body.energy_wh) == (
        ReasonCode.DISPUTED,
        400 + STATUS_WH,
    )


def test_silence_on_a_connection_that_stands_counts_for_as_long_as_a_loss_may_go_unnoticed(bench: MoneyBench) -> None:
    bench.agreed_bid()
    later(bench, 100)
    assert bench.settler.puts[-1][1] == 5_000 * (UNHEARD_MS + STATUS_MS) // 3_600_000


@pytest.mark.parametrize("gap_min", [1, 30, 59])
def test_what_flowed_while_the_network_was_lost_is_never_disputed(bench: MoneyBench, gap_min: int) -> None:
    bid = bench.agreed_bid()
    quoting(bench, 1)
    bench.status(bid, 83)
    bench.do(bench.session.closed())
    later(bench, gap_min)
    bench.register()
    wh = 83 + LOT_WH * gap_min // 60
    bench.end(bid, bench.seller.receipt(bid.message_id, min(LOT_WH, wh), final=True))
    assert answer(bench).body.termination_code == ReasonCode.NONE


def test_a_trade_whose_battery_does_not_come_back_gets_its_figure_too(bench: MoneyBench, tmp_path: Path) -> None:
    bench.agreed_bid()
    second = restarted(bench, tmp_path)
    assert [figure_wh for _, figure_wh in second.settler.puts] == [None]
    second.now_ms += 7_200_000
    second.perform([*second.settling.left_over(second.now_ms)])
    assert second.settler.puts[-1][1] == LOT_WH
    assert not second.settling.waits_for_batteries


def test_a_peer_that_registers_with_new_wallets_has_one_watched(bench: MoneyBench) -> None:
    bench.settler.watches_max = 2
    for at in range(1, 9):
        bench.register(battery_wallet=bytes([at]) * 32)
        bench.do(bench.session.closed())
    assert bench.settler.watched == [bytes([8]) * 32]


def test_a_wallet_that_two_name_is_watched_until_both_have_let_go(bench: MoneyBench) -> None:
    for _ in range(2):
        bench.settling.watch(bytes(32))
    bench.settling.unwatch(bytes(32))
    assert bytes(32) in bench.settler.watched
    bench.settling.unwatch(bytes(32))
    assert bytes(32) not in bench.settler.watched


_DEEDS = st.lists(
    st.sampled_from(["reject", "void", "end", "bad end", "final", "status", "silence", "quote", "cut", "crash"]),
    max_size=6,
)


@settings(max_examples=40, deadline=None)
@given(deeds=_DEEDS, wh=st.integers(0, 6_000))
def test_after_its_window_every_confirmed_contract_has_a_figure(deeds: list[str], wh: int) -> None:
    with tempfile.TemporaryDirectory(prefix="wb-") as directory:
        path = Path(directory)
        bench = MoneyBench(path / "cheques.db")
        bid = confirmed(bench)
        for deed in deeds:
            bench = _did(bench, path, bid, deed, wh)
        later(bench, 120)
        bench.perform([*bench.settling.left_over(bench.now_ms)])
        kept = bench.on_disk(bid)
        assert kept is not None
        _, figure_wh = bench.settler.puts[-1]
        assert figure_wh is not None
        assert figure_wh == kept.figure_wh
        assert kept.state is not State.VOID or figure_wh == 0
        bench.file.close()


def _did(bench: MoneyBench, path: Path, bid: Body, deed: str, wh: int) -> MoneyBench:
    """Let one thing happen on a connection that stands."""
    if bench.session.stage is Stage.DOWN:
        bench.register()
    final = bench.seller.receipt(bid.message_id, wh, final=True)
    match deed:
        case "reject":
            bench.hear(bench.reject(bid, ReasonCode.NOT_CONFIRMED))
        case "void":
            bench.end(bid, None, code=ReasonCode.NOT_CONFIRMED)
        case "end":
            bench.end(bid, None)
        case "bad end":
            bench.end(bid, final._replace(evidence=bytes(32)))
        case "final":
            bench.end(bid, final)
        case "status":
            bench.status(bid, wh, after_ms=600_000)
        case "silence":
            later(bench, 10)
        case "quote":
            quoting(bench, 1)
        case "cut":
            bench.do(bench.session.closed())
        case _:
            return restarted(bench, path)
    return bench
