"""Captures: both formats give the same datagrams, others are counted, damage ends a file."""

import gzip
import io
import random
import struct
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slicer.errors import BadInput
from slicer.rooms.replay.capture import (
    LONGEST_GAP,
    Capture,
    Captured,
    Elapsed,
    Protocol,
    protocol,
)
from slicer.rooms.replay.network import Endpoints
from tests.harness.rooms.captures import (
    BEGAN,
    enhanced,
    ethernet,
    ipv4,
    mjr,
    pcap,
    pcapng,
    rtpdump,
    udp,
)

RTP = bytes.fromhex("806f0001 00000002 00000003") + b"opus"
RTCP = bytes.fromhex("80c80001 00000003")
STUN = bytes.fromhex("0001 0000 2112a442") + bytes(12)
DTLS = b"\x16\xfe\xfd" + bytes(20)
NOWHERE = Endpoints("", "")


@pytest.mark.parametrize(
    ("datagram", "expected"),
    [
        (RTP, Protocol.RTP),
        (b"\x80\x7f" + bytes(10), Protocol.RTP),
        (b"\x80\xbf" + bytes(10), Protocol.RTP),  # payload type 63 with the marker
        (b"\x80\xc0" + bytes(10), Protocol.RTCP),
        (b"\x80\xdf" + bytes(6), Protocol.RTCP),
        (b"\x80\xe0" + bytes(10), Protocol.RTP),  # payload type 96 with the marker
        (b"\x80\x60" + bytes(9), Protocol.OTHER),
        (STUN, Protocol.STUN),
        (DTLS, Protocol.DTLS),
        (b"\x40" + bytes(20), Protocol.OTHER),
        (b"\xff" + bytes(20), Protocol.OTHER),
        (b"", Protocol.OTHER),
    ],
)
def test_protocol(datagram: bytes, expected: Protocol) -> None:
    assert protocol(datagram) is expected


def test_what_is_written_is_read() -> None:
    capture = Capture(io.BytesIO(rtpdump((0, RTP), (0.02, RTCP), (1.5, RTP), began=BEGAN + 0.25)))
    assert capture.began == BEGAN + 0.25
    assert list(capture) == [
        Captured(0.0, RTP, NOWHERE),
        Captured(0.02, RTCP, NOWHERE),
        Captured(1.5, RTP, NOWHERE),
    ]
    assert not capture.counters


def test_the_file_is_what_the_format_says() -> None:
    """Against rtptools' own description: line, 16 bytes of header, 8 bytes before each packet."""
    data = rtpdump((0.02, RTP), (0.04, RTCP), began=BEGAN)
    line, _, rest = data.partition(b"\n")
    assert line == b"#!rtpplay1.0 127.0.0.1/5004"
    assert rest[:16] == struct.pack("!IIIHH", BEGAN, 0, 0x7F000001, 5004, 0)
    assert rest[16:40] == struct.pack("!HHI", 24, 16, 20) + RTP
    assert rest[40:] == struct.pack("!HHI", 16, 0, 40) + RTCP


def test_pcap_tells_who_sent_to_whom() -> None:
    capture = Capture(io.BytesIO(pcap(ipv4(udp(RTP)), ipv4(udp(RTCP)))))
    assert capture.began == BEGAN
    flow = Endpoints("10.0.0.1:5004", "10.0.0.2:5006")
    found = list(capture)
    assert [captured.data for captured in found] == [RTP, RTCP]
    assert {captured.flow for captured in found} == {flow}
    assert found[1].seconds == pytest.approx(0.02, abs=1e-6)


def test_other_protocols_are_counted() -> None:
    capture = Capture(io.BytesIO(pcap(*(ipv4(udp(x)) for x in (STUN, DTLS, RTP, b"@", STUN)))))
    assert [captured.data for captured in capture] == [RTP]
    assert capture.counters == {"stun": 2, "dtls": 1, "other": 1}


def test_headers_alone_are_passed_over() -> None:
    data = rtpdump((0, RTP)) + struct.pack("!HHI", 20, 200, 20) + RTP[:12]
    capture = Capture(io.BytesIO(data))
    assert len(list(capture)) == 1
    assert capture.counters == {"incomplete": 1}


@pytest.mark.parametrize("missing", range(1, len(RTP) + 8))
def test_a_dump_that_breaks_off_gives_what_is_whole(missing: int) -> None:
    capture = Capture(io.BytesIO(rtpdump((0, RTP), (1, RTP))[:-missing]))
    assert len(list(capture)) == 1
    assert capture.counters == {"truncated": 1}


def test_a_record_shorter_than_its_header_ends_the_file() -> None:
    capture = Capture(io.BytesIO(rtpdump((0, RTP)) + struct.pack("!HHI", 7, 0, 0) + bytes(40)))
    assert len(list(capture)) == 1
    assert capture.counters == {"truncated": 1}


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "rtpdump"),
        (b"RIFF....WAVE", "rtpdump"),
        (b"RIFF....WAVE", "pcapng"),
        (b"\x1f\x8b\x08", "gzip"),
        (b"\x1f\x8bnothing like it", "gzip"),
        (b"\x0a\x0d\x0d\x0a" + bytes(28), "section header"),
        (b"#!rtpplay1.0 1.2.3.4/5", "header"),
        (b"#!rtpplay1.0 1.2.3.4/5\n" + bytes(15), "header"),
        (b"#!rtpplay2.0 1.2.3.4/5\n" + bytes(16), "header"),
        (b"#!rtpplay1.0 " + b"1" * 300 + b"\n" + bytes(16), "header"),
    ],
)
def test_refused(data: bytes, says: str) -> None:
    with pytest.raises(BadInput, match="capture") as refused:
        Capture(io.BytesIO(data))
    assert says in str(refused.value)


@pytest.mark.parametrize(("offset", "size"), [(-0.1, 20), (0.0, 0xFFFF - 7)])
def test_what_the_format_cannot_hold_is_not_written(offset: float, size: int) -> None:
    with pytest.raises(ValueError, match="rtpdump cannot hold"):
        rtpdump((offset, bytes(size)))


@given(st.lists(st.tuples(st.integers(0, 10**6), st.binary(max_size=60))))
def test_any_datagrams_come_back(given_: list[tuple[int, bytes]]) -> None:
    datagrams = [(milliseconds / 1e3, data) for milliseconds, data in given_]
    media = [x for x in datagrams if protocol(x[1]) in (Protocol.RTP, Protocol.RTCP)]
    capture = Capture(io.BytesIO(rtpdump(*datagrams)))
    assert [(captured.seconds, captured.data) for captured in capture] == media
    assert capture.counters.total() == len(datagrams) - len(media)


HEADS = [b"", rtpdump(), pcap(), pcap(link=1), pcap(order=">")]


@given(st.sampled_from(HEADS), st.binary(max_size=300))
def test_a_malformed_file_is_refused_or_ends(head: bytes, rest: bytes) -> None:
    try:
        capture = Capture(io.BytesIO(head + rest))
    except BadInput:
        return
    for captured in capture:
        assert len(captured.data) >= 8


@pytest.mark.parametrize("missing", [0, 40, 200])
def test_a_file_may_be_compressed(missing: int) -> None:
    data = pcap(*(ipv4(udp(RTP + random.Random(index).randbytes(40))) for index in range(40)))
    compressed = gzip.compress(data)
    capture = Capture(io.BytesIO(compressed[: len(compressed) - missing]))
    found = [captured.data[: len(RTP)] for captured in capture]
    assert (found == [RTP] * 40) is (not missing)
    assert capture.counters == (Counter(truncated=1) if missing else Counter())


def test_dtls_is_shown() -> None:
    seen: list[Captured] = []
    capture = Capture(io.BytesIO(pcap(ipv4(udp(DTLS)), ipv4(udp(RTP)))), seen.append)
    assert [captured.data for captured in capture] == [RTP]
    assert [captured.data for captured in seen] == [DTLS]


def test_a_clock_that_was_set_makes_no_time() -> None:
    elapsed = Elapsed()
    moments = [5, 5.02, 1, 1.02, 1.01, 1.04, 1.04 + LONGEST_GAP, 2 * LONGEST_GAP + 9]
    assert [round(elapsed.reach(moment), 6) for moment in moments] == [
        5, 5.02, 5.02, 5.04, 5.04, 5.06, 5.06 + LONGEST_GAP, 5.06 + LONGEST_GAP,
    ]  # fmt: skip


GOOD = [
    pcap(*(ethernet(ipv4(udp(RTP))) for _ in range(5)), link=1),
    pcapng(*(enhanced(ipv4(udp(RTP)), index) for index in range(5))),
    rtpdump(*((0.02 * index, RTP) for index in range(5))),
    mjr(*((20 * index, RTP) for index in range(5))),
    gzip.compress(pcap(*(ipv4(udp(RTP)) for _ in range(5)))),
]


@given(st.sampled_from(GOOD), st.lists(st.tuples(st.integers(0, 10**4), st.integers(0, 255))))
def test_a_damaged_file_never_raises(good: bytes, damage: list[tuple[int, int]]) -> None:
    data = bytearray(good)
    for at, value in damage:
        data[at % len(data)] = value
    try:
        capture = Capture(io.BytesIO(bytes(data)))
    except BadInput:
        return
    assert len(list(capture)) <= 5 * len(data)
