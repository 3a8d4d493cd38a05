"""What the console counts: who looks, who is refused, what its bounds left out."""

from collections.abc import Iterator, Mapping

from slicer.console.live import Live
from slicer.console.observer import Observer
from slicer.console.sessions import Sessions
from slicer.engine.sample import Sample

METRICS: Mapping[str, str] = {
    "console_sessions": "browsers that have logged in to the console, until 12 hours later",
    "console_pages": "pages of the console that are told of changes",
    "console_logins_refused_total": "logins with a wrong token",
    "console_pages_refused_total": "pages of the console that were one too many (MAX_PAGES)",
    "console_tiles": "anchors on the console's wall",
    "console_tiles_left_out_total": "times that the wall had no room for an anchor (MAX_TILES)",
    "console_media_bytes": "bytes of pictures and audio kept to be shown (console.memory)",
    "console_media_dropped_total": "files that made room for later ones, or were too large",
}


def of_console(observer: Observer, live: Live, sessions: Sessions) -> Iterator[Sample]:
    """All of them."""
    yield Sample("console_sessions", len(sessions))
    yield Sample("console_pages", live.pages)
    yield Sample("console_logins_refused_total", sessions.refused)
    yield Sample("console_pages_refused_total", live.refused)
    yield Sample("console_tiles", len(observer.wall))
    yield Sample("console_tiles_left_out_total", observer.wall.left_out)
    yield Sample("console_media_bytes", observer.media.bytes)
    yield Sample("console_media_dropped_total", observer.media.dropped)
