"""Evidence: whoever has the samples comes to the hash in the receipt; whoever changes one thing does not."""

from __future__ import annotations

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from settlement.evidence import (
    ABSENT,
    PREFIX,
    SAMPLE_BYTES,
    Recorder,
    Sample,
    begin,
    conclude,
    evidence_of,
    samples_in,
)

I64 = st.integers(-(1 << 63), (1 << 63) - 1)
SAMPLES = st.builds(Sample, I64, I64, I64, I64, I64)
NAMES = st.text(max_size=40)


def test_the_bytes_are_these() -> None:
    sample = Sample(-4_980, 1_250, 103_417, 1_250, 0)
    data = b"".join(each.to_bytes(8, "little", signed=True) for each in sample)
    chain = sha256(PREFIX + b"\x04\x00" + b"ab12").digest()
    assert begin("ab12") == chain
    chain = sha256(chain + data).digest()
    expected = sha256(chain + b"\x04\x00cd34" + b"\x08\x00conn:1/7").digest()
    assert evidence_of("ab12", [data], ["conn:1/7", "cd34"]) == expected


@given(NAMES, st.lists(st.tuples(SAMPLES, st.lists(NAMES, max_size=3)), max_size=20), st.data())
def test_portions_however_cut_give_what_the_recorder_says(
    name: str, looks: list[tuple[Sample, list[str]]], data: st.DataObject
) -> None:
    recorder = Recorder(name)
    portions = []
    for sample, others in looks:
        recorder.add(sample, others)
        if data.draw(st.booleans()):
            portions.append(recorder.take())
        if data.draw(st.integers(0, 9)) == 0 and portions and not recorder.fresh_samples:
            recorder = Recorder(name, chain=portions[-1].chain, shared=portions[-1].shared)  # a restart
    portions.append(recorder.take())
    assert recorder.fresh_samples == 0
    assert evidence_of(name, [each.samples for each in portions], portions[-1].shared) == recorder.digest
    assert conclude(portions[-1].chain, portions[-1].shared) == recorder.digest
    assert name not in portions[-1].shared


@given(st.lists(SAMPLES, min_size=1, max_size=8), st.data())
def test_one_changed_byte_left_out_sample_or_other_name_is_another_hash(
    samples: list[Sample], data: st.DataObject
) -> None:
    whole = b"".join(each.encode() for each in samples)
    honest = evidence_of("trade", [whole], ["other"])
    at = data.draw(st.integers(0, len(whole) - 1))
    changed = whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :]
    assert evidence_of("trade", [changed], ["other"]) != honest
    assert evidence_of("trade", [whole[:-SAMPLE_BYTES]], ["other"]) != honest
    assert evidence_of("trad", [whole], ["other"]) != honest
    assert evidence_of("trade", [whole], []) != honest
    assert evidence_of("trade", [whole], ["other", "third"]) != honest


@given(st.lists(SAMPLES, max_size=8))
def test_samples_come_back_from_a_portion(samples: list[Sample]) -> None:
    assert list(samples_in(b"".join(each.encode() for each in samples))) == samples


def test_a_torn_portion_is_refused_and_what_was_not_read_is_absent() -> None:
    with pytest.raises(ValueError, match="41 bytes are no whole number of samples"):
        evidence_of("trade", [bytes(41)], [])
    assert Sample()[:4] == (ABSENT,) * 4
