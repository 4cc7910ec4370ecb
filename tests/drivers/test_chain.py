"""The SunSpec model chain, and the chains that no device can mean."""

import pytest

from drivers.errors import BadReply, LinkLost, NotReady
from drivers.sunspec.chain import LENGTH_MAX, MODELS_MAX, Chain, ModelPlace, walk

BASES = (40_000, 0, 50_000)
MARK = [0x5375, 0x6E53]


class Registers:
    def __init__(self, at: dict[int, list[int]]) -> None:
        self.map = {address + i: value for address, values in at.items() for i, value in enumerate(values)}
        self.asked: list[tuple[int, int]] = []

    async def __call__(self, address: int, count: int) -> tuple[int, ...]:
        self.asked.append((address, count))
        if any(a not in self.map for a in range(address, address + count)):
            raise BadReply("no such address", exception_code=2)
        return tuple(self.map[a] for a in range(address, address + count))


def model(model_id: int, length: int) -> list[int]:
    return [model_id, length, *([0] * length)]


@pytest.mark.parametrize("base", BASES)
async def test_the_chain_is_found_at_any_of_the_three_places(base: int) -> None:
    read = Registers({base: [*MARK, *model(1, 66), *model(701, 153), *model(704, 65), 0xFFFF, 0]})
    chain = await walk(read, BASES)
    assert chain == Chain(
        base, (ModelPlace(1, base + 2, 68), ModelPlace(701, base + 70, 155), ModelPlace(704, base + 225, 67))
    )
    assert chain.first((103, 701)) == ModelPlace(701, base + 70, 155)
    assert chain.first((103,)) is None


async def test_a_first_model_of_an_id_counts() -> None:
    read = Registers({0: [*MARK, *model(1, 65), *model(160, 10), *model(160, 20), 0xFFFF, 0]})
    assert (await walk(read, (0,))).first((160,)) == ModelPlace(160, 69, 12)


async def test_a_map_that_ends_with_its_end_mark() -> None:
    read = Registers({0: [*MARK, *model(1, 65), 0xFFFF]})
    assert len((await walk(read, (0,))).models) == 1


async def test_no_mark_anywhere() -> None:
    with pytest.raises(NotReady, match="no mark at 40000, 0, 50000"):
        await walk(Registers({0: [1, 2], 40_000: [3, 4]}), BASES)


@pytest.mark.parametrize(
    ("registers", "words"),
    [
        ([*MARK, *model(701, 10), 0xFFFF, 0], "begins with model 701"),
        ([*MARK, 1, 0], "impossible length 0"),
        ([*MARK, 1, LENGTH_MAX + 1], "impossible length"),
        ([*MARK, *(model(1, 1) * (MODELS_MAX + 1)), 0xFFFF, 0], "more than 100 models"),
        ([*MARK, *model(1, 66)], "no such address"),
        ([*MARK, *model(1, 66), 701], "no such address"),
    ],
)
async def test_absurd_chains_are_refused(registers: list[int], words: str) -> None:
    with pytest.raises(BadReply, match=words):
        await walk(Registers({0: registers}), (0,))


async def test_a_chain_may_not_leave_the_address_space() -> None:
    read = Registers({57_000: [*MARK, *model(1, 400), 802, 8_191]})
    with pytest.raises(BadReply, match="impossible length 8191"):
        await walk(read, (57_000,))


@pytest.mark.parametrize("error", [LinkLost("gone"), BadReply("garbage")])
async def test_a_lost_link_is_not_a_missing_device(error: Exception) -> None:
    async def read(_address: int, _count: int) -> tuple[int, ...]:
        raise error

    with pytest.raises(type(error)):
        await walk(read, BASES)


async def test_garbage_in_the_middle_of_the_chain_is_not_its_end() -> None:
    good = Registers({0: [*MARK, *model(1, 66), 0xFFFF, 0]})

    async def read(address: int, count: int) -> tuple[int, ...]:
        if address > 10:
            raise BadReply("garbage")
        return await good(address, count)

    with pytest.raises(BadReply, match="garbage"):
        await walk(read, (0,))
