"""ICE and DTLS: what of the libraries is used, and which addresses are offered."""

from types import SimpleNamespace
from typing import cast

from aioice import stun
from aioice.ice import StunProtocol

from slicer.webrtc.transport import Transport, host_addresses, self_test


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


async def test_what_the_peer_has_signed() -> None:
    """A check by our password; the answer, by its own, to a check of ours that waits for it."""
    transport = Transport(lambda _: None, lambda _: None)
    connection = transport._ice._connection
    connection.remote_password = theirs = "p" * 22
    ours = connection.local_password
    asked, other = bytes(range(12)), bytes(12)
    handed: list[bytes] = []
    transport._taken = cast(
        "StunProtocol",
        SimpleNamespace(
            transactions={asked: None}, datagram_received=lambda data, _: handed.append(data)
        ),
    )
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
        b"\x16\xfe\xfd" + bytes(20): False,
    }
    for data, right in signed.items():
        assert transport.hand_back(data, ("192.0.2.7", 4_007)) is right, data
    assert handed == list(signed), "all of it is for ICE and DTLS to judge"
    assert not transport.hand_back(b"\x00\x01" + bytes(40), ("192.0.2.7", 4_007))
    assert transport.counters["stun_malformed"] == 1
    await transport.stop()
