"""The page's files: what there is, what there is not, and that none breaks the policy."""

import re
from importlib.resources import files

import pytest
from starlette.requests import Request

from slicer.console.assets import TYPES, asset

STATIC = files("slicer.console").joinpath("static")


def request(etag: str = "") -> Request:
    return Request({"type": "http", "headers": [(b"if-none-match", etag.encode())]})


def test_a_file_and_its_etag() -> None:
    response = asset(request(), "main.js")
    assert response.media_type == TYPES["js"]
    assert b"import" in response.body
    assert asset(request(response.headers["etag"]), "main.js").status_code == 304


@pytest.mark.parametrize("name", ["", "nothing.js", "../console.py", "__init__.py", "/etc/passwd"])
def test_nothing_else_is_served(name: str) -> None:
    assert asset(request(), name).status_code == 404


def test_nothing_is_inline_and_nothing_comes_from_elsewhere() -> None:
    for file in STATIC.iterdir():
        text = file.read_text()
        assert not re.search(r"\son\w+=\"|<style|\sstyle=\"|innerHTML|eval\(", text), file.name
        others = set(re.findall(r"https?://[^\"'\s)]+", text))
        assert others <= {"http://www.w3.org/2000/svg"}, file.name
    page = STATIC.joinpath("index.html").read_text()
    assert re.findall(r"<script[^>]*>", page) == ['<script type="module" src="static/main.js">']
