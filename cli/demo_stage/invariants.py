"""What must hold in every run of the demo, whoever bid and whatever came between. Pure.

Each check looks at the evidence and returns what contradicts it, in words; nothing = it held.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Final

from cli.demo_stage.payments import PER_CENT
from etp.messages import ReasonCode
from settlement.money import amount_of, fee_of, reserve_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from cli.demo_stage.evidence import Evidence
    from cli.demo_stage.records import Trade

ANSWER_MS: Final = 500  # ETP section 3
SETPOINT_MS: Final = 200  # ETP section 7
COUNTER_STEP_WH: Final = 1
METERED_SHARE: Final = 0.01
UNANSWERED_SHARE: Final = 0.01
FEE_BPS: Final = 50
"""The default of both files."""


def check(evidence: Evidence) -> dict[str, list[str]]:
    """Return for every invariant what broke it; an empty list = it held."""
    return {name: list(find(evidence)) for name, find in INVARIANTS.items()}


def _name(trade: Trade) -> str:
    return f"{trade.battery}/{trade.bid_id}"


def _at_least_reserve(evidence: Evidence) -> Iterator[str]:
    for trade in evidence.trades:
        if trade.price_e4 < trade.reserve_e4:
            yield f"{_name(trade)}: price {trade.price_e4} below the reserve {trade.reserve_e4}"


def _answered_in_time(evidence: Evidence) -> Iterator[str]:
    for trade in evidence.trades:
        if (took_ms := trade.awarded_at_ms - trade.asked_at_ms) > ANSWER_MS:
            yield f"{_name(trade)}: accepted after {took_ms} ms"
    for battery, metrics in evidence.metrics.items():
        if late := metrics["bid_processing_ms"]["late"]:
            yield f"{battery}: {late} late answers by its own count"


def _setpoint_in_time(evidence: Evidence) -> Iterator[str]:
    for trade in evidence.trades:
        if trade.first_setpoint_at_ms is None:
            yield f"{_name(trade)}: no setpoint at all"
        elif (took_ms := trade.first_setpoint_at_ms - trade.on_disk_at_ms) > SETPOINT_MS:
            yield f"{_name(trade)}: first setpoint after {took_ms} ms"


def _no_lot_oversold(evidence: Evidence) -> Iterator[str]:
    sold_wh: dict[tuple[str, int], int] = defaultdict(int)
    for trade in evidence.trades:
        sold_wh[trade.battery, trade.lot_id] += trade.energy_wh
    offered_wh = {(lot.battery, lot.lot_id): lot.energy_wh for lot in evidence.lots}
    for key, energy_wh in sold_wh.items():
        if energy_wh > offered_wh.get(key, 0):
            yield f"{key[0]} lot {key[1]}: {energy_wh} Wh sold of {offered_wh.get(key, 0)}"


def _metered_agrees(evidence: Evidence) -> Iterator[str]:
    for trade in evidence.trades:
        if trade.metered_wh is None or trade.delivered_wh is None:
            yield f"{_name(trade)}: not metered"
            continue
        off_wh = abs(trade.metered_wh - trade.delivered_wh)
        if off_wh > max(COUNTER_STEP_WH, METERED_SHARE * trade.energy_wh):
            yield f"{_name(trade)}: {trade.delivered_wh} Wh delivered, {trade.metered_wh:.1f} Wh by the counter"


def _buyers_agree(evidence: Evidence) -> Iterator[str]:
    for trade in evidence.trades:
        if trade.buyer_wh is not None and trade.buyer_wh != trade.delivered_wh:
            yield f"{_name(trade)}: {trade.delivered_wh} Wh delivered, the buyer was told {trade.buyer_wh}"


def _floor_kept(evidence: Evidence) -> Iterator[str]:
    for site in evidence.sites:
        if site.soc_least_permille < site.floor_permille:
            yield f"{site.name}: {site.soc_least_permille / 10:.1f} % with a floor of {site.floor_permille / 10:.1f} %"


def _batteries_released(evidence: Evidence) -> Iterator[str]:
    for site in evidence.sites:
        if not evidence.released.get(site.name, False):
            yield f"{site.name}: still commanded"


def _accepts_ended(evidence: Evidence) -> Iterator[str]:
    """Every Accept became a trade that ended, or fell through openly (Terminate, or no Confirm in time)."""
    for trade in evidence.trades:
        if trade.ended_at_ms is None:
            yield f"{_name(trade)}: has not ended"
    for site in evidence.sites:
        confirmed = {(trade.peer, trade.bid_id) for trade in evidence.trades if trade.battery == site.name}
        metrics = evidence.metrics.get(site.name)
        voided = metrics["total"]["voided"] if metrics else 0
        if len(open_ := site.accepts - confirmed) > voided:
            yield f"{site.name}: {len(open_)} Accepts without a Confirm, {voided} fell through"


def _frames_answered(evidence: Evidence) -> Iterator[str]:
    """Fewer than 1 % of all bids went unanswered, counted by the buyers; and of all frames, by the agents."""
    missing = sum(buyer.unanswered for buyer in evidence.buyers) + evidence.bids_waiting
    asked = evidence.bids_answered + missing
    if missing >= UNANSWERED_SHARE * max(1, asked):
        yield f"{missing} of {asked} bids without an answer"
    for battery, metrics in evidence.metrics.items():
        frames = metrics["frames"]
        if frames["unanswered"] >= UNANSWERED_SHARE * max(1, frames["received"]):
            yield f"{battery}: {frames['unanswered']} of {frames['received']} frames unanswered"


def _everything_seen(evidence: Evidence) -> Iterator[str]:
    """The evidence is whole: no event was lost on its way here."""
    for site in evidence.sites:
        if site.events_lost:
            yield f"{site.name}: {site.events_lost} events lost"
        if site.name not in evidence.metrics:
            yield f"{site.name}: no figures at the end"


def _deliveries_complete(evidence: Evidence) -> Iterator[str]:
    for trade in evidence.trades:
        if trade.end_code not in (None, ReasonCode.NONE) and trade.delivered_wh == trade.energy_wh:
            yield f"{_name(trade)}: all of it delivered, ended with code {trade.end_code}"
        if trade.end_code == ReasonCode.NONE and trade.delivered_wh != trade.energy_wh:
            yield f"{_name(trade)}: ended as complete with {trade.delivered_wh} of {trade.energy_wh} Wh"


def _enough_trades(evidence: Evidence) -> Iterator[str]:
    if evidence.wanted is not None and len(evidence.trades) < evidence.wanted:
        yield f"{len(evidence.trades)} of {evidence.wanted} trades"


def _payments_add_up(evidence: Evidence) -> Iterator[str]:
    """Payout, fee and what was returned are what was reserved, to the base unit."""
    for payment in evidence.payments.known.values():
        if not payment.is_settled:
            continue
        parts = (payment.payout or 0) + (payment.fee or 0) + (payment.returned or 0)
        if parts != payment.reserved:
            yield f"{payment.trade_id[:16]}: {parts} units of {payment.reserved} reserved"


def _payments_by_formula(evidence: Evidence) -> Iterator[str]:
    """Every payment is price x metered energy, and its reserve price x agreed energy, fee on top."""
    for trade in evidence.trades:
        payment = evidence.payments.known.get(trade.trade_id)
        if payment is None or not payment.is_settled:
            continue
        paid_wh = min(trade.delivered_wh or 0, trade.energy_wh)
        payout = amount_of(trade.price_e4, paid_wh, PER_CENT)
        whole = amount_of(trade.price_e4, trade.energy_wh, PER_CENT)
        wanted = (paid_wh, payout, fee_of(payout, FEE_BPS), reserve_of(whole, FEE_BPS))
        found = (payment.delivered_wh, payment.payout, payment.fee, payment.reserved)
        if found != wanted:
            yield f"{_name(trade)}: {found} on the ledger, {wanted} by the formula (Wh, payout, fee, reserve)"


def _deliveries_paid(evidence: Evidence) -> Iterator[str]:
    for trade in evidence.trades:
        payment = evidence.payments.known.get(trade.trade_id)
        if trade.delivered_wh and (payment is None or not payment.is_settled):
            yield f"{_name(trade)}: {trade.delivered_wh} Wh delivered, on the ledger {payment and payment.stage}"


def _wallets_hold_it(evidence: Evidence) -> Iterator[str]:
    """Every battery's wallet holds exactly the payouts of its trades, and every vault at least what it owes."""
    balances = evidence.payments.balances
    if balances is None:
        if evidence.trades:
            yield "no look at the ledger"
        return
    for site in evidence.sites:
        paid = sum(
            (payment.payout or 0) - (payment.unpaid or 0)
            for trade in evidence.trades
            if trade.battery == site.name and (payment := evidence.payments.known.get(trade.trade_id)) is not None
        )
        if balances.tokens[site.name] != paid:
            yield f"{site.name}: {balances.tokens[site.name]} units in the wallet, {paid} paid"
    for buyer, held in balances.vaults.items():
        if held < balances.owed[buyer]:
            yield f"{buyer}: {held} units in the vault, {balances.owed[buyer]} owed"


def _lines_fell_by_it(evidence: Evidence) -> Iterator[str]:
    """Every Line holds what it held at the beginning, less payouts and fees of its trades, to the base unit."""
    payments = evidence.payments
    if payments.first is None or payments.balances is None:
        return
    for (buyer, site), held in payments.balances.lines.items():
        paid = sum(
            (payment.payout or 0) + (payment.fee or 0)
            for trade in evidence.trades
            if (trade.aggregator, trade.battery) == (buyer, site)
            and (payment := payments.known.get(trade.trade_id)) is not None
        )
        if payments.first.lines[buyer, site] - paid != held:
            yield f"{buyer} to {site}: {payments.first.lines[buyer, site]} units less {paid} are not {held}"


def _clean_end(evidence: Evidence) -> Iterator[str]:
    yield from evidence.left_running
    yield from evidence.bad_ends


INVARIANTS: Final[dict[str, Callable[[Evidence], Iterator[str]]]] = {
    "price_at_least_reserve": _at_least_reserve,
    "answered_within_500_ms": _answered_in_time,
    "setpoint_within_200_ms": _setpoint_in_time,
    "no_lot_oversold": _no_lot_oversold,
    "metered_agrees_with_delivered": _metered_agrees,
    "buyer_told_what_was_delivered": _buyers_agree,
    "end_codes_tell_the_truth": _deliveries_complete,
    "floor_never_crossed": _floor_kept,
    "batteries_released": _batteries_released,
    "every_accept_ended": _accepts_ended,
    "frames_unanswered_below_1_percent": _frames_answered,
    "all_events_seen": _everything_seen,
    "trades_as_asked": _enough_trades,
    "payout_fee_returned_are_reserved": _payments_add_up,
    "payments_follow_the_formula": _payments_by_formula,
    "lines_fell_by_what_was_paid": _lines_fell_by_it,
    "every_delivery_is_paid": _deliveries_paid,
    "wallets_and_vaults_hold_it": _wallets_hold_it,
    "nothing_left_running": _clean_end,
}
