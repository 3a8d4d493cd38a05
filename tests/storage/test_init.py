"""Opening a store by URL: the table, and errors that show no password."""

from pathlib import Path

import pytest

from slicer.errors import BadInput
from slicer.storage import VENDORS, Credentials, open_storage
from slicer.storage.local import LocalStorage
from slicer.storage.objects import ObjectStorage


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("file:///slices", LocalStorage),
        ("s3://bucket/x?region=eu-west-1", ObjectStorage),
        ("cos://bucket-1250000000/x?region=ap-guangzhou", ObjectStorage),
        ("oss://bucket/x?region=cn-hangzhou", ObjectStorage),
        ("gs://bucket/x", ObjectStorage),
        ("az://bucket/x", ObjectStorage),
    ],
)
def test_the_scheme_chooses(url: str, kind: type) -> None:
    opened = open_storage(url)
    assert isinstance(opened, kind)
    assert url.startswith(opened.label)


def test_every_vendor_is_covered() -> None:
    assert set(VENDORS) == {"file", "null", "s3", "cos", "oss", "gs", "az"}


def test_opening_a_folder_makes_nothing(tmp_path: Path) -> None:
    open_storage((tmp_path / "x").as_uri())
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize("url", ["", "slices", "/slices", "ftp://host/x", "S4://b", "//b/x"])
def test_an_unknown_scheme_is_refused_with_the_known_ones(url: str) -> None:
    with pytest.raises(BadInput, match=r"file://, s3://"):
        open_storage(url)


@pytest.mark.parametrize("url", ["s3://bucket:port/x", "s3://[bucket/x"])
def test_what_is_no_url_is_refused(url: str) -> None:
    with pytest.raises(BadInput, match="storage"):
        open_storage(url)


@pytest.mark.parametrize(
    "url",
    [
        "s3://key:hush-hush@bucket/x",
        "s3://key:hush-hush@bucket:port/x",
        "s4://key:hush-hush@bucket/x",
        "s3://bucket/x?secret_key=hush-hush",
        "s3://bucket/x?region=a&endpoint=http://key:hush-hush@host",
        "cos://key:hush-hush@bucket-1250000000/x?region=a",
        "cos://bucket-1250000000/x?secret_key=hush-hush",
        "oss://key:hush-hush@bucket/x?region=a",
        "oss://bucket/x?region=a&sse_key=hush-hush",
    ],
)
def test_no_error_shows_a_password(url: str) -> None:
    with pytest.raises(BadInput) as caught:
        open_storage(url)
    assert "hush-hush" not in str(caught.value)
    assert "hush-hush" not in repr(vars(caught.value))


def test_credentials_show_nothing() -> None:
    assert repr(Credentials("my-key", "my-secret")) == "Credentials(***)"
