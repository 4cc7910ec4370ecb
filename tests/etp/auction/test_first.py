from __future__ import annotations

from etp.auction import Award, Bids, BookChanged, LotClosed, Refuse, Shrink, Terms, next_deadline, open_energy, quote
from etp.auction.testing import Bench

RESERVE = 100_000


def opened() -> Bench:
    bench = Bench("first_acceptable", terms=Terms(reserve_e4=RESERVE))
    bench.open(5_000)
    return bench


def test_the_first_admissible_bid_wins_at_once_at_its_own_price() -> None:
    bench = opened()
    assert bench.bid("a", 99_900, 5_000) == (Refuse("a", 1, 1, RESERVE),)
    award, changed = bench.bid("b", 110_000, 3_000)
    assert isinstance(award, Award)
    assert (award.peer, award.price_e4, award.power_w, changed) == ("b", 110_000, 3_000, BookChanged())
    assert open_energy(bench.auction) == 2_000
    assert quote(bench.auction, "c", 0, 0) == RESERVE
    assert next_deadline(bench.auction) is None


def test_of_bids_with_the_same_now_the_draw_decides_and_the_rest_find_no_lot() -> None:
    bench = opened()
    said = bench.send(Bids(tuple(bench.make_bid(peer, 110_000, 5_000) for peer in "abc")))
    assert [type(effect) for effect in said] == [Award, LotClosed, Refuse, Refuse]
    assert {effect.code for effect in said if isinstance(effect, Refuse)} == {14}


def test_a_shrunken_lot_still_sells() -> None:
    bench = opened()
    assert bench.send(Shrink(1_000, 1_000)) == (BookChanged(),)
    assert bench.bid("a", 110_000, 2_000) == (Refuse("a", 1, 2, RESERVE),)
