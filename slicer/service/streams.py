"""Which room a stream is that a customer names by its URL, and whether it may be connected to.

A URL from outside has this machine connect to whatever it names, so an application has a list of
patterns of the streams that it may have moderated; without one, it has none. In a pattern `*` is
any text. What HTTP streams lead to is bounded by the `stream` settings besides.
"""

from collections.abc import Sequence
from urllib.parse import SplitResult, urlsplit

from slicer.errors import BadInput
from slicer.rooms.redaction import shown
from slicer.service.rooms import fits

_DIRECT = {"rtmp", "rtmps", "rtsp", "rtsps"}
_BY_SUFFIX = {".m3u8": "hls", ".flv": "flv"}
"""Of a path of HTTP: TRTC's Format is RTMP alone; the others are ours."""
_ALLOWED = "rtmp(s)://, rtsp(s)://, or http(s):// to .m3u8 or .flv; without a fragment"


def room_of(url: str, anchor: str) -> str:
    """The room URL of a stream, whose media is *anchor*'s. Raises BadInput for `stream`."""
    try:
        split = urlsplit(url)
        scheme = _scheme(split)
    except ValueError:
        scheme = ""
    if not scheme or "#" in url:
        raise BadInput("stream", shown(url), _ALLOWED)
    return split._replace(scheme=scheme, fragment=f"anchor={anchor}").geturl()


def check_stream(url: str, patterns: Sequence[str]) -> None:
    """Raise BadInput for `stream` unless a pattern fits."""
    if not any(fits(pattern, url) for pattern in patterns):
        allowed = "a stream that a pattern of the application's `streams` fits"
        raise BadInput("stream", shown(url), allowed)


def _scheme(split: SplitResult) -> str:
    """Of our room; nothing where there is none."""
    if split.scheme in _DIRECT:
        return split.scheme
    if split.scheme not in {"http", "https"}:
        return ""
    for suffix, scheme in _BY_SUFFIX.items():
        if split.path.endswith(suffix):
            return scheme + ("s" if split.scheme == "https" else "")
    return ""
