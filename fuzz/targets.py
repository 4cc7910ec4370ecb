"""What must hold for any bytes: one function a target, which returns when it does and raises when it does not.

A documented error is an answer; any other exception, a broken property, a second's work or a growing table is a find.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from agent.config import SiteError, parse_site, site_of
from agent.control_protocol import ProtocolError, Request, decode_request, encode_line, refusal
from agent.pricing import HORIZON_SLOTS, ForecastError, parse_prices
from etp.errors import EtpError
from etp.extensions import decode_extensions
from etp.frame import FrameReader, decode_frame, encode_frame, prefixed
from etp.limits import FRAME_BYTES_MAX, FRAME_BYTES_MIN
from etp.messages import BODY_BYTES, Body
from fuzz.conversation import check_connection

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.config_model import SiteFile
    from agent.pricing import PriceList

_SITE_PATH: Final = Path("/nowhere/site.toml")


def check_frame(data: bytes) -> None:
    """A frame decodes or is refused; what decodes says the same again after its own encoding."""
    try:
        body, extensions = decode_frame(data)
    except EtpError:
        return
    assert Body.decode(body.encode()) == body
    assert body.encode() == data[:BODY_BYTES]
    if extensions.rest[:1] != b"\0":  # Auth is always written first, and no tag of ours is below it
        assert decode_extensions(extensions.encode()) == extensions
        assert encode_frame(body, extensions) == data
    if FRAME_BYTES_MIN <= len(data) <= FRAME_BYTES_MAX:
        assert FrameReader().feed(prefixed(data)) == [data]


def check_stream(data: bytes) -> None:
    """A stream is cut into the same frames however it arrives, and only an unfinished one is kept."""
    whole, pieces = FrameReader(), FrameReader()
    frames = whole.feed(data)
    assert all(FRAME_BYTES_MIN <= len(frame) <= FRAME_BYTES_MAX for frame in frames)
    cut: list[bytes] = []
    size = 1 + len(data) % 97
    for offset in range(0, len(data), size):
        cut += pieces.feed(data[offset : offset + size])
    assert cut == frames
    assert (pieces.bad_length, pieces.tail) == (whole.bad_length, whole.tail)
    assert len(whole.tail) < FRAME_BYTES_MAX + 4
    assert whole.bad_length is None or whole.feed(data) == []


def check_site(data: bytes) -> None:
    """A site file is a site, or one line that names the file."""
    read = _site_of(data)
    if isinstance(read, SiteError):
        assert str(read).startswith(str(_SITE_PATH))
        assert str(read).isprintable(), str(read)
        return
    site = site_of(_SITE_PATH, read)
    assert 1 <= len(site.batteries) <= 32
    for battery in site.batteries:
        assert 0 <= battery.floor_permille <= 1_000
        assert 50 <= battery.standing_ms <= 400
        assert battery.root_file.is_absolute()


def check_control(data: bytes) -> None:
    """A line on the control socket is a request, or a refusal that can be told."""
    read = _request_of(data)
    if isinstance(read, ProtocolError):
        assert read.code
        assert str(read)
        encode_line(refusal(read.request_id, read.code, str(read)))


def check_forecast(data: bytes) -> None:
    """A forecast's file is rising half hours or a line that names the file, and never speaks beyond itself."""
    for zone in ("UTC", "Australia/Melbourne"):
        read = _prices_of(data, zone)
        if isinstance(read, ForecastError):
            assert str(read).startswith("prices.csv")
            continue
        slots = [slot for slot, _ in read.prices]
        assert slots == sorted(set(slots))
        try:
            ahead = read.prices_e4(slots[0], HORIZON_SLOTS, 0)
        except ForecastError:
            continue
        assert len(ahead) <= min(HORIZON_SLOTS, slots[-1] - slots[0] + 1)
        assert set(ahead) <= {price_e4 for _, price_e4 in read.prices}


def _prices_of(data: bytes, zone: str) -> PriceList | ForecastError:
    try:
        return parse_prices(data, name="prices.csv", zone=zone)
    except ForecastError as error:
        return error


def _site_of(data: bytes) -> SiteFile | SiteError:
    try:
        return parse_site(data, _SITE_PATH)
    except SiteError as error:
        return error


def _request_of(data: bytes) -> Request | ProtocolError:
    try:
        return decode_request(data)
    except ProtocolError as error:
        return error


TARGETS: Final[dict[str, Callable[[bytes], None]]] = {
    "frame": check_frame,
    "stream": check_stream,
    "connection": check_connection,
    "site": check_site,
    "control": check_control,
    "forecast": check_forecast,
}
"""Every target by its name on the command line."""
