"""JSON and queries to objects: each fault its own code, and no bytes that do more."""

import json
from collections.abc import Callable, Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slicer.api.body import MAX_DEPTH, MAX_DIGITS, read_json, read_query
from slicer.api.errors import ApiError


def refusal(body: bytes) -> str:
    with pytest.raises(ApiError) as caught:
        read_json(body)
    return caught.value.code


def outcome(read: Callable[[], Mapping[str, object]]) -> tuple[object, str]:
    """What was read, and the code where nothing was."""
    try:
        return read(), ""
    except ApiError as error:
        return None, error.code


def nested(depth: int, opening: str = '{"a":', closing: str = "}") -> bytes:
    return (opening * depth + "1" + closing * depth).encode()


def test_an_object() -> None:
    assert read_json(b'{"A": {"B": ["c", 1, -2.5, true, null]}}') == {
        "A": {"B": ["c", 1, -2.5, True, None]}
    }


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"1", b'"x"', b"null", b"{'a': 1}", b'{"a": 1}x', b'{"a": NaN}',
     b'{"a": Infinity}', b"\xff", b'\xef\xbb\xbf{"a": 1}', '{"a": 1}'.encode("utf-16"),
     b'{"a": "\n"}'],
)  # fmt: skip
def test_unreadable(body: bytes) -> None:
    assert refusal(body) == "InvalidRequest"


def test_doubled_keys_at_any_depth() -> None:
    assert refusal(b'{"a": 1, "a": 1}') == "InvalidRequest.DuplicateKey"
    assert refusal(b'{"x": [{"a": 1, "\\u0061": 2}]}') == "InvalidRequest.DuplicateKey"


@pytest.mark.parametrize(
    "body",
    [
        nested(MAX_DEPTH + 1),
        b'{"a":' + nested(MAX_DEPTH, "[", "]") + b"}",
        nested(5_000),
        b'{"a":' + b"[" * 100_000,
    ],
)
def test_too_deep(body: bytes) -> None:
    assert refusal(body) == "InvalidRequest.TooDeep"


def test_as_deep_as_allowed() -> None:
    assert read_json(nested(MAX_DEPTH))
    assert read_json(b'{"a":' + nested(MAX_DEPTH - 1, "[", "]") + b"}")


def test_long_numbers() -> None:
    assert read_json(b'{"a": -%s}' % (b"9" * MAX_DIGITS)) == {"a": -int("9" * MAX_DIGITS)}
    assert refusal(b'{"a": %s}' % (b"9" * (MAX_DIGITS + 1))) == "InvalidRequest.NumberTooLong"
    assert refusal(b'{"a": %s}' % (b"9" * 200_000)) == "InvalidRequest.NumberTooLong"


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes(body: bytes) -> None:
    read, code = outcome(lambda: read_json(body))
    assert isinstance(read, dict) or code.startswith("InvalidRequest")


values = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**19), 10**19) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=6,
)


@settings(deadline=None)
@given(st.dictionaries(st.text(max_size=5), values, max_size=4))
def test_what_is_json_is_read(value: dict[str, object]) -> None:
    read, code = outcome(lambda: read_json(json.dumps(value).encode()))
    assert read == value or code == "InvalidRequest.TooDeep"


def test_a_flattened_query() -> None:
    assert read_query("A=1&B.C.0=x&B.C.1=%2F+&B.D=&E=%E6%9C%AA") == {
        "A": "1",
        "B": {"C": {"0": "x", "1": "/ "}, "D": ""},
        "E": "未",
    }
    assert read_query("") == {}


@pytest.mark.parametrize("query", ["A=1&A=1", "A=1&A.B=2", "A.B=2&A=1", "A.0.x=1&A.0=2"])
def test_doubled_names(query: str) -> None:
    with pytest.raises(ApiError) as caught:
        read_query(query)
    assert caught.value.code == "InvalidRequest.DuplicateKey"


def test_queries_have_bounds() -> None:
    assert read_query(".".join("a" * MAX_DEPTH) + "=1")
    for query, code in [
        (".".join("a" * (MAX_DEPTH + 1)) + "=1", "InvalidRequest.TooDeep"),
        ("&".join(f"a{index}=1" for index in range(1_001)), "InvalidRequest"),
        ("a=%ff", "InvalidRequest"),
    ]:
        with pytest.raises(ApiError) as caught:
            read_query(query)
        assert caught.value.code == code


@settings(deadline=None)
@given(st.text("AB.01=&%+;", max_size=40))
def test_any_query(query: str) -> None:
    read, code = outcome(lambda: read_query(query))
    assert isinstance(read, dict) or code.startswith("InvalidRequest")
