"""A truthful front of COS: checks each `q-sign-algorithm=sha1` signature, knows its headers.

https://www.tencentcloud.com/document/product/436/7778
"""

import hmac
import re
import time
from collections.abc import Iterator
from hashlib import sha1
from urllib.parse import parse_qsl, quote, unquote, urlsplit

import pytest

from tests.harness.storage.object_front import (
    SECRETS,
    Admitted,
    Refusal,
    Request,
    Vendor,
    running_front,
    serve,
)
from tests.harness.storage.seaweed import Seaweed

REGION = "ap-guangzhou"
VENDOR = Vendor("cos", "tencent-cos", "server-side-encryption-cos-kms-key-id", "cos/kms")
APPID = "1250000000"
HOST = re.compile(rf"([a-z0-9-]+-{APPID})\.cos\.{REGION}\.myqcloud\.com")
CLASSES = {"STANDARD", "STANDARD_IA", "INTELLIGENT_TIERING", "ARCHIVE", "DEEP_ARCHIVE"}
BAD = (403, "SignatureDoesNotMatch", "The Signature you specified is invalid.")


def admit(request: Request) -> Admitted:
    """Raises Refusal."""
    headers = request.headers
    host = HOST.fullmatch(headers.get("host", ""))
    if not host:
        raise Refusal(404, "NoSuchBucket", "The specified bucket does not exist.")
    signed = headers.get("authorization") or urlsplit(request.path).query
    fields = dict(parse_qsl(signed, keep_blank_values=True))
    if fields.get("q-sign-algorithm") != "sha1":
        raise Refusal(403, "AccessDenied", "Access Denied.")
    keys = SECRETS.get(fields["q-ak"])
    if keys is None:
        raise Refusal(403, "InvalidAccessKeyId", "The access key Id format you provided is invalid")
    start, end = (int(each) for each in fields["q-sign-time"].split(";"))
    if not start <= time.time() <= end:
        raise Refusal(403, "AccessDenied", "Request has expired")
    expected = signature(request, fields, keys.secret_key)
    if not hmac.compare_digest(expected, fields["q-signature"]):
        raise Refusal(*BAD)
    if headers.get("x-cos-storage-class", "STANDARD") not in CLASSES:
        raise Refusal(400, "InvalidStorageClass", "The storage class is not supported.")
    key = unquote(urlsplit(request.path).path)[1:]
    return Admitted(keys, host[1], key)


def signature(request: Request, fields: dict[str, str], secret: str) -> str:
    """What the signer must have computed from what has arrived."""
    split = urlsplit(request.path)
    params = {encode(name): value for name, value in parse_qsl(split.query)}
    listed = [name for name in fields["q-header-list"].split(";") if name]
    if "host" not in listed:
        raise Refusal(*BAD)
    heads = [(name, request.headers.get(unquote(name), "")) for name in listed]
    asked = [(name, params[name]) for name in fields["q-url-param-list"].split(";") if name]
    http = "\n".join([request.method.lower(), unquote(split.path), joined(asked), joined(heads)])
    digest = sha1(f"{http}\n".encode()).hexdigest()
    to_sign = f"sha1\n{fields['q-sign-time']}\n{digest}\n"
    key = hmac.new(secret.encode(), fields["q-key-time"].encode(), sha1).hexdigest()
    return hmac.new(key.encode(), to_sign.encode(), sha1).hexdigest()


def encode(text: str) -> str:
    return quote(text, safe="-_.~").lower()


def joined(pairs: list[tuple[str, str]]) -> str:
    return "&".join(f"{name}={quote(value, safe='-_.~')}" for name, value in sorted(pairs))


@pytest.fixture(scope="session")
def cos(seaweed: Seaweed) -> Iterator[str]:
    """The endpoint of a front before the session's SeaweedFS."""
    with running_front("cos_front", seaweed.endpoint) as endpoint:
        yield endpoint


if __name__ == "__main__":
    serve(admit, VENDOR)
