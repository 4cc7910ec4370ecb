"""What a settler reads of the ledger: which accounts, and what they say at one commitment.

Accounts are believed only when the program owns them and they name whom they should. A contract number that is free on
its Line has no Trade account, so those are asked for in a second request, and only for numbers that are spent; because
a client never reads an older slot after a newer one, "spent, and no Trade" then means that the trade is over.
"""

from __future__ import annotations

import asyncio
import struct
from collections import OrderedDict
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Final, TypeVar

from solders.pubkey import Pubkey

from settlement.lines import NUMBERS, LineState
from settlement.program.accounts import Config, Line, Participant, Trade, Unpaid
from settlement.program.addresses import Addresses, token_account
from settlement.program.codec import LayoutError, Record
from settlement.program.constants import STATE_CLAIMED, STATE_DISPUTED, TOKEN_PROGRAM
from settlement.progress import Claim, Place, Standing
from settlement.rpc.answers import ACCOUNTS_MAX
from settlement.values import ZERO

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from settlement.contract import Contract, Venue
    from settlement.rpc import Account, Commitment, RpcClient
    from settlement.signing import Party

R = TypeVar("R", bound=Record)

CLOCK: Final = bytes(Pubkey.from_string("SysvarC1ock11111111111111111111111111111111"))
_CLOCK: Final = struct.Struct("<QqQQq")
_TOKEN: Final = bytes(Pubkey.from_string(TOKEN_PROGRAM))
_TOKEN_ACCOUNT: Final = struct.Struct("<32s32sQ36xB")
_TOKEN_ACCOUNT_BYTES: Final = 165
_INITIALIZED: Final = 1
COUNTERPARTS_MAX: Final = 4_096
"""Other parties whose addresses are remembered: about 1 kB each."""
LOOKED_UP_AT_ONCE: Final = 20
"""Parties or trades whose addresses are searched for before others get the loop: up to 0.14 ms each."""
SLICE: Final = 1_000
"""Contracts looked at before others get the loop: half a microsecond each."""
_PLACES: Final = {STATE_CLAIMED: Place.CLAIMED, STATE_DISPUTED: Place.DISPUTED}


@dataclass(frozen=True, slots=True)
class Counterpart:
    """The addresses of one pair of battery and buyer."""

    wallet: bytes
    """Of the other party."""
    escrow: Pubkey
    vault: Pubkey
    line: Pubkey
    unpaid: Pubkey
    battery: Pubkey
    buyer: Pubkey
    """The two Participants."""


class Map:
    """Where everything of one party is."""

    def __init__(self, role: Party, wallet: bytes, venue: Venue) -> None:
        self.role = role
        self.venue = venue
        self.wallet = Pubkey.from_bytes(wallet)
        self.program_id = Pubkey.from_bytes(venue.program_id)
        self.mint = Pubkey.from_bytes(venue.mint)
        self.addresses = Addresses(self.program_id)
        self.config = self.addresses.config()
        self.event_authority = self.addresses.event_authority()
        self.tokens = token_account(self.wallet, self.mint)
        self.participant = self.addresses.participant(self.wallet)
        self._counterparts: OrderedDict[bytes, Counterpart] = OrderedDict()
        self._trade = lru_cache(maxsize=4_096)(self.addresses.trade)

    def counterpart(self, wallet: bytes) -> Counterpart:
        """Return the addresses shared with another party."""
        found = self._counterparts.get(wallet)
        if found is None:
            found = self._counterparts[wallet] = self._look_up(wallet)
            if len(self._counterparts) > COUNTERPARTS_MAX:
                self._counterparts.popitem(last=False)
        else:
            self._counterparts.move_to_end(wallet)
        return found

    async def counterparts(self, wallets: Sequence[bytes]) -> list[Counterpart]:
        """Return the addresses shared with several parties; others get the loop in between."""
        pairs = []
        unknown = 0
        for wallet in wallets:
            unknown += wallet not in self._counterparts
            pairs.append(self.counterpart(wallet))
            if unknown >= LOOKED_UP_AT_ONCE:
                unknown = 0
                await asyncio.sleep(0)
        return pairs

    async def trades(self, contracts: Sequence[Contract]) -> list[bytes]:
        """Return where several trades are, as `trade` does; others get the loop in between."""
        keys = []
        for place, one in enumerate(contracts, 1):
            keys.append(bytes(self.trade(one.trade_id)))
            if not place % LOOKED_UP_AT_ONCE:
                await asyncio.sleep(0)
        return keys

    def other(self, contract: Contract) -> bytes:
        """Return the other party's wallet."""
        return contract.buyer_wallet if self.role == "battery" else contract.battery_wallet

    def trade(self, trade_id: bytes) -> Pubkey:
        """Return where a trade is while it is claimed or disputed."""
        return self._trade(trade_id)

    def _look_up(self, wallet: bytes) -> Counterpart:
        other = Pubkey.from_bytes(wallet)
        battery, buyer = (self.wallet, other) if self.role == "battery" else (other, self.wallet)
        escrow = self.addresses.escrow(buyer, self.mint)
        return Counterpart(
            wallet=wallet,
            escrow=escrow,
            vault=self.addresses.vault(escrow),
            line=self.addresses.line(escrow, battery),
            unpaid=self.addresses.unpaid(battery, escrow),
            battery=self.addresses.participant(battery),
            buyer=self.addresses.participant(buyer),
        )


@dataclass(slots=True)
class View:
    """What the ledger says at one commitment. Wallets are the other parties'."""

    slot: int = 0
    now_s: int = 0
    """The ledger's clock."""
    config: Config | None = None
    lamports: int = 0
    tokens: int | None = None
    """In the own token account; None: there is none that could take a payment."""
    keys: dict[bytes, bytes] = field(default_factory=dict)
    """Registered signing keys by wallet, our own included."""
    lines: dict[bytes, Line] = field(default_factory=dict)
    unpaid: dict[bytes, int] = field(default_factory=dict)
    trades: dict[bytes, Trade] = field(default_factory=dict)
    read: dict[bytes, None] = field(default_factory=dict)
    """The wallets that were asked about, in order."""

    def standing(self, contract: Contract, wallet: bytes, given_no: int = 0) -> Standing | None:
        """Return where a contract stands, None when its Line was not read.

        `given_no` is the highest contract number that is known to have been given on its Line.
        """
        if wallet not in self.read:
            return None
        trade = self.trades.get(contract.trade_id)
        if trade is not None:
            place = _PLACES[trade.state]
            claim = Claim(
                claimed_wh=trade.claimed_wh,
                safe_wh=trade.safe_wh,
                disputable_until_s=trade.disputable_until,
                times_out_at_s=trade.times_out_at,
            )
            return Standing(place=place, now_s=self.now_s, claim=claim)
        line = self.lines.get(wallet)
        place = place_of(contract, line)
        highest_no = given_no if line is None or place is not Place.FREE else max(given_no, _highest_spent(line))
        behind = max(0, highest_no - contract.contract_no) if place is Place.FREE else 0
        return Standing(place=place, now_s=self.now_s, behind=behind)

    def line_state(self, wallet: bytes, own_wallet: bytes, role: Party) -> LineState | None:
        """Return a Line as the rooms that trade see it."""
        line = self.lines.get(wallet)
        if line is None:
            return None
        battery, buyer = (own_wallet, wallet) if role == "battery" else (wallet, own_wallet)
        return LineState(
            generation=line.generation,
            base_no=line.base_no,
            used=int.from_bytes(line.used, "little"),
            amount=line.amount,
            locked=line.locked,
            release_amount=line.release_amount,
            release_at_s=line.release_at,
            read_at_s=self.now_s,
            slot=self.slot,
            buyer_key=self.keys.get(buyer, ZERO),
            battery_key=self.keys.get(battery, ZERO),
        )


def place_of(contract: Contract, line: Line | None) -> Place:
    """Return where a number is on its Line, as far as the Line alone says: SPENT may be claimed or disputed."""
    if line is None or line.generation != contract.generation:
        return Place.NO_LINE
    offset = contract.contract_no - line.base_no
    if offset >= NUMBERS:
        return Place.AHEAD
    if offset < 0 or line.used[offset // 8] >> offset % 8 & 1:
        return Place.SPENT
    return Place.FREE


def _highest_spent(line: Line) -> int:
    return line.base_no + int.from_bytes(line.used, "little").bit_length() - 1


async def read_view(
    client: RpcClient,
    atlas: Map,
    commitment: Commitment,
    wallets: Sequence[bytes],
    contracts: Iterable[Contract],
) -> View:
    """Return the ledger at a commitment, as far as these wallets and contracts go. Raises RpcError."""
    view = View(read=dict.fromkeys(wallets))
    pairs = await atlas.counterparts(wallets)
    fixed = [bytes(key) for key in (atlas.config, atlas.wallet, atlas.tokens, atlas.participant)]
    theirs = [bytes(pair.buyer if atlas.role == "battery" else pair.battery) for pair in pairs]
    keys = [*fixed, *theirs, *(bytes(key) for pair in pairs for key in (pair.line, pair.unpaid))]
    found = await _read(client, view, commitment, keys)
    view.config = _record(Config, found[0], atlas)
    view.lamports = 0 if found[1] is None else found[1].lamports
    view.tokens = tokens_in(found[2], bytes(atlas.wallet), atlas.venue.mint)
    for wallet, account in zip((bytes(atlas.wallet), *wallets), found[3:], strict=False):
        participant = _record(Participant, account, atlas)
        if participant is not None and participant.wallet == wallet:
            view.keys[wallet] = participant.signing_key
    for pair, line_account, unpaid_account in zip(
        pairs, found[4 + len(pairs) :: 2], found[5 + len(pairs) :: 2], strict=True
    ):
        line, unpaid = _record(Line, line_account, atlas), _record(Unpaid, unpaid_account, atlas)
        if line is not None and line.escrow == bytes(pair.escrow):
            view.lines[pair.wallet] = line
        if unpaid is not None and unpaid.escrow == bytes(pair.escrow):
            view.unpaid[pair.wallet] = unpaid.amount
    spent = []
    for place, one in enumerate(contracts):
        if place % SLICE == SLICE - 1:
            await asyncio.sleep(0)
        if place_of(one, view.lines.get(atlas.other(one))) is Place.SPENT:
            spent.append(one)
    if spent:
        accounts = await _read(client, view, commitment, await atlas.trades(spent))
        for one, account in zip(spent, accounts, strict=True):
            trade = _record(Trade, account, atlas)
            if trade is not None and trade.trade_id == one.trade_id and trade.state in _PLACES:
                view.trades[one.trade_id] = trade
    return view


def tokens_in(account: Account | None, wallet: bytes, mint: bytes) -> int | None:
    """Return what a token account holds, None unless it is the wallet's, of this mint, and can take a payment."""
    if account is None or account.owner != _TOKEN or len(account.data) != _TOKEN_ACCOUNT_BYTES:
        return None
    of_mint, owner, amount, state = _TOKEN_ACCOUNT.unpack_from(account.data)
    return int(amount) if (of_mint, owner, state) == (mint, wallet, _INITIALIZED) else None


async def _read(client: RpcClient, view: View, commitment: Commitment, keys: Sequence[bytes]) -> list[Account | None]:
    """Read accounts, as many requests as that takes; slot and clock of the view become those of the oldest one."""
    found: list[Account | None] = []
    for start in range(0, len(keys), ACCOUNTS_MAX - 1):
        accounts = await client.accounts([CLOCK, *keys[start : start + ACCOUNTS_MAX - 1]], commitment)
        now_s = _clock(accounts.values[0])
        view.slot = min(view.slot or accounts.slot, accounts.slot)
        view.now_s = min(view.now_s or now_s, now_s)
        found += accounts.values[1:]
        await asyncio.sleep(0)  # writing and reading 99 addresses takes 2 ms
    return found


def _clock(account: Account | None) -> int:
    if account is None or len(account.data) != _CLOCK.size:
        raise LayoutError("the ledger's clock cannot be read")
    return int(_CLOCK.unpack(account.data)[4])


def _record(kind: type[R], account: Account | None, atlas: Map) -> R | None:
    """Return an account of the program, None for one that is absent, foreign or of another layout."""
    if account is None or account.owner != atlas.venue.program_id:
        return None
    try:
        return kind.decode(account.data)
    except LayoutError:
        return None
