"""Every strategy, whatever the lot: never below the price to beat, never above the value, never over its own bid."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator.errors import StrategyError
from aggregator.strategies import NAMES, NEW_MIND, LotView, Mind, Outcome, Why, make_strategy, parameters_of
from aggregator.strategies.win_rate import chance

PRICES = st.integers(0, 3_000).map(lambda ticks: ticks * 100)
SPREAD_E4 = 30_000


def half(purpose: str) -> float:
    return 0.5


@st.composite
def views(draw: st.DrawFn) -> LotView:
    floor = draw(PRICES)
    common = draw(st.integers(-100_000, 300_000))
    return LotView(
        beat_e4=floor + draw(PRICES),
        floor_e4=floor,
        want_wh=draw(st.sampled_from([0, 100, 5_000])),
        value_e4=common + draw(st.integers(-50_000, 100_000)),
        common_e4=common,
        own_e4=draw(st.sampled_from([0, 0, 0, 50_000])),
        lost_e4=draw(st.sampled_from([0, 60_000])),
        bidders=draw(st.integers(1, 20)),
        better_later_permille=draw(st.integers(0, 1_000)),
        sealed=draw(st.booleans()),
        improve=draw(st.booleans()),
    )


@given(name=st.sampled_from(NAMES), view=views(), seed=st.integers(0, 1 << 32), rounds=st.integers(1, 4))
def test_no_strategy_bids_outside_price_to_beat_and_value(name: str, view: LotView, seed: int, rounds: int) -> None:
    strategy = make_strategy(name, spread_e4=SPREAD_E4)
    rng = random.Random(seed)
    mind = NEW_MIND
    for _ in range(rounds):
        decision, mind = strategy.decide(view, mind, 0, lambda _: rng.random())
        assert strategy.name == name
        if decision.price_e4 is None:
            assert decision.why is not Why.BID
        else:
            assert decision.why is Why.BID
            assert view.beat_e4 <= decision.price_e4 <= decision.limit_e4 <= view.value_e4
            assert decision.price_e4 % 100 == 0
            assert view.want_wh > 0
            assert view.own_e4 == 0 or view.improve


@given(name=st.sampled_from(NAMES), view=views(), seed=st.integers(0, 1 << 32), won=st.booleans())
def test_the_same_arguments_give_the_same_answer(name: str, view: LotView, seed: int, *, won: bool) -> None:
    strategy = make_strategy(name, spread_e4=SPREAD_E4)
    outcome = Outcome(
        won=won, price_e4=view.beat_e4, beat_e4=view.beat_e4, value_e4=view.value_e4, paid_e4=view.beat_e4
    )

    def run() -> tuple[Any, Mind]:
        rng = random.Random(seed)
        mind = strategy.learn(NEW_MIND, outcome, lambda _: rng.random())
        return strategy.decide(view, mind, 7, lambda _: rng.random())

    assert run() == run()


def lot(**changes: Any) -> LotView:
    fields: dict[str, Any] = {
        "beat_e4": 50_000,
        "floor_e4": 50_000,
        "want_wh": 5_000,
        "value_e4": 200_000,
        "common_e4": 200_000,
    }
    return LotView(**{**fields, **changes})


def price(name: str, view: LotView, mind: Mind = NEW_MIND, **parameters: Any) -> int | None:
    return make_strategy(name, parameters).decide(view, mind, 0, half)[0].price_e4


@pytest.mark.parametrize("name", NAMES)
def test_in_an_uncontested_lot_the_reserve_is_bid(name: str) -> None:
    assert price(name, lot()) == 50_000
    assert price(name, lot(), Mind(win_bias=-6.0, win_slope=0.05, zip_margin=0.0)) == 50_000


def test_random_takes_the_whole_range_from_the_price_to_beat_to_the_value() -> None:
    strategy = make_strategy("random")

    def at(draw: float, **seen: Any) -> int | None:
        return strategy.decide(lot(**seen), NEW_MIND, 0, lambda _: draw)[0].price_e4

    for seen in ({"lost_e4": 50_000}, {"sealed": True}):
        assert [at(draw, **seen) for draw in (0.0, 0.5, 0.999999)] == [50_000, 125_000, 200_000]
    assert [at(draw, beat_e4=60_000) for draw in (0.0, 0.5, 0.999999)] == [60_000, 130_000, 200_000]
    assert at(0.999999) == 50_000


def test_conservative_leaves_when_the_price_is_no_longer_near_the_reserve() -> None:
    assert price("conservative", lot(beat_e4=55_000)) == 55_000
    assert price("conservative", lot(beat_e4=55_100)) is None
    assert price("conservative", lot(beat_e4=60_000), room_c=1.0) == 60_000


def test_aggressive_jumps_once_a_rival_has_shown() -> None:
    assert price("aggressive", lot(beat_e4=51_000)) == 199_000
    assert price("aggressive", lot(lost_e4=50_000), edge_c=2) == 180_000
    assert price("aggressive", lot(beat_e4=199_100)) is None


def test_truthful_pays_up_to_its_value_and_bids_it_under_a_sealed_rule() -> None:
    assert price("truthful", lot(beat_e4=200_000)) == 200_000
    assert price("truthful", lot(beat_e4=200_100)) is None
    assert price("truthful", lot(sealed=True)) == 200_000
    assert price("truthful", lot(value_e4=-5)) is None


def test_equilibrium_shades_the_private_part_only() -> None:
    common_only = lot(beat_e4=150_000, sealed=True)
    assert price("equilibrium", common_only) == 200_000
    strategy = make_strategy(
        "equilibrium", {"bidders": 2}, private={"kind": "uniform", "low_e4": 0, "high_e4": 100_000}
    )
    view = lot(common_e4=100_000, floor_e4=100_000, beat_e4=100_000, value_e4=180_000, sealed=True)
    assert strategy.decide(view, NEW_MIND, 0, half)[0].price_e4 == 140_000
    assert strategy.decide(view._replace(bidders=9), NEW_MIND, 0, half)[0].price_e4 == 140_000
    assert strategy.decide(view._replace(value_e4=90_000), NEW_MIND, 0, half)[0].price_e4 is None


def test_zip_raises_its_price_towards_a_market_it_misses_and_lowers_it_after_a_win() -> None:
    strategy = make_strategy("zip", {"margin": 0.5})
    view = lot(beat_e4=150_000)
    mind, limits = NEW_MIND, []
    for _ in range(20):
        decision, mind = strategy.decide(view, mind, 0, half)
        limits.append(decision.limit_e4)
        if decision.price_e4 is not None:
            break
    assert limits[0] < 150_000 == decision.price_e4
    assert limits == sorted(limits)
    won = Outcome(won=True, price_e4=150_000, beat_e4=150_000, value_e4=200_000, paid_e4=110_000)
    calmer = strategy.learn(mind, won, half)
    assert calmer.zip_margin is not None
    assert mind.zip_margin is not None
    assert calmer.zip_margin > mind.zip_margin
    assert strategy.learn(mind, won._replace(won=False), half) == mind


def test_zip_does_not_chase_a_price_above_its_value() -> None:
    decision, mind = make_strategy("zip").decide(lot(beat_e4=250_000), NEW_MIND, 0, half)
    assert (decision.price_e4, mind) == (None, NEW_MIND)
    assert make_strategy("zip").decide(lot(value_e4=0), NEW_MIND, 0, half)[1] == NEW_MIND


def test_win_rate_pays_a_premium_only_where_it_buys_probability() -> None:
    sure = Mind(win_bias=5.0, win_slope=1.0)
    doubtful = Mind(win_bias=-2.0, win_slope=1.0)
    contested = lot(lost_e4=50_000)
    assert price("win_rate", contested, sure) == 50_000
    premium = price("win_rate", contested, doubtful)
    assert premium is not None
    assert 50_000 < premium < 200_000
    assert price("win_rate", lot(sealed=True), doubtful) == premium
    gains = {p: (200_000 - p) * chance(-2.0 + (p - 50_000) / 10_000) for p in range(50_000, 200_100, 100)}
    assert gains[premium] == pytest.approx(max(gains.values()), rel=1e-4)
    assert price("win_rate", lot(value_e4=50_000)) == 50_000
    assert price("win_rate", lot(value_e4=49_900)) is None


def test_win_rate_believes_more_in_winning_the_more_it_wins() -> None:
    strategy = make_strategy("win_rate")
    at_beat = Outcome(won=True, price_e4=50_000, beat_e4=50_000, value_e4=200_000, paid_e4=50_000)
    above = at_beat._replace(price_e4=80_000)
    winner = loser = NEW_MIND
    for _ in range(200):
        winner = strategy.learn(winner, above, half)
        loser = strategy.learn(loser, at_beat._replace(won=False), half)
    assert winner.win_bias is not None
    assert loser.win_bias is not None
    assert loser.win_bias < -2 < 0 < winner.win_bias
    assert loser.win_slope == 1.0
    assert winner.win_slope is not None
    assert winner.win_slope > 1.0


def test_timing_waits_for_the_hours_that_are_worth_more() -> None:
    strategy = make_strategy("timing", {"patience_permille": 100})
    waits, _ = strategy.decide(lot(better_later_permille=101), NEW_MIND, 0, half)
    assert (waits.price_e4, waits.why) == (None, Why.WAITING)
    assert price("timing", lot(better_later_permille=250)) == 50_000
    assert strategy.learn(NEW_MIND, Outcome(True, 1, 1, 1), half) is NEW_MIND


def test_the_own_bid_is_raised_only_when_asked() -> None:
    for name in NAMES:
        standing = lot(own_e4=50_000, beat_e4=51_000)
        assert price(name, standing) is None
        assert make_strategy(name).decide(standing, NEW_MIND, 0, half)[0].why is Why.OWN_BID_STANDS
    assert price("truthful", lot(own_e4=50_000, beat_e4=51_000, improve=True)) == 51_000


@pytest.mark.parametrize(
    ("name", "parameters", "key", "says"),
    [
        ("greedy", {}, "name", "not one of random, conservative"),
        ("truthful", {"edge_c": 1}, "edge_c", "takes no parameters"),
        ("zip", {"edge_c": 1}, "edge_c", "takes margin, rate"),
        ("zip", {"rate": 0}, "rate", "from 0.01 to 1"),
        ("zip", {"rate": float("nan")}, "rate", "from 0.01 to 1"),
        ("zip", {"rate": True}, "rate", "a number"),
        ("timing", {"patience_permille": 0.5}, "patience_permille", "a whole number"),
    ],
)
def test_wrong_names_and_parameters_are_refused(name: str, parameters: dict[str, Any], key: str, says: str) -> None:
    with pytest.raises(StrategyError, match=says) as caught:
        make_strategy(name, parameters)
    assert caught.value.key == key


def test_only_equilibrium_takes_a_distribution() -> None:
    with pytest.raises(StrategyError, match="takes no distribution"):
        make_strategy("truthful", private={"kind": "uniform", "low_e4": 0, "high_e4": 1})


def test_defaults_in_the_table_are_the_strategies_own() -> None:
    for name in NAMES:
        table = {key: rule.default for key, rule in parameters_of(name).items()}
        assert make_strategy(name, {k: int(v) if parameters_of(name)[k].whole else v for k, v in table.items()}) == (
            make_strategy(name)
        )
