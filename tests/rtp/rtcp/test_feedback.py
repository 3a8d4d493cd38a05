"""Feedback packets against aiortc's own and the drafts' layouts."""

import pytest
from aiortc.rtp import (
    RtcpPacket,
    RtcpPsfbPacket,
    RtcpRtpfbPacket,
    pack_remb_fci,
    unpack_remb_fci,
)
from hypothesis import given
from hypothesis import strategies as st

from slicer.rtp.rtcp import Unknown
from slicer.rtp.rtcp.feedback import FullIntraRequest, Nack, PictureLossIndication, Remb
from tests.harness.rtp.parts import build_rtcp as build
from tests.harness.rtp.parts import parse_rtcp as parse

U8, U32 = st.integers(0, 0xFF), st.integers(0, 0xFFFFFFFF)


@given(U32, U32, st.integers(0, 0xFFFF), st.lists(st.integers(1, 40), max_size=60))
def test_lists_of_missing_packets_come_back(
    sender: int, media: int, first: int, steps: list[int]
) -> None:
    missing = [first]
    for step in steps:
        missing.append(missing[-1] + step)
    nack = Nack(sender, media, tuple(sequence & 0xFFFF for sequence in missing))
    data = build([nack])
    assert parse(data) == [nack]
    (theirs,) = RtcpPacket.parse(data)
    assert isinstance(theirs, RtcpRtpfbPacket)
    assert (theirs.ssrc, theirs.media_ssrc) == (sender, media)
    # aiortc counts on past the wrap.
    assert [sequence & 0xFFFF for sequence in theirs.lost] == list(nack.sequences)


def test_missing_packets_are_packed_17_to_a_pair() -> None:
    nack = Nack(1, 2, (65_534, 65_535, 0, 14, 15))
    pairs = bytes.fromhex("fffe 8003 000f 0000")
    assert build([nack]) == bytes.fromhex("81cd0004 00000001 00000002") + pairs
    assert parse(build([nack])) == [nack]
    assert len(build([Nack(1, 2, tuple(range(170)))])) == 12 + 40


def test_a_picture_loss_indication_byte_by_byte() -> None:
    data = bytes.fromhex("81ce0002 00000001 00000002")
    assert build([PictureLossIndication(1, 2)]) == data
    assert parse(data) == [PictureLossIndication(1, 2)]
    assert RtcpPacket.parse(data) == [RtcpPsfbPacket(fmt=1, ssrc=1, media_ssrc=2)]


@given(U32, st.lists(st.tuples(U32, U8), max_size=20).map(tuple))
def test_full_intra_requests_come_back(sender: int, entries: tuple[tuple[int, int], ...]) -> None:
    assert parse(build([FullIntraRequest(sender, entries)])) == [FullIntraRequest(sender, entries)]


def test_a_full_intra_request_byte_by_byte() -> None:
    data = bytes.fromhex("84ce0004 00000001 00000000 00000002 2a000000")
    assert build([FullIntraRequest(1, ((2, 42),))]) == data


@given(st.integers(0, (1 << 81) - 1), st.lists(U32, max_size=40).map(tuple))
def test_rates_come_back_to_18_bits_and_aiortc_agrees(rate: int, ssrcs: tuple[int, ...]) -> None:
    data = build([Remb(1, rate, ssrcs)])
    (packet,) = parse(data)
    assert isinstance(packet, Remb)
    assert packet.bitrate <= rate < packet.bitrate + max(1, packet.bitrate >> 17)
    assert packet.ssrcs == ssrcs
    assert data[12:] == pack_remb_fci(rate, list(ssrcs))
    assert unpack_remb_fci(data[12:]) == (packet.bitrate, list(ssrcs))


def test_a_rate_that_does_not_fit_is_refused() -> None:
    for remb in (Remb(1, 1 << 82, ()), Remb(1, -1, ()), Remb(1, 1, tuple(range(256)))):
        with pytest.raises(ValueError, match="Remb"):
            build([remb])


def test_other_application_layer_feedback_is_kept_as_it_is() -> None:
    data = bytes.fromhex("8fce0003 00000001 00000002 41424344")
    assert parse(data) == [Unknown(206, 15, data[4:])]
    assert build(parse(data)) == data


@pytest.mark.parametrize(
    "data",
    [
        "81cd0001 00000001",
        "81ce0001 00000001",
        "84ce0003 00000001 00000000 00000002",
        "8fce0004 00000001 00000000 52454d42 01000001",
        "8fce0003 00000001 00000000 52454d42",
        "8ece0001 00000001",
    ],
)
def test_truncated_feedback_is_refused(data: str) -> None:
    with pytest.raises(ValueError, match="RTCP"):
        parse(bytes.fromhex(data))
