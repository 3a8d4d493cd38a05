"""Session descriptions: what is read from a browser's offer, and what is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slicer.errors import BadInput
from slicer.rtp.parameters import H264, MID, OPUS, PCMA, PCMU, VP8, Codec, Kind
from slicer.rtp.sdp import MAX_MEDIA, parse_sdp

OFFER = """v=0
o=- 1 2 IN IP4 127.0.0.1
s=-
t=0 0
a=group:BUNDLE 0 1
m=audio 9 UDP/TLS/RTP/SAVPF 111 0 8
a=mid:0
a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid
a=extmap:2/recvonly http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time
a=rtpmap:111 opus/48000/2
a=fmtp:111 minptime=10;useinbandfec=1
m=application 9 UDP/DTLS/SCTP webrtc-datachannel
a=mid:2
m=video 9 UDP/TLS/RTP/SAVPF 96 97 102
a=mid:1
a=rtpmap:96 VP8/90000
a=rtcp-fb:96 nack
a=rtcp-fb:96 nack pli
a=rtcp-fb:* ccm fir
a=rtpmap:97 rtx/90000
a=fmtp:97 apt=96
a=rtpmap:102 H264/90000
a=fmtp:102 level-asymmetry-allowed=1; packetization-mode=1; profile-level-id=42e01f
"""


def test_audio() -> None:
    audio = parse_sdp(OFFER)[0]
    assert (audio.kind, audio.mid, audio.rtx) == (Kind.AUDIO, "0", {})
    opus = Codec("opus", 48_000, 2, {"minptime": "10", "useinbandfec": "1"})
    assert audio.codecs == {111: opus, 0: PCMU, 8: PCMA}
    assert audio.extensions[4] == MID
    assert audio.extensions[2].endswith("abs-send-time")
    assert audio.feedback == frozenset()


def test_video() -> None:
    video = parse_sdp(OFFER)[1]
    assert (video.kind, video.mid, video.rtx) == (Kind.VIDEO, "1", {97: 96})
    assert video.codecs[96] == VP8
    assert (video.codecs[102].name, video.codecs[102].clock_rate) == (H264.name, 90_000)
    assert video.codecs[102].format["packetization-mode"] == "1"
    assert video.feedback == {"nack", "nack pli", "ccm fir"}


def test_lines_may_end_as_the_standard_says() -> None:
    assert parse_sdp(OFFER.replace("\n", "\r\n")) == parse_sdp(OFFER)


def test_only_offered_payload_types_count() -> None:
    (audio,) = parse_sdp("m=audio 5004 RTP/AVP 96\na=rtpmap:96 opus/48000/2\na=rtpmap:97 x/1\n")
    assert audio.codecs == {96: OPUS}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "0 of them"),
        ("v=0\ns=-\n", "0 of them"),
        ("m=audio 5004 RTP/AVP 96\n", "payload type 96 has no a=rtpmap"),
        ("m=audio 5004 RTP/AVP opus\n", "sdp line 1"),
        ("m=audio\n", "sdp line 1"),
        ("m=video 5004 UDP/FEC 96\n", "is not RTP"),
        ("m=audio 1 RTP/AVP 96\na=rtpmap:96 opus\n", "sdp line 2"),
        ("m=audio 1 RTP/AVP 96\na=rtpmap:999 opus/48000\n", "sdp line 2"),
        ("m=audio 1 RTP/AVP 96\na=rtpmap:96 opus/0\n", "without a name or a clock"),
        ("m=audio 1 RTP/AVP 96\na=extmap:1\n", "sdp line 2"),
        ("m=video 1 RTP/AVP 97\na=rtpmap:97 rtx/90000\n", "is not a number"),
        ("m=audio 1 RTP/AVP 0\n" * (MAX_MEDIA + 1), f"{MAX_MEDIA + 1} of them"),
    ],
)
def test_refused(text: str, says: str) -> None:
    with pytest.raises(BadInput, match="sdp") as refused:
        parse_sdp(text)
    assert says in str(refused.value)


@given(st.lists(st.sampled_from(OFFER.splitlines()) | st.text(max_size=30)).map("\n".join))
def test_whatever_comes_is_read_or_refused(text: str) -> None:
    try:
        media = parse_sdp(text)
    except BadInput:
        return
    assert all(0 <= payload_type < 128 for one in media for payload_type in one.codecs)
