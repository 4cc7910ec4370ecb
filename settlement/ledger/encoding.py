"""How accounts look in JSON: their data in base58, base64 or, for what is known, read out."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from solders.pubkey import Pubkey

from settlement.cluster.tokens import NAMES, read_mint, read_token_account
from settlement.exchange import to_base58
from settlement.ledger.errors import INVALID_REQUEST, ParamsError, RpcError
from settlement.ledger.limits import BASE58_BYTES_MAX
from settlement.ledger.nonce import read_nonce
from settlement.ledger.sysvars import read_clock
from settlement.ledger.zstandard import framed

if TYPE_CHECKING:
    from collections.abc import Callable

    from solders.account import Account

    from settlement.cluster.tokens import Mint, TokenAccount
    from settlement.ledger.params import Options

_RENT_EPOCH: Final = (1 << 64) - 1
_ENCODINGS: Final = ("binary", "base58", "base64", "jsonParsed", "base64+zstd")
_LISTED: Final = ", ".join(f"`{name}`" for name in _ENCODINGS)
_TOO_LONG: Final = (
    f"Encoded binary (base 58) data should be less than {BASE58_BYTES_MAX} bytes, please use Base64 encoding."
)


@dataclass(frozen=True, slots=True)
class Shape:
    """How a call wants account data: its encoding, and which part of it (offset, length)."""

    encoding: str
    part: tuple[int, int] | None = None


def shape_of(options: Options, *, default: str = "binary") -> Shape:
    """Return what the options of a call say. Raises ParamsError."""
    encoding = options.text("encoding") or default
    if encoding not in _ENCODINGS:
        raise ParamsError(f"Invalid params: unknown variant `{encoding}`, expected one of {_LISTED}.")
    part = options.inner("dataSlice")
    if part is None:
        return Shape(encoding)
    return Shape(encoding, (part.whole("offset") or 0, part.whole("length") or 0))


def account_json(account: Account, shape: Shape, decimals: Callable[[Pubkey], int | None]) -> dict[str, Any]:
    """Return an account as JSON-RPC has it. Raises RpcError for data too long for base58.

    `decimals` tells those of a mint, None for what is no mint.
    """
    data = account.data
    parsed = _parsed(account, decimals) if shape.encoding == "jsonParsed" else None
    return {
        "data": _data(data, shape) if parsed is None else {**parsed, "space": len(data)},
        "executable": account.executable,
        "lamports": account.lamports,
        "owner": str(account.owner),
        "rentEpoch": _RENT_EPOCH,
        "space": len(data),
    }


def amount_json(amount: int, decimals: int) -> dict[str, Any]:
    """Return an amount of tokens as JSON-RPC has it."""
    exact = Decimal(amount).scaleb(-decimals)
    return {
        "amount": str(amount),
        "decimals": decimals,
        "uiAmount": float(exact),
        "uiAmountString": f"{exact:f}".rstrip("0").rstrip(".") if decimals else str(amount),
    }


def _data(data: bytes, shape: Shape) -> str | list[str]:
    if shape.part is not None:
        offset, length = shape.part
        data = data[offset : offset + length]
    if shape.encoding in ("base64", "jsonParsed"):
        return [b64encode(data).decode(), "base64"]
    if shape.encoding == "base64+zstd":
        return [b64encode(framed(data)).decode(), "base64+zstd"]
    if len(data) > BASE58_BYTES_MAX:
        raise RpcError(INVALID_REQUEST, _TOO_LONG)
    return to_base58(data) if shape.encoding == "binary" else [to_base58(data), "base58"]


def _parsed(account: Account, decimals: Callable[[Pubkey], int | None]) -> dict[str, Any] | None:
    """Return what an account says, None for one that nobody here can read."""
    token = read_token_account(account)
    if token is not None:
        places = decimals(token.mint)
        if places is None:
            return None
        return {"program": NAMES[account.owner], "parsed": {"info": _token(token, places), "type": "account"}}
    mint = read_mint(account)
    if mint is not None:
        return {"program": NAMES[account.owner], "parsed": {"info": _mint(mint), "type": "mint"}}
    nonce = read_nonce(account)
    if nonce is not None:
        info = {
            "authority": str(Pubkey.from_bytes(nonce.authority)),
            "blockhash": to_base58(nonce.value),
            "feeCalculator": {"lamportsPerSignature": str(int.from_bytes(account.data[72:80], "little"))},
        }
        return {"program": "nonce", "parsed": {"info": info, "type": "initialized"}}
    clock = read_clock(account)
    return None if clock is None else {"program": "sysvar", "parsed": {"info": clock, "type": "clock"}}


def _token(token: TokenAccount, decimals: int) -> dict[str, Any]:
    native = token.native_reserve
    info: dict[str, Any] = {
        "isNative": native is not None,
        "mint": str(token.mint),
        "owner": str(token.owner),
        "state": token.state,
        "tokenAmount": amount_json(token.amount, decimals),
    }
    if token.delegate is not None:
        info |= {"delegate": str(token.delegate), "delegatedAmount": amount_json(token.delegated, decimals)}
    if native is not None:
        info["rentExemptReserve"] = amount_json(native, decimals)
    if token.close_authority is not None:
        info["closeAuthority"] = str(token.close_authority)
    return info


def _mint(mint: Mint) -> dict[str, Any]:
    return {
        "decimals": mint.decimals,
        "freezeAuthority": None if mint.freeze_authority is None else str(mint.freeze_authority),
        "isInitialized": mint.initialized,
        "mintAuthority": None if mint.authority is None else str(mint.authority),
        "supply": str(mint.supply),
    }
