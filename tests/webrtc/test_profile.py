"""What a profile offers where nothing else is said."""

from slicer.rtp.parameters import MID, Kind
from slicer.webrtc.negotiation import CODECS
from slicer.webrtc.profile import DEFAULT, h264


def test_every_codec_that_is_received_is_offered() -> None:
    for kind in Kind:
        assert {codec.name for codec in DEFAULT.codecs[kind]} == CODECS[kind].keys()


def test_the_mid_is_always_asked_for() -> None:
    """By nothing else are the m-lines of one kind told apart."""
    assert MID in DEFAULT.extensions


def test_a_profile_of_h264() -> None:
    assert h264("640032").format["profile-level-id"] == "640032"
    assert h264("640032").format["packetization-mode"] == "1"
