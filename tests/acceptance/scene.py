"""A few transactions that any cluster gets by RPC, so that there is something to ask about.

Every key follows from a name, and so do balances: what two clusters say of them may be compared to the last lamport.
What differs by nature (slots, times, blockhashes, and signatures with them) gets a name, see `names`.
"""

from __future__ import annotations

import asyncio
import base64
import json
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

from solders.compute_budget import set_compute_unit_limit, set_compute_unit_price
from solders.hash import Hash
from solders.instruction import AccountMeta, Instruction
from solders.keypair import Keypair
from solders.message import Message, MessageV0
from solders.pubkey import Pubkey
from solders.system_program import CreateAccountParams, TransferParams, create_account, transfer
from solders.transaction import VersionedTransaction
from spl.token.constants import MINT_LEN, TOKEN_PROGRAM_ID
from spl.token.instructions import (
    create_idempotent_associated_token_account,
    get_associated_token_address,
    initialize_mint2,
    mint_to,
    transfer_checked,
)
from spl.token.models import InitializeMint2Params, MintToParams, TransferCheckedParams

from settlement.exchange import to_base58

if TYPE_CHECKING:
    from collections.abc import Sequence

    from settlement.rpc import HttpTransport, Reply

SOL: Final = 1_000_000_000
PATIENCE_S: Final = 90.0
"""A validator finalizes after 13 seconds; the machine may be busy with other tests."""
MEMO: Final = Pubkey.from_string("MemoSq4gqABAXKb96qnH8TysNcWxMyWCqXgDLGmfcHr")
CONFIRMED: Final = {"commitment": "confirmed"}


def key(name: str) -> Keypair:
    return Keypair.from_seed(sha256(b"wattbid acceptance " + name.encode()).digest())


PAYER, BOB, MINT, NOBODY = key("payer"), key("bob"), key("mint"), key("nobody")
PAYER_TOKENS: Final = get_associated_token_address(PAYER.pubkey(), MINT.pubkey())
BOB_TOKENS: Final = get_associated_token_address(BOB.pubkey(), MINT.pubkey())


def pay(lamports: int, *, source: Keypair = PAYER, to: Keypair = BOB) -> Instruction:
    return transfer(TransferParams(from_pubkey=source.pubkey(), to_pubkey=to.pubkey(), lamports=lamports))


def memo(text: str) -> Instruction:
    return Instruction(MEMO, text.encode(), [AccountMeta(PAYER.pubkey(), is_signer=True, is_writable=False)])


@dataclass
class Scene:
    """A cluster that is asked over `transport`, and what was done to it."""

    url: str
    transport: HttpTransport
    names: dict[str, str] = field(default_factory=dict)
    """What the cluster drew, and what we call it: signatures and blockhashes, in base58."""
    sent: dict[str, VersionedTransaction] = field(default_factory=dict)

    async def post(self, body: bytes) -> Reply:
        return await self.transport.post(self.url, body, PATIENCE_S)

    async def ask(self, method: str, *params: Any) -> dict[str, Any]:
        """Return the whole answer to one request."""
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()
        answer = json.loads((await self.post(body)).body)
        assert isinstance(answer, dict)
        return answer

    async def result(self, method: str, *params: Any) -> Any:
        answer = await self.ask(method, *params)
        assert "result" in answer, answer
        return answer["result"]

    async def blockhash(self) -> Hash:
        found = await self.result("getLatestBlockhash", CONFIRMED)
        self.names[found["value"]["blockhash"]] = "<blockhash>"
        return Hash.from_string(found["value"]["blockhash"])

    async def signed(
        self, name: str, *instructions: Instruction, signers: Sequence[Keypair] = (PAYER,), legacy: bool = False
    ) -> VersionedTransaction:
        """Return a transaction with the newest blockhash; `name` stands for its signature from now on."""
        blockhash = await self.blockhash()
        payer = signers[0].pubkey()
        message: Message | MessageV0
        if legacy:
            message = Message.new_with_blockhash(instructions, payer, blockhash)
        else:
            message = MessageV0.try_compile(payer, instructions, [], blockhash)
        made = VersionedTransaction(message, list(signers))
        for place, signature in enumerate(made.signatures):
            self.names[str(signature)] = f"<signature {place} of {name}>"
        self.names[encoded(made)] = self.names[to_base58(bytes(made))] = f"<bytes of {name}>"
        self.sent[name] = made
        return made

    async def send(self, transaction: VersionedTransaction, **options: Any) -> dict[str, Any]:
        """Return the answer to sendTransaction."""
        said = {"encoding": "base64", "preflightCommitment": "confirmed", **options}
        return await self.ask("sendTransaction", encoded(transaction), said)

    async def land(
        self, name: str, *instructions: Instruction, signers: Sequence[Keypair] = (PAYER,), legacy: bool = False
    ) -> None:
        """Have a transaction land, whether it succeeds or fails."""
        transaction = await self.signed(name, *instructions, signers=signers, legacy=legacy)
        assert "result" in await self.send(transaction, skipPreflight=True)
        await self.until(str(transaction.signatures[0]), "confirmed")

    async def until(self, signature: str, commitment: str) -> None:
        """Wait for a transaction to be so sure."""
        wanted = ("processed", "confirmed", "finalized").index(commitment)
        async with asyncio.timeout(PATIENCE_S):
            while True:
                (status,) = (await self.result("getSignatureStatuses", [signature]))["value"]
                if status and ("processed", "confirmed", "finalized").index(status["confirmationStatus"]) >= wanted:
                    return
                await asyncio.sleep(0.05)

    def signature(self, name: str) -> str:
        """Return the signature that names a transaction of the scene."""
        return str(self.sent[name].signatures[0])


def encoded(transaction: VersionedTransaction) -> str:
    return base64.b64encode(bytes(transaction)).decode()


async def play(scene: Scene) -> None:
    """Do to a fresh cluster what the questions are about, and wait until the last of it is finalized."""
    airdrop = await scene.result("requestAirdrop", str(PAYER.pubkey()), 10 * SOL)
    scene.names[airdrop] = "<signature 0 of airdrop>"
    await scene.until(airdrop, "confirmed")
    memo_lamports = (await scene.result("getBalance", str(MEMO), CONFIRMED))["value"]
    scene.names[str(memo_lamports)] = "<lamports of the Memo program>"
    budget = (set_compute_unit_limit(60_000), set_compute_unit_price(1_000_000))
    await scene.land("payment", *budget, pay(SOL), memo("for the ride"))
    await scene.land("refusal", pay(1_000_000 * SOL))
    mint, rent = MINT.pubkey(), await scene.result("getMinimumBalanceForRentExemption", MINT_LEN)
    made = CreateAccountParams(
        from_pubkey=PAYER.pubkey(), to_pubkey=mint, lamports=rent, space=MINT_LEN, owner=TOKEN_PROGRAM_ID
    )
    begun = InitializeMint2Params(
        decimals=6, program_id=TOKEN_PROGRAM_ID, mint=mint, mint_authority=PAYER.pubkey(), freeze_authority=None
    )
    await scene.land("mint", create_account(made), initialize_mint2(begun), signers=(PAYER, MINT), legacy=True)
    issued = MintToParams(
        program_id=TOKEN_PROGRAM_ID, mint=mint, dest=PAYER_TOKENS, mint_authority=PAYER.pubkey(), amount=5_000_000
    )
    opened = (
        create_idempotent_associated_token_account(PAYER.pubkey(), owner.pubkey(), mint) for owner in (PAYER, BOB)
    )
    await scene.land("tokens", *opened, mint_to(issued))
    moved = TransferCheckedParams(
        program_id=TOKEN_PROGRAM_ID,
        source=PAYER_TOKENS,
        mint=mint,
        dest=BOB_TOKENS,
        owner=PAYER.pubkey(),
        amount=1_250_000,
        decimals=6,
    )
    await scene.land("transfer", transfer_checked(moved))
    await scene.until(scene.signature("transfer"), "finalized")
