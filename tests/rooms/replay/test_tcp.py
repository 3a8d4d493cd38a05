"""RTSP's interleaved frames, out of segments in any order, with holes, beside messages."""

import random
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from slicer.rooms.replay.tcp import MAX_HELD, MAX_STREAMS, TcpStreams
from tests.harness.rooms.captures import rtcp_sr, rtp, tcp

FLOW = ("10.0.0.1:554", "10.0.0.2:5006")
PACKETS = [rtp(96, index, payload=bytes([index]) * (100 + index)) for index in range(20)]
MESSAGE = b"RTSP/1.0 200 OK\r\nCSeq: 3\r\nSession: $$2\r\n\r\n"


def interleaved(packets: list[bytes], channel: int = 0) -> bytes:
    return b"".join(b"$" + bytes([channel]) + len(one).to_bytes(2) + one for one in packets)


def segments(stream: bytes, size: int, first: int = 1) -> list[bytes]:
    return [
        tcp(stream[at : at + size], (first + at) & 0xFFFFFFFF) for at in range(0, len(stream), size)
    ]


def read(pieces: list[bytes]) -> tuple[list[bytes], Counter[str]]:
    counters = Counter[str]()
    streams = TcpStreams(counters)
    return [one for piece in pieces for one in streams.receive(FLOW, piece)], counters


@given(st.integers(1, 700), st.sampled_from([1, 2**32 - 100]))
def test_segments_of_any_size(size: int, first: int) -> None:
    stream = interleaved(PACKETS[:10]) + MESSAGE + interleaved([rtcp_sr(1)], 1)
    stream += interleaved(PACKETS[10:])
    assert read(segments(stream, size, first))[0] == [*PACKETS[:10], rtcp_sr(1), *PACKETS[10:]]


@given(st.randoms(use_true_random=False))
def test_segments_out_of_order_and_repeated(order: random.Random) -> None:
    pieces = segments(interleaved(PACKETS), 90)
    shuffled = [*pieces, *pieces[3:9]]
    order.shuffle(shuffled)
    assert read([pieces[0], *shuffled])[0] == PACKETS


def test_messages_alone_are_no_media() -> None:
    assert read([tcp(MESSAGE), tcp(b"$\xff\0\x0c" + bytes(20))]) == ([], Counter({"not udp": 2}))


def test_a_hole_is_given_up_and_the_next_frame_found() -> None:
    packets = [rtp(96, index, payload=bytes(1_000)) for index in range(MAX_HELD // 1_000 + 50)]
    pieces = segments(interleaved(packets), 1_460)
    found, _ = read([*pieces[:5], *pieces[6:]])
    assert set(packets) - set(found) <= set(packets[4:9])
    assert found == [packet for packet in packets if packet in found]


def test_a_capture_that_begins_in_the_middle() -> None:
    assert read(segments(interleaved(PACKETS)[50:], 200))[0] == PACKETS[1:]


def test_a_new_connection_of_the_same_ports() -> None:
    first = segments(interleaved(PACKETS[:3]), 100, 1_000)
    second = [tcp(b"", 77, flags=2), *segments(interleaved(PACKETS[3:]), 100, 78)]
    assert read([*first, *second])[0] == PACKETS


def test_connections_are_bounded() -> None:
    streams = TcpStreams(Counter())
    half = interleaved(PACKETS[:1])
    streams.receive(FLOW, tcp(half[:50]))
    for port in range(MAX_STREAMS):
        streams.receive(("10.0.0.9", str(port)), tcp(b"x"))
    assert streams.receive(FLOW, tcp(half[50:], 51)) == []


@given(st.lists(st.binary(max_size=60)))
def test_garbage_never_raises(pieces: list[bytes]) -> None:
    assert all(one[0] >> 6 == 2 for one in read([tcp(b"$"), *pieces])[0])
