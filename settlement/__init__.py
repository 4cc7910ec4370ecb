"""Settlement: the keys of a battery or a buyer, and how trades become money.

Lives here: the root file, the keys derived from it and the keystore, contract and receipt with what is signed of them,
and what a ledger needs of a trade. Never here: a socket of the trading protocol, a battery, a journal, or anything of
`agent`. It imports `etp` for message values and the signer interface only; `agent`, `aggregator`, `simulation` and
`cli` may import it.
"""

from settlement.cheque import Cheque, SignedReceipt
from settlement.contract import Contract, Venue
from settlement.errors import (
    KeyFileError,
    KeyFormatError,
    SettlementError,
    SignatureRefusedError,
    TermsError,
    WrongPasswordError,
)
from settlement.exchange import from_pem, from_solana_json, from_text, to_base58, to_pem, to_solana_json
from settlement.keyring import KeyRing
from settlement.keys import IdentityKey, Purpose, SeedKey, derive, device_id, load_or_create_root
from settlement.keystore import change_keystore, create_keystore, read_keystore, read_public_keys
from settlement.lines import LineState
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
    "Cheque",
    "Contract",
    "IdentityKey",
    "KeyFileError",
    "KeyFormatError",
    "KeyRing",
    "LineState",
    "Party",
    "Purpose",
    "Receipt",
    "Registration",
    "SeedKey",
    "SettlementError",
    "SignatureKind",
    "SignatureRefusedError",
    "SignedReceipt",
    "Split",
    "TermsError",
    "Venue",
    "WrongPasswordError",
    "change_keystore",
    "check_contract",
    "check_receipt",
    "create_keystore",
    "derive",
    "device_id",
    "from_pem",
    "from_solana_json",
    "from_text",
    "load_or_create_root",
    "read_keystore",
    "read_public_keys",
    "sign_contract",
    "sign_receipt",
    "signed_bytes",
    "to_base58",
    "to_pem",
    "to_solana_json",
]
