"""One battery's side of settlement while it sells: terms, cover, the contract of an award.

The desk asks in the order of the protocol's codes: `objection` (9), then `covers` (8), and at the award `sign`, which
judges cover once more, because other awards may have come between. Promises live in `PromiseBook`, from the signature
until the award is void or the Line shows the number used.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Final

from agent.paper import Paper
from agent.promises import PromiseBook
from agent.quoted import QuotedWindows
from etp.messages import ReasonCode
from settlement.cover import Wanted, free_number, promised, shortfall
from settlement.errors import SignatureRefusedError, TermsError
from settlement.money import amount_of, reserve_of
from settlement.signing import sign_contract
from settlement.terms import check_bid

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from agent.books_cheques import BookedNumbers
    from agent.config_settlement import SettlementSite
    from agent.records import TradeKey
    from agent.settling_ports import SettlerPort
    from etp.auction import Award
    from etp.auth import Signer
    from etp.connection import Received
    from etp.extensions import Contract as WireContract
    from settlement.contract import Contract
    from settlement.lines import LineState

WATCHED_MAX: Final = 512
"""Lines of buyers that have bid; those with promises on them are kept beyond it."""


CLOCK_GAP_S: Final = 3_600
"""A cluster's clock may be minutes off; a claim has a day at least, of which a wrong clock must not take much."""


def clock_gap_s(wall_ms: int, ledger_s: int) -> int:
    """Return by how much our time of day is ahead of the ledger's."""
    return wall_ms // 1_000 - ledger_s


class NotSignedError(Exception):
    """An award that must not become a contract: the code and the words to refuse its bid with."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class Cashier:
    """Terms and cover of one battery. `now_ms` is monotonic, `wall_ms` the time of day."""

    def __init__(
        self,
        site: SettlementSite,
        *,
        signer: Signer,
        wallet: bytes,
        settler: SettlerPort,
        now_ms: Callable[[], int],
        wall_ms: Callable[[], int],
        time_lapse: int = 1,
    ) -> None:
        self.site = site
        self.signer = signer
        self.settler = settler
        self.offer = site.terms.offer(wallet)
        """What every Register to a signed buyer carries."""
        self.promises = PromiseBook()
        self.is_clock_trusted = False
        """Without the time of day nothing is signed."""
        self._now_ms = now_ms
        self._wall_ms = wall_ms
        self._windows = QuotedWindows(time_lapse)
        self._watched: OrderedDict[bytes, None] = OrderedDict()
        self._why: dict[TradeKey, str] = {}
        self._contracts: dict[TradeKey, Contract] = {}

    def quoted(self, lot_wh: int, lot_power_w: int) -> None:
        """A buyer was told of a lot: its Bid may name the window that follows."""
        self._windows.quoted(lot_wh, lot_power_w, self._now_ms())

    def objection(self, bid: Received, price_e4: int, energy_wh: int) -> str:
        """Return why a signed Bid's terms are not ours, for a Reject 9; "" when they are."""
        terms = bid.extensions.contract
        if terms is None:
            return "a signed Bid carries the contract's terms (extension 2)"
        try:
            check_bid(terms, self.offer, now_s=self._wall_ms() // 1_000, windows=self._windows.at(self._now_ms()))
            self._units(price_e4, energy_wh)
        except TermsError as error:
            return str(error)
        return ""

    def covers(self, bid: Received, price_e4: int, energy_wh: int) -> bool:
        """Whether the buyer's Line carries a Bid without objection; `why_uncovered` says why not."""
        terms = bid.extensions.contract
        if terms is None or bid.signer is None:
            return True
        self._watch(terms.buyer_wallet)
        why = self._uncovered(terms, bid.signer, self._units(price_e4, energy_wh))
        if why:
            self._why[bid.peer, bid.body.message_id] = why
        return not why

    def why_uncovered(self, key: TradeKey) -> str:
        """Return the words for a Reject 8 of a bid that `covers` has refused since the last call of `judged`."""
        return self._why.get(key, "")

    def judged(self) -> None:
        """The bids of one wake-up have their answers."""
        self._why.clear()

    def sign(self, award: Award, terms: WireContract, buyer_key: bytes) -> Paper:
        """Promise, and return the contract of an award. Raises NotSignedError with the code to refuse its bid with."""
        if not self.is_clock_trusted:
            raise NotSignedError(ReasonCode.WITHDRAWN, "the time of day is not trusted")
        units = self._units(award.price_e4, award.energy_wh)
        line = self.settler.line(terms.buyer_wallet)
        why = self._uncovered(terms, buyer_key, units)
        if why or line is None:
            raise NotSignedError(ReasonCode.COVER_TOO_SMALL, why)
        number = free_number(line, self.promises.on(terms.buyer_wallet, line))
        if number is None:
            raise NotSignedError(ReasonCode.COVER_TOO_SMALL, "no contract number is free")
        try:
            contract = self.site.terms.contract(
                terms._replace(contract_no=number),
                battery_key=self.signer.public_key,
                buyer_key=buyer_key,
                message_id=award.bid_id,
                price_e4=award.price_e4,
                energy_wh=award.energy_wh,
            )
        except TermsError as error:
            raise NotSignedError(ReasonCode.MALFORMED, str(error)) from error
        try:
            paper = Paper(contract, self.signer.public_key, sign_contract(contract, self.signer))
        except SignatureRefusedError as error:
            raise NotSignedError(ReasonCode.WITHDRAWN, f"the battery's signer fails: {error.reason}") from error
        self.promises.add(contract)
        self._contracts[award.peer, award.bid_id] = contract
        return paper

    def void(self, key: TradeKey) -> None:
        """An award fell through: its number and its cover are free again."""
        contract = self._contracts.pop(key, None)
        if contract is not None:
            self.promises.drop(contract)

    def confirmed(self, key: TradeKey) -> None:
        """An award became a trade: its promise is a cheque now."""
        self._contracts.pop(key, None)

    def restore(self, contract: Contract) -> None:
        """Take on the promise of a trade of an earlier start."""
        self.promises.add(contract)
        self._watch(contract.buyer_wallet)

    def restore_numbers(self, booked: Mapping[str, BookedNumbers]) -> None:
        """Keep the numbers of contracts that left the books unpaid; keys are the buyers' wallets in hex."""
        for wallet, known in booked.items():
            self.promises.take(bytes.fromhex(wallet), known.generation, known.numbers)

    @property
    def watched(self) -> tuple[bytes, ...]:
        """The wallets whose Lines are read."""
        return tuple(self._watched)

    def promised(self, wallet: bytes, line: LineState) -> int:
        """Return what is spoken for on a Line, in base units."""
        return promised(line, self.promises.on(wallet, line))

    def _units(self, price_e4: int, energy_wh: int) -> int:
        terms = self.site.terms
        return reserve_of(amount_of(price_e4, energy_wh, terms.base_units_per_cent), terms.fee_bps)

    def _uncovered(self, terms: WireContract, buyer_key: bytes, units: int) -> str:
        wallet = terms.buyer_wallet
        line = self.settler.line(wallet)
        wanted = Wanted(buyer_key, self.signer.public_key, terms.generation, units, terms.valid_until_s)
        if line is None and self.settler.line_age_s(wallet) is None:
            return "the battery has not read your line yet, or reaches no ledger since it started: bid again later"
        why = shortfall(line, () if line is None else self.promises.on(wallet, line), wanted)
        if not why and line is not None:
            why = self._clock_trouble(wallet, line)
        if why or self.settler.can_pay_claim:
            return why
        left = self.site.uncashable_limit_units - self.promises.open_units
        return "" if units <= left else "the battery's own wallet cannot pay for a claim now"

    def _clock_trouble(self, wallet: bytes, line: LineState) -> str:
        """Return what to say when our clock and the ledger's are so far apart that contracts would end wrongly."""
        age_s = self.settler.line_age_s(wallet)
        if age_s is None:
            return "nobody knows how long ago the line was read"
        apart_s = clock_gap_s(self._wall_ms(), line.read_at_s + round(age_s))
        return f"the battery's clock is {apart_s:+d} s from the ledger's" if abs(apart_s) > CLOCK_GAP_S else ""

    def _watch(self, wallet: bytes) -> None:
        """Have a buyer's Line read; of too many the one that was not asked for longest makes room."""
        if wallet in self._watched:
            self._watched.move_to_end(wallet)
            return
        self._watched[wallet] = None
        self.settler.watch(wallet)
        if len(self._watched) > WATCHED_MAX:
            kept = self.promises.wallets()
            stranger = next((known for known in self._watched if known not in kept), None)
            if stranger is not None:
                del self._watched[stranger]
                self.settler.unwatch(stranger)
