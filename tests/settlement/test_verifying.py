"""A trade's bundle proves itself, or says what does not hold; what the ledger paid is held against the formula."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from settlement import Cheque, SignedReceipt
from settlement.bundle import Bundle, BundleError, Evidence
from settlement.evidence import Sample, evidence_of
from settlement.program import events
from settlement.program.history import Happened
from settlement.signing import sign_contract, sign_receipt
from settlement.verifying import Finding, check_papers, check_payment, ends
from tests.settlement.terms import BATTERY, BUYER, CONTRACT, STRANGER, receipt_with

if TYPE_CHECKING:
    from settlement.program.codec import Record
    from settlement.receipt import Receipt

SAMPLES = Sample(-5_000, 1, 100, 1).encode() + Sample(-5_000, 2, 142, 2).encode()
EVIDENCE = Evidence(portions=(SAMPLES[:40], SAMPLES[40:]), shared=("other",))
FINAL = receipt_with(
    delivered_wh=2_000, evidence=evidence_of(CONTRACT.trade_id.hex(), EVIDENCE.portions, EVIDENCE.shared)
)
INTERIM = receipt_with(final=False, delivered_wh=1_000)


def signed(receipt: Receipt) -> SignedReceipt:
    both = (sign_receipt(receipt, CONTRACT, key) for key in (BATTERY, BUYER))
    return SignedReceipt(receipt=receipt, **dict(zip(("battery_signature", "buyer_signature"), both, strict=True)))


CHEQUE = Cheque(
    role="battery",
    contract=CONTRACT,
    battery_key=BATTERY.public_key,
    buyer_key=BUYER.public_key,
    battery_signature=sign_contract(CONTRACT, BATTERY),
    buyer_signature=sign_contract(CONTRACT, BUYER),
    interim=signed(INTERIM),
    final=signed(FINAL),
)
BUNDLE = Bundle(cheque=CHEQUE, stage="settled", signature=b"\x07" * 64, evidence=EVIDENCE)


def settled(**changed: Any) -> events.Settled:
    split = CONTRACT.split(2_000)
    told = {
        "trade_id": CONTRACT.trade_id,
        "line": bytes(32),
        "contract_no": CONTRACT.contract_no,
        "battery_wallet": CONTRACT.battery_wallet,
        "buyer_wallet": CONTRACT.buyer_wallet,
        "delivered_wh": 2_000,
        "reserved": CONTRACT.reserve,
        "payout": split.payout,
        "fee": split.fee,
        "returned": split.returned,
        "bond_to_battery": 0,
        "bond_to_buyer": 0,
        "unpaid": 0,
        "battery_sequence": 1,
        "buyer_sequence": 1,
        "how": 0,
    }
    return events.Settled(**{**told, **changed})


def happened(*told: Record, error: Any = None) -> Happened:
    return Happened(signature="5ig", slot=7, error=error, units=5_400, fee=15_000, events=told)


def bad(findings: Any) -> set[str]:
    return {finding.name for finding in findings if not finding.holds}


def test_a_whole_bundle_holds_and_comes_back() -> None:
    assert Bundle.from_json(BUNDLE.to_json()) == BUNDLE
    findings = list(check_papers(BUNDLE))
    assert bad(findings) == set()
    assert len(findings) == 10
    assert bad(check_payment(BUNDLE, happened(settled()))) == set()


def test_a_bundle_of_a_trade_that_goes_on_is_as_good() -> None:
    bare = Bundle(cheque=replace(CHEQUE, interim=None, final=None), stage="waiting")
    assert Bundle.from_json(bare.to_json()) == bare
    assert bad(check_papers(bare)) == set()


@pytest.mark.parametrize(
    ("broken", "named"),
    [
        (replace(CHEQUE, buyer_signature=CHEQUE.battery_signature), "contract signed by the buyer"),
        (replace(CHEQUE, battery_key=STRANGER.public_key), "contract signed by the battery"),
        (replace(CHEQUE, battery_signature=bytes([1]) + bytes(63)), "contract signed by the battery"),
        (replace(CHEQUE, final=replace(signed(FINAL), buyer_signature=bytes(64))), "final receipt signed by the buyer"),
        (replace(CHEQUE, interim=signed(FINAL)), "interim receipt"),
    ],
)
def test_what_nobody_signed_so_is_told(broken: Cheque, named: str) -> None:
    assert named in bad(check_papers(replace(BUNDLE, cheque=broken)))


def test_samples_that_are_not_those_of_the_receipt_are_told() -> None:
    fewer = Evidence(portions=EVIDENCE.portions[:1], shared=EVIDENCE.shared)
    assert bad(check_papers(replace(BUNDLE, evidence=fewer))) == {"evidence"}
    torn = Evidence(portions=(SAMPLES[:39],), shared=())
    assert bad(check_papers(replace(BUNDLE, evidence=torn))) == {"evidence"}


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"payout": CONTRACT.split(2_000).payout + 1}, {"payout", "sum"}),
        ({"fee": 0}, {"payout", "sum"}),
        ({"returned": 0}, {"sum"}),
        ({"reserved": CONTRACT.reserve + 1}, {"sum"}),
        ({"battery_wallet": bytes([9]) * 32}, {"parties"}),
        ({"delivered_wh": 1_999}, {"energy", "payout"}),
        ({"trade_id": bytes(32)}, {"payment"}),
    ],
)
def test_a_payment_that_is_not_by_the_formula_is_told(changed: dict[str, Any], named: set[str]) -> None:
    assert bad(check_payment(BUNDLE, happened(settled(**changed)))) == named


def test_a_ruling_may_give_less_and_never_more_than_was_claimed() -> None:
    split = CONTRACT.split(1_500)
    figures = {"delivered_wh": 1_500, "payout": split.payout, "fee": split.fee, "returned": split.returned, "how": 2}
    assert bad(check_payment(BUNDLE, happened(settled(**figures)))) == set()
    more = CONTRACT.split(2_100)
    figures = {"delivered_wh": 2_100, "payout": more.payout, "fee": more.fee, "returned": more.returned, "how": 2}
    assert bad(check_payment(BUNDLE, happened(settled(**figures)))) == {"energy"}


def test_who_never_got_the_final_receipt_can_still_check_a_claim_but_no_cosigned_payment() -> None:
    without = replace(BUNDLE, cheque=replace(CHEQUE, final=None), evidence=None)
    assert bad(check_payment(without, happened(settled(how=1)))) == set()
    assert bad(check_payment(without, happened(settled(how=0)))) == {"energy"}


def test_a_transaction_that_failed_paid_nothing() -> None:
    assert bad(check_payment(BUNDLE, happened(error="AlreadyProcessed"))) == {"transaction", "payment"}
    assert not ends(BUNDLE, happened(settled(trade_id=bytes(32))))


@pytest.mark.parametrize("text", ["", "[]", "{}", "null", '{"format": "wattbid-trade", "version": 2}', "[" * 100_000])
def test_other_texts_are_no_bundles(text: str) -> None:
    with pytest.raises(BundleError):
        Bundle.from_json(text)


@given(st.data())
def test_a_damaged_bundle_is_refused_or_read_never_a_crash(data: st.DataObject) -> None:
    body = json.loads(BUNDLE.to_json())
    name = data.draw(st.sampled_from(sorted(body)))
    body[name] = data.draw(st.none() | st.integers() | st.text(max_size=8) | st.lists(st.integers(), max_size=2))
    try:
        found = Bundle.from_json(json.dumps(body))
    except BundleError:
        return
    assert all(isinstance(finding, Finding) for finding in check_papers(found))


def test_an_agreement_after_a_dispute_takes_nothing_back() -> None:
    """docs/decisions/011: both may agree on less than was safe, and what was paid stays."""
    safe = CONTRACT.split(2_200)
    disputed = events.Disputed(
        CONTRACT.trade_id, bytes(32), 7, 2_400, 2_200, 2_200, safe.payout - 1_000, 1_000, 1_000, 9, 1, 1
    )
    figures = {"payout": safe.payout, "fee": safe.fee, "returned": safe.returned}
    paid = happened(settled(**figures))
    assert bad(check_payment(BUNDLE, paid, [happened(disputed)])) == set()
    assert bad(check_payment(BUNDLE, paid)) == {"payout"}
