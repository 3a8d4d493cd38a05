"""Where each vendor of objects is in a test: its bucket, its front and the URL that names both."""

from dataclasses import dataclass
from urllib.parse import quote, urlencode

import pytest

from slicer.storage import Credentials
from tests.harness.storage import azure_front, cos_front, gcs_front, oss_front
from tests.harness.storage.seaweed import REGION, WRITER, Seaweed

VENDORS = ("az", "cos", "gs", "oss", "s3")


@dataclass(frozen=True)
class Target:
    """A bucket of a vendor, whose protocol *endpoint* speaks."""

    vendor: str
    bucket: str
    region: str
    endpoint: str

    def url(self, prefix: str = "", *, endpoint: str = "", more: str = "") -> str:
        """The storage URL, perhaps by way of another *endpoint*, perhaps with *more* options."""
        options = {"region": self.region, "endpoint": endpoint or self.endpoint}
        if self.vendor == "s3":
            options["path_style"] = "1"
        if not self.region:
            del options["region"]
        query = urlencode(options) + (f"&{more}" if more else "")
        return f"{self.vendor}://{self.bucket}/{quote(prefix)}?{query}"

    def credentials(self, keys: Credentials = WRITER) -> Credentials:
        """The vendor's form of a signer's keys."""
        if self.vendor == "gs":
            return gcs_front.account(keys)
        return azure_front.account(keys) if self.vendor == "az" else keys


def url_in_seaweed(request: pytest.FixtureRequest, vendor: str, prefix: str) -> str:
    """The URL of the vendor's bucket, which is there from now on. COS' S3 API has no front here: it
    is SeaweedFS' own, at an address."""
    at = target(request, vendor)
    seaweed: Seaweed = request.getfixturevalue("seaweed")
    seaweed.make_bucket(at.bucket)
    return at.url(prefix, endpoint=seaweed.endpoint if vendor == "cos" else "")


def target(request: pytest.FixtureRequest, vendor: str) -> Target:
    """The vendor's part of the session, started where it is not."""
    if vendor == "cos":
        bucket = f"contract-{cos_front.APPID}"
        return Target("cos", bucket, cos_front.REGION, request.getfixturevalue("cos"))
    if vendor == "oss":
        return Target("oss", "contract", oss_front.REGION, request.getfixturevalue("oss"))
    if vendor in {"gs", "az"}:
        return Target(vendor, "contract", "", request.getfixturevalue(vendor))
    seaweed: Seaweed = request.getfixturevalue("seaweed")
    return Target("s3", "contract", REGION, seaweed.endpoint)
