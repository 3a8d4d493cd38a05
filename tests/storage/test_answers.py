"""Each refusal of a store: whose fault, tried again or not, and what to do."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slicer.errors import StorageRefused, StorageUnavailable
from slicer.storage import Credentials
from slicer.storage.answers import Answer, hide, rekeyed, retry_after, storage_error


@pytest.mark.parametrize(
    ("status", "code", "advice"),
    [
        (404, "NoSuchBucket", "create the bucket"),
        (403, "AccessDenied", "s3:PutObject"),
        (403, "InvalidAccessKeyId", "does not know it"),
        (403, "SignatureDoesNotMatch", "secret does not belong"),
        (400, "ExpiredToken", "renew"),
        (403, "RequestTimeTooSkewed", "clock"),
        (400, "EntityTooLarge", "correct"),
        (404, "404", "correct"),
        (403, "403", "check access key"),
        (401, "Unauthorized", "check access key"),
        (501, "NotImplemented", "use another one"),
        (301, "PermanentRedirect", "wrong region or endpoint"),
        (307, "307", "wrong region or endpoint"),
        (400, "AuthorizationHeaderMalformed", "wrong region or endpoint"),
    ],
)
def test_refused(status: int, code: str, advice: str) -> None:
    error = storage_error("a/b", Answer(status, code, "so it says"))
    assert isinstance(error, StorageRefused)
    assert error.key == "a/b"
    assert str(status) in error.reason
    assert "so it says" in error.reason
    assert advice in error.advice


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (503, "SlowDown"),
        (503, "503"),
        (500, "InternalError"),
        (502, ""),
        (507, "XMinioStorageFull"),
        (429, "TooManyRequests"),
        (429, ""),
        (408, "408"),
        (400, "RequestTimeout"),
        (400, "BadDigest"),
        (400, "IncompleteBody"),
        (409, "OperationAborted"),
        (0, ""),
        (200, "InternalError"),
    ],
)
def test_unavailable(status: int, code: str) -> None:
    error = storage_error("a/b", Answer(status, code))
    assert isinstance(error, StorageUnavailable)
    assert "tried again" in error.advice


def test_the_region_the_store_names_is_said() -> None:
    error = storage_error("k", Answer(301, "PermanentRedirect", "", "ap-south-1"))
    assert error.advice == "wrong region or endpoint: the store names ap-south-1"


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (
            Answer(404, "NoSuchBucket", "The bucket\n is  gone"),
            "404 NoSuchBucket: The bucket is gone",
        ),
        (Answer(503, "503", "Slow"), "503: Slow"),
        (Answer(500, "InternalError"), "500 InternalError"),
        (Answer(0, ""), "no reason given"),
    ],
)
def test_a_reason_is_one_line(answer: Answer, reason: str) -> None:
    assert answer.reason == reason


@given(st.integers(0, 999), st.text(), st.text())
def test_every_answer_has_an_error_of_one_short_line(status: int, code: str, text: str) -> None:
    error = storage_error("key", Answer(status, code[:40], text))
    assert isinstance(error, StorageRefused | StorageUnavailable)
    assert error.advice
    assert len(error.reason) < 300


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("0", 0.0), ("120", 120.0), ("999999", 999_999.0), ("1000000", None), ("-1", None),
     ("1.5", None), ("", None), ("Fri, 31 Dec 1999 23:59:59 GMT", None), ("\u0661", None)],
)  # fmt: skip
def test_retry_after_is_seconds_or_nothing(value: str, seconds: float | None) -> None:
    assert retry_after(value) == seconds


KEYS = Credentials("the-id", "the-secret")


def test_keys_are_hidden_and_length_is_bounded() -> None:
    assert hide("the-id signed with the-secret", KEYS) == "*** signed with ***"
    assert hide("the-id", None) == "the-id"
    assert hide("the-id", Credentials("", "")) == "the-id", "nothing is no secret"
    assert hide("x" * 501, None) == "x" * 500


@pytest.mark.parametrize("kind", [StorageRefused, StorageUnavailable])
def test_an_error_about_another_key_is_the_same_without_secrets(
    kind: type[StorageRefused | StorageUnavailable],
) -> None:
    error = rekeyed("new", kind("old", "403 the-secret", "advice", 7.0), KEYS)
    assert type(error) is kind
    assert (error.key, error.reason, error.advice) == ("new", "403 ***", "advice")
    assert error.retry_after == 7.0
