"""The model by itself: what becomes of a claim, for any figures that its parties and its resolver say."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from settlement.program.accounts import Escrow, Line, Participant, Unpaid
from settlement.program.failures import Failure
from settlement.values import ZERO
from tests.settlement.program.machine import Machine
from tests.settlement.program.model_money import is_spent, spend
from tests.settlement.program.model_world import Clock, Refused, Token, World
from tests.settlement.program.scene import AT, TIMEOUT_S, mint, payee, wallet
from tests.settlement.program.steps import Step
from tests.settlement.program.walk import opening

if TYPE_CHECKING:
    from settlement import Contract
    from settlement.program.events import Settled

BUYER, BATTERY, MINT = 0, 3, 0
ON: Final = {"buyer": BUYER, "battery": BATTERY, "mint": MINT}
WINDOW_S: Final = 3_600
DEPOSITED: Final = 10**10


@cache
def _opened() -> World:
    machine = Machine(None)
    for step in opening():
        machine.take(step)
    return machine.state.world


@dataclass
class Play:
    """One contract on a fresh world."""

    machine: Machine
    contract: Contract

    @classmethod
    def of(cls, **terms: Any) -> Play:
        machine = Machine(None)
        machine.state.world = _opened()
        agreed = {
            "price_e4": 251_300,
            "energy_wh": 2_500,
            "base_units_per_cent": 10_000,
            "fee_bps": 50,
            **terms,
            "dispute_window_s": WINDOW_S,
            "resolver": 0,
        }
        times = {"starts_in_s": -1_000, "lasts_s": 900, "valid_for_s": 86_400}
        machine.take(Step("agree", {**ON, "index": 1, "offset": 0, **times, **agreed}))
        return cls(machine, machine.state.book[1].contract)

    def take(self, name: str, **values: Any) -> bool:
        """Take a step; return whether it went through."""
        before = self.machine.state.world
        both = {"battery": "key", "buyer": "key"} if name in ("settle", "claim", "attest") else {}
        self.machine.take(Step(name, {"trade": 1, **both, **values}))
        return self.machine.state.world is not before

    def wait(self, seconds: int) -> None:
        self.machine.take(Step("tick", {"s": seconds, "slots": 1}))

    def price(self, wh: int) -> int:
        return self.contract.split(wh).payout

    @property
    def battery_has(self) -> int:
        account = self.machine.state.world.at(bytes(payee(BATTERY, MINT))).data
        assert isinstance(account, Token)
        return account.amount

    @property
    def escrow(self) -> Escrow:
        account = self.machine.state.world.at(bytes(AT.escrow(wallet(BUYER), mint(MINT)))).data
        assert isinstance(account, Escrow)
        return account

    def settled(self) -> Settled:
        """Return the trade's end."""
        assert self.machine.ended is not None
        return self.machine.ended


_TERMS: Final = st.fixed_dictionaries(
    {
        "price_e4": st.integers(0, 30_000).map(lambda ticks: ticks * 100),
        "energy_wh": st.integers(1, 100).map(lambda steps: steps * 100),
        "base_units_per_cent": st.sampled_from((1, 7, 9_999, 10_000)),
        "fee_bps": st.integers(0, 500),
    }
)
_SHARE: Final = st.integers(0, 1_000)


def part(share: int, low: int, high: int) -> int:
    """Return so many thousandths of the way from `low` to `high`."""
    return low + (high - low) * share // 1_000


@settings(max_examples=150, deadline=None)
@given(terms=_TERMS, shares=st.tuples(_SHARE, _SHARE, _SHARE, _SHARE, _SHARE), times_out=st.booleans())
def test_a_dispute_gives_each_side_what_the_ruling_says(
    terms: dict[str, int], shares: tuple[int, int, int, int, int], times_out: bool
) -> None:
    claimed, said, attested, later, ruled = shares
    play = Play.of(**terms)
    claimed_wh = part(claimed, 1, play.contract.energy_wh)
    buyer_wh = part(said, 0, claimed_wh - 1)
    assert play.take("claim", wh=claimed_wh)
    play.take("attest", wh=part(attested, 0, claimed_wh - 1))
    assert play.take("dispute", wh=buyer_wh)
    trade = play.machine.state.trade(play.contract)
    assert trade is not None
    assert play.battery_has == play.price(trade.safe_wh) - trade.held
    play.take("attest", wh=part(later, 0, claimed_wh))
    trade = play.machine.state.trade(play.contract)
    assert trade is not None
    safe_wh = trade.safe_wh
    assert play.battery_has == play.price(safe_wh) - trade.held
    if times_out:
        play.wait(TIMEOUT_S)
        assert play.take("timeout")
        twice = safe_wh + claimed_wh
    else:
        ruling = part(ruled, safe_wh, claimed_wh)
        assert play.take("resolve", wh=ruling)
        twice = 2 * ruling
    end = play.settled()
    assert end.payout == play.price(twice // 2)
    far_battery, far_buyer = 2 * claimed_wh - twice, twice - 2 * buyer_wh
    bond = trade.bond if far_buyer > far_battery else 0
    held = trade.held if far_battery > far_buyer else 0
    assert (end.bond_to_battery, end.bond_to_buyer) == (bond, held)
    _books_are_closed(play, end.payout + bond - held)


@settings(max_examples=60, deadline=None)
@given(terms=_TERMS, claimed=_SHARE, said=_SHARE, agreed=_SHARE)
def test_who_agrees_in_the_end_loses_no_bond(terms: dict[str, int], claimed: int, said: int, agreed: int) -> None:
    play = Play.of(**terms)
    claimed_wh = part(claimed, 1, play.contract.energy_wh)
    assert play.take("claim", wh=claimed_wh)
    buyer_wh = part(said, 0, claimed_wh - 1)
    assert play.take("dispute", wh=buyer_wh)
    agreed_wh = part(agreed, 0, play.contract.energy_wh)
    assert play.take("settle", wh=agreed_wh)
    _books_are_closed(play, max(play.price(agreed_wh), play.price(buyer_wh)))


@settings(max_examples=60, deadline=None)
@given(terms=_TERMS, delivered=st.integers(0, 20_000), is_claimed=st.booleans())
def test_an_undisputed_delivery_is_paid_once(terms: dict[str, int], delivered: int, is_claimed: bool) -> None:
    play = Play.of(**terms)
    if is_claimed:
        assert play.take("claim", wh=delivered)
        play.wait(WINDOW_S)
        assert play.take("finalize")
    else:
        assert play.take("settle", wh=delivered)
    _books_are_closed(play, play.price(delivered))
    assert not play.take("claim", wh=delivered)
    before = play.machine.state.world.accounts
    play.take("settle", wh=delivered)
    assert play.machine.state.world.accounts == before


def _books_are_closed(play: Play, to_battery: int) -> None:
    """See that nothing is open, and that everything that left the buyer is with the battery or due as a fee."""
    world, escrow = play.machine.state.world, play.escrow
    line = play.machine.state.line(BUYER, BATTERY, MINT)
    assert line is not None
    assert (line.locked, line.open_trades, escrow.bonds, escrow.unpaid) == (0, 0, 0, 0)
    assert play.battery_has == line.paid == to_battery
    fee = play.settled().fee
    assert escrow.fees_due == fee
    assert escrow.available + escrow.allotted == DEPOSITED - to_battery - fee
    for person in (BUYER, BATTERY):
        participant = play.machine.state.participant(person)
        assert isinstance(participant, Participant)
        assert (participant.trades_settled, participant.contracted_wh) == (1, play.contract.energy_wh)
    unpaid = world.at(bytes(AT.unpaid(wallet(BATTERY), AT.escrow(wallet(BUYER), mint(MINT))))).data
    assert isinstance(unpaid, Unpaid)
    assert unpaid.amount == 0


def test_a_payee_that_cannot_take_it_is_paid_later() -> None:
    play = Play.of()
    play.machine.take(Step("disturb", {"person": BATTERY, "mint": MINT, "kind": "frozen"}))
    assert play.take("settle", wh=2_500)
    assert (play.battery_has, play.escrow.unpaid) == (0, play.price(2_500))
    assert not play.take("collect", **ON, signs=False)
    play.machine.take(Step("disturb", {"person": BATTERY, "mint": MINT, "kind": "thawed"}))
    assert play.take("collect", **ON, signs=False)
    _books_are_closed(play, play.price(2_500))


@settings(max_examples=100, deadline=None)
@given(base=st.integers(0, 10**6), offsets=st.lists(st.integers(-1, 300), max_size=80))
def test_numbers_are_a_set_with_a_window(base: int, offsets: list[int]) -> None:
    line = Line(1, 255, ZERO, ZERO, ZERO, ZERO, ZERO, 0, 0, 0, 0, 1, base, ZERO, 0, 0, 0)
    spent: set[int] = set()
    for offset in offsets:
        number = max(0, line.base_no + offset)
        if number >= line.base_no + 256:
            with pytest.raises(Refused) as refused:
                is_spent(line, number)
            assert refused.value.failures == {Failure.NUMBER_OUT_OF_WINDOW}
            continue
        assert is_spent(line, number) == (number in spent or number < base)
        if not is_spent(line, number):
            line = spend(line, number)
            spent.add(number)
        assert line.base_no not in spent
        assert all(number in spent for number in range(base, line.base_no))


def test_time_decides_at_the_second() -> None:
    play = Play.of()
    contract = play.contract
    state = play.machine.state
    state.clock = Clock(contract.ends_at_s - 1, state.clock.slot)
    assert not play.take("claim", wh=2_500)
    state.clock = Clock(contract.valid_until_s, state.clock.slot)
    assert not play.take("claim", wh=2_500)
    state.clock = Clock(contract.valid_until_s - 1, state.clock.slot)
    assert play.take("claim", wh=2_500)
    play.wait(WINDOW_S - 1)
    assert not play.take("finalize")
    play.wait(1)
    assert not play.take("dispute", wh=1)
    assert play.take("finalize")
