"""Whose signature it is, and which applications it opens."""

import pytest

from slicer.api.errors import ApiError
from slicer.api.keys import Keys, find_app
from slicer.api.signature import Message
from slicer.errors import BadInput
from slicer.service.applications import Application
from tests.harness.service.api import NOW, authorize

ONE = Application(1, secrets=(("id-1", "key-1"), ("id-both", "key-both")))
TWO = Application(2, secrets=(("id-both", "key-both"),))
KEYS = Keys([ONE, TWO])
APPS = {1: ONE, 2: TWO}
HEADERS = {"content-type": "application/json", "host": "h", "x-tc-timestamp": str(NOW)}


def signed(key_id: str, key: str, **more: str) -> Message:
    headers = HEADERS | {name.replace("_", "-"): value for name, value in more.items()}
    message = Message("POST", "/", "", headers, b"{}")
    headers["authorization"] = authorize(message, NOW, key_id, key)
    return message


def refusal(message: Message) -> str:
    with pytest.raises(ApiError) as caught:
        KEYS.authenticate(message, NOW)
    return caught.value.code


def test_a_key_opens_its_applications() -> None:
    assert KEYS.authenticate(signed("id-1", "key-1"), NOW).apps == {1}
    caller = KEYS.authenticate(signed("id-both", "key-both"), NOW)
    assert caller.apps == {1, 2}
    assert caller.timestamp == NOW
    assert find_app(APPS, 2, caller) is TWO


def test_another_applications_key() -> None:
    caller = KEYS.authenticate(signed("id-1", "key-1"), NOW)
    with pytest.raises(ApiError, match="SdkAppId: got 2") as caught:
        find_app(APPS, 2, caller)
    assert caught.value.code == "AuthFailure.UnauthorizedOperation"


def test_an_unknown_application() -> None:
    with pytest.raises(ApiError) as caught:
        find_app(APPS, 3, None)
    assert caught.value.code == "InvalidParameter.SdkAppId"


def test_refusals() -> None:
    assert refusal(signed("id-9", "key-1")) == "AuthFailure.SecretIdNotFound"
    assert refusal(signed("id-1", "key-9")) == "AuthFailure.SignatureFailure"
    assert refusal(signed("id-1", "key-1", x_tc_token="t")) == "AuthFailure.TokenFailure"
    assert refusal(Message("POST", "/", "", HEADERS, b"{}")) == "AuthFailure"


def test_signatures_of_the_old_way() -> None:
    form = {"content-type": "application/x-www-form-urlencoded"}
    for message in (
        Message("POST", "/", "", form, b"Action=X&Signature=abc%3D&SecretId=id-1"),
        Message("GET", "/", "Signature=abc&SignatureMethod=HmacSHA1", {}, b""),
    ):
        assert refusal(message) == "AuthFailure.UnsupportedOperation"


def test_one_id_with_two_keys_is_refused_at_the_start() -> None:
    with pytest.raises(BadInput, match="one secret key for each id") as caught:
        Keys([ONE, Application(3, secrets=(("id-1", "another"),))])
    assert "key-1" not in str(caught.value)
