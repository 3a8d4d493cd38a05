"""Unprotecting by the batch, on real SRTP sessions."""

import importlib
import struct
from collections import Counter
from typing import Any

import pylibsrtp
import pytest

from slicer.rtp.srtp import SrtpSession, unprotect
from tests.harness.rtp.parts import NATIVE

KEY = bytes(range(30))


def session(key: bytes, direction: int) -> pylibsrtp.Session:
    return pylibsrtp.Session(pylibsrtp.Policy(key=key, ssrc_type=direction))


@pytest.fixture
def sender() -> pylibsrtp.Session:
    return session(KEY, pylibsrtp.Policy.SSRC_ANY_OUTBOUND)


class Native:
    """The native session, refusing in libsrtp's words."""

    def __init__(self) -> None:
        parts: Any = importlib.import_module("slicer._parts")
        self._session = parts.Srtp(1, KEY)
        self._refused = parts.SrtpRefused

    def _open(self, name: str, packet: bytes) -> bytes:
        words = {
            "srtp_authentication": "authentication failure",
            "srtp_replayed": "replay check failed (bad index)",
            "srtp_malformed": "error parsing data",
        }
        try:
            plain: bytes = getattr(self._session, name)(packet)
        except self._refused as refused:
            raise pylibsrtp.Error(words[str(refused)]) from refused
        return plain

    def unprotect(self, packet: bytes) -> bytes:
        return self._open("unprotect", packet)

    def unprotect_rtcp(self, packet: bytes) -> bytes:
        return self._open("unprotect_rtcp", packet)


@pytest.fixture
def receiver() -> SrtpSession:
    if NATIVE:
        return Native()
    theirs: SrtpSession = session(KEY, pylibsrtp.Policy.SSRC_ANY_INBOUND)
    return theirs


def rtp(sequence: int, payload: bytes = b"sound") -> bytes:
    return struct.pack("!BBHII", 0x80, 0x80 | 111, sequence, sequence * 960, 0x1234) + payload


# RFC 3550 section 6.4.1: a sender report without report blocks.
REPORT = struct.pack("!BBHIIIIII", 0x80, 200, 6, 0x1234, 1, 2, 3, 4, 5)


def test_rtp_and_rtcp_come_out_in_order(sender: pylibsrtp.Session, receiver: SrtpSession) -> None:
    plain = [rtp(1), REPORT, rtp(2)]
    wire = [sender.protect(rtp(1)), sender.protect_rtcp(REPORT), sender.protect(rtp(2))]
    counters: Counter[str] = Counter()
    assert unprotect(receiver, wire, pylibsrtp.Error, counters) == plain
    assert not counters


def test_each_failure_is_counted_by_reason(
    sender: pylibsrtp.Session, receiver: SrtpSession
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
