"""Our offers: what they ask for, what an answer makes of them, and how they change."""

from contextlib import suppress
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slicer.errors import BadInput, LimitReached
from slicer.rtp.parameters import (
    AUDIO_LEVEL,
    G722,
    MAX_NAMED_SSRCS,
    MID,
    OPUS,
    ORIENTATION,
    PCMU,
    TRANSPORT_WIDE_CC,
    VP8,
    Kind,
)
from slicer.slicing.bundle import MAX_SECTIONS
from slicer.webrtc.description import write_answer, write_offer
from slicer.webrtc.negotiation import Agreement, negotiate
from slicer.webrtc.parameters import Local
from slicer.webrtc.profile import Profile, h264
from slicer.webrtc.proposal import Proposal, propose
from slicer.webrtc.sdp import Attributes, Description, parse
from tests.harness.rooms.descriptions import Track, answer, changed, described, many

A, V = Kind.AUDIO, Kind.VIDEO
OURS = Local("ufrg", "p" * 22, (("sha-256", "CC:DD"),), "127.0.0.1", 4000, ("1 1 udp 9 ::1 4000",))


def text(proposal: Proposal) -> str:
    return write_offer(proposal, OURS, 1)


def agreed(proposal: Proposal, **how: object) -> Agreement:
    return proposal.conclude(parse(answer(text(proposal), **how)))  # type: ignore[arg-type]


def mids(agreement: Agreement) -> list[str]:
    return [stream.mid for stream in agreement.streams]


def test_the_first_offer_numbers_every_codec_and_extension_once() -> None:
    audio, video, more = propose([A, V, V]).offered.values()
    assert [audio.mid, video.mid, more.mid] == ["0", "1", "2"]
    assert [codec.name for codec in audio.codecs.values()] == ["opus", "pcmu", "pcma", "g722"]
    assert list(audio.codecs)[:4] == [111, 0, 8, 9]
    assert [codec.name for codec in video.codecs.values()] == [
        "vp8",
        "h264",
        "h264",
        "h264",
        "vp9",
        "av1",
        "h265",
    ]
    assert (more.codecs, more.rtx, more.extensions) == (video.codecs, video.rtx, video.extensions)
    numbers = [*audio.codecs, *video.codecs, *video.rtx]
    assert len(set(numbers)) == len(numbers)
    assert not any(64 <= number < 96 for number in numbers)
    assert set(video.rtx.values()) == set(video.codecs)
    assert audio.extensions == {1: MID, 2: TRANSPORT_WIDE_CC, 4: AUDIO_LEVEL}
    assert video.extensions == {1: MID, 2: TRANSPORT_WIDE_CC, 3: ORIENTATION}


def test_an_answer_narrows_it() -> None:
    agreement = agreed(propose([A, V]))
    audio, video = agreement.streams
    assert [codec.name for codec in audio.codecs.values()] == ["opus"]
    assert list(video.codecs.values()) == [VP8]
    assert video.rtx == {}
    assert video.extensions == {1: MID, 2: TRANSPORT_WIDE_CC}
    assert video.feedback == {"nack pli"}
    assert agreement.group == ("0", "1")
    assert agreement.remote.our_setup == "passive"


@pytest.mark.parametrize(("named", "ssrcs"), [(True, (7, 9)), (False, ())])
def test_ssrcs_that_an_answer_names(named: bool, ssrcs: tuple[int, ...]) -> None:
    proposal = propose([A], profile=Profile(named_ssrcs=named))
    lines = "".join(
        f"a=ssrc:{one}\r\n" for one in ("7 cname:x", "7 msid:y", "9", "4294967296", "x")
    )
    (audio,) = proposal.conclude(parse(answer(text(proposal)) + lines)).streams
    assert audio.ssrcs == ssrcs


def test_the_ssrcs_that_an_answer_names_are_bounded() -> None:
    proposal = propose([A], profile=Profile(named_ssrcs=True))
    lines = "".join(f"a=ssrc:{number} cname:x\r\n" for number in range(100))
    (audio,) = proposal.conclude(parse(answer(text(proposal)) + lines)).streams
    assert audio.ssrcs == tuple(range(MAX_NAMED_SSRCS))


def test_an_m_line_can_be_rejected_or_be_silent_for_now() -> None:
    agreement = agreed(propose([A, V, A]), rejected=["0"], inactive=["2"])
    assert mids(agreement) == ["1"]
    assert list(agreement.accepted) == [1, 2]
    assert agreement.paused == {2}
    assert mids(agreed(propose([], before=agreement))) == ["1", "2"]


def test_a_profile_says_what_is_offered() -> None:
    profile = Profile(
        codecs={V: (h264("42e01f"), VP8)},
        retransmission=False,
        feedback={V: ("nack pli",)},
        extensions=(MID,),
    )
    (video,) = propose([V], profile=profile).offered.values()
    assert [codec.name for codec in video.codecs.values()] == ["h264", "vp8"]
    assert not video.rtx
    assert video.feedback == {"nack pli"}
    assert video.extensions == {1: MID}


def test_a_stopped_m_line_keeps_its_place_until_another_takes_it() -> None:
    before = agreed(propose([A, V, A]))
    stopping = propose([V], stop=["1"], before=before)
    assert list(stopping.offered) == [0, 2, 3]
    without = agreed(stopping)
    assert mids(without) == ["0", "2", "3"]
    recycled = propose([A, V], before=without)
    assert [(i, one.kind, one.mid) for i, one in recycled.offered.items()] == [
        (0, A, "0"),
        (1, A, "4"),
        (2, A, "2"),
        (3, V, "3"),
        (4, V, "5"),
    ]
    assert mids(agreed(recycled)) == ["0", "4", "2", "3", "5"]


def test_the_transport_goes_on_where_its_m_line_stops() -> None:
    before = agreed(propose([A, V]))
    offered = parse(text(propose([], stop=["0"], before=before)))
    assert offered.attributes.first("group") == "BUNDLE 1"
    assert offered.sections[0].port == 0
    assert offered.sections[1].attributes.all("candidate") == list(OURS.candidates)


def test_after_an_offer_of_the_peer_its_numbers_are_used() -> None:
    before = negotiate(parse(described([Track("audio", "a"), Track("video", "v")])))
    new = propose([A, V], before=before).offered
    audio, video = new[2], new[3]
    assert {audio.mid, video.mid} == {"0", "1"}
    assert video.codecs[96] == VP8
    assert video.rtx[97] == 96
    assert video.extensions == {4: MID, 1: TRANSPORT_WIDE_CC, 2: ORIENTATION}
    assert audio.codecs[111] == before.accepted[0].codecs[111] == OPUS
    assert audio.codecs.keys().isdisjoint(video.codecs)
    assert audio.codecs[0] == PCMU
    assert audio.codecs[9] == G722


@pytest.mark.parametrize(
    ("broken", "got"),
    [
        (lambda sdp: sdp.replace("m=video 9", "m=audio 9"), "m=audio, a=mid:1"),
        (lambda sdp: sdp.replace("a=mid:1", "a=mid:9"), "m=video, a=mid:9"),
        (lambda sdp: sdp[: sdp.index("m=video")], "1 m-line"),
        (lambda sdp: sdp.replace("BUNDLE 0 1", "BUNDLE 0"), "a=mid:1 outside a=group:BUNDLE"),
        (lambda sdp: sdp.replace("a=rtcp-mux\r\n", ""), "m=audio without a=rtcp-mux"),
        (lambda sdp: sdp.replace(" 9 ", " 0 "), ["audio", "video"]),
        (lambda sdp: sdp.replace("opus", "speex").replace("VP8", "VP7"), ["audio", "video"]),
        (lambda sdp: sdp.replace("a=setup:active", "a=setup:actpass"), "a=setup:actpass"),
    ],
)
def test_an_answer_that_does_not_fit(broken: object, got: object) -> None:
    proposal = propose([A, V])
    with pytest.raises(BadInput) as refused:
        proposal.conclude(parse(broken(answer(text(proposal)))))  # type: ignore[operator]
    assert (refused.value.field, refused.value.got) == ("sdp", got)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["rtpmap", "fmtp", "extmap", "rtcp-fb", "group", "mid", "setup"]),
            st.text(max_size=30),
        )
    ),
    st.integers(0, 2),
)
def test_any_answer_is_taken_or_refused(attributes: list[tuple[str, str]], more: int) -> None:
    proposal = propose([A, V])
    answered = parse(answer(text(proposal)))
    sections = tuple(
        replace(one, attributes=Attributes((*attributes, *one.attributes)))
        for one in (answered.sections * 2)[: 1 + more]
    )
    described = Description(Attributes((*attributes, *answered.attributes)), sections)
    with suppress(BadInput):
        agreement = proposal.conclude(described)
        offer = text(propose([A], before=agreement))
        assert len(parse(offer).sections) in {2, 3}


def test_payload_types_that_we_did_not_offer_do_not_count() -> None:
    proposal = propose([A])
    sdp = answer(text(proposal)).replace("SAVPF 111", "SAVPF 120 111")
    sdp += "a=rtpmap:120 opus/48000/2\r\na=extmap:9 urn:ietf:params:rtp-hdrext:sdes:mid\r\n"
    (stream,) = proposal.conclude(parse(sdp)).streams
    assert list(stream.codecs) == [111]
    assert stream.extensions == {1: MID, 2: TRANSPORT_WIDE_CC}


def test_what_cannot_be_stopped() -> None:
    before = agreed(propose([A, V]))
    with pytest.raises(BadInput) as refused:
        propose([], stop=["1", "7"], before=before)
    assert (refused.value.field, refused.value.got) == ("stop", ["7"])
    assert "0, 1" in refused.value.allowed


def test_the_number_of_tracks_is_bounded() -> None:
    before = agreed(propose([A] * MAX_SECTIONS))
    assert len(before.streams) == MAX_SECTIONS
    with pytest.raises(LimitReached, match="257 tracks"):
        propose([A], before=before)
    assert len(propose([A], stop=["7"], before=before).offered) == MAX_SECTIONS


def test_as_many_tracks_as_a_meeting_of_25_has() -> None:
    agreement = agreed(propose([A, V] * 25))
    assert len(agreement.streams) == 50
    assert len({stream.mid for stream in agreement.streams}) == 50
    assert len({tuple(stream.codecs) for stream in agreement.streams}) == 2


class Story:
    """A session that either side changes, in any order."""

    def __init__(self) -> None:
        self.agreement: Agreement | None = None
        self.seen: set[str] = set()

    def ours(self, wants: list[Kind], stop: int, rejected: bool) -> None:
        before = self.agreement
        live = [one.mid for one in before.accepted.values()] if before else []
        stopped = live[stop : stop + 1] if len(live) > 1 else []
        proposal = propose(wants, stopped, before=before)
        if not proposal.offered:
            return
        new = {one.mid for one in proposal.offered.values()} - set(live)
        assert not new & self.seen
        self.seen |= new
        # A first answer that rejects all is an error, and another test's.
        refuse = sorted(new)[1:] if rejected else []
        self.take(agreed(proposal, rejected=refuse, setup=self.setup))

    def theirs(self, kinds: list[str], stop: int, pause: int) -> None:
        before = self.agreement
        tracks = []
        for index, section in enumerate(before.sections if before else ()):
            live = before is not None and index in before.accepted
            if not live and kinds:
                tracks.append(Track(kinds.pop(), f"t{len(self.seen)}"))
                self.seen.add(tracks[-1].mid)
            else:
                tracks.append(Track(section.kind, section.mid, "sendonly" if live else "stopped"))
        for kind in kinds:
            tracks.append(Track(kind, f"t{len(self.seen)}"))
            self.seen.add(tracks[-1].mid)
        mids = [one.mid for one in tracks if one.direction != "stopped"]
        if len(mids) > 1:
            tracks = changed(tracks, "stopped", *mids[1:][stop : stop + 1])
            tracks = changed(tracks, "inactive", *mids[1:][pause : pause + 1])
        if mids:
            agreement = negotiate(parse(described(tracks)), before=before)
            answered = parse(write_answer(agreement, OURS, 1))
            assert len(answered.sections) == len(tracks)
            self.take(agreement)

    @property
    def setup(self) -> str:
        """The peer's part in DTLS, which stays."""
        passive = self.agreement is not None and self.agreement.remote.our_setup == "active"
        return "passive" if passive else "active"

    def take(self, agreement: Agreement) -> None:
        before, self.agreement = self.agreement, agreement
        mids = [one.mid for one in agreement.accepted.values()]
        assert len(set(mids)) == len(mids)
        assert set(agreement.group) == set(mids)
        if before is not None:
            assert len(agreement.sections) >= len(before.sections)
            assert agreement.remote.our_setup == before.remote.our_setup
            for index in before.accepted.keys() & agreement.accepted.keys():
                assert before.accepted[index].codecs == agreement.accepted[index].codecs


KINDS = st.lists(st.sampled_from(Kind), max_size=3)
MOVES = st.one_of(
    st.tuples(st.just("ours"), KINDS, st.integers(0, 5), st.booleans()),
    st.tuples(
        st.just("theirs"),
        KINDS.map(lambda kinds: [*map(str, kinds)]),
        st.integers(0, 5),
        st.integers(0, 5),
    ),
)


@given(st.lists(MOVES, max_size=12))
def test_any_order_of_offers_leaves_a_session_that_both_know(moves: list[tuple]) -> None:  # type: ignore[type-arg]
    story = Story()
    for who, *how in moves:
        getattr(story, who)(*how)


def test_a_thousand_m_lines_come_and_go_in_one_place() -> None:
    agreement = agreed(propose([A, V]))
    for _ in range(300):
        agreement = agreed(
            propose([V], before=agreed(propose([], stop=[mids(agreement)[1]], before=agreement)))
        )
    assert len(agreement.sections) == 2
    assert mids(agreement) == ["0", "301"]


def test_our_offer_reads_like_one_that_an_sfu_takes() -> None:
    offer = parse(write_offer(propose([A, V]), OURS, 7, 2))
    assert offer.attributes.first("group") == "BUNDLE 0 1"
    for section in offer.sections:
        assert (section.port, section.protocol) == (4000, "UDP/TLS/RTP/SAVPF")
        for flag in ("recvonly", "rtcp-mux", "rtcp-rsize"):
            assert section.attributes.has(flag)
        assert section.attributes.first("setup") == "actpass"
        extensions = [f"1 {MID}", f"2 {TRANSPORT_WIDE_CC}"]
        assert section.attributes.all("extmap")[:2] == extensions
        assert section.attributes.by_payload_type("rtpmap").keys() == set(section.formats)
    audio, video = offer.sections
    assert audio.attributes.all("extmap") == [*extensions, f"4 {AUDIO_LEVEL}"]
    assert video.attributes.all("extmap") == [*extensions, f"3 {ORIENTATION}"]
    assert "111 opus/48000/2" in audio.attributes.all("rtpmap")
    assert "111 minptime=10;useinbandfec=1" in audio.attributes.all("fmtp")
    assert "96 VP8/90000" in video.attributes.all("rtpmap")
    assert video.attributes.all("rtcp-fb")[:3] == ["96 nack", "96 nack pli", "96 ccm fir"]
    assert "97 apt=96" in video.attributes.all("fmtp")
    assert audio.attributes.has("end-of-candidates")
    assert not video.attributes.has("candidate")


def test_many_m_lines_of_an_offer_are_all_offered_again() -> None:
    before = negotiate(parse(described(many(25))))
    assert [one.mid for one in propose([], before=before).offered.values()] == [
        str(n) for n in range(50)
    ]


@pytest.mark.parametrize(
    ("mid", "ours"),
    [("6", "7"), ("x", "0"), ("-3", "0"), ("9" * 15, "1" + "0" * 15), ("9" * 16, "0")],
)
def test_our_mids_count_on_from_the_greatest_number(mid: str, ours: str) -> None:
    before = negotiate(parse(described([Track("audio", mid)])))
    after = agreed(propose([V], before=before), setup="active")
    assert mids(after) == [mid, ours]
    assert len({*mids(agreed(propose([V, V], before=after), setup="active"))}) == 4


def test_a_peer_without_mids_can_be_asked_to_go_on() -> None:
    bare = described([Track("audio", "a")]).replace("a=mid:a\r\n", "").replace("BUNDLE a", "BUNDLE")
    offer = text(propose([], before=negotiate(parse(bare))))
    assert "a=mid" not in offer
    assert "BUNDLE" not in offer
    assert parse(offer).sections[0].attributes.has("candidate")


def test_a_peer_may_have_taken_all_numbers() -> None:
    everything = [*range(96, 128), *range(35, 64)]
    opus = "".join(f"a=rtpmap:{n} opus/48000/2\r\n" for n in everything)
    ids = "".join(f"a=extmap:{n} {MID}\r\n" for n in range(1, 15))
    offer = described([Track("audio", "a")], extensions=[]) + opus + ids
    offer = offer.replace("SAVPF 111", f"SAVPF {' '.join(map(str, everything))}")
    before = negotiate(parse(offer))
    (_, audio) = propose([A], before=before).offered.values()
    assert {"opus", "pcmu", "pcma", "g722"} == {one.name for one in audio.codecs.values()}
    assert list(audio.extensions.values()) == [MID]
    with pytest.raises(LimitReached, match="no payload type is left for video"):
        propose([V], before=before)
