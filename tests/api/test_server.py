"""Listening: TLS by PEM files, and never without signatures but on loopback."""

import ssl
from pathlib import Path

import httpx
import pytest

from slicer.api import Listen, check_listen, make_app, open_server
from slicer.errors import BadInput
from tests.harness.certificates import make_certificate
from tests.harness.service.api import APP, Recorder


@pytest.fixture
def pem(tmp_path: Path) -> tuple[Path, Path]:
    """A certificate of 127.0.0.1 signed by itself, and its key."""
    return make_certificate(tmp_path)


async def test_tls(pem: tuple[Path, Path]) -> None:
    app = make_app({200806: APP}, Recorder())
    server = await open_server(app, Listen("127.0.0.1", 0, *pem))
    trust = ssl.create_default_context(cafile=str(pem[0]))
    async with httpx.AsyncClient(trust_env=False, verify=trust) as client:
        response = await client.get(f"https://127.0.0.1:{server.port}/healthz")
    assert response.json() == {"status": "alive"}
    await server.close()


async def test_files_that_are_no_pem(pem: tuple[Path, Path]) -> None:
    app = make_app({}, Recorder())
    with pytest.raises(BadInput, match="tls"):
        await open_server(app, Listen("127.0.0.1", 0, pem[0], pem[0]))
    with pytest.raises(BadInput, match="tls"):
        await open_server(app, Listen("127.0.0.1", 0, pem[0].with_name("none"), pem[1]))
    with pytest.raises(BadInput, match=r"serve\.tls_cert: .*serve\.tls_key"):
        Listen("127.0.0.1", 0, certificate=pem[0])


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.org"])
def test_insecure_is_for_loopback_only(host: str) -> None:
    check_listen(Listen(host), insecure=False)
    with pytest.raises(BadInput, match=r"127\.0\.0\.1"):
        check_listen(Listen(host), insecure=True)


async def test_insecure_is_loud(caplog: pytest.LogCaptureFixture) -> None:
    server = await open_server(make_app({}, Recorder()), Listen("127.0.0.1", 0), insecure=True)
    assert "INSECURE" in caplog.text
    await server.close()
    caplog.clear()
    server = await open_server(make_app({}, Recorder()), Listen("127.0.0.1", 0))
    assert caplog.text == ""
    await server.close()
    server = await open_server(make_app({}, Recorder()), Listen("0.0.0.0", 0))
    assert "no TLS on 0.0.0.0" in caplog.text
    await server.close()


async def test_addresses_and_ports_that_cannot_be_listened_on() -> None:
    with pytest.raises(BadInput, match=r"port.*65536.*65535"):
        Listen("127.0.0.1", 65_536)
    with pytest.raises(BadInput, match=r"serve\.host: got ''"):
        Listen("")
    app = make_app({}, Recorder())
    server = await open_server(app, Listen("127.0.0.1", 0))
    with pytest.raises(BadInput, match=rf"serve\.port.*{server.port}.*free port"):
        await open_server(app, Listen("127.0.0.1", server.port))
    with pytest.raises(BadInput, match=r"serve\.host.*its own"):
        await open_server(app, Listen("192.0.2.1", 0))
    await server.close()
