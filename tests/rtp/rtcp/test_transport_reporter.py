"""Every packet of a connection is acknowledged once, by its transport-wide number."""

from dataclasses import replace

import pytest

from slicer.rtp import rtcp
from slicer.rtp.parameters import TRANSPORT_WIDE_CC, VP8, Kind, RtpParameters
from slicer.rtp.rtcp.transport_feedback import MAX_PACKETS
from slicer.rtp.rtcp.transport_reporter import TRANSPORT_INTERVAL
from tests.harness.rtp.parts import TransportReporter

AGREED = RtpParameters(
    Kind.VIDEO, {96: VP8}, extensions={3: TRANSPORT_WIDE_CC}, feedback=frozenset({"transport-cc"})
)


def reporter(*sections: RtpParameters) -> TransportReporter:
    made = TransportReporter(9)
    made.replace(sections or [AGREED])
    return made


def put(made: TransportReporter, number: int, now: float, extension: int = 3) -> None:
    made.arrived({extension: (number & 0xFFFF).to_bytes(2)}, now)


def numbers(feedback: rtcp.TransportFeedback) -> list[tuple[int, bool]]:
    """Each sequence number, and whether it came."""
    return [(number, when is not None) for number, when in feedback.arrivals()]


def test_arrivals_are_acknowledged_in_their_time_over_the_wrap() -> None:
    made = reporter()
    assert made.deadline() is None
    for at, number in enumerate((65_534, 65_535, 65_537)):
        put(made, number, 1.0 + at * 0.01)
    assert made.deadline() == pytest.approx(1.0 + TRANSPORT_INTERVAL)
    assert made.handle_timer(7, 1.0 + TRANSPORT_INTERVAL / 2) == []
    (feedback,) = made.handle_timer(7, 1.0 + TRANSPORT_INTERVAL)
    assert (feedback.sender_ssrc, feedback.media_ssrc) == (9, 7)
    assert numbers(feedback) == [(65_534, True), (65_535, True), (0, False), (1, True)]
    first, second = (when for _, when in feedback.arrivals()[:2] if when is not None)
    assert second - first == pytest.approx(0.01, abs=0.0003)
    assert made.deadline() is None


def test_what_was_lost_between_two_feedbacks_is_reported_lost() -> None:
    made = reporter()
    found: list[int] = []
    counts: list[int] = []
    lost = {7, 10, 11, 12, 30}
    for number in range(60):
        now = number * 0.02
        if number not in lost:
            put(made, number, now)
        for feedback in made.handle_timer(7, now):
            counts.append(feedback.count)
            found += [number for number, came in numbers(feedback) if not came]
    assert found == sorted(lost)
    assert counts == list(range(len(counts)))
    assert len(counts) > 5


def test_the_table_of_arrivals_is_bounded() -> None:
    made = reporter()
    for number in range(MAX_PACKETS + 7):
        put(made, number, 1.0)
    assert made.counters["unacknowledged"] == 7
    feedbacks = made.handle_timer(7, 2.0)
    assert sum(len(feedback.deltas) for feedback in feedbacks) == MAX_PACKETS


def test_only_agreed_numbers_of_two_bytes_count() -> None:
    made = reporter(
        AGREED,
        replace(AGREED, extensions={5: TRANSPORT_WIDE_CC}),
        replace(AGREED, extensions={6: TRANSPORT_WIDE_CC}, feedback=frozenset()),
    )
    put(made, 1, 1.0)
    put(made, 2, 1.0, extension=5)
    put(made, 3, 1.0, extension=6)
    made.arrived({3: b"\0"}, 1.0)
    (feedback,) = made.handle_timer(7, 2.0)
    assert numbers(feedback) == [(1, True), (2, True)]


def test_sections_that_come_and_go_leave_the_sequence_as_it_is() -> None:
    made = reporter(replace(AGREED, feedback=frozenset()))
    assert not made.is_agreed
    put(made, 1, 1.0)
    assert made.deadline() is None
    made.replace([AGREED])
    assert made.is_agreed
    put(made, 2, 1.0)
    made.replace([AGREED, AGREED])
    (feedback,) = made.handle_timer(7, 2.0)
    assert numbers(feedback) == [(2, True)]
    put(made, 4, 3.0)
    (feedback,) = made.handle_timer(7, 4.0)
    assert numbers(feedback) == [(3, False), (4, True)]
    assert feedback.count == 1
