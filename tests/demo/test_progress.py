"""What people see while slices land: plain lines, or a live table."""

from io import StringIO

from rich.console import Console

from slicer.demo.progress import (
    LiveProgress,
    PlainProgress,
    bytes_text,
    line,
    open_progress,
)
from slicer.engine.events import (
    AnchorDropped,
    AnchorLeft,
    AnchorWaits,
    Event,
    EventsMissed,
    FactsDiscarded,
    RobotLeft,
    SliceLost,
    SliceSpooled,
    SliceStored,
    StoreRecovered,
    TaskFinished,
    TaskState,
    TaskTrouble,
    TrackEnded,
    TrackRefused,
    TrackStarted,
)
from slicer.media.slice import SliceInfo
from slicer.rtp.parameters import Kind
from slicer.slicing.outputs import EndReason, State, TrackKey
from tests.harness.clock import EPOCH

ADA = TrackKey("t", "ada", Kind.AUDIO)
AUDIO = SliceInfo("t/ada/a.ogg", ADA, EPOCH, 15.0, 61_234)
STORED = SliceStored("t", EPOCH, AUDIO, "e")
SEEN = SliceInfo("t/ada/i.png", TrackKey("t", "ada", Kind.VIDEO), EPOCH, 0.0, 500_000)
PICTURE = SliceStored("t", EPOCH, SEEN, "e")
EVENTS: list[tuple[Event, str]] = [
    (TaskState("t", EPOCH, State.RUNNING), "task running"),
    (TrackStarted("t", EPOCH, "ada", Kind.AUDIO), "+ ada audio"),
    (TrackEnded("t", EPOCH, "ada", Kind.VIDEO), "- ada video"),
    (TrackEnded("t", EPOCH, "ada", Kind.VIDEO, "silent"), "- ada video (silent)"),
    (TrackRefused("t", EPOCH, "ada", Kind.VIDEO, "H.265"), "refused: ada video: H.265"),
    (TaskState("t", EPOCH, State.RECONNECTING, "ICE failed"), "task reconnecting: ICE failed"),
    (AnchorLeft("t", EPOCH, "ada", "silent"), "left: ada (silent)"),
    (AnchorDropped("t", EPOCH, "cy", "10000 are here"), "dropped: cy: 10000 are here"),
    (FactsDiscarded("t", EPOCH, 7), "trouble: 7 facts of the room are discarded"),
    (AnchorWaits("t", EPOCH, "bo"), "waiting: bo"),
    (STORED, "stored t/ada/a.ogg (15.000 s, 61 kB)"),
    (PICTURE, "stored t/ada/i.png (500 kB)"),
    (SliceSpooled("t", EPOCH, AUDIO), "cut t/ada/a.ogg"),
    (SliceLost("t", EPOCH, SliceInfo("t/x.ogg", ADA, EPOCH), "full"), "LOST t/x.ogg: full"),
    (TaskTrouble("t", EPOCH, "503"), "trouble: 503"),
    (StoreRecovered("t", EPOCH, "s3://b"), "s3://b takes slices again"),
    (RobotLeft("t", EPOCH, EndReason.IDLE), "out of the room (nobody published for too long)"),
    (TaskFinished("t", EPOCH, EndReason.IDLE, 7, 0), "7 slices stored"),
    (TaskFinished("t", EPOCH, EndReason.IDLE, 7, 2), "7 slices stored, 2 LOST"),
    (TaskFinished("t", EPOCH, EndReason.IDLE, 7, 0, 3), "7 slices stored, 3 kept in the spool"),
    (EventsMissed(3), "3 events missed"),
]


def screen(terminal: bool) -> tuple[Console, StringIO]:
    text = StringIO()
    return Console(file=text, force_terminal=terminal, width=120), text


def test_every_event_has_its_line() -> None:
    for event, expected in EVENTS:
        assert expected in line(event)


def test_plain_lines_have_a_time_and_are_not_broken_or_marked_up() -> None:
    console, text = screen(terminal=False)
    with open_progress(console, "title", plain=False) as progress:
        assert isinstance(progress, PlainProgress)
        for event, _ in EVENTS:
            progress.show(event)
        progress.note("[bold]x[/bold] " + "y" * 300)
    lines = text.getvalue().splitlines()
    assert len(lines) == len(EVENTS) + 1
    assert lines[0] == "14:31:43 task running"
    assert lines[-1].startswith("[bold]x[/bold] y")


def test_a_terminal_shows_a_table() -> None:
    console, text = screen(terminal=True)
    with open_progress(console, "lobby [x]", plain=False) as progress:
        assert isinstance(progress, LiveProgress)
        for event, _ in EVENTS:
            progress.show(event)
    shown = text.getvalue()
    assert "lobby [x]" in shown
    assert "561 kB" in shown  # both of ada's files
    assert "i.png" in shown
    assert "LOST t/x.ogg" in shown


def test_plain_can_be_asked_for_on_a_terminal() -> None:
    console, _ = screen(terminal=True)
    assert isinstance(open_progress(console, "t", plain=True), PlainProgress)


def test_sizes() -> None:
    assert [bytes_text(size) for size in (0, 999, 61_234, 1_500_000)] == [
        "0 B",
        "999 B",
        "61 kB",
        "1.5 MB",
    ]
