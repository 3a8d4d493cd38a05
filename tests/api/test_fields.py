"""Objects read by rules: what is allowed, what is said of the rest, and that secrets are not."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slicer.api.errors import ApiError
from slicer.api.fields import Field, Reader, Table, Text, Texts, Values, Whole

FIELDS = (
    Field("Count", Whole(1, 5, "things", refused=(4,)), default=2),
    Field("Name", Text(4, "up to 4 small letters", "[a-z]+"), required=True, missing="Missing.X"),
    Field("Key", Text(8, "up to 8 letters", secret=True), wrong="Wrong.Key"),
    Field("List", Texts(2, Text(3, "up to 3 bytes"))),
    Field("Inner", Table((Field("Count", Whole(0, 1), wrong="Wrong.Inner"),))),
)


def read(given: dict[str, object], textual: bool = False) -> Values:
    return Reader(textual).read(FIELDS, {"Name": "x"} | given)


def refusal(given: dict[str, object], textual: bool = False) -> tuple[str, str]:
    with pytest.raises(ApiError) as caught:
        read(given, textual)
    return caught.value.code, str(caught.value)


def test_defaults_and_absence() -> None:
    values = read({"List": None, "Key": ""})
    assert values.whole("Count") == 2
    assert values.text("Name") == "x"
    assert values.text("Key") == ""
    assert values.texts("List") == ()
    assert values.table("Inner").read == {}
    assert "Inner" not in values


def test_all_kinds() -> None:
    values = read({"Count": 5, "Name": "abcd", "List": ["ä", ""], "Inner": {"Count": 0}})
    assert values.whole("Count") == 5
    assert values.texts("List") == ("ä", "")
    assert values.table("Inner").whole("Count") == 0


@pytest.mark.parametrize(
    ("given", "code", "message"),
    [
        ({"Count": 0}, "InvalidParameter.OutOfRange", "Count: got 0; allowed: 1 to 5 (things)"),
        ({"Count": 6}, "InvalidParameter.OutOfRange", "Count: got 6; allowed: 1 to 5 (things)"),
        ({"Count": 4}, "UnsupportedOperation", "Count: got 4; allowed: 1 to 5 (things)"),
        ({"Count": 10**20}, "InvalidParameter.OutOfRange", "got 100000000000000000000"),
        ({"Count": True}, "InvalidParameter", "Count: got the boolean true; allowed: a whole"),
        ({"Count": 1.0}, "InvalidParameter", "Count: got the number 1.0; allowed: a whole number"),
        ({"Count": "3"}, "InvalidParameter", "Count: got a string; allowed: a whole number"),
        ({"Name": None}, "Missing.X", "Name: missing; allowed: up to 4 small letters"),
        ({"Name": ""}, "Missing.X", "Name: missing; allowed: up to 4 small letters"),
        ({"Name": "abcde"}, "InvalidParameterValue", "Name: got 'abcde'; allowed: up to 4 small"),
        ({"Name": "A"}, "InvalidParameterValue", "Name: got 'A'"),
        ({"Name": "a\n"}, "InvalidParameterValue", r"Name: got 'a\n'"),
        ({"Name": 1}, "InvalidParameter", "Name: got the number 1; allowed: a string: up to 4"),
        ({"Key": "123456789"}, "Wrong.Key", "Key: got 9 characters (not shown); allowed: up to 8"),
        ({"Key": "a\0"}, "Wrong.Key", "Key: got 2 characters (not shown)"),
        ({"Key": "\ud800"}, "Wrong.Key", "Key: got 1 character (not shown)"),
        ({"List": ["a", "b", "c"]}, "InvalidParameter.OutOfRange", "List: got 3 entries; allowed"),
        ({"List": ["a", "öö"]}, "InvalidParameterValue", "List[1]: got 'öö'; allowed: up to 3"),
        ({"List": ["a", 1]}, "InvalidParameter", "List[1]: got the number 1; allowed: a string"),
        ({"List": [None]}, "InvalidParameter", "List[0]: got null; allowed: a string"),
        ({"List": "a"}, "InvalidParameter", "List: got a string; allowed: a list of strings"),
        ({"List": {"0": "a"}}, "InvalidParameter", "List: got an object; allowed: a list"),
        ({"Inner": []}, "InvalidParameter", "Inner: got a list; allowed: an object"),
        ({"Inner": {"Count": 2}}, "Wrong.Inner", "Inner.Count: got 2; allowed: 0 to 1"),
        ({"Inner": {"X": 2}}, "UnknownParameter", "Inner.'X': unknown field; allowed: Count"),
        ({"count": 2}, "UnknownParameter", "'count': unknown field; allowed: Count, Inner, Key"),
    ],
)
def test_what_is_said(given: dict[str, object], code: str, message: str) -> None:
    got_code, got_message = refusal(given)
    assert got_code == code
    assert got_message.startswith(message) or message in got_message


def test_texts_of_a_query() -> None:
    given: dict[str, object] = {"Count": "3", "List": {"1": "b", "0": "a"}, "Inner": {"Count": "1"}}
    values = read(given, textual=True)
    assert values.whole("Count") == 3
    assert values.texts("List") == ("a", "b")
    assert values.table("Inner").whole("Count") == 1


@pytest.mark.parametrize(
    "given",
    [{"Count": "x"}, {"Count": "1.0"}, {"Count": "1" * 21}, {"Count": "٣"}, {"List": {"1": "a"}},
     {"List": "a"}, {"List": {"0": "a", "00": "b"}}, {"Name": {"0": "a"}}, {"Inner": "x"}],
)  # fmt: skip
def test_bad_texts_of_a_query(given: dict[str, object]) -> None:
    assert refusal(given, textual=True)[0] == "InvalidParameter"


anything = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=4,
)


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from([field.name for field in FIELDS]), anything), st.booleans())
def test_anything_is_read_or_refused(given: dict[str, object], textual: bool) -> None:
    try:
        values = Reader(textual).read(FIELDS, given)
    except ApiError:
        return
    assert 1 <= values.whole("Count") <= 5
    assert len(values.texts("List")) <= 2
