"""ICE and DTLS: what of the libraries is used, and which addresses are offered."""

from slicer.webrtc.transport import host_addresses, self_test


async def test_every_private_name_is_there() -> None:
    assert self_test() == []


def test_host_addresses() -> None:
    assert host_addresses("127.0.0.1") == ["127.0.0.1"]
    assert host_addresses("::1") == ["::1"]
    everywhere = host_addresses("0.0.0.0")
    assert everywhere
    assert not any(":" in address for address in everywhere)
