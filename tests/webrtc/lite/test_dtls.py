"""DTLS between two of ours, in memory; what a forger can send meanwhile."""

import re
import time
from contextlib import suppress

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import given, settings
from hypothesis import strategies as st
from OpenSSL import SSL, crypto

from slicer.webrtc.lite.dtls import MAX_DATAGRAM, Certificate, Dtls, admissible, certificate

NOW = 1_700_000_000.0
OURS, THEIRS = certificate(NOW), certificate(NOW)
ALERT = b"\x15\xfe\xfd" + bytes(8) + b"\x00\x02\x02\x28"
GARBAGE = b"\x16\xfe\xff" + bytes(8) + b"\x00\x0a" + bytes(10)
DATA = b"\x17\xfe\xfd" + bytes(8) + b"\x00\x01x"


def print_of(one: Certificate) -> tuple[tuple[str, str], ...]:
    return (("sha-256", one.fingerprint),)


class Pair:
    """A client and a server. *between* is given to both before each datagram of the other."""

    def __init__(self, client: Certificate = THEIRS, server: Certificate = OURS) -> None:
        self.client = Dtls(client, client=True, fingerprints=print_of(server))
        self.server = Dtls(server, client=False, fingerprints=print_of(client))
        self.sizes: list[int] = []

    def connect(self, between: bytes = b"") -> None:
        to_server, to_client = self.client.begin(), self.server.begin()
        while to_server or to_client:
            self.sizes += [len(one) for one in (*to_server, *to_client)]
            to_client += self.carry(self.server, to_server, between)
            to_server = self.carry(self.client, to_client, between)
            to_client = []

    @staticmethod
    def carry(to: Dtls, datagrams: list[bytes], between: bytes) -> list[bytes]:
        out = []
        for data in datagrams:
            if between:
                out += to.receive(between)
            out += to.receive(data)
        return out


def test_both_have_the_same_keys() -> None:
    pair = Pair()
    assert not pair.client.connected
    pair.connect()
    assert pair.client.connected
    assert pair.server.connected
    theirs, ours = pair.client.keys(), pair.server.keys()
    assert (theirs.inbound, theirs.outbound) == (ours.outbound, ours.inbound)
    assert theirs.profile == ours.profile == 7
    assert len(ours.inbound) == 16 + 12
    assert ours.inbound.hex() not in repr(ours)
    assert max(pair.sizes) <= MAX_DATAGRAM


@pytest.mark.parametrize(
    ("name", "number", "size"),
    [("SRTP_AES128_CM_SHA1_80", 1, 30), ("SRTP_AEAD_AES_256_GCM", 8, 44)],
)
def test_what_the_other_end_knows_is_used(name: str, number: int, size: int) -> None:
    other = certificate(NOW)
    other.context.set_tlsext_use_srtp(name.encode())
    pair = Pair(client=other)
    pair.connect()
    keys = pair.server.keys()
    assert (keys.profile, len(keys.inbound), len(keys.outbound)) == (number, size, size)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_without_srtp_there_is_nothing_to_connect_for() -> None:
    client, made = openssl_client(version=2, srtp=False)
    server = Dtls(OURS, client=False, fingerprints=[("sha-256", made.digest("sha256").decode())])
    talk(client, server)
    assert server.failure == "DTLS failed: no SRTP profile in common"


@pytest.mark.parametrize("client", [True, False])
def test_another_certificate_is_not_let_in(client: bool) -> None:
    pair = Pair()
    wrong = Dtls(certificate(NOW), client, print_of(OURS if client else THEIRS))
    if client:
        pair.client = wrong
    else:
        pair.server = wrong
    pair.connect()
    judge = pair.server if client else pair.client
    assert judge.failure == "DTLS failed: the certificate is not that of a=fingerprint"
    assert not judge.connected
    assert judge.receive(b"\x16\xfe\xfd") == []
    assert judge.timeout is None
    assert judge.repeat() == []


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("version", [0, 1])
def test_a_certificate_of_an_old_version_is_taken(version: int) -> None:
    """X.509 v1 and v2, as some publishers have: parsers refuse the latter."""
    client, made = openssl_client(version, srtp=True)
    found = made.digest("sha384").decode()
    server = Dtls(OURS, client=False, fingerprints=[("sha-256", "00"), ("sha-384", found.lower())])
    talk(client, server)
    assert server.failure == ""
    assert server.connected


@pytest.mark.parametrize("forged", [ALERT, GARBAGE, DATA, b"\x16", b"\xff", b"\x16\xfe\xff" * 9])
def test_a_stranger_does_not_end_a_handshake(forged: bytes) -> None:
    pair = Pair()
    pair.connect(between=forged)
    assert pair.client.connected
    assert pair.server.connected


def test_a_stranger_s_hello_gets_a_cookie_and_changes_nothing() -> None:
    pair = Pair()
    forged = Dtls(certificate(NOW), client=True, fingerprints=()).begin()
    (asked,) = pair.server.receive(forged[0])
    assert asked[13] == 3  # HelloVerifyRequest (RFC 6347 4.2.1)
    assert len(asked) < len(forged[0])  # and it amplifies nothing
    pair.connect(between=forged[0])
    assert pair.server.connected


def test_the_end_is_told() -> None:
    pair = Pair()
    pair.connect()
    (told,) = pair.client.close()
    assert pair.client.failure == "closed"
    assert pair.client.close() == []
    pair.server.receive(told)
    assert pair.server.failure == "DTLS closed by the peer"


def test_a_forged_end_is_not_believed() -> None:
    pair = Pair()
    pair.connect()
    for data in (ALERT, b"\x15\xfe\xfd\x00\x01" + bytes(5) + b"\x09\x00\x1a" + bytes(26)):
        assert pair.server.receive(data) == []
    assert pair.server.failure == ""


def test_the_last_flight_is_sent_again() -> None:
    """The client has lost the server's last flight, and repeats its own."""
    pair = Pair()
    flights = [pair.client.begin()]
    while not pair.server.connected:
        answers = [one for data in flights[-1] for one in pair.server.receive(data)]
        if not pair.server.connected:
            flights.append([one for data in answers for one in pair.client.receive(data)])
    wait = pair.client.timeout
    assert wait is not None
    time.sleep(wait)  # OpenSSL's timer is its own
    again = [one for data in pair.client.repeat() for one in pair.server.receive(data)]
    assert not pair.client.connected
    for data in again:
        pair.client.receive(data)
    assert pair.client.connected


def test_a_server_s_timer_waits_for_a_client() -> None:
    pair = Pair()
    assert pair.server.begin() == []
    pair.client.begin()
    wait = pair.client.timeout
    assert wait is not None
    assert 0 < wait <= 1
    assert pair.client.repeat() == []  # it is not due yet


def test_the_certificate_is_valid_now() -> None:
    assert re.fullmatch(r"([0-9A-F]{2}:){31}[0-9A-F]{2}", OURS.fingerprint)
    assert OURS.created == NOW
    assert OURS.fingerprint != THEIRS.fingerprint


def message(kind: int, size: int = 4, offset: int = 0, length: int = 4, body: int = 4) -> bytes:
    head = bytes([kind]) + size.to_bytes(3, "big") + b"\x00\x00"
    return head + offset.to_bytes(3, "big") + length.to_bytes(3, "big") + bytes(body)


def record(payload: bytes, kind: int = 22, epoch: int = 0) -> bytes:
    head = bytes([kind, 0xFE, 0xFD]) + epoch.to_bytes(2, "big") + bytes(6)
    return head + len(payload).to_bytes(2, "big") + payload


@pytest.mark.parametrize(
    ("data", "of_server", "of_client"),
    [
        (record(message(1)), False, True),
        (record(message(2)), True, False),
        (record(message(11)), True, True),
        (record(message(0)), False, False),  # HelloRequest: no renegotiation
        (record(message(2)) + record(message(14)), True, False),
        (record(message(2) + message(14)), True, False),
        (record(message(11, size=8, offset=4)), True, True),
        (record(message(11, size=8, offset=5)), False, False),
        (record(message(11, size=4, length=5)), False, False),
        (record(message(11, body=3)), False, False),
        (record(message(11, size=70_000)), False, False),
        (record(b""), False, False),
        (record(b"\x01", kind=20), True, True),
        (record(b"\x02", kind=20), False, False),
        (record(b"\x02\x28", kind=21), False, False),
        (record(b"\x02\x28", kind=21, epoch=1), True, True),  # OpenSSL authenticates it
        (record(message(2)) + b"\x16", False, False),
        (record(message(2))[:-1], False, False),
        (b"", False, False),
        (b"\x16\x03\x01" + record(message(1))[3:], False, False),
    ],
)
def test_what_is_admissible(data: bytes, of_server: bool, of_client: bool) -> None:
    assert admissible(data, of_server=True) == of_server
    assert admissible(data, of_server=False) == of_client


@settings(max_examples=50)
@given(st.lists(st.binary(max_size=60), max_size=6), st.booleans())
def test_garbage_connects_nobody(datagrams: list[bytes], client: bool) -> None:
    one = Dtls(OURS, client, print_of(THEIRS))
    one.begin()
    for data in datagrams:
        one.receive(data)
        one.receive(record(data, epoch=1))
    assert not one.connected
    assert one.failure == ""


def openssl_client(version: int, srtp: bool) -> tuple[SSL.Connection, crypto.X509]:
    """OpenSSL's own client, whose certificate is of this version of X.509 (0: v1)."""
    key = crypto.PKey.from_cryptography_key(rsa.generate_private_key(65_537, 2_048))
    made = crypto.X509()
    made.set_version(version)
    made.set_serial_number(1)
    made.gmtime_adj_notBefore(0)
    made.gmtime_adj_notAfter(3_600)
    made.set_pubkey(key)
    made.sign(key, "sha256")
    context = SSL.Context(SSL.DTLS_METHOD)
    context.use_privatekey(key)
    context.use_certificate(made)
    if srtp:
        context.set_tlsext_use_srtp(b"SRTP_AES128_CM_SHA1_80")
    client = SSL.Connection(context, None)
    client.set_connect_state()
    return client, made


def talk(client: SSL.Connection, server: Dtls) -> None:
    """Carry datagrams between both until nothing moves."""
    for _ in range(10):
        with suppress(SSL.WantReadError):
            client.do_handshake()
        try:
            flight = client.bio_read(65_536)
        except SSL.WantReadError:
            return
        for answer in server.receive(flight):
            client.bio_write(answer)
