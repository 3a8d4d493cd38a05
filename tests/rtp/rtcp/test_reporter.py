"""What we report and ask for, read back from the bytes we send."""

from dataclasses import replace
from itertools import pairwise

import pytest

from slicer.rtp import rtcp
from slicer.rtp.packet import Packet
from slicer.rtp.parameters import OPUS, TRANSPORT_WIDE_CC, VP8, Kind, RtpParameters
from slicer.rtp.rtcp.reporter import KEYFRAME_INTERVAL, REMB_BITRATE, REPORT_INTERVAL
from slicer.rtp.rtcp.transport_reporter import TRANSPORT_INTERVAL
from tests.harness.rtp.parts import Reporter, SenderClock, Stream, TransportReporter, parse_rtcp

OURS = 0xAAAA
PLAIN = RtpParameters(Kind.VIDEO, {96: VP8}, feedback=frozenset({"nack", "nack pli"}))
ACKNOWLEDGED = replace(
    PLAIN,
    extensions={3: TRANSPORT_WIDE_CC},
    feedback=frozenset({"transport-cc", "goog-remb", "nack pli"}),
)


class Side:
    """One stream and its reporter."""

    def __init__(self, parameters: RtpParameters = PLAIN) -> None:
        self.stream = Stream(parameters, SenderClock())
        self.transport = TransportReporter(OURS)
        self.transport.replace([parameters])
        self.reporter = Reporter(OURS, [self.stream], "us", self.transport)
        self.now = 1.0

    def put(self, sequence: int, ssrc: int = 1, transport: int | None = None) -> None:
        if transport is not None:
            self.transport.arrived({3: transport.to_bytes(2)}, self.now)
        packet = Packet(96, True, sequence, sequence * 1800, ssrc, b"x", arrival=self.now)
        self.reporter.arrived(packet)
        self.stream.insert(packet)

    def begin(self) -> None:
        for sequence in (1, 2, 3):
            self.put(sequence)

    def say(self, *, asking: bool = False) -> list[rtcp.RtcpPacket]:
        compounds = self.reporter.handle_timer([self.stream] if asking else [], self.now)
        return [packet for compound in compounds for packet in parse_rtcp(compound)]


def test_nothing_is_said_before_anything_came() -> None:
    side = Side()
    assert side.reporter.deadline() is None
    assert side.say(asking=True) == []


def test_once_a_second_a_whole_report_goes_out() -> None:
    side = Side()
    side.begin()
    head, description = side.say()
    assert isinstance(head, rtcp.ReceiverReport)
    assert [(block.ssrc, block.highest_sequence) for block in head.reports] == [(1, 3)]
    assert description == rtcp.SourceDescription(((OURS, "us"),))
    assert side.say() == []
    assert side.reporter.deadline() == 1.0 + REPORT_INTERVAL
    side.now += REPORT_INTERVAL
    assert len(side.say()) == 2


def two_sources() -> tuple[Reporter, list[Stream]]:
    """An audio and a video that have begun."""
    audio = RtpParameters(Kind.AUDIO, {96: OPUS}, feedback=frozenset({"nack"}))
    streams = [Stream(parameters, SenderClock()) for parameters in (audio, PLAIN)]
    reporter = Reporter(OURS, streams, "us", TransportReporter(OURS))
    for ssrc, stream in enumerate(streams, 1):
        for sequence in (1, 2, 5):
            packet = Packet(96, True, sequence, sequence * 1800, ssrc, b"x", arrival=1.0)
            reporter.arrived(packet)
            stream.insert(packet)
    return reporter, streams


def test_a_compound_speaks_of_one_source_for_janus_asks_its_first_block_of_which() -> None:
    reporter, streams = two_sources()
    described = rtcp.SourceDescription(((OURS, "us"),))
    audio, video = (parse_rtcp(each) for each in reporter.handle_timer([streams[1]], 1.1))
    for ssrc, compound in enumerate((audio, video), 1):
        head = compound[0]
        assert isinstance(head, rtcp.ReceiverReport)
        assert [block.ssrc for block in head.reports] == [ssrc]
        assert compound[1:3] == [described, rtcp.Nack(OURS, ssrc, (3, 4))]
    assert audio[3:] == []
    assert video[3:] == [rtcp.PictureLossIndication(OURS, 2)]


def test_what_is_asked_between_reports_is_of_one_source_too() -> None:
    reporter, streams = two_sources()
    reporter.handle_timer([], 1.0)  # reports, and nothing is missing for long
    audio, video = (parse_rtcp(each) for each in reporter.handle_timer([streams[1]], 1.1))
    head = rtcp.ReceiverReport(OURS, ())
    assert audio == [head, rtcp.Nack(OURS, 1, (3, 4))]
    assert video == [head, rtcp.Nack(OURS, 2, (3, 4)), rtcp.PictureLossIndication(OURS, 2)]


def test_the_last_sender_report_comes_back_and_maps_media_time() -> None:
    side = Side()
    side.begin()
    ntp = 0x0000_1000_8000_0000
    side.reporter.receive(rtcp.SenderReport(1, ntp, 3 * 1800, 0, 0), 1.0)
    side.now = 1.5
    head = side.say()[0]
    assert isinstance(head, rtcp.ReceiverReport)
    assert head.reports[0].lsr == 0x1000_8000
    assert head.reports[0].dlsr == 0x8000
    side.stream.drain(1.5)
    assert side.stream.mapper.at(3 * 1800) == pytest.approx(1.0, abs=0.1)


def test_reports_of_sources_that_are_not_ours_are_ignored() -> None:
    side = Side()
    side.begin()
    side.reporter.receive(rtcp.SenderReport(99, 1 << 40, 0, 0, 0), 1.0)
    head = side.say()[0]
    assert isinstance(head, rtcp.ReceiverReport)
    assert head.reports[0].lsr == 0


def test_missing_packets_are_asked_for_behind_a_short_report() -> None:
    side = Side()
    side.begin()
    side.say()
    side.put(6)
    side.now += 0.1
    assert side.say() == [rtcp.ReceiverReport(OURS, ()), rtcp.Nack(OURS, 1, (4, 5))]


def test_a_report_that_is_not_believed_is_counted() -> None:
    side = Side()
    side.begin()
    side.stream.drain(1.5)
    for second, ntp in enumerate((1000, 1001, 5000)):
        report = rtcp.SenderReport(1, ntp << 32, (3 + 50 * second) * 1800, 0, 0)
        side.reporter.receive(report, 1.0 + second)
    assert side.reporter.counters["report_disbelieved"] == 1


def test_keyframe_requests_are_never_closer_than_allowed() -> None:
    side = Side()
    side.begin()
    side.say()
    asked = []
    for _ in range(100):
        if rtcp.PictureLossIndication(OURS, 1) in side.say(asking=True):
            asked.append(side.now)
        side.now += 0.01
    assert len(asked) == 4
    assert all(b - a >= KEYFRAME_INTERVAL for a, b in pairwise(asked))
    assert side.reporter.counters["keyframe_requests"] == 4


def test_who_does_not_know_pli_is_asked_by_fir() -> None:
    side = Side(replace(PLAIN, feedback=frozenset({"ccm fir"})))
    side.begin()
    side.say()
    numbers: list[tuple[int, int]] = []
    for _ in range(2):
        said = side.say(asking=True)[-1]
        assert isinstance(said, rtcp.FullIntraRequest)
        numbers += said.entries
        side.now += KEYFRAME_INTERVAL
    assert numbers == [(1, 1), (1, 2)]


def test_transport_wide_feedback_goes_along_with_what_is_said_once() -> None:
    side = Side(ACKNOWLEDGED)
    side.begin()
    side.say()
    side.put(4, transport=7)
    side.now += TRANSPORT_INTERVAL
    head, feedback = side.say()
    assert head == rtcp.ReceiverReport(OURS, ())
    assert isinstance(feedback, rtcp.TransportFeedback)
    assert (feedback.sender_ssrc, feedback.media_ssrc, feedback.base_sequence) == (OURS, 1, 7)
    assert side.say() == []
    other = Reporter(OURS, [], "us", side.transport)
    assert other.handle_timer([], side.now) == []


def test_streams_that_are_replaced_are_reported_no_more() -> None:
    side = Side()
    side.begin()
    side.say()
    other = Stream(PLAIN, SenderClock())
    side.reporter.streams = [other]
    assert side.reporter.media_ssrc == 0
    side.now += REPORT_INTERVAL
    head = side.say()[0]
    assert head == rtcp.ReceiverReport(OURS, ())


def test_remb_is_for_those_without_transport_wide_feedback() -> None:
    side = Side(replace(PLAIN, feedback=frozenset({"goog-remb"})))
    side.begin()
    (remb,) = [packet for packet in side.say() if isinstance(packet, rtcp.Remb)]
    assert remb.ssrcs == (1,)
    assert remb.bitrate == pytest.approx(REMB_BITRATE, rel=1e-4)
    both = Side(ACKNOWLEDGED)
    both.begin()
    assert not [packet for packet in both.say() if isinstance(packet, rtcp.Remb)]


@pytest.mark.parametrize(
    "parameters", [ACKNOWLEDGED, replace(PLAIN, feedback=frozenset({"goog-remb"}))]
)
def test_a_bitrate_that_the_operator_wants_is_told_beside_any_other_feedback(
    parameters: RtpParameters,
) -> None:
    side = Side(replace(parameters, max_bitrate=300_000))
    side.begin()
    (remb,) = [packet for packet in side.say() if isinstance(packet, rtcp.Remb)]
    assert remb == rtcp.Remb(OURS, 300_000 >> 1 << 1, (1,))
    side.now += REPORT_INTERVAL
    assert any(isinstance(packet, rtcp.Remb) for packet in side.say()), "each second anew"


def test_bitrates_of_several_videos_add_up_to_no_more_than_no_limit() -> None:
    side = Side(replace(ACKNOWLEDGED, max_bitrate=REMB_BITRATE - 1))
    side.reporter.streams = [side.stream, side.stream]
    side.begin()
    (remb,) = [packet for packet in side.say() if isinstance(packet, rtcp.Remb)]
    assert remb.bitrate == pytest.approx(REMB_BITRATE, rel=1e-4)
