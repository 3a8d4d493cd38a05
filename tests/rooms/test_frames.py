"""Frames through the receiver of either plane: what is cut is what was given, and when."""

import pytest

from slicer.rooms import packetizer
from slicer.rooms.frames import MAX_BATCH, EncodedFrame, FrameMedia, FrameTrack
from slicer.rtp import rtcp
from slicer.rtp.packet import parse
from slicer.rtp.parameters import H264, H265, OPUS, PCMU, VP8, VP9, Codec, Kind, Role, Slot
from slicer.rtp.rtcp.reports import SenderReport, ntp_seconds
from slicer.slicing.outputs import AudioCut, PictureCut, Subscribe, TrackKey, TrackOutput
from slicer.slicing.spec import AudioSpec, VideoSpec
from tests.harness.clock import ManualClock
from tests.harness.media.video import decoded, encoded

AUDIO = TrackKey("task", "ada", Kind.AUDIO)
VIDEO = TrackKey("task", "ada", Kind.VIDEO)
OPUS_20_MS = b"\xfc\xff\xfe"


class Watched:
    """One anchor's media on a clock that stands still until it is moved."""

    def __init__(self, codecs: dict[Slot, Codec], *, reports: bool = True) -> None:
        self.clock = ManualClock()
        self.cuts: list[TrackOutput] = []
        self.media = FrameMedia("ada", codecs, self.clock, self.cuts.append, reports=reports)
        for kind, role in codecs:
            spec = AudioSpec(1, 3.0) if kind is Kind.AUDIO else VideoSpec(1, 3.0)
            self.media.attach(Subscribe(TrackKey("task", "ada", kind, role), spec))

    def audio(self) -> list[AudioCut]:
        return [cut for cut in self.cuts if isinstance(cut, AudioCut)]

    def pictures(self) -> list[PictureCut]:
        return [cut for cut in self.cuts if isinstance(cut, PictureCut)]


def opus(number: int) -> EncodedFrame:
    return EncodedFrame(Kind.AUDIO, number * 960, OPUS_20_MS + bytes([number % 256]))


def test_audio_is_cut_to_the_sample() -> None:
    watched = Watched({AUDIO.slot: OPUS})
    for number in range(150):
        watched.media.receive([opus(number)])
        watched.clock.advance(0.02)
    watched.media.close()
    cuts = watched.audio()
    assert [(cut.start, cut.end) for cut in cuts] == [
        (0, 48_000),
        (48_000, 96_000),
        (96_000, 144_000),
    ]
    assert [packet.payload for packet in cuts[0].packets] == [opus(n).data for n in range(50)]
    assert [cut.began for cut in cuts] == pytest.approx([1000, 1001, 1002], abs=0.001)
    assert watched.media.counters == {"packets_media": 150}


@pytest.mark.parametrize("codec", [VP8, H264, H265])
def test_pictures_are_the_frames_that_are_due(codec: Codec) -> None:
    units = encoded(codec.name, frames=30, gop=10)
    watched = Watched({VIDEO.slot: codec})
    for number, unit in enumerate(units * 2):
        watched.media.receive([EncodedFrame(Kind.VIDEO, number * 9000, unit.data)])
        watched.clock.advance(0.1)
    watched.media.close()
    pictures = watched.pictures()
    assert [cut.timestamp for cut in pictures] == list(range(0, 60 * 9000, 90_000))
    assert [cut.frames for cut in pictures] == [
        cut.frames for cut in pictures if len(decoded(codec.name, cut.frames)) == 1
    ]
    assert decoded(codec.name, pictures[0].frames) == decoded(codec.name, [units[0].data])


def test_audio_and_video_of_one_moment_have_one_name() -> None:
    """Video comes half a second behind its audio, as containers interleave badly."""
    units = encoded("h264", frames=30, gop=10)
    watched = Watched({AUDIO.slot: OPUS, VIDEO.slot: H264})
    for number in range(300):
        watched.media.receive([opus(number)])
        shown = number - 25
        if shown >= 0 and shown % 5 == 0:
            unit = units[shown // 5 % 30]
            watched.media.receive([EncodedFrame(Kind.VIDEO, shown * 1800, unit.data)])
        watched.clock.advance(0.02)
    watched.media.close()
    spoken = [cut.began - cut.start / 48_000 for cut in watched.audio()]
    assert spoken == pytest.approx([1000] * 6)
    late = [cut.began - cut.timestamp / 90_000 for cut in watched.pictures()]
    assert len(late) >= 5
    assert late == pytest.approx([1000] * len(late), abs=0.03)


def test_clocks_that_have_nothing_in_common_are_not_reported() -> None:
    watched = Watched({AUDIO.slot: PCMU}, reports=False)
    for number in range(100):
        watched.media.receive([EncodedFrame(Kind.AUDIO, number * 160, bytes([number]) * 160)])
        watched.clock.advance(0.02)
    watched.media.close()
    assert [(cut.start, cut.end) for cut in watched.audio()] == [(0, 8000), (8000, 16_000)]


def test_a_burst_larger_than_the_reordering_holds_loses_nothing() -> None:
    """A server gives what it has kept at once; one access unit may be a thousand packets."""
    units = [bytes([1]) * packetizer.MAX_PAYLOAD * (MAX_BATCH + 100)] * 3
    watched = Watched({VIDEO.slot: VP8, AUDIO.slot: OPUS})
    burst = [opus(number) for number in range(3000)]
    frames = [EncodedFrame(Kind.VIDEO, n * 3000, unit) for n, unit in enumerate(units)]
    watched.media.receive([*frames, *burst])
    watched.media.close()
    assert sum(cut.end - cut.start for cut in watched.audio()) == 3000 * 960
    assert watched.media.counters == {"packets_media": 3003}


def test_reports_tie_timestamps_to_one_clock_each_second() -> None:
    track = FrameTrack(AUDIO.slot, OPUS)
    reports = []
    for number in [*range(101), 10_000, 5]:
        for datagram in track.packets(opus(number)):
            if rtcp.is_rtcp(datagram):
                (report,) = rtcp.parse(datagram)
                assert isinstance(report, SenderReport)
                reports.append(report)
    assert [report.rtp_timestamp for report in reports] == [0, 48_000, 96_000, 9_600_000, 4800]
    zero = ntp_seconds(reports[0].ntp)
    assert [ntp_seconds(report.ntp) - zero for report in reports] == pytest.approx(
        [0, 1, 2, 200, 0.1]
    )
    assert (reports[1].packet_count, reports[1].octet_count) == (51, 51 * 4)


def test_timestamps_wrap_as_they_do_on_the_wire() -> None:
    track = FrameTrack(AUDIO.slot, OPUS)
    before = parse(track.packets(EncodedFrame(Kind.AUDIO, (1 << 32) - 960, OPUS_20_MS))[0])
    after = parse(track.packets(EncodedFrame(Kind.AUDIO, 1 << 32, OPUS_20_MS))[0])
    assert (before.timestamp, after.timestamp) == ((1 << 32) - 960, 0)
    assert (after.sequence - before.sequence) % 65_536 == 1
    assert after.ssrc == before.ssrc


def test_frames_that_can_be_none_are_counted_and_cost_nothing_else() -> None:
    watched = Watched({AUDIO.slot: OPUS})
    frames = [opus(number) for number in range(50)]
    frames[10:10] = [EncodedFrame(Kind.AUDIO, 0, b""), EncodedFrame(Kind.VIDEO, 0, b"\0\0\1e")]
    watched.media.receive(frames)
    watched.media.close()
    fates = {"packets_media": 50, "packets_refused": 2}
    assert watched.media.counters == {"malformed_frame": 1, "unknown_track": 1} | fates
    assert [(cut.start, cut.end) for cut in watched.audio()] == [(0, 48_000)]


@pytest.mark.parametrize(
    ("kind", "codec"), [(Kind.VIDEO, VP9), (Kind.AUDIO, VP8), (Kind.VIDEO, OPUS)]
)
def test_a_codec_that_cannot_be_wrapped_is_said(kind: Kind, codec: Codec) -> None:
    with pytest.raises(ValueError, match=f"{kind} codec {codec.name}; allowed: "):
        FrameMedia("ada", {(kind, Role.MAIN): codec}, ManualClock(), print)


def test_a_screen_is_cut_apart_from_the_camera() -> None:
    screen = TrackKey("task", "ada", Kind.VIDEO, Role.AUX)
    watched = Watched({VIDEO.slot: H264, screen.slot: VP8})
    camera, shown = encoded("h264")[0].data, encoded("vp8")[0].data
    for number in range(40):
        frames = [EncodedFrame(Kind.VIDEO, number * 3000, camera)]
        watched.media.receive([*frames, EncodedFrame(Kind.VIDEO, number * 3000, shown, Role.AUX)])
        watched.clock.advance(1 / 30)
    found = {(cut.track, cut.codec.name) for cut in watched.pictures()}
    assert found == {(VIDEO, "h264"), (screen, "vp8")}
    assert watched.media.counters == {"packets_media": 80}


def test_detached_and_closed_it_cuts_no_more() -> None:
    watched = Watched({AUDIO.slot: OPUS})
    watched.media.receive([opus(number) for number in range(20)])
    watched.media.detach(AUDIO)
    assert [(cut.start, cut.end) for cut in watched.audio()] == [(0, 20 * 960)]
    watched.media.receive([opus(number) for number in range(20, 90)])
    watched.media.close()
    watched.media.close()
    watched.media.attach(Subscribe(AUDIO, AudioSpec(1)))
    watched.media.receive([opus(100)])
    watched.media.detach(VIDEO)
    assert len(watched.cuts) == 1
    assert watched.clock.timers == []


def test_tracks_come_and_go_and_those_that_stay_go_on() -> None:
    watched = Watched({AUDIO.slot: OPUS})
    watched.media.receive([opus(number) for number in range(40)])
    watched.media.set_codecs({AUDIO.slot: OPUS, VIDEO.slot: H264})
    watched.media.attach(Subscribe(VIDEO, VideoSpec(1)))
    unit = encoded("h264")[0]
    watched.media.receive([opus(number) for number in range(40, 50)])
    watched.media.receive([EncodedFrame(Kind.VIDEO, n * 3000, unit.data) for n in range(3)])
    watched.media.set_codecs({VIDEO.slot: H264})
    watched.media.receive([opus(50)])
    assert [(cut.start, cut.end) for cut in watched.audio()] == [(0, 48_000)]
    fates = {"packets_media": 53, "packets_refused": 1}
    assert watched.media.counters == {"unknown_track": 1} | fates
    watched.media.set_codecs({VIDEO.slot: H265})
    watched.media.close()
    assert len(watched.pictures()) == 1
    watched.media.set_codecs({})
