"""The trades of one settler in memory: the open ones, the last that ended, and when each may be tried again.

No disk and no clock: who changes a record here has saved it first.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Final

from settlement.outbox_file import GIVEN_UP_MAX, OPEN_MAX, RECENT_MAX

if TYPE_CHECKING:
    from collections.abc import Iterable

    from settlement.outbox_file import Loaded
    from settlement.outbox_records import TradeRecord

BACK_OFF_S: Final = 5.0
BACK_OFF_MAX_S: Final = 3_600.0
"""What is refused for an hour is refused for a reason that people mend."""


class Book:
    """Open trades by id, in the order of their arrival."""

    def __init__(self) -> None:
        self.open: dict[bytes, TradeRecord] = {}
        self.recent: OrderedDict[bytes, TradeRecord] = OrderedDict()
        self.given_up: OrderedDict[bytes, TradeRecord] = OrderedDict()
        """Those that ended unpaid, as somebody said: it is looked at again."""
        self.stages: dict[str, int] = {}
        """Trades by stage, those long over included."""
        self.last_seq = 0
        self._attempts: dict[bytes, int] = {}
        self._failures: dict[bytes, int] = {}
        self._retry_at_s: dict[bytes, float] = {}
        self._on_line: dict[bytes, dict[bytes, int]] = {}
        """Wallet of the other party to the reserves of its open cheques."""
        self._given: dict[bytes, tuple[int, int]] = {}
        """Wallet of the other party to the newest generation of the Line and the highest contract number on it."""

    def load(self, loaded: Loaded) -> None:
        """Take over what the outbox holds."""
        self.open = {record.trade_id: record for record in loaded.open_trades}
        self.recent = OrderedDict((record.trade_id, record) for record in loaded.recent)
        self.given_up = OrderedDict((record.trade_id, record) for record in loaded.given_up)
        self.stages = dict(loaded.stages)
        self.last_seq = loaded.last_seq
        self._attempts = dict(loaded.attempts)
        for record in loaded.open_trades:
            self._reserve(record)
        for record in (*loaded.open_trades, *loaded.given_up):
            self._note_number(record)

    @property
    def is_full(self) -> bool:
        """Whether no further trade fits."""
        return len(self.open) >= OPEN_MAX

    def get(self, trade_id: bytes) -> TradeRecord | None:
        """Return an open trade, one that ended lately, or one that ended unpaid."""
        return self.open.get(trade_id) or self.recent.get(trade_id) or self.given_up.get(trade_id)

    def put(self, record: TradeRecord, before: TradeRecord | None) -> None:
        """Hold the newest state of a trade; `before` is what was known of it, wherever that was kept."""
        trade_id = record.trade_id
        if before is not None:
            self.stages[before.stage.value] = self.stages.get(before.stage.value, 1) - 1
        self.stages[record.stage.value] = self.stages.get(record.stage.value, 0) + 1
        self.given_up.pop(trade_id, None)
        self._note_number(record)
        if not record.stage.is_done:
            self.recent.pop(trade_id, None)
            self.open[trade_id] = record
            self._reserve(record)
            return
        self.open.pop(trade_id, None)
        self._release(record)
        if record.stage.is_given_up:
            self.given_up[trade_id] = record
            if len(self.given_up) > GIVEN_UP_MAX:
                self.given_up.popitem(last=False)
        self.recent[trade_id] = record
        self.recent.move_to_end(trade_id)
        if len(self.recent) > RECENT_MAX:
            self.recent.popitem(last=False)
        for table in (self._attempts, self._failures, self._retry_at_s):
            table.pop(trade_id, None)

    def reserve(self, wallet: bytes) -> int:
        """Return the reserves of the open cheques shared with a wallet, in base units."""
        return sum(self._on_line.get(wallet, {}).values())

    @property
    def uncashed(self) -> int:
        """The reserves of all open cheques, in base units."""
        return sum(sum(reserves.values()) for reserves in self._on_line.values())

    def next_attempt(self, subject: bytes) -> tuple[int, int]:
        """Return sequence number and the how-manieth attempt a new transaction for this subject is."""
        self.last_seq += 1
        self._attempts[subject] = self._attempts.get(subject, 0) + 1
        return self.last_seq, self._attempts[subject]

    def may_try(self, subject: bytes, now_s: float) -> bool:
        """Whether enough time has passed since the last failure."""
        return self._retry_at_s.get(subject, now_s) <= now_s

    def failed(self, subject: bytes, now_s: float, jitter: float) -> float:
        """Note a failure; return in how many seconds the subject may be tried again."""
        failures = self._failures[subject] = self._failures.get(subject, 0) + 1
        wait_s = min(BACK_OFF_MAX_S, BACK_OFF_S * 2.0 ** min(failures - 1, 12)) * (0.75 + jitter / 4)
        self._retry_at_s[subject] = now_s + wait_s
        return wait_s

    def postpone(self, subject: bytes, until_s: float) -> None:
        """Leave a subject alone until then, without a failure."""
        self._retry_at_s[subject] = until_s

    def failures(self, subject: bytes) -> int:
        """Return how often it failed in a row."""
        return self._failures.get(subject, 0)

    def succeeded(self, subjects: Iterable[bytes]) -> None:
        """Forget the failures of these subjects: they may be tried at once."""
        for subject in subjects:
            self._failures.pop(subject, None)
            self._retry_at_s.pop(subject, None)

    def wallets(self) -> list[bytes]:
        """Return the other parties of open trades."""
        return list(self._on_line)

    def has_open(self, wallet: bytes) -> bool:
        """Whether a cheque is open on the Line shared with a wallet."""
        return wallet in self._on_line

    def given_no(self, record: TradeRecord) -> int:
        """Return the highest contract number of any cheque seen on this one's Line."""
        generation, number = self._given.get(other_wallet(record), (-1, 0))
        return number if generation == record.cheque.contract.generation else 0

    def _note_number(self, record: TradeRecord) -> None:
        contract, wallet = record.cheque.contract, other_wallet(record)
        number = contract.generation, contract.contract_no
        self._given[wallet] = max(number, self._given.get(wallet, number))

    def _release(self, record: TradeRecord) -> None:
        reserves = self._on_line.get(other_wallet(record), {})
        reserves.pop(record.trade_id, None)
        if not reserves:
            self._on_line.pop(other_wallet(record), None)

    def _reserve(self, record: TradeRecord) -> None:
        self._on_line.setdefault(other_wallet(record), {})[record.trade_id] = record.cheque.contract.reserve


def other_wallet(record: TradeRecord) -> bytes:
    """Return the wallet of the other party to a trade."""
    contract = record.cheque.contract
    return contract.buyer_wallet if record.cheque.role == "battery" else contract.battery_wallet
