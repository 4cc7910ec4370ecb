from __future__ import annotations

from etp.auction import (
    Auction,
    Award,
    Bid,
    Bids,
    BookChanged,
    Effects,
    Event,
    Lot,
    LotClosed,
    Open,
    Refuse,
    Terms,
    Tick,
    new_auction,
    next_deadline,
    open_energy,
    quote,
    step,
)

RESERVE = 100_000
TERMS = Terms(reserve_e4=RESERVE)


def opened(energy_wh: int = 5_000, power_w: int = 5_000, terms: Terms = TERMS) -> Auction:
    lot = Lot(lot_id=1, energy_wh=energy_wh, power_w=power_w, seed=b"seed", terms=terms)
    auction, effects = step(new_auction("standing_bid"), Open(lot), 0)
    assert effects == (BookChanged(),)
    return auction


def run(auction: Auction, *timed: tuple[int, Event]) -> tuple[Auction, Effects]:
    effects: Effects = ()
    for now_ms, event in timed:
        auction, more = step(auction, event, now_ms)
        effects += more
    return auction, effects


def bid(peer: str, bid_id: int, price_e4: int, energy_wh: int = 5_000) -> Bids:
    return Bids((Bid(peer, bid_id, price_e4, energy_wh),))


def test_a_bid_that_stands_for_the_standing_time_wins_at_its_own_price() -> None:
    auction, effects = run(opened(), (10, bid("a", 1, 120_000)))
    assert effects == (BookChanged(),)
    assert next_deadline(auction) == 410
    auction, effects = step(auction, Tick(), 409)
    assert effects == ()
    auction, effects = step(auction, Tick(), 410)
    award = Award("a", 1, 120_000, 5_000, 5_000, 1, 1, 120_000, RESERVE, 1_000)
    closed = LotClosed(
        lot_id=1,
        reason="sold",
        sold_wh=5_000,
        unsold_wh=0,
        entered=1,
        distinct_bidders=1,
        first_acceptable_e4=120_000,
        increment_e4=1_000,
    )
    assert effects == (award, closed)
    assert open_energy(auction) == 0


def test_a_beaten_bid_is_refused_at_once_with_the_price_to_beat() -> None:
    auction, _ = run(opened(), (0, bid("a", 1, 120_000)))
    assert quote(auction, "b", 0, 100) == 121_000
    auction, effects = step(auction, bid("b", 7, 121_000), 100)
    assert effects == (Refuse("a", 1, 4, 122_000), BookChanged())
    assert next_deadline(auction) == 500


def test_a_refusal_changes_nothing_once_it_teaches_nothing() -> None:
    auction, _ = run(opened(), (0, bid("a", 1, 120_000)), (1, bid("b", 1, 120_900)))
    same, effects = step(auction, bid("b", 2, 120_900), 2)
    assert same is auction
    assert effects == (Refuse("b", 2, 4, 121_000),)
