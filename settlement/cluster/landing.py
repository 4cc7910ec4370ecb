"""Gets transactions onto any cluster, one after the other or many at once, for setting up and for deploying.

Nothing is kept on disk: whoever is interrupted looks at the ledger before he repeats. (Payments of trades go through
the outbox.) Bytes are sent again until they land. They are signed anew only when the finalized block height has passed
the last one at which they could land and a search through the history does not know them, so nothing lands twice.
Endpoints that fail for the moment are waited for.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final

from settlement.cluster.words import error_text
from settlement.errors import SettlementError
from settlement.failures import custom_number, explain
from settlement.rpc.answers import STATUSES_MAX
from settlement.rpc.errors import (
    NoEndpointError,
    PreflightError,
    RefusedError,
    RpcError,
    ThrottledError,
    WrongClusterError,
)
from settlement.transaction import SignedTransaction, compile_message, sign_message

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from solders.instruction import Instruction

    from etp.auth import Signer
    from settlement.rpc import RpcClient
    from settlement.rpc.answers import Blockhash

_POLL_S: Final = 0.4
_RESEND_EVERY: Final = 5
"""Polls between two times that the same bytes are sent."""
_SIGNINGS_MAX: Final = 5
"""Blockhashes that may run out before it is given up: five minutes at least."""
PATIENCE_S: Final = 120.0
"""How long no endpoint may answer before it is given up, where nobody waits for an answer."""
_WAIT_S: Final = 1.0
UNITS: Final = 200_000
_HARMLESS: Final = ("AlreadyProcessed", "BlockhashNotFound")
"""What a preflight may say of good bytes: they are there already, or the node has not seen their blockhash yet."""


class LandingError(SettlementError):
    """A transaction that failed, or did not land; the program's log where it is known."""

    def __init__(self, problem: str, logs: Sequence[str] = ()) -> None:
        super().__init__(problem)
        self.logs = tuple(logs)


class Lander:
    """Signs for one payer and waits until what it sent is confirmed."""

    def __init__(
        self,
        client: RpcClient,
        payer: Signer,
        *,
        sleep: Callable[[float], Awaitable[None]],
        price: int = 0,
        patience_s: float = PATIENCE_S,
        tell: Callable[[str], None] = lambda _text: None,
    ) -> None:
        """`sleep` waits seconds; `price` is what priority may cost, in millionths of a lamport a compute unit.

        `tell` hears once of each time that endpoints are waited for, for `patience_s` at most.
        """
        self.client = client
        self.payer = payer
        self._sleep = sleep
        self._price = price
        self._patience_s = patience_s
        self._tell = tell

    async def land(self, instructions: Sequence[Instruction], *signers: Signer, units: int = UNITS) -> bytes:
        """Return the signature of a transaction once it is confirmed. Raises LandingError."""
        return (await self.land_all([instructions], *signers, units=units))[0]

    async def land_all(
        self, batches: Sequence[Sequence[Instruction]], *signers: Signer, units: int = UNITS
    ) -> list[bytes]:
        """Return the signatures of transactions, in any order of landing, once all are confirmed.

        Raises LandingError for the first that fails.
        """
        landed: dict[int, bytes] = {}
        for _ in range(_SIGNINGS_MAX):
            missing = [place for place in range(len(batches)) if place not in landed]
            if not missing:
                return [landed[place] for place in range(len(batches))]
            blockhash = await self.patiently(lambda: self.client.blockhash("confirmed"))
            signed = {place: self._signed(batches[place], blockhash, signers, units) for place in missing}
            landed |= await self._watch(signed, blockhash)
        raise LandingError(f"not landed on {_SIGNINGS_MAX} blockhashes: the cluster is busy, or loses transactions")

    async def patiently(self, ask: Callable[[], Awaitable[Any]]) -> Any:
        """Return what a question brings, asked again while no endpoint can answer. Raises RpcError in the end."""
        waited_s = 0.0
        cause: RpcError | None = None
        while True:
            try:
                return await ask()
            except (WrongClusterError, RefusedError):
                raise
            except (RpcError, NoEndpointError) as error:
                if isinstance(error, RpcError):
                    cause = error
                pause_s = _pause_s(error)
                if waited_s + pause_s > self._patience_s:
                    raise cause or error from error
                if not waited_s:
                    self._tell(f"{error}; trying for {self._patience_s:.0f} s")
                await self._sleep(pause_s)
                waited_s += pause_s

    def _signed(
        self, instructions: Sequence[Instruction], blockhash: Blockhash, signers: Sequence[Signer], units: int
    ) -> SignedTransaction:
        message = compile_message(self.payer.public_key, instructions, blockhash.value, units=units, price=self._price)
        return sign_message(message, [self.payer, *signers])

    async def _watch(self, signed: dict[int, SignedTransaction], blockhash: Blockhash) -> dict[int, bytes]:
        """Send and ask until all have landed or can land no more; return those that have."""
        landed: dict[int, bytes] = {}
        polls = 0
        over = False
        while len(landed) < len(signed):
            waiting = {place: one for place, one in signed.items() if place not in landed}
            if polls % _RESEND_EVERY == 0 and not over:
                for one in waiting.values():
                    await self._send(one)
            polls += 1
            await self._sleep(_POLL_S)
            landed |= await self._landed(waiting, history=over)
            if over:
                break
            height = await self.patiently(lambda: self.client.block_height("finalized"))
            over = height > blockhash.last_valid_block_height
        return landed

    async def _send(self, one: SignedTransaction) -> None:
        try:
            await self.client.send(one.encoded, one.signature, preflight=True)
        except PreflightError as error:
            if error.failure not in _HARMLESS:
                raise LandingError(_why(error.failure, error.problem), error.logs) from error
        except RefusedError:
            raise
        except (RpcError, NoEndpointError) as error:
            await self._sleep(_pause_s(error))  # and it is sent again with the next round

    async def _landed(self, waiting: dict[int, SignedTransaction], *, history: bool) -> dict[int, bytes]:
        found: dict[int, bytes] = {}
        places = list(waiting)
        for at in range(0, len(places), STATUSES_MAX):
            some = places[at : at + STATUSES_MAX]
            asked = [waiting[place].signature for place in some]
            statuses = await self.patiently(partial(self.client.statuses, asked, history=history))
            for place, status in zip(some, statuses, strict=True):
                if status is None or not status.reached("confirmed"):
                    continue
                if status.error is not None:
                    raise LandingError(_why(status.error))
                found[place] = waiting[place].signature
        return found


def _why(error: Any, message: str = "") -> str:
    """Return what a transaction error means: in the program's words, else in a validator's."""
    is_plain = isinstance(error, dict) and "InstructionError" in error and custom_number(error) is None
    return error_text(error) if is_plain else explain(error, message).text


def _pause_s(error: RpcError | NoEndpointError) -> float:
    """Return how long to wait after a failure."""
    wait_s = error.retry_after_s if isinstance(error, ThrottledError) else getattr(error, "wait_s", None)
    return max(_WAIT_S, wait_s or 0.0)
