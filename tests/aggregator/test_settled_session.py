"""A session that settles: what it bids, which Accepts it confirms, and that its contract is on disk before."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from aggregator.entries import State
from aggregator.payer import LAB_MARGIN_S
from aggregator.testing.money_bench import WALL_MS, MoneyBench
from aggregator.testing.seller import BUYER_KEYS, TERMS
from aggregator.testing.session_bench import BATTERY, RESERVE, SessionBench
from etp.extensions import ZERO_SIGNATURE, Contract, Extensions
from etp.messages import FIRST_BATTERY_ID, Body, MessageType, ReasonCode
from settlement.signing import check_contract, sign_contract
from settlement.strict import SMALL_ORDER_POINTS
from settlement.terms import check_confirm, window_s

if TYPE_CHECKING:
    from pathlib import Path

    from aggregator.effects import Send


@pytest.fixture(name="bench")
def _bench(tmp_path: Path) -> MoneyBench:
    return MoneyBench(tmp_path / "cheques.db")


def confirms(bench: SessionBench) -> list[Send]:
    return [send for send in bench.sent if send.body.message_type == MessageType.BID_CONFIRM]


def why(bench: SessionBench) -> str:
    (note,) = [note for note in bench.notes if note.event == "not_confirmed"]
    return str(note.fields["why"])


def test_a_bid_carries_the_batterys_terms_our_wallet_our_line_and_the_times(bench: MoneyBench) -> None:
    bench.bidding()
    bid = bench.bid_sent()
    now_s = (WALL_MS + bench.now_ms) // 1_000
    ends_at_s = now_s + window_s(5_000, 5_000)
    assert bid.contract == Contract(
        market=TERMS.venue.market,
        battery_wallet=bench.seller.wallet,
        buyer_wallet=BUYER_KEYS.public_keys["wallet"],
        generation=431,
        contract_no=0,
        base_units_per_cent=10_000,
        starts_at_s=now_s,
        ends_at_s=ends_at_s,
        valid_until_s=ends_at_s + 259_200,
        fee_bps=50,
        dispute_window_s=86_400,
        resolver=TERMS.resolver,
    )
    assert bench.settler.watched == [bench.seller.wallet]


def test_in_a_laboratory_that_runs_faster_the_window_is_shorter(tmp_path: Path) -> None:
    bench = MoneyBench(tmp_path / "cheques.db", time_lapse=100)
    bench.bidding()
    contract = bench.bid_sent().contract
    assert contract is not None
    assert contract.ends_at_s - contract.starts_at_s == -(-window_s(5_000, 5_000) // 100) + LAB_MARGIN_S


def test_a_confirm_repeats_the_accept_under_our_signature_and_leaves_after_the_disk(bench: MoneyBench) -> None:
    bench.holds_disk = True
    bench.bidding()
    bid = bench.bid_sent()
    accept = bench.accept(bid.body)
    wire = bench.sign(bid, accept)
    bench.hear(accept, extensions=Extensions(contract=wire))
    assert (confirms(bench), bench.events(), bench.session.open_trades) == ([], ["accepted"], 1)
    assert bench.on_disk(bid.body) is None
    bench.wait(3_000)
    assert confirms(bench) == []
    bench.do([])
    bench.write()
    (confirm,) = confirms(bench)
    assert confirm.contract is not None
    check_confirm(wire, confirm.contract)
    contract = bench.seller.contracts[bid.body.message_id]
    check_contract(contract, "buyer", BUYER_KEYS.public_keys["identity"], confirm.contract.signature)
    kept = bench.on_disk(bid.body)
    assert kept is not None
    assert (kept.contract, kept.state, kept.cheque.battery_signature) == (contract, State.OPEN, wire.signature)
    kept.cheque.check()
    assert bench.settler.puts == [(kept.cheque, None)]


def test_a_confirm_goes_out_again_with_the_same_contract(bench: MoneyBench) -> None:
    bench.bidding()
    bid = bench.bid_sent()
    (first,) = confirms(bench.accepted(bid))
    (again,) = confirms(bench.wait(250))
    assert (again.body, again.contract) == (first.body, first.contract)
    accept = bench.accept(bid.body)
    assert first.contract is not None
    wire = first.contract._replace(signature=bytes(64))
    (third,) = confirms(bench.hear(accept, extensions=Extensions(contract=wire)))
    assert third.contract == first.contract
    other = wire._replace(contract_no=wire.contract_no + 1)
    assert confirms(bench.hear(accept, extensions=Extensions(contract=other))) == []
    assert "agreed otherwise" in why(bench)


def test_a_lower_price_than_bid_is_signed_as_accepted(bench: MoneyBench) -> None:
    bench.bidding()
    bid = bench.bid_sent()
    (confirm,) = confirms(bench.accepted(bid, price_e4=RESERVE - 1_000))
    assert confirm.body.sale_price_e4 == RESERVE - 1_000
    kept = bench.on_disk(bid.body)
    assert kept is not None
    assert kept.contract.price_e4 == RESERVE - 1_000


TAMPERED: list[tuple[str, dict[str, Any]]] = [
    ("battery_wallet", {"battery_wallet": bytes([77]) * 32}),
    ("buyer_wallet", {"buyer_wallet": bytes([77]) * 32}),
    ("generation", {"generation": 432}),
    ("base_units_per_cent", {"base_units_per_cent": 10_001}),
    ("starts_at_s", {"starts_at_s": 1_700_000_000}),
    ("ends_at_s", {"ends_at_s": 1_700_009_999}),
    ("valid_until_s", {"valid_until_s": 1_700_260_000}),
    ("fee_bps", {"fee_bps": 51}),
    ("dispute_window_s", {"dispute_window_s": 86_399}),
    ("resolver", {"resolver": bytes([10]) * 32}),
    ("meter_key", {"meter_key": BUYER_KEYS.public_keys["identity"]}),
]


@pytest.mark.parametrize(("field", "changes"), TAMPERED, ids=[field for field, _ in TAMPERED])
def test_an_accept_with_another_contract_is_not_confirmed_and_counts(
    bench: MoneyBench, field: str, changes: dict[str, Any]
) -> None:
    bench.bidding()
    bid = bench.bid_sent()
    before = bench.buyer.reputation.permille(bench.session.who)
    assert confirms(bench.accepted(bid, **changes)) == []
    assert f"its contract is not what was bid: {field}" in why(bench)
    assert bench.on_disk(bid.body) is None
    assert bench.settler.puts == []
    assert bench.buyer.purse.committed_wh == 0
    assert bench.buyer.reputation.permille(bench.session.who) < before


def _small_order_keys() -> list[Any]:
    return [
        pytest.param(point + (1).to_bytes(32, "little"), id=f"R-{at}") for at, point in enumerate(SMALL_ORDER_POINTS)
    ]


@pytest.mark.parametrize("signature", [ZERO_SIGNATURE, bytes([1]) * 64, *_small_order_keys()])
def test_an_accept_whose_signature_does_not_hold_is_not_confirmed(bench: MoneyBench, signature: bytes) -> None:
    bench.bidding()
    bid = bench.bid_sent()
    accept = bench.accept(bid.body)
    wire = bench.sign(bid, accept)._replace(signature=signature)
    assert confirms(bench.hear(accept, extensions=Extensions(contract=wire))) == []
    assert "signature refused" in why(bench)
    assert bench.on_disk(bid.body) is None


def test_an_accept_without_a_contract_or_for_another_market_is_not_confirmed(bench: MoneyBench) -> None:
    bench.bidding()
    bid = bench.bid_sent()
    assert confirms(bench.hear(bench.accept(bid.body))) == []
    assert "contract: the Accept carries none" in why(bench)
    bid = _next_bid(bench)
    accept = bench.accept(bid.body)
    wire = bench.sign(bid, accept)._replace(market=bytes([1]) * 32)
    assert confirms(bench.hear(accept, extensions=Extensions(contract=wire))) == []
    assert "market" in why(bench)


def test_a_signature_of_another_trade_is_not_confirmed(bench: MoneyBench) -> None:
    bench.bidding()
    bid = bench.bid_sent()
    accept = bench.accept(bid.body)
    wire = bench.sign(bid, accept)
    contract = bench.seller.contracts[bid.body.message_id]
    for other in (replace(contract, message_id=1), replace(contract, contract_no=9), replace(contract, energy_wh=100)):
        signature = sign_contract(other, bench.seller.keys.identity)
        assert confirms(bench.hear(accept, extensions=Extensions(contract=wire._replace(signature=signature)))) == []
        assert "signature refused" in why(bench)
        bid = _next_bid(bench)
        accept = bench.accept(bid.body)
        wire = bench.sign(bid, accept)


def test_a_number_that_was_used_on_the_ledger_is_not_signed(bench: MoneyBench) -> None:
    bench.allot(10_000_000, base_no=3, used=0b1)
    bench.bidding()
    for number in (0, 3):
        bid = bench.bid_sent()
        assert confirms(bench.accepted(bid, contract_no=number)) == []
        assert f"contract_no: {number} has been used on this Line" in why(bench)
        _next_bid(bench)
    assert len(confirms(bench.accepted(bench.bid_sent(), contract_no=4))) == 1


def test_an_award_without_power_is_not_signed(bench: MoneyBench) -> None:
    bench.bidding()
    assert confirms(bench.accepted(bench.bid_sent(), power_w=0)) == []
    assert "no power is granted" in why(bench)


@pytest.mark.parametrize(
    ("offer", "says"),
    [
        (None, "its Register carries no terms"),
        ({"market": bytes([1]) * 32}, "market: another program, cluster or mint than ours"),
        ({"fee_bps": 49}, "its terms are not ours: fee_bps: 49, not 50"),
        ({"base_units_per_cent": 9_999}, "base_units_per_cent"),
        ({"dispute_window_s": 5}, "dispute_window_s"),
        ({"resolver": bytes([1]) * 32}, "resolver"),
        ({"battery_wallet": bytes(32)}, "battery_wallet"),
        ({"buyer_wallet": bytes([1]) * 32}, "buyer_wallet"),
        ({"signature": bytes([1]) * 64}, "signature"),
    ],
)
def test_a_battery_with_other_terms_gets_no_bid_and_it_is_said_once(
    bench: MoneyBench, offer: dict[str, Any] | None, says: str
) -> None:
    bench.open()
    wire = None if offer is None else bench.seller.offer(**offer)
    bench.hear(Body.register(FIRST_BATTERY_ID, BATTERY), extensions=Extensions(contract=wire))
    assert [(note.event, says in note.fields["why"]) for note in bench.notes] == [("not_payable", True)]
    assert bench.settler.watched == []
    bench.hear(bench.answer())
    bench.hear(bench.push(RESERVE + 100))
    bench.hear(Body.register(FIRST_BATTERY_ID, BATTERY), extensions=Extensions(contract=wire))
    assert (bench.kinds(), bench.events()) == ([], [])
    bench.hear(Body.register(FIRST_BATTERY_ID, BATTERY), extensions=Extensions(contract=bench.seller.offer()))
    assert bench.events() == ["payable", "bid"]


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (None, "no line of yours to this battery was seen on the ledger"),
        ({"amount": 10_000}, "what is free of the Line to it covers 0 Wh"),
        ({"amount": 10_000_000, "release_amount": 9_999_000}, "covers 0 Wh"),
        ({"amount": 10_000_000, "locked": 9_999_000}, "covers 0 Wh"),
        ({"amount": 10_000_000, "read_at_s": 1_000}, "the line was read too long ago"),
        ({"amount": 10_000_000, "buyer_key": bytes([1]) * 32}, "the ledger knows another signing key of this wallet"),
        ({"amount": 10_000_000, "battery_key": bytes(32)}, "does not know this battery's signing key yet"),
    ],
)
def test_without_enough_of_a_line_there_is_no_bid_and_it_is_said_once(
    bench: MoneyBench, line: dict[str, Any] | None, says: str
) -> None:
    bench.settler.lines.clear()
    if line is not None:
        bench.allot(**line)
    bench.register()
    notes = [*bench.notes]
    bench.hear(bench.answer())
    notes += bench.notes
    assert [(note.event, says in note.fields["why"]) for note in notes] == [("not_payable", True)]
    bench.hear(bench.push(RESERVE + 100))
    assert (bench.kinds(), bench.events(), bench.session.hungry) == ([], [], True)
    bench.allot(10_000_000)
    bench.do(bench.session.tick(bench.now_ms))
    assert bench.events() == ["payable", "bid"]


def test_a_line_bounds_what_is_bid_and_open_trades_count_with_their_fee(bench: MoneyBench) -> None:
    # A kWh is worth 20 c = 200,000 units, and the fee on it is 1,000.
    bench.allot(2 * 201_000 + 20_100)
    bench.register()
    assert bench.sent[-1].body.energy_wh == 2_100
    assert bench.hear(bench.answer()).only(MessageType.BID).energy_wh == 2_100
    (confirm,) = confirms(bench.accepted(bench.bid_sent()))
    contract = bench.seller.contracts[confirm.body.message_id]
    line = bench.session.summary()["line"]
    assert (line["promised"], line["free"]) == (contract.reserve, 2 * 201_000 + 20_100 - contract.reserve)
    assert line["free"] // 201 // 100 * 100 == _next_bid(bench).body.energy_wh


def test_what_the_ledger_has_paid_is_free_again_and_what_it_locks_is_not(bench: MoneyBench) -> None:
    bench.agreed_bid()
    reserve = next(iter(bench.seller.contracts.values())).reserve

    def free() -> Any:
        return bench.session.summary()["line"]["free"]

    assert free() == 10_000_000 - reserve
    bench.allot(10_000_000, used=1, locked=reserve)
    assert free() == 10_000_000 - reserve
    bench.allot(10_000_000 - reserve + 5, used=1)
    assert free() == 10_000_000 - reserve + 5
    bench.allot(10_000_000, generation=432)
    assert free() == 10_000_000


def test_an_award_that_the_line_covers_no_more_is_not_confirmed_and_is_no_fault_of_the_battery(
    bench: MoneyBench,
) -> None:
    bench.bidding()
    bid = bench.bid_sent()
    bench.allot(1_000)
    assert confirms(bench.accepted(bid)) == []
    assert "are free of the Line" in why(bench)
    assert bench.buyer.reputation.trades(bench.session.who) == 0
    bench.allot(10_000_000)
    bid = _next_bid(bench)
    bench.settler.lines.clear()
    assert confirms(bench.accepted(bid)) == []
    assert "the Line to this battery is gone" in why(bench)


def test_a_contract_that_cannot_be_kept_is_not_confirmed(bench: MoneyBench) -> None:
    bench.bidding()
    bid = bench.bid_sent()
    bench.disk_error = "No space left on device"
    assert confirms(bench.accepted(bid)) == []
    assert "its contract cannot be kept: No space left on device" in why(bench)
    assert (bench.session.open_trades, bench.buyer.purse.committed_wh, len(bench.settling.book)) == (0, 0, 0)
    bench.settling.disk_fails = True
    bench.hear(bench.push(RESERVE + 200))
    bench.hear(bench.push(RESERVE))
    assert MessageType.BID not in bench.kinds()


def test_a_trade_that_ended_while_its_contract_was_written_is_not_confirmed(bench: MoneyBench) -> None:
    bench.holds_disk = True
    bench.bidding()
    bid = bench.bid_sent()
    bench.accepted(bid)
    bench.hear(bench.reject(bid.body, ReasonCode.NOT_CONFIRMED))
    assert "ended" in bench.events()
    bench.do([])
    while bench.waiting:
        bench.write()
    assert confirms(bench) == []
    kept = bench.on_disk(bid.body)
    assert kept is not None
    assert kept.state is State.VOID
    assert bench.session.summary()["line"]["promised"] == 0


def test_a_void_award_frees_the_line_and_its_number_may_come_again(bench: MoneyBench) -> None:
    bench.bidding()
    first = bench.bid_sent()
    bench.accepted(first)
    bench.hear(bench.reject(first.body, ReasonCode.NOT_CONFIRMED))
    assert bench.session.summary()["line"]["promised"] == 0
    second = _next_bid(bench)
    assert len(confirms(bench.accepted(second, contract_no=0))) == 1


def test_more_open_trades_than_can_be_kept_track_of_stop_the_bidding(
    bench: MoneyBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aggregator.cheque_book.ENTRIES_MAX", 1)
    bench.agreed_bid()
    bench.hear(bench.push(RESERVE))
    assert (bench.kinds(), bench.session.hungry) == ([], True)
    (note,) = bench.notes
    assert "1 trades are open" in note.fields["why"]


def test_summary_says_what_the_line_holds_as_json(bench: MoneyBench) -> None:
    assert bench.session.summary()["line"] == {"why_not": "it has not registered"}
    bench.agreed_bid()
    assert json.loads(json.dumps(bench.session.summary()["line"]))["cover"] == 10_000_000


def test_a_buyer_without_settlement_bids_without_a_contract() -> None:
    bench = SessionBench(signed=True)
    bench.bidding()
    assert [send.contract for send in bench.sent] == [None]


def _next_bid(bench: MoneyBench) -> Send:
    """Let the battery quote anew until a bid comes."""
    for _ in range(4):
        bench.hear(bench.push(RESERVE))
        if MessageType.QUERY in bench.kinds():
            bench.hear(bench.answer(RESERVE))
        if MessageType.BID in bench.kinds():
            return bench.bid_sent()
        bench.wait(500)
        if MessageType.QUERY in bench.kinds():
            bench.hear(bench.answer(RESERVE))
        if MessageType.BID in bench.kinds():
            return bench.bid_sent()
    raise AssertionError(f"no bid: {bench.kinds()} {bench.events()}")
