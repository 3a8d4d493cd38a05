"""The bus: what the processes of a fleet say to each other by NATS.

    BUCKET.beat.WORKER    heartbeats; who is not there misses them
    BUCKET.do.WORKER      records for a worker that its heartbeat has not shown yet
    BUCKET.ask.WORKER     requests with an answer: carry out a new task, hand one over
    KV BUCKET_tasks       the records of all tasks (table.py)

nats-py connects again by itself, to whichever server there is. What is said meanwhile is not kept:
everything here is said again, or fails and is tried again by who asked.
"""

import asyncio
import contextlib
import json
import logging
import os
import re
import ssl
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar
from urllib.parse import urlsplit

from slicer.errors import BadInput, BusUnavailable
from slicer.fleet import beat as beats
from slicer.fleet import record as records
from slicer.fleet.beat import Beat
from slicer.fleet.record import TaskRecord
from slicer.fleet.settings import NAME, FleetSettings
from slicer.fleet.signer import HEADER, Questions, Signer

if TYPE_CHECKING:
    from nats.aio.client import Client
    from nats.aio.msg import Msg
    from nats.js import JetStreamContext
    from nats.js.api import StreamConfig

logger = logging.getLogger(__name__)

CONNECT = 10.0
"""Seconds within which a server must answer at the start."""
SYNC = 30.0
"""Seconds for which servers that start just now are waited for, at the start: until their streams
have leaders, and all has been read."""
UNREADY = 0.25
"""Seconds between two questions to such servers."""
RECONNECT = 0.25
"""Seconds between two tries to connect again."""
PING, MAX_PINGS = 2, 2
"""Seconds between two pings, and pings without an answer after which another server is taken."""
HEARD = 10.0
"""Seconds for which a process of a worker is asked, once another one has been heard."""
MAX_DENIED = 20
"""Refusals that are told."""
NO_ANSWER = "no answer"
REVISION = "Slicer-Revision"
"""The header in which a record that is pushed has its revision."""
MARK = "Slicer-Mark"
"""The header in which a question has what makes it good once (`Questions`)."""

_CREDENTIALS = re.compile(
    r"BEGIN NATS USER JWT-+\n[\w.-]+\n.*BEGIN USER NKEY SEED-+\nSU[A-Z2-7]{56}\n", re.DOTALL
)

Answer = Callable[[Mapping[str, Any]], Awaitable[Mapping[str, Any]]]


class _Status:
    """What nats-py says of one connection. *waiting*: for the first server."""

    def __init__(self, waiting: asyncio.Timeout) -> None:
        self.waiting, self.closing, self.ended = waiting, False, False
        self.last = NO_ANSWER
        self.on_connected = list[Callable[[], Awaitable[object]]]()
        self.denied = list[str]()

    async def on_error(self, error: Exception) -> None:
        text = str(error) or type(error).__name__
        logger.debug("bus: %s", text)
        if "ermissions" in text and text not in self.denied and len(self.denied) < MAX_DENIED:
            self.denied.append(text)
            logger.warning("! the bus refuses: %s", text)
        if "uthorization" not in self.last:  # what comes after that follows from it
            self.last = text
        if self.ended or self.waiting.expired():
            # `asyncio.wait_for` of Python 3.11 may swallow a cancellation (cpython issue 86296),
            # and nats-py would go on to connect for ever.
            raise asyncio.CancelledError

    async def on_disconnected(self) -> None:
        if not self.closing:
            logger.warning("! the bus is away: tasks go on, new ones are refused")

    async def on_reconnected(self) -> None:
        logger.warning("+ the bus is there again")
        for callback in self.on_connected:
            await callback()


class Bus:
    """A connection to the servers. For the loop's thread."""

    def __init__(
        self, client: "Client", bucket: str, signer: Signer | None, status: "_Status"
    ) -> None:
        self._client, self._bucket, self._signer, self._status = client, bucket, signer, status
        self.refused = 0
        """Messages that none of this fleet has signed."""
        self._refused_kinds = set[str]()
        self._instances: dict[str, dict[str, float]] = {}
        """Which processes of each worker may answer, by heartbeats, and when each was heard. One is
        alive; a heartbeat of an earlier one may be sent once more."""
        self.js: JetStreamContext = client.jetstream(timeout=CONNECT / 4)
        self.bucket = bucket
        self.on_connected = status.on_connected
        """Called each time that a server is there again."""
        self.denied = status.denied
        """What the servers' permissions have refused, each once."""

    @classmethod
    async def connect(
        cls, settings: FleetSettings, name: str, signer: Signer | None = None
    ) -> Self:
        """Connect, as *name*. *signer*: signs what is said; without it nothing is signed, and all
        is believed. Raises BadInput where no server answers or takes us, and where nats-py
        is not installed."""
        try:
            import nats  # noqa: PLC0415 (an extra, imported when used)
        except ImportError:
            raise BadInput("fleet.servers", "no nats-py", "rtc-slicer[fleet]") from None
        where = ", ".join(urlsplit(url).netloc.rpartition("@")[2] for url in settings.servers)
        tls, credentials = _tls(settings), _credentials(settings.credentials)
        status = _Status(asyncio.timeout(CONNECT))
        try:
            async with status.waiting:
                client = await nats.connect(
                    list(settings.servers),
                    name=name,
                    error_cb=status.on_error,
                    disconnected_cb=status.on_disconnected,
                    reconnected_cb=status.on_reconnected,
                    reconnect_time_wait=RECONNECT,
                    max_reconnect_attempts=-1,
                    ping_interval=PING,
                    max_outstanding_pings=MAX_PINGS,
                    connect_timeout=2,
                    tls=tls,
                    inbox_prefix=_inbox(settings.user),
                    user=settings.user or None,
                    password=settings.password or None,
                    user_credentials=credentials,
                )
        except (nats.errors.Error, OSError, TimeoutError) as error:
            status.ended = True
            detail = status.last if status.last != NO_ANSWER else str(error) or status.last
            allowed = f"servers that answer and take us ({detail})"
            raise BadInput("fleet.servers", where, allowed) from None
        return cls(client, settings.bucket, signer, status)

    @property
    def connected(self) -> bool:
        """Whether there is a server just now."""
        return self._client.is_connected

    @property
    def absence(self) -> str:
        """That no server is there just now; nothing where one is."""
        return "" if self.connected else "the bus: no server is there"

    async def beat(self, beat: Beat) -> None:
        """Send a heartbeat; none while no server is there, for an old one would be a lie."""
        data = beats.to_json(beat)
        headers = self.signed(f"{self._bucket}.beat.{beat.worker}", data)
        await self._say(f"beat.{beat.worker}", data, headers)

    async def hear_beats(
        self, callback: Callable[[Beat], None], worker: str = "*"
    ) -> Callable[[], Awaitable[None]]:
        """Call back for each heartbeat of anybody, or of one worker. Gives what ends that."""

        async def on_message(message: "Msg") -> None:
            if not self.is_ours(message.subject, message.data, message.headers):
                return
            try:
                beat = beats.from_json(message.data)
            except BadInput as error:
                logger.warning("! %s: %s", message.subject, error)
                return
            if beat.capacity:  # else it does not answer yet
                self._hear(beat.worker, beat.instance)
            callback(beat)

        subject = f"{self._bucket}.beat.{worker}"
        heard = await self._client.subscribe(subject, cb=on_message)

        async def hear_no_more() -> None:
            with contextlib.suppress(Exception):  # the connection may be closed
                await heard.unsubscribe()

        return hear_no_more

    async def push(self, record: TaskRecord, worker: str) -> None:
        """Send a record to a worker."""
        subject, data = f"do.{worker}.{record.task}", records.to_json(record)
        revision = str(record.revision)
        signed = self.signed(f"{self._bucket}.{subject}", data, revision)
        await self._say(subject, data, {REVISION: revision, **signed})

    async def hear_pushes(self, worker: str, callback: Callable[[TaskRecord], None]) -> None:
        """Call back for each record that is pushed to this worker."""

        async def on_message(message: "Msg") -> None:
            task = message.subject.rpartition(".")[2]
            revision = (message.headers or {}).get(REVISION, "")
            if not self.is_ours(message.subject, message.data, message.headers, revision):
                return
            try:
                callback(records.from_json(task, message.data, int(revision)))
            except (BadInput, ValueError) as error:
                logger.warning("! %s: %s", message.subject, error)

        await self._client.subscribe(f"{self._bucket}.do.{worker}.*", cb=on_message)

    async def ask(
        self, worker: str, question: Mapping[str, Any], seconds: float
    ) -> Mapping[str, Any]:
        """Ask a worker that was heard (`hear_beats`). Raises BusUnavailable where it was not, no
        answer comes in time, or none of ours."""
        from nats.errors import Error  # noqa: PLC0415

        subject, data = f"{self._bucket}.ask.{worker}", json.dumps(question).encode()
        if worker not in self._instances:
            raise BusUnavailable(f"worker {worker} does not answer: it was not heard")
        instances = ",".join(self._instances[worker])
        mark = f"{time.time():.0f} {instances} {os.urandom(16).hex()}"
        headers = {MARK: mark, **self.signed(subject, data, mark)}
        try:
            answer = await self._client.request(subject, data, timeout=seconds, headers=headers)
            found: Mapping[str, Any] = json.loads(answer.data)
        except (Error, ValueError) as error:
            reason = str(error) or type(error).__name__
            raise BusUnavailable(f"worker {worker} does not answer: {reason}") from None
        # The mark is in it, or the answer to another question could be given once more.
        if not self.is_ours(answer.subject, answer.data, answer.headers, mark):
            text = f"worker {worker} does not answer: another process did, or one with other keys"
            raise BusUnavailable(f"{text} (SLICER_STATE_KEY)")
        return found

    async def answer(self, worker: str, instance: str, callback: Answer) -> None:
        """Answer what this process of a worker is asked; questions do not wait for each other."""
        pending, questions = set[asyncio.Task[None]](), Questions(instance)

        async def reply(message: "Msg", mark: str) -> None:
            data = json.dumps(await callback(json.loads(message.data))).encode()
            headers = self.signed(message.reply, data, mark)
            await self._client.publish(message.reply, data, headers=headers)

        async def on_message(message: "Msg") -> None:
            mark = (message.headers or {}).get(MARK, "")
            if not self.is_ours(message.subject, message.data, message.headers, mark):
                return
            if not questions.is_new(mark, time.time()):
                text = "! %s: a question of another time, to another process, or asked before"
                logger.warning(text, message.subject)
                return
            task = asyncio.ensure_future(reply(message, mark))
            pending.add(task)
            task.add_done_callback(pending.discard)

        await self._client.subscribe(f"{self._bucket}.ask.{worker}", cb=on_message)

    def signed(self, subject: str, data: bytes, about: str = "") -> dict[str, str]:
        """The header of a message that shows that it is of this fleet; *about* as in `Signer`."""
        if self._signer is None:
            return {}
        return {HEADER: self._signer.sign(subject, data, about)}

    def is_ours(
        self, subject: str, data: bytes, headers: Mapping[str, str] | None, about: str = ""
    ) -> bool:
        """Whether a message is of this fleet. Another one is counted, and the first one of each
        kind told."""
        signature = (headers or {}).get(HEADER, "")
        if self._signer is None or self._signer.is_ours(subject, data, signature, about):
            return True
        self.refused += 1
        kind = subject.removeprefix(f"{self._bucket}.").partition(".")[0]
        if kind not in self._refused_kinds:
            self._refused_kinds.add(kind)
            text = "! %s: not signed by a process of this fleet, or by one with other keys (%s)"
            logger.warning(text, subject, "SLICER_STATE_KEY")
        return False

    def check_connected(self) -> None:
        """Raise BusUnavailable while no server is there: what is asked for would be sent once there
        is one."""
        if self.absence:
            raise BusUnavailable(self.absence)

    async def make_stream(self, config: "StreamConfig") -> None:
        """Make a stream, unless it is there. Raises BadInput and BusUnavailable."""
        from nats.js.errors import (  # noqa: PLC0415
            APIError,
            BadRequestError,
            ServiceUnavailableError,
        )

        try:
            await self.js.add_stream(config)
        except BadRequestError:  # it is there, with other settings: an operator's choice
            logger.debug("bus: %s has settings of its own", config.name)
        except ServiceUnavailableError as error:
            raise BusUnavailable(f"the bus: {error.description}") from None
        except APIError as error:
            allowed = f"what these servers can keep ({error.description})"
            raise BadInput("fleet.replicas", config.num_replicas, allowed) from None
        except Exception as error:
            raise unavailable(error) from None

    async def stream_settings(self, stream: str) -> "StreamConfig":
        """What a stream is like. Raises BusUnavailable."""
        try:
            return (await self.js.stream_info(stream)).config
        except Exception as error:
            raise unavailable(error) from None

    async def server_time(self, stream: str) -> datetime:
        """The clock of the server that leads a stream, and dates its messages. Raises
        BusUnavailable."""
        try:
            answer = await self._client.request(
                f"$JS.API.STREAM.INFO.{stream}", timeout=CONNECT / 4
            )
            return datetime.fromisoformat(json.loads(answer.data)["ts"])
        except Exception as error:
            raise unavailable(error) from None

    async def close(self) -> None:
        """May be called twice."""
        self._status.closing = True
        if not self._client.is_closed:
            # What waits to be sent may meet a server that is gone: the connection is closed then.
            with contextlib.suppress(OSError):
                await self._client.close()
        self._status.ended = True

    def _hear(self, worker: str, instance: str) -> None:
        now = time.monotonic()
        heard = self._instances.get(worker, {}) | {instance: now}
        self._instances[worker] = {one: at for one, at in heard.items() if now - at < HEARD}

    async def _say(self, subject: str, data: bytes, headers: dict[str, str] | None = None) -> None:
        from nats.errors import Error  # noqa: PLC0415

        if self._client.is_connected:
            try:
                await self._client.publish(f"{self._bucket}.{subject}", data, headers=headers)
            except Error as error:
                logger.debug("bus: %s is not sent: %s", subject, error)


T = TypeVar("T")


async def until_ready(ask: Callable[[], Awaitable[T]], seconds: float) -> T:
    """Ask servers that may start just now until they answer. Raises the last BusUnavailable once
    *seconds* are over."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return await ask()
        except BusUnavailable:
            if time.monotonic() >= deadline:
                raise
        await asyncio.sleep(UNREADY)


def unavailable(error: Exception) -> BusUnavailable:
    """What is raised where a server refuses, or does not answer in time."""
    return BusUnavailable(f"the bus: {str(error) or type(error).__name__}")


def _inbox(user: str) -> str:
    """Where answers come to: a place of each user's own, so that he may read no other."""
    return f"_INBOX_{user}" if NAME.fullmatch(user) else "_INBOX"


def _file(field: str, name: str) -> str:
    if name and not Path(name).is_file():
        raise BadInput(f"fleet.{field}", name, "a file that is there")
    return name


def _credentials(name: str) -> str | None:
    """A file that nats-py can use: it reads on for ever where what it looks for is not there."""
    if not name:
        return None
    try:
        text = Path(_file("credentials", name)).read_text(errors="replace")
    except OSError as error:
        allowed = f"a file that can be read ({error.strerror})"
        raise BadInput("fleet.credentials", name, allowed) from None
    if not _CREDENTIALS.search(text):
        allowed = "a file of a user's JWT and seed, as nsc makes it"
        raise BadInput("fleet.credentials", name, allowed)
    return name


def _tls(settings: FleetSettings) -> ssl.SSLContext | None:
    """None where nothing asks for TLS."""
    if not settings.tls_ca and not any(url.startswith("tls://") for url in settings.servers):
        return None
    names = [settings.tls_ca, settings.tls_cert, settings.tls_key]
    try:
        for field, name in zip(("tls_ca", "tls_cert", "tls_key"), names, strict=True):
            _file(field, name)
        context = ssl.create_default_context(cafile=names[0] or None)
        if names[1]:
            context.load_cert_chain(names[1], names[2])
    except (ssl.SSLError, OSError) as error:
        raise BadInput("fleet.tls_ca", names[0], f"PEM files that fit ({error})") from None
    return context
