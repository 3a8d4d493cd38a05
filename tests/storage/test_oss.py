"""OSS: URLs, hosts, credentials; the rest is in tests/contract."""

import asyncio
import sys
from urllib.parse import quote, urlsplit

import pytest

from slicer.errors import BadInput, StorageRefused
from slicer.storage import Credentials
from slicer.storage.bucket import Bucket
from slicer.storage.objects import Timeouts, Upload
from slicer.storage.oss import OSS, OssClient, open_oss
from slicer.storage.proof import md5
from tests.harness.storage.sent import Sent, record

KEYS = Credentials("test-id", "test-secret-0123456789")
UPLOAD = Upload("a b/ü.ogg", b"data", "audio/ogg", md5(b"data").digest())


def read(url: str) -> Bucket:
    return Bucket.from_url(urlsplit(url), OSS)


@pytest.mark.parametrize("name", ["ab", "a.b.c", "Abc", "-abc", "abc-", "a_b", "a" * 64, "a:80"])
def test_bucket_names_that_are_none(name: str) -> None:
    with pytest.raises(BadInput, match=r"storage\.bucket"):
        read(f"oss://{name}/x?region=cn-hangzhou")


@pytest.mark.parametrize("region", ["", "cn.evil.com/", "cn-hangzhou.evil", "a@b", "CN", "a/b"])
def test_regions_that_are_none(region: str) -> None:
    with pytest.raises(BadInput, match=r"storage\.region"):
        read(f"oss://slices/?region={quote(region, safe='')}")


def test_the_region_must_be_named_and_bare() -> None:
    with pytest.raises(BadInput, match=r"storage\.region: got 'none'.*cn-hangzhou"):
        open_oss(urlsplit("oss://slices/x"))
    with pytest.raises(BadInput, match="the region alone"):
        open_oss(urlsplit("oss://slices/x?region=oss-cn-hangzhou"))


@pytest.mark.parametrize("option", ["path_style=1", "sse=cos/kms", "class=STANDARD", "x=1"])
def test_options_of_other_vendors(option: str) -> None:
    with pytest.raises(BadInput, match="storage"):
        read(f"oss://slices/x?region=cn-hangzhou&{option}")


def sent(monkeypatch: pytest.MonkeyPatch, endpoint: str | None, more: str = "") -> Sent:
    place = f"&endpoint={endpoint}" if endpoint else ""
    client = OssClient(read(f"oss://slices/?region=cn-hangzhou{place}{more}"), KEYS, Timeouts())
    client.open("k")
    with record(monkeypatch) as found:
        client.put(UPLOAD)
    return found


@pytest.mark.parametrize(
    ("endpoint", "url"),
    [
        (None, "https://slices.oss-cn-hangzhou.aliyuncs.com"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080/slices"),
        (
            "https://oss-cn-hangzhou-internal.aliyuncs.com",
            "https://slices.oss-cn-hangzhou-internal.aliyuncs.com",
        ),
    ],
)
def test_where_it_goes(monkeypatch: pytest.MonkeyPatch, endpoint: str | None, url: str) -> None:
    found = sent(monkeypatch, endpoint)
    assert found.url == f"{url}/a%20b/%C3%BC.ogg"
    assert found.headers["Host"] == urlsplit(url).netloc
    assert "/cn-hangzhou/oss/aliyun_v4_request" in found.headers["Authorization"]


def test_options_become_headers(monkeypatch: pytest.MonkeyPatch) -> None:
    headers = sent(monkeypatch, None, "&sse=KMS&sse_key=key-1&class=IA").headers
    assert headers["x-oss-server-side-encryption"] == "KMS"
    assert headers["x-oss-server-side-encryption-key-id"] == "key-1"
    assert headers["x-oss-storage-class"] == "IA"


async def test_no_credentials_anywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OSS_ACCESS_KEY_ID", raising=False)
    store = open_oss(urlsplit("oss://slices/?region=cn-hangzhou"))
    with pytest.raises(StorageRefused, match="OSS_ACCESS_KEY_ID"):
        await store.put("a", b"x", "audio/ogg")
    await store.close()


def test_credentials_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OSS_ACCESS_KEY_ID", KEYS.access_key)
    monkeypatch.setenv("OSS_ACCESS_KEY_SECRET", KEYS.secret_key)
    monkeypatch.setenv("OSS_SESSION_TOKEN", "token-1")
    client = OssClient(read("oss://slices/?region=cn-hangzhou"), None, Timeouts())
    client.open("k")
    with record(monkeypatch) as found:
        client.put(UPLOAD)
    assert "Credential=test-id/" in found.headers["Authorization"]
    assert found.headers["x-oss-security-token"] == "token-1"


def test_without_the_sdk_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(BadInput, match=r"pip install 'rtc-slicer\[oss\]'"):
        open_oss(urlsplit("oss://slices/x?region=cn-hangzhou"))


async def test_the_sdk_is_imported_by_the_first_put_alone() -> None:
    code = (
        "import sys; from slicer.storage import open_storage;"
        "open_storage('oss://slices/x?region=cn-hangzhou');"
        "sys.exit(bool({'alibabacloud_oss_v2', 'requests', 'urllib3'} & sys.modules.keys()))"
    )
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", code)
    assert await process.wait() == 0
