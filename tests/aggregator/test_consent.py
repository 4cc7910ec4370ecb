"""What is said to a receipt, over everything that may have been said before."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from aggregator.consent import Judge, Say
from aggregator.entries import Entry, State
from aggregator.sight import Sight
from aggregator.testing.seller import BATTERY_KEYS, BUYER_KEYS, TERMS
from settlement.cheque import Cheque, SignedReceipt
from settlement.contract import Contract
from settlement.keys import device_id
from settlement.progress import Rules, plausible_wh
from settlement.receipt import Receipt
from settlement.signing import sign_contract, sign_receipt

if TYPE_CHECKING:
    from settlement.keyring import KeyRing

RULES = Rules(cosign_wait_s=0, tolerance_wh=20, tolerance_percent=2)
ENERGY_WH = 5_000
HOUR_MS = 3_600_000


def _id(keys: KeyRing) -> int:
    return device_id(keys.public_keys["identity"])


CONTRACT = Contract(
    venue=TERMS.venue,
    battery_wallet=BATTERY_KEYS.public_keys["wallet"],
    buyer_wallet=BUYER_KEYS.public_keys["wallet"],
    generation=431,
    contract_no=0,
    battery_device_id=_id(BATTERY_KEYS),
    buyer_device_id=_id(BUYER_KEYS),
    message_id=7,
    price_e4=50_000,
    energy_wh=ENERGY_WH,
    base_units_per_cent=10_000,
    starts_at_s=1_700_000_000,
    ends_at_s=1_700_004_560,
    valid_until_s=1_700_300_000,
    fee_bps=50,
    dispute_window_s=86_400,
    resolver=TERMS.resolver,
)
START = Entry(
    cheque=Cheque(
        role="buyer",
        contract=CONTRACT,
        battery_key=BATTERY_KEYS.public_keys["identity"],
        buyer_key=BUYER_KEYS.public_keys["identity"],
        battery_signature=sign_contract(CONTRACT, BATTERY_KEYS.identity),
        buyer_signature=sign_contract(CONTRACT, BUYER_KEYS.identity),
    ),
    power_w=5_000,
    agreed_at_ms=0,
    seen_at_ms=0,
)
SIGHT = Sight(energy_wh=ENERGY_WH, power_w=5_000, agreed_at_ms=0, seen_at_ms=0, ends_at_ms=4_560_000)


def receipt(wh: int, *, final: bool, ended_at_s: int = 1_700_000_060) -> SignedReceipt:
    value = Receipt(
        trade_id=CONTRACT.trade_id,
        final=final,
        delivered_wh=wh,
        started_at_s=1_700_000_000,
        ended_at_s=ended_at_s,
        evidence=bytes(32),
    )
    return SignedReceipt(receipt=value, battery_signature=sign_receipt(value, CONTRACT, BATTERY_KEYS.identity))


@dataclass(frozen=True)
class Said:
    """One receipt of a battery that says whatever it likes, some time after the last."""

    wh: int
    final: bool
    seen_wh: int
    after_ms: int


SAID = st.builds(
    Said,
    wh=st.integers(0, 6_000) | st.just((1 << 64) - 1),
    final=st.booleans(),
    seen_wh=st.integers(0, 6_000),
    after_ms=st.integers(0, HOUR_MS),
)


@given(said=st.lists(SAID, max_size=12), cosigns=st.booleans())
def test_whatever_a_battery_says_one_final_receipt_is_answered_and_never_more_than_can_be_is_signed(
    said: list[Said], cosigns: bool
) -> None:
    judge = Judge(signer=BUYER_KEYS.identity, rules=RULES, cosigns=cosigns)
    entry, sight, now_ms = START, SIGHT, 0
    finals: set[Receipt] = set()
    answers: set[tuple[Say, Receipt]] = set()
    for step in said:
        now_ms += step.after_ms
        sight = sight.saw(step.seen_wh, now_ms)
        given_ = receipt(step.wh, final=step.final, ended_at_s=1_700_000_060 + len(finals))
        before = entry
        verdict = (judge.final if step.final else judge.interim)(entry, given_, sight, now_ms)
        entry = verdict.entry
        entry.cheque.check()
        if verdict.answer is None:
            assert not cosigns
            continue
        assert cosigns
        told = verdict.answer.receipt
        assert told.delivered_wh <= plausible_wh(sight.most_wh(now_ms), RULES) or verdict.say is Say.NO
        if verdict.say is Say.YES:
            assert told == given_.receipt
            assert verdict.answer.is_cosigned
        if step.final:
            answers.add((Say.YES if entry.state is State.AGREED else Say.NO, told))
            if entry.cheque.final is not None:
                finals.add(entry.cheque.final.receipt)
            assert before.state is State.OPEN or entry == before
            assert entry.figure_wh is not None
            assert entry.figure_wh <= ENERGY_WH
    assert len(finals) <= 1
    assert len(answers) <= 1


def test_our_own_figure_is_never_below_what_we_signed_before() -> None:
    judge = Judge(signer=BUYER_KEYS.identity, rules=RULES)
    sight = SIGHT.saw(1_000, HOUR_MS)
    entry = judge.interim(START, receipt(1_020, final=False), sight, HOUR_MS).entry
    verdict = judge.final(entry, receipt(4_000, final=True), sight, HOUR_MS)
    assert (verdict.say, verdict.entry.figure_wh) == (Say.NO, 1_020)
    verdict = judge.interim(entry, receipt(4_000, final=False), sight, HOUR_MS)
    assert verdict.answer is not None
    assert (verdict.say, verdict.answer.receipt.delivered_wh) == (Say.NO, 1_020)


def test_a_lower_interim_receipt_is_signed_and_the_higher_one_is_kept() -> None:
    judge = Judge(signer=BUYER_KEYS.identity, rules=RULES)
    sight = SIGHT.saw(1_000, HOUR_MS)
    entry = judge.interim(START, receipt(900, final=False), sight, HOUR_MS).entry
    verdict = judge.interim(entry, receipt(700, final=False), sight, HOUR_MS)
    assert (verdict.say, verdict.entry) == (Say.YES, entry)
    assert verdict.answer is not None
    assert verdict.answer.is_cosigned


def test_more_than_agreed_within_the_tolerance_is_signed_and_counts_as_agreed() -> None:
    judge = Judge(signer=BUYER_KEYS.identity, rules=RULES)
    sight = replace(SIGHT, seen_wh=ENERGY_WH, seen_at_ms=HOUR_MS)
    verdict = judge.final(START, receipt(5_003, final=True), sight, HOUR_MS)
    assert (verdict.say, verdict.entry.figure_wh) == (Say.YES, ENERGY_WH)
