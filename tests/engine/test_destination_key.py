"""Which destination a folder of the spool is for: its name decides, whatever its records say."""

from collections.abc import Sequence

import pytest

from slicer.delivery.spool.folder import folder_name
from slicer.delivery.spool.record import Header, StoreUrls, describe
from slicer.engine.destination_key import DestinationKey, key_of
from slicer.errors import BadInput
from slicer.storage import Credentials
from tests.harness.delivery.spooling import file_of

OLD, NEW = Credentials("old", "secret"), Credentials("new", "secret")
RIGHT = DestinationKey("s3://right", OLD)
ODD = StoreUrls("s3://odd", keys=True)
NAME = folder_name(RIGHT.urls, *RIGHT.key_ids)


def headers(*urls: StoreUrls) -> list[Header]:
    return [describe(file_of(f"ada/{number}"), each) for number, each in enumerate(urls)]


def test_whose_keys_they_are_is_told_without_a_secret() -> None:
    key = DestinationKey("s3://a", None, "s3://b", NEW)
    assert key.urls == StoreUrls("s3://a", "s3://b", keys=False, backup_keys=True)
    assert key.key_ids == ("", "new")


@pytest.mark.parametrize(
    "urls",
    [
        (RIGHT.urls,),
        (RIGHT.urls, ODD),
        (ODD, RIGHT.urls),
        (ODD, RIGHT.urls, ODD),
        (ODD, StoreUrls("s3://right", "s3://odd", keys=True), RIGHT.urls),
        (StoreUrls("s3://right"), RIGHT.urls, StoreUrls("s3://right")),
    ],
)
def test_the_name_of_the_folder_decides(urls: Sequence[StoreUrls]) -> None:
    assert key_of(NAME, headers(*urls), lambda _url, _task: OLD) == RIGHT


def test_where_the_keys_have_changed_it_is_what_most_name() -> None:
    changed = DestinationKey("s3://right", NEW)
    for urls in ((RIGHT.urls, ODD, RIGHT.urls), (ODD, RIGHT.urls, RIGHT.urls)):
        assert key_of(NAME, headers(*urls), lambda _url, _task: NEW) == changed


def test_where_as_many_name_another_store_neither_is_believed() -> None:
    for urls in ((RIGHT.urls, ODD), (ODD, RIGHT.urls)):
        with pytest.raises(BadInput, match="name one store"):
            key_of(NAME, headers(*urls), lambda _url, _task: NEW)


def test_keys_that_no_task_has_are_asked_for() -> None:
    with pytest.raises(BadInput, match="keys are known") as refused:
        key_of(NAME, headers(RIGHT.urls), lambda _url, _task: None)
    assert "s3://right" in str(refused.value)
