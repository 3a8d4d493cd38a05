"""Media out of TCP: each framing, segments of any size and order, holes, a start anywhere."""

import random
from collections import Counter
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slicer.rooms.replay.tcp import MAX_HELD, MAX_STREAMS, MAX_UNPROVEN, TcpStreams
from tests.harness.rooms.captures import channel_data, counted, interleaved, rtcp_sr, rtp, tcp

FLOW = ("10.0.0.1:554", "10.0.0.2:5006")
PACKETS = [rtp(96, index, payload=bytes([index]) * (100 + index)) for index in range(20)]
MESSAGE = b"RTSP/1.0 200 OK\r\nCSeq: 3\r\nSession: $$2\r\n\r\n"


def relayed(packets: list[bytes]) -> bytes:
    return b"".join(channel_data(packet, padded=True) for packet in packets)


def unwrapped(found: list[bytes]) -> list[bytes]:
    """What is within ChannelData; the others as they are."""
    return [packet[4:] if packet[0] >> 6 == 1 else packet for packet in found]


framings = pytest.mark.parametrize("frame", [interleaved, counted, relayed])


def segments(stream: bytes, size: int, first: int = 1) -> list[bytes]:
    return [
        tcp(stream[at : at + size], (first + at) & 0xFFFFFFFF) for at in range(0, len(stream), size)
    ]


def read(pieces: list[bytes]) -> tuple[list[bytes], Counter[str]]:
    counters = Counter[str]()
    streams = TcpStreams(counters)
    return [one for piece in pieces for one in streams.receive(FLOW, piece)], counters


@framings
@given(size=st.integers(1, 700), first=st.sampled_from([1, 2**32 - 100]))
def test_segments_of_any_size(frame: Callable[[list[bytes]], bytes], size: int, first: int) -> None:
    packets = [*PACKETS[:10], rtcp_sr(1), *PACKETS[10:]]
    found, _ = read(segments(frame(packets), size, first))
    assert unwrapped(found) == packets


@given(st.integers(1, 700))
def test_messages_of_rtsp_stand_between(size: int) -> None:
    stream = interleaved(PACKETS[:10]) + MESSAGE + interleaved([rtcp_sr(1)], 1)
    stream += interleaved(PACKETS[10:])
    assert read(segments(stream, size))[0] == [*PACKETS[:10], rtcp_sr(1), *PACKETS[10:]]


@framings
@given(cut=st.integers(1, 1_000))
def test_from_the_middle_on(frame: Callable[[list[bytes]], bytes], cut: int) -> None:
    """Whatever byte a capture begins with, each packet that is whole is read."""
    stream = frame(PACKETS)
    whole = [one for at, one in enumerate(PACKETS) if len(frame(PACKETS[:at])) >= cut]
    assert unwrapped(read(segments(stream[cut:], 300))[0]) == whole


@framings
def test_behind_a_hole(frame: Callable[[list[bytes]], bytes]) -> None:
    packets = [rtp(96, index, payload=bytes(1_000)) for index in range(MAX_HELD // 1_000 + 50)]
    pieces = segments(frame(packets), 1_460)
    found = unwrapped(read([*pieces[:5], *pieces[6:]])[0])
    assert set(packets) - set(found) <= set(packets[4:9])
    assert found == [packet for packet in packets if packet in found]


def test_an_empty_frame_keeps_alive() -> None:
    stream = counted([*PACKETS[:3], b"", b"", *PACKETS[3:6]])
    assert read(segments(stream, 64))[0] == PACKETS[:6]


@framings
def test_what_makes_no_sense_is_passed_over(frame: Callable[[list[bytes]], bytes]) -> None:
    stream = frame(PACKETS[:4]) + bytes(40) + frame(PACKETS[4:8])
    assert unwrapped(read(segments(stream, 128))[0]) == PACKETS[:8]


def test_what_is_not_proven_is_bounded() -> None:
    """A frame that is too far from the first to tell is no proof of it."""
    apart = [rtp(96, 7 * index, payload=bytes(1_000)) for index in range(MAX_UNPROVEN // 1_000 + 9)]
    found, counters = read(segments(counted([*apart, *PACKETS]), 1_460))
    assert 0 < len(found) < len(apart) + len(PACKETS)
    assert found == [*apart, *PACKETS][-len(found) :]
    assert counters["not udp"] > 0


@given(st.randoms(use_true_random=False))
def test_segments_out_of_order_and_repeated(order: random.Random) -> None:
    pieces = segments(interleaved(PACKETS), 90)
    shuffled = [*pieces, *pieces[3:9]]
    order.shuffle(shuffled)
    assert read([pieces[0], *shuffled])[0] == PACKETS


def test_messages_alone_are_no_media() -> None:
    assert read([tcp(MESSAGE), tcp(b"$\xff\0\x0c" + bytes(20), 1 + len(MESSAGE))]) == (
        [],
        Counter({"not udp": 2}),
    )


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
