"""UDP out of pcap files of every supported form, written here byte by byte."""

import io
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slicer.errors import BadInput
from slicer.rooms.replay.pcap import LINKS, MAX_RECORD, Datagram, PcapReader
from tests.harness.rooms.captures import ethernet, ipv4, ipv6, pcap, udp

PAYLOAD = b"\x80payload"
V4 = Datagram("10.0.0.1:5004", "10.0.0.2:5006", PAYLOAD)
V6 = Datagram("[2001:db8::1]:5004", "[2001:db8::2]:5006", PAYLOAD)


def read(data: bytes) -> tuple[list[tuple[float, Datagram]], Counter[str]]:
    file, counters = io.BytesIO(data), Counter[str]()
    return list(PcapReader(file.read(4), file, counters)), counters


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
    ],
)
def test_link_layers(link: int, frame: bytes, expected: Datagram) -> None:
    assert read(pcap(frame, link=link)) == ([(0.0, expected)], Counter())


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("nanoseconds", [False, True])
def test_byte_orders_and_units(order: str, nanoseconds: bool) -> None:
    found, counters = read(pcap(*[ipv4(udp(PAYLOAD))] * 3, order=order, nanoseconds=nanoseconds))
    assert [seconds for seconds, _ in found] == pytest.approx([0, 0.02, 0.04], abs=1e-6)
    assert not counters


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
        (101, ipv6(b"\x11\0\0\0\0\0\0\1" + udp(PAYLOAD), following=44), "fragment"),
        (101, ipv4(udp(PAYLOAD))[:30], "malformed"),
        (101, ipv4(udp(PAYLOAD))[:15], "malformed"),
        (101, ipv6(udp(PAYLOAD))[:44], "malformed"),
        (101, ipv4(udp(PAYLOAD)[:6]), "malformed"),
        (101, ipv4(b"\x13\x8c\x13\x8e\x00\x04\0\0"), "malformed"),
    ],
)
def test_what_is_no_udp_is_counted(link: int, frame: bytes, counter: str) -> None:
    assert read(pcap(frame, link=link)) == ([], Counter([counter]))


def test_a_short_record_is_passed_over() -> None:
    assert read(pcap(ipv4(udp(PAYLOAD)), cut=9)) == ([], Counter(["incomplete"]))


def test_a_segmenting_card_leaves_no_length() -> None:
    packet = bytearray(ipv4(udp(PAYLOAD)))
    packet[2:4] = b"\0\0"
    assert read(pcap(bytes(packet)))[0] == [(0.0, V4)]


@pytest.mark.parametrize("missing", range(1, 16))
def test_a_file_that_breaks_off_gives_what_is_whole(missing: int) -> None:
    found, counters = read(pcap(ipv4(udp(PAYLOAD)), ipv4(udp(PAYLOAD)))[:-missing])
    assert (len(found), counters) == (1, Counter(["truncated"]))


def test_a_record_is_believed_up_to_the_bound() -> None:
    largest = ipv4(udp(PAYLOAD)) + bytes(MAX_RECORD - len(ipv4(udp(PAYLOAD))))
    assert len(read(pcap(largest))[0]) == 1
    assert read(pcap(largest + b"\0")) == ([], Counter(["truncated"]))


@pytest.mark.parametrize(
    ("data", "says"),
    [(pcap()[:20], "24 bytes"), (pcap(link=147), "link type 147")],
)
def test_refused(data: bytes, says: str) -> None:
    with pytest.raises(BadInput, match=says):
        read(data)


def test_a_file_without_records_is_empty() -> None:
    assert read(pcap()) == ([], Counter())


@given(st.sampled_from(sorted(LINKS)), st.lists(st.binary(max_size=80)), st.binary(max_size=40))
def test_garbage_is_counted(link: int, frames: list[bytes], rest: bytes) -> None:
    found, counters = read(pcap(*frames, link=link) + rest)
    assert len(found) + counters.total() >= len(frames)


@given(st.data())
def test_a_damaged_packet_never_raises(data: st.DataObject) -> None:
    frame = bytearray(
        ethernet(data.draw(st.sampled_from([ipv4(udp(PAYLOAD)), ipv6(udp(PAYLOAD))])), 0x0800)
    )
    for at in data.draw(st.lists(st.integers(0, len(frame) - 1))):
        frame[at] = data.draw(st.integers(0, 255))
    found, counters = read(pcap(bytes(frame[: data.draw(st.integers(0, 80))]), link=1))
    assert len(found) + counters.total() == 1
