"""Evidence: the metered samples behind a receipt, and the hash that stands for them in it (settlement.md section 5).

A trade's chain begins with its name and takes in every sample that its energy was metered by:

    chain(0)   = SHA-256(0xFF, "wattbid-evidence", u8 1, u16 length, name in UTF-8)
    chain(n+1) = SHA-256(chain(n), sample)
    evidence   = SHA-256(chain, for every other trade that shared the counter, sorted: u16 length, name in UTF-8)

A name is the trade id in hex, or "peer/bid id" of a trade that is not paid on a ledger. A sample is 40 bytes, five i64
little-endian: power in W (positive = charging) and its time, the discharge counter in Wh and its time, and the
discharge in W that ran before the battery was taken over and is nobody's delivery. Times are ms since the battery began
to serve the trade (in this start of the gateway); value and time of what was not read are -2^63.

Samples are recorded in portions; whoever has them all recomputes the hash with `evidence_of`.
"""

from __future__ import annotations

import struct
from hashlib import sha256
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

PREFIX: Final = b"\xffwattbid-evidence\x01"
ABSENT: Final = -(1 << 63)
SAMPLE_BYTES: Final = 40
_SAMPLE: Final = struct.Struct("<qqqqq")
_LENGTH: Final = struct.Struct("<H")


class Sample(NamedTuple):
    """One look at the battery; what was not read is ABSENT."""

    power_w: int = ABSENT
    power_at_ms: int = ABSENT
    counter_wh: int = ABSENT
    counter_at_ms: int = ABSENT
    baseline_w: int = 0

    def encode(self) -> bytes:
        """Return the 40 bytes."""
        return _SAMPLE.pack(*self)


class Portion(NamedTuple):
    """Samples since the last portion, the chain after them, and who has shared the counter so far."""

    samples: bytes
    chain: bytes
    shared: tuple[str, ...]


def begin(name: str) -> bytes:
    """Return the chain of a trade before its first sample."""
    return sha256(PREFIX + _named(name)).digest()


def samples_in(data: bytes) -> Iterator[Sample]:
    """Return the samples in a portion. Raises ValueError unless it holds whole ones."""
    if len(data) % SAMPLE_BYTES:
        raise ValueError(f"{len(data)} bytes are no whole number of samples of {SAMPLE_BYTES}")
    return (Sample(*numbers) for numbers in _SAMPLE.iter_unpack(data))


def conclude(chain: bytes, shared: Iterable[str]) -> bytes:
    """Return the evidence of a chain and the names of those who shared the counter."""
    return sha256(chain + b"".join(_named(name) for name in sorted(set(shared)))).digest()


def evidence_of(name: str, portions: Iterable[bytes], shared: Iterable[str]) -> bytes:
    """Return the evidence that follows from the samples on record. Raises ValueError for a torn portion."""
    chain = begin(name)
    for portion in portions:
        for sample in samples_in(portion):
            chain = sha256(chain + sample.encode()).digest()
    return conclude(chain, shared)


class Recorder:
    """The evidence of one trade while it grows; `chain` and `shared` are those of an earlier start, if any."""

    __slots__ = ("_chain", "_fresh", "_shared", "name")

    def __init__(self, name: str, *, chain: bytes = b"", shared: Iterable[str] = ()) -> None:
        self.name = name
        self._chain = chain or begin(name)
        self._shared = set(shared)
        self._fresh = bytearray()

    def add(self, sample: Sample, others: Iterable[str]) -> None:
        """Take in a sample, and who is metered by the same counter at that moment."""
        data = sample.encode()
        self._chain = sha256(self._chain + data).digest()
        self._fresh += data
        self._shared.update(name for name in others if name != self.name)

    @property
    def digest(self) -> bytes:
        """The evidence as of now."""
        return conclude(self._chain, self._shared)

    @property
    def fresh_samples(self) -> int:
        """How many samples no portion has yet."""
        return len(self._fresh) // SAMPLE_BYTES

    def take(self) -> Portion:
        """Return the samples since the last call, to be put on record."""
        portion = Portion(bytes(self._fresh), self._chain, tuple(sorted(self._shared)))
        self._fresh.clear()
        return portion


def _named(name: str) -> bytes:
    data = name.encode()
    return _LENGTH.pack(len(data)) + data
