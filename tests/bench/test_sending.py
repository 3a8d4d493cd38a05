"""Plans, phases, and the senders' loop against a socket."""

import json
import shutil
import socket
import time
from itertools import pairwise

import numpy as np
import pytest

from bench.peers.capture import Capture, Track
from bench.peers.plain_room import Way
from bench.peers.scale import memory_each
from bench.peers.sender import Lane, Sender
from bench.peers.sending import Plan, phases
from slicer.rooms import parse_room
from slicer.rtp import rtcp
from slicer.rtp.packet import Packet, parse
from slicer.rtp.rtcp.feedback import PictureLossIndication
from slicer.rtp.rtcp.reports import SenderReport

needs_compiler = pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler")


def test_anchors_are_strewn_evenly() -> None:
    found = phases(16, 5.0)
    assert found[0] == 0
    gaps = np.diff(sorted([*found, 5.0]))
    assert gaps.min() > 0.1
    assert gaps.max() < 0.6


def test_a_plan_goes_over_a_pipe() -> None:
    plan = Plan("h264", "pairs", [1, 2], reports=False)
    assert Plan(**json.loads(plan.line())) == plan


def test_the_way_in_is_written_in_a_url(monkeypatch: pytest.MonkeyPatch) -> None:
    way = Way(20_000, 16, "vp8", True)
    monkeypatch.setattr("slicer.rooms.CONNECTORS", {"plain": ""})
    assert Way.parse(parse_room(way.url())) == way
    rooms = [Way.parse(parse_room(one.url())) for one in Way(20_000, 11, "vp8", True).parted(5)]
    assert [(one.port, one.first, one.anchors) for one in rooms] == [
        (20_000, 0, 5),
        (20_000, 5, 5),
        (20_000, 10, 1),
    ]


def test_memory_is_told_for_each_anchor_more() -> None:
    points = [{"anchors": 1, "pss": 100}, {"anchors": 11, "pss": 400}, {"anchors": 6, "pss": 0}]
    assert memory_each(points) == 30.0
    assert memory_each(points[:1]) is None


def small_capture() -> Capture:
    """Two frames of two packets, the same as keyframes of one, and two packets of sound."""
    video = Track.of([[b"v0a", b"v0b"], [b"v1a", b"v1b"]])
    keyframes = Track.of([[b"k0"], [b"k1"]])
    return Capture("h264", video, keyframes, Track.of([[b"s0"], [b"s1"]]))


@needs_compiler
def test_a_lane_sends_media_and_reports_and_answers_a_request() -> None:
    ours = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    theirs = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with ours, theirs:
        for one in (ours, theirs):
            one.bind(("127.0.0.1", 0))
            one.settimeout(20)
        theirs.connect(ours.getsockname())
        ours.connect(theirs.getsockname())
        both = (theirs.fileno(), theirs.fileno())
        sender = Sender(small_capture(), [Lane(both, both)])
        sender.start([time.monotonic()])
        try:
            seen, reports = collect(ours, want=b"v1b")
            ours.send(rtcp.build([PictureLossIndication(1, seen[0].ssrc)]))
            later, more = collect(ours, want=b"k")
        finally:
            sender.stop()
    payloads = [packet.payload for packet in seen]
    assert payloads.index(b"v0a") < payloads.index(b"v0b") < payloads.index(b"v1a")
    assert b"s0" in payloads
    video = [packet for packet in [*seen, *later] if packet.payload_type == 102]
    assert [packet.marker for packet in video[:4]] == [False, True, False, True]
    steps = {b.sequence - a.sequence & 0xFFFF for a, b in pairwise(video)}
    assert steps == {1}
    assert later[-1].payload in {b"k0", b"k1"}
    assert later[-1].marker
    assert sender.totals()["requests"] == sender.totals()["keyframes"] == 1
    assert {report.ssrc for report in [*reports, *more]} <= {p.ssrc for p in [*seen, *later]}


def collect(ours: socket.socket, want: bytes) -> tuple[list[Packet], list[SenderReport]]:
    """What comes until a payload that begins so."""
    packets: list[Packet] = []
    reports: list[SenderReport] = []
    while not packets or not packets[-1].payload.startswith(want):
        data = ours.recv(2048)
        if rtcp.is_rtcp(data):
            reports += [one for one in rtcp.parse(data) if isinstance(one, SenderReport)]
        else:
            packets.append(parse(data))
    return packets, reports
