"""Which section a packet belongs to: MID, then SSRC, then payload type (RFC 8843 9.2)."""

from dataclasses import replace

import pytest

from slicer.rtp.demultiplexer import MAX_ENDED, MAX_SSRCS, STRAGGLE
from slicer.rtp.packet import Packet
from slicer.rtp.parameters import (
    MID,
    OPUS,
    PCMU,
    TRANSPORT_WIDE_CC,
    VP8,
    Codec,
    Kind,
    RtpParameters,
)
from tests.harness.rtp.parts import Demultiplexer, SenderClock, Stream

AUDIO = RtpParameters(Kind.AUDIO, {111: OPUS}, extensions={4: MID}, mid="a")
VIDEO = RtpParameters(
    Kind.VIDEO, {96: VP8}, {97: 96}, extensions={4: MID, 3: TRANSPORT_WIDE_CC}, mid="v"
)


class Sections:
    """A demultiplexer and its streams, by MID."""

    def __init__(self, *sections: RtpParameters) -> None:
        self.demultiplexer = Demultiplexer()
        self.streams: dict[str, Stream] = {}
        self.now = 1.0
        self.replace(*sections)

    def replace(self, *sections: RtpParameters) -> None:
        """Those that stay as they are keep their stream."""
        before = self.streams
        self.streams = {}
        for one in sections:
            kept = before.get(one.mid)
            same = kept is not None and kept.parameters == one
            self.streams[one.mid] = kept if kept and same else Stream(one, SenderClock())
        owners: dict[Stream, object] = dict.fromkeys(self.streams.values(), "ann")
        self.demultiplexer.replace(owners, self.now)

    def put(self, ssrc: int, payload_type: int = 111, mid: str | None = None) -> str | None:
        """The MID of the section a packet is given to."""
        packet = Packet(payload_type, False, 1, 1, ssrc, b"x", arrival=self.now)
        elements = {4: mid.encode(), 3: b"\0\1"} if mid is not None else {3: b"\0\1"}
        return self._mid(self.demultiplexer.route(packet, elements))

    def find(self, ssrc: int) -> str | None:
        return self._mid(self.demultiplexer.find(ssrc))

    def _mid(self, stream: Stream | None) -> str | None:
        return next((mid for mid, one in self.streams.items() if one is stream), None)

    @property
    def counters(self) -> dict[str, int]:
        return dict(self.demultiplexer.counters)


def same(*mids: str) -> list[RtpParameters]:
    """Sections that differ by their names alone."""
    return [replace(AUDIO, mid=mid) for mid in mids]


def test_a_payload_type_of_one_section_alone_is_enough_and_teaches_the_ssrc() -> None:
    sections = Sections(AUDIO, VIDEO)
    assert sections.find(1) is None
    assert sections.put(1) == "a"
    assert sections.put(2, 96) == "v"
    assert sections.put(3, 97) == "v"
    assert (sections.find(1), sections.find(2), sections.find(3)) == ("a", "v", "v")
    sections.replace(*same("a", "b"))
    assert sections.put(1) == "a"
    assert sections.put(9) is None
    assert sections.counters == {"unroutable": 1}


def test_a_mid_names_the_section_and_teaches_the_ssrc() -> None:
    sections = Sections(*same("x", "y", "z"))
    assert sections.put(1) is None
    assert sections.put(1, mid="y") == "y"
    assert sections.put(1) == "y"
    assert sections.put(2) is None
    assert sections.counters == {"unroutable": 2}


def test_a_mid_that_changes_moves_the_ssrc() -> None:
    sections = Sections(*same("x", "y"))
    assert sections.put(1, mid="x") == "x"
    assert sections.put(1, mid="y") == "y"
    assert sections.put(1) == "y"
    assert sections.find(1) == "y"
    assert sections.counters == {"ssrc_moved": 1}


def test_an_unknown_mid_gives_a_packet_to_nobody_and_teaches_nothing() -> None:
    sections = Sections(AUDIO, VIDEO)
    for mid in ("b", "aa", ""):
        assert sections.put(1, mid=mid) is None
    assert sections.find(1) is None
    assert sections.put(2, 96, "v") == "v"
    assert sections.put(2, 96, "w") is None
    assert sections.put(2, 96) == "v"
    assert sections.counters == {"unknown_mid": 4}


def test_a_payload_type_that_a_named_section_has_not_is_refused() -> None:
    sections = Sections(AUDIO, VIDEO)
    assert sections.put(1, 96, "a") is None
    assert sections.find(1) is None
    assert sections.put(1, 50) is None
    assert sections.counters == {"unknown_payload_type": 2}


def test_a_known_ssrc_with_another_sections_payload_type_goes_there_and_moves_nothing() -> None:
    sections = Sections(AUDIO, VIDEO)
    assert [sections.put(1, payload_type) for payload_type in (111, 96, 111)] == ["a", "v", "a"]
    assert sections.find(1) == "a"


def test_ssrcs_that_a_description_names_are_known_at_once() -> None:
    one, other = replace(AUDIO, ssrcs=(1, 2)), replace(AUDIO, mid="b", ssrcs=(3,))
    sections = Sections(one, other)
    assert [sections.find(ssrc) for ssrc in (1, 2, 3, 4)] == ["a", "a", "b", None]
    assert [sections.put(ssrc) for ssrc in (3, 1, 4)] == ["b", "a", None]
    assert sections.counters == {"unroutable": 1}
    sections.replace(replace(one, ssrcs=(1,)), replace(other, ssrcs=(2, 5)))
    assert [sections.put(ssrc) for ssrc in (1, 2, 3, 5)] == ["a", "b", "b", "b"]
    assert sections.counters == {"unroutable": 1, "ssrc_moved": 1}


def test_named_ssrcs_are_bounded_like_those_that_are_heard() -> None:
    sections = Sections(AUDIO)
    for ssrc in range(100, 100 + MAX_SSRCS):
        sections.put(ssrc, mid="a")
    sections.now += 1
    sections.replace(replace(AUDIO, ssrcs=(1, 2)))
    assert [sections.find(ssrc) for ssrc in (1, 2, 100, 101, 102)] == ["a", "a", None, None, "a"]
    assert sections.counters == {"ssrc_forgotten": 2}


def test_codecs_that_nobody_can_read_are_no_payload_types() -> None:
    strange = Codec("strange", 90_000)
    sections = Sections(RtpParameters(Kind.VIDEO, {100: strange, 96: VP8}, {101: 100, 97: 96}))
    assert [sections.put(1, number) for number in (100, 101, 111, 96, 97)] == [
        *(None, None, None),
        *("", ""),
    ]


def test_sections_without_a_name_are_not_found_by_none() -> None:
    sections = Sections(replace(AUDIO, mid=""), VIDEO)
    assert sections.put(1, mid="") is None
    assert sections.put(1) == ""


def test_a_section_that_ends_takes_its_ssrcs_and_payload_types_along() -> None:
    sections = Sections(*same("x", "y"))
    sections.put(1, mid="x")
    sections.put(2, mid="y")
    sections.replace(*same("y"))
    assert sections.find(1) is None
    assert sections.find(2) == "y"
    assert sections.put(3) == "y"
    sections.replace()
    assert sections.put(2) is None
    assert sections.counters == {"unknown_payload_type": 1}


def test_the_last_packets_of_a_section_that_has_ended_are_nobodys() -> None:
    """Without this, the one left would take the other's packets for its own by their type."""
    sections = Sections(*same("x", "y"))
    sections.put(1, mid="x")
    sections.put(2, mid="y")
    sections.replace(*same("y"))
    for _ in range(5):
        assert sections.put(1) is None
        assert sections.put(2) == "y"
        sections.now += STRAGGLE
    assert sections.counters == {"unroutable": 5}


def test_a_later_section_may_have_the_ssrc_of_one_that_has_ended() -> None:
    sections = Sections(*same("x"))
    sections.put(1, mid="x")
    sections.replace(VIDEO)
    sections.replace(VIDEO, *same("y"))
    sections.now += STRAGGLE / 2
    assert sections.put(1) is None
    sections.now += STRAGGLE
    assert sections.put(1) == "y"
    assert sections.counters == {"unroutable": 1}


def test_a_section_whose_codecs_change_keeps_its_ssrcs() -> None:
    sections = Sections(*same("x", "y"))
    sections.put(1, mid="x")
    sections.put(2, mid="y")
    changed = replace(AUDIO, mid="x", codecs={111: OPUS, 0: PCMU})
    sections.replace(changed, *same("y"))
    assert (sections.put(1), sections.put(1, 0), sections.put(2)) == ("x", "x", "y")
    assert sections.counters == {}


def test_a_section_that_another_takes_the_name_of_leaves_it_no_ssrc() -> None:
    sections = Sections(*same("x", "y"))
    sections.put(1, mid="x")
    other = Stream(replace(AUDIO, mid="x"), SenderClock())
    owners: dict[Stream, object] = {sections.streams["y"]: "ann", other: "bob"}
    sections.streams["x"] = other
    sections.demultiplexer.replace(owners, sections.now)
    assert sections.find(1) is None
    assert sections.put(1) is None
    assert sections.put(1, mid="x") == "x"


def test_an_ssrc_of_a_section_that_has_ended_is_taken_at_once_by_its_mid() -> None:
    sections = Sections(*same("x", "y"))
    sections.put(1, mid="x")
    sections.replace(*same("y", "z"))
    assert sections.put(1, mid="z") == "z"
    assert sections.put(1) == "z"


def test_ssrcs_of_one_section_are_bounded_and_the_one_not_heard_of_longest_goes() -> None:
    sections = Sections(*same("x", "y"))
    sections.put(999, mid="y")
    for ssrc in range(MAX_SSRCS):
        sections.now += 0.1
        sections.put(ssrc, mid="x")
    sections.now += 0.1
    sections.put(0)
    sections.put(100, mid="x")
    assert sections.counters == {"ssrc_forgotten": 1}
    known = [ssrc for ssrc in (*range(MAX_SSRCS), 100) if sections.find(ssrc) == "x"]
    assert known == [0, *range(2, MAX_SSRCS), 100]
    assert sections.put(1) is None
    assert sections.put(999) == "y"


def test_ssrcs_of_ended_sections_are_bounded() -> None:
    sections = Sections(AUDIO)
    for ssrc in range(MAX_ENDED + 3):
        sections.replace(AUDIO)
        sections.put(ssrc)
        sections.replace()
    assert sections.counters == {"ssrc_forgotten": 3}
    sections.replace(AUDIO)
    assert [sections.put(ssrc) for ssrc in (0, 2, 3, MAX_ENDED + 2)] == ["a", "a", None, None]


def test_a_section_whose_codecs_change_keeps_its_place_among_those_that_end() -> None:
    """What ended first is forgotten first, and sections that end at once end in their order."""
    lines = same(*map(str, range(20)))
    sections = Sections(*lines)
    for place, line in enumerate(lines):
        for at in range(MAX_SSRCS):
            sections.put(place * MAX_SSRCS + at, mid=line.mid)
    sections.replace(replace(lines[0], codecs={111: OPUS, 0: PCMU}), *lines[1:])
    sections.replace(replace(AUDIO, mid="x"))
    assert sections.counters == {"ssrc_forgotten": 20 * MAX_SSRCS - MAX_ENDED}
    assert [sections.put(place * MAX_SSRCS) for place in (0, 19)] == ["x", None]


@pytest.mark.parametrize("count", [1, 25, 300])
def test_all_ssrcs_of_many_sections_are_found(count: int) -> None:
    """Numbers that follow each other, that differ in their high bits alone, and that are large."""
    sections = Sections(*same(*map(str, range(count))))
    ssrcs = {
        mid: [place * MAX_SSRCS + at for at in range(5)]
        + [(place * MAX_SSRCS + at) << 20 & 0xFFFFFFFF for at in range(5)]
        + [0xFFFFFFFF - place * MAX_SSRCS - at for at in range(4)]
        for place, mid in enumerate(map(str, range(count)))
    }
    owners: dict[int, str] = {}
    for mid, theirs in ssrcs.items():
        for ssrc in theirs:
            assert sections.put(ssrc, mid=mid) == mid
            owners[ssrc] = mid
    assert {ssrc: sections.put(ssrc) for ssrc in owners} == owners
    left = [str(place) for place in range(0, count, 2)]
    sections.replace(*same(*left))
    for ssrc, mid in owners.items():
        assert sections.find(ssrc) == (mid if mid in left else None)
