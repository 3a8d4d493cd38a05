"""An HTTP server that speaks another vendor's protocol and stores into SeaweedFS as the signer.

It runs in a process of its own, so that a benchmark can tell its CPU from the client's.
"""

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC
from email import message_from_bytes
from email.utils import format_datetime, formatdate
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import parse_qsl, quote, urlsplit
from xml.sax.saxutils import escape

from boto3.session import Session
from botocore.config import Config
from botocore.exceptions import ClientError
from crcmod.crcmod import mkCrcFun

from slicer.storage import Credentials
from tests.harness.storage.seaweed import OWNER, READER, REGION, WRITER

ROOT = Path(__file__).parents[3]
SECRETS = {keys.access_key: keys for keys in (OWNER, WRITER, READER)}
crc64 = mkCrcFun(0x142F0E1EBA9EA3693, initCrc=0, rev=True, xorOut=0xFFFF_FFFF_FFFF_FFFF)


@dataclass(frozen=True)
class Request:
    """As it came. *path* as it was sent, *headers* with lower-case names."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True)
class Admitted:
    """What a request with a good signature wants."""

    keys: Credentials
    bucket: str
    key: str


@dataclass(frozen=True)
class Vendor:
    """How a vendor names things: *name* in its headers; *server*: itself; *key_header*: the header
    of a KMS key, behind `x-NAME-`; *kms*: encryption by KMS; *capitals*: so it writes an ETag;
    *class_header*: of the storage class; *opaque*: its ETags say nothing of the bytes."""

    name: str
    server: str
    key_header: str
    kms: str
    capitals: bool = False
    class_header: str = "storage-class"
    opaque: bool = False

    def facts(self, headers: dict[str, str]) -> dict[str, str]:
        """The user's metadata, and what else the request said, for tests to see."""
        meta = f"x-{self.name}-meta-"
        kept = {
            name.removeprefix(meta): value
            for name, value in headers.items()
            if name.startswith(meta)
        }
        told = {
            "front-class": headers.get(f"x-{self.name}-{self.class_header}"),
            "front-sse": headers.get(f"x-{self.name}-server-side-encryption"),
            "front-sse-key": headers.get(f"x-{self.name}-{self.key_header}"),
        }
        return kept | {name: value for name, value in told.items() if value}

    def answer(self, headers: dict[str, str], body: bytes, etag: str) -> dict[str, str]:
        """The vendor's own headers; an ETag under KMS is not the MD5."""
        etag = f'"0x{etag[1:17].upper()}"' if self.opaque else etag
        told = {
            "ETag": etag.upper() if self.capitals else etag,
            "Last-Modified": formatdate(usegmt=True),
            f"x-{self.name}-hash-crc64ecma": str(crc64(body)),
            "Server": self.server,
        }
        if encryption := headers.get(f"x-{self.name}-server-side-encryption"):
            told[f"x-{self.name}-server-side-encryption"] = encryption
            if encryption == self.kms:
                told["ETag"] = '"' + "0" * 32 + '"'
        return told


class Refusal(Exception):
    """An answer that is no success."""

    def __init__(self, status: int, code: str, message: str) -> None:
        self.status, self.code, self.message = status, code, message
        super().__init__(code)


Admit = Callable[[Request], Admitted]
Work = Callable[[str, Request, Admit, Vendor], bytes]
"""Carries a request out, and gives the answer's body. Raises Refusal."""


@cache
def upstream(endpoint: str, keys: Credentials) -> Any:
    """A client of SeaweedFS with one signer's keys."""
    config = Config(
        retries={"total_max_attempts": 1}, max_pool_connections=32, s3={"addressing_style": "path"}
    )
    return Session().client(
        "s3",
        region_name=REGION,
        endpoint_url=endpoint,
        aws_access_key_id=keys.access_key,
        aws_secret_access_key=keys.secret_key,
        config=config,
    )


def carry_out(endpoint: str, request: Request, wanted: Admitted, vendor: Vendor) -> dict[str, str]:
    """Store or delete; the headers of the answer. Raises Refusal."""
    check_bucket(endpoint, wanted.bucket, "ContainerNotFound" if vendor.opaque else "NoSuchBucket")
    client = upstream(endpoint, wanted.keys)
    try:
        if request.method == "DELETE":
            client.delete_object(Bucket=wanted.bucket, Key=wanted.key)
            return {}
        told = client.put_object(
            Bucket=wanted.bucket,
            Key=wanted.key,
            Body=request.body,
            ContentType=request.headers.get("content-type", ""),
            Metadata=vendor.facts(request.headers),
            **({"ContentMD5": md5} if (md5 := request.headers.get("content-md5")) else {}),
        )
    except ClientError as error:
        status = error.response["ResponseMetadata"]["HTTPStatusCode"]
        said = error.response["Error"]
        raise Refusal(status, said["Code"], said["Message"]) from error
    return vendor.answer(request.headers, request.body, told["ETag"])


found_buckets: set[str] = set()


def check_bucket(endpoint: str, bucket: str, code: str) -> None:
    """SeaweedFS denies access to a bucket that is not there; the vendors say that it is not."""
    if bucket in found_buckets:
        return
    try:
        upstream(endpoint, OWNER).head_bucket(Bucket=bucket)
    except ClientError as error:
        raise Refusal(404, code, "The specified bucket does not exist.") from error
    found_buckets.add(bucket)


def carry_out_batch(endpoint: str, request: Request, admit: Admit, vendor: Vendor) -> bytes:
    """Azure's batch of requests, each of which is signed (Blob Batch); the answer's body."""
    admit(request)
    head = f"Content-Type: {request.headers['content-type']}\r\n\r\n".encode()
    parts = [
        one for one in message_from_bytes(head + request.body).walk() if not one.is_multipart()
    ]
    answers = ""
    for part in parts:
        lines = str(part.get_payload()).splitlines()
        method, path, _ = lines[0].split(" ")
        pairs = (line.partition(":") for line in lines[1:] if line)
        asked = {name.lower(): value.strip() for name, _, value in pairs}
        one = Request(method, path, asked, b"")
        carry_out(endpoint, one, admit(one), vendor)
        answers += (
            f"--b\r\nContent-Type: application/http\r\nContent-ID: {part['content-id']}\r\n\r\n"
            "HTTP/1.1 202 Accepted\r\n\r\n"
        )
    return f"{answers}--b--\r\n".encode()


def fetch(endpoint: str, request: Request, admit: Admit, vendor: Vendor) -> bytes:
    """An object, by a URL that was signed beforehand or by a signed request; the list of a bucket
    where no object is named."""
    wanted = admit(request)
    client = upstream(endpoint, wanted.keys)
    if not wanted.key:
        check_bucket(endpoint, wanted.bucket, "NoSuchBucket")
        return listing(client, wanted.bucket, dict(parse_qsl(urlsplit(request.path).query)), vendor)
    try:
        data: bytes = client.get_object(Bucket=wanted.bucket, Key=wanted.key)["Body"].read()
    except client.exceptions.NoSuchKey:
        code = "BlobNotFound" if vendor.opaque else "NoSuchKey"
        raise Refusal(404, code, "The specified object does not exist.") from None
    return data


def listing(client: Any, bucket: str, query: dict[str, str], vendor: Vendor) -> bytes:
    """Two objects at a time, as the XML API of Google or List Blobs of Azure has them."""
    token = query.get("marker" if vendor.opaque else "continuation-token")
    more = {"ContinuationToken": token} if token else {}
    found = client.list_objects_v2(Bucket=bucket, Prefix=query.get("prefix", ""), MaxKeys=2, **more)
    following = found.get("NextContinuationToken", "")
    parts = ""
    # So that a key may hold what XML cannot.
    encode = quote if query.get("encoding-type") == "url" else str
    for one in found.get("Contents", []):
        name, at = escape(encode(one["Key"])), one["LastModified"]
        etag, size = escape(one["ETag"]), one["Size"]
        if vendor.opaque:
            parts += (
                f"<Blob><Name>{name}</Name><Properties><Last-Modified>"
                f"{format_datetime(at.astimezone(UTC), usegmt=True)}</Last-Modified>"
                f"<Content-Length>{size}</Content-Length><Content-Type>a/b</Content-Type>"
                f"<Etag>{etag}</Etag></Properties></Blob>"
            )
        else:
            parts += (
                f"<Contents><Key>{name}</Key><LastModified>{at.isoformat()}</LastModified>"
                f"<ETag>{etag}</ETag><Size>{size}</Size></Contents>"
            )
    if vendor.opaque:
        inner = f"<Blobs>{parts}</Blobs><NextMarker>{following}</NextMarker>"
        return f"<EnumerationResults>{inner}</EnumerationResults>".encode()
    if encode is quote:
        parts += "<EncodingType>url</EncodingType>"
    if following:
        parts += f"<NextContinuationToken>{encode(following)}</NextContinuationToken>"
    return f"<ListBucketResult>{parts}</ListBucketResult>".encode()


def as_xml(fields: dict[str, str]) -> bytes:
    inner = "".join(f"<{tag}>{escape(text)}</{tag}>" for tag, text in fields.items())
    return f"<?xml version='1.0' encoding='utf-8' ?>\n<Error>{inner}</Error>".encode()


class Handler(BaseHTTPRequestHandler):
    """Of the one front of this process, which `serve` describes."""

    admit: ClassVar[Admit]
    vendor: ClassVar[Vendor]
    endpoint: ClassVar[str]
    protocol_version = "HTTP/1.1"
    wbufsize = -1
    disable_nagle_algorithm = True

    def do_PUT(self) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        body = self.rfile.read(int(headers.get("content-length", "0")))
        if len(body) < int(headers.get("content-length", "0")):
            return  # it broke off: nothing is stored
        request = Request(self.command, self.path, headers, body)
        try:
            told = carry_out(self.endpoint, request, type(self).admit(request), self.vendor)
        except Refusal as refusal:
            self.refuse(refusal)
            return
        self.send_response(200 if self.command == "PUT" else 204)
        for name, value in told.items():
            self.send_header(name, value)
        self.finish_headers(0)

    do_DELETE = do_PUT

    def do_GET(self) -> None:
        # What a reader of objects needs; what is asked of the bytes, the front does not know.
        told = {"ETag": '"of-the-front"', "Last-Modified": formatdate(usegmt=True)}
        self.answer(200, told, fetch)

    def do_POST(self) -> None:
        self.answer(202, {"Content-Type": "multipart/mixed; boundary=b"}, carry_out_batch)

    def answer(self, status: int, told: dict[str, str], work: Work) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        body = self.rfile.read(int(headers.get("content-length", "0")))
        request = Request(self.command, self.path, headers, body)
        try:
            data = work(self.endpoint, request, type(self).admit, self.vendor)
        except Refusal as refusal:
            self.refuse(refusal)
            return
        self.send_response(status)
        for name, value in told.items():
            self.send_header(name, value)
        self.finish_headers(len(data))
        self.wfile.write(data)

    def refuse(self, refusal: Refusal) -> None:
        fields = {
            "Code": refusal.code,
            "Message": refusal.message,
            "Resource": self.path,
            "RequestId": "NWZmM2E5ZjBfYTJi",
        }
        xml = as_xml(fields)
        self.send_response(refusal.status)
        self.send_header("Content-Type", "application/xml")
        self.finish_headers(len(xml))
        self.wfile.write(xml)

    def finish_headers(self, length: int) -> None:
        self.send_header(f"x-{self.vendor.name}-request-id", "NWZmM2E5ZjBfYTJi")
        self.send_header("Content-Length", str(length))
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Nothing is written."""


def serve(admit: Admit, vendor: Vendor) -> None:
    """The program of a front's process: the store's endpoint is its argument, the port of the
    front its first line."""
    Handler.admit, Handler.vendor = staticmethod(admit), vendor
    Handler.endpoint = sys.argv[1]
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    print(server.server_port, flush=True)
    server.serve_forever()


@contextmanager
def running_front(module: str, endpoint: str, *more: str) -> Iterator[str]:
    """The front of this folder's *module* before the store at *endpoint*; gives its own."""
    command = [sys.executable, "-m", f"tests.harness.storage.{module}", endpoint, *more]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    try:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"
    finally:
        process.kill()
        process.wait()
