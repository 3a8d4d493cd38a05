"""The files of the page: plain HTML, CSS and ES modules of the package, as they are."""

from hashlib import sha256
from importlib.resources import files

from starlette.requests import Request
from starlette.responses import Response

TYPES = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}


def asset(request: Request, name: str) -> Response:
    """A file of `static/`; 304 where the browser has it; 404 where there is none of this name."""
    known = PAGES.get(name)
    if known is None:
        return Response("Not found", 404, media_type="text/plain")
    data, etag = known
    # Looked at anew each time: a new version of the package must not meet half an old page.
    headers = {"ETag": etag, "Cache-Control": "no-cache"}
    if request.headers.get("if-none-match") == etag:
        return Response(status_code=304, headers=headers)
    return Response(data, headers=headers, media_type=TYPES[name.rpartition(".")[2]])


def _pages() -> dict[str, tuple[bytes, str]]:
    """The bytes and the ETag of every file, by name: nothing else can be asked for."""
    found = {}
    for file in files(__package__).joinpath("static").iterdir():
        if file.name.rpartition(".")[2] in TYPES:
            data = file.read_bytes()
            found[file.name] = data, f'"{sha256(data).hexdigest()[:16]}"'
    return found


PAGES = _pages()
