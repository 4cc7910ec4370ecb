"""Settlement: the keys of a battery or a buyer, and how trades become money.

Lives here: the root file and the keys derived from it, signing, and what a ledger needs of a trade. Never here: a
socket of the trading protocol, a battery, a journal, or anything of `agent`. It imports `etp` for message values and
the signer interface only; `agent`, `aggregator`, `simulation` and `cli` may import it.
"""

from settlement.errors import KeyFileError, SettlementError
from settlement.keys import IdentityKey, Purpose, derive, device_id, load_or_create_root

__all__ = [
    "IdentityKey",
    "KeyFileError",
    "Purpose",
    "SettlementError",
    "derive",
    "device_id",
    "load_or_create_root",
]
