"""One connection that carries many anchors: whose a packet is, and what is said for all of them."""

import itertools
import struct
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slicer.errors import BadInput
from slicer.rtp import rtcp
from slicer.rtp.demultiplexer import MAX_SSRCS
from slicer.rtp.parameters import MID, OPUS, TRANSPORT_WIDE_CC, VP8, Kind, RtpParameters
from slicer.rtp.rtcp.reports import ReceiverReport
from slicer.slicing.bundle import MAX_SECTIONS
from slicer.slicing.outputs import AudioCut, Cut, PictureCut, TrackKey
from slicer.slicing.spec import AudioSpec, VideoSpec
from tests.harness.rtp.call import Call, Network, Sender, datagram, heard, number_of, opus
from tests.harness.rtp.parts import Bundle, bundle_of

EXTENSIONS = {3: TRANSPORT_WIDE_CC, 4: MID}
AUDIO = RtpParameters(Kind.AUDIO, {111: OPUS}, {}, EXTENSIONS, frozenset({"nack", "transport-cc"}))
VIDEO = RtpParameters(
    Kind.VIDEO, {96: VP8}, {97: 96}, EXTENSIONS, frozenset({"nack", "nack pli", "transport-cc"})
)


def audio_of(anchor: str) -> TrackKey:
    return TrackKey("task", anchor, Kind.AUDIO)


def video_of(anchor: str) -> TrackKey:
    return TrackKey("task", anchor, Kind.VIDEO)


class Conference:
    """Anchors whose sections all have the same payload types, on one connection.

    Each sends audio and video; frames are numbered from 10 000 times the anchor's place on, so
    that a cut shows whose they are. *named*: packets that carry a MID after an SSRC has begun, None
    for all.
    """

    def __init__(
        self,
        count: int,
        named: int | None = 20,
        network: Network | None = None,
        video: RtpParameters = VIDEO,
    ) -> None:
        self.bundle = Bundle(9)
        self.call = Call(self.bundle, [], network or Network(delay=0.02), tick=0.02)
        self.transport = itertools.count()
        self.named, self.video = named, video
        self.senders: dict[str, tuple[Sender, Sender]] = {}
        for place in range(count):
            self.join(f"a{place}", place)

    def join(self, anchor: str, place: int, ssrc: int | None = None) -> None:
        """An anchor comes, and is cut."""
        first = 10 * place + 10 if ssrc is None else ssrc
        sections = [replace(AUDIO, mid=f"{2 * place}"), replace(self.video, mid=f"{2 * place + 1}")]
        audio, video = (
            Sender(
                section,
                ssrc=first + at,
                every=0.02 if section.kind is Kind.AUDIO else 0.04,
                number=10_000 * place,
                reports=2,
                transport=self.transport,
                named=self.named,
            )
            for at, section in enumerate(sections)
        )
        self.senders[anchor] = audio, video
        now = self.call.now
        self.call.take(self.bundle.set_sections(anchor, sections, now))
        self.call.take(self.bundle.attach(audio_of(anchor), AudioSpec(1), now))
        self.call.take(self.bundle.attach(video_of(anchor), VideoSpec(1), now))
        self.call.senders = [one for both in self.senders.values() for one in both]

    def leave(self, anchor: str) -> None:
        """An anchor's sections go; what is still under way comes later."""
        del self.senders[anchor]
        self.call.senders = [one for both in self.senders.values() for one in both]
        self.call.take(self.bundle.set_sections(anchor, (), self.call.now))

    def slices(self, anchor: str) -> list[AudioCut]:
        return [cut for cut in self.call.slices if cut.track == audio_of(anchor)]

    def pictures(self, anchor: str) -> list[PictureCut]:
        return [cut for cut in self.call.pictures if cut.track == video_of(anchor)]

    def end(self) -> None:
        """Nobody sends any more; what is under way arrives, and all is cut."""
        for sender in self.call.senders:
            sender.muted = True
        self.call.run(1)
        self.call.end()
        self.check()

    def check(self) -> None:
        """Nobody's media is in another's files."""
        for cut in self.call.cuts:
            place = int(cut.track.anchor[1:])
            frames = cut.packets if isinstance(cut, AudioCut) else cut.frames
            assert {number_of(frame) // 10_000 for frame in frames} == {place}


def test_equal_payload_types_are_told_apart_and_nothing_is_lost() -> None:
    room = Conference(2)
    room.call.run(10)
    room.end()
    for anchor, (audio, _) in room.senders.items():
        assert heard(room.slices(anchor)) == audio.sent
        assert len(room.pictures(anchor)) == 10
    assert not {"unroutable", "parallel_ssrc", "probation"} & room.bundle.counters.keys()


@pytest.mark.parametrize("count", [25, MAX_SECTIONS // 2])
def test_many_anchors_share_a_connection(count: int) -> None:
    room = Conference(count)
    room.call.run(2)
    room.end()
    for anchor, (audio, _) in room.senders.items():
        assert heard(room.slices(anchor)) == audio.sent
        assert len(room.pictures(anchor)) == 2


def test_sections_over_the_bound_are_refused_and_counted() -> None:
    made = Bundle(9)
    sections = [replace(AUDIO, mid=str(number)) for number in range(MAX_SECTIONS + 5)]
    made.set_sections("ann", sections[:200], 0.0)
    made.set_sections("bob", sections[200:], 0.0)
    assert made.counters == {"sections_refused": 5}
    packets = [named(number, str(number)) for number in range(MAX_SECTIONS - 2, MAX_SECTIONS + 2)]
    made.receive(packets, 1.0)
    assert made.counters["unknown_mid"] == 2
    made.set_sections("ann", (), 2.0)
    made.set_sections("bob", sections[200:], 2.0)
    made.receive(packets, 2.0)
    assert made.counters["unknown_mid"] == 2


def named(ssrc: int, mid: str, number: int = 0, payload_type: int = 111) -> bytes:
    """A packet of Opus with a MID."""
    value = mid.encode()
    block = (bytes([4 << 4 | len(value) - 1]) + value).ljust(4, b"\0")
    extension = b"\xbe\xde" + (len(block) // 4).to_bytes(2) + block
    return datagram(opus(number), number, number * 960, ssrc, payload_type, extension=extension)


def test_sections_come_and_go_in_mid_stream() -> None:
    room = Conference(2)
    room.call.run(3.5)
    before = room.senders["a0"][0]
    room.leave("a0")
    last = room.slices("a0")[-1]
    assert last.end - last.start < 48_000
    cuts = len(room.call.cuts)
    room.join("a2", 2)
    room.call.run(3.5)
    room.check()
    assert not [cut for cut in room.call.cuts[cuts:] if cut.track.anchor == "a0"]
    # What is under way when an anchor is told to have left is lost with it.
    assert heard(room.slices("a0")) == before.sent[: len(heard(room.slices("a0")))]
    assert len(before.sent) - len(heard(room.slices("a0"))) <= 3
    room.end()
    for anchor in ("a1", "a2"):
        assert heard(room.slices(anchor)) == room.senders[anchor][0].sent
    assert len({cut.epoch for cut in room.slices("a1")}) == 1
    assert room.bundle.counters["unroutable"] + room.bundle.counters["unknown_mid"] <= 10


def test_an_unchanged_section_goes_on_while_others_change() -> None:
    room = Conference(1)
    sections = [sender.parameters for sender in room.senders["a0"]]
    for number in range(40):
        room.call.run(0.13)
        more = [replace(AUDIO, mid=f"x{number}"), replace(VIDEO, mid=f"y{number}")]
        room.call.take(
            room.bundle.set_sections("a0", [replace(one) for one in sections] + more, room.call.now)
        )
    room.end()
    slices = room.slices("a0")
    assert heard(slices) == room.senders["a0"][0].sent
    assert {cut.end - cut.start for cut in slices[:-1]} == {48_000}
    assert {cut.epoch for cut in slices} == {0}


def test_a_kind_that_moves_to_another_section_is_cut_on_in_a_later_epoch() -> None:
    made = bundle_of("a0", [replace(AUDIO, mid="0")])
    made.attach(audio_of("a0"), AudioSpec(1), 0.0)
    cuts: list[Cut] = []
    for number in range(120):
        packet = named(5, "0", number) if number < 60 else named(6, "1", number)
        if number == 60:
            outputs = made.set_sections("a0", [replace(AUDIO, mid="1")], 1.2)
            cuts += [cut for cut in outputs if isinstance(cut, AudioCut)]
        outputs = made.receive([packet], number * 0.02)
        cuts += [cut for cut in outputs if isinstance(cut, AudioCut)]
    cuts += [cut for cut in made.flush(3.0) if isinstance(cut, AudioCut)]
    slices = [cut for cut in cuts if isinstance(cut, AudioCut)]
    assert [(cut.start // 960, cut.end // 960) for cut in slices] == [
        (0, 50),
        (50, 60),
        (60, 110),
        (110, 120),
    ]
    assert slices[0].epoch == slices[1].epoch < slices[2].epoch == slices[3].epoch
    assert heard(slices) == list(range(120))


def test_a_kind_that_goes_gives_its_last_cut_and_is_not_cut_when_it_comes_back() -> None:
    made = bundle_of("a0", [AUDIO, VIDEO])
    made.attach(audio_of("a0"), AudioSpec(15), 0.0)
    made.receive([datagram(opus(i), i, i * 960) for i in range(9)], 0.0)
    made.handle_timer(0.1)
    (cut,) = (o for o in made.set_sections("a0", [VIDEO], 1.0) if isinstance(o, AudioCut))
    assert heard([cut]) == list(range(9))
    made.set_sections("a0", [AUDIO, VIDEO], 2.0)
    made.receive([datagram(opus(i), i, i * 960) for i in range(9, 19)], 4.0)
    assert made.counters["asleep"] == 10
    assert not [output for output in made.flush(9.0) if isinstance(output, AudioCut)]


def test_a_mid_that_another_anchor_takes_is_taken_from_the_first() -> None:
    room = Conference(2)
    room.call.run(1.5)
    taken = room.senders["a0"][0].parameters
    cuts = len(room.call.cuts)
    audio = room.senders["a1"][0].parameters
    room.call.take(room.bundle.set_sections("a1", [audio, taken], room.call.now))
    assert [cut.track for cut in room.call.cuts[cuts:]] == [audio_of("a0")]
    room.senders["a0"][0].named = None
    room.call.run(3)
    assert not [cut for cut in room.call.cuts[cuts + 1 :] if cut.track == audio_of("a0")]
    room.end()
    assert len(room.pictures("a0")) >= 4


def test_a_mid_twice_is_refused() -> None:
    made = bundle_of("ann", [replace(AUDIO, mid="7")])
    with pytest.raises(BadInput, match="sections") as refused:
        made.set_sections("ann", [replace(AUDIO, mid="7"), replace(VIDEO, mid="7")], 0.0)
    assert "MID 7 2 times" in str(refused.value)
    made.receive([named(1, "7")], 1.0)
    assert made.counters["unknown_mid"] == 0


def test_without_mids_sections_are_known_by_ssrcs_that_came_while_types_were_their_own() -> None:
    made = bundle_of("ann", [AUDIO])
    made.attach(audio_of("ann"), AudioSpec(1), 0.0)
    outputs = []
    for number in range(100):
        now = number * 0.02
        if number == 40:
            made.set_sections("bob", [replace(AUDIO, mid="b")], now)
        packets = [datagram(opus(number), number, number * 960, ssrc) for ssrc in (1, 2)]
        outputs += made.receive(packets[: 1 + (number >= 40)], now)
    slices = [cut for cut in outputs if isinstance(cut, AudioCut)]
    assert heard(slices) == list(range(100))
    assert made.counters == {"unroutable": 60}


def test_an_ssrc_that_moves_by_its_mid_takes_its_media_with_it() -> None:
    room = Conference(2)
    room.call.run(2.5)
    ann, bob = (room.senders[anchor][0] for anchor in ("a0", "a1"))
    # The SFU gives ann's source to bob's section, and says so in one packet alone.
    moved = ann.number
    ann.parameters, ann.named = bob.parameters, ann.packets + 1
    ann.number = bob.number + 5_000
    bob.muted = True
    cuts = len(room.call.cuts)
    room.call.run(4)
    room.end()
    assert room.bundle.counters["ssrc_moved"] == 1
    late = [cut for cut in room.call.cuts[cuts:] if isinstance(cut, AudioCut)]
    assert all(
        number_of(p) <= moved for cut in late if cut.track.anchor == "a0" for p in cut.packets
    )
    theirs = [number_of(p) for cut in late if cut.track.anchor == "a1" for p in cut.packets]
    assert max(theirs) > 15_000


def test_two_anchors_with_one_ssrc_are_told_apart_while_packets_are_named() -> None:
    room = Conference(0, named=None)
    room.join("a0", 0, ssrc=77)
    room.join("a1", 1, ssrc=77)
    room.call.run(5)
    room.end()
    for anchor, (audio, _) in room.senders.items():
        assert heard(room.slices(anchor)) == audio.sent
    assert room.bundle.counters["ssrc_moved"] > 400


def test_packets_under_way_of_who_left_do_not_become_who_stays() -> None:
    room = Conference(2, network=Network(delay=0.5))
    room.call.run(3)
    room.leave("a0")
    room.call.run(3)
    room.end()
    assert heard(room.slices("a1")) == room.senders["a1"][0].sent[: len(heard(room.slices("a1")))]
    assert "ssrc_changed" not in room.bundle.counters
    assert room.bundle.counters["unroutable"] > 20


def test_lost_packets_are_repeated_for_each_section_though_repetitions_have_one_type() -> None:
    awake = replace(VIDEO, feedback=VIDEO.feedback - {"nack pli"})
    lossy = Network(delay=0.02, lose=lambda number: number % 29 == 11)
    room = Conference(3, network=lossy, video=awake)
    for _, video in room.senders.values():
        video.group = 20
    room.call.run(20)
    room.end()
    assert room.bundle.counters["retransmitted"] > 40
    for anchor, (audio, _) in room.senders.items():
        assert set(audio.sent) >= set(heard(room.slices(anchor)))
        assert len(audio.sent) - len(set(heard(room.slices(anchor)))) <= 1
        assert len(room.pictures(anchor)) >= 15


def test_transport_wide_feedback_is_one_sequence_over_all_sections() -> None:
    room = Conference(5)
    room.call.run(3)
    feedbacks = room.call.feedback(rtcp.TransportFeedback)
    assert [feedback.count for _, feedback in numbered(feedbacks)] == list(range(len(feedbacks)))
    came = [
        number
        for _, feedback in numbered(feedbacks)
        for number, when in feedback.arrivals()
        if when is not None
    ]
    assert came == list(range(len(came)))
    assert len(came) > 5 * (150 + 75) * 0.9
    compounds = [rtcp.parse(data) for _, data in room.call.compounds]
    assert all(isinstance(compound[0], rtcp.ReceiverReport) for compound in compounds)
    assert {compound[0].ssrc for compound in compounds if hasattr(compound[0], "ssrc")} == {9}


def test_a_packet_of_an_unknown_type_has_come_all_the_same() -> None:
    """Not acknowledged it would be lost to the sender, which would send with fewer bits."""
    room = Conference(1)
    room.call.run(1)
    for number in range(20):
        count = next(room.transport)
        extension = struct.pack("!HHBHB", 0xBEDE, 1, 0x31, count, 0)
        room.call.carry(datagram(b"?", number, 0, 77, 42, extension=extension), room.call.now)
    room.call.run(1)
    assert room.bundle.counters["unknown_payload_type"] == 20
    feedbacks = numbered(room.call.feedback(rtcp.TransportFeedback))
    came = [when for _, feedback in feedbacks for _, when in feedback.arrivals()]
    assert None not in came
    assert len(came) > 20


@pytest.mark.parametrize(("loss", "back"), [(0.05, 0.9), (0.1, 0.85), (0.2, 0.7)])
def test_redundant_audio_gives_back_what_was_lost(loss: float, back: float) -> None:
    """One packet before in each: what is lost alone comes back, of a row only the last."""
    parameters = replace(AUDIO, red={63: 111}, feedback=frozenset())
    sender = Sender(parameters, repeats=1)
    call = Call(bundle_of("ann", [parameters]), [sender], Network(delay=0.02, loss=loss), tick=0.02)
    call.take(call.bundle.attach(audio_of("ann"), AudioSpec(10), 0.0))
    call.run(60)
    call.network.loss = 0
    call.run(1)
    call.end()
    missing = set(sender.sent) - set(heard(call.slices))
    restored = call.bundle.counters["restored_by_red"]
    print(f"{loss:.0%} lost: {restored} restored, {len(missing)} not")
    assert restored / (restored + len(missing)) > back
    assert [cut.end - cut.start for cut in call.slices[:6]] == [480_000] * 6
    for cut in call.slices:
        for packet in cut.packets:
            assert (packet.timestamp - cut.packets[0].timestamp) == 960 * (
                number_of(packet) - number_of(cut.packets[0])
            )


def numbered(
    packets: Sequence[tuple[float, rtcp.RtcpPacket]],
) -> list[tuple[float, rtcp.TransportFeedback]]:
    return [(when, one) for when, one in packets if isinstance(one, rtcp.TransportFeedback)]


def test_each_source_is_reported_and_asked_by_itself() -> None:
    room = Conference(3)
    room.call.run(3.5)
    reports = [rtcp.parse(data)[0] for _, data in room.call.compounds]
    blocks = {
        tuple(block.ssrc for block in report.reports)
        for report in reports
        if isinstance(report, rtcp.ReceiverReport) and report.reports
    }
    assert blocks == {(10,), (11,), (20,), (21,), (30,), (31,)}
    for _, video in room.senders.values():
        assert 3 <= len(video.asked) <= 5


def test_a_sender_report_goes_to_the_anchor_it_is_about() -> None:
    room = Conference(2)
    room.call.run(5.5)
    reports = room.call.feedback(rtcp.ReceiverReport)
    last = {
        block.ssrc: block.lsr
        for _, report in reports
        if isinstance(report, rtcp.ReceiverReport)
        for block in report.reports
    }
    assert set(last) == {10, 11, 20, 21}
    assert all(last.values())


def test_rtcp_about_nobody_is_counted() -> None:
    made = bundle_of("ann", [AUDIO])
    made.receive([datagram(opus(1), 1, 960, 5)], 0.0)
    report = rtcp.SenderReport(5, 1 << 40, 960, 0, 0)
    made.receive([rtcp.build([report])], 0.1)
    made.receive([rtcp.build([rtcp.ReceiverReport(6)])], 0.1)
    assert made.counters == {}
    made.receive([rtcp.build([replace(report, ssrc=6)])], 0.1)
    made.receive([rtcp.build([rtcp.Bye((6, 7))])], 0.1)
    made.receive([rtcp.build([replace(report, ssrc=6), rtcp.Bye((7, 5))])], 0.1)
    assert made.counters == {"unknown_ssrc": 2, "bye": 2}


def test_ssrcs_that_an_anchor_makes_up_cost_no_other_anchor_any() -> None:
    room = Conference(2)
    room.call.run(1)
    for number in range(MAX_SSRCS * 20):
        room.call.take(room.bundle.receive([named(5_000 + number, "0")], room.call.now))
    room.call.run(3)
    room.end()
    assert room.bundle.counters["ssrc_forgotten"] >= MAX_SSRCS * 19
    assert heard(room.slices("a1")) == room.senders["a1"][0].sent
    assert len(room.pictures("a1")) == 4


def test_who_is_not_there_is_neither_attached_nor_detached() -> None:
    made = bundle_of("ann", [AUDIO])
    assert made.attach(audio_of("bob"), AudioSpec(1), 0.0) == []
    assert made.detach(audio_of("bob"), 0.0) == []
    assert made.set_sections("bob", (), 0.0) == []
    made.receive([datagram(opus(i), i, i * 960) for i in range(9)], 0.0)
    assert made.flush(1.0) == []
    assert made.counters == {"asleep": 9}


def test_when_an_anchor_was_heard_is_its_media_alone() -> None:
    made = bundle_of("ann", [AUDIO])
    assert made.heard("ann") == made.heard("bob") == float("-inf")
    made.receive([datagram(opus(i), i, i * 960) for i in range(9)], 3.0)
    made.receive([rtcp.build([ReceiverReport(1, ())]), datagram(b"x", 9, 0, 1, 99)], 4.0)
    assert (made.heard("ann"), made.heard("bob")) == (3.0, float("-inf"))
    made.set_sections("ann", (), 5.0)
    assert made.heard("ann") == float("-inf")


def test_counters_of_who_left_stay() -> None:
    made = bundle_of("ann", [AUDIO])
    made.receive([datagram(opus(i), i, i * 960) for i in range(9)], 0.0)
    made.set_sections("ann", (), 1.0)
    assert made.counters == {"asleep": 9}
    assert made.deadline() is None


@given(st.binary(max_size=60) | st.binary(max_size=60).map(lambda tail: b"\x81\xc8\0\x06" + tail))
def test_malformed_rtcp_is_counted(data: bytes) -> None:
    made = bundle_of("ann", [AUDIO])
    try:
        rtcp.parse(data)
        malformed = 0
    except ValueError:
        malformed = 1
    made.receive([data], 1.0)
    assert made.counters["malformed_rtcp"] == malformed * rtcp.is_rtcp(data)


def test_sound_and_sight_begin_where_the_sender_says() -> None:
    """The picture comes 200 ms later than the sound of its time; reports put it right."""
    sound = Sender(AUDIO, ssrc=1, reports=1)
    sight = Sender(VIDEO, ssrc=2, every=0.04, reports=1, timestamp=987_654)
    bundle = bundle_of("ann", [AUDIO, VIDEO])
    talk = Call(bundle, [sound, sight], Network(delay=0.02), delays={2: 0.2})
    talk.take(bundle.attach(video_of("ann"), VideoSpec(1), 0.0))
    talk.run(20)
    for picture in talk.pictures[3:]:
        taken = 0.01 + number_of(picture.frames[0]) * 0.04
        assert picture.began == pytest.approx(taken + 0.02, abs=0.03)
