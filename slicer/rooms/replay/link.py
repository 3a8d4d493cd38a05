"""Link layers: the IP packet within a captured frame, whatever is wrapped round it."""

from collections.abc import Callable, Mapping

IPV4, IPV6 = 0x0800, 0x86DD
_VLAN_TAGS = {0x8100, 0x88A8, 0x9100, 0x9200}
_PPPOE = 0x8864
_MPLS = {0x8847, 0x8848}
_ETHERNET = 0x6558  # an Ethernet frame within another packet
_PPP_PROTOCOLS = {0x0021: IPV4, 0x0057: IPV6, 0x0281: 0x8847}
MAX_WRAPPINGS = 16
"""Tags and headers within each other that are taken off one frame."""


def packet(kind: int, payload: bytes) -> bytes:
    """The IP packet behind an EtherType; empty where there is none."""
    for _ in range(MAX_WRAPPINGS):
        if kind in {IPV4, IPV6}:
            return payload
        if kind in _VLAN_TAGS:
            kind, payload = int.from_bytes(payload[2:4]), payload[4:]
        elif kind == _ETHERNET:
            kind, payload = int.from_bytes(payload[12:14]), payload[14:]
        elif kind == _PPPOE:
            kind, payload = _within_ppp(payload[6:])
        elif kind in _MPLS:
            kind, payload = _within_mpls(payload)
        else:
            return b""
    return b""


def _within_ppp(frame: bytes) -> tuple[int, bytes]:
    """RFC 1661; address and control (RFC 1662) may stand before it."""
    frame = frame.removeprefix(b"\xff\x03")
    return _PPP_PROTOCOLS.get(int.from_bytes(frame[:2]), 0), frame[2:]


def _within_mpls(stack: bytes) -> tuple[int, bytes]:
    """RFC 3032: labels up to the one with the bottom bit. What follows is known by its look."""
    at = 0
    while at + 4 <= len(stack) and not stack[at + 2] & 1:
        at += 4
    payload = stack[at + 4 :]
    version = payload[0] >> 4 if payload else 0
    if version in {4, 6}:
        return (IPV4 if version == 4 else IPV6), payload
    # RFC 4448: Ethernet, usually behind a control word, which begins with 0.
    return _ETHERNET, payload[4:] if version == 0 else payload


def ethernet(frame: bytes) -> bytes:
    return packet(_ETHERNET, frame)


def _of_ppp(frame: bytes) -> bytes:
    return packet(*_within_ppp(frame))


def _raw(frame: bytes) -> bytes:
    return frame


def _loopback(frame: bytes) -> bytes:
    """The address family stands before the packet, which tells its version itself."""
    return frame[4:]


# https://www.tcpdump.org/linktypes.html
LINKS: Mapping[int, Callable[[bytes], bytes]] = {
    0: _loopback,  # BSD
    1: ethernet,
    9: _of_ppp,
    12: _raw,  # where OpenBSD wrote the file
    14: _raw,  # the same, elsewhere
    50: _of_ppp,  # PPP in HDLC framing
    51: lambda frame: packet(_PPPOE, frame),
    101: _raw,
    104: lambda frame: packet(int.from_bytes(frame[2:4]), frame[4:]),  # Cisco HDLC
    108: _loopback,  # OpenBSD
    113: lambda frame: packet(int.from_bytes(frame[14:16]), frame[16:]),  # Linux "any"
    228: _raw,  # IPv4
    229: _raw,  # IPv6
    276: lambda frame: packet(int.from_bytes(frame[:2]), frame[20:]),  # Linux "any", version 2
}
"""LINKTYPE → the IP packet of a frame; empty where it has none."""
