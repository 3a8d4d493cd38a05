"""Signatures of messages on the bus."""

import pytest

from slicer.fleet.signer import GOOD, Questions, Signer


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


def test_what_a_message_is_about_is_signed_too() -> None:
    signer = Signer([b"key"])
    signature = signer.sign("s", b"data", "7")
    assert signer.is_ours("s", b"data", signature, "7")
    assert not signer.is_ours("s", b"data", signature, "8")
    assert not signer.is_ours("s", b"data", signature)


def test_a_question_is_good_once_and_for_some_minutes() -> None:
    questions = Questions("w")
    assert questions.is_new("1000 w a", 1060.0), "clocks differ by a minute"
    assert questions.is_new("1000 w b", 1060.0)
    assert not questions.is_new("1000 w a", 1060.0)
    assert not questions.is_new("1000 w a", 1000.0 + GOOD)
    assert not questions.is_new("1000 w a", 1001.0 + GOOD), "it is forgotten, and too old"
    assert not questions.is_new("5000 w a", 4999.0 - GOOD)
    assert questions.is_new("1000 v,w a", 1000.0), "it is not known which of the two is alive"
    assert not questions.is_new("1000 v,w2 a", 1000.0)
    for wrong in ("", "x w y", "nan w a", "inf w a", "1000", "1000 w2 a", "1000  a"):
        assert not Questions("w").is_new(wrong, 1000.0)


def test_questions_that_are_too_old_are_forgotten() -> None:
    questions = Questions("w")
    for second in range(3 * int(GOOD)):
        assert questions.is_new(f"{second} w a", float(second))
    assert len(questions) <= 2 * GOOD
