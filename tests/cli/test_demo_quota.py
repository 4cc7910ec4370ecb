"""Which sites may sell: a run ends with exactly the trades that were asked for, whoever drops out on the way."""

from __future__ import annotations

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from cli.demo_stage.quota import PATIENCE_MS, Doing, Orders, Quota

SITES = ["farm", "home", "school"]
IDLE = dict.fromkeys(SITES, Doing.OFFERING)


def test_everybody_sells_while_many_trades_are_missing() -> None:
    assert Quota(SITES, 0).orders(3, IDLE, 0) == Orders([], [])


def test_a_site_that_delivers_is_stopped_before_one_that_may_have_bids() -> None:
    quota = Quota(SITES, 0)
    assert quota.orders(2, {**IDLE, "home": Doing.DELIVERING}, 0) == Orders(["home"], [])
    assert quota.orders(1, {**IDLE, "farm": Doing.DELIVERING}, 0) == Orders(["farm"], [])
    assert quota.orders(0, IDLE, 0) == Orders(["school"], [])
    assert quota.orders(0, IDLE, 0) == Orders([], [])


def test_another_site_sells_when_the_last_one_has_nothing_to_sell() -> None:
    quota = Quota(SITES, 0)
    quota.orders(1, {**IDLE, "farm": Doing.DELIVERING, "home": Doing.DELIVERING}, 0)
    resting = dict.fromkeys(SITES, Doing.RESTING)
    assert quota.orders(1, resting, PATIENCE_MS - 1) == Orders([], [])
    assert quota.orders(1, resting, PATIENCE_MS) == Orders(["school"], ["farm"])
    assert quota.orders(1, resting, 2 * PATIENCE_MS) == Orders(["farm"], ["home"])


@given(wanted=st.integers(1, 30), seed=st.integers(0, 1_000))
def test_a_run_ends_with_exactly_what_was_asked_for(wanted: int, seed: int) -> None:
    chance = Random(seed)
    quota, selling = Quota(SITES, 0), set(SITES)
    doing, trades, now_ms = dict(IDLE), 0, 0
    while trades < wanted or selling:
        now_ms += 500
        stop, resume = quota.orders(wanted - trades, doing, now_ms)
        selling = (selling - set(stop)) | set(resume)
        name = chance.choice(SITES)
        if doing[name] is Doing.OFFERING and name in selling:
            trades += 1
            doing[name] = Doing.DELIVERING
        elif name in selling:
            doing[name] = chance.choice((Doing.OFFERING, Doing.OFFERING, Doing.RESTING))
        else:
            doing[name] = Doing.RESTING
    assert trades == wanted
