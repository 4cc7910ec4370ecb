"""One battery's settlement, put together: its settler, its cashier and its clerk; what they tell becomes alarms.

The seller asks the cashier before it signs and the clerk afterwards; the settler only talks to the ledger. While that
cannot be reached a battery goes on selling on what it has read: how old that may be, the rule of cover says.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from agent.cashier import CLOCK_GAP_S, Cashier, clock_gap_s
from agent.clerk import Clerk
from settlement.exchange import to_base58
from settlement.settler_types import EventKind, SettlerSettings, Stage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from agent.config_settlement import SettlementSite
    from agent.config_values import BatterySite
    from agent.records import RecordBody, TradeKey
    from agent.seller import Seller
    from agent.settling_ports import SettlerPort
    from agent.surroundings import Surroundings
    from agent.trades import ActiveDelivery
    from etp.auth import Signer
    from etp.extensions import Receipt as WireReceipt
    from etp.messages import Body
    from settlement.settler_types import SettlerEvent, SettlerSnapshot

LOOK_EVERY_S: Final = 10.0
COVER_OLD_S: Final = 3_600
"""A Line that was read longer ago is told to the owner: deposits since are not seen, and releases come nearer."""
STARTS_WITHIN_S: Final = 60
_TOLD_MAX: Final = 4
"""Trades that an alarm names: the journal and `wattbid trades` have them all."""
_DOWN: Final = frozenset({"offline", "wrong cluster", "halted"})


class Settling:
    """Settler, cashier and clerk of one battery."""

    def __init__(self, battery: BatterySite, site: SettlementSite, *, seller: Seller, around: Surroundings) -> None:
        """Raises RuntimeError where nobody knows how to open a settler: that is a fault of the entry point."""
        if around.wallet is None or around.open_settler is None:
            raise RuntimeError("[settlement] without a wallet or a settler")
        signer, wallet = around.signer(battery), around.wallet(battery)
        self._seller = seller
        self._started_s = 0.0
        settings = SettlerSettings(
            role="battery",
            rpc=site.rpc,
            venue=site.terms.venue,
            outbox=site.outbox_of(battery.name),
            cosign_wait_s=site.cosign_wait_s,
        )
        self.settler: SettlerPort = around.open_settler(settings, wallet, self._happened)
        self.cashier = self._cashier(site, signer, wallet.public_key, around.wall_ms)
        self.clerk = Clerk(
            battery.name,
            self.cashier,
            seller.journal,
            listener=Voice(seller),
            now_ms=seller.now_ms,
            wall_ms=around.wall_ms,
            time_lapse=seller.time_lapse,
        )

    def _cashier(self, site: SettlementSite, signer: Signer, wallet: bytes, wall_ms: Callable[[], int]) -> Cashier:
        return Cashier(
            site,
            signer=signer,
            wallet=wallet,
            settler=self.settler,
            now_ms=self._seller.now_ms,
            wall_ms=wall_ms,
            time_lapse=self._seller.time_lapse,
        )

    async def start(self) -> None:
        """Begin to talk to the ledger. Raises SettlementError when the outbox cannot be used."""
        await self.settler.start()
        self._started_s = asyncio.get_running_loop().time()

    async def close(self) -> None:
        """End; cheques stay in the journal and in the outbox."""
        await self.settler.close()

    async def run(self) -> None:
        """Look after the ledger's state, and after cheques that were paid while nobody listened, or not taken."""
        while True:
            self.look()
            for statement in self.clerk.statements:
                view = self.settler.trade(statement.contract.trade_id)
                if view is None:
                    self.clerk.put(statement)
                else:
                    self.clerk.moved(view)
            await asyncio.sleep(LOOK_EVERY_S)

    def snapshot(self) -> dict[str, Any]:
        """Return what the control socket shows."""
        statements = self.clerk.statements
        open_cheques = [each.cheque for each in statements if not self._is_over(each.contract.trade_id)]
        lines = [
            self._line(wallet) for wallet in self.cashier.watched
        ]  # first: promises that are paid are dropped here
        return {
            **self.settler.snapshot().as_json(),
            "wallet": to_base58(self.cashier.offer.battery_wallet),
            "base_units_per_cent": self.cashier.site.terms.base_units_per_cent,
            "open_cheques": len(open_cheques),
            "open_units": sum(cheque.most_units for cheque in open_cheques),
            "open_promises_units": self.cashier.promises.open_units,
            "unanswered": sum(each.final is not None and not each.is_answered for each in statements),
            "disputed_by_buyer": sum(each.disputed_wh is not None for each in statements),
            "lines": lines,
        }

    def _is_over(self, trade_id: bytes) -> bool:
        view = self.settler.trade(trade_id)
        return view is not None and view.is_done

    def _line(self, wallet: bytes) -> dict[str, Any]:
        line, age_s = self.settler.line(wallet), self.settler.line_age_s(wallet)
        return {
            "buyer_wallet": to_base58(wallet),
            "cover_units": None if line is None else line.cover,
            "promised_units": None if line is None else self.cashier.promised(wallet, line),
            "age_s": None if age_s is None else round(age_s),
        }

    def _happened(self, event: SettlerEvent) -> None:
        self._seller.watch.cheque(event.kind.value, dict(event.fields))
        if event.kind is EventKind.TRADE_MOVED:
            self.clerk.moved(self.settler.trade(bytes.fromhex(event.fields["trade_id"])))
        elif event.kind is not EventKind.LINE_CHANGED:
            self.look()

    def look(self) -> None:
        """Raise and clear alarms by what the settler shows."""
        look = self.settler.snapshot()
        for name, words in self._troubles(look).items():
            self._seller.watch.alarm(name, words, raised=bool(words), blocks_selling=False)

    def _troubles(self, look: SettlerSnapshot) -> dict[str, str]:
        """Return every alarm of settlement with its words, "" where there is nothing to tell."""
        up_s = asyncio.get_running_loop().time() - self._started_s
        starting = look.state == "starting" and up_s > STARTS_WITHIN_S
        down = _down(look) if look.state in _DOWN or starting else ""
        low = "the wallet has less than 0.01 SOL; send it some" if look.low_sol else ""
        broke = "" if look.can_pay_claim is not False else "the wallet cannot pay for a claim: see uncashable_limit_c"
        ages = [self.settler.line_age_s(wallet) for wallet in self.cashier.promises.wallets()]
        oldest_s = max((age for age in ages if age is not None), default=0.0)
        old = f"a buyer's line was read {oldest_s / 3_600:.1f} h ago" if oldest_s > COVER_OLD_S else ""
        gap_s = 0 if look.chain_now_s is None else clock_gap_s(self._seller.wall_ms(), look.chain_now_s)
        clock = f"ours is {gap_s:+d} s from the ledger's: set the time of day; nothing is signed until then"
        return {
            "ledger": down,
            "low SOL": low,
            "cannot claim": broke,
            "cover age": old,
            "ledger clock": clock if abs(gap_s) > CLOCK_GAP_S else "",
            "receipt disputed": self._disputes(),
            "cheque expired": self._expired(),
            "cheque in doubt": self._doubtful(),
            "other identity": self._strangers(),
        }

    def _strangers(self) -> str:
        """Return whether cheques were made under an identity that is gone."""
        found = sum(self.clerk.is_of_other_identity(each) for each in self.clerk.statements)
        return f"{found} open cheques name another identity key: put it back until they are paid" if found else ""

    def _disputes(self) -> str:
        """Return which trades their buyers see otherwise, until those are paid or signed for."""
        found = [
            f"trade {each.contract.trade_id.hex()[:16]}: we say {each.final.delivered_wh} Wh, "
            f"the buyer {each.disputed_wh} Wh"
            for each in self.clerk.statements
            if each.disputed_wh is not None and each.final is not None
        ]
        return "; ".join(found[:_TOLD_MAX])

    def _expired(self) -> str:
        """Return which cheques can no longer be claimed: only their buyers can still have them paid."""
        names = self._at(Stage.EXPIRED)
        return f"trade {names}: not claimed in time; only its buyer's signature can still pay it" if names else ""

    def _doubtful(self) -> str:
        """Return which cheques are lost by what an endpoint says, and could be claimed if it is wrong."""
        names = self._at(Stage.LOST)
        return f"trade {names}: its number is spent or its line gone, an endpoint says; it is kept" if names else ""

    def _at(self, stage: Stage) -> str:
        views = [self.settler.trade(each.contract.trade_id) for each in self.clerk.statements]
        names = [view.trade_id.hex()[:16] for view in views if view is not None and view.stage is stage]
        return ", ".join(names[:_TOLD_MAX])


def _down(look: SettlerSnapshot) -> str:
    """Return why the ledger is not read, and what that means for bids where it was not read at all."""
    unread = "" if look.read_age_s is not None else "; no line was read since the start: until then signed bids get 8"
    return f"{look.state}: {look.problem or 'no endpoint answers'}{unread}"


class Voice:
    """What the clerk asks of a seller: implements `ClerkListener`."""

    def __init__(self, seller: Seller) -> None:
        self._seller = seller

    def deliveries(self) -> Iterable[ActiveDelivery]:
        """Return the trades under delivery."""
        return self._seller.delivery.active

    def send_status(self, key: TradeKey, delivered_wh: int, receipt: WireReceipt) -> bool:
        """Send BESSStatus with a receipt on every connection of a trade's buyer; False when there is none."""
        peer, bid_id = key
        links = self._seller.desk.links_of(peer)
        status: Body | None = self._seller.status(bid_id, delivered_wh) if links else None
        for link in links:
            if status is not None:
                link.send(status, receipt=receipt)
                link.flush()
        return bool(links)

    def end_delivery(self, key: TradeKey, code: int, reason: str) -> None:
        """End a delivery openly."""
        self._seller.delivery.stop(*key, code, reason)

    def answered(self, key: TradeKey) -> None:
        """The buyer knows of a trade's end: it is not told again."""
        self._seller.ends.known(key)

    def paid(self, buyer: str) -> None:
        """The ledger has paid a trade: that is what a reputation grows by."""
        self._seller.credit(buyer)

    def cheque_told(self, event: str, fields: RecordBody) -> None:
        """Tell whoever watches."""
        self._seller.watch.cheque(event, fields)
        if event == "cheque_cashed" and fields["stage"] == Stage.LOST.value:
            words = (
                f"trade {fields['trade_id'][:16]}: the ledger will not pay it (its number is spent, or its line gone)"
            )
            self._seller.watch.alarm("cheque lost", words, raised=True, blocks_selling=False)
        elif self._seller.settling is not None:
            self._seller.settling.look()
