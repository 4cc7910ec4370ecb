"""Networks, nodes, disks and processes that fail: everybody is paid once, and nobody is asked to believe a liar."""

from __future__ import annotations

import base64
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from settlement import to_base58
from settlement.dispatch import PRICE_FLOOR
from settlement.outbox_file import leave_wishes, read_outbox
from settlement.program.accounts import Line
from settlement.program.codec import LayoutError
from settlement.reading import GIVEN_UP_S
from settlement.rpc import TransportError
from settlement.settler_types import EventKind, Stage
from tests.settlement.settler.tap import Tap
from tests.settlement.settler.world import NODES, World

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from settlement import Contract
    from settlement.settler import Settler
    from settlement.signing import Party


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with World(tmp_path) as made:
        made.transport = Tap(made.transport)  # type: ignore[assignment]
        yield made


def tap_of(world: World) -> Tap:
    assert isinstance(world.transport, Tap)
    return world.transport


def put(world: World, settler: Settler, *, wh: int = 2_500, cosigned: bool = True, **terms: Any) -> Contract:
    role = settler.settings.role
    contract = world.contract(**terms)
    settler.put(world.final(world.cheque(role, contract), wh, cosigned=cosigned))
    return contract


def paid_once(world: World, contract: Contract, wh: int = 2_500) -> None:
    assert world.tokens(world.wallet("battery")) == contract.split(wh).payout


def attempts(world: World, role: str) -> list[Any]:
    return [one for _, several in read_outbox(world.directory / f"{role}.db") for one in several]


class PowerCut:
    """Cuts the power at the n-th request from now on; the request itself leaves no more."""

    def __init__(self, tap: Tap, requests: int) -> None:
        self._left = requests
        self.happened = False
        tap.before = self._count

    def _count(self, _url: str, _method: str, _params: list[Any]) -> None:
        self._left -= 1
        if self._left <= 0:
            self.happened = True
            raise TransportError("no power")


def one_life(world: World, role: Party, cut_at: int) -> bool:
    """Settle or claim one trade, with a power cut at a request; return whether there were so many."""
    settler = world.settler(role, cosign_wait_s=0, outbox=world.directory / f"{cut_at}.db")
    contract = world.contract(cut_at - 1, dispute_window_s=30)
    one = world.final(world.cheque(role, contract), cosigned=role == "buyer")
    settler.put(one)
    cut = PowerCut(tap_of(world), cut_at)
    world.until(lambda: cut.happened or settler.snapshot().stages["settled"], step_s=0.2)
    tap_of(world).before = lambda _url, _method, _params: None
    if not cut.happened:
        world.end(settler)
        return False
    world.crash(settler)
    world.wait(3)
    again = world.settler(role, cosign_wait_s=0, outbox=world.directory / f"{cut_at}.db")
    again.put(one)
    assert world.done(again, contract.trade_id).stage is Stage.SETTLED
    world.end(again)
    return True


@pytest.mark.parametrize("role", ["buyer", "battery"])
def test_a_power_cut_at_any_request_pays_once_all_the_same(world: World, role: Party) -> None:
    """The n-th request is the last thing the first process does; the next one ends what it began."""
    cuts = 0
    while one_life(world, role, cuts + 1):
        cuts += 1
        assert cuts < 100
    assert cuts >= (10 if role == "buyer" else 20)
    line, payout = world.line(), world.contract().split(2_500).payout
    assert line["base_no"] == line["trades_settled"] == cuts + 1
    assert world.tokens(world.wallet("battery")) == line["paid"] == (cuts + 1) * payout


@pytest.mark.parametrize("fails_after_commit", [True, False])
def test_what_leaves_is_on_disk(world: World, *, fails_after_commit: bool) -> None:
    settler = world.settler("buyer")
    on_disk: list[bool] = []

    def look(_url: str, method: str, params: list[Any]) -> None:
        if method == "sendTransaction":
            on_disk.append(base64.b64decode(params[0]) in {one.transaction for one in attempts(world, "buyer")})

    tap_of(world).before = look
    world.disks["buyer"].full = not fails_after_commit
    world.disks["buyer"].fails_after_commit = fails_after_commit
    contract = put(world, settler)
    world.wait(120)
    assert tap_of(world).sent == [], "what is not known to be on disk does not leave"
    assert settler.snapshot().state == "halted"
    assert world.kinds("buyer").count(EventKind.OUTBOX_FAILED) == 1
    world.disks["buyer"].full = world.disks["buyer"].fails_after_commit = False
    assert world.done(settler, contract.trade_id).stage is Stage.SETTLED
    assert EventKind.OUTBOX_RECOVERED in world.kinds("buyer")
    assert on_disk
    assert all(on_disk)
    paid_once(world, contract)


def test_a_lost_transaction_is_signed_anew_only_when_it_can_land_no_more(world: World) -> None:
    for node in world.nodes.values():
        node.faults.lose = 1
    settler = world.settler("buyer")
    contract = put(world, settler)
    heights: dict[bytes, list[int]] = {}

    def note(_url: str, method: str, params: list[Any]) -> None:
        if method == "sendTransaction":
            sent = base64.b64decode(params[0])
            heights.setdefault(sent[1:65], []).append(world.ledger.height("finalized"))

    tap_of(world).before = note
    world.until(lambda: len(heights) == 2)
    first, second = heights
    (expired,) = [one for one in attempts(world, "buyer") if one.signature == first]
    assert [(one.number, one.price) for one in attempts(world, "buyer")] == [(1, 0), (2, 2 * PRICE_FLOOR)]
    assert expired.state.value == "expired"
    assert len(heights[first]) >= 2 * 20, "the same bytes, to two nodes, every two seconds"
    assert heights[second][0] > expired.last_valid_block_height
    for node in world.nodes.values():
        node.faults.lose = 0
    assert world.done(settler, contract.trade_id).stage is Stage.SETTLED
    paid_once(world, contract)


def test_hours_without_network_cost_nothing_but_time(world: World) -> None:
    settler = world.settler("battery")
    world.wait(20)
    for node in world.nodes.values():
        node.faults.drop = 1
    contract = put(world, settler)
    world.wait(6 * 3_600)
    assert settler.snapshot().state == "offline"
    assert world.kinds("battery").count(EventKind.OFFLINE) == 1, "told once"
    assert len(tap_of(world).methods) < 6 * 3_600 / 20, "and not asked more than twice a minute each"
    for node in world.nodes.values():
        node.faults.drop = 0
    back_s = world.now_s
    assert world.done(settler, contract.trade_id).stage is Stage.SETTLED
    assert world.now_s - back_s < 180
    assert world.kinds("battery").count(EventKind.CONNECTED) == 2
    paid_once(world, contract)


@pytest.mark.parametrize(
    ("fault", "every"), [("rate_limit", 5), ("bad_gateway", 2), ("html", 3), ("drop", 3), ("mute", 3), ("lose", 2)]
)
def test_some_requests_fail_all_the_time_and_the_trade_is_paid_once(world: World, fault: str, every: int) -> None:
    for node in world.nodes.values():
        setattr(node.faults, fault, every)
    settler = world.settler("buyer")
    contract = put(world, settler)
    assert world.done(settler, contract.trade_id, seconds=900).stage is Stage.SETTLED
    paid_once(world, contract)


def test_one_endpoint_of_another_cluster_is_left_alone(world: World) -> None:
    world.nodes[NODES[0]].faults.wrong_genesis = 1
    settler = world.settler("buyer")
    seen: list[tuple[str, str]] = []
    tap_of(world).before = lambda url, method, _params: seen.append((url, method))
    contract = put(world, settler)
    assert world.done(settler, contract.trade_id).stage is Stage.SETTLED
    assert {method for url, method in seen if url == NODES[0]} == {"getGenesisHash"}
    assert EventKind.ENDPOINT_FAILED in world.kinds("buyer")


def test_nothing_is_signed_for_another_cluster(world: World) -> None:
    for node in world.nodes.values():
        node.faults.wrong_genesis = 1
    settler = world.settler("buyer")
    contract = put(world, settler)
    world.wait(900)
    snapshot = settler.snapshot()
    assert snapshot.state == "wrong cluster"
    assert snapshot.problem is not None
    assert "its genesis hash is" in snapshot.problem
    assert set(tap_of(world).methods) == {"getGenesisHash"}
    assert attempts(world, "buyer") == []
    for node in world.nodes.values():
        node.faults.wrong_genesis = 0
    assert world.done(settler, contract.trade_id).stage is Stage.SETTLED
    assert world.kinds("buyer").count(EventKind.WRONG_CLUSTER) == 1


def test_a_program_that_was_set_up_for_another_cluster_is_refused(world: World) -> None:
    """Nodes that show the hash of the file do not help when the program's own Config shows another."""
    other = replace(world.venue, genesis_hash=bytes([8]) * 32)
    hashed = to_base58(other.genesis_hash)
    tap_of(world).after = lambda _url, method, result: hashed if method == "getGenesisHash" else result
    settler = world.settler("buyer", venue=other)
    settler.put(world.final(world.cheque("buyer", world.contract(venue=other)), cosigned=True))
    world.wait(300)
    snapshot = settler.snapshot()
    assert snapshot.state == "wrong cluster"
    assert "the program was set up for the cluster" in (snapshot.problem or "")
    assert attempts(world, "buyer") == []


def test_no_program_at_the_address_is_said(world: World) -> None:
    settler = world.settler("buyer", venue=replace(world.venue, program_id=bytes([8]) * 32))
    world.wait(60)
    assert "no settlement program was initialized at" in (settler.snapshot().problem or "")


@pytest.mark.parametrize("restarts", [False, True])
def test_a_node_that_calls_a_lost_transaction_final_is_found_out(world: World, *, restarts: bool) -> None:
    """Success without effect: the endpoint is left alone, the trade settled through another."""
    liar = NODES[0]
    settler = world.settler("buyer")
    lied: list[str] = []

    def lie(url: str, method: str, result: Any) -> Any:
        if url == liar and method == "getSignatureStatuses":
            lied.append(method)
            done = {"slot": result["context"]["slot"], "confirmations": None, "err": None}
            return {**result, "value": [{**done, "confirmationStatus": "finalized"} for _ in result["value"]]}
        return result

    tap_of(world).after = lie
    for node in world.nodes.values():
        node.faults.lose = 1
    contract = put(world, settler)
    world.until(lambda: any("there is no effect" in str(e.fields.get("problem")) for e in world.events["buyer"]))
    assert lied
    view = settler.trade(contract.trade_id)
    assert view is not None
    assert not view.is_done
    (first,) = attempts(world, "buyer")
    if restarts:
        world.crash(settler)
        settler = world.settler("buyer")
    signed_at: list[int] = []

    def note(_url: str, method: str, params: list[Any]) -> None:
        if method == "sendTransaction" and base64.b64decode(params[0])[1:65] != first.signature:
            signed_at.append(world.ledger.height("finalized"))

    tap_of(world).before = note
    for node in world.nodes.values():
        node.faults.lose = 0
    assert world.done(settler, contract.trade_id).stage is Stage.SETTLED
    assert min(signed_at) > first.last_valid_block_height, "what was called final may land yet"
    paid_once(world, contract)


def _four_days_ahead(result: Any) -> None:
    clock = result["value"][0]
    data = bytearray(base64.b64decode(clock["data"][0]))
    data[32:40] = (int.from_bytes(data[32:40], "little") + 4 * 86_400).to_bytes(8, "little")
    clock["data"] = [base64.b64encode(data).decode(), "base64"]


def _every_number_used(result: Any) -> None:
    for account in result["value"][1:]:
        try:
            line = Line.decode(b"" if account is None else base64.b64decode(account["data"][0]))
        except LayoutError:
            continue
        account["data"] = [base64.b64encode(replace(line, used=b"\xff" * 32).encode()).decode(), "base64"]


@pytest.mark.parametrize("restarts", [False, True])
@pytest.mark.parametrize(
    ("lie", "stage"),
    [(_four_days_ahead, Stage.EXPIRED), (_every_number_used, Stage.LOST)],
)
def test_what_a_lie_has_ended_goes_on_when_the_ledger_is_seen_again(
    world: World, lie: Callable[[Any], None], stage: Stage, *, restarts: bool
) -> None:
    settler = world.settler("battery")
    world.wait(20)

    def change(_url: str, method: str, result: Any) -> Any:
        if method == "getMultipleAccounts":
            lie(result)
        return result

    tap_of(world).after = change
    contract = put(world, settler, cosigned=False)
    view = world.done(settler, contract.trade_id)
    assert view.stage is stage
    world.wait(90)
    assert settler.trade(contract.trade_id) == view, "whoever says the same again changes nothing"
    tap_of(world).after = lambda _url, _method, result: result
    if restarts:
        world.crash(settler)
        settler = world.settler("battery")
    assert tap_of(world).sent == []
    world.stage(settler, contract.trade_id, Stage.WAITING)
    assert world.done(settler, contract.trade_id).stage is Stage.SETTLED
    paid_once(world, contract)


def test_what_has_ended_unpaid_is_looked_at_for_eight_days(world: World) -> None:
    settler = world.settler("battery", poll_s=1_800)
    contract = put(world, settler, cosigned=False, generation=5)
    assert world.done(settler, contract.trade_id, step_s=1_800, seconds=300_000).stage is Stage.LOST
    asked: list[int] = []

    def note(_url: str, method: str, params: list[Any]) -> None:
        if method == "getMultipleAccounts":
            asked.append(len(params[0]))

    tap_of(world).before = note
    world.wait(GIVEN_UP_S - 7_200)
    assert asked[-1] == max(asked)
    world.wait(10_800)
    assert asked[-1] == min(asked) < max(asked), "the Line is read no more"
    assert world.kinds("battery")[-1] is EventKind.TRADE_MOVED, "a Line that nobody follows is not told of"


def test_accounts_that_are_garbage_are_no_accounts(world: World) -> None:
    settler = world.settler("buyer")
    world.wait(20)

    def garble(_url: str, method: str, result: Any) -> Any:
        if method == "getMultipleAccounts":
            for account in result["value"][4:]:
                if account is not None:
                    account["data"] = ["AAAA", "base64"]
        return result

    tap_of(world).after = garble
    contract = put(world, settler)
    world.wait(120)
    assert tap_of(world).sent == []
    tap_of(world).after = lambda _url, _method, result: result
    assert world.done(settler, contract.trade_id).stage is Stage.SETTLED


def test_a_node_that_lags_is_not_relied_on(world: World) -> None:
    world.nodes[NODES[0]].faults.stale = 100
    settler = world.settler("battery")
    settler.watch(world.wallet("buyer"))
    world.wait(120)
    line = settler.line(world.wallet("buyer"))
    assert line is not None
    assert line.read_at_s >= world.now_s - 30


def test_a_wish_to_try_again_is_granted_at_the_next_look(world: World) -> None:
    settler = world.settler("battery", cosign_wait_s=0)
    contract = put(world, settler, cosigned=False, energy_wh=1_000_000)
    world.until(lambda: world.kinds("battery").count(EventKind.TRANSACTION_FAILED) == 6, seconds=3_000)
    failed_s = world.now_s
    leave_wishes(world.directory / "battery.db", [contract.trade_id])
    world.until(lambda: world.kinds("battery").count(EventKind.TRANSACTION_FAILED) == 7)
    assert world.now_s - failed_s <= 25


def test_a_restart_goes_on_with_what_was_sent(world: World) -> None:
    settler = world.settler("buyer")
    contract = put(world, settler)
    world.until(lambda: tap_of(world).sent != [], step_s=0.1)
    first = tap_of(world).sent[0]
    world.crash(settler)
    settler = world.settler("buyer")
    assert settler.snapshot().in_flight == 1
    assert world.done(settler, contract.trade_id).stage is Stage.SETTLED
    assert set(tap_of(world).sent) == {first}, "no second signature"
    paid_once(world, contract)
