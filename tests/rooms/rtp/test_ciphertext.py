"""SRTP that comes where no key is, known by its first packets; honest media is not taken for it."""

import random
from collections.abc import Iterator
from itertools import count
from urllib.parse import urlsplit

import pytest

from slicer.rooms.rtp.ciphertext import Ciphertext
from slicer.rooms.rtp.session import Session
from tests.harness.rooms.captures import rtcp_sr, rtp

CHANCE = random.Random(7)
AUDIO = "audio=0:pcmu,111:opus"
VIDEO = "video=96:vp8"


def looking(options: str = f"{AUDIO}&{VIDEO}") -> Ciphertext:
    session = Session.parse(urlsplit(f"rtp://127.0.0.1:5004?{options}"))
    return Ciphertext(session.ports[0].sections)


def opus(*, is_encrypted: bool) -> Iterator[bytes]:
    for index in count():
        payload = CHANCE.randbytes(90) if is_encrypted else b"\xf8" + CHANCE.randbytes(79)
        yield rtp(111, index, index * 960, payload)


def pcmu(*, is_encrypted: bool) -> Iterator[bytes]:
    for index in count():
        yield rtp(0, index, index * 160, CHANCE.randbytes(170 if is_encrypted else 160))


def vp8(*, is_encrypted: bool) -> Iterator[bytes]:
    for index in count():
        payload = CHANCE.randbytes(90) if is_encrypted else b"\x90\x80" + CHANCE.randbytes(79)
        yield rtp(96, index, index * 3000, payload)


def packets_until_told(packets: Iterator[bytes], most: int = 200) -> int | None:
    ciphertext = looking()
    return next((n for n in range(1, most) if ciphertext.is_in([next(packets)])), None)


@pytest.mark.parametrize(("source", "within"), [(opus, 16), (pcmu, 16), (vp8, 64)])
def test_it_is_told_within_a_few_packets(source: object, within: int) -> None:
    assert callable(source)
    told = packets_until_told(source(is_encrypted=True))
    assert told is not None
    assert told <= within
    assert packets_until_told(source(is_encrypted=False)) is None


def test_what_comes_later_is_not_looked_at() -> None:
    """An honest start is believed: a key would have to change to none in the middle."""
    ciphertext, honest, other = looking(), opus(is_encrypted=False), opus(is_encrypted=True)
    assert not ciphertext.is_in([next(honest) for _ in range(64)])
    assert not ciphertext.is_in([next(other) for _ in range(200)])
    assert not ciphertext.seen


def test_where_a_key_is_nothing_is_looked_at() -> None:
    ciphertext, packets = Ciphertext(()), opus(is_encrypted=True)
    assert not ciphertext.is_in([next(packets) for _ in range(100)])


def test_reports_noise_and_other_payload_types_tell_nothing() -> None:
    noise = [b"", b"\x80", b"\x80\x6f", rtcp_sr(1), rtp(77, 1), b"\x80\x6f" + bytes(5)]
    assert not looking().is_in(noise * 50)


def test_of_two_payload_types_each_has_a_sample() -> None:
    ciphertext, honest, other = looking(), opus(is_encrypted=False), vp8(is_encrypted=True)
    assert not ciphertext.is_in([next(honest) for _ in range(100)])
    assert ciphertext.is_in([next(other) for _ in range(64)])


def test_another_sender_is_looked_at_anew() -> None:
    ciphertext, packets = looking(), opus(is_encrypted=True)
    assert ciphertext.is_in([next(packets) for _ in range(20)])
    ciphertext.forget()
    assert not ciphertext.seen
    honest = opus(is_encrypted=False)
    assert not ciphertext.is_in([next(honest) for _ in range(100)])
