"""Which device is on the other end of a line: where its sections are, and what it calls itself.

Asked on every new connection, so that registers are never written to another device behind the same address.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

from drivers.errors import BadReply
from drivers.hooks import FINDERS
from drivers.image import Image
from drivers.places import Layout, Place, PlacedPoint, place
from drivers.sunspec.chain import walk

if TYPE_CHECKING:
    from collections.abc import Iterable

    from drivers.bus.line import Reply
    from drivers.declaration import Family, Section, Space


class Reader(Protocol):
    """Reads registers of one unit."""

    async def read(self, address: int, count: int, space: Space = "holding") -> Reply:
        """Return `count` registers from a wire address."""
        ...


class Identity(NamedTuple):
    """What makes a device the same device: where its sections are, and its texts."""

    layout: Layout
    texts: dict[str, str]


class _Window:
    """A section as a hook reads it."""

    def __init__(self, reader: Reader, spot: Place) -> None:
        self.length = spot.length
        self._reader = reader
        self._spot = spot

    async def read(self, offset: int, count: int) -> tuple[int, ...]:
        """Return registers from an offset inside the section."""
        return (await self._reader.read(self._spot.base + offset, count, self._spot.space)).registers


async def identify(reader: Reader, family: Family) -> Identity:
    """Return layout and texts. Raises NotReady, BadReply, LinkLost."""
    places = await _fixed_places(reader, family)
    for section in family.file.section:
        outer = places.get(section.inside or "")
        if section.find is not None and outer is not None:
            offset = await FINDERS[section.find](_Window(reader, outer))
            if offset is not None:
                length = outer.length - offset
                places[section.name] = Place(outer.space, outer.base + offset, length, outer.base, outer.length)
    layout = Layout(places)
    names = {text: family.points[point] for text, point in family.file.texts.items()}
    placed = {text: spot for text, point in names.items() if (spot := place(point, layout)) is not None}
    image = await read_all(reader, family, placed.values())
    return Identity(layout, {text: image.text(spot.point.name) for text, spot in placed.items()})


async def read_all(reader: Reader, family: Family, points: Iterable[PlacedPoint]) -> Image:
    """Return an image with everything that the device does not refuse to read."""
    image = Image(points, read_max=family.file.read_max, gap_max=family.file.gap_max)
    for block in image.blocks:
        try:
            image.store(block, await reader.read(block.address, block.words, block.space))
        except BadReply as error:
            if not error.exception_code:
                raise
    return image


async def _fixed_places(reader: Reader, family: Family) -> dict[str, Place]:
    places: dict[str, Place] = {}
    if family.file.discovery == "sunspec":

        async def words(address: int, count: int) -> tuple[int, ...]:
            return (await reader.read(address, count)).registers

        chain = await walk(words, family.file.bases)
        for section in family.file.section:
            model = chain.first(section.models)
            if model is not None:
                places[section.name] = _whole(section, model.address, model.length)
    for section in family.file.section:
        if section.address is not None and section.length is not None:
            places[section.name] = _whole(section, section.address, section.length)
    return places


def _whole(section: Section, base: int, length: int) -> Place:
    return Place(section.space, base, length, base, length)
