"""ICE and DTLS: what of the libraries is used, and which addresses are offered."""

import pytest
from aioice import stun

from slicer.webrtc.transport import host_addresses, is_signed, self_test


async def test_every_private_name_is_there() -> None:
    assert self_test() == []


def test_host_addresses() -> None:
    assert host_addresses("127.0.0.1") == ["127.0.0.1"]
    assert host_addresses("::1") == ["::1"]
    everywhere = host_addresses("0.0.0.0")
    assert everywhere
    assert not any(":" in address for address in everywhere)


def message(kind: stun.Class, password: str | None, transaction: bytes) -> bytes:
    made = stun.Message(stun.Method.BINDING, kind, transaction)
    made.attributes["USERNAME"] = "ours:theirs"
    if password is not None:
        made.add_message_integrity(password.encode())
    return bytes(made)


def test_what_the_peer_has_signed() -> None:
    """A check by our password; the answer, by its own, to a check of ours that waits for it."""
    ours, theirs = "o" * 22, "p" * 22
    asked, other = bytes(range(12)), bytes(12)
    request, response, error = stun.Class.REQUEST, stun.Class.RESPONSE, stun.Class.ERROR
    signed = {
        message(request, ours, other): True,
        message(request, theirs, other): False,
        message(request, None, other): False,
        message(response, theirs, asked): True,
        message(response, ours, asked): False,
        message(response, None, asked): False,
        message(response, theirs, other): False,
        message(error, theirs, asked): False,
    }
    for data, right in signed.items():
        assert is_signed(data, ours, theirs, {asked}) is right, data
    with pytest.raises(ValueError, match="STUN"):
        is_signed(b"\x00\x01" + bytes(40), ours, theirs, {asked})
