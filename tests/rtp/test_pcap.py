"""UDP out of pcap files of every supported form, written here byte by byte."""

import io
import struct
from collections import Counter
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slicer.errors import BadInput
from slicer.rtp.pcap import LINKS, MAX_RECORD, Datagram, PcapReader

PAYLOAD = b"\x80payload"
V4 = Datagram("10.0.0.1:5004", "10.0.0.2:5006", PAYLOAD)
V6 = Datagram("[2001:db8::1]:5004", "[2001:db8::2]:5006", PAYLOAD)
BEGAN = 1_700_000_000


def udp(payload: bytes = PAYLOAD) -> bytes:
    return struct.pack("!HHHH", 5004, 5006, 8 + len(payload), 0) + payload


def ipv4(segment: bytes, *, protocol: int = 17, fragment: int = 0, options: bytes = b"") -> bytes:
    words = 5 + len(options) // 4
    header = struct.pack(
        "!BBHHHBBH", 0x40 | words, 0, words * 4 + len(segment), 1, fragment, 64, protocol, 0
    )
    addresses = ip_address("10.0.0.1").packed + ip_address("10.0.0.2").packed
    return header + addresses + options + segment


def ipv6(segment: bytes, following: int = 17) -> bytes:
    header = struct.pack("!IHBB", 6 << 28, len(segment), following, 64)
    ends = ip_address("2001:db8::1").packed + ip_address("2001:db8::2").packed
    return header + ends + segment


def ethernet(packet: bytes, kind: int = 0x0800, tags: bytes = b"") -> bytes:
    return bytes(12) + tags + kind.to_bytes(2) + packet


def pcap(
    *frames: bytes, link: int = 101, order: str = "<", nanoseconds: bool = False, cut: int = 0
) -> bytes:
    """A file of these frames, one every 20 ms; *cut* bytes of each are said to be missing."""
    magic = 0xA1B23C4D if nanoseconds else 0xA1B2C3D4
    file = struct.pack(f"{order}IHHiIII", magic, 2, 4, 0, 0, 65_535, link)
    for index, frame in enumerate(frames):
        fraction = index * 20_000 * (1_000 if nanoseconds else 1)
        sizes = len(frame), len(frame) + cut
        file += struct.pack(f"{order}IIII", BEGAN, fraction, *sizes) + frame
    return file


def read(data: bytes) -> tuple[list[tuple[float, Datagram]], Counter[str]]:
    file, counters = io.BytesIO(data), Counter[str]()
    return list(PcapReader(file.read(4), file, counters)), counters


@pytest.mark.parametrize(
    ("link", "frame", "expected"),
    [
        (0, b"\x02\0\0\0" + ipv4(udp()), V4),
        (0, b"\x1e\0\0\0" + ipv6(udp()), V6),
        (1, ethernet(ipv4(udp())), V4),
        (1, ethernet(ipv6(udp()), 0x86DD), V6),
        (1, ethernet(ipv4(udp()) + bytes(6)), V4),  # padded to Ethernet's least size
        (1, ethernet(ipv4(udp()), tags=b"\x81\x00\x00\x07"), V4),
        (1, ethernet(ipv4(udp()), tags=b"\x88\xa8\x00\x01\x81\x00\x00\x07"), V4),
        (12, ipv4(udp()), V4),
        (101, ipv4(udp()), V4),
        (101, ipv4(udp(), options=bytes(8)), V4),
        (101, ipv4(udp(), fragment=0x4000), V4),  # "don't fragment" is no fragment
        (101, ipv6(udp()), V6),
        (101, ipv6(b"\x11\x00" + bytes(6) + udp(), following=0), V6),  # hop-by-hop options
        (113, bytes(14) + b"\x08\x00" + ipv4(udp()), V4),
        (276, b"\x86\xdd" + bytes(18) + ipv6(udp()), V6),
    ],
)
def test_link_layers(link: int, frame: bytes, expected: Datagram) -> None:
    assert read(pcap(frame, link=link)) == ([(0.0, expected)], Counter())


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("nanoseconds", [False, True])
def test_byte_orders_and_units(order: str, nanoseconds: bool) -> None:
    found, counters = read(pcap(*[ipv4(udp())] * 3, order=order, nanoseconds=nanoseconds))
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
        (101, ipv4(udp(), fragment=0x2000), "fragment"),
        (101, ipv4(udp(), fragment=0x00B9), "fragment"),
        (101, ipv6(b"\x11\0\0\0\0\0\0\1" + udp(), following=44), "fragment"),
        (101, ipv4(udp())[:30], "malformed"),
        (101, ipv4(udp())[:15], "malformed"),
        (101, ipv6(udp())[:44], "malformed"),
        (101, ipv4(udp()[:6]), "malformed"),
        (101, ipv4(b"\x13\x8c\x13\x8e\x00\x04\0\0"), "malformed"),
    ],
)
def test_what_is_no_udp_is_counted(link: int, frame: bytes, counter: str) -> None:
    assert read(pcap(frame, link=link)) == ([], Counter([counter]))


def test_a_short_record_is_passed_over() -> None:
    assert read(pcap(ipv4(udp()), cut=9)) == ([], Counter(["incomplete"]))


def test_a_segmenting_card_leaves_no_length() -> None:
    packet = bytearray(ipv4(udp()))
    packet[2:4] = b"\0\0"
    assert read(pcap(bytes(packet)))[0] == [(0.0, V4)]


@pytest.mark.parametrize("missing", range(1, 16))
def test_a_file_that_breaks_off_gives_what_is_whole(missing: int) -> None:
    found, counters = read(pcap(ipv4(udp()), ipv4(udp()))[:-missing])
    assert (len(found), counters) == (1, Counter(["truncated"]))


def test_a_record_is_believed_up_to_the_bound() -> None:
    largest = ipv4(udp()) + bytes(MAX_RECORD - len(ipv4(udp())))
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
    frame = bytearray(ethernet(data.draw(st.sampled_from([ipv4(udp()), ipv6(udp())])), 0x0800))
    for at in data.draw(st.lists(st.integers(0, len(frame) - 1))):
        frame[at] = data.draw(st.integers(0, 255))
    found, counters = read(pcap(bytes(frame[: data.draw(st.integers(0, 80))]), link=1))
    assert len(found) + counters.total() == 1
