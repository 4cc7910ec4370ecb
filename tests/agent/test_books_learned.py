"""What lots and sales teach about prices is kept in the journal: over restarts, and over checkpoints."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from agent import records
from agent.books import books_of
from agent.books_codec import books_from_body, checkpoint
from agent.pricing import LotSeen, Markup, SalesHistory
from agent.records import Deal, Kind, Record

if TYPE_CHECKING:
    from agent.books import Books
    from agent.records import RecordBody

HALF_HOUR_MS = 1_800_000


def seen(number: int) -> LotSeen:
    second_e4 = 110_000 + 100 * (number % 300) if number % 3 else None
    return LotSeen(100_000, 100_000, 2, 150_000, second_e4)


def told(*bodies: tuple[Kind, RecordBody], at_ms: int = 0) -> Books:
    history = [
        Record(seq, "home", kind, at_ms + seq * HALF_HOUR_MS, body) for seq, (kind, body) in enumerate(bodies, start=1)
    ]
    return books_of(history)["home"]


def lots(count: int, cap_e4: int = 50_000) -> list[tuple[Kind, RecordBody]]:
    return [(Kind.LOT_SEEN, json.loads(json.dumps(records.lot_seen(seen(n), cap_e4=cap_e4)))) for n in range(count)]


def test_the_mark_up_is_what_the_lots_on_record_say() -> None:
    expected = Markup(50_000)
    for number in range(230):
        expected = expected.learn(seen(number))
    assert expected.markup_e4() > 0
    assert told(*lots(230)).markup == expected
    assert told((Kind.ALARM, records.alarm(name="a", raised=True))).markup is None


def test_it_goes_on_from_a_checkpoint() -> None:
    before = told(*lots(150))
    saved = (Kind.CHECKPOINT, json.loads(json.dumps(checkpoint([before]))))
    again = told(saved, *[(kind, body) for kind, body in lots(230)[150:]])
    assert again.markup == told(*lots(230)).markup


def test_another_cap_learns_anew() -> None:
    found = told(*lots(150), *lots(3, cap_e4=80_000)).markup
    assert found is not None
    assert (found.cap_e4, found.lots) == (80_000, 3)


def test_what_another_release_has_learned_in_another_form_is_left_out_and_nothing_else() -> None:
    body = json.loads(json.dumps(checkpoint([told(*lots(3), (Kind.OWNER, records.owner_stop()))])))
    body["books"][0]["markup"] = {"cap_e4": 1, "rows": "new"}
    body["books"][0]["sales"] = [1, 2, 3]
    [found] = books_from_body(body)
    assert (found.markup, found.sales, found.stopped) == (None, SalesHistory(), True)
    del body["books"][0]["markup"], body["books"][0]["sales"]
    assert books_from_body(body) == [found]


def test_own_sales_are_what_was_confirmed() -> None:
    deal = Deal(peer="key:aa", bid_id=1, price_e4=240_000, energy_wh=1_000, power_w=2_000, lot_id=1)
    confirmed = (Kind.CONFIRMED, records.confirmed(deal, award_seq=1, confirmed_at_ms=7))
    found = told((Kind.AWARD, records.award(deal)), confirmed)
    assert found.sales == SalesHistory().with_sale(2 * HALF_HOUR_MS, 240_000)
    [saved] = books_from_body(json.loads(json.dumps(checkpoint([found]))))
    assert saved.sales == found.sales
