"""Azure Blob Storage, by obstore: `az://container/prefix`.

The access key is the account's name, the secret key one of its keys. Without them, obstore looks
where Azure's tools do: AZURE_STORAGE_ACCOUNT_NAME with AZURE_STORAGE_ACCOUNT_KEY, a client's
AZURE_CLIENT_ID, _SECRET and AZURE_TENANT_ID, or the identity of the machine.

A blob's ETag says nothing of its bytes, and obstore shows no other sum: what proves an upload is
the answer itself, and TLS on the way.
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
    from obstore.store import AzureConfig, AzureStore

# learn.microsoft.com: "Naming and referencing containers, blobs, and metadata".
_CONTAINER = re.compile(r"(?=.{3,63}$)[a-z0-9]+(?:-[a-z0-9]+)*")
AZURE = Vendor(
    "az",
    lambda name: _CONTAINER.fullmatch(name) is not None,
    "a container's name: 3 to 63 of a-z 0-9 -, no two - together, first and last a letter or digit",
    (),
    ("Hot", "Cool", "Cold", "Archive"),
    "westeurope",
)
RIGHT = "Storage Blob Data Contributor"
ADVICE = (
    "give the account's name as access key and its key as secret key, or set "
    "AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY"
)


def open_azure(url: SplitResult, credentials: Credentials | None = None) -> ObjectStorage:
    """Open `az://container/prefix?class=…&endpoint=…`; no I/O. Raises BadInput."""
    bucket = Bucket.from_url(url, AZURE)
    require_obstore(url.scheme, "azure")
    return azure_storage(bucket, credentials)


def azure_storage(
    bucket: Bucket, credentials: Credentials | None = None, timeouts: Timeouts | None = None
) -> ObjectStorage:
    """The same for a container that was read already."""
    make = partial(azure_store, bucket, credentials, timeouts or Timeouts())
    client = ObstoreClient(make, credentials, RIGHT, ADVICE, bucket.storage_class)
    return ObjectStorage(bucket, client)


def azure_store(
    bucket: Bucket, credentials: Credentials | None, timeouts: Timeouts
) -> "AzureStore":
    """What obstore opens for it."""
    from obstore.store import AzureStore  # noqa: PLC0415

    config: AzureConfig = {}
    if credentials is not None:
        config |= {
            "account_name": credentials.access_key,
            "account_key": credentials.secret_key,
        }
    if bucket.endpoint is not None:
        config["endpoint"] = bucket.endpoint
    options = client_options(bucket.endpoint, timeouts)
    return AzureStore(bucket.name, config=config, client_options=options, retry_config=NO_RETRY)
