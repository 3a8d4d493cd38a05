"""The tables of codecs."""

import pytest

from slicer.rtp import parameters
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
