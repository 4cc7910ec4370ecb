"""What nobody claimed in time must not stop its Line; and what nobody has seen is not paid without a word."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import pytest
from solders.pubkey import Pubkey

from settlement.program.instructions import void
from settlement.progress import VOID_BEHIND
from settlement.reading import GIVEN_UP_S
from settlement.rpc import TransportError
from settlement.settler_types import EventKind, Stage
from tests.settlement.settler.tap import Tap
from tests.settlement.settler.world import World

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from settlement import Contract
    from settlement.settler import Settler

DAY_S = 86_400


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with World(tmp_path) as made:
        made.transport = Tap(made.transport)  # type: ignore[assignment]
        yield made


def sent_by(world: World) -> set[bytes]:
    assert isinstance(world.transport, Tap)
    return set(world.transport.sent)


def put_old(world: World, settler: Settler, number: int = 0, *, cosigned: bool = False) -> Contract:
    """Hand in a trade that could be claimed until yesterday."""
    contract = old(world, number)
    settler.put(world.final(world.cheque(settler.settings.role, contract), cosigned=cosigned))
    return contract


def old(world: World, number: int = 0) -> Contract:
    ends_at_s = world.now_s - 3 * DAY_S
    return world.contract(number, starts_at_s=ends_at_s - 600, ends_at_s=ends_at_s, valid_until_s=ends_at_s + 2 * DAY_S)


def go_on(world: World, number: int) -> None:
    """Let a higher number of the Line be spent."""
    wallet, program_id = Pubkey.from_bytes(world.wallet("battery")), Pubkey.from_bytes(world.venue.program_id)
    line = world.opening.line(world.wallet("buyer"), world.wallet("battery"))
    world.land("battery", void(program_id, battery_wallet=wallet, line=line, contract_no=number))


def stages(world: World, role: str = "battery") -> list[str]:
    return [event.fields["stage"] for event in world.events[role] if event.kind is EventKind.TRADE_MOVED]


def test_a_hole_is_voided_when_the_line_has_gone_on_by_half_of_its_numbers(world: World) -> None:
    settler = world.settler("battery")
    contract = put_old(world, settler)
    assert world.done(settler, contract.trade_id).stage is Stage.EXPIRED
    go_on(world, VOID_BEHIND - 1)
    world.wait(200)
    assert stages(world) == ["expired"]
    assert world.kinds("battery").count(EventKind.TRANSACTION_SENT) == 0, "a late signature would still pay it"
    before = world.lamports(world.wallet("battery"))
    go_on(world, VOID_BEHIND)
    world.stage(settler, contract.trade_id, Stage.LOST)
    assert world.line()["base_no"] == 1
    assert before - world.lamports(world.wallet("battery")) == 2 * 5_000, "one signature for this test's own, one more"
    assert stages(world) == ["expired", "waiting", "lost"]
    assert world.kinds("battery").count(EventKind.TRANSACTION_SENT) == 1
    view = settler.trade(contract.trade_id)
    assert view is not None
    assert "its number is spent and nothing shows a payment" in (view.problem or "")


def test_a_line_of_expired_numbers_alone_goes_on(world: World) -> None:
    settler = world.settler("battery")
    first, last = put_old(world, settler), put_old(world, settler, VOID_BEHIND)
    assert world.done(settler, first.trade_id).stage is Stage.LOST
    assert world.done(settler, last.trade_id).stage is Stage.EXPIRED
    assert world.line()["base_no"] == 1


def test_a_hole_is_remembered_for_as_long_as_it_is_one(world: World) -> None:
    settler = world.settler("battery", poll_s=21_600)
    contract = put_old(world, settler)
    world.done(settler, contract.trade_id, step_s=3_600, seconds=30_000)
    world.wait(2 * GIVEN_UP_S)
    go_on(world, VOID_BEHIND)
    world.until(lambda: world.line()["base_no"] == 1, step_s=3_600, seconds=90_000)


@pytest.mark.parametrize("reaches_it", [True, False])
def test_a_void_that_power_cut_short_is_signed_once(world: World, *, reaches_it: bool) -> None:
    settler = world.settler("battery")
    contract = put_old(world, settler)
    world.done(settler, contract.trade_id)
    assert isinstance(world.transport, Tap)

    def lose(_url: str, method: str, _params: list[Any]) -> None:
        if method == "sendTransaction" and not reaches_it:
            raise TransportError("no power")

    go_on(world, VOID_BEHIND)
    theirs = sent_by(world)
    world.transport.before = lose
    world.until(lambda: EventKind.TRANSACTION_SENT in world.kinds("battery"), step_s=0.1)
    world.crash(settler)
    world.transport.before = lambda _url, _method, _params: None
    settler = world.settler("battery")
    assert settler.snapshot().in_flight == 1
    world.stage(settler, contract.trade_id, Stage.LOST)
    assert len(sent_by(world) - theirs) == 1, "the same bytes, until their end is certain"
    assert world.line()["base_no"] == 1


def test_nothing_is_voided_by_what_is_not_final(world: World) -> None:
    """A node whose newest block has a clock far ahead: the finalized one still shows that the trade can be claimed."""
    settler = world.settler("battery", cosign_wait_s=DAY_S)
    contract = world.contract()
    settler.put(world.final(world.cheque("battery", contract), cosigned=False))
    go_on(world, VOID_BEHIND)
    world.wait(30)
    theirs, asked = sent_by(world), [""]
    assert isinstance(world.transport, Tap)

    def note(_url: str, method: str, params: list[Any]) -> None:
        asked[0] = params[1]["commitment"] if method == "getMultipleAccounts" else ""

    def hurry(_url: str, _method: str, result: Any) -> Any:
        if asked[0] == "confirmed":
            clock = base64.b64decode(result["value"][0]["data"][0])
            ahead_s = int.from_bytes(clock[-8:], "little") + 10 * DAY_S
            result["value"][0]["data"][0] = base64.b64encode(clock[:-8] + ahead_s.to_bytes(8, "little")).decode()
        return result

    world.transport.before, world.transport.after = note, hurry
    world.wait(200)
    assert sent_by(world) == theirs
    view = settler.trade(contract.trade_id)
    assert view is not None
    assert not view.is_done
    world.transport.after = lambda _url, _method, result: result
    assert world.done(settler, contract.trade_id, step_s=3_600, seconds=200_000).stage is Stage.SETTLED


def test_who_is_paid_late_learns_it_though_he_was_never_told(world: World) -> None:
    battery, buyer = world.settler("battery"), world.settler("buyer")
    contract = put_old(world, battery)
    assert world.done(battery, contract.trade_id).stage is Stage.EXPIRED
    buyer.put(world.final(world.cheque("buyer", contract), cosigned=True))
    world.stage(battery, contract.trade_id, Stage.SETTLED)
    view = battery.trade(contract.trade_id)
    assert view is not None
    assert view.payout == contract.split(2_500).payout == world.tokens(world.wallet("battery"))
    assert world.kinds("battery").count(EventKind.TRANSACTION_SENT) == 0


def test_a_signature_that_comes_before_the_void_is_paid(world: World) -> None:
    settler = world.settler("battery")
    contract = put_old(world, settler)
    world.done(settler, contract.trade_id)
    settler.put(world.final(world.cheque("battery", contract), cosigned=True))
    go_on(world, VOID_BEHIND)
    assert world.done(settler, contract.trade_id).stage is Stage.SETTLED


def test_a_buyer_learns_that_a_number_was_voided(world: World) -> None:
    battery, buyer = world.settler("battery"), world.settler("buyer")
    contract = put_old(world, battery)
    put_old_too = world.final(world.cheque("buyer", contract), cosigned=False)
    buyer.put(put_old_too)
    assert world.done(buyer, contract.trade_id).stage is Stage.EXPIRED
    go_on(world, VOID_BEHIND)
    for settler in (battery, buyer):
        world.stage(settler, contract.trade_id, Stage.LOST)
    assert EventKind.TRANSACTION_SENT not in world.kinds("buyer")


def told(world: World) -> list[Any]:
    return [event.fields for event in world.events["buyer"] if event.kind is EventKind.CLAIM_UNJUDGED]


def test_a_claim_that_nobody_can_judge_is_told_once_and_paid(world: World) -> None:
    world.bring_bond_money()
    contract = world.contract(dispute_window_s=7_200)
    battery, buyer = world.settler("battery", cosign_wait_s=0), world.settler("buyer")
    buyer.put(world.cheque("buyer", contract))
    battery.put(world.final(world.cheque("battery", contract), 2_400, cosigned=False))
    world.stage(buyer, contract.trade_id, Stage.CLAIMED)
    claimed_s = world.now_s
    world.wait(3_400)
    assert told(world) == [], "a figure that is late may still come"
    world.wait(300)
    [fields] = told(world)
    assert (fields["trade_id"], fields["claimed_wh"]) == (contract.trade_id.hex(), 2_400)
    assert abs(fields["disputable_until_s"] - claimed_s - 7_200) < 60
    world.crash(buyer)
    buyer = world.settler("buyer")
    view = world.done(buyer, contract.trade_id)
    assert (view.stage, view.how, view.delivered_wh) == (Stage.SETTLED, "finalized", 2_400)
    assert len(told(world)) == 1


def test_a_figure_that_comes_after_a_restart_disputes_what_was_told(world: World) -> None:
    world.bring_bond_money()
    contract = world.contract(dispute_window_s=7_200)
    battery, buyer = world.settler("battery", cosign_wait_s=0), world.settler("buyer")
    buyer.put(world.cheque("buyer", contract))
    battery.put(world.final(world.cheque("battery", contract), 2_400, cosigned=False))
    world.until(lambda: told(world) != [], seconds=7_200)
    view = buyer.trade(contract.trade_id)
    assert view is not None
    assert "nobody has said what was seen" in (view.problem or "")
    world.crash(buyer)
    buyer = world.settler("buyer")
    buyer.put(world.cheque("buyer", contract), seen_wh=1_000)
    world.stage(buyer, contract.trade_id, Stage.DISPUTED)
    view = buyer.trade(contract.trade_id)
    assert view is not None
    assert view.problem is None
