"""The refusals of the program. Made from the schema by `python -m settlement.program.generate`; not to be edited."""

from __future__ import annotations

from enum import IntEnum
from typing import Final


class Failure(IntEnum):
    """Custom error numbers; they never change."""

    UNKNOWN_INSTRUCTION = 6000
    BAD_ACCOUNT = 6001
    NOT_SIGNER = 6002
    WRONG_OWNER = 6003
    WRONG_ADDRESS = 6004
    BAD_STATE = 6005
    EXPIRED = 6006
    TOO_EARLY = 6007
    BAD_AMOUNT = 6008
    OVERFLOW = 6009
    SIGNATURE_MISSING = 6010
    SIGNATURE_LAYOUT = 6011
    DIGEST_MISMATCH = 6012
    MINT_NOT_ALLOWED = 6013
    PAUSED = 6014
    DUPLICATE_ACCOUNT = 6015
    NOT_ENOUGH = 6016
    NOT_RESOLVER = 6017
    SAME_PARTY = 6018
    NUMBER_USED = 6019
    NUMBER_OUT_OF_WINDOW = 6020
    BAD_TERMS = 6021
    NOT_ADMIN = 6022
    INSIDE_CPI = 6023
    KEY_TOO_YOUNG = 6024
    BAD_KEY = 6025
    NOT_EMPTY = 6026


TEXTS: Final = {
    Failure.UNKNOWN_INSTRUCTION: "the program has no such instruction, or it is as long as none",
    Failure.BAD_ACCOUNT: "an account is missing, of another kind, or belongs to something else",
    Failure.NOT_SIGNER: "a wallet that must sign has not",
    Failure.WRONG_OWNER: "an account is owned by another program than it must be",
    Failure.WRONG_ADDRESS: "an account is not at the address that its content gives it",
    Failure.BAD_STATE: "the account's state does not allow this",
    Failure.EXPIRED: "too late: the contract or the window has ended",
    Failure.TOO_EARLY: "not yet: the delivery, the window or the delay has not ended",
    Failure.BAD_AMOUNT: "a number is zero, too large, or outside what the trade allows",
    Failure.OVERFLOW: "a sum does not fit into 64 bits",
    Failure.SIGNATURE_MISSING: "a party has neither signed the transaction nor proved consent right before",
    Failure.SIGNATURE_LAYOUT: "the Ed25519 instruction is not laid out in the one way that counts",
    Failure.DIGEST_MISMATCH: "a key or a message in the Ed25519 instruction is not the one that is needed",
    Failure.MINT_NOT_ALLOWED: "deposits in this mint are not taken, or it is not of the classic token program",
    Failure.PAUSED: "the operator has paused what brings new money",
    Failure.DUPLICATE_ACCOUNT: "one account stands in two writable places",
    Failure.NOT_ENOUGH: "the escrow or the Line holds less than this needs",
    Failure.NOT_RESOLVER: "only the contract's resolver rules",
    Failure.SAME_PARTY: "battery and buyer are one wallet, or the resolver is one of the two",
    Failure.NUMBER_USED: "the contract number is spent",
    Failure.NUMBER_OUT_OF_WINDOW: "the contract number is not among the next 256 of this Line",
    Failure.BAD_TERMS: "a term of the contract is outside its range",
    Failure.NOT_ADMIN: "only the admin, or the upgrade authority at the beginning",
    Failure.INSIDE_CPI: "this instruction is not served to another program",
    Failure.KEY_TOO_YOUNG: "the previous rotation is less than 8 days ago",
    Failure.BAD_KEY: "a signing key must be neither zero, nor the wallet, nor the key in force",
    Failure.NOT_EMPTY: "money or open trades are on this Line, or it was opened in this very slot",
}
