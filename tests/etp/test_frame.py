"""Frames on TCP: whatever the cuts, the same frames come out, and a lost border is noticed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etp.errors import BodyError, ExtensionError, FrameLengthError
from etp.extensions import NO_EXTENSIONS, encode_item, extensions
from etp.frame import (
    FrameReader,
    decode_frame,
    encode_frame,
    encode_plain_reject,
    encode_plain_tcp,
    encode_tcp,
    prefixed,
)
from etp.messages import Body
from etp.testing import CUTTERS, Cutter, in_chunks

BID = Body.bid(5, 9, price_e4=100_000, energy_wh=1_000)
FRAMES = [encode_frame(BID), encode_frame(BID, extensions(reason="x" * 120)), encode_frame(BID._replace(message_id=6))]
STREAM = b"".join(prefixed(frame) for frame in FRAMES)


@pytest.mark.parametrize("cut", CUTTERS.values(), ids=CUTTERS)
def test_frames_come_out_however_they_are_cut(cut: Cutter) -> None:
    reader = FrameReader()
    assert [frame for piece in cut(STREAM) for frame in reader.feed(piece)] == FRAMES
    assert reader.tail == b""


@given(st.lists(st.integers(1, 400), min_size=1, max_size=20))
def test_any_cut_gives_the_same_frames(sizes: list[int]) -> None:
    reader = FrameReader()
    assert [frame for piece in in_chunks(sizes)(STREAM) for frame in reader.feed(piece)] == FRAMES


@given(st.lists(st.binary(max_size=300), max_size=10))
def test_garbage_never_raises_and_never_piles_up(reads: list[bytes]) -> None:
    reader = FrameReader()
    for data in reads:
        for frame in reader.feed(data):
            assert 84 <= len(frame) <= 1024
        assert len(reader.tail) < 4 + 1024


@pytest.mark.parametrize("length", [0, 1, 83, 1025, 1 << 31, (1 << 32) - 1])
def test_after_a_bad_length_nothing_is_read(length: int) -> None:
    reader = FrameReader()
    assert reader.feed(STREAM + length.to_bytes(4, "little") + STREAM) == FRAMES
    assert reader.bad_length == length
    assert reader.feed(STREAM) == reader.feed(encode_tcp(BID)) == []


@pytest.mark.parametrize("size", [83, 1025])
def test_no_frame_is_sent_that_no_receiver_takes(size: int) -> None:
    with pytest.raises(FrameLengthError) as caught:
        prefixed(bytes(size))
    assert caught.value.length == size


def test_a_datagram_is_a_frame() -> None:
    assert decode_frame(FRAMES[0]) == (BID, NO_EXTENSIONS)
    assert decode_frame(FRAMES[1])[1].reason == "x" * 120
    with pytest.raises(FrameLengthError):
        decode_frame(BID.encode() + encode_item(9, bytes(2000)))
    with pytest.raises(ExtensionError):
        decode_frame(BID.encode() + b"?")
    with pytest.raises(BodyError):
        decode_frame(b"")


def test_the_short_ways_give_the_same_bytes() -> None:
    reject = Body.bid_reject(5, 7, code=4, beat_e4=123_400)
    assert encode_plain_tcp(reject) == encode_tcp(reject) == encode_plain_reject(5, 7, 4, 123_400)
