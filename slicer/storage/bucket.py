"""Reads `s3://bucket/prefix?region=…&endpoint=…&path_style=1`; opens nothing.

Strict on purpose: what comes out can name one bucket at one host, and nothing else.
"""

import re
from dataclasses import dataclass
from typing import Self
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from slicer.errors import BadInput
from slicer.storage.keys import faults

_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_IPV4 = re.compile(r"\d+(\.\d+){3}")
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html; some of these
# suffixes make an SDK talk to another host.
_RESERVED_PREFIXES = ("xn--", "sthree-", "amzn-s3-demo-")
_RESERVED_SUFFIXES = ("-s3alias", "--ol-s3", "--op-s3", ".mrap", "--x-s3", "--table-s3")
_BUCKET_RULES = (
    "a bucket's name: 3 to 63 of a-z 0-9 . -, first and last a letter or digit, "
    "no '..', no IP address, no prefix or suffix that S3 reserves"
)
_REGION = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?|[0-9A-Fa-f:.]+")
_ENDPOINT_RULES = "http:// or https://, a host and perhaps a port; no user, path or query"
_OPTIONS = ("region", "endpoint", "path_style")
_SWITCH = {"0": False, "1": True}


@dataclass(frozen=True, slots=True)
class Bucket:
    """One place in one S3 store. *region* and *endpoint* None: as the SDK is configured."""

    name: str
    prefix: str = ""
    region: str | None = None
    endpoint: str | None = None
    path_style: bool = False

    @classmethod
    def from_url(cls, url: SplitResult) -> Self:
        """Raises BadInput that names the part; never shows what may be a password."""
        if "@" in url.netloc:
            raise BadInput("storage", "s3://…@…", "s3://bucket/…; keys never go into a URL")
        if url.fragment:
            raise BadInput("storage", f"#{url.fragment}", "no fragment; write # as %23")
        options = _options(url.query)
        path_style = options.get("path_style", "0")
        if path_style not in _SWITCH:
            raise BadInput("storage.path_style", path_style, "0 or 1")
        return cls(
            _name(url.netloc),
            _prefix(url.path),
            _region(options.get("region")),
            _endpoint(options.get("endpoint")),
            _SWITCH[path_style],
        )

    @property
    def label(self) -> str:
        place = f"s3://{self.name}/{self.prefix}".rstrip("/")
        return f"{place} at {self.endpoint}" if self.endpoint else place

    def key(self, key: str) -> str:
        """A key of the store as the bucket knows it."""
        return f"{self.prefix}/{key}" if self.prefix else key


def _options(query: str) -> dict[str, str]:
    options: dict[str, str] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        if name not in _OPTIONS:
            raise BadInput("storage", f"?{name}=…", f"the options {', '.join(_OPTIONS)}")
        if name in options:
            raise BadInput(f"storage.{name}", "two of it", "one at most")
        options[name] = value
    return options


def _name(name: str) -> str:
    fits = (
        _BUCKET.fullmatch(name)
        and ".." not in name
        and not _IPV4.fullmatch(name)
        and not name.startswith(_RESERVED_PREFIXES)
        and not name.endswith(_RESERVED_SUFFIXES)
    )
    if not fits:
        raise BadInput("storage.bucket", name, _BUCKET_RULES)
    return name


def _prefix(path: str) -> str:
    prefix = unquote(path, errors="surrogateescape").strip("/")
    for fault in faults(prefix) if prefix else ():
        raise BadInput("storage.prefix", prefix, f"names joined by single slashes; {fault}")
    return prefix


def _region(region: str | None) -> str | None:
    if region is not None and not _REGION.fullmatch(region):
        raise BadInput("storage.region", region, "letters a-z, digits and '-', such as eu-west-1")
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
