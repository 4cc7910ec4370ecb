"""The demo's invariants: a sound run passes all of them, and each is broken by what it forbids."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from cli.demo_stage.invariants import INVARIANTS, check
from cli.demo_stage.report import Report
from tests.cli.demo_market import START_MS, sound_evidence

if TYPE_CHECKING:
    from collections.abc import Callable

    from cli.demo_stage.evidence import Evidence
    from cli.demo_stage.payments import Balances


def _metrics(evidence: Evidence, group: str, **figures: object) -> None:
    evidence.metrics["home"][group] |= figures


def _sold_twice(evidence: Evidence) -> None:
    evidence.trades.append(replace(evidence.trades[0], bid_id=5))


def _set(name: str, value: object) -> Callable[[Evidence], None]:
    return lambda evidence: setattr(evidence.trades[0], name, value)


def _paid(name: str, value: object) -> Callable[[Evidence], None]:
    return lambda evidence: setattr(evidence.payments.known[evidence.trades[0].trade_id], name, value)


def _balances(evidence: Evidence) -> Balances:
    assert evidence.payments.balances is not None
    return evidence.payments.balances


BREAKS: list[tuple[str, Callable[[Evidence], object]]] = [
    ("price_at_least_reserve", _set("price_e4", 299_999)),
    ("answered_within_500_ms", _set("awarded_at_ms", START_MS - 410 + 501)),
    ("answered_within_500_ms", lambda evidence: _metrics(evidence, "bid_processing_ms", late=1)),
    ("setpoint_within_200_ms", _set("first_setpoint_at_ms", START_MS + 201)),
    ("setpoint_within_200_ms", _set("first_setpoint_at_ms", None)),
    ("no_lot_oversold", _sold_twice),
    ("no_lot_oversold", lambda evidence: evidence.lots.clear()),
    ("metered_agrees_with_delivered", _set("metered_wh", 505.2)),
    ("metered_agrees_with_delivered", _set("metered_wh", None)),
    ("buyer_told_what_was_delivered", _set("buyer_wh", 499)),
    ("end_codes_tell_the_truth", _set("delivered_wh", 498)),
    ("end_codes_tell_the_truth", _set("end_code", 11)),
    ("floor_never_crossed", lambda evidence: setattr(evidence.sites[0], "soc_least_permille", 199.9)),
    ("batteries_released", lambda evidence: evidence.released.update(farm=False)),
    ("batteries_released", lambda evidence: evidence.released.clear()),
    ("every_accept_ended", _set("ended_at_ms", None)),
    ("every_accept_ended", lambda evidence: evidence.sites[0].accepts.add(("conn:4", 9))),
    ("frames_unanswered_below_1_percent", lambda evidence: setattr(evidence, "bids_waiting", 1)),
    ("frames_unanswered_below_1_percent", lambda evidence: setattr(evidence.buyers[2], "unanswered", 1)),
    ("frames_unanswered_below_1_percent", lambda evidence: _metrics(evidence, "frames", unanswered=1)),
    ("all_events_seen", lambda evidence: setattr(evidence.sites[1], "events_lost", 1)),
    ("all_events_seen", lambda evidence: evidence.metrics.pop("school")),
    ("trades_as_asked", lambda evidence: setattr(evidence, "wanted", 2)),
    ("payout_fee_returned_are_reserved", _paid("returned", 1)),
    ("payments_follow_the_formula", _paid("payout", 191_501)),
    ("payments_follow_the_formula", _paid("delivered_wh", 499)),
    ("payments_follow_the_formula", _paid("fee", 958)),
    ("lines_fell_by_what_was_paid", lambda evidence: _balances(evidence).lines.update({("amber", "home"): 4_807_542})),
    ("lines_fell_by_what_was_paid", lambda evidence: _balances(evidence).lines.update({("delta", "farm"): 4_999_999})),
    ("every_delivery_is_paid", _paid("stage", "claimed")),
    ("every_delivery_is_paid", lambda evidence: evidence.payments.known.clear()),
    ("wallets_and_vaults_hold_it", lambda evidence: setattr(evidence.payments, "balances", None)),
    ("wallets_and_vaults_hold_it", lambda evidence: _balances(evidence).tokens.update(home=191_499)),
    ("wallets_and_vaults_hold_it", lambda evidence: _balances(evidence).vaults.update(citron=14_999_999)),
    ("nothing_left_running", lambda evidence: evidence.left_running.append("port 4084")),
    ("nothing_left_running", lambda evidence: evidence.bad_ends.append("agent-home ended with status 1")),
]


def test_a_sound_run_holds_them_all() -> None:
    assert {name: found for name, found in check(sound_evidence()).items() if found} == {}


@pytest.mark.parametrize(("name", "break_it"), BREAKS, ids=[f"{n}-{i}" for i, (n, _) in enumerate(BREAKS)])
def test_each_is_broken_by_what_it_forbids(name: str, break_it: Callable[[Evidence], object]) -> None:
    evidence = sound_evidence()
    break_it(evidence)
    report = Report(evidence)
    assert report.broken[name]
    assert not report.invariants[name]
    assert not report.ok
    assert any(line.startswith(f"BROKEN {name}: ") for line in report.lines())


def test_every_invariant_has_been_broken() -> None:
    assert {name for name, _ in BREAKS} == set(INVARIANTS)


def test_an_accept_that_fell_through_openly_is_no_fault() -> None:
    evidence = sound_evidence()
    evidence.sites[0].accepts.add(("conn:4", 9))
    _metrics(evidence, "total", voided=1)
    assert Report(evidence).ok
