"""Every bound of the ledger, and why it is what it is. Slots and blocks are counted, times are milliseconds."""

from __future__ import annotations

from typing import Final

SLOT_MS: Final = 400
"""How long a slot lasts, as on every cluster."""
BLOCKHASH_AGE: Final = 150
"""A blockhash is good for this many blocks after the one that follows it."""
CONFIRMED_LAG: Final = 1
"""A block is confirmed when this many came after it."""
FINALIZED_LAG: Final = 32
"""A block is finalized when this many came after it."""
STALE_MAX: Final = 150
"""How many blocks a node may lag behind on purpose: the undo log reaches that much further back."""
LEASE_BLOCKS: Final = 128
"""Heights are reserved on disk this many at a time, so that a restart never gives one out twice."""
STATUS_BLOCKS: Final = 300
"""Statuses stay in memory for this many blocks, as in the status cache of a validator."""
LAMPORTS_PER_SIGNATURE: Final = 5_000
LAMPORTS_PER_SOL: Final = 1_000_000_000

TRANSACTION_BYTES_MAX: Final = 1_232
"""One packet: what a cluster takes."""
HISTORY_TRANSACTIONS_MAX: Final = 200_000
"""Transactions kept on disk; the oldest go first."""
AIRDROP_LAMPORTS_MAX: Final = 10_000 * LAMPORTS_PER_SOL
"""One airdrop: more would only hide a client that asks again and again."""
FAUCET_LAMPORTS: Final = 500_000_000 * LAMPORTS_PER_SOL
"""What airdrops draw on, as in a test validator's genesis."""

BODY_BYTES_MAX: Final = 50 * 1_024
"""One request, as a validator limits it; the longest honest one is a batch of a few transactions."""
BATCH_MAX: Final = 64
"""Requests in one batch: what fits in a body of full transactions, twice over."""
CONNECTIONS_MAX: Final = 128
"""Clients at once; one of web3.js holds a handful."""
ADDRESSES_MAX: Final = 100
"""Addresses in one getMultipleAccounts, as a validator limits it."""
FEE_ADDRESSES_MAX: Final = 128
"""Addresses in one getRecentPrioritizationFees, as a validator limits it."""
ACCOUNT_BYTES_MAX: Final = 10 * 1_024 * 1_024
"""What an account holds at most."""
SIGNATURES_MAX: Final = 256
"""Signatures in one getSignatureStatuses, as a validator limits it."""
HISTORY_PAGE_MAX: Final = 1_000
"""Signatures in one getSignaturesForAddress, as a validator limits it."""
FILTERS_MAX: Final = 4
"""Filters in one getProgramAccounts, as a validator limits it."""
FILTER_BYTES_MAX: Final = 128
"""Bytes compared by one filter, as a validator limits it."""
BASE58_BYTES_MAX: Final = 128
"""Account data longer than this is not written in base58, as a validator limits it."""
