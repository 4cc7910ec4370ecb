"""What all parts of one settler share: whose it is, its trades, its file, and how a change is saved and told."""

from __future__ import annotations

from typing import TYPE_CHECKING

from settlement.book import Book
from settlement.chain import Map
from settlement.exchange import to_base58
from settlement.settler_types import EventKind, SettlerEvent

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    from etp.auth import Signer
    from settlement.outbox import Outbox
    from settlement.outbox_records import TradeRecord
    from settlement.rpc import RpcClient
    from settlement.settler_types import SettlerSettings


class Desk:
    """One settler's means."""

    def __init__(
        self,
        settings: SettlerSettings,
        wallet: Signer,
        *,
        client: RpcClient,
        outbox: Outbox,
        monotonic_s: Callable[[], float],
        rng: random.Random,
        emit: Callable[[SettlerEvent], None],
    ) -> None:
        self.settings = settings
        self.wallet = wallet
        self.client = client
        self.outbox = outbox
        self.monotonic_s = monotonic_s
        self.rng = rng
        self.book = Book()
        self.atlas = Map(settings.role, wallet.public_key, settings.venue)
        self._emit = emit

    @property
    def address(self) -> str:
        """The wallet as people see it."""
        return to_base58(self.wallet.public_key)

    async def save(self, after: TradeRecord, before: TradeRecord) -> None:
        """Write a trade's new state, then hold it, then tell. Raises OutboxError; then nothing has changed."""
        await self.outbox.save(after)
        self.hold(after, before)

    def hold(self, after: TradeRecord, before: TradeRecord) -> None:
        """Hold and tell a trade's new state, which is saved."""
        self.book.put(after, before)
        if after.stage is not before.stage:
            self.tell(
                EventKind.TRADE_MOVED,
                trade_id=after.trade_id.hex(),
                stage=after.stage.value,
                signature=None if after.signature is None else to_base58(after.signature),
                problem=after.problem,
            )

    def failed(self, subject: bytes) -> float:
        """Note a failure; return in how many seconds the subject is tried again."""
        return self.book.failed(subject, self.monotonic_s(), self.rng.random())

    def tell(self, kind: EventKind, **fields: object) -> None:
        """Tell whoever listens."""
        self._emit(SettlerEvent(kind, fields))
