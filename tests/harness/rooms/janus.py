"""Janus itself (Debian's package), and what an administrator asks of it.

It is started in a network namespace (`tests.harness.network.namespace`), so its ports are its own.
"""

import asyncio
import json
import secrets
import shutil
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

EXECUTABLE = shutil.which("janus")
WS, HTTP = 8188, 8088
API_SECRET, PIN, ROOM_SECRET = "api-secret", "1234", "room-secret"
START_SECONDS = 20
_LIBRARIES = "/usr/lib/x86_64-linux-gnu/janus"
_GENERAL = """
general: {{
    plugins_folder = "{libraries}/plugins"
    transports_folder = "{libraries}/transports"
    events_folder = "{libraries}/events"
    loggers_folder = "{libraries}/loggers"
    configs_folder = "{folder}"
    debug_level = 4
    api_secret = "{secret}"
    session_timeout = {timeout}
}}
nat: {{
    ice_enforce_list = "127.0.0."
    ignore_mdns = true
}}
plugins: {{ disable = "{others}" }}
transports: {{ disable = "libjanus_pfunix.so" }}
"""
_OTHERS = (
    "audiobridge duktape echotest lua nosip recordplay sip streaming textroom videocall voicemail"
)


class Client:
    """A session of anybody's with Janus over a WebSocket, in as few words as can be."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        self._session: dict[str, int] = {}
        self.handle = 0

    @classmethod
    async def open(cls) -> "Client":
        where, protocol = f"ws://127.0.0.1:{WS}/", Subprotocol("janus-protocol")
        client = cls(await connect(where, subprotocols=[protocol], proxy=None))
        client._session = {"session_id": (await client.ask(janus="create"))["data"]["id"]}
        attached = await client.ask(janus="attach", plugin="janus.plugin.videoroom")
        client.handle = attached["data"]["id"]
        return client

    async def ask(self, **message: Any) -> dict[str, Any]:
        """The answer to a message: a plugin's event and not the ack before it."""
        name = secrets.token_hex(4)
        head = {"transaction": name, "apisecret": API_SECRET, **self._session}
        await self._connection.send(json.dumps({**message, **head}))
        async with asyncio.timeout(10):
            while True:
                said: dict[str, Any] = json.loads(await self._connection.recv())
                if said.get("transaction") == name and said["janus"] != "ack":
                    return said

    async def message(self, jsep: dict[str, str] | None = None, **body: Any) -> dict[str, Any]:
        """Send the plugin a message; what comes back."""
        extra = {"jsep": jsep} if jsep else {}
        return await self.ask(janus="message", handle_id=self.handle, body=body, **extra)

    async def keepalive(self) -> None:
        """Every so often, or Janus ends the session."""
        await self.ask(janus="keepalive")

    async def close(self) -> None:
        await self._connection.close()


class Janus:
    """A running Janus. *string_ids*: whether rooms and participants have texts for ids."""

    def __init__(self, folder: Path, string_ids: bool, session_timeout: int) -> None:
        self._folder, self._string_ids = folder, string_ids
        self._timeout = session_timeout
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Start it, and wait until it answers; a room has to be made."""
        assert EXECUTABLE is not None
        self._configure()
        with (self._folder / "janus.log").open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                EXECUTABLE, "-F", str(self._folder), "-C", str(self._folder / "janus.jcfg"), "-o",
                stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip
        async with asyncio.timeout(START_SECONDS):
            while True:
                try:
                    client = await Client.open()
                except OSError:
                    await asyncio.sleep(0.05)
                else:
                    await client.close()
                    return

    async def kill(self) -> None:
        """End it without a word."""
        assert self._process is not None
        self._process.send_signal(signal.SIGKILL)
        await self._process.wait()

    def freeze(self) -> None:
        """Have it do nothing any more, with its connections as they are."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    async def create(self, room: str | int, **options: Any) -> None:
        """Make a room with a PIN."""
        given = {"publishers": 20, "notify_joining": True, "pin": PIN, **options}
        await self.admin("create", room, **given)

    async def admin(self, request: str, room: str | int, **options: Any) -> dict[str, Any]:
        """Ask as the room's owner."""
        client = await Client.open()
        said = await client.message(request=request, room=room, secret=ROOM_SECRET, **options)
        await client.close()
        data: dict[str, Any] = said["plugindata"]["data"]
        assert "error" not in data, data
        return data

    def _configure(self) -> None:
        others = ",".join(f"libjanus_{name}.so" for name in _OTHERS.split())
        given = {"libraries": _LIBRARIES, "folder": self._folder, "secret": API_SECRET}
        general = _GENERAL.format(**given, others=others, timeout=self._timeout)
        texts = str(self._string_ids).lower()
        files = {
            "janus.jcfg": general,
            "janus.plugin.videoroom.jcfg": f"general: {{ string_ids = {texts} }}",
            "janus.transport.websockets.jcfg": f"general: {{ ws = true\n ws_port = {WS} }}",
            "janus.transport.http.jcfg": f"general: {{ http = true\n port = {HTTP} }}",
        }
        for name, text in files.items():
            (self._folder / name).write_text(text)


@asynccontextmanager
async def janus(
    folder: Path, string_ids: bool = True, session_timeout: int = 60
) -> AsyncIterator[Janus]:
    """A Janus until the context ends."""
    folder.mkdir(exist_ok=True)
    made = Janus(folder, string_ids, session_timeout)
    await made.start()
    try:
        yield made
    finally:
        if made._process is not None and made._process.returncode is None:
            await made.kill()
