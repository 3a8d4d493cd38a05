"""Our reading of captures against Wireshark's: as many RTP packets of each source."""

import io
import shutil
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from slicer.rooms.replay.capture import Capture, Protocol, protocol
from tests.harness.rooms.captures import (
    channel_data,
    enhanced,
    ethernet,
    gre,
    interface,
    interleaved,
    ipv4,
    ipv6,
    rtp,
    section,
    tcp,
    udp,
)

pytestmark = pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")

PPPOE = b"\x11\x00\x00\x01"
QINQ = b"\x88\xa8\x00\x01\x81\x00\x00\x07"
LINKS = (1, 101, 113, 228, 229, 276)
COUNT = 3
"""Packets of each source; the source is the number of the wrapping."""


def wrapped(number: int) -> list[tuple[int, bytes]]:
    """Link type and frame of this source's packets, in the wrapping of its number."""
    packets = [rtp(0, index, 160 * index, bytes(160), number) for index in range(COUNT)]
    port = 6_000 + 2 * number
    datagrams = [udp(one, port, port) for one in packets]
    if number == 9:
        channel = [udp(channel_data(one), 50_000, 3_478) for one in packets]
        return [(101, ipv4(one)) for one in channel]
    if number == 10:
        setup = b"RTSP/1.0 200 OK\r\nCSeq: 1\r\n"
        setup += b"Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n\r\n"
        first = tcp(setup, 1, source=554)
        media = tcp(interleaved(packets), 1 + len(setup), source=554)
        return [(101, ipv4(one, protocol=6)) for one in (first, media)]
    return [one for data in datagrams for one in _in_datagrams(number, data)]


def _in_datagrams(number: int, data: bytes) -> list[tuple[int, bytes]]:
    if number == 2:
        head, rest = data[:80], data[80:]
        key = int.from_bytes(data[10:12]) + 1  # the sequence number tells the packets apart
        return [
            (101, ipv4(head, fragment=0x2000, number=key)),
            (101, ipv4(rest, fragment=10, number=key)),
        ]
    pppoe = PPPOE + (len(ipv4(data)) + 2).to_bytes(2) + b"\x00\x21" + ipv4(data)
    frames = {
        1: (1, ethernet(ipv4(data), tags=QINQ)),
        3: (101, ipv4(gre(0x0800, ipv4(data)), protocol=47)),
        4: (1, ethernet(pppoe, 0x8864)),
        5: (228, ipv4(data)),
        6: (229, ipv6(data)),
        7: (113, bytes(14) + b"\x08\x00" + ipv4(data)),
        8: (276, b"\x08\x00" + bytes(18) + ipv4(data)),
    }
    return [frames[number]]


def test_as_many_packets_of_each_source(tmp_path: Path) -> None:
    path = tmp_path / "all.pcapng"
    frames = [one for number in range(1, 11) for one in wrapped(number)]
    blocks = [
        enhanced(frame, 20_000 * at, LINKS.index(link)) for at, (link, frame) in enumerate(frames)
    ]
    path.write_bytes(section() + b"".join(map(interface, LINKS)) + b"".join(blocks))
    ours = Counter[int]()
    for captured in Capture(io.BytesIO(path.read_bytes())):
        assert protocol(captured.data) is Protocol.RTP
        ours[int.from_bytes(captured.data[8:12])] += 1
    command = ["tshark", "-n", "-r", str(path), "-Y", "rtp"]
    command += [
        "--enable-heuristic",
        "rtp_udp",
        "--enable-heuristic",
        "rtp_stun",
        "-T",
        "fields",
        "-e",
        "rtp.ssrc",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    sources = [source for line in done.stdout.split() for source in line.split(",")]
    theirs = Counter(int(source, 16) for source in sources)
    assert theirs == ours == Counter(dict.fromkeys(range(1, 11), COUNT))
