"""What clients ask a node, and what they ask wrongly: `name -> (method, parameters)`, and bodies that are no request.

The list covers what settlement.rpc, solana-py and web3.js send for accounts, balances, blockhashes, sending,
simulating, statuses, transactions, airdrops and program accounts, with the refusals that a client has to tell apart.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from solders.hash import Hash
from solders.message import MessageV0, to_bytes_versioned
from solders.transaction import VersionedTransaction
from spl.token.constants import TOKEN_PROGRAM_ID
from spl.token.instructions import create_idempotent_associated_token_account, get_account_data_size
from spl.token.models import GetAccountDataSizeParams

from settlement.exchange import to_base58
from tests.acceptance.scene import (
    BOB,
    BOB_TOKENS,
    CONFIRMED,
    MEMO,
    MINT,
    NOBODY,
    PAYER,
    PAYER_TOKENS,
    SOL,
    encoded,
    key,
    memo,
    pay,
)

if TYPE_CHECKING:
    from tests.acceptance.scene import Scene

Questions: TypeAlias = dict[str, tuple[str, list[Any]]]

_BASE64: Final = {"encoding": "base64", **CONFIRMED}
_PARSED: Final = {"encoding": "jsonParsed", **CONFIRMED}
_FAR: Final = {"minContextSlot": 10**12, **CONFIRMED}
_PAYER, _BOB, _MINT, _NOBODY = (str(who.pubkey()) for who in (PAYER, BOB, MINT, NOBODY))
_CLOCK: Final = "SysvarC1ock11111111111111111111111111111111"
_UNSEEN: Final = to_base58(bytes(range(64)))
_BAD_KEYS: Final = {"short": "abc", "letters": "0OIl" * 11, "empty": "", "long": "1" * 45}


def about_the_node() -> Questions:
    """Questions whose answers differ from one node to the next: their shape alone is compared."""
    return {
        "slot": ("getSlot", [CONFIRMED]),
        "slot, finalized by default": ("getSlot", []),
        "height": ("getBlockHeight", [CONFIRMED]),
        "health": ("getHealth", []),
        "version": ("getVersion", []),
        "genesis": ("getGenesisHash", []),
        "epoch": ("getEpochInfo", [CONFIRMED]),
        "blockhash": ("getLatestBlockhash", [CONFIRMED]),
        "identity": ("getIdentity", []),
        "first block": ("getFirstAvailableBlock", []),
        "transactions": ("getTransactionCount", [CONFIRMED]),
        "airdrop of nothing": ("requestAirdrop", [str(key("somebody").pubkey()), 0]),
        "prices": ("getRecentPrioritizationFees", [[_PAYER]]),
    }


async def about_accounts(_scene: Scene) -> Questions:
    """Balances and accounts in every encoding."""
    cut = {**_BASE64, "dataSlice": {"offset": 4, "length": 8}}
    beyond = {**_BASE64, "dataSlice": {"offset": 80, "length": 8}}
    questions: Questions = {
        "balance": ("getBalance", [_PAYER, CONFIRMED]),
        "balance of nobody": ("getBalance", [_NOBODY, CONFIRMED]),
        "balance of finalized": ("getBalance", [_PAYER]),
        "account": ("getAccountInfo", [_PAYER, _BASE64]),
        "account of nobody": ("getAccountInfo", [_NOBODY, _BASE64]),
        "account, encoding of old": ("getAccountInfo", [_MINT, CONFIRMED]),
        "account in base58": ("getAccountInfo", [_MINT, {"encoding": "base58", **CONFIRMED}]),
        "account in base58, too long": ("getAccountInfo", [str(BOB_TOKENS), {"encoding": "base58", **CONFIRMED}]),
        "account of old, too long": ("getAccountInfo", [str(BOB_TOKENS), CONFIRMED]),
        "account cut": ("getAccountInfo", [_MINT, cut]),
        "account cut beyond its end": ("getAccountInfo", [_MINT, beyond]),
        "account of a mint": ("getAccountInfo", [_MINT, _BASE64]),
        "account of tokens": ("getAccountInfo", [str(BOB_TOKENS), _BASE64]),
        "account of a wallet, parsed": ("getAccountInfo", [_PAYER, _PARSED]),
        "account of a mint, parsed": ("getAccountInfo", [_MINT, _PARSED]),
        "account of tokens, parsed": ("getAccountInfo", [str(BOB_TOKENS), _PARSED]),
        "accounts": ("getMultipleAccounts", [[_MINT, _NOBODY, str(BOB_TOKENS)], _BASE64]),
        "accounts, none": ("getMultipleAccounts", [[], _BASE64]),
        "accounts, too many": ("getMultipleAccounts", [[_PAYER] * 101, _BASE64]),
        "accounts, one is none": ("getMultipleAccounts", [[_PAYER, "abc"], _BASE64]),
        "rent of nothing": ("getMinimumBalanceForRentExemption", [0]),
        "rent of tokens": ("getMinimumBalanceForRentExemption", [165]),
        "rent of too much": ("getMinimumBalanceForRentExemption", [100_000_000]),
        "rent of less than nothing": ("getMinimumBalanceForRentExemption", [-1]),
        "rent of a word": ("getMinimumBalanceForRentExemption", ["much"]),
        "token balance": ("getTokenAccountBalance", [str(BOB_TOKENS), CONFIRMED]),
        "token balance of a wallet": ("getTokenAccountBalance", [_PAYER, CONFIRMED]),
        "token balance of nobody": ("getTokenAccountBalance", [_NOBODY, CONFIRMED]),
        "token supply": ("getTokenSupply", [_MINT, CONFIRMED]),
        "token supply of a wallet": ("getTokenSupply", [_PAYER, CONFIRMED]),
        "token accounts by mint": ("getTokenAccountsByOwner", [_BOB, {"mint": _MINT}, _BASE64]),
        "token accounts by program": (
            "getTokenAccountsByOwner",
            [_BOB, {"programId": str(TOKEN_PROGRAM_ID)}, _PARSED],
        ),
        "token accounts of nobody": ("getTokenAccountsByOwner", [_NOBODY, {"mint": _MINT}, _BASE64]),
        "token accounts of no mint": ("getTokenAccountsByOwner", [_BOB, {"mint": _PAYER}, _BASE64]),
    }
    for name, text in _BAD_KEYS.items():
        questions[f"balance of a bad key, {name}"] = ("getBalance", [text])
    return questions


async def about_program_accounts(_scene: Scene) -> Questions:
    """Accounts of a program, filtered."""

    def asked(*filters: dict[str, Any], program: str = str(TOKEN_PROGRAM_ID), **options: Any) -> tuple[str, list[Any]]:
        return "getProgramAccounts", [program, {**_BASE64, "filters": list(filters), **options}]

    def same(offset: int, data: str, **options: Any) -> dict[str, Any]:
        return {"memcmp": {"offset": offset, "bytes": data, **options}}

    mint64 = base64.b64encode(bytes(MINT.pubkey())).decode()
    of_mint, of_bob, tokens = same(0, _MINT), same(32, _BOB), {"dataSize": 165}
    return {
        "program accounts": asked(tokens, of_mint, of_bob),
        "program accounts, cut": asked(tokens, of_mint, of_bob, dataSlice={"offset": 64, "length": 8}),
        "program accounts in base64": asked(tokens, same(0, mint64, encoding="base64"), of_bob),
        "program accounts with context": asked(tokens, of_mint, of_bob, withContext=True),
        "program accounts, none": asked(tokens, same(0, _NOBODY)),
        "program accounts of nobody": asked(program=_NOBODY),
        "program accounts, too many filters": asked(*[tokens] * 5),
        "program accounts, too long a filter": asked(same(0, "1" * 129)),
        "program accounts, a filter in no alphabet": asked(same(0, "0OIl")),
        "program accounts, an unknown filter": asked({"colour": "red"}),
        "program accounts of a bad key": asked(program="abc"),
    }


async def about_transactions(scene: Scene) -> Questions:
    """Statuses, transactions and the history of an address."""
    paid, refused, tokens = (scene.signature(name) for name in ("payment", "refusal", "tokens"))
    newest: dict[str, Any] = {"maxSupportedTransactionVersion": 0, **CONFIRMED}
    history = {"searchTransactionHistory": True}
    return {
        "statuses": ("getSignatureStatuses", [[paid, refused, _UNSEEN]]),
        "statuses with history": ("getSignatureStatuses", [[paid, refused, _UNSEEN], history]),
        "statuses, none": ("getSignatureStatuses", [[]]),
        "statuses, too many": ("getSignatureStatuses", [[paid] * 257]),
        "statuses of a bad signature": ("getSignatureStatuses", [["abc"]]),
        "statuses of no list": ("getSignatureStatuses", [paid]),
        "transaction": ("getTransaction", [paid, newest]),
        "transaction in base64": ("getTransaction", [paid, {**newest, "encoding": "base64"}]),
        "transaction, finalized by default": (
            "getTransaction",
            [paid, {"encoding": "base64", "maxSupportedTransactionVersion": 0}],
        ),
        "transaction in base58": ("getTransaction", [paid, {**newest, "encoding": "base58"}]),
        "transaction, parsed": ("getTransaction", [tokens, {**newest, "encoding": "jsonParsed"}]),
        "transaction that failed": ("getTransaction", [refused, newest]),
        "transaction of old": ("getTransaction", [scene.signature("mint"), CONFIRMED]),
        "transaction with inner instructions": ("getTransaction", [tokens, newest]),
        "transaction of a version not named": ("getTransaction", [paid, CONFIRMED]),
        "transaction unseen": ("getTransaction", [_UNSEEN, newest]),
        "transaction of a bad signature": ("getTransaction", ["abc", newest]),
        "transaction at processed": ("getTransaction", [paid, {**newest, "commitment": "processed"}]),
        "history": ("getSignaturesForAddress", [_BOB, CONFIRMED]),
        "history, the last": ("getSignaturesForAddress", [_PAYER, {"limit": 2, **CONFIRMED}]),
        "history before": ("getSignaturesForAddress", [_PAYER, {"before": tokens, "limit": 2, **CONFIRMED}]),
        "history until": ("getSignaturesForAddress", [_PAYER, {"until": tokens, **CONFIRMED}]),
        "history of nobody": ("getSignaturesForAddress", [_NOBODY, CONFIRMED]),
        "history, too much": ("getSignaturesForAddress", [_BOB, {"limit": 1_001, **CONFIRMED}]),
        "history, nothing": ("getSignaturesForAddress", [_BOB, {"limit": 0, **CONFIRMED}]),
        "history at processed": ("getSignaturesForAddress", [_BOB, {"commitment": "processed"}]),
    }


async def about_blockhashes(scene: Scene) -> Questions:
    """Which blockhash is good, and what a message costs."""
    good, bad = await scene.blockhash(), Hash.new_unique()
    fine = (await scene.signed("fee", pay(1))).message
    assert isinstance(fine, MessageV0)
    stale = MessageV0.try_compile(PAYER.pubkey(), [pay(1)], [], bad)
    said, said_stale = (base64.b64encode(to_bytes_versioned(message)).decode() for message in (fine, stale))
    return {
        "blockhash good": ("isBlockhashValid", [str(good), CONFIRMED]),
        "blockhash bad": ("isBlockhashValid", [str(bad), CONFIRMED]),
        "blockhash malformed": ("isBlockhashValid", ["abc", CONFIRMED]),
        "fee": ("getFeeForMessage", [said, CONFIRMED]),
        "fee with a bad blockhash": ("getFeeForMessage", [said_stale, CONFIRMED]),
        "fee of no message": ("getFeeForMessage", ["AAAA", CONFIRMED]),
        "too many prices": ("getRecentPrioritizationFees", [[_NOBODY] * 129]),
        "minContextSlot, account": ("getAccountInfo", [_PAYER, _FAR]),
        "minContextSlot, accounts": ("getMultipleAccounts", [[_PAYER], _FAR]),
        "minContextSlot, balance": ("getBalance", [_PAYER, _FAR]),
        "minContextSlot, blockhash": ("getLatestBlockhash", [_FAR]),
        "minContextSlot, slot": ("getSlot", [_FAR]),
        "minContextSlot, height": ("getBlockHeight", [_FAR]),
        "minContextSlot, program accounts": ("getProgramAccounts", [_NOBODY, _FAR]),
        "minContextSlot, history": ("getSignaturesForAddress", [_PAYER, _FAR]),
        "minContextSlot, send": ("sendTransaction", [encoded(scene.sent["fee"]), {"encoding": "base64", **_FAR}]),
        "minContextSlot, simulate": (
            "simulateTransaction",
            [encoded(scene.sent["fee"]), {"encoding": "base64", **_FAR}],
        ),
    }


async def about_sending(scene: Scene) -> Questions:
    """What is refused on being sent, then what is taken: refusals name the balance that is left."""
    good = encoded(await scene.signed("sent", pay(1_000)))
    legacy = base64.b64decode(encoded(await scene.signed("sent in base58", pay(1_001), legacy=True)))
    ready = {"encoding": "base64", "preflightCommitment": "confirmed"}
    blind = {**ready, "skipPreflight": True}
    sent = "sendTransaction"
    twice = encoded(scene.sent["payment"])
    poor = encoded(await scene.signed("poor", pay(1, source=NOBODY), signers=(NOBODY,)))
    failing = encoded(await scene.signed("failing", pay(5_000 * SOL)))
    forged = encoded(_forged(await scene.signed("forged", pay(1_002))))
    stale = encoded(_stale(pay(1)))
    unknown_program = encoded(await scene.signed("unknown program", _call_of_nobody()))
    return {
        "send what has landed": (sent, [twice, ready]),
        "send what has landed, blind": (sent, [twice, blind]),
        "send without money": (sent, [poor, ready]),
        "send what fails": (sent, [failing, ready]),
        "send a forged one": (sent, [forged, ready]),
        "send a forged one, blind": (sent, [forged, blind]),
        "send a stale one": (sent, [stale, ready]),
        "send a stale one, blind": (sent, [stale, blind]),
        "send to no program": (sent, [unknown_program, ready]),
        "send nothing": (sent, ["", ready]),
        "send half": (sent, [good[:100], ready]),
        "send what is not base64": (sent, ["*" * 40, ready]),
        "send what is not base58": (sent, ["0OIl", {**ready, "encoding": "base58"}]),
        "send too much": (sent, [base64.b64encode(bytes(1_233)).decode(), ready]),
        "send far too much": (sent, [base64.b64encode(bytes(1_300)).decode(), ready]),
        "send in an unknown encoding": (sent, [good, {**ready, "encoding": "hex"}]),
        "send": (sent, [good, ready]),
        "send once more": (sent, [good, blind]),
        "send in base58": (sent, [to_base58(legacy), {**ready, "encoding": "base58"}]),
        "send, encoding of old": (sent, [to_base58(legacy), {"skipPreflight": True}]),
        "send one with a tail": (sent, [base64.b64encode(base64.b64decode(good) + b"\0").decode(), ready]),
    }


async def about_simulating(scene: Scene) -> Questions:
    """What a transaction would do."""
    asked = {"encoding": "base64", **CONFIRMED}
    simulate = "simulateTransaction"
    good = await scene.signed("simulated", pay(2_000))
    failing = encoded(await scene.signed("simulated failure", pay(5_000 * SOL)))
    text = encoded(await scene.signed("simulated memo", memo("hello")))
    open_ = create_idempotent_associated_token_account(PAYER.pubkey(), NOBODY.pubkey(), MINT.pubkey())
    opening = encoded(await scene.signed("simulated account", open_))
    size = get_account_data_size(GetAccountDataSizeParams(program_id=TOKEN_PROGRAM_ID, mint=MINT.pubkey()))
    telling = encoded(await scene.signed("simulated answer", size))
    shown = {"encoding": "base64", "addresses": [_BOB, _NOBODY]}
    return {
        "simulate": (simulate, [encoded(good), asked]),
        "simulate a failure": (simulate, [failing, asked]),
        "simulate a memo": (simulate, [text, asked]),
        "simulate with accounts": (simulate, [encoded(good), {**asked, "accounts": shown}]),
        "simulate with accounts, parsed": (
            simulate,
            [opening, {**asked, "accounts": {"encoding": "jsonParsed", "addresses": [_NOBODY]}}],
        ),
        "simulate with inner instructions": (simulate, [opening, {**asked, "innerInstructions": True}]),
        "simulate what returns data": (simulate, [telling, asked]),
        "simulate with signatures": (simulate, [encoded(good), {**asked, "sigVerify": True}]),
        "simulate a forged one": (simulate, [encoded(_forged(good)), asked]),
        "simulate a forged one with signatures": (simulate, [encoded(_forged(good)), {**asked, "sigVerify": True}]),
        "simulate a stale one": (simulate, [encoded(_stale(pay(1))), asked]),
        "simulate a stale one afresh": (simulate, [encoded(_stale(pay(1))), {**asked, "replaceRecentBlockhash": True}]),
        "simulate with both": (
            simulate,
            [encoded(good), {**asked, "replaceRecentBlockhash": True, "sigVerify": True}],
        ),
        "simulate what has landed": (simulate, [encoded(scene.sent["payment"]), asked]),
        "simulate for nobody": (
            simulate,
            [encoded(await scene.signed("simulated by nobody", pay(1, source=NOBODY), signers=(NOBODY,))), asked],
        ),
        "simulate too many accounts": (
            simulate,
            [encoded(good), {**asked, "accounts": {"encoding": "base64", "addresses": [_BOB] * 9}}],
        ),
    }


async def about_nothing(_scene: Scene) -> Questions:
    """Requests that are none: methods, parameters, airdrops."""
    return {
        "unknown method": ("getMoney", []),
        "no parameters": ("getBalance", []),
        "parameters by name": ("getBalance", {"pubkey": _PAYER}),  # type: ignore[dict-item]
        "too many parameters": ("getSlot", [CONFIRMED, 1, 2]),
        "a number for a key": ("getBalance", [7]),
        "an unknown commitment": ("getBalance", [_PAYER, {"commitment": "sure"}]),
        "an old commitment": ("getBalance", [_PAYER, {"commitment": "max"}]),
        "an unknown option": ("getBalance", [_PAYER, {"colour": "red", **CONFIRMED}]),
        "an unknown encoding": ("getAccountInfo", [_PAYER, {"encoding": "hex"}]),
        "airdrop to a bad key": ("requestAirdrop", ["abc", 1]),
        "airdrop of less than nothing": ("requestAirdrop", [_NOBODY, -1]),
        "block time of the future": ("getBlockTime", [10**12]),
    }


BODIES: Final[dict[str, bytes]] = {
    "no JSON": b"hello",
    "nothing": b"",
    "half": b'{"jsonrpc":"2.0","id":1,"meth',
    "a number": b"7",
    "an empty batch": b"[]",
    "a batch": b'[{"jsonrpc":"2.0","id":1,"method":"getHealth"},{"jsonrpc":"2.0","id":"b","method":"getMoney"}]',
    "a batch of numbers": b"[1,2]",
    "no method": b'{"jsonrpc":"2.0","id":1}',
    "no version": b'{"id":1,"method":"getHealth"}',
    "version 1": b'{"jsonrpc":"1.0","id":1,"method":"getHealth"}',
    "no id": b'{"jsonrpc":"2.0","method":"getHealth"}',
    "id null": b'{"jsonrpc":"2.0","id":null,"method":"getHealth"}',
    "id of text": b'{"jsonrpc":"2.0","id":"abc","method":"getHealth"}',
    "id with a fraction": b'{"jsonrpc":"2.0","id":1.5,"method":"getHealth"}',
    "id a list": b'{"jsonrpc":"2.0","id":[1],"method":"getHealth"}',
    "parameters null": b'{"jsonrpc":"2.0","id":1,"method":"getHealth","params":null}',
    "parameters a number": b'{"jsonrpc":"2.0","id":1,"method":"getHealth","params":7}',
    "a method that is a number": b'{"jsonrpc":"2.0","id":1,"method":7}',
    "too long": b'{"jsonrpc":"2.0","id":1,"method":"getHealth","x":"' + b"x" * 51_200 + b'"}',
}
"""What is posted as it stands: how a node answers says whether a client may believe that it is one."""


def _forged(transaction: VersionedTransaction) -> VersionedTransaction:
    """Return it with the signature of something else."""
    return VersionedTransaction.populate(transaction.message, [PAYER.sign_message(b"something else")])


def _stale(*instructions: Any) -> VersionedTransaction:
    return VersionedTransaction(
        MessageV0.try_compile(PAYER.pubkey(), list(instructions), [], Hash(bytes(range(32)))), [PAYER]
    )


def _call_of_nobody() -> Any:
    call = memo("?")
    return type(call)(NOBODY.pubkey(), call.data, call.accounts)


__all__ = ["BODIES", "MEMO", "PAYER_TOKENS", "Questions"]
