"""TC3-HMAC-SHA256: how requests to Tencent Cloud's APIs are signed.

https://www.tencentcloud.com/document/product/1278/46715
"""

import hashlib
import hmac

ALGORITHM = "TC3-HMAC-SHA256"


def sign(secret_key: str, timestamp: int, date: str, service: str, canonical: str) -> str:
    """The signature of a canonical request, in hexadecimal; *date*: the timestamp's, YYYY-MM-DD."""
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    text = f"{ALGORITHM}\n{timestamp}\n{date}/{service}/tc3_request\n{digest}"
    key = f"TC3{secret_key}".encode()
    for part in (date, service, "tc3_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return hmac.digest(key, text.encode(), "sha256").hex()
