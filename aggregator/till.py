"""The money side of one process, put together: journal, settler, and the rules between them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aggregator.cashier import Cashier
from aggregator.cheque_book import ENTRIES_MAX, ChequeBook
from aggregator.cheque_file import ChequeFile
from aggregator.consent import Judge
from aggregator.entries import State
from aggregator.settling import Purser, Settling, is_running
from settlement.progress import EXPIRE_MARGIN_S, Rules
from settlement.settler_types import EventKind, SettlerEvent, SettlerSettings

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from aggregator.config_settlement import Settlement
    from aggregator.entries import Entry
    from aggregator.settler_port import SettlerPort
    from etp.auth import Signer
    from settlement.executor import Executor
    from settlement.keyring import KeyRing

    OpenSettler = Callable[[SettlerSettings, Signer, Callable[[SettlerEvent], None]], SettlerPort]


class Till:
    """What a settling buyer has beside its market. Make it, `await open()`, and `await close()` it."""

    def __init__(
        self,
        config: Settlement,
        *,
        directory: Path,
        keys: KeyRing,
        open_settler: OpenSettler,
        executor: Executor,
        wall_ms: Callable[[], int],
        emit: Callable[[str, dict[str, Any]], None],
        news: Callable[[], None],
    ) -> None:
        """`news` is called when what can be promised may have changed. Raises ChequeFileError."""
        identity = keys.identity
        rules = Rules(cosign_wait_s=0, tolerance_wh=config.tolerance_wh, tolerance_percent=config.tolerance_percent)
        self._emit = emit
        self._news = news
        file = ChequeFile.open(directory / config.cheques)
        try:
            disputable_s = wall_ms() // 1_000 - config.dispute_window_s - EXPIRE_MARGIN_S
            book = ChequeBook(file.read_open(disputable_s, ENTRIES_MAX))
            self.last_id = file.last_id()
            """The highest bid id that an earlier process has signed for."""
            settings = SettlerSettings(
                role="buyer",
                rpc=tuple(config.rpc),
                venue=config.venue,
                outbox=directory / config.outbox,
                tolerance_wh=config.tolerance_wh,
                tolerance_percent=config.tolerance_percent,
            )
            self.settler = open_settler(settings, keys.signer("wallet"), self._heard)
        except BaseException:
            file.close()
            raise
        purser = Purser(
            terms=config.terms,
            signer=identity,
            wallet=keys.public_keys["wallet"],
            judge=Judge(signer=identity, rules=rules, cosigns=config.cosign),
            valid_for_s=config.valid_for_s,
            time_lapse=config.time_lapse,
        )
        self.settling = Settling(purser, book=book, settler=self.settler, wall_ms=wall_ms, device_id=identity.device_id)
        self.cashier = Cashier(self.settling, file, executor, emit=emit, recovered=news)
        self._wall_ms = wall_ms

    async def open(self, now_ms: int) -> None:
        """Start the settler and hand it what an earlier process left. Raises SettlementError."""
        await self.settler.start()
        self.cashier.start(now_ms)

    async def close(self) -> None:
        """End: what was decided is on disk, what is on its way to the ledger stays in the outbox."""
        await self.cashier.close()
        await self.settler.close()

    def abandon(self) -> None:
        """Leave everything as a crash would: nothing more is written, the files are let go."""
        self.cashier.abandon()
        self.settler.abandon()

    def running(self) -> list[Entry]:
        """Return the trades of an earlier process that may still be delivered."""
        return [entry for entry in self.settling.book if is_running(entry, self._wall_ms())]

    def status(self) -> dict[str, Any]:
        """Return how settlement is, for people and machines."""
        entries = list(self.settling.book)
        return {
            **self.settler.snapshot().as_json(),
            "trades": {state.value: sum(entry.state is state for entry in entries) for state in State},
            "disk_fails": self.settling.disk_fails,
        }

    def _heard(self, event: SettlerEvent) -> None:
        """Tell what the settler tells; a Line that changed may allow what was refused."""
        self._emit(event.kind.value, dict(event.fields))
        if event.kind is EventKind.LINE_CHANGED:
            self._news()
