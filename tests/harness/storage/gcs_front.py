"""A truthful front of Google Cloud Storage's XML API: checks each token that a service account
has signed for itself (RS256, RFC 7519), and answers as cloud.google.com/storage/docs/xml-api says.

Each signer of SeaweedFS has a service account; all keys are made for the session.
"""

import json
import sys
from collections.abc import Iterator
from functools import cache
from urllib.parse import unquote, urlsplit

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

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

VENDOR = Vendor("goog", "UploadServer", "encryption-kms-key-name", "kms")
CLASSES = {"STANDARD", "NEARLINE", "COLDLINE", "ARCHIVE"}
SCOPE = "https://www.googleapis.com/auth/devstorage.full_control"
DOMAIN = "@test.iam.gserviceaccount.com"


@cache
def account_key(of: str) -> rsa.RSAPrivateKey:
    """The key of this account, or of a forger."""
    return rsa.generate_private_key(public_exponent=65_537, key_size=2_048)


def account(keys: Credentials) -> Credentials:
    """What an operator gives: the account's key as JSON. A wrong secret signs by another key."""
    signs = "accounts" if keys in SECRETS.values() else "forger"
    private = account_key(signs).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    fields = {
        "type": "service_account",
        "client_email": keys.access_key + DOMAIN,
        "private_key_id": "key-1",
        "private_key": private.decode(),
    }
    return Credentials("", json.dumps(fields))


def admit(request: Request) -> Admitted:
    """Raises Refusal."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    try:
        claims = jwt.decode(
            token if scheme == "Bearer" else "",
            sys.argv[2],
            ["RS256"],
            options={"require": ["iss", "sub", "exp", "iat"], "verify_aud": False},
        )
    except jwt.PyJWTError as error:
        raise Refusal(401, "AuthenticationRequired", "Authentication required.") from error
    keys = SECRETS.get(claims["iss"].removesuffix(DOMAIN))
    if keys is None or claims["sub"] != claims["iss"]:
        raise Refusal(401, "AuthenticationRequired", "Authentication required.")
    if claims.get("scope") not in {SCOPE, "https://www.googleapis.com/auth/cloud-platform"}:
        raise Refusal(403, "AccessDenied", "Access denied.")
    if keys == READER:
        raise Refusal(403, "AccessDenied", "Access denied.")
    _, bucket, key = (*urlsplit(request.path).path.split("/", 2), "")[:3]
    if request.headers.get("x-goog-storage-class", "STANDARD") not in CLASSES:
        raise Refusal(400, "InvalidStorageClass", "The storage class you specified is not valid.")
    return Admitted(keys, unquote(bucket), unquote(key))


@pytest.fixture(scope="session")
def gs(seaweed: Seaweed) -> Iterator[str]:
    """The endpoint of a front before the session's SeaweedFS."""
    public = account_key("accounts").public_key()
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    with running_front("gcs_front", seaweed.endpoint, pem) as endpoint:
        yield endpoint


if __name__ == "__main__":
    serve(admit, VENDOR)
