"""Asks a list of endpoints as if they were one: the healthiest first, the next when it fails, none of a wrong cluster.

Before anything else is asked of an endpoint, again after a connection broke or something answered that is no node, and
every two minutes, it shows its genesis hash; one that shows another gets nothing, no question and no signature. Every
answer about state carries the slot it holds for: a node that is behind what was seen before is told so
(`minContextSlot`) and passed over.

One task may call at a time or several; nothing here is locked, each call sees the health as it is.
"""

from __future__ import annotations

import base64
import contextlib
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, Generic, Protocol, TypeVar

from settlement.exchange import to_base58
from settlement.rpc import answers, health
from settlement.rpc.envelope import decode_reply, encode_request
from settlement.rpc.errors import (
    NOT_TAKEN,
    GarbledError,
    NoEndpointError,
    RefusedError,
    RpcError,
    StaleNodeError,
    ThrottledError,
    UnavailableError,
    UnreachableError,
    WrongClusterError,
    shown,
)
from settlement.rpc.transport import TransportError

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Sequence

    from settlement.rpc.answers import Accounts, Blockhash, Commitment, Status
    from settlement.rpc.transport import Transport

T = TypeVar("T")
S = TypeVar("S", bound="AtSlot")

ENDPOINTS_MAX: Final = 8
TIMEOUT_S: Final = 10.0
ROUNDS: Final = 2
"""A dropped connection or a bad gateway is often over with the next request."""
BROADCAST: Final = 2
"""Endpoints that get a transaction: one may be a node whose forwarding is broken."""
WATERMARK_S: Final = 120.0
"""A slot that no endpoint reaches again within this was a lie, or the cluster began anew: it is forgotten."""


_address = lru_cache(maxsize=8_192)(to_base58)
"""Of public accounts, which every look asks for again; base58 is slow."""


class AtSlot(Protocol):
    """An answer about state, which holds for a slot."""

    @property
    def slot(self) -> int:
        """The slot it holds for."""
        ...


@dataclass(frozen=True, slots=True)
class Question(Generic[T]):
    """One request: `read` turns its result into a value (ValueError: it cannot be read)."""

    method: str
    params: list[Any]
    read: Callable[[object], T]
    least_slot: int = 0
    """An answer with a `slot` below this is a stale node's."""


class RpcClient:
    """The ledger through a list of endpoints."""

    def __init__(
        self,
        urls: Sequence[str],
        genesis_hash: bytes,
        transport: Transport,
        *,
        monotonic_s: Callable[[], float],
        rng: random.Random,
        timeout_s: float = TIMEOUT_S,
        rounds: int = ROUNDS,
        on_health: Callable[[str, RpcError | None], None] = lambda _url, _error: None,
    ) -> None:
        """`on_health` is told of an endpoint's first failure in a row, and (None) of its first answer after it."""
        if not 1 <= len(urls) <= ENDPOINTS_MAX or len(set(urls)) != len(urls):
            raise ValueError(f"1 to {ENDPOINTS_MAX} different endpoints, not {len(urls)}")
        self.genesis_hash = genesis_hash
        self._urls = tuple(urls)
        self._healths = [health.Health() for _ in urls]
        self._asked_at = [0] * len(self._urls)
        self._ailing: set[int] = set()
        self._transport = transport
        self._monotonic_s = monotonic_s
        self._rng = rng
        self._timeout_s = timeout_s
        self._rounds = rounds
        self._on_health = on_health
        self._request_id = 0
        self.last_place = 0
        """Of the endpoint that answered last, in the list."""
        self._watermarks: dict[str, tuple[int, float]] = {}

    @property
    def healths(self) -> tuple[tuple[str, health.Health], ...]:
        """The endpoints, as they may be shown, and what is known of each."""
        return tuple((shown(url), state) for url, state in zip(self._urls, self._healths, strict=True))

    async def blockhash(self, commitment: Commitment = "confirmed") -> Blockhash:
        """Return a blockhash to sign with."""
        return await self._read("getLatestBlockhash", [], commitment, answers.blockhash_in)

    async def block_height(self, commitment: Commitment = "finalized") -> int:
        """Return the height of the highest block."""
        return await self.call(Question("getBlockHeight", [{"commitment": commitment}], answers.number))

    async def accounts(self, keys: Sequence[bytes], commitment: Commitment) -> Accounts:
        """Return up to ACCOUNTS_MAX accounts, all at one slot."""
        if len(keys) > answers.ACCOUNTS_MAX:
            raise ValueError(f"{len(keys)} accounts, at most {answers.ACCOUNTS_MAX} at once")
        params = [[_address(key) for key in keys]]
        return await self._read(
            "getMultipleAccounts",
            params,
            commitment,
            lambda value: answers.accounts_in(value, len(keys)),
            encoding="base64",
        )

    async def statuses(self, signatures: Sequence[bytes], *, history: bool) -> tuple[Status | None, ...]:
        """Return what became of up to STATUSES_MAX transactions; `history`: look beyond the last few minutes, too."""
        if len(signatures) > answers.STATUSES_MAX:
            raise ValueError(f"{len(signatures)} signatures, at most {answers.STATUSES_MAX} at once")
        params = [[to_base58(signature) for signature in signatures], {"searchTransactionHistory": history}]
        question = Question(
            "getSignatureStatuses",
            params,
            lambda value: answers.statuses_in(value, len(signatures)),
            least_slot=self._watermark("processed"),
        )
        found = await self.call(question)
        self._saw("processed", found.slot)
        return found.values

    async def fee_price(self, writable: Sequence[bytes]) -> int:
        """Return the highest price paid lately for these accounts, in millionths of a lamport a compute unit."""
        params = [[to_base58(key) for key in writable]]
        return await self.call(Question("getRecentPrioritizationFees", params, answers.fees_in))

    async def send(self, transaction: bytes, signature: bytes, *, preflight: bool, min_slot: int = 0) -> None:
        """Hand a signed transaction to the healthiest endpoints; one that takes it is enough.

        Raises RefusedError only when no endpoint can have taken it, and one of NOT_TAKEN, or NoEndpointError, only
        then, too; any other RpcError says that one may have.
        """
        options: dict[str, Any] = {"encoding": "base64", "skipPreflight": not preflight, "maxRetries": 0}
        options["preflightCommitment"] = "confirmed"
        if min_slot:
            options["minContextSlot"] = min_slot
        params = [base64.b64encode(transaction).decode(), options]
        question = Question("sendTransaction", params, lambda value: answers.same_signature(value, signature))
        told, accepted = 0, False
        unsure: RpcError | None = None
        error: RpcError | None = None
        for place in self._order():
            try:
                await self._ask(place, question)
                accepted = True
            except RefusedError:
                if not accepted and unsure is None:
                    raise
            except NOT_TAKEN as failure:
                error = failure
                continue
            except RpcError as failure:
                unsure = failure
                continue
            told += 1
            if told == BROADCAST:
                break
        if not accepted:
            raise unsure or error or self._none_left()

    async def signatures_for(self, address: bytes, *, limit: int) -> tuple[bytes, ...]:
        """Return the finalized transactions without error that name an address, the latest first."""
        params = [to_base58(address), {"limit": limit, "commitment": "finalized"}]
        return await self.call(Question("getSignaturesForAddress", params, answers.signatures_in))

    async def transaction(self, signature: bytes) -> dict[str, Any] | None:
        """Return a finalized transaction with its metadata as the node tells it, None when it knows of none."""
        options = {"commitment": "finalized", "encoding": "base64", "maxSupportedTransactionVersion": 0}
        params = [to_base58(signature), options]
        return await self.call(Question("getTransaction", params, answers.transaction_in))

    async def call(self, question: Question[T]) -> T:
        """Return what the first endpoint that answers says; each is asked ROUNDS times at most.

        Raises RefusedError at once, NoEndpointError when none may be asked, else what the last endpoint raised.
        """
        error: RpcError | None = None
        begun_s = self._monotonic_s()
        for _ in range(self._rounds):
            for place in self._order():
                try:
                    return await self._ask(place, question)
                except RefusedError:
                    raise
                except RpcError as failure:
                    error = failure
            if self._monotonic_s() - begun_s > self._timeout_s / 2:
                break  # somebody let us wait: no more of that now
        raise error or self._none_left()

    async def probe(self) -> None:
        """Ask the endpoint that was seen last the longest ago for its slot, so that it is known which of them lag."""
        places = self._order()
        if len(places) < 2:
            return
        place = min(places, key=lambda place: self._asked_at[place])
        question = Question("getSlot", [{"commitment": "finalized"}], answers.slot_in)
        with contextlib.suppress(RpcError):  # which its health remembers
            await self._ask(place, question)

    def distrust(self, place: int, method: str, problem: str) -> None:
        """Leave an endpoint alone, as long as a foreign one: what it said turned out not to be so."""
        self._healths[place] = health.foreign(self._healths[place], self._monotonic_s())
        self._tell(place, GarbledError(self._urls[place], method, problem))

    def _order(self) -> list[int]:
        return health.order(self._healths, self._monotonic_s())

    async def _read(
        self, method: str, params: list[Any], commitment: Commitment, read: Callable[[object], S], **options: str
    ) -> S:
        least = self._watermark(commitment)
        config = {"commitment": commitment, **options, **({"minContextSlot": least} if least else {})}
        found = await self.call(Question(method, [*params, config], read, least_slot=least))
        self._saw(commitment, found.slot)
        return found

    async def _ask(self, place: int, question: Question[T]) -> T:
        try:
            if self._healths[place].verified_until_s <= self._monotonic_s():
                await self._verify(place)
            found = await self._exchange(place, question)
            slot = getattr(found, "slot", None)
            if type(slot) is int:
                self._healths[place] = replace(self._healths[place], slot=slot)
                if slot < question.least_slot:
                    problem = f"its slot is {slot}, {question.least_slot} was seen before"
                    raise StaleNodeError(self._urls[place], question.method, problem)
        except RpcError as error:
            self._failed(place, error)
            raise
        if place in self._ailing:
            self._ailing.discard(place)
            self._on_health(self._urls[place], None)
        self.last_place = place
        return found

    async def _verify(self, place: int) -> None:
        found = await self._exchange(place, Question("getGenesisHash", [], answers.hash_in))
        if found != self.genesis_hash:
            problem = f"its genesis hash is {to_base58(found)}, the file says {to_base58(self.genesis_hash)}"
            raise WrongClusterError(self._urls[place], "getGenesisHash", problem)
        self._healths[place] = health.verified(self._healths[place], self._monotonic_s())

    async def _exchange(self, place: int, question: Question[T]) -> T:
        url, method = self._urls[place], question.method
        self._request_id += 1
        request_id = self._asked_at[place] = self._request_id
        body = encode_request(request_id, method, question.params)
        begun_s = self._monotonic_s()
        try:
            reply = await self._transport.post(url, body, self._timeout_s)
        except (TransportError, OSError, TimeoutError) as error:
            raise UnreachableError(url, method, str(error) or type(error).__name__) from error
        result = decode_reply(reply, request_id, url=url, method=method)
        try:
            found = question.read(result)
        except ValueError as error:
            raise GarbledError(url, method, f"an answer that cannot be read: {error}") from error
        self._healths[place] = health.answered(self._healths[place], self._monotonic_s() - begun_s)
        return found

    def _failed(self, place: int, error: RpcError) -> None:
        state, now_s, jitter = self._healths[place], self._monotonic_s(), self._rng.random()
        if isinstance(error, RefusedError):
            return  # it answered: what it refuses is not its failure
        if isinstance(error, WrongClusterError):
            state = health.foreign(state, now_s)
        elif isinstance(error, ThrottledError):
            state = health.throttled(state, now_s, jitter, error.retry_after_s)
        else:
            state = health.failed(state, now_s, jitter)
            if isinstance(error, UnreachableError | GarbledError):
                state = health.unknown(state)
            if isinstance(error, UnavailableError) and error.retry_after_s is not None:
                state = health.throttled(state, now_s, jitter, error.retry_after_s)
        self._healths[place] = state
        self._tell(place, error)

    def _tell(self, place: int, error: RpcError) -> None:
        if place not in self._ailing:
            self._ailing.add(place)
            self._on_health(self._urls[place], error)

    def _none_left(self) -> NoEndpointError:
        return NoEndpointError(health.wait_s(self._healths, self._monotonic_s()))

    def _watermark(self, commitment: str) -> int:
        slot, seen_s = self._watermarks.get(commitment, (0, 0.0))
        return slot if self._monotonic_s() - seen_s <= WATERMARK_S else 0

    def _saw(self, commitment: str, slot: int) -> None:
        if slot >= self._watermark(commitment):
            self._watermarks[commitment] = (slot, self._monotonic_s())
