"""The two ends of a transport in descriptions: ICE, DTLS, candidates (RFC 8839, RFC 8842)."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from slicer.errors import BadInput
from slicer.webrtc.sdp import Attributes

FINGERPRINTS = frozenset({"sha-256", "sha-384", "sha-512"})
_UFRAG = re.compile(r"[A-Za-z0-9+/]{4,256}")
_PWD = re.compile(r"[A-Za-z0-9+/]{22,256}")
_OUR_SETUP = {"actpass": "passive", "active": "passive", "passive": "active"}


@dataclass(frozen=True, slots=True)
class Remote:
    """The peer's end: ICE credentials, fingerprints, candidates. *setup*: the peer's a=setup."""

    ufrag: str
    pwd: str
    lite: bool
    fingerprints: tuple[tuple[str, str], ...]
    setup: str
    candidates: tuple[str, ...]

    @property
    def our_setup(self) -> str:
        """Our part in DTLS: "active" (the client) or "passive"."""
        return _OUR_SETUP[self.setup]


@dataclass(frozen=True, slots=True)
class Local:
    """Our end: *candidates* as in `a=candidate`, the best one first. *lite*: RFC 8445 2.5."""

    ufrag: str
    pwd: str
    fingerprints: tuple[tuple[str, str], ...]
    address: str
    port: int
    candidates: tuple[str, ...]
    lite: bool = False


def remote(places: Sequence[Attributes], candidates: Sequence[Attributes], lite: bool) -> Remote:
    """Read the peer's end from *places*, the first that tells a thing. Raises BadInput for `sdp`.

    *candidates*: the places whose candidates count; those of others are for who does not bundle.
    """

    ufrag, pwd = credentials(places)
    known = (_fingerprints(place) for place in places)
    fingerprints = next(filter(None, known), ())
    if not fingerprints:
        raise BadInput("sdp", "no such a=fingerprint", ", ".join(sorted(FINGERPRINTS)))
    lines = dict.fromkeys(line for place in candidates for line in place.all("candidate"))
    return Remote(ufrag, pwd, lite, fingerprints, _first(places, "setup") or "active", tuple(lines))


def credentials(places: Sequence[Attributes]) -> tuple[str, str]:
    """The ICE fragment and password (RFC 8839 5.4). Raises BadInput for `sdp`."""
    ufrag, pwd = _first(places, "ice-ufrag"), _first(places, "ice-pwd")
    if not _UFRAG.fullmatch(ufrag) or not _PWD.fullmatch(pwd):
        raise BadInput("sdp", f"a=ice-ufrag:{ufrag}", "a=ice-ufrag and a=ice-pwd (RFC 8839)")
    return ufrag, pwd


def unchanged(now: Remote, before: Remote) -> Remote:
    """The same end in a later description, with its new candidates. Raises BadInput otherwise.

    Other credentials would be an ICE restart (RFC 8839 4.4.1.1.1), another fingerprint or role a
    new DTLS association (RFC 8842 5.1); neither is supported: the peer has to connect anew.
    """
    if (now.ufrag, now.pwd) != (before.ufrag, before.pwd):
        allowed = f"{before.ufrag} and its a=ice-pwd: ICE restarts are not supported"
        raise BadInput("sdp", f"a=ice-ufrag:{now.ufrag}", allowed)
    if set(now.fingerprints) != set(before.fingerprints):
        raise BadInput("sdp", "another a=fingerprint", "that of the session: DTLS does not restart")
    if now.setup != "actpass" and now.our_setup != before.our_setup:
        raise BadInput("sdp", f"a=setup:{now.setup}", "actpass, or the role of before (RFC 8842)")
    return replace(before, candidates=now.candidates)


def _first(places: Sequence[Attributes], name: str) -> str:
    return next((found for place in places if (found := place.first(name)) is not None), "")


def _fingerprints(attributes: Attributes) -> tuple[tuple[str, str], ...]:
    pairs = (value.split() for value in attributes.all("fingerprint"))
    return tuple(
        (pair[0].lower(), pair[1])
        for pair in pairs
        if len(pair) == 2 and pair[0].lower() in FINGERPRINTS
    )
