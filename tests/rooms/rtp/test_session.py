"""RTP sessions by URL and by file: what is listened for, and what can be none."""

import base64
from pathlib import Path
from urllib.parse import quote

import pytest

from slicer.errors import BadInput
from slicer.rooms import parse_room
from slicer.rooms.rtp.session import MAX_SDP, Session
from slicer.rtp.parameters import Kind

KEY = bytes(range(30))
CRYPTO = f"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{base64.b64encode(KEY).decode()}"
FFMPEG = """v=0
o=- 0 0 IN IP4 127.0.0.1
s=No Name
c=IN IP4 127.0.0.1
t=0 0
m=video 5006 RTP/AVP 96
a=rtpmap:96 H264/90000
a=fmtp:96 packetization-mode=1; sprop-parameter-sets=Z0LAHtoCgL+XARAAAAMAEAAAAwPA8WLqAA==,aM4yyA==
m=audio 5004 RTP/AVP 97
a=rtpmap:97 opus/48000/2
"""


def parsed(url: str) -> Session:
    return Session.parse(parse_room(url))


def of_file(tmp_path: Path, text: str, query: str = "") -> Session:
    path = tmp_path / "session.sdp"
    path.write_text(text)
    return parsed(f"rtp://{path}{query}")


def test_audio_and_video_at_one_port() -> None:
    session = parsed("rtp://127.0.0.1:5004?audio=111:opus&video=96:h264,98:vp8&rtcp=mux")
    (port,) = session.ports
    assert (session.host, session.anchor, session.source) == ("127.0.0.1", "rtp", "")
    assert (port.number, port.rtcp, port.keys) == (5004, None, None)
    audio, video = port.sections
    assert [codec.name for codec in audio.codecs.values()] == ["opus"]
    assert {pt: codec.name for pt, codec in video.codecs.items()} == {96: "h264", 98: "vp8"}
    assert (audio.feedback, video.feedback) == (frozenset(), frozenset({"nack pli"}))


def test_video_at_its_own_port_and_rtcp_at_the_next_ones() -> None:
    url = "rtp://[::1]:5004?audio=0:pcmu&video=96:h265&video_port=6000&anchor=ada&source=::2"
    session = parsed(url)
    assert [(port.number, port.rtcp) for port in session.ports] == [(5004, 5005), (6000, 6001)]
    assert [port.sections[0].kind for port in session.ports] == [Kind.AUDIO, Kind.VIDEO]
    assert (session.host, session.anchor, session.source) == ("::1", "ada", "::2")
    assert parsed("rtp://127.0.0.1:65535?audio=0:pcmu").ports[0].rtcp is None


def test_a_key_is_taken_and_never_shown() -> None:
    text = quote(base64.b64encode(b"\xfb\xef\xbe" * 10).decode(), safe="")
    (port,) = parsed(f"rtp://127.0.0.1:5004?audio=111:opus&key={text}").ports
    assert port.keys is not None
    assert (port.keys.profile, port.keys.inbound) == (1, b"\xfb\xef\xbe" * 10)
    assert "fb" not in repr(port.keys)
    plus = base64.b64encode(b"\xfb\xef\xbe" * 10).decode()
    assert parsed(f"rtp://127.0.0.1:5004?audio=111:opus&key={plus}").ports[0].keys == port.keys
    gcm = quote(base64.b64encode(bytes(28)).decode(), safe="")
    url = f"rtp://127.0.0.1:5004?audio=111:opus&suite=AEAD_AES_128_GCM&key={gcm}"
    keys = parsed(url).ports[0].keys
    assert keys is not None
    assert keys.profile == 7
    for wrong in (f"key={text[:-8]}", f"suite=NONE&key={text}", "key="):
        with pytest.raises(BadInput) as refused:
            parsed(f"rtp://127.0.0.1:5004?audio=111:opus&{wrong}")
        assert text[:12] not in str(refused.value)


def test_a_description_of_ffmpegs_says_all(tmp_path: Path) -> None:
    session = of_file(tmp_path, FFMPEG, "?anchor=ada")
    assert (session.host, session.anchor, session.refused) == ("127.0.0.1", "ada", ())
    assert [(port.number, port.rtcp) for port in session.ports] == [(5006, 5007), (5004, 5005)]
    (video,) = session.ports[0].sections
    assert video.codecs[96].parameter_sets.startswith("Z0LAHtoC")
    assert video.feedback == {"nack pli"}


def test_mux_rtcp_ports_and_keys_of_a_description(tmp_path: Path) -> None:
    text = FFMPEG.replace("m=audio 5004", f"{CRYPTO}\na=rtcp:7001\nm=audio 5004")
    video, audio = of_file(tmp_path, text + "a=rtcp-mux\n").ports
    assert (video.rtcp, audio.rtcp) == (7001, None)
    assert video.keys is not None
    assert video.keys.inbound == KEY
    assert audio.keys is None
    given = quote(base64.b64encode(bytes(30)).decode(), safe="")
    session = of_file(tmp_path, text, f"?key={given}")
    assert [port.keys.inbound for port in session.ports if port.keys] == [bytes(30)] * 2


def test_m_lines_that_are_not_taken_are_told(tmp_path: Path) -> None:
    more = (
        "m=audio 5010 RTP/AVP 98\na=rtpmap:98 opus/48000/2\n"
        "m=video 0 RTP/AVP 99\na=rtpmap:99 VP8/90000\nm=application 9 UDP/X 1\n"
    )
    session = of_file(tmp_path, FFMPEG + more)
    assert session.refused == ((Kind.AUDIO, "a second audio m-line: the first one is taken"),)
    line = "m=audio 5010 RTP/AVP 98\na=rtpmap:98 opus/48000/2\n"
    assert of_file(tmp_path, FFMPEG + line * 198).refused == session.refused * 198
    with pytest.raises(BadInput, match=r"513 m-lines.*at most 512"):
        of_file(tmp_path, FFMPEG + line * 511)
    unknown = FFMPEG.replace("H264/90000", "THEORA/90000")
    assert of_file(tmp_path, unknown).refused == ((Kind.VIDEO, "none of its codecs can be taken"),)
    one_port = FFMPEG.replace("5006", "5004")
    (port,) = of_file(tmp_path, one_port).ports
    assert len(port.sections) == 2


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("rtp://127.0.0.1:5004", "rtp://ADDRESS:PORT"),
        ("rtp://127.0.0.1?audio=111:opus", "rtp://ADDRESS:PORT"),
        ("rtp://host:5004?audio=111:opus", "rtp://ADDRESS:PORT"),
        ("rtp://127.0.0.1:5004/room?audio=111:opus", "rtp://ADDRESS:PORT"),
        ("rtp://127.0.0.1:5004?audio=111:aac", "room: audio"),
        ("rtp://127.0.0.1:5004?audio=128:opus", "room: audio"),
        ("rtp://127.0.0.1:5004?audio=opus", "room: audio"),
        ("rtp://127.0.0.1:5004?audio=96:opus&video=96:vp8", "each payload type once"),
        ("rtp://127.0.0.1:5004?video=96:vp8&video_port=0", "room: video_port"),
        ("rtp://127.0.0.1:5004?video=96:vp8&rtcp=5005", "room: rtcp"),
        ("rtp://127.0.0.1:5004?video=96:vp8&source=ada", "room: source"),
        ("rtp://127.0.0.1:5004?video=96:vp8&anchor=a/b", "room: anchor"),
        ("rtp://127.0.0.1:5004?video=96:vp8&pin=1", "not 'pin'"),
        ("rtp:///nowhere/session.sdp", "a file that can be read"),
        ("rtp:///etc/passwd", "rtp:///absolute/file.sdp"),
        ("rtp:///nowhere/session.sdp?video_port=1", "not 'video_port'"),
    ],
)
def test_what_can_be_no_session_is_refused(url: str, says: str) -> None:
    with pytest.raises(BadInput) as refused:
        parsed(url)
    assert says in str(refused.value)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("hello", "v=0"),
        (FFMPEG.replace("c=IN IP4 127.0.0.1\n", ""), "no c= line"),
        (
            FFMPEG.replace("c=IN IP4 127.0.0.1", "c=IN IP4 sender.example"),
            "an address of this host",
        ),
        ("v=0\nc=IN IP4 127.0.0.1\n", "no m-line of audio or video"),
        (FFMPEG.replace("RTP/AVP", "UDP/X"), "none of its codecs"),
        (FFMPEG + "a=crypto:1 NONE inline:abcd\n", "sdp: a=crypto"),
        (FFMPEG + "a=rtcp:none\n", "a=rtcp"),
        (FFMPEG.replace("5006", "5004") + CRYPTO + "\n", "two keys at one port"),
        (FFMPEG + "a=x:" + "y" * MAX_SDP, f"at most {MAX_SDP}"),
        (FFMPEG + "m=audio 0 RTP/AVP 0\n" * 600, "602 m-lines"),
    ],
)
def test_a_description_that_can_be_none_says_why(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(BadInput) as refused:
        of_file(tmp_path, text)
    assert says in str(refused.value)
