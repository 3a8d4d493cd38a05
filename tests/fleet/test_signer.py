"""Signatures of messages on the bus."""

import pytest

from slicer.fleet.signer import Signer


def test_a_message_is_ours_by_any_key_and_for_its_subject_alone() -> None:
    old, both = Signer([b"old"]), Signer([b"new", b"old"])
    signature = old.sign("slicer.beat.w0", b"data")
    assert both.is_ours("slicer.beat.w0", b"data", signature)
    assert both.sign("slicer.beat.w0", b"data") == Signer([b"new"]).sign("slicer.beat.w0", b"data")
    assert not old.is_ours("slicer.beat.w0", b"data", both.sign("slicer.beat.w0", b"data"))
    assert "old" not in repr(old)


@pytest.mark.parametrize(
    ("subject", "data", "signature"),
    [
        ("slicer.beat.w1", b"data", None),
        ("slicer.beat.w0", b"other", None),
        ("slicer.beat.w0", b"data", ""),
        ("slicer.beat.w0", b"data", "é" * 64),
        ("slicer.beat.w0", b"data", "0" * 64),
    ],
)
def test_others_are_not(subject: str, data: bytes, signature: str | None) -> None:
    signer = Signer([b"key"])
    right = signer.sign("slicer.beat.w0", b"data")
    assert not signer.is_ours(subject, data, right if signature is None else signature)
