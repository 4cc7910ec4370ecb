"""The events of the program, and its refusals with their numbers."""

from __future__ import annotations

from typing import Final

from settlement.program.layout import (
    BOOL,
    HASH,
    I64,
    KEY,
    U8,
    U16,
    U64,
    Event,
    Failure,
    Field,
)

_BUYER_SEQUENCE: Final = Field("buyer_sequence", U64)
_BOTH_SEQUENCES: Final = (Field("battery_sequence", U64), _BUYER_SEQUENCE)
_TRADE_NAME: Final = (Field("trade_id", HASH), Field("line", KEY), Field("contract_no", U64))

EVENTS: Final = (
    Event(
        "Deposited",
        "Money came.",
        (Field("escrow", KEY), Field("amount", U64), Field("available", U64), _BUYER_SEQUENCE),
    ),
    Event(
        "Withdrawn",
        "Money went back to the buyer.",
        (
            Field("escrow", KEY),
            Field("destination", KEY),
            Field("amount", U64),
            Field("available", U64),
            _BUYER_SEQUENCE,
        ),
    ),
    Event(
        "Allotted",
        "A Line got more.",
        (Field("line", KEY), Field("amount", U64), Field("on_line", U64), _BUYER_SEQUENCE),
    ),
    Event(
        "ReleaseRequested",
        "The buyer asks money back from a Line.",
        (Field("line", KEY), Field("amount", U64), Field("release_at", I64), _BUYER_SEQUENCE),
    ),
    Event(
        "Released",
        "It left the Line.",
        (Field("line", KEY), Field("amount", U64), Field("on_line", U64), _BUYER_SEQUENCE),
    ),
    Event(
        "Claimed",
        "A battery claims without the buyer's co-signature.",
        (
            *_TRADE_NAME,
            Field("claimed_wh", U64),
            Field("reserved", U64),
            Field("disputable_until", I64),
            *_BOTH_SEQUENCES,
        ),
    ),
    Event(
        "Attested",
        "Part of a claim is beyond dispute.",
        (*_TRADE_NAME, Field("safe_wh", U64), Field("paid", U64), *_BOTH_SEQUENCES),
    ),
    Event(
        "Disputed",
        "The buyer says that less was delivered.",
        (
            *_TRADE_NAME,
            Field("claimed_wh", U64),
            Field("buyer_wh", U64),
            Field("safe_wh", U64),
            Field("paid", U64),
            Field("bond", U64),
            Field("held", U64),
            Field("times_out_at", I64),
            *_BOTH_SEQUENCES,
        ),
    ),
    Event(
        "Settled",
        "A trade ended: payout + fee + returned = reserved. Of payout and bond, `unpaid` could not be handed over.",
        (
            *_TRADE_NAME,
            Field("battery_wallet", KEY),
            Field("buyer_wallet", KEY),
            Field("delivered_wh", U64),
            Field("reserved", U64),
            Field("payout", U64),
            Field("fee", U64),
            Field("returned", U64),
            Field("bond_to_battery", U64),
            Field("bond_to_buyer", U64),
            Field("unpaid", U64),
            *_BOTH_SEQUENCES,
            Field("how", U8, "0 co-signed, 1 finalized, 2 resolved, 3 timed out"),
        ),
    ),
    Event(
        "Collected",
        "What was unpaid is paid.",
        (Field("unpaid", KEY), Field("destination", KEY), Field("amount", U64), Field("battery_sequence", U64)),
    ),
    Event(
        "FeesSwept",
        "Fees went to the treasury.",
        (Field("escrow", KEY), Field("destination", KEY), Field("amount", U64), _BUYER_SEQUENCE),
    ),
    Event(
        "Registered",
        "A Participant is there.",
        (Field("wallet", KEY), Field("signing_key", KEY), Field("role", U8)),
        is_money=False,
    ),
    Event(
        "KeyRotated",
        "A Participant signs with another key.",
        (Field("wallet", KEY), Field("signing_key", KEY), Field("previous_until", I64)),
        is_money=False,
    ),
    Event(
        "LineOpened",
        "A Line is there.",
        (Field("line", KEY), Field("buyer_wallet", KEY), Field("battery_wallet", KEY), Field("generation", U64)),
        is_money=False,
    ),
    Event("LineClosed", "A Line is gone.", (Field("line", KEY), Field("generation", U64)), is_money=False),
    Event(
        "Voided", "A number is spent without a trade.", (Field("line", KEY), Field("contract_no", U64)), is_money=False
    ),
    Event(
        "ConfigChanged",
        "What the whole program agrees on has changed.",
        (
            Field("admin", KEY),
            Field("pending_admin", KEY),
            Field("treasury", KEY),
            Field("min_bond", U64),
            Field("fee_bps", U16),
            Field("paused", BOOL),
        ),
        is_money=False,
    ),
    Event(
        "MintRuleSet",
        "A mint is taken, or no more.",
        (Field("mint", KEY), Field("base_units_per_cent", U64), Field("allowed", BOOL)),
        is_money=False,
    ),
)

FAILURES: Final = (
    Failure(6000, "UnknownInstruction", "the program has no such instruction, or it is as long as none"),
    Failure(6001, "BadAccount", "an account is missing, of another kind, or belongs to something else"),
    Failure(6002, "NotSigner", "a wallet that must sign has not"),
    Failure(6003, "WrongOwner", "an account is owned by another program than it must be"),
    Failure(6004, "WrongAddress", "an account is not at the address that its content gives it"),
    Failure(6005, "BadState", "the account's state does not allow this"),
    Failure(6006, "Expired", "too late: the contract or the window has ended"),
    Failure(6007, "TooEarly", "not yet: the delivery, the window or the delay has not ended"),
    Failure(6008, "BadAmount", "a number is zero, too large, or outside what the trade allows"),
    Failure(6009, "Overflow", "a sum does not fit into 64 bits"),
    Failure(6010, "SignatureMissing", "a party has neither signed the transaction nor proved consent right before"),
    Failure(6011, "SignatureLayout", "the Ed25519 instruction is not laid out in the one way that counts"),
    Failure(6012, "DigestMismatch", "a key or a message in the Ed25519 instruction is not the one that is needed"),
    Failure(6013, "MintNotAllowed", "deposits in this mint are not taken, or it is not of the classic token program"),
    Failure(6014, "Paused", "the operator has paused what brings new money"),
    Failure(6015, "DuplicateAccount", "one account stands in two writable places"),
    Failure(6016, "NotEnough", "the escrow or the Line holds less than this needs"),
    Failure(6017, "NotResolver", "only the contract's resolver rules"),
    Failure(6018, "SameParty", "battery and buyer are one wallet, or the resolver is one of the two"),
    Failure(6019, "NumberUsed", "the contract number is spent"),
    Failure(6020, "NumberOutOfWindow", "the contract number is not among the next 256 of this Line"),
    Failure(6021, "BadTerms", "a term of the contract is outside its range"),
    Failure(6022, "NotAdmin", "only the admin, or the upgrade authority at the beginning"),
    Failure(6023, "InsideCpi", "this instruction is not served to another program"),
    Failure(6024, "KeyTooYoung", "the previous rotation is less than 8 days ago"),
    Failure(6025, "BadKey", "a signing key must be neither zero, nor the wallet, nor the key in force"),
    Failure(6026, "NotEmpty", "money or open trades are on this Line, or it was opened in this very slot"),
)
