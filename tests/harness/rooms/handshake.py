"""A real DTLS 1.2 handshake by OpenSSL, with its datagrams, its key log and its SRTP keys."""

import contextlib
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from OpenSSL import SSL

LABEL = b"EXTRACTOR-dtls_srtp"
# SRTP profile → its name in OpenSSL, bytes of a key, bytes of a salt.
PROFILES = {
    1: (b"SRTP_AES128_CM_SHA1_80", 16, 14),
    2: (b"SRTP_AES128_CM_SHA1_32", 16, 14),
    7: (b"SRTP_AEAD_AES_128_GCM", 16, 12),
    8: (b"SRTP_AEAD_AES_256_GCM", 32, 12),
}


@dataclass
class Handshake:
    """*datagrams*: (from the client, bytes); *exported*: both sides' keys, as OpenSSL has them."""

    profile: int
    datagrams: list[tuple[bool, bytes]] = field(default_factory=list)
    log: str = ""
    exported: bytes = b""

    @property
    def keys(self) -> tuple[bytes, bytes]:
        """The client's and the server's master key and salt."""
        _, key, salt = PROFILES[self.profile]
        salts = self.exported[2 * key :]
        return self.exported[:key] + salts[:salt], self.exported[key : 2 * key] + salts[salt:]


def handshake(profile: int = 1, cipher: bytes = b"ECDHE-ECDSA-AES128-GCM-SHA256") -> Handshake:
    """Shake hands in memory."""
    found = Handshake(profile)
    name, key, salt = PROFILES[profile]

    def remember(_connection: SSL.Connection, line: bytes) -> None:
        found.log += line.decode() + "\n"

    ends: list[SSL.Connection] = []
    private, certificate = _identity()
    for _ in range(2):
        context = SSL.Context(SSL.DTLS_METHOD)
        context.set_cipher_list(cipher)
        context.set_tlsext_use_srtp(name)
        context.use_privatekey(private)
        context.use_certificate(certificate)
        if not ends:
            context.set_keylog_callback(remember)
        ends.append(SSL.Connection(context))
    client, server = ends
    client.set_connect_state()
    server.set_accept_state()
    for _ in range(8):
        for end, other, is_client in ((client, server, True), (server, client, False)):
            with contextlib.suppress(SSL.WantReadError):
                end.do_handshake()
            while True:
                try:
                    datagram = end.bio_read(65_535)
                except SSL.WantReadError:
                    break
                found.datagrams.append((is_client, datagram))
                other.bio_write(datagram)
    found.exported = client.export_keying_material(LABEL, 2 * (key + salt))
    assert found.exported == server.export_keying_material(LABEL, 2 * (key + salt))
    return found


def _identity() -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
    private = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(name, name, private.public_key(), 1, now, now + timedelta(1))
    return private, builder.sign(private, SHA256())
