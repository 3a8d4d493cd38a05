"""What is asked of a peer for lost audio: that it sends it again, or sends it twice at once."""

from collections.abc import Sequence

import pytest

from slicer.webrtc.description import write_answer, write_offer
from slicer.webrtc.negotiation import Agreement, negotiate
from slicer.webrtc.parameters import Local
from slicer.webrtc.profile import Profile
from slicer.webrtc.proposal import propose
from slicer.webrtc.sdp import Description, parse
from tests.harness.rooms.descriptions import TRANSPORT

AUDIO = ["m=audio 9 UDP/TLS/RTP/SAVPF 111", "a=mid:a", "a=rtcp-mux", "a=rtpmap:111 opus/48000/2"]
OURS = Local("ufrg", "p" * 22, (("sha-256", "CC:DD"),), "127.0.0.1", 4000, ())


def offer(lines: Sequence[str]) -> Description:
    head = ["v=0", "a=group:BUNDLE a", *TRANSPORT, "a=setup:actpass"]
    return parse("\n".join([*head, *lines]))


def answer(agreement: Agreement) -> Description:
    return parse(write_answer(agreement, OURS, 1))


@pytest.mark.parametrize("offered", [[], ["a=rtcp-fb:111 nack"], ["a=rtcp-fb:* nack"]])
def test_opus_is_asked_for_again_though_browsers_do_not_offer_it(offered: list[str]) -> None:
    agreement = negotiate(offer([*AUDIO, *offered]))
    assert "nack" in agreement.streams[0].feedback
    answered = answer(agreement).sections[0].attributes.all("rtcp-fb")
    assert answered.count("111 nack") == 1
    assert not any(one.endswith("nack") for one in answered if not one.startswith("111 "))


def test_what_is_not_asked_for_again() -> None:
    """Other audio codecs, and a peer that takes no feedback (RFC 5124)."""
    without = Profile(feedback={})
    assert negotiate(offer([*AUDIO]), without).streams[0].feedback == set()
    plain = [line.replace("SAVPF", "SAVP") for line in AUDIO]
    assert "nack" not in negotiate(offer(plain)).streams[0].feedback
    pcmu = [AUDIO[0].replace("111", "0"), *AUDIO[1:3]]
    assert "nack" not in negotiate(offer(pcmu)).streams[0].feedback


RED = ["a=rtpmap:63 red/48000/2", "a=fmtp:63 111/111"]


def with_red(lines: Sequence[str] = RED, formats: str = "111 63") -> list[str]:
    return [AUDIO[0].replace("111", formats), *AUDIO[1:], *lines]


@pytest.mark.parametrize(
    ("formats", "redundancy", "answered"),
    [
        ("111 63", False, ("111", "63")),  # as browsers offer it: taken, and not used by them
        ("63 111", False, ("63", "111")),  # as the peer prefers it
        ("111 63", True, ("63", "111")),
    ],
)
def test_redundant_audio_is_taken_and_preferred_where_that_is_set(
    formats: str, redundancy: bool, answered: tuple[str, ...]
) -> None:
    agreement = negotiate(offer(with_red(formats=formats)), Profile(redundancy=redundancy))
    (stream,) = agreement.streams
    assert set(stream.codecs) == {111}
    assert stream.red == {63: 111}
    section = answer(agreement).sections[0]
    assert section.formats == answered
    assert "63 red/48000/2" in section.attributes.all("rtpmap")
    assert "63 111/111" in section.attributes.all("fmtp")


@pytest.mark.parametrize(
    "lines",
    [
        ["a=rtpmap:63 red/48000/2"],  # of what its blocks are is not said
        ["a=rtpmap:63 red/48000/2", "a=fmtp:63 112/112"],
        ["a=rtpmap:63 red/8000", "a=fmtp:63 111/111"],
        ["a=rtpmap:63 red/48000/2", "a=fmtp:63 x"],
        ["a=rtpmap:63 red/48000/2", "a=fmtp:63 63/63"],
    ],
)
def test_redundant_audio_that_cannot_be_read_is_left_out(lines: list[str]) -> None:
    agreement = negotiate(offer(with_red(lines)))
    assert agreement.streams[0].red == {}
    assert answer(agreement).sections[0].formats == ("111",)


def test_redundant_audio_stays_agreed_on_in_our_later_offers() -> None:
    before = negotiate(offer(with_red()))
    proposal = propose([], before=before)
    section = parse(write_offer(proposal, OURS, 1)).sections[0]
    assert section.formats == ("111", "63")
    assert "63 red/48000/2" in section.attributes.all("rtpmap")
    assert "63 111/111" in section.attributes.all("fmtp")
    said = [*with_red(), *TRANSPORT, "a=setup:active"]
    again = proposal.conclude(parse("\n".join(["v=0", "a=group:BUNDLE a", *said])))
    assert again.streams[0].red == {63: 111}


def test_video_is_repaired_by_repetition_and_not_by_redundancy() -> None:
    """Why: docs/design.md, "What was rejected"."""
    lines = ["m=video 9 UDP/TLS/RTP/SAVPF 96 97 118 119 120 35", "a=mid:a", "a=rtcp-mux"]
    lines += ["a=rtpmap:96 VP8/90000", "a=rtcp-fb:96 nack", "a=rtpmap:97 rtx/90000"]
    lines += ["a=fmtp:97 apt=96", "a=rtpmap:118 red/90000", "a=rtpmap:119 rtx/90000"]
    lines += ["a=fmtp:119 apt=118", "a=rtpmap:120 ulpfec/90000", "a=rtpmap:35 flexfec-03/90000"]
    agreement = negotiate(offer([*lines, "a=fmtp:35 repair-window=10000000"]))
    assert agreement.streams[0].rtx == {97: 96}
    section = answer(agreement).sections[0]
    assert section.formats == ("96", "97")
    assert "96 nack" in section.attributes.all("rtcp-fb")
