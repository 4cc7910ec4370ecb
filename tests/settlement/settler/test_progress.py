"""The table of a cheque's life: every situation has its row, and each row's moves come when they are due."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import TYPE_CHECKING, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from settlement.progress import (
    _TABLE,
    EXPIRE_MARGIN_S,
    FINALIZE_LATE_S,
    VOID_BEHIND,
    Action,
    Claim,
    Paper,
    Place,
    Rules,
    Standing,
    Step,
    is_in_the_way,
    is_open_again,
    next_step,
    paper_of,
    plausible_wh,
)
from settlement.signing import Party
from tests.settlement.settler.cheques import cheque, with_final, with_interim
from tests.settlement.terms import CONTRACT

if TYPE_CHECKING:
    from settlement import Cheque

RULES = Rules(cosign_wait_s=600, tolerance_wh=20, tolerance_percent=2)
ENDS, VALID = CONTRACT.ends_at_s, CONTRACT.valid_until_s
CLAIM = Claim(claimed_wh=2_500, safe_wh=0, disputable_until_s=ENDS + 90_000, times_out_at_s=ENDS + 2_000_000)
NONE, OWN, BOTH = Paper.NONE, Paper.OWN, Paper.BOTH


def paper(role: Party, what: Paper) -> Cheque:
    one = cheque(role)
    return one if what is NONE else with_final(one, cosigned=what is BOTH)


def step(role: Party, place: Place, what: Paper, now_s: int, seen_wh: int | None = None, *, behind: int = 0) -> Step:
    claim = CLAIM if place in (Place.CLAIMED, Place.DISPUTED) else None
    standing = Standing(place=place, now_s=now_s, claim=claim, behind=behind)
    return next_step(paper(role, what), seen_wh, standing, RULES)


def test_every_situation_has_its_row() -> None:
    assert set(_TABLE) == set(product(get_args(Party), Place, Paper))


@pytest.mark.parametrize(
    ("role", "place", "what", "before", "at_s", "after"),
    [
        ("buyer", Place.FREE, BOTH, Action.SETTLE, 1, Action.SETTLE),
        ("battery", Place.FREE, BOTH, Action.WAIT, ENDS + 590, Action.SETTLE),
        ("battery", Place.FREE, OWN, Action.WAIT, ENDS + 590, Action.CLAIM),
        ("battery", Place.FREE, OWN, Action.CLAIM, VALID, Action.WAIT),
        ("battery", Place.FREE, OWN, Action.WAIT, VALID + EXPIRE_MARGIN_S, Action.EXPIRE),
        ("battery", Place.FREE, NONE, Action.WAIT, VALID + EXPIRE_MARGIN_S, Action.EXPIRE),
        ("buyer", Place.FREE, OWN, Action.WAIT, VALID + EXPIRE_MARGIN_S, Action.EXPIRE),
        ("buyer", Place.FREE, NONE, Action.WAIT, VALID + EXPIRE_MARGIN_S, Action.EXPIRE),
        ("battery", Place.NO_LINE, BOTH, Action.WAIT, VALID + EXPIRE_MARGIN_S, Action.EXPIRE),
        ("battery", Place.AHEAD, OWN, Action.WAIT, VALID + EXPIRE_MARGIN_S, Action.EXPIRE),
        ("battery", Place.CLAIMED, OWN, Action.WAIT, CLAIM.disputable_until_s + 1, Action.FINALIZE),
        ("battery", Place.CLAIMED, NONE, Action.WAIT, CLAIM.disputable_until_s + 1, Action.FINALIZE),
        ("buyer", Place.CLAIMED, OWN, Action.WAIT, CLAIM.disputable_until_s + FINALIZE_LATE_S, Action.FINALIZE),
        ("battery", Place.CLAIMED, BOTH, Action.SETTLE, 1, Action.SETTLE),
        ("buyer", Place.CLAIMED, BOTH, Action.SETTLE, 1, Action.SETTLE),
        ("battery", Place.DISPUTED, BOTH, Action.SETTLE, 1, Action.SETTLE),
        ("buyer", Place.DISPUTED, BOTH, Action.SETTLE, 1, Action.SETTLE),
        ("battery", Place.DISPUTED, OWN, Action.WAIT, CLAIM.times_out_at_s + 1, Action.TIMEOUT),
        ("buyer", Place.DISPUTED, NONE, Action.WAIT, CLAIM.times_out_at_s + 1, Action.TIMEOUT),
        ("battery", Place.SPENT, OWN, Action.LOOK, 1, Action.LOOK),
        ("buyer", Place.SPENT, NONE, Action.LOOK, 1, Action.LOOK),
    ],
)
def test_a_move_comes_when_it_is_due_and_not_before(  # noqa: PLR0917 - the columns of the table above
    role: Party, place: Place, what: Paper, before: Action, at_s: int, after: Action
) -> None:
    assert step(role, place, what, at_s - 1).action is before
    assert step(role, place, what, at_s).action is after


def test_who_waits_says_until_when() -> None:
    assert step("battery", Place.FREE, OWN, 1) == Step(Action.WAIT, due_at_s=ENDS + 590)
    assert step("battery", Place.AHEAD, BOTH, VALID * 2) == Step(Action.WAIT), "co-signed, it never expires"


@pytest.mark.parametrize("what", [NONE, OWN])
def test_a_number_is_voided_when_no_claim_can_come_and_the_line_has_gone_on(what: Paper) -> None:
    over_s = VALID + EXPIRE_MARGIN_S
    assert step("battery", Place.FREE, what, over_s, behind=VOID_BEHIND).action is Action.VOID
    assert step("battery", Place.FREE, what, over_s, behind=VOID_BEHIND - 1).action is Action.EXPIRE
    assert step("battery", Place.FREE, what, over_s - 1, behind=255).action is Action.WAIT
    assert step("battery", Place.FREE, BOTH, 10 * VALID, behind=255).action is Action.SETTLE, "that one is paid"
    assert step("buyer", Place.FREE, what, over_s, behind=255).action is Action.EXPIRE, "the number is the battery's"
    free = Standing(place=Place.FREE, now_s=over_s, behind=VOID_BEHIND)
    assert is_in_the_way(paper("battery", what), free)
    assert not is_in_the_way(paper("battery", BOTH), free)
    assert not is_in_the_way(paper("battery", what), replace(free, place=Place.SPENT))


@given(
    role=st.sampled_from(get_args(Party)),
    place=st.sampled_from(Place),
    what=st.sampled_from(Paper),
    now_s=st.integers(0, VALID * 2),
    behind=st.integers(0, 300),
)
def test_nothing_that_could_be_paid_is_voided(role: Party, place: Place, what: Paper, now_s: int, behind: int) -> None:
    if step(role, place, what, now_s, behind=behind).action is Action.VOID:
        assert (role, place) == ("battery", Place.FREE)
        assert what is not BOTH
        assert now_s >= VALID + EXPIRE_MARGIN_S


@given(
    role=st.sampled_from(get_args(Party)),
    place=st.sampled_from(Place),
    what=st.sampled_from(Paper),
    now_s=st.integers(0, VALID * 2),
    behind=st.integers(0, 300),
)
def test_what_is_opened_again_is_not_given_up_again_at_once(
    role: Party, place: Place, what: Paper, now_s: int, behind: int
) -> None:
    claim = CLAIM if place in (Place.CLAIMED, Place.DISPUTED) else None
    standing = Standing(place=place, now_s=now_s, claim=claim, behind=behind)
    if is_open_again(paper(role, what), standing, expired=True):
        assert next_step(paper(role, what), None, standing, RULES).action is not Action.EXPIRE


def test_what_comes_to_nothing_is_never_claimed_and_its_number_goes_as_all_that_expire() -> None:
    nothing = with_final(cheque("battery"), 0, cosigned=False)

    def at(now_s: int, behind: int = 0) -> Step:
        standing = Standing(place=Place.FREE, now_s=now_s, behind=behind)
        return next_step(nothing, None, standing, RULES)

    over_s = VALID + EXPIRE_MARGIN_S
    assert at(ENDS + 590) == Step(Action.WAIT, due_at_s=over_s)
    assert at(VALID - 1) == Step(Action.WAIT, due_at_s=over_s)
    assert at(over_s).action is Action.EXPIRE
    assert at(over_s, VOID_BEHIND).action is Action.VOID
    free = Standing(place=Place.FREE, now_s=ENDS + 590)
    a_little, signed = with_final(cheque("battery"), 1, cosigned=False), with_final(cheque("battery"), 0, cosigned=True)
    assert next_step(a_little, None, free, RULES).action is Action.CLAIM
    assert next_step(signed, None, free, RULES).action is Action.SETTLE, "it would never expire"


def test_an_expired_one_whose_number_is_spent_is_looked_into_once() -> None:
    spent = Standing(place=Place.SPENT, now_s=VALID * 2)
    assert is_open_again(paper("buyer", OWN), spent, expired=True)
    assert not is_open_again(paper("buyer", OWN), spent, expired=False)


def test_a_buyer_without_a_figure_disputes_nothing_and_its_owner_is_told() -> None:
    half_s = CLAIM.disputable_until_s - CONTRACT.dispute_window_s // 2
    assert step("buyer", Place.CLAIMED, OWN, half_s - 1) == Step(Action.WAIT, due_at_s=half_s)
    told = Step(Action.TELL, wh=CLAIM.claimed_wh, due_at_s=CLAIM.disputable_until_s)
    assert step("buyer", Place.CLAIMED, OWN, half_s) == told
    assert step("buyer", Place.CLAIMED, NONE, CLAIM.disputable_until_s - 1) == told
    assert step("buyer", Place.CLAIMED, OWN, CLAIM.disputable_until_s).action is Action.WAIT, "too late to matter"
    assert step("buyer", Place.CLAIMED, OWN, half_s, CLAIM.claimed_wh).action is Action.WAIT
    assert step("buyer", Place.CLAIMED, OWN, half_s, 0).action is Action.DISPUTE, "a figure may still come"


@pytest.mark.parametrize(
    ("seen_wh", "claimed_wh", "disputed"),
    [
        (None, 2_500, False),
        (0, 20, False),
        (0, 21, True),
        (2_000, 2_040, False),
        (2_000, 2_041, True),
        (3_000, 2_500, False),
    ],
)
def test_a_buyer_disputes_what_is_beyond_what_it_saw(seen_wh: int | None, claimed_wh: int, *, disputed: bool) -> None:
    claim = replace(CLAIM, claimed_wh=claimed_wh)
    standing = Standing(place=Place.CLAIMED, now_s=claim.disputable_until_s - 1, claim=claim)
    found = next_step(paper("buyer", OWN), seen_wh, standing, RULES)
    assert (found.action is Action.DISPUTE) == disputed
    if disputed:
        assert found.wh == seen_wh
    late = replace(standing, now_s=claim.disputable_until_s)
    assert next_step(paper("buyer", OWN), seen_wh, late, RULES).action is Action.WAIT


@given(seen_wh=st.integers(0, 10**9))
def test_the_tolerance_is_the_larger_of_the_two(seen_wh: int) -> None:
    assert plausible_wh(seen_wh, RULES) == max(seen_wh + 20, seen_wh + seen_wh * 2 // 100)


@pytest.mark.parametrize(
    ("interim_wh", "safe_wh", "expected"), [(1_000, 0, True), (1_000, 1_000, False), (9_999, 2_500, False)]
)
def test_a_battery_attests_the_highest_interim_receipt_once(interim_wh: int, safe_wh: int, *, expected: bool) -> None:
    one = with_interim(paper("battery", OWN), interim_wh)
    standing = Standing(place=Place.DISPUTED, now_s=ENDS, claim=replace(CLAIM, safe_wh=safe_wh))
    assert (next_step(one, None, standing, RULES).action is Action.ATTEST) == expected
    half = replace(one, interim=replace(one.interim, buyer_signature=None)) if one.interim else one
    assert next_step(half, None, standing, RULES).action is Action.WAIT


def test_a_claim_is_made_in_time_whatever_the_owner_waits_for() -> None:
    patient = RULES._replace(cosign_wait_s=10**9)
    standing = Standing(place=Place.FREE, now_s=VALID - EXPIRE_MARGIN_S)
    assert next_step(paper("battery", OWN), None, standing, patient).action is Action.CLAIM


def test_a_delivery_that_stopped_early_is_not_claimed_before_the_contract_ends() -> None:
    early = with_final(cheque(), 5, cosigned=False, ended_at_s=CONTRACT.starts_at_s + 1)
    found = next_step(early, None, Standing(place=Place.FREE, now_s=ENDS - 1), RULES)
    assert found == Step(Action.WAIT, due_at_s=ENDS)


def test_a_receipt_that_the_battery_has_not_signed_is_none() -> None:
    signed = with_final(cheque(), cosigned=True)
    assert signed.final is not None
    assert paper_of(replace(signed, final=replace(signed.final, battery_signature=None))) is NONE


@given(
    role=st.sampled_from(get_args(Party)),
    place=st.sampled_from(Place),
    what=st.sampled_from(Paper),
    now_s=st.integers(0, VALID * 2),
    seen_wh=st.none() | st.integers(0, 5_000),
)
def test_whoever_waits_for_a_time_acts_when_it_comes(
    role: Party, place: Place, what: Paper, now_s: int, seen_wh: int | None
) -> None:
    found = step(role, place, what, now_s, seen_wh)
    if found.due_at_s is None:
        return
    assert found.due_at_s > now_s
    assert step(role, place, what, found.due_at_s, seen_wh).action is not Action.WAIT
