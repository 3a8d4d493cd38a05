"""nginx in front of a server of ours: what is below a path of its own goes there."""

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

from tests.harness.rooms.server_process import free_ports, program, running

_CONFIGURATION = """
daemon off;
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
    server {{
        listen 127.0.0.1:{port};
        location {path}/ {{ proxy_pass {to}/; }}
    }}
}}
"""


@contextlib.asynccontextmanager
async def nginx(folder: Path, path: str, to: str) -> AsyncIterator[str]:
    """A proxy on a free port of loopback; gives the URL whose *path* leads to the server *to*."""
    binary = program("nginx")
    (port,) = free_ports(1)
    configuration = folder / "nginx.conf"
    configuration.write_text(_CONFIGURATION.format(folder=folder, port=port, path=path, to=to))
    command = [binary, "-p", str(folder), "-c", str(configuration), "-e", str(folder / "log")]
    async with running(command, port, folder / "nginx.log"):
        yield f"http://127.0.0.1:{port}{path}"
