"""Which datagrams of a listening socket may be a peer's; all others are strangers'.

Theory of operation. A flood of datagrams comes from whoever knows the port, and each of them costs
whatever is done before it is known to be nobody's. So one look decides, before anything is made of
it: a datagram may pass if it comes from a peer's address, or if it is a check that names one of our
sessions; so does what came in the same batch from where such a check came. Nothing is proven by
that. `UdpPort.take` decides whose it is.

The native listener does the same in C, a batch of datagrams by one system call: a stranger's is
never an object of Python. A filter in the kernel (BPF) would be cheaper still, and is not used: it
can neither know the peers, whose first record comes right behind their first check, nor count apart
what it drops and what a full buffer has dropped (`SO_MEMINFO` has one number for both).
"""

import socket
from collections.abc import Callable, Container
from typing import TYPE_CHECKING

from slicer.hot import IMPLEMENTATION
from slicer.webrtc.drain import MAX_BATCH, Datagram, read_batch
from slicer.webrtc.link import Address
from slicer.webrtc.lite.agent import named_fragment

if TYPE_CHECKING or IMPLEMENTATION == "native":
    from slicer._hot import Listener

Read = Callable[[], tuple[list[Datagram], int]]
"""The datagrams that may pass, and how many there were in all."""

_NO_STUN = 4  # the first byte of what is no STUN is at least this (RFC 7983)


def admit(
    batch: list[Datagram], peers: Container[Address], fragments: Container[str | None]
) -> list[Datagram]:
    """Those of a batch that may be of a peer or name a session."""
    admitted: list[Datagram] = []
    beside = set[Address]()
    for data, address in batch:
        peer = address[:2]
        named = bool(data) and data[0] < _NO_STUN and named_fragment(data) in fragments
        if named:
            beside.add(peer)
        if named or peer in peers or peer in beside:
            admitted.append((data, peer))
    return admitted


def reader(
    sock: socket.socket, peers: Container[Address], fragments: Container[str | None]
) -> Read:
    """What reads this listening socket, a batch at a time; *peers* and *fragments* may change."""

    def read() -> tuple[list[Datagram], int]:
        batch = read_batch(sock)
        return admit(batch, peers, fragments), len(batch)

    if IMPLEMENTATION != "native":
        return read
    try:
        listener = Listener()
    except OSError:  # no native plane on this system: the media path tells of it
        return read
    return lambda: listener.read(sock.fileno(), peers, fragments, MAX_BATCH)
