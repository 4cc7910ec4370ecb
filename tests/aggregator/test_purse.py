"""Need and budget are never promised twice, whatever happens to the bids."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from aggregator.purse import MONEY_PER_CENT, Claim, Purse

NEED_WH = 12_000
BUDGET = 9_000 * 100_000


class PurseMachine(RuleBasedStateMachine):
    """Random bids, awards, ends and periods against a plain model."""

    def __init__(self) -> None:
        super().__init__()
        self.purse = Purse(need_wh=NEED_WH, budget=BUDGET, period_ms=1_000)
        self.claims: dict[int, Claim] = {}
        self.agreed: set[int] = set()
        self.battery_of: dict[int, str] = {}
        self.next_id = 0
        self.now_ms = 0

    @rule(price=st.integers(1, 2_000), steps=st.integers(1, 60), battery=st.sampled_from([None, "a", "b"]))
    def reserve(self, price: int, steps: int, battery: str | None) -> None:
        claim = Claim(price * 100, steps * 100)
        allowed = claim.energy_wh <= self.purse.open_wh(claim.price_e4, battery)
        assert self.purse.reserve(self.next_id, *claim, battery) == allowed
        if allowed:
            self.claims[self.next_id] = claim
            self.battery_of[self.next_id] = battery or f"alone {self.next_id}"
            assert not self.purse.reserve(self.next_id, *claim, battery)
        self.next_id += 1

    def pick(self, index: int, ids: list[int]) -> int | None:
        return ids[index % len(ids)] if ids else None

    @rule(index=st.integers(0, 99), less=st.integers(0, 100))
    def agree(self, index: int, less: int) -> None:
        chosen = self.pick(index, [i for i in self.claims if i not in self.agreed])
        if chosen is not None and self.purse.allows(chosen):
            price = max(0, self.claims[chosen].price_e4 - less * 100)
            self.purse.agree(chosen, price)
            self.claims[chosen] = self.claims[chosen]._replace(price_e4=price)
            self.agreed.add(chosen)

    @rule(index=st.integers(0, 99))
    def release(self, index: int) -> None:
        chosen = self.pick(index, [i for i in self.claims if i not in self.agreed])
        if chosen is not None:
            self.purse.freed = False
            self.purse.release(chosen)
            del self.claims[chosen]
            assert self.purse.freed

    @rule(index=st.integers(0, 99), delivered=st.integers(-100, 7_000))
    def close(self, index: int, delivered: int) -> None:
        chosen = self.pick(index, sorted(self.agreed))
        if chosen is not None:
            claim = self.claims.pop(chosen)
            self.agreed.discard(chosen)
            booked = self.purse.close(chosen, delivered)
            assert booked == Claim(claim.price_e4, min(max(delivered, 0), claim.energy_wh))

    @rule(ms=st.integers(0, 3_000))
    def pass_time(self, ms: int) -> None:
        self.now_ms += ms
        self.purse.renew(self.now_ms)

    def weights(self) -> tuple[int, int]:
        """Energy and money of all commitments, and of the heaviest bid to each battery."""
        ways: dict[str, list[Claim]] = {}
        for claim_id, claim in self.claims.items():
            name = f"agreed {claim_id}" if claim_id in self.agreed else self.battery_of[claim_id]
            ways.setdefault(name, []).append(claim)
        return (
            sum(max(claim.energy_wh for claim in way) for way in ways.values()),
            sum(max(claim.money for claim in way) for way in ways.values()),
        )

    @invariant()
    def nothing_is_committed_twice(self) -> None:
        assert (self.purse.committed_wh, self.purse.committed) == self.weights()
        agreed = [self.claims[claim_id] for claim_id in self.agreed]
        assert self.purse.bought_wh + sum(claim.energy_wh for claim in agreed) <= NEED_WH
        assert self.purse.spent + sum(claim.money for claim in agreed) <= BUDGET
        assert 0 < self.purse.pace_permille(self.now_ms) <= 1_000


PurseMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
TestPurse = PurseMachine.TestCase


def test_without_limits_everything_may_be_promised() -> None:
    purse = Purse(need_wh=None, budget=None)
    assert purse.open_wh(100_000) > 10**15
    assert purse.reserve(1, 100_000, 50_000)
    assert purse.pace_permille(0) == 1_000


def test_a_period_starts_anew_and_open_claims_weigh_on_it() -> None:
    purse = Purse(need_wh=1_000, budget=None, period_ms=100, now_ms=7)
    assert purse.reserve(1, 100, 600)
    purse.agree(1, 100)
    purse.close(1, 600)
    assert purse.reserve(2, 100, 400)
    purse.renew(106)
    assert purse.open_wh(100) == 0
    purse.renew(107)
    assert purse.open_wh(100) == 600


def test_without_a_period_nothing_starts_anew() -> None:
    purse = Purse(need_wh=100, budget=None, period_ms=0)
    assert purse.reserve(1, 100, 100)
    purse.agree(1, 100)
    purse.close(1, 100)
    purse.renew(1 << 50)
    assert purse.open_wh(100) == 0


def test_spending_ahead_of_time_lowers_what_is_bid() -> None:
    budget = 100 * MONEY_PER_CENT
    purse = Purse(need_wh=None, budget=budget, period_ms=1_000)
    assert purse.reserve(1, 100_000, 2_000)
    assert purse.committed * 5 == budget
    assert purse.pace_permille(100) == 1_000
    assert purse.pace_permille(0) == round(1_000 / 1.5)
    assert purse.pace_permille(5_000) == 1_000
