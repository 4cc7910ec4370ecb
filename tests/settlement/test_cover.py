"""The acceptance rule: whatever is promised, settled, claimed, voided or released, no cheque is ever uncovered."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from settlement.cover import CLAIM_MARGIN_S, Promise, Wanted, free_number, promised, shortfall
from settlement.lines import NUMBERS, RELEASE_DELAY_S, LineState

NOW_S: Final = 1_700_000_000
BUYER: Final = bytes([2]) * 32
BATTERY: Final = bytes([1]) * 32
LINE: Final = LineState(
    generation=7,
    base_no=10,
    used=0,
    amount=1_000,
    locked=0,
    release_amount=0,
    release_at_s=0,
    read_at_s=NOW_S,
    slot=99,
    buyer_key=BUYER,
    battery_key=BATTERY,
)
LATEST_S: Final = NOW_S + RELEASE_DELAY_S - CLAIM_MARGIN_S


def wanted(units: int = 100, **others: object) -> Wanted:
    want = Wanted(buyer_key=BUYER, battery_key=BATTERY, generation=7, units=units, valid_until_s=NOW_S + 300_000)
    return want._replace(**others)  # type: ignore[arg-type]


def test_what_is_covered_to_the_last_unit_is_promised_and_one_more_is_not() -> None:
    held = [Promise(10, 400), Promise(11, 100)]
    assert shortfall(LINE, held, wanted(500)) == ""
    assert shortfall(LINE, held, wanted(501)) == "501 units wanted, 500 of 1000 free"


def test_what_is_being_released_covers_nothing() -> None:
    line = replace(LINE, release_amount=600)
    assert shortfall(line, [], wanted(400)) == ""
    assert "400 of 400 free" in shortfall(line, [], wanted(401))
    assert "0 of 0 free" in shortfall(replace(LINE, release_amount=5_000), [], wanted(1))


def test_a_settled_number_takes_nothing_more_and_a_claimed_one_what_the_ledger_has_locked() -> None:
    held = [Promise(10, 400), Promise(11, 300)]
    settled = replace(LINE, used=0b01, amount=650)
    assert promised(settled, held) == 300
    claimed = replace(LINE, used=0b11, amount=650, locked=300)
    assert promised(claimed, held) == 300
    assert promised(replace(LINE, base_no=12), held) == 0


def test_a_contract_is_claimed_before_any_release_that_began_since_could_leave() -> None:
    assert shortfall(LINE, [], wanted(valid_until_s=LATEST_S)) == ""
    assert "read too long ago" in shortfall(LINE, [], wanted(valid_until_s=LATEST_S + 1))


def test_nobody_promises_on_a_line_unseen_of_another_generation_or_of_another_key() -> None:
    assert "no line of yours" in shortfall(None, [], wanted())
    assert "generation 6" in shortfall(LINE, [], wanted(generation=6))
    assert "another signing key" in shortfall(LINE, [], wanted(buyer_key=bytes([9]) * 32))
    assert "this battery's" in shortfall(LINE, [], wanted(battery_key=bytes([9]) * 32))
    unread = replace(LINE, buyer_key=bytes(32), battery_key=bytes(32))
    assert "another signing key" in shortfall(unread, [], wanted())
    assert "another signing key" in shortfall(unread, [], wanted(buyer_key=bytes(32), battery_key=bytes(32)))


def test_numbers_come_from_the_window_without_used_or_promised_ones() -> None:
    assert free_number(LINE, []) == 10
    assert free_number(replace(LINE, used=0b1011), [Promise(12, 1), Promise(14, 1)]) == 15
    full = replace(LINE, used=(1 << NUMBERS) - 1)
    assert free_number(full, []) is None
    assert "all 256 contract numbers" in shortfall(full, [], wanted())
    last = replace(LINE, used=(1 << NUMBERS - 1) - 1)
    assert free_number(last, []) == 10 + 255
    assert free_number(last, [Promise(10 + 255, 1)]) is None


@given(st.sets(st.integers(0, NUMBERS - 1)), st.sets(st.integers(0, 400)), st.integers(0, 1 << 40))
def test_a_free_number_is_always_free_and_within_the_window(used: set[int], held: set[int], base_no: int) -> None:
    line = replace(LINE, base_no=base_no, used=sum(1 << bit for bit in used))
    promises = [Promise(base_no + offset, 1) for offset in held]
    number = free_number(line, promises)
    if number is None:
        assert {bit for bit in range(NUMBERS) if bit not in used} <= held
    else:
        assert base_no <= number < base_no + NUMBERS
        assert number - base_no not in used
        assert number - base_no not in held


class OneLine(RuleBasedStateMachine):
    """A ledger's Line, the battery's stale read of it, and its promises: what was accepted is always there to pay."""

    def __init__(self) -> None:
        super().__init__()
        self.now_s = NOW_S
        self.truth = LINE
        self.read = LINE
        self.held: dict[int, tuple[Promise, int]] = {}
        self.locked: dict[int, int] = {}

    @rule(units=st.integers(1, 600), valid_s=st.integers(86_400, 8 * 86_400))
    def bid(self, units: int, valid_s: int) -> None:
        promises = [promise for promise, _ in self.held.values()]
        want = wanted(units, valid_until_s=self.now_s + valid_s)
        if not shortfall(self.read, promises, want):
            number = free_number(self.read, promises)
            assert number is not None
            assert number not in self.held
            self.held[number] = Promise(number, units), want.valid_until_s

    @precondition(lambda self: self.held)
    @rule(data=st.data(), share=st.integers(0, 100))
    def settle(self, data: st.DataObject, share: int) -> None:
        self._pay(data.draw(st.sampled_from(sorted(self.held))), share)

    def _pay(self, number: int, share: int) -> None:
        promise, valid_until_s = self.held[number]
        if number in self.locked:
            self.truth = replace(self.truth, locked=self.truth.locked - self.locked.pop(number))
            del self.held[number]
        elif self.truth.is_used(number) or self.now_s > valid_until_s:
            return
        else:
            self._use(number)
        self.truth = replace(self.truth, amount=self.truth.amount - promise.units * share // 100)

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def claim(self, data: st.DataObject) -> None:
        number = data.draw(st.sampled_from(sorted(self.held)))
        promise, valid_until_s = self.held[number]
        if self.truth.is_used(number) or self.now_s > valid_until_s:
            return
        assert promise.units <= self.truth.amount - self.truth.locked, "a cheque is not covered"
        self._use(number)
        self.locked[number] = promise.units
        self.truth = replace(self.truth, locked=self.truth.locked + promise.units)

    def _use(self, number: int) -> None:
        base_no, used = self.truth.base_no, self.truth.used | 1 << number - self.truth.base_no
        while used & 1:
            base_no, used = base_no + 1, used >> 1
        self.truth = replace(self.truth, base_no=base_no, used=used)

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def void(self, data: st.DataObject) -> None:
        number = data.draw(st.sampled_from(sorted(self.held)))
        if not self.truth.is_used(number):
            del self.held[number]

    @rule(amount=st.integers(0, 1_000))
    def request_release(self, amount: int) -> None:
        if amount <= self.truth.amount:
            self.truth = replace(self.truth, release_amount=amount, release_at_s=self.now_s + RELEASE_DELAY_S)

    @precondition(lambda self: self.truth.release_amount and self.now_s >= self.truth.release_at_s)
    @rule()
    def release(self) -> None:
        leaves = min(self.truth.release_amount, self.truth.amount - self.truth.locked)
        self.truth = replace(self.truth, amount=self.truth.amount - leaves, release_amount=0)

    @rule(units=st.integers(1, 1_000))
    def allot(self, units: int) -> None:
        self.truth = replace(self.truth, amount=self.truth.amount + units)

    @rule(seconds=st.integers(1, 5 * 86_400))
    def wait(self, seconds: int) -> None:
        self.now_s += seconds
        self.truth = replace(self.truth, read_at_s=self.now_s)

    @rule()
    def look(self) -> None:
        self.read = replace(self.truth, read_at_s=self.now_s)
        for number, (_, valid_until_s) in list(self.held.items()):
            is_over = self.read.is_used(number) or self.now_s > valid_until_s
            if is_over and number not in self.locked:
                del self.held[number]

    @invariant()
    def every_cheque_that_may_still_be_claimed_is_covered(self) -> None:
        claimable = [
            promise.units
            for number, (promise, valid_until_s) in self.held.items()
            if number not in self.locked and not self.truth.is_used(number) and self.now_s <= valid_until_s
        ]
        assert sum(claimable) <= self.truth.amount - self.truth.locked


TestOneLine = OneLine.TestCase
