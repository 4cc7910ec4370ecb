"""The award table: every step that is listed happens, every other one is refused and moves nothing."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, cast

import pytest

from agent.awards import Happening, OpenAward, Phase
from agent.records import Deal

if TYPE_CHECKING:
    from etp.io.link import Link

DEAL = Deal(peer="conn:1", bid_id=7, price_e4=100_000, energy_wh=1_000, power_w=2_000, lot_id=3)
STEPS = {
    (Phase.JOURNALING, Happening.ON_DISK): Phase.OFFERED,
    (Phase.JOURNALING, Happening.TOO_LATE): Phase.VOID,
    (Phase.JOURNALING, Happening.LINK_GONE): Phase.VOID,
    (Phase.JOURNALING, Happening.WITHDRAWN): Phase.VOID,
    (Phase.JOURNALING, Happening.JOURNAL_FAILED): Phase.VOID,
    (Phase.OFFERED, Happening.TOO_LATE): Phase.VOID,
    (Phase.OFFERED, Happening.LINK_GONE): Phase.VOID,
    (Phase.OFFERED, Happening.LAPSED): Phase.VOID,
    (Phase.OFFERED, Happening.WITHDRAWN): Phase.VOID,
    (Phase.OFFERED, Happening.JOURNAL_FAILED): Phase.VOID,
    (Phase.OFFERED, Happening.CONFIRM): Phase.CONFIRMING,
    (Phase.CONFIRMING, Happening.CONFIRM_ON_DISK): Phase.TRADE,
    (Phase.CONFIRMING, Happening.JOURNAL_FAILED): Phase.VOID,
}


@pytest.mark.parametrize(("phase", "happening"), list(itertools.product(Phase, Happening)))
def test_the_full_product_of_phases_and_happenings(phase: Phase, happening: Happening) -> None:
    award = OpenAward(deal=DEAL, link=cast("Link", None), phase=phase)
    moved = award.advance(happening)
    assert moved == ((phase, happening) in STEPS)
    assert award.phase is STEPS.get((phase, happening), phase)


def test_an_award_is_named_by_peer_and_bid_id() -> None:
    assert OpenAward(deal=DEAL, link=cast("Link", None)).key == ("conn:1", 7)
