"""The tables of codecs."""

import pytest

from slicer.rtp import codecs, parameters
from slicer.rtp.parameters import Codec
from tests.harness.rtp.parts import AUDIO, VIDEO, video_format


def test_every_codec_we_name_is_in_one_table() -> None:
    named = {codec.name for codec in vars(parameters).values() if isinstance(codec, Codec)}
    assert named == AUDIO.keys() | VIDEO.keys()
    assert not AUDIO.keys() & VIDEO.keys()


@pytest.mark.parametrize("name", AUDIO)
def test_a_granule_divides_every_duration(name: str) -> None:
    assert AUDIO[name].duration(b"\xf8\xff\xfe") % AUDIO[name].granule == 0


@pytest.mark.parametrize("name", VIDEO)
def test_each_stream_gets_a_depacketizer_of_its_own(name: str) -> None:
    codec = Codec(name, 90_000)
    first, second = (video_format(codec).depacketizer(codec) for _ in range(2))
    assert first is not second


def test_a_codec_that_is_not_in_the_table() -> None:
    with pytest.raises(KeyError):
        video_format(Codec("h261", 90_000))


@pytest.mark.parametrize("name", ["vp8", "vp9", "av1"])
def test_all_that_a_line_can_say_of_such_codecs_is_read(name: str) -> None:
    assert codecs.refusal(Codec(name, 90_000, 1, {"profile-id": "2", "x": "y"})) == ""


def test_what_a_line_says_of_h264_and_cannot_be_read() -> None:
    said = {"packetization-mode": "2"}
    assert codecs.refusal(Codec("h264", 90_000, 1, said)) == "packetization-mode=2"
    # Whoever is not in the table is refused for that, and not for its line.
    assert codecs.refusal(Codec("h261", 90_000, 1, said)) == ""


def test_payloads_that_tell_no_height_and_are_of_no_kind() -> None:
    """VP9 and AV1 begin with a byte of flags: whatever it is, it is read or malformed."""
    for name in ("vp9", "av1"):
        for first in range(256):
            payload = bytes([first]) * 20
            assert not codecs.VIDEO[name].unsupported(payload)
            assert codecs.VIDEO[name].height(payload) == 0
