"""What people see while slices land: plain lines, or a live table."""

import json
import logging
import re
import sys
from collections.abc import Sequence
from datetime import timedelta
from io import StringIO

import pytest
from rich.cells import cell_len
from rich.console import Console

from slicer.demo.progress import (
    JsonProgress,
    LiveProgress,
    PlainProgress,
    bytes_text,
    line,
    middle_out,
    open_progress,
)
from slicer.engine.event_json import event_json
from slicer.engine.events import (
    AnchorDropped,
    AnchorLeft,
    AnchorTrouble,
    AnchorWaits,
    Event,
    EventsMissed,
    FactsDiscarded,
    PicturesMissing,
    RobotLeft,
    SliceJudged,
    SliceLost,
    SliceSettled,
    SliceSpooled,
    SliceStored,
    SliceUnjudged,
    StoreRecovered,
    SupplierRecovered,
    SupplierTrouble,
    TaskFinished,
    TaskState,
    TaskTrouble,
    TrackEnded,
    TrackRefused,
    TrackStarted,
)
from slicer.media.slice import SliceInfo
from slicer.moderation import Finding, Label, Suggest, Verdict
from slicer.rtp.parameters import Kind, Role
from slicer.slicing.outputs import EndReason, State, TrackKey
from tests.harness.clock import EPOCH

ADA = TrackKey("t", "ada", Kind.AUDIO)
AUDIO = SliceInfo("t/ada/a.ogg", ADA, EPOCH, 15.0, 61_234)
STORED = SliceStored("t", EPOCH, AUDIO, "e")
SEEN = SliceInfo("t/ada/i.png", TrackKey("t", "ada", Kind.VIDEO), EPOCH, 0.0, 500_000)
PICTURE = SliceStored("t", EPOCH, SEEN, "e")
RUDE = Verdict.of((Finding(Label.ABUSE, Suggest.BLOCK, 80, "speech", ("go away",)),))
EVENTS: list[tuple[Event, str]] = [
    (TaskState("t", EPOCH, State.RUNNING), "task running"),
    (TrackStarted("t", EPOCH, "ada", Kind.AUDIO), "+ ada audio"),
    (TrackEnded("t", EPOCH, "ada", Kind.VIDEO), "- ada video"),
    (TrackEnded("t", EPOCH, "ada", Kind.VIDEO, role=Role.AUX), "- ada (aux) video"),
    (TrackEnded("t", EPOCH, "ada", Kind.VIDEO, "silent"), "- ada video (silent)"),
    (AnchorTrouble("t", EPOCH, "ada", "packets", 7), "trouble: ada: packets (7)"),
    (TrackRefused("t", EPOCH, "ada", Kind.VIDEO, "H.265"), "refused: ada video: H.265"),
    (PicturesMissing("t", EPOCH, "ada", "no keyframe"), "no pictures: ada: no keyframe"),
    (TaskState("t", EPOCH, State.RECONNECTING, "ICE failed"), "task reconnecting: ICE failed"),
    (AnchorLeft("t", EPOCH, "ada", "silent"), "left: ada (silent)"),
    (AnchorDropped("t", EPOCH, "cy", "10000 are here"), "dropped: cy: 10000 are here"),
    (FactsDiscarded("t", EPOCH, 7), "trouble: 7 facts of the room discarded"),
    (AnchorWaits("t", EPOCH, "bo"), "waiting: bo"),
    (SliceJudged("t", EPOCH, AUDIO, Verdict(), True), "pass t/ada/a.ogg (Normal)"),
    (SliceJudged("t", EPOCH, AUDIO, RUDE, True), "block t/ada/a.ogg (Abuse 80: go away)"),
    (SliceUnjudged("t", EPOCH, SEEN, "none", False), "UNJUDGED t/ada/i.png: none"),
    (SupplierTrouble("t", EPOCH, "local: no memory"), "trouble: local: no memory"),
    (SupplierRecovered("t", EPOCH, "local"), "local judges again"),
    (STORED, "stored t/ada/a.ogg (15.000 s, 61 kB)"),
    (PICTURE, "stored t/ada/i.png (500 kB)"),
    (SliceSpooled("t", EPOCH, AUDIO), "cut t/ada/a.ogg"),
    (
        SliceSettled(
            "t", EPOCH + timedelta(seconds=9), AUDIO, EPOCH - timedelta(seconds=0.8), True
        ),
        "t/ada/a.ogg began 14:31:43.000, not 14:31:42.200",
    ),
    (SliceLost("t", EPOCH, SliceInfo("t/x.ogg", ADA, EPOCH), "full"), "LOST t/x.ogg: full"),
    (TaskTrouble("t", EPOCH, "503"), "trouble: 503"),
    (TaskTrouble("t", EPOCH, "full", "the spool"), "trouble: the spool: full"),
    (StoreRecovered("t", EPOCH, "s3://b"), "s3://b takes slices again"),
    (RobotLeft("t", EPOCH, EndReason.IDLE), "out of the room (nobody published for too long)"),
    (TaskFinished("t", EPOCH, EndReason.IDLE, 7, 0), "7 slices stored"),
    (TaskFinished("t", EPOCH, EndReason.IDLE, 7, 2), "7 slices stored, 2 LOST"),
    (TaskFinished("t", EPOCH, EndReason.IDLE, 7, 0, 3), "7 slices stored, 3 kept in the spool"),
    (EventsMissed("t", EPOCH, 3), "3 events missed"),
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


LONG = "speaker_" + "x" * 50 + "_00042"
WIDE = "会议室主播" * 4


def watched(anchors: Sequence[str], width: int, height: int = 24) -> list[str]:
    """The lines of a live view of anchors whose audio and video are cut, one slice each stored."""
    text = StringIO()
    console = Console(file=text, force_terminal=True, color_system=None, width=width, height=height)
    progress = LiveProgress(console, "whip://127.0.0.1:8080/a-rather-long-room-name → file")
    with progress:
        for anchor in anchors:
            track = TrackKey("t", anchor, Kind.AUDIO)
            name = f"t/{anchor}/audios/0_lobby_{anchor}_20261128184356.ogg"
            for kind in Kind:
                progress.show(TrackStarted("t", EPOCH, anchor, kind))
            progress.show(SliceStored("t", EPOCH, SliceInfo(name, track, EPOCH, 15.0, 61_234), ""))
        text.seek(text.truncate(0))
    return [re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", one) for one in text.getvalue().splitlines()]


@pytest.mark.parametrize("width", [20, 40, 60, 80, 200])
def test_the_live_view_fits_its_terminal(width: int) -> None:
    lines = watched(["ada", LONG, WIDE], width)
    *view, last = lines
    assert max(cell_len(one) for one in view) <= width
    rows = [one for one in view if one.startswith(("ada ", "speak", "会议"))]
    assert len(rows) == 3, "an anchor has one line"
    assert all("0042" in one for one in rows if one.startswith("speak")), "ids differ at their ends"
    for name, from_width in (("audio", 20), ("pictures", 40), ("cut now", 60), ("last", 80)):
        assert (name in view[1].replace("\r", "")) is (width >= from_width), name
    assert last.startswith("stored t/会议")


def test_a_live_view_of_more_anchors_than_lines_counts_the_others() -> None:
    lines = watched([f"bo{number}" for number in range(20)], 60, height=14)
    assert sum(one.startswith("bo") for one in lines) == 3
    assert "and 17 more anchors" in lines


def test_how_it_ended_stays_on_a_terminal() -> None:
    console, text = screen(terminal=True)
    with open_progress(console, "title", plain=False) as progress:
        progress.show(TaskFinished("t", EPOCH, EndReason.STOPPED, 1, 0))
    assert text.getvalue().endswith("finished (stopped): 1 slice stored\n")


def test_a_url_is_not_broken() -> None:
    text = StringIO()
    console = Console(file=text, force_terminal=True, color_system=None, width=20)
    with open_progress(console, "title", plain=False) as progress:
        progress.note("publish by WHIP to http://127.0.0.1:8080/whip/lobby/YOUR-USER-ID")
    assert "publish by WHIP to http://127.0.0.1:8080/whip/lobby/YOUR-USER-ID\n" in text.getvalue()


def test_no_color(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    text = StringIO()
    console = Console(file=text, force_terminal=True, color_system="truecolor", width=60)
    with open_progress(console, "title", plain=False) as progress:
        progress.show(TaskTrouble("t", EPOCH, "503"))
    assert "trouble: 503" in text.getvalue()
    assert not re.search(r"\x1b\[[0-9;]*3[0-9]", text.getvalue()), "red is a colour"


def test_a_terminal_that_cannot_be_drawn_on_gets_plain_lines(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TERM", "dumb")
    assert isinstance(open_progress(screen(terminal=True)[0], "title", plain=False), PlainProgress)


@pytest.mark.parametrize(
    ("text", "cells", "shown"),
    [
        ("abc", 3, "abc"),
        ("abcdefg", 5, "ab…fg"),
        ("abcdefg", 4, "ab…g"),
        ("abc", 2, "ab"),
        ("会议室主播", 10, "会议室主播"),
        ("会议室主播", 9, "会议…主播"),
        ("会议室主播", 8, "会议…播"),
        ("", 0, ""),
    ],
)
def test_of_a_long_text_the_middle_is_left_out(text: str, cells: int, shown: str) -> None:
    assert middle_out(text, cells) == shown
    assert cell_len(shown) <= cells


def test_every_event_is_a_line_of_json_and_notes_stand_beside() -> None:
    out, beside = StringIO(), StringIO()
    progress = JsonProgress(out, Console(file=beside))
    with progress:
        progress.note("publish there")
        progress.show(TrackStarted("t", EPOCH, "ada", Kind.AUDIO))
    assert json.loads(out.getvalue()) == event_json(TrackStarted("t", EPOCH, "ada", Kind.AUDIO))
    assert out.getvalue().endswith("}\n")
    assert beside.getvalue() == "publish there\n"


class Terminal(StringIO):
    """Where people look."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("stderr", [Terminal(), StringIO()])
def test_the_log_tears_no_table(monkeypatch: pytest.MonkeyPatch, stderr: StringIO) -> None:
    """What goes to the same terminal is put above the table; what goes to a file stays there."""
    monkeypatch.setattr(sys, "stderr", stderr)
    handler, log = logging.StreamHandler(stderr), logging.getLogger()
    log.addHandler(handler)
    shown = Terminal()
    try:
        with LiveProgress(Console(file=shown, force_terminal=True, width=80), "room"):
            log.warning("within")
        log.warning("after")
    finally:
        log.removeHandler(handler)
    assert handler.stream is stderr
    within = shown if stderr.isatty() else stderr
    assert "within" in within.getvalue()
    assert stderr.getvalue().splitlines()[-1] == "after"
    assert ("within" in stderr.getvalue()) is not stderr.isatty()
