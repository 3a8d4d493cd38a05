"""COS: URLs, hosts that are signed and spoken to, credentials; the rest is in tests/contract."""

import asyncio
import sys
from urllib.parse import quote, urlsplit

import pytest

from slicer.errors import BadInput, StorageRefused
from slicer.storage import Credentials
from slicer.storage.bucket import Bucket
from slicer.storage.cos import COS, CosClient, open_cos
from slicer.storage.objects import Timeouts, Upload
from slicer.storage.proof import md5
from slicer.storage.transport import HttpTransport
from tests.harness.storage.sent import Sent, record

KEYS = Credentials("test-id", "test-secret-0123456789")
UPLOAD = Upload("a b/ü.ogg", b"data", "audio/ogg", md5(b"data").digest())


def read(url: str) -> Bucket:
    return Bucket.from_url(urlsplit(url), COS)


@pytest.mark.parametrize(
    "name",
    [
        *("slices", "slices-", "-1250000000", "Slices-1250000000", "sl.ices-1250000000"),
        *("slices-1250000000.evil", "a_b-1250000000", "slices-125000000x", "slices-1234"),
        f"{'a' * 60}-1250000000",
    ],
)
def test_bucket_names_that_are_none(name: str) -> None:
    with pytest.raises(BadInput, match=r"storage\.bucket: .*APPID"):
        read(f"cos://{name}/x?region=ap-guangzhou")


@pytest.mark.parametrize("name", ["slices-1250000000", "a-1250000000", "a-b--c-10001"])
def test_bucket_names(name: str) -> None:
    assert read(f"cos://{name}/x?region=ap-guangzhou").name == name


@pytest.mark.parametrize("region", ["", "ap.evil.com/", "ap-guangzhou.evil", "a@b", "AP", "a/b"])
def test_regions_that_are_none(region: str) -> None:
    with pytest.raises(BadInput, match=r"storage\.region"):
        read(f"cos://slices-1250000000/?region={quote(region, safe='')}")


def test_the_region_must_be_named() -> None:
    with pytest.raises(BadInput, match=r"storage\.region: got 'none'.*ap-guangzhou"):
        read("cos://slices-1250000000/x")


@pytest.mark.parametrize("option", ["path_style=1", "sse=aws:kms", "class=IA", "class=standard"])
def test_options_of_other_vendors(option: str) -> None:
    with pytest.raises(BadInput, match="storage"):
        read(f"cos://slices-1250000000/x?region=ap-guangzhou&{option}")


def sent(monkeypatch: pytest.MonkeyPatch, endpoint: str | None, more: str = "") -> Sent:
    place = f"&endpoint={endpoint}" if endpoint else ""
    bucket = read(f"cos://slices-1250000000/?region=ap-guangzhou{place}{more}")
    client = CosClient(bucket, KEYS, Timeouts())
    client.open("k")
    with record(monkeypatch) as found:
        client.put(UPLOAD)
    return found


HOST = "slices-1250000000.cos.ap-guangzhou.myqcloud.com"


@pytest.mark.parametrize(
    ("endpoint", "url", "host"),
    [
        (None, f"https://{HOST}", HOST),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080", HOST),
        ("https://[::1]:8443", "https://[::1]:8443", HOST),
        (
            "https://cos.cloud.example:8443",
            "https://slices-1250000000.cos.cloud.example:8443",
            "slices-1250000000.cos.cloud.example:8443",
        ),
    ],
)
def test_where_it_goes_and_what_is_signed(
    monkeypatch: pytest.MonkeyPatch, endpoint: str | None, url: str, host: str
) -> None:
    found = sent(monkeypatch, endpoint)
    assert found.url == f"{url}/a%20b/%C3%BC.ogg"
    assert found.headers["Host"] == host
    listed = found.headers["Authorization"].split("q-header-list=")[1].split("&")[0]
    assert {"host", "content-length", "content-md5", "content-type"} <= set(listed.split(";"))


def test_the_certificate_is_of_the_name_where_the_endpoint_is_an_address(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    names: list[str | None] = []

    class Transport(HttpTransport):
        def __init__(self, timeouts: Timeouts, right: str, tls_host: str | None = None) -> None:
            super().__init__(timeouts, right, tls_host)
            names.append(tls_host)

    monkeypatch.setattr("slicer.storage.cos.HttpTransport", Transport)
    bucket = read("cos://slices-1250000000/?region=ap-guangzhou&endpoint=https://127.0.0.1")
    CosClient(bucket, KEYS, Timeouts())
    assert names == [HOST]


def test_options_become_headers(monkeypatch: pytest.MonkeyPatch) -> None:
    more = "&sse=cos/kms&sse_key=key-1&class=MAZ_STANDARD_IA"
    headers = sent(monkeypatch, None, more).headers
    assert headers["x-cos-server-side-encryption"] == "cos/kms"
    assert headers["x-cos-server-side-encryption-cos-kms-key-id"] == "key-1"
    assert headers["x-cos-storage-class"] == "MAZ_STANDARD_IA"


async def test_no_credentials_anywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TENCENTCLOUD_SECRET_ID", raising=False)
    store = open_cos(urlsplit("cos://slices-1250000000/?region=ap-guangzhou"))
    with pytest.raises(StorageRefused, match="TENCENTCLOUD_SECRET_ID"):
        await store.put("a", b"x", "audio/ogg")
    await store.close()


def test_credentials_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TENCENTCLOUD_SECRET_ID", KEYS.access_key)
    monkeypatch.setenv("TENCENTCLOUD_SECRET_KEY", KEYS.secret_key)
    monkeypatch.setenv("TENCENTCLOUD_TOKEN", "token-1")
    client = CosClient(read("cos://slices-1250000000/?region=ap-x"), None, Timeouts())
    client.open("k")
    with record(monkeypatch) as found:
        client.put(UPLOAD)
    assert "q-ak=test-id&" in found.headers["Authorization"]
    assert found.headers["x-cos-security-token"] == "token-1"


def test_without_the_sdk_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(BadInput, match=r"pip install 'rtc-slicer\[cos\]'"):
        open_cos(urlsplit("cos://slices-1250000000/x?region=ap-guangzhou"))


async def test_the_sdk_is_imported_by_the_first_put_alone() -> None:
    code = (
        "import sys; from slicer.storage import open_storage;"
        "open_storage('cos://b-1250000000/x?region=a');"
        "sys.exit(bool({'qcloud_cos', 'requests', 'urllib3'} & sys.modules.keys()))"
    )
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", code)
    assert await process.wait() == 0
