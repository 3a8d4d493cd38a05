"""Options of room URLs."""

from urllib.parse import urlsplit

import pytest

from slicer.errors import BadInput
from slicer.rooms.options import options


def test_options_by_name() -> None:
    found = options(urlsplit("whep://h/r?a=1&b=x%2Cy&c="), ("a", "b", "c", "d"))
    assert found == {"a": "1", "b": "x,y", "c": ""}


@pytest.mark.parametrize("query", ["e=1", "a=1&a=2"])
def test_unknown_ones_and_those_given_twice_are_refused_by_name(query: str) -> None:
    with pytest.raises(BadInput, match=f"options a, token, and not {query[0]!r}") as refused:
        options(urlsplit(f"whep://h/r?token=s3cret&{query}"), ("a", "token"))
    assert "s3cret" not in str(refused.value)
