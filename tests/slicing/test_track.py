"""A stream shared by several tasks: who is cut when, and what a depacketizer says late."""

from collections.abc import Iterator

import pytest

from slicer.rtp.codecs import video_format
from slicer.rtp.frame import Frame
from slicer.rtp.mapping import SenderClock
from slicer.rtp.packet import Packet
from slicer.rtp.parameters import VP8, Codec, Kind
from slicer.rtp.stream import Stream
from slicer.slicing import track as module
from slicer.slicing.outputs import AudioCut, Cut, PictureCut, TrackKey
from slicer.slicing.spec import AudioSpec, VideoSpec
from slicer.slicing.track import AudioTrack, VideoTrack, earliest
from tests.harness.rtp import AUDIO, SIGHT, SOUND, VIDEO, opus, vp8

OTHER = TrackKey("other", "ann", Kind.AUDIO)


def test_the_earliest_deadline_is_found_among_none() -> None:
    assert earliest([None, 3.0, None, 2.0]) == 2.0
    assert earliest([None]) is None


class Sound:
    """An audio track and one packet every 20 ms."""

    def __init__(self) -> None:
        self.stream = Stream(AUDIO, SenderClock())
        self.track = AudioTrack(self.stream)
        self.number = 0
        self.cuts: list[Cut] = []

    def run(self, packets: int) -> None:
        for _ in range(packets):
            number, now = self.number, self.number * 0.02
            self.stream.insert(
                Packet(111, False, number, number * 960, 1, opus(number), arrival=now)
            )
            self.cuts += self.track.receive(now)
            self.number += 1

    def of(self, key: TrackKey) -> list[tuple[int, int]]:
        return [
            (c.start // 960, c.end // 960)
            for c in self.cuts
            if isinstance(c, AudioCut)
            if c.track == key
        ]


def test_sound_nobody_wants_sleeps() -> None:
    sound = Sound()
    sound.run(100)
    assert sound.cuts == []
    assert sound.stream.counters["asleep"] == 100
    assert sound.track.deadline() is None


def test_two_tasks_cut_one_sound_each_from_when_it_came() -> None:
    sound = Sound()
    sound.track.attach(SOUND, AudioSpec(1))
    sound.run(70)
    sound.track.attach(OTHER, AudioSpec(2))
    sound.run(130)
    assert sound.of(SOUND) == [(0, 50), (50, 100), (100, 150), (150, 200)]
    assert sound.of(OTHER) == [(70, 170)]
    sound.cuts += sound.track.detach(OTHER)
    assert sound.of(OTHER) == [(70, 170), (170, 200)]
    assert not sound.stream.asleep
    sound.run(10)
    sound.cuts += sound.track.detach(SOUND)
    assert sound.of(SOUND)[-1] == (200, 210)
    assert sound.stream.asleep
    assert sound.track.detach(SOUND) == []


def test_sound_that_is_wanted_again_begins_with_the_next_packet() -> None:
    sound = Sound()
    sound.track.attach(SOUND, AudioSpec(1))
    sound.run(30)
    sound.cuts += sound.track.detach(SOUND)
    sound.run(40)
    sound.track.attach(SOUND, AudioSpec(1))
    sound.run(50)
    assert sound.of(SOUND) == [(0, 30), (70, 120)]


class Scripted:
    """A depacketizer that says what the test tells it to, packet by packet."""

    answers: Iterator[Frame | None]

    def __init__(self, codec: Codec) -> None:
        assert codec is VP8

    def push(self, payload: bytes, timestamp: int, marker: bool, contiguous: bool) -> Frame | None:
        return next(self.answers)


class Sight:
    """A video track whose source cannot be asked, and packets by hand."""

    def __init__(self) -> None:
        parameters = type(VIDEO)(Kind.VIDEO, {96: VP8})
        self.stream = Stream(parameters, SenderClock())
        self.track = VideoTrack(self.stream)
        self.track.attach(SIGHT, VideoSpec(1))
        self.now = 0.0
        self.cuts: list[Cut] = []

    def put(self, sequence: int, timestamp: int, payload: bytes = b"\x10\x01") -> None:
        self.now += 0.3
        self.stream.insert(Packet(96, True, sequence, timestamp, 1, payload, arrival=self.now))
        self.cuts += self.track.receive(self.now)

    @property
    def taken(self) -> list[int]:
        return [cut.timestamp for cut in self.cuts if isinstance(cut, PictureCut)]


@pytest.fixture
def scripted(monkeypatch: pytest.MonkeyPatch) -> type[Scripted]:
    found = video_format(VP8)
    monkeypatch.setattr(
        module, "video_format", lambda codec: type(found)(Scripted, found.starts_keyframe)
    )
    return Scripted


def test_a_frame_that_is_given_behind_a_hole_does_not_heal_it(scripted: type[Scripted]) -> None:
    keyframe, delta = Frame(0, b"k", True), Frame(90_000, b"d", False)
    sight = Sight()
    # The keyframe is given with the packet after the hole, as H.264 may; then comes a delta frame.
    scripted.answers = iter([None, None, keyframe, delta, None])
    for sequence, timestamp in ((0, 0), (1, 0), (3, 27_000), (4, 90_000), (5, 117_000)):
        sight.put(sequence, timestamp)
    sight.cuts += sight.track.flush()
    assert sight.taken == [0]


def test_a_frame_of_the_epoch_before_is_not_placed_in_this_one(scripted: type[Scripted]) -> None:
    hour = 90_000 * 3600
    left_behind, fresh = Frame(2 * hour, b"old", True), Frame(0, b"new", True)
    sight = Sight()
    scripted.answers = iter([None, None, left_behind, fresh])
    for sequence, timestamp in ((0, 2 * hour), (1, 2 * hour), (2, 0), (3, 0)):
        sight.put(sequence, timestamp)
    assert sight.taken == [0]
    assert all(isinstance(cut, PictureCut) and cut.due == 0 for cut in sight.cuts)


def test_malformed_payloads_are_counted_and_make_what_follows_undecodable() -> None:
    sight = Sight()
    sight.put(0, 0, b"\x10" + vp8(0, True))
    sight.put(1, 27_000, b"\x10" + vp8(1, False))
    sight.put(2, 54_000, b"\x90")
    sight.put(3, 90_000, b"\x10" + vp8(3, False))
    sight.put(4, 117_000, b"\x10" + vp8(4, True))
    assert sight.taken == [0, 117_000]
    assert sight.stream.counters["malformed_payload"] == 1
