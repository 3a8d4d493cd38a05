"""SRTP of the native plane: what may be passed over undecrypted, and how libcrypto is found."""

import ctypes
import hashlib
import hmac
import os
import subprocess
import sys
from collections import Counter

import pytest

from tests.harness.rtp.srtp import (
    CM,
    GCM_128,
    GCM_256,
    PROFILES,
    SSRC,
    WINDOW,
    both_ways,
    every_profile,
    ours,
    outcome,
    parts,
    rtcp,
    rtp,
)

# srtp_may_skip: only a packet of a known SSRC, not seen, and not far ahead.


@every_profile
def test_an_unknown_ssrc_must_be_unprotected(profile: int) -> None:
    receiver = ours(profile)
    receiver.unprotect(ours(profile).protect(rtp(1)))
    assert receiver.may_skip(ours(profile).protect(rtp(2)))
    assert not receiver.may_skip(ours(profile).protect(rtp(2, ssrc=SSRC + 1)))


def test_an_ssrc_known_by_rtcp_alone_must_be_unprotected() -> None:
    receiver = ours(CM)
    receiver.unprotect_rtcp(ours(CM).protect_rtcp(rtcp()))
    assert not receiver.may_skip(ours(CM).protect(rtp(2)))


@every_profile
def test_a_repetition_must_be_unprotected(profile: int) -> None:
    sender, receiver = ours(profile), ours(profile)
    wire = [sender.protect(rtp(n)) for n in range(1, 2002)]
    receiver.unprotect(wire[0])
    receiver.unprotect(wire[2000])
    assert not receiver.may_skip(wire[0])
    assert not receiver.may_skip(wire[2000])
    assert not receiver.may_skip(wire[2000 - WINDOW])
    assert receiver.may_skip(wire[2000 - WINDOW + 1])


@every_profile
@pytest.mark.parametrize("start", [1, 0xFFF0])
def test_one_far_ahead_must_be_unprotected(profile: int, start: int) -> None:
    sender, receiver = ours(profile), ours(profile)
    wire = [sender.protect(rtp(start + n)) for n in range(1025)]
    receiver.unprotect(wire[0])
    assert [receiver.may_skip(packet) for packet in wire[1:]] == [True] * 1023 + [False]
    receiver.unprotect(wire[1024])
    assert receiver.may_skip(wire[1023])


def test_the_turn_is_not_lost_where_only_what_must_be_is_unprotected() -> None:
    sender, receiver = ours(CM), ours(CM)
    unprotected = 0
    for number in range(3 * 0x10000):
        wire = sender.protect(rtp(number, b""))
        if not receiver.may_skip(wire):
            assert receiver.unprotect(wire) == rtp(number, b"")
            unprotected += 1
    assert unprotected == 1 + 3 * 0x10000 // 1024 - 1


@every_profile
def test_what_is_cut_short_must_be_unprotected(profile: int) -> None:
    receiver = ours(profile)
    receiver.unprotect(ours(profile).protect(rtp(1)))
    wire = ours(profile).protect(rtp(2, b"", csrcs=1, extension=bytes(4)))
    assert receiver.may_skip(wire)
    assert not any(receiver.may_skip(wire[:size]) for size in range(len(wire)))


@every_profile
def test_looking_changes_nothing(profile: int) -> None:
    sender, receiver = ours(profile), ours(profile)
    receiver.unprotect(sender.protect(rtp(1)))
    wire = sender.protect(rtp(2))
    assert receiver.may_skip(wire)
    assert receiver.may_skip(wire)
    assert receiver.unprotect(wire) == rtp(2)


# libcrypto.


@both_ways
@pytest.mark.parametrize("size", [0, 1, 20, 63, 64, 65, 300])
def test_hmacs_are_those_of_the_standard_library(size: int) -> None:
    key, data = bytes(range(256))[:size], bytes(size) + b"data"
    assert parts.hmac_sha1(key, data) == hmac.digest(key, data, hashlib.sha1)
    assert parts.hmac_sha1(key, b"") == hmac.digest(key, b"", hashlib.sha1)


@pytest.mark.parametrize(("profile", "size"), [(CM, 29), (GCM_128, 27), (GCM_256, 43), (2, 60)])
def test_a_key_too_short_and_a_profile_not_known_are_refused(profile: int, size: int) -> None:
    with pytest.raises(ValueError, match=r"profile|short"):
        parts.Srtp(profile, bytes(size))


def test_a_refusal_leaves_no_error_behind_for_others_in_the_thread() -> None:
    library = ctypes.CDLL(libcrypto_name())
    library.ERR_clear_error()
    for profile in PROFILES:
        wire = bytearray(ours(profile).protect(rtp(1)))
        wire[-1] ^= 1
        assert outcome(ours(profile).unprotect, bytes(wire)) == "srtp_authentication"
        assert library.ERR_peek_error() == 0


def libcrypto_name() -> str:
    """The libcrypto that is bound, by the name it was loaded with."""
    for name in ("libcrypto.so.3", "libcrypto.so.1.1"):
        try:
            ctypes.CDLL(name)
        except OSError:
            continue
        return name
    raise AssertionError("SRTP was bound without either")


def test_counters_count_as_the_references() -> None:
    sender, stranger = ours(CM), ours(CM, bytes(30))
    good = sender.protect(rtp(1))
    receiver = ours(CM)
    wire = [good, good, stranger.protect(rtp(2)), b"\x80", b""]
    assert Counter(outcome(receiver.unprotect, packet) for packet in wire) == {
        rtp(1): 1,
        "srtp_replayed": 1,
        "srtp_authentication": 1,
        "srtp_malformed": 2,
    }


@pytest.mark.parametrize(
    ("library", "said"),
    [
        ("libcrypto-of-nowhere.so", "OSError: libcrypto (OpenSSL 3 or 1.1) cannot be loaded"),
        ("libm.so.6", "OSError: libcrypto lacks functions"),
        ("", "bound"),
    ],
)
def test_the_environment_names_the_library(library: str, said: str) -> None:
    program = "from slicer import _parts; _parts.load_libcrypto(); print('bound')"
    ran = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | {"SLICER_LIBCRYPTO": library},
        capture_output=True,
        text=True,
        check=False,
    )
    assert said in ran.stdout + ran.stderr
