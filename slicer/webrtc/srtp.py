"""SRTP sessions of libsrtp, for the media path on the event loop."""

import struct
from collections import Counter
from collections.abc import Sequence

import pylibsrtp
from pylibsrtp import Policy

from slicer.rtp.srtp import unprotect
from slicer.webrtc.link import SrtpKeys

REPLAY_WINDOW = 1_024
"""Packets behind the newest one that are still taken (RFC 3711 3.3.2); libsrtp's default is 128."""
MAX_KNOWN = 64
"""SSRCs known as authenticated; beyond it, the one that came first is forgotten."""
_PROFILES = {
    1: Policy.SRTP_PROFILE_AES128_CM_SHA1_80,
    7: Policy.SRTP_PROFILE_AEAD_AES_128_GCM,
    8: Policy.SRTP_PROFILE_AEAD_AES_256_GCM,
}
_HEADER = struct.Struct("!BBHII")
_HALF = 0x8000


class Inbound:
    """Undoes SRTP; its methods raise as pylibsrtp's session does.

    A receiver guesses the roll-over counter (RFC 3711 3.3.1), and begins with 0. Where a sender
    began shortly before its numbers wrap, and all packets before that were lost, the guess is wrong
    for ever (libsrtp#729). So of a source that was never authenticated 1 is tried as well. libsrtp
    has no verb for that here: a session is brought there by a packet that we seal ourselves, of the
    half before the wrap. That is done to a spare session, and to the true one once it is proven.
    """

    def __init__(self, keys: SrtpKeys) -> None:
        self._session = _session(keys.inbound, keys.profile, Policy.SSRC_ANY_INBOUND)
        self._spare = _session(keys.inbound, keys.profile, Policy.SSRC_ANY_INBOUND)
        self._sealer = _session(keys.inbound, keys.profile, Policy.SSRC_ANY_OUTBOUND)
        self._known: dict[bytes, None] = {}

    def unprotect(self, packet: bytes) -> bytes:
        """The plain RTP packet."""
        try:
            plain = self._session.unprotect(packet)
        except pylibsrtp.Error as error:
            if str(error) != "authentication failure" or not self._rolled_over(packet):
                raise
            plain = self._session.unprotect(packet)
        ssrc = packet[8:12]
        if ssrc not in self._known:
            if len(self._known) == MAX_KNOWN:
                del self._known[next(iter(self._known))]
            self._known[ssrc] = None
        return plain

    def unprotect_rtcp(self, packet: bytes) -> bytes:
        """The plain compound."""
        return self._session.unprotect_rtcp(packet)

    def _rolled_over(self, packet: bytes) -> bool:
        """Whether this is the first packet known of a source whose counter is 1; it is, then."""
        _, _, sequence, _, ssrc = _HEADER.unpack_from(packet)
        if packet[8:12] in self._known or sequence >= _HALF - 1:
            return False
        # Half a turn before the packet: outside of the replay window, so nothing is taken for seen.
        before = _HEADER.pack(0x80, 0, sequence + _HALF + 1, 0, ssrc)
        sealed = self._sealer.protect(before)
        try:
            self._spare.unprotect(sealed)
            self._spare.unprotect(packet)
            self._session.unprotect(sealed)
        except pylibsrtp.Error:
            return False
        finally:
            self._sealer.remove_stream(ssrc)
            self._spare.remove_stream(ssrc)
        return True


class Protection:
    """Both directions of a link in one: what fails is counted. Without keys it is plain RTP."""

    def __init__(self, keys: SrtpKeys | None, counters: Counter[str]) -> None:
        self._inbound = None if keys is None else Inbound(keys)
        self._outbound = None if keys is None else outbound(keys)
        self._counters = counters

    def unprotect(self, datagrams: Sequence[bytes]) -> Sequence[bytes]:
        """The plain RTP and RTCP, in order."""
        if self._inbound is None:
            return datagrams
        return unprotect(self._inbound, datagrams, pylibsrtp.Error, self._counters)

    def protect(self, compound: bytes) -> bytes | None:
        """RTCP to send; None where it cannot be protected."""
        if self._outbound is None:
            return compound
        try:
            return self._outbound.protect_rtcp(compound)
        except (pylibsrtp.Error, ValueError):
            return None


def outbound(keys: SrtpKeys) -> pylibsrtp.Session:
    """What protects our own RTCP."""
    return _session(keys.outbound, keys.profile, Policy.SSRC_ANY_OUTBOUND)


def _session(key: bytes, profile: int, direction: int) -> pylibsrtp.Session:
    policy = Policy(key=key, ssrc_type=direction, srtp_profile=_PROFILES[profile])
    policy.window_size = REPLAY_WINDOW
    policy.allow_repeat_tx = True
    return pylibsrtp.Session(policy)
