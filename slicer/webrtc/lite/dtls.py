"""DTLS 1.2 of one connection (RFC 6347, RFC 5764) by OpenSSL: datagrams in, datagrams out.

Theory of operation. OpenSSL works on memory, and neither socket nor clock is here. Its output is a
string of records, which `_datagrams` cuts at their ends: a memory BIO keeps no boundaries.

Until the handshake is over, a record is not authenticated, and OpenSSL takes an alert or a message
out of place for the end. So what no honest peer sends in its role is dropped before OpenSSL sees it
(RFC 6347 4.1.2.7): `admissible` says what that is. A server asks for a cookie first (4.2.1). What
stays possible for a forger who knows both addresses and ports, and is faster than the peer, is
inherent in DTLS 1.2: a well-formed message in the right place.

The peer's certificate is judged by its fingerprint in the description alone (RFC 8122), over its
bytes: it may be of X.509 v1 or v2, which some publishers make, and which a parser refuses.
"""

import datetime
import hmac
import secrets
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from OpenSSL import SSL

from slicer.webrtc.link import SrtpKeys

MAX_DATAGRAM = 1_200
"""Bytes of a datagram of ours: what every path carries."""
VALID_DAYS = 30
"""Days for which a certificate is valid. Peers look at its fingerprint alone."""
MAX_MESSAGE = 65_536
"""Bytes of a handshake message that a peer may claim; a chain of certificates is the longest."""

_CIPHERS = (
    b"ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:"
    b"ECDHE-ECDSA-AES128-SHA:ECDHE-ECDSA-AES256-SHA:"
    # The peer is the server where it asks for that, and may have a certificate of RSA.
    b"ECDHE-RSA-AES128-GCM-SHA256:ECDHE-RSA-AES256-GCM-SHA384:ECDHE-RSA-CHACHA20-POLY1305"
)
# RFC 5764 4.1.2, RFC 7714 14.2: OpenSSL's name, DTLS's number, bytes of key and of salt.
_PROFILES = {
    b"SRTP_AEAD_AES_128_GCM": (7, 16, 12),
    b"SRTP_AEAD_AES_256_GCM": (8, 32, 12),
    b"SRTP_AES128_CM_SHA1_80": (1, 16, 14),
}
_DTLS_1_2 = 0xFEFD  # RFC 8827 6.5 wants no less
_RECORD = 13
_CHANGE_CIPHER_SPEC, _HANDSHAKE = 20, 22
_MESSAGE = 12
# Handshake messages that come in the clear (RFC 5246 7.4, RFC 6347 4.3.2, RFC 5077), by who sends.
_OF_SERVER = frozenset({2, 3, 4, 11, 12, 13, 14, 22})
_OF_CLIENT = frozenset({1, 11, 15, 16})


@dataclass(frozen=True, slots=True)
class Certificate:
    """Our certificate for any number of connections, and *fingerprint*, its SHA-256 (RFC 8122)."""

    context: SSL.Context
    fingerprint: str
    created: float
    """The time given to `certificate`."""


def certificate(now: float) -> Certificate:
    """A new key and certificate; *now* in Unix seconds."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, secrets.token_hex(8))])
    today = datetime.datetime.fromtimestamp(now, datetime.UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        # Clocks of peers differ by hours.
        .not_valid_before(today - datetime.timedelta(days=1))
        .not_valid_after(today + datetime.timedelta(days=VALID_DAYS))
        .sign(key, hashes.SHA256())
    )
    context = SSL.Context(SSL.DTLS_METHOD)
    context.set_min_proto_version(_DTLS_1_2)
    assert SSL.OP_COOKIE_EXCHANGE is not None  # None where OpenSSL has no DTLS
    wanted = SSL.OP_NO_TICKET | SSL.OP_NO_QUERY_MTU | SSL.OP_NO_RENEGOTIATION
    context.set_options(wanted | SSL.OP_COOKIE_EXCHANGE)
    # Any certificate will do here: its fingerprint decides.
    must = SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT
    context.set_verify(must, lambda *_: True)
    context.use_certificate(signed)
    context.use_privatekey(key)
    context.set_cipher_list(_CIPHERS)
    context.set_tlsext_use_srtp(b":".join(_PROFILES))
    # A cookie of its own for each connection; what comes back must be it.
    context.set_cookie_generate_callback(lambda connection: connection.get_app_data())
    context.set_cookie_verify_callback(
        lambda connection, cookie: hmac.compare_digest(connection.get_app_data(), cookie)
    )
    return Certificate(context, signed.fingerprint(hashes.SHA256()).hex(":").upper(), now)


class Dtls:
    """One association. *fingerprints*: pairs of a hash's name (`sha-256`) and its value."""

    def __init__(
        self, ours: Certificate, client: bool, fingerprints: Sequence[tuple[str, str]]
    ) -> None:
        self.connected = False
        self.failure = ""
        """Why it is over; empty while it is not."""
        self._client = client
        # A server answers hellos without the cookie and keeps nothing of them (RFC 6347 4.2.1).
        self._listening = not client
        self._fingerprints = fingerprints
        self._ssl = SSL.Connection(ours.context, None)
        self._ssl.set_app_data(secrets.token_bytes(16))
        self._ssl.set_ciphertext_mtu(MAX_DATAGRAM)
        if client:
            self._ssl.set_connect_state()
        else:
            self._ssl.set_accept_state()

    def begin(self) -> list[bytes]:
        """The first flight: a client's; a server waits for it."""
        return self._step() if self._client else []

    def receive(self, data: bytes) -> list[bytes]:
        """Take a datagram; gives what to send. What cannot be of this peer is dropped."""
        if self.failure or not admissible(data, of_server=self._client):
            return []
        self._ssl.bio_write(data)
        return self._step()

    @property
    def timeout(self) -> float | None:
        """Seconds until `repeat` is due; None where nothing waits for an answer."""
        over = self.failure or self._listening
        return None if over else self._ssl.DTLSv1_get_timeout()

    def repeat(self) -> list[bytes]:
        """Send the last flight again, if its time has come."""
        if self.failure:
            return []
        try:
            self._ssl.DTLSv1_handle_timeout()
        except SSL.Error:
            self.failure = "DTLS failed: no answer"
        return self._output()

    def keys(self) -> SrtpKeys:
        """The SRTP keys of a connected association (RFC 5764 4.2)."""
        number, key, salt = _PROFILES[self._ssl.get_selected_srtp_profile()]
        material = self._ssl.export_keying_material(b"EXTRACTOR-dtls_srtp", 2 * (key + salt))
        parts, at = [], 0
        for size in (key, key, salt, salt):
            parts.append(material[at : at + size])
            at += size
        client, server = parts[0] + parts[2], parts[1] + parts[3]
        theirs, ours = (server, client) if self._client else (client, server)
        return SrtpKeys(number, theirs, ours)

    def close(self) -> list[bytes]:
        """Tell a connected peer that it is over."""
        if self.connected and not self.failure:
            with suppress(SSL.Error):  # it is over either way
                self._ssl.shutdown()
        self.failure = self.failure or "closed"
        return self._output()

    def _step(self) -> list[bytes]:
        try:
            if self._listening:
                self._ssl.DTLSv1_listen()
                self._listening = False
            if not self.connected:
                self._ssl.do_handshake()
                self._verify()
            else:
                while True:  # until WantRead: what OpenSSL holds belongs to no channel that we have
                    self._ssl.recv(MAX_DATAGRAM)
        except SSL.WantReadError:
            pass
        except SSL.ZeroReturnError:
            self.failure = "DTLS closed by the peer"
        except SSL.Error as error:
            if not self._listening:
                self.failure = f"DTLS failed: {_words(error)}"
        return self._output()

    def _verify(self) -> None:
        """The handshake is over: whether with the peer of the description."""
        theirs = self._ssl.get_peer_certificate()
        if not self._ssl.get_selected_srtp_profile():
            self.failure = "DTLS failed: no SRTP profile in common"
        elif theirs is None or not any(
            theirs.digest(name.replace("-", "")) == value.upper().encode()
            for name, value in self._fingerprints
        ):
            self.failure = "DTLS failed: the certificate is not that of a=fingerprint"
        else:
            self.connected = True

    def _output(self) -> list[bytes]:
        out = bytearray()
        try:
            while True:
                out += self._ssl.bio_read(65_536)
        except SSL.Error:
            return _datagrams(bytes(out))


def admissible(data: bytes, of_server: bool) -> bool:
    """Whether OpenSSL shall see this datagram of a server (or a client).

    All of it must be records. Of those in the clear (epoch 0), only a change of cipher spec and
    whole handshake messages, or whole fragments, that this end sends may pass; so no alert.
    Encrypted ones are authenticated, and OpenSSL drops what is forged (RFC 6347 4.1.2.7).
    """
    at = 0
    while at < len(data):
        if len(data) - at < _RECORD or data[at + 1] != 0xFE:
            return False
        kind, epoch = data[at], int.from_bytes(data[at + 3 : at + 5], "big")
        start, end = at + _RECORD, at + _RECORD + int.from_bytes(data[at + 11 : at + 13], "big")
        if end > len(data) or (epoch == 0 and not _in_the_clear(kind, data[start:end], of_server)):
            return False
        at = end
    return at > 0


def _in_the_clear(kind: int, payload: bytes, of_server: bool) -> bool:
    if kind == _CHANGE_CIPHER_SPEC:
        return payload == b"\x01"
    if kind != _HANDSHAKE:
        return False
    known = _OF_SERVER if of_server else _OF_CLIENT
    at = 0
    while at < len(payload):
        if len(payload) - at < _MESSAGE or payload[at] not in known:
            return False
        size, offset, length = (
            int.from_bytes(payload[at + begin : at + begin + 3], "big") for begin in (1, 6, 9)
        )
        at += _MESSAGE + length
        if size > MAX_MESSAGE or offset + length > size or at > len(payload):
            return False
    return at > 0


def _datagrams(records: bytes) -> list[bytes]:
    """Records in as few datagrams as hold them, in order."""
    found: list[bytes] = []
    at = 0
    while at < len(records):
        end = at + _RECORD + int.from_bytes(records[at + 11 : at + 13], "big")
        if found and len(found[-1]) + end - at <= MAX_DATAGRAM:
            found[-1] += records[at:end]
        else:
            found.append(records[at:end])
        at = end
    return found


def _words(error: SSL.Error) -> str:
    """OpenSSL's own words, without its numbers."""
    reasons = [entry[-1] for one in error.args if isinstance(one, list) for entry in one]
    return ", ".join(reasons) or type(error).__name__
