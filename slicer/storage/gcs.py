"""Google Cloud Storage, by obstore: `gs://bucket/prefix`.

The secret key is the JSON of a service account's key; there is no access key. Without one, what
GOOGLE_APPLICATION_CREDENTIALS names is used, or else the account of the machine (its metadata
server). HMAC keys are for `s3://bucket?endpoint=https://storage.googleapis.com` instead.

An object's ETag is its MD5 by the XML API (cloud.google.com/storage/docs/hashes-etags), which
obstore speaks; one that a customer's key encrypts has another.
"""

import re
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import SplitResult

from slicer.storage import Credentials
from slicer.storage.bucket import Bucket, Vendor
from slicer.storage.objects import ObjectStorage, Timeouts
from slicer.storage.obstore_client import NO_RETRY, ObstoreClient, client_options, require_obstore

if TYPE_CHECKING:
    from obstore.store import GCSConfig, GCSStore

# cloud.google.com/storage/docs/buckets#naming; names with dots, which need a domain, may be longer.
_BUCKET = re.compile(r"(?=.{3,222}$)[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?(?:\.[a-z0-9_-]{1,63})*")
GCS = Vendor(
    "gs",
    lambda name: _BUCKET.fullmatch(name) is not None,
    "a bucket's name: 3 to 63 of a-z 0-9 - _, first and last a letter or digit",
    (),
    ("STANDARD", "NEARLINE", "COLDLINE", "ARCHIVE"),
    "europe-west1",
)
RIGHT = "storage.objects.create"
ADVICE = (
    "give a service account's key (JSON) as the secret key, or set GOOGLE_APPLICATION_CREDENTIALS"
)


def open_gcs(url: SplitResult, credentials: Credentials | None = None) -> ObjectStorage:
    """Open `gs://bucket/prefix?class=…&endpoint=…`; no I/O. Raises BadInput."""
    bucket = Bucket.from_url(url, GCS)
    require_obstore(url.scheme, "gcs")
    return gcs_storage(bucket, credentials)


def gcs_storage(
    bucket: Bucket, credentials: Credentials | None = None, timeouts: Timeouts | None = None
) -> ObjectStorage:
    """The same for a bucket that was read already."""
    make = partial(gcs_store, bucket, credentials, timeouts or Timeouts())
    client = ObstoreClient(make, credentials, RIGHT, ADVICE, bucket.storage_class)
    return ObjectStorage(bucket, client)


def gcs_store(bucket: Bucket, credentials: Credentials | None, timeouts: Timeouts) -> "GCSStore":
    """What obstore opens for it."""
    from obstore.store import GCSStore  # noqa: PLC0415

    config: GCSConfig = {}
    if credentials is not None:
        config["service_account_key"] = credentials.secret_key
    if bucket.endpoint is not None:
        config["base_url"] = bucket.endpoint
    options = client_options(bucket.endpoint, timeouts)
    return GCSStore(bucket.name, config=config, client_options=options, retry_config=NO_RETRY)
