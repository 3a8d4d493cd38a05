"""Janus itself (Debian's package), and what an administrator asks of it.

It is started in a network namespace (`tests.harness.network.namespace`), so its ports are its own.
"""

import asyncio
import base64
import hmac
import json
import secrets
import shutil
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from tests.harness.certificates import make_certificate

EXECUTABLE = shutil.which("janus")
WS, HTTP = 8188, 8088
API_SECRET, PIN, ROOM_SECRET = "api-secret", "1234", "room-secret"
WSS, HTTPS = 8989, 8089
TOKEN_KEY = "token-key"
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
    {tokens}
}}
nat: {{
    ice_enforce_list = "{addresses}"
    ignore_mdns = true
}}
plugins: {{ disable = "{others}" }}
transports: {{ disable = "libjanus_pfunix.so" }}
"""
_TOKENS = 'token_auth = true\n    token_auth_secret = "{key}"'
_CERTIFICATES = 'certificates: {{ cert_pem = "{certificate}"\n cert_key = "{key}" }}'
_OTHERS = (
    "audiobridge duktape echotest lua nosip recordplay sip streaming textroom videocall voicemail"
)


def token(key: str = TOKEN_KEY) -> str:
    """A signed token for the plugin (https://janus.conf.meetecho.com/docs/auth.html)."""
    told = f"{int(time.time()) + 3600},janus,janus.plugin.videoroom"
    signature = hmac.digest(key.encode(), told.encode(), "sha1")
    return f"{told}:{base64.b64encode(signature).decode()}"


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
        # Attaching to a plugin asks for a token as well, where Janus knows tokens.
        known = {"apisecret": API_SECRET, "token": token()}
        head = {"transaction": name, **known, **self._session}
        await self._connection.send(json.dumps({**message, **head}))
        async with asyncio.timeout(10):
            while True:
                said: dict[str, Any] = json.loads(await self._connection.recv())
                # A keepalive is answered by an ack alone.
                whole = said["janus"] != "ack" or message["janus"] == "keepalive"
                if said.get("transaction") == name and whole:
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
    """A running Janus. *string_ids*: whether rooms and participants have texts for ids; *secure*:
    whether it has TLS as well, and takes tokens."""

    def __init__(
        self, folder: Path, string_ids: bool, session_timeout: int, secure: bool, addresses: str
    ) -> None:
        self._addresses = addresses
        self._folder, self._string_ids = folder, string_ids
        self._timeout, self._secure = session_timeout, secure
        self.certificate = folder / "certificate.pem"
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

    @property
    def pid(self) -> int | None:
        """Its process, while there is one."""
        return None if self._process is None else self._process.pid

    @property
    def running(self) -> bool:
        """It was started and has not ended."""
        return self._process is not None and self._process.returncode is None

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
        tokens = _TOKENS.format(key=TOKEN_KEY) if self._secure else ""
        given = {"libraries": _LIBRARIES, "folder": self._folder, "secret": API_SECRET}
        given["addresses"] = self._addresses
        general = _GENERAL.format(**given, others=others, timeout=self._timeout, tokens=tokens)
        web, rest = f"ws = true\n ws_port = {WS}", f"http = true\n port = {HTTP}"
        certificates = ""
        if self._secure:
            _, key = make_certificate(self._folder)
            web += f"\n wss = true\n wss_port = {WSS}"
            rest += f"\n https = true\n secure_port = {HTTPS}"
            certificates = _CERTIFICATES.format(certificate=self.certificate, key=key)
        texts = str(self._string_ids).lower()
        files = {
            "janus.jcfg": general,
            "janus.plugin.videoroom.jcfg": f"general: {{ string_ids = {texts} }}",
            "janus.transport.websockets.jcfg": f"general: {{ {web} }}\n{certificates}",
            "janus.transport.http.jcfg": f"general: {{ {rest} }}\n{certificates}",
        }
        for name, text in files.items():
            (self._folder / name).write_text(text)


@asynccontextmanager
async def janus(
    folder: Path,
    string_ids: bool = True,
    session_timeout: int = 60,
    secure: bool = False,
    addresses: str = "127.0.0.",
) -> AsyncIterator[Janus]:
    """A Janus until the context ends. *addresses*: what those that media come to begin with."""
    folder.mkdir(exist_ok=True)
    made = Janus(folder, string_ids, session_timeout, secure, addresses)
    await made.start()
    try:
        yield made
    finally:
        if made.running:
            await made.kill()
