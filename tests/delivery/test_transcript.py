"""The file of what was said."""

import json

from slicer.delivery.transcript import delivery_of
from slicer.media.slice import ManifestInfo
from slicer.moderation import Segment, Verdict
from slicer.rtp.parameters import Kind
from tests.harness.delivery.spooling import info_of

SAID = Verdict(text="滚 away", transcript=(Segment(0.123, 0.5, "滚"), Segment(1.0, 1.5, "away")))


def test_a_transcript() -> None:
    slice = info_of("task/a.b/x.y.ogg")
    delivery = delivery_of(slice, SAID)
    assert delivery.make is not None
    file = delivery.make()
    assert isinstance(file.info, ManifestInfo)
    assert (file.info.key, file.info.size) == ("task/a.b/x.y.json", len(file.data))
    assert (delivery.kind, file.content_type) == (Kind.AUDIO, "application/json")
    assert "滚".encode() in file.data
    content = json.loads(file.data)
    assert content.pop("words") == [
        {"begin": 0.12, "end": 0.5, "text": "滚"},
        {"begin": 1.0, "end": 1.5, "text": "away"},
    ]
    assert content == {
        "task": "task",
        "anchor": "task",
        "slice": "task/a.b/x.y.ogg",
        "began": slice.began.isoformat(timespec="milliseconds"),
        "seconds": 15.0,
        "text": "滚 away",
    }


def test_memory_is_that_of_its_words() -> None:
    assert delivery_of(info_of("a.ogg"), SAID).size == 400
