"""`slicer serve` as a process with few descriptors, and more idle connections than it has of them:
whoever asks is served at every door, and the log stays short."""

import asyncio
import resource
from pathlib import Path

import httpx

from slicer.cli.exits import STORED
from tests.harness.service.serve import serve
from tests.harness.storage.seaweed import free_ports

CONFIG = """
[serve]
port = 0
health = "127.0.0.1:{health}"
[http]
per_address = 1000
[[apps]]
sdk_app_id = 1400000001
rooms = [{{ pattern = "*", url = "whip://127.0.0.1:0/{{room}}" }}]
"""
DESCRIPTORS = 128
IDLE = 300


async def test_idle_connections_lock_nobody_out(tmp_path: Path) -> None:
    (health,) = free_ports(1)
    async with serve(CONFIG.format(health=health), tmp_path) as served:
        pid = served.process.pid
        _, most = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (DESCRIPTORS, most))
        idle = []
        for index in range(IDLE):
            _, writer = await asyncio.open_connection("127.0.0.1", served.port)
            if index % 2:
                writer.write(b"POST / HTTP/1.1\r\nHost: h\r\nX-A: ")
            idle.append(writer)
        async with httpx.AsyncClient(trust_env=False) as client:
            for port in (served.port, health):
                answer = await client.get(f"http://127.0.0.1:{port}/healthz")
                assert answer.json() == {"status": "alive"}
        taken = len(list(Path(f"/proc/{pid}/fd").iterdir()))
        assert taken <= DESCRIPTORS * 0.75 + 2, "the reserve is left to media and disk"
        for writer in idle:
            writer.close()
        await served.end()
    assert served.process.returncode == STORED
    log = (tmp_path / "serve.log").read_text()
    assert "http.reserve is reached" in log
    assert "Traceback" not in log
    assert len(log.splitlines()) < 10, log
