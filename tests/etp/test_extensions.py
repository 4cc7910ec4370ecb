"""Extensions: known ones come back as values, unknown ones are skipped, and the bytes that are signed stay whole."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etp.errors import ExtensionError
from etp.extensions import (
    NO_EXTENSIONS,
    Auth,
    Contract,
    Extensions,
    Receipt,
    decode_extensions,
    encode_item,
    extensions,
)
from etp.limits import REASON_BYTES_MAX

KEYS = st.binary(min_size=32, max_size=32)
SIGNATURES = st.binary(min_size=64, max_size=64)
U64 = st.integers(0, (1 << 64) - 1)
I64 = st.integers(-(1 << 63), (1 << 63) - 1)
U32 = st.integers(0, (1 << 32) - 1)
auths = st.builds(Auth, KEYS, KEYS, U64, SIGNATURES)
contracts = st.builds(
    Contract, KEYS, KEYS, KEYS, U64, U64, U64, I64, I64, I64, st.integers(0, 65_535), U32, KEYS, KEYS, SIGNATURES
)
receipts = st.builds(Receipt, st.integers(0, 1), U64, I64, I64, KEYS, SIGNATURES)


@given(
    st.none() | auths, st.none() | contracts, st.text(st.characters(exclude_categories=["Cs"])), st.none() | receipts
)
def test_every_extension_survives_the_wire(
    auth: Auth | None, contract: Contract | None, reason: str, receipt: Receipt | None
) -> None:
    sent = extensions(auth=auth, contract=contract, reason=reason, receipt=receipt)
    assert decode_extensions(sent.encode()) == sent
    assert reason.startswith(sent.reason)
    assert len(sent.reason.encode()) <= REASON_BYTES_MAX


def test_the_layouts_have_the_sizes_of_the_design() -> None:
    assert len(Auth(bytes(32), bytes(32), 0, bytes(64)).encode()) == 136
    assert len(Contract().encode()) == 278
    assert len(Receipt(0, 0, 0, 0, bytes(32)).encode()) == 121


def test_auth_is_not_part_of_what_is_signed() -> None:
    auth = Auth(bytes(32), bytes(32), 1, bytes(64))
    sent = extensions(auth=auth, reason="x")
    assert decode_extensions(sent.encode()).rest == extensions(reason="x").encode()


def test_unknown_tags_are_skipped_but_signed() -> None:
    data = encode_item(0, b"zero") + extensions(reason="x").encode() + encode_item(250, b"?")
    assert decode_extensions(data) == Extensions(reason="x", rest=data)


def test_a_long_reason_is_cut_at_a_character() -> None:
    assert extensions(reason="x" + "ä" * 100).reason == "x" + "ä" * 59


def test_nothing_is_nothing() -> None:
    assert decode_extensions(b"") == NO_EXTENSIONS == extensions()


@given(st.binary(max_size=300))
def test_garbage_is_decoded_or_refused(data: bytes) -> None:
    try:
        found = decode_extensions(data)
    except ExtensionError:
        return
    assert found.auth is not None or found.rest == data


@given(st.lists(st.tuples(st.integers(0, 255), st.binary(max_size=20)), min_size=2, max_size=5))
def test_tags_must_ascend(items: list[tuple[int, bytes]]) -> None:
    items = [(tag + 5 if tag < 5 else tag, content) for tag, content in items]
    tags = [tag for tag, _ in items]
    data = b"".join(encode_item(tag, content) for tag, content in items)
    if tags == sorted(set(tags)):
        assert decode_extensions(data).rest == data
    else:
        with pytest.raises(ExtensionError, match="after tag"):
            decode_extensions(data)
