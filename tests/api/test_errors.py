"""Every error of the tree has a code; what is told of a fault of ours is nothing."""

from dataclasses import fields

import pytest

from slicer.api.errors import SERVICE_FIELDS, ApiError, code_of, message_of, status_of
from slicer.errors import (
    BadInput,
    BusUnavailable,
    LimitReached,
    MediaError,
    RoomError,
    SlicerError,
    StorageRefused,
    StorageUnavailable,
    TaskEnded,
    TaskNotExist,
    Unauthorized,
)
from slicer.moderation import SupplierSpec


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ApiError("InvalidAction", "no"), "InvalidAction"),
        (BadInput("SliceParams.X", 1, "2"), "InvalidParameterValue"),
        (BadInput("RoomId", "x", "y"), "InvalidParameter.RoomId"),
        (BadInput("room_id", "x", "y"), "InvalidParameter.RoomId"),
        (BadInput("vendor", 2, "0, 1"), "FailedOperation.CSUnsupportMethod"),
        (BadInput("moderation.local_whisper", "SECRET", "x"), "FailedOperation.CSUnsupportMethod"),
        (Unauthorized("no"), "AuthFailure.UnauthorizedOperation"),
        (TaskNotExist("no"), "FailedOperation.TaskNotExist"),
        (TaskEnded("no"), "FailedOperation.TaskFinished"),
        (LimitReached("no"), "FailedOperation.RestrictedConcurrency"),
        (RoomError("no"), "FailedOperation"),
        (StorageRefused("key", "no", "yes"), "FailedOperation"),
        (StorageUnavailable("key", "no", "yes"), "FailedOperation"),
        (MediaError("no"), "InternalError.CSInternalError"),
        (SlicerError("no"), "InternalError.CSInternalError"),
        (KeyError("SECRET"), "InternalError.CSInternalError"),
    ],
)
def test_codes(error: Exception, code: str) -> None:
    assert code_of(error) == code
    told = message_of(error)
    assert told
    assert "SECRET" not in told
    assert ("RequestId" in told) == code.startswith("InternalError")


def test_the_status_is_200_but_for_strangers_and_while_the_bus_is_away() -> None:
    assert status_of(RoomError("closed")) == 200
    assert status_of(ApiError("InvalidRequest", "path", 404)) == 404
    assert status_of(BusUnavailable("away")) == 503
    assert code_of(BusUnavailable("away")) == "FailedOperation"


def test_the_services_fields_are_told_by_the_apis_names() -> None:
    assert message_of(BadInput("vendor", 2, "0, 1")) == "Vendor: got 2; allowed: 0, 1"
    assert message_of(BadInput("room_id", "7", "8")) == "RoomId: got '7'; allowed: 8"
    missing = BadInput("supplier.secret_id", "", "an id")
    assert message_of(missing) == "ModerationSupplierParam.SecretId: got ''; allowed: an id"
    assert code_of(missing) == "InvalidParameterValue"


def test_each_field_of_an_account_has_a_name_in_the_api() -> None:
    named = {f"supplier.{one.name}" for one in fields(SupplierSpec) if one.name != "name"}
    assert named <= SERVICE_FIELDS.keys()
