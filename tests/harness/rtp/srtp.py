"""Both ends of SRTP: the native plane's parts and libsrtp, with keys for each profile."""

import importlib
import os
import struct
from collections.abc import Callable
from typing import Any

import pylibsrtp
import pytest
from pylibsrtp import Policy

from slicer.rtp.srtp import _REASONS
from slicer.webrtc.link import SrtpKeys
from slicer.webrtc.srtp import REPLAY_WINDOW, Inbound

if os.environ.get("SLICER_NATIVE") != "1":
    pytest.importorskip("slicer._parts", reason="the native parts are not built")
parts: Any = importlib.import_module("slicer._parts")

CM, GCM_128, GCM_256 = 1, 7, 8
"""RFC 5764 section 4.1.2 and RFC 7714 section 14.2; libsrtp has the same numbers."""
PROFILES = [CM, GCM_128, GCM_256]
KEYS = {CM: bytes(range(30)), GCM_128: bytes(range(28)), GCM_256: bytes(range(44))}
TAG = {CM: 10, GCM_128: 16, GCM_256: 16}
SSRC = 0x1234
WINDOW = REPLAY_WINDOW

every_profile = pytest.mark.parametrize("profile", PROFILES)
both_ways = pytest.mark.usefixtures("hmac_way")


def ours(profile: int, key: bytes | None = None) -> Any:
    return parts.Srtp(profile, key or KEYS[profile])


def theirs(profile: int, sends: bool, key: bytes | None = None) -> pylibsrtp.Session:
    direction = Policy.SSRC_ANY_OUTBOUND if sends else Policy.SSRC_ANY_INBOUND
    policy = Policy(key=key or KEYS[profile], ssrc_type=direction, srtp_profile=profile)
    policy.window_size = WINDOW
    return pylibsrtp.Session(policy)


def receiving(profile: int) -> Inbound:
    """libsrtp as the path on the loop uses it."""
    return Inbound(SrtpKeys(profile, KEYS[profile], KEYS[profile]))


def rtp(
    sequence: int,
    payload: bytes = b"audio",
    ssrc: int = SSRC,
    csrcs: int = 0,
    extension: bytes | None = None,
) -> bytes:
    first = 0x80 | csrcs | (0x10 if extension is not None else 0)
    header = struct.pack("!BBHII", first, 111, sequence & 0xFFFF, sequence * 960 & 0xFFFFFFFF, ssrc)
    header += bytes(range(4 * csrcs))
    if extension is not None:
        header += struct.pack("!HH", 0xBEDE, len(extension) // 4) + extension
    return header + payload


def rtcp(body: bytes = bytes(20), ssrc: int = SSRC) -> bytes:
    return struct.pack("!BBHI", 0x80, 200, 1 + len(body) // 4, ssrc) + body


def outcome(function: Callable[[bytes], bytes], packet: bytes) -> bytes | str:
    """The plain packet, or the name of the counter: ours says it, libsrtp's reason has one."""
    try:
        return function(packet)
    except pylibsrtp.Error as error:
        return _REASONS.get(str(error), "srtp_malformed")
    except parts.SrtpRefused as error:
        return str(error)
