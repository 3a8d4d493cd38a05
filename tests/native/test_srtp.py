"""SRTP and SRTCP of the native plane: the RFCs' known answers, and libsrtp at the other end."""

import hashlib
import hmac
import random
import struct
from typing import Any

import pylibsrtp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.harness.rtp.srtp import (
    CM,
    GCM_128,
    GCM_256,
    KEYS,
    WINDOW,
    both_ways,
    every_profile,
    ours,
    outcome,
    parts,
    receiving,
    rtcp,
    rtp,
    theirs,
)


def test_the_reference_uses_the_same_counters() -> None:
    stranger = theirs(CM, True, bytes(30))
    assert outcome(ours(CM).unprotect, stranger.protect(rtp(1))) == "srtp_authentication"


# RFC 3711 B.3, with the auth keys' first 20 bytes; SRTCP's by the same rule, from another program.
def test_keys_are_derived_as_in_rfc_3711() -> None:
    master = bytes.fromhex("E1F97A0D3E018BE0D64FA32C06DE41390EC675AD498AFEEBB6960B3AABE6")
    keys, _ = parts.srtp_session_keys(CM, master)
    assert keys["key"].hex() == "c61e7a93744f39ee10734afe3ff7a087"
    assert keys["salt"].hex() == "30cbbc08863d8c85d49db34a9ae1"
    assert keys["auth"].hex() == "cebe321f6ff7716b6fd4ab49af256a156d38baa4"


def test_the_keystream_is_that_of_rfc_3711() -> None:
    key = bytes.fromhex("2B7E151628AED2A6ABF7158809CF4F3C")
    salt = bytes.fromhex("F0F1F2F3F4F5F6F7F8F9FAFBFCFD")
    session = parts.Srtp(CM, key, salt)
    stream = session.protect(rtp(0, bytes(0xFF02 * 16), ssrc=0))[12:]
    blocks = {n: stream[16 * n : 16 * n + 16].hex() for n in (0, 1, 2, 0xFEFF, 0xFF00, 0xFF01)}
    assert blocks == {
        0: "e03ead0935c95e80e166b16dd92b4eb4",
        1: "d23513162b02d0f72a43a2fe4a5f97ab",
        2: "41e95b3bb0a2e8dd477901e4fca894c0",
        0xFEFF: "ec8cdf7398607cb0f2d21675ea9ea1e4",
        0xFF00: "362b7c3c6773516318a077d7fc5073ae",
        0xFF01: "6a2cc3787889374fbeb4c81b17ba6c44",
    }


# RFC 7714 sections 16 and 17.
GCM_SALT = bytes.fromhex("517569642070726f2071756f")
GCM_RTP = bytes.fromhex(
    "8040f17b8041f8d35501a0b247616c6c696120657374206f6d6e697320646976697361"
    "20696e207061727465732074726573"
)
GCM_RTCP = bytes.fromhex(
    "81c8000d4d6172734e5450314e545032525450200000042a0000e9304c756e61"
    "deadbeefdeadbeefdeadbeefdeadbeefdeadbeef"
)
GCM_INDEX = 0x5D4
SEALED_RTP = {
    GCM_128: "8040f17b8041f8d35501a0b2f24de3a3fb34de6cacba861c9d7e4bcabe633bd50d294e6f42a5f47a51c7"
    "d19b36de3adf8833899d7f27beb16a9152cf765ee4390cce",
    GCM_256: "8040f17b8041f8d35501a0b232b1de78a822fe12ef9f78fa332e33aab18012389a58e2f3b50b2a0276ff"
    "ae0f1ba63799b87b7aa3db36dfffd6b0f9bb7878d7a76c13",
}
SEALED_RTCP = {
    GCM_128: "81c8000d4d61727363e94885dcdab67ca727d7662f6b7e997ff5c0f76c06f32dc676a5f1730d6fda4ce0"
    "9b4686303ded0bb9275bc84aa45896cf4d2fc5abf87245d9eade800005d4",
    GCM_256: "81c8000d4d617273d50ae4d1f5ce5d304ba297e47d470c282c3ece5dbffe0a50a2eaa5c1110555be8415"
    "f658c61de0476f1b6fad1d1eb30c4446839f57ff6f6cb26ac3be800005d4",
}
SIGNED_RTCP = GCM_RTCP + bytes.fromhex("841dd9683dd78ec92ae58790125f62b3000005d4")


def known(profile: int) -> Any:
    size = 16 if profile == GCM_128 else 32
    return parts.Srtp(profile, bytes(range(size)), GCM_SALT)


@pytest.mark.parametrize("profile", SEALED_RTP)
def test_rtp_is_that_of_rfc_7714(profile: int) -> None:
    sealed = bytes.fromhex(SEALED_RTP[profile])
    assert known(profile).protect(GCM_RTP) == sealed
    assert known(profile).unprotect(sealed) == GCM_RTP


@pytest.mark.parametrize("profile", SEALED_RTCP)
def test_rtcp_is_that_of_rfc_7714(profile: int) -> None:
    sealed = bytes.fromhex(SEALED_RTCP[profile])
    sender = known(profile)
    for _ in range(GCM_INDEX - 1):
        sender.protect_rtcp(GCM_RTCP)
    assert sender.protect_rtcp(GCM_RTCP) == sealed
    assert known(profile).unprotect_rtcp(sealed) == GCM_RTCP


def test_rtcp_that_is_only_signed_is_that_of_rfc_7714() -> None:
    receiver = known(GCM_128)
    assert receiver.unprotect_rtcp(SIGNED_RTCP) == GCM_RTCP
    assert outcome(receiver.unprotect_rtcp, SIGNED_RTCP) == "srtp_replayed"


def test_tampering_with_what_is_only_signed_is_seen() -> None:
    for at in range(len(SIGNED_RTCP)):
        changed = bytearray(SIGNED_RTCP)
        changed[at] ^= 1
        assert outcome(known(GCM_128).unprotect_rtcp, bytes(changed)) == "srtp_authentication"


def test_rtcp_that_is_only_signed_is_refused_without_gcm() -> None:
    keys = parts.srtp_session_keys(CM, KEYS[CM])[1]
    signed = rtcp() + struct.pack("!I", 1)
    signed += hmac.digest(keys["auth"], signed, hashlib.sha1)[:10]
    assert outcome(receiving(CM).unprotect_rtcp, signed) == "srtp_malformed"
    assert outcome(ours(CM).unprotect_rtcp, signed) == "srtp_malformed"


SHAPES = [
    {},
    {"payload": b""},
    {"payload": bytes(range(256)) * 5},
    {"csrcs": 15},
    {"extension": b""},
    {"extension": bytes(8), "csrcs": 2},
    {"extension": bytes(40), "payload": b""},
]


@every_profile
@pytest.mark.parametrize("shape", SHAPES)
def test_rtp_goes_both_ways(profile: int, shape: dict[str, Any]) -> None:
    packet = rtp(7, **shape)
    wire = theirs(profile, True).protect(packet)
    assert ours(profile).protect(packet) == wire
    assert ours(profile).unprotect(wire) == packet
    assert receiving(profile).unprotect(ours(profile).protect(packet)) == packet


@both_ways
@every_profile
def test_sizes_and_wraps_go_both_ways(profile: int) -> None:
    chance = random.Random(3711)
    our_sender, their_sender = ours(profile), theirs(profile, True)
    our_receiver, their_receiver = ours(profile), receiving(profile)
    sequence = chance.randrange(0x10000)
    for _ in range(1500):
        # Up to 9000 packets lost: some turns of the number go by.
        sequence += chance.choice([1, 1, 1, 2, 9000])
        packet = rtp(sequence, chance.randbytes(chance.randrange(1200)))
        wire = their_sender.protect(packet)
        assert our_sender.protect(packet) == wire
        assert our_receiver.unprotect(wire) == packet
        assert their_receiver.unprotect(wire) == packet
    assert sequence > 10 * 0x10000


@both_ways
@every_profile
def test_rtcp_goes_both_ways(profile: int) -> None:
    chance = random.Random(3711)
    our_sender, their_sender = ours(profile), theirs(profile, True)
    our_receiver, their_receiver = ours(profile), receiving(profile)
    for _ in range(300):
        compound = rtcp(chance.randbytes(chance.randrange(1200)), chance.choice([1, 2, 3]))
        wire = their_sender.protect_rtcp(compound)
        assert our_sender.protect_rtcp(compound) == wire
        assert our_receiver.unprotect_rtcp(wire) == compound
        assert their_receiver.unprotect_rtcp(wire) == compound


def indices(count: int) -> st.SearchStrategy[list[int]]:
    """Packet indices of several turns, in an order with repetitions and jumps."""
    near = st.integers(0, 4 * 0x10000)
    edges = st.sampled_from([0, 1, 0x7FFF, 0x8000, 0x8001, 0xFFFF, 0x10000, 0x17FFF, 0x18001])
    steps = st.integers(-WINDOW - 3, WINDOW + 3)
    return st.lists(
        st.one_of(near, st.builds(lambda a, b: max(0, a + b), edges, steps)), max_size=count
    )


@given(order=indices(60), profile=st.sampled_from([CM, GCM_128]))
def test_any_order_has_libsrtps_outcome(order: list[int], profile: int) -> None:
    """A sender at the right index each time: what libsrtp makes of it, we make of it."""
    mine, reference = ours(profile), receiving(profile)
    for index in order:
        wire = sent_at(profile, index)
        assert outcome(mine.unprotect, wire) == outcome(reference.unprotect, wire)


SENT: dict[tuple[int, int], bytes] = {}


def sent_at(profile: int, index: int) -> bytes:
    """The packet of an index, by a sender that got there in steps below half a turn."""
    if (profile, index) not in SENT:
        sender = theirs(profile, True)
        for step in range(0x7000, index, 0x7000):
            sender.protect(rtp(step))
        SENT[profile, index] = sender.protect(rtp(index))
    return SENT[profile, index]


@pytest.mark.parametrize("newest", [0x7FFF, 0x8000, 0x8001, 0x10000, 0x12345, 0x18000, 0x1FFFF])
@pytest.mark.parametrize("step", [0x7FFE, 0x7FFF, 0x8000, 0x8001])
def test_half_a_turn_on_or_back_has_libsrtps_outcome(newest: int, step: int) -> None:
    """Where it is a matter of one packet which turn a number is taken for."""
    for index in (newest + step, newest - step):
        mine, reference = ours(CM), receiving(CM)
        for one in [*range(0x7000, newest, 0x7000), newest]:
            assert mine.unprotect(sent_at(CM, one)) == reference.unprotect(sent_at(CM, one))
        wire = sent_at(CM, max(0, index))
        assert outcome(mine.unprotect, wire) == outcome(reference.unprotect, wire)


@every_profile
@given(data=st.data())
def test_reordering_around_the_wrap(profile: int, data: st.DataObject) -> None:
    numbers = st.integers(0x10000 - 90, 0x10000 + 90)
    mine, reference = ours(profile), receiving(profile)
    for index in data.draw(st.lists(numbers, max_size=100)):
        wire = sent_at(profile, index)
        assert outcome(mine.unprotect, wire) == outcome(reference.unprotect, wire)


@every_profile
@given(order=st.lists(st.integers(0, 400), max_size=80))
def test_any_order_of_rtcp_has_libsrtps_outcome(profile: int, order: list[int]) -> None:
    wire = compounds(profile)
    mine, reference = ours(profile), receiving(profile)
    for index in order:
        assert outcome(mine.unprotect_rtcp, wire[index]) == outcome(
            reference.unprotect_rtcp, wire[index]
        )


COMPOUNDS: dict[int, list[bytes]] = {}


def compounds(profile: int) -> list[bytes]:
    if profile not in COMPOUNDS:
        sender = theirs(profile, True)
        COMPOUNDS[profile] = [sender.protect_rtcp(rtcp()) for _ in range(401)]
    return COMPOUNDS[profile]


@every_profile
def test_a_repetition_is_refused_up_to_the_window_and_beyond(profile: int) -> None:
    sender, receiver = theirs(profile, True), ours(profile)
    wire = [sender.protect(rtp(n)) for n in range(1, 2 * WINDOW)]
    held = wire.pop(50)
    for packet in wire:
        receiver.unprotect(packet)
    assert {outcome(receiver.unprotect, packet) for packet in wire} == {"srtp_replayed"}
    # Not seen before, but too old to know.
    assert outcome(receiver.unprotect, held) == "srtp_replayed"


@every_profile
def test_the_window_is_1024_wide(profile: int) -> None:
    sender, receiver = theirs(profile, True), ours(profile)
    first, second = sender.protect(rtp(1)), sender.protect(rtp(2))
    receiver.unprotect(sender.protect(rtp(1 + WINDOW)))
    assert outcome(receiver.unprotect, first) == "srtp_replayed"
    assert receiver.unprotect(second) == rtp(2)


@pytest.mark.parametrize("step", [1, 2, 63, 64, 65, 1022, 1023, 1024, 1025, 1087, 1088, 1089, 3000])
def test_the_window_is_right_after_any_step(step: int) -> None:
    """Every third packet has come when the step is taken; then all come, late and for the last."""
    sender, receiver, reference = theirs(CM, True), ours(CM), receiving(CM)
    wire = [sender.protect(rtp(n)) for n in range(1, 2100 + step)]
    for packet in [*wire[:2099:3], wire[2098 + step], *wire]:
        assert outcome(receiver.unprotect, packet) == outcome(reference.unprotect, packet)


@both_ways
@every_profile
@pytest.mark.parametrize("shape", [{}, {"extension": bytes(8), "csrcs": 2}])
def test_tampering_with_any_byte_is_seen_and_changes_nothing(
    profile: int, shape: dict[str, Any]
) -> None:
    sender, receiver, reference = theirs(profile, True), ours(profile), receiving(profile)
    for session in (receiver, reference):
        session.unprotect(ours(profile).protect(rtp(8)))
    packet = rtp(9, **shape)
    wire = sender.protect(packet)
    for at in range(len(wire)):
        for bit in (1, 0x80):
            changed = bytearray(wire)
            changed[at] ^= bit
            refused = outcome(receiver.unprotect, bytes(changed))
            assert refused == outcome(reference.unprotect, bytes(changed))
            assert refused in ("srtp_authentication", "srtp_malformed", "srtp_replayed")
    assert receiver.unprotect(wire) == packet


@both_ways
@every_profile
def test_tampering_with_any_byte_of_rtcp_is_seen_and_changes_nothing(profile: int) -> None:
    receiver, reference = ours(profile), receiving(profile)
    for wire in compounds(profile)[:2]:
        for at in range(len(wire)):
            for bit in (1, 0x80):
                changed = bytearray(wire)
                changed[at] ^= bit
                refused = outcome(receiver.unprotect_rtcp, bytes(changed))
                assert refused == outcome(reference.unprotect_rtcp, bytes(changed))
                assert isinstance(refused, str)
        assert receiver.unprotect_rtcp(wire) == reference.unprotect_rtcp(wire)


@every_profile
@pytest.mark.parametrize("shape", [*SHAPES[:2], *SHAPES[3:]])
def test_what_is_cut_short_is_refused_alike(profile: int, shape: dict[str, Any]) -> None:
    receiver, reference = ours(profile), receiving(profile)
    wire = theirs(profile, True).protect(rtp(9, **shape))
    for size in range(len(wire)):
        refused = outcome(receiver.unprotect, wire[:size])
        assert refused == outcome(reference.unprotect, wire[:size])
        assert isinstance(refused, str)


@every_profile
def test_rtcp_that_is_cut_short_is_refused_alike(profile: int) -> None:
    receiver, reference = ours(profile), receiving(profile)
    wire = compounds(profile)[0]
    for size in range(len(wire)):
        refused = outcome(receiver.unprotect_rtcp, wire[:size])
        assert refused == outcome(reference.unprotect_rtcp, wire[:size])
        assert isinstance(refused, str)


@every_profile
@given(packet=st.binary(max_size=80))
def test_any_bytes_are_refused_alike(profile: int, packet: bytes) -> None:
    receiver, reference = ours(profile), receiving(profile)
    for name in ("unprotect", "unprotect_rtcp"):
        refused = outcome(getattr(receiver, name), packet)
        assert refused == outcome(getattr(reference, name), packet)
        assert isinstance(refused, str)


@every_profile
def test_nothing_is_kept_of_an_ssrc_that_is_not_authenticated(profile: int) -> None:
    receiver, stranger = ours(profile), theirs(profile, True, bytes(44))
    for ssrc in range(200):
        refused = outcome(receiver.unprotect, stranger.protect(rtp(0xFFFF, ssrc=ssrc)))
        assert refused == "srtp_authentication"
    for ssrc in range(64):
        wire = ours(profile).protect(rtp(0xFFFF, ssrc=ssrc))
        assert receiver.unprotect(wire) == rtp(0xFFFF, ssrc=ssrc)
        assert outcome(receiver.unprotect, wire) == "srtp_replayed"
    # All 64 are still known.
    for ssrc in range(64):
        assert receiver.may_skip(ours(profile).protect(rtp(0, ssrc=ssrc)))


def test_the_65th_ssrc_takes_the_place_of_the_one_heard_least_lately() -> None:
    receiver = ours(CM)
    for ssrc in range(64):
        receiver.unprotect(ours(CM).protect(rtp(1, ssrc=ssrc)))
    receiver.unprotect(ours(CM).protect(rtp(2, ssrc=0)))
    receiver.unprotect(ours(CM).protect(rtp(1, ssrc=64)))
    known = [n for n in range(65) if receiver.may_skip(ours(CM).protect(rtp(3, ssrc=n)))]
    assert known == [0, *range(2, 65)]


def test_a_sender_forgets_no_ssrc() -> None:
    sender = ours(GCM_128)
    first = [sender.protect_rtcp(rtcp(ssrc=ssrc)) for ssrc in range(64)]
    with pytest.raises(ValueError, match="cannot be sent"):
        sender.protect_rtcp(rtcp(ssrc=64))
    with pytest.raises(ValueError, match="cannot be sent"):
        sender.protect(rtp(1, ssrc=64))
    for ssrc in range(64):
        assert sender.protect_rtcp(rtcp(ssrc=ssrc)) != first[ssrc]


@every_profile
def test_a_number_is_not_sent_twice(profile: int) -> None:
    for session in (ours(profile), theirs(profile, True)):
        session.protect(rtp(5))
        with pytest.raises((ValueError, pylibsrtp.Error)):
            session.protect(rtp(5))


@pytest.mark.parametrize("packet", [b"", rtp(1, b"")[:11], rtp(1, b"", csrcs=3)[:-1]])
def test_what_is_no_rtp_is_not_sent(packet: bytes) -> None:
    with pytest.raises(ValueError, match="cannot be sent"):
        ours(CM).protect(packet)


def test_what_is_no_rtcp_is_not_sent() -> None:
    with pytest.raises(ValueError, match="cannot be sent"):
        ours(CM).protect_rtcp(rtcp()[:7])
