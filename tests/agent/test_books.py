"""The fold from records to books: examples, and properties over generated histories."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from agent import records
from agent.books import BookedShield, BookedTakeOver, Books, BooksFold, books_of, restart_voids
from agent.books_codec import books_from_body, checkpoint, checkpoint_text
from agent.books_types import BUYERS_MAX, END_KEPT_MS, ENDS_MAX, NOTES_MAX, BookedEnd
from agent.records import Deal, Kind, Record, RecordBody


def deal(bid_id: int, *, peer: str = "key:aa", energy_wh: int = 1_000) -> Deal:
    signer = peer.removeprefix("key:") if peer.startswith("key:") else None
    return Deal(peer=peer, bid_id=bid_id, price_e4=300_000, energy_wh=energy_wh, power_w=2_000, lot_id=1, signer=signer)


def history(*entries: tuple[Kind, RecordBody]) -> list[Record]:
    return [Record(seq, "home", kind, seq * 1_000, body) for seq, (kind, body) in enumerate(entries, start=1)]


def books(*entries: tuple[Kind, RecordBody]) -> Books:
    return books_of(history(*entries))["home"]


AWARD = (Kind.AWARD, records.award(deal(1)))
CONFIRMED = (Kind.CONFIRMED, records.confirmed(deal(1), award_seq=1, confirmed_at_ms=77))
VOID = (Kind.VOID, records.void(peer="key:aa", bid_id=1, code=10, blame=True))
TAKEN = (Kind.TAKE_OVER, records.take_over(found={"WSet": 0}, recipe=[("WSet", 0)]))
RELEASED = (Kind.RELEASED, records.released(reason="no delivery"))
STARTED = (
    Kind.DELIVERY_STARTED,
    records.delivery_started(peer="key:aa", bid_id=1, first_setpoint_at_ms=99, counter_wh=10_000),
)
ENDED = (Kind.DELIVERY_ENDED, records.delivery_ended(peer="key:aa", bid_id=1, code=0, delivered_wh=1_000))


def progress(delivered_wh: int, counter_wh: int | None = None) -> tuple[Kind, RecordBody]:
    body = records.delivery_progress(peer="key:aa", bid_id=1, delivered_wh=delivered_wh, counter_wh=counter_wh)
    return Kind.DELIVERY_PROGRESS, body


def alarm(name: str, *, raised: bool, blocks: bool = False) -> tuple[Kind, RecordBody]:
    return Kind.ALARM, records.alarm(name=name, raised=raised, blocks_selling=blocks)


def test_a_trade_from_award_to_end() -> None:
    found = books(AWARD)
    assert found.awards["key:aa", 1].seq == 1
    assert found.promised_wh == 1_000
    assert restart_voids(found) == [
        records.void(peer="key:aa", bid_id=1, code=10, blame=False, reason="agent restarted", untold=True)
    ]
    found = books(AWARD, CONFIRMED)
    trade = found.trades["key:aa", 1]
    assert not found.awards
    assert restart_voids(found) == []
    assert (trade.award_seq, trade.seq, trade.confirmed_wall_ms, trade.confirmed_at_ms) == (1, 2, 2_000, 77)
    assert (trade.started_wall_ms, trade.delivered_wh) == (None, 0)
    found = books(AWARD, CONFIRMED, TAKEN, STARTED, progress(400, 10_400), progress(600))
    trade = found.trades["key:aa", 1]
    assert (trade.started_wall_ms, trade.first_setpoint_at_ms) == (4_000, 99)
    assert (trade.delivered_wh, trade.counter_wh, trade.remaining_wh) == (600, 10_400, 400)
    assert found.promised_wh == 400
    found = books(AWARD, CONFIRMED, STARTED, progress(600), STARTED, ENDED)
    assert not found.trades
    assert found.contradictions == ()


def test_what_the_counter_tells_after_a_release_is_not_the_trades() -> None:
    served = (AWARD, CONFIRMED, TAKEN, STARTED, progress(400, 10_400), RELEASED)
    assert books(*served).trades["key:aa", 1].started_wall_ms == 4_000  # the ramp is not on record yet
    assert books(*served, progress(401)).trades["key:aa", 1].started_wall_ms == 4_000
    over = (*served, progress(402, 10_402))
    assert books(*over).trades["key:aa", 1].started_wall_ms is None
    assert books(*over, TAKEN, STARTED).trades["key:aa", 1].started_wall_ms == 9_000
    assert books(*over, TAKEN, progress(500, 10_500)).trades["key:aa", 1].started_wall_ms == 9_000


def test_a_short_confirmation_takes_the_terms_of_its_award() -> None:
    found = books(AWARD, (Kind.CONFIRMED, {"peer": "key:aa", "bid_id": 1}))
    assert found.trades["key:aa", 1].deal == deal(1)


def test_a_trade_stays_a_trade_whatever_contradicts_it() -> None:
    found = books(AWARD, CONFIRMED, VOID, AWARD, CONFIRMED)
    assert list(found.trades) == [("key:aa", 1)]
    assert not found.awards
    assert [line.split(":")[0] for line in found.contradictions] == [
        "record 3 (void)",
        "record 4 (award)",
        "record 5 (confirmed)",
    ]


def test_a_confirmation_of_nothing_is_kept_and_noted() -> None:
    found = books(VOID, CONFIRMED)
    assert list(found.trades) == [("key:aa", 1)]
    assert "had no open award" in found.contradictions[0]
    assert books((Kind.CONFIRMED, {"peer": "key:aa", "bid_id": 1})).contradictions[0].startswith("record 1")


def test_other_contradictions_are_noted_but_never_many() -> None:
    assert len(books(AWARD, AWARD).contradictions) == 1
    assert len(books(AWARD, CONFIRMED, progress(5), progress(4)).contradictions) == 1
    assert books(AWARD, CONFIRMED, progress(5), progress(4)).trades["key:aa", 1].delivered_wh == 5
    assert len(books(STARTED, progress(1), ENDED).contradictions) == 3
    assert len(books(*[ENDED] * 100).contradictions) == NOTES_MAX
    assert "unreadable (KeyError" in books((Kind.VOID, {})).contradictions[0]
    assert "unknown action" in books((Kind.OWNER, {"action": "dance"})).contradictions[0]


def test_a_kind_of_a_newer_release_is_passed_over() -> None:
    found = books_of([Record(1, "home", "settled", 0, {"x": 1})])["home"]
    assert found == Books(battery="home")


def test_the_first_take_over_holds_until_release() -> None:
    first = (Kind.TAKE_OVER, records.take_over(found={"WSet": 7}, recipe=[("WSet", 7)]))
    second = (Kind.TAKE_OVER, records.take_over(found={"WSet": -900}, recipe=[("WSet", -900)]))
    assert books(first, second).take_over == BookedTakeOver({"WSet": 7}, (("WSet", 7),))
    released = (Kind.RELEASED, records.released(reason="ended"))
    assert books(first, released).take_over is None
    assert books(first, released, second).take_over == BookedTakeOver({"WSet": -900}, (("WSet", -900),))


def test_a_checkpoint_keeps_what_others_wrote_into_a_take_over() -> None:
    body = {**records.take_over(found={"WSet": 7}, recipe=[("WSet", 7)]), "serial": "S1", "addresses": {"WSet": [9, 2]}}
    before = books((Kind.TAKE_OVER, body))
    saved = json.loads(json.dumps(checkpoint([before])))
    [after] = books_of([Record(2, "", Kind.CHECKPOINT, 0, saved)]).values()
    assert after.take_over is not None
    assert after.take_over == before.take_over
    assert after.take_over.body == body


def shielded(price_e4: int, until_wall_ms: int) -> tuple[Kind, RecordBody]:
    return Kind.VOID, records.void(
        peer="p", bid_id=1, code=10, blame=True, shield_e4=price_e4, shield_until_wall_ms=until_wall_ms
    )


def test_the_shield_of_a_void_is_remembered_and_the_higher_one_wins_while_both_hold() -> None:
    assert books(VOID).shield is None
    assert books(shielded(500, 3_000)).shield == BookedShield(500, 3_000)
    assert books(shielded(500, 3_000), shielded(400, 4_000)).shield == BookedShield(500, 4_000)
    assert books(shielded(500, 1_500), shielded(400, 4_000)).shield == BookedShield(400, 4_000)


def test_a_standing_bid_that_was_abandoned_shields_without_an_award() -> None:
    shield = (Kind.SHIELD, records.shield(price_e4=500, until_wall_ms=3_000, buyer="b", reason="connection closed"))
    assert books(shield) == Books(battery="home", shield=BookedShield(500, 3_000))
    assert books(shield, shielded(400, 4_000)).shield == BookedShield(500, 4_000)
    assert books(shielded(600, 4_000), shield).shield == BookedShield(600, 4_000)
    assert "unreadable" in books((Kind.SHIELD, {})).contradictions[0]


def test_the_owners_resume_clears_the_notes() -> None:
    resume = (Kind.OWNER, records.owner_resume())
    assert books(ENDED, resume).contradictions == ()
    assert [note[:8] for note in books(ENDED, resume, ENDED).contradictions] == ["record 3"]
    assert books(ENDED, (Kind.OWNER, records.owner_stop())).contradictions != ()


def restarted(bid_id: int, *, peer: str = "key:aa") -> list[tuple[Kind, RecordBody]]:
    """An award, and what a start makes of it."""
    award = (Kind.AWARD, records.award(deal(bid_id, peer=peer)))
    return [award, *((Kind.VOID, body) for body in restart_voids(books(award)))]


def test_the_ends_of_signed_trades_and_of_awards_that_a_restart_voided_are_remembered() -> None:
    assert books(AWARD, CONFIRMED, progress(300)).ends == {}
    assert books(AWARD, CONFIRMED, ENDED).ends == {("key:aa", 1): BookedEnd(0, 1_000, 3_000)}
    assert books(*restarted(7)).ends == {("key:aa", 7): BookedEnd(10, 0, 2_000)}
    assert books(AWARD, VOID).ends == {}, "its buyer was told"
    assert books(ENDED).ends == {}, "there was no such trade"


def test_a_buyer_that_cannot_come_back_is_not_waited_for() -> None:
    unsigned = deal(1, peer="conn:1")
    end = (Kind.DELIVERY_ENDED, records.delivery_ended(peer="conn:1", bid_id=1, code=0, delivered_wh=9))
    confirmed = (Kind.CONFIRMED, records.confirmed(unsigned, award_seq=1, confirmed_at_ms=1))
    assert books((Kind.AWARD, records.award(unsigned)), confirmed, end).ends == {}
    assert books(*restarted(1, peer="conn:1")).ends == {}


def test_a_bid_id_that_comes_round_forgets_the_end_of_its_last_trade() -> None:
    assert books(AWARD, CONFIRMED, ENDED, AWARD).ends == {}
    assert books(AWARD, CONFIRMED, ENDED, CONFIRMED).ends == {}


def test_the_ends_are_bounded_in_number_and_age() -> None:
    many = [entry for bid_id in range(ENDS_MAX + 5) for entry in restarted(bid_id)]
    assert list(books(*many).ends) == [("key:aa", bid_id) for bid_id in range(5, ENDS_MAX + 5)]
    full = books(AWARD, CONFIRMED, ENDED, *(entry for n in range(2, ENDS_MAX + 5) for entry in restarted(n))).ends
    assert len(full) == ENDS_MAX
    assert full["key:aa", 1].delivered_wh == 1_000, "what was delivered goes last"
    fold = BooksFold()
    for record in history(*restarted(1), *restarted(2)):
        fold.apply(record)
    for later_ms, kept in ((0, 2), (1, 1), (1_999, 1), (2_001, 0)):
        fold.apply(Record(9, "home", Kind.ALARM, 2_000 + END_KEPT_MS + later_ms, alarm("a", raised=True)[1]))
        assert len(fold.books()["home"].ends) == kept


def test_lots_alarms_owner_and_standings() -> None:
    opened = (
        Kind.LOT_OPENED,
        records.lot_opened(energy_wh=1, power_w=1, reserve_e4=1, increment_e4=1, standing_ms=400, rule="r"),
    )
    closed = (Kind.LOT_CLOSED, records.lot_closed(lot_id=1, reason="sold", sold_wh=1, bids=1, distinct_bidders=1))
    assert (books(opened).open_lot_id, books(opened).last_lot_id) == (1, 1)
    assert (books(opened, closed).open_lot_id, books(opened, closed).last_lot_id) == (0, 1)
    assert books(opened, opened, closed).open_lot_id == 2
    assert books(alarm("a", raised=True, blocks=True)).blocks_selling
    assert not books(alarm("a", raised=True)).blocks_selling
    assert not books(alarm("a", raised=True, blocks=True), alarm("a", raised=False)).alarms
    stop, resume = (Kind.OWNER, records.owner_stop()), (Kind.OWNER, records.owner_resume())
    assert books(stop).stopped
    assert not books(stop, resume).stopped
    high, back = (records.owner_set_reserve(reserve_e4=price) for price in (500_000, None))
    assert books((Kind.OWNER, high)).reserve_e4 == 500_000
    assert books((Kind.OWNER, high), (Kind.OWNER, back)).reserve_e4 is None


def standing(buyer: str, score: int = 5_000) -> tuple[Kind, RecordBody]:
    return Kind.REPUTATION, records.reputation(
        buyer=buyer, score=score, trades=1, next_penalty_ms=10_000, blocked_until_wall_ms=0
    )


def test_the_standings_are_bounded_and_the_stalest_goes_first() -> None:
    found = books(*(standing(f"b{n}") for n in range(BUYERS_MAX)), standing("b0", 6_000), standing("new"))
    assert len(found.standings) == BUYERS_MAX
    assert found.standings["b0"].score == 6_000
    assert "b1" not in found.standings
    assert "new" in found.standings


def test_batteries_are_kept_apart() -> None:
    found = books_of([Record(1, "a", Kind.AWARD, 0, records.award(deal(1))), Record(2, "b", Kind.VOID, 0, VOID[1])])
    assert list(found["a"].awards) == [("key:aa", 1)]
    assert not found["b"].awards


# Generated histories

PEERS = ("key:aa", "conn:1")
keys = st.tuples(st.sampled_from(PEERS), st.integers(0, 3))


@st.composite
def any_entry(draw: st.DrawFn) -> tuple[Kind, RecordBody]:
    """Any record, whether it makes sense where it stands or not."""
    peer, bid_id = draw(keys)
    one = deal(bid_id, peer=peer, energy_wh=draw(st.integers(1, 50)) * 100)
    wh = draw(st.integers(0, 5_000))
    choices: list[tuple[Kind, RecordBody]] = [
        (Kind.AWARD, records.award(one)),
        (Kind.CONFIRMED, records.confirmed(one, award_seq=1, confirmed_at_ms=1)),
        (Kind.CONFIRMED, {"peer": peer, "bid_id": bid_id}),
        (Kind.VOID, records.void(peer=peer, bid_id=bid_id, code=10, blame=True, shield_e4=wh, shield_until_wall_ms=wh)),
        (Kind.VOID, records.void(peer=peer, bid_id=bid_id, code=10, blame=False, untold=True)),
        (Kind.SHIELD, records.shield(price_e4=wh, until_wall_ms=wh)),
        (Kind.OWNER, records.owner_resume()),
        (Kind.TAKE_OVER, records.take_over(found={"w": wh}, recipe=[("w", wh)])),
        (Kind.RELEASED, records.released(reason="x")),
        (Kind.DELIVERY_STARTED, records.delivery_started(peer=peer, bid_id=bid_id, first_setpoint_at_ms=wh)),
        (Kind.DELIVERY_PROGRESS, records.delivery_progress(peer=peer, bid_id=bid_id, delivered_wh=wh, counter_wh=wh)),
        (Kind.DELIVERY_ENDED, records.delivery_ended(peer=peer, bid_id=bid_id, code=0, delivered_wh=wh)),
        standing(peer, wh),
        (Kind.EPOCH, records.epoch(epoch_id="e")),
        alarm(peer, raised=wh % 2 == 0, blocks=wh % 3 == 0),
        (Kind.OWNER, records.owner_stop()),
        (Kind.OWNER, records.owner_set_reserve(reserve_e4=wh)),
        (Kind.LOT_OPENED, {}),
        (Kind.LOT_CLOSED, {"lot_id": wh}),
        (draw(st.sampled_from(list(Kind))), {"peer": draw(st.none() | st.integers())}),
    ]
    return draw(st.sampled_from(choices))


def usable(entry: tuple[Kind, RecordBody]) -> bool:
    return entry[0] is not Kind.CHECKPOINT  # written from books only


def test_a_checkpoint_that_cannot_be_read_is_noted() -> None:
    bodies: list[RecordBody] = [{}, {"books": [{}]}, {"books": 1}, {"books": [None]}, {"books": ["x"]}]
    for body in bodies:
        found = books_of([Record(9, "", Kind.CHECKPOINT, 0, body)])
        assert found[""].contradictions[0].startswith("record 9 (checkpoint): unreadable")


@given(st.lists(any_entry().filter(usable), max_size=25))
def test_after_every_record_of_any_history_the_books_are_consistent(entries: list[tuple[Kind, RecordBody]]) -> None:
    fold = BooksFold()
    for record in history(*entries):
        before = set(fold.books()["home"].trades) if fold.books() else set()
        fold.apply(record)
        now = fold.books()["home"]
        assert not set(now.awards) & set(now.trades)
        gone = before - set(now.trades)
        assert not gone or (record.kind == Kind.DELIVERY_ENDED and len(gone) == 1)
        assert set(now.trades) - before <= {(record.body.get("peer"), record.body.get("bid_id"))}
        owed = sum(award.deal.energy_wh for award in now.awards.values())
        owed += sum(max(0, trade.deal.energy_wh - trade.delivered_wh) for trade in now.trades.values())
        assert now.promised_wh == owed
    if entries:
        assert fold.books() == books_of(history(*entries))


@given(st.lists(any_entry().filter(usable), max_size=15), st.lists(any_entry().filter(usable), max_size=10))
@settings(max_examples=60)
def test_a_checkpoint_stands_for_everything_before_it(
    before: list[tuple[Kind, RecordBody]], after: list[tuple[Kind, RecordBody]]
) -> None:
    whole = history(*before, *after)
    first, rest = whole[: len(before)], whole[len(before) :]
    saved = books_of(first).values()
    body = json.loads(json.dumps(checkpoint(saved)))
    assert json.loads(checkpoint_text(saved)) == body
    assert books_of([Record(0, "", Kind.CHECKPOINT, 0, body), *rest]) == books_of(whole)


def test_a_checkpoint_of_many_standings_is_made_in_portions() -> None:
    saved = books(*(standing(f"b{n}", n) for n in range(1_000)))
    body = json.loads(checkpoint_text([saved]))
    assert body == json.loads(json.dumps(checkpoint([saved])))
    assert books_from_body(body) == [saved]


def test_a_checkpoint_of_an_earlier_form_can_be_read() -> None:
    body = checkpoint([books(standing("b1"))])
    [one] = body["books"]
    del one["ends"]
    named = {"score": 1, "trades": 2, "next_penalty_ms": 3, "blocked_until_wall_ms": 4, "at_wall_ms": 5}
    one["standings"] = [["b2", named]]
    [found] = books_from_body(body)
    assert (found.standings["b2"].score, found.standings["b2"].at_wall_ms) == (1, 5)


@dataclass
class Desk:
    """A desk that obeys the rules; what it did is the expectation."""

    entries: list[tuple[Kind, RecordBody]] = field(default_factory=list)
    awards: dict[Any, Deal] = field(default_factory=dict)
    trades: dict[Any, tuple[Deal, int]] = field(default_factory=dict)

    def act(self, choice: int, wh: int) -> None:
        if choice == 0 or not (self.awards or self.trades):
            new = deal(len(self.entries), energy_wh=1_000 + wh)
            self.awards[new.key] = new
            self.entries.append((Kind.AWARD, records.award(new)))
        elif choice == 1 and self.awards:
            key, won = self.awards.popitem()
            self.trades[key] = (won, 0)
            self.entries.append((Kind.CONFIRMED, records.confirmed(won, award_seq=0, confirmed_at_ms=0)))
        elif choice == 2 and self.awards:
            (peer, bid_id), _ = self.awards.popitem()
            self.entries.append((Kind.VOID, records.void(peer=peer, bid_id=bid_id, code=10, blame=True)))
        elif choice == 3 and self.trades:
            key, (won, delivered_wh) = next(iter(self.trades.items()))
            self.trades[key] = (won, delivered_wh + wh)
            body = records.delivery_progress(peer=key[0], bid_id=key[1], delivered_wh=delivered_wh + wh)
            self.entries.append((Kind.DELIVERY_PROGRESS, body))
        elif choice == 4 and self.trades:
            (peer, bid_id), (_, delivered_wh) = self.trades.popitem()
            body = records.delivery_ended(peer=peer, bid_id=bid_id, code=0, delivered_wh=delivered_wh)
            self.entries.append((Kind.DELIVERY_ENDED, body))


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 300)), min_size=1, max_size=40))
def test_an_honest_desk_is_remembered_exactly(steps: list[tuple[int, int]]) -> None:
    desk = Desk()
    for choice, wh in steps:
        desk.act(choice, wh)
        found = books(*desk.entries)
        assert {key: award.deal for key, award in found.awards.items()} == desk.awards
        assert {key: (trade.deal, trade.delivered_wh) for key, trade in found.trades.items()} == desk.trades
        assert found.contradictions == ()
        owed = sum(won.energy_wh for won in desk.awards.values())
        owed += sum(max(0, won.energy_wh - delivered_wh) for won, delivered_wh in desk.trades.values())
        assert found.promised_wh == owed
