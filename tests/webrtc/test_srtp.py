"""A source whose first packets before a roll-over were lost is decrypted, on both media paths."""

import importlib
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pylibsrtp
import pytest

from slicer.rtp import rtcp
from slicer.rtp.packet import parse
from slicer.rtp.rtcp.reports import ReceiverReport
from slicer.rtp.srtp import SrtpSession
from slicer.webrtc import srtp as module
from slicer.webrtc.link import SrtpKeys
from slicer.webrtc.srtp import REPLAY_WINDOW, Inbound, Protection, outbound
from tests.harness.rtp.call import datagram, opus
from tests.harness.rtp.parts import NATIVE

SIZES = {1: 30, 7: 28, 8: 44}
"""Bytes of key and salt, by profile."""


def keys_of(profile: int) -> SrtpKeys:
    key = bytes(range(SIZES[profile]))
    return SrtpKeys(profile, inbound=key, outbound=key)


@pytest.fixture(params=sorted(SIZES))
def keys(request: pytest.FixtureRequest) -> SrtpKeys:
    return keys_of(request.param)


@pytest.fixture
def receiver(keys: SrtpKeys) -> SrtpSession:
    return receiving(keys)


def receiving(keys: SrtpKeys) -> SrtpSession:
    if not NATIVE:
        return Inbound(keys)
    parts: Any = importlib.import_module("slicer._parts")
    native: SrtpSession = parts.Srtp(keys.profile, keys.inbound)
    return native


def rtp(index: int, ssrc: int = 1) -> bytes:
    return datagram(opus(index), index, index * 960, ssrc)


def sent(keys: SrtpKeys, first: int, last: int, ssrc: int = 1) -> dict[int, bytes]:
    """What a sender makes of these packet indices, beginning with the first."""
    sender = outbound(keys)
    return {index: sender.protect(rtp(index, ssrc)) for index in range(first, last)}


def refused(function: Callable[[bytes], bytes], packet: bytes) -> bool:
    errors: tuple[type[Exception], ...] = (pylibsrtp.Error,)
    if NATIVE:
        errors = (importlib.import_module("slicer._parts").SrtpRefused,)
    try:
        function(packet)
    except errors:
        return True
    return False


@pytest.mark.parametrize("first", [65_532, 65_535, 40_000])
def test_what_comes_after_the_roll_over_is_decrypted(
    keys: SrtpKeys, receiver: SrtpSession, first: int
) -> None:
    wire = sent(keys, first, 65_570)
    assert [receiver.unprotect(wire[index]) for index in range(65_540, 65_570)] == [
        rtp(index) for index in range(65_540, 65_570)
    ]


def test_a_call_whose_first_packets_were_lost_before_the_roll_over_is_heard() -> None:
    """As it was recorded: 65 532 to 65 535 and the four after them are missing."""
    call = json.loads(Path(__file__).with_name("first-packets-lost-before-wrap.json").read_text())
    key = bytes.fromhex(call["key_and_salt"])
    receiver = receiving(SrtpKeys(1, inbound=key, outbound=key))
    plain = [parse(receiver.unprotect(bytes.fromhex(one))) for one in call["packets"]]
    assert [one.sequence for one in plain] == list(range(4, 26))


def test_what_is_late_from_before_the_roll_over_is_decrypted_too(
    keys: SrtpKeys, receiver: SrtpSession
) -> None:
    wire = sent(keys, 65_500, 65_570)
    for index in (65_540, 65_535, 65_539, 65_500, 65_569):
        assert receiver.unprotect(wire[index]) == rtp(index)
    assert all(refused(receiver.unprotect, wire[index]) for index in (65_540, 65_500))


def test_a_whole_turn_later_it_goes_on(keys: SrtpKeys, receiver: SrtpSession) -> None:
    wire = sent(keys, 65_530, 2 * 65_536 + 10)
    for index in range(65_540, 2 * 65_536 + 10, 7):
        assert receiver.unprotect(wire[index]) == rtp(index)


def test_a_report_that_came_first_says_nothing_of_the_turn(
    keys: SrtpKeys, receiver: SrtpSession
) -> None:
    wire, sender = sent(keys, 65_530, 65_550), outbound(keys)
    report = b"\x80\xc8\x00\x06\0\0\0\1" + bytes(20)
    compound = sender.protect_rtcp(report)
    assert receiver.unprotect_rtcp(compound) == report
    assert receiver.unprotect(wire[65_540]) == rtp(65_540)
    assert refused(receiver.unprotect_rtcp, compound)


@pytest.mark.parametrize("sequence", [3, 0x7FFF, 0x8000, 65_535])
def test_forged_packets_move_nothing(keys: SrtpKeys, receiver: SrtpSession, sequence: int) -> None:
    forged = outbound(SrtpKeys(keys.profile, keys.inbound, bytes(len(keys.outbound))))
    for ssrc in range(1, 100):
        assert refused(receiver.unprotect, forged.protect(rtp(sequence, ssrc)))
    wire = sent(keys, 0, 10)
    assert [receiver.unprotect(wire[index]) for index in range(10)] == [
        rtp(index) for index in range(10)
    ]


def test_a_known_source_is_not_tried_a_turn_later(keys: SrtpKeys, receiver: SrtpSession) -> None:
    """Else a packet of a turn that is long over could be sent again."""
    wire = sent(keys, 0, 65_536 + 100)
    assert receiver.unprotect(wire[10]) == rtp(10)
    assert refused(receiver.unprotect, wire[65_536 + 50])


def test_the_first_turn_is_still_the_first(keys: SrtpKeys, receiver: SrtpSession) -> None:
    wire = sent(keys, 0, 3)
    assert [receiver.unprotect(wire[index]) for index in (2, 0, 1)] == [rtp(2), rtp(0), rtp(1)]


def test_the_replay_window_is_one_for_both_paths(keys: SrtpKeys, receiver: SrtpSession) -> None:
    wire = sent(keys, 1, 2 * REPLAY_WINDOW)
    receiver.unprotect(wire[1 + REPLAY_WINDOW])
    assert refused(receiver.unprotect, wire[1])
    assert receiver.unprotect(wire[2]) == rtp(2)


def test_known_sources_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that is forgotten is tried a turn later, as one that was never heard."""
    monkeypatch.setattr(module, "MAX_KNOWN", 1)
    keys = keys_of(1)
    wire, receiver = sent(keys, 0, 65_536 + 51), Inbound(keys)
    assert receiver.unprotect(wire[10]) == rtp(10)
    with pytest.raises(pylibsrtp.Error):
        receiver.unprotect(wire[65_586])
    receiver.unprotect(outbound(keys).protect(rtp(1, 2)))
    assert receiver.unprotect(wire[65_586]) == rtp(65_586)


def test_protection_is_both_directions_and_counts_what_fails(keys: SrtpKeys) -> None:
    counters: Counter[str] = Counter()
    ours, theirs = Protection(keys, counters), Protection(keys, counters)
    report = rtcp.build([ReceiverReport(1, ())])
    sealed = ours.protect(report)
    assert sealed is not None
    assert sealed != report
    assert theirs.unprotect([sealed, b"\x80\xc9" + bytes(30)]) == [report]
    assert sum(counters.values()) == 1
    assert ours.protect(b"") is None
    plain = Protection(None, counters)
    assert (plain.protect(report), plain.unprotect([report])) == (report, [report])
