"""Transport-wide feedback: the draft's examples, packets of real senders, round trips."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slicer.rtp import rtcp
from slicer.rtp.rtcp import transport_feedback
from slicer.rtp.rtcp.transport_feedback import MAX_PACKETS, TICK, TransportFeedback
from tests.harness.rtp.parts import build_rtcp as build
from tests.harness.rtp.parts import feedback_for
from tests.harness.rtp.parts import parse_rtcp as parse

HEAD = "00000001 00000002"
DELTAS = st.one_of(st.none(), st.integers(0, 255), st.integers(-0x8000, 0x7FFF))


def packet(chunks_and_deltas: str, count: int) -> TransportFeedback:
    """What these bytes say of *count* packets from sequence number 10 on, at reference 1."""
    body = bytes.fromhex(f"{HEAD} 000a {count:04x} 00000103 {chunks_and_deltas}")
    body += bytes(-len(body) % 4)
    (parsed,) = parse(bytes.fromhex(f"8fcd{len(body) // 4:04x}") + body)
    assert isinstance(parsed, TransportFeedback)
    assert parsed.base_sequence == 10
    assert (parsed.reference, parsed.count) == (1, 3)
    return parsed


def statuses(feedback: TransportFeedback) -> str:
    """A letter a packet: missing, small, large."""
    return "".join(
        "-" if delta is None else "s" if 0 <= delta <= 255 else "L" for delta in feedback.deltas
    )


def test_the_run_length_example_of_the_draft() -> None:
    # 3.1.3: 221 packets not received.
    assert statuses(packet("00dd", 221)) == "-" * 221


def test_the_status_vector_example_of_the_draft() -> None:
    # 3.1.4: one bit each.
    assert statuses(packet("9f1c" + "01" * 8, 14)) == "-sssss---sss--"


def test_two_bit_statuses() -> None:
    assert statuses(packet("d900 01 ff38 02", 4)) == "sLs-"
    assert packet("d900 01 ff38 02", 4).deltas == (1, -200, 2, None)


def test_a_reserved_status_is_refused() -> None:
    with pytest.raises(ValueError, match="reserved"):
        packet("6018", 24)  # the draft's second example of a run


@pytest.mark.parametrize(
    ("data", "base", "reference", "count", "deltas"),
    [
        # Published captures of browsers, with padding of the RTCP kind.
        (
            "afcd0005 fa17fa17 43032fa0 00990001 3de80217 20019401",
            153,
            4_057_090,
            23,
            (148,),
        ),
        (
            "afcd0007 00000001 dd586eb6 00010009 5e911000 20091c0c 2c380004 00081801",
            1,
            6_197_520,
            0,
            (28, 12, 44, 56, 0, 4, 0, 8, 24),
        ),
        (
            "afcd0007 fa17fa17 193dd8bb 00040007 10636e01 20074c24 24100c0c 10000003",
            4,
            1_074_030,
            1,
            (76, 36, 36, 16, 12, 12, 16),
        ),
    ],
)
def test_packets_of_browsers(
    data: str, base: int, reference: int, count: int, deltas: tuple[int, ...]
) -> None:
    (feedback,) = parse(bytes.fromhex(data))
    assert isinstance(feedback, TransportFeedback)
    assert (feedback.base_sequence, feedback.reference, feedback.count) == (base, reference, count)
    assert feedback.deltas == deltas


@given(
    st.integers(0, 0xFFFF),
    st.integers(-(1 << 23), (1 << 23) - 1),
    st.integers(0, 255),
    st.lists(DELTAS, min_size=1, max_size=100).map(tuple),
)
def test_what_is_written_comes_back(
    base: int, reference: int, count: int, deltas: tuple[int | None, ...]
) -> None:
    feedback = TransportFeedback(1, 2, base, reference, count, deltas)
    assert parse(build([feedback])) == [feedback]


@pytest.mark.parametrize(
    "deltas",
    [
        (None,) * 20_000,
        (4,) * 9000,
        (None, 4) * 700,
        (300, *(4,) * 20, 300, None) * 30,
        (300,) * 15,
        (4,) * 13 + (300,),
    ],
)
def test_long_runs_and_patterns_come_back(deltas: tuple[int | None, ...]) -> None:
    feedback = TransportFeedback(1, 2, 65_000, 0, 0, deltas)
    assert parse(build([feedback])) == [feedback]


def test_runs_are_packed_as_runs() -> None:
    steady = TransportFeedback(1, 2, 0, 0, 0, (4,) * 100)
    assert len(build([steady])) == 20 + 2 + 100 + 2


ARRIVALS = st.lists(
    st.tuples(st.integers(1, 30), st.one_of(st.none(), st.floats(-0.01, 9.0))), max_size=60
)


@settings(deadline=None)
@given(st.integers(0, 1 << 20), st.floats(0, 100_000), ARRIVALS)
def test_arrivals_come_back_to_a_quarter_of_a_millisecond(
    sequence: int, now: float, steps: list[tuple[int, float | None]]
) -> None:
    arrivals: list[tuple[int, float | None]] = []
    for step, gap in steps:
        sequence += step
        now += gap or 0
        arrivals.append((sequence, None if gap is None else max(now, 0.0)))
    found: dict[int, float] = {}
    feedbacks = feedback_for(1, 2, 250, arrivals)
    for index, feedback in enumerate(feedbacks):
        assert feedback.count == (250 + index) & 0xFF
        (again,) = parse(build([feedback]))
        assert isinstance(again, TransportFeedback)
        found |= {seq: time for seq, time in again.arrivals() if time is not None}
    expected = {seq & 0xFFFF: time for seq, time in arrivals if time is not None}
    assert found.keys() == expected.keys()
    for seq, time in expected.items():
        assert found[seq] == pytest.approx(time, abs=TICK / 2 + 1e-6)


def test_left_out_numbers_are_missing_across_the_wrap() -> None:
    (feedback,) = feedback_for(1, 2, 0, [(65_535, 1.0), (65_538, 1.5), (65_539, None)])
    assert feedback.arrivals() == [
        (65_535, 1.0),
        (0, None),
        (1, None),
        (2, 1.5),
        (3, None),
    ]


def test_nothing_arrived_nothing_to_say() -> None:
    assert feedback_for(1, 2, 0, []) == []
    assert feedback_for(1, 2, 0, [(1, None), (2, None)]) == []


def test_a_stall_and_a_gap_begin_another_feedback() -> None:
    stalled = feedback_for(1, 2, 0, [(1, 1.0), (2, 20.0)])
    assert [f.base_sequence for f in stalled] == [1, 2]
    assert [f.count for f in stalled] == [0, 1]
    apart = feedback_for(1, 2, 0, [(1, 1.0), (1 + MAX_PACKETS, 1.0)])
    assert [f.base_sequence for f in apart] == [1, 1 + MAX_PACKETS]
    near = feedback_for(1, 2, 0, [(1, 1.0), (MAX_PACKETS, 1.0)])
    assert len(near) == 1


def test_the_largest_feedback_fits_a_datagram() -> None:
    arrivals = [(n, n * 0.1 * (1 + n % 2)) for n in range(MAX_PACKETS)]
    assert max(len(build([f])) for f in feedback_for(1, 2, 0, arrivals)) <= 1200


def test_the_reference_time_wraps_after_twelve_days() -> None:
    late = (1 << 23) * 0.064 + 1
    (feedback,) = feedback_for(1, 2, 0, [(1, late)])
    assert feedback.reference == -(1 << 23) + 15
    assert parse(build([feedback])) == [feedback]


def test_numbers_that_do_not_ascend_are_refused() -> None:
    with pytest.raises(ValueError, match="ascend"):
        transport_feedback.feedback_for(1, 2, 0, [(2, 1.0), (2, 1.0)])


@pytest.mark.parametrize(
    "data",
    ["8fcd0003 00000001 00000002 000a0001", f"8fcd0005 {HEAD} 000a0064 00000103 20010000"],
)
def test_truncated_feedback_is_refused(data: str) -> None:
    with pytest.raises(ValueError, match="RTCP"):
        parse(bytes.fromhex(data))


@pytest.mark.parametrize(("count", "delta"), [(0, 40_000), (256, 0)])
def test_numbers_that_do_not_fit_are_refused(count: int, delta: int) -> None:
    with pytest.raises(ValueError, match="TransportFeedback"):
        rtcp.build([TransportFeedback(1, 2, 0, 0, count, (delta,))])
