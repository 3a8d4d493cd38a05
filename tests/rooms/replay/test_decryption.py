"""SRTP opened by keys of every kind, and what no key opens left or dropped."""

import base64
from collections.abc import Iterator

import pylibsrtp
import pytest

from slicer.rooms.replay import decryption as module
from slicer.rooms.replay.capture import Captured
from slicer.rooms.replay.decryption import (
    _PROFILES,
    MAX_FAILURES,
    MAX_LOGS,
    Decryption,
    Stream,
    session_of,
)
from slicer.rooms.replay.keys import MAX_FILE, Keys, SrtpKey
from slicer.rooms.replay.network import Endpoints
from tests.harness.rooms.captures import rtcp_sr, rtp
from tests.harness.rooms.handshake import handshake

UP, DOWN = Endpoints("a:1", "b:2"), Endpoints("b:2", "a:1")
KEY = bytes(range(30))
SDES = f"AES_CM_128_HMAC_SHA1_80 inline:{base64.b64encode(KEY).decode()}"
OTHER = f"AES_CM_128_HMAC_SHA1_80 inline:{base64.b64encode(bytes(30)).decode()}"
PLAIN = [rtp(111, index, index * 960, bytes([index]) * 60) for index in range(40)]


def sender(key: bytes = KEY, profile: int = 1) -> pylibsrtp.Session:
    policy = pylibsrtp.Policy(
        key=key,
        ssrc_type=pylibsrtp.Policy.SSRC_ANY_OUTBOUND,
        srtp_profile=_PROFILES[profile],
    )
    return pylibsrtp.Session(policy)


def captured(datagrams: list[bytes], flow: Endpoints = UP) -> Iterator[Captured]:
    for index, data in enumerate(datagrams):
        yield Captured(index / 50, data, flow)


def opened(
    keys: str, datagrams: list[bytes], streams: set[Stream] | None = None
) -> tuple[list[bytes], Decryption]:
    decryption = Decryption(Keys.read(keys), set() if streams is None else streams)
    return [one.data for one in decryption.opened(captured(datagrams))], decryption


def test_sdes_keys_open_rtp_and_rtcp() -> None:
    session, streams = sender(), set[Stream]()
    protected = [session.protect(packet) for packet in PLAIN] + [session.protect_rtcp(rtcp_sr(1))]
    found, decryption = opened(f"{OTHER}\n{SDES}", protected, streams)
    assert found == [*PLAIN, rtcp_sr(1)]
    assert streams == {(UP, 1)}
    assert not decryption.counters


def test_without_keys_all_stays() -> None:
    protected = [sender().protect(packet) for packet in PLAIN]
    assert opened("", protected)[0] == protected


def test_plain_streams_beside_stay() -> None:
    other = [rtp(0, index, ssrc=9, payload=bytes(160)) for index in range(2 * MAX_FAILURES)]
    assert opened(SDES, [*other, rtcp_sr(9)])[0] == [*other, rtcp_sr(9)]


def test_of_an_opened_stream_what_no_key_opens_is_dropped() -> None:
    session = sender()
    protected = [session.protect(packet) for packet in PLAIN]
    forged = protected[5][:-1] + bytes([protected[5][-1] ^ 1])
    found, decryption = opened(SDES, [*protected[:5], forged, *protected[6:], protected[9]])
    assert found == [*PLAIN[:5], *PLAIN[6:]]
    assert decryption.counters == {"encrypted": 1, "duplicate": 1}


@pytest.mark.parametrize("profile", [1, 2, 7, 8])
def test_a_key_log_opens_both_directions(profile: int) -> None:
    made = handshake(profile)
    client, server = (sender(key, profile) for key in made.keys)
    decryption = Decryption(Keys.read(made.log), set())
    for from_client, datagram in made.datagrams:
        decryption.on_dtls(Captured(0.0, datagram, UP if from_client else DOWN))
    up = captured([client.protect(packet) for packet in PLAIN], UP)
    down = captured([server.protect(packet) for packet in PLAIN], DOWN)
    for direction in (up, down):
        assert [one.data for one in decryption.opened(direction)] == PLAIN
    assert decryption.handshakes == {UP, DOWN}


def test_a_log_that_comes_after_its_handshake() -> None:
    made = handshake()
    decryption = Decryption(Keys(), set())
    for from_client, datagram in made.datagrams:
        decryption.on_dtls(Captured(0.0, datagram, UP if from_client else DOWN))
    decryption.add_log(b"inline:AAAA")
    decryption.add_log(made.log.encode())
    session = sender(made.keys[0])
    protected = [session.protect(packet) for packet in PLAIN]
    assert [one.data for one in decryption.opened(captured(protected))] == PLAIN
    assert decryption.counters == {"malformed": 1}


def test_a_new_key_in_the_middle() -> None:
    first, second = sender(), sender(bytes(30))
    protected = [first.protect(one) for one in PLAIN[:20]]
    protected += [second.protect(one) for one in PLAIN[20:]]
    assert opened(f"{SDES}\n{OTHER}", protected)[0] == PLAIN


def test_a_key_that_comes_late_opens_what_was_given_up() -> None:
    made = handshake()
    decryption = Decryption(Keys.read(OTHER), set())
    for from_client, datagram in made.datagrams:
        decryption.on_dtls(Captured(0.0, datagram, UP if from_client else DOWN))
    session = sender(made.keys[0])
    packets = [rtp(111, index, index * 960, b"audio") for index in range(3 * MAX_FAILURES)]
    protected = [session.protect(packet) for packet in packets]
    closed = [*decryption.opened(captured(protected[: 2 * MAX_FAILURES + 1]))]
    assert [one.data for one in closed] == protected[: 2 * MAX_FAILURES + 1]
    decryption.add_log(made.log.encode())
    found = decryption.opened(captured(protected[2 * MAX_FAILURES + 1 :]))
    assert [one.data for one in found] == packets[2 * MAX_FAILURES + 1 :]


def test_trials_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many streams that no key opens, and many keys: the work is the product. What a key has opened
    goes on."""
    monkeypatch.setattr(module, "MAX_TRIALS", 100)
    made = 0

    def counted(key: SrtpKey) -> pylibsrtp.Session:
        nonlocal made
        made += 1
        return session_of(key)

    session = sender()
    ours = [session.protect(packet) for packet in PLAIN]
    monkeypatch.setattr(module, "session_of", counted)
    decryption = Decryption(Keys.read(f"{SDES}\n{OTHER}"), set())
    assert [one.data for one in decryption.opened(captured(ours[:20]))] == PLAIN[:20]
    strange = [rtp(111, 1, ssrc=ssrc, payload=bytes(60)) for ssrc in range(1_000)]
    assert [one.data for one in decryption.opened(captured(strange, DOWN))] == strange
    assert 100 <= made <= 110
    assert [one.data for one in decryption.opened(captured(ours[20:]))] == PLAIN[20:]


def test_key_logs_of_a_capture_are_bounded() -> None:
    decryption = Decryption(Keys(), set())
    for _ in range(MAX_LOGS):
        decryption.add_log(b"")
    decryption.add_log(handshake().log.encode())
    assert decryption.counters == {"too many keys": 1}
    decryption = Decryption(Keys(), set())
    decryption.add_log(b"#" * (MAX_FILE + 1))
    assert decryption.counters == {"too many keys": 1}
