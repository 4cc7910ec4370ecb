"""How a program gets onto a cluster: pieces that fit, in any order, and what the loader keeps."""

from __future__ import annotations

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st
from solders.pubkey import Pubkey

from settlement.program.codec import LayoutError
from settlement.program.loader import PIECE_BYTES, Deployment, ProgramData, deployment, initialize_buffer
from settlement.transaction import TRANSACTION_BYTES_MAX, compile_message

PAYER, AUTHORITY, PROGRAM, BUFFER = (Pubkey.from_bytes(sha256(bytes([n])).digest()) for n in range(4))
_WRITE_HEAD = 16


def deployed(code: bytes) -> Deployment:
    return deployment(
        code, payer=PAYER, authority=AUTHORITY, program=PROGRAM, buffer=BUFFER, rent=lambda size: 1_000 + size
    )


@given(st.binary(min_size=1, max_size=3 * PIECE_BYTES + 1))
def test_the_pieces_are_the_code(code: bytes) -> None:
    parts = deployed(code)
    written = bytearray(len(code))
    for (piece,) in reversed(parts.writes):
        tag, offset = int.from_bytes(piece.data[:4], "little"), int.from_bytes(piece.data[4:8], "little")
        size = int.from_bytes(piece.data[8:16], "little")
        assert (tag, size) == (1, len(piece.data) - _WRITE_HEAD)
        written[offset : offset + size] = piece.data[_WRITE_HEAD:]
    assert written == code


def test_every_piece_fits_into_a_packet_of_two_signers() -> None:
    parts = deployed(bytes(5 * PIECE_BYTES))
    for batch in (parts.open, *parts.writes, parts.deploy):
        message = compile_message(bytes(PAYER), batch, bytes(32), units=1_400_000, price=1)
        assert len(message) + 2 * 64 + 1 <= TRANSACTION_BYTES_MAX
    made = parts.open[0]
    assert made.accounts[1].pubkey == BUFFER
    assert parts.open[1] == initialize_buffer(BUFFER, AUTHORITY)


def test_what_the_loader_keeps() -> None:
    head = (3).to_bytes(4, "little") + (77).to_bytes(8, "little")
    assert ProgramData.decode(head + b"\1" + bytes(AUTHORITY) + b"code") == ProgramData(77, bytes(AUTHORITY), b"code")
    assert ProgramData.decode(head + b"\0" + bytes(AUTHORITY) + b"code").authority is None


@pytest.mark.parametrize(
    "data", [b"", bytes(44), bytes(45), b"\3" + bytes(11) + b"\2" + bytes(32), b"\1" + bytes(44)], ids=len
)
def test_what_is_no_program_data(data: bytes) -> None:
    with pytest.raises(LayoutError):
        ProgramData.decode(data)
