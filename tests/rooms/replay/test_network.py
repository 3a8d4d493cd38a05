"""Datagrams out of frames of every link layer, in every wrapping, written here byte by byte."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slicer.rooms.replay.link import LINKS
from slicer.rooms.replay.network import Datagram, Endpoints, Network
from tests.harness.rooms.captures import (
    channel_data,
    counted,
    ethernet,
    gre,
    interleaved,
    ipv4,
    ipv6,
    rtp,
    tcp,
    udp,
)

PAYLOAD = b"\x80payload"
V4 = Datagram(Endpoints("10.0.0.1:5004", "10.0.0.2:5006"), PAYLOAD)
V6 = Datagram(Endpoints("[2001:db8::1]:5004", "[2001:db8::2]:5006"), PAYLOAD)
PPPOE = b"\x11\x00\x00\x01\x00\x40"
LABELS = bytes.fromhex("00010040 00020140")
ETHERNET_V4 = ethernet(ipv4(udp(PAYLOAD)))


def read(*frames: bytes, link: int = 101) -> tuple[list[Datagram], Counter[str]]:
    counters = Counter[str]()
    network = Network(counters)
    found = [datagram for frame in frames for datagram in network.receive(link, frame)]
    network.close()
    return found, counters


@pytest.mark.parametrize(
    ("link", "frame", "expected"),
    [
        (0, b"\x02\0\0\0" + ipv4(udp(PAYLOAD)), V4),
        (0, b"\x1e\0\0\0" + ipv6(udp(PAYLOAD)), V6),
        (1, ethernet(ipv4(udp(PAYLOAD))), V4),
        (1, ethernet(ipv6(udp(PAYLOAD)), 0x86DD), V6),
        (1, ethernet(ipv4(udp(PAYLOAD)) + bytes(6)), V4),  # padded to Ethernet's least size
        (1, ethernet(ipv4(udp(PAYLOAD)), tags=b"\x81\x00\x00\x07"), V4),
        (1, ethernet(ipv4(udp(PAYLOAD)), tags=b"\x88\xa8\x00\x01\x81\x00\x00\x07"), V4),
        (12, ipv4(udp(PAYLOAD)), V4),
        (101, ipv4(udp(PAYLOAD)), V4),
        (101, ipv4(udp(PAYLOAD), options=bytes(8)), V4),
        (101, ipv4(udp(PAYLOAD), fragment=0x4000), V4),  # "don't fragment" is no fragment
        (101, ipv6(udp(PAYLOAD)), V6),
        (101, ipv6(b"\x11\x00" + bytes(6) + udp(PAYLOAD), following=0), V6),  # hop-by-hop options
        (113, bytes(14) + b"\x08\x00" + ipv4(udp(PAYLOAD)), V4),
        (276, b"\x86\xdd" + bytes(18) + ipv6(udp(PAYLOAD)), V6),
        (9, b"\x00\x21" + ipv4(udp(PAYLOAD)), V4),
        (14, ipv4(udp(PAYLOAD)), V4),
        (50, b"\xff\x03\x00\x57" + ipv6(udp(PAYLOAD)), V6),
        (51, PPPOE + b"\x00\x21" + ipv4(udp(PAYLOAD)), V4),
        (104, b"\x0f\x00\x08\x00" + ipv4(udp(PAYLOAD)), V4),
        (108, b"\0\0\0\x02" + ipv4(udp(PAYLOAD)), V4),
        (228, ipv4(udp(PAYLOAD)), V4),
        (229, ipv6(udp(PAYLOAD)), V6),
        (1, ethernet(ipv4(udp(PAYLOAD)), tags=b"\x91\x00\x00\x01\x81\x00\x00\x07"), V4),
        (1, ethernet(PPPOE + b"\x00\x21" + ipv4(udp(PAYLOAD)), 0x8864), V4),
        (1, ethernet(PPPOE + b"\x00\x57" + ipv6(udp(PAYLOAD)), 0x8864), V6),
        (1, ethernet(LABELS + ipv4(udp(PAYLOAD)), 0x8847), V4),
        (1, ethernet(LABELS + ipv6(udp(PAYLOAD)), 0x8847), V6),
        (1, ethernet(LABELS + bytes(4) + ethernet(ipv4(udp(PAYLOAD))), 0x8847), V4),
        (101, ipv4(gre(0x0800, ipv4(udp(PAYLOAD))), protocol=47), V4),
        (101, ipv4(gre(0x86DD, ipv6(udp(PAYLOAD)), 0xB000), protocol=47), V6),
        (101, ipv6(gre(0x6558, ethernet(ipv4(udp(PAYLOAD)))), following=47), V4),
        (101, ipv4(gre(0x88BE, ethernet(ipv4(udp(PAYLOAD)))), protocol=47), V4),
        (101, ipv4(gre(0x88BE, bytes(8) + ETHERNET_V4, 0x1000), protocol=47), V4),
        (101, ipv4(ipv6(udp(PAYLOAD)), protocol=41), V6),
        (101, ipv4(ipv4(udp(PAYLOAD)), protocol=4), V4),
        (101, ipv4(udp(b"\x08" + bytes(7) + ETHERNET_V4, destination=4789)), V4),
        (101, ipv6(b"\x11\0\0\0\0\0\0\1" + udp(PAYLOAD), following=44), V6),  # the whole of it
    ],
)
def test_link_layers(link: int, frame: bytes, expected: Datagram) -> None:
    assert read(frame, link=link) == ([expected], Counter())


@pytest.mark.parametrize(
    ("link", "frame", "counter"),
    [
        (1, ethernet(bytes(28), 0x0806), "not ip"),
        (101, b"\x70" + bytes(40), "not ip"),
        (101, b"", "not ip"),
        (101, ipv4(bytes(20), protocol=6), "not udp"),
        (101, ipv6(bytes(20), following=6), "not udp"),
        (101, ipv4(udp(PAYLOAD), fragment=0x2000), "fragment"),
        (101, ipv4(udp(PAYLOAD), fragment=0x00B9), "fragment"),
        (101, ipv6(b"\x11\0\0\1\0\0\0\1" + udp(PAYLOAD), following=44), "fragment"),
        (101, ipv4(gre(0x0800, ipv4(udp(PAYLOAD)), 0x4000), protocol=47), "malformed"),
        (101, ipv4(gre(0x0800, b"")[:3], protocol=47), "malformed"),
        (101, ipv4(tcp(b"GET / HTTP/1.1\r\n\r\n"), protocol=6), "not udp"),
        (147, bytes(40), "unknown link type"),
        (1, ethernet(LABELS[:4], 0x8847), "not ip"),
        (101, ipv4(udp(PAYLOAD))[:30], "malformed"),
        (101, ipv4(udp(PAYLOAD))[:15], "malformed"),
        (101, ipv6(udp(PAYLOAD))[:44], "malformed"),
        (101, ipv4(udp(PAYLOAD)[:6]), "malformed"),
        (101, ipv4(b"\x13\x8c\x13\x8e\x00\x04\0\0"), "malformed"),
    ],
)
def test_what_is_no_udp_is_counted(link: int, frame: bytes, counter: str) -> None:
    assert read(frame, link=link) == ([], Counter([counter]))


RTP = [rtp(96, index) for index in range(3)]
THEIRS = [Datagram(V4.flow, one) for one in RTP]
BOUND = bytes.fromhex(  # ChannelBind of 0x4001 to 10.9.9.9:4000 (RFC 8656 12)
    "0009 0014 2112a442 000000000000000000000000 000c 0004 40010000 0012 0008 0001 2eb2 2b1bad4b"
)


@pytest.mark.parametrize(
    ("stream", "expected"),
    [
        (b"RTSP/1.0 200 OK\r\n\r\n" + interleaved(RTP), THEIRS),
        (counted(RTP), THEIRS),
        (
            BOUND + b"".join(channel_data(one, 0x4001, padded=True) for one in RTP),
            [
                Datagram(V4.flow, BOUND),
                *(Datagram(Endpoints("10.0.0.1:5004", "10.9.9.9:4000"), one) for one in RTP),
            ],
        ),
    ],
)
def test_media_in_tcp(stream: bytes, expected: list[Datagram]) -> None:
    """With TURN, the flow is between client and peer as it is with UDP."""
    assert read(ipv4(tcp(stream), protocol=6)) == (expected, Counter())


def test_a_segmenting_card_leaves_no_length() -> None:
    packet = bytearray(ipv4(udp(PAYLOAD)))
    packet[2:4] = b"\0\0"
    assert read(bytes(packet))[0] == [V4]


@given(st.sampled_from(sorted(LINKS)), st.lists(st.binary(max_size=80)))
def test_garbage_is_counted(link: int, frames: list[bytes]) -> None:
    found, counters = read(*frames, link=link)
    assert len(found) + counters.total() >= len(frames)


@given(st.data())
def test_a_damaged_packet_never_raises(data: st.DataObject) -> None:
    frame = bytearray(
        ethernet(data.draw(st.sampled_from([ipv4(udp(PAYLOAD)), ipv6(udp(PAYLOAD))])), 0x0800)
    )
    for at in data.draw(st.lists(st.integers(0, len(frame) - 1))):
        frame[at] = data.draw(st.integers(0, 255))
    found, counters = read(bytes(frame[: data.draw(st.integers(0, 80))]), link=1)
    assert len(found) + counters.total() == 1


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0), (0, 0, 2, 1)])
def test_fragments_of_both_versions_are_put_together(order: tuple[int, ...]) -> None:
    datagram = udp(PAYLOAD + bytes(range(20)))
    parts = datagram[:16], datagram[16:32], datagram[32:]
    old = [
        ipv4(part, fragment=(0x2000 if index < 2 else 0) | index * 2)
        for index, part in enumerate(parts)
    ]
    new = [
        ipv6(bytes([17, 0, 0, index * 16 | (index < 2), 0, 0, 0, 9]) + part, following=44)
        for index, part in enumerate(parts)
    ]
    found, counters = read(*(old[index] for index in order), *(new[index] for index in order))
    whole = PAYLOAD + bytes(range(20))
    assert found == [V4._replace(data=whole), V6._replace(data=whole)]
    assert counters == Counter(fragment=2 * (len(order) - 3))


def test_tunnels_within_each_other_are_bounded() -> None:
    packet = ipv4(udp(PAYLOAD))
    for _ in range(3):
        packet = ipv4(packet, protocol=4)
    assert read(packet)[0] == [V4]
    assert read(ipv4(packet, protocol=4)) == ([], Counter(["not ip"]))


def test_tags_within_each_other_are_bounded() -> None:
    tags = b"\x81\x00\x00\x07"
    assert read(ethernet(ipv4(udp(PAYLOAD)), tags=tags * 14), link=1)[0] == [V4]
    assert read(ethernet(ipv4(udp(PAYLOAD)), tags=tags * 16), link=1)[1] == Counter(["not ip"])
