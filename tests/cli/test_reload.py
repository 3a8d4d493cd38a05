"""SIGHUP at a service: what is read again, what waits for a restart, and that tasks go on."""

import asyncio
import signal
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx

from slicer.api import Listen, make_app, open_server
from slicer.cli.reload import Running
from slicer.service.ports import Port
from slicer.service.service import Service
from slicer.service.serving import serving
from slicer.service.settings import ServiceSettings
from tests.harness.certificates import make_certificate
from tests.harness.service.orders import slice_order
from tests.harness.service.serve import serve

FILE = """
[serve]
port = 0
[[apps]]
sdk_app_id = 1
secrets = [{ id = "one", key = "first" }]
rooms = [{ pattern = "*", url = "whip://127.0.0.1:0/a-{room}" }]
"""
SECOND = """
[[apps]]
sdk_app_id = 2
rooms = [{ pattern = "*", url = "whip://127.0.0.1:0/b-{room}" }]
"""


@asynccontextmanager
async def running(folder: Path, listen: Listen | None = None) -> AsyncIterator[Running]:
    file = folder / "slicer.toml"
    file.write_text(FILE)
    settings = ServiceSettings.load(file, {})
    async with serving(settings) as service:
        app = make_app({app.sdk_app_id: app for app in settings.apps}, service)
        server = await open_server(app, listen or Listen(port=0))
        own = (Port("serve.port", "127.0.0.1", server.port),)
        yield Running(settings, service, app, server, own)
        await server.close()


def served(one: Running) -> list[int]:
    return list(one.app.state.dispatcher.apps)


async def test_applications_are_read_again(tmp_path: Path) -> None:
    file = tmp_path / "slicer.toml"
    async with running(tmp_path) as one:
        file.write_text(FILE + SECOND)
        assert one.reload(file, {}) == "SIGHUP: 2 applications read again"
        assert served(one) == [1, 2]


async def test_the_log_is_reopened_and_its_table_needs_no_restart(tmp_path: Path) -> None:
    file, reopened = tmp_path / "slicer.toml", list[bool]()
    async with running(tmp_path) as one:
        one.reopen_log = lambda: reopened.append(True)
        file.write_text(FILE + '[log]\nlevel = "debug"\n')
        assert one.reload(file, {}) == "SIGHUP: 1 application read again"
        assert reopened == [True]
        file.write_text(FILE + '[log]\nlevel = "loud"\n')
        assert "nothing is changed: log.level: got 'loud'" in one.reload(file, {})
        assert reopened == [True]


async def test_what_cannot_work_changes_nothing(tmp_path: Path) -> None:
    file = tmp_path / "slicer.toml"
    async with running(tmp_path) as one:
        for text, says in (
            (FILE + "mistake = 1", "unknown field"),
            ("", "apps: got 'none'"),
            (FILE + SECOND + "permission_control = true", "permission_control"),
            (FILE + SECOND.replace("127.0.0.1", "127.0.0.1:1/x@"), "apps[1].rooms[0]"),
        ):
            file.write_text(text)
            told = one.reload(file, {})
            assert told.startswith("SIGHUP: nothing is changed: ")
            assert says in told
            assert served(one) == [1]


async def test_a_new_room_may_not_take_a_port_of_the_service(tmp_path: Path) -> None:
    file = tmp_path / "slicer.toml"
    async with running(tmp_path) as one:
        taken = f"127.0.0.1:{one.server.port}"
        file.write_text(FILE + SECOND.replace("127.0.0.1:0", taken))
        assert one.reload(file, {}) == (
            f"SIGHUP: nothing is changed: apps[1].rooms[0].url: got '{taken}'; allowed: another "
            f"port than that of serve.port, {taken}"
        )
        assert served(one) == [1]


async def test_a_task_keeps_its_application_and_its_room(tmp_path: Path) -> None:
    file = tmp_path / "slicer.toml"
    async with running(tmp_path) as one:
        task = await one.service.create(one.started.apps[0], slice_order())
        for text in (SECOND, FILE.replace("/a-", "/elsewhere-")):
            file.write_text(text)
            told = one.reload(file, {})
            assert told.startswith("SIGHUP: nothing is changed: apps: ")
            assert f"task {task}" in told
            assert served(one) == [1]
        file.write_text(FILE.replace("first", "second") + SECOND)
        assert one.reload(file, {}) == "SIGHUP: 2 applications read again"
        assert isinstance(one.service, Service)
        assert one.service.unfinished() == [task]


async def test_what_is_read_at_a_start_alone_is_named(tmp_path: Path) -> None:
    file = tmp_path / "slicer.toml"
    async with running(tmp_path) as one:
        file.write_text(FILE + "[whip]\nsdk_app_id = 1\nusersig_key = 'k'\n")
        assert one.reload(file, {}) == "SIGHUP: 1 application read again"
        file.write_text(FILE + "[outbox]\ndrain = 1\n[whip]\nmax_body = 1000\n")
        told = one.reload(file, {})
        assert told.endswith("read again; a restart is needed for [whip], [outbox]") or (
            told.endswith("read again; a restart is needed for [outbox], [whip]")
        )


async def test_a_new_certificate_is_shown_and_a_broken_one_is_not(tmp_path: Path) -> None:
    certificate, key = make_certificate(tmp_path)
    async with running(tmp_path, Listen(port=0, certificate=certificate, key=key)) as one:
        first = await shown_by(one)
        make_certificate(tmp_path)
        assert await shown_by(one) == first
        one.reload(tmp_path / "slicer.toml", {})
        second = await shown_by(one)
        assert second != first
        certificate.write_text("no certificate")
        assert "serve.tls_cert: got" in one.reload(tmp_path / "slicer.toml", {})
        assert await shown_by(one) == second


async def shown_by(one: Running) -> bytes:
    """The certificate that a new connection is shown."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    _, writer = await asyncio.open_connection("127.0.0.1", one.server.port, ssl=context)
    found = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.close()
    assert isinstance(found, bytes)
    return found


async def test_a_process_reloads_and_goes_on(tmp_path: Path) -> None:
    async with serve(FILE, tmp_path) as process:
        (tmp_path / "slicer.toml").write_text(FILE + SECOND)
        process.process.send_signal(signal.SIGHUP)
        assert await process.says("SIGHUP") == "SIGHUP: 2 applications read again\n"
        taken = SECOND.replace("127.0.0.1:0", f"localhost:{process.port}")
        (tmp_path / "slicer.toml").write_text(FILE + taken)
        process.process.send_signal(signal.SIGHUP)
        told = await process.says("SIGHUP")
        assert told.endswith(f"than that of serve.port, 127.0.0.1:{process.port}\n")
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{process.port}") as client:
            assert (await client.get("/readyz")).status_code == 200
