"""Offer and answer: what is taken, what is turned down, and how the answer says so."""

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slicer.errors import BadInput
from slicer.rtp.parameters import MID, OPUS, PCMU, TRANSPORT_WIDE_CC, Codec, Kind
from slicer.webrtc.negotiation import Agreement, Ours, negotiate, write_answer
from slicer.webrtc.sdp import Description, Section, parse

CHROMIUM = (Path(__file__).parent / "chromium-offer.sdp").read_text()
TRANSPORT = [
    "a=ice-ufrag:abcd",
    "a=ice-pwd:0123456789012345678901",
    "a=fingerprint:sha-256 AA:BB",
    "a=setup:actpass",
]
AUDIO = ["m=audio 9 UDP/TLS/RTP/SAVPF 111", "a=mid:a", "a=rtcp-mux", "a=rtpmap:111 opus/48000/2"]
VIDEO = ["m=video 9 UDP/TLS/RTP/SAVPF 96", "a=mid:v", "a=rtcp-mux", "a=rtpmap:96 VP8/90000"]
OURS = Ours(
    "ufrg", "p" * 22, (("sha-256", "CC:DD"),), "127.0.0.1", 4000, ("1 1 udp 9 127.0.0.1 4000",)
)


def offer(*sections: list[str], bundle: str = "a v", session: list[str] = TRANSPORT) -> Description:
    lines = ["v=0", f"a=group:BUNDLE {bundle}", *session]
    return parse("\n".join([*lines, *(line for section in sections for line in section)]))


def answer(agreement: Agreement) -> Description:
    return parse(write_answer(agreement, OURS, 1))


def test_a_browsers_offer() -> None:
    agreement = negotiate(parse(CHROMIUM))
    audio, video = agreement.streams.values()
    assert audio.kind is Kind.AUDIO
    assert list(audio.codecs) == [111, 9, 0, 8]
    assert audio.codecs[111] == Codec("opus", 48_000, 2, {"minptime": "10", "useinbandfec": "1"})
    assert audio.codecs[0] == PCMU
    assert audio.extensions == {3: TRANSPORT_WIDE_CC, 4: MID}
    assert audio.feedback == {"transport-cc"}
    assert audio.mid == "0"
    assert {codec.name for codec in video.codecs.values()} == {"vp8", "h264", "vp9", "av1"}
    assert next(iter(video.codecs)) == 96
    assert video.rtx[97] == 96
    assert set(video.rtx.values()) <= set(video.codecs)
    assert video.extensions == {3: TRANSPORT_WIDE_CC, 4: MID}
    assert video.feedback == {"nack", "nack pli", "ccm fir", "goog-remb", "transport-cc"}
    assert agreement.peer.setup == "passive"
    assert len(agreement.peer.candidates) == 4


def test_the_answer_to_a_browser() -> None:
    answered = answer(negotiate(parse(CHROMIUM)))
    audio, video, data = answered.sections
    assert ("group", "BUNDLE 0 1") in answered.attributes
    assert audio.formats == ("111", "9", "0", "8")
    for section in (audio, video):
        assert section.port == 4000
        for flag in ("recvonly", "rtcp-mux", "rtcp-rsize"):
            assert section.has(flag)
        assert section.first("setup") == "passive"
        assert section.first("ice-ufrag") == "ufrg"
        assert section.first("fingerprint") == "sha-256 CC:DD"
        assert section.all("extmap") == [f"3 {TRANSPORT_WIDE_CC}", f"4 {MID}"]
        assert {value.split()[0] for value in section.all("rtpmap")} == set(section.formats)
    assert audio.all("candidate") == list(OURS.candidates)
    assert audio.has("end-of-candidates")
    assert not video.has("simulcast")
    assert not video.has("rid")
    assert "96 nack pli" in video.all("rtcp-fb")
    assert "97 apt=96" in video.all("fmtp")
    assert (data.kind, data.port, data.protocol) == ("application", 0, "UDP/DTLS/SCTP")
    assert data.has("inactive")
    assert data.first("mid") == "2"


def test_more_m_lines_are_turned_down() -> None:
    second = [VIDEO[0].replace("96", "97"), "a=mid:w", "a=rtcp-mux", "a=rtpmap:97 VP8/90000"]
    agreement = negotiate(offer(VIDEO, AUDIO, second, bundle="v a w"))
    assert list(agreement.streams) == [0, 1]
    answered = answer(agreement)
    assert [section.port for section in answered.sections] == [4000, 4000, 0]
    assert ("group", "BUNDLE v a") in answered.attributes


def test_unbundled_only_the_first_is_taken() -> None:
    agreement = negotiate(offer(AUDIO, VIDEO, bundle="a"))
    assert list(agreement.streams) == [0]


def test_a_single_m_line_needs_no_group() -> None:
    text = "\n".join(["v=0", *TRANSPORT, "m=audio 9 UDP/TLS/RTP/SAVPF 0", "a=rtcp-mux"])
    agreement = negotiate(parse(text))
    assert agreement.streams[0].codecs == {0: PCMU}
    assert agreement.streams[0].mid == ""
    answered = answer(agreement)
    assert not any(name == "group" for name, _ in answered.attributes)
    assert not answered.sections[0].has("mid")


@pytest.mark.parametrize(
    ("change", "taken"),
    [
        ("a=recvonly", []),
        ("a=inactive", []),
        ("a=sendrecv", [0]),
        ("m=video 0 UDP/TLS/RTP/SAVPF 96", []),
        ("m=video 9 RTP/AVP 96", []),
        ("m=text 9 UDP/TLS/RTP/SAVPF 96", []),
        ("a=rtpmap:96 VP8/8000", []),
        ("a=rtpmap:96 H261/90000", []),
        ("a=rtpmap:96 H265/90000", [0]),
        ("a=rtpmap:96 vp8/90000", [0]),
        ("a=rtpmap:96 nonsense", []),
        ("a=rtpmap:", []),
        ("a=fmtp:96", [0]),
        ("a=fmtp:96 ;;=;x", [0]),
        ("a=extmap:99 x", [0]),
        ("a=rtcp-fb:", [0]),
        ("a=ssrc:", [0]),
    ],
)
def test_one_line_changed(change: str, taken: list[int]) -> None:
    name = "m=" if change.startswith("m=") else change.partition(":")[0]
    lines = [line for line in VIDEO if not line.startswith(name)]
    changed = [change, *lines] if change.startswith("m=") else [*lines, change]
    assert [index for index in negotiate(offer(changed, AUDIO)).streams if index == 0] == taken


@pytest.mark.parametrize(("mode", "taken"), [("0", True), ("1", True), ("2", False), (None, True)])
def test_h264_packetization_mode(mode: str | None, taken: bool) -> None:
    fmtp = [] if mode is None else [f"a=fmtp:96 profile-level-id=42e01f; packetization-mode={mode}"]
    lines = [*VIDEO[:3], "a=rtpmap:96 H264/90000", *fmtp]
    assert (len(negotiate(offer(AUDIO, lines)).streams) == 2) is taken


FMTP_265 = "level-id=93;profile-id=1;tier-flag=0;tx-mode=SRST"


def video_of_h265(fmtp: str) -> list[str]:
    """A section of H.265 alone."""
    lines = [line for line in VIDEO if not line.startswith(("a=rtpmap", "a=fmtp"))]
    return [*lines, "a=rtpmap:96 H265/90000", f"a=fmtp:96 {fmtp}"]


def test_h265_is_answered_as_it_was_offered_but_for_the_parameter_sets() -> None:
    """RFC 7798 7.2.2: profile, tier, level and tx-mode are symmetric, sprop is the sender's."""
    agreement = negotiate(offer(video_of_h265(f"{FMTP_265};sprop-vps=QAEM; sprop-sps=Qg==")))
    (codec,) = agreement.streams[0].codecs.values()
    assert (codec.name, codec.parameter_sets) == ("h265", "QAEM,Qg==")
    (section,) = answer(agreement).sections
    assert section.all("rtpmap") == ["96 H265/90000"]
    assert section.all("fmtp") == [f"96 {FMTP_265}"]


@pytest.mark.parametrize(
    "what", ["sprop-max-don-diff=1", "sprop-depack-buf-nalus=2", "tx-mode=MRST"]
)
def test_h265_out_of_order_or_in_several_streams_is_refused_with_the_reason(what: str) -> None:
    section = video_of_h265(f"profile-id=1; {what}")
    with pytest.raises(BadInput) as caught:
        negotiate(offer(section))
    assert caught.value.got == [f"h265 with {what}"]
    assert 0 not in negotiate(offer(section, AUDIO)).streams


def test_a_payload_type_belongs_to_one_m_line() -> None:
    clash = [*VIDEO[:3], "a=rtpmap:96 VP8/90000", "a=rtpmap:111 VP8/90000"]
    clash[0] = "m=video 9 UDP/TLS/RTP/SAVPF 111 96"
    assert list(negotiate(offer(AUDIO, clash)).streams[1].codecs) == [96]


def test_payload_types_that_look_like_rtcp_are_left_out() -> None:
    lines = ["m=audio 9 UDP/TLS/RTP/SAVPF 72 0", *AUDIO[1:3], "a=rtpmap:72 opus/48000/2"]
    assert list(negotiate(offer(lines)).streams[0].codecs) == [0]


@pytest.mark.parametrize(
    ("theirs", "ours"), [("actpass", "passive"), ("active", "passive"), ("passive", "active")]
)
def test_setup(theirs: str, ours: str) -> None:
    session = [*TRANSPORT[:3], f"a=setup:{theirs}"]
    agreement = negotiate(offer(AUDIO, session=session))
    assert agreement.peer.setup == ours
    assert answer(agreement).sections[0].first("setup") == ours


@pytest.mark.parametrize(
    ("session", "got"),
    [
        (TRANSPORT[1:], "a=ice-ufrag:"),
        (["a=ice-ufrag:a b", *TRANSPORT[1:]], "a=ice-ufrag:a b"),
        (["a=ice-pwd:short", TRANSPORT[0], *TRANSPORT[2:]], "a=ice-ufrag:abcd"),
        ([*TRANSPORT[:2], "a=fingerprint:md5 AA", TRANSPORT[3]], "no such a=fingerprint"),
        ([*TRANSPORT[:2], "a=fingerprint:sha-256", TRANSPORT[3]], "no such a=fingerprint"),
        ([*TRANSPORT[:3], "a=setup:holdconn"], "a=setup:holdconn"),
    ],
)
def test_a_transport_that_cannot_work(session: list[str], got: str) -> None:
    with pytest.raises(BadInput) as refused:
        negotiate(offer(AUDIO, session=session))
    assert (refused.value.field, refused.value.got) == ("sdp", got)


def test_rtcp_mux_is_required() -> None:
    with pytest.raises(BadInput, match="rtcp-mux"):
        negotiate(offer([line for line in AUDIO if line != "a=rtcp-mux"]))


def test_nothing_to_receive() -> None:
    data = ["m=application 9 UDP/DTLS/SCTP webrtc-datachannel"]
    with pytest.raises(BadInput, match="opus"):
        negotiate(offer(data))


def test_a_bundle_only_m_line_may_have_port_0_and_no_transport() -> None:
    audio = [*AUDIO, *TRANSPORT]
    video = ["m=video 0 UDP/TLS/RTP/SAVPF 96", *VIDEO[1:], "a=bundle-only"]
    agreement = negotiate(offer(audio, video, session=[]))
    assert list(agreement.streams) == [0, 1]
    assert agreement.peer.ufrag == "abcd"


def test_the_transport_may_stand_in_a_section_that_is_turned_down() -> None:
    data = ["m=application 9 UDP/DTLS/SCTP webrtc-datachannel", "a=mid:d", *TRANSPORT]
    agreement = negotiate(offer(data, AUDIO, bundle="d a", session=[]))
    assert list(agreement.streams) == [1]
    answered = answer(agreement)
    assert [section.port for section in answered.sections] == [0, 4000]
    assert answered.sections[1].has("candidate")


def test_g722_and_static_payload_types_without_rtpmap() -> None:
    lines = ["m=audio 9 UDP/TLS/RTP/SAVPF 8 9 0", *AUDIO[1:3]]
    agreement = negotiate(offer(lines))
    assert [codec.name for codec in agreement.streams[0].codecs.values()] == [
        "pcma",
        "g722",
        "pcmu",
    ]
    assert "9 G722/8000" in answer(agreement).sections[0].all("rtpmap")


def test_opus_must_be_what_rfc_7587_says() -> None:
    lines = [*AUDIO[:3], "a=rtpmap:111 opus/48000"]
    with pytest.raises(BadInput):
        negotiate(offer(lines))
    assert negotiate(offer(AUDIO)).streams[0].codecs == {111: OPUS}


@given(
    st.lists(
        st.tuples(
            st.sampled_from(
                ["rtpmap", "fmtp", "extmap", "rtcp-fb", "candidate", "group", "mid", "setup"]
            ),
            st.text(max_size=30),
        )
    )
)
def test_any_attributes_are_taken_or_refused(attributes: list[tuple[str, str]]) -> None:
    base = offer(AUDIO, VIDEO)
    sections = tuple(
        Section(one.kind, one.port, one.protocol, one.formats, (*attributes, *one.attributes))
        for one in base.sections
    )
    with suppress(BadInput):
        agreement = negotiate(Description((*attributes, *base.attributes), sections))
        assert write_answer(agreement, OURS, 1).startswith("v=0\r\n")
