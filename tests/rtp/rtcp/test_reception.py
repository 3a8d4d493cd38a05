"""Receiver report numbers (RFC 3550 6.4.1), against counts made by hand."""

import pytest

from tests.harness.rtp.parts import Reception


def test_nothing_received_is_reported_as_nothing() -> None:
    block = Reception(7, 48_000).report(1.0)
    assert (block.ssrc, block.fraction_lost, block.packets_lost, block.lsr, block.dlsr) == (
        7,
        0,
        0,
        0,
        0,
    )


def test_the_fraction_lost_counts_since_the_last_report() -> None:
    reception = Reception(1, 48_000)
    for sequence in range(100):
        if sequence % 4:
            reception.receive(sequence, sequence * 960, sequence * 0.02)
    first = reception.report(2.0)
    assert first.packets_lost == 24  # 1 to 99: the loss of the very first is not known
    assert first.fraction_lost == (24 << 8) // 99
    for sequence in range(100, 200):
        reception.receive(sequence, sequence * 960, sequence * 0.02)
    second = reception.report(4.0)
    assert (second.fraction_lost, second.packets_lost, second.highest_sequence) == (0, 24, 199)


def test_duplicates_make_losses_negative_and_the_fraction_zero() -> None:
    reception = Reception(1, 48_000)
    for sequence in (1, 2, 2, 2):
        reception.receive(sequence, sequence * 960, 0.02 * sequence)
    block = reception.report(1.0)
    assert (block.fraction_lost, block.packets_lost) == (0, -2)


def test_the_highest_sequence_carries_its_cycles_in_32_bits() -> None:
    reception = Reception(1, 48_000)
    reception.receive(65_535, 0, 0.0)
    reception.receive(65_537, 960, 0.02)
    reception.receive(65_536, 960, 0.02)
    assert reception.report(1.0).highest_sequence == 0x1_0001


def test_jitter_is_the_smoothed_difference_of_transit() -> None:
    reception = Reception(1, 48_000)
    reception.receive(1, 0, 0.0)
    reception.receive(2, 960, 0.03)  # 10 ms late: 480 ticks
    assert reception.report(1.0).jitter == 480 // 16
    reception.receive(3, 1920, 0.05)
    assert reception.report(1.0).jitter == int(30 - 30 / 16)


def test_the_last_sender_report_is_named_with_its_age() -> None:
    reception = Reception(1, 48_000)
    reception.reported(0x0123_4567_89AB_CDEF, 10.0)
    block = reception.report(12.5)
    assert block.lsr == 0x4567_89AB
    assert block.dlsr == pytest.approx(2.5 * 65_536, abs=1)


def test_after_a_restart_nothing_between_counts_as_lost() -> None:
    reception = Reception(1, 48_000)
    for sequence in (1, 2, 3):
        reception.receive(sequence, 0, 0.0)
    reception.restart()
    for sequence in (-20_000, -19_999, -19_997):
        reception.receive(sequence, 0, 0.0)
    block = reception.report(1.0)
    assert block.packets_lost == 1
    assert block.highest_sequence == -19_997 & 0xFFFF_FFFF
