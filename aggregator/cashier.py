"""The hands of the money side: puts trades on disk apart from the loop, then hands their cheques to the settler.

Jobs run one after another in a thread (in a simulation wherever it likes). While the disk takes no writes nothing new
is bid, and every few seconds one write is tried.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from settlement.errors import OutboxFullError, SettlementError

if TYPE_CHECKING:
    from collections.abc import Callable

    from aggregator.cheque_file import ChequeFile
    from aggregator.entries import Entry, Key
    from aggregator.settling import Settling
    from settlement.executor import Executor

PROBE_S: Final = 5.0
"""How often a disk that failed is tried again."""
HAND_OVER_S: Final = 5.0
"""When to hand cheques over again after the settler had too many waiting."""
CLOSE_S: Final = 5.0
"""How long an orderly end waits for the disk to be done."""
WINDOWS_S: Final = 60.0
"""How often the trades of an earlier process are looked at whose battery has not come back."""
PRUNE_S: Final = 3_600.0
"""How often trades that are long over are dropped from the file."""


class Cashier:
    """One file and one settler. `emit` gets events with their fields; `recovered` hears that the disk works again."""

    def __init__(
        self,
        settling: Settling,
        file: ChequeFile,
        executor: Executor,
        *,
        emit: Callable[[str, dict[str, Any]], None],
        recovered: Callable[[], None],
    ) -> None:
        self._settling = settling
        self._file = file
        self._executor = executor
        self._emit = emit
        self._recovered = recovered
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._closed = False
        self._was_full = False

    def start(self, now_ms: int) -> None:
        """Hand every cheque of an earlier process to the settler, and drop what is long over."""
        for effect in self._settling.windows_over(now_ms):
            self.keep(effect.entry, lambda _: None)
        self._hand_all_over()
        self._prune()
        self._after("windows", WINDOWS_S, self._windows)

    def keep(self, entry: Entry, done: Callable[[str], None]) -> None:
        """Put an entry on disk; `done` gets why it is not there, "" when it is."""
        self._settling.sweep()

        def finished(error: BaseException | None) -> None:
            if error is None:
                self._settling.book.written(entry)
                self._hand_over(entry)
            self._disk(error)
            done("" if error is None else str(error))

        self._executor.submit(lambda: self._file.write(entry), finished)

    def fetch(self, key: Key, done: Callable[[Entry | None], None]) -> None:
        """Look a trade up; `done` is not called when the file cannot be read, which is told."""
        found: list[Entry | None] = []

        def finished(error: BaseException | None) -> None:
            if error is not None:
                self._emit("cheques_failed", {"reason": str(error)})
                return
            done(found[0])

        self._executor.submit(lambda: found.append(self._file.read(key)), finished)

    async def close(self) -> None:
        """End after the jobs that wait, whose cheques are handed over still; the file is given back."""
        last = asyncio.get_running_loop().create_future()

        def finished(_error: BaseException | None) -> None:
            if not last.done():
                last.set_result(None)

        self._executor.submit(lambda: None, finished)
        is_done = True
        try:
            async with asyncio.timeout(CLOSE_S):
                await last
        except TimeoutError:
            is_done = False
            self._emit("cheques_failed", {"reason": f"the disk has not answered for {CLOSE_S:g} s: not waited for"})
        self._closed = True
        self._cancel_timers()
        if is_done:
            self._executor.close()
            self._file.close()

    def abandon(self) -> None:
        """Leave everything as a crash would: what waits is not written, the file is let go."""
        self._closed = True
        self._cancel_timers()
        self._file.close()

    def _hand_all_over(self) -> None:
        was_full, self._was_full = self._was_full, False
        for entry in self._settling.book:
            if self._settling.book.is_durable(entry.key) and not self._hand_over(entry, was_full=was_full):
                break

    def _hand_over(self, entry: Entry, *, was_full: bool = False) -> bool:
        """Tell the settler what is known; when it has too much waiting, all of it is told again later."""
        if self._closed:
            return False
        try:
            self._settling.settler.put(entry.cheque, entry.figure_wh)
        except OutboxFullError as error:
            if not (self._was_full or was_full):
                self._emit("outbox_full", {"reason": str(error)})
            self._was_full = True
            self._after("hand over", HAND_OVER_S, self._hand_all_over)
            return False
        except SettlementError as error:
            self._emit("cheque_refused", {"bid_id": entry.key.bid_id, "problem": str(error)})
        return True

    def _disk(self, error: BaseException | None) -> None:
        was_well, self._settling.disk_fails = not self._settling.disk_fails, error is not None
        if error is not None:
            if was_well:
                self._emit("cheques_failed", {"reason": str(error)})
            self._after("probe", PROBE_S, self._probe)
        elif not was_well:
            self._emit("cheques_recovered", {})
            for entry in self._settling.book.unwritten():
                self.keep(entry, lambda _: None)
            self._recovered()

    def _probe(self) -> None:
        if self._settling.disk_fails:
            self._executor.submit(self._file.probe, self._disk)

    def _windows(self) -> None:
        """Close what no battery came back for; until nothing of an earlier process waits for one."""
        for effect in self._settling.left_over(int(asyncio.get_running_loop().time() * 1_000)):
            self.keep(effect.entry, lambda _: None)
        if self._settling.waits_for_batteries:
            self._after("windows", WINDOWS_S, self._windows)

    def _prune(self) -> None:
        now_s = self._settling.wall_s()

        def finished(error: BaseException | None) -> None:
            if error is not None:
                self._emit("cheques_failed", {"reason": str(error)})
            self._after("prune", PRUNE_S, self._prune)

        def job() -> None:
            self._file.prune(now_s)

        self._executor.submit(job, finished)

    def _cancel_timers(self) -> None:
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()

    def _after(self, name: str, delay_s: float, callback: Callable[[], None]) -> None:
        if self._closed:
            return
        if name in self._timers:
            self._timers[name].cancel()
        self._timers[name] = asyncio.get_running_loop().call_later(delay_s, callback)
