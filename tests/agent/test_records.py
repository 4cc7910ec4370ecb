"""Record bodies: what is built can be written, and read back as it was."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from hashlib import sha256

import pytest

from agent import records
from agent.pricing import LotSeen
from agent.records import AUDIT_TRAIL, PASSING, Deal, Kind, RecordBody

DEAL = Deal(
    peer="key:" + "ab" * 32,
    bid_id=2**62 + 1,
    price_e4=301_000,
    energy_wh=1_200,
    power_w=3_000,
    lot_id=17,
    buyer="key:" + "ab" * 32,
    signer="ab" * 32,
    reserve_e4=300_000,
    first_acceptable_e4=300_100,
    distinct_bidders=3,
    increment_e4=1_000,
    window_s=1_860,
    asked_at_ms=5_000,
    awarded_at_ms=5_400,
    contract="c0",
    battery_key="ba",
    battery_signature="b1",
    buyer_signature="b2",
)

BODIES: dict[Kind, list[RecordBody]] = {
    Kind.LOT_OPENED: [
        records.lot_opened(
            energy_wh=5_000, power_w=5_000, reserve_e4=1, increment_e4=1_000, standing_ms=400, rule="r", seed=b"\1"
        )
    ],
    Kind.LOT_CLOSED: [records.lot_closed(lot_id=17, reason="sold", sold_wh=5_000, bids=4, distinct_bidders=2)],
    Kind.LOT_SEEN: [records.lot_seen(LotSeen(1, 2, 3, 5, 4), cap_e4=6), records.lot_seen(LotSeen(1, 2, 0), cap_e4=6)],
    Kind.AWARD: [records.award(DEAL)],
    Kind.CONFIRMED: [records.confirmed(DEAL, award_seq=18, confirmed_at_ms=5_600)],
    Kind.VOID: [records.void(peer="conn:1", bid_id=1, code=10, blame=True, shield_e4=5, shield_until_wall_ms=7)],
    Kind.SHIELD: [records.shield(price_e4=5, until_wall_ms=7, buyer="b", reason="connection closed")],
    Kind.TAKE_OVER: [records.take_over(found={"WSetEna": 0}, recipe=[("WSetEna", 0), ("WSet", 0)])],
    Kind.RELEASED: [records.released(reason="ended")],
    Kind.DELIVERY_STARTED: [records.delivery_started(peer="conn:1", bid_id=1, first_setpoint_at_ms=6_000)],
    Kind.DELIVERY_PROGRESS: [records.delivery_progress(peer="conn:1", bid_id=1, delivered_wh=3, counter_wh=103)],
    Kind.DELIVERY_ENDED: [records.delivery_ended(peer="conn:1", bid_id=1, code=0, delivered_wh=1_200)],
    Kind.EVIDENCE: [
        records.evidence(peer="p", bid_id=1, trade_id="ab", samples=bytes(40), chain=bytes(32), shared=("conn:1/2",))
    ],
    Kind.RECEIPT: [
        records.receipt(
            trade_id="ab", receipt=bytes(106), final=True, battery_signature=bytes(64), buyer_signature=bytes(64)
        ),
        records.disputed(trade_id="ab", delivered_wh=1_100),
    ],
    Kind.CASHED: [records.cashed(trade_id="ab", stage="settled", payout=1_000, fee=5, signature="5xy")],
    Kind.REPUTATION: [
        records.reputation(buyer="b", score=5_000, trades=0, next_penalty_ms=10_000, blocked_until_wall_ms=0)
    ],
    Kind.EPOCH: [records.epoch(epoch_id="0198", release="0.1.0")],
    Kind.ALARM: [records.alarm(name="foreign-controller", raised=True, detail="WSet", blocks_selling=True)],
    Kind.OWNER: [
        records.owner_stop(reason="holiday"),
        records.owner_resume(),
        records.owner_set_reserve(reserve_e4=400_000),
        records.owner_set_reserve(reserve_e4=None),
    ],
}


def test_every_kind_has_a_builder() -> None:
    assert set(BODIES) == set(Kind) - {Kind.CHECKPOINT}  # built from books: test_books


def test_promises_and_their_ends_are_kept_and_the_rest_is_what_a_checkpoint_stands_for() -> None:
    assert frozenset(Kind) == AUDIT_TRAIL | PASSING
    assert {Kind.AWARD, Kind.CONFIRMED, Kind.DELIVERY_ENDED} < AUDIT_TRAIL
    assert {Kind.LOT_OPENED, Kind.DELIVERY_PROGRESS, Kind.CHECKPOINT} < PASSING


@pytest.mark.parametrize(("kind", "body"), [(kind, body) for kind, bodies in BODIES.items() for body in bodies])
def test_a_body_is_plain_json(kind: Kind, body: RecordBody) -> None:
    assert json.loads(json.dumps(body)) == body
    assert not any(isinstance(value, float) for value in body.values())


def test_a_deal_survives_its_body() -> None:
    assert Deal.from_body(json.loads(json.dumps(DEAL.to_body()))) == DEAL
    assert DEAL.to_body() == asdict(DEAL)
    assert DEAL.key == (DEAL.peer, DEAL.bid_id)


def test_a_deal_without_a_contract_takes_no_room_for_one() -> None:
    papers = ("contract", "battery_key", "battery_signature", "buyer_signature")
    plain = replace(DEAL, contract="", battery_key="", battery_signature="", buyer_signature="")
    assert set(DEAL.to_body()) - set(plain.to_body()) == set(papers)
    assert Deal.from_body(plain.to_body()) == plain
    assert (plain.trade_id, DEAL.trade_id) == ("", sha256(b"\xc0").hexdigest())


def test_a_body_may_say_more_or_less_than_a_deal() -> None:
    later = {**DEAL.to_body(), "from_a_newer_release": 1}
    assert Deal.from_body(later) == DEAL
    short = {"peer": DEAL.peer, "bid_id": DEAL.bid_id, "awarded_at_ms": 9}
    assert Deal.from_body(short, DEAL).awarded_at_ms == 9
    with pytest.raises(TypeError):
        Deal.from_body(short)
