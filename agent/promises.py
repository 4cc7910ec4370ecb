"""What a battery has promised on each buyer's Line: open awards, and cheques that are not paid yet.

A promise is made when a contract is signed and ends when its award is void, or when the Line shows its number used. A
cheque that can no longer be claimed takes nothing more, but keeps its number: its receipts are signed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from settlement.cover import Promise

if TYPE_CHECKING:
    from collections.abc import Iterable

    from settlement.contract import Contract
    from settlement.lines import LineState


class _Held(NamedTuple):
    units: int
    valid_until_s: int | None
    """None for a receipt signed by both, which never expires."""


LineKey = tuple[bytes, int]
"""A Line's name here: the buyer's wallet and the Line's generation."""


class PromiseBook:
    """Promises by Line and contract number."""

    def __init__(self) -> None:
        self._lines: dict[LineKey, dict[int, _Held]] = {}

    def add(self, contract: Contract) -> None:
        """Promise a contract's whole reserve."""
        held = self._lines.setdefault((contract.buyer_wallet, contract.generation), {})
        held[contract.contract_no] = _Held(contract.reserve, contract.valid_until_s)

    def take(self, wallet: bytes, generation: int, numbers: Iterable[int]) -> None:
        """Keep numbers of contracts that take nothing more: no other may have them while the Line shows them unused."""
        held = self._lines.setdefault((wallet, generation), {})
        for number in numbers:
            held.setdefault(number, _Held(0, 0))

    def reduce(self, contract: Contract, delivered_wh: int, *, cosigned: bool) -> None:
        """A final receipt says how much of a contract will be asked for at most, if nothing has ended it already."""
        held = self._lines.get((contract.buyer_wallet, contract.generation), {})
        if contract.contract_no in held:
            split = contract.split(delivered_wh)
            until_s = None if cosigned else contract.valid_until_s
            held[contract.contract_no] = _Held(split.payout + split.fee, until_s)

    def drop(self, contract: Contract) -> None:
        """An award is void: its number may be used again."""
        key = contract.buyer_wallet, contract.generation
        held = self._lines.get(key, {})
        held.pop(contract.contract_no, None)
        if not held:
            self._lines.pop(key, None)

    def holds(self, wallet: bytes) -> bool:
        """Whether anything is promised on any Line of this wallet."""
        return any(owner == wallet for owner, _ in self._lines)

    def wallets(self) -> set[bytes]:
        """Return the wallets on whose Lines money is promised."""
        return {wallet for (wallet, _), held in self._lines.items() if any(each.units for each in held.values())}

    def on(self, wallet: bytes, line: LineState) -> list[Promise]:
        """Return what is promised on a Line as it was read; numbers that it shows used are forgotten."""
        for generation in [known for owner, known in self._lines if owner == wallet and known < line.generation]:
            del self._lines[wallet, generation]  # a Line opened anew: nothing of the old one can be paid from it
        key = wallet, line.generation
        held = {number: each for number, each in self._lines.get(key, {}).items() if not line.is_used(number)}
        if held:
            self._lines[key] = held
        else:
            self._lines.pop(key, None)
        return [Promise(number, _open_units(each, line.read_at_s)) for number, each in held.items()]

    @property
    def open_units(self) -> int:
        """Return what all open promises come to, in base units."""
        return sum(each.units for held in self._lines.values() for each in held.values())


def _open_units(held: _Held, chain_now_s: int) -> int:
    is_over = held.valid_until_s is not None and chain_now_s > held.valid_until_s
    return 0 if is_over else held.units
