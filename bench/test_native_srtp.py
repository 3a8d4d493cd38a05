"""What unprotecting one packet costs with the native plane's SRTP and with libsrtp, side by side.

Each round handles BATCH packets, each by a call of its own from Python: the same for both.
"""

import importlib
import struct
from collections.abc import Callable, Iterable, Sequence
from itertools import count
from typing import Any

import pylibsrtp
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

pytest.importorskip("slicer._parts", reason="the native parts are not built")
parts: Any = importlib.import_module("slicer._parts")

BATCH = 100
ROUNDS = 300
# RFC 5764 section 4.1.2 and RFC 7714 section 14.2.
PROFILES = {"CM_SHA1_80": 1, "GCM_128": 7}
KEY = bytes(range(30))

profiles = pytest.mark.parametrize("profile", PROFILES)
sizes = pytest.mark.parametrize("size", [160, 1100])
sessions = pytest.mark.parametrize("session", ["native", "libsrtp"])


def made(session: str, profile: int, sends: bool) -> Any:
    if session == "native":
        return parts.Srtp(profile, KEY)
    policy = pylibsrtp.Policy
    direction = policy.SSRC_ANY_OUTBOUND if sends else policy.SSRC_ANY_INBOUND
    return pylibsrtp.Session(policy(key=KEY, ssrc_type=direction, srtp_profile=profile))


def handle(function: Callable[[bytes], bytes], packets: Iterable[bytes]) -> None:
    for packet in packets:
        function(packet)


def plain(numbers: Iterable[int], size: int) -> Sequence[bytes]:
    heads = (struct.pack("!BBHII", 128, 96, n & 0xFFFF, n * 960 & 0xFFFFFFFF, 7) for n in numbers)
    return [head + bytes(size) for head in heads]


def batches(size: int) -> Callable[[], Sequence[bytes]]:
    starts = count(1, BATCH)

    def batch() -> Sequence[bytes]:
        start = next(starts)
        return plain(range(start, start + BATCH), size)

    return batch


def measure(
    benchmark: BenchmarkFixture, function: Callable[[bytes], bytes], make: Callable[[], object]
) -> None:
    benchmark.pedantic(  # type: ignore[no-untyped-call]
        handle, setup=lambda: ((function, make()), {}), rounds=ROUNDS, warmup_rounds=5
    )


@sizes
@profiles
@sessions
def test_unprotect(benchmark: BenchmarkFixture, session: str, profile: str, size: int) -> None:
    benchmark.group = f"unprotect, {profile}, {size} bytes, {BATCH} packets"
    sender, batch = made("libsrtp", PROFILES[profile], True), batches(size)
    receiver = made(session, PROFILES[profile], False)
    measure(benchmark, receiver.unprotect, lambda: [sender.protect(one) for one in batch()])


@sizes
@profiles
def test_passing_over(benchmark: BenchmarkFixture, profile: str, size: int) -> None:
    """What a packet nobody looks into costs instead."""
    benchmark.group = f"unprotect, {profile}, {size} bytes, {BATCH} packets"
    sender, receiver = (made("native", PROFILES[profile], sends) for sends in (True, False))
    batch = batches(size)
    receiver.unprotect(sender.protect(plain([0], size)[0]))
    measure(benchmark, receiver.may_skip, lambda: [sender.protect(one) for one in batch()])
