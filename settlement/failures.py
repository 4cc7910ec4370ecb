"""Why a transaction failed, from the JSON that nodes give: what it was, and what to do about it."""

from __future__ import annotations

from enum import Enum
from typing import Any, Final, NamedTuple

from settlement.program.failures import TEXTS, Failure

_TOKEN_ERRORS: Final = {1: "too little money in a token account", 17: "a token account is frozen"}
_PLAIN: Final = {
    "AlreadyProcessed": "processed already",
    "BlockhashNotFound": "its blockhash is too old, or the node too far behind to know it",
    "AccountNotFound": "the wallet that pays has no SOL",
    "InsufficientFundsForFee": "the wallet that pays has too little SOL for the fee",
    "SignatureFailure": "a signature does not hold",
    "ProgramAccountNotFound": "there is no program at the address that the file names",
    "InvalidProgramForExecution": "what is at the program's address is no program",
}


class Cause(Enum):
    """What a settler can make of a failure."""

    DONE_ALREADY = "done already"
    """The cluster has processed these very bytes."""
    OLD_HASH = "old hash"
    """Nothing happened; the bytes may be sent again until they expire."""
    NO_SOL = "no SOL"
    PROGRAM = "program"
    """The program refused, with one of its numbers."""
    OTHER = "other"


_CAUSES: Final = {
    "AlreadyProcessed": Cause.DONE_ALREADY,
    "BlockhashNotFound": Cause.OLD_HASH,
    "AccountNotFound": Cause.NO_SOL,
    "InsufficientFundsForFee": Cause.NO_SOL,
}


class Explained(NamedTuple):
    """A failure in words; `number` is the program's."""

    cause: Cause
    text: str
    number: Failure | None = None


def explain(error: Any, message: str = "") -> Explained:
    """Return what a transaction error means; `message` is what the node said beside it. Takes any JSON."""
    if isinstance(error, str):
        return Explained(_CAUSES.get(error, Cause.OTHER), _PLAIN.get(error, error))
    if isinstance(error, dict) and "InsufficientFundsForRent" in error:
        return Explained(Cause.NO_SOL, "the wallet that pays would be left with less SOL than an account must hold")
    number = custom_number(error)
    if number is None:
        return Explained(Cause.OTHER, f"{error}" if error is not None else message or "the node does not say why")
    if number in TEXTS:
        failure = Failure(number)
        return Explained(Cause.PROGRAM, f"{TEXTS[failure]} ({number})", failure)
    return Explained(Cause.OTHER, _TOKEN_ERRORS.get(number, f"custom error {number}"))


def custom_number(error: Any) -> int | None:
    """Return n of {"InstructionError": [index, {"Custom": n}]}, None for anything else."""
    match error:
        case {"InstructionError": [int(), {"Custom": int(number)}]} if type(number) is int:
            return number
        case _:
            return None
