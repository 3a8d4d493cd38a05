"""GCS and Azure Blob by obstore, which finds credentials, signs and sends.

It tells an error as text alone: in words, with the answer's body, then as its own structure. What
cannot be read there is a fault that passes; its first line is told.
"""

import re
from collections.abc import Callable
from importlib.util import find_spec
from typing import TYPE_CHECKING

from slicer.errors import BadInput, StorageError, StorageRefused, StorageUnavailable
from slicer.storage import Credentials
from slicer.storage.answers import hide, rekeyed, storage_error
from slicer.storage.objects import Timeouts, Upload
from slicer.storage.proof import Acknowledgement
from slicer.storage.transport import UNREACHABLE, read_answer

if TYPE_CHECKING:
    from obstore.store import AzureStore, ClientConfig, GCSStore, RetryConfig, S3Store

NO_RETRY: "RetryConfig" = {"max_retries": 0}
"""The outbox tries again, and tells."""
_STATUS = re.compile(r"\binner: Status \{\s+status: (\d{3}),")
_BODY = re.compile(r"status code: \d{3}[^:\n]*: (.*?)\n\nDebug source:", re.DOTALL)
_TIMEOUT = re.compile(r"\bkind: Timeout,")
_NO_CREDENTIALS = ("credential error", "Access Key", "must be specified", "token request")
# What obstore says in words → whether it waits for a human, what was said, what to do.
_FAILURES = {
    "redirect": (True, "the store redirects", "wrong region or endpoint: ask where the bucket is"),
    "ETag Header missing": (
        False,
        "success was said without an ETag",
        "was it the store that answered?",
    ),
    "dns error": (False, "the host's name is not known", UNREACHABLE),
    "error: InvalidMessage(": (
        False,
        "no TLS connection",
        "check the endpoint and its certificate",
    ),
    "error: InvalidCertificate(": (
        False,
        "no TLS connection",
        "check the endpoint and its certificate",
    ),
    "kind: Connect,": (False, "no connection", UNREACHABLE),
    "error sending request": (False, "the connection broke", UNREACHABLE),
}


def answered(key: str, text: str, right: str) -> StorageError | None:
    """The error for what the store answered, where obstore's *text* holds an answer."""
    status = _STATUS.search(text)
    if status is None:
        return None
    body = _BODY.search(text)
    answer = read_answer(int(status[1]), {}, body[1].encode() if body else b"")
    return storage_error(key, answer, right)


def timed_out(text: str) -> bool:
    return _TIMEOUT.search(text) is not None


def client_options(endpoint: str | None, timeouts: Timeouts) -> "ClientConfig":
    return {
        "allow_http": (endpoint or "").startswith("http:"),
        "connect_timeout": f"{round(timeouts.connect * 1000)}ms",
        "timeout": f"{round(timeouts.read * 1000)}ms",
    }


def require_obstore(scheme: str, extra: str) -> None:
    """Raises BadInput where the extra is not there."""
    if find_spec("obstore") is None:
        allowed = f"{scheme}:// needs obstore: pip install 'rtc-slicer[{extra}]'"
        raise BadInput("storage", scheme, allowed)


class ObstoreClient:
    """One bucket. *make* opens it; *right*: what a key needs to upload; *advice*: how to give
    credentials."""

    def __init__(
        self,
        make: "Callable[[], S3Store | GCSStore | AzureStore]",
        credentials: Credentials | None,
        right: str,
        advice: str,
        storage_class: str | None,
    ) -> None:
        self._make, self._credentials = make, credentials
        self._right, self._advice = right, advice
        self._class = {"Storage-Class": storage_class} if storage_class else {}
        self._store: S3Store | GCSStore | AzureStore | None = None

    def open(self, _key: str) -> None:
        self._store = self._make()

    def put(self, upload: Upload) -> Acknowledgement:
        import obstore  # noqa: PLC0415

        assert self._store is not None
        attributes = {"Content-Type": upload.content_type, **self._class, **upload.metadata}
        result = obstore.put(
            self._store, upload.name, upload.data, attributes=attributes, use_multipart=False
        )
        return Acknowledgement(result["e_tag"] or "")

    def delete(self, name: str) -> None:
        import obstore  # noqa: PLC0415

        assert self._store is not None
        obstore.delete(self._store, name)

    def link(self, name: str, _seconds: int) -> str:
        """Never asked for: `gs://` and `az://` have no such option."""
        raise NotImplementedError(name)

    def translated(self, key: str, error: Exception) -> StorageError:
        if isinstance(error, StorageError):
            return rekeyed(key, error, self._credentials)
        text = str(error)
        failure = answered(key, text, self._right)
        if failure is not None and "token request" not in text:
            return rekeyed(key, failure, self._credentials)
        if timed_out(text):
            return StorageUnavailable(key, "no answer in time", UNREACHABLE)
        if any(sign in text for sign in _NO_CREDENTIALS):
            return StorageRefused(key, "no credentials were found", self._advice)
        for sign, (refused, reason, advice) in _FAILURES.items():
            if sign in text:
                return (StorageRefused if refused else StorageUnavailable)(key, reason, advice)
        line = hide(text.partition("\n")[0], self._credentials)
        return StorageUnavailable(key, line, "it is tried again")

    def close(self) -> None:
        self._store = None
