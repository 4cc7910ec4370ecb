"""Parameters of a call, checked as a validator checks them: what makes no sense is a ParamsError in its words."""

from __future__ import annotations

from base64 import b64decode
from typing import TYPE_CHECKING, Any, Final

from solders.hash import Hash, ParseHashError
from solders.pubkey import Pubkey
from solders.signature import Signature

from settlement.base58 import decode_base58
from settlement.ledger.errors import ParamsError

if TYPE_CHECKING:
    from settlement.ledger.chain import Commitment

_SHOWN: Final = 64
"""Characters of a wrong parameter that an error repeats."""
_COMMITMENTS: Final[dict[str, Commitment]] = {
    "processed": "processed",
    "confirmed": "confirmed",
    "finalized": "finalized",
    "recent": "processed",
    "single": "confirmed",
    "singleGossip": "confirmed",
    "root": "finalized",
    "max": "finalized",
}
"""The levels, with the names they had before 2020, which old clients still send."""


class Params:
    """The positional parameters of one call, of which the last may be an object of options."""

    def __init__(self, values: list[Any]) -> None:
        """Take them as they came."""
        self._values = values

    def __len__(self) -> int:
        """How many there are."""
        return len(self._values)

    def require(self, count: int) -> None:
        """Raise ParamsError for fewer than `count`."""
        if len(self._values) < count:
            raise ParamsError(f"`params` should have at least {count} argument(s)")

    def at(self, index: int) -> Any:
        """Return one, None when it is not there."""
        return self._values[index] if index < len(self._values) else None

    def text(self, index: int) -> str:
        """Return one that must be text."""
        self.require(index + 1)
        value = self._values[index]
        if not isinstance(value, str):
            raise _wrong_type(value, "a string")
        return value

    def whole(self, index: int) -> int:
        """Return one that must be a number from 0 to 2^64 - 1."""
        self.require(index + 1)
        return whole(self._values[index])

    def address(self, index: int) -> Pubkey:
        """Return one that must be an address."""
        return address(self.text(index))

    def listed(self, index: int) -> list[Any]:
        """Return one that must be a list."""
        self.require(index + 1)
        value = self._values[index]
        if not isinstance(value, list):
            raise _wrong_type(value, "a sequence")
        return value

    def options(self, index: int) -> Options:
        """Return the object of options at this place; none is an empty one."""
        value = self.at(index)
        if value is None:
            return Options({})
        if not isinstance(value, dict):
            raise _wrong_type(value, "a map")
        return Options(value)


class Options:
    """The options of one call; an option that is null is not there."""

    def __init__(self, values: dict[str, Any]) -> None:
        """Take them as they came."""
        self._values = values

    def at(self, name: str) -> Any:
        """Return one as it came, None when it is not there."""
        return self._values.get(name)

    def flag(self, name: str) -> bool:
        """Return one that must be true or false; false when it is not there."""
        value = self._values.get(name)
        if value is None:
            return False
        if not isinstance(value, bool):
            raise _wrong_type(value, "a boolean")
        return value

    def whole(self, name: str) -> int | None:
        """Return one that must be a number from 0 to 2^64 - 1."""
        value = self._values.get(name)
        return None if value is None else whole(value)

    def text(self, name: str) -> str | None:
        """Return one that must be text."""
        value = self._values.get(name)
        if value is not None and not isinstance(value, str):
            raise _wrong_type(value, "a string")
        return value

    def address(self, name: str) -> Pubkey | None:
        """Return one that must be an address."""
        value = self.text(name)
        return None if value is None else address(value)

    def inner(self, name: str) -> Options | None:
        """Return one that must be an object itself."""
        value = self._values.get(name)
        if value is None:
            return None
        if not isinstance(value, dict):
            raise _wrong_type(value, "a map")
        return Options(value)

    def commitment(self, name: str = "commitment") -> Commitment:
        """Return a commitment level; finalized when it is not there or, as a validator takes it, none."""
        value = self._values.get(name)
        return _COMMITMENTS.get(value, "finalized") if isinstance(value, str) else "finalized"


def whole(value: Any) -> int:
    """Return a number from 0 to 2^64 - 1. Raises ParamsError."""
    if type(value) is not int or not 0 <= value < 1 << 64:
        raise _wrong_type(value, "u64")
    return value


def address(text: Any) -> Pubkey:
    """Return an address. Raises ParamsError."""
    if not isinstance(text, str):
        raise _wrong_type(text, "a string")
    try:
        return Pubkey.from_string(text)
    except ValueError as error:
        raise ParamsError("Invalid param: WrongSize" if "size" in str(error) else "Invalid param: Invalid") from None


def signature(text: Any) -> Signature:
    """Return a transaction's signature. Raises ParamsError."""
    if not isinstance(text, str):
        raise _wrong_type(text, "a string")
    try:
        return Signature.from_string(text)
    except ValueError as error:
        raise ParamsError("Invalid param: WrongSize" if "size" in str(error) else "Invalid param: Invalid") from None


def blockhash(text: str) -> Hash:
    """Return a blockhash. Raises ParamsError."""
    try:
        return Hash.from_string(text)
    except ParseHashError as error:
        raise ParamsError("WrongSize" if "size" in str(error) else "Invalid") from None


def decoded(text: str, encoding: str, *, bytes_max: int) -> bytes:
    """Return the bytes of a text in base58 or base64. Raises ParamsError, also for more than `bytes_max`."""
    if encoding not in ("base58", "base64"):
        raise ParamsError(f"unsupported encoding: {encoding}. Supported encodings: base58, base64")
    if len(text) > 2 * bytes_max:
        raise ParamsError(f"{encoding} encoded text too large: {len(text)} bytes (max: {2 * bytes_max})")
    try:
        data = decode_base58(text) if encoding == "base58" else b64decode(text, validate=True)
    except ValueError as error:
        raise ParamsError(f"invalid {encoding} encoding: {error}") from None
    if len(data) > bytes_max:
        raise ParamsError(f"decoded {encoding} text too large: {len(data)} bytes (max: {bytes_max})")
    return data


def _wrong_type(value: Any, wanted: str) -> ParamsError:
    match value:
        case bool():
            found = f"boolean `{str(value).lower()}`"
        case int():
            found = f"integer `{value}`"
        case float():
            found = f"floating point `{value}`"
        case str():
            found = f'string "{value[:_SHOWN]}"'
        case list():
            found = "sequence"
        case dict():
            found = "map"
        case _:
            found = "null"
    return ParamsError(f"Invalid params: invalid type: {found}, expected {wanted}.")
