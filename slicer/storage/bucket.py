"""Reads bucket URLs: `s3://bucket/prefix?region=…&endpoint=…` and the other vendors' like it.

Strict on purpose: what it accepts can name one bucket at one host, and nothing else.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from slicer.errors import BadInput
from slicer.storage.keys import faults

_REGION = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?|[0-9A-Fa-f:.]+")
_ENDPOINT_RULES = "http:// or https://, a host and perhaps a port; no user, path or query"
_KMS_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9:/_-]{0,255}")
MIN_LINK, MAX_LINK = 60, 604_800
"""Seconds. S3 signs for a week at most (docs.aws.amazon.com, "presigned URLs")."""
_SWITCH = {"0": False, "1": True}
_OPTIONS = ("region", "endpoint", "sse", "sse_key", "class", "metadata")


@dataclass(frozen=True, slots=True)
class Vendor:
    """What the URLs of one vendor may hold."""

    scheme: str
    is_bucket: Callable[[str], bool]
    bucket_rules: str
    encryptions: tuple[str, ...]
    """Values of the option `sse`; those that contain "kms" take a key as well."""
    classes: tuple[str, ...]
    """Values of the option `class`."""
    region_example: str
    region_required: bool = False
    options: tuple[str, ...] = ()
    """Besides those that all vendors have."""


@dataclass(frozen=True, slots=True)
class Bucket:
    """One place in one store. *region* and *endpoint* None: as the SDK is configured."""

    name: str
    prefix: str = ""
    region: str | None = None
    endpoint: str | None = None
    path_style: bool = False
    scheme: str = "s3"
    encryption: str | None = None
    encryption_key: str | None = None
    storage_class: str | None = None
    metadata: bool = False
    link: int = 0
    """Seconds for which whoever has an object's URL may read it; 0: no such URL is made."""

    @classmethod
    def from_url(cls, url: SplitResult, vendor: Vendor) -> Self:
        """Raises BadInput that names the part; never shows what may be a password."""
        if "@" in url.netloc:
            scheme = vendor.scheme
            raise BadInput(
                "storage", f"{scheme}://…@…", f"{scheme}://bucket/…; keys never go into a URL"
            )
        if url.fragment:
            raise BadInput("storage", f"#{url.fragment}", "no fragment; write # as %23")
        options = _options(url.query, vendor)
        encryption = _one_of("sse", options.get("sse"), vendor.encryptions)
        return cls(
            _name(url.netloc, vendor),
            _prefix(url.path),
            _region(options.get("region"), vendor),
            _endpoint(options.get("endpoint")),
            _switch("path_style", options.get("path_style")),
            vendor.scheme,
            encryption,
            _encryption_key(options.get("sse_key"), encryption),
            _one_of("class", options.get("class"), vendor.classes),
            _switch("metadata", options.get("metadata")),
            _link(options.get("link")),
        )

    @property
    def label(self) -> str:
        place = f"{self.scheme}://{self.name}/{self.prefix}".rstrip("/")
        return f"{place} at {self.endpoint}" if self.endpoint else place

    def key(self, key: str) -> str:
        """A key of the store as the bucket knows it."""
        return f"{self.prefix}/{key}" if self.prefix else key


def _options(query: str, vendor: Vendor) -> dict[str, str]:
    known = _OPTIONS + vendor.options
    options: dict[str, str] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        if name not in known:
            raise BadInput("storage", f"?{name}=…", f"the options {', '.join(known)}")
        if name in options:
            raise BadInput(f"storage.{name}", "two of it", "one at most")
        options[name] = value
    return options


def _name(name: str, vendor: Vendor) -> str:
    if not vendor.is_bucket(name):
        raise BadInput("storage.bucket", name, vendor.bucket_rules)
    return name


def _prefix(path: str) -> str:
    prefix = unquote(path, errors="surrogateescape").strip("/")
    for fault in faults(prefix) if prefix else ():
        raise BadInput("storage.prefix", prefix, f"names joined by single slashes; {fault}")
    return prefix


def _region(region: str | None, vendor: Vendor) -> str | None:
    allowed = f"letters a-z, digits and '-', such as {vendor.region_example}"
    if region is None and vendor.region_required:
        raise BadInput("storage.region", "none", f"?region=…: {allowed}")
    if region is not None and not _REGION.fullmatch(region):
        raise BadInput("storage.region", region, allowed)
    return region


def _endpoint(endpoint: str | None) -> str | None:
    if endpoint is None:
        return None
    try:
        url = urlsplit(endpoint)
        port = url.port
    except ValueError:
        raise BadInput("storage.endpoint", endpoint, _ENDPOINT_RULES) from None
    if "@" in endpoint:
        raise BadInput("storage.endpoint", "a URL with '@'", _ENDPOINT_RULES)
    host = url.hostname or ""
    plain = url.path in {"", "/"} and "?" not in endpoint and "#" not in endpoint
    fits = plain and url.scheme in {"http", "https"} and _HOST.fullmatch(host) and port != 0
    if not fits:
        raise BadInput("storage.endpoint", endpoint, _ENDPOINT_RULES)
    host = f"[{host}]" if ":" in host else host
    return f"{url.scheme}://{host}" + (f":{port}" if port else "")


def _one_of(name: str, value: str | None, allowed: tuple[str, ...]) -> str | None:
    if value is not None and value not in allowed:
        raise BadInput(
            f"storage.{name}", value, ", ".join(allowed) or "none: this store has no such option"
        )
    return value


def _link(value: str | None) -> int:
    if value is None:
        return 0
    if not re.fullmatch(r"[0-9]{1,6}", value) or not MIN_LINK <= int(value) <= MAX_LINK:
        raise BadInput("storage.link", value, f"seconds, {MIN_LINK} to {MAX_LINK} (a week)")
    return int(value)


def _encryption_key(key: str | None, encryption: str | None) -> str | None:
    if key is None:
        return None
    if "kms" not in (encryption or "").lower():
        raise BadInput("storage.sse_key", "a key", "only beside an sse of the vendor's KMS")
    if not _KMS_KEY.fullmatch(key):
        raise BadInput("storage.sse_key", key, "a key's id: letters, digits and : / _ -")
    return key


def _switch(name: str, value: str | None) -> bool:
    if value is not None and value not in _SWITCH:
        raise BadInput(f"storage.{name}", value, "0 or 1")
    return _SWITCH[value or "0"]
