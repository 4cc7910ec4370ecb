"""The accounts that the program owns. Times are seconds of the chain's clock, money base units of the mint."""

from __future__ import annotations

from typing import Final

from settlement.program.layout import (
    BOOL,
    HASH,
    I64,
    KEY,
    U8,
    U16,
    U32,
    U64,
    Account,
    Field,
    padding,
)

_HEAD: Final = (Field("version", U8, "of this layout: 1"), Field("bump", U8, "of its address"))

CONFIG: Final = Account(
    "Config",
    "Who runs the program, and what the whole of it agrees on. One there is.",
    ('"config"',),
    (
        *_HEAD,
        Field("fee_bps", U16, "1/10 000 of a payout that the operator asks new contracts to carry; at most 500"),
        Field("paused", BOOL, "no registration, deposit, allotment or release while it is set"),
        Field("padding", padding(3)),
        Field("min_bond", U64, "the least that a dispute puts at stake, base units"),
        Field("timeout_s", U32, "after a dispute, how long the resolver has; written once"),
        Field("padding", padding(4)),
        Field("admin", KEY),
        Field("pending_admin", KEY, "who may take over by accept_admin; zero: nobody"),
        Field("treasury", KEY, "wallet whose token accounts take the fees"),
        Field("genesis", HASH, "of the cluster, in full; written once"),
    ),
)
MINT_RULE: Final = Account(
    "MintRule",
    "Whether deposits in a mint of the classic token program are taken.",
    ('"mint"', "mint"),
    (
        *_HEAD,
        Field("allowed", BOOL),
        Field("decimals", U8),
        Field("padding", padding(4)),
        Field("mint", KEY),
        Field("base_units_per_cent", U64, "1 to 10^7"),
    ),
)
PARTICIPANT: Final = Account(
    "Participant",
    "A battery or a buyer: its wallet, the key that signs for it, and what became of its trades. Never closed.",
    ('"part"', "wallet"),
    (
        *_HEAD,
        Field("role", U8, "1 battery, 2 buyer, 3 both"),
        Field("padding", padding(5)),
        Field("wallet", KEY),
        Field("signing_key", KEY),
        Field("previous_key", KEY, "zero: there is none"),
        Field("previous_until", I64, "until then the previous key's signatures count"),
        Field("sequence", U64, "number of its next money event"),
        Field("trades_settled", U64, "each trade that ended, once"),
        Field("trades_claimed", U64, "of them, those that were claimed first"),
        Field("trades_disputed", U64, "of them, those that a resolver or the time-out ended"),
        Field("disputes_lost", U64, "of those, the ones in which this side was further from the ruling"),
        Field("contracted_wh", U64),
        Field("delivered_wh", U64, "paid for, so never more than contracted"),
    ),
)
ESCROW: Final = Account(
    "Escrow",
    "A buyer's money in one mint. The vault holds at least the sum of the five amounts. Never closed.",
    ('"escrow"', "buyer wallet", "mint"),
    (
        *_HEAD,
        Field("padding", padding(6)),
        Field("buyer_wallet", KEY),
        Field("mint", KEY),
        Field("vault", KEY, 'the token account at ["vault", escrow], owned by the escrow'),
        Field("available", U64, "may be withdrawn or allotted"),
        Field("allotted", U64, "lies on Lines"),
        Field("bonds", U64, "of the buyer and of batteries, in open disputes"),
        Field("fees_due", U64, "to the treasury"),
        Field("unpaid", U64, "to batteries whose token account could not take it"),
    ),
)
LINE: Final = Account(
    "Line",
    "What a buyer has laid aside for one battery's cheques, and which contract numbers are spent.",
    ('"line"', "escrow", "battery wallet"),
    (
        *_HEAD,
        Field("padding", padding(6)),
        Field("buyer_wallet", KEY),
        Field("battery_wallet", KEY),
        Field("mint", KEY),
        Field("escrow", KEY),
        Field("payee", KEY, "the battery's associated token account"),
        Field("amount", U64, "all that lies here"),
        Field("locked", U64, "of it, reserved by claimed and disputed trades"),
        Field("release_amount", U64, "of it, asked back by the buyer"),
        Field("release_at", I64, "when that may leave"),
        Field("generation", U64, "the slot in which it was opened"),
        Field("base_no", U64, "every number below is spent"),
        Field("used", HASH, "bit n (of byte n / 8, from the lowest): base_no + n is spent"),
        Field("open_trades", U32, "claimed or disputed"),
        Field("padding", padding(4)),
        Field("trades_settled", U64),
        Field("paid", U64, "to the battery, in all"),
    ),
)
TRADE: Final = Account(
    "Trade",
    "A trade that was claimed or disputed; closed as soon as it is settled.",
    ('"trade"', "trade id"),
    (
        *_HEAD,
        Field("state", U8, "1 claimed, 2 disputed"),
        Field("padding", padding(1)),
        Field("fee_bps", U16),
        Field("padding", padding(2)),
        Field("trade_id", HASH),
        Field("line", KEY),
        Field("rent_payer", KEY, "gets the rent back"),
        Field("resolver", KEY),
        Field("evidence", HASH, "of the claim"),
        Field("contract_no", U64),
        Field("price_e4", U32),
        Field("energy_wh", U32),
        Field("base_units_per_cent", U64),
        Field("reserved", U64, "amount and fee of the whole contract"),
        Field("claimed_wh", U64, "at most the contract's"),
        Field("buyer_wh", U64, "the buyer's figure; 0 until it disputes"),
        Field("safe_wh", U64, "undisputed: the buyer's figure, or a co-signed interim receipt that says more"),
        Field("attested_wh", U64, "the highest co-signed interim receipt"),
        Field("paid", U64, "to the battery so far"),
        Field("bond", U64, "the buyer's, in the escrow's bonds"),
        Field("held", U64, "of the safe payout, held back as the battery's bond, in the escrow's bonds"),
        Field("started_at", I64),
        Field("ended_at", I64),
        Field("disputable_until", I64),
        Field("times_out_at", I64, "0 until it is disputed"),
    ),
)
UNPAID: Final = Account(
    "Unpaid",
    "What a battery is owed out of one buyer's vault because its token account could not take it. Never closed.",
    ('"unpaid"', "battery wallet", "escrow"),
    (
        *_HEAD,
        Field("padding", padding(6)),
        Field("wallet", KEY),
        Field("mint", KEY),
        Field("escrow", KEY),
        Field("amount", U64),
    ),
)
ACCOUNTS: Final = (CONFIG, MINT_RULE, PARTICIPANT, ESCROW, LINE, TRADE, UNPAID)
