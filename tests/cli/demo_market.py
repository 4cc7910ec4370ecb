"""A market on paper for the demo's tests: messages as agents, batteries and buyers send them, and evidence of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agent.metrics import Metrics
from cli.demo_stage import scene
from cli.demo_stage.book import Book
from cli.demo_stage.evidence import Evidence
from cli.demo_stage.payments import Balances
from settlement.program import events
from settlement.program.history import Happened

if TYPE_CHECKING:
    from settlement.program.codec import Record

BID = 1_882_670_750_664_491_039
START_MS = 10_000
WALL_OFFSET_MS = 1_000_000
KEYS = {f"key:{n + 1:02x}" + f"{n + 1:02x}" * 31: buyer.name for n, buyer in enumerate(scene.BUYERS)}


def new_book() -> Book:
    book = Book(scene.SITES, scene.BUYERS, wall_offset_ms=WALL_OFFSET_MS)
    book.introduce(KEYS)
    return book


def peer_of(buyer: str) -> str:
    return next(peer for peer, name in KEYS.items() if name == buyer)


def event(name: str, **fields: Any) -> dict[str, Any]:
    return {"event": name, "number": 1, "at_ms": WALL_OFFSET_MS + START_MS, **fields}


def truth(at_ms: int, discharged_wh: float, soc_permille: float = 800.0) -> dict[str, Any]:
    return {
        "at_ms": at_ms,
        "discharged_wh": discharged_wh,
        "soc_permille": soc_permille,
        "released": True,
        "power_w": 0.0,
    }


def snapshot(name: str = "home", *, lot: dict[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
    battery = {
        "name": name,
        "endpoint": "127.0.0.1:4084",
        "stopped": "",
        "fault": "",
        "soc_permille": 800,
        "power_w": -5_000,
        "voltage_mv": 52_300,
        "lot": lot,
        "deliveries": [],
        **fields,
    }
    return {"at_ms": 1, "batteries": [battery], "metrics": Metrics().summary()}


def deal(bid_id: int = BID, *, buyer: str = "amber", price_e4: int = 383_000, lot_id: int = 7) -> dict[str, Any]:
    return {
        "peer": peer_of(buyer),
        "bid_id": bid_id,
        "lot_id": lot_id,
        "price_e4": price_e4,
        "reserve_e4": 300_000,
        "first_acceptable_e4": 310_000,
        "distinct_bidders": 3,
        "energy_wh": 500,
        "power_w": 5_000,
        "asked_at_ms": START_MS - 410,
        "awarded_at_ms": START_MS - 9,
        "confirmed_at_ms": START_MS - 4,
        "trade_id": f"{bid_id:064x}",
    }


def open_lot(book: Book, site: str = "home", *, lot_id: int = 7, energy_wh: int = 500) -> None:
    book.agent_event(site, event("lot_opened", lot_id=lot_id, energy_wh=energy_wh, power_w=5_000, reserve_e4=300_000))


def sell(book: Book, site: str = "home", *, bid_id: int = BID, buyer: str = "amber") -> None:
    """One lot from its opening to the Confirm."""
    open_lot(book, site)
    book.buyer_line(buyer, {"event": "bid", "at_ms": 1_000, "bid_id": bid_id})
    book.agent_event(site, event("bid_placed", peer=peer_of(buyer), bid_id=bid_id, price_e4=383_000, energy_wh=500))
    book.agent_event(site, event("bid_accepted", **deal(bid_id, buyer=buyer)))
    book.buyer_line(buyer, {"event": "accepted", "at_ms": 1_401, "bid_id": bid_id})
    book.agent_event(site, event("trade_confirmed", **deal(bid_id, buyer=buyer)))
    closed = event("lot_closed", lot_id=7, reason="sold", first_acceptable_e4=310_000)
    book.agent_event(site, closed)


def deliver(book: Book, site: str = "home", *, bid_id: int = BID, metered_wh: float = 501.0, code: int = 0) -> None:
    """The delivery of what `sell` sold, seen by the agent, the battery and the buyer."""
    begun = {**deal(bid_id), "first_setpoint_at_ms": START_MS + 10}
    book.truth(site, truth(START_MS, 1_000.0))
    book.agent_event(site, event("delivery_started", **begun))
    book.truth(site, truth(START_MS + 3_000, 1_000.0 + metered_wh / 2))
    ended = {"ended_at_ms": START_MS + 6_000, "end_code": code, "reason": "", "delivered_wh": 500, "derived": False}
    book.agent_event(site, event("delivery_ended", **begun, **ended))
    book.buyer_line("amber", {"event": "ended", "at_ms": 1, "bid_id": bid_id, "delivered_wh": 500})
    book.truth(site, truth(START_MS + 6_050, 1_000.0 + metered_wh))
    book.truth(site, truth(START_MS + 6_150, 1_000.0 + metered_wh))


def happened(*told: Record, signature: str = "5igna", units: int = 5_350, error: object = None) -> Happened:
    """A transaction of the program, as the ledger tells it."""
    return Happened(signature=signature, slot=1, error=error, units=units, fee=10_000, events=told)


def settled(bid_id: int = BID, *, how: int = 0, **changed: int) -> events.Settled:
    """The whole payment of what `deal` agreed: 500 Wh at 38.30 c."""
    figures = {"delivered_wh": 500, "reserved": 192_457, "payout": 191_500, "fee": 957, "returned": 0} | changed
    bonds = {"bond_to_battery": 0, "bond_to_buyer": 0, "unpaid": 0, "battery_sequence": 1, "buyer_sequence": 1}
    who = {"line": bytes(32), "contract_no": 0, "battery_wallet": bytes(32), "buyer_wallet": bytes(32)}
    trade_id = bid_id.to_bytes(32, "big")
    return events.Settled(**{"trade_id": trade_id, "how": how, **who, **bonds, **figures})  # type: ignore[arg-type]


def balances(book: Book, **paid: int) -> Balances:
    """What lies where: `paid` is what each site's wallet holds."""
    names = (*book.sites, *book.buyers)
    return Balances(
        tokens=dict.fromkeys(names, 0) | paid,
        lamports=dict.fromkeys(names, 10**9),
        lines={(buyer, site): 5_000_000 for buyer in book.buyers for site in book.sites},
        vaults=dict.fromkeys(book.buyers, 15_000_000),
        owed=dict.fromkeys(book.buyers, 15_000_000),
        fees=957,
    )


def pay(book: Book, site: str = "home", *, bid_id: int = BID) -> None:
    """The ledger pays what `deliver` delivered."""
    book.ledger_balances(balances(book))
    book.ledger_event(happened(settled(bid_id)))
    after = balances(book, **{site: 191_500})
    after.lines["amber", site] -= 191_500 + 957
    book.ledger_balances(after)


def evidence_of(book: Book, *, wanted: int | None = None) -> Evidence:
    return Evidence(
        trades=list(book.trades.values()),
        lots=list(book.lots.values()),
        sites=list(book.sites.values()),
        buyers=list(book.buyers.values()),
        metrics={name: Metrics().summary() for name in book.sites},
        bids_answered=book.answers.count,
        bids_late=book.answers.late,
        bids_waiting=book.waiting_bids,
        answer_p50_ms=book.answer_ms(0.5),
        answer_p99_ms=book.answer_ms(0.99),
        slowest_answer_ms=book.slowest_answer_ms,
        wanted=wanted,
        duration_ms=7_000,
        discovery="static",
        released=dict.fromkeys(book.sites, True),
        payments=book.payments,
    )


def sound_evidence() -> Evidence:
    """A run of one trade in which everything held."""
    book = new_book()
    sell(book)
    deliver(book)
    pay(book)
    return evidence_of(book, wanted=1)
