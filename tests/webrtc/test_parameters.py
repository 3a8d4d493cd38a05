"""What a peer's description tells of its end of the transport."""

import pytest

from slicer.errors import BadInput
from slicer.webrtc.parameters import Remote, remote, unchanged
from slicer.webrtc.sdp import Attributes

SECTION = Attributes(
    (
        ("ice-ufrag", "abcd"),
        ("ice-pwd", "0123456789012345678901"),
        ("candidate", "1 1 udp 1 192.0.2.1 9 typ host"),
        ("candidate", "1 1 udp 1 192.0.2.1 9 typ host"),
    )
)
SESSION = Attributes((("fingerprint", "SHA-256 AA:BB"), ("fingerprint", "md5 CC")))
PEER = Remote("abcd", "p" * 22, False, (("sha-256", "AA"),), "actpass", ())


def test_each_thing_is_taken_from_the_first_place_that_tells_it() -> None:
    found = remote([SECTION, SESSION], [SECTION], lite=True)
    assert (found.ufrag, found.pwd, found.lite) == ("abcd", "0123456789012345678901", True)
    assert found.fingerprints == (("sha-256", "AA:BB"),)
    assert found.candidates == ("1 1 udp 1 192.0.2.1 9 typ host",)
    assert remote([SECTION, SESSION], [], lite=False).candidates == ()


@pytest.mark.parametrize(
    ("setup", "ours"), [("actpass", "passive"), ("active", "passive"), ("passive", "active")]
)
def test_our_part_in_dtls(setup: str, ours: str) -> None:
    told = Attributes((*SECTION, *SESSION, ("setup", setup)))
    assert remote([told], [], lite=False).our_setup == ours


def test_what_is_told_again_may_only_add_candidates() -> None:
    now = Remote("abcd", "p" * 22, False, (("sha-256", "AA"),), "active", ("1 1 udp",))
    same = unchanged(now, PEER)
    assert (same.setup, same.candidates) == ("actpass", ("1 1 udp",))
    with pytest.raises(BadInput, match="ICE restarts are not supported"):
        unchanged(Remote("efgh", "p" * 22, False, PEER.fingerprints, "actpass", ()), PEER)
    with pytest.raises(BadInput, match="DTLS does not restart"):
        unchanged(Remote("abcd", "p" * 22, False, (("sha-256", "BB"),), "actpass", ()), PEER)
    with pytest.raises(BadInput, match="role of before"):
        unchanged(Remote("abcd", "p" * 22, False, PEER.fingerprints, "passive", ()), PEER)
