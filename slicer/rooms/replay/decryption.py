"""Opens the SRTP of a capture with the keys that are known, as the packets pass.

Which key opens which stream is found by trying: SRTP authenticates. The handshakes in the capture
turn logged secrets into keys on the way, so a stream is opened from its first packet on. A packet
that no key opens stays as it is, unless its stream has been opened: then it is dropped.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import pylibsrtp

from slicer.errors import BadInput
from slicer.rooms.replay.capture import Captured
from slicer.rooms.replay.dtls import Handshakes
from slicer.rooms.replay.keys import MAX_FILE, MAX_KEYS, Hello, Keys, SrtpKey
from slicer.rooms.replay.network import Endpoints
from slicer.rtp import rtcp

if TYPE_CHECKING:
    from pylibsrtp import Session

REPLAY_WINDOW = 1_024
MAX_FAILURES = 64
"""Packets of one stream that are tried in vain; afterwards few are, until there is another key."""
MAX_TRIALS = 500_000
"""Keys tried in vain on flows that they have not opened: some 15 s of work. Beyond it, a flow is
tried with the keys alone that have opened it."""
MAX_LOGS = 256
"""Key logs within one capture; together they are no longer than a key file may be."""
_PROFILES = {
    1: pylibsrtp.Policy.SRTP_PROFILE_AES128_CM_SHA1_80,
    2: pylibsrtp.Policy.SRTP_PROFILE_AES128_CM_SHA1_32,
    7: pylibsrtp.Policy.SRTP_PROFILE_AEAD_AES_128_GCM,
    8: pylibsrtp.Policy.SRTP_PROFILE_AEAD_AES_256_GCM,
}

Stream = tuple[Endpoints, int]
"""A flow, and an SSRC in it."""


class Decryption:
    """One pass over a capture. *opened*: the streams that a key has opened, in an earlier pass too;
    new ones are added. *counters*: packets dropped, by reason."""

    def __init__(self, keys: Keys, opened: set[Stream]) -> None:
        self.counters: Counter[str] = Counter()
        self.handshakes: set[Endpoints] = set()
        self._keys, self._opened = keys, opened
        self._known = [*keys.srtp]
        self._hellos: list[Hello] = []
        self._handshakes = Handshakes()
        # The sessions of a flow by key, the one that opened the last packet first.
        self._sessions: dict[Endpoints, dict[SrtpKey, Session]] = {}
        self._failures: Counter[Stream] = Counter()
        self._trials = 0
        self._logs = self._logged = 0

    def add_log(self, secrets: bytes) -> None:
        """Take a key log that the capture itself holds. One that is malformed changes nothing; nor
        do those beyond the bounds."""
        self._logs += 1
        self._logged += len(secrets)
        if self._logs > MAX_LOGS or self._logged > MAX_FILE:
            self.counters["too many keys"] += 1
            return
        try:
            self._keys |= Keys.read(secrets.decode("ascii", "replace"))
        except BadInput:
            self.counters["malformed"] += 1
            return
        for hello in self._hellos:
            self._derive(hello)

    def on_dtls(self, captured: Captured) -> None:
        """Follow the handshakes."""
        flow = captured.flow
        self.handshakes |= {flow, Endpoints(flow.destination, flow.source)}
        for hello in self._handshakes.receive(flow, captured.data):
            if len(self._hellos) < MAX_KEYS:
                self._hellos.append(hello)
                self._derive(hello)

    def opened(self, packets: Iterable[Captured]) -> Iterator[Captured]:
        """The packets, plain where a key opens them."""
        for captured in packets:
            if not self._known:
                yield captured
            elif (data := self._open(captured)) is not None:
                yield captured._replace(data=data)

    def _derive(self, hello: Hello) -> None:
        for key in self._keys.derived(hello):
            if key not in self._known and len(self._known) < MAX_KEYS:
                self._known.append(key)
                self._failures.clear()

    def _open(self, captured: Captured) -> bytes | None:
        """The plain packet, or as it is; None where it is dropped."""
        data = captured.data
        control = rtcp.is_rtcp(data)
        if control and _is_plain(data):
            return data
        ssrc = int.from_bytes(data[4:8] if control else data[8:12])
        stream = captured.flow, ssrc
        failures = self._failures[stream]
        if failures < MAX_FAILURES or not failures & (failures - 1):
            plain = self._try(captured.flow, data, control)
            if plain == b"":
                self.counters["duplicate"] += 1
                return None
            if plain is not None:
                if not control:
                    self._opened.add(stream)
                return plain
        self._failures[stream] += 1
        if stream not in self._opened:
            return data
        self.counters["encrypted"] += 1
        return None

    def _try(self, flow: Endpoints, data: bytes, control: bool) -> bytes | None:
        """The plain packet; empty where it came before."""
        sessions = self._sessions.get(flow, {})
        others = self._known if self._trials < MAX_TRIALS else ()
        for key in (*sessions, *(key for key in others if key not in sessions)):
            session = sessions.get(key) or session_of(key)
            try:
                plain = session.unprotect_rtcp(data) if control else session.unprotect(data)
            except (pylibsrtp.Error, ValueError) as error:
                if str(error).startswith("replay check failed"):
                    return b""
                self._trials += key not in sessions
                continue
            if next(iter(sessions), None) != key:
                rest = {other: one for other, one in sessions.items() if other != key}
                self._sessions[flow] = {key: session, **rest}
            return plain
        return None


def _is_plain(data: bytes) -> bool:
    try:
        rtcp.parse(data)
    except ValueError:
        return False
    return True


def session_of(key: SrtpKey) -> "Session":
    """What undoes the SRTP of one key."""
    policy = pylibsrtp.Policy(
        key=key.material,
        ssrc_type=pylibsrtp.Policy.SSRC_ANY_INBOUND,
        srtp_profile=_PROFILES[key.profile],
    )
    policy.window_size = REPLAY_WINDOW
    return pylibsrtp.Session(policy)
