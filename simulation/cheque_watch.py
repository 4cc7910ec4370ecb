"""What is looked at in a world of cheques: whenever a wallet signs, a transaction leaves or lands, a settler speaks.

- Nothing is signed but for this cluster, and nothing anew while what was signed for the same thing before may land.
- A transaction is on disk before its first byte leaves.
- What lands moves money as agreed (`simulation.payments`), and every vault holds what it owes.
- A number is voided when nobody can be paid by it any more, not before.
- A settler says of a trade that it is settled only when it is, and with the figures that hold.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from solders.message import from_bytes_versioned

from settlement.outbox_records import attempt_from_json
from settlement.program.events import Disputed, Settled
from settlement.settler_types import EventKind, Stage
from simulation.chain import wall_s
from simulation.invariants import Breach
from simulation.payments import check_escrow, events_in
from simulation.settlers import Watcher

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from settlement.ledger.records import Record
    from settlement.settler_types import SettlerEvent
    from simulation.chain import Chain
    from simulation.deals import Deal
    from simulation.payments import Payments
    from simulation.rpc_nodes import Nodes
    from simulation.settlers import Seat

_VERSIONED: Final = 0x80


class _Signed(NamedTuple):
    """What was signed last for one purpose."""

    signature: bytes
    last_valid_height: int


class ChequeWatch(Watcher):
    """The eyes of one world; `fail` takes what they see and should not."""

    def __init__(self, fail: Callable[[BaseException], None]) -> None:
        self.signed = 0
        self._fail = fail
        self._last: dict[tuple[str, bytes], _Signed] = {}

    def begin(
        self,
        *,
        chain: Chain,
        payments: Payments,
        on_dispute: Callable[[Disputed], None],
        on_landed: Callable[[Record], None],
        nodes: Nodes,
        hosts: Sequence[Seat],
        tell: Callable[[str, str, dict[str, Any]], None],
    ) -> None:
        """Look at this world from now on."""
        self._chain = chain
        self._payments = payments
        self._on_dispute = on_dispute
        self._on_landed = on_landed
        self._nodes = nodes
        self._hosts = hosts
        self._tell = tell
        chain.on_landed = self._landed

    def signs(self, host: Seat, message: bytes) -> None:
        """A wallet is about to sign: only transactions, only for this cluster, and nothing twice at a time."""
        self.signed += 1
        self._guarded(self._check_signed, host, message)

    def sends(self, host: Seat, transaction: bytes) -> None:
        """A transaction is about to leave: it must be in the outbox file."""
        self._guarded(self._check_sent, host, transaction)

    def told(self, host: Seat, event: SettlerEvent) -> None:
        """A settler tells something: that a trade is paid must be so, and it stops for a disk that fails alone."""
        if event.kind is EventKind.TRADE_MOVED and event.fields["stage"] == Stage.SETTLED.value:
            self._guarded(self._check_told, host, bytes.fromhex(event.fields["trade_id"]))
        elif event.kind is EventKind.OUTBOX_FAILED and not (host.disk.full or host.disk.fails_after_commit):
            self._fail(Breach("a settler stops for a disk that fails alone", f"{host.name}: {event.fields}"))
        elif event.kind is EventKind.CHEQUE_REFUSED:
            self._fail(Breach("no cheque that holds is refused", f"{host.name}: {event.fields}"))

    def check_end(self, deals: Mapping[bytes, Deal]) -> None:
        """When all is over: nothing is open on the ledger, wallets hold what was paid, and every settler knows it.

        Raises Breach.
        """
        if self._chain.open_trades():
            raise Breach("every claim ends", f"{self._chain.open_trades()} are open")
        self._check_escrows()
        for host in self._hosts:
            if host.person.role == "battery":
                self._check_purse(host)
            for deal in self._to_know(host, deals):
                if not self._knows(host, deal):
                    view = None if host.settler is None else host.settler.trade(deal.trade_id)
                    what = f"{host.name}: {view} of {self._payments.settled[deal.trade_id]}"
                    raise Breach("a settler learns what was paid", what)

    def is_known(self, deals: Mapping[bytes, Deal]) -> bool:
        """Whether every settler that runs knows of all that was paid."""
        return all(self._knows(host, deal) for host in self._hosts for deal in self._to_know(host, deals))

    def _to_know(self, host: Seat, deals: Mapping[bytes, Deal]) -> list[Deal]:
        """Return the paid trades of a party whose settler runs."""
        if host.settler is None:
            return []
        own = [deal for deal in deals.values() if host.person in (deal.battery, deal.buyer)]
        return [deal for deal in own if deal.trade_id in self._payments.settled]

    def _knows(self, host: Seat, deal: Deal) -> bool:
        view = None if host.settler is None else host.settler.trade(deal.trade_id)
        return view is not None and view.is_done and view.payout == self._payments.settled[deal.trade_id].payout

    def _guarded(self, check: Callable[..., None], *args: object) -> None:
        """Look, and take what is seen to the world: who is looked at could swallow it."""
        try:
            check(*args)
        except Breach as breach:
            self._fail(breach)

    def _check_signed(self, host: Seat, message: bytes) -> None:
        if message[0] < _VERSIONED:
            raise Breach("a wallet signs transactions only", f"{host.name}: {message[:32].hex()}")
        parsed = from_bytes_versioned(message)
        last_valid = self._chain.last_valid_height(bytes(parsed.recent_blockhash))
        if last_valid is None:
            raise Breach("nothing is signed for another cluster", f"{host.name}: a blockhash that is not ours")
        purpose = (host.name, self._purpose(parsed))
        before = self._last.get(purpose)
        if before is not None and not self._is_over(before):
            raise Breach("nothing is signed anew while the first may land", f"{host.name}: {purpose[1].hex()[:64]}")
        self._last[purpose] = _Signed(host.person.signer.sign(message), last_valid)

    def _check_sent(self, host: Seat, transaction: bytes) -> None:
        path = host.settings.outbox
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
            rows = connection.execute("SELECT seq, subject, body FROM attempts WHERE open").fetchall()
        if not any(attempt_from_json(*row).transaction == transaction for row in rows):
            raise Breach("what is sent is on disk", f"{host.name}: {transaction[1:65].hex()}")

    def _check_told(self, host: Seat, trade_id: bytes) -> None:
        view = None if host.settler is None else host.settler.trade(trade_id)
        event = self._payments.settled.get(trade_id)
        if event is None:
            raise Breach("a settler says what is so", f"{host.name}: {trade_id.hex()} is not settled")
        if view is None or (view.payout, view.fee, view.returned) == (event.payout, event.fee, event.returned):
            return
        raise Breach("a settler says what is so", f"{host.name}: {view}, the ledger says {event}")

    def _landed(self, record: Record) -> None:
        self._guarded(self._check_landed, record)

    def _check_landed(self, record: Record) -> None:
        fields = {"signature": record.signature.hex()[:16], "err": record.err, "units": record.units}
        self._tell("ledger", "landed", fields)
        self._on_landed(record)
        if record.err is not None:
            return
        for battery, buyer, number in self._chain.voids(record):
            self._tell("ledger", "Voided", {"battery": battery.name, "buyer": buyer.name, "contract_no": number})
            self._payments.void(battery, buyer, number, now_s=wall_s(self._chain.loop))
        own = self._chain.own_calls(record)
        for event in events_in(own):
            self._tell("ledger", type(event).__name__, {"event": str(event)})
            self._payments.take(event)
            if isinstance(event, Disputed):
                self._on_dispute(event)
            elif isinstance(event, Settled):
                self._check_escrows()

    def _check_escrows(self) -> None:
        for buyer, figures in self._chain.escrows():
            check_escrow(buyer.name, figures)

    def _check_purse(self, host: Seat) -> None:
        wallet = host.person.wallet
        held, owed = self._chain.tokens(wallet), self._chain.unpaid(host.person)
        if held + owed != self._payments.received(wallet):
            what = f"{host.name} holds {held} and is owed {owed}, the payments make {self._payments.received(wallet)}"
            raise Breach("a wallet holds what was paid", what)

    def _is_over(self, signed: _Signed) -> bool:
        """Whether what was signed can have no more effect than it has had."""
        signature = signed.signature
        if self._chain.has_landed(signature) or self._chain.finalized_height() > signed.last_valid_height:
            return True
        return signature not in self._nodes.taken and not self._nodes.under_way[signature]

    def _purpose(self, message: Any) -> bytes:
        """Return what a transaction does: its calls of the program, with their accounts."""
        keys = message.account_keys
        calls = [
            each for each in message.instructions if bytes(keys[each.program_id_index]) == self._chain.venue.program_id
        ]
        return b"".join(bytes(call.data) + b"".join(bytes(keys[at]) for at in call.accounts) for call in calls)
