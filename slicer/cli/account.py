"""What a replay read, and what became of it: the table at its end, and its exit code."""

from collections import Counter

from rich.console import Console
from rich.table import Table

from slicer.cli.exits import NOTHING
from slicer.engine.events import Event, TaskFinished, TrackRefused, TrackStarted

# What Recording.survey counts, as people read it; other counters are shown as they are named.
_ROWS = {
    "records": "records read",
    "rtp": "RTP",
    "media": "  of anchors: --anchor ID names them",
    "encrypted": "  encrypted (SRTP): --keys FILE opens it",
    "unknown payload type": "  of no known codec: --audio-type, --video-type say it",
    "duplicate": "  sent twice",
    "stray": "  of sources with a single packet",
    "too many streams": "  of more sources than are followed",
    "rtcp": "RTCP",
    "stun": "STUN",
    "dtls": "DTLS",
    "other": "other datagrams",
    "incomplete": "cut off while capturing: tcpdump -s 0 takes them whole",
    "truncated": "broken off: the file ends in the middle",
    "fragment": "IP fragments without the others",
    "malformed": "malformed headers",
    "too many keys": "key logs within the file, beyond 256 or 4 MiB",
    "not udp": "neither UDP nor media in TCP",
    "not ip": "not IP",
    "unknown link type": "of an unknown link layer",
}


class Account:
    """Watches a replay. *packets*: what the capture holds, which is known once it is opened."""

    def __init__(self, packets: Counter[str]) -> None:
        self._packets = packets
        self._started = self._refused = False
        self._finished: TaskFinished | None = None

    def show(self, event: Event) -> None:
        """Take what tells whether there was media, and whether slices were made."""
        self._started |= isinstance(event, TrackStarted)
        self._refused |= isinstance(event, TrackRefused)
        if isinstance(event, TaskFinished):
            self._finished = event

    def ending(self, code: int) -> int:
        """The exit code: NOTHING where media was there, was wanted, and gave no slice."""
        return NOTHING if not self._slices() and (self._started or self._refused) else code

    def print(self, console: Console) -> None:
        """Print the table; what did not occur is left out, and all of it where nothing was read."""
        if not self._packets.total():
            return
        table = Table.grid(padding=(0, 2))
        table.add_column(justify="right")
        table.add_column()
        known = {name: self._packets[name] for name in _ROWS}
        for name, count in {**known, **self._packets}.items():
            if count:
                table.add_row(str(count), _ROWS.get(name, name))
        table.add_row(str(self._slices()), "slices made")
        console.print(table, highlight=False)

    def _slices(self) -> int:
        done = self._finished
        if done is None:
            return 0
        # A slice that is judged may be stored after that, or not be kept.
        return max(done.stored + done.lost + done.kept, done.judged + done.unjudged)
