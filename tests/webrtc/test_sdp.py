"""Session descriptions as lines and sections."""

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slicer.errors import BadInput
from slicer.webrtc.sdp import MAX_SECTIONS, Section, first, parse, parse_fragment

CHROMIUM = (Path(__file__).parent / "chromium-offer.sdp").read_text()


def test_a_browsers_offer() -> None:
    offer = parse(CHROMIUM)
    assert [section.kind for section in offer.sections] == ["audio", "video", "application"]
    assert first(offer.attributes, "group") == "BUNDLE 0 1 2"
    audio = offer.sections[0]
    assert audio.protocol == "UDP/TLS/RTP/SAVPF"
    assert audio.formats[:2] == ("111", "63")
    assert audio.first("mid") == "0"
    assert audio.has("rtcp-mux")
    assert not audio.has("rtcp-rsize:")
    assert "111 opus/48000/2" in audio.all("rtpmap")
    assert offer.sections[2].formats == ("webrtc-datachannel",)


@pytest.mark.parametrize("end", ["\r\n", "\n"])
def test_both_line_ends(end: str) -> None:
    text = end.join(["v=0", "s=-", "m=audio 9 RTP/SAVPF 0 8", "a=sendonly", "a=mid:x:y", ""])
    section = Section("audio", 9, "RTP/SAVPF", ("0", "8"), (("sendonly", ""), ("mid", "x:y")))
    assert parse(text).sections == (section,)


@pytest.mark.parametrize(
    ("text", "got"),
    [
        ("", ""),
        ("hello", "hello"),
        ("{}", "{}"),
        ("v=1\r\n", "v=1"),
        ("v=0\nm=audio\n", "m=audio"),
        ("v=0\nm=audio 99999 RTP/SAVPF 0\n", "m=audio 99999 RTP/SAVPF 0"),
        ("v=0\nm=audio nine RTP/SAVPF 0\n", "m=audio nine RTP/SAVPF 0"),
        ("v=0\n<html>\n", "<html>"),
        ("v=0\n" + "m=audio 9 RTP/SAVPF 0\n" * (MAX_SECTIONS + 1), "33 m-lines"),
    ],
)
def test_malformed(text: str, got: str) -> None:
    with pytest.raises(BadInput) as refused:
        parse(text)
    assert (refused.value.field, refused.value.got) == ("sdp", got)


def test_a_fragment_has_no_version_line() -> None:
    fragment = parse_fragment("a=ice-ufrag:abcd\nm=audio 9 RTP/SAVPF 0\na=mid:0\na=candidate:1 1\n")
    assert first(fragment.attributes, "ice-ufrag") == "abcd"
    assert fragment.sections[0].all("candidate") == ["1 1"]


@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    for read in (parse, parse_fragment):
        with suppress(BadInput):
            assert len(read("v=0\n" + text).sections) <= MAX_SECTIONS
