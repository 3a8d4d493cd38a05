"""How an answer is written; our offers are in `test_proposal.py`."""

from pathlib import Path

from slicer.rtp.parameters import MID, TRANSPORT_WIDE_CC
from slicer.webrtc.description import write_answer, write_offer
from slicer.webrtc.negotiation import negotiate
from slicer.webrtc.parameters import Local
from slicer.webrtc.proposal import propose
from slicer.webrtc.sdp import parse
from tests.harness.rooms.descriptions import Track, changed, described

CHROMIUM = (Path(__file__).parent / "chromium-offer.sdp").read_text()
OURS = Local(
    "ufrg", "p" * 22, (("sha-256", "CC:DD"),), "127.0.0.1", 4000, ("1 1 udp 9 127.0.0.1 4000",)
)


def test_the_answer_to_a_browser() -> None:
    answered = parse(write_answer(negotiate(parse(CHROMIUM)), OURS, 1))
    audio, video, data = answered.sections
    assert ("group", "BUNDLE 0 1") in answered.attributes
    assert audio.formats == ("111", "63", "9", "0", "8")
    for section in (audio, video):
        assert section.port == 4000
        for flag in ("recvonly", "rtcp-mux", "rtcp-rsize"):
            assert section.attributes.has(flag)
        assert section.attributes.first("setup") == "passive"
        assert section.attributes.first("ice-ufrag") == "ufrg"
        assert section.attributes.first("fingerprint") == "sha-256 CC:DD"
        assert section.attributes.all("extmap") == [f"3 {TRANSPORT_WIDE_CC}", f"4 {MID}"]
        assert {value.split()[0] for value in section.attributes.all("rtpmap")} == set(
            section.formats
        )
    assert audio.attributes.all("candidate") == list(OURS.candidates)
    assert audio.attributes.has("end-of-candidates")
    assert not video.attributes.has("simulcast")
    assert not video.attributes.has("rid")
    assert "96 nack pli" in video.attributes.all("rtcp-fb")
    assert "97 apt=96" in video.attributes.all("fmtp")
    assert (data.kind, data.port, data.protocol) == ("application", 0, "UDP/DTLS/SCTP")
    assert data.attributes.has("inactive")
    assert data.attributes.first("mid") == "2"


def test_the_answer_to_an_sfu() -> None:
    """Recvonly, with the MID's id of the offer in every m-line, and passive to its actpass."""
    offer = described([Track("audio", "0"), Track("video", "1")])
    lines = write_answer(negotiate(parse(offer)), OURS, 42, 3).split("\r\n")
    assert lines[:5] == [
        "v=0",
        "o=- 42 3 IN IP4 127.0.0.1",
        "s=-",
        "t=0 0",
        "a=group:BUNDLE 0 1",
    ]
    video = lines[lines.index("m=video 4000 UDP/TLS/RTP/SAVPF 96 97") :]
    assert video == [
        "m=video 4000 UDP/TLS/RTP/SAVPF 96 97",
        "c=IN IP4 127.0.0.1",
        "a=rtcp:4000 IN IP4 127.0.0.1",
        "a=mid:1",
        "a=recvonly",
        "a=rtcp-mux",
        "a=ice-ufrag:ufrg",
        "a=ice-pwd:pppppppppppppppppppppp",
        "a=fingerprint:sha-256 CC:DD",
        "a=setup:passive",
        f"a=extmap:4 {MID}",
        "a=rtpmap:96 VP8/90000",
        "a=rtcp-fb:96 nack",
        "a=rtcp-fb:96 nack pli",
        "a=rtcp-fb:96 transport-cc",
        "a=rtpmap:97 rtx/90000",
        "a=fmtp:97 apt=96",
        "",
    ]


def test_an_address_of_ip_version_6() -> None:
    ours = Local("ufrg", "p" * 22, (("sha-256", "CC:DD"),), "::1", 4000, ())
    assert "c=IN IP6 ::1" in write_offer(propose(["audio"]), ours, 1)  # type: ignore[list-item]


def test_a_stopped_m_line_still_explains_its_formats() -> None:
    """aiortc reads them before it looks at the port."""
    tracks = [Track("audio", "a"), Track("video", "v")]
    first = negotiate(parse(described(tracks)))
    stopped = negotiate(parse(described(changed(tracks, "stopped", "v"))), before=first)
    line = parse(write_offer(propose([], before=stopped), OURS, 1)).sections[1]
    assert (line.port, line.mid, line.attributes.has("inactive")) == (0, "v", True)
    assert line.attributes.all("rtpmap") == ["96 VP8/90000", "97 rtx/90000"]
