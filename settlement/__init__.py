"""Settlement: the keys of a battery or a buyer, and how trades become money.

Lives here: the root file, the keys derived from it, contract and receipt with what is signed of them,
and what a ledger needs of a trade. Never here: a socket of the trading protocol, a battery, a journal, or anything of
`agent`. It imports `etp` for message values and the signer interface only; `agent`, `aggregator`, `simulation` and
`cli` may import it.
"""

from settlement.contract import Contract, Venue
from settlement.errors import (
    KeyFileError,
    KeyFormatError,
    SettlementError,
    SignatureRefusedError,
    TermsError,
    WrongPasswordError,
)
from settlement.keys import IdentityKey, Purpose, SeedKey, derive, device_id, load_or_create_root
from settlement.money import Split
from settlement.receipt import Receipt
from settlement.signing import (
    Party,
    SignatureKind,
    check_contract,
    check_receipt,
    sign_contract,
    sign_receipt,
    signed_bytes,
)
from settlement.statements import Binding, Registration

__all__ = [
    "Binding",
    "Contract",
    "IdentityKey",
    "KeyFileError",
    "KeyFormatError",
    "Party",
    "Purpose",
    "Receipt",
    "Registration",
    "SeedKey",
    "SettlementError",
    "SignatureKind",
    "SignatureRefusedError",
    "Split",
    "TermsError",
    "Venue",
    "WrongPasswordError",
    "check_contract",
    "check_receipt",
    "derive",
    "device_id",
    "load_or_create_root",
    "sign_contract",
    "sign_receipt",
    "signed_bytes",
]
