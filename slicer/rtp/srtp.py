"""Protected datagrams in, plain ones out, a batch at a time."""

from collections import Counter
from collections.abc import Sequence
from typing import Protocol

from slicer.rtp.rtcp import is_rtcp


class SrtpSession(Protocol):
    """The receiving side of RFC 3711, as pylibsrtp has it."""

    def unprotect(self, packet: bytes) -> bytes: ...

    def unprotect_rtcp(self, packet: bytes) -> bytes: ...


# What libsrtp says → the counter's name.
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
    """Give the plain RTP and RTCP, in order; what fails is left out, and counted by reason.

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
