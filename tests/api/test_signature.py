"""TC3-HMAC-SHA256: the public known answer, what every bit of a request does, and bad headers."""

import hashlib
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slicer.api.errors import ApiError
from slicer.api.signature import (
    Authorization,
    Message,
    canonical_request,
    read_timestamp,
    verify,
)
from slicer.tc3 import sign
from tests.harness.service.api import authorize

# The sample of Tencent's page on TC3, for another of their services.
SAMPLE_KEY = "*" * 32
SAMPLE_TIME = 1551113065
SAMPLE_BODY = (
    b'{"Limit": 1, "Filters": [{"Values": ["\\u672a\\u547d\\u540d"], "Name": "instance-name"}]}'
)
SAMPLE_SIGNATURE = "10b1a37a7301a02ca19a647ad722d5e43b4b3cff309d421d85b46093f6ab6c4f"
SAMPLE_HEADERS = {
    "content-type": "application/json; charset=utf-8",
    "host": "cvm.tencentcloudapi.com",
    "x-tc-action": "DescribeInstances",
    "x-tc-timestamp": str(SAMPLE_TIME),
}
SAMPLE = Message("POST", "/", "", SAMPLE_HEADERS, SAMPLE_BODY)
SAMPLE_AUTHORIZATION = (
    "TC3-HMAC-SHA256 Credential=AKIDz8krbsJ5yKBZQpn74WFkmLPx3EXAMPLE/2019-02-25/cvm/tc3_request, "
    f"SignedHeaders=content-type;host;x-tc-action, Signature={SAMPLE_SIGNATURE}"
)

NOW = 1_750_000_000
KEY = "a-key"
MALFORMED = "AuthFailure.InvalidAuthorization"
HEADERS = {"content-type": "application/json", "host": "h:1", "x-tc-timestamp": str(NOW)}
SIGNED = Message("POST", "/", "", HEADERS, b"{}")


def check(message: Message, header: str | None = None, now: float = NOW, key: str = KEY) -> int:
    header = authorize(SIGNED, NOW, "id", KEY) if header is None else header
    return verify(message, Authorization.parse(header), key, now)


def refusal(message: Message, header: str | None = None, now: float = NOW, key: str = KEY) -> str:
    with pytest.raises(ApiError) as caught:
        check(message, header, now, key)
    assert key not in str(caught.value)
    return caught.value.code


def test_the_known_answer() -> None:
    assert hashlib.sha256(SAMPLE_BODY).hexdigest().startswith("35e9c5b0")
    canonical = canonical_request(SAMPLE, ("content-type", "host", "x-tc-action"))
    assert hashlib.sha256(canonical.encode()).hexdigest() == (
        "7019a55be8395899b900fb5564e4200d984910f34794a27cb3fb7d10ff6a1e84"
    )
    assert sign(SAMPLE_KEY, SAMPLE_TIME, "2019-02-25", "cvm", canonical) == SAMPLE_SIGNATURE
    claimed = Authorization.parse(SAMPLE_AUTHORIZATION)
    assert claimed.secret_id == "AKIDz8krbsJ5yKBZQpn74WFkmLPx3EXAMPLE"
    assert verify(SAMPLE, claimed, SAMPLE_KEY, SAMPLE_TIME, "cvm") == SAMPLE_TIME


def test_what_is_signed_for_another_service_is_refused() -> None:
    with pytest.raises(ApiError, match="2019-02-25/trtc/tc3_request"):
        verify(SAMPLE, Authorization.parse(SAMPLE_AUTHORIZATION), SAMPLE_KEY, SAMPLE_TIME)


@pytest.mark.parametrize(
    "changed",
    [
        replace(SIGNED, body=b"{} "),
        replace(SIGNED, method="GET"),
        replace(SIGNED, headers=HEADERS | {"host": "h:2"}),
        replace(SIGNED, headers=HEADERS | {"content-type": "text/plain"}),
        replace(SIGNED, headers=HEADERS | {"x-tc-timestamp": str(NOW + 1)}),
        replace(SIGNED, headers=HEADERS | {"x-tc-content-sha256": "UNSIGNED-PAYLOAD"}),
    ],
)
def test_whatever_is_signed_cannot_be_changed(changed: Message) -> None:
    assert check(SIGNED) == NOW
    assert refusal(changed) == "AuthFailure.SignatureFailure"


def test_another_key() -> None:
    assert refusal(SIGNED, key="another") == "AuthFailure.SignatureFailure"


def test_the_query_is_signed_as_it_is_sent() -> None:
    got = replace(SIGNED, method="GET", query="B=%2F&A=1", body=b"")
    header = authorize(got, NOW, "id", KEY)
    assert check(got, header) == NOW
    assert refusal(replace(got, query="A=1&B=%2F"), header) == "AuthFailure.SignatureFailure"


def test_an_unsigned_payload_is_the_clients_choice() -> None:
    loose = replace(SIGNED, headers=HEADERS | {"x-tc-content-sha256": "UNSIGNED-PAYLOAD"})
    header = authorize(loose, NOW, "id", KEY)
    assert check(replace(loose, body=b"changed"), header) == NOW
    assert refusal(SIGNED, header) == "AuthFailure.SignatureFailure"


def test_case_and_space_around_header_values_do_not_matter() -> None:
    told = HEADERS | {"content-type": "  Application/JSON "}
    assert check(replace(SIGNED, headers=told)) == NOW


@pytest.mark.parametrize("skew", [-300, 0, 300])
def test_a_clock_may_be_off_by_five_minutes(skew: int) -> None:
    assert check(SIGNED, now=NOW + skew) == NOW


@pytest.mark.parametrize("skew", [-300.5, 301, 1e9])
def test_and_not_by_more(skew: float) -> None:
    assert refusal(SIGNED, now=NOW + skew) == "AuthFailure.SignatureExpire"


def test_a_scope_of_another_day() -> None:
    header = authorize(SIGNED, NOW, "id", KEY).replace("/2025-06-15/", "/2025-06-16/")
    assert refusal(SIGNED, header) == "AuthFailure.SignatureFailure"


@pytest.mark.parametrize(
    ("header", "code"),
    [
        ("", "AuthFailure"),
        ("Bearer x", "AuthFailure.UnsupportedOperation"),
        ("SKIP", "AuthFailure.UnsupportedOperation"),
        ("TC3-HMAC-SHA256", MALFORMED),
        ("TC3-HMAC-SHA256 Credential=a/b", MALFORMED),
        (
            SAMPLE_AUTHORIZATION.replace("2019-02-25", "20190225"),
            MALFORMED,
        ),
        (SAMPLE_AUTHORIZATION[:-1], MALFORMED),
        (SAMPLE_AUTHORIZATION.replace(";host", ""), MALFORMED),
        (
            SAMPLE_AUTHORIZATION.replace("host", "host" + ";x" * 40),
            MALFORMED,
        ),
    ],
)
def test_bad_headers_have_codes_of_their_own(header: str, code: str) -> None:
    with pytest.raises(ApiError) as caught:
        Authorization.parse(header)
    assert caught.value.code == code


def test_a_signed_header_that_was_not_sent() -> None:
    header = authorize(SIGNED, NOW, "id", KEY).replace(";host", ";host;x-tc-action")
    assert refusal(SIGNED, header) == MALFORMED


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "MissingParameter"),
        ("-1", MALFORMED),
        ("1e9", MALFORMED),
        ("9" * 12, MALFORMED),
        ("١", MALFORMED),
    ],
)
def test_bad_timestamps(text: str, code: str) -> None:
    with pytest.raises(ApiError) as caught:
        read_timestamp({"x-tc-timestamp": text})
    assert caught.value.code == code


@settings(deadline=None)
@given(st.text(max_size=300), st.binary(max_size=50), st.text("0123456789", max_size=12))
def test_nothing_but_refusals_comes_of_any_header(header: str, body: bytes, time: str) -> None:
    message = Message("POST", "/", "", HEADERS | {"x-tc-timestamp": time}, body)
    for text in (header, f"TC3-HMAC-SHA256 {header}", SAMPLE_AUTHORIZATION + header):
        with pytest.raises(ApiError):
            check(message, text)
