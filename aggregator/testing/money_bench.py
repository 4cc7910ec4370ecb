"""A session that settles, on a real journal file; the disk works at once, or when it is told to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aggregator.buyer import Ids
from aggregator.cheque_book import ENTRIES_MAX, ChequeBook
from aggregator.cheque_file import ChequeFile
from aggregator.consent import Judge
from aggregator.effects import Effect, Fetch, HangUp, Keep, Note, Send
from aggregator.entries import Entry, Key
from aggregator.settling import Purser, Settling
from aggregator.testing.seller import BUYER_KEYS, Seller
from aggregator.testing.session_bench import BATTERY, SessionBench, make_buyer
from aggregator.testing.settler import StandInSettler, a_line
from etp.extensions import Extensions
from etp.messages import FIRST_BATTERY_ID, Body, MessageType
from settlement.progress import Rules
from settlement.terms import VALID_FOR_S

if TYPE_CHECKING:
    from pathlib import Path

    from aggregator.buyer import Buyer
    from etp.extensions import Contract as WireContract
    from etp.extensions import Receipt as WireReceipt

WALL_MS = 1_700_000_000_000
RULES = Rules(cosign_wait_s=0, tolerance_wh=20, tolerance_percent=2)
BUYER_ID = BUYER_KEYS.identity.device_id


class MoneyBench(SessionBench):
    """One battery that settles, one session, one journal. `after` starts on the file and the clock of another bench."""

    def __init__(
        self,
        path: Path,
        *,
        seller: Seller | None = None,
        cosigns: bool = True,
        after: MoneyBench | None = None,
        buyer: Buyer | None = None,
        time_lapse: int = 1,
    ) -> None:
        self.path = path
        self.seller: Seller = seller or (Seller() if after is None else after.seller)
        self.settler: StandInSettler = StandInSettler() if after is None else after.settler
        self.file = ChequeFile.open(path)
        self.now_ms = 1_000 if after is None else after.now_ms
        self.disk_error = ""
        self.holds_disk = False
        self.waiting: list[Keep] = []
        """What the disk has not written yet."""
        identity = BUYER_KEYS.identity
        purser = Purser(
            terms=self.seller.terms,
            signer=identity,
            wallet=BUYER_KEYS.public_keys["wallet"],
            judge=Judge(signer=identity, rules=RULES, cosigns=cosigns),
            valid_for_s=VALID_FOR_S,
            time_lapse=time_lapse,
        )
        book = ChequeBook(self.file.read_open(self.wall_ms() // 1_000, ENTRIES_MAX))
        self.settling = Settling(
            purser, book=book, settler=self.settler, wall_ms=self.wall_ms, device_id=identity.device_id
        )
        buyer = buyer or make_buyer()
        for entry in book:
            buyer.purse.resume(entry.key.bid_id, entry.contract.price_e4, entry.contract.energy_wh)
        now_ms = self.now_ms
        super().__init__(signed=True, buyer=buyer, ids=Ids(now_ms, above=self.file.last_id()), settling=self.settling)
        self.now_ms = now_ms
        self.signer = self.seller.keys.public_keys["identity"]
        if after is None:
            self.allot(10_000_000)

    def wall_ms(self) -> int:
        """Return the time of day."""
        return WALL_MS + self.now_ms

    def allot(self, amount: int, **changes: Any) -> None:
        """Let the Line to the battery be read with so many base units on it."""
        keys = {
            "buyer_key": BUYER_KEYS.public_keys["identity"],
            "battery_key": self.seller.keys.public_keys["identity"],
        }
        times = {"read_at_s": self.wall_ms() // 1_000}
        self.settler.lines[self.seller.wallet] = a_line(amount, **{**keys, **times, **changes})

    def perform(self, effects: list[Effect]) -> None:
        """Perform effects in order; what waits for the disk goes on when it is there."""
        for effect in effects:
            match effect:
                case Send():
                    self.sent.append(effect)
                case Note():
                    self.notes.append(effect)
                case HangUp():
                    self.hang_ups.append(effect.reason)
                case Keep():
                    self.waiting.append(effect)
                    if not self.holds_disk:
                        self.write()
                case Fetch():
                    self.perform(self.session.fetched(effect, self.file.read(effect.key), self.now_ms))

    def write(self, error: str = "") -> None:
        """Let the disk do what came first, or refuse it."""
        keep = self.waiting.pop(0)
        error = error or self.disk_error
        if not error:
            self.file.write(keep.entry)
            self.settling.book.written(keep.entry)
            self.settler.put(keep.entry.cheque, keep.entry.figure_wh)
        self.perform(self.session.kept(keep, error, self.now_ms))

    def register(self, offer: WireContract | None = None, **changes: Any) -> Body:
        """Open a connection, and let the battery register with its terms; return what was sent last."""
        self.open()
        body = Body.register(FIRST_BATTERY_ID, BATTERY)
        self.hear(body, extensions=Extensions(contract=offer or self.seller.offer(**changes)))
        return self.sent[-1].body

    def greet(self) -> SessionBench:
        """Register with the right terms."""
        self.register()
        return self

    def bid_sent(self) -> Send:
        """Return the one Bid of the last step, with what it carries."""
        (send,) = [send for send in self.sent if send.body.message_type == MessageType.BID]
        return send

    def accepted(self, bid: Send, *, price_e4: int | None = None, power_w: int = -5_000, **changes: Any) -> MoneyBench:
        """Let the battery accept a Bid under its signature; `changes` are in the contract that it signs."""
        body = self.accept(bid.body, power_w=power_w, **({} if price_e4 is None else {"price_e4": price_e4}))
        self.hear(body, extensions=Extensions(contract=self.sign(bid, body, **changes)))
        return self

    def sign(self, bid: Send, accept: Body, **changes: Any) -> WireContract:
        """Return what an Accept carries."""
        if bid.contract is None:
            raise AssertionError("a bid without a contract cannot be accepted")
        return self.seller.accept(
            bid.contract,
            buyer_key=BUYER_KEYS.public_keys["identity"],
            bid_id=accept.message_id,
            price_e4=accept.sale_price_e4,
            energy_wh=accept.energy_wh,
            **changes,
        )

    def agreed_bid(self) -> Body:
        """Register, bid, be accepted, confirm, be acknowledged: return the bid."""
        self.bidding()
        bid = self.bid_sent()
        self.accepted(bid).only(MessageType.BID_CONFIRM)
        self.status(bid.body, 0)
        return bid.body

    def status(self, bid: Body, seen_wh: int, receipt: WireReceipt | None = None, *, after_ms: int = 20) -> MoneyBench:
        """Let the battery report, perhaps with a receipt."""
        body = Body.bess_status(bid.message_id, BATTERY, delivered_wh=seen_wh)
        self.hear(body, extensions=Extensions(receipt=receipt), after_ms=after_ms)
        return self

    def end(self, bid: Body, receipt: WireReceipt | None, *, code: int = 0, after_ms: int = 20) -> MoneyBench:
        """Let the battery end the delivery."""
        delivered_wh = 0 if receipt is None else min(receipt.delivered_wh, 1 << 40)
        body = Body.terminate(bid.message_id, BATTERY, code=code, delivered_wh=delivered_wh)
        self.hear(body, extensions=Extensions(receipt=receipt), after_ms=after_ms)
        return self

    def key(self, bid: Body) -> Key:
        """Return the name of a trade."""
        return Key(self.seller.keys.public_keys["identity"], bid.message_id)

    def on_disk(self, bid: Body) -> Entry | None:
        """Return what the file has of a trade."""
        return self.file.read(self.key(bid))

    def crash(self) -> None:
        """End the process: what the disk has not written is gone."""
        self.waiting.clear()
        self.file.close()
