"""The transport: what is read of answers, what becomes of errors, and where a proxy is asked."""

import asyncio
import contextlib
import socket
import ssl
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from slicer.errors import StorageRefused, StorageUnavailable
from slicer.storage import Credentials
from slicer.storage.answers import Answer
from slicer.storage.objects import Timeouts
from slicer.storage.transport import HttpTransport, proxy_of, read_answer, translated
from tests.harness.storage import faults
from tests.harness.storage.faults import front_of

XML = b"<?xml version='1.0'?><Error><Code>SlowDown</Code><Message>Wait</Message></Error>"

NAMESPACED = b'<Error xmlns="http://x/"><Code>A</Code><Region>r</Region></Error>'


@pytest.mark.parametrize(
    ("headers", "body", "answer"),
    [
        ({}, XML, Answer(503, "SlowDown", "Wait")),
        ({"retry-after": "7"}, XML, Answer(503, "SlowDown", "Wait", retry_after=7.0)),
        ({"retry-after": "Sat, 22 Nov 2025 00:00:00 GMT"}, b"", Answer(503, "")),
        ({}, NAMESPACED, Answer(503, "A", region="r")),
        ({}, b"<html><body>busy", Answer(503, "")),
        ({}, b'<!DOCTYPE x [<!ENTITY a "b">]><Error><Code>&a;</Code></Error>', Answer(503, "")),
        ({}, b"", Answer(503, "")),
    ],
)
def test_answers(headers: dict[str, str], body: bytes, answer: Answer) -> None:
    assert read_answer(503, headers, body) == answer


@given(st.binary(max_size=300))
def test_no_answer_is_too_strange(body: bytes) -> None:
    for each in (body, b"<Error><Code>" + body):
        assert read_answer(500, {}, each).status == 500


def test_an_answer_is_found_beneath_what_an_sdk_made_of_it() -> None:
    keys = Credentials("my-key", "my-secret")
    try:
        try:
            raise StorageRefused("", "403: not my-secret", "advice")  # noqa: TRY301
        except StorageRefused as inner:
            raise RuntimeError("operation error: my-secret") from inner
    except RuntimeError as outer:
        error = translated("k", outer, keys)
    assert isinstance(error, StorageRefused)
    assert (error.key, error.reason) == ("k", "403: not ***")


def test_what_nobody_foresaw_is_tried_again_and_shows_no_secret() -> None:
    error = translated("k", KeyError("my-secret"), Credentials("my-key", "my-secret"))
    assert isinstance(error, StorageUnavailable)
    assert "my-secret" not in str(error)


async def test_an_endless_answer_is_not_waited_for() -> None:
    async with front_of(None) as front:
        front.fault = faults.Answer(200, bytes(200_000), (("ETag", "x"),))
        transport = HttpTransport(Timeouts(), "x:Put")
        response = await asyncio.to_thread(transport.send, "PUT", f"{front.endpoint}/a", {}, b"x")
        assert len(response.body) < 100_000
        transport.close()


@pytest.mark.parametrize(
    ("name", "fits"), [("b-1.cos.x.example", True), ("other.example", False), (None, False)]
)
def test_the_certificate_must_be_of_the_name_and_not_of_the_address(
    name: str | None, fits: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = certificate("b-1.cos.x.example", tmp_path)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(*paths)
    trusting = ssl.create_default_context(cafile=paths[0])
    monkeypatch.setattr("slicer.storage.transport.tls_context", lambda: trusting)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with socket.create_server(("127.0.0.1", 0)) as listening, ThreadPoolExecutor(1) as pool:
        serving = pool.submit(answer_once, listening, server)
        transport = HttpTransport(Timeouts(), "x:Put", name)
        url = f"https://127.0.0.1:{listening.getsockname()[1]}/a"
        if fits:
            assert transport.send("PUT", url, {"Content-Length": "1"}, b"x").status == 200
        else:
            with pytest.raises(Exception, match="certificate") as caught:
                transport.send("PUT", url, {"Content-Length": "1"}, b"x")
            assert translated("k", caught.value, None).reason == "no TLS connection"
        transport.close()
        serving.result(5)


def answer_once(listening: socket.socket, context: ssl.SSLContext) -> None:
    connection, _ = listening.accept()
    with connection, contextlib.suppress(OSError):
        secured = context.wrap_socket(connection, server_side=True)
        # Head and body may come apart; closing with bytes unread would reset the connection.
        request = b""
        while not request.endswith(b"\r\n\r\nx") and (more := secured.recv(65_536)):
            request += more
        secured.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        secured.close()


def certificate(host: str, folder: Path) -> tuple[Path, Path]:
    """Its own authority, for one host; certificate and key in files."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), 1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    plain = serialization.NoEncryption()
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    (folder / "cert").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (folder / "key").write_bytes(key.private_bytes(*form))
    return folder / "cert", folder / "key"


def test_the_proxy_is_the_environments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "http://proxy.example:3128")
    monkeypatch.setenv("no_proxy", "127.0.0.1,.internal.example")
    assert proxy_of("https://store.example/x") == "http://proxy.example:3128"
    assert proxy_of("https://store.internal.example/x") is None
    assert proxy_of("https://127.0.0.1/x") is None
