"""Keys of SRTP, as people have them: SDES lines, and key logs of DTLS.

A file may mix both:

    a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:PS1uQCVeeCFCanVmcjkpPywjNWhcYD0mXXtxaVBR|2^20|1:32
    CLIENT_RANDOM <client random> <master secret>          (SSLKEYLOGFILE, DTLS 1.2)
    EXPORTER_SECRET <client random> <exporter secret>      (SSLKEYLOGFILE, DTLS 1.3)

Lines of other kinds are passed over: a session description is such a file, and so is a browser's
key log. Which key opens which stream need not be said, since SRTP authenticates every packet.
"""

import base64
import binascii
import hashlib
import hmac
import re
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, Self

from slicer.errors import BadInput, counted

MAX_FILE = 4 * 1024 * 1024
MAX_KEYS = 256
"""SRTP keys of one capture, those in its handshakes among them."""
_EXPORTER_LABEL = b"EXTRACTOR-dtls_srtp"


class Profile(NamedTuple):
    """A protection profile (RFC 5764 4.1.2, RFC 7714 14.2): its number and lengths in bytes."""

    number: int
    key: int
    salt: int


_CM_80, _CM_32 = Profile(1, 16, 14), Profile(2, 16, 14)
_GCM_128, _GCM_256 = Profile(7, 16, 12), Profile(8, 32, 12)
PROFILES = (_CM_80, _CM_32, _GCM_128, _GCM_256)
# The names of RFC 4568 6.2 and RFC 7714 14.1.
SUITES = {
    "AES_CM_128_HMAC_SHA1_80": _CM_80,
    "AES_CM_128_HMAC_SHA1_32": _CM_32,
    "AEAD_AES_128_GCM": _GCM_128,
    "AEAD_AES_256_GCM": _GCM_256,
}
_SDES = re.compile(r"(?:([A-Z][A-Z0-9_]*)\s+)?inline:([A-Za-z0-9+/]+=*)")
_LOGGED = re.compile(r"\s*(CLIENT_RANDOM|EXPORTER_SECRET)\s+([0-9a-fA-F]{64})\s+([0-9a-fA-F]+)\s*")


class SrtpKey(NamedTuple):
    """A master key and salt, one after the other. *profile*: its number."""

    profile: int
    material: bytes

    def __repr__(self) -> str:
        return f"SrtpKey({self.profile}, …)"


class Hello(NamedTuple):
    """What the two hellos of a DTLS handshake say. *digest*: the hash of its cipher suite;
    *profile*: 0 where it is not in the open (DTLS 1.3)."""

    client_random: bytes
    server_random: bytes
    digest: str
    profile: int


@dataclass(frozen=True, slots=True)
class Keys:
    """*srtp*: keys as such; *masters*, *exporters*: of DTLS 1.2 and 1.3, by client random."""

    srtp: tuple[SrtpKey, ...] = ()
    masters: Mapping[bytes, bytes] = field(default_factory=dict, repr=False)
    exporters: Mapping[bytes, bytes] = field(default_factory=dict, repr=False)

    @classmethod
    def read(cls, text: str, field: str = "keys") -> Self:
        """Read the keys of a file; there may be none. Raises BadInput for one that is malformed,
        with the name *field* of the file."""
        srtp: dict[SrtpKey, None] = {}
        logged: dict[str, dict[bytes, bytes]] = {"CLIENT_RANDOM": {}, "EXPORTER_SECRET": {}}
        for line in text.splitlines():
            for suite, inline in _SDES.findall(line):
                srtp.update(dict.fromkeys(_sdes(suite, inline, field)))
            if match := _LOGGED.fullmatch(line):
                secret = match[3] if len(match[3]) % 2 == 0 else ""
                logged[match[1]][bytes.fromhex(match[2])] = bytes.fromhex(secret)
        if len(srtp) > MAX_KEYS:
            raise BadInput(field, f"{len(srtp)} SRTP keys", f"at most {MAX_KEYS}")
        return cls(tuple(srtp), logged["CLIENT_RANDOM"], logged["EXPORTER_SECRET"])

    def __bool__(self) -> bool:
        return bool(self.srtp or self.masters or self.exporters)

    def __or__(self, other: "Keys") -> "Keys":
        return Keys(
            tuple(dict.fromkeys((*self.srtp, *other.srtp))),
            {**self.masters, **other.masters},
            {**self.exporters, **other.exporters},
        )

    def derived(self, hello: Hello) -> Iterator[SrtpKey]:
        """The client's and the server's key of a handshake whose secret is known."""
        master = self.masters.get(hello.client_random)
        exporter = self.exporters.get(hello.client_random)
        for profile in PROFILES:
            if hello.profile not in {0, profile.number}:
                continue
            size = 2 * (profile.key + profile.salt)
            if master:
                seed = hello.client_random + hello.server_random
                exported = _prf(master, _EXPORTER_LABEL + seed, size, hello.digest)
                yield from _both(profile, exported)
            if exporter:
                digest = "sha384" if len(exporter) == 48 else "sha256"
                yield from _both(profile, _export(exporter, size, digest))


def _sdes(suite: str, inline: str, field: str) -> Iterator[SrtpKey]:
    """The key of one `inline:`; without a suite, one for each that it fits. Of a suite that we do
    not have, none."""
    if suite and suite not in SUITES:
        return
    try:
        material = base64.b64decode(inline, validate=True)
    except binascii.Error as error:
        raise BadInput(field, f"{suite} inline:…", f"base64 ({error})") from None
    profiles = [SUITES[suite]] if suite else PROFILES
    fitting = [one for one in profiles if len(material) == one.key + one.salt]
    if not fitting:
        allowed = ", ".join(f"{name} of {one.key + one.salt}" for name, one in SUITES.items())
        raise BadInput(field, f"{suite} inline: of {counted(len(material), 'byte')}", allowed)
    yield from (SrtpKey(one.number, material) for one in fitting)


def _both(profile: Profile, exported: bytes) -> Iterator[SrtpKey]:
    """RFC 5764 4.2: client key, server key, client salt, server salt."""
    key, salt = profile.key, profile.salt
    for side in range(2):
        at = 2 * key + side * salt
        material = exported[side * key : (side + 1) * key] + exported[at : at + salt]
        yield SrtpKey(profile.number, material)


def _prf(secret: bytes, seed: bytes, size: int, digest: str) -> bytes:
    """P_hash of TLS 1.2 (RFC 5246 5), which RFC 5705 exports keys by."""
    output, chained = b"", seed
    while len(output) < size:
        chained = hmac.digest(secret, chained, digest)
        output += hmac.digest(secret, chained + seed, digest)
    return output[:size]


def _export(secret: bytes, size: int, digest: str) -> bytes:
    """The exporter of TLS 1.3 (RFC 8446 7.5), with the labels of DTLS 1.3 (RFC 9147 5.9)."""
    empty = hashlib.new(digest).digest()
    derived = _expand_label(secret, _EXPORTER_LABEL, empty, len(empty), digest)
    return _expand_label(derived, b"exporter", empty, size, digest)


def _expand_label(secret: bytes, label: bytes, context: bytes, size: int, digest: str) -> bytes:
    """HKDF-Expand-Label (RFC 8446 7.1, RFC 5869 2.3)."""
    label = b"dtls13" + label
    info = struct.pack("!HB", size, len(label)) + label + bytes([len(context)]) + context
    output, block, number = b"", b"", 0
    while len(output) < size:
        number += 1
        block = hmac.digest(secret, block + info + bytes([number]), digest)
        output += block
    return output[:size]
