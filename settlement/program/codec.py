"""What the generated modules share: bytes to values and back, by the layouts of the schema."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any, ClassVar, Self

from solders.instruction import AccountMeta, Instruction

from settlement.errors import SettlementError

if TYPE_CHECKING:
    from solders.pubkey import Pubkey


class LayoutError(SettlementError):
    """Bytes that are not the account, event or instruction they were taken for."""


class Record:
    """An account or an event: a frozen dataclass whose fields stand in the order of its layout."""

    __slots__ = ()
    DISCRIMINATOR: ClassVar[bytes]
    SIZE: ClassVar[int]
    LAYOUT: ClassVar[struct.Struct]

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Return the record in `data`. Raises LayoutError for another size or another discriminator."""
        if len(data) != cls.SIZE:
            raise LayoutError(f"{cls.__name__}: {len(data)} bytes, not {cls.SIZE}")
        if data[:8] != cls.DISCRIMINATOR:
            raise LayoutError(f"{cls.__name__}: begins with {data[:8].hex()}, not {cls.DISCRIMINATOR.hex()}")
        try:
            return cls(*cls.LAYOUT.unpack_from(data, 8))
        except struct.error as error:
            raise LayoutError(f"{cls.__name__}: {error}") from None

    def encode(self) -> bytes:
        """Return the bytes of this record."""
        values = (getattr(self, name) for name in self.__match_args__)  # type: ignore[attr-defined]
        return self.DISCRIMINATOR + self.LAYOUT.pack(*values)


class CallLayout:
    """The data of one instruction."""

    def __init__(self, name: str, discriminator: bytes, layout: str, names: tuple[str, ...]) -> None:
        self.name = name
        self.discriminator = discriminator
        self.names = names
        self._layout = struct.Struct("<" + layout)

    @property
    def size(self) -> int:
        """Bytes of the data, discriminator included."""
        return 8 + self._layout.size

    def encode(self, *values: object) -> bytes:
        """Return the data. Raises LayoutError for what does not fit."""
        for name, value in zip(self.names, values, strict=True):
            if isinstance(value, bytes) and len(value) != 32:
                raise LayoutError(f"{self.name}: {name} has {len(value)} bytes, not 32")
        try:
            return self.discriminator + self._layout.pack(*values)
        except struct.error as error:
            raise LayoutError(f"{self.name}: {error}") from None

    def decode(self, data: bytes) -> dict[str, Any]:
        """Return the arguments. Raises LayoutError for another instruction's data."""
        if len(data) != self.size or data[:8] != self.discriminator:
            raise LayoutError(f"{self.name}: {len(data)} bytes beginning with {data[:8].hex()} are another instruction")
        return dict(zip(self.names, self._layout.unpack_from(data, 8), strict=True))


def instruction(program_id: Pubkey, data: bytes, *accounts: tuple[Pubkey | None, bool, bool]) -> Instruction:
    """Return an instruction; an account is (address, signer, writable), absent ones are the program's own id."""
    metas = [
        AccountMeta(program_id, is_signer=False, is_writable=False)
        if address is None
        else AccountMeta(address, is_signer=signer, is_writable=writable)
        for address, signer, writable in accounts
    ]
    return Instruction(program_id, data, metas)
