"""A truthful front of OSS: checks each V4 signature (OSS4-HMAC-SHA256), knows its headers.

https://www.alibabacloud.com/help/en/oss/developer-reference/recommend-to-use-signature-version-4
"""

import hmac
import re
import time
from calendar import timegm
from collections.abc import Iterator
from hashlib import sha256
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

REGION = "cn-hangzhou"
VENDOR = Vendor("oss", "AliyunOSS", "server-side-encryption-key-id", "KMS", capitals=True)
CLASSES = {"Standard", "IA", "Archive", "ColdArchive", "DeepColdArchive"}
SKEW_SECONDS = 900
TIME = "%Y%m%dT%H%M%SZ"
SIGNATURE = "x-oss-signature="
HEADER = re.compile(
    r"OSS4-HMAC-SHA256 Credential=(?P<id>[^/]+)/(?P<scope>(?P<day>\d{8})/(?P<region>[^/]+)/oss/"
    r"aliyun_v4_request)(,AdditionalHeaders=(?P<more>[^,]*))?,Signature=(?P<signature>[0-9a-f]{64})"
)
BAD = "The request signature we calculated does not match the signature you provided."


def admit(request: Request) -> Admitted:
    """Raises Refusal."""
    headers = request.headers
    signed = HEADER.fullmatch(headers.get("authorization") or as_header(request))
    if not signed:
        raise Refusal(403, "AccessDenied", "Anonymous access is forbidden for this operation.")
    keys = SECRETS.get(signed["id"])
    if keys is None:
        raise Refusal(403, "InvalidAccessKeyId", "The OSS Access Key Id does not exist.")
    moment, expires = signed_at(request)
    if expires is not None and timegm(time.strptime(moment, TIME)) + expires < time.time():
        raise Refusal(403, "AccessDenied", "Request has expired.")
    if expires is None and abs(time.time() - timegm(time.strptime(moment, TIME))) > SKEW_SECONDS:
        raise Refusal(403, "RequestTimeTooSkewed", "The difference is too large.")
    if signed["region"] != REGION or not moment.startswith(signed["day"]):
        raise Refusal(400, "InvalidArgument", "Invalid signing region in Authorization header.")
    _, bucket, key = unquote(urlsplit(request.path).path).split("/", 2)
    expected = signature(request, signed, f"/{bucket}/{key}", keys.secret_key)
    if not hmac.compare_digest(expected, signed["signature"]):
        raise Refusal(403, "SignatureDoesNotMatch", BAD)
    if headers.get("x-oss-storage-class", "Standard") not in CLASSES:
        raise Refusal(400, "InvalidArgument", "The storage class you specified is not valid.")
    return Admitted(keys, bucket, key)


def as_header(request: Request) -> str:
    """The signature of a URL that was signed beforehand, as a header would have it."""
    query = dict(parse_qsl(urlsplit(request.path).query, keep_blank_values=True))
    return (
        f"{query.get('x-oss-signature-version', '')} Credential={query.get('x-oss-credential', '')}"
        f",Signature={query.get('x-oss-signature', '')}"
    )


def signed_at(request: Request) -> tuple[str, int | None]:
    """When it was signed, and for how many seconds where it is a URL."""
    query = dict(parse_qsl(urlsplit(request.path).query))
    if "x-oss-expires" in query:
        return query["x-oss-date"], int(query["x-oss-expires"])
    return request.headers.get("x-oss-date", ""), None


def signature(request: Request, signed: re.Match[str], resource: str, secret: str) -> str:
    """What the signer must have computed from what has arrived."""
    headers, query = request.headers, urlsplit(request.path).query
    more = [name for name in (signed["more"] or "").split(";") if name]
    listed = sorted(
        name
        for name in headers
        if name.startswith("x-oss-") or name in {"content-type", "content-md5"} or name in more
    )
    canonical = "\n".join(
        [
            request.method,
            quote(resource, safe="/"),
            "&".join(sorted(one for one in query.split("&") if not one.startswith(SIGNATURE))),
            *(f"{name}:{headers[name].strip()}" for name in listed),
            "",
            ";".join(more),
            headers.get("x-oss-content-sha256", "UNSIGNED-PAYLOAD"),
        ]
    )
    digest = sha256(canonical.encode()).hexdigest()
    to_sign = "\n".join(["OSS4-HMAC-SHA256", signed_at(request)[0], signed["scope"], digest])
    key = f"aliyun_v4{secret}".encode()
    for part in signed["scope"].split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    return hmac.digest(key, to_sign.encode(), "sha256").hex()


@pytest.fixture(scope="session")
def oss(seaweed: Seaweed) -> Iterator[str]:
    """The endpoint of a front before the session's SeaweedFS."""
    with running_front("oss_front", seaweed.endpoint) as endpoint:
        yield endpoint


if __name__ == "__main__":
    serve(admit, VENDOR)
