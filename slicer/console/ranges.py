"""One byte range of a file (RFC 9110 14.1.2): browsers ask for one to find their place in audio."""

import re

from starlette.responses import Response

_RANGE = re.compile(r"bytes=(\d{0,15})-(\d{0,15})")


def ranged(data: bytes, wanted: str | None, content_type: str, headers: dict[str, str]) -> Response:
    """The file, or the range of it that is wanted; 416 where that is beyond its end. Several
    ranges, and what is no range, give the whole file, as the RFC allows."""
    headers = {**headers, "Accept-Ranges": "bytes"}
    found = _RANGE.fullmatch(wanted or "")
    if found is None or found.groups() == ("", ""):
        return Response(data, headers=headers, media_type=content_type)
    first, last = found.groups()
    if first:
        start, end = int(first), min(int(last) if last else len(data) - 1, len(data) - 1)
    else:  # so many of the last bytes
        start, end = max(len(data) - int(last), 0), len(data) - 1
    if start > end:
        return Response(status_code=416, headers={"Content-Range": f"bytes */{len(data)}"})
    headers["Content-Range"] = f"bytes {start}-{end}/{len(data)}"
    return Response(data[start : end + 1], 206, headers, content_type)
