"""A stream shared by several tasks: who is cut when, and what a depacketizer says late."""

import itertools
import math
import struct
from dataclasses import replace
from itertools import pairwise

import pytest

from slicer.rtp import rtcp
from slicer.rtp.parameters import H264, ORIENTATION, VP8, VP9, Codec, Kind, RtpParameters
from slicer.slicing.outputs import (
    AudioCut,
    Missing,
    PictureCut,
    PictureMissing,
    TrackKey,
    TrackOutput,
    Transmit,
)
from slicer.slicing.spec import AudioSpec, VideoSpec
from slicer.slicing.track import earliest
from tests.harness.rtp.call import (
    AUDIO,
    AUDIO_TRACK,
    VIDEO,
    VIDEO_TRACK,
    Call,
    Sender,
    datagram,
    h264,
    opus,
    vp8,
)
from tests.harness.rtp.packetize import payloads, vp9
from tests.harness.rtp.parts import KeyframeRequests, bundle_of

OTHER = TrackKey("other", "ann", Kind.AUDIO)


def test_the_earliest_deadline_is_found_among_none() -> None:
    assert earliest([None, 3.0, None, 2.0]) == 2.0
    assert earliest([None]) is None


class Sound:
    """An audio track and one packet every 20 ms."""

    def __init__(self) -> None:
        self.bundle = bundle_of("ann", [AUDIO])
        self.number = 0
        self.now = 0.0
        self.cuts: list[TrackOutput | Transmit] = []

    def attach(self, key: TrackKey, seconds: int) -> None:
        self.cuts += self.bundle.attach(key, AudioSpec(seconds), self.now)

    def detach(self, key: TrackKey) -> None:
        self.cuts += self.bundle.detach(key, self.now)

    def run(self, packets: int) -> None:
        for _ in range(packets):
            self.now = self.number * 0.02
            packet = datagram(opus(self.number), self.number, self.number * 960)
            self.cuts += self.bundle.receive([packet], self.now)
            self.number += 1

    def slept(self) -> int:
        return self.bundle.counters["asleep"]

    def of(self, key: TrackKey) -> list[tuple[int, int]]:
        return [
            (c.start // 960, c.end // 960)
            for c in self.cuts
            if isinstance(c, AudioCut)
            if c.track == key
        ]


def test_sound_nobody_wants_sleeps() -> None:
    sound = Sound()
    sound.run(120)
    assert not any(isinstance(cut, AudioCut) for cut in sound.cuts)
    assert sound.bundle.counters == {"asleep": 120}
    assert sound.bundle.deadline() == 3.0  # the next report


def test_two_tasks_cut_one_sound_each_from_when_it_came() -> None:
    sound = Sound()
    sound.attach(AUDIO_TRACK, 1)
    sound.run(70)
    sound.attach(OTHER, 2)
    sound.run(130)
    assert sound.of(AUDIO_TRACK) == [(0, 50), (50, 100), (100, 150), (150, 200)]
    assert sound.of(OTHER) == [(70, 170)]
    sound.detach(OTHER)
    assert sound.of(OTHER) == [(70, 170), (170, 200)]
    sound.run(10)
    assert sound.slept() == 0
    sound.detach(AUDIO_TRACK)
    assert sound.of(AUDIO_TRACK)[-1] == (200, 210)
    given = len(sound.of(AUDIO_TRACK))
    sound.detach(AUDIO_TRACK)
    sound.run(10)
    assert sound.slept() == 10
    assert len(sound.of(AUDIO_TRACK)) == given


def test_sound_that_is_wanted_again_begins_with_the_next_packet() -> None:
    sound = Sound()
    sound.attach(AUDIO_TRACK, 1)
    sound.run(30)
    sound.detach(AUDIO_TRACK)
    sound.run(40)
    sound.attach(AUDIO_TRACK, 1)
    sound.run(50)
    assert sound.of(AUDIO_TRACK) == [(0, 30), (70, 120)]


class Sight:
    """A video track whose source cannot be asked, and packets by hand."""

    def __init__(self, codec: Codec = VP8) -> None:
        self.bundle = bundle_of("ann", [RtpParameters(Kind.VIDEO, {96: codec})])
        self.bundle.attach(VIDEO_TRACK, VideoSpec(1), 0.0)
        self.now = 0.0
        self.cuts: list[TrackOutput | Transmit] = []

    def put(self, sequence: int, timestamp: int, payload: bytes = b"\x10\x01") -> None:
        self.now += 0.3
        packet = datagram(payload, sequence, timestamp, 1, 96, True)
        self.cuts += self.bundle.receive([packet], self.now)

    @property
    def taken(self) -> list[tuple[int, int]]:
        return [(cut.due, cut.timestamp) for cut in self.cuts if isinstance(cut, PictureCut)]


def whole(number: int, keyframe: bool) -> bytes:
    """An access unit of H.264 in one payload."""
    (payload,) = payloads("h264", h264(number, keyframe))
    return payload


def test_a_frame_that_is_given_behind_a_hole_does_not_heal_it() -> None:
    """H.264 that has not shown yet whether its marker can be believed comes a packet late: here
    the keyframe, with the packet behind the hole. Then comes a delta frame."""
    sight = Sight(H264)
    for sequence, timestamp in ((0, 0), (1, 27_000)):
        sight.put(sequence, timestamp, whole(sequence, True))
    assert sight.taken == [(0, 0)]
    for sequence, timestamp in ((3, 90_000), (4, 117_000), (5, 144_000), (6, 171_000)):
        sight.put(sequence, timestamp, whole(sequence, False))
    sight.put(7, 180_000, whole(7, True))
    assert sight.taken == [(0, 0), (90_000, 180_000)]


def test_a_frame_of_the_epoch_before_is_not_placed_in_this_one() -> None:
    sight = Sight(H264)
    hour = 90_000 * 3600
    sight.put(0, 2 * hour, whole(0, True))
    sight.put(1, 2 * hour, whole(1, False))  # nobody knows yet whether this is another frame
    sight.put(2, 0, whole(2, True))
    sight.put(3, 3000, whole(3, False))
    assert sight.taken == [(0, 0)]


def test_malformed_payloads_are_counted_and_make_what_follows_undecodable() -> None:
    sight = Sight()
    sight.put(0, 0, b"\x10" + vp8(0, True))
    sight.put(1, 27_000, b"\x10" + vp8(1, False))
    sight.put(2, 54_000, b"\x90")
    sight.put(3, 90_000, b"\x10" + vp8(3, False))
    sight.put(4, 117_000, b"\x10" + vp8(4, True))
    assert sight.taken == [(0, 0), (90_000, 117_000)]
    assert sight.bundle.counters == {"malformed_payload": 1}


class Camera:
    """A video track, a picture every second, of packets that a test makes; a frame every 40 ms."""

    def __init__(self, line: RtpParameters) -> None:
        self.bundle, self.line, self.sequence = bundle_of("ann", [line]), line, 0
        self.outputs = self.bundle.attach(VIDEO_TRACK, VideoSpec(1), 0.0)

    def send(
        self,
        number: int,
        packets: list[bytes],
        marker: bool = True,
        ssrc: int = 1,
        ext: bytes = b"",
    ) -> None:
        """The frame of this number; *ext*: of its last packet."""
        payload_type, codec = next(iter(self.line.codecs.items()))
        time, last = round(number * 0.04 * codec.clock_rate), len(packets) - 1
        for index, packet in enumerate(packets):
            at_end = index == last
            data = datagram(
                packet,
                self.sequence,
                time,
                ssrc,
                payload_type,
                marker and at_end,
                ext if at_end else b"",
            )
            self.sequence += 1
            self.outputs += self.bundle.receive([data], number * 0.04)

    @property
    def pictures(self) -> list[PictureCut]:
        return [one for one in self.outputs if isinstance(one, PictureCut)]

    @property
    def missing(self) -> list[PictureMissing]:
        return [one for one in self.outputs if isinstance(one, PictureMissing)]


def test_a_stream_without_parameter_sets_is_told_once() -> None:
    camera = Camera(RtpParameters(Kind.VIDEO, {102: H264}))
    for number in range(1_500):
        camera.send(number, [b"\x09\xf0", b"\x65\x88\x84"])
    assert camera.pictures == []
    assert camera.missing == [PictureMissing(VIDEO_TRACK, Missing.PARAMETER_SETS)]
    assert camera.bundle.counters["no_parameter_sets"] > 1_400


def test_a_packetization_that_is_not_read_is_told_once() -> None:
    """STAP-B, of the interleaved mode (RFC 6184 5.7.1)."""
    camera = Camera(RtpParameters(Kind.VIDEO, {102: H264}))
    for number in range(1_500):
        camera.send(number, [b"\x19\0\1\0\3\x65\x88\x84"])
    assert camera.pictures == []
    assert camera.missing == [PictureMissing(VIDEO_TRACK, Missing.PACKETIZATION)]
    assert camera.bundle.counters["unsupported_payload"] > 1_400
    assert camera.bundle.counters["malformed_payload"] == 0


def test_what_cannot_be_had_is_told_again_after_a_picture() -> None:
    camera = Camera(RtpParameters(Kind.VIDEO, {102: H264}))
    for number in range(1_000):
        camera.send(number, [b"\x09\xf0", b"\x65\x88\x84"])
        if number == 500:
            camera.send(number, payloads("h264", h264(number, True)))
    assert [one.reason for one in camera.missing] == [Missing.PARAMETER_SETS]
    assert len(camera.pictures) > 1


TURNS = [0, 1, 2, 3, 4, 5]
ORIENTED = RtpParameters(Kind.VIDEO, {96: VP8}, extensions={5: ORIENTATION})


def oriented(turn: int, profile: int = 0xBEDE) -> bytes:
    """A header extension (RFC 8285) that holds the byte of 3GPP TS 26.114 7.4.5."""
    element = [0x50, turn, 0, 0] if profile == 0xBEDE else [5, 1, turn, 0]
    return struct.pack("!HH", profile, 1) + bytes(element)


@pytest.mark.parametrize("profile", [0xBEDE, 0x1000], ids=["one byte", "two bytes"])
@pytest.mark.parametrize("codec", [VP8, H264], ids=lambda codec: codec.name)
def test_pictures_have_the_orientation_that_packets_tell(profile: int, codec: Codec) -> None:
    """With the camera's bit and bits without a meaning set; what is not repeated goes on. H.264 has
    no markers here: a frame is whole with the next one's first packet, which tells another."""
    camera = Camera(RtpParameters(Kind.VIDEO, {96: codec}, extensions={5: ORIENTATION}))
    make = vp8 if codec is VP8 else h264
    for number in range(25 * len(TURNS) + 1):
        turn = TURNS[number // 25 % len(TURNS)]
        ext = oriented(0xF8 | turn, profile) if number % 25 == 0 else b""
        if number % 25 == 1 and codec is H264:
            ext = oriented(turn ^ 7, profile)
        packets = payloads(codec.name, make(number, number == 0))
        camera.send(number, packets, codec is VP8, ext=ext)
    assert [one.orientation for one in camera.pictures][: len(TURNS)] == TURNS
    assert [one.timestamp for one in camera.pictures][: len(TURNS)] == [
        90_000 * n for n in range(len(TURNS))
    ]


def test_another_source_is_upright_until_it_says_otherwise() -> None:
    camera = Camera(ORIENTED)
    for number in range(100):
        ssrc, ext = (1, oriented(2)) if number < 50 else (7, b"")
        camera.send(number, payloads("vp8", vp8(number, number % 50 == 0)), ssrc=ssrc, ext=ext)
    found = [(one.epoch, one.orientation) for one in camera.pictures]
    assert found == [(0, 2), (0, 2), (1, 0), (1, 0)]


@pytest.mark.parametrize(
    ("line", "ext"),
    [
        (RtpParameters(Kind.VIDEO, {96: VP8}), oriented(2)),
        (ORIENTED, struct.pack("!HH", 0x1000, 1) + b"\5\0\0\0"),
    ],
    ids=["not agreed", "empty"],
)
def test_an_orientation_that_is_not_told_is_not_read(line: RtpParameters, ext: bytes) -> None:
    camera = Camera(line)
    for number in range(3):
        camera.send(number, payloads("vp8", vp8(number, number == 0)), ext=ext)
    assert [one.orientation for one in camera.pictures] == [0]


RATE, FRAME = 90_000, 0.04


def pictures_of_a_camera() -> Call:
    """A picture every 5 s, of a camera that answers requests for keyframes."""
    plain = replace(VIDEO, rtx={}, extensions={}, feedback=frozenset({"nack pli"}))
    talk = Call(bundle_of("ann", [plain]), [Sender(plain, every=FRAME)])
    talk.take(talk.bundle.attach(VIDEO_TRACK, VideoSpec(5), 0.0))
    return talk


def test_two_tasks_share_one_stream_at_their_own_pace() -> None:
    other = VIDEO_TRACK._replace(task="other")
    talk = pictures_of_a_camera()
    talk.take(talk.bundle.attach(other, VideoSpec(2), 0.0))
    talk.run(60)
    mine = [p for p in talk.pictures if p.track == VIDEO_TRACK]
    theirs = [p for p in talk.pictures if p.track == other]
    assert [p.due for p in mine] == [5 * RATE * i for i in range(12)]
    assert [p.due for p in theirs] == [2 * RATE * i for i in range(30)]
    assert all(0 <= p.timestamp - p.due <= 0.6 * RATE for p in talk.pictures)
    asked = [when for when, _ in talk.feedback(rtcp.PictureLossIndication)]
    assert all(b - a >= 0.3 for a, b in pairwise(asked))
    assert talk.bundle.counters["asleep"] > 1000


def test_tasks_come_and_go_in_mid_stream() -> None:
    other = VIDEO_TRACK._replace(task="other")
    talk = pictures_of_a_camera().run(12.3)
    talk.take(talk.bundle.attach(other, VideoSpec(5), talk.now))
    talk.run(10)
    talk.take(talk.bundle.detach(VIDEO_TRACK, talk.now))
    count = sum(p.track == VIDEO_TRACK for p in talk.pictures)
    talk.run(10)
    theirs = [p for p in talk.pictures if p.track == other]
    assert sum(p.track == VIDEO_TRACK for p in talk.pictures) == count
    assert len(theirs) == 4
    assert theirs[0].due == pytest.approx(12.3 * RATE, abs=FRAME * RATE)
    talk.take(talk.bundle.detach(other, talk.now))
    asleep = talk.bundle.counters["asleep"]
    talk.run(10)
    assert talk.bundle.counters["asleep"] == asleep + 250
    assert len(talk.pictures) == count + 4


def watched(tasks: int, spec: VideoSpec) -> Call:
    """A source that answers requests, and so many tasks with pictures due at different times."""
    bundle = bundle_of("ann", [VIDEO])
    call = Call(bundle, [Sender(VIDEO, every=0.04)])
    for number in range(tasks):
        key = VIDEO_TRACK._replace(task=str(number))
        call.take(bundle.attach(key, spec, call.now))
        call.run(0.12)
    return call


@pytest.mark.parametrize("interval", [0.5, 2.0])
def test_a_source_is_asked_so_seldom_however_many_tasks_watch_it(interval: float) -> None:
    call = watched(20, VideoSpec(1, keyframe_interval=interval))
    call.run(20)
    asked = call.senders[0].asked
    assert all(after - before >= interval - call.tick for before, after in pairwise(asked))
    assert len(asked) >= 20 / interval * 0.7
    assert call.bundle.counters["unanswered"] == 0
    pictures = [one for one in call.pictures if one.track.task == "7"]
    assert len(pictures) >= 20 / max(interval, 1) * 0.7
    alone = [len(one.frames) == 1 and one.frames[0][0] & 1 == 0 for one in pictures]
    assert all(alone[3:]), "keyframes, once it is known that the source answers"


@pytest.mark.parametrize("interval", [0.5, 2.0])
def test_a_source_is_asked_so_seldom_by_however_many_connections(interval: float) -> None:
    """As in an SFU's room: each request comes to the publisher, each keyframe to all."""
    requests = KeyframeRequests()
    calls = list[Call]()
    for _ in range(5):
        bundle = bundle_of("ann", [VIDEO], requests_of=lambda anchor, slot: requests)
        calls.append(Call(bundle, [Sender(VIDEO, every=0.04)]))
    for step in range(2000):
        for number, call in enumerate(calls):
            if step == 12 * number:
                spec = VideoSpec(1 + number % 2, keyframe_interval=interval)
                call.take(call.bundle.attach(VIDEO_TRACK, spec, call.now))
            before = len(call.compounds)
            call.run(call.tick)
            for other in calls:
                for _, compound in call.compounds[before:] if other is not call else ():
                    other.senders[0].receive(compound, call.now)
    asked = sorted(calls[0].senders[0].asked)
    assert all(after - before >= interval - 0.015 for before, after in pairwise(asked))
    assert 20 / interval * 0.6 <= len(asked) <= 20 / interval + 1
    for call in calls:
        assert call.bundle.counters["unanswered"] == 0
        assert len(call.pictures) >= 20 / max(interval, 2) * 0.7
        assert all(len(one.frames) == 1 and one.frames[0][0] & 1 == 0 for one in call.pictures[3:])


def test_a_source_is_never_asked_where_that_is_the_policy() -> None:
    """Its own keyframes are all that there are, one in two seconds."""
    call = watched(3, VideoSpec(1, keyframe_interval=math.inf))
    call.senders[0].group = 50
    call.run(10)
    assert call.senders[0].asked == []
    assert call.feedback(rtcp.PictureLossIndication) == []
    assert call.feedback(rtcp.FullIntraRequest) == []
    assert call.bundle.counters["keyframe_requests"] == 0
    pictures = [one for one in call.pictures if one.track.task == "0"]
    assert len(pictures) >= 10
    assert all(one.timestamp - one.due < 0.04 * 90_000 for one in pictures)
    assert len({one.keyframe for one in pictures}) >= 5


def test_of_spatial_layers_those_that_are_enough_for_every_task_are_taken() -> None:
    """From the next keyframe on; one comes each second, unasked."""
    section = RtpParameters(Kind.VIDEO, {98: VP9}, {}, {})
    made, sequence, taken = bundle_of("ann", [section]), itertools.count(), dict[int, int]()

    def watch(task: str, height: int | None) -> None:
        key = TrackKey(task, "ann", Kind.VIDEO)
        made.attach(key, VideoSpec(1, max_height=height), number / 25)

    for number in range(150):
        if number == 0:
            watch("low", 300)
        elif number == 40:
            watch("all", None)
        elif number == 90:
            made.detach(TrackKey("all", "ann", Kind.VIDEO), number / 25)
        layers = [b"\x86\x00\x40\x92" if number % 25 else b"\x82\x49\x83\x42", b"h" * 20, b"f" * 30]
        parts = vp9(layers, heights=(180, 360, 720))
        datagrams = [
            datagram(part, next(sequence), number * 3600, payload_type=98, marker=part is parts[-1])
            for part in parts
        ]
        for output in made.receive(datagrams, number / 25):
            if isinstance(output, PictureCut) and output.track.task == "low":
                taken[number] = output.frames[-1].count(b"h") + output.frames[-1].count(b"f")
    assert [taken[at] for at in sorted(taken)] == [20, 20, 50, 50, 20, 20]
