"""What a settler last saw of the ledger: everything confirmed, to act upon, and everything finalized, to rely on."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from settlement.actions import CLAIM_LAMPORTS
from settlement.book import other_wallet
from settlement.chain import View, read_view
from settlement.errors import SettlementError, TermsError
from settlement.exchange import to_base58
from settlement.settler_types import EventKind

if TYPE_CHECKING:
    from settlement.desk import Desk
    from settlement.lines import LineState
    from settlement.outbox_records import TradeRecord

WATCHED_MAX: Final = 1_024
"""Lines a settler reads whether or not a cheque is open on them: 31 requests a look."""


LOOK_AGAIN_S: Final = 60.0
"""Between two looks at what was given up."""
GIVEN_UP_S: Final = 8 * 86_400.0
"""How long that is looked at, from its end or from the start: no contract can be claimed later than seven days on.

A battery looks longer at numbers that are still unused: one day they are in the way."""


class ClusterError(SettlementError):
    """The program that the file names is not on this ledger, or it was set up for another cluster."""


class Reading:
    """The two last views, and what changed between one look and the next."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._watched: dict[bytes, None] = {}
        self._again_at_s = float("-inf")
        self._given_up_at_s: dict[bytes, float] = {}
        self.given_up: list[TradeRecord] = []
        """Trades that ended unpaid and are in the last finalized view."""
        self.holes: set[bytes] = set()
        """Trades of a battery that ended unpaid and whose numbers are unused: looked at for as long as that is so."""
        self.confirmed: View | None = None
        self.final: View | None = None
        self.read_at_s = 0.0
        """On the local clock, which only measures."""
        self.lines: dict[bytes, LineState] = {}
        self.low_sol: bool | None = None
        self.can_pay_claim: bool | None = None

    def watch(self, wallet: bytes) -> None:
        """Read the Line shared with a wallet from now on. Raises TermsError for no wallet, or too many."""
        if len(wallet) != 32:
            raise TermsError("wallet", f"{len(wallet)} bytes, not 32")
        if wallet not in self._watched and len(self._watched) >= WATCHED_MAX:
            raise TermsError("wallet", f"{WATCHED_MAX} are watched already")
        self._watched[wallet] = None

    def unwatch(self, wallet: bytes) -> None:
        """Read it only while a cheque is open on it; without one, what was read of it is forgotten."""
        self._watched.pop(wallet, None)
        if not self._desk.book.has_open(wallet):
            self.lines.pop(wallet, None)
            if self.final is not None:
                self.final.read.pop(wallet, None)

    async def look(self) -> None:
        """Look at the ledger. Raises RpcError, NoEndpointError, LayoutError or ClusterError; then all is as before."""
        desk = self._desk
        await desk.client.probe()
        open_wallets = desk.book.wallets()
        contracts = [record.cheque.contract for record in desk.book.open.values()]
        confirmed = await read_view(desk.client, desk.atlas, "confirmed", open_wallets, contracts)
        self._check_program(confirmed)
        given_up = self._to_look_at_again()
        wallets = list(dict.fromkeys((*self._watched, *open_wallets, *map(other_wallet, given_up))))
        contracts += [record.cheque.contract for record in given_up]
        final = await read_view(desk.client, desk.atlas, "finalized", wallets, contracts)
        self.confirmed, self.final, self.given_up = confirmed, final, given_up
        self.read_at_s = desk.monotonic_s()
        if given_up:
            self._again_at_s = self.read_at_s + LOOK_AGAIN_S
        self._note_lines(final)
        self._note_lamports(confirmed.lamports)

    def _to_look_at_again(self) -> list[TradeRecord]:
        """Return what was given up not too long ago, or leaves a hole in its Line, once a minute."""
        book, now_s, known = self._desk.book, self._desk.monotonic_s(), self._given_up_at_s
        if now_s < self._again_at_s:
            return []
        self._given_up_at_s = {trade_id: known.get(trade_id, now_s) for trade_id in book.given_up}
        for trade_id, since_s in list(self._given_up_at_s.items()):
            if now_s - since_s > GIVEN_UP_S and trade_id not in self.holes:
                del book.given_up[trade_id], self._given_up_at_s[trade_id]
        self.holes.intersection_update(book.given_up)
        return list(book.given_up.values())

    def _check_program(self, view: View) -> None:
        config, venue = view.config, self._desk.settings.venue
        if config is None:
            where = to_base58(venue.program_id)
            raise ClusterError(f"no settlement program was initialized at {where}: check program_id in the file")
        if config.genesis != venue.genesis_hash:
            shown = to_base58(config.genesis)
            raise ClusterError(f"the program was set up for the cluster {shown}, the file names another: check genesis")

    def _note_lines(self, final: View) -> None:
        role, own = self._desk.settings.role, self._desk.wallet.public_key
        known, self.lines = self.lines, {}
        for wallet in final.read:
            before, after = known.get(wallet), final.line_state(wallet, own, role)
            if after is not None:
                self.lines[wallet] = after
            is_followed = wallet in self._watched or self._desk.book.has_open(wallet)
            if is_followed and _without_time(before) != _without_time(after):
                self._desk.tell(EventKind.LINE_CHANGED, wallet=to_base58(wallet))

    def _note_lamports(self, lamports: int) -> None:
        desk = self._desk
        low = lamports < desk.settings.low_lamports
        if low and not self.low_sol:
            desk.tell(EventKind.LOW_SOL, lamports=lamports, wallet=desk.address)
        self.low_sol = low
        can_pay, could_pay = lamports >= CLAIM_LAMPORTS, self.can_pay_claim
        self.can_pay_claim = can_pay
        if desk.settings.role != "battery" or can_pay == could_pay:
            return
        if not can_pay:
            desk.tell(EventKind.CANNOT_PAY_CLAIM, lamports=lamports, needed=CLAIM_LAMPORTS, wallet=desk.address)
        elif could_pay is not None:
            desk.tell(EventKind.CAN_PAY_CLAIM, lamports=lamports)


def _without_time(line: LineState | None) -> LineState | None:
    return None if line is None else replace(line, read_at_s=0, slot=0)
