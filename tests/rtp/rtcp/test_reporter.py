"""What we report, ask for and acknowledge, read back from the bytes we send."""

import struct
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slicer.rtp import rtcp
from slicer.rtp.packet import Packet
from slicer.rtp.parameters import TRANSPORT_WIDE_CC, VP8, Kind, RtpParameters
from slicer.rtp.rtcp.reporter import (
    KEYFRAME_INTERVAL,
    REMB_BITRATE,
    REPORT_INTERVAL,
    TRANSPORT_INTERVAL,
)
from slicer.rtp.rtcp.transport_feedback import MAX_PACKETS
from tests.harness.rtp.parts import Reporter, SenderClock, Stream, parse_rtcp

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
        self.reporter = Reporter(OURS, [self.stream], "us")
        self.now = 1.0

    def put(self, sequence: int, ssrc: int = 1, transport: int | None = None) -> None:
        block = b"" if transport is None else struct.pack("!BHB", 0x31, transport & 0xFFFF, 0)
        packet = Packet(
            96, True, sequence, sequence * 1800, ssrc, b"x", 0xBEDE, block, arrival=self.now
        )
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


def test_more_sources_than_one_report_holds_go_into_two() -> None:
    sender = SenderClock()
    streams = [Stream(PLAIN, sender) for _ in range(rtcp.MAX_COUNT + 1)]
    reporter = Reporter(OURS, streams, "us")
    for number, stream in enumerate(streams):
        for sequence in (1, 2):
            packet = Packet(96, True, sequence, sequence * 1800, number, b"x", arrival=1.0)
            reporter.arrived(packet)
            stream.insert(packet)
    (compound,) = reporter.handle_timer([], 1.0)
    first, second, description = parse_rtcp(compound)
    assert isinstance(first, rtcp.ReceiverReport)
    assert isinstance(second, rtcp.ReceiverReport)
    found = [block.ssrc for block in (*first.reports, *second.reports)]
    assert found == list(range(rtcp.MAX_COUNT + 1))
    assert description == rtcp.SourceDescription(((OURS, "us"),))


def test_the_last_sender_report_comes_back_and_maps_media_time() -> None:
    side = Side()
    side.begin()
    ntp = 0x0000_1000_8000_0000
    compound = rtcp.build([rtcp.SenderReport(1, ntp, 3 * 1800, 0, 0)])
    side.reporter.receive(compound, 1.0)
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
    side.reporter.receive(rtcp.build([rtcp.SenderReport(99, 1 << 40, 0, 0, 0)]), 1.0)
    head = side.say()[0]
    assert isinstance(head, rtcp.ReceiverReport)
    assert head.reports[0].lsr == 0


def test_a_bye_is_counted_and_ends_nothing() -> None:
    side = Side()
    side.begin()
    side.reporter.receive(rtcp.build([rtcp.Bye((1,))]), 1.0)
    assert side.reporter.counters["bye"] == 1
    assert side.stream.source is not None


@given(st.binary(max_size=60) | st.binary(max_size=60).map(lambda tail: b"\x81\xc8\0\x06" + tail))
def test_malformed_rtcp_is_counted(data: bytes) -> None:
    side = Side()
    side.begin()
    try:
        rtcp.parse(data)
        malformed = 0
    except ValueError:
        malformed = 1
    side.reporter.receive(data, 1.0)
    assert side.reporter.counters["malformed_rtcp"] == malformed


def test_missing_packets_are_asked_for_behind_a_short_report() -> None:
    side = Side()
    side.begin()
    side.say()
    side.put(6)
    side.now += 0.1
    assert side.say() == [rtcp.ReceiverReport(OURS, ()), rtcp.Nack(OURS, 1, (4, 5))]


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


def acknowledged(side: Side) -> list[rtcp.TransportFeedback]:
    return [packet for packet in side.say() if isinstance(packet, rtcp.TransportFeedback)]


def test_transport_wide_arrivals_are_acknowledged_over_the_wrap() -> None:
    side = Side(ACKNOWLEDGED)
    for sequence, transport in enumerate((65_534, 65_535, 1)):
        side.put(sequence, transport=transport)
        side.now += 0.01
    side.say()
    assert side.reporter.deadline() == pytest.approx(1.0 + TRANSPORT_INTERVAL)
    side.now = 1.0 + TRANSPORT_INTERVAL
    (feedback,) = acknowledged(side)
    arrivals = feedback.arrivals()
    assert [(number, when is None) for number, when in arrivals] == [
        (65_534, False),
        (65_535, False),
        (0, True),
        (1, False),
    ]
    first, second = (when for _, when in arrivals[:2] if when is not None)
    assert second - first == pytest.approx(0.01, abs=0.0003)


def test_what_was_lost_between_two_feedbacks_is_reported_lost() -> None:
    side = Side(ACKNOWLEDGED)
    numbers: list[int] = []
    lost = {7, 10, 11, 12, 30}
    for transport in range(60):
        if transport not in lost:
            side.put(transport, transport=transport)
        side.now += 0.02
        for feedback in acknowledged(side):
            numbers += [number for number, when in feedback.arrivals() if when is None]
    assert numbers == sorted(lost)


def test_packets_nobody_looks_into_are_acknowledged_all_the_same() -> None:
    side = Side(ACKNOWLEDGED)
    side.stream.doze()
    for transport in range(20):
        side.put(transport, transport=transport)
    side.now += TRANSPORT_INTERVAL
    (feedback,) = acknowledged(side)
    assert len(feedback.deltas) == 20


def test_the_table_of_arrivals_is_bounded() -> None:
    side = Side(ACKNOWLEDGED)
    for transport in range(MAX_PACKETS + 7):
        side.put(transport, transport=transport)
    assert side.reporter.counters["unacknowledged"] == 7
    side.now += TRANSPORT_INTERVAL
    assert sum(len(feedback.deltas) for feedback in acknowledged(side)) == MAX_PACKETS


def test_remb_is_for_those_without_transport_wide_feedback() -> None:
    side = Side(replace(PLAIN, feedback=frozenset({"goog-remb"})))
    side.begin()
    (remb,) = [packet for packet in side.say() if isinstance(packet, rtcp.Remb)]
    assert remb.ssrcs == (1,)
    assert remb.bitrate == pytest.approx(REMB_BITRATE, rel=1e-4)
    both = Side(ACKNOWLEDGED)
    both.begin()
    assert not [packet for packet in both.say() if isinstance(packet, rtcp.Remb)]
