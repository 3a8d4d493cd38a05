"""What proves packets within TCP, and what bytes at random must not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slicer.rooms.replay.framing import COOKIE, Framing, proven
from tests.harness.rooms.captures import channel_data, counted, interleaved, rtcp_sr, rtp

STUN = b"\x01\x01\x00\x04" + COOKIE + bytes(12) + b"attr"
DTLS = b"\x16\xfe\xfd" + bytes(20)
MEDIA = [rtp(96, 65_535), rtp(8, 9, ssrc=7), rtp(96, 0)]


@pytest.mark.parametrize(
    ("packets", "expected"),
    [
        (MEDIA, True),
        (MEDIA[:2], False),  # one of each source
        ([rtp(96, 1), rtp(96, 3)], False),
        ([channel_data(one) for one in MEDIA], True),
        ([STUN], True),
        ([STUN[:-1]], False),
        ([rtcp_sr(5)], True),
        ([rtcp_sr(5) + rtcp_sr(6)], True),
        ([rtcp_sr(5) + b"\0"], False),
        ([DTLS, b""], False),
    ],
)
def test_what_proves_packets(packets: list[bytes], expected: bool) -> None:
    assert proven(packets) is expected


@pytest.mark.parametrize(
    ("framing", "stream"),
    [
        (Framing.RTSP, interleaved([*MEDIA, rtcp_sr(1)])),
        (Framing.LENGTH, counted([STUN, DTLS, *MEDIA, rtcp_sr(1)])),
        (Framing.TURN, STUN + b"".join(channel_data(one, padded=True) for one in MEDIA)),
    ],
)
def test_frames_follow_each_other_to_the_end(framing: Framing, stream: bytes) -> None:
    frames, end = framing.chain(stream, 0)
    assert (end, frames[0].next) == (len(stream), next(iter(frames)).next)
    assert proven([stream[one.start : one.end] for one in frames])
    assert next(framing.starts(stream)) == 0
    whole = [one for one in frames if one.next < len(stream)]
    assert framing.chain(stream[:-1], 0)[0] == whole
    assert not framing.ends(stream[:-1], whole[-1].next)


@pytest.mark.parametrize("framing", [Framing.LENGTH, Framing.TURN])
def test_what_can_be_no_frame(framing: Framing) -> None:
    assert framing.ends(b"GET / HTTP/1.1\r\n\r\n", 0)
    assert not framing.ends(b"GET", 0)


@given(st.binary(max_size=4_000))
def test_bytes_at_random_prove_nothing(data: bytes) -> None:
    for framing in Framing:
        for at in framing.starts(data):
            frames, end = framing.chain(data, at)
            assert at <= end <= len(data)
            assert not proven([data[one.start : one.end] for one in frames])
