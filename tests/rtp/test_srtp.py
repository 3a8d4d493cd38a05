"""Unprotecting by the batch, on real SRTP sessions."""

import struct
from collections import Counter

import pylibsrtp
import pytest

from slicer.rtp.srtp import unprotect

KEY = bytes(range(30))


def session(key: bytes, direction: int) -> pylibsrtp.Session:
    return pylibsrtp.Session(pylibsrtp.Policy(key=key, ssrc_type=direction))


@pytest.fixture
def sender() -> pylibsrtp.Session:
    return session(KEY, pylibsrtp.Policy.SSRC_ANY_OUTBOUND)


@pytest.fixture
def receiver() -> pylibsrtp.Session:
    return session(KEY, pylibsrtp.Policy.SSRC_ANY_INBOUND)


def rtp(sequence: int, payload: bytes = b"sound") -> bytes:
    return struct.pack("!BBHII", 0x80, 0x80 | 111, sequence, sequence * 960, 0x1234) + payload


# RFC 3550 section 6.4.1: a sender report without report blocks.
REPORT = struct.pack("!BBHIIIIII", 0x80, 200, 6, 0x1234, 1, 2, 3, 4, 5)


def test_rtp_and_rtcp_come_out_in_order(
    sender: pylibsrtp.Session, receiver: pylibsrtp.Session
) -> None:
    plain = [rtp(1), REPORT, rtp(2)]
    wire = [sender.protect(rtp(1)), sender.protect_rtcp(REPORT), sender.protect(rtp(2))]
    counters: Counter[str] = Counter()
    assert unprotect(receiver, wire, pylibsrtp.Error, counters) == plain
    assert not counters


def test_each_failure_is_counted_by_reason(
    sender: pylibsrtp.Session, receiver: pylibsrtp.Session
) -> None:
    good = sender.protect(rtp(1))
    stranger = session(bytes(30), pylibsrtp.Policy.SSRC_ANY_OUTBOUND)
    wire = [
        good,
        good,
        stranger.protect(rtp(2)),
        bytes([0x80]),
        b"",
        bytes([0x80, 96]) + bytes(1600),
        sender.protect(rtp(3)),
    ]
    counters: Counter[str] = Counter()
    assert unprotect(receiver, wire, pylibsrtp.Error, counters) == [rtp(1), rtp(3)]
    assert counters == {
        "srtp_replayed": 1,
        "srtp_authentication": 1,
        "srtp_malformed": 2,
        "srtp_oversized": 1,
    }
