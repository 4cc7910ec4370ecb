"""The instructions of the program: accounts in order, then arguments. Their rules are in docs/program.md."""

from __future__ import annotations

from typing import Final

from settlement.program.constants import INSTRUCTIONS, SYSTEM_PROGRAM, TOKEN_PROGRAM
from settlement.program.layout import (
    BOOL,
    HASH,
    I64,
    KEY,
    U8,
    U16,
    U32,
    U64,
    Call,
    Field,
    Slot,
)

_SYSTEM: Final = Slot("system_program", address=SYSTEM_PROGRAM)
_TOKEN: Final = Slot("token_program", address=TOKEN_PROGRAM)
_READ_BACK: Final = Slot("instructions", address=INSTRUCTIONS)
_READ_BACK_MAYBE: Final = Slot("instructions", optional=True)
_EVENTS: Final = (Slot("event_authority"), Slot("program"))
_ADMIN: Final = Slot("admin", signer=True)
_CONFIG_RO: Final = Slot("config")
_CONFIG_RW: Final = Slot("config", writable=True)
_BUYER_SIGNS: Final = Slot("buyer_wallet", signer=True)
_BUYER_PAYS: Final = Slot("buyer_wallet", writable=True, signer=True)
_BATTERY: Final = Slot("battery", writable=True)
_BUYER: Final = Slot("buyer", writable=True)
_ESCROW: Final = Slot("escrow", writable=True)
_VAULT: Final = Slot("vault", writable=True)
_LINE: Final = Slot("line", writable=True)
_TRADE: Final = Slot("trade", writable=True)
_PAYMENT: Final = (
    _BATTERY,
    _BUYER,
    _ESCROW,
    _VAULT,
    _LINE,
    _TRADE,
    Slot("payee", writable=True),
    Slot("unpaid", writable=True),
    _TOKEN,
)
_RENT_PAYER: Final = Slot("rent_payer", writable=True)

_TERMS: Final = (
    Field("contract_no", U64),
    Field("battery_device_id", U64),
    Field("buyer_device_id", U64),
    Field("message_id", U64),
    Field("price_e4", U32),
    Field("energy_wh", U32),
    Field("base_units_per_cent", U64),
    Field("starts_at_s", I64),
    Field("ends_at_s", I64),
    Field("valid_until_s", I64),
    Field("fee_bps", U16),
    Field("dispute_window_s", U32),
    Field("resolver", KEY),
    Field("meter_key", KEY),
)
"""Of the contract, what the accounts do not say."""
_DELIVERY: Final = (
    Field("delivered_wh", U64),
    Field("started_at_s", I64),
    Field("ended_at_s", I64),
    Field("evidence", HASH),
)
_AMOUNT: Final = (Field("amount", U64),)

CALLS: Final = (
    Call(
        "initialize",
        "Write the Config, once. The signer is the program's upgrade authority and becomes admin.",
        (
            Slot("authority", writable=True, signer=True),
            _CONFIG_RW,
            Slot("program"),
            Slot("program_data"),
            _SYSTEM,
        ),
        (
            Field("treasury", KEY),
            Field("fee_bps", U16),
            Field("min_bond", U64),
            Field("genesis", HASH),
            Field("timeout_s", U32),
        ),
    ),
    Call(
        "set_config",
        "Change what later contracts are asked for; open ones carry their own.",
        (_ADMIN, _CONFIG_RW),
        (Field("treasury", KEY), Field("fee_bps", U16), Field("min_bond", U64)),
    ),
    Call("propose_admin", "Name who may become admin.", (_ADMIN, _CONFIG_RW), (Field("new_admin", KEY),)),
    Call("accept_admin", "Become admin.", (Slot("new_admin", signer=True), _CONFIG_RW)),
    Call(
        "set_pause",
        "Stop registrations, deposits, allotments and releases, or let them go on.",
        (_ADMIN, _CONFIG_RW),
        (Field("paused", BOOL),),
    ),
    Call(
        "set_mint_rule",
        "Take deposits in a mint, or no more.",
        (
            Slot("admin", writable=True, signer=True),
            _CONFIG_RO,
            Slot("mint_rule", writable=True),
            Slot("mint"),
            _SYSTEM,
        ),
        (Field("allowed", BOOL), Field("base_units_per_cent", U64)),
    ),
    Call(
        "register",
        "Become a Participant. The signing key proves itself in the instruction before, by the Ed25519 precompile.",
        (
            Slot("wallet", writable=True, signer=True),
            _CONFIG_RO,
            Slot("participant", writable=True),
            _READ_BACK,
            _SYSTEM,
        ),
        (Field("role", U8), Field("signing_key", KEY)),
    ),
    Call(
        "rotate_key",
        "Sign with another key from now on; it proves itself like at registration.",
        (Slot("wallet", signer=True), _CONFIG_RO, Slot("participant", writable=True), _READ_BACK),
        (Field("new_key", KEY),),
    ),
    Call(
        "open_escrow",
        "Open a buyer's escrow and vault for a mint.",
        (_BUYER_PAYS, Slot("buyer"), _ESCROW, _VAULT, Slot("mint"), _TOKEN, _SYSTEM),
    ),
    Call(
        "deposit",
        "Bring money.",
        (
            _BUYER_SIGNS,
            _CONFIG_RO,
            Slot("mint_rule"),
            _BUYER,
            _ESCROW,
            _VAULT,
            Slot("source", writable=True),
            _TOKEN,
            *_EVENTS,
        ),
        _AMOUNT,
    ),
    Call(
        "withdraw",
        "Take money that no Line holds.",
        (_BUYER_SIGNS, _BUYER, _ESCROW, _VAULT, Slot("destination", writable=True), _TOKEN, *_EVENTS),
        _AMOUNT,
    ),
    Call(
        "open_line",
        "Open a Line to a battery, and the account of what cannot be paid to it.",
        (
            _BUYER_PAYS,
            Slot("buyer"),
            Slot("battery"),
            Slot("escrow"),
            _LINE,
            Slot("unpaid", writable=True),
            _SYSTEM,
        ),
    ),
    Call(
        "allot",
        "Lay money aside for a battery's cheques.",
        (_BUYER_SIGNS, _CONFIG_RO, Slot("mint_rule"), _BUYER, _ESCROW, _LINE, *_EVENTS),
        _AMOUNT,
    ),
    Call(
        "request_release",
        "Ask money back from a Line, in place of an earlier request; it leaves after 8 days. 0 withdraws the request.",
        (_BUYER_SIGNS, _BUYER, _LINE, *_EVENTS),
        _AMOUNT,
    ),
    Call(
        "release",
        "Take what was asked back and is not locked.",
        (_BUYER_SIGNS, _CONFIG_RO, _BUYER, _ESCROW, _LINE, *_EVENTS),
    ),
    Call(
        "settle",
        "Pay a delivery that both sides signed as final. Anybody submits; a number that is spent changes nothing.",
        (
            _CONFIG_RO,
            *_PAYMENT,
            _READ_BACK_MAYBE,
            Slot("battery_wallet", signer=True, optional=True),
            Slot("buyer_wallet", signer=True, optional=True),
            Slot("rent_payer", writable=True, optional=True),
            *_EVENTS,
        ),
        (*_TERMS, *_DELIVERY),
    ),
    Call(
        "claim",
        "Lock the money of a delivery that only the battery has signed. The buyer's contract signature comes by "
        "precompile, in the instruction before.",
        (
            Slot("payer", writable=True, signer=True),
            _CONFIG_RO,
            _BATTERY,
            _BUYER,
            _LINE,
            _TRADE,
            _READ_BACK,
            Slot("battery_wallet", signer=True, optional=True),
            _SYSTEM,
            *_EVENTS,
        ),
        (*_TERMS, *_DELIVERY),
    ),
    Call(
        "attest",
        "Show a co-signed interim receipt of a claimed or disputed trade: what it says is beyond dispute.",
        (
            *_PAYMENT,
            _READ_BACK_MAYBE,
            Slot("battery_wallet", signer=True, optional=True),
            Slot("buyer_wallet", signer=True, optional=True),
            *_EVENTS,
        ),
        _DELIVERY,
    ),
    Call("finalize", "Pay a claim that nobody disputed in its window.", (*_PAYMENT, _RENT_PAYER, *_EVENTS)),
    Call(
        "dispute",
        "Say in the window of a claim that less was delivered; the undisputed part is paid at once.",
        (_BUYER_SIGNS, _CONFIG_RO, *_PAYMENT, *_EVENTS),
        (Field("buyer_wh", U64),),
    ),
    Call(
        "resolve",
        "Rule on a dispute, between what is undisputed and what was claimed.",
        (Slot("resolver", signer=True), *_PAYMENT, _RENT_PAYER, *_EVENTS),
        (Field("ruling_wh", U64),),
    ),
    Call(
        "timeout",
        "End a dispute that nobody ruled on: the undisputed part and half of the difference.",
        (*_PAYMENT, _RENT_PAYER, *_EVENTS),
    ),
    Call("close", "Close an empty Line; its rent goes back to the buyer.", (_BUYER_PAYS, _LINE)),
    Call(
        "void",
        "Spend a contract number without a trade.",
        (Slot("battery_wallet", signer=True), _LINE),
        (Field("contract_no", U64),),
    ),
    Call(
        "collect",
        "Pay what could not be paid before: to an account of the battery's wallet, or to one it signs for.",
        (
            _BATTERY,
            _ESCROW,
            _VAULT,
            Slot("unpaid", writable=True),
            Slot("destination", writable=True),
            Slot("battery_wallet", signer=True, optional=True),
            _TOKEN,
            *_EVENTS,
        ),
    ),
    Call(
        "sweep_fees",
        "Bring the fees of one escrow to a token account of the treasury.",
        (_CONFIG_RO, _BUYER, _ESCROW, _VAULT, Slot("destination", writable=True), _TOKEN, *_EVENTS),
    ),
)
"""`emit_event` is the 27th: only the program calls it, by its event authority, with an event's bytes after the tag."""
