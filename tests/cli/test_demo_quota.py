"""When sites stop selling: a run ends with exactly the trades that were asked for."""

from __future__ import annotations

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from cli.demo_stage.quota import sites_to_stop

SITES = ["home", "farm", "school"]


def test_everybody_sells_while_many_trades_are_missing() -> None:
    assert sites_to_stop(3, SITES, {}) == []


def test_a_site_that_delivers_is_stopped_before_one_that_may_have_bids() -> None:
    assert sites_to_stop(2, SITES, {"school": True}) == ["school"]


def test_all_are_stopped_when_nothing_is_missing() -> None:
    assert sorted(sites_to_stop(0, SITES, {})) == sorted(SITES)
    assert sites_to_stop(0, [], {}) == []


@given(wanted=st.integers(1, 30), seed=st.integers(0, 1_000))
def test_a_run_ends_with_exactly_what_was_asked_for(wanted: int, seed: int) -> None:
    chance = Random(seed)
    selling, busy, trades = list(SITES), dict.fromkeys(SITES, False), 0
    while True:
        for name in sites_to_stop(wanted - trades, selling, busy):
            selling.remove(name)
        ready = [name for name in selling if not busy[name]]
        if not ready and not any(busy[name] for name in selling):
            break
        name = chance.choice(ready or [name for name in selling if busy[name]])
        trades += not busy[name]
        busy[name] = not busy[name]
    assert trades == wanted
