"""Puts to S3 at a fifth of botocore's CPU, by obstore, where that suffices.

What it cannot prove or explain (an ETag that is no MD5, a redirect, no answer) is left to
botocore, which sees all headers, knows how to wait on a thin line and names each fault.
"""

import os
from ipaddress import ip_address
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from slicer.errors import StorageUnavailable
from slicer.storage import Credentials
from slicer.storage.bucket import Bucket
from slicer.storage.objects import Timeouts, Upload
from slicer.storage.obstore_client import NO_RETRY, answered, client_options, timed_out
from slicer.storage.proof import Acknowledgement
from slicer.storage.transport import UNREACHABLE

if TYPE_CHECKING:
    from obstore.store import S3Config

try:
    import obstore
    from obstore.exceptions import BaseError
    from obstore.store import S3Store
except ImportError:
    FAST = False
else:
    FAST = True
"""The extra `fast` is there."""

RIGHT = "s3:PutObject"
RESPITE = 100
"""Puts that are left to botocore after one that had to be."""

# obstore obeys them even where keys are given, and botocore does not.
_VARIABLES = ("AWS_SESSION_TOKEN", "AWS_SKIP_SIGNATURE", "AWS_UNSIGNED_PAYLOAD", "AWS_PROXY_URL")


def fits(bucket: Bucket, credentials: Credentials | None) -> bool:
    """Whether this client would say to this bucket what botocore would."""
    place = bucket.region and (bucket.endpoint or not bucket.region.startswith("cn-"))
    plain = not any(name in os.environ for name in _VARIABLES)
    return bool(FAST and credentials and place and plain)


class FastS3:
    """One bucket, used by several threads."""

    def __init__(self, bucket: Bucket, credentials: Credentials, timeouts: Timeouts) -> None:
        endpoint, in_host = endpoint_of(bucket)
        config: S3Config = {}
        if bucket.encryption:
            config["server_side_encryption"] = bucket.encryption
        if bucket.encryption_key:
            config["sse_kms_key_id"] = bucket.encryption_key
        self._kms = bucket.encryption not in {None, "AES256"}
        self._class = {"Storage-Class": bucket.storage_class} if bucket.storage_class else {}
        self._left_out = 0
        self._store = S3Store(
            bucket.name,
            config=config,
            region=bucket.region,
            endpoint=endpoint,
            virtual_hosted_style_request=in_host,
            access_key_id=credentials.access_key,
            secret_access_key=credentials.secret_key,
            client_options=client_options(endpoint, timeouts),
            retry_config=NO_RETRY,
        )

    def put(self, upload: Upload) -> Acknowledgement | None:
        """None: botocore has to do it. Raises StorageError."""
        if self._left_out:
            self._left_out -= 1
            return None
        attributes = {"Content-Type": upload.content_type, **self._class, **upload.metadata}
        try:
            result = obstore.put(
                self._store,
                upload.name,
                upload.data,
                attributes=attributes,
                use_multipart=False,
            )
        except (BaseError, OSError) as error:
            self._explain(upload.name, str(error))
            self._left_out = RESPITE
            return None
        etag = result["e_tag"] or ""
        if self._kms or etag.strip('"') == upload.md5.hex():
            return Acknowledgement(etag, self._kms)
        self._left_out = RESPITE
        return None

    def _explain(self, name: str, text: str) -> None:
        """Raises what the error is, where it is plain."""
        if failure := answered(name, text, RIGHT):
            raise failure
        if timed_out(text):
            self._left_out = RESPITE  # perhaps the line is thin: botocore has more patience
            raise StorageUnavailable(name, "no answer in time", UNREACHABLE)


def endpoint_of(bucket: Bucket) -> tuple[str, bool]:
    """Where to, and whether the bucket's name is in the host: as botocore has it."""
    url = urlsplit(bucket.endpoint or f"https://s3.{bucket.region}.amazonaws.com")
    host = url.hostname or ""
    try:
        ip_address(host)
    except ValueError:
        in_host = not bucket.path_style and "." not in bucket.name
    else:
        in_host = False
    return f"{url.scheme}://{bucket.name}.{url.netloc}" if in_host else url.geturl(), in_host
