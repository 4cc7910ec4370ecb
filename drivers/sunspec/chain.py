"""The SunSpec model chain: "SunS" at one of three places, then id, length L, L registers, until id 0xFFFF.

L on the wire is trusted, because model lengths differ by version; what no device can mean is refused: no common model
first, too many models, a length beyond the address space.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from drivers.errors import BadReply, NotReady

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

MARK: Final = (0x5375, 0x6E53)  # "SunS"
END: Final = 0xFFFF
MODELS_MAX: Final = 100
LENGTH_MAX: Final = 8_192  # model 803 with 255 strings
_ADDRESSES: Final = 65_536
_COMMON: Final = 1


class ModelPlace(NamedTuple):
    """A model: its id, the address of its id register, and its length with the two header registers."""

    id: int
    address: int
    length: int


class Chain(NamedTuple):
    """Where the mark stands, and the models behind it in order."""

    base: int
    models: tuple[ModelPlace, ...]

    def first(self, ids: Sequence[int]) -> ModelPlace | None:
        """Return the first place of the first id that is there."""
        for wanted in ids:
            for model in self.models:
                if model.id == wanted:
                    return model
        return None


async def walk(read: Callable[[int, int], Awaitable[tuple[int, ...]]], bases: Sequence[int]) -> Chain:
    """Return the chain on a device that `read(address, count)` reads.

    Raises NotReady where no base carries the mark, BadReply where the chain makes no sense, and what `read` raises.
    """
    for base in bases:
        try:
            found = await read(base, len(MARK)) == MARK
        except BadReply as error:
            if not error.exception_code:
                raise
            continue
        if found:
            return Chain(base, await _models(read, base + len(MARK)))
    raise NotReady(f"not a SunSpec device: no mark at {', '.join(str(base) for base in bases)}")


async def _models(read: Callable[[int, int], Awaitable[tuple[int, ...]]], address: int) -> tuple[ModelPlace, ...]:
    models: list[ModelPlace] = []
    while True:
        model_id, length = await _header(read, address)
        if model_id == END:
            return tuple(models)
        if not models and model_id != _COMMON:
            raise BadReply(f"the model chain begins with model {model_id} instead of the common model 1")
        if not 1 <= length <= LENGTH_MAX or address + 2 + length + 1 > _ADDRESSES:
            raise BadReply(f"the model chain holds model {model_id} of impossible length {length} at {address}")
        if len(models) == MODELS_MAX:
            raise BadReply(f"the model chain has more than {MODELS_MAX} models")
        models.append(ModelPlace(model_id, address, length + 2))
        address += 2 + length


async def _header(read: Callable[[int, int], Awaitable[tuple[int, ...]]], address: int) -> tuple[int, int]:
    try:
        model_id, length = await read(address, 2)
    except BadReply as error:
        if not error.exception_code:
            raise
        (model_id,) = await read(address, 1)  # some maps end right after the end mark
        if model_id != END:
            raise
        length = 0
    return model_id, length
