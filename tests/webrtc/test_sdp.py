"""Session descriptions as lines and sections."""

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slicer.errors import BadInput
from slicer.webrtc.sdp import MAX_SECTIONS, Attributes, Section, parse, parse_fragment

CHROMIUM = (Path(__file__).parent / "chromium-offer.sdp").read_text()


def test_a_browsers_offer() -> None:
    offer = parse(CHROMIUM)
    assert [section.kind for section in offer.sections] == ["audio", "video", "application"]
    assert offer.attributes.first("group") == "BUNDLE 0 1 2"
    audio = offer.sections[0]
    assert audio.protocol == "UDP/TLS/RTP/SAVPF"
    assert audio.formats[:2] == ("111", "63")
    assert audio.mid == "0"
    assert audio.attributes.has("rtcp-mux")
    assert not audio.attributes.has("rtcp-rsize:")
    assert "111 opus/48000/2" in audio.attributes.all("rtpmap")
    assert audio.attributes.by_payload_type("fmtp")["111"] == "minptime=10;useinbandfec=1"
    assert offer.sections[2].formats == ("webrtc-datachannel",)


@pytest.mark.parametrize("end", ["\r\n", "\n"])
def test_both_line_ends(end: str) -> None:
    text = end.join(["v=0", "s=-", "m=audio 9 RTP/SAVPF 0 8", "a=sendonly", "a=mid:x:y", ""])
    attributes = Attributes((("sendonly", ""), ("mid", "x:y")))
    assert parse(text).sections == (Section("audio", 9, "RTP/SAVPF", ("0", "8"), attributes),)


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
        ("v=0\n" + "m=audio 9 RTP/SAVPF 0\n" * (MAX_SECTIONS + 1), "513 m-lines"),
    ],
)
def test_malformed(text: str, got: str) -> None:
    with pytest.raises(BadInput) as refused:
        parse(text)
    assert (refused.value.field, refused.value.got) == ("sdp", got)


@pytest.mark.parametrize("line", ["s= ", "s=", "i=", "i= ", "a="])
def test_a_line_without_a_value_is_skipped(line: str) -> None:
    text = "\r\n".join(["v=0", line, "m=audio 9 RTP/SAVPF 0", line, "a=mid:x", ""])
    (section,) = parse(text).sections
    assert section.mid == "x"


PLAIN = [
    "v=0",
    "o=- 1 1 IN IP4 192.0.2.1",
    "s=-",
    "a=group:BUNDLE x",
    "m=audio 9 RTP/SAVPF 0 111",
    "a=rtpmap:111 opus/48000/2",
    "a=mid:x",
    "a=sendonly",
    "",
]


@pytest.mark.parametrize(
    "text",
    [
        "\r".join(PLAIN),
        "\n\r".join(PLAIN),
        "\ufeff" + "\n".join(PLAIN),
        "\n".join(PLAIN) + "\0",
        "\n".join(PLAIN) + "\0\0\r\n\0",
        "SDP:\r\n" + "\r\n".join(PLAIN),
        "\n \nsdp: \n" + "\n".join(PLAIN),
        "\n\n".join(PLAIN),
        "\n".join(f"\t{line}\t " for line in PLAIN),
        "\n".join(PLAIN).replace(" ", "  "),
        "\n".join(PLAIN).replace(" ", "\t"),
        "\n".join(PLAIN).replace("m=audio", "M=Audio").replace("a=", "A="),
        "\n".join(PLAIN).replace("rtpmap:", "RTPMAP: ").replace("mid:", "Mid : "),
        "\n".join(PLAIN).replace("sendonly", "SENDONLY"),
        "\n".join(PLAIN).replace("s=-", "s= \ni=\nt=\nb=\nz="),
        "\n".join(line for line in PLAIN if line[:1] not in "os"),
    ],
)
def test_descriptions_are_read_as_devices_write_them(text: str) -> None:
    plain, read = parse("\n".join(PLAIN)), parse(text)
    (section,), (wanted,) = read.sections, plain.sections
    assert (section.kind, section.port, section.formats) == (wanted.kind, 9, wanted.formats)
    assert section.mid == "x"
    assert section.attributes.has("sendonly")
    assert section.attributes.by_payload_type("rtpmap") == {"111": "opus/48000/2"}
    assert (read.attributes.first("group") or "").split() == ["BUNDLE", "x"]


@pytest.mark.parametrize(
    ("line", "kind", "protocol", "formats"),
    [
        ("m=image 9 udptl t38", "image", "udptl", ("t38",)),
        ("m=message 7394 TCP/MSRP *", "message", "TCP/MSRP", ("*",)),
        ("m=x-whiteboard 9/2 X_1+y/Z.w a b", "x-whiteboard", "X_1+y/Z.w", ("a", "b")),
    ],
)
def test_an_m_line_of_any_tokens_is_read(
    line: str, kind: str, protocol: str, formats: tuple[str, ...]
) -> None:
    """RFC 8866 9: what is not for us is turned down as an m-line, and costs the others nothing."""
    first, second = parse(f"v=0\n{line}\nm=audio 9 RTP/SAVPF 0\n").sections
    assert (first.kind, first.protocol, first.formats) == (kind, protocol, formats)
    assert second.kind == "audio"


def test_what_a_camera_writes_beside_its_capture() -> None:
    camera = "v=0\no=- 1 1 IN IP4 192.0.2.1\ns= \ni=cam\nc=IN IP4 0.0.0.0\nt=0 0\n"
    (section,) = parse(camera + "m=audio 0 RTP/AVP 8\na=control:trackID=1\n").sections
    assert (section.kind, section.port, section.formats) == ("audio", 0, ("8",))


def test_a_fragment_has_no_version_line() -> None:
    fragment = parse_fragment("a=ice-ufrag:abcd\nm=audio 9 RTP/SAVPF 0\na=mid:0\na=candidate:1 1\n")
    assert fragment.attributes.first("ice-ufrag") == "abcd"
    assert fragment.sections[0].attributes.all("candidate") == ["1 1"]
    assert list(fragment.all("candidate")) == ["1 1"]


def test_as_many_m_lines_as_250_anchors_have() -> None:
    offer = parse("v=0\n" + "m=audio 9 RTP/SAVPF 0\n" * MAX_SECTIONS)
    assert len(offer.sections) == MAX_SECTIONS >= 500


def test_attributes_keep_their_order_and_the_first_and_last_count() -> None:
    attributes = Attributes((("rtpmap", "1 a"), ("mid", "x"), ("rtpmap", "1 b"), ("mid", "y")))
    assert list(attributes) == list(attributes.pairs)
    assert attributes.first("mid") == "x"
    assert attributes.first("fmtp") is None
    assert attributes.all("fmtp") == []
    assert attributes.by_payload_type("rtpmap") == {"1": "b"}


@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    for read in (parse, parse_fragment):
        with suppress(BadInput):
            assert len(read("v=0\n" + text).sections) <= MAX_SECTIONS
