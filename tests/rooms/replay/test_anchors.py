"""Whose a stream is: by CNAME, by flow, by two ports; never two speakers in one anchor."""

import pytest

from slicer.rooms.replay.anchors import Heard, grouped
from slicer.rooms.replay.network import Endpoints
from slicer.rtp.parameters import Kind

AUDIO, VIDEO = Kind.AUDIO, Kind.VIDEO


def heard(
    ssrc: int,
    kind: Kind = AUDIO,
    port: int = 1,
    first: float = 0.0,
    last: float = 10.0,
    cname: str = "",
    *,
    source: str = "a",
    repairs: bool = False,
) -> Heard:
    flow = Endpoints(f"{source}:{port}", f"b:{port}")
    return Heard(flow, ssrc, kind, first, last, 9, cname, repairs)


@pytest.mark.parametrize(
    ("streams", "expected"),
    [
        # A client's flow: audio, two layers of video, a retransmission.
        ([heard(1), heard(2, VIDEO), heard(3, VIDEO)], [[1, 2, 3]]),
        ([heard(1), heard(2, VIDEO), heard(4, VIDEO, repairs=True)], [[1, 2, 4]]),
        # Three speakers at a time in one flow; whose the video is, nothing tells.
        ([heard(1), heard(2), heard(3)], [[1], [2], [3]]),
        ([heard(1), heard(2), heard(3, VIDEO)], [[1], [2], [3]]),
        # One SSRC goes on where another ended; one that comes back is another source.
        ([heard(1, last=5), heard(2, first=5.1)], [[1, 2]]),
        ([heard(1), heard(2, first=4, last=6)], [[1], [2]]),
        # CNAMEs: two callers by one flow; one caller by three; the same name from elsewhere.
        (
            [heard(1, cname="x"), heard(2, cname="y"), heard(3, VIDEO, cname="y")],
            [[1], [2, 3]],
        ),
        (
            [heard(1, cname="x"), heard(2, VIDEO, 2, cname="x"), heard(3, VIDEO, 3, cname="x")],
            [[1, 2, 3]],
        ),
        ([heard(1, cname="x"), heard(2, VIDEO, 2, cname="x", source="c")], [[1], [2]]),
        # A server that gives all the same name.
        ([heard(1, cname="x"), heard(2, cname="x"), heard(3, VIDEO, cname="x")], [[1, 3], [2]]),
        # Two ports.
        ([heard(1), heard(2, VIDEO, 3)], [[1, 2]]),
        ([heard(1), heard(2, VIDEO, 3), heard(3, VIDEO, 5)], [[1], [2], [3]]),
        ([heard(1), heard(2, AUDIO, 3)], [[1], [2]]),
        ([heard(1, last=4), heard(2, VIDEO, 3, first=8)], [[1], [2]]),
        ([heard(1, cname="x"), heard(2, VIDEO, 3, cname="y")], [[1], [2]]),
        # Retransmissions of nobody.
        ([heard(1), heard(2), heard(3, VIDEO, repairs=True)], [[1], [2]]),
        ([], []),
    ],
)  # fmt: skip
def test_groups(streams: list[Heard], expected: list[list[int]]) -> None:
    found = [sorted(one.ssrc for one in group) for group in grouped(streams)]
    assert sorted(found) == expected


def test_anchors_are_in_the_order_in_which_they_begin() -> None:
    streams = [heard(1, port=1, first=3), heard(2, port=2, first=1), heard(3, port=3, first=2)]
    assert [group[0].ssrc for group in grouped(streams)] == [2, 3, 1]


def test_together_keeps_speakers_apart_alone() -> None:
    streams = [heard(1), heard(2, VIDEO, 3), heard(3, VIDEO, 5), heard(4, AUDIO, 7)]
    groups = grouped(streams, together=True)
    assert [[one.ssrc for one in group] for group in groups] == [[1, 2, 3], [4]]
