"""SRTP and SRTCP (RFC 3711) undone: protected datagrams in, plain ones out, a batch at a time.

A datagram that fails its check is dropped and counted. Nothing of it may be believed: whoever knows
the address can send one. The reasons are told apart, because each is another fault: wrong keys, a
replayed packet (or one later than the replay window), or bytes that are no SRTP.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Protocol

from slicer.rtp.rtcp import is_rtcp


class SrtpSession(Protocol):
    """The receiving side of RFC 3711, as pylibsrtp has it."""

    def unprotect(self, packet: bytes) -> bytes: ...

    def unprotect_rtcp(self, packet: bytes) -> bytes: ...


# libsrtp's message → the counter.
_REASONS = {
    "authentication failure": "srtp_authentication",
    "replay check failed (bad index)": "srtp_replayed",
    "replay check failed (index too old)": "srtp_replayed",
}


def unprotect(
    session: SrtpSession,
    datagrams: Sequence[bytes],
    failure: type[Exception],
    counters: Counter[str],
) -> list[bytes]:
    """Give the plain RTP and RTCP, in order; what fails is dropped, and counted by reason.

    *failure* is the error that *session* raises for a datagram it refuses.
    """
    plain = []
    rtp, rtcp = session.unprotect, session.unprotect_rtcp
    for datagram in datagrams:
        try:
            plain.append(rtcp(datagram) if is_rtcp(datagram) else rtp(datagram))
        except failure as error:
            counters[_REASONS.get(str(error), "srtp_malformed")] += 1
        except ValueError:
            counters["srtp_oversized"] += 1
    return plain
