"""How an answer is written, and what an offer costs until then; our offers: `test_proposal.py`."""

from collections.abc import Callable
from pathlib import Path

import pytest

from slicer.rtp.parameters import (
    AUDIO_LEVEL,
    MID,
    ORIENTATION,
    REPAIRED_RID,
    RID,
    TRANSPORT_WIDE_CC,
    Kind,
)
from slicer.webrtc.description import write_answer, write_fragment, write_offer
from slicer.webrtc.negotiation import negotiate
from slicer.webrtc.parameters import Local
from slicer.webrtc.profile import Profile
from slicer.webrtc.proposal import propose
from slicer.webrtc.sdp import parse
from tests.harness.bytecodes import bytecodes
from tests.harness.rooms.descriptions import Track, changed, described, many
from tests.webrtc.test_negotiation import MEETING, TRANSPORT, VIDEO

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
        assert {value.split()[0] for value in section.attributes.all("rtpmap")} == set(
            section.formats
        )
    assert audio.attributes.all("candidate") == list(OURS.candidates)
    assert audio.attributes.has("end-of-candidates")
    extensions = [f"3 {TRANSPORT_WIDE_CC}", f"4 {MID}"]
    assert audio.attributes.all("extmap") == [f"1 {AUDIO_LEVEL}", *extensions]
    of_video = [f"13 {ORIENTATION}", *extensions, f"10 {RID}", f"11 {REPAIRED_RID}"]
    assert video.attributes.all("extmap") == of_video
    assert video.attributes.all("simulcast") == ["recv q;h;f"]
    assert video.attributes.all("rid") == ["q recv", "h recv", "f recv"]
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


def test_a_bitrate_is_asked_for_of_video_alone() -> None:
    """RFC 3890 6.2; it stands behind c=, ahead of the attributes (RFC 8866 5)."""
    limited = Profile(max_bitrate=400_000)
    answer = write_answer(negotiate(parse(CHROMIUM), limited), OURS, 1)
    offer = write_offer(propose((Kind.AUDIO, Kind.VIDEO), profile=limited), OURS, 1)
    for text in (answer, offer):
        audio, video = text.split("\r\nm=")[1:3]
        assert "b=TIAS" not in audio
        lines = video.split("\r\n")
        assert lines[1].startswith("c=")
        assert lines[2] == "b=TIAS:400000"
    assert "b=TIAS" not in write_answer(negotiate(parse(CHROMIUM)), OURS, 1)


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


HOSTILE = {
    "feedback": lambda n: "".join(f"a=rtcp-fb:96 nack{i}\r\n" for i in range(n)),
    "feedback of all": lambda n: "a=rtcp-fb:* nack\r\n" * n,
    "formats": lambda n: "a=fmtp:96 x=1;y=2\r\n" * n,
    "one long format": lambda n: "a=fmtp:96 " + "x=1;" * n + "\r\n",
    "rtpmaps": lambda n: "".join(f"a=rtpmap:{i} VP8/90000\r\n" for i in range(n)),
    "extensions": lambda n: f"a=extmap:4 {MID}\r\n" * n,
    "candidates": lambda n: "".join(f"a=candidate:{i} 1 udp 1 192.0.2.1\r\n" for i in range(n)),
    "fingerprints": lambda n: "a=fingerprint:sha-256 AA:BB\r\n" * n,
    "flags": lambda n: "a=x\r\n" * n,
    "unknown feedback": lambda n: "".join(f"a=rtcp-fb:* x{i}\r\n" for i in range(n)),
    "parameters": lambda n: "a=fmtp:96 " + ";".join(f"a{i}=1" for i in range(3 * n)) + "\r\n",
    "sources": lambda n: "a=ssrc-group:FID 1 2\r\na=ssrc:1 cname:x\r\na=msid:a b\r\n" * (n // 2),
    "layers": lambda n: (
        "".join(f"a=rid:{i} send pt=96\r\n" for i in range(n))
        + f"a=simulcast:send {';'.join(map(str, range(n)))}\r\na=extmap:5 {RID}\r\n"
    ),
    "mids": lambda n: "".join(f"a=mid:{i}\r\n" for i in range(n)),
    "groups": lambda n: "a=group:BUNDLE a v\r\n" * n,
    "one long group": lambda n: "a=group:BUNDLE" + " a" * 4 * n + "\r\n",
    "one long word": lambda n: "a=" + "x" * 4 * n + " " * 4 * n + "y\r\n",
}


def steps(offer: str) -> int:
    """How many bytecodes run while an offer is read, agreed on and answered."""
    return bytecodes(lambda: write_answer(negotiate(parse(offer)), OURS, 1))


def twice_as_long_costs_twice(short: str, long: str) -> None:
    few, many_ = steps(short), steps(long)
    assert len(long) > 1.9 * len(short)
    assert many_ < 2.2 * few


@pytest.mark.parametrize("lines", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_offer_costs_as_much_as_it_is_long(lines: Callable[[int], str]) -> None:
    offer = described(MEETING)
    twice_as_long_costs_twice(offer + lines(4000), offer + lines(8000))


def test_what_holds_for_all_payload_types_is_not_read_for_each() -> None:
    """It used to be: 256 KB of `a=rtcp-fb:*` for 150 payload types are three million steps."""

    def offer(payload_types: int, times: int) -> str:
        numbers = [str(number) for number in (*range(35, 64), *range(96, 128))][:payload_types]
        lines = [*VIDEO[1:3], *(f"a=rtpmap:{number} VP8/90000" for number in numbers)]
        head = ["v=0", "a=group:BUNDLE v", *TRANSPORT, f"{VIDEO[0][:-3]} {' '.join(numbers)}"]
        return "\n".join([*head, *lines, *(f"a=rtcp-fb:* x{i}" for i in range(times))])

    few = steps(offer(2, 2000)) - steps(offer(2, 0))
    assert steps(offer(60, 2000)) - steps(offer(60, 0)) < 1.1 * few


def test_many_m_lines_cost_as_much_as_they_are() -> None:
    twice_as_long_costs_twice(described(many(60)), described(many(120)))


def test_payload_types_repeated_on_an_m_line_count_once() -> None:
    """Each used to be looked up in all of the feedback: 0.85 s for an offer of 256 KB."""

    def offer(times: int) -> str:
        hostile = described(MEETING) + "a=rtcp-fb:96 nack\r\n" * times
        return hostile.replace("SAVPF 96 97", "SAVPF" + " 96 97" * times)

    twice_as_long_costs_twice(offer(1000), offer(2000))
    assert parse(write_answer(negotiate(parse(offer(50))), OURS, 1)).sections[1].formats == (
        "96",
        "97",
    )


def test_the_fragment_after_a_restart_names_the_tagged_m_line_and_our_new_credentials() -> None:
    """RFC 8840 section 9, RFC 9725 4.3.3: no fingerprint, for DTLS goes on."""
    lines = write_fragment(negotiate(parse(CHROMIUM)), OURS).split("\r\n")
    assert lines[:2] == ["a=group:BUNDLE 0 1", "m=audio 9 UDP/TLS/RTP/SAVPF 111"]
    assert set(lines[2:]) >= {"a=mid:0", "a=ice-ufrag:ufrg", f"a=ice-pwd:{OURS.pwd}"}
    assert f"a=candidate:{OURS.candidates[0]}" in lines
    assert not [line for line in lines if line.startswith("a=fingerprint")]
