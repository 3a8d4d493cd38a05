"""Errors as TRTC's codes: one table for ours, one class for what only the API refuses."""

from collections.abc import Mapping

from slicer.errors import (
    BadInput,
    BusUnavailable,
    LimitReached,
    RoomError,
    SlicerError,
    StorageError,
    TaskEnded,
    TaskNotExist,
    Unauthorized,
)

INTERNAL = "InternalError.CSInternalError"
OUT_OF_RANGE = "InvalidParameter.OutOfRange"
WRONG_TYPE = "InvalidParameter"
WRONG_VALUE = "InvalidParameterValue"
MISSING = "MissingParameter"
UNREADABLE = "InvalidRequest"


class ApiError(SlicerError):
    """The caller: a request that never reaches the service. *code* is TRTC's, or marked ours.

    *status*: of the HTTP answer; anything but 200 is for who is no client of the API.
    """

    def __init__(self, code: str, message: str, status: int = 200) -> None:
        self.code, self.status = code, status
        super().__init__(message)


CODES: Mapping[type[SlicerError], str] = {
    BadInput: WRONG_VALUE,
    Unauthorized: "AuthFailure.UnauthorizedOperation",
    TaskNotExist: "FailedOperation.TaskNotExist",
    TaskEnded: "FailedOperation.TaskFinished",
    LimitReached: "FailedOperation.RestrictedConcurrency",
    BusUnavailable: "FailedOperation",
    RoomError: "FailedOperation",
    StorageError: "FailedOperation",
}
"""The nearest class of an error's line of descent counts; without one, it is INTERNAL."""

FIELD_CODES: Mapping[str, str] = {
    "SdkAppId": "InvalidParameter.SdkAppId",
    "RoomId": "InvalidParameter.RoomId",
    "UserId": "InvalidParameter.UserId",
    "UserSig": "InvalidParameter.UserSig",
}
"""Fields whose bad values have a code of their own."""

UNSUPPORTED_HERE = "FailedOperation.CSUnsupportMethod"

OPERATORS = "moderation."
"""How names of settings begin that a supplier needs: their values are not the caller's to see."""

SERVICE_FIELDS: Mapping[str, tuple[str, str]] = {
    "room_id": ("RoomId", FIELD_CODES["RoomId"]),
    "user_id": ("UserId", FIELD_CODES["UserId"]),
    "vendor": ("Vendor", UNSUPPORTED_HERE),
    "stream": ("Input.Url", UNSUPPORTED_HERE),
    "audio": ("FileContent", WRONG_VALUE),
    "supplier": ("ModerationSupplier", UNSUPPORTED_HERE),
    "supplier.app_id": ("ModerationSupplierParam.AppID", WRONG_VALUE),
    "supplier.secret_id": ("ModerationSupplierParam.SecretId", WRONG_VALUE),
    "supplier.secret_key": ("ModerationSupplierParam.SecretKey", WRONG_VALUE),
    "supplier.audio_type": ("ModerationSupplierParam.AudioBizType", WRONG_VALUE),
    "supplier.image_type": ("ModerationSupplierParam.ImageBizType", WRONG_VALUE),
}
"""Fields as the service names them: the API's names, and the codes where it cannot take them."""


def code_of(error: Exception) -> str:
    """The code that the caller is answered with."""
    if isinstance(error, ApiError):
        return error.code
    if isinstance(error, BadInput) and error.field in SERVICE_FIELDS:
        return SERVICE_FIELDS[error.field][1]
    if isinstance(error, BadInput) and error.field.startswith(OPERATORS):
        return UNSUPPORTED_HERE
    if isinstance(error, BadInput):
        return FIELD_CODES.get(error.field, WRONG_VALUE)
    return next((CODES[kind] for kind in type(error).__mro__ if kind in CODES), INTERNAL)


def status_of(error: Exception) -> int:
    """The status of the HTTP answer: 200, as TRTC's, except for who is no client of the API, and
    where another copy of it, or a later try, may do better."""
    return 503 if isinstance(error, BusUnavailable) else getattr(error, "status", 200)


def message_of(error: Exception) -> str:
    """What the caller is told: the error's own words, unless it is a fault of ours."""
    if code_of(error) == INTERNAL:
        return "a fault of the service; its log has more under this RequestId"
    if isinstance(error, BadInput) and error.field in SERVICE_FIELDS:
        return str(BadInput(SERVICE_FIELDS[error.field][0], error.got, error.allowed))
    if isinstance(error, BadInput) and error.field.startswith(OPERATORS):
        return f"ModerationSupplier: it does not work here, for want of the setting {error.field}"
    return str(error)
