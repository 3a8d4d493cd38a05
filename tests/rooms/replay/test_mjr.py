"""Recordings of Janus: their header tells the codec, their frames the packets and times."""

import io
import json
import struct
from collections import Counter

import pytest

from slicer.errors import BadInput
from slicer.rooms.replay.mjr import Recorded, open_mjr
from slicer.rtp.parameters import OPUS, VP8, Kind, RtpParameters
from tests.harness.rooms.captures import mjr, rtp

PACKETS = [rtp(100, index, index * 960) for index in range(4)]


def read(data: bytes, counters: Counter[str] | None = None) -> Recorded:
    file = io.BytesIO(data)
    return open_mjr(file.read(8), file, Counter() if counters is None else counters)


def test_a_recording() -> None:
    recorded = read(mjr(*((20 * index, packet) for index, packet in enumerate(PACKETS))))
    assert recorded.began == 1_700_000_000
    assert recorded.stream == RtpParameters(Kind.AUDIO, {100: OPUS})
    assert list(recorded.packets) == [(index / 50, one) for index, one in enumerate(PACKETS)]


def test_header_extensions() -> None:
    header = {"t": "v", "c": "vp8", "x": {"3": "urn:3gpp:video-orientation", "99": "x", "4": 5}}
    recorded = read(mjr((0, PACKETS[0]), header=json.dumps(header).encode()))
    assert recorded.stream.codecs == {100: VP8}
    assert recorded.stream.extensions == {3: "urn:3gpp:video-orientation"}
    assert recorded.began == 0


def test_the_first_version_has_no_times() -> None:
    order = [0, 1, 3, 2]
    data = b"MJR00001" + mjr()[8:]
    for index in order:
        data += b"MEETECHO" + struct.pack("!H", len(PACKETS[index])) + PACKETS[index]
    assert [when for when, _ in read(data).packets] == pytest.approx([0, 0.02, 0.06, 0.04])


@pytest.mark.parametrize(
    ("header", "says"),
    [
        (b'{"t":"d","c":"text"}', "text"),
        (b'{"t":"a","c":"multiopus"}', "multiopus"),
        (b'{"t":"v","c":"opus"}', "opus"),
        (b'{"t":"a","c":"opus","e":true}', "end-to-end"),
        (b"[]", "header"),
        (b"{", "header"),
        (b"", "header"),
        (b"[" * 60_000, "header"),
        (b"\xff", "header"),
    ],
)
def test_refused(header: bytes, says: str) -> None:
    with pytest.raises(BadInput, match=says):
        read(mjr(header=header))


@pytest.mark.parametrize("began", [-1, 10**400, "x", None])
def test_a_time_that_cannot_be_is_none(began: object) -> None:
    assert read(mjr(header=json.dumps({"t": "a", "c": "opus", "u": began}).encode())).began == 0


@pytest.mark.parametrize("missing", range(1, 27))
def test_a_file_that_breaks_off_gives_what_is_whole(missing: int) -> None:
    counters = Counter[str]()
    recorded = read(mjr((0, PACKETS[0]), (20, PACKETS[1]))[:-missing], counters)
    assert len(list(recorded.packets)) == 1
    assert counters == {"truncated": 1}
