"""One POST: what counts as taken, what is refused, and where it goes, against real sockets."""

import asyncio
import gzip
import ssl
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from slicer.webhooks.client import MAX_ANSWER, Reply, WebhookClient
from tests.harness.service.webhook_receiver import Received, receiver, reply

NAME = "callbacks.example"
BOMB = gzip.compress(bytes(50_000_000))


@asynccontextmanager
async def opened(
    allow_private: bool = True, addresses: Sequence[str] = (), timeout: float = 5.0
) -> AsyncIterator[WebhookClient]:
    asked: list[str] = []

    async def resolve(host: str) -> Sequence[str]:
        asked.append(host)
        assert len(asked) == 1, "the name was resolved again"
        return addresses

    made = WebhookClient(allow_private, resolve=resolve if addresses else None, timeout=timeout)
    try:
        yield made
    finally:
        await made.close()


async def test_a_message_that_is_taken() -> None:
    async with receiver() as there, opened() as post:
        assert await post.post(there.url + "?a=b", b"{}", {"Sign": "s"}) == Reply(True, "200")
    (request,) = there.received
    assert (request.path, request.body) == ("/hook?a=b", b"{}")
    assert request.headers["sign"] == "s"
    assert request.headers["host"] == there.url.split("/")[2]


async def test_a_connection_is_used_again() -> None:
    async with receiver() as there, opened() as post:
        for _ in range(3):
            await post.post(there.url, b"{}", {})
    assert (len(there.received), there.connections) == (3, 1)


@pytest.mark.parametrize("status", [201, 204, 302, 400, 500, 503])
async def test_only_200_is_success(status: int) -> None:
    async with receiver(answer=lambda _: reply(status)) as there, opened() as post:
        assert await post.post(there.url, b"{}", {}) == Reply(False, str(status))


async def test_redirects_are_not_followed() -> None:
    async with receiver() as other:

        def away(_: Received) -> bytes:
            return reply(307, b"", f"Location: {other.url}")

        async with receiver(answer=away) as there, opened() as post:
            assert not (await post.post(there.url, b"{}", {})).taken
    assert other.received == []


async def test_private_addresses_are_refused() -> None:
    async with receiver() as there, opened(allow_private=False) as post:
        answer = await post.post(there.url, b"{}", {})
    assert not answer.taken
    assert "no public address" in answer.detail
    assert there.connections == 0


@pytest.mark.parametrize("addresses", [["127.0.0.1"], ["::1", "10.0.0.1", "169.254.169.254"]])
async def test_names_of_private_addresses_are_refused(addresses: list[str]) -> None:
    async with opened(allow_private=False, addresses=addresses) as post:
        assert "no public address" in (await post.post(f"http://{NAME}:1/", b"{}", {})).detail


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1", "2130706433", "0x7f000001", "0x7f.1", "0177.0.0.1", "127.1", "0", "localhost",
        "localhost.", "127.0.0.1.", "127.000.000.001", "00000177.1", "[::1]", "[::]",
        "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[0:0:0:0:0:ffff:127.0.0.1]", "[::127.0.0.1]",
        "[::ffff:0:127.0.0.1]", "[64:ff9b::7f00:1]", "[64:ff9b:1::7f00:1]", "[2002:7f00:1::1]",
        "[2001::7f00:1]", "[2606:4700::5efe:7f00:1]", "[fe80::1%25lo]", "[fe80::1%lo]",
    ],
)  # fmt: skip
async def test_this_host_however_it_is_written(host: str) -> None:
    """Through the resolver of the system, which reads numbers as C does."""
    async with receiver() as there, opened(allow_private=False) as post:
        port = there.url.split(":")[2].split("/")[0]
        assert not (await post.post(f"http://{host}:{port}/", b"{}", {})).taken
    assert there.connections == 0


async def test_of_several_addresses_a_public_one_alone_is_connected_to(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A name with a public and a private address gains nothing: the one that was checked is the
    one that is connected to, even if the name has become another's meanwhile."""
    connected: list[str] = []

    async def request(_: httpx.AsyncHTTPTransport, sent: httpx.Request) -> httpx.Response:
        connected.append(sent.url.host)
        return httpx.Response(200, request=sent, stream=httpx.ByteStream(b""))

    monkeypatch.setattr(httpx.AsyncHTTPTransport, "handle_async_request", request)
    async with opened(False, ["127.0.0.1", "::1", "1.1.1.1", "10.0.0.1"]) as post:
        assert (await post.post(f"http://{NAME}/", b"{}", {})).taken
    assert connected == ["1.1.1.1"]


async def test_the_name_is_resolved_once_and_kept_as_host() -> None:
    async with receiver() as there, opened(addresses=["127.0.0.1"]) as post:
        port = there.url.split(":")[2].split("/")[0]
        assert (await post.post(f"http://{NAME}:{port}/x", b"{}", {})).taken
    assert there.received[0].headers["host"] == f"{NAME}:{port}"


@pytest.mark.parametrize(
    "answer",
    [
        lambda _: reply(200, bytes(MAX_ANSWER * 40)),
        lambda _: reply(200, BOMB, "Content-Encoding: gzip"),
        lambda _: reply(200, b"not gzip", "Content-Encoding: gzip"),
    ],
)
async def test_an_answer_is_read_up_to_a_bound(answer: Callable[[Received], bytes]) -> None:
    async with receiver(answer=answer) as there, opened() as post:
        began = time.process_time()
        assert (await post.post(there.url, b"{}", {})).taken
        assert time.process_time() - began < 1


@pytest.mark.parametrize(
    "answer", [b"", b"HTTP/1.1 200 OK\r\nX-Slow: ", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"]
)
async def test_a_receiver_that_hangs(answer: bytes) -> None:
    async with receiver(answer=lambda _: answer) as there, opened(timeout=0.2) as post:
        assert await post.post(there.url, b"{}", {}) == Reply(False, "no answer within 0.2 s")


@pytest.mark.parametrize("answer", [b"\0\0\0\0\r\n\r\n", b"HTTP/1.1 200\r\n" + b"a: b\r\n" * 99999])
async def test_a_receiver_that_talks_nonsense(answer: bytes) -> None:
    async with receiver(answer=lambda _: answer) as there, opened() as post:
        assert not (await post.post(there.url, b"{}", {})).taken


async def test_nobody_there() -> None:
    async with receiver() as there:
        pass
    async with opened() as post:
        assert "Connect" in (await post.post(there.url, b"{}", {})).detail
        assert "gaierror" in (await post.post("http://nowhere.invalid/", b"{}", {})).detail
        assert not (await post.post("http://[/", b"{}", {})).taken


async def test_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    async with receiver() as there, opened() as post:
        assert (await post.post(there.url, b"{}", {})).taken


def certificate(folder: Path, name: str) -> tuple[ssl.SSLContext, Path]:
    """A server's TLS context, and the certificate to trust, which is its own."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    chain, secret = folder / "chain.pem", folder / "key.pem"
    chain.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    encoding, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    secret.write_bytes(key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, plain))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain, secret)
    return context, chain


async def test_tls_is_checked_for_the_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    context, chain = certificate(tmp_path, NAME)
    monkeypatch.setenv("SSL_CERT_FILE", str(chain))
    async with receiver(tls=context) as there:
        port = there.url.split(":")[2].split("/")[0]
        async with opened(addresses=["127.0.0.1"]) as post:
            assert (await post.post(f"https://{NAME}:{port}/", b"{}", {})).detail == "200"
        async with opened(addresses=["127.0.0.1"]) as post:
            refused = await post.post(f"https://other.example:{port}/", b"{}", {})
            assert not refused.taken
            assert "certificate" in refused.detail.lower()
        assert there.server_names == [NAME, "other.example"]
    assert len(there.received) == 1


async def test_many_at_once() -> None:
    async with receiver() as there, opened() as post:
        replies = await asyncio.gather(*(post.post(there.url, b"{}", {}) for _ in range(30)))
    assert all(answer.taken for answer in replies)
    assert len(there.received) == 30
