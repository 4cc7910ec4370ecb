"""Requests as JSON lines: answers have the fields that were promised, and nonsense names its key."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from market.errors import StudyError
from market.mechanism import Buyer, Setting, equilibrium_bid, play, winners
from market.requests import LINE_MAX, answer
from market.sampling import sample

UNIFORM = {"kind": "uniform", "low_e4": 0, "high_e4": 1_000_000}
SETTING: dict[str, Any] = {"rule": "standing_bid", "lot_wh": 1_000, "reserve_e4": 100_000}
BUYERS: list[dict[str, Any]] = [
    {"value_e4": 500_000, "need_wh": 1_000, "up_ms": 5, "down_ms": 2.5},
    {"value_e4": 300_000, "need_wh": 1_000},
]
SAMPLE: dict[str, Any] = {
    "op": "sample", "setting": SETTING, "values": UNIFORM, "n": 2, "auctions": 5, "seed": 1, "need_wh": 1_000,
}  # fmt: skip
PLAY: dict[str, Any] = {"op": "play", "setting": SETTING, "buyers": BUYERS, "seed": 1}
WINNERS: dict[str, Any] = {"op": "winners", "bids": [[300, 500], [200, 800]], "lot_wh": 1_000, "reserve_e4": 0}
BID: dict[str, Any] = {"op": "bid", "value_e4": 500_000, "n": 2, "reserve_e4": 0, "values": UNIFORM}
REQUESTS = {"sample": SAMPLE, "play": PLAY, "winners": WINNERS, "bid": BID}


def ask(request: Any) -> Any:
    text = answer(json.dumps(request).encode())
    assert "\n" not in text
    return json.loads(text)


def refusal(line: bytes) -> StudyError:
    with pytest.raises(StudyError) as caught:
        answer(line)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400
    return caught.value


def test_answers_are_what_the_room_says() -> None:
    setting, buyers = Setting(**SETTING), [Buyer(**buyer) for buyer in BUYERS]
    played = play(setting, buyers, seed=1)
    assert ask(PLAY) == {**played._asdict(), "awards": [list(sold) for sold in played.awards]}
    assert ask(WINNERS) == {"ids": [1], "value": 240_000}
    assert winners([(300, 500), (200, 800)], lot_wh=1_000, reserve_e4=0) == ((1,), 240_000)
    assert ask(BID) == {"bid_e4": equilibrium_bid(500_000, 2, 0, UNIFORM)} == {"bid_e4": 250_000}
    assert ask({**BID, "reserve_e4": 600_000}) == {"bid_e4": None}
    told = sample(setting, UNIFORM, n=2, auctions=5, seed=1, need_wh=1_000)
    assert ask(SAMPLE) == json.loads(json.dumps(told.fields()))
    assert "rows" not in ask(SAMPLE)


def test_a_row_is_a_lot() -> None:
    rows = ask({**SAMPLE, "rows": True})["rows"]
    assert [row["lot"] for row in rows] == [0, 1, 2, 3, 4]
    assert set(rows[0]) == {
        "lot", "values_e4", "awards", "revenue", "bids", "improvements", "distinct_bidders", "first_acceptable_e4",
        "increment_end_e4", "ended_ms",
    }  # fmt: skip
    assert set(ask(SAMPLE)["price_e4"]) == {"mean", "sd", "se"}


def test_what_may_be_left_out_is_what_the_defaults_say() -> None:
    spelt = {**SETTING, "keep_e4": None, "increment_e4": 1_000, "doubling": 32, "standing_ms": 400}
    spelt |= {"price_cap_e4": 20_300_000, "drop": 0.0, "loss": 0}
    plain = {"strategy": "truthful", "rows": False, "latency_ms": None}
    assert ask({**SAMPLE, **plain, "setting": spelt}) == ask(SAMPLE)
    buyers = [{"budget": None, "strategy": "truthful", "up_ms": 0, "down_ms": 0, **buyer} for buyer in BUYERS]
    assert ask({**PLAY, "buyers": buyers, "values": None}) == ask(PLAY)
    assert ask({**WINNERS, "keep_e4": None}) == ask(WINNERS)


@pytest.mark.parametrize("op", list(REQUESTS))
def test_a_missing_or_an_unknown_key_is_named(op: str) -> None:
    request = REQUESTS[op]
    for key in request:
        assert refusal(json.dumps({k: v for k, v in request.items() if k != key}).encode()).key == key
    assert refusal(json.dumps({**request, "speed": 1}).encode()).key == "speed"
    assert refusal(json.dumps({**request, "a\nb": 1}).encode()).key == repr("a\nb")
    assert len(refusal(json.dumps({**request, "x" * 10_000: 1}).encode()).key) < 100


@pytest.mark.parametrize(
    ("key", "request_"),
    [
        ("op", {**BID, "op": "sell"}),
        ("op", {**BID, "op": ["bid"]}),
        ("op", {**BID, "op": None}),
        ("setting", {**SAMPLE, "setting": [1]}),
        ("setting.rule", {**SAMPLE, "setting": {**SETTING, "rule": "dutch"}}),
        ("setting.rule", {**SAMPLE, "setting": {**SETTING, "rule": ["standing_bid"]}}),
        ("setting.lot_wh", {**PLAY, "setting": {"rule": "standing_bid", "reserve_e4": 0}}),
        ("setting.lot_wh", {**PLAY, "setting": {**SETTING, "lot_wh": 950.0}}),
        ("setting.increment_e4", {**PLAY, "setting": {**SETTING, "increment_e4": None}}),
        ("setting.speed", {**PLAY, "setting": {**SETTING, "speed": 1}}),
        ("values", {**SAMPLE, "values": "uniform"}),
        ("values.low_e4", {**SAMPLE, "values": {"kind": "uniform", "low_e4": 2, "high_e4": 1}}),
        ("values.sd_e4", {**SAMPLE, "values": {"kind": "normal", "mean_e4": 0, "sd_e4": -5}}),
        ("n", {**SAMPLE, "n": 0}),
        ("n", {**SAMPLE, "n": "2"}),
        ("auctions", {**SAMPLE, "auctions": 1e5}),
        ("strategy", {**SAMPLE, "strategy": 7}),
        ("strategy", {**SAMPLE, "strategy": "bold"}),
        ("rows", {**SAMPLE, "rows": 1}),
        ("latency_ms", {**SAMPLE, "latency_ms": 5}),
        ("latency_ms", {**SAMPLE, "latency_ms": [5]}),
        ("latency_ms", {**SAMPLE, "latency_ms": [5, True]}),
        ("latency_ms", {**SAMPLE, "latency_ms": {"0": 1, "1": 2}}),
        ("seed", {**PLAY, "seed": -1}),
        ("buyers", {**PLAY, "buyers": {}}),
        ("buyers", {**PLAY, "buyers": []}),
        ("buyers", {**PLAY, "buyers": [BUYERS[0]] * 65}),
        ("buyers[1]", {**PLAY, "buyers": [BUYERS[0], 5]}),
        ("buyers[0].value_e4", {**PLAY, "buyers": [{"value_e4": 1.5, "need_wh": 100}]}),
        ("buyers[0].need_wh", {**PLAY, "buyers": [{"value_e4": 1}]}),
        ("buyers[0].mood", {**PLAY, "buyers": [{**BUYERS[0], "mood": 1}]}),
        ("buyers[0].strategy", {**PLAY, "buyers": [{**BUYERS[0], "strategy": "fraction:2"}]}),
        ("values", {**PLAY, "buyers": [{**BUYERS[0], "strategy": "equilibrium"}] * 2}),
        ("bids", {**WINNERS, "bids": {}}),
        ("bids[1]", {**WINNERS, "bids": [[100, 100], [100]]}),
        ("bids[0]", {**WINNERS, "bids": ["ab"]}),
        ("bids[0].price_e4", {**WINNERS, "bids": [[1.0, 100]]}),
        ("bids[0].wh", {**WINNERS, "bids": [[100, 10**30]]}),
        ("keep_e4", {**WINNERS, "keep_e4": 5_000}),
        ("n", {**BID, "n": 0}),
        ("value_e4", {**BID, "value_e4": 10**400}),
    ],
)
def test_a_request_that_makes_no_sense_names_its_key(key: str, request_: Any) -> None:
    assert refusal(json.dumps(request_).encode()).key == key


@pytest.mark.parametrize(
    "line",
    [
        b"", b"{", b"[]", b"5", b"null", b'"op"', b"{'op': 1}", b"\xff{}", b'{"op":"bid"} {}', b"[" * 100_000,
        b'{"a":' * 100_000, b"9" * 5_000, b"\xef\xbb\xbf{}", b"\0", b" " * (LINE_MAX + 1),
    ],
    ids=range(15),
)  # fmt: skip
def test_a_line_that_is_no_object_is_a_bad_request(line: bytes) -> None:
    assert refusal(line).key == "request"


@pytest.mark.parametrize(
    "number", ["NaN", "Infinity", "-Infinity", "1e999", "-1", "0.5", "true", '"1"', "[]", "1" * 99]
)
@pytest.mark.parametrize("key", ["n", "auctions", "seed", "need_wh"])
def test_numbers_that_are_none_are_refused(key: str, number: str) -> None:
    line = json.dumps({**SAMPLE, key: "@"}).replace('"@"', number)
    assert refusal(line.encode()).key == key


def test_a_key_that_is_there_twice_is_named() -> None:
    line = json.dumps(PLAY)
    assert refusal(line.replace('"seed"', '"seed": 2, "seed"').encode()).key == "seed"
    assert refusal(line.replace('"lot_wh"', '"lot_wh": 2, "lot_wh"').encode()).key == "lot_wh"
    many = ", ".join(f'"k{number}": 0' for number in range(200_000))
    assert refusal(f'{{{many}, "k7": 0}}'.encode()).key == "k7"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=6,
)


@pytest.mark.parametrize("op", list(REQUESTS))
@given(data=st.data())
def test_whatever_stands_at_a_key_it_is_answered_or_refused(op: str, data: st.DataObject) -> None:
    request = REQUESTS[op]
    key = data.draw(st.sampled_from([key for key in request if key not in {"op", "auctions"}]))
    line = json.dumps({**request, key: data.draw(JSON)}).encode()
    named = key
    try:
        assert isinstance(json.loads(answer(line)), dict)
    except StudyError as error:
        named = error.key
    assert named.startswith(key)
