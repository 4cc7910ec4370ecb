"""The two closed loops, in C and in Python, against the echo: they send, count and report the same."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from bench import clients
from bench.children import Child
from bench.clients import Duel, Load, Rounds, Window, cost_us, duel
from bench.load import read_frames, write_frames
from bench.rows.signed import signed_frames
from etp.frame import FrameReader, decode_frame, encode_tcp
from etp.messages import Body, MessageType

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(params=[pytest.param("c", marks=pytest.mark.system), "python"])
def language(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "python":
        monkeypatch.setattr(clients, "_COMPILERS", ())
    elif not any(map(shutil.which, clients._COMPILERS)):
        pytest.skip("no C compiler")
    return str(request.param)


def test_bids_come_back_and_are_counted(language: str) -> None:
    with Child("bench.echo") as echo, Load(echo.ready["port"], echo.pid, connections=3) as load:
        windows = [load.window(0.1) for _ in range(2)]
    for window in windows:
        assert window.answers > 10
        assert window.codes == {"0": window.answers}
        assert 0 < window.p50_ms <= window.p99_ms
        assert window.seconds >= 0.1
        assert (window.closed, window.late) == (False, 0)


def test_prepared_frames_are_sent_once(language: str, tmp_path: Path) -> None:
    path = tmp_path / "frames"
    reject = encode_tcp(Body.bid_reject(1, 7, code=4, beat_e4=0))
    push = encode_tcp(Body.query_response(1, 7, beat_e4=0))
    path.write_bytes(write_frames([reject * 3, push + reject]))
    with Child("bench.echo") as echo, Load(echo.ready["port"], echo.pid, connections=2, frames=path) as load:
        window = load.window(0.3)
    # The echo of a push answers nothing, so the second connection waits for ever after its first frame.
    assert window.codes == {"4": 3}


def test_a_frames_file_reads_as_it_was_written() -> None:
    assert read_frames(write_frames([b"one", b"", b"three"])) == [b"one", b"", b"three"]


def test_signed_frames_begin_with_a_register() -> None:
    for frames in read_frames(signed_frames(bytes(32), buyers=2, rounds=3)):
        assert frames is not None
        bodies = [decode_frame(frame) for frame in FrameReader().feed(frames)]
        assert [body.message_type for body, _ in bodies] == [MessageType.REGISTER, *[MessageType.BID] * 3]
        assert all(extensions.auth is not None for _, extensions in bodies)


def window(answers: int, cpu_s: float, seconds: float = 1.0) -> Window:
    return Window(answers, seconds, cpu_s, 0.0, False, 0, 0.0, 0.0, 0.0, {})


class Canned:
    """A load whose windows are known before."""

    def __init__(self, *windows: Window) -> None:
        self._windows = list(windows)

    def window(self, seconds: float) -> Window:
        return self._windows.pop(0)


def fight(echo: Canned, ours: Canned, rounds: Rounds) -> Duel:
    return duel(echo, ours, rounds)  # type: ignore[arg-type] # it asks for windows and nothing else


def test_only_windows_in_which_a_server_was_busy_count() -> None:
    echo = Canned(window(100, 0.5), window(100_000, 1.0), window(100_000, 0.96))
    ours = Canned(window(50_000, 0.99), window(10, 0.1), window(50_000, 0.97))
    result = fight(echo, ours, Rounds(1.0, 2, 3))
    assert result.valid
    assert (len(result.echo), len(result.ours)) == (2, 2)
    assert result.ratio == pytest.approx((1.96 / 200_000) / (1.96 / 100_000))


def test_a_duel_without_enough_of_them_is_not_valid() -> None:
    echo = Canned(window(1_000, 0.5), window(1_000, 1.0))
    ours = Canned(window(1_000, 1.0), window(1_000, 0.5))
    result = fight(echo, ours, Rounds(1.0, 2, 2))
    assert not result.valid
    assert result.ratio == pytest.approx(1.0)


def test_no_answers_cost_nothing() -> None:
    assert cost_us([]) == 0.0
    assert Duel([], [], valid=False).ratio == 0.0
    assert window(1, 1.0, 0.0).busy == 0.0
