"""The `Sign` header of a webhook: that its body comes from who knows the key."""

import base64
import hashlib
import hmac


def sign(key: str, body: bytes) -> str:
    """Base64 of HMAC-SHA256 over the raw body."""
    return base64.b64encode(hmac.digest(key.encode(), body, hashlib.sha256)).decode()
