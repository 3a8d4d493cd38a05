"""Records of tasks as the bus keeps them."""

import json

import pytest

from slicer.errors import BadInput
from slicer.fleet.record import FORMAT, TaskRecord, from_json, to_json

RECORD = TaskRecord("t", 7, 3, "w1", "w0", "sealed", 1.5, 9.0, 2, None, 41)


def test_a_record_comes_back_with_the_revision_that_the_bus_gave_it() -> None:
    assert from_json("t", to_json(RECORD), 41) == RECORD
    assert "41" not in to_json(RECORD).decode()


def changed(**fields: object) -> bytes:
    return json.dumps(json.loads(to_json(RECORD)) | fields).encode()


@pytest.mark.parametrize(
    "data",
    [b"", b"[]", b"null", b"{}", b"\xff", changed(epoch="3"), changed(worker=None)],
)
def test_what_is_no_record_is_refused(data: bytes) -> None:
    with pytest.raises(BadInput, match=r"fleet\.bucket: got 'record t'"):
        from_json("t", data, 1)


def test_a_record_of_another_version_is_left_alone() -> None:
    with pytest.raises(BadInput, match="another version of rtc-slicer wrote this one"):
        from_json("t", changed(format=FORMAT + 1), 1)
