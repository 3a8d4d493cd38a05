"""What is agreed on: what of an offer is taken, what is refused and why, what a later one does."""

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slicer.errors import BadInput
from slicer.rtp.parameters import (
    AUDIO_LEVEL,
    MID,
    OPUS,
    ORIENTATION,
    PCMU,
    REPAIRED_RID,
    RID,
    TRANSPORT_WIDE_CC,
    Codec,
    Kind,
)
from slicer.slicing.bundle import MAX_SECTIONS
from slicer.webrtc.description import write_answer
from slicer.webrtc.negotiation import Agreement, Refused, negotiate
from slicer.webrtc.parameters import Local
from slicer.webrtc.profile import Profile
from slicer.webrtc.sdp import Attributes, Description, Section, parse
from tests.harness.rooms.descriptions import UFRAG, Track, changed, described, many

CHROMIUM = (Path(__file__).parent / "chromium-offer.sdp").read_text()
TRANSPORT = [
    "a=ice-ufrag:abcd",
    "a=ice-pwd:0123456789012345678901",
    "a=fingerprint:sha-256 AA:BB",
    "a=setup:actpass",
]
AUDIO = ["m=audio 9 UDP/TLS/RTP/SAVPF 111", "a=mid:a", "a=rtcp-mux", "a=rtpmap:111 opus/48000/2"]
VIDEO = ["m=video 9 UDP/TLS/RTP/SAVPF 96", "a=mid:v", "a=rtcp-mux", "a=rtpmap:96 VP8/90000"]
ONE_EACH = Profile(sections={Kind.AUDIO: 1, Kind.VIDEO: 1})
OURS = Local(
    "ufrg", "p" * 22, (("sha-256", "CC:DD"),), "127.0.0.1", 4000, ("1 1 udp 9 127.0.0.1 4000",)
)


def offer(*sections: list[str], bundle: str = "a v", session: list[str] = TRANSPORT) -> Description:
    lines = ["v=0", f"a=group:BUNDLE {bundle}", *session]
    return parse("\n".join([*lines, *(line for section in sections for line in section)]))


def answer(agreement: Agreement) -> Description:
    return parse(write_answer(agreement, OURS, 1))


def test_a_browsers_offer() -> None:
    agreement = negotiate(parse(CHROMIUM))
    audio, video = agreement.streams
    assert audio.kind is Kind.AUDIO
    assert list(audio.codecs) == [111, 9, 0, 8]
    assert audio.codecs[111] == Codec("opus", 48_000, 2, {"minptime": "10", "useinbandfec": "1"})
    assert audio.codecs[0] == PCMU
    assert audio.extensions == {1: AUDIO_LEVEL, 3: TRANSPORT_WIDE_CC, 4: MID}
    assert audio.feedback == {"nack", "transport-cc"}
    assert audio.red == {63: 111}
    assert audio.mid == "0"
    assert {codec.name for codec in video.codecs.values()} == {"vp8", "h264", "vp9", "av1"}
    assert next(iter(video.codecs)) == 96
    assert video.rtx[97] == 96
    assert set(video.rtx.values()) <= set(video.codecs)
    layers = {10: RID, 11: REPAIRED_RID}
    assert video.extensions == {3: TRANSPORT_WIDE_CC, 4: MID, 13: ORIENTATION, **layers}
    assert video.rids == ("q", "h", "f")
    assert video.feedback == {"nack", "nack pli", "ccm fir", "goog-remb", "transport-cc"}
    assert agreement.remote.our_setup == "passive"
    assert len(agreement.remote.candidates) == 4


def test_more_m_lines_than_the_profile_takes_are_turned_down() -> None:
    second = [VIDEO[0].replace("96", "97"), "a=mid:w", "a=rtcp-mux", "a=rtpmap:97 VP8/90000"]
    agreement = negotiate(offer(VIDEO, AUDIO, second, bundle="v a w"), ONE_EACH)
    assert list(agreement.accepted) == [0, 1]
    reason = "a connection receives 1 video m-line at most"
    assert agreement.refused == (Refused("w", "video", reason),)
    answered = answer(agreement)
    assert [section.port for section in answered.sections] == [4000, 4000, 0]
    assert ("group", "BUNDLE v a") in answered.attributes


def test_unbundled_only_the_first_is_taken() -> None:
    agreement = negotiate(offer(AUDIO, VIDEO, bundle="a"))
    assert list(agreement.accepted) == [0]


def test_a_single_m_line_needs_no_group() -> None:
    text = "\n".join(["v=0", *TRANSPORT, "m=audio 9 UDP/TLS/RTP/SAVPF 0", "a=rtcp-mux"])
    agreement = negotiate(parse(text))
    assert agreement.streams[0].codecs == {0: PCMU}
    assert agreement.streams[0].mid == ""
    answered = answer(agreement)
    assert not any(name == "group" for name, _ in answered.attributes)
    assert not answered.sections[0].attributes.has("mid")


@pytest.mark.parametrize(
    ("change", "taken"),
    [
        ("a=recvonly", False),
        ("a=inactive", False),
        ("a=sendrecv", True),
        ("m=video 0 UDP/TLS/RTP/SAVPF 96", False),
        ("m=video 9 RTP/AVP 96", False),
        ("m=text 9 UDP/TLS/RTP/SAVPF 96", False),
        ("a=rtpmap:96 VP8/8000", False),
        ("a=rtpmap:96 H261/90000", False),
        ("a=rtpmap:96 H265/90000", True),
        ("a=rtpmap:96 vp8/90000", True),
        ("a=rtpmap:96 nonsense", False),
        ("a=rtpmap:", False),
        ("a=fmtp:96", True),
        ("a=fmtp:96 ;;=;x", True),
        ("a=extmap:99 x", True),
        ("a=rtcp-fb:", True),
        ("a=ssrc:", True),
    ],
)
def test_one_line_changed(change: str, taken: bool) -> None:
    name = "m=" if change.startswith("m=") else change.partition(":")[0]
    lines = [line for line in VIDEO if not line.startswith(name)]
    changed = [change, *lines] if change.startswith("m=") else [*lines, change]
    agreement = negotiate(offer(changed, AUDIO))
    sending = agreement.accepted.keys() - agreement.paused
    assert (0 in sending) is taken


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
    assert section.attributes.all("rtpmap") == ["96 H265/90000"]
    assert section.attributes.all("fmtp") == [f"96 {FMTP_265}"]


@pytest.mark.parametrize(
    "what", ["sprop-max-don-diff=1", "sprop-depack-buf-nalus=2", "tx-mode=MRST"]
)
def test_h265_out_of_order_or_in_several_streams_is_refused_with_the_reason(what: str) -> None:
    section = video_of_h265(f"profile-id=1; {what}")
    with pytest.raises(BadInput) as caught:
        negotiate(offer(section))
    assert caught.value.got == [f"video: h265 with {what}"]
    assert 0 not in negotiate(offer(section, AUDIO)).accepted


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
    assert agreement.remote.our_setup == ours
    assert answer(agreement).sections[0].attributes.first("setup") == ours


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


@pytest.mark.parametrize("format_", ["9" * 5000, "\u0663", "-1", "1e3", "128"])
def test_formats_that_are_no_payload_types_are_left_out(format_: str) -> None:
    lines = [f"{AUDIO[0]} {format_}", *AUDIO[1:], f"a=rtpmap:{format_} opus/48000/2"]
    agreement = negotiate(offer(lines))
    assert agreement.streams[0].codecs == {111: OPUS}
    assert answer(agreement).sections[0].formats == ("111",)


def test_an_m_line_that_is_paused_does_not_spoil_the_offer() -> None:
    lines = [line for line in VIDEO if line != "a=rtcp-mux"]
    agreement = negotiate(offer(AUDIO, [*lines, "a=inactive"]))
    assert list(agreement.accepted) == [0]
    assert agreement.refused == ()


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
    assert list(agreement.accepted) == [0, 1]
    assert agreement.remote.ufrag == "abcd"


def test_the_transport_may_stand_in_a_section_that_is_turned_down() -> None:
    data = ["m=application 9 UDP/DTLS/SCTP webrtc-datachannel", "a=mid:d", *TRANSPORT]
    agreement = negotiate(offer(data, AUDIO, bundle="d a", session=[]))
    assert list(agreement.accepted) == [1]
    answered = answer(agreement)
    assert [section.port for section in answered.sections] == [0, 4000]
    assert answered.sections[1].attributes.has("candidate")


def test_g722_and_static_payload_types_without_rtpmap() -> None:
    lines = ["m=audio 9 UDP/TLS/RTP/SAVPF 8 9 0", *AUDIO[1:3]]
    agreement = negotiate(offer(lines))
    assert [codec.name for codec in agreement.streams[0].codecs.values()] == [
        "pcma",
        "g722",
        "pcmu",
    ]
    assert "9 G722/8000" in answer(agreement).sections[0].attributes.all("rtpmap")


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
        Section(
            one.kind,
            one.port,
            one.protocol,
            one.formats,
            Attributes((*attributes, *one.attributes)),
        )
        for one in base.sections
    )
    with suppress(BadInput):
        agreement = negotiate(Description(Attributes((*attributes, *base.attributes)), sections))
        assert write_answer(agreement, OURS, 1).startswith("v=0\r\n")


MEETING = [Track("audio", "a"), Track("video", "v")]


def again(before: Agreement, tracks: list[Track], **how: str) -> Agreement:
    return negotiate(parse(described(tracks, **how)), before=before)


def streams(agreement: Agreement) -> list[str]:
    return [stream.mid for stream in agreement.streams]


def test_a_meeting_of_25_is_received_whole() -> None:
    agreement = negotiate(parse(described(many(25))))
    assert streams(agreement) == [str(n) for n in range(50)]
    assert agreement.refused == ()
    # Every anchor has the same payload types: only its MID tells it from the others.
    assert {tuple(stream.codecs) for stream in agreement.streams} == {(111,), (96,)}
    assert all(stream.extensions == {4: MID} for stream in agreement.streams)


def test_as_many_m_lines_are_received_as_a_bundle_takes() -> None:
    agreement = negotiate(parse(described(many(MAX_SECTIONS // 2 + 1))))
    assert len(agreement.streams) == MAX_SECTIONS
    reason = "at most 256 m-lines of a connection are received"
    assert agreement.refused == (Refused("256", "audio", reason), Refused("257", "video", reason))


def test_equal_payload_types_without_a_mid_cannot_be_told_apart() -> None:
    offer = described([*MEETING, Track("audio", "b"), Track("video", "w")], extensions=[])
    agreement = negotiate(parse(offer))
    assert streams(agreement) == ["a", "v"]
    reason = "its payload types are another m-line's, and no MID tells them apart"
    assert agreement.refused == (Refused("b", "audio", reason), Refused("w", "video", reason))


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        (
            ["m=application 9 UDP/DTLS/SCTP webrtc-datachannel", "a=mid:x"],
            "neither audio nor video",
        ),
        (["m=video 9 RTP/AVPF 96", "a=mid:x", *VIDEO[2:]], "RTP/AVPF is not RTP over DTLS"),
        (
            [*VIDEO[:1], "a=mid:x", "a=rtcp-mux", "a=rtpmap:96 VP7/90000"],
            "no codec of ours: VP7/90000",
        ),
        ([*VIDEO[:1], "a=mid:y", *VIDEO[2:]], "outside the BUNDLE group"),
        ([*VIDEO[:1], "a=mid:a", *VIDEO[2:]], "a=mid:a is another m-line's"),
    ],
)
def test_why_an_m_line_is_refused(lines: list[str], reason: str) -> None:
    agreement = negotiate(offer(AUDIO, lines, bundle="a x"))
    assert [(one.kind, one.reason) for one in agreement.refused] == [
        (lines[0][2:].split()[0], reason)
    ]
    silent = negotiate(offer(AUDIO, [*lines, "a=inactive"], bundle="a x"))
    assert silent.refused == ()


def test_m_lines_come_pause_return_and_stop() -> None:
    first = negotiate(parse(described(MEETING)))
    more = [*MEETING, Track("audio", "b"), Track("video", "w")]
    second = again(first, more)
    assert streams(second) == ["a", "v", "b", "w"]
    paused = again(second, changed(more, "inactive", "v", "b"))
    assert streams(paused) == ["a", "w"]
    # A paused m-line is not rejected: a browser would take that for its end (RFC 9429 5.11).
    ports = [section.port for section in answer(paused).sections]
    assert ports == [4000] * 4
    assert [one.attributes.has("inactive") for one in answer(paused).sections] == [
        False,
        True,
        True,
        False,
    ]
    assert streams(again(paused, more)) == ["a", "v", "b", "w"]
    stopped = again(second, changed(more, "stopped", "a", "b"))
    assert streams(stopped) == ["v", "w"]
    assert [section.port for section in answer(stopped).sections] == [0, 4000, 0, 4000]
    assert answer(stopped).attributes.first("group") == "BUNDLE v w"
    assert answer(stopped).sections[1].attributes.has("candidate")


def test_an_m_line_that_stops_may_leave_out_its_attributes() -> None:
    first = negotiate(parse(described(MEETING)))
    lines = described(MEETING).split("\r\n")
    at = next(index for index, line in enumerate(lines) if line.startswith("m=audio"))
    end = next(index for index, line in enumerate(lines) if line.startswith("m=video"))
    bare = [*lines[:at], "m=audio 0 UDP/TLS/RTP/SAVPF 0", *lines[end:]]
    text = "\r\n".join(bare).replace("BUNDLE a v", "BUNDLE v")
    stopped = negotiate(parse(text), before=first)
    assert streams(stopped) == ["v"]
    assert streams(again(stopped, [Track("video", "w"), MEETING[1]])) == ["w", "v"]


def test_a_stopped_m_line_may_become_another() -> None:
    first = negotiate(parse(described(MEETING)))
    stopped = again(first, changed(MEETING, "stopped", "a"))
    recycled = again(stopped, [Track("video", "w"), MEETING[1]])
    assert streams(recycled) == ["w", "v"]
    assert streams(again(recycled, [Track("video", "w"), Track("video", "v")])) == ["w", "v"]


def test_everything_may_stop_and_something_else_begin() -> None:
    first = negotiate(parse(described(MEETING)))
    nothing = again(first, changed(MEETING, "stopped", "a", "v"))
    assert (streams(nothing), nothing.group) == ([], ())
    assert nothing.remote == first.remote
    assert streams(again(nothing, [Track("video", "w"), Track("audio", "b")])) == ["w", "b"]


@pytest.mark.parametrize(
    ("tracks", "got"),
    [
        (MEETING[:1], "1 m-line"),
        ([Track("audio", "b"), MEETING[1]], "m=audio, a=mid:b"),
        ([Track("video", "a"), MEETING[1]], "m=video, a=mid:a"),
    ],
)
def test_an_m_line_that_lives_keeps_its_place(tracks: list[Track], got: str) -> None:
    with pytest.raises(BadInput) as refused:
        again(negotiate(parse(described(MEETING))), tracks)
    assert (refused.value.field, refused.value.got) == ("sdp", got)


@pytest.mark.parametrize(
    ("old", "new", "got"),
    [
        (f"a=ice-ufrag:{UFRAG}", "a=ice-ufrag:newu", "a=ice-ufrag:newu"),
        ("a=ice-pwd:", "a=ice-pwd:new", f"a=ice-ufrag:{UFRAG}"),
        ("B4:57", "00:00", "another a=fingerprint"),
        ("a=setup:actpass", "a=setup:passive", "a=setup:passive"),
    ],
)
def test_the_transport_stays_as_it_is(old: str, new: str, got: str) -> None:
    first = negotiate(parse(described(MEETING)))
    with pytest.raises(BadInput) as refused:
        negotiate(parse(described(MEETING).replace(old, new)), before=first)
    assert (refused.value.field, refused.value.got) == ("sdp", got)


def test_the_dtls_role_of_the_first_time_stays() -> None:
    first = negotiate(parse(described(MEETING, setup="passive")))
    second = again(first, MEETING)
    assert first.remote.our_setup == second.remote.our_setup == "active"
    assert answer(second).sections[0].attributes.first("setup") == "active"
