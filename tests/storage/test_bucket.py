"""S3 URLs: what they name, and that nothing in them can name another host."""

from urllib.parse import quote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slicer.errors import BadInput
from slicer.storage.bucket import Bucket
from slicer.storage.s3 import S3


def read(url: str) -> Bucket:
    return Bucket.from_url(urlsplit(url), S3)


def with_endpoint(endpoint: str) -> Bucket:
    return read(f"s3://bucket/?endpoint={quote(endpoint, safe='')}")


def test_all_parts() -> None:
    place = "region=eu-west-1&endpoint=http://127.0.0.1:8333&path_style=1"
    extra = "sse=aws:kms&sse_key=arn:aws:kms:eu-west-1:1:key/a-b&class=GLACIER_IR&metadata=1"
    expected = Bucket(
        "my.bucket-1",
        "a/b c",
        "eu-west-1",
        "http://127.0.0.1:8333",
        path_style=True,
        encryption="aws:kms",
        encryption_key="arn:aws:kms:eu-west-1:1:key/a-b",
        storage_class="GLACIER_IR",
        metadata=True,
    )
    assert read(f"s3://my.bucket-1/a/b%20c/?{place}&{extra}") == expected
    assert expected.label == "s3://my.bucket-1/a/b c at http://127.0.0.1:8333"
    assert expected.key("x/y") == "a/b c/x/y"


def test_the_least() -> None:
    assert read("s3://abc") == read("s3://abc/") == Bucket("abc")
    assert Bucket("abc").label == "s3://abc"
    assert Bucket("abc").key("x") == "x"


@pytest.mark.parametrize(
    "name",
    [
        *("", "ab", "a" * 64, "Bucket", "a_b", "-abc", "abc-", ".abc", "a..b", "1.2.3.4"),
        *("b:80", "b%2e", "arn:aws:s3:x", "bücket", "xn--abc", "sthree-abc", "amzn-s3-demo-x"),
        *("abc-s3alias", "abc--ol-s3", "abc--op-s3", "abc--x-s3", "abc--table-s3", "abc.mrap"),
    ],
)
def test_bucket_names_that_are_none(name: str) -> None:
    with pytest.raises(BadInput, match=r"storage\.bucket"):
        read(f"s3://{name}/x")


@pytest.mark.parametrize("region", ["", "EU", "eu west", "x.evil.com/", "a@b", "-a", "a" * 64])
def test_regions_that_are_none(region: str) -> None:
    with pytest.raises(BadInput, match=r"storage\.region"):
        read(f"s3://bucket/?region={quote(region, safe='')}")


@pytest.mark.parametrize(
    ("endpoint", "expected"),
    [
        ("http://127.0.0.1:8333", "http://127.0.0.1:8333"),
        ("https://minio.example.org/", "https://minio.example.org"),
        ("HTTP://[::1]:9000", "http://[::1]:9000"),
    ],
)
def test_endpoints(endpoint: str, expected: str) -> None:
    assert with_endpoint(endpoint).endpoint == expected


@pytest.mark.parametrize(
    "endpoint",
    [
        "",
        "127.0.0.1:8333",
        "ftp://host",
        "http://",
        "http://host/path",
        "http://host?x",
        "http://host#x",
        "http://host?",
        "http://host:0",
        "http://host:99999",
        "http://host:x",
        "http://ho st",
        "http://host\\evil",
        "http://a{b}",
        "http://host%2fx",
        "file:///etc/passwd",
    ],
)
def test_endpoints_that_are_none(endpoint: str) -> None:
    with pytest.raises(BadInput, match=r"storage\.endpoint"):
        with_endpoint(endpoint)


@pytest.mark.parametrize("value", ["", "2", "true", "yes"])
def test_path_style_is_0_or_1(value: str) -> None:
    with pytest.raises(BadInput, match=r"storage\.path_style"):
        read(f"s3://bucket/?path_style={value}")


@pytest.mark.parametrize(
    ("option", "field"),
    [
        ("sse=aes256", "sse"),
        ("sse=", "sse"),
        ("sse=KMS", "sse"),
        ("sse_key=abc", "sse_key"),
        ("sse=AES256&sse_key=abc", "sse_key"),
        ("sse=aws:kms&sse_key=a%0d%0ab", "sse_key"),
        ("sse=aws:kms&sse_key=%E9", "sse_key"),
        ("sse=aws:kms&sse_key=", "sse_key"),
        ("class=Standard", "class"),
        ("class=STANDARD%0d%0aX-Evil:1", "class"),
        ("metadata=yes", "metadata"),
        ("metadata=", "metadata"),
    ],
)
def test_options_of_objects_that_are_none(option: str, field: str) -> None:
    with pytest.raises(BadInput, match=rf"storage\.{field}: "):
        read(f"s3://bucket/?{option}")


def test_unknown_options_are_named_without_their_value() -> None:
    with pytest.raises(BadInput, match=r"\?secret=….*region, endpoint, .*, path_style") as caught:
        read("s3://bucket/?secret=hush")
    assert "hush" not in str(caught.value)


def test_an_option_given_twice() -> None:
    with pytest.raises(BadInput, match=r"storage\.region: got 'two of it'"):
        read("s3://bucket/?region=a&region=b")


@pytest.mark.parametrize("prefix", ["../x", "a/../b", "a//b", "a%00", "%ff", "a\\b"])
def test_prefixes_that_are_none(prefix: str) -> None:
    with pytest.raises(BadInput, match=r"storage\.prefix"):
        read(f"s3://bucket/{prefix}")


def test_a_fragment_is_refused() -> None:
    with pytest.raises(BadInput, match="%23"):
        read("s3://bucket/a#b")


@given(st.text())
def test_an_endpoint_keeps_its_host_or_is_refused(text: str) -> None:
    try:
        got = with_endpoint(f"http://store.example{text}").endpoint
    except BadInput:
        return
    assert got is not None
    assert (urlsplit(got).hostname or "").startswith("store.example")
    assert not {"@", "/", "?", "#", "\\"} & set(got.removeprefix("http://"))


@pytest.mark.parametrize("value", ["", "0", "59", "604801", "1e3", "-60", "60s"])
def test_how_long_a_link_may_be_good(value: str) -> None:
    with pytest.raises(BadInput, match=r"storage\.link: .*60 to 604800"):
        read(f"s3://bucket/x?region=a&link={value}")
    assert read("s3://bucket/x?region=a&link=3600").link == 3_600
