"""Records of tasks as the bus keeps them."""

import json
from dataclasses import replace

import pytest

from slicer.errors import BadInput
from slicer.fleet.record import FORMAT, TaskRecord, from_json, given, to_json

RECORD = TaskRecord("t", 7, 3, "w1", "w0", "sealed", 1.5, 9.0, 2, None, 41)


def test_a_record_comes_back_with_the_revision_that_the_bus_gave_it() -> None:
    assert from_json("t", to_json(RECORD), 41) == RECORD
    assert "41" not in to_json(RECORD).decode()


def changed(**fields: object) -> bytes:
    return json.dumps(json.loads(to_json(RECORD)) | fields).encode()


def test_a_record_is_given_to_a_worker_and_says_who_was_lost() -> None:
    lost = given(RECORD, "w2")
    assert (lost.epoch, lost.worker, lost.previous) == (4, "w2", "w1")
    handed_over = given(replace(RECORD, worker="", previous="w1"), "w2")
    assert (handed_over.worker, handed_over.previous) == ("w2", "")


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
