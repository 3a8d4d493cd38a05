"""A truthful front of Azure Blob Storage: checks each SharedKey signature, and answers as
learn.microsoft.com/rest/api/storageservices says (Put Blob, Blob Batch, "Authorize with Shared
Key"). An account of a test is a signer of SeaweedFS; its key is that signer's secret in base64.
"""

import base64
import hmac
import re
from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from hashlib import sha256
from time import time
from urllib.parse import parse_qsl, unquote, urlsplit

import pytest

from slicer.storage import Credentials
from tests.harness.storage.object_front import (
    SECRETS,
    Admitted,
    Refusal,
    Request,
    Vendor,
    running_front,
    serve,
)
from tests.harness.storage.seaweed import READER, Seaweed

VENDOR = Vendor(
    "ms", "Windows-Azure-Blob/1.0", "encryption-key", "kms", class_header="access-tier", opaque=True
)
TIERS = {"Hot", "Cool", "Cold", "Archive"}
SKEW_SECONDS = 900
SIGNED = (
    "content-encoding", "content-language", "content-length", "content-md5", "content-type", "",
    "if-modified-since", "if-match", "if-none-match", "if-unmodified-since", "range",
)  # fmt: skip
"""The headers of the string to sign, in order; the date is empty where x-ms-date is sent."""
BAD = (
    403,
    "AuthenticationFailed",
    "Server failed to authenticate the request. Make sure the value of Authorization header is "
    "formed correctly including the signature.",
)


def account(keys: Credentials) -> Credentials:
    """What an operator gives: the account's name and its key."""
    return Credentials(keys.access_key, base64.b64encode(keys.secret_key.encode()).decode())


def admit(request: Request) -> Admitted:
    """Raises Refusal."""
    headers = request.headers
    signed = re.fullmatch(r"SharedKey ([^:]+):(.+)", headers.get("authorization", ""))
    keys = SECRETS.get(signed[1]) if signed else None
    if signed is None or keys is None:
        raise Refusal(*BAD)
    moment = headers.get("x-ms-date") or headers.get("date", "")
    if abs(parsedate_to_datetime(moment).timestamp() - time()) > SKEW_SECONDS:
        raise Refusal(*BAD)
    if not hmac.compare_digest(signature(request, keys), signed[2]):
        raise Refusal(*BAD)
    if keys == READER:
        message = "This request is not authorized to perform this operation using this permission."
        raise Refusal(403, "AuthorizationPermissionMismatch", message)
    if request.method == "PUT" and headers.get("x-ms-blob-type") != "BlockBlob":
        raise Refusal(400, "MissingRequiredHeader", "x-ms-blob-type is missing.")
    if headers.get("x-ms-access-tier", "Hot") not in TIERS:
        raise Refusal(400, "InvalidHeaderValue", "The value of x-ms-access-tier is not valid.")
    _, container, key = (*urlsplit(request.path).path.split("/", 2), "")[:3]
    return Admitted(keys, unquote(container), unquote(key))


def signature(request: Request, keys: Credentials) -> str:
    """What the signer must have computed from what has arrived."""
    headers, split = request.headers, urlsplit(request.path)
    length = headers.get("content-length", "")
    plain = {**headers, "content-length": "" if length == "0" else length}
    date = "" if "x-ms-date" in headers else headers.get("date", "")
    listed = [date if name == "" else plain.get(name, "") for name in SIGNED]
    extended = sorted(name for name in headers if name.startswith("x-ms-"))
    resource = f"/{keys.access_key}{split.path}"
    for name, value in sorted(parse_qsl(split.query, keep_blank_values=True)):
        resource += f"\n{name.lower()}:{value}"
    text = "\n".join(
        [request.method, *listed, *(f"{name}:{headers[name]}" for name in extended), resource]
    )
    secret = base64.b64decode(account(keys).secret_key)
    return base64.b64encode(hmac.digest(secret, text.encode(), sha256)).decode()


@pytest.fixture(scope="session")
def az(seaweed: Seaweed) -> Iterator[str]:
    """The endpoint of a front before the session's SeaweedFS."""
    with running_front("azure_front", seaweed.endpoint) as endpoint:
        yield endpoint


if __name__ == "__main__":
    serve(admit, VENDOR)
