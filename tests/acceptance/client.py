"""Sends the product's instructions to a cluster with the product's own client, and looks at what became of them."""

from __future__ import annotations

import asyncio
import base64
import random
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar

import pytest
from solders.pubkey import Pubkey

from settlement.base58 import decode_base58
from settlement.exchange import to_base58
from settlement.program import events
from settlement.program.instructions import CALLS
from settlement.program.layout import EVENT_TAG
from settlement.rpc import (
    Account,
    HttpTransport,
    NoEndpointError,
    PreflightError,
    Question,
    RpcClient,
    ThrottledError,
)
from settlement.rpc.answers import number
from settlement.transaction import SignedTransaction, compile_message, sign_message
from tests.acceptance.cluster import ask

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from solders.instruction import Instruction

    from etp.auth import Signer
    from settlement.program.codec import Record
    from settlement.program.failures import Failure

R = TypeVar("R", bound="Record")
T = TypeVar("T")

WAIT_S: Final = 90.0
"""A validator confirms in half a second and finalizes in 13; the machine may be busy with other tests."""
UNITS: Final = 300_000
_CLOCK: Final = Pubkey.from_string("SysvarC1ock11111111111111111111111111111111")
_LOGGED: Final = "Program data: "
"""Before an event that moves no money."""
_AGAIN_S: Final = 2.0
"""A node may lose a transaction: the same bytes are sent again after this."""


class FailedOnChainError(AssertionError):
    """A transaction that landed and failed, where it should have succeeded."""


@dataclass(frozen=True, slots=True)
class Signed:
    """A transaction, and the block height after which it cannot land any more."""

    transaction: SignedTransaction
    last_height: int


@dataclass(frozen=True, slots=True)
class Landed:
    """A confirmed transaction: who pays for it, what it used, and the events of our program in it."""

    signature: bytes
    slot: int
    error: Any
    units: int
    fee: int
    events: tuple[Record, ...]

    def event(self, kind: type[R]) -> R:
        """Return the one event of this kind."""
        (found,) = (event for event in self.events if isinstance(event, kind))
        return found


class PatientRpc(RpcClient):
    """Waits as long as an endpoint wishes that has had enough of us."""

    async def call(self, question: Question[T]) -> T:
        while True:
            try:
                return await super().call(question)
            except ThrottledError:
                await asyncio.sleep(1)
            except NoEndpointError as error:
                await asyncio.sleep(max(1.0, error.wait_s))


@dataclass
class Client:
    """One cluster, asked by settlement.rpc."""

    url: str
    rpc: RpcClient
    transport: HttpTransport
    program: Pubkey | None = None
    """Whose events are looked for."""
    sent: list[Landed] = field(default_factory=list)
    units: dict[str, int] = field(default_factory=dict)
    """The most that an instruction of the program took, its consent included."""

    @classmethod
    async def connect(cls, url: str) -> Self:
        """Return a client of whatever cluster answers there: its genesis hash is believed."""
        transport, genesis = HttpTransport(), decode_base58(await asyncio.to_thread(ask, url, "getGenesisHash"))
        rpc = PatientRpc([url], genesis, transport, monotonic_s=time.monotonic, rng=random.Random())
        return cls(url, rpc, transport)

    async def close(self) -> None:
        await self.transport.close()

    async def ask(self, method: str, *params: Any) -> Any:
        """Return the result of any request."""
        return await self.rpc.call(Question(method, list(params), lambda result: result))

    async def rent(self, size: int) -> int:
        """Return the lamports that an account of so many bytes must hold."""
        return await self.rpc.call(Question("getMinimumBalanceForRentExemption", [size], number))

    async def balance(self, wallet: Pubkey) -> int:
        """Return lamports."""
        account = await self.account(wallet)
        return 0 if account is None else account.lamports

    async def account(self, address: Pubkey) -> Account | None:
        (found,) = (await self.rpc.accounts([bytes(address)], "confirmed")).values
        return found

    async def record(self, kind: type[R], address: Pubkey) -> R:
        """Return an account of the program, decoded."""
        account = await self.account(address)
        assert account is not None, f"there is no {kind.__name__} at {address}"
        assert account.owner == bytes(self.program or b"")
        return kind.decode(account.data)

    async def tokens(self, address: Pubkey) -> int:
        """Return what a token account holds, base units."""
        account = await self.account(address)
        assert account is not None, f"there is no token account at {address}"
        return int.from_bytes(account.data[64:72], "little")

    async def now_s(self) -> int:
        """Return the cluster's clock: seconds since 1970."""
        clock = await self.account(_CLOCK)
        assert clock is not None
        return int.from_bytes(clock.data[32:40], "little", signed=True)

    async def until_s(self, moment_s: int) -> None:
        """Wait until the cluster's clock shows a moment."""
        await until(self.now_s, lambda now_s: now_s >= moment_s)

    async def sign(self, instructions: Sequence[Instruction], signers: Sequence[Signer]) -> Signed:
        """Return a transaction with a fresh blockhash; the first signer pays."""
        blockhash = await self.rpc.blockhash()
        message = compile_message(signers[0].public_key, instructions, blockhash.value, units=UNITS, price=0)
        return Signed(sign_message(message, signers), blockhash.last_valid_block_height)

    async def land(self, *instructions: Instruction, signers: Sequence[Signer]) -> Landed:
        """Have a transaction land, whatever becomes of it there, and return what did."""
        while True:
            signed = await self.sign(instructions, signers)
            if await self._lands(signed):
                break
        landed = await self.read(signed.transaction.signature)
        self.sent.append(landed)
        if landed.error is None and (name := self._name_of(instructions[-1])) is not None:
            self.units[name] = max(landed.units, self.units.get(name, 0))
        return landed

    async def do(self, *instructions: Instruction, signers: Sequence[Signer]) -> Landed:
        """Have a transaction succeed. Raises FailedOnChainError."""
        landed = await self.land(*instructions, signers=signers)
        if landed.error is not None:
            raise FailedOnChainError(f"{landed.error}: {await self.logs(landed.signature)}")
        return landed

    async def refused(self, failure: Failure | object, *instructions: Instruction, signers: Sequence[Signer]) -> None:
        """Have a transaction fail in preflight: by a number of the program's, or by an error of the cluster's."""
        transaction = (await self.sign(instructions, signers)).transaction
        with pytest.raises(PreflightError) as caught:
            await self.rpc.send(transaction.encoded, transaction.signature, preflight=True)
        found = caught.value.failure
        if isinstance(found, dict) and isinstance(found.get("InstructionError"), list):
            found = found["InstructionError"][1]
        wanted = {"Custom": int(failure)} if isinstance(failure, int) else failure
        assert found == wanted, f"{found} instead of {failure!r}: {caught.value.logs}"

    async def finalized(self, signature: bytes) -> dict[str, Any]:
        """Wait until a transaction is finalized; return all that the node tells of it."""
        found = await until(lambda: self.rpc.transaction(signature), lambda told: told is not None)
        assert found is not None
        return found

    async def read(self, signature: bytes) -> Landed:
        """Return a confirmed transaction."""
        told = await self._told(signature)
        meta, keys = told["meta"], told["transaction"]["message"]["accountKeys"]
        inner = [call for group in meta["innerInstructions"] for call in group["instructions"]]
        ours = [decode_base58(call["data"]) for call in inner if keys[call["programIdIndex"]] == str(self.program)]
        found = [_event(data[8:]) for data in ours if data[:8] == EVENT_TAG]
        found += [_event(base64.b64decode(line[len(_LOGGED) :])) for line in meta["logMessages"] if _LOGGED in line]
        return Landed(signature, told["slot"], meta["err"], meta["computeUnitsConsumed"], meta["fee"], tuple(found))

    async def logs(self, signature: bytes) -> list[str]:
        """Return what the programs of a confirmed transaction said."""
        lines = (await self._told(signature))["meta"]["logMessages"]
        return [str(line) for line in lines]

    def _name_of(self, instruction: Instruction) -> str | None:
        """Return the name of an instruction of the program, None for any other."""
        if instruction.program_id != self.program:
            return None
        return next(call.name for call in CALLS if instruction.data[:8] == call.discriminator)

    async def _lands(self, signed: Signed) -> bool:
        """Send a transaction until it is confirmed; False when its blockhash ran out before."""
        transaction = signed.transaction
        async with asyncio.timeout(WAIT_S):
            while True:
                await self.rpc.send(transaction.encoded, transaction.signature, preflight=False)
                height, again_s = await self.rpc.block_height(), time.monotonic() + _AGAIN_S
                while time.monotonic() < again_s:
                    (status,) = await self.rpc.statuses([transaction.signature], history=False)
                    if status is not None and status.reached("confirmed"):
                        return True
                    await asyncio.sleep(0.05)
                if height > signed.last_height:
                    return False

    async def _told(self, signature: bytes) -> dict[str, Any]:
        options = {"commitment": "confirmed", "encoding": "json", "maxSupportedTransactionVersion": 0}
        told = await until(lambda: self.ask("getTransaction", to_base58(signature), options), lambda told: told)
        assert isinstance(told, dict)
        return told


async def until(read: Callable[[], Awaitable[T]], is_enough: Callable[[T], object]) -> T:
    """Read until it is enough; return that."""
    async with asyncio.timeout(WAIT_S):
        while True:
            found = await read()
            if is_enough(found):
                return found
            await asyncio.sleep(0.05)


def _event(data: bytes) -> Record:
    (kind,) = (kind for kind in events.EVENTS if data[:8] == kind.DISCRIMINATOR)
    return kind.decode(data)
