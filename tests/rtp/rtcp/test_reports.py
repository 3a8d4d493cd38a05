"""Reports, source descriptions and goodbyes against aiortc's own packets."""

from typing import Any

import pytest
from aiortc.rtp import (
    RtcpByePacket,
    RtcpPacket,
    RtcpReceiverInfo,
    RtcpRrPacket,
    RtcpSdesPacket,
    RtcpSenderInfo,
    RtcpSourceInfo,
    RtcpSrPacket,
)
from hypothesis import given
from hypothesis import strategies as st

from slicer.rtp import rtcp
from slicer.rtp.rtcp.reports import (
    Bye,
    ReceiverReport,
    ReportBlock,
    SenderReport,
    SourceDescription,
    dlsr_units,
    ntp_middle,
    ntp_seconds,
)
from tests.harness.rtp.parts import build_rtcp as build
from tests.harness.rtp.parts import parse_rtcp as parse

U8, U32 = st.integers(0, 0xFF), st.integers(0, 0xFFFFFFFF)
LOST = st.integers(-(1 << 23), (1 << 23) - 1)
BLOCKS = st.lists(st.builds(ReportBlock, U32, U8, LOST, U32, U32, U32, U32), max_size=31).map(tuple)
TEXT = st.text(st.characters(codec="utf-8"), max_size=60)

BLOCK = ReportBlock(1831097322, 1, -2, 630, 1906, 0xAABBCCDD, 65536)
THEIRS = RtcpReceiverInfo(1831097322, 1, -2, 630, 1906, 0xAABBCCDD, 65536)


@given(U32, st.integers(0, (1 << 64) - 1), U32, U32, U32, BLOCKS)
def test_sender_reports_come_back(
    ssrc: int, ntp: int, rtp: int, packets: int, octets: int, blocks: tuple[ReportBlock, ...]
) -> None:
    report = SenderReport(ssrc, ntp, rtp, packets, octets, blocks)
    assert parse(build([report])) == [report]


@given(U32, BLOCKS)
def test_receiver_reports_come_back(ssrc: int, blocks: tuple[ReportBlock, ...]) -> None:
    assert parse(build([ReceiverReport(ssrc, blocks)])) == [ReceiverReport(ssrc, blocks)]


@given(st.lists(st.tuples(U32, TEXT), max_size=31).map(tuple))
def test_source_descriptions_come_back(cnames: tuple[tuple[int, str], ...]) -> None:
    assert parse(build([SourceDescription(cnames)])) == [SourceDescription(cnames)]


@given(st.lists(U32, max_size=31).map(tuple), TEXT)
def test_goodbyes_come_back(ssrcs: tuple[int, ...], reason: str) -> None:
    assert parse(build([Bye(ssrcs, reason)])) == [Bye(ssrcs, reason)]


def test_aiortc_reads_and_writes_the_same_reports() -> None:
    ours: list[rtcp.RtcpPacket] = [
        SenderReport(7, 0xE0A1B2C3_80000000, 90_000, 5, 600, (BLOCK,)),
        ReceiverReport(8, (BLOCK, BLOCK)),
        SourceDescription(((7, "{a cname}"),)),
        Bye((7, 8)),
    ]
    info = RtcpSenderInfo(0xE0A1B2C3_80000000, 90_000, 5, 600)
    theirs: list[Any] = [
        RtcpSrPacket(7, info, [THEIRS]),
        RtcpRrPacket(8, [THEIRS, THEIRS]),
        RtcpSdesPacket([RtcpSourceInfo(7, [(1, b"{a cname}")])]),
        RtcpByePacket([7, 8]),
    ]
    assert RtcpPacket.parse(build(ours)) == theirs
    assert parse(b"".join(map(bytes, theirs))) == ours


def test_a_receiver_report_byte_by_byte() -> None:
    data = bytes.fromhex("81c90007 00000001 00000002 80ffffff 00010002 00000003 00000004 00000005")
    block = ReportBlock(2, 128, -1, 0x10002, 3, 4, 5)
    assert parse(data) == [ReceiverReport(1, (block,))]
    assert build([ReceiverReport(1, (block,))]) == data


def test_packets_lost_is_clamped_to_24_bits() -> None:
    far = [ReportBlock(1, 0, lost, 0, 0) for lost in (-(1 << 30), 1 << 30)]
    assert parse(build([ReceiverReport(1, tuple(far))])) == [
        ReceiverReport(
            1, (ReportBlock(1, 0, -(1 << 23), 0, 0), ReportBlock(1, 0, (1 << 23) - 1, 0, 0))
        )
    ]


def test_profile_specific_extensions_are_ignored() -> None:
    data = bytes.fromhex("80c90002 00000001 deadbeef")
    assert parse(data) == [ReceiverReport(1)]


def test_other_items_of_a_source_description_are_passed_over() -> None:
    # Chunk 1: TOOL "x", CNAME "c". Chunk 2: TOOL alone.
    data = bytes.fromhex("82ca0005 00000001 06017801 01630000 00000002 06017800")
    assert parse(data) == [SourceDescription(((1, "c"),))]


@pytest.mark.parametrize(
    "data",
    [
        "80c80001 00000001",  # a sender report without sender info
        "81c90001 00000001",  # a block that is not there
        "81ca0001 00000001",  # items without their end
        "81ca0002 00000001 01ff6162",
        "81ca0002 00000001 01026162",  # no null after the last item
        "81ca0000",
        "81cb0000",
        "80cb0001 05616263",
    ],
)
def test_truncated_packets_are_refused(data: str) -> None:
    with pytest.raises(ValueError, match=r"RTCP|SDES|BYE"):
        parse(bytes.fromhex(data))


def test_text_that_is_not_utf_8_does_not_cost_the_compound() -> None:
    (packet,) = parse(bytes.fromhex("81ca0002 00000001 0101ff00"))
    assert packet == SourceDescription(((1, "\ufffd"),))


def test_text_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="255"):
        build([SourceDescription(((1, "x" * 256),))])
    with pytest.raises(ValueError, match="255"):
        build([Bye((1,), "x" * 256)])


def test_times() -> None:
    assert ntp_seconds(0xE0A1B2C3_80000000) == 0xE0A1B2C3 + 0.5
    assert ntp_middle(0x11223344_55667788) == 0x33445566
    assert dlsr_units(1.5) == 98_304
    assert dlsr_units(-1) == 0
    assert dlsr_units(1e9) == 0xFFFFFFFF
